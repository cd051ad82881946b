/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
#ifndef PRESENCE_CORE_DEADLINE_H
#define PRESENCE_CORE_DEADLINE_H

/* A binary heap of what is due when. Entries embed a struct deadline and own themselves. Room is
 * reserved beforehand, so that setting a deadline cannot fail. O(log n). */

#include <stddef.h>
#include <stdint.h>

struct deadline {
	int64_t at_ms;
	uint32_t place; /* 1 and up in the heap; 0: not in it */
	uint32_t kind;  /* the owner's */
};

struct deadlines {
	struct deadline **heap;
	size_t count, room;
};

void deadlines_finish(struct deadlines *deadlines);
/* Room for total entries: PRESENCE_ENOMEM, or 0. */
int deadlines_reserve(struct deadlines *deadlines, size_t total);
/* Puts it in, or moves it. */
void deadline_set(struct deadlines *deadlines, struct deadline *deadline, int64_t at_ms);
void deadline_clear(struct deadlines *deadlines, struct deadline *deadline);
/* The earliest; NULL: none. */
struct deadline *deadlines_first(const struct deadlines *deadlines);

#endif
