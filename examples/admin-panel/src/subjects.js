// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
// Everyone we know of, what changed since it was last asked, and how many there are. No page here.
import { STATUSES } from "../../../client-sdk/js/src/wire.js";

const HISTORY_MAX = 50;
const TIMELINE_MAX = 200;

// So that u2 stands before u10.
const sortable = (text) =>
	text.toLowerCase().replace(/\d+/g, (digits) => digits.padStart(12, "0"));

export class Subjects {
	constructor() {
		this.all = new Map(); // "<role>/<id>" as in topics -> subject
		this.counts = new Map(); // role -> Map status -> how many
		this.timeline = []; // newest last
		this.transitions = 0; // how many there were in all
		this.changed = new Set(); // subjects, since takeChanges()
		this.snapshot = 0; // which one we are in: it grows with every subscription
	}

	// Another broker, other people.
	clear() {
		for (const subject of this.all.values()) {
			subject.gone = true;
			this.changed.add(subject);
		}
		this.all.clear();
		this.counts.clear();
	}

	takeChanges() {
		const changes = this.changed;
		this.changed = new Set();
		return changes;
	}

	// A transition, as the SDK's watcher tells it; before is the status then. Retained: it is how
	// things stand, no news, unless it differs from what we knew.
	apply({ subject: name, role, id, record, before, forgotten }, retained, now) {
		if (forgotten) return this.#forget(name, before, now);
		const subject = this.#get(name, role, id);
		if (before) this.#count(role, before, -1);
		this.#count(role, record.status, 1);
		subject.record = record;
		subject.since = record.since || now;
		subject.search = `${role}/${id} ${record.note} ${record.node}`.toLowerCase();
		this.changed.add(subject);
		if (before || !retained) this.#remember(subject, before ?? record.previous, record, now);
		else subject.history.push({ at: subject.since, ...step(record.previous, record) });
	}

	// device: null when it is forgotten.
	applyDevice(name, { role, id }, device, value) {
		const subject = this.#get(name, role, id);
		if (value) subject.devices.set(device, { ...value, seen: this.snapshot });
		else subject.devices.delete(device);
		if (subject.record) this.changed.add(subject);
	}

	beginSnapshot() {
		this.snapshot++;
	}

	// What is retained came again: devices that did not were forgotten. (The watcher tells of subjects.)
	endSnapshot() {
		for (const { devices } of this.all.values())
			for (const [name, { seen }] of devices) if (seen !== this.snapshot) devices.delete(name);
	}

	#forget(name, before, now) {
		const subject = this.all.get(name);
		this.all.delete(name);
		subject.gone = true;
		this.changed.add(subject);
		this.#count(subject.role, before, -1);
		this.#remember(subject, before, { status: "forgotten" }, now);
	}

	#get(name, role, id) {
		let subject = this.all.get(name);
		if (!subject) {
			subject = {
				name, role, id, record: null, since: 0, gone: false, search: "",
				order: `${sortable(role)}/${sortable(id)}/${id}`,
				devices: new Map(), history: [],
			};
			this.all.set(name, subject);
		}
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
const field = (name) => (a, b) => compare(a.record[name], b.record[name]);
const rank = ({ record }) => STATUSES.indexOf(record.status);

export const ORDERS = {
	role: byName,
	id: (a, b) => compare(sortable(a.id), sortable(b.id)),
	status: (a, b) => rank(a) - rank(b),
	note: (a, b) => compare(!a.record.note, !b.record.note) || field("note")(a, b),
	source: field("source"),
	since: (a, b) => b.since - a.since,
	devices: (a, b) => b.record.devices - a.record.devices,
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
		if (this.statuses.size && !this.statuses.has(record.status)) return false;
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
