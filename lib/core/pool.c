/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
#include "core/pool.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "core/presence.h"

#ifdef __SANITIZE_ADDRESS__
#include <sanitizer/asan_interface.h>
#else
#define ASAN_POISON_MEMORY_REGION(memory, size) ((void)(memory), (void)(size))
#define ASAN_UNPOISON_MEMORY_REGION(memory, size) ((void)(memory), (void)(size))
#endif

enum {
	CHUNK_BYTES = POOL_CHUNK_UNITS * POOL_UNIT,
	CHUNKS_MAX = UINT32_MAX / POOL_CHUNK_UNITS, /* numbers have 32 bits */
	ROOM_FIRST = 16,
};

static uint32_t units_of(size_t size)
{
	return (uint32_t)((size + POOL_UNIT - 1) / POOL_UNIT);
}

int pool_init(struct pool *pool)
{
	*pool = (struct pool){ .room = ROOM_FIRST, .count = 1, .next = POOL_CHUNK_UNITS };
	pool->chunks = calloc(pool->room, sizeof(*pool->chunks));
	return pool->chunks ? PRESENCE_OK : PRESENCE_ENOMEM;
}

void pool_finish(struct pool *pool)
{
	for (uint32_t i = 1; i < pool->count; i++) {
		ASAN_UNPOISON_MEMORY_REGION(pool->chunks[i], CHUNK_BYTES);
		free(pool->chunks[i]);
	}
	free(pool->chunks);
}

static int add_chunk(struct pool *pool)
{
	if (pool->count == CHUNKS_MAX)
		return PRESENCE_ENOMEM;
	if (pool->count == pool->room) {
		char **chunks = realloc(pool->chunks, 2 * pool->room * sizeof(*chunks));
		if (!chunks)
			return PRESENCE_ENOMEM;
		pool->chunks = chunks;
		pool->room *= 2;
	}
	char *chunk = malloc(CHUNK_BYTES);
	if (!chunk)
		return PRESENCE_ENOMEM;
	ASAN_POISON_MEMORY_REGION(chunk, CHUNK_BYTES);
	pool->next = pool->count * POOL_CHUNK_UNITS;
	pool->chunks[pool->count++] = chunk;
	return PRESENCE_OK;
}

/* What was never taken before. The end of a chunk that is too small for it is left unused. */
static uint32_t take_new(struct pool *pool, uint32_t units)
{
	uint32_t end = pool->count * POOL_CHUNK_UNITS;
	if (pool->next + units > end && add_chunk(pool))
		return 0;
	uint32_t number = pool->next;
	pool->next += units;
	return number;
}

uint32_t pool_take(struct pool *pool, size_t size)
{
	if (size > POOL_SIZE_MAX)
		return 0;
	uint32_t units = units_of(size), number = pool->free[units];
	if (!number)
		number = take_new(pool, units);
	if (!number)
		return 0;
	char *object = pool_at(pool, number);
	ASAN_UNPOISON_MEMORY_REGION(object, size > sizeof(number) ? size : sizeof(number));
	if (pool->free[units] == number) {
		memcpy(&pool->free[units], object, sizeof(number));
		/* The next of this size will be wanted soon, and may be far away. */
		__builtin_prefetch(pool_at(pool, pool->free[units]), 1);
	}
	memset(object, 0, size);
	return number;
}

void pool_give(struct pool *pool, uint32_t number, size_t size)
{
	if (!number)
		return;
	uint32_t units = units_of(size);
	char *object = pool_at(pool, number);
	assert(units && size <= POOL_SIZE_MAX);
	ASAN_UNPOISON_MEMORY_REGION(object, sizeof(number));
	memcpy(object, &pool->free[units], sizeof(number));
	pool->free[units] = number;
	ASAN_POISON_MEMORY_REGION(object, (size_t)units * POOL_UNIT);
}
