// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
// An agent before a browser: examples/agent-page, and the library in a bare page, against a real
// broker. What others see is asked from outside, by the same library in Node.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { createClient } from '../../client-sdk/js/index.js';
import { complaints, createWorld, poll, root } from './harness.mjs';

// Grace is longer than any story: whoever is offline has said so, or stopped to beat.
const OPTIONS = { grace: '60s' };
// What a tab goes through after five minutes behind another one: its timers run once a minute.
const THROTTLED = '--enable-features=IntensiveWakeUpThrottling:grace_period_seconds/1';
const GAP_MS = 6500; // more than what the library takes for sleep

let world, broker, site, context, watcher, said;
const seen = []; // every change of every agent

before(async () => {
	world = await createWorld();
	broker = await world.broker({ options: OPTIONS });
	const file = path.join(world.newFolder('agent'), 'agent.html');
	execFileSync(process.execPath, [path.join(root, 'examples/agent-page/build.js'), file], { stdio: 'pipe' });
	site = await world.site({ '/': root, '/agent/': path.dirname(file) });
	context = await world.browser({ flags: [THROTTLED] });
	watcher = createClient(broker.url, {});
	world.onClose(() => watcher.close());
	await watcher.watch({ roles: ['agent'] }, (change) => seen.push(change)).ready;
});
after(() => world.close());

const last = (id) => seen.filter((one) => one.id === id).at(-1)?.record;
const statuses = (id) => seen.filter((one) => one.id === id).map((one) => one.status);

/** What others see of id has these values. */
const until = (id, values, seconds) =>
	poll(
		() => Object.entries(values).every(([key, value]) => last(id)?.[key] === value) && last(id),
		() => `${id} ${JSON.stringify(values)}; is ${JSON.stringify(last(id))}`,
		seconds,
	);

async function newPage() {
	const page = await context.newPage();
	said = complaints(page);
	return page;
}

/** The agent's page, connected. built: the one file; otherwise as it is in the repository. */
async function openAgent(id, { url = broker.url, built = true, ...more } = {}) {
	const page = await newPage();
	const hash = new URLSearchParams({ id, broker: url, ...more });
	await page.goto(`${site.url}${built ? '/agent/agent.html' : '/examples/agent-page/'}#${hash}`);
	await page.locator('#link.online').waitFor();
	await until(id, { status: 'online' });
	return page;
}

/** The library in a page, connected. */
async function openBare(id, options = {}, url = broker.url) {
	const page = await newPage();
	await page.goto(`${site.url}/tests/browser/bare.html`);
	await page.evaluate(([to, how]) => window.start(to, how), [url, { role: 'agent', id, ...options }]);
	await until(id, { status: 'online' });
	return page;
}

test('online, not to be disturbed, and gone with the page', async () => {
	const id = world.name('kim');
	const page = await openAgent(id);
	assert.equal(last(id).reason, 'connect');
	assert.match(await page.locator('#seen').textContent(), /^$|see you online/);
	await page.getByRole('button', { name: 'Do not disturb' }).click();
	await until(id, { status: 'dnd', source: 'app' });
	await page.getByLabel('Note').fill('in a call');
	await page.getByLabel('Note').blur();
	await until(id, { status: 'dnd', note: 'in a call' });
	await page.locator(`#people li.dnd[data-id=${id}]`, { hasText: 'in a call' }).waitFor();
	await page.getByText('The others see you do not disturb: in a call').waitFor();
	await page.getByRole('button', { name: 'Invisible' }).click();
	await until(id, { status: 'offline' });
	await page.getByRole('button', { name: 'Available' }).click();
	await until(id, { status: 'online', note: 'in a call' });
	assert.deepEqual(said, []);
	await page.close();
	await until(id, { status: 'offline', reason: 'leave', devices: 0 });
});

test('as it is in the repository, without a build', async () => {
	const id = world.name('kim');
	const page = await openAgent(id, { built: false });
	assert.deepEqual(said, []);
	// Going elsewhere is going away; coming back by the back button is coming back.
	await page.goto('about:blank');
	await until(id, { status: 'offline', reason: 'leave' });
	await page.goBack();
	await until(id, { status: 'online' });
	await page.close();
	await until(id, { status: 'offline', reason: 'leave' });
});

test('hidden, somebody is away; looking again, back', async () => {
	const id = world.name('kim');
	const page = await openAgent(id, { hidden: 0.3, idle: 0 });
	const other = await newPage();
	await other.bringToFront();
	await until(id, { status: 'away', source: 'app' });
	await page.bringToFront();
	await until(id, { status: 'online', source: 'inferred' });
	assert.deepEqual(statuses(id), ['online', 'away', 'online']);
	await other.close();
	await page.close();
});

test('without input, somebody is away; touching anything, back', async () => {
	const id = world.name('kim');
	const page = await openAgent(id, { hidden: 0, idle: 1 });
	for (const act of [() => page.mouse.move(50, 50), () => page.keyboard.press('a'), () => page.mouse.wheel(0, 10)]) {
		await until(id, { status: 'away' });
		await act();
		await until(id, { status: 'online' });
	}
	// What somebody says outweighs what is guessed.
	await page.getByRole('button', { name: 'Do not disturb' }).click();
	await until(id, { status: 'dnd' });
	await poll(() => page.evaluate(() => performance.now() - (window.at ??= performance.now()) > 1500), '1.5 s idle');
	assert.equal(last(id).status, 'dnd');
	await page.close();
});

test('who only watches is nobody, and never away', async () => {
	const page = await openBare(world.name('kim'));
	const declared = await page.evaluate(async (url) => {
		const { createClient } = await import('mosquitto-presence');
		const away = (ms) => ({ idleAwayMs: ms, hiddenAwayMs: ms });
		const watcher = createClient(url, away(1));
		const agent = createClient(url, { role: 'agent', id: 'lee', ...away(1000) });
		await new Promise((resolve) => agent.on('declared', resolve));
		const found = [agent.declared, watcher.declared];
		await Promise.all([agent.close(), watcher.close()]);
		return found;
	}, broker.url);
	assert.deepEqual(declared, [{ status: 'away', note: '' }, null]);
	await page.close();
});

test('typing is seen, and its end', async () => {
	const [kim, lee] = [world.name('kim'), world.name('lee')];
	const conversation = world.name('room');
	const one = await openAgent(kim, { conversation });
	const two = await openAgent(lee, { conversation });
	await one.bringToFront();
	await one.getByLabel('Message').pressSequentially('hello');
	await two.getByText(`${kim} is writing…`).waitFor();
	await one.getByLabel('Message').fill('');
	await poll(async () => (await two.locator('#typing').textContent()) === '', 'nobody writes');
	await one.close();
	await two.close();
});

test('two tabs, one person', async () => {
	const id = world.name('kim');
	const page = await openBare(id);
	const device = () => Object.values(sessionStorage).join();
	const name = await page.evaluate(device);
	assert.match(name, /^[0-9a-f]{12}$/);
	// A tab that opens another one gives it a copy of its sessionStorage, as a duplicate has.
	const [copy] = await Promise.all([
		context.waitForEvent('page'),
		page.evaluate(() => void window.open(location.href)),
	]);
	await copy.waitForFunction(() => window.start);
	assert.equal(await copy.evaluate(device), name);
	await copy.evaluate(([to, how]) => window.start(to, how), [broker.url, { role: 'agent', id }]);
	await until(id, { status: 'online', devices: 2 });
	assert.notEqual(await copy.evaluate(device), name);
	assert.equal(await page.evaluate(device), name);
	await page.evaluate(() => window.client.setStatus('dnd'));
	await until(id, { status: 'dnd', devices: 2 });
	await page.close();
	await until(id, { status: 'online', devices: 1 });
	// The same tab, loaded again, is the same device.
	const second = await copy.evaluate(device);
	await copy.reload();
	await copy.evaluate(([to, how]) => window.start(to, how), [broker.url, { role: 'agent', id }]);
	await until(id, { status: 'online', devices: 1 });
	assert.equal(await copy.evaluate(device), second);
	await copy.close();
	await until(id, { status: 'offline', reason: 'leave' });
});

test('two tabs, where there are no locks: http, and not localhost', async () => {
	const id = world.name('kim');
	const [page, copy] = [await newPage(), await newPage()];
	const name = 'same';
	for (const one of [page, copy]) {
		await one.goto(`${site.url}/tests/browser/bare.html`);
		await one.evaluate(([key, value]) => {
			sessionStorage.setItem(key, value);
			Object.defineProperty(navigator, 'locks', { value: undefined });
		}, [`presence-device:agent:${id}`, name]);
		await one.evaluate(([to, how]) => window.start(to, how), [broker.url, { role: 'agent', id }]);
		await poll(() => one.evaluate(() => window.client.state === 'online'), 'it is online');
	}
	await until(id, { status: 'online', devices: 2 });
	assert.deepEqual(await page.evaluate(() => window.states), ['online']);
	await page.close();
	await copy.close();
	await until(id, { status: 'offline' });
});

test('the network goes, and comes back', async () => {
	const id = world.name('kim');
	const proxy = await world.proxy(broker.wsPort);
	const page = await openAgent(id, { url: proxy.url });
	await page.getByRole('button', { name: 'Do not disturb' }).click();
	await until(id, { status: 'dnd' });
	proxy.refuse(true);
	proxy.drop();
	await page.locator('#link.lost').waitFor();
	await page.getByRole('button', { name: 'Away' }).click(); // said while nobody hears it
	proxy.refuse(false);
	await page.evaluate(() => dispatchEvent(new Event('online')));
	await page.locator('#link.online').waitFor();
	await until(id, { status: 'away' });
	assert.deepEqual(statuses(id), ['online', 'dnd', 'away']);
	await page.close();
});

test('a tab behind another one, its timers slowed down, stays online', async () => {
	const id = world.name('kim');
	const page = await openBare(id, { keepaliveMs: 1000, heartbeatMs: 1000, hiddenAwayMs: 0, idleAwayMs: 0 });
	await page.evaluate(() => {
		window.ticks = 0;
		setInterval(() => window.ticks++, 200);
	});
	const other = await newPage();
	await other.bringToFront();
	await poll(() => page.evaluate(() => document.visibilityState === 'hidden'), 'it is hidden');
	// Somebody who beats once is offline three seconds later. For that long, twice, nothing happens.
	for (let i = 0; i < 2; i++) {
		const control = world.name('control');
		const client = createClient(broker.url, { role: 'agent', id: control });
		await until(control, { status: 'online' });
		await client.heartbeat({ intervalMs: 1000 });
		await until(control, { status: 'offline', reason: 'heartbeat' });
		await client.close();
	}
	assert.deepEqual(statuses(id), ['online']);
	assert.deepEqual(await page.evaluate(() => window.states), ['online']);
	const ticks = await page.evaluate(() => window.ticks);
	assert.ok(ticks < 15, `its own timers were slowed down: ${ticks} ticks of 200 ms in more than 6 s`);
	await other.close();
	await page.close();
	await until(id, { status: 'offline', reason: 'leave' });
});

test('React: two hooks', async () => {
	const folder = world.newFolder('hooks');
	const sdk = path.join(root, 'client-sdk/js');
	const { buildSync } = createRequire(path.join(sdk, 'index.js'))('esbuild');
	const built = buildSync({
		entryPoints: [path.join(root, 'tests/browser/hooks.jsx')],
		alias: { 'mosquitto-presence/react': path.join(sdk, 'react.js'), 'mosquitto-presence': path.join(sdk, 'index.js') },
		nodePaths: [path.join(sdk, 'node_modules')],
		jsx: 'automatic',
		bundle: true,
		minify: true,
		write: false,
		define: { 'process.env.NODE_ENV': '"production"' },
	});
	writeFileSync(path.join(folder, 'index.html'), '<!doctype html><body><script src="hooks.js"></script>');
	writeFileSync(path.join(folder, 'hooks.js'), built.outputFiles[0].text);
	const { url } = await world.site({ '/': folder });
	const [parent, ann, bob] = ['parent', 'ann', 'bob'].map((stem) => world.name(stem));
	const child = createClient(broker.url, { role: 'user', id: ann });
	await child.setStatus('away');
	const page = await newPage();
	await page.goto(`${url}/#${new URLSearchParams({ broker: broker.url, id: parent, ids: `${ann},${bob}` })}`);
	await page.locator('#me', { hasText: 'online nothing' }).waitFor();
	await page.locator('li.online', { hasText: `${ann} away` }).waitFor();
	await page.locator('li', { hasText: `${bob} offline` }).waitFor();
	await page.getByRole('button', { name: 'quiet' }).click();
	await page.locator('#me', { hasText: 'online dnd' }).waitFor();
	await child.clearStatus();
	await page.locator('li.online', { hasText: `${ann} online` }).waitFor();
	await child.close();
	await page.locator('li:not(.online)', { hasText: `${ann} offline` }).waitFor();
	assert.deepEqual(await page.evaluate(() => window.changes.slice(-2)), [
		`${ann} away online`,
		`${ann} online offline`,
	]);
	await page.getByRole('button', { name: 'fewer' }).click();
	await page.locator('li', { hasText: ann }).waitFor({ state: 'detached' });
	await page.locator('li', { hasText: `${bob} offline` }).waitFor();
	await page.close();
});

test('the machine sleeps: a new connection at once, and nobody saw a thing', async () => {
	const id = world.name('kim');
	const page = await openBare(id, { keepaliveMs: 6000, reconnect: { firstMs: 100, maxMs: 1000 } });
	context.freeze();
	const asleep = Date.now();
	await poll(() => Date.now() - asleep > GAP_MS, 'it sleeps', 30);
	context.wake();
	await page.waitForFunction(() => window.states.join() === 'online,lost,online');
	await page.evaluate(() => window.client.setStatus('dnd'));
	await until(id, { status: 'dnd' });
	assert.deepEqual(statuses(id), ['online', 'dnd']);
	await page.close();
});
