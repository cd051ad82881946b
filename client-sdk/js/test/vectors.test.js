// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
// The cases every client library runs. Each list counts what it checked, so that none runs empty.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import test from 'node:test';
import { Watcher } from '../src/watcher.js';
import * as wire from '../src/wire.js';

const vectors = JSON.parse(
	readFileSync(new URL('../../../tests/vectors/client.json', import.meta.url), 'utf8'),
);
const used = new Set(['about']);
const each = (list, check) => {
	used.add(list);
	assert.ok(vectors[list].length > 0, list);
	vectors[list].forEach(check);
};

test('topics', () => {
	each('topics', ({ role, id, topic }) => {
		assert.equal(wire.subjectTopic(role, id), topic);
		assert.deepEqual(wire.readSubjectTopic(topic), { role, id });
		assert.deepEqual(wire.subjectOf(topic.slice('presence/'.length)), { role, id });
		assert.deepEqual(wire.readSubjectTopic(wire.subjectTopic(role, id, 'site/a'), 'site/a'), { role, id });
	});
	each('not_subjects', (topic) => assert.equal(wire.readSubjectTopic(topic), null, topic));
	each('ids_refused', (id) => assert.equal(wire.isId(id), false, JSON.stringify(id)));
	each('typing', ({ conversation, role, id, topic }) => {
		assert.equal(wire.typingTopic(conversation, role, id), topic);
		assert.deepEqual(wire.readTypingTopic(topic), { conversation, role, id });
		const elsewhere = wire.typingTopic(conversation, role, id, 'site/a');
		assert.deepEqual(wire.readTypingTopic(elsewhere, 'site/a'), { conversation, role, id });
	});
});

test('the digest of a filter, also where the topics have more levels', () => {
	for (const base of ['presence', 'site/presence'])
		assert.equal(wire.digestTopic(`${base}/a%2Fb/+`, base), `${wire.DIGESTS}/a%2Fb`);
	for (const filter of ['presence/agent/u1', 'site/agent/+', 'presence/agent/u1/+'])
		assert.equal(wire.digestTopic(filter), null);
});

/** Field by field, as far as expect names them. */
function assertRecord(found, expect, name) {
	if (expect === 'ignored') return assert.equal(found, null, name);
	if (expect === 'forgotten') return assert.equal(found, 'forgotten', name);
	assert.equal(typeof found, 'object', name);
	const { last_seen: lastSeen, ...rest } = expect;
	if (lastSeen !== undefined) rest.lastSeen = lastSeen;
	for (const [key, value] of Object.entries(rest)) assert.equal(found?.[key], value, `${name}: ${key}`);
}

test('records', () => {
	each('records', ({ name, topic, payload, expect }) =>
		assertRecord(wire.readRecord(topic, payload), expect, name),
	);
	each('plain', ({ name, topic, payload, expect }) =>
		assertRecord(wire.readRecord(topic, payload, { plain: true }), expect, name),
	);
	each('typing_messages', ({ topic, payload, expect }) =>
		assert.deepEqual(wire.readTyping(topic, payload), expect === 'ignored' ? null : expect, payload),
	);
});

test('sequences', async (t) => {
	const tests = [];
	each('sequences', ({ name, steps, end }) =>
		tests.push(
			t.test(name, () => {
				const watcher = new Watcher();
				let isSnapshot = false;
				for (const step of steps) {
					let told = { transitions: [], asks: null };
					if (step.do === 'subscribe') watcher.subscribed();
					else if (step.do === 'message') told = watcher.message(step.topic, step.payload, step.retain);
					else if (step.do === 'snapshot_end') told.transitions = watcher.snapshotEnd();
					else {
						assert.equal(step.do, 'lost');
						watcher.lost();
					}
					if (step.do !== 'message' && step.do !== 'lost') isSnapshot = step.do === 'snapshot_end';
					const found = told.transitions.map(({ subject, before, status, forgotten }) => ({
						subject,
						before,
						status,
						forgotten,
					}));
					assert.deepEqual(found, step.transitions, JSON.stringify(step));
					if (step.asks !== undefined) assert.equal(told.asks !== null, step.asks, JSON.stringify(step));
				}
				for (const [subject, expect] of Object.entries(end)) {
					const record = watcher.find(`presence/${subject}`);
					const isSure = isSnapshot && (!watcher.isDoubted(wire.subjectOf(subject).role) || watcher.agreedAt('agent') > 0);
					const status = record?.status ?? (isSure ? 'offline' : 'unknown');
					assert.deepEqual({ status, rev: record?.rev ?? 0 }, expect, subject);
				}
			}),
		),
	);
	await Promise.all(tests);
});

test('digests', () => {
	each('digests', ({ name, records, xor }) => {
		let [high, low] = [0, 0];
		for (const { topic, rev, hash } of records) {
			const [h, l] = wire.digestHash(topic, rev);
			assert.equal(wire.digestText(h, l), hash, name);
			high ^= h;
			low ^= l;
		}
		assert.equal(wire.digestText(high, low), xor, name);
	});
});

/** The arguments of a vector are those of docs/PROTOCOL.md, but for durations, in ms. */
const given = ({ interval_ms: interval, ttl_ms: ttl, subjects, ...rest }) => ({
	interval,
	ttl,
	subjects: subjects?.map(([role, id]) => ({ role, id })),
	...rest,
});

test('commands', () => {
	each('commands', ({ call, args, correlation, payload }) =>
		assert.equal(wire.commandsText([wire.command(call, given(args), correlation)]), payload),
	);
	each('commands_refused', ({ call, args }) =>
		assert.throws(() => wire.command(call, given(args)), TypeError, JSON.stringify([call, args])),
	);
	each('replies', ({ name, payload, expect }) =>
		assert.deepEqual(
			wire.readReplies(payload).map(({ correlation, error }) => ({ correlation, error })),
			expect,
			name,
		),
	);
});

test('client ids, births and wills', () => {
	each('client_ids', ({ role, id, device, client_id: expect }) =>
		assert.equal(wire.clientId(role, id, device), expect),
	);
	each('client_ids_refused', ({ role, id, device }) =>
		assert.throws(() => wire.clientId(role, id, device), TypeError, JSON.stringify([role, id, device])),
	);
	each('births', ({ role, id, status, note, topic, payload }) => {
		assert.equal(wire.subjectTopic(role, id), topic);
		assert.equal(wire.declaration(status, note), payload);
	});
	each('wills', ({ role, id, topic, payload }) => {
		assert.equal(wire.subjectTopic(role, id), topic);
		assert.equal(wire.declaration('offline'), payload);
	});
});

test('no list is left out', () => assert.deepEqual([...used].sort(), Object.keys(vectors).sort()));
