// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
import { Connection } from './connection.js';
import { Declaration } from './declaration.js';
import { claimDevice, randomName } from './device.js';
import { Events } from './events.js';
import { watchPage } from './page.js';
import { createTimers } from './timers.js';
import { Typing } from './typing.js';
import { Watches } from './watches.js';
import * as wire from './wire.js';

const DEFAULTS = {
	keepaliveMs: 20_000,
	heartbeatMs: 0,
	hiddenAwayMs: 60_000,
	idleAwayMs: 300_000,
	commandMs: 10_000,
	detectMs: 5000,
	reconnect: { firstMs: 2000, maxMs: 30_000 },
	topic: 'presence',
	typingTopic: 'typing',
	plugin: 'auto',
};

/** More than this, and a timer is due at once. */
const TIMER_MS_MAX = 2 ** 31 - 1;

/** An Error whose code says what to do: 'lost' (the connection was, or there is none), 'timeout',
 * 'refused' (message is the broker's word), 'closed', 'plain' (the broker has no plugin). */
function failure(code, message) {
	return Object.assign(new Error(message), { code });
}

const given = (options = {}) => Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined));

/** Throws a TypeError that says what is wrong. */
function checkOptions({ role, id, device, clientId, heartbeatMs, reconnect, credentials, plugin, ...options }) {
	const need = (good, problem) => {
		if (!good) throw new TypeError(problem);
	};
	const needMs = (name, ms, min, max = TIMER_MS_MAX) =>
		need(typeof ms === 'number' && ms >= min && ms <= max, `${name} is a number of ms from ${min} to ${max}`);
	need((role === undefined) === (id === undefined), 'give both role and id, or neither');
	if (role !== undefined) wire.nameOf(role, id);
	if (device) wire.checkId(device, 'device');
	if (role !== undefined && !clientId) wire.clientId(role, id, device);
	need(!clientId || typeof clientId === 'string', 'clientId is to be text');
	if (heartbeatMs !== 0) needMs('heartbeatMs', heartbeatMs, 1000, 3_600_000);
	needMs('keepaliveMs', options.keepaliveMs, 1, 65_535_000); // less than 1 s is 1 s
	for (const name of ['hiddenAwayMs', 'idleAwayMs']) needMs(name, options[name], 0);
	for (const name of ['commandMs', 'detectMs']) needMs(name, options[name], 1);
	for (const name of ['firstMs', 'maxMs']) needMs(`reconnect.${name}`, reconnect[name], 1);
	need(credentials === undefined || typeof credentials === 'function', 'credentials is to be a function');
	need([true, false, 'auto'].includes(plugin), "plugin is true, false or 'auto'");
	for (const name of ['topic', 'typingTopic'])
		need(typeof options[name] === 'string' && /^[^+#\0]+$/.test(options[name]), `${name} is to be the beginning of a topic`);
}

/** See index.d.ts, which is the contract. */
export class PresenceClient extends Events {
	#options;
	#timers = createTimers();
	#connection;
	#declaration;
	#watches;
	#typing;
	#device = null;
	#page = null;
	#pending = new Map(); // correlation -> { resolve, reject, timer }
	#correlation = 0;
	#plain;
	#heartbeat = 0;
	#detect = 0;
	#retainedAt = 0; // when the last such record came, on this connection
	#state = 'connecting';

	constructor(target, options = {}) {
		super();
		this.#options = { ...DEFAULTS, ...given(options), reconnect: { ...DEFAULTS.reconnect, ...given(options.reconnect) } };
		checkOptions(this.#options);
		const { topic, typingTopic } = this.#options;
		const isUrl = typeof target === 'string' || target instanceof URL;
		this.#connection = new Connection(
			{
				...this.#options,
				...(isUrl ? { url: String(target) } : { client: target }),
				clientId: () => this.#clientId(),
			},
			this.#timers,
		);
		this.#declaration = new Declaration(
			(name, given) => this.#declare(name, given),
			(error) => this.#error(error),
		);
		this.#watches = new Watches(
			this.#connection,
			this.#timers,
			topic,
			(error) => this.#error(error),
			(subjects) => this.#request('getPresence', { subjects }),
		);
		this.#typing = new Typing(this.#connection, this.#timers, typingTopic, (given) =>
			this.#request('typing', given),
		);
		this.#plain = this.#options.plugin === false;
		this.#watches.plain = this.#plain;
		if (this.#plain) this.#setWill();
		this.#listen();
		if (typeof document !== 'undefined') this.#watchPage();
		this.#connection.start();
	}

	// State

	/** 'connecting', 'online', 'lost' or 'closed': of the connection. Event: 'state'. */
	get state() {
		return this.#state;
	}

	/** What this device declares: { status, note }, or null for nothing. Event: 'declared'. */
	get declared() {
		return this.#declaration.target;
	}

	/** Whether the broker has no plugin: true or false, once known. */
	get isPlain() {
		return this.#plain;
	}

	get subject() {
		const { role, id } = this.#options;
		return role === undefined ? null : wire.nameOf(role, id);
	}

	// The device

	async setStatus(status, { note } = {}) {
		const given = wire.command('setStatus', { status, note });
		return this.#change(() => this.#declaration.setStatus(given.status, given.note ?? ''));
	}

	async clearStatus() {
		return this.#change(() => this.#declaration.clearStatus());
	}

	async note(text) {
		const given = wire.command('setStatus', { note: text });
		return this.#change(() => this.#declaration.setNote(given.note ?? ''));
	}

	async leave() {
		return this.#change(() => this.#declaration.leave());
	}

	heartbeat({ intervalMs, status, note } = {}) {
		return this.#request('heartbeat', { interval: intervalMs, status, note });
	}

	async typing(conversation, { kind = 'typing', active = true } = {}) {
		this.#needSubject();
		return this.#typing.tell(conversation, kind, active);
	}

	// Subjects

	async setOverride(status, { note, ttlMs, subject } = {}) {
		const who = subject === undefined ? {} : wire.subjectOf(subject);
		return this.#request('setOverride', { status, note, ttl: ttlMs, ...who });
	}

	async clearOverride({ subject } = {}) {
		return this.#request('clearOverride', subject === undefined ? {} : wire.subjectOf(subject));
	}

	/** Any command of docs/PROTOCOL.md, its fields as they stand there, but durations in ms. */
	command(name, fields = {}) {
		return this.#request(name, fields);
	}

	// Others

	watch(what, onChange) {
		return this.#watches.add(what, onChange);
	}

	watchTyping(conversation, onTyping) {
		return this.#typing.watch(conversation, onTyping);
	}

	lookup(subject) {
		return this.#watches.lookup(subject);
	}

	/** Leaves, and says goodbye. Afterwards the client does nothing any more. */
	async close() {
		if (this.#state === 'closed') return;
		this.#page?.close();
		if (this.#connection.isUp && this.subject)
			await Promise.race([
				this.#declaration.leave().catch(() => {}),
				new Promise((resolve) => this.#timers.set(resolve, 1000)),
			]);
		this.#setState('closed');
		await this.#connection.close();
		this.#end();
	}

	#end() {
		this.#failPending(failure('closed', 'the client is closed'));
		this.#declaration.close(failure('closed', 'the client is closed'));
		this.#typing.close();
		this.#device?.close();
		this.#timers.close();
	}

	// Inside

	async #clientId() {
		const { role, id, device, clientId } = this.#options;
		if (clientId) return clientId;
		if (role === undefined) return `mqttjs_presence_${randomName()}`; // by default not tracked
		if (device) return wire.clientId(role, id, device);
		this.#device ??= claimDevice(`${role}:${id}`, this.#timers);
		return wire.clientId(role, id, await this.#device.name);
	}

	#listen() {
		const connection = this.#connection;
		connection.on('up', () => this.#up());
		connection.on('down', (wasUp) => this.#down(wasUp));
		connection.on('error', (error) => this.#error(error));
		connection.on('message', (topic, payload, retain) => this.#message(topic, payload, retain));
		connection.on('taken', () => this.#taken());
		this.#timers.onGap = (ms) => {
			// The machine slept: the broker has given us up long ago, and nobody told us.
			if (ms >= this.#options.keepaliveMs) connection.again();
			else connection.check();
		};
	}

	#watchPage() {
		const { hiddenAwayMs, idleAwayMs } = this.subject ? this.#options : { hiddenAwayMs: 0, idleAwayMs: 0 };
		this.#page = watchPage({
			hiddenMs: hiddenAwayMs,
			idleMs: idleAwayMs,
			timers: this.#timers,
			told: {
				away: (isAway) => {
					this.#declaration.setAway(isAway);
					this.emit('declared', this.declared);
				},
				leaving: () => this.#connection.farewell(this.subject ? [this.#lastWord()] : []),
				back: () => this.#connection.again({ spread: false }),
				network: (isOnline) => (isOnline ? this.#connection.hurry() : this.#connection.check()),
				doubt: () => this.#connection.check(),
			},
		});
	}

	#lastWord() {
		if (this.#plain) return { topic: this.#ownTopic(), payload: wire.declaration('offline'), retain: true };
		return { topic: wire.COMMANDS, payload: wire.commandsText([wire.command('leave')]) };
	}

	#ownTopic() {
		return wire.subjectTopic(this.#options.role, this.#options.id, this.#options.topic);
	}

	#up() {
		this.#setState('online');
		this.#watches.up();
		this.#typing.up();
		if (this.subject) this.#declaration.up();
		else if (this.#options.plugin === 'auto') this.#askPlugin();
		this.#beat();
		if (this.#options.plugin !== 'auto') return;
		this.#timers.clear(this.#detect);
		this.#retainedAt = 0;
		this.#detect = this.#timers.set(() => this.#noPlugin(), this.#options.detectMs);
	}

	#down(wasUp) {
		this.#timers.clear(this.#heartbeat);
		this.#timers.clear(this.#detect);
		if (wasUp) {
			this.#failPending(failure('lost', 'the connection was lost'));
			this.#declaration.down();
			this.#watches.down();
			this.#typing.down();
		}
		if (this.#state !== 'closed') this.#setState('lost');
	}

	#setState(state) {
		if (state === this.#state) return;
		this.#state = state;
		this.emit('state', state);
	}

	#error(error) {
		if (!this.emit('error', error)) console.warn(`presence: ${error.message}`);
	}

	/** Another connection has our client id, and the broker says so. In a page it is a duplicate that
	 * could not be told; it keeps the name. */
	#taken() {
		if (!this.#connection.isOwn) return;
		if (!this.#device) return this.#error(failure('taken', 'another connection has the same client id'));
		this.#device.name = this.#device.renew();
		this.#connection.again();
	}

	// The plugin, or none

	#setPlain(isPlain) {
		if (this.#plain === isPlain) return false;
		this.#plain = isPlain;
		this.#watches.plain = isPlain;
		if (isPlain) this.#setWill();
		else this.#connection.will = null;
		return true;
	}

	#setWill() {
		if (this.subject) this.#connection.will = { topic: this.#ownTopic(), payload: wire.declaration('offline') };
	}

	/** Nobody answered. What is left is a birth and a will, which a connection has from its start. */
	#noPlugin() {
		// The answer comes behind all that is retained.
		const rest = this.#retainedAt + this.#options.detectMs - Date.now();
		if (rest > 0) {
			this.#detect = this.#timers.set(() => this.#noPlugin(), rest);
			return;
		}
		if (!this.#setPlain(true)) return;
		this.#failPending(failure('lost', 'the broker has no presence plugin'));
		if (this.#connection.isOwn) this.#connection.again({ spread: false });
		else {
			this.#watches.refresh();
			if (this.subject) this.#declaration.up();
		}
	}

	#answered() {
		this.#timers.clear(this.#detect);
		if (this.#options.plugin === 'auto' && this.#setPlain(false)) {
			this.#watches.refresh();
			if (this.subject && this.#connection.isUp) this.#declaration.up();
		}
	}

	// Commands

	#needSubject() {
		if (!this.subject) throw new TypeError('this client has no role and id, and so nothing to declare');
	}

	#change(act) {
		this.#needSubject();
		if (this.#state === 'closed') throw failure('closed', 'the client is closed');
		const done = act();
		this.#beat();
		this.emit('declared', this.declared);
		return done;
	}

	#declare(name, given) {
		if (!this.#plain) return this.#request(name, given);
		const { status, note } = this.#declaration.target ?? { status: 'online', note: '' };
		this.#connection.publish(this.#ownTopic(), wire.declaration(status, note), { qos: 1, retain: true });
		if (this.#options.plugin === 'auto') this.#askPlugin();
		return Promise.resolve();
	}

	/** On each connection anew: it may have come. */
	#askPlugin() {
		this.#request('getPresence', { subjects: [] }, { evenPlain: true }).catch(() => {});
	}

	/** Resolves to the data of the reply. */
	#request(name, given, { evenPlain = false } = {}) {
		const correlation = String(++this.#correlation);
		let text;
		try {
			text = wire.commandsText([wire.command(name, given, correlation)]);
		} catch (error) {
			return Promise.reject(error);
		}
		if (this.#plain && !evenPlain)
			return Promise.reject(failure('plain', `${name} needs the presence plugin, which this broker does not have`));
		return new Promise((resolve, reject) => {
			if (!this.#connection.publish(wire.COMMANDS, text)) return reject(failure('lost', 'not connected'));
			const timer = this.#timers.set(() => {
				this.#pending.delete(correlation);
				reject(failure('timeout', `no answer to ${name} in ${this.#options.commandMs / 1000} s`));
			}, this.#options.commandMs);
			this.#pending.set(correlation, { resolve, reject, timer });
		});
	}

	#failPending(error) {
		for (const { reject, timer } of this.#pending.values()) {
			this.#timers.clear(timer);
			reject(error);
		}
		this.#pending.clear();
	}

	#message(topic, payload, retain) {
		const text = wire.textOf(payload);
		if (topic === wire.RESPONSES) this.#replies(text);
		else if (!this.#watches.message(topic, text, retain)) this.#typing.message(topic, text);
		else if (retain) this.#retainedAt = Date.now();
		if (this.#watches.hasPlugin) this.#answered();
	}

	#replies(text) {
		const replies = wire.readReplies(text);
		if (replies.length) this.#answered();
		for (const { correlation, error, data } of replies) {
			const pending = this.#pending.get(correlation);
			if (!pending) continue;
			this.#pending.delete(correlation);
			this.#timers.clear(pending.timer);
			if (error) pending.reject(failure('refused', error));
			else pending.resolve(data);
		}
	}

	#beat() {
		this.#timers.clear(this.#heartbeat);
		const { heartbeatMs } = this.#options;
		if (!heartbeatMs || !this.subject || !this.#connection.isUp) return;
		const beat = () => {
			if (!this.#plain && !this.#declaration.isDown)
				this.#request('heartbeat', { interval: heartbeatMs }).catch(() => {});
		};
		beat();
		this.#heartbeat = this.#timers.every(beat, heartbeatMs);
	}
}

/** A client; it connects by itself, and keeps at it. target: the URL of a broker's WebSocket (in Node
 * also mqtt: and mqtts:), or a client of mqtt.js. */
export function createClient(target, options) {
	return new PresenceClient(target, options);
}
