// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
// The types as applications meet them. Compiled, never run. What must not compile says so.
import mqtt from 'mqtt';
import { createClient, nameOf } from 'mosquitto-presence';
import type { Change, PresenceClient, PresenceError } from 'mosquitto-presence';
import { usePresence, useWatchedPresence } from 'mosquitto-presence/react';

const client: PresenceClient = createClient('wss://broker.example/mqtt', {
	role: 'agent',
	id: 'u1',
	mqtt,
	credentials: async () => ({ username: 'agent.u1', password: 'secret' }),
	reconnect: { maxMs: 60_000 },
});
createClient(mqtt.connect('mqtt://localhost'), { plugin: 'auto' });
// @ts-expect-error: no such option
createClient('ws://localhost', { colour: 'red' });

export async function use(): Promise<string> {
	await client.setStatus('dnd', { note: 'in a call' });
	// @ts-expect-error: no such status
	await client.setStatus('busy');
	const { scope } = await client.setOverride('invisible', { ttlMs: 60_000 });
	const watch = client.watch({ subjects: ['agent/u2', { role: 'agent', id: 'a/b' }] }, (change: Change) => {
		const { status, before, record } = change;
		if (before === null || record.until > 0) console.log(status, record.note.length);
	});
	client.watch({ roles: '*' }, () => {});
	await watch.ready;
	watch.close();
	const off = client.on('error', (error: PresenceError) => console.log(error.code === 'refused'));
	off();
	const { status, sureAt } = client.lookup(nameOf('agent', 'u2'));
	await client.close();
	return `${scope} ${status} ${sureAt.toFixed()}`;
}

export function Component(): string {
	const { state, declared } = usePresence(client);
	const { isOnline, statusOf } = useWatchedPresence({ client, ids: ['u1', 'u2'], onStatusChange: ({ id }) => id });
	return `${state} ${declared?.status} ${isOnline('u1')} ${statusOf('u2') === 'unknown'}`;
}
