// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
// What a watcher knows. Pure: messages in, transitions out. Somebody else subscribes, keeps the time
// and calls back.
import { digestHash, digestText, encode, nameOf, readDigest, readRecord } from './wire.js';

/** Disagreeing so often in a row asks for a snapshot. */
const DISAGREEMENTS = 2;

const isTransition = (before, now) =>
	before.status !== now.status ||
	before.note !== now.note ||
	before.until !== now.until ||
	before.devices !== now.devices;

const nothing = () => ({ count: 0, high: 0, low: 0 });

const add = (sum, [high, low], by) => {
	sum.count += by;
	sum.high ^= high;
	sum.low ^= low;
};

const equals = (told, sum) => told.count === sum.count && told.xor === digestText(sum.high, sum.low);

export class Watcher {
	/** base: how the topics begin. */
	constructor(base = 'presence') {
		this.base = base;
		/** The broker has no plugin: see readRecord(). */
		this.plain = false;
		/** Something came on this connection that only the plugin says. */
		this.hasPlugin = false;
		// topic -> { record, fresh, hash, at }; fresh: it came since it was last subscribed to; at: when
		// it was last sure, apart from what is sure as long as the connection is there.
		this.entries = new Map();
		// role -> { known, fresh: sums of its entries; rev: the highest of the fresh; told: its last digest;
		// isOld: that is of an earlier connection; misses; doubted: the digest disagrees; agreedAt }
		this.roles = new Map();
	}

	/** Subscribing now, for the first time or again: what matches starts afresh. */
	subscribed(matches = () => true) {
		for (const [topic, entry] of this.entries) {
			if (!entry.fresh || !matches(topic)) continue;
			entry.fresh = false;
			add(this.#role(entry.record.role).fresh, entry.hash, -1);
		}
		for (const [role, digest] of this.roles) {
			digest.misses = 0;
			if (matches(`${this.base}/${encode(role)}/`)) digest.rev = 0;
		}
	}

	/** So far, what matches was sure. */
	stamp(matches, at) {
		for (const [topic, entry] of this.entries)
			if (entry.fresh && !this.isDoubted(entry.record.role) && matches(topic)) entry.at = Math.max(entry.at, at);
	}

	/** The connection is. The broker of the next one may have begun anew: a digest of before is no proof
	 * of anything then, but that there may be more than what comes. */
	lost() {
		this.hasPlugin = false;
		for (const digest of this.roles.values()) digest.isOld = digest.told !== null;
	}

	/** All that was retained has come. Transitions: who is not there any more. A broker may have left
	 * something out: where the digest says so, who did not come is kept. */
	snapshotEnd(matches = () => true, at = 0) {
		for (const [role, digest] of this.roles)
			if (digest.told && matches(`${this.base}/${encode(role)}/`)) this.#judge(role, digest, at);
		return this.#sweep((topic, role) => matches(topic) && (this.plain || !this.isDoubted(role)));
	}

	/** Whether somebody is kept because no digest has come on this connection: see settle(). */
	get isWaiting() {
		return [...this.roles.values()].some((one) => one.isOld && one.doubted);
	}

	/** So long after snapshotEnd() that every digest there is has been said. Transitions. */
	settle(matches = () => true, at = 0) {
		for (const [role, digest] of this.roles)
			if (digest.isOld && matches(`${this.base}/${encode(role)}/`))
				Object.assign(digest, { told: null, isOld: false, misses: 0, doubted: false });
		return this.snapshotEnd(matches, at);
	}

	#judge(role, digest, at) {
		const { told, known, fresh } = digest;
		if (digest.isOld) {
			digest.doubted = Math.max(told.count, known.count) > fresh.count;
			return;
		}
		// Older than what came, it can still tell that there is too little.
		digest.doubted = told.rev < digest.rev ? told.count > fresh.count : !this.#agrees(role, digest);
		if (!digest.doubted) digest.agreedAt = at;
	}

	/** With what came; or with all that is known, which then is as it was. */
	#agrees(role, digest) {
		const { told, known, fresh } = digest;
		if (equals(told, fresh)) return true;
		if (!equals(told, known)) return false;
		for (const entry of this.entries.values())
			if (!entry.fresh && entry.record.role === role) {
				entry.fresh = true;
				add(fresh, entry.hash, 1);
			}
		digest.rev = Math.max(digest.rev, told.rev);
		return true;
	}

	#sweep(goes) {
		const transitions = [];
		for (const [topic, entry] of [...this.entries])
			if (!entry.fresh && goes(topic, entry.record.role)) transitions.push(this.#forget(topic, entry));
		return transitions;
	}

	/** The plugin says that nothing is known of it. Transitions. */
	absent(topic) {
		return this.#sweep((one) => one === topic);
	}

	/** Nobody asks for it any more. */
	drop(matches) {
		for (const [topic, entry] of [...this.entries])
			if (matches(topic)) {
				this.#count(entry, -1);
				this.entries.delete(topic);
			}
	}

	/** { transitions, asks }; asks is the role whose digest disagreed too often. at: now. */
	message(topic, text, retain, at = 0) {
		const digest = topic.startsWith('$') ? readDigest(topic, text) : null;
		if (digest) return this.#digest(digest, retain, at);
		const record = readRecord(topic, text, this);
		if (record === null) return { transitions: [], asks: null };
		// What is retained may be left of a plugin that is no more.
		if (record.rev > 0 && !retain) this.hasPlugin = true;
		const entry = this.entries.get(topic);
		const found = record === 'forgotten' ? entry && this.#forget(topic, entry) : this.#take(topic, entry, record, at);
		return { transitions: found ? [found] : [], asks: null };
	}

	#take(topic, entry, record, at) {
		const hasRev = record.rev > 0;
		if (entry?.fresh && hasRev && record.rev <= entry.record.rev) return null; // late, or twice
		const before = entry?.record ?? null;
		if (entry) this.#count(entry, -1);
		const now = { record, fresh: true, hash: digestHash(topic, record.rev), at };
		this.entries.set(topic, now);
		this.#count(now, 1);
		return !before || isTransition(before, record) ? transition(record, before) : null;
	}

	#forget(topic, entry) {
		this.#count(entry, -1);
		this.entries.delete(topic);
		const { role, id } = entry.record;
		return transition({ ...nobody(role, id), previous: entry.record.status }, entry.record, true);
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
		if (!digest) {
			const judged = { told: null, isOld: false, misses: 0, doubted: false, agreedAt: 0 };
			digest = { known: nothing(), fresh: nothing(), rev: 0, ...judged };
			this.roles.set(role, digest);
		}
		return digest;
	}

	#count(entry, by) {
		const digest = this.#role(entry.record.role);
		add(digest.known, entry.hash, by);
		if (entry.fresh) add(digest.fresh, entry.hash, by);
		if (by > 0) digest.rev = Math.max(digest.rev, entry.record.rev);
	}

	/** What is retained is from before: it says something of a snapshot, see snapshotEnd(). */
	#digest(told, retain, at) {
		const own = this.#role(told.role);
		Object.assign(own, { told, isOld: false });
		this.hasPlugin = true;
		return retain ? { transitions: [], asks: null } : this.#compare(told.role, own, at);
	}

	#compare(role, own, at) {
		const found = { transitions: [], asks: null };
		if (own.told.rev < own.rev) return found; // from before what we know
		own.doubted = !this.#agrees(role, own);
		if (!own.doubted) {
			own.misses = 0;
			own.agreedAt = at;
			found.transitions = this.#sweep((_, one) => one === role);
		} else if (++own.misses >= DISAGREEMENTS) {
			own.misses = 0;
			found.asks = role;
		}
		return found;
	}

	/** Whether a role's digest disagrees with what is known. */
	isDoubted(role) {
		return this.roles.get(role)?.doubted ?? false;
	}

	/** When a role's digest last agreed. */
	agreedAt(role) {
		return this.roles.get(role)?.agreedAt ?? 0;
	}

	/** Whether a role's digest disagreed, and what it said has not come since. */
	isDoubtful(role) {
		return (this.roles.get(role)?.misses ?? 0) > 0;
	}

	/** The last digest once more: nothing may have changed since it disagreed, and then none comes. */
	compareAgain(role, at = 0) {
		const own = this.roles.get(role);
		return own?.told ? this.#compare(role, own, at) : { transitions: [], asks: null };
	}
}

/** What an application is told; before: a record, or null. */
export function transition(record, before, forgotten = false) {
	const { role, id, status } = record;
	return { subject: nameOf(role, id), role, id, status, before: before?.status ?? null, record, forgotten };
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
