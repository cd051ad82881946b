/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
#ifndef PRESENCE_TESTS_SIM_REDIS_MODEL_H
#define PRESENCE_TESTS_SIM_REDIS_MODEL_H

/* A Redis that knows the few commands the writer sends: keys, their types and ends, and in place of
 * Lua the scripts of lib/store/redis in C. test_honest.c holds it to the real one. */

#include <setjmp.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <hiredis/hiredis.h>

#include "store/redis/scripts.h"

enum redis_type { REDIS_STRING, REDIS_HASH, REDIS_SET, REDIS_ZSET, REDIS_STREAM };

/* Of a hash name and value, of a set the name, of a sorted set name and score, of a stream the
 * value: its fields and values, each ended by a tab. A string is one field. */
struct redis_field {
	char *name, *value;
	int64_t score;
	uint64_t number; /* the order in which they came: what SCAN goes by */
};

struct redis_key {
	char *name;
	uint32_t hash;
	enum redis_type type;
	int64_t expires_ms; /* 0: never */
	struct redis_field *fields;
	size_t count, room;
	uint64_t numbers;
};

struct redis_db {
	struct redis_key *keys;
	size_t count, room;
};

/* What it answers when it would have to write. */
enum redis_mood { REDIS_FINE, REDIS_OOM, REDIS_READONLY, REDIS_LOADING };

struct redis_model {
	struct redis_db db;
	int64_t now_ms; /* its own clock; keys end by it */
	enum redis_mood mood;
	bool evicts;       /* what INFO says of the policy */
	bool keeps_stream; /* else entries are only shown to heard */
	bool scripts_known[REDIS_SCRIPTS];
	uint64_t random;
	void (*heard)(void *context, const char *entry); /* XADD; or NULL */
	void *context;

	/* Of the command being carried out. */
	char *bytes;
	char **argv;
	size_t argc;
	bool has_written;
	redisReply *reply; /* so far */
	struct scratch *scratch;
	jmp_buf failed;
	const char *error;
};

void redis_model_init(struct redis_model *redis);
void redis_model_finish(struct redis_model *redis);
/* One command as it stands on the wire. Never NULL. */
redisReply *redis_model_command(struct redis_model *redis, const char *bytes, size_t length);

/* What happens to it. */
void redis_db_copy(struct redis_db *to, const struct redis_db *from);
void redis_db_finish(struct redis_db *db);
void redis_model_flush(struct redis_model *redis);
void redis_model_flush_scripts(struct redis_model *redis);
void redis_model_evict(struct redis_model *redis, size_t place);
/* Somebody else's string where name is, or would be. */
void redis_model_plant(struct redis_model *redis, const char *name);
void redis_model_delete(struct redis_model *redis, const char *name);

/* To look at; NULL: not there. */
const struct redis_key *redis_model_find(struct redis_model *redis, const char *name);
const char *redis_model_field(struct redis_model *redis, const char *name, const char *field);
const struct redis_field *redis_key_field(const struct redis_key *key, const char *field);

/* ---- for the scripts: redis_script_*.c ---- */

const char *hget(struct redis_model *redis, const char *name, const char *field);
const struct redis_key *key_of(struct redis_model *redis, const char *name);
/* "none", "hash", .. */
const char *type_of(struct redis_model *redis, const char *name);
void hset(struct redis_model *redis, const char *name, const char *field, const char *value);
void hset_number(struct redis_model *redis, const char *name, const char *field, int64_t value);
void hdel(struct redis_model *redis, const char *name, const char *field);
void sadd(struct redis_model *redis, const char *name, const char *member);
void srem(struct redis_model *redis, const char *name, const char *member);
void zadd(struct redis_model *redis, const char *name, int64_t score, const char *member, bool gt);
void zrem(struct redis_model *redis, const char *name, const char *member);
void set_px(struct redis_model *redis, const char *name, const char *value, int64_t px);
void del(struct redis_model *redis, const char *name);
void pexpire(struct redis_model *redis, const char *name, int64_t ms);
void persist(struct redis_model *redis, const char *name);
int64_t pttl(struct redis_model *redis, const char *name);
/* entry: fields and values, each ended by a tab. */
void xadd(struct redis_model *redis, const char *name, const char *entry);

/* Zeroes, and a copy, that last as long as the command. */
void *scratch_room(struct redis_model *redis, size_t size);
char *scratch_text(struct redis_model *redis, const char *text);

redisReply *reply_of_array(void);
redisReply *reply_add(redisReply *array, redisReply *element); /* array */
redisReply *reply_of_text(const char *text);
redisReply *reply_of_number(int64_t number);
redisReply *reply_of_error(const char *text);

/* Leaves its answer in redis->reply; one that fails leaves by redis->failed. */
void script_run(struct redis_model *redis, enum redis_script script);

#endif
