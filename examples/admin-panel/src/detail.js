// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
// One subject: how it is, its devices, what happened to it, and what an admin may do about it.
import { $, ago, agoWords, clockTime, fullTime, glyph, make, reasonWord, setText, sourceWord, statusWord } from "./text.js";
import { entryOf } from "./timeline.js";

// What identity's default rules made the device's name from; only ever a suggestion.
export function clientIds({ role, id, devices }) {
	if (role === "client") return [id];
	const names = [...devices].filter(([, { status }]) => status !== "offline").map(([name]) => name);
	return names.map((name) => (name.startsWith(`${role}:`) ? name : `${role}:${id}:${name}`));
}

function confirm(title, what, yes) {
	const dialog = $("confirm");
	setText($("confirm-title"), title);
	setText($("confirm-what"), what);
	setText($("confirm-yes"), yes);
	dialog.returnValue = "";
	dialog.showModal();
	return new Promise((resolve) => {
		dialog.addEventListener("close", () => resolve(dialog.returnValue === "yes"), { once: true });
	});
}

export class Detail {
	constructor({ connection, onClose, announce }) {
		this.connection = connection;
		this.announce = announce;
		this.subject = null;
		this.asked = null; // what getPresence said of it: fresher than its record
		$("detail-close").addEventListener("click", onClose);
		connection.addEventListener("admin", () => this.#showRights());
		connection.addEventListener("state", () => this.#showRights());
		$("override").addEventListener("submit", (event) => this.#override(event));
		$("kick").addEventListener("submit", (event) => this.#kick(event));
		$("clear").addEventListener("click", () =>
			this.#do({ command: "clearOverride", ...this.#who() }, "The override is cleared."));
		$("forget").addEventListener("click", () => this.#forget());
	}

	open(subject) {
		this.subject = subject;
		this.shown = null;
		this.asked = null;
		this.#say("");
		$("override").reset();
		$("kick").reset();
		$("kick").elements.clientid.value = clientIds(subject)[0] ?? "";
		$("detail").hidden = false;
		this.render();
		this.#showRights();
		this.#refresh();
		$("detail-title").focus({ preventScroll: true });
		$("detail").querySelector(".scroll").scrollTop = 0;
	}

	close() {
		this.subject = null;
		$("detail").hidden = true;
	}

	// Called after each change of the subject.
	render() {
		const { subject } = this;
		if (!subject) return;
		const { record, gone } = subject;
		const status = gone ? "forgotten" : record.status;
		if (this.shown && this.shown !== status)
			this.announce(`${subject.role}/${subject.id}: ${statusWord(status)}`);
		this.shown = status;
		setText($("detail-role"), subject.role);
		setText($("detail-title"), subject.id);
		$("detail-glyph").replaceChildren(glyph(status));
		$("detail-status").replaceChildren(statusWord(status),
			...(record.note ? [make("q", { textContent: record.note })] : []));
		$("detail").dataset.status = status;
		this.#facts();
		this.#devices();
		$("history").replaceChildren(...subject.history.map((entry) => entryOf(entry)).reverse());
		this.tick(Date.now());
	}

	tick(now) {
		if (!this.subject || !this.since) return;
		setText(this.since, `${ago(now - this.subject.since)} · ${clockTime(this.subject.since)}`);
		if (this.lastSeen) setText(this.lastSeen, agoWords(now - this.seenAt));
	}

	#facts() {
		const { subject, asked } = this;
		const { record } = subject;
		const facts = [];
		const fact = (name, value, title = "") => {
			const dd = make("dd", { textContent: value, title });
			facts.push(make("dt", { textContent: name }), dd);
			return dd;
		};
		this.since = fact("Since", "", fullTime(subject.since));
		fact("Before", statusWord(record.previous));
		fact("Because", reasonWord(record.reason), record.reason);
		fact("Decided by", sourceWord(record.source), record.source);
		if (record.until) fact("Until", fullTime(record.until));
		this.seenAt = Math.max(record.lastSeen, asked?.last_seen ?? 0);
		this.lastSeen = this.seenAt ? fact("Last seen", "", fullTime(this.seenAt)) : null;
		if (record.node) fact("Node", record.node);
		fact("Revision", String(record.rev));
		$("facts").replaceChildren(...facts);
	}

	#devices() {
		const { subject } = this;
		const items = [...subject.devices].sort(([a], [b]) => (a < b ? -1 : 1)).map(([name, device]) =>
			make("li", {}, glyph(device.status), make("b", { textContent: name }),
				make("span", { textContent: statusWord(device.status) }),
				make("span", { class: "why", textContent: reasonWord(device.reason) })));
		if (!items.length) {
			const { devices } = this.asked ?? subject.record;
			items.push(make("li", { class: "none" }, devices === 0 ? "None is connected."
				: `${devices} connected. With device_topics true the broker tells which.`));
		}
		$("devices").replaceChildren(...items);
		$("clientids").replaceChildren(...clientIds(subject).map((value) => make("option", { value })));
	}

	// last_seen moves without a record: this one is asked for.
	#refresh() {
		const { subject } = this;
		this.connection.ask({ command: "getPresence", subjects: [subject.name] }).then(({ subjects }) => {
			if (this.subject !== subject) return;
			this.asked = subjects?.[0] ?? null;
			this.render();
		}, () => {}); // then the record is all there is
	}

	// ---- steering --------------------------------------------------------------------------

	#who() {
		return { role: this.subject.role, id: this.subject.id };
	}

	#say(outcome, trouble = "") {
		setText($("outcome"), outcome);
		setText($("trouble"), trouble);
	}

	#showRights() {
		const { admin, state } = this.connection;
		const words = state !== "live" ? "Not connected: nothing can be changed now." : admin;
		$("not-admin").hidden = !words;
		setText($("not-admin"), words ?? "");
		for (const fieldset of document.querySelectorAll("fieldset.admin"))
			fieldset.disabled = state !== "live" || Boolean(admin);
	}

	async #do(command, done) {
		this.#say("");
		const { subject } = this;
		try {
			const { scope } = await this.connection.ask(command);
			if (this.subject !== subject) return this.announce(done);
			this.#say(scope === "local" ? `${done} On this broker, and elsewhere when Redis is back.` : done);
		} catch (error) {
			if (this.subject === subject) this.#say("", error.message);
			else this.announce(error.message);
		}
	}

	#override(event) {
		event.preventDefault();
		const { status, note, ttl } = event.target.elements;
		const command = { command: "setOverride", ...this.#who(), status: status.value };
		if (note.value.trim()) command.note = note.value.trim();
		if (ttl.value) command.ttl = Number(ttl.value);
		this.#do(command, `Set: ${statusWord(status.value)}.`);
	}

	async #kick(event) {
		event.preventDefault();
		const clientid = event.target.elements.clientid.value.trim();
		if (await confirm("Kick this client?", `The broker ends the connection of ${clientid}. ` +
			"It may connect again at once.", "Kick"))
			this.#do({ command: "kick", clientid }, `${clientid} was disconnected.`);
	}

	async #forget() {
		const { role, id } = this.#who();
		if (await confirm("Forget this record?", `The record of ${role}/${id} is removed for everybody, ` +
			"until they connect again.", "Forget"))
			this.#do({ command: "forget", role, id }, `${role}/${id} is forgotten.`);
	}
}
