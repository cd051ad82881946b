/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
#ifndef PRESENCE_CORE_POOL_H
#define PRESENCE_CORE_POOL_H

/* Memory for millions of small objects that know each other by 32-bit numbers: half the size of
 * pointers, and none of malloc's headers between them. Objects never move. What is given back is
 * kept for objects of the same size; all of it is freed with the pool. */

#include <stddef.h>
#include <stdint.h>

enum {
	POOL_UNIT = 8,               /* bytes: every object starts at a multiple of it */
	POOL_CHUNK_UNITS = 1U << 13, /* 64 KiB: what is allocated at a time */
	POOL_SIZE_MAX = 1024,        /* bytes, of one object */
};

struct pool {
	/* By the first bits of a number. The first chunk is none: what is number 0 is at NULL, and
	 * nobody need ask. */
	char **chunks;
	uint32_t count, room;
	uint32_t next;                                /* the first number never taken */
	uint32_t free[POOL_SIZE_MAX / POOL_UNIT + 1]; /* by size: the first of a list; 0: none */
};

/* PRESENCE_ENOMEM, or 0. */
int pool_init(struct pool *pool);
/* Frees everything that was taken. Also of one that was never initialised (all zeros). */
void pool_finish(struct pool *pool);

/* The object taken as number; NULL for 0. */
static inline void *pool_at(const struct pool *pool, uint32_t number)
{
	uintptr_t chunk = (uintptr_t)pool->chunks[number / POOL_CHUNK_UNITS];
	/* There is no chunk for 0, and C has no NULL + 0. NOLINTNEXTLINE(performance-no-int-to-ptr)
	 */
	return (void *)(chunk + (uintptr_t)(number % POOL_CHUNK_UNITS) * POOL_UNIT);
}

/* size bytes of zeros, known by the number from now on. 0: out of memory, or more than
 * POOL_SIZE_MAX. */
uint32_t pool_take(struct pool *pool, size_t size);
/* size is what was asked for. */
void pool_give(struct pool *pool, uint32_t number, size_t size);
#endif
