/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */

/* Indexes know a hash by 32 of its bits: among a hundred thousand clients two share them. */

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/presence.h"
#include "core/siphash.h"

enum { NAMES = 300000, NAME_SIZE = 16 };

static const struct presence_config config = {
	.subjects_max = 10,
	.devices_max = 4,
	.offline_retain_ms = 1000,
	.goodbye = PRESENCE_REASON_DISCONNECT,
	.hash_key = { 1, 2, 3 },
};

struct named {
	uint32_t hash, number;
};

static void name_of(uint32_t number, char *name)
{
	(void)snprintf(name, NAME_SIZE, "n%u", (unsigned)number);
}

/* As the core does: of two texts, the first with its terminator. */
static uint32_t hash_of(const char *first, const char *second)
{
	struct siphash hash;
	siphash_init(&hash, config.hash_key);
	siphash_update(&hash, first, strlen(first) + 1);
	siphash_update(&hash, second, strlen(second));
	return (uint32_t)(siphash_finish(&hash) >> 32);
}

static int by_hash(const void *left, const void *right)
{
	const struct named *a = left, *b = right;
	return (a->hash > b->hash) - (a->hash < b->hash);
}

/* Two names that share the 32 bits: as a client's id, or with role as a subject's. */
static void find_pair(const char *role, char pair[2][NAME_SIZE])
{
	struct named *all = malloc(NAMES * sizeof(*all));
	assert_non_null(all);
	for (uint32_t i = 0; i < NAMES; i++) {
		name_of(i, pair[0]);
		all[i] = (struct named){ role ? hash_of(role, pair[0]) : hash_of(pair[0], ""), i };
	}
	qsort(all, NAMES, sizeof(*all), by_hash);
	uint32_t at = 1;
	while (at < NAMES && all[at].hash != all[at - 1].hash)
		at++;
	assert_true(at < NAMES);
	name_of(all[at - 1].number, pair[0]);
	name_of(all[at].number, pair[1]);
	free(all);
}

static void step(struct presence *core, struct presence_event event)
{
	struct presence_effects effects;
	event.now_ms = event.wall_ms = 1000;
	assert_int_equal(presence_step(core, &event, &effects), PRESENCE_OK);
}

static void connect(struct presence *core, uint64_t token, const char *client_id, const char *id)
{
	step(core,
		(struct presence_event){ .type = PRESENCE_CONNECTED,
			.token = token,
			.client_id = client_id,
			.role = "agent",
			.id = id,
			.device = "d" });
}

static void assert_status(struct presence *core, const char *id, enum presence_status status)
{
	struct presence_record record;
	assert_int_equal(presence_lookup(core, "agent", id, &record), PRESENCE_OK);
	assert_int_equal(record.status, status);
}

/* A client id ends what it was elsewhere; another one does not. */
static void test_clients(void **state)
{
	char pair[2][NAME_SIZE];
	struct presence *core = presence_create(&config, 1);
	(void)state;
	assert_non_null(core);
	find_pair(NULL, pair);
	connect(core, 1, pair[0], "u1");
	connect(core, 2, pair[1], "u2");
	while (presence_deadline(core) <= 1000)
		step(core, (struct presence_event){ .type = PRESENCE_TICK });
	assert_status(core, "u1", PRESENCE_ONLINE);
	assert_status(core, "u2", PRESENCE_ONLINE);
	connect(core, 3, pair[0], "u3");
	while (presence_deadline(core) <= 1000)
		step(core, (struct presence_event){ .type = PRESENCE_TICK });
	assert_status(core, "u1", PRESENCE_OFFLINE);
	assert_status(core, "u2", PRESENCE_ONLINE);
	presence_destroy(core);
}

static void test_subjects(void **state)
{
	char pair[2][NAME_SIZE];
	struct presence *core = presence_create(&config, 1);
	(void)state;
	assert_non_null(core);
	find_pair("agent", pair);
	connect(core, 1, "c1", pair[0]);
	connect(core, 2, "c2", pair[1]);
	step(core,
		(struct presence_event){ .type = PRESENCE_DISCONNECTED,
			.token = 1,
			.end = PRESENCE_END_DISCONNECT });
	assert_status(core, pair[0], PRESENCE_OFFLINE);
	assert_status(core, pair[1], PRESENCE_ONLINE);
	presence_destroy(core);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_clients),
		cmocka_unit_test(test_subjects),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
