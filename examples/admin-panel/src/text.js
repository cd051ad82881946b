// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
// Words for statuses, reasons and times; small helpers for the page.

export const STATUS_WORDS = {
	online: "Online", away: "Away", dnd: "Do not disturb", offline: "Offline",
	invisible: "Invisible", forgotten: "Forgotten",
};
export const statusWord = (status) => STATUS_WORDS[status] ?? status;

export const SOURCE_WORDS = { inferred: "connection", app: "app", manual: "override" };
export const sourceWord = (source) => SOURCE_WORDS[source] ?? source;

const REASON_WORDS = {
	connect: "connected", disconnect: "said goodbye", lost: "connection lost",
	keepalive: "fell silent", heartbeat: "heartbeats", will: "last will", kicked: "kicked",
	leave: "left", app: "said so", idle: "idle", override: "override",
	override_expired: "override over", broker_restart: "not back after a restart",
	node_lost: "broker lost", protocol: "protocol error", unknown: "connection ended",
};
export const reasonWord = (reason) => REASON_WORDS[reason] ?? reason;

const UNITS = [[86400, "d"], [3600, "h"], [60, "min"], [1, "s"]];

// 42 s, 3 min 05 s, 2 h 11 min, 5 d 3 h: two units, none below a second.
export function ago(ms) {
	let seconds = Math.max(0, Math.floor(ms / 1000));
	const first = UNITS.findIndex(([size]) => seconds >= size);
	if (first === -1) return "now";
	const [size, unit] = UNITS[first];
	const text = `${Math.floor(seconds / size)} ${unit}`;
	seconds %= size;
	if (first === 3) return text;
	const [below, small] = UNITS[first + 1];
	return `${text} ${String(Math.floor(seconds / below)).padStart(2, "0")} ${small}`;
}

export const agoWords = (ms) => (ms < 1000 ? "now" : `${ago(ms)} ago`);

const clock = new Intl.DateTimeFormat(undefined, { timeStyle: "medium" });
const full = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "medium" });
export const clockTime = (ms) => clock.format(ms);
export const fullTime = (ms) => (ms ? full.format(ms) : "never");

const number = new Intl.NumberFormat();
export const count = (n) => number.format(n);

export const $ = (id) => document.getElementById(id);

// make("p", { class: "x", textContent: "y" }, child, ...)
export function make(tag, properties = {}, ...children) {
	const element = document.createElement(tag);
	for (const [name, value] of Object.entries(properties)) {
		if (name in element) element[name] = value;
		else element.setAttribute(name === "class" ? "class" : name, value);
	}
	element.append(...children);
	return element;
}

const SVG = "http://www.w3.org/2000/svg";
export function glyph(status) {
	const svg = document.createElementNS(SVG, "svg");
	svg.setAttribute("class", `glyph is-${status}`);
	svg.setAttribute("viewBox", "0 0 16 16");
	svg.setAttribute("aria-hidden", "true");
	const use = document.createElementNS(SVG, "use");
	use.setAttribute("href", `#shape-${status}`);
	svg.append(use);
	return svg;
}
export function setGlyph(svg, status) {
	if (svg.getAttribute("class") === `glyph is-${status}`) return;
	svg.setAttribute("class", `glyph is-${status}`);
	svg.firstChild.setAttribute("href", `#shape-${status}`);
}

// Writes only what differs: most of what a frame might write is there already.
export function setText(node, text) {
	if (node.textContent !== text) node.textContent = text;
}
