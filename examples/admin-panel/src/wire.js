// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
// From topics and payloads to values: docs/PROTOCOL.md.

const decode = (level) => {
	try {
		return decodeURIComponent(level);
	} catch {
		return level;
	}
};

// `presence/<role>/<id>` or `presence/<role>/<id>/devices/<device>`; null for any other topic.
export function readTopic(base, topic) {
	if (!topic.startsWith(`${base}/`)) return null;
	const levels = topic.slice(base.length + 1).split("/");
	if (levels.length === 2) return { role: decode(levels[0]), id: decode(levels[1]) };
	if (levels.length === 4 && levels[2] === "devices")
		return { role: decode(levels[0]), id: decode(levels[1]), device: decode(levels[3]) };
	return null;
}

// A record, or what a broker with `payload_format text` says; null for what is neither.
export function readRecord(payload) {
	const text = payload.toString();
	if (/^[a-z]{1,32}$/.test(text)) return { status: text };
	try {
		const record = JSON.parse(text);
		return typeof record?.status === "string" ? record : null;
	} catch {
		return null;
	}
}
