// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
// What stories in a browser need: a broker with the plugin, a server of files, a network that can
// be cut, and Chromium. Everything is on loopback, on free ports, in folders of its own, and ends
// with the process that started it, by its pid.
//
//     const world = await createWorld();                  // finish it with world.close()
//     const broker = await world.broker({ options: { grace: '500ms' } });
//     const site = await world.site({ '/': folder });
//     const browser = await world.browser();
//     const page = await browser.newPage();
import { spawn } from 'node:child_process';
import { createReadStream, mkdtempSync, readFileSync, rmSync, writeFileSync, openSync, closeSync } from 'node:fs';
import { stat } from 'node:fs/promises';
import http from 'node:http';
import net from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

/** The project's folder. */
export const root = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '../..');
const START_MS = 20_000;

export const tick = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

/** Asks until the answer is true, and returns it. what: a text or a function that makes one. */
export async function poll(question, what, seconds = 20) {
	const deadline = Date.now() + seconds * 1000;
	for (;;) {
		const answer = await question();
		if (answer) return answer;
		if (Date.now() > deadline)
			throw new Error(`${typeof what === 'function' ? await what() : what}: not in ${seconds} s`);
		await tick(20);
	}
}

/** A port below the range from which the kernel takes ports for outgoing connections. */
export async function freePort() {
	for (let i = 0; i < 100; i++) {
		const port = 15000 + Math.floor(Math.random() * 17000);
		const probe = net.createServer();
		const free = await new Promise((resolve) => {
			probe.once('error', () => resolve(false));
			probe.listen(port, '127.0.0.1', () => resolve(true));
		});
		if (!free) continue;
		await new Promise((resolve) => probe.close(resolve));
		return port;
	}
	throw new Error('no free port');
}

function kill(pid) {
	try {
		process.kill(pid, 'SIGKILL');
	} catch {
		/* gone already */
	}
}

/** Whatever is started belongs to a world, and ends with it: the last one first. */
export async function createWorld() {
	const folder = mkdtempSync(path.join(tmpdir(), 'presence-browser-'));
	const ends = [];
	const pids = new Set();
	const last = () => {
		for (const pid of pids) kill(pid);
		rmSync(folder, { recursive: true, force: true, maxRetries: 10, retryDelay: 100 });
	};
	process.once('exit', last);
	let count = 0;
	const world = {
		folder,
		/** A name for a subject that no other story uses. */
		name: (stem = 'u') => `${stem}${++count}`,
		/** end() is called when the world closes. */
		onClose: (end) => ends.push(end),
		newFolder: (stem) => mkdtempSync(path.join(folder, `${stem}-`)),
		/** group: it has one of its own, which ends with it. */
		spawned(child, { group = false } = {}) {
			const pid = group ? -child.pid : child.pid;
			pids.add(pid);
			child.once('exit', () => {
				if (group) kill(pid);
				pids.delete(pid);
			});
			return child;
		},
		broker: (how) => startBroker(world, how),
		site: (folders) => startSite(world, folders),
		proxy: (port) => startProxy(world, port),
		browser: (how) => startBrowser(world, how),
		async close() {
			for (const end of ends.splice(0).reverse())
				try {
					await end();
				} catch (error) {
					console.error(`closing: ${error.message}`);
				}
			last();
			process.off('exit', last);
		},
	};
	return world;
}

// The broker

const conf = ({ port, wsPort, plugin, options, lines, folder }) =>
	[
		'user root',
		'log_dest stderr',
		'log_type error',
		'log_type warning',
		'log_type notice',
		'log_type information',
		'set_tcp_nodelay true',
		...lines.map((line) => line.replace('{folder}', folder)),
		`listener ${port} 127.0.0.1`,
		'allow_anonymous true',
		`listener ${wsPort} 127.0.0.1`,
		'protocol websockets',
		'allow_anonymous true',
		...(plugin
			? [
					`plugin ${plugin}`,
					...Object.entries(options).flatMap(([key, value]) =>
						[value].flat().map((one) => `plugin_opt_${key} ${one}`),
					),
				]
			: []),
		'',
	].join('\n');

/** Mosquitto. options: of the plugin, plugin_opt_<key>. plugin: false for a broker without it.
 * lines: more of mosquitto.conf, before the listeners; in them {folder} is the broker's own. */
async function startBroker(world, { plugin, options = {}, lines = [] } = {}) {
	plugin ??= process.env.PRESENCE_PLUGIN;
	if (plugin === undefined) throw new Error('PRESENCE_PLUGIN is to name mosquitto_presence.so');
	const folder = world.newFolder('broker');
	const port = await freePort();
	let wsPort = await freePort();
	while (wsPort === port) wsPort = await freePort();
	const file = path.join(folder, 'mosquitto.conf');
	const logFile = path.join(folder, 'log');
	writeFileSync(
		file,
		conf({
			port,
			wsPort,
			folder,
			lines,
			plugin: plugin && path.resolve(plugin),
			// The demands of a test are those of many people at once.
			options: { grace: '500ms', command_rate: '1000/s burst 1000', auth_mode: 'allow', ...options },
		}),
	);
	let child;
	const broker = {
		port,
		wsPort,
		url: `ws://127.0.0.1:${wsPort}`,
		log: () => readFileSync(logFile, 'utf8'),
		async start() {
			const log = openSync(logFile, 'a');
			const before = broker.log().length;
			child = world.spawned(
				spawn(process.env.PRESENCE_MOSQUITTO || '/usr/sbin/mosquitto', ['-c', file], {
					stdio: ['ignore', log, log],
					cwd: folder,
				}),
			);
			child.once('error', () => {});
			closeSync(log);
			await poll(
				() => {
					if (child.exitCode !== null) throw new Error(`the broker did not start:\n${broker.log()}`);
					return /mosquitto version \S+ running/.test(broker.log().slice(before));
				},
				() => `the broker runs; its log:\n${broker.log()}`,
				START_MS / 1000,
			);
			return broker;
		},
		signal: (name) => child.kill(name),
		pause: () => child.kill('SIGSTOP'),
		resume: () => child.kill('SIGCONT'),
		async stop() {
			await endChild(child);
		},
	};
	world.onClose(broker.stop);
	return broker.start();
}

async function endChild(child, ms = 5000) {
	if (child.exitCode !== null || child.signalCode !== null) return;
	const gone = new Promise((resolve) => child.once('exit', resolve));
	child.kill('SIGTERM');
	child.kill('SIGCONT');
	const timer = setTimeout(() => child.kill('SIGKILL'), ms);
	await gone;
	clearTimeout(timer);
}

// Files

const TYPES = {
	'.html': 'text/html; charset=utf-8',
	'.js': 'text/javascript; charset=utf-8',
	'.mjs': 'text/javascript; charset=utf-8',
	'.css': 'text/css; charset=utf-8',
	'.json': 'application/json',
	'.svg': 'image/svg+xml',
	'.png': 'image/png',
};

/** Serves folders over HTTP, by prefix: { '/': folder, '/sdk/': other }. The longest prefix wins. */
async function startSite(world, folders) {
	const prefixes = Object.keys(folders).sort((a, b) => b.length - a.length);
	const server = http.createServer(async (request, response) => {
		const url = decodeURIComponent(new URL(request.url, 'http://x').pathname);
		const prefix = prefixes.find((one) => url.startsWith(one));
		const base = prefix && path.resolve(folders[prefix]);
		let file = base && path.resolve(base, url.slice(prefix.length));
		try {
			if (!file || (file !== base && !file.startsWith(base + path.sep))) throw new Error('outside');
			if ((await stat(file)).isDirectory()) file = path.join(file, 'index.html');
			await stat(file);
		} catch {
			response.writeHead(404).end();
			return;
		}
		response.writeHead(200, {
			'content-type': TYPES[path.extname(file)] ?? 'application/octet-stream',
			'cache-control': 'no-store',
		});
		createReadStream(file).pipe(response);
	});
	await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
	const site = {
		url: `http://127.0.0.1:${server.address().port}`,
		close: () =>
			new Promise((resolve) => {
				server.close(resolve);
				server.closeAllConnections?.();
			}),
	};
	world.onClose(site.close);
	return site;
}

// The network

/** A way to a port that can be cut off: hold() lets nothing through, and nobody is told, as when a
 * cable is out; go() goes on; drop() resets all connections; refuse(true) takes no new ones. */
async function startProxy(world, port) {
	const pairs = new Set();
	let held = false;
	let refusing = false;
	const server = net.createServer({ noDelay: true }, (near) => {
		near.on('error', () => {});
		if (refusing) {
			near.resetAndDestroy();
			return;
		}
		const far = net.connect({ port, host: '127.0.0.1', noDelay: true });
		far.on('error', () => near.destroy());
		const pair = [near, far];
		pairs.add(pair);
		const pass = (from, to) => {
			from.on('data', (bytes) => to.write(bytes));
			from.on('end', () => to.end());
			from.on('close', () => {
				pairs.delete(pair);
				to.destroy();
			});
		};
		pass(near, far);
		pass(far, near);
		if (held) pair.forEach((socket) => socket.pause());
	});
	await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
	const each = (act) => [...pairs].flat().forEach(act);
	const proxy = {
		port: server.address().port,
		url: `ws://127.0.0.1:${server.address().port}`,
		get connections() {
			return pairs.size;
		},
		hold() {
			held = true;
			each((socket) => socket.pause());
		},
		go() {
			held = false;
			each((socket) => socket.resume());
		},
		drop: () => each((socket) => socket.resetAndDestroy()),
		refuse(yes) {
			refusing = yes;
		},
		async close() {
			const closed = new Promise((resolve) => server.close(resolve));
			each((socket) => socket.destroy());
			await closed;
		},
	};
	world.onClose(proxy.close);
	return proxy;
}

// The browser

const FLAGS = [
	'--headless',
	'--no-sandbox',
	'--disable-gpu',
	'--disable-quic',
	'--no-first-run',
	'--disable-background-networking',
	'--disable-component-update',
	'--disable-sync',
	'--remote-debugging-port=0',
];

/** Debian's Chromium, without a window, with a profile of its own: a BrowserContext of
 * playwright-core. It is as people have it: a tab behind another one is hidden (bringToFront()),
 * and slowed down. flags: more of them. For looks: page.setViewportSize(), page.emulateMedia(). */
async function startBrowser(world, { flags = [] } = {}) {
	const { chromium } = await import('playwright-core');
	const profile = world.newFolder('profile');
	const child = world.spawned(
		spawn(process.env.PRESENCE_CHROMIUM || '/usr/bin/chromium', [...FLAGS, ...flags, `--user-data-dir=${profile}`, 'about:blank'], {
			stdio: 'ignore',
			detached: true, // a group of its own: freeze()
		}),
		{ group: true },
	);
	child.once('error', () => {});
	const ask = async () => {
		if (child.exitCode !== null) throw new Error('chromium ended');
		try {
			return readFileSync(path.join(profile, 'DevToolsActivePort'), 'utf8').match(/^(\d+)\n\/./)?.[1];
		} catch {
			return null; // not yet
		}
	};
	const port = await poll(ask, 'chromium listens', START_MS / 1000);
	// Without its defaults: they would keep every tab visible and focused.
	const browser = await chromium.connectOverCDP(`http://127.0.0.1:${port}`, { noDefaults: true });
	const context = browser.contexts()[0];
	context.setDefaultTimeout(20_000);
	/** The machine sleeps, and wakes: all its processes stop, and go on. */
	context.freeze = () => process.kill(-child.pid, 'SIGSTOP');
	context.wake = () => process.kill(-child.pid, 'SIGCONT');
	world.onClose(async () => {
		await browser.close();
		await endChild(child);
	});
	return context;
}

/** What a page says that it should not: errors, and warnings of the console. */
export function complaints(page) {
	const found = [];
	page.on('pageerror', (error) => found.push(String(error)));
	page.on('console', (message) => {
		if (['error', 'warning'].includes(message.type())) found.push(message.text());
	});
	return found;
}
