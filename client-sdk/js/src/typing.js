// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
// Who types where. Sent sparingly, and dropped when its end is missed.
import { guard } from './events.js';
import { checkId, encode, nameOf, readTyping } from './wire.js';

/** The broker ends it 5 s after it was last heard of. */
const AGAIN_MS = 3000;
/** A reader that misses the end drops it this long after the last beginning. */
const DROP_MS = 6000;
/** Then nobody sees it, and that is all. */
const NOBODY_THERE = ['lost', 'timeout', 'plain', 'closed'];

export class Typing {
	#connection;
	#timers;
	#base;
	#send;
	#told = new Map(); // conversation -> { kind, at }: what we said last
	#watches = new Map(); // conversation -> Set of callbacks
	#typists = new Map(); // topic -> { who, timer }

	constructor(connection, timers, base, send) {
		this.#connection = connection;
		this.#timers = timers;
		this.#base = base;
		this.#send = send;
	}

	/** To be called with each key: what need not be said again is not. */
	tell(conversation, kind, active) {
		const last = this.#told.get(conversation);
		const now = Date.now();
		if (active && last?.kind === kind && now - last.at < AGAIN_MS) return Promise.resolve();
		if (!active && !last) return Promise.resolve();
		if (active) this.#told.set(conversation, { kind, at: now });
		else this.#told.delete(conversation);
		return this.#send({ conversation, kind, active }).then(
			() => {},
			(error) => {
				this.#told.delete(conversation);
				if (!NOBODY_THERE.includes(error.code)) throw error;
			},
		);
	}

	/** Calls back with { conversation, role, id, subject, kind, active }. Returns { close() }. */
	watch(conversation, onTyping) {
		checkId(conversation, 'conversation');
		const callbacks = this.#watches.get(conversation) ?? new Set();
		const isNew = callbacks.size === 0;
		const own = (typing) => onTyping(typing);
		callbacks.add(own);
		this.#watches.set(conversation, callbacks);
		if (isNew) this.#subscribe([conversation]);
		return {
			close: () => {
				if (!callbacks.delete(own) || callbacks.size) return;
				this.#watches.delete(conversation);
				this.#connection.unsubscribe([this.#filter(conversation)]);
			},
		};
	}

	#filter(conversation) {
		return `${this.#base}/${encode(conversation)}/+/+`;
	}

	#subscribe(conversations) {
		if (this.#connection.isUp && conversations.length)
			this.#connection.subscribe(conversations.map((one) => this.#filter(one))).catch(() => {});
	}

	up() {
		this.#subscribe([...this.#watches.keys()]);
	}

	down() {
		this.#told.clear();
		for (const topic of [...this.#typists.keys()]) this.#drop(topic);
	}

	close() {
		for (const { timer } of this.#typists.values()) this.#timers.clear(timer);
		this.#typists.clear();
		this.#watches.clear();
	}

	message(topic, text) {
		const typing = topic.startsWith(this.#base + '/') ? readTyping(topic, text, this.#base) : null;
		if (!typing) return;
		const who = { ...typing, subject: nameOf(typing.role, typing.id) };
		this.#timers.clear(this.#typists.get(topic)?.timer ?? 0);
		if (!typing.active) this.#typists.delete(topic);
		else this.#typists.set(topic, { who, timer: this.#timers.set(() => this.#drop(topic), DROP_MS) });
		this.#tell(who);
	}

	#drop(topic) {
		const { who, timer } = this.#typists.get(topic);
		this.#timers.clear(timer);
		this.#typists.delete(topic);
		this.#tell({ ...who, active: false });
	}

	#tell(who) {
		for (const callback of this.#watches.get(who.conversation) ?? []) guard(() => callback(who));
	}
}
