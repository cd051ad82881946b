/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
#include "past.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void past_drop(struct past *past)
{
	while (past->count)
		free(past->keys[--past->count].bytes);
}

void past_save(struct past *past, struct server *server)
{
	past_drop(past);
	redisReply *keys = server_ask(server, "KEYS *");
	for (size_t i = 0; i < keys->elements && i < PAST_KEYS_MAX; i++) {
		struct past_key *key = &past->keys[past->count++];
		redisReply *dump = server_ask(server, "DUMP %s", keys->element[i]->str);
		redisReply *ttl = server_ask(server, "PTTL %s", keys->element[i]->str);
		(void)snprintf(key->name, sizeof(key->name), "%s", keys->element[i]->str);
		key->length = (size_t)dump->len;
		key->bytes = malloc(key->length);
		if (!key->bytes)
			abort();
		memcpy(key->bytes, dump->str, key->length);
		key->ttl_ms = ttl->integer > 0 ? ttl->integer : 0;
		freeReplyObject(dump);
		freeReplyObject(ttl);
	}
	freeReplyObject(keys);
}

void past_bring_back(const struct past *past, struct server *server)
{
	server_do(server, "FLUSHALL");
	for (size_t i = 0; i < past->count; i++)
		server_do(server, "RESTORE %s %lld %b", past->keys[i].name, past->keys[i].ttl_ms,
			past->keys[i].bytes, past->keys[i].length);
}
