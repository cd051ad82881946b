/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
#ifndef PRESENCE_STORE_REDIS_QUEUE_H
#define PRESENCE_STORE_REDIS_QUEUE_H

/* Lists of items that the writer owns, oldest first. Zero is an empty one. */

#include "store/mailbox.h"

struct redis_items {
	struct store_item *first, *last;
	size_t count;
};

void redis_items_append(struct redis_items *items, struct store_item *item);
/* Puts all of more, in order, before (after) those of items; more is empty then. */
void redis_items_prepend_all(struct redis_items *items, struct redis_items *more);
void redis_items_append_all(struct redis_items *items, struct redis_items *more);
/* NULL: empty. */
struct store_item *redis_items_take(struct redis_items *items);
void redis_items_destroy(struct redis_items *items);

#endif
