/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
#ifndef PRESENCE_STORE_WAITING_H
#define PRESENCE_STORE_WAITING_H

/* The queue of a mailbox: copied effects in order, with an index to what may give way. For one
 * thread at a time; the rules are in mailbox.h. */

#include "core/table.h"
#include "store/mailbox.h"

struct waiting {
	struct store_item item; /* first: what the worker gets is this, and frees all */
	struct waiting *before;
	struct table_node node; /* in newest, while indexed */
	bool indexed;
	uint64_t era; /* how many RESYNCED were put before it */
};

struct queue {
	uint64_t max, limit; /* from max on contributions give way, at limit none gets in */
	uint8_t hash_key[16];
	struct waiting *first, *last;
	struct table newest; /* of what may give way, the newest: see struct key in waiting.c */
	uint64_t count, refreshes, era, merged;
};

/* A copy of effect; NULL when out of memory. */
struct waiting *waiting_create(const struct presence_effect *effect, int64_t now_ms);

int queue_init(struct queue *queue, uint64_t max, uint64_t beyond);
void queue_finish(struct queue *queue);
/* Takes waiting. What gave way, perhaps itself, is put into gone, for the caller to free.
 * PRESENCE_ENOMEM: the queue is full to its last place, and waiting is still the caller's. */
int queue_put(struct queue *queue, struct waiting *waiting, struct waiting *gone[2]);
/* NULL: nothing waits. */
struct store_item *queue_take(struct queue *queue);

#endif
