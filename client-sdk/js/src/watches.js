// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
// Who watches whom: subscriptions, snapshots, and which transition is whose.
import { guard } from './events.js';
import { DIGESTS, RESPONSES, encode, subjectOf, subjectTopic } from './wire.js';
import { Watcher, nobody } from './watcher.js';

/** In one SUBSCRIBE. */
const FILTERS_AT_ONCE = 100;
/** So long after a digest disagreed it is compared once more: if nothing changes, none follows. */
const DOUBT_MS = 15_000;
/** A watcher that may not read everything always disagrees: it asks ever more seldom. */
const SNAPSHOT_MS = 60_000;
const SNAPSHOT_MS_MAX = 3_600_000;

const matcher = (filter) => {
	const prefix = filter.endsWith('/+/+') ? filter.slice(0, -3) : filter.endsWith('/+') ? filter.slice(0, -1) : '';
	return prefix ? (topic) => topic.startsWith(prefix) : (topic) => topic === filter;
};

export class Watches {
	#connection;
	#timers;
	#told; // error(Error)
	#watches = new Set();
	#filters = new Map(); // filter -> { count, matches, isReady, sureAt, isRole, round }
	#watcher;
	#doubts = new Map(); // role -> timer
	#snapshotMs = SNAPSHOT_MS;
	#snapshotAt = 0;
	#waiting = new Set(); // filters about to be subscribed
	#round = 0; // of subscribing

	constructor(connection, timers, base, told) {
		this.#connection = connection;
		this.#timers = timers;
		this.#watcher = new Watcher(base);
		this.#told = told;
		this.base = base;
	}

	/** what: { roles: [..] or "*" } or { subjects: [..] }, or both. Calls back with each change, first
	 * with all that is known. Returns { ready, close() }. */
	add({ roles = [], subjects = [] }, onChange) {
		const filters = new Set(
			roles === '*' ? [`${this.base}/+/+`] : roles.map((role) => `${this.base}/${encode(role)}/+`),
		);
		for (const one of subjects) {
			const { role, id } = subjectOf(one);
			filters.add(subjectTopic(role, id, this.base));
		}
		if (filters.size === 0) throw new TypeError('watch whom? give roles or subjects');
		const watch = { filters: [...filters], onChange, isClosed: false };
		watch.ready = new Promise((resolve) => {
			watch.resolve = resolve;
		});
		this.#watches.add(watch);
		this.#tellKnown(watch);
		for (const filter of watch.filters) this.#hold(filter);
		this.#checkReady();
		return { ready: watch.ready, close: () => this.#remove(watch) };
	}

	#tellKnown(watch) {
		const known = [...this.#watcher.entries].filter(([topic]) => this.#isOf(watch, topic));
		for (const [topic] of known) {
			const { role, id } = this.#watcher.find(topic);
			const record = this.#watcher.find(topic);
			guard(() =>
				watch.onChange({
					subject: topic.slice(this.base.length + 1),
					role,
					id,
					status: record.status,
					before: null,
					record,
					forgotten: false,
				}),
			);
		}
	}

	#isOf(watch, topic) {
		return watch.filters.some((filter) => matcher(filter)(topic));
	}

	#hold(filter) {
		const held = this.#filters.get(filter);
		if (held) {
			held.count++;
			return;
		}
		const isRole = filter.endsWith('/+');
		this.#filters.set(filter, { count: 1, matches: matcher(filter), isReady: false, sureAt: 0, isRole, round: 0 });
		if (!this.#connection.isUp) return;
		// All that is asked for in one go is subscribed to in one go.
		if (this.#waiting.size === 0) queueMicrotask(() => this.#subscribe(this.#takeWaiting()));
		this.#waiting.add(filter);
	}

	#takeWaiting() {
		const filters = [...this.#waiting].filter((one) => this.#filters.has(one));
		this.#waiting.clear();
		return filters;
	}

	#remove(watch) {
		if (watch.isClosed) return;
		watch.isClosed = true;
		this.#watches.delete(watch);
		const gone = watch.filters.filter((filter) => --this.#filters.get(filter).count === 0);
		for (const filter of gone) this.#filters.delete(filter);
		this.#connection.unsubscribe([...gone, ...gone.map(digestOf).filter(Boolean)]);
		const left = [...this.#filters.values()];
		this.#watcher.drop((topic) => !left.some((one) => one.matches(topic)));
	}

	// The connection

	up() {
		this.#waiting.clear();
		this.#subscribe([...this.#filters.keys()]);
	}

	down() {
		for (const filter of this.#filters.values()) {
			if (filter.isReady) filter.sureAt = this.#connection.heardAt;
			filter.isReady = false;
		}
		for (const timer of this.#doubts.values()) this.#timers.clear(timer);
		this.#doubts.clear();
	}

	/** The broker has no plugin, or has one after all. Before up(). */
	set plain(isPlain) {
		this.#watcher.plain = isPlain;
	}

	get plain() {
		return this.#watcher.plain;
	}

	/** What clients say counts now, or no more: everything is read again. */
	refresh() {
		if (this.#connection.isUp) this.#subscribe([...this.#filters.keys()]);
	}

	async #subscribe(filters) {
		if (filters.length === 0) return;
		const round = ++this.#round;
		const held = filters.map((one) => this.#filters.get(one));
		for (const one of held) Object.assign(one, { isReady: false, round });
		this.#watcher.subscribed((topic) => held.some((one) => one.matches(topic)));
		try {
			const refused = [];
			for (let at = 0; at < filters.length; at += FILTERS_AT_ONCE)
				refused.push(...(await this.#connection.subscribe(filters.slice(at, at + FILTERS_AT_ONCE))));
			if (refused.length) this.#told(new Error(`the broker does not let us subscribe to ${refused.join(', ')}`));
			// Answered in order: behind everything that is retained.
			const digests = filters.map(digestOf).filter(Boolean);
			await this.#connection.subscribe(digests.length ? digests : [RESPONSES]);
		} catch {
			return; // the connection is gone; up() will follow
		}
		this.#snapshotEnd(held.filter((one) => one.round === round));
	}

	/** Of filters that were not subscribed to once more in the meantime. */
	#snapshotEnd(held) {
		if (!this.#connection.isUp) return;
		for (const one of held) one.isReady = true;
		// What another subscription is about to bring is not missing yet.
		const open = [...this.#filters.values()].filter((one) => !one.isReady);
		const isOver = (topic) => held.some((one) => one.matches(topic)) && !open.some((one) => one.matches(topic));
		for (const transition of this.#watcher.snapshotEnd(isOver)) this.#tell(transition);
		this.#checkReady();
	}

	#checkReady() {
		for (const watch of this.#watches)
			if (watch.filters.every((filter) => this.#filters.get(filter).isReady)) watch.resolve();
	}

	// Messages

	/** False: it is none of ours. */
	message(topic, text, retain) {
		if (!topic.startsWith(this.base + '/') && !topic.startsWith(DIGESTS + '/')) return false;
		const { transitions, asks } = this.#watcher.message(topic, text, retain);
		for (const transition of transitions) this.#tell(transition);
		if (asks !== null) this.#ask();
		else if (topic.startsWith('$')) this.#doubt(topic);
		return true;
	}

	#tell(transition) {
		const topic = `${this.base}/${transition.subject}`;
		for (const watch of [...this.#watches])
			if (!watch.isClosed && this.#isOf(watch, topic)) guard(() => watch.onChange(transition));
	}

	#doubt(topic) {
		for (const role of this.#watcher.roles.keys()) {
			if (`${DIGESTS}/${encode(role)}` !== topic) continue;
			this.#timers.clear(this.#doubts.get(role) ?? 0);
			this.#doubts.delete(role);
			if (!this.#watcher.isDoubtful(role)) return;
			const again = () => this.#watcher.compareAgain(role) !== null && this.#ask();
			this.#doubts.set(role, this.#timers.set(again, DOUBT_MS));
		}
	}

	#ask() {
		const now = Date.now();
		if (now < this.#snapshotAt) return;
		this.#snapshotAt = now + this.#snapshotMs;
		this.#snapshotMs = Math.min(2 * this.#snapshotMs, SNAPSHOT_MS_MAX);
		this.#subscribe([...this.#filters].filter(([, one]) => one.isRole).map(([filter]) => filter));
	}

	// Questions

	/** { status, sureAt, record }: status is 'unknown' and record null when nobody watches it, or
	 * nothing has come yet. sureAt: ms since the epoch, 0 for never. */
	lookup(subject) {
		const { role, id } = subjectOf(subject);
		const topic = subjectTopic(role, id, this.base);
		const covering = [...this.#filters.values()].filter((one) => one.matches(topic));
		const isSure = covering.some((one) => one.isReady) || this.#watcher.isFresh(topic);
		const before = Math.max(0, ...covering.map((one) => one.sureAt));
		const sureAt = isSure && this.#connection.isUp ? this.#connection.heardAt : before;
		const record = this.#watcher.find(topic);
		if (record) return { status: record.status, sureAt, record };
		if (covering.length && sureAt > 0) return { status: 'offline', sureAt, record: nobody(role, id) };
		return { status: 'unknown', sureAt: 0, record: null };
	}
}

function digestOf(filter) {
	const [, role, rest] = filter.split('/');
	return rest === '+' ? `${DIGESTS}/${role}` : null;
}
