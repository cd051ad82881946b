// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
// The contract. Times are milliseconds; those of records since 1970-01-01 UTC. What a status, reason
// or command means: docs/PROTOCOL.md of mosquitto-presence.

export type Status = 'online' | 'away' | 'dnd' | 'offline';
export type Override = 'online' | 'away' | 'dnd' | 'invisible';
export type Kind = 'typing' | 'recording';
/** 'lost': it comes back by itself. 'closed': close() was called. */
export type State = 'connecting' | 'online' | 'lost' | 'closed';

/** "agent/u1"; with "%" in it, percent-encoded as in topics. Or both parts as they are. */
export type Subject = string | { role: string; id: string };

export interface PresenceRecord {
	role: string;
	id: string;
	/** One this library does not know reads as 'online': it is not offline. */
	status: Status;
	previous: Status;
	/** There will be more of them. */
	reason: string;
	source: 'inferred' | 'app' | 'manual' | (string & {});
	/** How many are up; 0 when offline. */
	devices: number;
	since: number;
	lastSeen: number;
	/** Rises with every record of a broker; 0: there is no record. */
	rev: number;
	node: string;
	/** '' when there is none. */
	note: string;
	/** When an override ends; 0 when there is none. */
	until: number;
}

export interface Change {
	/** As in topics: "agent/u1". */
	subject: string;
	role: string;
	id: string;
	status: Status;
	/** null: there was no record. */
	before: Status | null;
	record: PresenceRecord;
	/** The record is gone: offline for long, or an operator removed it. */
	forgotten: boolean;
}

export interface Lookup {
	/** 'unknown': nobody watches it, nothing has come yet, or the broker left something out. */
	status: Status | 'unknown';
	/** When this was last known to be so; while connected, when the broker was last heard, unless its
	 * digest says that something is missing here. 0: never. */
	sureAt: number;
	/** null when unknown. */
	record: PresenceRecord | null;
}

export interface Typing {
	conversation: string;
	role: string;
	id: string;
	subject: string;
	kind: Kind;
	active: boolean;
}

/** What promises of a client fail with; but for mistakes in what they are given, a TypeError. */
export interface PresenceError extends Error {
	/** lost: there is no connection, or it broke before the answer; timeout: none came; refused: the
	 * message is what the broker says; plain: this broker has no plugin; taken: another connection has
	 * the same client id; closed: so is the client. */
	code?: 'lost' | 'timeout' | 'refused' | 'plain' | 'taken' | 'closed';
}

/** As much of an mqtt.js client as is used. */
export interface MqttClientLike {
	connected: boolean;
	options: { protocolVersion?: number };
	on(event: any, listener: (...values: any[]) => void): unknown;
	off(event: any, listener: (...values: any[]) => void): unknown;
	publish(topic: string, payload: string, options: any, callback: any): unknown;
	subscribe(topics: any, callback: any): unknown;
	unsubscribe(topics: any, callback: any): unknown;
}

export interface Options {
	/** Who this is. Without both, the client watches, and is nobody itself. */
	role?: string;
	id?: string;
	/** Which of its devices. By default each tab is one, and the same after a reload; in Node, each
	 * client is a new one. */
	device?: string;
	/** By default role:id:device, as the broker's option identity expects it. */
	clientId?: string;
	/** Asked before each attempt to connect, so that tokens may expire. */
	credentials?: () => Credentials | Promise<Credentials>;
	/** More of mqtt.js's options: username, protocolVersion.. What is about reconnecting is ours. */
	connection?: object;
	/** mqtt.js, where "mqtt" leads nowhere: import * as mqtt from '..'. */
	mqtt?: object;

	/** Silence is noticed by the broker after 1.5 of it. 20 s. */
	keepaliveMs?: number;
	/** Sends a heartbeat so often; 0, the default: none. From 1 s to 1 h. */
	heartbeatMs?: number;
	/** A page that was hidden for so long is away; 0: never. 1 min. */
	hiddenAwayMs?: number;
	/** A page without any input for so long is away; 0: never. 5 min. */
	idleAwayMs?: number;
	/** The first attempt after a loss comes within firstMs, at a random time; each further one within
	 * twice as much, up to maxMs. 2 s, 30 s. */
	reconnect?: { firstMs?: number; maxMs?: number };
	/** How long to wait for the answer to a command. 10 s. */
	commandMs?: number;

	/** Whether the broker has the plugin. By default it is asked, on each connection; without an answer
	 * in detectMs (5 s) it has none. */
	plugin?: boolean | 'auto';
	detectMs?: number;
	/** The broker's options topic and typing_topic. */
	topic?: string;
	typingTopic?: string;
}

export interface Credentials {
	username?: string;
	password?: string;
}

export interface Watch {
	/** When all that is known now has been told. It waits for the connection. What the broker does not
	 * let us read is an 'error' of the client, and stays unknown. */
	readonly ready: Promise<void>;
	close(): void;
}

export interface PresenceClient {
	readonly state: State;
	/** What this device declares, by the application or because nobody is there; null: nothing. */
	readonly declared: { status: Status; note: string } | null;
	/** True: the broker has no plugin. A birth message and a last will are all there is then: status
	 * and note work, for one device a person; overrides, typing, heartbeats do not. */
	readonly isPlain: boolean;
	/** "agent/u1"; null: nobody. */
	readonly subject: string | null;

	/** Listeners to state and declared are told of changes. error: what went wrong where nobody waits
	 * for a promise, as wrong passwords; without a listener it goes to the console. Returns what takes
	 * the listener off again. */
	on(event: 'state', listener: (state: State) => void): () => void;
	on(event: 'declared', listener: (declared: { status: Status; note: string } | null) => void): () => void;
	on(event: 'error', listener: (error: PresenceError) => void): () => void;
	off(event: 'state' | 'declared' | 'error', listener: (value: any) => void): void;

	/** Of this device. Holds until something else is said, over reconnects too. Resolves when the broker
	 * has it, or something that was said later; it waits for the connection. */
	setStatus(status: Status, more?: { note?: string }): Promise<void>;
	/** Declares nothing any more: connected is online, and away without anybody there. */
	clearStatus(): Promise<void>;
	/** Changes the note alone; '' for none. */
	note(text: string): Promise<void>;
	/** This device is down until it says something, or connects again. The connection stays. */
	leave(): Promise<void>;
	/** One heartbeat: whoever sends one owes the next. See heartbeatMs for having it done. A status in it
	 * is not said again on the next connection, as that of setStatus() is. */
	heartbeat(more?: { intervalMs?: number; status?: 'online' | 'away' | 'dnd'; note?: string }): Promise<object>;
	/** To be called with each key; what need not be sent is not. It ends 2 to 5 s after the last call.
	 * Without a connection or a plugin nobody sees it, which is no error. */
	typing(conversation: string, more?: { kind?: Kind; active?: boolean }): Promise<void>;

	/** Of the person, over all devices; subject: of somebody else, for admins. Not kept for later:
	 * without a connection it fails. */
	setOverride(status: Override, more?: { note?: string; ttlMs?: number; subject?: Subject }): Promise<{ scope?: 'local' }>;
	clearOverride(more?: { subject?: Subject }): Promise<{ scope?: 'local' }>;
	/** Any command, its fields as in docs/PROTOCOL.md but durations in ms ({ interval, ttl }); resolves to
	 * its data. */
	command(name: string, fields?: Record<string, unknown>): Promise<any>;

	/** Calls back with everybody who is known, before it returns, then with each change of status, note,
	 * until or devices. Needs the right to read presence/#, and $SYS/broker/presence/# to notice what it missed. */
	watch(who: { roles?: string[] | '*'; subjects?: Subject[] }, onChange: (change: Change) => void): Watch;
	watchTyping(conversation: string, onTyping: (typing: Typing) => void): { close(): void };
	/** From what was heard, at once. Of whom nobody watches: unknown. */
	lookup(subject: Subject): Lookup;

	/** Leaves, says goodbye and stops for good. A client of the application stays connected, without our
	 * subscriptions. */
	close(): Promise<void>;
}

/** A client; it connects by itself and keeps at it. target: the URL of the broker's WebSocket (in Node
 * mqtt: and mqtts: too), or a client of mqtt.js, whose client id, will and reconnecting are the
 * application's. Throws a TypeError for options that cannot be right. */
export function createClient(target: string | URL | MqttClientLike, options?: Options): PresenceClient;

/** role and id as a subject's name, and back. They throw a TypeError for what is none. */
export function nameOf(role: string, id: string): string;
export function subjectOf(subject: Subject): { role: string; id: string };
