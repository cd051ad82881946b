// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
// The page: what arrives is noted, and drawn once per frame.
import { Connection } from "./connection.js";
import { Detail } from "./detail.js";
import { Grid } from "./grid.js";
import { STATUSES } from "../../../client-sdk/js/src/wire.js";
import { Subjects, View } from "./subjects.js";
import { Summary } from "./summary.js";
import { $, clockTime, count, glyph, make, setText, statusWord } from "./text.js";
import { Timeline } from "./timeline.js";

let total = 0;
let frame = 0;
let drawn = 0;
const subjects = new Subjects();
const view = new View(subjects);
const connection = new Connection(subjects, schedule);

// ---- what stays between visits: never a password -----------------------------------------------

const KEPT = ["broker", "username", "topic", "client"];
function recall(name) {
	try {
		return JSON.parse(localStorage.getItem(`presence-panel-${name}`));
	} catch {
		return null; // no storage here, or not ours
	}
}
function keep(name, value) {
	try {
		localStorage.setItem(`presence-panel-${name}`, JSON.stringify(value));
	} catch {
		// then it is asked again next time
	}
}

// ---- parts ---------------------------------------------------------------------------------------

let announcing = 0;
function announce(text, after = 0) {
	clearTimeout(announcing);
	announcing = setTimeout(() => setText($("announce"), text), after);
}

const grid = new Grid($("grid"), { view, onSelect: select, onSort: sort });
const detail = new Detail({ connection, onClose: deselect, announce });
const timeline = new Timeline($("events"), $("pause"), $("timeline-more"), { subjects, onSelect: select });
const summary = new Summary($("summary"), { subjects, onRole: (role) => {
	$("role").value = view.role === role ? "" : role;
	filter();
} });

let cameFrom = null;
function select(subject, from = null) {
	cameFrom = from;
	document.body.classList.add("with-detail");
	grid.select(subject);
	detail.open(subject);
	blockBehind();
}

function deselect() {
	if (!detail.subject) return;
	document.body.classList.remove("with-detail");
	detail.close();
	blockBehind();
	grid.select(null);
	if (cameFrom?.isConnected) cameFrom.focus();
	else grid.focusActive();
}

// On a narrow screen the detail covers the rest, which then is out of reach.
const narrow = matchMedia("(max-width: 1079px)");
function blockBehind() {
	const covered = narrow.matches && detail.subject !== null;
	for (const part of [$("people"), $("summary"), $("timeline"), document.querySelector(".tabs")])
		part.inert = covered;
}
narrow.addEventListener("change", blockBehind);
matchMedia("(max-width: 719px)").addEventListener("change", () => {
	grid.measure();
	grid.refresh();
});

// ---- filters and order -----------------------------------------------------------------------------

for (const status of STATUSES) {
	const box = make("input", { type: "checkbox", value: status });
	$("statuses").append(make("label", { class: `chip of-${status}`, title: statusWord(status) },
		box, glyph(status), make("span", { textContent: statusWord(status) })));
}

function filter() {
	view.role = $("role").value;
	view.text = $("text").value.trim().toLowerCase();
	view.statuses = new Set([...$("statuses").querySelectorAll(":checked")].map(({ value }) => value));
	view.rebuild();
	grid.restart();
	draw();
	announce(`${count(view.rows.length)} of ${count(total)} shown`, 800);
}
$("filters").addEventListener("input", filter);
$("filters").addEventListener("submit", (event) => event.preventDefault());
$("unfilter").addEventListener("click", () => {
	$("filters").reset();
	filter();
	$("text").focus();
});

function sort(column) {
	view.descending = view.column === column && !view.descending;
	view.column = column;
	grid.showOrder(column, view.descending);
	view.rebuild();
	grid.restart();
}
grid.showOrder(view.column, view.descending);

document.addEventListener("keydown", (event) => {
	if (event.key === "Escape" && detail.subject && !document.querySelector("dialog[open]")) {
		deselect();
	} else if (event.key === "/" && !event.target.closest("input, select, dialog")) {
		event.preventDefault();
		$("text").focus();
	}
});

// ---- drawing: at most once a frame ---------------------------------------------------------------

function schedule() {
	frame ||= requestAnimationFrame(step);
}

// Thirty times a second is as often as anybody can see a row change. Who stands where, the numbers and
// the timeline follow four times a second: rows that jump more often cannot be read, and to put 20,000
// in order costs something.
const ROWS_EVERY = 30;
const ORDER_EVERY = 250;
const unordered = new Set();
let ordered = 0;
let orderTimer = 0;

function step(now) {
	frame = 0;
	if (now - drawn < ROWS_EVERY) return schedule();
	drawn = now;
	const changes = subjects.takeChanges();
	for (const subject of changes) unordered.add(subject);
	const again = detail.subject?.gone ? subjects.all.get(detail.subject.name) : null;
	if (again?.record) { // forgotten, and there once more
		detail.subject = again;
		grid.selected = again; // focus stays where it is
	}
	if (changes.has(detail.subject)) detail.render();
	if (now - ordered >= ORDER_EVERY) return order(now);
	grid.touch();
	orderTimer ||= setTimeout(() => {
		orderTimer = 0; // the frame may be from a little before: then it is set again
		schedule();
	}, ORDER_EVERY - (now - ordered));
}

function order(now) {
	clearTimeout(orderTimer);
	orderTimer = 0;
	ordered = now;
	if (unordered.size) {
		view.update(unordered);
		unordered.clear();
		grid.refresh();
	}
	draw(now);
}

function draw(now = performance.now()) {
	const everyone = summary.render(view.role);
	total = 0;
	for (const n of everyone.values()) total += n;
	timeline.render(now);
	$("timeline-empty").hidden = $("events").childElementCount > 0;
	const filtered = view.rows.length !== total;
	setText($("matches"), filtered ? `${count(view.rows.length)} of ${count(total)}` : "");
	showRoles();
	showEmpty();
}

function showRoles() {
	// The one that is chosen, too, although another broker has nobody in it.
	const roles = ["", ...new Set([...subjects.counts.keys(), view.role].filter(Boolean).sort())];
	if (roles.join("\n") === [...$("role").options].map(({ value }) => value).join("\n")) return;
	$("role").replaceChildren(...roles.map((role) =>
		make("option", { value: role, textContent: role || "Every role" })));
	$("role").value = view.role;
}

function showEmpty() {
	const none = view.rows.length === 0;
	$("empty").hidden = !none;
	if (!none) return;
	$("unfilter").hidden = total === 0;
	setText($("empty-what"), total ? "Nobody matches." : {
		live: "Nobody is known to the broker yet. Whoever connects appears here.",
		loading: "Reading who is there…",
		connecting: "Connecting…",
	}[connection.state] ?? "Not connected.");
}

setInterval(() => {
	const now = Date.now();
	grid.tick(now);
	detail.tick(now);
	timeline.render(0);
	countdown(now);
}, 1000);

// ---- the connection --------------------------------------------------------------------------------

const LINK_WORDS = {
	closed: "Not connected", connecting: "Connecting…", loading: "Reading…", live: "Live",
	lost: "Connection lost", refused: "Refused",
};

function showLink() {
	const { state, why, lostAt, settings } = connection;
	document.body.dataset.link = state;
	$("link").dataset.state = state;
	setText($("link-state"), LINK_WORDS[state]);
	setText($("link-where"), settings ? settings.broker.replace(/^wss?:\/\//, "") : "");
	const [what, more] = {
		refused: ["The broker refused the connection.", why],
		lost: lostAt ? [`Connection lost at ${clockTime(lostAt)}.`, "You see how things stood then."]
			: ["The broker does not answer.", why],
		live: connection.incomplete ? ["Somebody is missing.", "The broker keeps records back: Mosquitto 2.0 " +
			"sends 1000 at once over WebSocket, unless max_queued_messages is higher."] : [],
	}[state] ?? [];
	$("banner").hidden = !what;
	$("retry").hidden = state === "live";
	setText($("banner-what"), what ?? "");
	setText($("banner-more"), more ?? "");
	countdown(Date.now());
	schedule();
}

function countdown(now) {
	const { state, retryAt } = connection;
	const seconds = Math.ceil((retryAt - now) / 1000);
	setText($("banner-when"), state !== "lost" ? "" : seconds > 0 ? `next try in ${seconds} s` : "trying…");
}

let wasLost = false;
connection.addEventListener("state", () => {
	const { state } = connection;
	showLink();
	if (state === "live" && wasLost) announce("Connected again.");
	if (state === "live") wasLost = false;
	else if (state === "lost") wasLost = true;
	if (state === "refused") showSettings(connection.why);
});
$("retry").addEventListener("click", () => connection.retryNow());

function showSettings(trouble = "") {
	const { elements } = $("settings-form");
	const known = connection.settings ?? recall("settings") ?? {};
	for (const name of KEPT) elements[name].value = known[name] ?? "";
	elements.broker.value ||= guess();
	elements.password.value = "";
	setText($("settings-trouble"), trouble);
	if ($("settings").open) return;
	$("settings").returnValue = ""; // that of the last time would outlive Esc
	$("settings").showModal();
}

function guess() {
	const secure = location.protocol === "https:";
	return `${secure ? "wss" : "ws"}://${location.hostname || "127.0.0.1"}:9001`;
}

$("link").addEventListener("click", () => showSettings());
$("settings").addEventListener("close", () => {
	if ($("settings").returnValue !== "connect") return;
	const settings = Object.fromEntries(new FormData($("settings-form")));
	const { password: _, ...kept } = settings;
	keep("settings", kept);
	deselect();
	connection.open(settings);
});

// ---- colours, tabs, start --------------------------------------------------------------------------

function paint(theme) {
	if (theme) document.documentElement.dataset.theme = theme;
	else delete document.documentElement.dataset.theme;
}
$("theme").addEventListener("change", ({ target }) => {
	paint(target.value);
	keep("theme", target.value);
});
const theme = recall("theme");
if (theme === "light" || theme === "dark") {
	paint(theme);
	$("theme").querySelector(`[value=${theme}]`).checked = true;
}

function tab(name) {
	document.body.dataset.tab = name;
	for (const each of ["people", "timeline"])
		$(`tab-${each}`).setAttribute("aria-pressed", each === name);
	grid.refresh();
}
$("tab-people").addEventListener("click", () => tab("people"));
$("tab-timeline").addEventListener("click", () => tab("timeline"));
tab("people");

// A link may say which broker: panel.html#broker=ws://127.0.0.1:9001&client=admin:ops:panel-*
const linked = Object.fromEntries(new URLSearchParams(location.hash.slice(1)));
const start = linked.broker ? linked : recall("settings");
showLink();
if (start?.broker && !(start.username && !linked.broker)) connection.open(start);
else showSettings();
