// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
// What a page sees of the person before it: hidden, idle, gone, back; and of the network.

const INPUTS = ['pointerdown', 'pointermove', 'keydown', 'wheel', 'touchstart', 'scroll'];
const INPUT_EVERY_MS = 1000; // moving a pointer is a hundred events a second

/** Calls told.away(true or false), told.leaving(), told.back(), told.network(isOnline) and
 * told.doubt(): the connection may be dead. Away is who has been hidden for hiddenMs or without
 * input for idleMs; 0: never. Returns { close() }. */
export function watchPage({ hiddenMs, idleMs, timers, told, page = globalThis }) {
	const { document } = page;
	const undo = [];
	let isAway = false;
	let inputAt = 0;
	let timer = 0;

	const listen = (target, names, act, options) => {
		for (const name of names) {
			target.addEventListener(name, act, options);
			undo.push(() => target.removeEventListener(name, act, options));
		}
	};
	const tell = (away) => {
		if (away === isAway) return;
		isAway = away;
		told.away(away);
	};
	const arm = () => {
		timers.clear(timer);
		const ms = document.visibilityState === 'hidden' ? hiddenMs : idleMs;
		if (ms > 0) timer = timers.set(() => tell(true), ms);
	};
	const input = () => {
		if (document.visibilityState === 'hidden') return;
		const now = Date.now();
		if (!isAway && now - inputAt < INPUT_EVERY_MS) return;
		inputAt = now;
		arm();
		tell(false);
	};

	listen(document, ['visibilitychange'], () => {
		arm();
		if (document.visibilityState === 'visible') {
			tell(false);
			told.doubt();
		}
	});
	listen(page, INPUTS, input, { passive: true, capture: true });
	listen(document, ['resume'], () => told.doubt());
	listen(page, ['pagehide'], () => told.leaving());
	listen(page, ['pageshow'], (event) => event.persisted && told.back());
	listen(page, ['online'], () => told.network(true));
	listen(page, ['offline'], () => told.network(false));
	arm();

	return {
		close() {
			timers.clear(timer);
			for (const one of undo) one();
		},
	};
}
