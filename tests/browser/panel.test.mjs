// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
// The admin panel in Chromium: what people see, do, and are told.
import assert from 'node:assert/strict';
import { after, before, beforeEach, test } from 'node:test';
import { subjectTopic } from '../../client-sdk/js/src/wire.js';
import { complaints, createWorld, poll } from './harness.mjs';
import { allRows, buildPanel, connect, linkOf, openPanel, rowOf } from './panel.mjs';

let world, broker, panel, context, page, said;

before(async () => {
	world = await createWorld();
	broker = await world.broker({
		options: { node: 'b1', control_open: 'true', device_topics: 'true' },
	});
	panel = await buildPanel(world);
	context = await world.browser();
	page = await context.newPage();
	await page.setViewportSize({ width: 1440, height: 900 });
	said = complaints(page);
});
beforeEach(() => (said.length = 0));
after(() => world.close());

const here = (client = '') => linkOf(panel, broker.url, client);
const agent = (id, device = 'laptop', role = 'agent') =>
	connect(world, broker, { clientId: `${role}:${id}:${device}` });
const declare = (client, status, note) =>
	client.publishAsync('$CONTROL/presence/v1',
		JSON.stringify({ commands: [{ command: 'setStatus', status, note }] }));
const textOf = (id) => page.locator(`#${id}`).textContent();
const saw = async (locator, text) =>
	poll(async () => (await locator.textContent()).includes(text),
		async () => `"${text}" in "${await locator.textContent()}"`);
const focused = () => page.evaluate(() => {
	const { activeElement } = document;
	return activeElement === document.body ? 'nothing' : activeElement.textContent || activeElement.id;
});
const focusIn = async (text) => poll(async () => (await focused()).includes(text),
	async () => `focus in "${text}"; it is in "${await focused()}"`);

test('who comes, changes and goes is shown at once, with shape and word', async () => {
	await openPanel(page, here());
	const id = world.name('kim');
	const laptop = await agent(id);
	await saw(rowOf(page, id), 'Online');
	await declare(laptop, 'dnd', 'in a call');
	await saw(rowOf(page, id), 'Do not disturb');
	await saw(rowOf(page, id), 'in a call');
	assert.equal(await rowOf(page, id).locator('use').getAttribute('href'), '#shape-dnd');
	await agent(id, 'phone');
	await saw(rowOf(page, id).locator('.of-devices'), '2');

	await rowOf(page, id).click();
	await saw(page.locator('#devices'), 'laptop');
	await saw(page.locator('#devices'), 'phone');
	await saw(page.locator('#history'), 'Online → Do not disturb');
	await saw(page.locator('#events'), `agent/${id}`);
	await saw(page.locator('.card', { hasText: 'agent' }), '1');
	await laptop.endAsync();
	await saw(page.locator('#devices li', { hasText: 'laptop' }), 'Offline');
	await saw(rowOf(page, id), 'Online');
	await page.keyboard.press('Escape');
	assert.equal(await page.locator('#detail').isVisible(), false);
	assert.deepEqual(said, []);
});

test('ids, notes and statuses of strangers are text, whatever they look like', async () => {
	const odd = world.name('<img src=x onerror=alert(1)> a/b+#%');
	const bare = await world.broker({ plugin: false });
	const writer = await connect(world, bare);
	const topic = subjectTopic('agent', odd);
	const write = (topic, record) => writer.publishAsync(topic,
		typeof record === 'string' ? record : JSON.stringify(record), { retain: true });
	const record = { v: 1, role: 'agent', id: odd, status: 'dnd', note: '</script><b>', rev: 5, since: 1, colour: 'blue' };
	await write(topic, record);
	await write('presence/agent/later', { ...record, id: 'later', status: 'hiding' });
	await write('presence/agent/none', 'offline'); // a will that went by
	await write('presence/agent/none2', '{');
	await write('presence/agent/none3', record); // it says to be somebody else
	await write('presence/agent/deep/er', record);
	await openPanel(page, linkOf(panel, bare.url));
	await saw(rowOf(page, odd), 'Do not disturb');
	await saw(rowOf(page, odd), '</script><b>');
	await saw(rowOf(page, 'later'), 'Online'); // a status to come: not offline
	assert.deepEqual((await allRows(page)).map(([, id]) => id).sort(), [odd, 'later'].sort());

	// An older revision is late, an empty record the end.
	await write(topic, { ...record, status: 'offline', rev: 4 });
	await write('presence/agent/later', '');
	await poll(async () => (await rowOf(page, 'later').count()) === 0, 'the forgotten one is gone');
	await saw(rowOf(page, odd), 'Do not disturb');
	assert.deepEqual(said, []);
	await writer.endAsync();
});

test('filters and order', async () => {
	for (const [id, role] of [['anna', 'agent'], ['zoe2', 'agent'], ['zoe10', 'agent'], ['zoe1', 'device']])
		await agent(id, 'd', role);
	await openPanel(page, here());
	const ids = () => allRows(page).then((rows) => rows.map(([, id]) => id));
	const shows = (wanted) => poll(async () => String(await ids()) === String(wanted),
		async () => `${wanted} in ${await ids()}`);
	await page.getByRole('searchbox').fill('ZOE');
	await shows(['zoe2', 'zoe10', 'zoe1']);
	await saw(page.locator('#matches'), '3 of');
	await page.getByRole('button', { name: 'Id', exact: true }).click();
	await shows(['zoe1', 'zoe2', 'zoe10']);
	await page.getByRole('button', { name: 'Id', exact: true }).click();
	await shows(['zoe10', 'zoe2', 'zoe1']);
	assert.equal(await page.locator('[aria-sort]').getAttribute('aria-sort'), 'descending');
	await page.getByLabel('Role').selectOption('device');
	await shows(['zoe1']);
	await page.getByLabel('Offline', { exact: true }).check();
	await shows([]);
	await saw(page.locator('#empty'), 'Nobody matches.');
	await saw(page.locator('#announce'), '0 of');
	await page.getByRole('button', { name: 'Show everyone' }).click();
	await poll(async () => (await ids()).length > 3, 'everyone again');
	// Whoever starts to match appears, whoever no longer does is gone.
	await page.getByLabel('Do not disturb', { exact: true }).check();
	const late = world.name('late');
	const client = await agent(late);
	await declare(client, 'dnd');
	await rowOf(page, late).waitFor();
	await declare(client, 'online');
	await rowOf(page, late).waitFor({ state: 'detached' });
});

test('all of it by keyboard', async () => {
	const [first, second] = [world.name('key'), world.name('key')];
	await agent(first);
	await agent(second);
	await openPanel(page, here('admin:ops:panel-*'));
	await page.keyboard.press('/');
	await page.keyboard.type(first.replace(/\d+$/, ''));
	await poll(async () => (await page.locator('#grid').getAttribute('aria-rowcount')) === '3', 'two rows');
	// One row can be reached, the first: behind the filters and the header's buttons.
	const inRow = () => page.evaluate(() => document.activeElement.matches('.space .row'));
	for (let i = 0; i < 30 && !(await inRow()); i++) await page.keyboard.press('Tab');
	await focusIn(first);
	await page.keyboard.press('ArrowDown');
	await focusIn(second);
	await page.keyboard.press('ArrowDown');
	await focusIn(second); // there is no further
	await page.keyboard.press('Home');
	await focusIn(first);
	await page.keyboard.press('End');
	await page.keyboard.press('Enter');
	await poll(async () => (await focused()) === second, 'focus in the title of the detail');
	assert.equal(await page.locator('.row[aria-selected=true] .of-id').textContent(), second);
	await page.getByRole('textbox', { name: 'Note', exact: true }).waitFor();
	for (let i = 0; i < 9 && !(await page.getByRole('textbox', { name: 'Note', exact: true }).evaluate((e) => e === document.activeElement)); i++)
		await page.keyboard.press('Tab');
	await page.keyboard.type('by hand');
	await page.keyboard.press('Enter');
	await saw(rowOf(page, second), 'by hand');
	await page.keyboard.press('Escape');
	await focusIn(second); // back where it was
	assert.deepEqual(said, []);
});

test('focus stays with the subject while rows come and go', async () => {
	const stem = world.name('stay');
	const clients = {};
	for (const n of [3, 5, 7]) clients[n] = await agent(`${stem}-${n}`);
	await openPanel(page, here());
	await page.getByRole('searchbox').fill(stem);
	await page.getByLabel('Online', { exact: true }).check();
	await rowOf(page, `${stem}-5`).focus();
	for (const n of [2, 4, 6]) await agent(`${stem}-${n}`);
	await rowOf(page, `${stem}-6`).waitFor();
	await focusIn(`${stem}-5`);
	const order = await page.locator('.space .row .of-id').allTextContents();
	assert.deepEqual(order, [2, 3, 4, 5, 6, 7].map((n) => `${stem}-${n}`), 'in the page as on the screen');
	await declare(clients[5], 'away'); // it matches no longer: focus goes to who took its place
	await rowOf(page, `${stem}-5`).waitFor({ state: 'detached' });
	await focusIn(`${stem}-6`);
});

test('an admin overrides, kicks and forgets, and reads what the plugin says', async () => {
	const id = world.name('u/');
	let client = await agent(id);
	await openPanel(page, here('admin:ops:panel-*'));
	await rowOf(page, id).click();
	await page.getByRole('combobox', { name: 'Override' }).selectOption('away');
	await page.getByRole('textbox', { name: 'Note', exact: true }).fill('training');
	await page.getByRole('button', { name: 'Set override' }).click();
	await saw(page.locator('#outcome'), 'Set: Away.');
	await saw(rowOf(page, id), 'training');
	await saw(rowOf(page, id), 'override');
	await saw(page.locator('#facts'), 'Until');
	await page.getByRole('button', { name: 'Clear override' }).click();
	await saw(page.locator('#outcome'), 'cleared');
	await saw(rowOf(page, id), 'Online');

	await page.getByRole('button', { name: 'Forget record…' }).click();
	await page.getByRole('button', { name: 'Forget', exact: true }).click();
	await saw(page.locator('#trouble'), 'this subject is not offline; kick its clients first');
	assert.equal(await textOf('outcome'), '');

	await page.getByRole('combobox', { name: 'Client id to disconnect' }).fill('nobody:has:this');
	await page.getByRole('button', { name: 'Kick…' }).click();
	await page.getByRole('button', { name: 'Kick', exact: true }).click();
	await saw(page.locator('#trouble'), 'no client with this "clientid" is known to be connected');

	const suggested = await page.locator('#clientids option').first().getAttribute('value');
	assert.equal(suggested, `agent:${id}:laptop`);
	await page.getByRole('combobox', { name: 'Client id to disconnect' }).fill(suggested);
	await page.getByRole('button', { name: 'Kick…' }).click();
	await page.getByRole('button', { name: 'Cancel' }).click();
	assert.equal(client.connected, true, 'not without a yes');
	const gone = new Promise((resolve) => client.once('close', resolve));
	await page.getByRole('button', { name: 'Kick…' }).click();
	await page.getByRole('button', { name: 'Kick', exact: true }).click();
	await saw(page.locator('#outcome'), 'was disconnected');
	await gone;
	await saw(rowOf(page, id), 'Offline');
	await saw(page.locator('#facts'), 'kicked');

	await page.getByRole('button', { name: 'Forget record…' }).click();
	await page.getByRole('button', { name: 'Forget', exact: true }).click();
	await rowOf(page, id).waitFor({ state: 'detached' });
	await saw(page.locator('#detail-status'), 'Forgotten');
	client = await agent(id); // there again: the detail is of whoever has that name
	await saw(page.locator('#detail-status'), 'Online');
	await declare(client, 'dnd');
	await saw(page.locator('#detail-status'), 'Do not disturb');
	await page.locator('.row[aria-selected=true]', { hasText: id }).waitFor();
	assert.deepEqual(said, []);
});

test('whoever is no admin is told so, in the words of the plugin', async () => {
	const id = world.name('w');
	await agent(id);
	await openPanel(page, here());
	await rowOf(page, id).click();
	await saw(page.locator('#not-admin'), 'only admins may do that');
	assert.equal(await page.getByRole('button', { name: 'Set override' }).isDisabled(), true);
});

test('what an admin may do is asked again, when the answer was lost', async () => {
	const fresh = await context.newPage();
	let lost = 0;
	await fresh.routeWebSocket(broker.url, (page) => {
		const server = page.connectToServer();
		server.onMessage((frame) => (lost === 0 && frame.includes('"listNodes"') ? lost++ : page.send(frame)));
	});
	const id = world.name('asked');
	await agent(id);
	await openPanel(fresh, here('admin:ops:panel-*'));
	await rowOf(fresh, id).click();
	await saw(fresh.locator('#not-admin'), 'No answer within');
	assert.equal(lost, 1);
	await poll(() => fresh.getByRole('button', { name: 'Set override' }).isEnabled(), 'an admin after all');
	await fresh.close();
});

test('a lost connection is plain to see, and so is its return', async () => {
	const proxy = await world.proxy(broker.wsPort);
	const [stays, leaves] = [world.name('stays'), world.name('leaves')];
	await agent(stays);
	const leaving = await agent(leaves);
	await openPanel(page, linkOf(panel, proxy.url, 'admin:ops:panel-*'));
	await rowOf(page, stays).click();
	await saw(rowOf(page, leaves), 'Online');
	proxy.refuse(true);
	proxy.drop();
	await saw(page.locator('#banner'), 'Connection lost at');
	assert.equal(await page.locator('#banner').getAttribute('role'), 'alert');
	await saw(page.locator('#link'), 'Connection lost');
	await saw(page.locator('#not-admin'), 'Not connected');
	await saw(rowOf(page, leaves), 'Online'); // how things stood
	const watcher = await connect(world, broker);
	const offline = new Promise((resolve) => watcher.on('message', (topic, payload) => {
		if (topic.endsWith(leaves) && JSON.parse(payload).status === 'offline') resolve();
	}));
	await watcher.subscribeAsync('presence/+/+');
	await leaving.endAsync();
	await offline;
	proxy.refuse(false);
	// It may be back by itself already: a button that is gone cannot be clicked, but called.
	await page.locator('#retry').evaluate((button) => button.click());
	await saw(page.locator('#link'), 'Live');
	await saw(rowOf(page, leaves), 'Offline');
	await saw(page.locator('#announce'), 'Connected again');
	assert.equal(await page.locator('#banner').isVisible(), false);
	await poll(() => page.getByRole('button', { name: 'Set override' }).isEnabled(), 'an admin again');
	assert.match(await textOf('detail-title'), new RegExp(stays));
	// Without anybody's help as well.
	proxy.refuse(true);
	proxy.drop();
	await saw(page.locator('#link'), 'Connection lost');
	proxy.refuse(false);
	await saw(page.locator('#link'), 'Live');
});

test('after a broker began anew, nobody stays on the strength of what it said before', async () => {
	const own = await world.broker();
	const [gone, later] = [world.name('gone'), world.name('later')];
	await connect(world, own, { clientId: `agent:${gone}:d` });
	const fresh = await context.newPage();
	await fresh.clock.install();
	await openPanel(fresh, linkOf(panel, own.url));
	const watcher = await connect(world, own);
	const digest = new Promise((resolve) => watcher.on('message', resolve));
	await watcher.subscribeAsync('$SYS/broker/presence/digest/agent');
	await digest;
	await connect(world, own, { clientId: `user:${later}:d` });
	await rowOf(fresh, later).waitFor(); // behind the digest
	await own.stop();
	await saw(fresh.locator('#link'), 'Connection lost');
	await own.start();
	await fresh.locator('#retry').evaluate((button) => button.click());
	await saw(fresh.locator('#link'), 'Live');
	await saw(rowOf(fresh, gone), 'Online'); // perhaps the broker only left something out
	await poll(async () => {
		await fresh.clock.fastForward(12_000);
		return (await rowOf(fresh, gone).count()) === 0;
	}, 'the broker said nothing of it');
	await fresh.close();
	await own.stop();
});

test('from disk it does the same', async () => {
	const id = world.name('disk');
	await agent(id);
	await openPanel(page, linkOf({ url: panel.fileUrl }, broker.url));
	await saw(rowOf(page, id), 'Online');
	assert.deepEqual(said, []);
});

test('an admin sees everybody, also where the broker keeps records back', async () => {
	const small = await world.broker({
		options: { control_open: 'true' }, lines: ['max_queued_messages 5'],
	});
	for (let i = 0; i < 30; i++) await connect(world, small, { clientId: `agent:many${i}:d` });
	await openPanel(page, linkOf(panel, small.url, 'admin:ops:panel-*'));
	await poll(async () => (await page.locator('.card .total').first().textContent()) === '31', 'all of them');
	await openPanel(page, linkOf(panel, small.url)); // and this is why
	await poll(async () => (await page.locator('.space .row').count()) > 0, 'some of them');
	assert.notEqual(await page.locator('.card .total').first().textContent(), '31');
});

test('it asks for a broker, and says what is wrong with one', async () => {
	await page.goto('about:blank');
	await page.goto(panel.url);
	await page.getByRole('dialog').waitFor();
	await page.getByRole('textbox', { name: 'Broker' }).fill('http://example.org');
	await page.getByRole('button', { name: 'Connect', exact: true }).click();
	assert.equal(await page.getByRole('dialog').isVisible(), true, 'not a WebSocket');
	await page.getByRole('textbox', { name: 'Broker' }).fill(broker.url);
	await page.getByRole('button', { name: 'Connect', exact: true }).click();
	await page.locator('body[data-link=live]').waitFor();
	await page.locator('#link').click();
	// Esc leaves it as it is in some browsers: it must not say "connect" from the last time.
	assert.equal(await page.evaluate(() => document.getElementById('settings').returnValue), '');
	await page.keyboard.press('Escape');
	await page.reload(); // it is remembered
	await page.locator('body[data-link=live]').waitFor();

	const here = world.name('here');
	await agent(here);
	await rowOf(page, here).waitFor();
	const strict = await world.broker({ plugin: false, lines: ['password_file /dev/null', 'per_listener_settings false'] });
	await page.locator('#link').click();
	await page.getByRole('textbox', { name: 'Broker' }).fill(strict.url);
	await page.getByLabel('Username').fill('ops');
	await page.getByLabel('Password').fill('wrong');
	await page.getByRole('button', { name: 'Connect', exact: true }).click();
	await saw(page.locator('#settings-trouble'), 'Not authorized');
	assert.deepEqual(await allRows(page), [], 'nobody of the other broker');
	assert.equal(await page.evaluate(() => JSON.stringify(localStorage).includes('wrong')), false);
});

test('from one broker to another: nothing of the first is left', async () => {
	const bare = await world.broker({ plugin: false });
	const writer = await connect(world, bare);
	const record = { v: 1, role: 'pilot', id: 'amy', status: 'online', rev: 1 };
	await writer.publishAsync('presence/pilot/amy', JSON.stringify(record), { retain: true });
	await writer.endAsync();
	const id = world.name('k');
	await agent(id);
	const other = await context.newPage();
	await other.addInitScript(() => {
		const { setTimeout } = window;
		window.unanswered = []; // what happens when no answer comes in time
		window.setTimeout = (act, ms, ...more) => {
			if (ms === 5000) window.unanswered.push(act);
			return setTimeout(act, ms, ...more);
		};
	});
	await openPanel(other, linkOf(panel, bare.url));
	await other.getByLabel('Role').selectOption('pilot');
	const count = await other.evaluate(() => window.unanswered.length);
	assert.ok(count > 0, 'it asks who is an admin');
	await other.locator('#link').click();
	await other.getByRole('textbox', { name: 'Broker' }).fill(broker.url);
	await other.getByText('More', { exact: true }).click();
	await other.getByRole('textbox', { name: 'Client id' }).fill('admin:ops:panel-*');
	await other.getByRole('button', { name: 'Connect', exact: true }).click();
	const steering = other.locator('fieldset.admin').first();
	await poll(async () => (await steering.getAttribute('disabled')) === null, 'an admin is one');
	await other.evaluate((count) => window.unanswered.slice(0, count).forEach((act) => act()), count);
	assert.equal(await steering.getAttribute('disabled'), null);
	// The filter is still what it says.
	await other.locator('#role option[value=agent]').waitFor({ state: 'attached' });
	assert.equal(await other.locator('#role').inputValue(), 'pilot');
	assert.deepEqual(await allRows(other), []);
	await other.getByRole('button', { name: 'Show everyone' }).click();
	await rowOf(other, id).waitFor();
	await other.close();
});

test('light, dark, and what the system says', async () => {
	await openPanel(page, here());
	const ground = () => page.evaluate(() => getComputedStyle(document.body).backgroundColor);
	await page.emulateMedia({ colorScheme: 'light' });
	const light = await ground();
	await page.emulateMedia({ colorScheme: 'dark' });
	const dark = await ground();
	assert.notEqual(light, dark);
	await page.getByText('Light', { exact: true }).click();
	assert.equal(await ground(), light);
	await page.reload();
	assert.equal(await ground(), light, 'it is remembered');
	await page.getByText('Auto', { exact: true }).click();
	assert.equal(await ground(), dark);
});

test('on a phone the detail covers the rest, and gives it back', async () => {
	const id = world.name('pocket');
	await agent(id);
	await page.setViewportSize({ width: 390, height: 844 });
	try {
		await openPanel(page, here());
		await page.getByRole('searchbox').fill(id);
		assert.equal(await page.evaluate(() => document.documentElement.scrollWidth <= innerWidth), true);
		await rowOf(page, id).click();
		assert.equal(await page.locator('#people').evaluate((e) => e.inert), true);
		await page.getByRole('button', { name: 'Close' }).click();
		assert.equal(await page.locator('#people').evaluate((e) => e.inert), false);
		await page.getByRole('button', { name: 'Timeline' }).click();
		await page.locator('#timeline').waitFor();
		assert.equal(await page.locator('#people').isVisible(), false);
	} finally {
		await page.setViewportSize({ width: 1440, height: 900 });
	}
});

test('nothing but what is in the file may run, and only WebSockets be reached', async () => {
	await openPanel(page, here());
	const blocked = await page.evaluate(async () => {
		const told = [];
		document.addEventListener('securitypolicyviolation', (event) => told.push(event.effectiveDirective));
		const script = document.createElement('script');
		script.textContent = 'window.ran = true';
		document.body.append(script);
		const style = document.createElement('style');
		style.textContent = 'body { display: none }';
		document.body.append(style);
		await fetch('/').catch(() => {});
		await new Promise((resolve) => setTimeout(resolve));
		return { ran: window.ran === true, told };
	});
	assert.equal(blocked.ran, false);
	assert.deepEqual(blocked.told.sort(), ['connect-src', 'script-src-elem', 'style-src-elem']);
});
