// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
// How many there are, per role and status: a card each, which filters by that role.
import { STATUSES } from "../../../client-sdk/js/src/wire.js";
import { count, glyph, make, setText, statusWord } from "./text.js";

export class Summary {
	constructor(element, { subjects, onRole }) {
		this.element = element;
		this.subjects = subjects;
		this.onRole = onRole;
		this.cards = new Map();
		this.#card("");
	}

	render(chosen) {
		const everyone = new Map();
		const { counts } = this.subjects;
		for (const role of new Set([...counts.keys(), ...this.cards.keys()].sort())) {
			if (!role) continue;
			if (!this.cards.has(role)) this.#card(role);
			const own = counts.get(role) ?? new Map();
			for (const [status, n] of own) everyone.set(status, (everyone.get(status) ?? 0) + n);
			this.#fill(role, own, chosen);
		}
		this.#fill("", everyone, chosen);
		return everyone;
	}

	#card(role) {
		const card = make("button", { type: "button", class: "card" });
		card.numbers = {};
		card.bars = {};
		card.shown = {}; // numbers
		card.total = make("span", { class: "total" });
		const bar = make("span", { class: "bar", "aria-hidden": "true" });
		const list = make("span", { class: "numbers" });
		for (const status of STATUSES) {
			const number = make("b");
			list.append(make("span", { class: `number of-${status}`, title: statusWord(status) },
				glyph(status), number, make("span", { class: "unseen", textContent: ` ${statusWord(status)}, ` })));
			card.numbers[status] = number;
			card.bars[status] = make("i", { class: `is-${status}` });
			bar.append(card.bars[status]);
		}
		card.append(make("span", { class: "role", textContent: role || "Everyone" }), card.total, bar, list);
		card.addEventListener("click", () => this.onRole(role));
		this.cards.set(role, card);
		const after = [...this.cards.keys()].sort();
		const next = this.cards.get(after[after.indexOf(role) + 1]);
		this.element.insertBefore(card, next ?? null);
	}

	#fill(role, counts, chosen) {
		const card = this.cards.get(role);
		let total = 0;
		for (const n of counts.values()) total += n;
		card.hidden = role !== "" && total === 0 && chosen !== role;
		card.setAttribute("aria-pressed", chosen === role);
		setText(card.total, count(total));
		for (const status of STATUSES) {
			const n = counts.get(status) ?? 0;
			if (card.shown[status] === n) continue;
			card.shown[status] = n;
			setText(card.numbers[status], count(n));
			card.numbers[status].parentNode.classList.toggle("none", n === 0);
			card.bars[status].hidden = n === 0;
			card.bars[status].style.flexGrow = n;
		}
	}
}
