// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
// Two hooks over a client. See react.d.ts.
import { useCallback, useEffect, useMemo, useRef, useState, useSyncExternalStore } from 'react';
import { nameOf } from './src/wire.js';

function useClient(client, event, read, atServer) {
	const subscribe = useCallback((told) => client.on(event, told), [client, event]);
	return useSyncExternalStore(subscribe, () => read(client), () => atServer);
}

export function usePresence(client) {
	const state = useClient(client, 'state', (one) => one.state, 'connecting');
	// As text: the same words are the same value.
	const declared = useClient(client, 'declared', (one) => JSON.stringify(one.declared), 'null');
	return useMemo(
		() => ({
			state,
			declared: JSON.parse(declared),
			setStatus: (status, more) => client.setStatus(status, more),
			clearStatus: () => client.clearStatus(),
		}),
		[client, state, declared],
	);
}

export function useWatchedPresence({ client, role = 'agent', ids, enabled = true, onStatusChange }) {
	const [records, setRecords] = useState(() => new Map());
	const latest = useRef(onStatusChange);
	useEffect(() => {
		latest.current = onStatusChange;
	});
	const key = JSON.stringify([...new Set(ids)].sort()); // a new array of the same ids is no news
	useEffect(() => {
		const subjects = JSON.parse(key).map((id) => ({ role, id }));
		setRecords(new Map());
		if (!enabled || subjects.length === 0) return undefined;
		let isOver = false;
		const watch = client.watch({ subjects }, (change) => {
			setRecords((before) => new Map(before).set(change.id, change.record));
			if (change.status !== change.before) latest.current?.(change);
		});
		// From then on, whoever has no record is offline and no longer unknown.
		watch.ready.then(() => isOver || setRecords((before) => new Map(before)));
		return () => {
			isOver = true;
			watch.close();
		};
	}, [client, role, key, enabled]);
	const statusOf = (id) => records.get(id)?.status ?? client.lookup(nameOf(role, id)).status;
	return {
		records,
		statusOf,
		isOnline: (id) => !['offline', 'unknown'].includes(statusOf(id)),
	};
}
