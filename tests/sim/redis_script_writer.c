/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "redis_script.h"

/* ---- register_1.lua ---- */

struct registration {
	struct holder before;
	bool ours, lost, bare, resync;
	int64_t stored_gen, mark;
};

static bool is_mismatch(const struct script *script, const char *meta)
{
	const char *format = hget(script->redis, meta, "format");
	const char *partitions = hget(script->redis, meta, "partitions");
	if ((!format || !strcmp(format, "1")) &&
		(!partitions || !strcmp(partitions, arg(script, 9))))
		return false;
	answer(script, "MISMATCH");
	answer_text(script, format ? format : "");
	answer_text(script, partitions ? partitions : "");
	return true;
}

static bool is_held(const struct script *script, const struct registration *r, const char *lease)
{
	if (!r->before.is_there || r->ours || !strcmp(arg(script, 7), "1") ||
		!strcmp(r->before.state, "leaving"))
		return false;
	int64_t left = pttl(script->redis, lease);
	if (left == -2)
		return false;
	answer(script, "HELD");
	answer_text(script, r->before.boot);
	answer_text(script, r->before.host);
	answer_text(script, r->before.pid);
	answer_number(script, left);
	return true;
}

static void judge(const struct script *script, struct registration *r)
{
	const struct holder *before = &r->before;
	bool known = script->epoch > 0;
	r->lost = known &&
		(!before->is_there || r->stored_gen < script->gen ||
			(r->ours &&
				(before->epoch < script->epoch || before->mark < script->acked)));
	r->bare = overrides_gone(script);
	r->resync = r->lost || (known && (r->bare || !r->ours || r->stored_gen > script->gen)) ||
		(r->ours && !strcmp(before->state, "resync") && before->epoch >= script->epoch);
	r->mark = r->ours && !r->lost ? before->mark : script->acked;
}

static int64_t epoch_mint(const struct script *script, const char *meta)
{
	char nodes[NAME_MAX_BYTES];
	struct holder holder;
	int64_t epoch = script->epoch;
	const char *minted = hget(script->redis, meta, "epoch");
	if (minted && strtoll(minted, NULL, 10) > epoch)
		epoch = strtoll(minted, NULL, 10);
	key_name(script, nodes, "nodes", "");
	const struct redis_key *all = key_of(script->redis, nodes);
	for (size_t i = 0; all && i < all->count; i++) {
		holder_read(all->fields[i].value, &holder);
		if (holder.is_there && holder.epoch > epoch)
			epoch = holder.epoch;
	}
	return epoch + 1;
}

static void gen_begin(const struct script *script, const char *meta, struct registration *r)
{
	char text[NAME_MAX_BYTES];
	r->stored_gen = (r->stored_gen > script->gen ? r->stored_gen : script->gen) + 1;
	hset(script->redis, meta, "format", "1");
	hset(script->redis, meta, "partitions", arg(script, 9));
	hset_number(script->redis, meta, "gen", r->stored_gen);
	(void)snprintf(text, sizeof(text), "t\tgen\tnode\t%s\tgen\t%lld\t", script->node,
		(long long)r->stored_gen);
	xadd(script->redis, script->events, text);
}

static void take(struct script *script, const char *lease, struct registration *r)
{
	char text[NAME_MAX_BYTES];
	struct holder holder = { .epoch = script->epoch, .mark = r->mark };
	(void)snprintf(holder.boot, sizeof(holder.boot), "%s", script->boot);
	(void)snprintf(holder.state, sizeof(holder.state), "%s", r->resync ? "resync" : "up");
	(void)snprintf(holder.pid, sizeof(holder.pid), "%s", arg(script, 11));
	(void)snprintf(holder.host, sizeof(holder.host), "%s", arg(script, 12));
	(void)snprintf(holder.version, sizeof(holder.version), "%s", arg(script, 13));
	holder_set(script, &holder);
	set_px(script->redis, lease, script->boot, arg_number(script, 8));
	(void)snprintf(text, sizeof(text), "t\tnode\tnode\t%s\tboot\t%s\tepoch\t%lld\tstate\tup\t",
		script->node, script->boot, (long long)script->epoch);
	xadd(script->redis, script->events, text);
}

void script_register(struct script *script)
{
	char meta[NAME_MAX_BYTES], lease[NAME_MAX_BYTES];
	struct registration r = { 0 };
	key_name(script, meta, "meta", "");
	key_name(script, lease, "lease:", script->node);
	if (shared_types(script) || is_mismatch(script, meta))
		return;
	const char *gen = hget(script->redis, meta, "gen"), *rev = hget(script->redis, meta, "rev");
	int64_t meta_rev = rev ? strtoll(rev, NULL, 10) : 0;
	r.stored_gen = gen ? strtoll(gen, NULL, 10) : 0;
	holder_get(script, &r.before);
	r.ours = r.before.is_there && !strcmp(r.before.boot, script->boot);
	if (is_held(script, &r, lease))
		return;
	judge(script, &r);
	script->epoch = epoch_mint(script, meta);
	if (r.bare)
		hdel(script->redis, meta, "overrides");
	if (r.lost || r.bare || r.stored_gen == 0)
		gen_begin(script, meta, &r);
	hset_number(script->redis, meta, "epoch", script->epoch);
	take(script, lease, &r);
	answer(script, "OK");
	answer_number(script, script->epoch);
	answer_number(script, r.stored_gen);
	answer_number(script, r.mark);
	answer_number(script, r.lost || r.bare);
	answer_number(script, r.resync);
	answer_number(script, meta_rev);
	answer_text(script, r.before.boot);
	answer_text(script, r.before.host);
	answer_text(script, r.before.pid);
}

/* ---- renew_1.lua ---- */

void script_renew(struct script *script)
{
	char lease[NAME_MAX_BYTES], text[NAME_MAX_BYTES];
	struct holder holder;
	if (shared_types(script) || fence(script, &holder))
		return;
	key_name(script, lease, "lease:", script->node);
	set_px(script->redis, lease, script->boot, arg_number(script, 7));
	if (strcmp(holder.state, arg(script, 8)) != 0) {
		(void)snprintf(holder.state, sizeof(holder.state), "%s", arg(script, 8));
		holder_set(script, &holder);
		(void)snprintf(text, sizeof(text),
			"t\tnode\tnode\t%s\tboot\t%s\tepoch\t%lld\tstate\t%s\t", script->node,
			script->boot, (long long)script->epoch, holder.state);
		xadd(script->redis, script->events, text);
	}
	answer(script, "OK");
}

/* ---- apply_1.lua ---- */

enum { FIELDS = 20, START = 10, CHECKED_MAX = 3 * 256 };

static const char *word_of(const char *number)
{
	return script_words[strtoul(number, NULL, 10) & 3];
}

static struct contribution contribution_read(const struct script *script, size_t i)
{
	size_t at = START + (i - 1) * FIELDS;
	return (struct contribution){ .kind = arg(script, at + 1),
		.name = arg(script, at + 2),
		.role = arg(script, at + 3),
		.id = arg(script, at + 4),
		.device = arg(script, at + 5),
		.field = arg(script, at + 6),
		.rank = arg_number(script, at + 7),
		.seen = arg_number(script, at + 8),
		.device_note = arg(script, at + 9),
		.status = word_of(arg(script, at + 10)),
		.previous = word_of(arg(script, at + 11)),
		.has_since = true,
		.since = arg_number(script, at + 12),
		.has_last_seen = true,
		.last_seen = arg_number(script, at + 13),
		.rev = arg_number(script, at + 14),
		.reason = arg(script, at + 15),
		.source = arg(script, at + 16),
		.note = arg(script, at + 17),
		.till = arg_number(script, at + 18),
		.retain = arg_number(script, at + 19),
		.at = arg_number(script, at + 20) };
}

static bool check(const struct script *script, size_t number, const char *key, const char *type,
	bool *is_wrong)
{
	if (key_fits(script, key, type))
		return true;
	if (!*is_wrong)
		answer(script, "TYPE");
	*is_wrong = true;
	answer_number(script, (int64_t)number);
	answer_text(script, type_of(script->redis, key));
	answer_text(script, key);
	return false;
}

static bool is_first_of_role(const struct script *script, size_t number, const char *role)
{
	for (size_t i = 1; i < number; i++) {
		struct contribution c = contribution_read(script, i);
		if (strcmp(c.kind, "t") != 0 && !strcmp(c.role, role))
			return false;
	}
	return true;
}

static void length_note(struct script *script, const char *name, const char *key)
{
	struct known *known = known_of(script, name);
	const struct redis_key *record = key_of(script->redis, key);
	known->has_length = true;
	known->length = record ? record->count : 0;
}

static bool wrong_types(struct script *script, size_t count)
{
	char key[NAME_MAX_BYTES], subject[NAME_MAX_BYTES];
	const char *id;
	bool is_wrong = false;
	for (size_t i = 1; i <= count; i++) {
		struct contribution c = contribution_read(script, i);
		if (!strcmp(c.kind, "t"))
			continue;
		online_key(script, c.name, key, &id);
		if (!key_fits(script, key, "zset") && is_first_of_role(script, i, c.role))
			(void)check(script, 0, key, "zset", &is_wrong);
		key_name(script, subject, "subject:", c.name);
		key_name(script, key, "state:", c.name);
		if (check(script, i, subject, "hash", &is_wrong) &&
			check(script, i, key, "hash", &is_wrong))
			length_note(script, c.name, subject);
	}
	return is_wrong;
}

static void activity_trim(struct script *script, const char *key)
{
	const struct redis_key *all = key_of(script->redis, key);
	int64_t last = 0;
	for (size_t i = all ? all->count : 0; i > 0; i--) {
		if (all->fields[i - 1].score > script->now)
			continue;
		zrem(script->redis, key, all->fields[i - 1].name);
		all = key_of(script->redis, key);
		if (!all)
			return;
	}
	for (size_t i = 0; all && i < all->count; i++)
		if (all->fields[i].score > last)
			last = all->fields[i].score;
	if (all)
		pexpire(script->redis, key, last - script->now);
}

static void activity(struct script *script, const struct contribution *c)
{
	char key[NAME_MAX_BYTES];
	key_name(script, key, "typing:", c->field);
	if (!key_fits(script, key, "zset"))
		return;
	if (c->rank > 0)
		zadd(script->redis, key, c->seen, c->name, false);
	else
		zrem(script->redis, key, c->name);
	activity_trim(script, key);
}

static void apply(struct script *script, struct contribution *c, int64_t seq)
{
	switch (c->kind[0]) {
	case 's':
		contribute(script, c, seq);
		break;
	case 'o':
		override_apply(script, c, seq);
		break;
	case 'f':
		forget(script, c, seq);
		break;
	case 't':
		activity(script, c);
		break;
	}
}

void script_apply(struct script *script)
{
	struct holder holder;
	size_t count = (arg_count(script) - START) / FIELDS;
	int64_t first = arg_number(script, 10), last = first + (int64_t)count - 1;
	script->ttl = arg(script, 7);
	script->floor = arg_number(script, 9);
	if (fence(script, &holder))
		return;
	if (last <= holder.mark) {
		answer(script, "DUP");
		answer_number(script, holder.mark);
		answer_number(script, 0);
		return;
	}
	if (first != holder.mark + 1) {
		answer(script, "LOST");
		return;
	}
	if (wrong_types(script, count))
		return;
	merge_begin(script);
	for (size_t i = 1; i <= count; i++) {
		struct contribution c = contribution_read(script, i);
		apply(script, &c, first + (int64_t)i - 1);
	}
	merge_end(script);
	holder.mark = last;
	holder_set(script, &holder);
	answer(script, "OK");
	answer_number(script, holder.mark);
	answer_number(script, script->meta_rev);
}

/* ---- refresh_1.lua ---- */

static bool refresh(struct script *script, size_t at)
{
	const char *name = arg(script, at), *last_seen = arg(script, at + 1);
	char subject[NAME_MAX_BYTES], state[NAME_MAX_BYTES], online[NAME_MAX_BYTES];
	const char *id;
	struct state_devices devices;
	int64_t there = 0;
	key_name(script, subject, "subject:", name);
	key_name(script, state, "state:", name);
	online_key(script, name, online, &id);
	if (!key_fits(script, subject, "hash") || !key_fits(script, state, "hash") ||
		!key_fits(script, online, "zset"))
		return true;
	(void)state_read(script, state, &devices);
	for (size_t i = 0; i < devices.count; i++)
		there += devices.item[i].is_own;
	const char *status = hget(script->redis, subject, "status");
	if (there < arg_number(script, at + 2) || !status)
		return false;
	struct known *known = known_of(script, name);
	known->has_member = true;
	if (!strcmp(status, "offline"))
		return true;
	pexpire(script->redis, subject, arg_number(script, 7));
	const char *seen = hget(script->redis, subject, "last_seen");
	if (!seen || strtoll(seen, NULL, 10) < strtoll(last_seen, NULL, 10))
		hset(script->redis, subject, "last_seen", last_seen);
	known->has_score = true;
	known->score = strtoll(last_seen, NULL, 10);
	return true;
}

static void refresh_end(const struct script *script)
{
	char key[NAME_MAX_BYTES];
	const char *id;
	key_name(script, key, "node:", script->node);
	for (const struct known *known = script->first; known; known = known->next)
		if (known->has_member)
			sadd(script->redis, key, known->name);
	for (const struct known *known = script->first; known; known = known->next) {
		online_key(script, known->name, key, &id);
		if (known->has_score)
			zadd(script->redis, key, known->score, id, true);
	}
}

void script_refresh(struct script *script)
{
	struct holder holder;
	if (fence(script, &holder))
		return;
	answer(script, "OK");
	for (size_t i = 8; i + 2 <= arg_count(script); i += 3)
		if (!refresh(script, i))
			answer_number(script, (int64_t)(i - 8) / 3);
	refresh_end(script);
}
