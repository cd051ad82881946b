/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
#ifndef PRESENCE_CORE_TABLE_H
#define PRESENCE_CORE_TABLE_H

/* An intrusive hash table that grows step by step: every insertion and removal moves a few
 * buckets, so no single one pays for all. Entries embed a table_node and own themselves.
 *
 * For what is known by pointer: a few ten thousand clients, what waits in a mailbox. The core
 * itself has millions of smaller objects, and index.h. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct table_node {
	struct table_node *next;
	uint64_t hash;
};

struct table {
	struct table_node **buckets, **old;
	size_t size, old_size; /* powers of two, or 0 */
	size_t moved;          /* buckets of old already moved */
	size_t count;
};

/* PRESENCE_ENOMEM, or 0. */
int table_init(struct table *table);
/* Frees the buckets; entries are their owner's. */
void table_finish(struct table *table);

/* Cannot fail: when memory for more buckets is short the chains grow instead. */
void table_insert(struct table *table, struct table_node *node);
void table_remove(struct table *table, struct table_node *node);

/* The first entry with this hash for which match() holds; NULL: none. */
typedef bool table_match(const struct table_node *node, const void *key);
struct table_node *table_find(
	const struct table *table, uint64_t hash, table_match *match, const void *key);

/* In no order; visit must not insert or remove. */
void table_each(const struct table *table,
	void (*visit)(const struct table_node *node, void *context), void *context);

/* Empties it; free_entry takes each node. */
void table_clear(struct table *table, void (*free_entry)(struct table_node *node));

/* The entry that embeds node as member. */
#define TABLE_ENTRY(node, type, member) ((type *)(void *)((char *)(node)-offsetof(type, member)))
#define TABLE_CONST_ENTRY(node, type, member) \
	((const type *)(const void *)((const char *)(node)-offsetof(type, member)))

#endif
