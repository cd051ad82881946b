/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
#ifndef PRESENCE_STORE_REDIS_WRITER_H
#define PRESENCE_STORE_REDIS_WRITER_H

/* The writer to Redis, without socket or clock: replies, items of the mailbox and the time come
 * in; commands come out as bytes. Whoever owns it moves the bytes.
 *
 *   down -> connecting -> preparing (who we are, scripts) -> registering -> ready
 *             held: another process of the same name has the lease, or Redis is not ours to write
 *
 * A connection may end at any point: what was sent and not answered is sent again, and the epoch
 * that REGISTER mints sees to it that nothing happens twice. */

#include <hiredis/hiredis.h>

#include "store/mailbox.h"
#include "store/redis/out.h"

#define REDIS_BATCH_MAX 256   /* contributions in one call */
#define REDIS_IN_FLIGHT_MAX 8 /* batches sent and unanswered */
#define REDIS_REPLY_MS 2000   /* owing an answer and silent for so long, Redis is given up */

struct redis_writer_config {
	const char *where; /* for log lines: host:port, or a path */
	const char *node, *prefix;
	const char *user, *password; /* or NULL */
	const char *boot;            /* 16 hex digits, of this run of the broker only */
	const char *host, *version;  /* of ours */
	int64_t pid;
	uint32_t db, partitions;
	int64_t ttl_ms, lease_ms, restart_grace_ms;
	/* A batch that is not full goes no sooner than so long after the one before: a lone change
	 * goes at once, many go together. 0: all go at once. */
	int64_t linger_ms;
	uint64_t stream_maxlen; /* over all partitions */
	uint64_t seed;          /* of the jitter in waiting */
};

struct redis_writer;

/* Borrows config, its strings and box for its whole life. NULL when out of memory. */
struct redis_writer *redis_writer_create(
	const struct redis_writer_config *config, struct mailbox *box);
void redis_writer_destroy(struct redis_writer *writer);

/* True when it is time to connect. */
bool redis_writer_wants_connection(const struct redis_writer *writer, int64_t now_ms);
void redis_writer_connecting(struct redis_writer *writer, int64_t now_ms);
void redis_writer_connected(struct redis_writer *writer, int64_t now_ms);
/* why: a phrase for the operator; NULL: the writer itself wanted it. */
void redis_writer_disconnected(struct redis_writer *writer, const char *why, int64_t now_ms);
/* True when the connection is of no more use. */
bool redis_writer_wants_close(const struct redis_writer *writer);

/* Takes reply. */
void redis_writer_reply(struct redis_writer *writer, redisReply *reply, int64_t now_ms);
/* Does what is due. Replies that are there should come first, or they count as late. */
void redis_writer_step(struct redis_writer *writer, int64_t now_ms, int64_t wall_ms);
/* When to call redis_writer_step() at the latest; INT64_MAX: no need. */
int64_t redis_writer_deadline(const struct redis_writer *writer);

/* True while changes wait for company: more of them need not wake anybody before the deadline. */
bool redis_writer_lingers(const struct redis_writer *writer);

/* Bytes to be sent. */
struct redis_out *redis_writer_out(struct redis_writer *writer);
/* The first count of them have gone. */
void redis_writer_sent(struct redis_writer *writer, size_t count, int64_t now_ms);

bool redis_writer_idle(const struct redis_writer *writer);
/* oldest_ms: when the oldest item that was taken and is unanswered was put; 0: none. */
void redis_writer_stats(
	const struct redis_writer *writer, struct store_stats *stats, int64_t *oldest_ms);

#endif
