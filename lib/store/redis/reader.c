/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
#include "store/redis/reader.h"

#include <stdlib.h>

#include "core/presence.h"

#if HIREDIS_MAJOR >= 1
typedef size_t element_count;
#else
typedef int element_count;
#endif

struct redis_reader {
	redisReader *codec;
	redisReplyObjectFunctions functions;
	const redisReplyObjectFunctions *standard;
	size_t unread; /* bytes fed since a reply was complete */
};

static int depth_of(const redisReadTask *task)
{
	int depth = 0;
	for (; task; task = task->parent)
		depth++;
	return depth;
}

/* hiredis reserves an array before it has read any of it. */
static void *create_array(const redisReadTask *task, element_count count)
{
	const struct redis_reader *reader = task->privdata;
	if (count > REDIS_REPLY_ELEMENTS_MAX || depth_of(task) > REDIS_REPLY_DEPTH_MAX)
		return NULL;
	return reader->standard->createArray(task, count);
}

struct redis_reader *redis_reader_create(void)
{
	struct redis_reader *reader = calloc(1, sizeof(*reader));
	if (!reader)
		return NULL;
	reader->codec = redisReaderCreate();
	if (!reader->codec) {
		free(reader);
		return NULL;
	}
	reader->standard = reader->codec->fn;
	reader->functions = *reader->codec->fn;
	reader->functions.createArray = create_array;
	reader->codec->fn = &reader->functions;
	reader->codec->privdata = reader;
	return reader;
}

void redis_reader_destroy(struct redis_reader *reader)
{
	if (!reader)
		return;
	redisReaderFree(reader->codec);
	free(reader);
}

int redis_reader_feed(struct redis_reader *reader, const char *bytes, size_t length)
{
	if (length > REDIS_REPLY_BYTES_MAX - reader->unread)
		return PRESENCE_EINVAL;
	reader->unread += length;
	if (redisReaderFeed(reader->codec, bytes, length) != REDIS_OK)
		return PRESENCE_ENOMEM;
	return PRESENCE_OK;
}

int redis_reader_next(struct redis_reader *reader, redisReply **reply)
{
	void *complete = NULL;
	*reply = NULL;
	if (redisReaderGetReply(reader->codec, &complete) != REDIS_OK)
		return PRESENCE_EINVAL;
	*reply = complete;
	if (complete)
		reader->unread = reader->codec->len - reader->codec->pos;
	return PRESENCE_OK;
}
