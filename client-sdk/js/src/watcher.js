// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
// What a watcher knows. Pure: messages in, transitions out. Somebody else subscribes, keeps the time
// and calls back.
import { digestHash, digestText, nameOf, readDigest, readRecord } from './wire.js';

/** Disagreeing so often in a row asks for a snapshot. */
const DISAGREEMENTS = 2;

const isTransition = (before, now) =>
	before.status !== now.status ||
	before.note !== now.note ||
	before.until !== now.until ||
	before.devices !== now.devices;

export class Watcher {
	/** base: the first level of the topics. */
	constructor(base = 'presence') {
		this.base = base;
		/** The broker has no plugin: see readRecord(). */
		this.plain = false;
		this.entries = new Map(); // topic -> { record, fresh, hash }
		this.roles = new Map(); // role -> { count, high, low, rev, misses, last }
	}

	/** Subscribing now, for the first time or again: what matches starts afresh. */
	subscribed(matches = () => true) {
		for (const [topic, entry] of this.entries) if (matches(topic)) entry.fresh = false;
		for (const digest of this.roles.values()) {
			digest.misses = 0;
			digest.last = null;
		}
	}

	/** All that was retained has come. Transitions: who is not there any more. */
	snapshotEnd(matches = () => true) {
		const transitions = [];
		for (const [topic, entry] of [...this.entries])
			if (!entry.fresh && matches(topic)) transitions.push(this.#forget(topic, entry));
		return transitions;
	}

	/** Nobody asks for it any more. */
	drop(matches) {
		for (const [topic, entry] of [...this.entries])
			if (matches(topic)) {
				this.#count(entry, -1);
				this.entries.delete(topic);
			}
	}

	/** { transitions, asks }; asks is the role whose digest disagreed too often. */
	message(topic, text, retain) {
		const digest = topic.startsWith('$') ? readDigest(topic, text) : null;
		if (digest) return { transitions: [], asks: retain ? null : this.#compare(digest) };
		const record = readRecord(topic, text, this);
		if (record === null) return { transitions: [], asks: null };
		const entry = this.entries.get(topic);
		const found = record === 'forgotten' ? entry && this.#forget(topic, entry) : this.#take(topic, entry, record);
		return { transitions: found ? [found] : [], asks: null };
	}

	#take(topic, entry, record) {
		const hasRev = record.rev > 0;
		if (entry?.fresh && hasRev && record.rev <= entry.record.rev) return null; // late, or twice
		const before = entry?.record ?? null;
		if (entry) this.#count(entry, -1);
		const now = { record, fresh: true, hash: digestHash(topic, record.rev) };
		this.entries.set(topic, now);
		this.#count(now, 1);
		return !before || isTransition(before, record) ? this.#transition(record, before, false) : null;
	}

	#forget(topic, entry) {
		this.#count(entry, -1);
		this.entries.delete(topic);
		const { role, id } = entry.record;
		return this.#transition({ ...nobody(role, id), previous: entry.record.status }, entry.record, true);
	}

	#transition(record, before, forgotten) {
		const { role, id, status } = record;
		return { subject: nameOf(role, id), role, id, status, before: before?.status ?? null, record, forgotten };
	}

	/** null, or the record as last heard. */
	find(topic) {
		return this.entries.get(topic)?.record ?? null;
	}

	isFresh(topic) {
		return this.entries.get(topic)?.fresh ?? false;
	}

	// Digests

	#role(role) {
		let digest = this.roles.get(role);
		if (!digest) this.roles.set(role, (digest = { count: 0, high: 0, low: 0, rev: 0, misses: 0, last: null }));
		return digest;
	}

	#count(entry, by) {
		const digest = this.#role(entry.record.role);
		digest.count += by;
		digest.high ^= entry.hash[0];
		digest.low ^= entry.hash[1];
		if (by > 0) digest.rev = Math.max(digest.rev, entry.record.rev);
	}

	#compare(told) {
		const own = this.#role(told.role);
		if (told.rev < own.rev) return null; // from before what we know
		own.last = told;
		if (told.count === own.count && told.xor === digestText(own.high, own.low)) own.misses = 0;
		else if (++own.misses >= DISAGREEMENTS) {
			own.misses = 0;
			return told.role;
		}
		return null;
	}

	/** Whether a role's digest disagreed, and what it said has not come since. */
	isDoubtful(role) {
		return (this.roles.get(role)?.misses ?? 0) > 0;
	}

	/** The last digest once more: nothing may have changed since it disagreed, and then none comes. */
	compareAgain(role) {
		const last = this.roles.get(role)?.last;
		return last ? this.#compare(last) : null;
	}
}

/** The record of somebody nothing is known of, as getPresence answers it. */
export function nobody(role, id) {
	return {
		role,
		id,
		status: 'offline',
		previous: 'offline',
		reason: 'unknown',
		source: 'inferred',
		devices: 0,
		since: 0,
		lastSeen: 0,
		rev: 0,
		node: '',
		note: '',
		until: 0,
	};
}
