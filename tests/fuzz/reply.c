/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
/* Bytes from whoever answers on Redis' port, in pieces of any size: replies within limits, or an
 * error that ends the connection. The first byte is the size of the pieces. */

#include "core/presence.h"
#include "fuzz.h"
#include "store/redis/reader.h"
#include "store/redis/state.h"

static void check_reply(const redisReply *reply, int depth)
{
	MUST(depth <= REDIS_REPLY_DEPTH_MAX);
	(void)redis_word(reply);
	switch (reply->type) {
	case REDIS_REPLY_ARRAY:
		MUST((size_t)reply->elements <= REDIS_REPLY_ELEMENTS_MAX);
		for (size_t i = 0; i <= (size_t)reply->elements; i++) {
			(void)redis_number_at(reply, i);
			MUST(redis_text_at(reply, i));
		}
		for (size_t i = 0; i < (size_t)reply->elements; i++) {
			MUST(reply->element[i]);
			check_reply(reply->element[i], depth + 1);
		}
		break;
	case REDIS_REPLY_STRING:
	case REDIS_REPLY_STATUS:
	case REDIS_REPLY_ERROR:
		MUST(strlen(reply->str) <= (size_t)reply->len);
		MUST(redis_problem_of(reply->str)->text);
		break;
	default: /* numbers and nothing: they have no parts */
		break;
	}
}

/* False: the connection would be closed. */
static bool read_all(struct redis_reader *reader)
{
	redisReply *reply;
	int err;
	while (!(err = redis_reader_next(reader, &reply)) && reply) {
		check_reply(reply, 0);
		freeReplyObject(reply);
	}
	MUST(err == PRESENCE_OK || (err == PRESENCE_EINVAL && !reply));
	return !err;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input input = { data, size };
	size_t piece = take_byte(&input) + 1;
	struct redis_reader *reader = redis_reader_create();
	MUST(reader);
	bool open = true;
	while (open && input.left) {
		size_t length = input.left < piece ? input.left : piece;
		char *bytes = copy_text(input.at, length);
		open = !redis_reader_feed(reader, bytes, length);
		free(bytes); /* the reader has its own copy */
		open = open && read_all(reader);
		input.at += length;
		input.left -= length;
	}
	redis_reader_destroy(reader);
	return 0;
}
