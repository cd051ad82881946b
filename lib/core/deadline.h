/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
#ifndef PRESENCE_CORE_DEADLINE_H
#define PRESENCE_CORE_DEADLINE_H

/* What is due when, in order of time. Entries live in a pool, embedded in what they belong to, and
 * need no memory but their own: setting a deadline cannot fail.
 *
 * Most deadlines are set for so long from now, always as long for their kind: each is later than
 * all of its kind before it, and goes to the end of a list. What is not goes to a tree (a treap).
 * O(1) for the former, O(log n) for the latter. */

#include <stddef.h>
#include <stdint.h>

#include "core/pool.h"
#include "core/when.h"

enum { DEADLINE_KINDS = 8 };

struct deadline {
	uint32_t next, previous; /* in its list; in the tree: what is later, what is earlier */
	struct when at;
	uint8_t kind; /* the owner's: what it is part of and waits for */
	uint8_t in;   /* of enum deadline_in */
};

enum deadline_in { DEADLINE_NOWHERE, DEADLINE_IN_LIST, DEADLINE_IN_TREE };

struct deadlines {
	struct {
		uint32_t first, last;
	} lists[DEADLINE_KINDS];
	uint32_t tree;
};

/* A deadline is known by its own number in the pool, made from its owner's, and back. */
#define DUE_NUMBER(type, owner) ((owner) + (uint32_t)(offsetof(struct type, due) / POOL_UNIT))
#define DUE_OWNER(type, number) ((number) - (uint32_t)(offsetof(struct type, due) / POOL_UNIT))

/* Puts it in, or moves it. kind is below DEADLINE_KINDS. */
void deadline_set(struct deadlines *deadlines, struct pool *pool, uint32_t number, unsigned kind,
	int64_t at_ms);
void deadline_clear(struct deadlines *deadlines, struct pool *pool, uint32_t number);
/* Soon it will be set or cleared: so its neighbours are fetched. */
void deadline_prefetch(const struct pool *pool, uint32_t number);
/* The earliest; 0: none. */
uint32_t deadlines_first(const struct deadlines *deadlines, const struct pool *pool);

#endif
