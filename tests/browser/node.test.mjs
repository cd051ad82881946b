// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
// The JavaScript library in Node, over WebSocket, against a real broker.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import net from 'node:net';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { createRequire } from 'node:module';
import { createClient } from '../../client-sdk/js/index.js';
import { createWorld, poll, root } from './harness.mjs';

const mqtt = createRequire(path.join(root, 'client-sdk/js/index.js'))('mqtt');
const QUICK = { reconnect: { firstMs: 100, maxMs: 400 } };
const HARD = { code: 'refused' };

let world;
let broker;
const clients = new Set();

before(async () => {
	world = await createWorld();
	// Long enough for whoever is to be back in time on a busy machine.
	broker = await world.broker({ options: { grace: '20s' } });
});
after(async () => {
	await Promise.all([...clients].map((one) => one.close()));
	await world.close();
});

function client(options = {}, target = broker.url) {
	const made = createClient(target, { ...QUICK, ...options });
	clients.add(made);
	made.errors = [];
	made.on('error', (error) => made.errors.push(error));
	return made;
}

/** Everything a watcher is told of one subject, and its last status. */
function watching(id, options = {}) {
	const watcher = client(options, options.target);
	const told = [];
	const watch = watcher.watch({ subjects: [{ role: 'agent', id }] }, (change) => told.push(change));
	return {
		told,
		watcher,
		ready: watch.ready,
		close: watch.close,
		last: () => told.at(-1)?.record,
		until: (status, more = {}) =>
			poll(
				() => {
					const record = told.at(-1)?.record;
					const fits = Object.entries({ status, ...more }).every(([key, value]) => record?.[key] === value);
					return fits && record;
				},
				() => `${id} ${status} ${JSON.stringify(more)}; told: ${JSON.stringify(told.map((one) => one.record))}`,
			),
	};
}

test('from connecting to leaving', async () => {
	const id = world.name();
	const seen = watching(id);
	await seen.ready;
	assert.equal(seen.watcher.lookup(`agent/${id}`).status, 'offline');
	const agent = client({ role: 'agent', id });
	const record = await seen.until('online');
	assert.equal(record.reason, 'connect');
	await agent.setStatus('dnd', { note: 'in a call' });
	assert.equal((await seen.until('dnd', { note: 'in a call' })).source, 'app');
	await agent.note('in a long call');
	await seen.until('dnd', { note: 'in a long call' });
	await agent.clearStatus();
	await seen.until('online', { source: 'inferred', note: '' });
	const { status, sureAt } = seen.watcher.lookup({ role: 'agent', id });
	assert.equal(status, 'online');
	assert.ok(Math.abs(Date.now() - sureAt) < 30_000, `sure at ${sureAt}`);
	await agent.leave();
	await seen.until('offline', { reason: 'leave' });
	await agent.setStatus('away');
	await seen.until('away');
	await agent.close();
	await seen.until('offline', { reason: 'leave', devices: 0 });
	assert.equal(agent.state, 'closed');
	await assert.rejects(agent.setStatus('online'), { code: 'closed' });
});

test('what was wanted before the connection is there', async () => {
	const id = world.name();
	const seen = watching(id);
	const agent = client({ role: 'agent', id });
	await agent.setStatus('away', { note: 'first' });
	await seen.until('away', { note: 'first' });
	assert.deepEqual(agent.declared, { status: 'away', note: 'first' });
});

test('ids with anything in them', async () => {
	for (const id of [world.name('a/b+#% {}'), world.name('李雷'), world.name('Zoë ')]) {
		const seen = watching(id);
		client({ role: 'agent', id });
		assert.equal((await seen.until('online')).id, id);
	}
	assert.throws(() => createClient(broker.url, { role: 'agent', id: 'a:b' }), TypeError);
	assert.throws(() => createClient(broker.url, { role: 'agent' }), TypeError);
});

test('two devices of one', async () => {
	const id = world.name();
	const seen = watching(id);
	const one = client({ role: 'agent', id });
	const two = client({ role: 'agent', id });
	await seen.until('online', { devices: 2 });
	await one.setStatus('dnd');
	await seen.until('dnd', { devices: 2 });
	await one.close();
	await seen.until('online', { devices: 1 });
	await two.close();
	await seen.until('offline');
});

test('overrides, and what the broker refuses', async () => {
	const id = world.name();
	const seen = watching(id);
	const agent = client({ role: 'agent', id });
	await seen.until('online');
	await agent.setOverride('dnd', { note: 'on stage', ttlMs: 3_600_000 });
	const record = await seen.until('dnd', { source: 'manual' });
	assert.ok(Math.abs(record.until - Date.now() - 3_600_000) < 60_000);
	await agent.clearOverride();
	await seen.until('online', { source: 'inferred' });
	await assert.rejects(agent.setOverride('dnd', { subject: 'agent/other' }), HARD);
	await assert.rejects(agent.command('getStats'), HARD);
	await assert.rejects(agent.setOverride('offline'), TypeError);
	const { subjects } = await agent.command('getPresence', { subjects: [`agent/${id}`, 'agent/nobody'] });
	assert.deepEqual(subjects.map((one) => one.status), ['online', 'offline']);
});

test('typing', async () => {
	const [id, conversation] = [world.name(), world.name('room/')];
	const agent = client({ role: 'agent', id });
	const other = client();
	const told = [];
	other.watchTyping(conversation, (typing) => told.push(typing));
	const seen = watching(id);
	await seen.until('online');
	await seen.watcher.watch({ subjects: ['agent/fence'] }, () => {}).ready;
	await poll(() => other.state === 'online', 'the other is connected');
	await other.watch({ subjects: ['agent/fence'] }, () => {}).ready; // behind its subscription
	await Promise.all([agent.typing(conversation), agent.typing(conversation), agent.typing(conversation)]);
	await poll(() => told.length, 'typing is told');
	assert.deepEqual(told[0], { conversation, role: 'agent', id, subject: `agent/${id}`, kind: 'typing', active: true });
	await agent.typing(conversation, { active: false });
	await poll(() => told.at(-1).active === false, 'its end is told');
	assert.equal(told.length, 2);
});

test('a heartbeat that stops, and goes on', async () => {
	const id = world.name();
	const seen = watching(id);
	const agent = client({ role: 'agent', id });
	await seen.until('online');
	await agent.heartbeat({ intervalMs: 1000 });
	await seen.until('offline', { reason: 'heartbeat' });
	await agent.heartbeat({ intervalMs: 3600_000 });
	await seen.until('online', { reason: 'heartbeat' });
});

test('the network breaks: nobody is told, and what was declared stands', async () => {
	const id = world.name();
	const proxy = await world.proxy(broker.wsPort);
	const seen = watching(id);
	const agent = client({ role: 'agent', id }, proxy.url);
	await agent.setStatus('dnd', { note: 'n' });
	await seen.until('dnd');
	const mark = seen.told.length;
	for (let i = 0; i < 3; i++) {
		const lost = new Promise((resolve) => agent.on('state', (state) => state === 'lost' && resolve()));
		proxy.drop();
		await lost;
		await poll(() => agent.state === 'online', 'it is back');
	}
	await agent.setStatus('away');
	await seen.until('away');
	assert.deepEqual(seen.told.slice(mark).map((one) => one.status), ['away']);
});

test('silence is noticed, and the watcher catches up', async () => {
	const id = world.name();
	const proxy = await world.proxy(broker.wsPort);
	const seen = watching(id, { target: proxy.url, keepaliveMs: 1000 });
	await seen.ready;
	const agent = client({ role: 'agent', id });
	await seen.until('online');
	proxy.hold();
	const before = seen.watcher.lookup(`agent/${id}`);
	await agent.setStatus('dnd');
	await poll(() => seen.watcher.state === 'lost', 'the silence is noticed');
	const { status, sureAt } = seen.watcher.lookup(`agent/${id}`);
	assert.equal(status, 'online');
	assert.ok(sureAt >= before.sureAt && sureAt < Date.now());
	proxy.drop();
	proxy.go();
	await seen.until('dnd');
	await poll(() => seen.watcher.lookup(`agent/${id}`).sureAt > sureAt, 'it is sure again');
});

test('roles: everybody of one, and those who come later', async () => {
	const [first, second] = [world.name(), world.name()];
	await client({ role: 'user', id: first }).setStatus('away');
	const watcher = client();
	const [all, later] = [new Map(), []];
	await watcher.watch({ roles: ['user'] }, ({ id, status }) => all.set(id, status)).ready;
	assert.equal(all.get(first), 'away');
	client({ role: 'user', id: second });
	await poll(() => all.get(second) === 'online', 'the second is seen');
	// Whoever watches what is known already is told at once.
	const watch = watcher.watch({ roles: ['user'] }, ({ id }) => later.push(id));
	assert.deepEqual(later.sort(), [first, second].sort());
	await watch.ready;
	assert.equal(watcher.lookup(`agent/${first}`).status, 'unknown');
	watch.close();
	watch.close();
});

test('a client of the application', async () => {
	const id = world.name();
	const seen = watching(id);
	const own = mqtt.connect(broker.url, { clientId: `agent:${id}:own`, reconnectPeriod: 50 });
	const messages = [];
	own.on('message', (topic) => messages.push(topic));
	own.subscribe('other');
	const agent = client({ role: 'agent', id }, own);
	await agent.setStatus('away');
	await seen.until('away');
	const known = [];
	await agent.watch({ subjects: [`agent/${id}`] }, ({ status }) => known.push(status)).ready;
	assert.deepEqual(known, ['away']);
	own.stream.destroy();
	await poll(() => agent.state === 'lost', 'it is lost');
	await agent.setStatus('dnd');
	await seen.until('dnd');
	await agent.close();
	assert.equal(own.connected, true);
	own.publish('other', 'x');
	await poll(() => messages.includes('other'), 'the connection still serves');
	await new Promise((resolve) => own.end(true, resolve));
	await seen.until('offline');
});

test('wrong passwords reach the application', async () => {
	const folder = world.newFolder('passwords');
	writeFileSync(`${folder}/users`, '', { mode: 0o600 });
	const made = spawnSync('mosquitto_passwd', ['-b', `${folder}/users`, 'agent.u1', 'right']);
	assert.equal(made.status, 0, String(made.stderr));
	const strict = await world.broker({
		options: { auth_mode: 'defer', identity: ['username {role}.{id}'] },
		lines: [`password_file ${folder}/users`],
	});
	const passwords = ['wrong', 'right'];
	const agent = client(
		{
			role: 'agent',
			id: 'u1',
			credentials: async () => ({ username: 'agent.u1', password: passwords.shift() ?? 'right' }),
		},
		strict.url,
	);
	const seen = watching('u1', { target: strict.url, credentials: () => ({ username: 'agent.u1', password: 'right' }) });
	await poll(() => agent.errors.length, 'the error is told');
	assert.match(agent.errors[0].message, /not author/i);
	// The next attempt asks for credentials again.
	await agent.setStatus('dnd');
	await seen.until('dnd');
	await strict.stop();
});

test('the broker restarts', async () => {
	const own = await world.broker({ options: { state_file: `${world.newFolder('state')}/presence.db` } });
	const id = world.name();
	const seen = watching(id, { target: own.url });
	const agent = client({ role: 'agent', id }, own.url);
	await agent.setStatus('dnd', { note: 'n' });
	await seen.until('dnd');
	await own.stop();
	await poll(() => agent.state === 'lost' && seen.watcher.state === 'lost', 'both are lost');
	const mark = seen.told.length;
	await own.start();
	await agent.setStatus('away');
	await seen.until('away');
	assert.deepEqual(seen.told.slice(mark).filter((one) => one.status === 'offline'), []);
	await agent.close();
	await seen.watcher.close();
	await own.stop();
});

/** They come and go, without a client library: many, and quickly. */
async function passBy(port, ids) {
	const packet = (id) => {
		const name = Buffer.from(`agent:${id}:x`);
		const head = [0, 4, 77, 81, 84, 84, 4, 2, 0, 60, 0, name.length];
		return Buffer.concat([Buffer.from([0x10, head.length + name.length, ...head]), name]);
	};
	const one = (id) =>
		new Promise((resolve, reject) => {
			const socket = net.connect({ port, host: '127.0.0.1' }, () => socket.write(packet(id)));
			socket.once('data', () => socket.end(Buffer.from([0xe0, 0]))); // CONNACK
			socket.once('error', reject);
			socket.once('close', resolve);
		});
	for (let at = 0; at < ids.length; at += 50) await Promise.all(ids.slice(at, at + 50).map(one));
}

test('Mosquitto 2.0 cuts what is retained: nobody is taken for gone', async (t) => {
	const own = await world.broker({ options: { grace: '0' } });
	if (!/version 2\.0/.test(own.log())) return t.skip('it does not');
	const proxy = await world.proxy(own.wsPort);
	const ids = Array.from({ length: 1200 }, (_, i) => `p${i}`);
	const told = [];
	const first = client({}, proxy.url);
	await first.watch({ roles: ['agent'] }, (change) => told.push(change)).ready;
	const seen = () => new Set(told.map(({ id }) => id)).size;
	await passBy(own.port, ids);
	await poll(() => seen() === ids.length && ids.every((id) => first.lookup(`agent/${id}`).status === 'offline'), 'everybody is seen', 60);
	// Who comes now is told 1000 of them, and does not know of the others.
	const digest = await mqtt.connectAsync(own.url);
	let count = 0;
	digest.on('message', (_, payload) => (count = JSON.parse(payload).count));
	await digest.subscribeAsync('$SYS/broker/presence/digest/agent');
	await poll(() => count === ids.length, 'a digest of them all', 30);
	await digest.endAsync();
	const late = client({}, own.url);
	const lateTold = [];
	await late.watch({ roles: ['agent'] }, (change) => lateTold.push(change)).ready;
	const unknown = ids.filter((id) => late.lookup(`agent/${id}`).status === 'unknown');
	assert.equal(lateTold.length + unknown.length, ids.length);
	assert.ok(unknown.length >= 100, `${lateTold.length} came: nothing was cut, and this shows nothing`);
	await late.watch({ subjects: unknown.map((id) => `agent/${id}`) }, () => {}).ready;
	assert.ok(ids.every((id) => late.lookup(`agent/${id}`).status === 'offline'), 'by themselves they come');
	// Who was there before is cut off, too: all stay; and as nothing had changed, they are sure.
	told.length = 0;
	const before = Date.now();
	proxy.drop();
	await poll(() => first.state === 'lost', 'it is lost');
	await poll(() => first.state === 'online' && ids.every((id) => first.lookup(`agent/${id}`).sureAt > before), 'sure again', 30);
	assert.deepEqual(told, []);
	// Something changes meanwhile, which does not come, perhaps: it is not said to be sure.
	proxy.refuse(true);
	proxy.drop();
	await poll(() => first.state === 'lost', 'it is lost again');
	const lost = Date.now();
	const back = client({ role: 'agent', id: unknown[0], device: 'x' }, own.url);
	await poll(() => back.state === 'online', 'somebody is back');
	proxy.refuse(false);
	await poll(() => ids.filter((id) => first.lookup(`agent/${id}`).sureAt > lost).length >= 900, 'a snapshot', 30);
	const { status, sureAt } = first.lookup(`agent/${unknown[0]}`);
	assert.ok(status === 'online' || sureAt <= lost, `${status}, sure ${sureAt - lost} ms after it was lost`);
	assert.deepEqual(told.filter((one) => one.forgotten), []);
});

test('single subjects of a cut snapshot are asked about', async () => {
	const own = await world.broker({ options: { grace: '0' }, lines: ['max_queued_messages 5'] });
	const ids = Array.from({ length: 60 }, (_, i) => `p${i}`);
	await passBy(own.port, ids);
	const watcher = client({}, own.url);
	const subjects = [...ids, 'stranger'].map((id) => `agent/${id}`);
	const told = [];
	await watcher.watch({ subjects }, ({ id }) => told.push(id)).ready;
	assert.deepEqual(new Set(told), new Set(ids));
	assert.equal(told.length, ids.length);
	assert.deepEqual(subjects.map((one) => watcher.lookup(one).status), subjects.map(() => 'offline'));
	assert.ok(watcher.lookup('agent/stranger').sureAt > 0);
});

test('a broker without the plugin: a birth and a will', async () => {
	const bare = await world.broker({ plugin: false });
	const proxy = await world.proxy(bare.wsPort);
	const id = world.name();
	const seen = watching(id, { target: bare.url, detectMs: 300 });
	const agent = client({ role: 'agent', id, detectMs: 300, keepaliveMs: 1000 }, proxy.url);
	await seen.until('online');
	assert.equal(agent.isPlain, true);
	await agent.setStatus('dnd', { note: 'in a call' });
	await seen.until('dnd', { note: 'in a call' });
	await assert.rejects(agent.setOverride('dnd'), { code: 'plain' });
	proxy.refuse(true);
	proxy.drop();
	await seen.until('offline');
	proxy.refuse(false);
	await seen.until('dnd', { note: 'in a call' });
	await agent.close();
	await seen.until('offline');
	await seen.watcher.close();
	await bare.stop();
});
