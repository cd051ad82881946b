/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
#include "redis_model.h"

#include <assert.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "room.h"

/* ---- keys ---- */

static uint32_t hash_of(const char *name)
{
	uint32_t hash = 2166136261u;
	for (; *name; name++)
		hash = (hash ^ (unsigned char)*name) * 16777619u;
	return hash;
}

static void field_finish(struct redis_field *field)
{
	free(field->name);
	free(field->value);
}

static void key_finish(struct redis_key *key)
{
	for (size_t i = 0; i < key->count; i++)
		field_finish(&key->fields[i]);
	free(key->fields);
	free(key->name);
}

void redis_db_finish(struct redis_db *db)
{
	for (size_t i = 0; i < db->count; i++)
		key_finish(&db->keys[i]);
	free(db->keys);
	*db = (struct redis_db){ 0 };
}

void redis_db_copy(struct redis_db *to, const struct redis_db *from)
{
	redis_db_finish(to);
	*to = *from;
	to->room = from->count;
	to->keys = room_of(from->count * sizeof(*to->keys));
	for (size_t i = 0; i < from->count; i++) {
		struct redis_key *key = &to->keys[i];
		*key = from->keys[i];
		key->name = text_of(key->name);
		key->room = key->count;
		key->fields = room_of(key->count * sizeof(*key->fields));
		for (size_t j = 0; j < key->count; j++) {
			key->fields[j] = from->keys[i].fields[j];
			key->fields[j].name = text_of(key->fields[j].name);
			key->fields[j].value = text_of(key->fields[j].value);
		}
	}
}

static void key_remove(struct redis_model *redis, struct redis_key *key)
{
	key_finish(key);
	/* The order of keys is what eviction goes by, and nothing else. */
	*key = redis->db.keys[--redis->db.count];
}

static struct redis_key *find(struct redis_model *redis, const char *name)
{
	uint32_t hash = hash_of(name);
	for (size_t i = 0; i < redis->db.count; i++) {
		struct redis_key *key = &redis->db.keys[i];
		if (key->hash != hash || strcmp(key->name, name) != 0)
			continue;
		if (!key->expires_ms || key->expires_ms > redis->now_ms)
			return key;
		key_remove(redis, key);
		return NULL;
	}
	return NULL;
}

static struct redis_key *get_or_add(
	struct redis_model *redis, const char *name, enum redis_type type)
{
	struct redis_key *key = find(redis, name);
	if (key) {
		assert(key->type == type); /* the scripts look first */
		return key;
	}
	struct redis_db *db = &redis->db;
	if (db->count == db->room) {
		db->room = db->room * 2 + 16;
		db->keys = more_room(db->keys, db->room * sizeof(*db->keys));
	}
	key = &db->keys[db->count++];
	*key = (struct redis_key){ .name = text_of(name), .hash = hash_of(name), .type = type };
	return key;
}

static struct redis_field *field_find(const struct redis_key *key, const char *name)
{
	for (size_t i = 0; key && i < key->count; i++)
		if (!strcmp(key->fields[i].name, name))
			return &key->fields[i];
	return NULL;
}

static struct redis_field *field_get_or_add(struct redis_key *key, const char *name)
{
	struct redis_field *field = field_find(key, name);
	if (field)
		return field;
	if (key->count == key->room) {
		key->room = key->room * 2 + 8;
		key->fields = more_room(key->fields, key->room * sizeof(*key->fields));
	}
	field = &key->fields[key->count++];
	*field = (struct redis_field){ .name = text_of(name), .number = ++key->numbers };
	return field;
}

static void field_remove(struct redis_model *redis, const char *name, const char *member)
{
	struct redis_key *key = find(redis, name);
	struct redis_field *field = field_find(key, member);
	if (!field)
		return;
	field_finish(field);
	key->count--;
	memmove(field, field + 1, (size_t)(key->fields + key->count - field) * sizeof(*field));
	if (!key->count)
		key_remove(redis, key);
}

const struct redis_key *redis_model_find(struct redis_model *redis, const char *name)
{
	return find(redis, name);
}

const struct redis_field *redis_key_field(const struct redis_key *key, const char *field)
{
	return field_find(key, field);
}

const char *redis_model_field(struct redis_model *redis, const char *name, const char *field)
{
	const struct redis_key *key = find(redis, name);
	const struct redis_field *found = key && key->type == REDIS_HASH ? field_find(key, field)
									 : NULL;
	return found ? found->value : NULL;
}

/* ---- memory for the time of a command ---- */

struct scratch {
	struct scratch *next;
	max_align_t room[];
};

void *scratch_room(struct redis_model *redis, size_t size)
{
	struct scratch *scratch = room_of(sizeof(*scratch) + size);
	scratch->next = redis->scratch;
	redis->scratch = scratch;
	return memset(scratch->room, 0, size);
}

char *scratch_text(struct redis_model *redis, const char *text)
{
	size_t size = strlen(text) + 1;
	return memcpy(scratch_room(redis, size), text, size);
}

static void scratch_free(struct redis_model *redis)
{
	while (redis->scratch) {
		struct scratch *next = redis->scratch->next;
		free(redis->scratch);
		redis->scratch = next;
	}
}

/* ---- what happens to it ---- */

void redis_model_init(struct redis_model *redis)
{
	*redis = (struct redis_model){ .random = 88172645463325252u };
}

void redis_model_finish(struct redis_model *redis)
{
	scratch_free(redis);
	redis_db_finish(&redis->db);
}

void redis_model_flush(struct redis_model *redis)
{
	redis_db_finish(&redis->db);
}

void redis_model_flush_scripts(struct redis_model *redis)
{
	memset(redis->scripts_known, 0, sizeof(redis->scripts_known));
}

void redis_model_evict(struct redis_model *redis, size_t place)
{
	if (redis->db.count)
		key_remove(redis, &redis->db.keys[place % redis->db.count]);
}

void redis_model_delete(struct redis_model *redis, const char *name)
{
	struct redis_key *key = find(redis, name);
	if (key)
		key_remove(redis, key);
}

void redis_model_plant(struct redis_model *redis, const char *name)
{
	redis_model_delete(redis, name);
	struct redis_field *field = field_get_or_add(get_or_add(redis, name, REDIS_STRING), "");
	field->value = text_of("junk");
}

/* ---- commands inside scripts ---- */

static void fail(struct redis_model *redis, const char *error)
{
	redis->error = error;
	longjmp(redis->failed, 1);
}

/* Some commands make the data smaller: those are let through without memory, and after a first
 * write of a script, all are. */
static void may_write(struct redis_model *redis, bool grows)
{
	if (redis->mood == REDIS_READONLY)
		fail(redis, "READONLY You can't write against a read only replica.");
	if (redis->mood == REDIS_OOM && grows && !redis->has_written)
		fail(redis, "OOM command not allowed when used memory > 'maxmemory'.");
	redis->has_written = true;
}

const struct redis_key *key_of(struct redis_model *redis, const char *name)
{
	return find(redis, name);
}

const char *type_of(struct redis_model *redis, const char *name)
{
	static const char *const names[] = { "string", "hash", "set", "zset", "stream" };
	const struct redis_key *key = find(redis, name);
	return key ? names[key->type] : "none";
}

const char *hget(struct redis_model *redis, const char *name, const char *field)
{
	const struct redis_field *found = field_find(find(redis, name), field);
	return found ? found->value : NULL;
}

void hset(struct redis_model *redis, const char *name, const char *field, const char *value)
{
	may_write(redis, true);
	struct redis_field *at = field_get_or_add(get_or_add(redis, name, REDIS_HASH), field);
	char *copy = text_of(value);
	free(at->value);
	at->value = copy;
}

void hset_number(struct redis_model *redis, const char *name, const char *field, int64_t value)
{
	char text[24];
	(void)snprintf(text, sizeof(text), "%lld", (long long)value);
	hset(redis, name, field, text);
}

static void remove_from(
	struct redis_model *redis, const char *name, enum redis_type type, const char *field)
{
	const struct redis_key *key = find(redis, name);
	may_write(redis, false);
	if (key && key->type != type)
		fail(redis, "WRONGTYPE Operation against a key holding the wrong kind of value");
	field_remove(redis, name, field);
}

void hdel(struct redis_model *redis, const char *name, const char *field)
{
	remove_from(redis, name, REDIS_HASH, field);
}

void sadd(struct redis_model *redis, const char *name, const char *member)
{
	may_write(redis, true);
	(void)field_get_or_add(get_or_add(redis, name, REDIS_SET), member);
}

void srem(struct redis_model *redis, const char *name, const char *member)
{
	remove_from(redis, name, REDIS_SET, member);
}

void zadd(struct redis_model *redis, const char *name, int64_t score, const char *member, bool gt)
{
	may_write(redis, true);
	struct redis_key *key = get_or_add(redis, name, REDIS_ZSET);
	bool is_new = !field_find(key, member);
	struct redis_field *field = field_get_or_add(key, member);
	if (is_new || !gt || score > field->score)
		field->score = score;
}

void zrem(struct redis_model *redis, const char *name, const char *member)
{
	remove_from(redis, name, REDIS_ZSET, member);
}

void del(struct redis_model *redis, const char *name)
{
	may_write(redis, false);
	redis_model_delete(redis, name);
}

void set_px(struct redis_model *redis, const char *name, const char *value, int64_t px)
{
	may_write(redis, true);
	redis_model_delete(redis, name);
	struct redis_key *key = get_or_add(redis, name, REDIS_STRING);
	field_get_or_add(key, "")->value = text_of(value);
	key->expires_ms = redis->now_ms + px;
}

void pexpire(struct redis_model *redis, const char *name, int64_t ms)
{
	may_write(redis, false);
	struct redis_key *key = find(redis, name);
	if (key && ms <= 0)
		key_remove(redis, key);
	else if (key)
		key->expires_ms = redis->now_ms + ms;
}

void persist(struct redis_model *redis, const char *name)
{
	may_write(redis, false);
	struct redis_key *key = find(redis, name);
	if (key)
		key->expires_ms = 0;
}

int64_t pttl(struct redis_model *redis, const char *name)
{
	const struct redis_key *key = find(redis, name);
	if (!key)
		return -2;
	return key->expires_ms ? key->expires_ms - redis->now_ms : -1;
}

void xadd(struct redis_model *redis, const char *name, const char *entry)
{
	may_write(redis, true);
	struct redis_key *key = get_or_add(redis, name, REDIS_STREAM);
	if (redis->heard)
		redis->heard(redis->context, entry);
	if (!redis->keeps_stream && key->count)
		return;
	char number[24];
	(void)snprintf(number, sizeof(number), "%llu", (unsigned long long)key->numbers);
	field_get_or_add(key, number)->value = text_of(entry);
}

/* ---- commands ---- */

/* "*2\r\n$4\r\nINFO\r\n..": the arguments, ended in place. */
static void parse(struct redis_model *redis, const char *bytes, size_t length)
{
	redis->bytes = room_of(length + 1);
	memcpy(redis->bytes, bytes, length);
	redis->bytes[length] = '\0';
	char *at;
	redis->argc = (size_t)strtol(redis->bytes + 1, &at, 10);
	redis->argv = room_of(redis->argc * sizeof(*redis->argv));
	at += 2;
	for (size_t i = 0; i < redis->argc; i++) {
		long size = strtol(at + 1, &at, 10);
		redis->argv[i] = at + 2;
		at += 2 + size;
		*at = '\0';
		at += 2;
	}
}

enum { SHA_LENGTH = 40 };

static redisReply *load_script(struct redis_model *redis, const char *text)
{
	char sha[SHA_LENGTH + 1];
	for (int i = 0; i < REDIS_SCRIPTS; i++)
		if (!strcmp(redis_scripts[i], text)) {
			redis->scripts_known[i] = true;
			(void)snprintf(sha, sizeof(sha), "%040d", i);
			return reply_of_text(sha);
		}
	return reply_of_error("ERR not a script of ours");
}

static redisReply *run_script(struct redis_model *redis, const char *sha)
{
	long script = strtol(sha, NULL, 10);
	if (strlen(sha) != SHA_LENGTH || script < 0 || script >= REDIS_SCRIPTS ||
		!redis->scripts_known[script])
		return reply_of_error("NOSCRIPT No matching script. Please use EVAL.");
	redis->reply = reply_of_array();
	if (setjmp(redis->failed)) {
		freeReplyObject(redis->reply);
		return reply_of_error(redis->error);
	}
	script_run(redis, (enum redis_script)script);
	return redis->reply;
}

redisReply *redis_model_command(struct redis_model *redis, const char *bytes, size_t length)
{
	redisReply *reply;
	parse(redis, bytes, length);
	const char *word = redis->argv[0];
	redis->has_written = false;
	if (redis->mood == REDIS_LOADING)
		reply = reply_of_error("LOADING Redis is loading the dataset in memory");
	else if (!strcmp(word, "INFO"))
		reply = reply_of_text(redis->evicts
				? "# Memory\r\nmaxmemory_policy:allkeys-lru\r\n"
				: "# Memory\r\nmaxmemory_policy:noeviction\r\n");
	else if (!strcmp(word, "SCRIPT"))
		reply = load_script(redis, redis->argv[2]);
	else if (!strcmp(word, "EVALSHA"))
		reply = run_script(redis, redis->argv[1]);
	else
		reply = reply_of_error("ERR unknown command");
	scratch_free(redis);
	free(redis->bytes);
	free(redis->argv);
	redis->bytes = NULL;
	redis->argv = NULL;
	return reply;
}

/* ---- replies ---- */

static redisReply *reply_of(int type)
{
	redisReply *reply = room_of(sizeof(*reply));
	memset(reply, 0, sizeof(*reply));
	reply->type = type;
	return reply;
}

redisReply *reply_of_array(void)
{
	return reply_of(REDIS_REPLY_ARRAY);
}

redisReply *reply_add(redisReply *array, redisReply *element)
{
	if ((array->elements & (array->elements - 1)) == 0)
		array->element = more_room(array->element,
			(array->elements ? array->elements * 2 : 1) * sizeof(redisReply *));
	array->element[array->elements++] = element;
	return array;
}

redisReply *reply_of_text(const char *text)
{
	redisReply *reply = reply_of(REDIS_REPLY_STRING);
	reply->str = text_of(text);
	reply->len = strlen(text);
	return reply;
}

redisReply *reply_of_number(int64_t number)
{
	redisReply *reply = reply_of(REDIS_REPLY_INTEGER);
	reply->integer = number;
	return reply;
}

redisReply *reply_of_error(const char *text)
{
	redisReply *reply = reply_of_text(text);
	reply->type = REDIS_REPLY_ERROR;
	return reply;
}
