// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
// Each tab is a device of its own. Its name outlives a reload, in sessionStorage; but a tab that is
// duplicated takes the storage with it, so a name belongs to the page that holds its lock.

/** A reload may start before the page before it has let go. */
const LOCK_WAIT_MS = 300;

export function randomName() {
	const bytes = crypto.getRandomValues(new Uint8Array(6));
	return Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('');
}

/** { name: Promise<string>, renew(): Promise<string>, close() } */
export function claimDevice(key, page = globalThis) {
	const stored = `presence-device:${key}`;
	let release = null;

	const read = () => {
		try {
			return page.sessionStorage?.getItem(stored) ?? null;
		} catch {
			return null; // storage may be forbidden
		}
	};
	const write = (name) => {
		try {
			page.sessionStorage?.setItem(stored, name);
		} catch {
			/* then a reload is another device */
		}
		return name;
	};
	/** True when the name is ours until close(). Without locks (they need https or localhost) a
	 * duplicate shows when its connection takes over ours: renew(). */
	const lock = (name) => {
		const locks = page.navigator?.locks;
		if (!locks) return Promise.resolve(true);
		return new Promise((resolve) => {
			const signal = AbortSignal.timeout(LOCK_WAIT_MS);
			const held = () =>
				new Promise((free) => {
					release = free;
					resolve(true);
				});
			locks.request(`${stored}:${name}`, { signal }, held).catch(() => resolve(false));
		});
	};
	const claim = async () => {
		const old = read();
		if (old && (await lock(old))) return old;
		const name = write(randomName());
		await lock(name);
		return name;
	};
	return {
		name: claim(),
		async renew() {
			release?.();
			const name = write(randomName());
			await lock(name);
			return name;
		},
		close: () => release?.(),
	};
}
