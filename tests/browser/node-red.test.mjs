// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
// The flow for Node-RED: its wires lead somewhere, and its function says what a real broker's records
// mean. Node-RED itself is too much to fetch for that.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { createWorld, poll, root } from './harness.mjs';
import { connect } from './panel.mjs';

const flow = JSON.parse(readFileSync(path.join(root, 'examples/node-red/flow.json'), 'utf8'));
const one = (type) => flow.find((node) => node.type === type);

test('every wire leads to a node', () => {
	const ids = new Set(flow.map(({ id }) => id));
	assert.equal(ids.size, flow.length);
	for (const { wires = [], z, broker, type } of flow) {
		for (const id of wires.flat()) assert.ok(ids.has(id), id);
		if (z) assert.equal(z, one('tab').id);
		if (type === 'mqtt in') assert.equal(broker, one('mqtt-broker').id);
	}
});

test('it says who comes, changes and goes, once each', async () => {
	const world = await createWorld();
	try {
		const broker = await world.broker();
		const early = await connect(world, broker, { clientId: 'agent:early/bird:d' });
		const known = new Map();
		const context = { get: (key) => known.get(key), set: (key, value) => known.set(key, value) };
		const run = new Function('msg', 'context', one('function').func);
		const said = [];
		const watcher = await connect(world, broker, { clientId: 'mqttjs_flow' });
		watcher.on('message', (topic, payload, { retain }) => {
			const msg = run({ topic, payload: payload.toString(), retain }, context);
			if (msg) said.push(msg.payload);
		});
		await poll(async () => {
			await watcher.subscribeAsync(one('mqtt in').topic);
			return known.size > 0;
		}, 'the record of who was there');
		assert.deepEqual(said, [], 'how things stand is no news');
		const ada = await connect(world, broker, { clientId: 'agent:ada:d' });
		const say = (command) => ada.publishAsync('$CONTROL/presence/v1', JSON.stringify({ commands: [command] }));
		await say({ command: 'setStatus', status: 'dnd', note: 'in a call' });
		await connect(world, broker, { clientId: 'agent:ada:phone' }); // a device more is no news here
		await say({ command: 'setStatus', status: 'away' });
		await poll(() => said.length >= 3, () => `three in ${said}`);
		await early.endAsync();
		await poll(() => said.includes('agent/early/bird is offline'), () => `offline in ${said}`);
		assert.deepEqual(said.slice(0, 2), ['agent/ada is online', 'agent/ada is dnd: in a call']);
		assert.equal(known.get('presence/agent/ada'), 'online');
		for (const payload of ['offline', '{', 'null', '{"status":"offline"}', '{"v":2,"status":"offline"}'])
			assert.equal(run({ topic: 'presence/agent/ada', payload, retain: false }, context), null, payload);
		assert.equal(known.get('presence/agent/ada'), 'online', 'what is no record says nothing');
		run({ topic: 'presence/agent/ada', payload: '', retain: false }, context);
		assert.equal(known.get('presence/agent/ada'), 'offline', 'forgotten');
	} finally {
		await world.close();
	}
});
