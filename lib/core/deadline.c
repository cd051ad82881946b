/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
#include "core/deadline.h"

#include <assert.h>
#include <stdlib.h>

#include "core/presence.h"

enum { ROOM_FIRST = 16 };

void deadlines_finish(struct deadlines *deadlines)
{
	free(deadlines->heap);
}

int deadlines_reserve(struct deadlines *deadlines, size_t total)
{
	if (total <= deadlines->room)
		return PRESENCE_OK;
	size_t room = deadlines->room ? deadlines->room : ROOM_FIRST;
	while (room < total)
		room *= 2;
	struct deadline **heap = realloc(deadlines->heap, room * sizeof(*heap));
	if (!heap)
		return PRESENCE_ENOMEM;
	deadlines->heap = heap;
	deadlines->room = room;
	return PRESENCE_OK;
}

static void put(struct deadlines *deadlines, size_t place, struct deadline *deadline)
{
	deadlines->heap[place - 1] = deadline;
	deadline->place = (uint32_t)place;
}

static struct deadline *at(const struct deadlines *deadlines, size_t place)
{
	return deadlines->heap[place - 1];
}

static void rise(struct deadlines *deadlines, struct deadline *deadline)
{
	size_t place = deadline->place;
	while (place > 1 && at(deadlines, place / 2)->at_ms > deadline->at_ms) {
		put(deadlines, place, at(deadlines, place / 2));
		place /= 2;
	}
	put(deadlines, place, deadline);
}

static void sink(struct deadlines *deadlines, struct deadline *deadline)
{
	size_t place = deadline->place;
	for (;;) {
		size_t child = 2 * place;
		if (child > deadlines->count)
			break;
		if (child < deadlines->count &&
			at(deadlines, child + 1)->at_ms < at(deadlines, child)->at_ms)
			child++;
		if (at(deadlines, child)->at_ms >= deadline->at_ms)
			break;
		put(deadlines, place, at(deadlines, child));
		place = child;
	}
	put(deadlines, place, deadline);
}

void deadline_set(struct deadlines *deadlines, struct deadline *deadline, int64_t at_ms)
{
	if (!deadline->place) {
		assert(deadlines->count < deadlines->room);
		deadline->place = (uint32_t)++deadlines->count;
	}
	deadline->at_ms = at_ms;
	rise(deadlines, deadline);
	sink(deadlines, deadline);
}

void deadline_clear(struct deadlines *deadlines, struct deadline *deadline)
{
	if (!deadline->place)
		return;
	struct deadline *last = at(deadlines, deadlines->count--);
	if (last != deadline) {
		put(deadlines, deadline->place, last);
		rise(deadlines, last);
		sink(deadlines, last);
	}
	deadline->place = 0;
}

struct deadline *deadlines_first(const struct deadlines *deadlines)
{
	return deadlines->count ? deadlines->heap[0] : NULL;
}
