/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
#include "store/redis/out.h"

#include <stdlib.h>
#include <string.h>

enum { ROOM_MIN = 16 * 1024, DIGITS_MAX = 20, HEAD_MAX = 1 + DIGITS_MAX + 2 };

void redis_out_finish(struct redis_out *out)
{
	free(out->bytes);
	*out = (struct redis_out){ 0 };
}

static char *reserve(struct redis_out *out, size_t more)
{
	if (out->room - out->length >= more)
		return out->bytes + out->length;
	size_t room = out->room < ROOM_MIN ? ROOM_MIN : out->room;
	while (room - out->length < more)
		room *= 2;
	char *bytes = realloc(out->bytes, room);
	if (!bytes) {
		out->failed = true;
		return NULL;
	}
	out->bytes = bytes;
	out->room = room;
	return out->bytes + out->length;
}

/* snprintf() took most of the worker's time: a contribution is forty numbers. */
static size_t write_digits(char at[DIGITS_MAX], uint64_t number)
{
	char digits[DIGITS_MAX];
	size_t begin = DIGITS_MAX;
	do
		digits[--begin] = (char)('0' + number % 10);
	while (number /= 10);
	memcpy(at, digits + begin, DIGITS_MAX - begin);
	return DIGITS_MAX - begin;
}

static size_t write_head(char at[HEAD_MAX], char kind, size_t count)
{
	at[0] = kind;
	size_t length = 1 + write_digits(at + 1, count);
	/* No string. NOLINTNEXTLINE(bugprone-not-null-terminated-result) */
	memcpy(at + length, "\r\n", 2);
	return length + 2;
}

void redis_out_begin(struct redis_out *out, size_t count)
{
	out->begin = out->length;
	out->failed = false;
	char *at = reserve(out, HEAD_MAX);
	if (at)
		out->length += write_head(at, '*', count);
}

void redis_out_bytes(struct redis_out *out, const char *bytes, size_t length)
{
	char *at = reserve(out, HEAD_MAX + length + 2);
	if (!at)
		return;
	size_t head = write_head(at, '$', length);
	/* No string. NOLINTNEXTLINE(bugprone-not-null-terminated-result) */
	memcpy(at + head, bytes, length);
	/* NOLINTNEXTLINE(bugprone-not-null-terminated-result) */
	memcpy(at + head + length, "\r\n", 2);
	out->length += head + length + 2;
}

void redis_out_text(struct redis_out *out, const char *text)
{
	redis_out_bytes(out, text, strlen(text));
}

void redis_out_number(struct redis_out *out, int64_t number)
{
	char digits[1 + DIGITS_MAX] = "-";
	size_t sign = number < 0;
	uint64_t size = sign ? 0 - (uint64_t)number : (uint64_t)number;
	redis_out_bytes(out, digits, sign + write_digits(digits + sign, size));
}

bool redis_out_end(struct redis_out *out)
{
	if (out->failed)
		out->length = out->begin;
	return !out->failed;
}

void redis_out_drop(struct redis_out *out, size_t count)
{
	out->length -= count;
	out->dropped += count;
	if (out->length)
		memmove(out->bytes, out->bytes + count, out->length);
}
