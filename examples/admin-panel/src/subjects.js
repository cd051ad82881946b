// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
// Everyone we know of, what changed since it was last asked, and how many there are. No page here.

export const STATUSES = ["online", "away", "dnd", "offline"];
const HISTORY_MAX = 50;
const TIMELINE_MAX = 200;

// So that u2 stands before u10.
const sortable = (text) =>
	text.toLowerCase().replace(/\d+/g, (digits) => digits.padStart(12, "0"));

const differs = (a, b) =>
	a.status !== b.status || a.note !== b.note || a.until !== b.until || a.devices !== b.devices;

export class Subjects {
	constructor() {
		this.all = new Map(); // "<role>/<id>" -> subject
		this.counts = new Map(); // role -> Map status -> how many
		this.timeline = []; // newest last
		this.transitions = 0; // how many there were in all
		this.changed = new Set(); // subjects, since takeChanges()
		this.snapshot = 0; // which one we are in: it grows with every subscription
	}

	get(role, id) {
		return this.all.get(`${role}/${id}`);
	}

	takeChanges() {
		const changes = this.changed;
		this.changed = new Set();
		return changes;
	}

	// What is retained comes again after a subscription: whoever does not was forgotten.
	beginSnapshot() {
		this.snapshot++;
	}
	endSnapshot(now) {
		for (const subject of this.all.values()) {
			if (subject.seen !== this.snapshot) this.forget(subject.role, subject.id, now);
			else
				for (const [name, device] of subject.devices)
					if (device.seen !== this.snapshot) subject.devices.delete(name);
		}
	}

	// A record arrived. Retained: it is how things stand, no news, unless it differs from what we knew.
	apply(role, id, record, retained, now) {
		const known = this.get(role, id);
		const subject = known ?? this.#add(role, id);
		// Revs count within one connection only: a broker that lost its data may begin lower.
		if (subject.seen === this.snapshot && record.rev <= subject.record.rev) return null;
		const before = subject.record;
		if (before) this.#count(role, before.status, -1);
		this.#count(role, record.status, 1);
		subject.record = record;
		subject.seen = this.snapshot;
		subject.since = record.since ?? now;
		subject.search = `${role}/${id} ${record.note ?? ""} ${record.node ?? ""}`.toLowerCase();
		this.changed.add(subject);
		if (before ? differs(before, record) : !retained)
			this.#remember(subject, before?.status ?? record.previous, record, now);
		else if (!known) subject.history.push({ at: subject.since, ...step(record.previous, record) });
		return subject;
	}

	applyDevice(role, id, name, device) {
		const subject = this.get(role, id) ?? this.#add(role, id);
		if (device) subject.devices.set(name, { ...device, seen: this.snapshot });
		else subject.devices.delete(name);
		if (subject.record) this.changed.add(subject);
	}

	forget(role, id, now) {
		const subject = this.get(role, id);
		if (!subject) return;
		this.all.delete(`${role}/${id}`);
		subject.gone = true;
		this.changed.add(subject);
		if (!subject.record) return;
		this.#count(role, subject.record.status, -1);
		this.#remember(subject, subject.record.status, { status: "forgotten" }, now);
	}

	#add(role, id) {
		const subject = {
			role, id, record: null, since: 0, seen: 0, gone: false, search: "",
			order: `${sortable(role)}/${sortable(id)}/${id}`,
			devices: new Map(), history: [],
		};
		this.all.set(`${role}/${id}`, subject);
		return subject;
	}

	#count(role, status, by) {
		let counts = this.counts.get(role);
		if (!counts) this.counts.set(role, (counts = new Map()));
		counts.set(status, (counts.get(status) ?? 0) + by);
	}

	#remember(subject, previous, record, now) {
		const entry = { at: now, ...step(previous, record) };
		subject.history.push(entry);
		if (subject.history.length > HISTORY_MAX) subject.history.shift();
		this.timeline.push({ subject, number: ++this.transitions, ...entry });
		if (this.timeline.length > 2 * TIMELINE_MAX) this.timeline.splice(0, TIMELINE_MAX);
	}
}

const step = (previous, { status, reason, note, devices }) =>
	({ previous, status, reason, note, devices });

// ---- which of them, and in which order ---------------------------------------------------------

const compare = (a, b) => (a < b ? -1 : a > b ? 1 : 0);
const byName = (a, b) => compare(a.order, b.order);
const field = (name) => (a, b) => compare(a.record[name] ?? "", b.record[name] ?? "");
const rank = ({ record: { status } }) => (STATUSES.indexOf(status) + 5) % 5;

export const ORDERS = {
	role: byName,
	id: (a, b) => compare(sortable(a.id), sortable(b.id)),
	status: (a, b) => rank(a) - rank(b),
	note: (a, b) => compare(!a.record.note, !b.record.note) || field("note")(a, b),
	source: field("source"),
	since: (a, b) => b.since - a.since,
	devices: (a, b) => (b.record.devices ?? 0) - (a.record.devices ?? 0),
	node: field("node"),
};

export class View {
	constructor(subjects) {
		this.subjects = subjects;
		this.rows = [];
		this.role = "";
		this.statuses = new Set(); // empty: any
		this.text = "";
		this.column = "role";
		this.descending = false;
	}

	matches({ gone, role, record, search }) {
		if (gone || !record) return false;
		if (this.role && role !== this.role) return false;
		const status = STATUSES.includes(record.status) ? record.status : "other";
		if (this.statuses.size && !this.statuses.has(status)) return false;
		return !this.text || this.text.split(/\s+/).every((word) => search.includes(word));
	}

	#compare() {
		const order = ORDERS[this.column];
		const sign = this.descending ? -1 : 1;
		return (a, b) => sign * order(a, b) || byName(a, b);
	}

	rebuild() {
		this.rows = [...this.subjects.all.values()].filter((s) => this.matches(s)).sort(this.#compare());
	}

	// The others kept their places: those that changed are taken out, sorted and merged in again.
	update(changes) {
		const order = this.#compare();
		const moved = [...changes].filter((s) => this.matches(s)).sort(order);
		const rows = [];
		let next = 0;
		for (const row of this.rows) {
			if (changes.has(row)) continue;
			while (next < moved.length && order(moved[next], row) < 0) rows.push(moved[next++]);
			rows.push(row);
		}
		while (next < moved.length) rows.push(moved[next++]);
		this.rows = rows;
	}
}
