// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
// The broker: connected, lost, back. Records go to `subjects`, commands get their answers.
import mqtt from "mqtt";
import { readRecord, readTopic } from "./wire.js";

const CONTROL = "$CONTROL/presence/v1";
const RESPONSE = `${CONTROL}/response`;
const ANSWER_WITHIN = 5000;
const RETRY_MAX = 20000;

export class Connection extends EventTarget {
	#client = null;
	#waiting = new Map(); // correlation data -> { resolve, reject, timer }
	#asked = 0;
	#attempts = 0;
	#retry = 0;

	constructor(subjects) {
		super();
		this.subjects = subjects;
		this.state = "closed"; // closed, connecting, loading, live, lost, refused
		this.why = "";
		this.lostAt = 0;
		this.retryAt = 0;
		this.admin = null; // what the plugin says to who is none; "" for admins; null: not known yet
		addEventListener("online", () => this.retryNow());
	}

	open(settings) {
		this.close();
		this.settings = settings;
		this.topic = settings.topic || "presence";
		this.#attempts = 0;
		this.lostAt = 0;
		this.#become("connecting");
		const random = Math.random().toString(16).slice(2, 10);
		try {
			this.#client = mqtt.connect(settings.broker, {
				clientId: settings.client ? settings.client.replace("*", random) : `mqttjs_panel_${random}`,
				username: settings.username || undefined,
				password: settings.password || undefined,
				protocolVersion: 5,
				keepalive: 20,
				connectTimeout: 10000,
				reconnectPeriod: 0, // we spread our attempts ourselves
				resubscribe: false,
				queueQoSZero: false,
			});
		} catch (error) {
			this.#become("refused", error.message);
			return;
		}
		this.#client.on("connect", () => this.#connected());
		this.#client.on("message", (topic, payload, packet) => this.#message(topic, payload, packet));
		this.#client.on("error", (error) => this.#failed(error));
		this.#client.on("close", () => this.#lost());
	}

	close() {
		clearTimeout(this.#retry);
		this.#client?.removeAllListeners();
		this.#client?.on("error", () => {}); // it may still have one to tell
		this.#client?.end(true);
		this.#client = null;
		this.#become("closed");
	}

	retryNow() {
		if (this.state !== "lost" && this.state !== "refused") return;
		clearTimeout(this.#retry);
		this.#become(this.lostAt ? "lost" : "connecting");
		this.retryAt = 0;
		this.#client?.reconnect();
	}

	// What the plugin answers, or an Error in its words.
	ask(command) {
		if (!this.#client?.connected) return Promise.reject(new Error("There is no connection to the broker."));
		const correlationData = `p${++this.#asked}`;
		return new Promise((resolve, reject) => {
			const timer = setTimeout(() => {
				this.#waiting.delete(correlationData);
				reject(new Error(`No answer within ${ANSWER_WITHIN / 1000} s. Is the plugin loaded, and may ` +
					`you write to ${CONTROL} and read ${RESPONSE}?`));
			}, ANSWER_WITHIN);
			this.#waiting.set(correlationData, { resolve, reject, timer });
			this.#client.publish(CONTROL, JSON.stringify({ commands: [{ ...command, correlationData }] }));
		});
	}

	#become(state, why = "") {
		this.state = state;
		this.why = why;
		this.dispatchEvent(new Event("state"));
	}

	#connected() {
		this.#attempts = 0;
		this.admin = null;
		this.#become("loading");
		this.subscribe();
		this.ask({ command: "listNodes" }).then(() => this.#adminIs(""), (error) => this.#adminIs(error.message));
	}

	#adminIs(words) {
		this.admin = words;
		this.dispatchEvent(new Event("admin"));
	}

	// The answer to the second subscription comes behind all that the first one sends.
	subscribe() {
		const client = this.#client;
		const { topic, subjects } = this;
		subjects.beginSnapshot();
		const snapshot = subjects.snapshot;
		client.subscribe([`${topic}/+/+`, `${topic}/+/+/devices/+`], { qos: 0 }, (error, granted) => {
			if (error || granted?.some(({ qos }) => qos > 2))
				this.#become("refused", `The broker does not let us read ${topic}/#.`);
		});
		client.subscribe("$SYS/broker/presence/digest/+", { qos: 0 }, () => {
			if (!client.connected || subjects.snapshot !== snapshot || this.state === "refused") return;
			subjects.endSnapshot(Date.now());
			this.lostAt = 0;
			this.#become("live");
		});
	}

	#message(topic, payload, { retain }) {
		if (topic === RESPONSE) return this.#answered(payload);
		const who = readTopic(this.topic, topic);
		if (!who) return;
		const { role, id, device } = who;
		const value = payload.length ? readRecord(payload) : null;
		if (payload.length && !value) return; // a will that went by, or somebody else's topic
		if (device !== undefined) this.subjects.applyDevice(role, id, device, value);
		else if (value) this.subjects.apply(role, id, value, retain, Date.now());
		else this.subjects.forget(role, id, Date.now());
		this.dispatchEvent(new Event("record"));
	}

	#answered(payload) {
		let responses;
		try {
			({ responses } = JSON.parse(payload.toString()));
		} catch {
			return;
		}
		for (const { correlationData, data, error } of responses ?? []) {
			const waiting = this.#waiting.get(correlationData);
			if (!waiting) continue;
			this.#waiting.delete(correlationData);
			clearTimeout(waiting.timer);
			if (error) waiting.reject(new Error(error));
			else waiting.resolve(data ?? {});
		}
	}

	#failed(error) {
		// Bad username or password, not authorised, banned: trying again would not help.
		if ([2, 4, 5, 133, 134, 135, 138].includes(error.code)) this.#become("refused", error.message);
		else this.why = error.message;
	}

	#lost() {
		for (const { reject, timer } of this.#waiting.values()) {
			clearTimeout(timer);
			reject(new Error("The connection was lost before the answer came."));
		}
		this.#waiting.clear();
		if (this.state === "refused" || this.state === "closed") return;
		if (this.state === "live") this.lostAt = Date.now();
		// Full jitter: panels that lost the same broker do not come back all at once.
		const wait = Math.random() * Math.min(RETRY_MAX, 1000 * 2 ** this.#attempts++);
		this.retryAt = Date.now() + wait;
		clearTimeout(this.#retry);
		this.#retry = setTimeout(() => this.retryNow(), wait);
		this.#become("lost", this.why);
	}
}
