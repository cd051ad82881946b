/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
#ifndef PRESENCE_CORE_INDEX_H
#define PRESENCE_CORE_INDEX_H

/* A hash index from 32-bit hashes to the 32-bit numbers of objects in a pool.
 *
 * Extendible hashing: the first bits of a hash choose a page of at most a few hundred slots; in it
 * collisions go to the next slot. A full page is made anew, larger or as two, and nothing else
 * moves: growing takes some microseconds at any size, and never two copies of the whole. A slot
 * is eight bytes and holds the hash, so that whoever is not looked for is not touched. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct index_slot {
	uint32_t hash, number; /* number 0: empty */
};

struct index_page {
	uint32_t slots, count;
	uint32_t depth; /* how many first bits of their hashes all in it share */
	struct index_slot slot[];
};

/* Says where to look in page, so that the first of it that is touched is the slot looked for. */
struct index_entry {
	struct index_page *page;
	uint32_t slots, depth; /* of page */
};

struct index {
	struct index_entry
		*entries; /* by the first depth bits of a hash; neighbours may share a page */
	uint32_t depth;
	size_t count;
};

/* Where a search is. */
struct index_search {
	const struct index_slot *slot; /* of the page */
	uint32_t slots, hash, place;
};

/* PRESENCE_ENOMEM, or 0. */
int index_init(struct index *index);
/* Also of one that could not be, or was never, initialised (all zeros). */
void index_finish(struct index *index);

/* The next insertion of that hash cannot fail then: PRESENCE_ENOMEM, or 0. */
int index_reserve(struct index *index, uint32_t hash);
/* The room for it has been reserved. */
void index_insert(struct index *index, uint32_t hash, uint32_t number);
/* It must be there. */
void index_remove(struct index *index, uint32_t hash, uint32_t number);

/* The numbers with this hash, one after the other; 0: no more. */
uint32_t index_first(const struct index *index, uint32_t hash, struct index_search *search);
uint32_t index_next(struct index_search *search);
/* Soon it will be looked for. */
void index_prefetch(const struct index *index, uint32_t hash);

/* Of all, in the order of their hashes as far as their first bits go; visit must not insert or
 * remove. */
void index_each(
	const struct index *index, void (*visit)(uint32_t number, void *context), void *context);

/* The lowest hash that is not below the one given, into *hash; false: there is none. */
bool index_at_or_above(const struct index *index, uint32_t *hash);

#endif
