// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
// Bytes and values, as docs/PROTOCOL.md has them. Pure: no clock, no network.

export const COMMANDS = '$CONTROL/presence/v1';
export const RESPONSES = COMMANDS + '/response';
export const DIGESTS = '$SYS/broker/presence/digest';
export const STATUSES = ['online', 'away', 'dnd', 'offline'];
export const OVERRIDES = ['online', 'away', 'dnd', 'invisible'];
export const KINDS = ['typing', 'recording'];
export const SUBJECTS_MAX = 256; // of getPresence
const ID_BYTES_MAX = 128;
const TTL_MS_MAX = 365 * 24 * 3600 * 1000;
const INTERVAL_MS_MIN = 1000;
const INTERVAL_MS_MAX = 3600 * 1000;

const utf8 = new TextEncoder();
const strict = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/** The text of a payload; null when it is no UTF-8. */
export function textOf(payload) {
	if (typeof payload === 'string') return payload;
	try {
		return strict.decode(payload);
	} catch {
		return null;
	}
}

// Names

/** No control characters (C0, DEL, C1), noncharacters or halves of a surrogate pair. */
function isPrintable(text) {
	for (const character of text) {
		const code = character.codePointAt(0);
		if (code < 0x20 || (code >= 0x7f && code <= 0x9f)) return false;
		if ((code >= 0xd800 && code <= 0xdfff) || (code >= 0xfdd0 && code <= 0xfdef)) return false;
		if ((code & 0xfffe) === 0xfffe) return false;
	}
	return true;
}

/** What a role, id, device or conversation may be: 1 to 128 bytes without control characters. */
export function isId(text) {
	if (typeof text !== 'string' || text === '' || text.length > ID_BYTES_MAX) return false;
	return isPrintable(text) && utf8.encode(text).length <= ID_BYTES_MAX;
}

function isNote(text) {
	return typeof text === 'string' && isPrintable(text) && utf8.encode(text).length <= ID_BYTES_MAX;
}

/** Throws a TypeError that says which one is no id. */
export function checkId(text, what) {
	if (!isId(text))
		throw new TypeError(`${what} is to be 1 to 128 bytes of text without control characters`);
	return text;
}

const SPECIAL = /[/+#%$:{}]/g;

export function encode(id) {
	return id.replace(SPECIAL, (one) => '%' + one.charCodeAt(0).toString(16).toUpperCase());
}

const ESCAPES = new Map([...'/+#%$:{}'].map((one) => [encode(one), one]));

/** The inverse; null for anything encode() would not have written of an id. */
export function decode(level) {
	let good = !/[/+#$:{}]/.test(level);
	const id = level.replace(/%(?:[^]{0,2})/g, (escape) => {
		const one = ESCAPES.get(escape);
		if (one === undefined) good = false;
		return one ?? '';
	});
	return good && isId(id) ? id : null;
}

/** "agent/u1": how a subject is named in commands, and here. */
export function nameOf(role, id) {
	return encode(checkId(role, 'role')) + '/' + encode(checkId(id, 'id'));
}

/** { role, id } of a name, of one without "%" that stands as it is, or of an object that has both. */
export function subjectOf(subject) {
	if (typeof subject === 'object' && subject !== null) {
		const { role, id } = subject;
		return { role: checkId(role, 'role'), id: checkId(id, 'id') };
	}
	const slash = typeof subject === 'string' ? subject.indexOf('/') : -1;
	const parts = slash < 0 ? [] : [subject.slice(0, slash), subject.slice(slash + 1)];
	const raw = slash >= 0 && !subject.includes('%');
	const [role, id] = raw ? parts : parts.map(decode);
	if (!isId(role) || !isId(id))
		throw new TypeError(`${JSON.stringify(subject)} is no subject: write it like "agent/u1"`);
	return { role, id };
}

export function subjectTopic(role, id, base = 'presence') {
	return `${base}/${nameOf(role, id)}`;
}

/** What follows base, which may have several levels, or null: it does not, or in other than count. */
function levelsBelow(base, topic, count) {
	const levels = topic.startsWith(`${base}/`) ? topic.slice(base.length + 1).split('/') : [];
	return levels.length === count ? levels : null;
}

/** { role, id }, or null: that is no subject's topic. */
export function readSubjectTopic(topic, base = 'presence') {
	const [role, id] = levelsBelow(base, topic, 2)?.map(decode) ?? [null, null];
	return role !== null && id !== null ? { role, id } : null;
}

/** Of a filter of a whole role: the topic of its digest. Else null. */
export function digestTopic(filter, base = 'presence') {
	const [role, rest] = levelsBelow(base, filter, 2) ?? [];
	return rest === '+' ? `${DIGESTS}/${role}` : null;
}

export function typingTopic(conversation, role, id, base = 'typing') {
	return `${base}/${encode(checkId(conversation, 'conversation'))}/${nameOf(role, id)}`;
}

export function readTypingTopic(topic, base = 'typing') {
	const [conversation, role, id] = levelsBelow(base, topic, 3)?.map(decode) ?? [null, null, null];
	return conversation !== null && role !== null && id !== null ? { conversation, role, id } : null;
}

/** By the broker's default identity: role:id:device, and without a device role:id. */
export function clientId(role, id, device = '') {
	for (const [text, what] of [[checkId(role, 'role'), 'role'], [checkId(id, 'id'), 'id']])
		if (text.includes(':'))
			throw new TypeError(`a ${what} with ":" in it cannot be told from a client id: give usernames`);
	return device === '' ? `${role}:${id}` : `${role}:${id}:${checkId(device, 'device')}`;
}

// What comes

function readObject(text) {
	try {
		const value = JSON.parse(text);
		return typeof value === 'object' && value !== null && !Array.isArray(value) ? value : null;
	} catch {
		return null;
	}
}

const isCount = (value) => Number.isSafeInteger(value) && value >= 0;
const isText = (value) => typeof value === 'string';
/** A later version's status: whatever it is, not offline. */
const statusOf = (word) => (STATUSES.includes(word) ? word : 'online');

/** Topic and text to a record; 'forgotten', or null: to be ignored. plain: the broker has no plugin,
 * and what clients say of themselves is all there is. */
export function readRecord(topic, text, { base = 'presence', plain = false } = {}) {
	const subject = readSubjectTopic(topic, base);
	if (!subject || text === null) return null;
	if (text === '') return 'forgotten';
	const read = readObject(text);
	if (plain && (!read || read.v === undefined)) return readDeclaration(subject, text, read);
	if (!read || read.v !== 1 || read.role !== subject.role || read.id !== subject.id) return null;
	if (!isText(read.status) || !isCount(read.rev)) return null;
	if ((read.note !== undefined && !isText(read.note)) || (read.until !== undefined && !isCount(read.until)))
		return null;
	return {
		...subject,
		status: statusOf(read.status),
		previous: isText(read.previous) ? statusOf(read.previous) : 'offline',
		reason: isText(read.reason) ? read.reason : 'unknown',
		source: isText(read.source) ? read.source : 'inferred',
		devices: isCount(read.devices) ? read.devices : 0,
		since: isCount(read.since) ? read.since : 0,
		lastSeen: isCount(read.last_seen) ? read.last_seen : 0,
		rev: read.rev,
		node: isText(read.node) ? read.node : '',
		note: read.note ?? '',
		until: read.until ?? 0,
	};
}

function readDeclaration(subject, text, read) {
	const status = read ? read.status : text;
	if (!STATUSES.includes(status) || (read?.note !== undefined && !isNote(read.note))) return null;
	return {
		...subject,
		status,
		previous: 'offline',
		reason: 'unknown',
		source: 'app',
		devices: status === 'offline' ? 0 : 1,
		since: 0,
		lastSeen: 0,
		rev: 0,
		node: '',
		note: (status !== 'offline' && read?.note) || '',
		until: 0,
	};
}

/** { conversation, role, id, kind, active }, or null. */
export function readTyping(topic, text, base = 'typing') {
	const who = readTypingTopic(topic, base);
	const read = who && text ? readObject(text) : null;
	if (!read || read.v !== 1 || !isText(read.kind) || typeof read.active !== 'boolean') return null;
	if (['conversation', 'role', 'id'].some((key) => read[key] !== who[key])) return null;
	return { ...who, kind: read.kind, active: read.active };
}

/** [{ command, correlation, error, data }]; an error of '' is none. */
export function readReplies(text) {
	const list = text ? readObject(text)?.responses : null;
	if (!Array.isArray(list)) return [];
	return list
		.filter((one) => typeof one === 'object' && one !== null)
		.map((one) => ({
			command: isText(one.command) ? one.command : '',
			correlation: isText(one.correlationData) ? one.correlationData : '',
			error: isText(one.error) ? one.error : '',
			data: typeof one.data === 'object' && one.data !== null ? one.data : {},
		}));
}

// What goes

/** What a client says of itself on its own topic: a bare word where that is enough. */
export function declaration(status, note = '') {
	return note === '' ? status : JSON.stringify({ status, note });
}

const need = (good, problem) => {
	if (!good) throw new TypeError(problem);
};

const fields = {
	interval(ms) {
		need(ms >= INTERVAL_MS_MIN && ms <= INTERVAL_MS_MAX, 'a heartbeat interval is 1 s to 1 h');
		return ms / 1000;
	},
	note(text) {
		need(isNote(text), 'a note is at most 128 bytes of text without control characters');
		return text === '' ? undefined : text;
	},
	ttl(ms) {
		need(ms > 0 && ms <= TTL_MS_MAX, 'ttlMs is more than 0 and at most a year');
		return ms / 1000;
	},
	role: (text) => checkId(text, 'role'),
	id: (text) => checkId(text, 'id'),
	conversation: (text) => checkId(text, 'conversation'),
	kind(word) {
		need(KINDS.includes(word), `kind is one of ${KINDS.join(', ')}`);
		return word === 'typing' ? undefined : word;
	},
	active: Boolean,
	subjects(list) {
		need(list.length <= SUBJECTS_MAX, `at most ${SUBJECTS_MAX} subjects at once`);
		return list.map((one) => {
			const { role, id } = subjectOf(one);
			return nameOf(role, id);
		});
	},
	status: (words) => (word) => {
		need(words.includes(word), `status is one of ${words.join(', ')}`);
		return word;
	},
	clientid: String,
	count: Number,
	offset: Number,
	after: String,
};

/** Which fields a command has, in the order of docs/PROTOCOL.md. */
const TABLE = {
	heartbeat: ['interval', 'status', 'note'],
	setStatus: ['status', 'note'],
	clearStatus: [],
	leave: [],
	typing: ['conversation', 'kind', 'active'],
	setOverride: ['status', 'note', 'ttl', 'role', 'id'],
	clearOverride: ['role', 'id'],
	getPresence: ['subjects'],
	listPresence: ['role', 'status', 'count', 'offset', 'after'],
	getStats: [],
	listNodes: [],
	kick: ['clientid'],
	forget: ['role', 'id'],
};
const WORDS = { heartbeat: STATUSES.slice(0, 3), setOverride: OVERRIDES };

/** One command as a value. given has the fields of docs/PROTOCOL.md, but durations in ms; what is
 * undefined is left out. Throws a TypeError where the broker would refuse. */
export function command(name, given = {}, correlation = undefined) {
	need(Object.hasOwn(TABLE, name), `there is no command ${name}`);
	for (const [field, value] of Object.entries(given))
		need(value === undefined || TABLE[name].includes(field), `${name} has no ${field}`);
	const made = { command: name };
	for (const field of TABLE[name]) {
		if (given[field] === undefined) continue;
		const check = field === 'status' ? fields.status(WORDS[name] ?? STATUSES) : fields[field];
		made[field] = check(given[field]);
	}
	if (correlation !== undefined) made.correlationData = correlation;
	return made;
}

export function commandsText(commands) {
	return JSON.stringify({ commands });
}

// The digest: FNV-1a 64 over the topic and, right behind it, the rev in decimal. Halves of 32 bits,
// because BigInt is ten times slower and every record counts twice.

const BASIS_HIGH = 0xcbf29ce4;
const BASIS_LOW = 0x84222325;
const PRIME_LOW = 0x1b3; // the prime is 2^40 + 0x1b3

/** [high, low] */
export function digestHash(topic, rev) {
	let high = BASIS_HIGH;
	let low = BASIS_LOW;
	for (const byte of utf8.encode(topic + rev)) {
		low = (low ^ byte) >>> 0;
		const product = low * PRIME_LOW;
		high = (high * PRIME_LOW + Math.floor(product / 2 ** 32) + low * 2 ** 8) % 2 ** 32;
		low = product >>> 0;
	}
	return [high >>> 0, low];
}

export function digestText(high, low) {
	return [high, low].map((half) => (half >>> 0).toString(16).padStart(8, '0')).join('');
}

/** { role, count, xor, rev }, or null. */
export function readDigest(topic, text) {
	if (!topic.startsWith(DIGESTS + '/')) return null;
	const role = decode(topic.slice(DIGESTS.length + 1));
	const read = role !== null && text ? readObject(text) : null;
	if (!read || !isCount(read.count) || !isCount(read.rev) || !isText(read.xor)) return null;
	return { role, count: read.count, xor: read.xor, rev: read.rev };
}
