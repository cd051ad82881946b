// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
// The panel with 20,000 subjects and 500 transitions a second for 20 s: PANEL_LOAD=full; by default a
// slice of that. What must hold is that no final state is lost; how long frames took is said.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { complaints, createWorld, poll, tick } from './harness.mjs';
import { allRows, buildPanel, connect, linkOf, openPanel } from './panel.mjs';

const FULL = process.env.PANEL_LOAD === 'full';
const SUBJECTS = FULL ? 20_000 : 3000;
const RATE = 500;
const SECONDS = FULL ? 20 : 2;
const STATUSES = ['online', 'away', 'dnd', 'offline'];
const WORDS = { online: 'Online', away: 'Away', dnd: 'Do not disturb', offline: 'Offline' };

let world, broker, panel, page, said;
before(async () => {
	world = await createWorld();
	// Its records come from us: 20,000 connections would measure something else.
	// Over WebSocket, Mosquitto 2.0 sends no more than max_queued_messages of what is retained.
	broker = await world.broker({ plugin: false, lines: ['max_queued_messages 0'] });
	panel = await buildPanel(world);
	page = await (await world.browser()).newPage();
	said = complaints(page);
});
after(() => world.close());

class Crowd {
	constructor(client) {
		this.client = client;
		this.rev = Date.now() * 1000;
		this.people = Array.from({ length: SUBJECTS }, (_, i) =>
			({ role: i % 10 === 0 ? 'device' : 'agent', id: `p${i}`, status: 'offline', note: '' }));
	}
	say(person, note = '') {
		const previous = person.status;
		person.status = STATUSES[(STATUSES.indexOf(previous) + 1 + Math.floor(Math.random() * 3)) % 4];
		person.note = note || (Math.random() < 0.2 ? `note ${this.rev}` : '');
		const now = Date.now();
		this.client.publish(`presence/${person.role}/${person.id}`, JSON.stringify({
			v: 1, ...person, note: person.note || undefined, previous, reason: 'app', source: 'app',
			devices: person.status === 'offline' ? 0 : 1, since: now, last_seen: now, rev: ++this.rev, node: 'b1',
		}), { retain: true });
	}
	async churn(seconds) {
		const started = performance.now();
		for (let said = 0; said < seconds * RATE; ) {
			const due = Math.min(seconds * RATE, Math.floor((performance.now() - started) / 1000 * RATE));
			for (; said < due; said++) this.say(this.people[Math.floor(Math.random() * SUBJECTS)]);
			await tick(10);
		}
	}
}

const measureFrames = () => page.evaluate(() => {
	window.frames_ms = [];
	let last = performance.now();
	const step = (now) => {
		window.frames_ms.push(now - last);
		last = now;
		window.measuring = requestAnimationFrame(step);
	};
	window.measuring = requestAnimationFrame(step);
});

// What the page's thread worked, in ms: a busy machine makes frames late, but not this longer.
async function measureCpu() {
	const session = await page.context().newCDPSession(page);
	await session.send('Performance.enable', { timeDomain: 'threadTicks' });
	const work = async () => {
		const { metrics } = await session.send('Performance.getMetrics');
		const ms = (name) => 1000 * metrics.find((one) => one.name === name).value;
		return ['TaskDuration', 'ScriptDuration', 'RecalcStyleDuration', 'LayoutDuration'].map(ms);
	};
	const before = await work();
	return async () => (await work()).map((ms, i) => ms - before[i]);
}

test(`${SUBJECTS} subjects, ${RATE} transitions a second for ${SECONDS} s: no final state is lost`, async (t) => {
	const crowd = new Crowd(await connect(world, broker));
	for (const person of crowd.people) crowd.say(person);
	await crowd.client.publishAsync('done', '', { qos: 1 });
	await page.setViewportSize({ width: 1440, height: 900 });
	const from = performance.now();
	await openPanel(page, linkOf(panel, broker.url), 120);
	const opened = performance.now() - from;
	await poll(async () => (await page.locator('.card .total').first().textContent()) === SUBJECTS.toLocaleString('en'), 'everyone', 60);

	const cpu = await measureCpu();
	await measureFrames();
	const scrolling = page.evaluate(async (ms) => { // somebody reads meanwhile
		const end = performance.now() + ms;
		while (performance.now() < end) {
			document.querySelector('.rows').scrollBy(0, 300);
			await new Promise((resolve) => setTimeout(resolve, 100));
		}
	}, SECONDS * 1000);
	await crowd.churn(SECONDS);
	await scrolling;
	const frames = await page.evaluate(() => {
		cancelAnimationFrame(window.measuring);
		return window.frames_ms.sort((a, b) => a - b);
	});
	const at = (part) => frames[Math.floor(frames.length * part)].toFixed(1);
	const [worked, ...parts] = await cpu();
	const ms = (worked / frames.length).toFixed(1);
	t.diagnostic(`opened in ${Math.round(opened)} ms; ${frames.length} frames: median ${at(0.5)} ms, ` +
		`95 % within ${at(0.95)} ms, longest ${frames.at(-1).toFixed(1)} ms; ` +
		`${ms} ms of CPU each, ${(worked / SECONDS).toFixed(0)} a second ` +
		`(script, style, layout: ${parts.map((one) => (one / SECONDS).toFixed(0)).join(', ')}); rows in the page: ${await page.locator('.space .row').count()}`);

	// The last one said is there, so all before it are.
	const last = crowd.people[0];
	crowd.say(last, 'the end');
	await page.getByRole('searchbox').fill('p0');
	await poll(async () => (await allRows(page)).some(([, id, , note]) => id === 'p0' && note === 'the end'),
		'the last transition', 60);
	await page.getByRole('searchbox').fill('');
	await page.setViewportSize({ width: 1440, height: 6000 });
	const shown = new Map((await allRows(page)).map(([role, id, word, note]) => [`${role}/${id}`, `${word} ${note}`]));
	const wrong = crowd.people.filter(({ role, id, status, note }) =>
		shown.get(`${role}/${id}`) !== `${WORDS[status]} ${note}`);
	assert.deepEqual(wrong.slice(0, 5), []);
	assert.equal(shown.size, SUBJECTS);
	assert.deepEqual(said, []);
	for (const status of STATUSES) {
		const many = crowd.people.filter((person) => person.status === status).length;
		const told = await page.locator(`.card:first-child .of-${status} b`).textContent();
		assert.equal(told, many.toLocaleString('en'), status);
	}
});
