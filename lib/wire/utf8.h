/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
#ifndef PRESENCE_WIRE_UTF8_H
#define PRESENCE_WIRE_UTF8_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Reads one character of at most length bytes. Returns how many it took; 0 when they are not
 * UTF-8: overlong, a surrogate, past U+10FFFF, cut off or no start of a character. */
size_t utf8_read(const char *bytes, size_t length, uint32_t *character);

bool utf8_valid(const char *string);

/* True for valid UTF-8 without control characters (C0, DEL, C1) or noncharacters. */
bool utf8_printable(const char *bytes, size_t length);

#endif
