/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
#ifndef PRESENCE_CORE_WHEN_H
#define PRESENCE_CORE_WHEN_H

/* A time in ms that takes six bytes: good for 4,400 years before and after its zero. There are
 * several in each device; what is further away is kept as the end of that. */

#include <stdint.h>

struct when {
	uint16_t part[3];
};

#define WHEN_MAX ((INT64_C(1) << 47) - 1)
#define WHEN_MIN (-WHEN_MAX)

static inline int64_t when_ms(struct when when)
{
	uint64_t ms = (uint64_t)when.part[0] | (uint64_t)when.part[1] << 16 |
		(uint64_t)when.part[2] << 32;
	/* The sign is the highest of 48 bits. */
	return (int64_t)(ms << 16) >> 16;
}

static inline struct when when_of(int64_t ms)
{
	if (ms > WHEN_MAX)
		ms = WHEN_MAX;
	if (ms < WHEN_MIN)
		ms = WHEN_MIN;
	uint64_t bits = (uint64_t)ms;
	return (struct when){ { (uint16_t)bits, (uint16_t)(bits >> 16), (uint16_t)(bits >> 32) } };
}

#endif
