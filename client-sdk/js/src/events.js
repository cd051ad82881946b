// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/** on(), off() and emit() of a few named events. What a listener throws is reported, and keeps
 * nobody else from hearing. */
export class Events {
	#listeners = new Map();

	/** Returns a function that takes the listener off again. */
	on(name, listener) {
		if (!this.#listeners.has(name)) this.#listeners.set(name, new Set());
		this.#listeners.get(name).add(listener);
		return () => this.off(name, listener);
	}

	off(name, listener) {
		this.#listeners.get(name)?.delete(listener);
	}

	/** Whether anybody listened. */
	emit(name, ...values) {
		const listeners = [...(this.#listeners.get(name) ?? [])];
		for (const listener of listeners) guard(() => listener(...values));
		return listeners.length > 0;
	}
}

/** Calls the application; its mistakes are its own. */
export function guard(call) {
	try {
		call();
	} catch (error) {
		if (typeof reportError === 'function') reportError(error);
		else console.error(error);
	}
}
