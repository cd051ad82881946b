/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
#include "store/redis/queue.h"

void redis_items_append(struct redis_items *items, struct store_item *item)
{
	item->next = NULL;
	if (items->last)
		items->last->next = item;
	else
		items->first = item;
	items->last = item;
	items->count++;
}

void redis_items_append_all(struct redis_items *items, struct redis_items *more)
{
	if (!more->first)
		return;
	if (items->last)
		items->last->next = more->first;
	else
		items->first = more->first;
	items->last = more->last;
	items->count += more->count;
	*more = (struct redis_items){ 0 };
}

void redis_items_prepend_all(struct redis_items *items, struct redis_items *more)
{
	redis_items_append_all(more, items);
	*items = *more;
	*more = (struct redis_items){ 0 };
}

struct store_item *redis_items_take(struct redis_items *items)
{
	struct store_item *item = items->first;
	if (!item)
		return NULL;
	items->first = item->next;
	if (!items->first)
		items->last = NULL;
	items->count--;
	item->next = NULL;
	return item;
}

void redis_items_destroy(struct redis_items *items)
{
	struct store_item *item;
	while ((item = redis_items_take(items)))
		store_item_destroy(item);
}
