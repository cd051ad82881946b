/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
#include "core/table.h"

#include <stdlib.h>

#include "core/presence.h"

/* Two buckets moved per insertion empty the old half before the new one can fill. */
enum { SIZE_FIRST = 16, MOVED_PER_STEP = 2 };

static struct table_node **bucket_of(const struct table *table, uint64_t hash)
{
	if (table->old) {
		size_t place = hash & (table->old_size - 1);
		if (place >= table->moved)
			return &table->old[place];
	}
	return &table->buckets[hash & (table->size - 1)];
}

static void move_some(struct table *table)
{
	for (int i = 0; i < MOVED_PER_STEP && table->old; i++) {
		struct table_node *node = table->old[table->moved++];
		while (node) {
			struct table_node *next = node->next;
			struct table_node **bucket =
				&table->buckets[node->hash & (table->size - 1)];
			node->next = *bucket;
			*bucket = node;
			node = next;
		}
		if (table->moved == table->old_size) {
			free(table->old);
			table->old = NULL;
		}
	}
}

/* Starts to grow; when memory is short the chains get longer and the next insertion tries again. */
static void grow_if_full(struct table *table)
{
	if (table->old || table->count < table->size)
		return;
	struct table_node **buckets = calloc(table->size * 2, sizeof(struct table_node *));
	if (!buckets)
		return;
	table->old = table->buckets;
	table->old_size = table->size;
	table->moved = 0;
	table->buckets = buckets;
	table->size *= 2;
}

int table_init(struct table *table)
{
	*table = (struct table){ .buckets = calloc(SIZE_FIRST, sizeof(struct table_node *)) };
	if (!table->buckets)
		return PRESENCE_ENOMEM; /* of no size: whoever gives up may clear it */
	table->size = SIZE_FIRST;
	return PRESENCE_OK;
}

void table_finish(struct table *table)
{
	free(table->buckets);
	free(table->old);
}

void table_insert(struct table *table, struct table_node *node)
{
	grow_if_full(table);
	move_some(table);
	struct table_node **bucket = bucket_of(table, node->hash);
	node->next = *bucket;
	*bucket = node;
	table->count++;
}

void table_remove(struct table *table, struct table_node *node)
{
	struct table_node **link = bucket_of(table, node->hash);
	while (*link != node)
		link = &(*link)->next;
	*link = node->next;
	node->next = NULL;
	table->count--;
	move_some(table);
}

struct table_node *table_find(
	const struct table *table, uint64_t hash, table_match *match, const void *key)
{
	struct table_node *node = *bucket_of(table, hash);
	while (node && !(node->hash == hash && match(node, key)))
		node = node->next;
	return node;
}

static void each_from(struct table_node *const *buckets, size_t first, size_t size,
	void (*visit)(const struct table_node *node, void *context), void *context)
{
	for (size_t i = first; i < size; i++)
		for (const struct table_node *node = buckets[i]; node; node = node->next)
			visit(node, context);
}

void table_each(const struct table *table,
	void (*visit)(const struct table_node *node, void *context), void *context)
{
	if (table->old)
		each_from(table->old, table->moved, table->old_size, visit, context);
	each_from(table->buckets, 0, table->size, visit, context);
}

static void clear_from(struct table_node **buckets, size_t first, size_t size,
	void (*free_entry)(struct table_node *node))
{
	for (size_t i = first; i < size; i++) {
		while (buckets[i]) {
			struct table_node *node = buckets[i];
			buckets[i] = node->next;
			free_entry(node);
		}
	}
}

void table_clear(struct table *table, void (*free_entry)(struct table_node *node))
{
	if (table->old)
		clear_from(table->old, table->moved, table->old_size, free_entry);
	clear_from(table->buckets, 0, table->size, free_entry);
	table->count = 0;
}
