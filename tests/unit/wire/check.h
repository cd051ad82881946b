/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
#ifndef TESTS_UNIT_WIRE_CHECK_H
#define TESTS_UNIT_WIRE_CHECK_H

/* cmocka in the order it wants its headers, and what the tests of wire share. */

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "chance.h"

#define COUNT_OF(array) (sizeof(array) / sizeof(*(array)))

/* A seed from the environment variable PRESENCE_SEED, or a new one; printed either way. */
static inline uint64_t seed_of_test(void)
{
	const char *given = getenv("PRESENCE_SEED");
	uint64_t seed = given ? strtoull(given, NULL, 10) : (uint64_t)time(NULL);
	print_message("PRESENCE_SEED=%llu\n", (unsigned long long)seed);
	return seed;
}

static inline uint32_t random_below(uint64_t *seed, uint32_t bound)
{
	return (uint32_t)chance_below(seed, bound);
}

/* Writes a character as UTF-8 would, valid or not. Returns its length. */
static inline size_t utf8_put(char *out, uint32_t character)
{
	unsigned char *to = (unsigned char *)out;
	if (character < 0x80) {
		to[0] = (unsigned char)character;
		return 1;
	}
	size_t length = character < 0x800 ? 2 : character < 0x10000 ? 3 : 4;
	for (size_t i = length - 1; i > 0; i--, character >>= 6)
		to[i] = (unsigned char)(0x80 | (character & 0x3f));
	to[0] = (unsigned char)(0xf00 >> length | character);
	return length;
}

/* Said by Unicode in other words than lib/wire says it. */
static inline bool character_fits(uint32_t character)
{
	if (character < 0x20 || character == 0x7f || (character >= 0x80 && character < 0xa0))
		return false;
	if (character > 0x10ffff || (character >= 0xd800 && character < 0xe000))
		return false;
	return character % 0x10000 < 0xfffe && (character < 0xfdd0 || character > 0xfdef);
}

/* A valid id of up to max bytes. Half of its characters are ASCII. */
static inline void random_id(uint64_t *seed, size_t max, char *out)
{
	size_t length = 0, target = 1 + random_below(seed, (uint32_t)max);
	while (length < target) {
		uint32_t character = random_below(seed, 2) ? random_below(seed, 0x80)
							   : random_below(seed, 0x110000);
		char bytes[4];
		if (!character_fits(character))
			continue;
		size_t step = utf8_put(bytes, character);
		if (length + step > max)
			break;
		memcpy(out + length, bytes, step);
		length += step;
	}
	if (length == 0)
		out[length++] = 'a';
	out[length] = '\0';
}

#endif
