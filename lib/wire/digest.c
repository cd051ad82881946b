/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
#include "wire/digest.h"

#include <inttypes.h>
#include <stdio.h>

static uint64_t fnv1a(uint64_t hash, const char *text)
{
	for (; *text; text++)
		hash = (hash ^ (unsigned char)*text) * 0x100000001b3;
	return hash;
}

uint64_t digest_hash(const char *topic, int64_t rev)
{
	char digits[24];
	(void)snprintf(digits, sizeof(digits), "%" PRId64, rev);
	return fnv1a(fnv1a(0xcbf29ce484222325, topic), digits);
}
