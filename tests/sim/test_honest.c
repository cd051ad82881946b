/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "chance.h"
#include "redis_model.h"
#include "room.h"
#include "server.h"

/* The model of Redis is honest: the same random calls of the scripts, and the same accidents, leave
 * the real one with the same answers and the same data. PRESENCE_SEED and PRESENCE_RUNS choose
 * other ones. */

enum {
	NODES = 2,
	SUBJECTS = 6,
	DEVICES = 3,
	STEPS = 80,
	RUNS = 60,
	ARGUMENTS_MAX = 400,
	TEXT_MAX = 1 << 20,
	KEYS_MAX = 256,
	/* Lifetimes differ by thousands of seconds; a busy machine may take some to look at both.
	 */
	TTL_SLACK_MS = 60000
};

static const char *const names[SUBJECTS] = { "agent/u0", "agent/u%2F1", "agent/u 2", "device/d3",
	"client/a%2Bb", "agent/u5" };
static const char *const roles[SUBJECTS] = { "agent", "agent", "agent", "device", "client",
	"agent" };
static const char *const ids[SUBJECTS] = { "u0", "u/1", "u 2", "d3", "a+b", "u5" };
static const char *const devices[DEVICES] = { "web", "a:b/c", "x" };
static const char *const fields[DEVICES] = { "web", "a%3Ab%2Fc", "x" };

/* As a writer knows it, but for what the test makes it believe. */
struct node {
	char boot[17];
	int64_t epoch, gen, acked, floor, first_epoch;
};

struct world {
	struct server server;
	struct redis_model model;
	struct node nodes[NODES];
	uint64_t seed, random;
	int64_t wall_ms, rev, olds;
	uint64_t boots;
	char sha[REDIS_SCRIPTS][64], model_sha[REDIS_SCRIPTS][64];
	char arguments[ARGUMENTS_MAX][160];
	size_t count;
	char *ours, *theirs; /* dumps */
};

static uint64_t roll(struct world *world, uint64_t below)
{
	return chance_below(&world->random, below);
}

static int64_t clock_ms(void)
{
	struct timespec now;
	(void)clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* ---- a command, to both ---- */

static void text(struct world *world, const char *value)
{
	assert_true(world->count < ARGUMENTS_MAX);
	(void)snprintf(world->arguments[world->count++], sizeof(world->arguments[0]), "%s", value);
}

static void number(struct world *world, int64_t value)
{
	char out[24];
	(void)snprintf(out, sizeof(out), "%lld", (long long)value);
	text(world, out);
}

static void begin(struct world *world, const struct node *node)
{
	world->count = 0;
	text(world, "EVALSHA");
	text(world, "");
	number(world, 1);
	text(world, "presence:{0}:meta");
	text(world, node == &world->nodes[0] ? "b1" : "b2");
	text(world, node->boot);
	number(world, node->epoch);
	number(world, node->gen);
	number(world, world->wall_ms);
	number(world, node->acked);
}

static redisReply *ask_model(struct world *world)
{
	const char *argv[ARGUMENTS_MAX];
	size_t lengths[ARGUMENTS_MAX];
	char *bytes;
	for (size_t i = 0; i < world->count; i++) {
		argv[i] = world->arguments[i];
		lengths[i] = strlen(argv[i]);
	}
	long long length = redisFormatCommandArgv(&bytes, (int)world->count, argv, lengths);
	assert_true(length > 0);
	world->model.now_ms = clock_ms();
	redisReply *reply = redis_model_command(&world->model, bytes, (size_t)length);
	redisFreeCommand(bytes);
	return reply;
}

static redisReply *ask_redis(struct world *world)
{
	const char *argv[ARGUMENTS_MAX];
	size_t lengths[ARGUMENTS_MAX];
	for (size_t i = 0; i < world->count; i++) {
		argv[i] = world->arguments[i];
		lengths[i] = strlen(argv[i]);
	}
	redisReply *reply = redisCommandArgv(
		world->server.client, (int)world->count, argv, lengths);
	assert_non_null(reply);
	return reply;
}

static int compare(const void *one, const void *other)
{
	return strcmp(*(char *const *)one, *(char *const *)other);
}

static void write_reply(const redisReply *reply, char *out, size_t size)
{
	char part[2048];
	switch (reply->type) {
	case REDIS_REPLY_INTEGER:
		(void)snprintf(out, size, ":%lld", reply->integer);
		return;
	case REDIS_REPLY_ERROR: /* the rest names the script */
		(void)snprintf(out, size, "-%.*s", (int)strcspn(reply->str, " "), reply->str);
		return;
	case REDIS_REPLY_ARRAY:
		break;
	default:
		(void)snprintf(out, size, "$%s", reply->str ? reply->str : "");
		return;
	}
	size_t length = (size_t)snprintf(out, size, "[");
	for (size_t i = 0; i < reply->elements && length < size; i++) {
		write_reply(reply->element[i], part, sizeof(part));
		length += (size_t)snprintf(out + length, size - length, "%s,", part);
	}
}

/* What SCAN finds it finds in no order: rows behind the head are sorted. How long a lease still
 * lasts is nobody's to know. */
static void print_reply(const redisReply *reply, size_t head, char *out, size_t size)
{
	char part[2048], *rows[KEYS_MAX];
	size_t count = 0, length = 0;
	if (reply->type != REDIS_REPLY_ARRAY) {
		write_reply(reply, out, size);
		return;
	}
	bool is_held = reply->elements && reply->element[0]->str &&
		!strcmp(reply->element[0]->str, "HELD");
	for (size_t i = 0; i < reply->elements - is_held; i++) {
		write_reply(reply->element[i], part, sizeof(part));
		if (i < head)
			length += (size_t)snprintf(out + length, size - length, "%s,", part);
		else if (count < KEYS_MAX)
			rows[count++] = text_of(part);
	}
	qsort(rows, count, sizeof(*rows), compare);
	for (size_t i = 0; i < count; i++) {
		length += (size_t)snprintf(out + length, size - length, "%s,", rows[i]);
		free(rows[i]);
	}
}

static void show(const struct world *world)
{
	(void)fprintf(stderr, "seed %llu:", (unsigned long long)world->seed);
	for (size_t i = 0; i < world->count; i++)
		(void)fprintf(stderr, " %s", world->arguments[i]);
	(void)fprintf(stderr, "\n");
}

/* The reply of the real one, to be freed. */
static redisReply *call(struct world *world, enum redis_script script, size_t head)
{
	static char ours[65536], theirs[65536];
	(void)snprintf(world->arguments[1], sizeof(world->arguments[1]), "%s", world->sha[script]);
	redisReply *reply = ask_redis(world);
	(void)snprintf(
		world->arguments[1], sizeof(world->arguments[1]), "%s", world->model_sha[script]);
	redisReply *modelled = ask_model(world);
	print_reply(reply, head, theirs, sizeof(theirs));
	print_reply(modelled, head, ours, sizeof(ours));
	freeReplyObject(modelled);
	if (strcmp(ours, theirs) != 0)
		show(world);
	assert_string_equal(ours, theirs);
	return reply;
}

/* ---- dumps ---- */

static const char dump_script[] =
	"local keys, out = redis.call('KEYS', '*'), {}\n"
	"table.sort(keys)\n"
	"for _, key in ipairs(keys) do\n"
	"  local kind, rows = redis.call('TYPE', key).ok, {}\n"
	"  if kind == 'hash' then local all = redis.call('HGETALL', key)\n"
	"    for i = 1, #all, 2 do rows[#rows + 1] = all[i] .. '=' .. all[i + 1] end\n"
	"  elseif kind == 'set' then rows = redis.call('SMEMBERS', key)\n"
	"  elseif kind == 'zset' then local all = redis.call('ZRANGE', key, 0, -1, 'WITHSCORES')\n"
	"    for i = 1, #all, 2 do rows[#rows + 1] = all[i] .. '=' ..\n"
	"      string.format('%.0f', tonumber(all[i + 1])) end\n"
	"  elseif kind == 'stream' then\n"
	"    for i, entry in ipairs(redis.call('XRANGE', key, '-', '+')) do\n"
	"      rows[i] = string.format('%06d=', i) .. table.concat(entry[2], '\\t') .. '\\t' end\n"
	"  else rows[1] = redis.call('GET', key) end\n"
	"  table.sort(rows)\n"
	"  out[#out + 1] = key .. ' ' .. kind .. '\\n' .. table.concat(rows, '\\n') .. '\\n'\n"
	"  out[#out + 1] = redis.call('PTTL', key)\n"
	"end\n"
	"return out\n";

static int by_name(const void *one, const void *other)
{
	return strcmp((*(const struct redis_key *const *)one)->name,
		(*(const struct redis_key *const *)other)->name);
}

static size_t key_rows(const struct redis_key *key, char **rows)
{
	char row[4096];
	for (size_t i = 0; i < key->count; i++) {
		const struct redis_field *field = &key->fields[i];
		switch (key->type) {
		case REDIS_HASH:
			(void)snprintf(row, sizeof(row), "%s=%s", field->name, field->value);
			break;
		case REDIS_ZSET:
			(void)snprintf(
				row, sizeof(row), "%s=%lld", field->name, (long long)field->score);
			break;
		case REDIS_STREAM:
			(void)snprintf(row, sizeof(row), "%06zu=%s", i + 1, field->value);
			break;
		case REDIS_SET:
			(void)snprintf(row, sizeof(row), "%s", field->name);
			break;
		case REDIS_STRING:
			(void)snprintf(row, sizeof(row), "%s", field->value);
			break;
		}
		rows[i] = text_of(row);
	}
	qsort(rows, key->count, sizeof(*rows), compare);
	return key->count;
}

static size_t dump_key(struct world *world, const struct redis_key *key, char *out, size_t size)
{
	static char *rows[4096];
	size_t length = (size_t)snprintf(
		out, size, "%s %s\n", key->name, type_of(&world->model, key->name));
	size_t count = key_rows(key, rows);
	for (size_t i = 0; i < count; i++) {
		length += (size_t)snprintf(out + length, size - length, "%s\n", rows[i]);
		free(rows[i]);
	}
	return length;
}

static size_t sorted_keys(struct world *world, const struct redis_key *keys[KEYS_MAX])
{
	size_t count = 0;
	for (size_t i = 0; i < world->model.db.count && count < KEYS_MAX; i++)
		keys[count++] = &world->model.db.keys[i];
	qsort(keys, count, sizeof(*keys), by_name);
	return count;
}

/* Of two long texts, the first line that differs. */
static void check_text(const struct world *world, const char *ours, const char *theirs)
{
	if (!strcmp(ours, theirs))
		return;
	show(world);
	const char *line = ours, *their_line = theirs;
	for (; *ours && *ours == *theirs; ours++, theirs++)
		if (*ours == '\n') {
			line = ours + 1;
			their_line = theirs + 1;
		}
	(void)fprintf(stderr, "model: %.*s\nRedis: %.*s\n", (int)strcspn(line, "\n"), line,
		(int)strcspn(their_line, "\n"), their_line);
	fail();
}

static void check_data(struct world *world)
{
	const struct redis_key *keys[KEYS_MAX];
	size_t count = sorted_keys(world, keys), ours = 0, theirs = 0;
	redisReply *reply = server_ask(&world->server, "EVAL %s 0", dump_script);
	assert_int_equal(reply->type, REDIS_REPLY_ARRAY);
	world->ours[0] = world->theirs[0] = '\0';
	for (size_t i = 0; i + 1 < reply->elements; i += 2)
		theirs += (size_t)snprintf(
			world->theirs + theirs, TEXT_MAX - theirs, "%s", reply->element[i]->str);
	for (size_t i = 0; i < count; i++)
		ours += dump_key(world, keys[i], world->ours + ours, TEXT_MAX - ours);
	check_text(world, world->ours, world->theirs);
	for (size_t i = 0; i < count; i++) {
		int64_t left_ms = keys[i]->expires_ms ? keys[i]->expires_ms - clock_ms() : -1;
		int64_t real_ms = reply->element[2 * i + 1]->integer;
		bool is_near = (real_ms == -1) == (left_ms == -1) &&
			llabs(real_ms - left_ms) < TTL_SLACK_MS;
		if (!is_near)
			(void)fprintf(stderr, "%s ends in %lld, modelled %lld\n", keys[i]->name,
				(long long)real_ms, (long long)left_ms);
		assert_true(is_near);
	}
	freeReplyObject(reply);
}

/* ---- calls ---- */

static struct node *some_node(struct world *world)
{
	return &world->nodes[roll(world, 4) == 0];
}

static int64_t number_at(const redisReply *reply, size_t place)
{
	return place < reply->elements ? reply->element[place]->integer : 0;
}

static bool is_word(const redisReply *reply, const char *word)
{
	return reply->type == REDIS_REPLY_ARRAY && reply->elements &&
		!strcmp(reply->element[0]->str, word);
}

static void new_boot(struct world *world, struct node *node)
{
	*node = (struct node){ 0 };
	(void)snprintf(
		node->boot, sizeof(node->boot), "%016llx", (unsigned long long)++world->boots);
}

static void do_register(struct world *world)
{
	struct node *node = some_node(world);
	if (roll(world, 4) == 0)
		new_boot(world, node);
	begin(world, node);
	number(world, node->epoch ? (int64_t)roll(world, 2) : 1);
	number(world, 10000000);
	number(world, roll(world, 30) ? 1 : 2);
	number(world, 100000);
	number(world, 7);
	text(world, "host");
	text(world, "0.1");
	redisReply *reply = call(world, REDIS_SCRIPT_REGISTER, 64);
	if (is_word(reply, "OK")) {
		node->epoch = number_at(reply, 1);
		node->gen = number_at(reply, 2);
		node->acked = number_at(reply, 3);
		if (!node->first_epoch)
			node->first_epoch = node->epoch;
		if (number_at(reply, 5))
			node->floor = node->epoch;
	}
	freeReplyObject(reply);
}

/* Mostly the newest. No two are the same: of two notes of one rev, which is shown is left open. */
static int64_t some_rev(struct world *world)
{
	enum { STEP = 1000 };
	if (roll(world, 8))
		return world->rev += STEP;
	return world->rev - 3 * STEP + ++world->olds;
}

static void add_contribution(struct world *world)
{
	size_t s = (size_t)roll(world, SUBJECTS), d = (size_t)roll(world, DEVICES);
	unsigned kind = (unsigned)roll(world, 12);
	bool is_hidden = roll(world, 6) == 0;
	static const char *const overrides[] = { "online", "away", "dnd", "invisible", "none" };
	char note[16] = "";
	int64_t rev = is_hidden ? 0 : some_rev(world);
	if (!is_hidden && roll(world, 3) == 0)
		(void)snprintf(note, sizeof(note), "n\"/%d", (int)roll(world, 3));
	text(world, kind == 0 ? "f" : kind == 1 ? "t" : kind < 4 ? "o" : "s");
	text(world, names[s]);
	text(world, roles[s]);
	text(world, ids[s]);
	if (kind == 1) {
		text(world, "");
		text(world, "c1");
		number(world, (int64_t)roll(world, 2));
		number(world, world->wall_ms + (roll(world, 3) ? 1000000 : -5));
		text(world, "");
	} else if (kind == 2 || kind == 3) {
		text(world, "");
		text(world, overrides[roll(world, 5)]);
		number(world, world->rev += 1);
		number(world, roll(world, 2) ? 0 : world->wall_ms - 50 + (int64_t)roll(world, 100));
		text(world, note);
	} else {
		bool is_alone = roll(world, 5) == 0;
		text(world, is_alone ? "" : devices[d]);
		text(world, is_alone ? "" : fields[d]);
		number(world, (int64_t)roll(world, 4));
		number(world, world->wall_ms);
		text(world, note);
	}
	number(world, (int64_t)roll(world, 4));
	number(world, (int64_t)roll(world, 4));
	number(world, world->wall_ms - (int64_t)roll(world, 1000));
	number(world, world->wall_ms - (int64_t)roll(world, 10));
	number(world, rev);
	text(world, "connect");
	text(world, roll(world, 3) ? "inferred" : "manual");
	text(world, note);
	number(world, roll(world, 4) ? 0 : world->wall_ms + 1000000);
	number(world, roll(world, 8) ? 7000000 : 0);
	number(world, world->wall_ms - (int64_t)roll(world, 5));
}

static void do_apply(struct world *world)
{
	struct node *node = some_node(world);
	size_t count = 1 + (size_t)roll(world, 6);
	int64_t off = roll(world, 8) ? 0 : (int64_t)roll(world, 5) - 2;
	begin(world, node);
	number(world, 9000000);
	number(world, 100000);
	number(world, node->floor);
	number(world, node->acked + 1 + off);
	for (size_t i = 0; i < count; i++)
		add_contribution(world);
	redisReply *reply = call(world, REDIS_SCRIPT_APPLY, 64);
	if (is_word(reply, "OK"))
		node->acked = number_at(reply, 1);
	freeReplyObject(reply);
}

static void do_refresh(struct world *world)
{
	begin(world, some_node(world));
	number(world, 9000000);
	for (size_t s = 0; s < SUBJECTS; s++) {
		text(world, names[s]);
		number(world, world->wall_ms + (int64_t)roll(world, 10));
		number(world, (int64_t)roll(world, 3));
	}
	freeReplyObject(call(world, REDIS_SCRIPT_REFRESH, 64));
}

static void do_renew(struct world *world)
{
	begin(world, some_node(world));
	number(world, 10000000);
	text(world, roll(world, 4) ? "up" : "leaving");
	number(world, 100000);
	freeReplyObject(call(world, REDIS_SCRIPT_RENEW, 64));
}

/* In which order SCAN finds them the model cannot know, and revs are minted in it. step: 2 for a
 * hash, whose values come along. */
static void copy_order(struct world *world, const char *scan, const char *key, size_t step)
{
	const struct redis_key *modelled = redis_model_find(&world->model, key);
	redisReply *reply = server_ask(&world->server, "%s %s 0 COUNT 1000", scan, key);
	size_t count = modelled && reply->type == REDIS_REPLY_ARRAY
		? reply->element[1]->elements / step
		: 0;
	for (size_t i = 0; i < count && i < modelled->count; i++)
		for (size_t j = i; j < modelled->count; j++) {
			struct redis_field *at = &modelled->fields[i];
			struct redis_field *found = &modelled->fields[j], was = *at;
			if (strcmp(found->name, reply->element[1]->element[i * step]->str) != 0)
				continue;
			at->name = found->name; /* numbers stay where they are */
			at->value = found->value;
			found->name = was.name;
			found->value = was.value;
			break;
		}
	freeReplyObject(reply);
}

static void do_pages(struct world *world, bool is_sweep)
{
	struct node *node = some_node(world);
	for (const char *cursor = "o0"; strcmp(cursor, "0") != 0;) {
		char next[32];
		copy_order(world, "SSCAN",
			node == &world->nodes[0] ? "presence:{0}:node:b1" : "presence:{0}:node:b2",
			1);
		copy_order(world, "HSCAN", "presence:{0}:overrides", 2);
		begin(world, node);
		if (is_sweep) {
			number(world, 9000000);
			number(world, 100000);
			number(world, roll(world, 2) ? node->floor : node->epoch);
			text(world, cursor);
			number(world, 1000);
			number(world, 7000000);
		} else {
			number(world, roll(world, 2) ? node->first_epoch : node->epoch + 1);
			text(world, cursor);
			number(world, 1000);
		}
		redisReply *reply = call(world,
			is_sweep ? REDIS_SCRIPT_SWEEP : REDIS_SCRIPT_SNAPSHOT, is_sweep ? 4 : 3);
		bool is_good = is_word(reply, "OK");
		(void)snprintf(next, sizeof(next), "%s", is_good ? reply->element[1]->str : "0");
		freeReplyObject(reply);
		cursor = !strcmp(next, "s0") ? "s0" : "0";
	}
}

/* ---- accidents ---- */

static void some_key(struct world *world, char out[128])
{
	static const char *const shared[] = { "meta", "nodes", "lease:b1", "node:b1", "events",
		"overrides", "online:agent", "typing:c1" };
	size_t s = (size_t)roll(world, SUBJECTS);
	switch (roll(world, 3)) {
	case 0:
		(void)snprintf(out, 128, "presence:{0}:%s", shared[roll(world, 8)]);
		break;
	case 1:
		(void)snprintf(out, 128, "presence:{0}:subject:%s", names[s]);
		break;
	default:
		(void)snprintf(out, 128, "presence:{0}:state:%s", names[s]);
		break;
	}
}

static void set_mood(struct world *world, enum redis_mood mood)
{
	world->model.mood = mood;
	server_do(&world->server, "CONFIG SET maxmemory %s", mood == REDIS_OOM ? "1" : "0");
	server_do(&world->server,
		mood == REDIS_READONLY ? "REPLICAOF 127.0.0.1 1" : "REPLICAOF NO ONE");
}

static void do_accident(struct world *world)
{
	char key[128];
	some_key(world, key);
	set_mood(world, REDIS_FINE); /* or it would refuse these too */
	switch (roll(world, 6)) {
	case 0:
		server_do(&world->server, "DEL %s", key);
		server_do(&world->server, "SET %s junk", key);
		redis_model_plant(&world->model, key);
		break;
	case 1:
		if (roll(world, 4))
			break;
		server_do(&world->server, "FLUSHALL");
		redis_model_flush(&world->model);
		break;
	default:
		server_do(&world->server, "DEL %s", key);
		redis_model_delete(&world->model, key);
		break;
	}
}

static void do_something(struct world *world)
{
	world->wall_ms += 10;
	switch (roll(world, 20)) {
	case 0:
	case 1:
	case 2:
		do_register(world);
		break;
	case 3:
	case 4:
		do_refresh(world);
		break;
	case 5:
		do_renew(world);
		break;
	case 6:
	case 7:
		do_pages(world, true);
		break;
	case 8:
		do_pages(world, false);
		break;
	case 9:
		do_accident(world);
		break;
	case 10:
		if (roll(world, 3) == 0)
			set_mood(world, roll(world, 2) ? REDIS_OOM : REDIS_READONLY);
		break;
	default:
		if (world->model.mood != REDIS_FINE && roll(world, 3) == 0)
			set_mood(world, REDIS_FINE);
		do_apply(world);
		break;
	}
}

static void load(struct world *world)
{
	for (int i = 0; i < REDIS_SCRIPTS; i++) {
		redisReply *reply = server_ask(&world->server, "SCRIPT LOAD %s", redis_scripts[i]);
		(void)snprintf(world->sha[i], sizeof(world->sha[i]), "%s", reply->str);
		freeReplyObject(reply);
		(void)snprintf(world->model_sha[i], sizeof(world->model_sha[i]), "%040d", i);
		world->model.scripts_known[i] = true;
	}
}

static void run(struct world *world, uint64_t seed)
{
	world->seed = world->random = seed;
	world->wall_ms = 1763769600000;
	world->rev = world->wall_ms * 1000;
	world->olds = 0;
	redis_model_init(&world->model);
	world->model.keeps_stream = true;
	server_do(&world->server, "FLUSHALL");
	load(world);
	for (int i = 0; i < NODES; i++)
		new_boot(world, &world->nodes[i]);
	do_register(world);
	for (int i = 0; i < STEPS; i++) {
		do_something(world);
		check_data(world);
	}
	set_mood(world, REDIS_FINE);
	redis_model_finish(&world->model);
}

static int start(void **state)
{
	struct world *world = room_of(sizeof(*world));
	memset(world, 0, sizeof(*world));
	world->ours = room_of(TEXT_MAX);
	world->theirs = room_of(TEXT_MAX);
	server_init(&world->server);
	server_start(&world->server, NULL);
	*state = world;
	return 0;
}

static int stop(void **state)
{
	struct world *world = *state;
	server_finish(&world->server);
	free(world->ours);
	free(world->theirs);
	free(world);
	return 0;
}

static void test_random(void **state)
{
	uint64_t seed = chance_chosen("PRESENCE_SEED", 1);
	uint64_t runs = chance_chosen("PRESENCE_RUNS", RUNS);
	for (uint64_t i = 0; i < runs; i++)
		run(*state, seed + i);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test_setup_teardown(
		test_random, start, stop) };
	return cmocka_run_group_tests(tests, NULL, NULL);
}
