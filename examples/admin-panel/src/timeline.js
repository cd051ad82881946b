// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
// The last transitions of everyone. It waits while it is paused, pointed at or has focus: who reads
// it is not to be outrun.
import { clockTime, count, glyph, make, reasonWord, setText, statusWord } from "./text.js";

const SHOWN = 30;
const EVERY = 250;

// What happened, in words: "online -> away", "2 devices", "note: lunch".
export function happened({ previous, status, note, devices }) {
	if (previous !== status && previous !== undefined)
		return `${statusWord(previous)} → ${statusWord(status)}`;
	const many = devices === undefined ? "" : `, ${count(devices)} ${devices === 1 ? "device" : "devices"}`;
	return `${statusWord(status)}${note ? "" : many}`;
}

export function entryOf({ at, status, reason, note, ...more }, subject) {
	const item = make("li", { class: "event" }, glyph(status));
	const what = make("span", { class: "what" });
	if (subject)
		what.append(make("span", { class: "who", textContent: `${subject.role}/${subject.id}` }));
	what.append(make("span", { class: "step", textContent: happened({ status, note, ...more }) }));
	const why = [reason ? reasonWord(reason) : "", note ? `“${note}”` : ""].filter(Boolean);
	if (why.length) what.append(make("span", { class: "why", textContent: why.join(" · ") }));
	item.append(what, make("time", {
		dateTime: new Date(at).toISOString(), textContent: clockTime(at),
	}));
	return item;
}

export class Timeline {
	constructor(list, pause, more, { subjects, onSelect }) {
		this.list = list;
		this.more = more;
		this.subjects = subjects;
		this.newest = 0; // number of the newest shown
		this.drawn = 0;
		this.paused = false;
		pause.addEventListener("click", () => {
			this.paused = !this.paused;
			pause.setAttribute("aria-pressed", this.paused);
			setText(pause.querySelector("span"), this.paused ? "Paused" : "Pause");
			this.render(0);
		});
		list.addEventListener("click", (event) => {
			const { subject } = event.target.closest("li") ?? {};
			if (subject && !subject.gone) onSelect(subject, event.target.closest("button"));
		});
	}

	get waits() {
		return this.paused || this.list.matches(":hover, :focus-within");
	}

	render(now) {
		const { timeline, transitions } = this.subjects;
		const fresh = transitions - this.newest;
		if (this.waits) {
			setText(this.more, fresh ? `${count(fresh)} more` : "");
			return;
		}
		setText(this.more, "");
		if (!fresh || now - this.drawn < EVERY && now) return;
		this.drawn = now;
		for (const entry of timeline.slice(-Math.min(fresh, SHOWN))) this.list.prepend(this.#item(entry));
		while (this.list.childElementCount > SHOWN) this.list.lastChild.remove();
		this.newest = transitions;
	}

	#item(entry) {
		const item = entryOf(entry, entry.subject);
		const who = item.querySelector(".who");
		who.replaceWith(make("button", { type: "button", class: "who", textContent: who.textContent }));
		item.subject = entry.subject;
		return item;
	}
}
