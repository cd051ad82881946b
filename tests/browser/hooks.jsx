// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
// A parent who looks after children, with the hooks. #broker=..&id=..&ids=a,b
import { StrictMode, useState } from 'react';
import { createRoot } from 'react-dom/client';
import { createClient } from 'mosquitto-presence';
import { usePresence, useWatchedPresence } from 'mosquitto-presence/react';

const given = new URLSearchParams(location.hash.slice(1));
const client = createClient(given.get('broker'), { role: 'user', id: given.get('id') });
window.changes = [];

function Family() {
	const { state, declared, setStatus } = usePresence(client);
	const [ids, setIds] = useState(given.get('ids').split(','));
	const { statusOf, isOnline } = useWatchedPresence({
		client,
		role: 'user',
		ids: [...ids],
		onStatusChange: ({ id, before, status }) => window.changes.push(`${id} ${before} ${status}`),
	});
	return (
		<main>
			<p id="me">{`${state} ${declared?.status ?? 'nothing'}`}</p>
			<button onClick={() => setStatus('dnd')}>quiet</button>
			<button onClick={() => setIds(ids.slice(1))}>fewer</button>
			<ul>
				{ids.map((id) => (
					<li key={id} className={isOnline(id) ? 'online' : ''}>{`${id} ${statusOf(id)}`}</li>
				))}
			</ul>
		</main>
	);
}

createRoot(document.body).render(
	<StrictMode>
		<Family />
	</StrictMode>,
);
