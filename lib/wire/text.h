/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
#ifndef PRESENCE_WIRE_TEXT_H
#define PRESENCE_WIRE_TEXT_H

/* A writer into a buffer of fixed size that remembers when something did not fit, so that only
 * the end needs a check. */

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "core/presence.h"

struct text {
	char *out;
	size_t size, length;
	bool full;
};

static inline struct text text_begin(char *out, size_t size)
{
	return (struct text){ .out = out, .size = size, .full = size == 0 || size > INT_MAX };
}

static inline void text_put(struct text *text, const char *bytes, size_t length)
{
	/* One byte stays for the terminator. */
	if (text->full || length >= text->size - text->length) {
		text->full = true;
		return;
	}
	memcpy(text->out + text->length, bytes, length);
	text->length += length;
}

static inline void text_put_string(struct text *text, const char *string)
{
	text_put(text, string, strlen(string));
}

/* Terminates. The length, or PRESENCE_EINVAL when something did not fit; out is then empty. */
static inline int text_end(struct text *text)
{
	if (text->size)
		text->out[text->full ? 0 : text->length] = '\0';
	return text->full ? PRESENCE_EINVAL : (int)text->length;
}

#endif
