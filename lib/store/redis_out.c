/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
#include "store/redis_out.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { ROOM_MIN = 16 * 1024, HEAD_MAX = 32 };

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

static void write_head(struct redis_out *out, char kind, size_t count)
{
	char *at = reserve(out, HEAD_MAX);
	if (at)
		out->length += (size_t)snprintf(at, HEAD_MAX, "%c%zu\r\n", kind, count);
}

void redis_out_begin(struct redis_out *out, size_t count)
{
	out->begin = out->length;
	out->failed = false;
	write_head(out, '*', count);
}

void redis_out_bytes(struct redis_out *out, const char *bytes, size_t length)
{
	write_head(out, '$', length);
	char *at = reserve(out, length + 2);
	if (!at)
		return;
	/* No string. NOLINTNEXTLINE(bugprone-not-null-terminated-result) */
	memcpy(at, bytes, length);
	/* NOLINTNEXTLINE(bugprone-not-null-terminated-result) */
	memcpy(at + length, "\r\n", 2);
	out->length += length + 2;
}

void redis_out_text(struct redis_out *out, const char *text)
{
	redis_out_bytes(out, text, strlen(text));
}

void redis_out_number(struct redis_out *out, int64_t number)
{
	char digits[HEAD_MAX];
	int length = snprintf(digits, sizeof(digits), "%" PRId64, number);
	redis_out_bytes(out, digits, (size_t)length);
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
	if (out->length)
		memmove(out->bytes, out->bytes + count, out->length);
}
