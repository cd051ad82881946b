/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
/* The pieces under the state machine, and the state machine when memory runs out. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/deadline.h"
#include "core/index.h"
#include "core/merge.h"
#include "core/pool.h"
#include "core/presence.h"
#include "core/siphash.h"
#include "core/table.h"

/* malloc and its kin fail once the countdown has run out; -1: never. */
static int countdown = -1;

static int fails(void)
{
	if (countdown < 0)
		return 0;
	return countdown-- == 0;
}

void *__real_calloc(size_t count, size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_calloc(size_t count, size_t size)
{
	return fails() ? NULL : __real_calloc(count, size);
}

void *__real_realloc(void *memory, size_t size);
void *__wrap_realloc(void *memory, size_t size);
void *__wrap_realloc(void *memory, size_t size)
{
	return fails() ? NULL : __real_realloc(memory, size);
}

void *__real_malloc(size_t size);
void *__wrap_malloc(size_t size);
void *__wrap_malloc(size_t size)
{
	return fails() ? NULL : __real_malloc(size);
}

/* Whoever asks the pool for memory, or an index for room, must be ready to hear no, though most
 * often neither has to ask malloc. */
uint32_t __real_pool_take(struct pool *pool, size_t size);
uint32_t __wrap_pool_take(struct pool *pool, size_t size);
uint32_t __wrap_pool_take(struct pool *pool, size_t size)
{
	return fails() ? 0 : __real_pool_take(pool, size);
}

int __real_index_reserve(struct index *index, uint32_t hash);
int __wrap_index_reserve(struct index *index, uint32_t hash);
int __wrap_index_reserve(struct index *index, uint32_t hash)
{
	return fails() ? PRESENCE_ENOMEM : __real_index_reserve(index, hash);
}

/* Vectors of SipHash-1-3 with a key of zeros over 0, 1, 2, ..: made with the hasher of Rust's
 * standard library. */
static void test_siphash(void **state)
{
	static const struct {
		size_t length;
		uint64_t hash;
	} vectors[] = {
		{ 0, 0xd1fba762150c532c },
		{ 1, 0x68a914128e01e473 },
		{ 7, 0x2f098ab0c751325a },
		{ 8, 0xead411e67ebe2eea },
		{ 9, 0x75927f9d95124362 },
		{ 15, 0xf30eb725bb91c9ea },
		{ 16, 0x8972188433a5c5b7 },
		{ 63, 0x385d3e39e5f37359 },
	};
	uint8_t key[16] = { 0 }, data[64];
	(void)state;
	for (size_t i = 0; i < sizeof(data); i++)
		data[i] = (uint8_t)i;
	for (size_t i = 0; i < sizeof(vectors) / sizeof(*vectors); i++)
		for (size_t cut = 0; cut <= vectors[i].length; cut++) {
			struct siphash hash;
			siphash_init(&hash, key);
			siphash_update(&hash, data, cut);
			siphash_update(&hash, data + cut, vectors[i].length - cut);
			assert_true(siphash_finish(&hash) == vectors[i].hash);
		}
	key[7] = 1;
	struct siphash hash;
	siphash_init(&hash, key);
	assert_true(siphash_finish(&hash) != vectors[0].hash);
}

struct number {
	struct table_node node;
	uint64_t value;
};

static bool number_matches(const struct table_node *node, const void *key)
{
	return TABLE_CONST_ENTRY(node, struct number, node)->value == *(const uint64_t *)key;
}

static void count_node(const struct table_node *node, void *context)
{
	(void)node;
	++*(size_t *)context;
}

enum { NUMBERS = 5000 };

static void table_holds(struct table *table, struct number *numbers, size_t from, size_t to)
{
	size_t seen = 0;
	for (uint64_t i = 0; i < NUMBERS; i++) {
		struct table_node *found = table_find(
			table, numbers[i].node.hash, number_matches, &i);
		assert_ptr_equal(found, i >= from && i < to ? &numbers[i].node : NULL);
	}
	table_each(table, count_node, &seen);
	assert_int_equal(seen, to - from);
	assert_int_equal(table->count, to - from);
}

/* Growing in steps, with hashes that collide, and with no memory to grow. */
static void fill_table(uint64_t hash_mask, int memory)
{
	struct table table;
	struct number *numbers = calloc(NUMBERS, sizeof(*numbers));
	assert_non_null(numbers);
	assert_int_equal(table_init(&table), PRESENCE_OK);
	countdown = memory;
	for (uint64_t i = 0; i < NUMBERS; i++) {
		numbers[i].value = i;
		numbers[i].node.hash = (i * 0x9e3779b97f4a7c15) & hash_mask;
		table_insert(&table, &numbers[i].node);
		if (i % 997 == 0)
			table_holds(&table, numbers, 0, i + 1);
		if (countdown == 0)
			countdown = 1000000; /* failed once: growing works again later */
	}
	countdown = -1;
	for (uint64_t i = 0; i < NUMBERS; i++) {
		table_remove(&table, &numbers[i].node);
		if (i % 997 == 0)
			table_holds(&table, numbers, i + 1, NUMBERS);
	}
	table_finish(&table);
	free(numbers);
}

static void test_table(void **state)
{
	(void)state;
	fill_table(UINT64_MAX, -1);
	fill_table(0xff, -1);
	fill_table(UINT64_MAX, 0);
	fill_table(UINT64_MAX, 3);
}

/* No two objects share a byte, what is given back is taken again, and zeros are handed out. */
static void test_pool(void **state)
{
	enum { OBJECTS = 4000, ROUNDS = 3 };
	static uint32_t numbers[OBJECTS];
	struct pool pool;
	(void)state;
	assert_int_equal(pool_init(&pool), PRESENCE_OK);
	assert_null(pool_at(&pool, 0));
	assert_int_equal(__real_pool_take(&pool, POOL_SIZE_MAX + 1), 0);
	uint32_t end = 0;
	for (int round = 0; round < ROUNDS; round++) {
		for (size_t i = 0; i < OBJECTS; i++) {
			size_t size = 1 + i % 200;
			numbers[i] = __real_pool_take(&pool, size);
			assert_true(numbers[i] != 0);
			unsigned char *bytes = pool_at(&pool, numbers[i]);
			for (size_t k = 0; k < size; k++)
				assert_int_equal(bytes[k], 0);
			memset(bytes, (int)(1 + i % 255), size);
		}
		if (round)
			assert_int_equal(pool.next, end);
		end = pool.next;
		for (size_t i = 0; i < OBJECTS; i++) {
			const unsigned char *bytes = pool_at(&pool, numbers[i]);
			for (size_t k = 0; k < 1 + i % 200; k++)
				assert_int_equal(bytes[k], 1 + i % 255);
		}
		for (size_t i = 0; i < OBJECTS; i++)
			pool_give(&pool, numbers[i], 1 + i % 200);
	}
	pool_finish(&pool);
}

static void test_pool_without_memory(void **state)
{
	struct pool pool;
	(void)state;
	assert_int_equal(pool_init(&pool), PRESENCE_OK);
	/* More chunks than the first array of them has room for, so that it must grow too. */
	for (int chunk = 0; chunk < 40; chunk++) {
		uint32_t next = pool.next, taken;
		for (int index = 0;; index++) {
			countdown = index;
			taken = __real_pool_take(&pool, POOL_SIZE_MAX);
			countdown = -1;
			if (taken)
				break;
			assert_int_equal(pool.next, next);
		}
		while (pool.next % POOL_CHUNK_UNITS)
			assert_true(__real_pool_take(&pool, POOL_SIZE_MAX) != 0);
	}
	pool_finish(&pool);
}

static uint32_t index_hash_of(uint32_t number, uint32_t mask)
{
	return (number * UINT32_C(0x9e3779b1)) & mask;
}

/* Every number from..to-1 is found under its hash exactly once, in order of hashes, and no other.
 */
static void index_holds(const struct index *index, uint32_t mask, uint32_t from, uint32_t to)
{
	assert_int_equal(index->count, to - from);
	for (uint32_t number = 1; number <= NUMBERS; number += mask == UINT32_MAX ? 1 : 97) {
		struct index_search search;
		int found = 0;
		for (uint32_t other = index_first(index, index_hash_of(number, mask), &search);
			other; other = index_next(&search)) {
			assert_true(other >= from && other < to);
			assert_int_equal(index_hash_of(other, mask), index_hash_of(number, mask));
			found += other == number;
		}
		assert_int_equal(found, number >= from && number < to);
	}
	uint32_t hash = 0;
	size_t seen = 0;
	for (bool more = index_at_or_above(index, &hash); more;
		more = hash++ < UINT32_MAX && index_at_or_above(index, &hash)) {
		struct index_search search;
		for (uint32_t other = index_first(index, hash, &search); other;
			other = index_next(&search))
			seen++;
		if (hash == UINT32_MAX)
			break;
	}
	assert_int_equal(seen, to - from);
}

static void fill_index(uint32_t mask)
{
	struct index index;
	assert_int_equal(index_init(&index), PRESENCE_OK);
	for (uint32_t number = 1; number <= NUMBERS; number++) {
		for (int failing = 0;; failing++) {
			countdown = failing;
			int err = __real_index_reserve(&index, index_hash_of(number, mask));
			countdown = -1;
			if (!err)
				break;
			assert_int_equal(err, PRESENCE_ENOMEM);
			assert_int_equal(index.count, number - 1);
		}
		index_insert(&index, index_hash_of(number, mask), number);
		if (number % 997 == 0)
			index_holds(&index, mask, 1, number + 1);
	}
	for (uint32_t number = 1; number <= NUMBERS; number++) {
		index_remove(&index, index_hash_of(number, mask), number);
		if (number % 997 == 0)
			index_holds(&index, mask, number + 1, NUMBERS + 1);
	}
	index_finish(&index);
}

/* Hashes that spread; that differ in their first or last bits only; that are all the same. */
static void test_index(void **state)
{
	(void)state;
	fill_index(UINT32_MAX);
	fill_index(0xff000000);
	fill_index(0xff);
	fill_index(0);
}

struct timed {
	struct deadline due;
	uint32_t self;
	int64_t at_ms; /* or -1 */
};

enum { TIMED = 2000 };

/* Kind 0 at random times; kind 1 mostly later and later; against the earliest of all. */
static void test_deadlines(void **state)
{
	struct deadlines deadlines = { 0 };
	struct pool pool;
	struct timed *timed[TIMED];
	uint64_t random = 1, now_ms = 0;
	(void)state;
	assert_int_equal(pool_init(&pool), PRESENCE_OK);
	for (int i = 0; i < TIMED; i++) {
		uint32_t number = __real_pool_take(&pool, sizeof(**timed));
		timed[i] = pool_at(&pool, number);
		timed[i]->self = number;
		timed[i]->at_ms = -1;
	}
	assert_int_equal(deadlines_first(&deadlines, &pool), 0);
	for (int step = 0; step < 20 * TIMED; step++) {
		random = random * 6364136223846793005 + 1442695040888963407;
		struct timed *one = timed[(random >> 33) % TIMED];
		unsigned kind = random >> 20 & 1;
		now_ms += random >> 63;
		one->at_ms = (int64_t)(kind && random >> 25 & 7 ? now_ms : random >> 40 & 0xfff);
		if (random >> 61 == 0) {
			deadline_clear(&deadlines, &pool, DUE_NUMBER(timed, one->self));
			one->at_ms = -1;
		} else {
			deadline_set(
				&deadlines, &pool, DUE_NUMBER(timed, one->self), kind, one->at_ms);
		}
		int64_t earliest = INT64_MAX;
		for (int i = 0; step % 101 == 0 && i < TIMED; i++)
			if (timed[i]->at_ms >= 0 && timed[i]->at_ms < earliest)
				earliest = timed[i]->at_ms;
		uint32_t first = deadlines_first(&deadlines, &pool);
		if (step % 101 == 0)
			assert_int_equal(earliest,
				((struct timed *)pool_at(&pool, DUE_OWNER(timed, first)))->at_ms);
	}
	size_t left = 0;
	for (int i = 0; i < TIMED; i++)
		left += timed[i]->at_ms >= 0;
	assert_true(left > TIMED / 2);
	int64_t last_ms = 0;
	for (uint32_t first; (first = deadlines_first(&deadlines, &pool)); left--) {
		struct timed *one = pool_at(&pool, DUE_OWNER(timed, first));
		assert_true(one->at_ms >= last_ms);
		assert_int_equal(when_ms(one->due.at), one->at_ms);
		last_ms = one->at_ms;
		deadline_clear(&deadlines, &pool, first);
	}
	assert_int_equal(left, 0);
	pool_finish(&pool);
}

static void test_when(void **state)
{
	static const int64_t exact[] = { 0, 1, -1, 65535, 65536, 1763769600123, -1763769600123,
		WHEN_MAX, WHEN_MIN };
	(void)state;
	for (size_t i = 0; i < sizeof(exact) / sizeof(*exact); i++)
		assert_int_equal(when_ms(when_of(exact[i])), exact[i]);
	assert_int_equal(when_ms(when_of(INT64_MAX)), WHEN_MAX);
	assert_int_equal(when_ms(when_of(INT64_MIN)), WHEN_MIN);
}

static void test_names(void **state)
{
	enum presence_status status;
	enum presence_reason reason;
	enum presence_source source;
	(void)state;
	assert_int_equal(presence_status_parse("dnd", &status), PRESENCE_OK);
	assert_int_equal(status, PRESENCE_DND);
	assert_string_equal(presence_status_name(PRESENCE_AWAY), "away");
	assert_int_equal(presence_status_parse("busy", &status), PRESENCE_EINVAL);
	assert_int_equal(presence_reason_parse("node_lost", &reason), PRESENCE_OK);
	assert_string_equal(presence_reason_name(reason), "node_lost");
	assert_int_equal(presence_source_parse("manual", &source), PRESENCE_OK);
	assert_string_equal(presence_source_name(source), "manual");
}

static const struct presence_config config = {
	.grace_ms = 1000,
	.restart_grace_ms = 1000,
	.offline_retain_ms = 1000,
	.unmatched_retain_ms = 1000,
	.subjects_max = 3,
	.devices_max = 3,
};

static int feed(
	struct presence *core, struct presence_effects *effects, struct presence_event event)
{
	event.now_ms = 1;
	event.wall_ms = 1000;
	return presence_step(core, &event, effects);
}

static struct presence_event connected(uint64_t token, const char *id, const char *device)
{
	return (struct presence_event){
		.type = PRESENCE_CONNECTED,
		.token = token,
		.client_id = device,
		.role = "agent",
		.id = id,
		.device = device,
	};
}

static struct presence_event restored(const char *id)
{
	return (struct presence_event){
		.type = PRESENCE_RESTORED,
		.record = { .role = "user", .id = id, .status = PRESENCE_ONLINE, .devices = 1 },
	};
}

/* Each event at each failing allocation: an error, no effect, nothing changed; and the same event
 * again, with memory, does what it should. */
static void step_without_memory(struct presence *core, struct presence_event event)
{
	for (int index = 0;; index++) {
		struct presence_effects effects = { .count = 99 };
		struct presence_counts before = *presence_counts(core);
		int64_t deadline = presence_deadline(core);
		countdown = index;
		int err = feed(core, &effects, event);
		bool ran_out = countdown == -1;
		countdown = -1;
		if (!ran_out || err == PRESENCE_OK) {
			assert_int_equal(err, PRESENCE_OK);
			assert_true(index > 0);
			return;
		}
		assert_int_equal(err, PRESENCE_ENOMEM);
		assert_int_equal(effects.count, 0);
		assert_memory_equal(&before, presence_counts(core), sizeof(before));
		assert_true(presence_deadline(core) == deadline);
	}
}

/* Ends, and what else must always work. */
static void feed_without_memory(
	struct presence *core, struct presence_effects *effects, struct presence_event event)
{
	countdown = 0;
	assert_int_equal(feed(core, effects, event), 0);
	assert_int_equal(countdown, 0); /* it was not asked for */
	countdown = -1;
}

static void test_create_without_memory(void **state)
{
	struct presence *core = NULL;
	int index = 0;
	(void)state;
	for (; !core; index++) {
		countdown = index;
		core = presence_create(&config, 1);
		countdown = -1;
		assert_true(index < 100);
	}
	assert_true(index > 1);
	presence_destroy(core);
	presence_destroy(NULL);
}

static void step_with_memory(struct presence *core, struct presence_event event)
{
	struct presence_effects effects;
	assert_int_equal(feed(core, &effects, event), 0);
}

/* Three subjects, all there is room for, and all that can be said of them. */
static struct presence *fill(void (*step)(struct presence *core, struct presence_event event))
{
	const struct presence_event events[] = {
		connected(1, "u1", "a"),
		connected(2, "u1", "b"),
		restored("u2"),
		{ .type = PRESENCE_RESTORED_DEVICE, .role = "user", .id = "u2", .device = "a" },
		connected(3, "u3", "a"),
		{ .type = PRESENCE_DECLARE, .token = 2, .status = PRESENCE_DND, .note = "busy" },
		{ .type = PRESENCE_TYPED, .token = 2, .conversation = "c", .active = true },
		{ .type = PRESENCE_OVERRIDDEN,
			.role = "agent",
			.id = "u1",
			.override = PRESENCE_OVERRIDE_AWAY,
			.note = "lunch",
			.until_ms = 5000 },
		{ .type = PRESENCE_OVERRIDDEN,
			.role = "agent",
			.id = "u1",
			.override = PRESENCE_OVERRIDE_ONLINE },
	};
	struct presence *core = presence_create(&config, 1);
	assert_non_null(core);
	for (size_t i = 0; i < sizeof(events) / sizeof(*events); i++)
		step(core, events[i]);
	return core;
}

static const struct presence_event u3_ends = {
	.type = PRESENCE_DISCONNECTED, .token = 3, .end = PRESENCE_END_DISCONNECT
};

static void test_step_without_memory(void **state)
{
	(void)state;
	presence_destroy(fill(step_without_memory));
}

static void test_ends_and_ticks_take_no_memory(void **state)
{
	struct presence_effects effects;
	struct presence *core = fill(step_with_memory);
	(void)state;
	feed_without_memory(core, &effects, u3_ends);
	assert_int_equal(effects.count, 2);
	feed_without_memory(core, &effects,
		(struct presence_event){
			.type = PRESENCE_RESYNC, .targets = PRESENCE_TARGET_STORE });
	assert_true(presence_deadline(core) <= 1);
	while (presence_deadline(core) <= 1)
		feed_without_memory(
			core, &effects, (struct presence_event){ .type = PRESENCE_TICK });
	presence_destroy(core);
}

/* The newcomer takes the place of whom is offline: not before it has one. */
static void test_full_house_without_memory(void **state)
{
	struct presence_record record;
	struct presence *core = fill(step_with_memory);
	(void)state;
	step_with_memory(core, u3_ends);
	step_without_memory(core, connected(4, "u4", "a"));
	assert_int_equal(presence_lookup(core, "agent", "u3", &record), PRESENCE_ENOENT);
	assert_int_equal(presence_lookup(core, "agent", "u4", &record), PRESENCE_OK);
	presence_destroy(core);
}

/* What comes again and again: no memory, and while nothing changes no effect either. */
static void test_signs_of_life_are_free(void **state)
{
	static const enum presence_event_type signs[] = { PRESENCE_HEARTBEAT, PRESENCE_SEEN };
	struct presence_effects effects;
	struct presence *core = presence_create(&config, 1);
	(void)state;
	assert_non_null(core);
	assert_int_equal(feed(core, &effects, connected(1, "u1", "a")), 0);
	assert_int_equal(feed(core, &effects, connected(2, "u1", "b")), 0);
	for (int i = 0; i < 100; i++) {
		feed_without_memory(core, &effects,
			(struct presence_event){
				.type = signs[i % 2], .token = 1, .interval_ms = 1000 + i % 3 });
		assert_int_equal(effects.count, 0);
	}
	feed_without_memory(core, &effects,
		(struct presence_event){ .type = PRESENCE_WITHDRAW, .role = "agent", .id = "u1" });
	presence_destroy(core);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_siphash),
		cmocka_unit_test(test_table),
		cmocka_unit_test(test_pool),
		cmocka_unit_test(test_pool_without_memory),
		cmocka_unit_test(test_index),
		cmocka_unit_test(test_deadlines),
		cmocka_unit_test(test_when),
		cmocka_unit_test(test_names),
		cmocka_unit_test(test_create_without_memory),
		cmocka_unit_test(test_step_without_memory),
		cmocka_unit_test(test_ends_and_ticks_take_no_memory),
		cmocka_unit_test(test_full_house_without_memory),
		cmocka_unit_test(test_signs_of_life_are_free),
	};
	return cmocka_run_group_tests_name("core", tests, NULL, NULL);
}
