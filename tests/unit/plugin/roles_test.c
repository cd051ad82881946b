/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */

/* Strangers who may choose their role leave nothing behind that grows. */

#include "broker.h"

enum { ROLES = 300, KEPT_MAX = 64 };

static size_t count_of(const char *prefix)
{
	size_t count = 0;
	for (size_t i = 0; i < retained_count; i++)
		count += !strncmp(retained[i].topic, prefix, strlen(prefix));
	return count;
}

static bool is_told(const char *name, const char *value)
{
	char topic[128];
	(void)snprintf(topic, sizeof(topic), "$SYS/broker/presence/%s", name);
	const struct retained *one = find(topic);
	return one ? value && !strncmp(one->payload, value, strlen(value)) : !value;
}

static void come_and_go(struct plugin *plugin, uint64_t first)
{
	char role[16];
	for (uint64_t token = first; token < first + ROLES; token++) {
		(void)snprintf(role, sizeof(role), "r%d", (int)token);
		come(plugin, token, role, "u", "d");
	}
	pass(plugin, SYS_MS);
	for (uint64_t token = first; token < first + ROLES; token++) {
		(void)snprintf(role, sizeof(role), "r%d", (int)token);
		go(plugin, token);
		forget(plugin, role, "u");
	}
}

static void roles_of_nobody_are_dropped(void **state)
{
	struct options options;
	struct plugin *plugin = begin(&options);
	(void)state;
	come(plugin, 1, "agent", "stays", "d");
	come_and_go(plugin, 1000);
	assert_int_equal(count_of("$SYS/broker/presence/digest/"), ROLES + 1);
	/* First everybody is told that nobody is left. */
	pass(plugin, SYS_MS);
	assert_int_equal(count_of("$SYS/broker/presence/digest/"), ROLES + 1);
	assert_true(is_told("digest/r1000", "{\"count\":0,\"xor\":\"0000000000000000\""));
	assert_true(is_told("online/r1000", "0"));
	pass(plugin, 2 * SYS_MS);
	assert_int_equal(count_of("$SYS/broker/presence/digest/"), KEPT_MAX + 1);
	assert_int_equal(count_of("$SYS/broker/presence/online/"), KEPT_MAX + 1);
	assert_int_equal(plugin->digests.count, KEPT_MAX + 1);
	assert_true(is_told("digest/r1000", NULL));
	assert_true(is_told("digest/agent", "{\"count\":1,"));
	assert_true(is_told("online/agent", "1"));
	/* One of them comes back. */
	come(plugin, 2, "r1000", "u", "d");
	pass(plugin, 3 * SYS_MS);
	assert_true(is_told("digest/r1000", "{\"count\":1,"));
	assert_true(is_told("online/r1000", "1"));
	come_and_go(plugin, 2000);
	pass(plugin, 4 * SYS_MS);
	assert_int_equal(count_of("$SYS/broker/presence/digest/"), KEPT_MAX + 2);
	assert_true(is_told("digest/r1000", "{\"count\":1,"));
	finish(plugin);
}

static void few_roles_are_kept(void **state)
{
	struct options options;
	struct plugin *plugin = begin(&options);
	(void)state;
	come(plugin, 1, "agent", "goes", "d");
	go(plugin, 1);
	forget(plugin, "agent", "goes");
	pass(plugin, 10 * SYS_MS);
	assert_true(is_told("digest/agent", "{\"count\":0,"));
	finish(plugin);
}

static void what_could_not_be_cleared_is_later(void **state)
{
	struct options options;
	struct plugin *plugin = begin(&options);
	(void)state;
	come_and_go(plugin, 1000);
	pass(plugin, SYS_MS);
	broker_from = 0;
	broker_to = INT32_MAX;
	pass(plugin, 3 * SYS_MS);
	broker_to = 0;
	pass(plugin, 2 * SYS_MS);
	assert_int_equal(count_of("$SYS/broker/presence/digest/"), KEPT_MAX);
	assert_int_equal(count_of("$SYS/broker/presence/online/"), KEPT_MAX);
	finish(plugin);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(roles_of_nobody_are_dropped),
		cmocka_unit_test(few_roles_are_kept),
		cmocka_unit_test(what_could_not_be_cleared_is_later),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
