// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/** How long to wait before trying again: anything from nothing to a limit that doubles each time.
 * The first time is spread too, so that a broker which restarts is not met by all at once. */
export class Backoff {
	constructor({ firstMs, maxMs }, random = Math.random) {
		this.firstMs = firstMs;
		this.maxMs = maxMs;
		this.random = random;
		this.failures = 0;
	}

	nextMs() {
		const limit = Math.min(this.maxMs, this.firstMs * 2 ** Math.min(this.failures++, 30));
		return Math.floor(this.random() * limit);
	}

	reset() {
		this.failures = 0;
	}
}
