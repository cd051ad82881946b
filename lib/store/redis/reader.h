/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
#ifndef PRESENCE_STORE_REDIS_READER_H
#define PRESENCE_STORE_REDIS_READER_H

/* Replies out of bytes, by hiredis, within limits: whatever is at the other end cannot make us
 * reserve memory that it has not sent for. */

#include <stddef.h>

#include <hiredis/hiredis.h>

#define REDIS_REPLY_BYTES_MAX (8 * 1024 * 1024)
#define REDIS_REPLY_ELEMENTS_MAX 8192 /* of one array */
#define REDIS_REPLY_DEPTH_MAX 4

struct redis_reader;

/* NULL when out of memory. */
struct redis_reader *redis_reader_create(void);
void redis_reader_destroy(struct redis_reader *reader);

/* PRESENCE_EINVAL: not Redis, or beyond a limit; PRESENCE_ENOMEM. The connection is to be closed
 * then. */
int redis_reader_feed(struct redis_reader *reader, const char *bytes, size_t length);
/* *reply: the next complete one, to be freed with freeReplyObject(); NULL: none yet. Errors as
 * redis_reader_feed(). */
int redis_reader_next(struct redis_reader *reader, redisReply **reply);

#endif
