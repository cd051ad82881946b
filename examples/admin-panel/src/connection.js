// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
// The broker: connected, lost, back. Records go to `subjects`, commands get their answers.
import mqtt from "mqtt";
import { Backoff } from "../../../client-sdk/js/src/backoff.js";
import { Watcher } from "../../../client-sdk/js/src/watcher.js";
import {
	COMMANDS, commandsText, DIGESTS, readReplies, readSubjectTopic, RESPONSES, subjectTopic, textOf,
} from "../../../client-sdk/js/src/wire.js";

const ANSWER_WITHIN = 5000;
const SILENCE = 3000;
const SUBSCRIBE_EVERY = 60000;
const COMPARE_EVERY = 12000; // digests come every 10 s, when anything changed
const SETTLE_AFTER = 11000; // by then every digest there is has been said

const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

export class Connection extends EventTarget {
	#client = null;
	#waiting = new Map(); // correlation data -> { resolve, reject, timer }
	#asked = 0;
	#backoff = new Backoff({ firstMs: 1000, maxMs: 20000 });
	#retry = 0;
	#watcher = null;
	#random = ""; // of the client id: the same when it comes back
	#subscribedAt = 0;
	#heardAt = 0;
	#again = false; // it subscribed once more because something was missing

	// onRecord is called after each message that changed something: often.
	constructor(subjects, onRecord) {
		super();
		this.onRecord = onRecord;
		this.subjects = subjects;
		this.state = "closed"; // closed, connecting, loading, live, lost, refused
		this.why = "";
		this.lostAt = 0;
		this.retryAt = 0;
		this.incomplete = false;
		this.admin = null; // what the plugin says to who is none; "" for admins; null: not known yet
		addEventListener("online", () => this.retryNow());
		setInterval(() => this.#compare(), COMPARE_EVERY);
	}

	open(settings) {
		this.close();
		this.settings = settings;
		this.topic = settings.topic || "presence";
		this.#random = Math.random().toString(16).slice(2, 10);
		this.#backoff.reset();
		this.lostAt = 0;
		this.#watcher = new Watcher(this.topic);
		this.subjects.clear();
		this.#become("connecting");
		this.#try();
	}

	close() {
		clearTimeout(this.#retry);
		this.#drop();
		this.#become("closed");
	}

	retryNow() {
		if (this.state !== "lost" && this.state !== "refused") return;
		if (this.#client) return; // it is trying
		this.#become(this.lostAt ? "lost" : "connecting");
		this.#try();
	}

	// A client of its own for each attempt: nothing of an old one is sent or heard later.
	#try() {
		clearTimeout(this.#retry);
		this.retryAt = 0;
		const { broker, client: id, username, password } = this.settings;
		const random = this.#random;
		let client;
		try {
			client = mqtt.connect(broker, {
				clientId: id ? id.replace("*", random) : `mqttjs_panel_${random}`,
				username: username || undefined,
				password: password || undefined,
				protocolVersion: 5,
				keepalive: 20,
				connectTimeout: 10000,
				reconnectPeriod: 0, // we spread our attempts ourselves
				resubscribe: false,
				queueQoSZero: false,
			});
		} catch (error) {
			this.#refused(error.message);
			return;
		}
		this.#client = client;
		const on = (name, act) =>
			client.on(name, (...values) => client === this.#client && act(...values));
		on("connect", () => this.#connected());
		on("message", (topic, payload, packet) => this.#message(topic, payload, packet));
		on("error", (error) => this.#failed(error));
		on("close", () => this.#lost());
	}

	#drop() {
		const client = this.#client;
		this.#client = null;
		client?.end(true);
		this.#watcher?.lost();
		for (const { reject, timer } of this.#waiting.values()) {
			clearTimeout(timer);
			reject(new Error("The connection was lost before the answer came."));
		}
		this.#waiting.clear();
	}

	// Trying again by itself would not help.
	#refused(why) {
		this.#drop();
		this.#become("refused", why);
	}

	// What the plugin answers, or an Error in its words.
	ask(command) {
		if (!this.#client?.connected) return Promise.reject(new Error("There is no connection to the broker."));
		const correlationData = `p${++this.#asked}`;
		return new Promise((resolve, reject) => {
			const timer = setTimeout(() => {
				this.#waiting.delete(correlationData);
				reject(new Error(`No answer within ${ANSWER_WITHIN / 1000} s. Is the plugin loaded, and may ` +
					`you write to ${COMMANDS} and read ${RESPONSES}?`));
			}, ANSWER_WITHIN);
			this.#waiting.set(correlationData, { resolve, reject, timer });
			this.#client.publish(COMMANDS, commandsText([{ ...command, correlationData }]));
		});
	}

	#become(state, why = "") {
		this.state = state;
		this.why = why;
		this.dispatchEvent(new Event("state"));
	}

	#connected() {
		this.#backoff.reset();
		this.incomplete = this.#again = false;
		this.admin = null;
		this.#become("loading");
		this.#subscribe();
	}

	// Once the records are here: the answer would come behind them all. No answer is none: it is asked again.
	async #askAdmin() {
		const client = this.#client;
		for (let why = null; why !== "" && client === this.#client && client.connected; ) {
			try {
				await this.ask({ command: "listNodes" });
				why = "";
			} catch (error) {
				why = error.message;
				if (client !== this.#client) return;
				if (error.isAnswer) return this.#adminIs(why);
			}
			this.#adminIs(why);
		}
	}

	#adminIs(words) {
		this.admin = words;
		this.dispatchEvent(new Event("admin"));
	}

	// The answer to the last subscription comes behind all that the others send.
	async #subscribe() {
		const client = this.#client;
		const { topic, subjects } = this;
		subjects.beginSnapshot();
		this.#watcher.subscribed();
		this.#subscribedAt = Date.now();
		const { snapshot } = subjects;
		const isOver = () => client !== this.#client || !client.connected || subjects.snapshot !== snapshot;
		client.subscribe([`${topic}/+/+`, `${topic}/+/+/devices/+`], { qos: 0 }, (error, granted) => {
			const codes = error?.packet?.granted ?? granted?.map(({ qos }) => qos);
			if (codes?.[0] > 2 && client === this.#client)
				this.#refused(`The broker does not let us read ${topic}/+/+.`);
		});
		let answered = false;
		client.subscribe(`${DIGESTS}/+`, { qos: 0 }, () => (answered = true));
		// The answer may be dropped as records are, see below: then silence says as much.
		this.#heardAt = Date.now();
		while (!answered && !isOver() && Date.now() - this.#heardAt < SILENCE) await sleep(20);
		if (isOver()) return;
		this.lostAt = 0;
		this.#become("live");
		if (this.admin === null) this.#askAdmin();
		await this.#fill(isOver).catch(() => {}); // no admin: then this was all
		if (isOver()) return;
		this.#found({ transitions: this.#watcher.snapshotEnd() }, true);
		subjects.endSnapshot();
		this.onRecord();
	}

	// Over WebSocket, Mosquitto 2.0 silently drops what is retained beyond max_queued_messages, 1000 by
	// default. An admin may ask for the rest.
	async #fill(isOver) {
		const { totalCount } = await this.ask({ command: "listPresence", count: 1 });
		const fresh = [...this.#watcher.entries.values()].filter((entry) => entry.fresh).length;
		for (let after = fresh < totalCount ? "" : null; after !== null && !isOver(); ) {
			const page = await this.#page(after);
			for (const record of page.subjects)
				this.#take(subjectTopic(record.role, record.id, this.topic), JSON.stringify(record), true);
			after = page.after ?? null;
		}
	}

	async #page(after, tries = 4) {
		try {
			return await this.ask({ command: "listPresence", count: 1000, ...(after && { after }) });
		} catch (error) {
			if (tries === 0) throw error;
			await sleep(1100); // command_rate, most likely
			return this.#page(after, tries - 1);
		}
	}

	#message(topic, payload, { retain }) {
		this.#heardAt = Date.now();
		const text = textOf(payload);
		if (topic === RESPONSES) return this.#answered(text);
		const [, subject, device] = /^(.*)\/devices\/([^/]+)$/.exec(topic) ?? [];
		if (device) this.#device(readSubjectTopic(subject, this.topic), subject, device, text);
		else this.#take(topic, text, retain);
	}

	#take(topic, text, retain) {
		this.#found(this.#watcher.message(topic, text, retain), retain);
	}

	#found({ transitions, asks }, retain) {
		for (const transition of transitions) this.subjects.apply(transition, retain, Date.now());
		if (asks) this.#disagreed();
		if (transitions.length) this.onRecord();
	}

	#device(who, subject, device, text) {
		let value = null;
		try {
			value = text ? JSON.parse(text) : null;
			device = decodeURIComponent(device);
		} catch {
			return; // not of the plugin
		}
		if (!who || (text && typeof value?.status !== "string")) return;
		this.subjects.applyDevice(subject.slice(this.topic.length + 1), who, device, value);
		this.onRecord();
	}

	// Nothing may change after a digest that disagreed, and then no other comes.
	#compare() {
		if (this.state !== "live") return;
		if (this.#watcher.isWaiting && Date.now() - this.#subscribedAt >= SETTLE_AFTER) this.#settle();
		const roles = [...this.#watcher.roles.keys()].filter((role) => this.#watcher.isDoubtful(role));
		for (const role of roles) this.#found(this.#watcher.compareAgain(role), true);
	}

	// Digests that did not come on this connection are asked for once more: then there are none.
	#settle() {
		const client = this.#client;
		client.subscribe(`${DIGESTS}/+`, { qos: 0 });
		client.subscribe(RESPONSES, { qos: 0 }, (error) => {
			if (!error && client === this.#client) this.#found({ transitions: this.#watcher.settle() }, true);
		});
	}

	// Something is missing. If it still is after subscribing anew, whoever looks should know.
	#disagreed() {
		if (Date.now() - this.#subscribedAt < SUBSCRIBE_EVERY && this.#again) return;
		this.incomplete = this.#again;
		this.#again = true;
		this.#subscribe();
	}

	#answered(text) {
		for (const { correlation, data, error } of readReplies(text)) {
			const waiting = this.#waiting.get(correlation);
			if (!waiting) continue;
			this.#waiting.delete(correlation);
			clearTimeout(waiting.timer);
			if (error) waiting.reject(Object.assign(new Error(error), { isAnswer: true }));
			else waiting.resolve(data);
		}
	}

	#failed(error) {
		// Bad username or password, not authorised, banned.
		if ([2, 4, 5, 133, 134, 135, 138].includes(error.code)) this.#refused(error.message);
		else this.why = error.message;
	}

	#lost() {
		this.#drop();
		if (this.state === "live") this.lostAt = Date.now();
		// Full jitter: panels that lost the same broker do not come back all at once.
		const wait = this.#backoff.nextMs();
		this.retryAt = Date.now() + wait;
		this.#retry = setTimeout(() => this.retryNow(), wait);
		this.#become("lost", this.why);
	}
}
