// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
// People and things that come, go and say how they are: node simulate.js BROKER [SECONDS].
// BROKER is mqtt://127.0.0.1:1883 or ws://...; something happens about every SECONDS (default 1).
import { createRequire } from "node:module";
import { pathToFileURL } from "node:url";

const mqtt = createRequire(new URL("../../client-sdk/js/index.js", import.meta.url))("mqtt");

const PEOPLE = "ada grace linus barbara dennis margaret ken radia edsger frances tim hedy alan " +
	"katherine niklaus sophie leslie joan donald annie vint mary claude jean";
const THINGS = "door-north door-south meter-12 meter-13 thermostat camera-lobby printer-3";
const NOTES = {
	away: ["lunch", "", "on the train", "back at three", ""],
	dnd: ["in a call", "writing", "", "on stage", "deep in a bug"],
};

export function simulate(broker, { every = 1000, random = Math.random, busy = true } = {}) {
	const pick = (list) => list[Math.floor(random() * list.length)];
	const cast = [
		...PEOPLE.split(" ").map((id) => ({ role: "agent", id, devices: new Map() })),
		...THINGS.split(" ").map((id) => ({ role: "device", id, devices: new Map() })),
		{ role: "admin", id: "vera", devices: new Map() },
		{ role: "admin", id: "night-shift", devices: new Map() },
	];

	function connect(one, name) {
		const client = mqtt.connect(broker, {
			clientId: `${one.role}:${one.id}:${name}`, keepalive: 30, reconnectPeriod: 2000,
		});
		client.on("error", () => {}); // it tries again
		one.devices.set(name, client);
	}

	const say = (client, status, note) =>
		client.publish("$CONTROL/presence/v1",
			JSON.stringify({ commands: [{ command: "setStatus", status, ...(note ? { note } : {}) }] }));

	function happen(one) {
		const { role, devices } = one;
		const names = [...devices.keys()];
		if (!names.length) return connect(one, role === "device" ? "main" : pick(["laptop", "phone"]));
		const name = pick(names);
		const client = devices.get(name);
		const dice = random();
		if (role === "device" || dice < 0.15) {
			devices.delete(name);
			if (dice < 0.05) client.stream.destroy(); // a cable is pulled
			client.end(dice < 0.05);
		} else if (dice < 0.35 && names.length < 2) {
			connect(one, name === "phone" ? "laptop" : "phone");
		} else {
			const status = pick(["online", "online", "away", "dnd"]);
			say(client, status, NOTES[status] && pick(NOTES[status]));
		}
	}

	for (const one of cast)
		if (random() < (one.role === "device" ? 0.85 : 0.75)) {
			connect(one, one.role === "device" ? "main" : pick(["laptop", "phone"]));
			if (busy && random() < 0.4) happen(one);
		}
	const people = cast.filter(({ role }) => role === "agent");
	const timer = setInterval(() => happen(random() < 0.88 ? pick(people) : pick(cast)), every);
	return () => {
		clearInterval(timer);
		for (const { devices } of cast) for (const client of devices.values()) client.end(true);
	};
}

if (import.meta.url === pathToFileURL(process.argv[1]).href) {
	const [, , broker, seconds] = process.argv;
	if (!broker) {
		console.error("usage: node simulate.js BROKER [SECONDS]");
		process.exit(2);
	}
	const stop = simulate(broker, { every: 1000 * Number(seconds || 1) });
	for (const signal of ["SIGINT", "SIGTERM"])
		process.on(signal, () => {
			stop();
			process.exit(0);
		});
}
