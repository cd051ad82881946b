/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
#include "core/index.h"

#include <assert.h>
#include <stdlib.h>

#include "core/presence.h"

enum {
	SLOTS_FIRST = 16,
	COUNT_MAX = 1792, /* of a page that is split rather than made larger: 16 KiB */
	DEPTH_SPARE = 8,  /* how much deeper than needed for its count an index may get */
	HASH_BITS = 32,
};

static bool is_full(const struct index_page *page)
{
	return page->count >= page->slots / 8 * 7;
}

/* Room for count, and two fifths more. */
static struct index_page *page_create(uint32_t count, uint32_t depth)
{
	uint32_t slots = (count + count * 2 / 5) / 8 * 8 + 8;
	if (slots < SLOTS_FIRST)
		slots = SLOTS_FIRST;
	struct index_page *page = calloc(1, sizeof(*page) + slots * sizeof(*page->slot));
	if (!page)
		return NULL;
	page->slots = slots;
	page->depth = depth;
	return page;
}

/* What is left of hash behind the bits that the whole page shares, as a fraction of the page. */
static uint32_t home_of(uint32_t slots, uint32_t depth, uint32_t hash)
{
	uint32_t rest = depth < HASH_BITS ? hash << depth : 0;
	return (uint32_t)((uint64_t)rest * slots >> HASH_BITS);
}

static uint32_t behind(uint32_t slots, uint32_t place)
{
	return place + 1 < slots ? place + 1 : 0;
}

static size_t entry_number(const struct index *index, uint32_t hash)
{
	return (size_t)((uint64_t)hash >> (HASH_BITS - index->depth));
}

static const struct index_entry *entry_of(const struct index *index, uint32_t hash)
{
	return &index->entries[entry_number(index, hash)];
}

static void page_insert(struct index_page *page, struct index_slot slot)
{
	uint32_t place = home_of(page->slots, page->depth, slot.hash);
	while (page->slot[place].number)
		place = behind(page->slots, place);
	page->slot[place] = slot;
	page->count++;
}

/* How many entries in a row lead to page. */
static size_t span_of(const struct index *index, const struct index_page *page)
{
	return (size_t)1 << (index->depth - page->depth);
}

/* page takes the place of those that hash chooses, as far as its depth goes. */
static void page_place(struct index *index, uint32_t hash, struct index_page *page)
{
	size_t span = span_of(index, page), first = entry_number(index, hash) & ~(span - 1);
	for (size_t i = first; i < first + span; i++)
		index->entries[i] = (struct index_entry){ page, page->slots, page->depth };
}

int index_init(struct index *index)
{
	struct index_page *page = page_create(0, 0);
	*index = (struct index){ .entries = malloc(sizeof(*index->entries)) };
	if (!page || !index->entries) {
		free(page);
		free(index->entries);
		index->entries = NULL;
		return PRESENCE_ENOMEM;
	}
	page_place(index, 0, page);
	return PRESENCE_OK;
}

void index_finish(struct index *index)
{
	size_t end = index->entries ? (size_t)1 << index->depth : 0;
	for (size_t i = 0; i < end;) {
		struct index_page *page = index->entries[i].page;
		i += span_of(index, page);
		free(page);
	}
	free(index->entries);
}

/* A page has at least one entry. clang's analyzer thinks that page_place() may find it none, so
 * that the new page leaks and the old one is used again. NOLINTBEGIN(clang-analyzer-unix.Malloc) */
static int page_enlarge(struct index *index, uint32_t hash, struct index_page *page)
{
	struct index_page *larger = page_create(page->count, page->depth);
	if (!larger)
		return PRESENCE_ENOMEM;
	for (uint32_t i = 0; i < page->slots; i++)
		if (page->slot[i].number)
			page_insert(larger, page->slot[i]);
	page_place(index, hash, larger);
	free(page);
	return PRESENCE_OK;
}

/* Every page is now chosen by one bit more, and has twice as many places. */
static int deepen(struct index *index)
{
	size_t count = (size_t)1 << index->depth;
	struct index_entry *entries = malloc(2 * count * sizeof(*entries));
	if (!entries)
		return PRESENCE_ENOMEM;
	for (size_t i = 0; i < 2 * count; i++)
		entries[i] = index->entries[i / 2];
	free(index->entries);
	index->entries = entries;
	index->depth++;
	return PRESENCE_OK;
}

static int page_split(struct index *index, uint32_t hash, struct index_page *page)
{
	if (page->depth == index->depth && deepen(index))
		return PRESENCE_ENOMEM;
	uint32_t bit = UINT32_C(1) << (HASH_BITS - 1 - page->depth), ones = 0;
	for (uint32_t i = 0; i < page->slots; i++)
		ones += page->slot[i].number && page->slot[i].hash & bit;
	struct index_page *low = page_create(page->count - ones, page->depth + 1);
	struct index_page *high = page_create(ones, page->depth + 1);
	if (!low || !high) {
		free(low);
		free(high);
		return PRESENCE_ENOMEM;
	}
	for (uint32_t i = 0; i < page->slots; i++)
		if (page->slot[i].number)
			page_insert(page->slot[i].hash & bit ? high : low, page->slot[i]);
	page_place(index, hash & ~bit, low);
	page_place(index, hash | bit, high);
	free(page);
	return PRESENCE_OK;
}

/* Hashes that are keyed, or of numbers that we mint, spread. But nothing keeps one client from
 * being there many times with the same hash: their page gets large, and no other suffers. */
static bool may_split(const struct index *index, const struct index_page *page)
{
	return page->depth < HASH_BITS &&
		(page->depth < DEPTH_SPARE || index->count >> (page->depth - DEPTH_SPARE));
}

int index_reserve(struct index *index, uint32_t hash)
{
	for (;;) {
		struct index_page *page = entry_of(index, hash)->page;
		if (!is_full(page))
			return PRESENCE_OK;
		bool split = page->count >= COUNT_MAX && may_split(index, page);
		int err = split ? page_split(index, hash, page) : page_enlarge(index, hash, page);
		if (err)
			return err;
	}
}

/* NOLINTEND(clang-analyzer-unix.Malloc) */

void index_insert(struct index *index, uint32_t hash, uint32_t number)
{
	struct index_page *page = entry_of(index, hash)->page;
	assert(number && !is_full(page));
	page_insert(page, (struct index_slot){ hash, number });
	index->count++;
}

/* Whoever could not be at home because of the one at hole moves up, and leaves a hole itself. */
static void close_hole(struct index_page *page, uint32_t hole)
{
	uint32_t place = hole;
	for (;;) {
		place = behind(page->slots, place);
		if (!page->slot[place].number)
			break;
		uint32_t home = home_of(page->slots, page->depth, page->slot[place].hash);
		bool is_between = hole < place ? hole < home && home <= place
					       : hole < home || home <= place;
		if (is_between)
			continue;
		page->slot[hole] = page->slot[place];
		hole = place;
	}
	page->slot[hole] = (struct index_slot){ 0 };
}

void index_remove(struct index *index, uint32_t hash, uint32_t number)
{
	const struct index_entry *entry = entry_of(index, hash);
	struct index_page *page = entry->page;
	uint32_t place = home_of(entry->slots, entry->depth, hash);
	while (page->slot[place].number != number) {
		assert(page->slot[place].number);
		place = behind(entry->slots, place);
	}
	close_hole(page, place);
	page->count--;
	index->count--;
}

static uint32_t search_on(struct index_search *search)
{
	for (;; search->place = behind(search->slots, search->place)) {
		const struct index_slot *slot = &search->slot[search->place];
		if (!slot->number || slot->hash == search->hash)
			return slot->number;
	}
}

uint32_t index_first(const struct index *index, uint32_t hash, struct index_search *search)
{
	const struct index_entry *entry = entry_of(index, hash);
	search->slot = entry->page->slot;
	search->slots = entry->slots;
	search->hash = hash;
	search->place = home_of(entry->slots, entry->depth, hash);
	return search_on(search);
}

uint32_t index_next(struct index_search *search)
{
	search->place = behind(search->slots, search->place);
	return search_on(search);
}

void index_prefetch(const struct index *index, uint32_t hash)
{
	const struct index_entry *entry = entry_of(index, hash);
	__builtin_prefetch(entry->page, 1); /* its count will change too */
	__builtin_prefetch(&entry->page->slot[home_of(entry->slots, entry->depth, hash)], 1);
}

bool index_at_or_above(const struct index *index, uint32_t *hash)
{
	size_t end = (size_t)1 << index->depth;
	size_t i = entry_number(index, *hash);
	while (i < end) {
		const struct index_page *page = index->entries[i].page;
		const struct index_slot *lowest = NULL;
		for (uint32_t place = 0; place < page->slots; place++) {
			const struct index_slot *slot = &page->slot[place];
			if (slot->number && slot->hash >= *hash &&
				(!lowest || slot->hash < lowest->hash))
				lowest = slot;
		}
		if (lowest) {
			*hash = lowest->hash;
			return true;
		}
		i = (i & ~(span_of(index, page) - 1)) + span_of(index, page);
	}
	return false;
}

void index_each(
	const struct index *index, void (*visit)(uint32_t number, void *context), void *context)
{
	size_t end = (size_t)1 << index->depth;
	for (size_t i = 0; i < end; i += span_of(index, index->entries[i].page)) {
		const struct index_page *page = index->entries[i].page;
		for (uint32_t place = 0; place < page->slots; place++)
			if (page->slot[place].number)
				visit(page->slot[place].number, context);
	}
}
