/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "redis_script.h"

const char *const script_words[4] = { "offline", "away", "online", "dnd" };

const char *arg(const struct script *script, size_t place)
{
	return place + 3 < script->redis->argc ? script->redis->argv[place + 3] : "";
}

int64_t arg_number(const struct script *script, size_t place)
{
	return strtoll(arg(script, place), NULL, 10);
}

size_t arg_count(const struct script *script)
{
	return script->redis->argc - 4;
}

void key_name(
	const struct script *script, char out[NAME_MAX_BYTES], const char *kind, const char *rest)
{
	(void)snprintf(out, NAME_MAX_BYTES, "%s%s%s", script->base, kind, rest);
}

bool key_fits(const struct script *script, const char *name, const char *type)
{
	const char *found = type_of(script->redis, name);
	return !strcmp(found, "none") || !strcmp(found, type);
}

/* ---- answers ---- */

void answer_text(const struct script *script, const char *text)
{
	(void)reply_add(script->redis->reply, reply_of_text(text));
}

void answer_number(const struct script *script, int64_t number)
{
	(void)reply_add(script->redis->reply, reply_of_number(number));
}

void answer(const struct script *script, const char *word)
{
	answer_text(script, word);
}

/* ---- common_1.lua ---- */

static const struct shared {
	const char *kind, *type;
	bool is_of_node;
} shared[] = {
	{ "meta", "hash", false },
	{ "nodes", "hash", false },
	{ "lease:", "string", true },
	{ "node:", "set", true },
	{ "events", "stream", false },
	{ "overrides", "hash", false },
};
enum { SHARED = sizeof(shared) / sizeof(*shared) };

static bool shared_fits(
	const struct script *script, const struct shared *row, char name[NAME_MAX_BYTES])
{
	key_name(script, name, row->kind, row->is_of_node ? script->node : "");
	return key_fits(script, name, row->type);
}

bool shared_types(const struct script *script)
{
	char name[NAME_MAX_BYTES];
	for (size_t i = 0; i < SHARED; i++) {
		if (shared_fits(script, &shared[i], name))
			continue;
		answer(script, "TYPE");
		answer_number(script, 0);
		answer_text(script, type_of(script->redis, name));
		answer_text(script, name);
		return true;
	}
	return false;
}

/* "1|boot|epoch|mark|state|pid|host|version" */
void holder_read(const char *value, struct holder *holder)
{
	long long epoch, mark;
	int host = 0;
	*holder = (struct holder){ 0 };
	if (!value ||
		sscanf(value, "1|%63[0-9a-fA-F]|%lld|%lld|%15[a-zA-Z]|%23[0-9]|%n", holder->boot,
			&epoch, &mark, holder->state, holder->pid, &host) != 5 ||
		!host)
		return;
	const char *bar = strchr(value + host, '|');
	if (!bar || strchr(bar + 1, '|'))
		return;
	(void)snprintf(holder->host, sizeof(holder->host), "%.*s", (int)(bar - value - host),
		value + host);
	(void)snprintf(holder->version, sizeof(holder->version), "%s", bar + 1);
	holder->epoch = epoch;
	holder->mark = mark;
	holder->is_there = true;
}

void holder_get(const struct script *script, struct holder *holder)
{
	char nodes[NAME_MAX_BYTES];
	key_name(script, nodes, "nodes", "");
	holder_read(hget(script->redis, nodes, script->node), holder);
}

void holder_set(const struct script *script, const struct holder *holder)
{
	char nodes[NAME_MAX_BYTES], value[NAME_MAX_BYTES];
	key_name(script, nodes, "nodes", "");
	(void)snprintf(value, sizeof(value), "1|%s|%lld|%lld|%s|%s|%s|%s", holder->boot,
		(long long)holder->epoch, (long long)holder->mark, holder->state, holder->pid,
		holder->host, holder->version);
	hset(script->redis, nodes, script->node, value);
}

static bool lost(const struct script *script)
{
	answer(script, "LOST");
	return true;
}

bool overrides_gone(const struct script *script)
{
	char meta[NAME_MAX_BYTES], overrides[NAME_MAX_BYTES];
	key_name(script, meta, "meta", "");
	key_name(script, overrides, "overrides", "");
	return hget(script->redis, meta, "overrides") && !key_of(script->redis, overrides);
}

bool fence(const struct script *script, struct holder *holder)
{
	char meta[NAME_MAX_BYTES];
	/* The lease is looked at by those who write it. */
	for (size_t i = 0; i < SHARED; i++)
		if (strcmp(shared[i].kind, "lease:") != 0 && !shared_fits(script, &shared[i], meta))
			return shared_types(script);
	holder_get(script, holder);
	if (!holder->is_there)
		return lost(script);
	if (strcmp(holder->boot, script->boot) != 0 || holder->epoch > script->epoch) {
		answer(script, "FENCED");
		answer_text(script, holder->boot);
		answer_text(script, holder->host);
		answer_text(script, holder->pid);
		return true;
	}
	if (holder->epoch < script->epoch || holder->mark < script->acked)
		return lost(script);
	key_name(script, meta, "meta", "");
	const char *gen = hget(script->redis, meta, "gen");
	if (!gen || strtoll(gen, NULL, 10) != script->gen)
		return lost(script);
	if (overrides_gone(script))
		return lost(script);
	return false;
}

/* ---- what a call knows ---- */

struct known *known_of(struct script *script, const char *name)
{
	struct known *known = script->first;
	while (known && strcmp(known->name, name) != 0)
		known = known->next;
	if (known)
		return known;
	known = scratch_room(script->redis, sizeof(*known));
	known->name = scratch_text(script->redis, name);
	if (script->last)
		script->last->next = known;
	else
		script->first = known;
	script->last = known;
	return known;
}

void online_key(
	const struct script *script, const char *name, char key[NAME_MAX_BYTES], const char **id)
{
	char role[NAME_MAX_BYTES];
	size_t length = strcspn(name, "/");
	(void)snprintf(role, sizeof(role), "%.*s", (int)length, name);
	key_name(script, key, "online:", role);
	*id = name + length + (name[length] == '/');
}

/* ---- all of them ---- */

void script_run(struct redis_model *redis, enum redis_script which)
{
	struct script script = { .redis = redis, .overridden = true };
	(void)snprintf(script.base, sizeof(script.base), "%.*s", (int)strlen(redis->argv[3]) - 4,
		redis->argv[3]);
	script.node = arg(&script, 1);
	script.boot = arg(&script, 2);
	script.epoch = arg_number(&script, 3);
	script.gen = arg_number(&script, 4);
	script.now = arg_number(&script, 5);
	script.acked = arg_number(&script, 6);
	key_name(&script, script.events, "events", "");
	(void)snprintf(script.own, sizeof(script.own), "d:%s/", script.node);
	switch (which) {
	case REDIS_SCRIPT_REGISTER:
		script_register(&script);
		break;
	case REDIS_SCRIPT_APPLY:
		script_apply(&script);
		break;
	case REDIS_SCRIPT_REFRESH:
		script_refresh(&script);
		break;
	case REDIS_SCRIPT_RENEW:
		script_renew(&script);
		break;
	case REDIS_SCRIPT_SWEEP:
		script_sweep(&script);
		break;
	case REDIS_SCRIPT_SNAPSHOT:
		script_snapshot(&script);
		break;
	case REDIS_SCRIPTS:
		break;
	}
}

/* ---- override_1.lua ---- */

enum { TRIM = 8 };
static const int64_t day_ms = 86400000;

const char *override_shows(const char *word)
{
	if (!strcmp(word, "invisible"))
		return "offline";
	for (size_t i = 1; i < 4; i++)
		if (!strcmp(word, script_words[i]))
			return script_words[i];
	return NULL;
}

static int64_t number_after(const char *value, const char *key)
{
	const char *at = strstr(value, key);
	return at ? strtoll(at + strlen(key), NULL, 10) : 0;
}

static void text_after(const char *value, const char *key, char *out, size_t size)
{
	const char *at = strstr(value, key);
	size_t length = 0;
	out[0] = '\0';
	for (at = at ? at + strlen(key) : ""; *at && *at != '"' && length + 1 < size; at++) {
		if (*at == '\\')
			at++;
		out[length++] = *at;
	}
	out[length] = '\0';
}

/* Only what override_store() writes: the notes of these tests hold nothing that looks like keys. */
void override_parse(const struct script *script, const char *value, struct override_value *override)
{
	*override = (struct override_value){ 0 };
	if (!value || strncmp(value, "{\"status\":", 10) != 0)
		return;
	override->is_there = true;
	text_after(value, "{\"status\":\"", override->word, sizeof(override->word));
	text_after(value, ",\"note\":\"", override->note, sizeof(override->note));
	text_after(value, ",\"node\":\"", override->node, sizeof(override->node));
	override->till = number_after(value, ",\"until\":");
	override->rev = number_after(value, ",\"rev\":");
	override->epoch = number_after(value, ",\"epoch\":");
	if (override->till == 0 || override->till > script->now)
		override->status = override_shows(override->word);
}

void override_read(const struct script *script, const char *name, struct override_value *override)
{
	char key[NAME_MAX_BYTES];
	key_name(script, key, "overrides", "");
	override_parse(
		script, script->overridden ? hget(script->redis, key, name) : NULL, override);
}

/* As cjson encodes. */
static void json_text(const char *text, char *out)
{
	for (; *text; text++) {
		if (strchr("\"\\/", *text))
			*out++ = '\\';
		*out++ = *text;
	}
	*out = '\0';
}

void override_store(struct script *script, const char *name, const struct override_value *override)
{
	char key[NAME_MAX_BYTES], value[2 * NAME_MAX_BYTES], note[2 * NOTE_MAX_BYTES],
		till[40] = "", meta[NAME_MAX_BYTES];
	char note_part[2 * NOTE_MAX_BYTES + 16] = "";
	int64_t until = !strcmp(override->word, "none") ? script->now + day_ms : override->till;
	json_text(override->note, note);
	if (note[0])
		(void)snprintf(note_part, sizeof(note_part), ",\"note\":\"%s\"", note);
	if (until > 0)
		(void)snprintf(till, sizeof(till), ",\"until\":%lld", (long long)until);
	key_name(script, meta, "meta", "");
	if (!script->overridden)
		hset(script->redis, meta, "overrides", "1");
	key_name(script, key, "overrides", "");
	(void)snprintf(value, sizeof(value),
		"{\"status\":\"%s\"%s%s,\"rev\":%lld,\"node\":\"%s\",\"epoch\":%lld}",
		override->word, note_part, till, (long long) override->rev, script->node,
		(long long)script->epoch);
	hset(script->redis, key, name, value);
	script->overridden = true;
}

/* Where there are no more than that, all are looked at: HRANDFIELD's choice does not matter. */
void overrides_trim(struct script *script)
{
	char key[NAME_MAX_BYTES];
	struct override_value override;
	key_name(script, key, "overrides", "");
	const struct redis_key *all = key_of(script->redis, key);
	for (size_t i = all ? all->count : 0; i > 0 && all->count - i < TRIM; i--) {
		override_parse(script, all->fields[i - 1].value, &override);
		int64_t kept_ms = !strcmp(override.word, "none") ? 0 : day_ms;
		if (!override.is_there || override.till <= 0 ||
			override.till + kept_ms > script->now)
			continue;
		hdel(script->redis, key, all->fields[i - 1].name);
		all = key_of(script->redis, key);
		if (!all)
			return;
	}
}

void page_get(const struct script *script, const char *cursor, size_t count, struct page *page)
{
	char key[NAME_MAX_BYTES];
	uint64_t from = strtoull(cursor + 1, NULL, 10), last = 0;
	page->count = 0;
	page->is_overrides = cursor[0] == 'o';
	if (page->is_overrides)
		key_name(script, key, "overrides", "");
	else
		key_name(script, key, "node:", script->node);
	const struct redis_key *all = key_of(script->redis, key);
	bool more = false;
	for (size_t i = 0; all && i < all->count && !more; i++) {
		if (all->fields[i].number <= from)
			continue;
		more = page->count == count || page->count == PAGE_MAX;
		if (more)
			break;
		last = all->fields[i].number;
		page->names[page->count++] = scratch_text(script->redis, all->fields[i].name);
	}
	if (more)
		(void)snprintf(page->cursor, sizeof(page->cursor), "%c%llu", cursor[0],
			(unsigned long long)last);
	else
		(void)snprintf(
			page->cursor, sizeof(page->cursor), "%s", page->is_overrides ? "s0" : "0");
}
