/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "redis_script.h"

/* ---- sweep_1.lua ---- */

static bool is_writable(const struct script *script, const char *name, int64_t *passed_over)
{
	char subject[NAME_MAX_BYTES], state[NAME_MAX_BYTES], online[NAME_MAX_BYTES];
	const char *id;
	key_name(script, subject, "subject:", name);
	key_name(script, state, "state:", name);
	online_key(script, name, online, &id);
	bool is_good = key_fits(script, subject, "hash") && key_fits(script, state, "hash") &&
		key_fits(script, online, "zset");
	*passed_over += !is_good;
	return is_good;
}

static void leftover(const struct script *script, const char *name, bool *some, bool *rest)
{
	struct state_devices devices;
	char state[NAME_MAX_BYTES];
	key_name(script, state, "state:", name);
	(void)state_read(script, state, &devices);
	for (size_t i = 0; i < devices.count; i++) {
		if (!devices.item[i].is_own)
			continue;
		if (devices.item[i].epoch < script->floor)
			*some = true;
		else
			*rest = true;
	}
}

static void sweep_override(
	struct script *script, const char *name, int64_t retain, int64_t mark, int64_t *passed_over)
{
	char key[NAME_MAX_BYTES];
	struct override_value o;
	key_name(script, key, "overrides", "");
	override_parse(script, hget(script->redis, key, name), &o);
	bool cleared = !strcmp(o.word, "none");
	if (!o.is_there || strcmp(o.node, script->node) != 0 ||
		cleared != (o.epoch >= script->floor) || !is_writable(script, name, passed_over))
		return;
	if (!cleared)
		override_clear(script, name, &o, retain, mark);
	answer_text(script, name);
}

static void sweep_subject(
	struct script *script, const char *name, int64_t retain, int64_t mark, int64_t *passed_over)
{
	char subject[NAME_MAX_BYTES];
	bool some = false, rest = false;
	if (is_writable(script, name, passed_over))
		leftover(script, name, &some, &rest);
	if (some)
		leftovers_drop(script, name, "broker_restart", retain, mark);
	if (!rest)
		return;
	key_name(script, subject, "subject:", name);
	const char *reason = hget(script->redis, subject, "reason");
	if (some || (reason && !strcmp(reason, "broker_restart")))
		answer_text(script, name);
}

void script_sweep(struct script *script)
{
	struct holder holder;
	struct page page;
	int64_t retain = arg_number(script, 12), passed_over = 0;
	script->ttl = arg(script, 7);
	script->floor = arg_number(script, 9);
	if (fence(script, &holder))
		return;
	page_get(script, arg(script, 10), (size_t)arg_number(script, 11), &page);
	answer(script, "OK");
	answer_text(script, page.cursor);
	answer_number(script, 0);
	answer_number(script, 0);
	merge_begin(script);
	for (size_t i = 0; i < page.count; i++) {
		if (page.is_overrides)
			sweep_override(script, page.names[i], retain, holder.mark, &passed_over);
		else
			sweep_subject(script, page.names[i], retain, holder.mark, &passed_over);
	}
	merge_end(script);
	script->redis->reply->element[2]->integer = passed_over;
	script->redis->reply->element[3]->integer = script->meta_rev;
}

/* ---- snapshot_1.lua ---- */

static void add_number(redisReply *array, int64_t number)
{
	char text[24];
	(void)snprintf(text, sizeof(text), "%lld", (long long)number);
	(void)reply_add(array, reply_of_text(text));
}

struct kept {
	int64_t count, rank, latest;
	const char *rev; /* NULL: 0 */
	bool others;
};

/* "1|epoch|rank|rev|last_seen|note" */
static bool add_device(const struct script *script, const struct redis_field *field,
	redisReply *out, struct kept *kept)
{
	long long epoch, rank, rev, seen;
	int note = 0;
	if (sscanf(field->value, "1|%lld|%lld|%lld|%lld|%n", &epoch, &rank, &rev, &seen, &note) <
			4 ||
		!note || epoch >= arg_number(script, 7) ||
		strncmp(field->name, script->own, strlen(script->own)) != 0)
		return false;
	(void)reply_add(out, reply_of_text(field->name + strlen(script->own)));
	add_number(out, seen);
	add_number(out, rank);
	(void)reply_add(out, reply_of_text(field->value + note));
	kept->count++;
	if (rank > kept->rank)
		kept->rank = rank;
	if (seen > kept->latest)
		kept->latest = seen;
	return true;
}

static void devices_of(const struct script *script, const struct redis_key *state, redisReply *out,
	struct kept *kept)
{
	for (size_t i = 0; state && i < state->count; i++) {
		if (!strcmp(state->fields[i].name, "rev"))
			kept->rev = state->fields[i].value;
		else if (!add_device(script, &state->fields[i], out, kept))
			kept->others = true;
	}
}

/* Made of what is left of it. */
static void add_made(redisReply *out, const struct kept *kept)
{
	(void)reply_add(out, reply_of_text(script_words[kept->rank & 3]));
	(void)reply_add(out, reply_of_text("offline"));
	(void)reply_add(out, reply_of_text("unknown"));
	(void)reply_add(out, reply_of_text("inferred"));
	(void)reply_add(out, reply_of_number(kept->count));
	add_number(out, kept->latest);
	add_number(out, kept->latest);
	(void)reply_add(out, kept->rev ? reply_of_text(kept->rev) : reply_of_number(0));
	(void)reply_add(out, reply_of_text(""));
	(void)reply_add(out, reply_of_text(""));
}

static void add_record(const struct script *script, redisReply *out, const char *subject)
{
	static const char *const names[] = { "status", "previous", "reason", "source", "devices",
		"since", "last_seen", "rev", "note", "until" };
	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++) {
		const char *value = hget(script->redis, subject, names[i]);
		(void)reply_add(out, reply_of_text(value ? value : ""));
	}
}

static bool is_hidden(const struct script *script, const char *name, const struct kept *kept)
{
	struct override_value o;
	override_read(script, name, &o);
	return !kept->rev || !strtoll(kept->rev, NULL, 10) || !strcmp(o.word, "invisible");
}

static void snapshot_subject(struct script *script, const char *name)
{
	struct redis_model *redis = script->redis;
	char subject[NAME_MAX_BYTES], state[NAME_MAX_BYTES], node[NAME_MAX_BYTES];
	struct kept kept = { 0 };
	key_name(script, subject, "subject:", name);
	key_name(script, state, "state:", name);
	const struct redis_key *hash = key_of(redis, subject);
	bool is_public = hash && hash->type == REDIS_HASH;
	redisReply *record = reply_of_array(), *devices = reply_of_array();
	if (key_fits(script, state, "hash"))
		devices_of(script, key_of(redis, state), devices, &kept);
	const char *status = is_public ? hget(redis, subject, "status") : NULL;
	if (is_public)
		add_record(script, record, subject);
	else if (kept.count && !is_hidden(script, name, &kept))
		add_made(record, &kept);
	if (kept.count || (is_public && ((status && !strcmp(status, "offline")) || !kept.others))) {
		redisReply *row = reply_add(reply_of_array(), reply_of_text(name));
		(void)reply_add(redis->reply, reply_add(reply_add(row, record), devices));
		return;
	}
	freeReplyObject(record);
	freeReplyObject(devices);
	if (!key_of(redis, subject) && !key_of(redis, state)) {
		key_name(script, node, "node:", script->node);
		srem(redis, node, name);
	}
}

static void snapshot_override(struct script *script, const char *name)
{
	char key[NAME_MAX_BYTES];
	struct override_value o;
	key_name(script, key, "overrides", "");
	override_parse(script, hget(script->redis, key, name), &o);
	if (!o.is_there || (!override_shows(o.word) && strcmp(o.word, "none") != 0))
		return;
	redisReply *row = reply_add(reply_of_array(), reply_of_text(name));
	(void)reply_add(row, reply_of_text(o.word));
	(void)reply_add(row, reply_of_text(o.note));
	add_number(row, o.till);
	add_number(row, o.rev);
	(void)reply_add(row, reply_of_number(!strcmp(o.node, script->node)));
	(void)reply_add(script->redis->reply, row);
}

void script_snapshot(struct script *script)
{
	char meta[NAME_MAX_BYTES];
	struct holder holder;
	struct page page;
	if (fence(script, &holder))
		return;
	page_get(script, arg(script, 8), (size_t)arg_number(script, 9), &page);
	key_name(script, meta, "meta", "");
	const char *rev = hget(script->redis, meta, "rev");
	answer(script, "OK");
	answer_text(script, page.cursor);
	answer_number(script, rev ? strtoll(rev, NULL, 10) : 0);
	for (size_t i = 0; i < page.count; i++) {
		if (page.is_overrides)
			snapshot_override(script, page.names[i]);
		else
			snapshot_subject(script, page.names[i]);
	}
}
