/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
#include "core/deadline.h"

#include <assert.h>
#include <stdbool.h>

static struct deadline *at(const struct pool *pool, uint32_t number)
{
	return pool_at(pool, number);
}

static int64_t ms_of(const struct pool *pool, uint32_t number)
{
	return when_ms(at(pool, number)->at);
}

/* Those in the tree are ordered by time, and by number among the same. */
static bool is_before(const struct pool *pool, uint32_t left, uint32_t right)
{
	int64_t left_ms = ms_of(pool, left), right_ms = ms_of(pool, right);
	return left_ms != right_ms ? left_ms < right_ms : left < right;
}

/* Nobody below has a higher one. It has nothing to do with the time, so the tree is as flat as one
 * filled at random. */
static uint32_t priority(uint32_t number)
{
	number = (number ^ number >> 16) * 0x85ebca6b;
	number = (number ^ number >> 13) * 0xc2b2ae35;
	return number ^ number >> 16;
}

static void tree_insert(struct deadlines *deadlines, const struct pool *pool, uint32_t number)
{
	struct deadline *deadline = at(pool, number);
	uint32_t *link = &deadlines->tree;
	while (*link && priority(*link) > priority(number)) {
		struct deadline *other = at(pool, *link);
		link = is_before(pool, number, *link) ? &other->previous : &other->next;
	}
	/* What was here is split into what is earlier than the new one and what is later. */
	uint32_t rest = *link, *earlier = &deadline->previous, *later = &deadline->next;
	*link = number;
	while (rest) {
		struct deadline *other = at(pool, rest);
		if (is_before(pool, rest, number)) {
			*earlier = rest;
			earlier = &other->next;
			rest = other->next;
		} else {
			*later = rest;
			later = &other->previous;
			rest = other->previous;
		}
	}
	*earlier = *later = 0;
}

static void tree_remove(struct deadlines *deadlines, const struct pool *pool, uint32_t number)
{
	uint32_t *link = &deadlines->tree;
	while (*link != number) {
		struct deadline *other = at(pool, *link);
		link = is_before(pool, number, *link) ? &other->previous : &other->next;
	}
	/* What was below it, earlier and later, becomes one. */
	uint32_t earlier = at(pool, number)->previous, later = at(pool, number)->next;
	while (earlier && later) {
		if (priority(earlier) > priority(later)) {
			*link = earlier;
			link = &at(pool, earlier)->next;
			earlier = *link;
		} else {
			*link = later;
			link = &at(pool, later)->previous;
			later = *link;
		}
	}
	*link = earlier ? earlier : later;
}

static void list_append(struct deadlines *deadlines, const struct pool *pool, uint32_t number)
{
	struct deadline *deadline = at(pool, number);
	uint32_t last = deadlines->lists[deadline->kind].last;
	deadline->previous = last;
	deadline->next = 0;
	if (last)
		at(pool, last)->next = number;
	else
		deadlines->lists[deadline->kind].first = number;
	deadlines->lists[deadline->kind].last = number;
}

static void list_remove(struct deadlines *deadlines, const struct pool *pool, uint32_t number)
{
	const struct deadline *deadline = at(pool, number);
	if (deadline->previous)
		at(pool, deadline->previous)->next = deadline->next;
	else
		deadlines->lists[deadline->kind].first = deadline->next;
	if (deadline->next)
		at(pool, deadline->next)->previous = deadline->previous;
	else
		deadlines->lists[deadline->kind].last = deadline->previous;
}

void deadline_set(struct deadlines *deadlines, struct pool *pool, uint32_t number, unsigned kind,
	int64_t at_ms)
{
	struct deadline *deadline = at(pool, number);
	assert(kind < DEADLINE_KINDS);
	/* As it is already: out of its list it might not come back into it. */
	if (deadline->in && deadline->kind == kind && when_ms(deadline->at) == at_ms)
		return;
	deadline_clear(deadlines, pool, number);
	deadline->at = when_of(at_ms);
	deadline->kind = (uint8_t)kind;
	uint32_t last = deadlines->lists[kind].last;
	if (!last || ms_of(pool, last) <= at_ms) {
		list_append(deadlines, pool, number);
		deadline->in = DEADLINE_IN_LIST;
	} else {
		tree_insert(deadlines, pool, number);
		deadline->in = DEADLINE_IN_TREE;
	}
}

void deadline_clear(struct deadlines *deadlines, struct pool *pool, uint32_t number)
{
	struct deadline *deadline = at(pool, number);
	switch ((enum deadline_in)deadline->in) {
	case DEADLINE_NOWHERE:
		return;
	case DEADLINE_IN_LIST:
		list_remove(deadlines, pool, number);
		break;
	case DEADLINE_IN_TREE:
		tree_remove(deadlines, pool, number);
		break;
	}
	deadline->in = DEADLINE_NOWHERE;
}

void deadline_prefetch(const struct pool *pool, uint32_t number)
{
	const struct deadline *deadline = at(pool, number);
	__builtin_prefetch(at(pool, deadline->next), 1);
	__builtin_prefetch(at(pool, deadline->previous), 1);
}

uint32_t deadlines_first(const struct deadlines *deadlines, const struct pool *pool)
{
	uint32_t earliest = deadlines->tree;
	while (earliest && at(pool, earliest)->previous)
		earliest = at(pool, earliest)->previous;
	for (int kind = 0; kind < DEADLINE_KINDS; kind++) {
		uint32_t first = deadlines->lists[kind].first;
		if (first && (!earliest || ms_of(pool, first) < ms_of(pool, earliest)))
			earliest = first;
	}
	return earliest;
}
