// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
// Each tab is a device of its own. Its name outlives a reload, in sessionStorage; but a tab that is
// duplicated takes the storage with it, so a name belongs to the page that took it first.

/** For an answer; and a reload may start before the page before it has let go. */
const WAIT_MS = 300;

/** To be told apart, not to be secret. */
export function randomName() {
	return Array.from({ length: 12 }, () => Math.floor(16 * Math.random()).toString(16)).join('');
}

/** { name: Promise<string>, renew(): Promise<string>, close() } */
export function claimDevice(key, timers, page = globalThis) {
	const stored = `presence-device:${key}`;
	let release = () => {};

	const storage = () => {
		try {
			return page.sessionStorage ?? null;
		} catch {
			return null; // it may be forbidden; then a reload is another device
		}
	};
	const take = (name, isNew) => {
		if (page.navigator?.locks) return lock(name, isNew);
		return page.BroadcastChannel ? ask(name, isNew) : Promise.resolve(true);
	};
	/** True: the name is ours until release(). */
	const lock = (name, isNew) =>
		new Promise((resolve) => {
			const held = () =>
				new Promise((free) => {
					release = free;
					resolve(true);
				});
			// Not AbortSignal.timeout(): in a tab that opens behind another one it may take a minute.
			const waiting = new AbortController();
			if (!isNew) timers.set(() => waiting.abort(), WAIT_MS);
			const { signal } = waiting;
			page.navigator.locks.request(`${stored}:${name}`, { signal }, held).catch(() => resolve(false));
		});
	/** The same without locks, which need https or localhost: whoever has it says so; of two who ask at
	 * once, the one with the lower number. */
	const ask = (name, isNew) =>
		new Promise((resolve) => {
			const channel = new page.BroadcastChannel(`${stored}:${name}`);
			const number = Math.random();
			let isOurs = isNew;
			const timer = timers.set(() => {
				isOurs = true;
				resolve(true);
			}, WAIT_MS);
			release = () => channel.close();
			channel.onmessage = ({ data }) => {
				if (data.asks !== undefined && (isOurs || number < data.asks)) channel.postMessage({ taken: true });
				else if (!isOurs) {
					timers.clear(timer);
					release();
					resolve(false);
				}
			};
			channel.postMessage({ asks: number });
		});
	const invent = () => {
		const name = randomName();
		try {
			storage()?.setItem(stored, name);
		} catch {
			/* it is full: the same as forbidden */
		}
		take(name, true);
		return name;
	};
	const claim = async () => {
		if (!storage()) return randomName();
		const old = storage().getItem(stored);
		return old && (await take(old, false)) ? old : invent();
	};
	return {
		name: claim(),
		async renew() {
			release();
			return storage() ? invent() : randomName();
		},
		close: () => release(),
	};
}
