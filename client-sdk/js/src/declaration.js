// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
// What this device says of itself: what the application wants, or "away" when the person is not
// there. The broker is brought in line with it, on each connection anew: what a connection before
// declared may still hold.

export class Declaration {
	#send;
	#refused;
	#want = null; // { status, note }, or null: nothing
	#isAway = false;
	#hasLeft = false;
	#isBusy = false;
	#isUp = false;
	#sent; // what the broker has confirmed on this connection, as text; undefined: unknown
	#waiting = []; // { resolve, reject } of what was wanted since

	/** send(command, given): a promise that fails with what the broker says; refused(error): told of
	 * that when nobody waits for the promise. */
	constructor(send, refused) {
		this.#send = send;
		this.#refused = refused;
	}

	/** Promises resolve when the broker has it, or something that was wanted later. */
	setStatus(status, note) {
		this.#hasLeft = false;
		return this.#change({ status, note });
	}

	clearStatus() {
		this.#hasLeft = false;
		return this.#change(null);
	}

	/** Of the status that is wanted; of online, if none is. */
	setNote(note) {
		this.#hasLeft = false;
		return this.#change({ status: this.#want?.status ?? 'online', note });
	}

	leave() {
		this.#hasLeft = true;
		return this.#change(this.#want);
	}

	/** The person went away from the device, or came back to it. */
	setAway(isAway) {
		this.#isAway = isAway;
		this.#sync();
	}

	get isDown() {
		return this.#hasLeft || this.#want?.status === 'offline';
	}

	/** { status, note }, or null: nothing is declared. */
	get target() {
		if (this.#hasLeft) return { status: 'offline', note: '' };
		const isHere = !this.#want || this.#want.status === 'online';
		return this.#isAway && isHere ? { status: 'away', note: this.#want?.note ?? '' } : this.#want;
	}

	up() {
		this.#isUp = true;
		this.#sent = undefined;
		this.#isBusy = false;
		this.#sync();
	}

	down() {
		this.#isUp = false;
	}

	/** Whoever waits is told so. */
	close(error) {
		this.#isUp = false;
		for (const one of this.#waiting.splice(0)) one.reject(error);
	}

	#change(want) {
		this.#want = want;
		return new Promise((resolve, reject) => {
			this.#waiting.push({ resolve, reject });
			this.#sync();
		});
	}

	#command() {
		if (this.#hasLeft) return ['leave', {}];
		const target = this.target;
		return target ? ['setStatus', { status: target.status, note: target.note || undefined }] : ['clearStatus', {}];
	}

	async #sync() {
		if (!this.#isUp || this.#isBusy) return;
		const [name, given] = this.#command();
		const text = JSON.stringify([name, given]);
		const waiting = this.#waiting.splice(0);
		if (text === this.#sent) return waiting.forEach((one) => one.resolve());
		this.#isBusy = true;
		try {
			await this.#send(name, given);
			this.#sent = text;
			waiting.forEach((one) => one.resolve());
		} catch (error) {
			// Lost on the way, it is said again when the connection is back; refused, it is over.
			if (error.code === 'lost' || error.code === 'timeout') this.#waiting.unshift(...waiting);
			else {
				this.#sent = text;
				if (waiting.length) waiting.forEach((one) => one.reject(error));
				else this.#refused(error);
			}
			if (error.code === 'lost') return; // up() begins again
		}
		this.#isBusy = false;
		if (this.#waiting.length || JSON.stringify(this.#command()) !== this.#sent) this.#sync();
	}
}
