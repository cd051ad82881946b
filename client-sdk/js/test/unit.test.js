// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
// Parts by themselves, with a clock and a page that tests move by hand.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { createRequire } from 'node:module';
import { EventEmitter, once } from 'node:events';
import test from 'node:test';
import { Backoff } from '../src/backoff.js';
import { createClient } from '../src/client.js';
import { Declaration } from '../src/declaration.js';
import { claimDevice } from '../src/device.js';
import { disconnectPacket, publishPacket } from '../src/packets.js';
import { watchPage } from '../src/page.js';
import { Watches } from '../src/watches.js';
import { COMMANDS, RESPONSES, digestHash, digestText } from '../src/wire.js';

const poll = async (question) => {
	for (const end = Date.now() + 20_000; !question() && Date.now() < end; ) await new Promise((done) => setTimeout(done, 20));
};
const settle = () => new Promise((resolve) => setImmediate(resolve));

/** Timers that run when they are told to. */
function fakeTimers() {
	const due = new Map();
	let [next, now] = [1, 0];
	const timers = {
		set: (act, ms) => (due.set(next, { act, at: now + ms }), next++),
		clear: (id) => due.delete(id),
		get count() {
			return due.size;
		},
		async pass(ms) {
			now += ms;
			for (const [id, { act, at }] of [...due])
				if (at <= now && due.delete(id)) act();
			await settle();
		},
	};
	return timers;
}

test('backoff: the first try is spread too, then twice as far, up to a limit', () => {
	const random = [0, 0.999999, 0.5];
	let at = 0;
	const backoff = new Backoff({ firstMs: 1000, maxMs: 5000 }, () => random[at++ % 3]);
	assert.deepEqual([backoff.nextMs(), backoff.nextMs(), backoff.nextMs()], [0, 1999, 2000]);
	at = 1;
	for (let i = 0; i < 5000; i++, at = 1) assert.equal(backoff.nextMs(), 4999);
	backoff.reset();
	assert.equal(backoff.nextMs(), 999);
});

test('the packets of a farewell are what mqtt-packet would write', () => {
	const { generate } = createRequire(createRequire(import.meta.url).resolve('mqtt'))('mqtt-packet');
	for (const version of [4, 5])
		for (const payload of ['', 'offline', 'x'.repeat(200), 'Zoë'.repeat(6000)])
			for (const retain of [false, true]) {
				const topic = 'presence/agent/Zoë';
				const packet = { cmd: 'publish', topic, payload, retain, qos: 0, dup: false };
				const expect = generate(packet, { protocolVersion: version });
				assert.deepEqual(Buffer.from(publishPacket(packet, version)), expect);
			}
	assert.deepEqual(Buffer.from(disconnectPacket()), generate({ cmd: 'disconnect' }, { protocolVersion: 4 }));
});

test('a declaration: the last word wins, one at a time', async () => {
	const sent = [];
	const declaration = new Declaration(
		(name, given) => new Promise((resolve, reject) => sent.push({ name, given, resolve, reject })),
		() => assert.fail('nobody was refused'),
	);
	const words = () => sent.map(({ name, given }) => given.status ?? name);
	const first = declaration.setStatus('dnd', '');
	await settle();
	assert.deepEqual(words(), []); // there is no connection
	declaration.up();
	const second = declaration.setStatus('away', '');
	const third = declaration.setStatus('online', '');
	await settle();
	assert.deepEqual(words(), ['dnd']);
	sent[0].resolve();
	await first;
	await settle();
	assert.deepEqual(words(), ['dnd', 'online']);
	sent[1].resolve();
	await Promise.all([second, third]);
	// Lost on the way: said again on the next connection.
	const fourth = declaration.clearStatus();
	await settle();
	sent[2].reject(Object.assign(new Error(), { code: 'lost' }));
	declaration.down();
	await settle();
	declaration.up();
	await settle();
	assert.deepEqual(words().slice(2), ['clearStatus', 'clearStatus']);
	sent[3].resolve();
	await fourth;
	// Refused: that is the answer, and not said again.
	const fifth = declaration.setStatus('dnd', '');
	sent[4].reject(Object.assign(new Error('no'), { code: 'refused' }));
	await assert.rejects(fifth, /no/);
	await settle();
	assert.equal(sent.length, 5);
});

test('away is guessed; what was said outweighs it', () => {
	const declaration = new Declaration(() => new Promise(() => {}), () => {});
	const target = () => declaration.target && `${declaration.target.status} ${declaration.target.note}`;
	assert.equal(target(), null);
	declaration.setAway(true);
	assert.equal(target(), 'away ');
	declaration.setStatus('online', 'n');
	assert.equal(target(), 'away n');
	declaration.setStatus('dnd', 'n');
	assert.equal(target(), 'dnd n');
	declaration.setNote('m');
	assert.equal(target(), 'dnd m');
	declaration.leave();
	assert.equal(target(), 'offline ');
	assert.equal(declaration.isDown, true);
	declaration.clearStatus();
	assert.equal(target(), 'away ');
	declaration.setAway(false);
	assert.equal(target(), null);
});

test('a page: hidden, idle, back, gone', async () => {
	const timers = fakeTimers();
	const page = Object.assign(new EventTarget(), {
		document: Object.assign(new EventTarget(), { visibilityState: 'visible' }),
	});
	const told = [];
	const names = ['away', 'leaving', 'back', 'network', 'doubt'];
	const watched = watchPage({
		hiddenMs: 60_000,
		idleMs: 300_000,
		timers,
		page,
		told: Object.fromEntries(names.map((name) => [name, (...values) => told.push([name, ...values].join(' '))])),
	});
	const show = (state) => {
		page.document.visibilityState = state;
		page.document.dispatchEvent(new Event('visibilitychange'));
	};
	const expect = (...words) => assert.deepEqual(told.splice(0), words);
	await timers.pass(299_999);
	expect();
	await timers.pass(1);
	expect('away true');
	page.dispatchEvent(new Event('keydown'));
	expect('away false');
	show('hidden');
	page.dispatchEvent(new Event('pointermove')); // over a window that nobody sees
	await timers.pass(59_999);
	expect();
	await timers.pass(1);
	expect('away true');
	show('visible');
	expect('away false', 'doubt');
	page.dispatchEvent(new Event('offline'));
	page.dispatchEvent(new Event('online'));
	page.dispatchEvent(new Event('pagehide'));
	page.dispatchEvent(new Event('pageshow'));
	page.dispatchEvent(Object.assign(new Event('pageshow'), { persisted: true }));
	page.document.dispatchEvent(new Event('resume'));
	expect('network false', 'network true', 'leaving', 'back', 'doubt');
	watched.close();
	page.dispatchEvent(new Event('pagehide'));
	expect();
	assert.equal(timers.count, 0);
});

test('devices: kept by a reload, not shared with a duplicate', async (t) => {
	const claims = [];
	t.after(() => claims.forEach((one) => one.close()));
	const claim = (key, page) => {
		claims.push(claimDevice(key, { set: setTimeout, clear: clearTimeout }, page));
		return claims.at(-1);
	};
	const held = new Map();
	let slowMs = 0;
	const locks = {
		request(name, { signal }, act) {
			return new Promise((resolve, reject) => {
				const take = () => !signal.aborted && held.set(name, true) && act().then(() => resolve(held.delete(name)));
				// A busy browser takes longer than anybody should wait for a name that is taken.
				if (!held.has(name)) return slowMs ? setTimeout(take, slowMs) : take();
				signal.addEventListener('abort', () => reject(signal.reason));
			});
		},
	};
	const tab = (items = {}) => ({
		items,
		navigator: { locks },
		sessionStorage: { getItem: (key) => items[key] ?? null, setItem: (key, value) => (items[key] = value) },
	});
	const first = tab();
	const one = claim('agent:u1', first);
	const name = await one.name;
	assert.match(name, /^[0-9a-f]{12}$/);
	const copy = claim('agent:u1', tab({ ...first.items }));
	assert.notEqual(await copy.name, name);
	one.close();
	await settle();
	assert.equal(await claim('agent:u1', first).name, name);
	assert.notEqual(await claim('agent:u2', first).name, name);
	slowMs = 500;
	const slow = tab();
	const patient = await claim('agent:u5', slow).name;
	await poll(() => held.size > 0 && [...held.keys()].some((key) => key.endsWith(patient)));
	slowMs = 0;
	assert.notEqual(await claim('agent:u5', tab({ ...slow.items })).name, patient);
	// Without locks; of two at once, one gets it.
	const [open, again] = [tab(), tab()];
	for (const one of [open, again]) Object.assign(one, { navigator: {}, BroadcastChannel });
	const holder = claim('agent:u3', open);
	Object.assign(again.items, { 'presence-device:agent:u3': await holder.name });
	const loser = claim('agent:u3', again);
	assert.notEqual(await loser.name, await holder.name);
	const twins = ['x', 'y'].map(() => ({ ...tab({ 'presence-device:agent:u4': 'twin' }), navigator: {}, BroadcastChannel }));
	const both = twins.map((one) => claim('agent:u4', one));
	const names = await Promise.all(both.map((one) => one.name));
	assert.equal(names.filter((one) => one === 'twin').length, 1);
	// Where nothing may be stored, each page is a device.
	const forbidden = { get sessionStorage() { throw new Error('SecurityError'); } };
	assert.match(await claim('agent:u1', forbidden).name, /^[0-9a-f]{12}$/);
});

/** A broker as Watches sees it. */
function fakeConnection() {
	const asked = [];
	const connection = {
		asked,
		isUp: true,
		heardAt: 1000,
		bring() {}, // what is retained
		subscribe: (filters) => (asked.push(filters), connection.bring(filters[0]), Promise.resolve([])),
		unsubscribe() {},
	};
	return connection;
}

const record = (id, rev, status = 'online') =>
	JSON.stringify({ v: 1, role: 'agent', id, status, devices: 1, rev });

test('a digest that disagrees once, and then nothing: compared again, a snapshot is asked for', async () => {
	const [connection, timers, told] = [fakeConnection(), fakeTimers(), []];
	const watches = new Watches(connection, timers, 'presence', assert.fail);
	const { ready } = watches.add({ roles: ['agent'] }, ({ id, status }) => told.push(`${id} ${status}`));
	await ready;
	watches.message('presence/agent/u1', record('u1', 5), true);
	assert.deepEqual(connection.asked.splice(0), [['presence/agent/+'], ['$SYS/broker/presence/digest/agent'], [RESPONSES]]);
	const [a, b] = [digestHash('presence/agent/u1', 5), digestHash('presence/agent/u2', 6)];
	const digest = JSON.stringify({ count: 2, xor: digestText(a[0] ^ b[0], a[1] ^ b[1]), rev: 6 });
	watches.message('$SYS/broker/presence/digest/agent', digest, false);
	await timers.pass(14_999);
	assert.deepEqual(connection.asked, []);
	await timers.pass(1);
	assert.deepEqual(connection.asked[0], ['presence/agent/+']);
	assert.equal(watches.lookup('agent/u1').status, 'online'); // the snapshot came without it, and with too little
	// Still the same disagreement: perhaps we may not read everything. It is asked ever more seldom.
	connection.asked.length = 0;
	for (let i = 0; i < 10; i++) watches.message('$SYS/broker/presence/digest/agent', digest, false);
	await settle();
	assert.deepEqual(connection.asked, []);
});

test('subscriptions that overlap in time: nobody is taken for gone', async () => {
	const answers = [];
	const subscribe = () => new Promise((resolve) => answers.push(() => resolve([])));
	const connection = { ...fakeConnection(), subscribe };
	const watches = new Watches(connection, fakeTimers(), 'presence', assert.fail);
	const told = [];
	const answer = async () => {
		answers.shift()();
		await settle();
	};
	const retained = () =>
		['u1', 'u2'].forEach((id, i) => watches.message(`presence/agent/${id}`, record(id, i + 1), true));
	watches.add({ roles: ['agent'] }, ({ id, status }) => told.push(`${id} ${status}`));
	await settle();
	retained();
	await answer(); // to the first; what stands behind it is asked for
	watches.refresh(); // all of it again, before that came
	await settle();
	await answer(); // the digest of the first
	assert.deepEqual(told, ['u1 online', 'u2 online']);
	retained();
	await answer(); // to the second
	await answer(); // the first is complete, and over
	watches.add({ subjects: ['agent/u1'] }, () => {}); // a third, for some of it
	await settle();
	await answer(); // the digest of the second
	await answer(); // to the third
	await answer(); // the second is complete, while u1 is still to come for the third
	assert.deepEqual(told, ['u1 online', 'u2 online']);
	watches.refresh(); // a fourth, for all of it
	await settle();
	await answer(); // the third is complete, and over
	assert.deepEqual(told, ['u1 online', 'u2 online']);
	retained();
	for (let i = 0; i < 3; i++) await answer();
	assert.equal(answers.length, 0);
	assert.deepEqual(told, ['u1 online', 'u2 online']);
	assert.equal(watches.lookup('agent/u2').status, 'online');
});

const digestOf = (rev, ...known) => {
	const [high, low] = known
		.map(([id, its]) => digestHash(`presence/agent/${id}`, its))
		.reduce(([a, b], [c, d]) => [a ^ c, b ^ d], [0, 0]);
	return JSON.stringify({ count: known.length, xor: digestText(high, low), rev });
};
const DIGEST = '$SYS/broker/presence/digest/agent';

test('a snapshot that was cut: who did not come stays, and is not sure', async () => {
	const [connection, timers, told] = [fakeConnection(), fakeTimers(), []];
	const watches = new Watches(connection, timers, 'presence', assert.fail);
	const say = ({ id, status, forgotten }) => told.push(`${id} ${forgotten ? 'forgotten' : status}`);
	const { ready } = watches.add({ roles: ['agent'] }, say);
	const bring = (known, digest) => {
		connection.bring = (filter) => {
			if (filter === DIGEST) watches.message(DIGEST, digest, true);
			else if (filter !== RESPONSES)
				for (const [id, rev, status] of known) watches.message(`presence/agent/${id}`, record(id, rev, status), true);
		};
	};
	bring([['u1', 1], ['u2', 2], ['u3', 3]], digestOf(3, ['u1', 1], ['u2', 2], ['u3', 3]));
	await ready;
	assert.deepEqual(told.splice(0), ['u1 online', 'u2 online', 'u3 online']);
	connection.heardAt = 2000;
	watches.down();
	connection.heardAt = 5000;
	bring([['u1', 11, 'away']], digestOf(11, ['u1', 11], ['u2', 9], ['u4', 10]));
	watches.up();
	await settle();
	connection.heardAt = 6000;
	assert.deepEqual(told.splice(0), ['u1 away']);
	const ask = (id) => Object.values(watches.lookup(`agent/${id}`)).slice(0, 2);
	assert.deepEqual(ask('u1'), ['away', 5000]); // when it came
	assert.deepEqual(ask('u2'), ['online', 2000]);
	assert.deepEqual(ask('u5'), ['offline', 5000 - 4000]); // when the digest last agreed
	// What is missing comes: then who is not in the digest is forgotten.
	watches.message('presence/agent/u2', record('u2', 9, 'dnd'), false);
	watches.message('presence/agent/u4', record('u4', 10), false);
	watches.message(DIGEST, digestOf(11, ['u1', 11], ['u2', 9], ['u4', 10]), false);
	assert.deepEqual(told.splice(0), ['u2 dnd', 'u4 online', 'u3 forgotten']);
	assert.deepEqual(ask('u2'), ['dnd', 6000]);
	assert.deepEqual(ask('u3'), ['offline', 6000]);
	// Cut again, but nothing had changed: the digest of what is known agrees.
	watches.down();
	watches.up();
	await settle();
	connection.heardAt = 7000;
	assert.deepEqual([told.splice(0), ask('u2'), ask('u5')], [[], ['dnd', 7000], ['offline', 7000]]);
});

test('a digest of the connection before confirms nobody', async () => {
	for (const isCut of [false, true]) {
		const [connection, timers, told] = [fakeConnection(), fakeTimers(), []];
		const watches = new Watches(connection, timers, 'presence', assert.fail);
		const { ready } = watches.add({ roles: ['agent'] }, ({ id, status, forgotten }) =>
			told.push(`${id} ${forgotten ? 'forgotten' : status}`),
		);
		connection.bring = (filter) => {
			if (filter === DIGEST) watches.message(DIGEST, digestOf(2, ['u1', 1], ['u2', 2]), true);
			else if (filter !== RESPONSES)
				['u1', 'u2'].forEach((id, i) => watches.message(`presence/agent/${id}`, record(id, i + 1), true));
		};
		await ready;
		assert.deepEqual(told.splice(0), ['u1 online', 'u2 online']);
		connection.heardAt = 2000;
		watches.down();
		const bring = connection.bring;
		connection.bring = () => {}; // the broker began anew; or left out whatever was retained
		connection.asked.length = 0;
		connection.heardAt = 5000;
		watches.up();
		await settle();
		connection.heardAt = 6000;
		await timers.pass(10_999);
		const ask = (id) => Object.values(watches.lookup(`agent/${id}`)).slice(0, 2);
		assert.deepEqual([told, ask('u1'), ask('u3')], [[], ['online', 2000], ['offline', 1000]]);
		// Then it is asked for once more: nothing but it, behind which there is an end.
		assert.equal(connection.asked.length, 3);
		if (isCut) connection.bring = (filter) => filter === DIGEST && bring(filter);
		connection.heardAt = 20_000;
		await timers.pass(1);
		assert.deepEqual(connection.asked.slice(3), [[DIGEST], [RESPONSES]]);
		assert.deepEqual(told, isCut ? [] : ['u1 forgotten', 'u2 forgotten']);
		assert.deepEqual([ask('u1'), ask('u3')], [[isCut ? 'online' : 'offline', 20_000], ['offline', 20_000]]);
		await timers.pass(3_600_000);
		assert.equal(connection.asked.length, 5);
	}
});

test('after a restart: the first digest decides, and whoever is back stays', async () => {
	const [connection, timers, told] = [fakeConnection(), fakeTimers(), []];
	const watches = new Watches(connection, timers, 'presence', assert.fail);
	const say = ({ id, status, forgotten }) => told.push(`${id} ${forgotten ? 'forgotten' : status}`);
	await watches.add({ roles: ['agent'] }, say).ready;
	const begin = () => {
		['u1', 'u2'].forEach((id, i) => watches.message(`presence/agent/${id}`, record(id, i + 1), false));
		watches.message(DIGEST, digestOf(2, ['u1', 1], ['u2', 2]), false);
		watches.down();
		watches.up();
	};
	begin();
	await settle();
	told.length = 0;
	watches.message('presence/agent/u1', record('u1', 11), false);
	watches.message(DIGEST, digestOf(11, ['u1', 11]), false);
	assert.deepEqual(told.splice(0), ['u2 forgotten']);
	// Without a digest, as where it may not be read any more, the same a little later.
	begin();
	await settle();
	told.length = 0;
	watches.message('presence/agent/u1', record('u1', 12), false);
	await timers.pass(11_000);
	assert.deepEqual(told, ['u2 forgotten']);
	// Lost again while the question was under way: the next connection has its own 11 s.
	begin();
	await settle();
	told.length = 0;
	await timers.pass(10_999);
	watches.down();
	watches.up();
	await settle();
	await timers.pass(10_999);
	assert.deepEqual(told, []);
	await timers.pass(1);
	assert.deepEqual(told, ['u1 forgotten', 'u2 forgotten']);
});

test('subscribed to again ever more seldom, while snapshots stay cut', async () => {
	const [connection, timers] = [fakeConnection(), fakeTimers()];
	const watches = new Watches(connection, timers, 'presence', assert.fail);
	await watches.add({ roles: ['agent'] }, () => {}).ready;
	let asked = 0;
	for (let minute = 0; minute < 240; minute++) {
		connection.asked.length = 0;
		watches.message(DIGEST, digestOf(minute + 1, ['u1', 1]), false);
		await timers.pass(60_000);
		asked += connection.asked.filter(([filter]) => filter === 'presence/agent/+').length;
	}
	assert.ok(asked >= 1 && asked <= 1 + Math.log2(60) + 4, `${asked} times in four hours`);
});

test('single subjects of whom nothing came: the plugin is asked, 256 at once', async () => {
	const [connection, timers, told, asked] = [fakeConnection(), fakeTimers(), [], []];
	let answer = () => Promise.reject(new Error('too many commands'));
	const question = (subjects) => (asked.push(subjects.map(({ id }) => id)), answer(subjects));
	const watches = new Watches(connection, timers, 'presence', assert.fail, question);
	const ids = Array.from({ length: 300 }, (_, i) => `u${i}`);
	const say = ({ id, status, forgotten }) => told.push(`${id} ${forgotten ? 'forgotten' : status}`);
	watches.add({ subjects: ids.map((id) => `agent/${id}`) }, say);
	connection.bring = (filter) => filter === 'presence/agent/u0' && watches.message(filter, record('u0', 1), true);
	await settle();
	const ask = (id) => watches.lookup(`agent/${id}`).status;
	assert.deepEqual([asked.length, asked[0].length, asked[0][0], ask('u0'), ask('u7')], [1, 256, 'u1', 'online', 'unknown']);
	answer = async (subjects) => ({ subjects: subjects.map(({ id }) => JSON.parse(id === 'u299' ? record(id, 5, 'dnd') : record(id, 0, 'offline'))) });
	await timers.pass(9_999);
	assert.equal(asked.length, 1);
	await timers.pass(1);
	assert.deepEqual(asked.slice(1).map((one) => one.length), [256, 43]);
	assert.deepEqual([ask('u7'), ask('u299'), told.splice(0)], ['offline', 'dnd', ['u0 online', 'u299 dnd']]);
	// Again: only who did not come is asked about, and forgotten when that is so.
	connection.bring = (filter) => filter === 'presence/agent/u0' && watches.message('presence/agent/u299', record('u299', 5, 'dnd'), true);
	watches.refresh();
	await settle();
	assert.deepEqual([asked.length, asked[3].length, told], [5, 256, ['u0 forgotten']]);
	await timers.pass(3_600_000);
	assert.equal(asked.length, 5);
});

test('single subjects are subscribed to again each minute: what was wrong or lost is mended', async () => {
	const [connection, timers, told, asked] = [fakeConnection(), fakeTimers(), [], []];
	const question = async (subjects) => (asked.push(...subjects.map(({ id }) => id)), { subjects: subjects.map(() => ({ rev: 0 })) });
	const watches = new Watches(connection, timers, 'presence', assert.fail, question);
	watches.up();
	const say = ({ id, status, forgotten }) => told.push(`${id} ${forgotten ? 'forgotten' : status}`);
	const retained = { 'presence/agent/u1': record('u1', 1), 'presence/agent/u2': record('u2', 1) };
	connection.subscribe = async (filters) => {
		connection.asked.push(filters);
		for (const one of filters) if (retained[one]) watches.message(one, retained[one], true);
		return [];
	};
	watches.add({ roles: ['user'], subjects: ['user/u1'] }, () => {});
	await watches.add({ subjects: ['agent/u1', 'agent/u2', 'agent/u3'] }, say).ready;
	assert.deepEqual([told.splice(0), asked.splice(0)], [['u1 online', 'u2 online'], ['u3']]);
	// Somebody's last will; the plugin says again how things are, which is below its rev.
	watches.message('presence/agent/u1', record('u1', 9e15, 'dnd'), false);
	watches.message('presence/agent/u1', record('u1', 2, 'away'), false);
	assert.deepEqual(told.splice(0), ['u1 dnd']);
	retained['presence/agent/u1'] = record('u1', 2, 'away');
	delete retained['presence/agent/u2']; // forgotten, and the word of it lost
	connection.asked.length = 0;
	await timers.pass(59_999);
	assert.deepEqual(connection.asked, []);
	await timers.pass(1);
	assert.deepEqual(connection.asked, [['presence/agent/u1', 'presence/agent/u2', 'presence/agent/u3'], [RESPONSES]]);
	assert.deepEqual([told.splice(0), asked], [['u1 away', 'u2 forgotten'], ['u2']]);
	assert.equal(watches.lookup('agent/u3').status, 'offline');
	retained['presence/agent/u3'] = record('u3', 3); // came, and was lost
	await timers.pass(60_000);
	assert.deepEqual([told, asked], [['u3 online'], ['u2']]);
	watches.down();
	connection.asked.length = 0;
	await timers.pass(60_000);
	assert.deepEqual(connection.asked, []);
});

test('an answer that the broker dropped is asked for again', async () => {
	const [connection, timers] = [fakeConnection(), fakeTimers()];
	const asked = [];
	const subscribe = (filters) => (asked.push(filters[0]), asked.length < 4 ? new Promise(() => {}) : Promise.resolve([]));
	const watches = new Watches({ ...connection, subscribe }, timers, 'presence', assert.fail);
	let isReady = false;
	watches.add({ roles: ['agent'] }, () => {}).ready.then(() => (isReady = true));
	await settle();
	await timers.pass(5000);
	assert.deepEqual(asked, ['presence/agent/+', DIGEST]); // what is retained is not asked for twice
	await timers.pass(5000);
	await timers.pass(9999);
	assert.deepEqual(asked.slice(2), [DIGEST]);
	await timers.pass(1);
	assert.deepEqual([asked.slice(3), isReady], [[DIGEST, RESPONSES], true]);
});

test('lookup: unknown, offline, known, and since when', async () => {
	const [connection, timers] = [fakeConnection(), fakeTimers()];
	const watches = new Watches(connection, timers, 'presence', assert.fail);
	const ask = (subject) => {
		const { status, sureAt } = watches.lookup(subject);
		return [status, sureAt];
	};
	assert.deepEqual(ask('agent/u1'), ['unknown', 0]);
	const { ready, close } = watches.add({ subjects: ['agent/u1', { role: 'agent', id: 'a/b' }] }, () => {});
	assert.deepEqual(ask('agent/u1'), ['unknown', 0]);
	await ready;
	assert.deepEqual(ask('agent/u1'), ['offline', 1000]);
	watches.message('presence/agent/u1', record('u1', 1, 'dnd'), false);
	connection.heardAt = 2000;
	assert.deepEqual(ask('agent/u1'), ['dnd', 2000]);
	assert.deepEqual(ask({ role: 'agent', id: 'a/b' }), ['offline', 2000]);
	assert.deepEqual(ask('agent/u3'), ['unknown', 0]);
	connection.isUp = false;
	watches.down();
	connection.heardAt = 3000;
	assert.deepEqual(ask('agent/u1'), ['dnd', 2000]);
	close();
	assert.deepEqual(ask('agent/u1'), ['unknown', 0]);
});

test('watchers: each hears its own, and nobody once it is closed', async () => {
	const watches = new Watches(fakeConnection(), fakeTimers(), 'presence', assert.fail);
	const told = [];
	const listen = (name) => ({ id, status, before }) => told.push([name, id, before, status].join(' '));
	const all = watches.add({ roles: '*' }, listen('all'));
	const one = watches.add({ subjects: ['agent/u1'] }, listen('one'));
	await Promise.all([all.ready, one.ready]);
	watches.message('presence/agent/u1', record('u1', 1), false);
	watches.message('presence/agent/u1', record('u1', 1), false);
	watches.message('presence/agent/u2', record('u2', 2), false);
	assert.deepEqual(told.splice(0), ['all u1  online', 'one u1  online', 'all u2  online']);
	const late = watches.add({ roles: ['agent'] }, listen('late'));
	assert.deepEqual(told.splice(0), ['late u1  online', 'late u2  online']);
	all.close();
	watches.message('presence/agent/u1', record('u1', 3, 'away'), false);
	assert.deepEqual(told.splice(0), ['one u1 online away', 'late u1 online away']);
	late.close();
	assert.throws(() => watches.add({}, () => {}), TypeError);
	assert.throws(() => watches.add({ subjects: ['u1'] }, () => {}), TypeError);
});

test('a watch that takes the place of another', async () => {
	const watches = new Watches(fakeConnection(), fakeTimers(), 'presence', assert.fail);
	const before = watches.add({ roles: ['agent'] }, () => {});
	await before.ready;
	for (const id of ['u1', 'u2']) watches.message(`presence/agent/${id}`, record(id, 1), false);
	const told = [];
	watches.add({ roles: '*' }, ({ id }) => {
		before.close();
		told.push(id);
	});
	assert.deepEqual(told, ['u1', 'u2']);
	assert.equal(watches.lookup('agent/u2').status, 'online');
});

test('what the broker does not let us read is unknown, not offline', async () => {
	const [connection, errors, asked] = [fakeConnection(), [], []];
	const mayNot = new Set(['presence/agent/+', 'presence/user/u1']);
	const subscribe = async (filters) => filters.filter((one) => mayNot.has(one));
	const question = async (subjects) => (asked.push(...subjects), { subjects: subjects.map(() => ({ rev: 0 })) });
	const watches = new Watches({ ...connection, subscribe }, fakeTimers(), 'presence', (error) => errors.push(error.message), question);
	const subjects = ['user/u1', 'user/u2'];
	await watches.add({ roles: ['agent', 'admin'], subjects }, () => {}).ready;
	assert.match(errors.join(), /presence\/agent\/\+, presence\/user\/u1/);
	const status = (subject) => watches.lookup(subject).status;
	assert.deepEqual(['agent/u1', 'admin/u1', ...subjects].map(status), ['unknown', 'offline', 'unknown', 'offline']);
	assert.deepEqual(asked, [{ role: 'user', id: 'u2' }]); // nobody would tell what becomes of the other
	mayNot.clear();
	watches.refresh();
	await settle();
	assert.deepEqual(['agent/u1', ...subjects].map(status), ['offline', 'offline', 'offline']);
});

/** mqtt.js as a client of the application: connected, and to a broker that answers every command, but
 * for mute ones. */
function fakeMqtt({ isMute = false } = {}) {
	const own = Object.assign(new EventEmitter(), {
		connected: true,
		options: { protocolVersion: 4 },
		filters: new Set(),
		said: [],
		end: (...given) => given.at(-1)?.call?.(),
		publish(topic, payload) {
			const { commands } = JSON.parse(payload);
			own.said.push(...commands);
			if (isMute) return;
			const responses = commands.map(({ command, correlationData }) => ({ command, correlationData, data: {} }));
			setImmediate(() => topic === COMMANDS && own.emit('message', RESPONSES, JSON.stringify({ responses }), {}));
		},
		subscribe({ resubscribe, ...map }, done) {
			for (const filter of Object.keys(map)) own.filters.add(filter);
			setImmediate(done, null, Object.values(map));
		},
		unsubscribe(filters) {
			for (const filter of filters) own.filters.delete(filter);
		},
	});
	return own;
}

test('a client of the application is left as it was', async () => {
	const own = fakeMqtt();
	own.filters.add('other');
	const client = createClient(own, { role: 'agent', id: 'u1' });
	await client.watch({ roles: ['agent'], subjects: ['user/u2'] }, () => {}).ready;
	client.watchTyping('c1', () => {});
	assert.ok(own.filters.has('presence/agent/+') && own.filters.has('typing/c1/+/+'));
	await client.close();
	assert.deepEqual([...own.filters], ['other']);
	assert.deepEqual(own.eventNames(), []);
	assert.equal(own.said.at(-1).command, 'leave');
});

test('a broker that did not answer once is asked on the next connection, also by who is nobody', async () => {
	const made = [];
	const connect = () => {
		const one = Object.assign(fakeMqtt({ isMute: made.length === 0 }), { connected: false });
		made.push(one);
		setImmediate(() => one.emit('connect'));
		return one;
	};
	const client = createClient('ws://x', { mqtt: { connect }, detectMs: 50, reconnect: { firstMs: 1, maxMs: 1 } });
	await poll(() => made.length === 2 && !client.isPlain);
	assert.deepEqual([made[1]?.said[0]?.command, client.isPlain], ['getPresence', false]);
	await client.command('getStats');
	await client.close();
});

test('what only the plugin says is proof of it', async () => {
	for (const [topic, payload, isProof] of [
		['presence/agent/u1', record('u1', 5), true],
		[DIGEST, digestOf(5, ['u1', 5]), true],
		['presence/agent/u1', 'online', false],
	]) {
		const own = fakeMqtt({ isMute: true });
		const client = createClient(own, { detectMs: 20 });
		await client.watch({ roles: ['agent'] }, () => {}).ready;
		await poll(() => client.isPlain);
		own.emit('message', topic, payload, { retain: false });
		assert.equal(client.isPlain, !isProof, payload);
		await client.close();
	}
});

test('as long as retained records come, an answer may be behind them', async () => {
	const own = fakeMqtt({ isMute: true });
	const client = createClient(own, { detectMs: 500 });
	await client.watch({ roles: ['agent'] }, () => {}).ready;
	for (let rev = 1; rev <= 20; rev++) {
		own.emit('message', 'presence/agent/u1', record('u1', rev), { retain: true });
		await new Promise((resolve) => setTimeout(resolve, 50));
	}
	assert.equal(client.isPlain, false);
	await poll(() => client.isPlain); // they may be left of a plugin that is no more
	assert.equal(client.isPlain, true);
	await client.close();
});

test('options that cannot be right are refused', async () => {
	const who = { role: 'agent', id: 'u1' };
	for (const options of [
		{ role: 'agent' },
		{ ...who, id: 'a:b' },
		{ ...who, id: '', clientId: 'c' },
		{ ...who, role: 5, clientId: 'c' },
		{ ...who, clientId: 5 },
		{ ...who, device: 'a\nb' },
		{ ...who, device: 'x'.repeat(129) },
		...[30, 999, 3_600_001, NaN, '20000', null].map((heartbeatMs) => ({ ...who, heartbeatMs })),
		...[0, -1, 65_535_001].map((keepaliveMs) => ({ keepaliveMs })),
		{ hiddenAwayMs: -1 },
		{ idleAwayMs: Infinity },
		{ commandMs: 0 },
		{ detectMs: '5 s' },
		{ reconnect: { firstMs: 0 } },
		{ reconnect: { maxMs: NaN } },
		{ plugin: 'no' },
		{ credentials: { username: 'u' } },
		{ topic: '' },
		{ typingTopic: 'typing/#' },
	])
		assert.throws(() => createClient(fakeMqtt(), options).close(), TypeError, JSON.stringify(options));
	const nothing = { keepaliveMs: undefined, heartbeatMs: undefined, topic: undefined, reconnect: { maxMs: undefined } };
	for (const options of [nothing, { ...who, id: 'a:b', clientId: 'c' }, { ...who, heartbeatMs: 1000, device: 'd:e', topic: 'site/a' }])
		await createClient(fakeMqtt(), options).close();
});

test('mistakes are noticed, and come as a promise says them', async () => {
	const client = createClient(fakeMqtt(), { role: 'agent', id: 'u1' });
	for (const call of [
		() => client.setStatus('busy'),
		() => client.note('a\nb'),
		() => client.setOverride('dnd', { subject: 'nobody' }),
		() => client.clearOverride({ subject: 'nobody' }),
		() => client.command('setOverride', { status: 'dnd', ttlMs: 1000 }), // it would hold for good
		() => client.command('setovrride'),
		() => client.command('toString'),
		() => client.typing(''),
	])
		await assert.rejects(call(), TypeError, String(call));
	await client.close();
	await client.typing('c1'); // nobody sees it, and that is all
	await assert.rejects(client.setStatus('dnd'), { code: 'closed' });
	const watcher = createClient(fakeMqtt());
	for (const call of [() => watcher.setStatus('dnd'), () => watcher.leave(), () => watcher.typing('c1')])
		await assert.rejects(call(), TypeError, String(call));
	await watcher.close();
});

test('timers: a process that was stopped knows that its clock stood still', async () => {
	const source = `
		import { createTimers } from ${JSON.stringify(new URL('../src/timers.js', import.meta.url).href)};
		const timers = createTimers();
		timers.every(() => {}, 1000);
		timers.onGap = (ms) => { console.log('gap', ms); timers.close(); };
		console.log('up');`;
	const child = spawn(process.execPath, ['--input-type=module', '-e', source], { stdio: ['ignore', 'pipe', 'inherit'] });
	child.stdout.setEncoding('utf8');
	assert.match((await once(child.stdout, 'data'))[0], /up/);
	child.kill('SIGSTOP');
	await new Promise((resolve) => setTimeout(resolve, 6500));
	child.kill('SIGCONT');
	const [line] = await once(child.stdout, 'data');
	const ms = Number(line.split(' ')[1]);
	assert.ok(ms >= 5000 && ms < 60_000, line);
	assert.deepEqual((await once(child, 'exit'))[0], 0);
});
