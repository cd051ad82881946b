// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
// A connection that comes back. Of our own, made anew for each attempt, so that nothing of an old
// one is sent later; or an mqtt.js client of the application, which does its own reconnecting.
//
// Events: 'up'; 'down', and whether it had been up; 'message' (topic, payload, retain); 'taken':
// another connection has our client id; 'error' (Error).
import { Backoff } from './backoff.js';
import { Events } from './events.js';
import { disconnectPacket, publishPacket } from './packets.js';

const CONNECT_MS = 15_000;
const CHECK_MS = 5000;
const STEADY_MS = 10_000; // up for so long, the next loss starts the backoff from its beginning
const TAKEN_OVER = 0x8e;
const AT_ONCE = 0;

export class Connection extends Events {
	#options;
	#timers;
	#backoff;
	#client = null; // mqtt.js's
	#undo = []; // the listeners on it
	#socket = null;
	#timer = 0; // of the next attempt, or of the current one's end
	#attempt = 0;
	#isOwn;
	#upAt = 0;
	#filters = new Set(); // subscribed to, on a client of the application

	/** options: url or client, clientId: () => Promise<string>, keepaliveMs, reconnect, connection
	 * and credentials as in index.d.ts. */
	constructor(options, timers) {
		super();
		this.#options = options;
		this.#timers = timers;
		this.#isOwn = !options.client;
		this.#backoff = new Backoff(options.reconnect);
		this.isUp = false;
		this.isClosed = false;
		/** When something was last heard from the broker, ms since the epoch. */
		this.heardAt = 0;
		/** { topic, payload }: of the next connection. */
		this.will = null;
	}

	get isOwn() {
		return this.#isOwn;
	}

	start() {
		if (this.#isOwn) this.#open();
		else this.#listen(this.#options.client);
	}

	// Messages

	/** QoS 0, unless told otherwise. False: there is no connection. */
	publish(topic, payload, { qos = 0, retain = false } = {}) {
		if (!this.isUp) return false;
		this.#client.publish(topic, payload, { qos, retain }, () => {}); // refused: told by what does not happen
		return true;
	}

	/** Resolves to the filters the broker refused. What is retained has come when a subscription that
	 * was made after this one is answered. */
	subscribe(filters) {
		return new Promise((resolve, reject) => {
			if (!this.isUp) return reject(new Error('not connected'));
			// mqtt.js passes over what a client of the application has subscribed to before.
			if (!this.#isOwn) for (const one of filters) this.#filters.add(one);
			const map = { ...Object.fromEntries(filters.map((one) => [one, { qos: 0 }])), resubscribe: true };
			this.#client.subscribe(map, (error, granted) => {
				const codes = error?.packet?.granted ?? granted?.map((one) => one.qos);
				if (codes) resolve(filters.filter((_, i) => codes[i] >= 128));
				else reject(error ?? new Error('not connected'));
			});
		});
	}

	unsubscribe(filters) {
		for (const one of filters) this.#filters.delete(one);
		// A client of the application would subscribe to them again by itself.
		if (filters.length && (this.isUp || !this.#isOwn)) this.#client.unsubscribe(filters, () => {});
	}

	/** The last words of a page, which has no time left: they go straight into the socket.
	 * messages: [{ topic, payload, retain }]. */
	farewell(messages) {
		if (!this.isUp) return;
		const version = this.#client.options.protocolVersion;
		const socket = this.#socket;
		if (socket?.readyState === 1) {
			for (const message of messages) socket.send(publishPacket(message, version));
			socket.send(disconnectPacket());
			this.#drop(true);
			return;
		}
		for (const { topic, payload, retain } of messages) this.publish(topic, payload, { retain });
		if (this.#isOwn) this.close();
	}

	// Coming and going

	/** Ends the connection and makes another: at once, or spread as after a loss. */
	again({ spread = true } = {}) {
		if (this.isClosed || !this.#isOwn) return;
		this.#drop(true);
		this.#schedule(spread ? this.#backoff.nextMs() : AT_ONCE);
	}

	/** The network is there again: do not wait for as long as it was away. */
	hurry() {
		if (this.isClosed || !this.#isOwn) return;
		this.#backoff.reset();
		if (this.#client) this.check();
		else this.#schedule(this.#backoff.nextMs());
	}

	/** Is anybody there? If not, in a few seconds, this is a loss. */
	check() {
		if (!this.isUp || !this.#isOwn) return;
		const client = this.#client;
		const asked = Date.now();
		let isHeard = false;
		client.once('packetreceive', () => (isHeard = true));
		client.sendPing?.();
		this.#timers.set(() => {
			if (client === this.#client && !isHeard && Date.now() - asked >= CHECK_MS - 100) this.again();
		}, CHECK_MS);
	}

	/** A goodbye. An mqtt.js client of the application is left as it was. Resolves when all is sent. */
	close() {
		if (this.isClosed) return Promise.resolve();
		this.isClosed = true;
		this.unsubscribe([...this.#filters]);
		this.#timers.clear(this.#timer);
		const client = this.#client;
		this.#forget();
		this.#down();
		if (!client || !this.#isOwn) return Promise.resolve();
		return new Promise((resolve) => {
			const deadline = this.#timers.set(() => client.end(true, resolve), 2000);
			client.end(false, {}, () => {
				this.#timers.clear(deadline);
				resolve();
			});
		});
	}

	#schedule(ms) {
		this.#timers.clear(this.#timer);
		this.#timer = this.#timers.set(() => this.#open(), ms);
	}

	async #open() {
		const attempt = ++this.#attempt;
		const isOver = () => this.isClosed || attempt !== this.#attempt;
		try {
			const { connect } = await loadMqtt(this.#options.mqtt);
			const clientId = await this.#options.clientId();
			const credentials = (await this.#options.credentials?.()) ?? {};
			if (isOver()) return;
			this.#listen(connect(this.#options.url, this.#connectOptions(clientId, credentials)));
			this.#timers.clear(this.#timer);
			this.#timer = this.#timers.set(() => this.again(), CONNECT_MS);
		} catch (error) {
			if (isOver()) return;
			this.emit('error', error);
			this.#schedule(this.#backoff.nextMs());
		}
	}

	#connectOptions(clientId, credentials) {
		const { url, keepaliveMs, connection } = this.#options;
		const inPage = typeof document !== 'undefined' && /^wss?:/.test(url);
		return {
			protocolVersion: 5,
			...connection,
			...credentials,
			clientId,
			clean: true,
			keepalive: Math.max(1, Math.round(keepaliveMs / 1000)),
			reconnectPeriod: 0,
			resubscribe: false,
			queueQoSZero: false,
			timerVariant: { set: this.#timers.every, clear: this.#timers.clear },
			will: this.will ? { ...this.will, qos: 1, retain: true } : undefined,
			...(inPage && {
				createWebsocket: (address, protocols) => (this.#socket = new WebSocket(address, protocols)),
			}),
		};
	}

	#listen(client) {
		this.#forget();
		this.#client = client;
		const on = (name, act) => {
			client.on(name, act);
			this.#undo.push(() => client.off(name, act));
		};
		on('connect', () => this.#up());
		on('message', (topic, payload, packet) => this.emit('message', topic, payload, packet.retain === true));
		on('packetreceive', () => {
			this.heardAt = Date.now();
		});
		on('disconnect', (packet) => packet.reasonCode === TAKEN_OVER && this.emit('taken'));
		if (this.#isOwn) {
			on('error', (error) => this.emit('error', error));
			client.on('error', () => {}); // also when nobody asks any more
		}
		on('close', () => (this.#isOwn ? this.#lost() : this.#down()));
		if (client.connected) this.#up();
	}

	#up() {
		this.isUp = true;
		this.heardAt = this.#upAt = Date.now();
		if (this.#isOwn) this.#timers.clear(this.#timer);
		this.emit('up');
	}

	#lost() {
		if (this.isUp && Date.now() - this.#upAt >= STEADY_MS) this.#backoff.reset();
		this.#drop(false);
		this.#schedule(this.#backoff.nextMs());
	}

	/** The connection is over for us, whatever it thinks itself. */
	#drop(isLive) {
		const client = this.#client;
		this.#attempt++;
		this.#timers.clear(this.#timer);
		this.#forget();
		if (client && this.#isOwn) {
			client.end(true);
			if (isLive) this.#socket?.close();
		}
		this.#socket = null;
		this.#down();
	}

	#forget() {
		for (const one of this.#undo.splice(0)) one();
		this.#client = this.#isOwn ? null : this.#client;
	}

	#down() {
		const wasUp = this.isUp;
		this.isUp = false;
		if (wasUp || this.#isOwn) this.emit('down', wasUp);
	}
}

/** mqtt.js: what the application gives, or what "mqtt" leads to. */
async function loadMqtt(given) {
	const found = given ?? (await import('mqtt'));
	return typeof found.connect === 'function' ? found : found.default;
}
