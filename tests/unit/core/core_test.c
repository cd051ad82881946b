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
#include "core/merge.h"
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
	struct deadline due;
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

static void test_deadlines(void **state)
{
	struct deadlines deadlines = { 0 };
	struct number *numbers = calloc(NUMBERS, sizeof(*numbers));
	uint64_t random = 1;
	(void)state;
	assert_non_null(numbers);
	assert_null(deadlines_first(&deadlines));
	assert_int_equal(deadlines_reserve(&deadlines, NUMBERS), PRESENCE_OK);
	for (int round = 0; round < 3; round++)
		for (size_t i = 0; i < NUMBERS; i++) {
			random = random * 6364136223846793005 + 1442695040888963407;
			int64_t at_ms = (int64_t)(random >> 40);
			if (random >> 62)
				deadline_set(&deadlines, &numbers[i].due, at_ms);
			else
				deadline_clear(&deadlines, &numbers[i].due);
		}
	size_t left = deadlines.count;
	assert_true(left > NUMBERS / 2);
	for (int64_t last_ms = 0; deadlines_first(&deadlines); left--) {
		struct deadline *first = deadlines_first(&deadlines);
		assert_true(first->at_ms >= last_ms);
		last_ms = first->at_ms;
		deadline_clear(&deadlines, first);
		assert_int_equal(first->place, 0);
	}
	assert_int_equal(left, 0);
	deadlines_finish(&deadlines);
	free(numbers);
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

static void test_out_of_memory(void **state)
{
	struct presence_effects effects;
	struct presence *core = NULL;
	(void)state;
	for (int index = 0; !core; index++) {
		countdown = index;
		core = presence_create(&config, 1);
		countdown = -1;
		assert_true(index < 100);
	}
	/* The newcomer of a full house takes the place of whom is offline: not before it has one.
	 */
	step_without_memory(core, connected(1, "u1", "a"));
	step_without_memory(core, connected(2, "u1", "b"));
	step_without_memory(core, restored("u2"));
	step_without_memory(core,
		(struct presence_event){ .type = PRESENCE_RESTORED_DEVICE,
			.role = "user",
			.id = "u2",
			.device = "a" });
	step_without_memory(core, connected(3, "u3", "a"));
	countdown = 0; /* ends and ticks allocate nothing */
	assert_int_equal(feed(core, &effects,
				 (struct presence_event){ .type = PRESENCE_DISCONNECTED,
					 .token = 3,
					 .end = PRESENCE_END_DISCONNECT }),
		0);
	assert_int_equal(effects.count, 2);
	assert_int_equal(feed(core, &effects,
				 (struct presence_event){ .type = PRESENCE_RESYNC,
					 .targets = PRESENCE_TARGET_STORE }),
		0);
	while (presence_deadline(core) <= 1)
		assert_int_equal(
			feed(core, &effects, (struct presence_event){ .type = PRESENCE_TICK }), 0);
	assert_int_equal(countdown, 0);
	countdown = -1;
	step_without_memory(core, connected(4, "u4", "a"));
	struct presence_record record;
	assert_int_equal(presence_lookup(core, "agent", "u3", &record), PRESENCE_ENOENT);
	assert_int_equal(presence_lookup(core, "agent", "u4", &record), PRESENCE_OK);
	presence_destroy(core);
	presence_destroy(NULL);
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
	countdown = 0; /* from here on the first allocation fails */
	for (int i = 0; i < 100; i++) {
		struct presence_event event = {
			.type = signs[i % 2], .token = 1, .interval_ms = 1000 + i % 3
		};
		assert_int_equal(feed(core, &effects, event), 0);
		assert_int_equal(effects.count, 0);
	}
	assert_int_equal(feed(core, &effects,
				 (struct presence_event){
					 .type = PRESENCE_WITHDRAW, .role = "agent", .id = "u1" }),
		0);
	assert_int_equal(countdown, 0);
	countdown = -1;
	presence_destroy(core);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_siphash),
		cmocka_unit_test(test_table),
		cmocka_unit_test(test_deadlines),
		cmocka_unit_test(test_names),
		cmocka_unit_test(test_out_of_memory),
		cmocka_unit_test(test_signs_of_life_are_free),
	};
	return cmocka_run_group_tests_name("core", tests, NULL, NULL);
}
