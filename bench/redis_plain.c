/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
#include "redis_plain.h"

#include <stdio.h>
#include <stdlib.h>

enum { COMMANDS = 7 }; /* for a subject, either way */

static void append(struct server *server, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

static void append(struct server *server, const char *format, ...)
{
	va_list arguments;
	va_start(arguments, format);
	if (redisvAppendCommand(server->client, format, arguments) != REDIS_OK)
		abort();
	va_end(arguments);
}

static void append_record(struct server *server, const char *id, const char *status,
	const char *previous, int devices, long long wall_ms)
{
	append(server,
		"HSET presence:{0}:subject:agent/%s v 1 role agent id %s status %s previous %s "
		"reason connect source inferred devices %d since %lld last_seen %lld rev %lld000 "
		"node b1",
		id, id, status, previous, devices, wall_ms, wall_ms, wall_ms);
	append(server, "PEXPIRE presence:{0}:subject:agent/%s 180000", id);
	append(server,
		"XADD presence:{0}:events MAXLEN ~ 100000 * t set node b1 boot 0000000000000001 "
		"epoch 1 seq %lld role agent id %s device web contribution 1|1|2|%lld000|%lld| "
		"status %s previous %s reason connect source inferred devices %d since %lld "
		"last_seen %lld rev %lld000 prev_rev 0 note - until 0",
		wall_ms, id, wall_ms, wall_ms, status, previous, devices, wall_ms, wall_ms,
		wall_ms);
}

static void append_one(struct server *server, enum plain_act act, const char *id, long long wall_ms)
{
	if (act == PLAIN_CONNECT) {
		append_record(server, id, "online", "offline", 1, wall_ms);
		append(server,
			"HSET presence:{0}:state:agent/%s d:b1/web 1|1|2|%lld000|%lld| rev "
			"%lld000",
			id, wall_ms, wall_ms, wall_ms);
		append(server, "PERSIST presence:{0}:state:agent/%s", id);
		append(server, "ZADD presence:{0}:online:agent %lld %s", wall_ms, id);
		append(server, "SADD presence:{0}:node:b1 agent/%s", id);
		return;
	}
	append_record(server, id, "offline", "online", 0, wall_ms);
	append(server, "HDEL presence:{0}:state:agent/%s d:b1/web", id);
	append(server, "HSET presence:{0}:state:agent/%s rev %lld000", id, wall_ms);
	append(server, "PEXPIRE presence:{0}:state:agent/%s 3600000", id);
	append(server, "ZREM presence:{0}:online:agent %s", id);
}

void plain_write(struct server *server, enum plain_act act, const char (*ids)[32], int count,
	long long wall_ms)
{
	for (int i = 0; i < count; i++)
		append_one(server, act, ids[i], wall_ms);
	for (int i = 0; i < count * COMMANDS; i++) {
		void *reply = NULL;
		if (redisGetReply(server->client, &reply) != REDIS_OK ||
			((redisReply *)reply)->type == REDIS_REPLY_ERROR) {
			(void)fprintf(stderr, "redis_bench: a plain command failed\n");
			abort();
		}
		freeReplyObject(reply);
	}
}
