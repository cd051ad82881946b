// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
// Timers that keep their time. In a page they run in a worker: a browser runs those of a tab behind
// another one once a minute. Where no worker may be made (a strict CSP without worker-src blob:),
// and outside of pages, they are the ordinary ones.

/** The clock stood still for longer than this: the machine slept, or the page was frozen. */
const GAP_MS = 5000;
const TICK_MS = 1000;

// Runs in the worker, as text: it sees nothing from here.
const run = (tickMs, gapMs) => {
	const timers = new Map();
	let last = Date.now();
	setInterval(() => {
		const gap = Date.now() - last;
		last = Date.now();
		if (gap > gapMs) postMessage({ gap });
	}, tickMs);
	onmessage = ({ data: { id, ms, repeat } }) => {
		clearInterval(timers.get(id)); // of a timeout too: they share their numbers
		timers.delete(id);
		if (ms === undefined) return;
		const due = () => {
			if (!repeat) timers.delete(id);
			postMessage({ id });
		};
		timers.set(id, repeat ? setInterval(due, ms) : setTimeout(due, ms));
	};
};

function startWorker() {
	if (typeof document === 'undefined' || typeof Worker === 'undefined') return null;
	try {
		const source = `(${run})(${TICK_MS},${GAP_MS})`;
		const url = URL.createObjectURL(new Blob([source], { type: 'text/javascript' }));
		const worker = new Worker(url);
		URL.revokeObjectURL(url);
		return worker;
	} catch {
		return null;
	}
}

/** { set(act, ms), every(act, ms), clear(id), onGap, close() }. set() and every() return an id; ids
 * are never reused, and clearing one that is over does nothing. onGap(ms), to be set, is called when
 * the clock stood still. */
export function createTimers() {
	const acts = new Map(); // id -> { act, ms, repeat, native }
	let worker = startWorker();
	let next = 1;
	let last = Date.now();
	let watch;

	const due = (id) => {
		const timer = acts.get(id);
		if (!timer) return;
		if (!timer.repeat) acts.delete(id);
		timer.act();
	};
	const startNative = (id, timer) => {
		timer.native = timer.repeat
			? setInterval(() => due(id), timer.ms)
			: setTimeout(() => due(id), timer.ms);
	};
	const watchClock = () => {
		watch = setInterval(() => {
			const gap = Date.now() - last;
			last = Date.now();
			if (gap > GAP_MS) timers.onGap?.(gap);
		}, TICK_MS);
		watch.unref?.();
	};
	const add = (act, ms, repeat) => {
		const id = next++;
		const timer = { act, ms, repeat };
		acts.set(id, timer);
		if (worker) worker.postMessage({ id, ms, repeat });
		else startNative(id, timer);
		return id;
	};

	const timers = {
		onGap: null,
		set: (act, ms) => add(act, ms, false),
		every: (act, ms) => add(act, ms, true),
		clear(id) {
			const timer = acts.get(id);
			if (!timer) return;
			acts.delete(id);
			if (timer.native) clearInterval(timer.native);
			else worker?.postMessage({ id });
		},
		close() {
			for (const id of [...acts.keys()]) timers.clear(id);
			worker?.terminate();
			clearInterval(watch);
		},
	};
	if (worker) {
		worker.onmessage = ({ data }) => (data.gap ? timers.onGap?.(data.gap) : due(data.id));
		// A CSP may refuse it later on.
		worker.onerror = () => {
			worker = null;
			for (const [id, timer] of acts) startNative(id, timer);
			watchClock();
		};
	} else watchClock();
	return timers;
}
