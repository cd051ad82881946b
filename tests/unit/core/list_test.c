/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */

/* Listing all records while subjects come and go, and what is counted of them. */

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

enum { SUBJECTS = 3000 };

static const struct presence_config config = {
	.subjects_max = 10 * SUBJECTS,
	.devices_max = 4,
	.offline_retain_ms = 1000,
	.unmatched_retain_ms = 1000,
	.goodbye = PRESENCE_REASON_DISCONNECT,
	.hash_key = { 1, 2, 3 },
};

static void step(struct presence *core, struct presence_event event, int expected)
{
	struct presence_effects effects;
	event.now_ms = 1000;
	event.wall_ms = 1000;
	assert_int_equal(presence_step(core, &event, &effects), expected);
}

static void connect(struct presence *core, unsigned number)
{
	char id[16];
	(void)snprintf(id, sizeof(id), "u%u", number);
	step(core,
		(struct presence_event){ .type = PRESENCE_CONNECTED,
			.token = number + 1,
			.client_id = id,
			.role = number % 3 ? "agent" : "admin",
			.id = id,
			.device = "d" },
		PRESENCE_OK);
}

static void leave(struct presence *core, unsigned number)
{
	step(core,
		(struct presence_event){ .type = PRESENCE_DISCONNECTED,
			.token = number + 1,
			.end = PRESENCE_END_DISCONNECT },
		PRESENCE_OK);
}

static void forget(struct presence *core, unsigned number)
{
	char id[16];
	(void)snprintf(id, sizeof(id), "u%u", number);
	step(core,
		(struct presence_event){
			.type = PRESENCE_FORGET, .role = number % 3 ? "agent" : "admin", .id = id },
		PRESENCE_OK);
}

/* Lists all, calling between() before each; how often each number was met. */
static void list(struct presence *core, unsigned char met[2 * SUBJECTS],
	void (*between)(struct presence *core, unsigned round))
{
	struct presence_record record;
	char role[8] = "", id[16] = "";
	unsigned round = 0;
	memset(met, 0, 2 * SUBJECTS);
	while (!presence_next(core, round ? role : NULL, id, &record)) {
		(void)snprintf(role, sizeof(role), "%s", record.role);
		(void)snprintf(id, sizeof(id), "%s", record.id);
		if (record.rev)
			met[atoi(id + 1)]++;
		assert_true(round < 3 * SUBJECTS);
		if (between)
			between(core, round);
		round++;
	}
}

/* By places, too. */
static void test_behind(void **state)
{
	struct presence *core = presence_create(&config, 0);
	struct presence_record record = { .role = NULL }, next;
	unsigned met = 0;
	(void)state;
	for (unsigned i = 0; i < SUBJECTS; i++)
		connect(core, i);
	for (; !presence_next(core, record.role, record.id, &record); met++) {
		uint32_t place = presence_place(core, record.role, record.id);
		int err = presence_next(core, record.role, record.id, &next);
		while (!err && presence_place(core, next.role, next.id) == place)
			err = presence_next(core, next.role, next.id, &next);
		struct presence_record behind = { .id = "" };
		assert_int_equal(presence_next_behind(core, place, &behind), err);
		if (!err)
			assert_string_equal(behind.id, next.id);
	}
	assert_int_equal(met, SUBJECTS);
	assert_int_equal(presence_next_behind(core, UINT32_MAX, &record), PRESENCE_ENOENT);
	presence_destroy(core);
}

static void test_each_once(void **state)
{
	unsigned char met[2 * SUBJECTS];
	struct presence *core = presence_create(&config, 0);
	(void)state;
	list(core, met, NULL);
	for (unsigned i = 0; i < SUBJECTS; i++) {
		connect(core, i);
		if (i % 97)
			continue;
		list(core, met, NULL);
		for (unsigned j = 0; j < 2 * SUBJECTS; j++)
			assert_int_equal(met[j], j <= i);
	}
	presence_destroy(core);
}

/* Those who come make the table grow and move; those who go include the one just met. */
static void come_and_go(struct presence *core, unsigned round)
{
	if (round < SUBJECTS)
		connect(core, SUBJECTS + round);
	if (round < SUBJECTS && round % 2) {
		leave(core, round);
		forget(core, round);
	}
}

static void test_while_others_come_and_go(void **state)
{
	unsigned char met[2 * SUBJECTS];
	struct presence *core = presence_create(&config, 0);
	(void)state;
	for (unsigned i = 0; i < SUBJECTS; i++)
		connect(core, i);
	list(core, met, come_and_go);
	for (unsigned i = 0; i < 2 * SUBJECTS; i++) {
		assert_true(met[i] <= 1);
		if (i < SUBJECTS && i % 2 == 0)
			assert_int_equal(met[i], 1);
	}
	presence_destroy(core);
}

static uint64_t visible(struct presence *core, const char *role)
{
	uint64_t sum = 0;
	for (int status = PRESENCE_OFFLINE; status <= PRESENCE_DND; status++)
		sum += presence_count(core, role, (enum presence_status)status);
	return sum;
}

static void test_counts(void **state)
{
	struct presence *core = presence_create(&config, 0);
	(void)state;
	for (unsigned i = 0; i < 30; i++)
		connect(core, i);
	leave(core, 0);
	leave(core, 1);
	forget(core, 1);
	step(core,
		(struct presence_event){
			.type = PRESENCE_DECLARE, .token = 3, .status = PRESENCE_DND },
		PRESENCE_OK);
	step(core,
		(struct presence_event){ .type = PRESENCE_OVERRIDDEN,
			.role = "agent",
			.id = "nobody",
			.override = PRESENCE_OVERRIDE_AWAY },
		PRESENCE_OK);
	assert_int_equal(presence_count(core, "admin", PRESENCE_OFFLINE), 1);
	assert_int_equal(presence_count(core, "admin", PRESENCE_ONLINE), 9);
	assert_int_equal(presence_count(core, "agent", PRESENCE_DND), 1);
	assert_int_equal(presence_count(core, "agent", PRESENCE_ONLINE), 18);
	assert_int_equal(presence_count(core, NULL, PRESENCE_ONLINE), 27);
	assert_int_equal(presence_count(core, "user", PRESENCE_ONLINE), 0);
	assert_int_equal(visible(core, NULL), 29);
	assert_int_equal(presence_counts(core)->subjects, 29);
	presence_destroy(core);
}

static void test_whose_session(void **state)
{
	struct presence *core = presence_create(&config, 0);
	struct presence_session session;
	(void)state;
	connect(core, 1);
	assert_int_equal(presence_session(core, 1, &session), PRESENCE_ENOENT);
	assert_int_equal(presence_session(core, 2, &session), PRESENCE_OK);
	assert_string_equal(session.role, "agent");
	assert_string_equal(session.id, "u1");
	assert_false(session.is_hidden);
	step(core,
		(struct presence_event){ .type = PRESENCE_OVERRIDDEN,
			.role = "agent",
			.id = "u1",
			.override = PRESENCE_OVERRIDE_INVISIBLE },
		PRESENCE_OK);
	assert_int_equal(presence_session(core, 2, &session), PRESENCE_OK);
	assert_true(session.is_hidden);
	leave(core, 1);
	assert_int_equal(presence_session(core, 2, &session), PRESENCE_ENOENT);
	presence_destroy(core);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_behind),
		cmocka_unit_test(test_each_once),
		cmocka_unit_test(test_while_others_come_and_go),
		cmocka_unit_test(test_counts),
		cmocka_unit_test(test_whose_session),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
