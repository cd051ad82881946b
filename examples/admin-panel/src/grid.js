// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
// The table: only the rows in sight are in the page, each bound to its subject, so that focus and a
// reader's place stay with the subject when rows move. One row can have focus (the active one), and
// stays in the page wherever it is.
import { ago, count, fullTime, glyph, make, setGlyph, setText, sourceWord, statusWord } from "./text.js";

const OVERSCAN = 6;
const COLUMNS = ["role", "id", "status", "note", "source", "since", "devices", "node"];

export class Grid {
	constructor(grid, { view, onSelect, onSort }) {
		this.grid = grid;
		this.view = view;
		this.onSelect = onSelect;
		this.scroller = grid.querySelector(".rows");
		this.body = grid.querySelector(".space");
		this.rows = new Map(); // subject -> row in the page
		this.free = [];
		this.active = null; // subject
		this.activeIndex = 0;
		this.chosen = false; // somebody went to the active row; else it is the first in sight
		this.selected = null;
		this.top = null; // the first subject in sight, and how much of it is above
		this.measure();
		this.scroller.addEventListener("scroll", () => this.#scrolled(), { passive: true });
		// To ask for these after writing would make the browser lay out the page in between.
		this.inSight = this.scroller.clientHeight;
		this.scrollTop = 0;
		new ResizeObserver(([{ contentRect }]) => {
			this.inSight = contentRect.height;
			this.render();
		}).observe(this.scroller);
		grid.addEventListener("keydown", (event) => this.#key(event));
		this.body.addEventListener("click", (event) => this.#clicked(event));
		this.body.addEventListener("focusin", (event) => {
			const row = event.target.closest("[role=row]");
			if (row?.subject) this.#activate(row.subject);
		});
		for (const button of grid.querySelectorAll("button[data-column]"))
			button.addEventListener("click", () => onSort(button.dataset.column));
	}

	// How high a row is, the style sheet says: more on a phone.
	measure() {
		this.height = parseInt(getComputedStyle(this.grid).getPropertyValue("--row"), 10) || 44;
	}

	showOrder(column, descending) {
		for (const header of this.grid.querySelectorAll("[role=columnheader]")) {
			const button = header.querySelector("button");
			if (button?.dataset.column === column)
				header.setAttribute("aria-sort", descending ? "descending" : "ascending");
			else header.removeAttribute("aria-sort");
		}
	}

	select(subject) {
		this.selected = subject;
		if (subject) {
			this.active = subject;
			this.chosen = true;
		}
		this.render();
	}

	focusActive() {
		const row = this.rows.get(this.active) ?? this.rows.values().next().value;
		row?.focus({ preventScroll: true });
	}

	// Other rows, or another order: whoever comes to them begins at the top.
	restart() {
		this.chosen = this.rows.get(this.active)?.contains(document.activeElement) ?? false;
		this.refresh();
	}

	// The rows changed: whoever was first in sight stays where it was.
	refresh() {
		const { rows } = this.view;
		if (this.top && this.scrollTop >= this.height) {
			const index = this.top.subject.gone ? -1 : rows.indexOf(this.top.subject);
			if (index >= 0 && index !== this.top.index) {
				this.#stretch();
				this.#scrollTo(this.scrollTop + (index - this.top.index) * this.height);
			}
		}
		this.render();
	}

	render() {
		const { rows } = this.view;
		this.#stretch();
		const first = Math.max(0, Math.floor(this.scrollTop / this.height) - OVERSCAN);
		const visible = Math.ceil(this.inSight / this.height) + 2 * OVERSCAN;
		const shown = rows.slice(first, first + visible).map((subject, i) => ({ subject, index: first + i }));
		this.#keepActive(rows, shown, first);
		this.#bind(shown);
		this.#order(shown);
		this.#noteTop();
	}

	// What changed in sight is written where it stands.
	touch() {
		const now = Date.now();
		for (const [subject, row] of this.rows)
			if (row.record !== subject.record) this.#fill(row, subject, now);
	}

	// As high as all rows would be.
	#stretch() {
		const { length } = this.view.rows;
		if (this.stretched === length * this.height) return;
		this.stretched = length * this.height;
		this.body.style.height = `${this.stretched}px`;
		this.grid.setAttribute("aria-rowcount", length + 1);
		// Fewer rows than before may have moved it.
		this.scrollTop = Math.max(0, Math.min(this.scrollTop, this.stretched - this.inSight));
	}

	#scrollTo(y) {
		this.scroller.scrollTop = y;
		this.scrollTop = this.scroller.scrollTop;
	}

	tick(now) {
		for (const [subject, row] of this.rows) setText(row.cells.since, ago(now - subject.since));
	}

	// ---- rows ------------------------------------------------------------------------------

	#keepActive(rows, shown, first) {
		const before = this.active;
		let index = this.chosen ? rows.indexOf(before) : -1;
		if (index === -1) {
			const start = this.chosen ? this.activeIndex : Math.ceil(this.scrollTop / this.height);
			index = Math.min(start, rows.length - 1);
			this.active = rows[index] ?? null;
		}
		this.activeIndex = Math.max(0, index);
		if (index === -1) return;
		if (index < first) shown.unshift({ subject: this.active, index });
		else if (index >= first + shown.length) shown.push({ subject: this.active, index });
		// Its row leaves the page: focus goes on to the one that took its place.
		if (before !== this.active && this.rows.get(before)?.contains(document.activeElement))
			this.refocus = true;
	}

	#bind(shown) {
		const wanted = new Set(shown.map(({ subject }) => subject));
		for (const [subject, row] of this.rows) {
			if (wanted.has(subject)) continue;
			this.rows.delete(subject);
			row.subject = null;
			this.free.push(row);
		}
		const now = Date.now();
		for (const { subject, index } of shown) {
			let row = this.rows.get(subject);
			if (!row) {
				row = this.free.pop() ?? this.#makeRow();
				row.subject = subject;
				this.rows.set(subject, row);
				this.#fill(row, subject, now);
			} else if (row.record !== subject.record) this.#fill(row, subject, now);
			this.#place(row, subject, index);
		}
		for (const row of this.free) row.remove();
	}

	#makeRow() {
		const cells = {};
		const row = make("div", { role: "row", class: "row", tabIndex: -1 });
		for (const [i, name] of COLUMNS.entries()) {
			cells[name] = make("span", { role: "gridcell", class: `cell of-${name}`, "aria-colindex": i + 1 });
			row.append(cells[name]);
		}
		row.glyph = glyph("offline");
		row.word = make("span", { class: "word" });
		cells.status.append(row.glyph, row.word);
		row.cells = cells;
		return row;
	}

	#fill(row, subject, now) {
		const { record } = subject;
		row.record = record;
		setText(row.cells.role, subject.role);
		setText(row.cells.id, subject.id);
		setGlyph(row.glyph, record.status);
		setText(row.word, statusWord(record.status));
		setText(row.cells.note, record.note);
		setText(row.cells.source, sourceWord(record.source));
		setText(row.cells.since, ago(now - subject.since));
		if (row.since !== subject.since) row.cells.since.title = fullTime((row.since = subject.since));
		setText(row.cells.devices, count(record.devices));
		setText(row.cells.node, record.node);
		row.dataset.status = record.status;
		row.classList.toggle("overridden", record.source === "manual");
	}

	#place(row, subject, index) {
		const y = index * this.height;
		if (row.y !== y || row.index !== index) {
			Object.assign(row, { y, index });
			row.style.transform = `translateY(${y}px)`;
			row.setAttribute("aria-rowindex", index + 2);
			row.classList.toggle("odd", index % 2 === 1);
		}
		const selected = String(subject === this.selected);
		if (row.getAttribute("aria-selected") !== selected) row.setAttribute("aria-selected", selected);
		const tabIndex = subject === this.active ? 0 : -1;
		if (row.tabIndex !== tabIndex) row.tabIndex = tabIndex;
	}

	// In the page as on the screen, for those who read it in that order; the row that has focus is
	// never moved, the others are moved around it.
	#order(shown) {
		const rows = shown.map(({ subject }) => this.rows.get(subject));
		if (!rows.length) return;
		let middle = rows.findIndex((row) => row.contains(document.activeElement));
		if (middle === -1) {
			middle = 0;
			if (this.body.firstChild !== rows[0]) this.body.prepend(rows[0]);
		}
		for (let i = middle + 1; i < rows.length; i++)
			if (rows[i - 1].nextSibling !== rows[i]) rows[i - 1].after(rows[i]);
		for (let i = middle - 1; i >= 0; i--)
			if (rows[i + 1].previousSibling !== rows[i]) rows[i + 1].before(rows[i]);
		if (this.refocus) {
			this.refocus = false;
			this.focusActive();
		}
	}

	#noteTop() {
		const index = Math.floor(this.scrollTop / this.height);
		const subject = this.view.rows[index];
		this.top = subject ? { subject, index } : null;
	}

	// ---- what people do ----------------------------------------------------------------------

	#scrolled() {
		this.scrollTop = this.scroller.scrollTop;
		this.pending ??= requestAnimationFrame(() => {
			this.pending = undefined;
			this.render();
		});
	}

	#activate(subject) {
		this.chosen = true;
		if (this.active === subject) return;
		const before = this.rows.get(this.active);
		if (before) before.tabIndex = -1;
		this.active = subject;
		this.activeIndex = this.view.rows.indexOf(subject);
		this.rows.get(subject).tabIndex = 0;
	}

	#clicked(event) {
		const row = event.target.closest("[role=row]");
		if (row?.subject) this.onSelect(row.subject);
	}

	#key(event) {
		const row = event.target.closest(".space [role=row]");
		if (!row || event.altKey || event.ctrlKey || event.metaKey) return;
		const page = Math.max(1, Math.floor(this.inSight / this.height) - 1);
		const steps = {
			ArrowDown: 1, ArrowUp: -1, PageDown: page, PageUp: -page, Home: -Infinity, End: Infinity,
		};
		if (event.key in steps) this.#go(this.activeIndex + steps[event.key]);
		else if (event.key === "Enter" || event.key === " ") this.onSelect(row.subject);
		else return;
		event.preventDefault();
	}

	#go(to) {
		const { rows } = this.view;
		const index = Math.max(0, Math.min(rows.length - 1, to));
		if (!rows.length) return;
		const y = index * this.height;
		if (y < this.scrollTop) this.#scrollTo(y);
		else if (y + this.height > this.scrollTop + this.inSight) this.#scrollTo(y + this.height - this.inSight);
		this.render();
		this.rows.get(rows[index])?.focus({ preventScroll: true });
	}
}
