// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
// Who watches whom: subscriptions, snapshots, and which transition is whose.
import { guard } from './events.js';
import { DIGESTS, RESPONSES, SUBJECTS_MAX, checkId, digestTopic, encode, readSubjectTopic, subjectOf, subjectTopic } from './wire.js';
import { Watcher, nobody, transition } from './watcher.js';

/** In one SUBSCRIBE. */
const FILTERS_AT_ONCE = 100;
/** So long after a digest disagreed it is compared once more: if nothing changes, none follows. */
const DOUBT_MS = 15_000;
/** So long after a connection began, every digest there is has been said. */
const DIGEST_MS = 11_000;
/** A watcher that may not read everything always disagrees: it asks ever more seldom. */
const SNAPSHOT_MS = 60_000;
const SNAPSHOT_MS_MAX = 3_600_000;
/** A broker whose queue is full drops answers, too: so long it is waited for one, then ever longer. */
const ANSWER_MS = 5000;
/** The same of questions about single subjects. */
const QUESTION_MS = 10_000;
/** Single subjects have no digest: so often they are subscribed to again. */
const AUDIT_MS = 60_000;
/** A command may have 64 KiB; a name in it may have characters of up to four bytes. */
const QUESTION_SIZE = 15_000;

const matcher = (filter) => {
	const prefix = filter.endsWith('/+/+') ? filter.slice(0, -3) : filter.endsWith('/+') ? filter.slice(0, -1) : '';
	return prefix ? (topic) => topic.startsWith(prefix) : (topic) => topic === filter;
};

export class Watches {
	#connection;
	#timers;
	#question; // (subjects) => Promise<{ subjects: [record, ..] }>
	#questionTimer = 0;
	#questionMs = QUESTION_MS;
	#questionAt = 0; // the number of the last one
	#told; // error(Error)
	#watches = new Set();
	#filters = new Map(); // filter -> { count, matches, isReady, isRefused, isAsked, sureAt, isRole, round }
	#watcher;
	#doubts = new Map(); // role -> timer
	#settleTimer = 0;
	#auditTimer = 0;
	#snapshotMs = SNAPSHOT_MS;
	#snapshotAt = 0;
	#waiting = new Set(); // filters about to be subscribed
	#round = 0; // of subscribing

	/** question: the command getPresence. */
	constructor(connection, timers, base, told, question) {
		this.#connection = connection;
		this.#timers = timers;
		this.#question = question;
		this.#watcher = new Watcher(base);
		this.#told = told;
		this.base = base;
	}

	/** what: { roles: [..] or "*" } or { subjects: [..] }, or both. Calls back with each change, first
	 * with all that is known. Returns { ready, close() }. */
	add({ roles = [], subjects = [] }, onChange) {
		const filters = new Set(
			roles === '*' ? [`${this.base}/+/+`] : roles.map((role) => `${this.base}/${encode(checkId(role, 'role'))}/+`),
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
		// Held first: what it is told may make the application close another one of the same.
		for (const filter of watch.filters) this.#hold(filter);
		for (const [topic, { record }] of [...this.#watcher.entries])
			if (this.#isOf(watch, topic)) guard(() => onChange(transition(record, null)));
		this.#checkReady();
		return { ready: watch.ready, close: () => this.#remove(watch) };
	}

	#digestsOf(filters) {
		return filters.map((one) => digestTopic(one, this.base)).filter(Boolean);
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
		const state = { isReady: false, isRefused: false, isAsked: false, sureAt: 0, round: 0 };
		this.#filters.set(filter, { count: 1, matches: matcher(filter), isRole, ...state });
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
		this.#connection.unsubscribe([...gone, ...this.#digestsOf(gone)]);
		const left = [...this.#filters.values()];
		this.#watcher.drop((topic) => !left.some((one) => one.matches(topic)));
	}

	// The connection

	up() {
		this.#waiting.clear();
		this.#subscribe([...this.#filters.keys()]);
		this.#auditTimer = this.#timers.set(() => this.#audit(), AUDIT_MS);
	}

	/** A record that was lost, or a wrong one that kept what came after it out, is not for ever. */
	#audit() {
		this.#auditTimer = this.#timers.set(() => this.#audit(), AUDIT_MS);
		const isDue = ([filter, one]) => one.isReady && !one.isAsked && !one.isRole && !this.#isInRole(filter);
		this.#subscribe([...this.#filters].filter(isDue).map(([filter]) => filter), true);
	}

	#isInRole(topic) {
		return [...this.#filters.values()].some((one) => one.isRole && one.matches(topic));
	}

	down() {
		this.#stamp([...this.#filters.values()]);
		for (const filter of this.#filters.values()) filter.isReady = filter.isAsked = false;
		this.#watcher.lost();
		for (const timer of [...this.#doubts.values(), this.#questionTimer, this.#settleTimer, this.#auditTimer])
			this.#timers.clear(timer);
		this.#doubts.clear();
		this.#settleTimer = 0;
		this.#questionMs = QUESTION_MS;
		this.#questionAt++;
	}

	/** Until now, what these brought was sure. */
	#stamp(filters) {
		const ready = filters.filter((one) => one.isReady);
		for (const one of ready) if (!one.isAsked) one.sureAt = this.#connection.heardAt;
		this.#watcher.stamp((topic) => ready.some((one) => one.matches(topic)), this.#connection.heardAt);
	}

	/** The broker has no plugin, or has one after all. Before up(). */
	set plain(isPlain) {
		this.#watcher.plain = isPlain;
	}

	get plain() {
		return this.#watcher.plain;
	}

	/** Records or digests have come that only the plugin says. */
	get hasPlugin() {
		return this.#watcher.hasPlugin;
	}

	/** What clients say counts now, or no more: everything is read again. */
	refresh() {
		if (this.#connection.isUp) this.#subscribe([...this.#filters.keys()]);
	}

	async #subscribe(filters, isAudit = false) {
		if (filters.length === 0) return;
		const round = ++this.#round;
		const held = filters.map((one) => this.#filters.get(one));
		this.#stamp(held);
		for (const one of held) Object.assign(one, { isReady: false, isRefused: false, isAsked: false, round });
		this.#watcher.subscribed((topic) => held.some((one) => one.matches(topic)));
		const isOver = () => !held.some((one) => one.round === round);
		try {
			const refused = [];
			for (let at = 0; at < filters.length; at += FILTERS_AT_ONCE)
				refused.push(...(await this.#answer(filters.slice(at, at + FILTERS_AT_ONCE), () => true)));
			filters.forEach((one, i) => (held[i].isRefused = refused.includes(one)));
			if (refused.length) this.#told(new Error(`the broker does not let us subscribe to ${refused.join(', ')}`));
			// Answered in order: behind everything that is retained; and so the digests.
			const digests = this.#digestsOf(filters);
			if (digests.length) await this.#answer(digests, isOver);
			await this.#answer([RESPONSES], isOver);
		} catch {
			return; // the connection is gone; up() will follow
		}
		this.#snapshotEnd(held.filter((one) => one.round === round), isAudit);
	}

	/** What was refused. Where the answer was dropped, it is asked again, ever more seldom, until
	 * isOver(): then it does not matter. */
	async #answer(filters, isOver) {
		for (let ms = ANSWER_MS; ; ms = Math.min(2 * ms, SNAPSHOT_MS)) {
			let timer;
			const none = new Promise((resolve) => {
				timer = this.#timers.set(() => resolve(null), ms);
			});
			const refused = await Promise.race([this.#connection.subscribe(filters), none]);
			this.#timers.clear(timer);
			if (refused) return refused;
			if (!this.#connection.isUp) throw new Error('not connected');
			if (isOver()) return [];
		}
	}

	/** Of filters that were not subscribed to once more in the meantime. */
	#snapshotEnd(held, isAudit) {
		if (!this.#connection.isUp) return;
		// What may not be read stays unknown.
		held = held.filter((one) => !one.isRefused);
		for (const one of held) one.isReady = true;
		// What another subscription is about to bring is not missing yet.
		const open = [...this.#filters.values()].filter((one) => !one.isReady && !one.isRefused);
		const isOver = (topic) => held.some((one) => one.matches(topic)) && !open.some((one) => one.matches(topic));
		// Those who are watched by themselves have no digest: the plugin is asked.
		for (const one of held) one.isAsked = !one.isRole && this.#question !== undefined && !this.plain;
		// Who was nobody is nobody, if nothing came: a question counts as activity.
		if (isAudit)
			for (const [filter, one] of this.#filters)
				if (held.includes(one) && !this.#watcher.find(filter)) one.isAsked = false;
		const isEnd = (topic) => isOver(topic) && !this.#isOnlyAsked(topic);
		for (const transition of this.#watcher.snapshotEnd(isEnd, this.#connection.heardAt)) this.#tell(transition);
		if (this.#watcher.isWaiting && !this.#settleTimer)
			this.#settleTimer = this.#timers.set(() => this.#settle(this.#settleTimer), DIGEST_MS);
		this.#ask();
		this.#checkReady();
	}

	/** Roles without a digest on this connection are asked for it once more, as it may have been left
	 * out: then they have none. */
	async #settle(timer) {
		const isOver = () => timer !== this.#settleTimer;
		const held = [...this.#filters].filter(([, one]) => one.isRole && one.isReady);
		try {
			if (held.length) await this.#answer(this.#digestsOf(held.map(([filter]) => filter)), isOver);
			if (held.length) await this.#answer([RESPONSES], isOver);
		} catch {
			return; // the connection is gone; up() will follow
		}
		if (isOver()) return;
		this.#settleTimer = 0;
		const isEnd = (topic) => held.some(([, one]) => one.isReady && one.matches(topic));
		for (const transition of this.#watcher.settle(isEnd, this.#connection.heardAt)) this.#tell(transition);
	}

	#isOnlyAsked(topic) {
		const covering = [...this.#filters.values()].filter((one) => one.matches(topic));
		return covering.some((one) => one.isAsked) && !covering.some((one) => one.isRole);
	}

	/** About whom nothing came: they are unknown to the broker, or it left them out. */
	async #ask() {
		for (const [topic, one] of this.#filters)
			if (one.isAsked && (this.#watcher.isFresh(topic) || !this.#isOnlyAsked(topic))) one.isAsked = false;
		const topics = [...this.#filters].filter(([, one]) => one.isAsked).map(([topic]) => topic);
		this.#timers.clear(this.#questionTimer);
		const number = ++this.#questionAt;
		for (const asked of questions(topics)) {
			try {
				const { subjects } = await this.#question(asked.map((topic) => readSubjectTopic(topic, this.base)));
				if (number !== this.#questionAt) return;
				asked.forEach((topic, i) => this.#answered(topic, subjects[i]));
			} catch (error) {
				if (number !== this.#questionAt) return;
				if (error.code === 'lost' || error.code === 'closed') return; // up() will follow
				this.#questionTimer = this.#timers.set(() => this.#ask(), this.#questionMs);
				this.#questionMs = Math.min(2 * this.#questionMs, SNAPSHOT_MS_MAX);
				return this.#checkReady();
			}
		}
		this.#questionMs = QUESTION_MS;
		this.#checkReady();
	}

	/** As of when it was asked: what has come since is newer. */
	#answered(topic, record) {
		const one = this.#filters.get(topic);
		if (!one?.isAsked) return;
		one.isAsked = false;
		if (record?.rev > 0) this.message(topic, JSON.stringify(record), true);
		else for (const transition of this.#watcher.absent(topic)) this.#tell(transition);
	}

	#checkReady() {
		const isThere = ({ isReady, isRefused, isAsked }) =>
			isRefused || (isReady && (!isAsked || this.#questionMs > QUESTION_MS));
		for (const watch of this.#watches)
			if (watch.filters.every((filter) => isThere(this.#filters.get(filter)))) watch.resolve();
	}

	// Messages

	/** False: it is none of ours. */
	message(topic, text, retain) {
		if (!topic.startsWith(this.base + '/') && !topic.startsWith(DIGESTS + '/')) return false;
		const found = this.#watcher.message(topic, text, retain, this.#connection.heardAt);
		this.#found(found);
		if (topic.startsWith('$') && found.asks === null) this.#doubt(topic);
		return true;
	}

	#found({ transitions, asks }) {
		for (const transition of transitions) this.#tell(transition);
		if (asks !== null) this.#snapshot();
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
			if (!this.#watcher.isDoubted(role)) this.#snapshotMs = SNAPSHOT_MS;
			if (!this.#watcher.isDoubtful(role)) return;
			const again = () => this.#found(this.#watcher.compareAgain(role, this.#connection.heardAt));
			this.#doubts.set(role, this.#timers.set(again, DOUBT_MS));
		}
	}

	#snapshot() {
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
		const record = this.#watcher.find(topic);
		const sureAt = record ? this.#recordSureAt(topic, role) : this.#absenceSureAt(topic, role);
		if (record) return { status: record.status, sureAt, record };
		if (sureAt > 0) return { status: 'offline', sureAt, record: nobody(role, id) };
		return { status: 'unknown', sureAt: 0, record: null };
	}

	#recordSureAt(topic, role) {
		const { at, fresh } = this.#watcher.entries.get(topic);
		if (!fresh) return at;
		const isSure = this.#connection.isUp && !this.#isDoubted(topic, role);
		return isSure ? this.#connection.heardAt : Math.max(at, this.#watcher.agreedAt(role));
	}

	/** Only whoever watches the role is told its digest. */
	#isDoubted(topic, role) {
		return this.#watcher.isDoubted(role) && [...this.#filters.values()].some((one) => one.isRole && one.matches(topic));
	}

	/** That there is no record. */
	#absenceSureAt(topic, role) {
		const covering = [...this.#filters.values()].filter((one) => one.matches(topic));
		if (covering.length === 0) return 0;
		if (this.#isDoubted(topic, role)) return this.#watcher.agreedAt(role);
		const isSure = covering.some((one) => one.isReady && !one.isAsked);
		return isSure && this.#connection.isUp ? this.#connection.heardAt : Math.max(...covering.map((one) => one.sureAt));
	}
}

/** As many as one command may have, and fewer where the names are long. */
function* questions(topics) {
	let some = [];
	let size = 0;
	for (const topic of topics) {
		if (some.length === SUBJECTS_MAX || size + topic.length > QUESTION_SIZE) {
			yield some;
			[some, size] = [[], 0];
		}
		some.push(topic);
		size += topic.length;
	}
	if (some.length) yield some;
}
