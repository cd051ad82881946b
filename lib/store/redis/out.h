/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
#ifndef PRESENCE_STORE_REDIS_OUT_H
#define PRESENCE_STORE_REDIS_OUT_H

/* Commands on their way to Redis, as bytes. Every argument goes with its length, so nothing in it
 * can be taken for a command. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct redis_out {
	char *bytes;
	size_t length, room;
	size_t begin; /* of the command being written */
	uint64_t dropped;
	bool failed; /* no memory for some of it */
};

void redis_out_finish(struct redis_out *out);
/* Then exactly count arguments, then redis_out_end(). */
void redis_out_begin(struct redis_out *out, size_t count);
void redis_out_text(struct redis_out *out, const char *text);
void redis_out_bytes(struct redis_out *out, const char *bytes, size_t length);
void redis_out_number(struct redis_out *out, int64_t number);
/* False: no memory, and the command is not in out. */
bool redis_out_end(struct redis_out *out);
/* The first count bytes were sent. */
void redis_out_drop(struct redis_out *out, size_t count);

#endif
