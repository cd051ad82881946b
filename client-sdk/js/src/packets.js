// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
// The two MQTT packets a page has to be able to send by itself: what mqtt.js is given while the page
// goes away, it would write when nobody is there to do it.

const PUBLISH = 0x30;
const RETAIN = 0x01;
const DISCONNECT = 0xe0;
const utf8 = new TextEncoder();

function lengthBytes(length) {
	const bytes = [];
	do {
		const more = length > 127;
		bytes.push((length & 127) | (more ? 128 : 0));
		length >>= 7;
	} while (length > 0);
	return bytes;
}

/** QoS 0. version: 4 is MQTT 3.1.1, 5 has properties, here none. */
export function publishPacket({ topic, payload, retain = false }, version) {
	const name = utf8.encode(topic);
	const body = utf8.encode(payload);
	const properties = version === 5 ? [0] : [];
	const length = 2 + name.length + properties.length + body.length;
	const first = [PUBLISH | (retain ? RETAIN : 0), ...lengthBytes(length)];
	return Uint8Array.from([...first, name.length >> 8, name.length & 255, ...name, ...properties, ...body]);
}

export function disconnectPacket() {
	return Uint8Array.of(DISCONNECT, 0);
}
