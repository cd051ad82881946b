/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include <cmocka.h>

#include "core/presence.h"
#include "store/redis/reader.h"

/* Replies from whoever answers on that port. */

static long peak_kb(void)
{
	struct rusage usage;
	assert_int_equal(getrusage(RUSAGE_SELF, &usage), 0);
	return usage.ru_maxrss;
}

/* The number of replies in bytes fed chunk by chunk, or the error. */
static int feed(const char *bytes, size_t length, size_t chunk)
{
	struct redis_reader *reader = redis_reader_create();
	assert_non_null(reader);
	int count = 0, err = 0;
	for (size_t at = 0; at < length && !err; at += chunk) {
		size_t size = length - at < chunk ? length - at : chunk;
		err = redis_reader_feed(reader, bytes + at, size);
		redisReply *reply = NULL;
		while (!err && !(err = redis_reader_next(reader, &reply)) && reply) {
			freeReplyObject(reply);
			count++;
		}
	}
	redis_reader_destroy(reader);
	return err ? err : count;
}

static int feed_text(const char *text)
{
	return feed(text, strlen(text), strlen(text) ? strlen(text) : 1);
}

static void test_chunks(void **state)
{
	static const char replies[] =
		"+OK\r\n:42\r\n$5\r\nhe\r\no\r\n*3\r\n$2\r\nOK\r\n:1\r\n*0\r\n$-1\r\n-ERR no\r\n";
	(void)state;
	for (size_t chunk = 1; chunk < sizeof(replies); chunk++)
		assert_int_equal(feed(replies, sizeof(replies) - 1, chunk), 6);
}

static void test_truncated(void **state)
{
	static const char reply[] = "*3\r\n$2\r\nOK\r\n:1\r\n$5\r\nhello\r\n";
	(void)state;
	for (size_t length = 0; length < sizeof(reply) - 1; length++)
		assert_int_equal(feed(reply, length, 7), 0);
}

static void test_garbage(void **state)
{
	(void)state;
	assert_true(feed_text("HTTP/1.1 400 Bad Request\r\n\r\n") < 0);
	assert_true(feed_text("*-7\r\n") < 0);
	assert_true(feed_text("$-7\r\n") < 0);
	assert_true(feed_text(":no\r\n") < 0);
	char noise[4096];
	srand(7);
	for (int run = 0; run < 2000; run++) {
		size_t length = (size_t)rand() % sizeof(noise);
		for (size_t i = 0; i < length; i++)
			noise[i] = "*$:+-0123456789\r\n\r\nab\0%"[(size_t)rand() % 24];
		(void)feed(noise, length, 1 + (size_t)rand() % 64); /* must only come back */
	}
}

static void test_huge(void **state)
{
	(void)state;
	long before = peak_kb();
	assert_true(feed_text("*2147483647\r\n") < 0);
	assert_true(feed_text("*8193\r\n") < 0);
	assert_true(feed_text("*9223372036854775807\r\n") < 0);
	assert_int_equal(feed_text("*8192\r\n"), 0);
	assert_int_equal(feed_text("$536870912\r\nx"), 0); /* waits; reserves nothing */
	char deep[4001];
	for (size_t i = 0; i < 4000; i += 4)
		memcpy(deep + i, "*1\r\n", 4);
	assert_true(feed(deep, 4000, 4000) < 0);
	assert_int_equal(feed(deep, 16, 16), 0);
	assert_true(feed(deep, 20, 20) < 0);
	assert_true(peak_kb() - before < 1024);
}

static void test_endless(void **state)
{
	(void)state;
	struct redis_reader *reader = redis_reader_create();
	static char bytes[65536];
	redisReply *reply = NULL;
	long before = peak_kb();
	memset(bytes, 'x', sizeof(bytes));
	int err = redis_reader_feed(reader, "$536870912\r\n", 12);
	size_t fed = 0;
	while (!err && fed < 4 * (size_t)REDIS_REPLY_BYTES_MAX) {
		err = redis_reader_feed(reader, bytes, sizeof(bytes));
		fed += sizeof(bytes);
		if (!err)
			err = redis_reader_next(reader, &reply);
		assert_null(reply);
	}
	redis_reader_destroy(reader);
	assert_int_equal(err, PRESENCE_EINVAL);
	assert_true(fed <= REDIS_REPLY_BYTES_MAX + sizeof(bytes));
	(void)before;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_chunks),
		cmocka_unit_test(test_truncated),
		cmocka_unit_test(test_garbage),
		cmocka_unit_test(test_huge),
		cmocka_unit_test(test_endless),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
