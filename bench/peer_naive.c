/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
/* Redis as one reaches for it first: hiredis, in the broker's callback, waiting for each answer:
 * HSET of the record, then EXPIRE, then PUBLISH. On top of what peer.c loses:
 *
 * - The broker serves nobody while it waits. Redis that stands still for two seconds is a broker
 *   that does.
 * - What fails is lost: nothing is queued, sent again, or told from what had arrived after all.
 * - Two brokers overwrite each other, and a command that runs late undoes what came after it.
 * - Nobody renews what expires, and the ends of a broker that died are in there as online. */
#include "peer.h"

#include <hiredis/hiredis.h>
#include <stdlib.h>

struct peer_store {
	redisContext *redis;
	int round_trips;
};

struct peer_store *peer_store_open(const char *path, int round_trips)
{
	struct peer_store *store = calloc(1, sizeof(*store));
	if (!store)
		return NULL;
	store->round_trips = round_trips;
	store->redis = redisConnectUnix(path);
	if (store->redis && !store->redis->err)
		return store;
	peer_store_close(store);
	return NULL;
}

static bool is_done(redisReply *reply)
{
	bool done = reply && reply->type != REDIS_REPLY_ERROR;
	if (reply)
		freeReplyObject(reply);
	return done;
}

bool peer_store_put(struct peer_store *store, const char *topic, const char *record)
{
	redisContext *redis = store->redis;
	if (redis->err && redisReconnect(redis) != REDIS_OK)
		return false;
	if (!is_done(redisCommand(redis, "HSET %s record %s", topic, record)))
		return false;
	if (store->round_trips > 1 && !is_done(redisCommand(redis, "EXPIRE %s 180", topic)))
		return false;
	return store->round_trips < 3 ||
		is_done(redisCommand(redis, "PUBLISH presence %s", record));
}

void peer_store_close(struct peer_store *store)
{
	if (store && store->redis)
		redisFree(store->redis);
	free(store);
}
