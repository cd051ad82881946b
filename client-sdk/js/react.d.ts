// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
import type { Change, PresenceClient, PresenceRecord, State, Status } from './index.js';

/** What a client says of itself, live. The client is made, and closed, by the application: one for
 * the whole page. */
export function usePresence(client: PresenceClient): {
	state: State;
	declared: PresenceClient['declared'];
	setStatus: PresenceClient['setStatus'];
	clearStatus: PresenceClient['clearStatus'];
};

/** Follows ids of a role ("agent") while the component is there. onStatusChange: each status, first the
 * one that is known, then each other one. */
export function useWatchedPresence(options: {
	client: PresenceClient;
	role?: string;
	ids: readonly string[];
	enabled?: boolean;
	onStatusChange?: (change: Change) => void;
}): {
	/** By id; of whom nothing is known there is none. */
	records: ReadonlyMap<string, PresenceRecord>;
	statusOf: (id: string) => Status | 'unknown';
	isOnline: (id: string) => boolean;
};
