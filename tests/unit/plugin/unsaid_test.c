/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */

/* What the broker refuses once, or for a while, is published when it takes it again: records,
 * topics of devices, and what is cleared. Digests then amount to what is retained. */

#include "broker.h"
#include "wire/digest.h"

enum { FAILS_MAX = 500 };

static void story(struct plugin *plugin)
{
	come(plugin, 1, "agent", "u1", "laptop");
	come(plugin, 2, "agent", "u1", "phone");
	come(plugin, 3, "agent", "u2", "laptop");
	turn(plugin);
	feed(plugin,
		(struct presence_event){
			.type = PRESENCE_DECLARE, .token = 1, .status = PRESENCE_DND });
	go(plugin, 3);
	come(plugin, 4, "agent", "u3", "laptop");
	go(plugin, 4);
	forget(plugin, "agent", "u3");
	forget(plugin, "agent", "u2");
	come(plugin, 5, "agent", "u2", "tablet");
	go(plugin, 2);
}

/* ---- looks ---- */

static bool is_record(const char *topic)
{
	return !strncmp(topic, "presence/agent/", 15) && !strchr(topic + 15, '/');
}

static void check_digest(const char *when, long number)
{
	uint64_t count = 0, sum = 0;
	char expected[128];
	for (size_t i = 0; i < retained_count; i++) {
		const char *rev = strstr(retained[i].payload, "\"rev\":");
		if (!is_record(retained[i].topic))
			continue;
		assert_non_null(rev);
		sum ^= digest_hash(retained[i].topic, strtoll(rev + 6, NULL, 10));
		count++;
	}
	(void)snprintf(expected, sizeof(expected), "{\"count\":%llu,\"xor\":\"%016llx\",",
		(unsigned long long)count, (unsigned long long)sum);
	const struct retained *digest = find("$SYS/broker/presence/digest/agent");
	const char *told = digest ? digest->payload : "nothing";
	if (strncmp(told, expected, strlen(expected)))
		fail_msg("%s %ld: %s, not %s", when, number, told, expected);
}

static void check_status(const char *topic, const char *status, const char *when, long number)
{
	const struct retained *one = find(topic);
	char expected[64];
	(void)snprintf(expected, sizeof(expected), "\"status\":\"%s\"", status ? status : "");
	if (!one != !status || (one && !strstr(one->payload, expected)))
		fail_msg("%s %ld: %s is %s", when, number, topic, one ? one->payload : "cleared");
}

static void check_records(const char *when, long number)
{
	check_status("presence/agent/u1", "dnd", when, number);
	check_status("presence/agent/u2", "online", when, number);
	check_status("presence/agent/u3", NULL, when, number);
	check_digest(when, number);
}

static void check_all(const char *when, long number)
{
	check_records(when, number);
	check_status("presence/agent/u1/devices/laptop", "dnd", when, number);
	check_status("presence/agent/u1/devices/phone", "offline", when, number);
	check_status("presence/agent/u2/devices/laptop", "offline", when, number);
	check_status("presence/agent/u2/devices/tablet", "online", when, number);
}

/* ---- stories ---- */

/* Tells it with what fails from number on, until number + length; true: something did. */
static bool tell(long number, long length, bool broker, bool memory, const char *when)
{
	struct options options;
	struct plugin *plugin = begin(&options);
	if (broker) {
		broker_from = number;
		broker_to = number + length;
	}
	if (memory) {
		memory_from = memory_asked + number;
		memory_to = memory_from + length;
	}
	story(plugin);
	bool has_failed = (broker && broker_asked >= number) ||
		(memory && memory_asked >= memory_from);
	broker_to = memory_to = 0;
	pass(plugin, 2 * SYS_MS + 3 * AGAIN_MS);
	if (broker && memory)
		check_records(when, number);
	else
		check_all(when, number);
	finish(plugin);
	return has_failed;
}

static void tell_each(long length, bool broker, bool memory, const char *when)
{
	long number = 1;
	while (tell(number, length, broker, memory, when))
		assert_true(++number < FAILS_MAX);
	assert_true(number > 10);
}

static void nothing_fails(void **state)
{
	(void)state;
	assert_false(tell(FAILS_MAX, 1, true, false, "without failure"));
}

static void the_broker_refuses_once(void **state)
{
	(void)state;
	tell_each(1, true, false, "the broker refuses call");
}

static void the_broker_refuses_from_then_on(void **state)
{
	(void)state;
	tell_each(FAILS_MAX, true, false, "the broker refuses from call");
}

static void one_allocation_is_refused(void **state)
{
	(void)state;
	tell_each(1, false, true, "without allocation");
}

/* Nothing can be kept either. */
static void both_are_refused(void **state)
{
	struct options options;
	(void)state;
	for (long number = 1; number < 40; number++) {
		struct plugin *plugin = begin(&options);
		/* There is memory for whoever comes, none for what is kept. */
		plugin->unsaid.count = 1 << 30;
		broker_from = number;
		broker_to = FAILS_MAX;
		story(plugin);
		broker_to = 0;
		forget(plugin, "agent", "nobody");
		pass(plugin, 2 * SYS_MS + 3 * AGAIN_MS);
		check_status("presence/agent/u1", "dnd", "nothing kept", number);
		check_status("presence/agent/u2", "online", "nothing kept", number);
		plugin->unsaid.count = 0;
		finish(plugin);
	}
}

/* It is not asked again and again. */
static void a_long_shortage(void **state)
{
	struct options options;
	struct plugin *plugin = begin(&options);
	char id[16];
	(void)state;
	for (uint64_t token = 1; token <= 100; token++) {
		(void)snprintf(id, sizeof(id), "u%d", (int)token);
		come(plugin, token, "agent", id, "laptop");
	}
	broker_from = 1;
	broker_to = 1 << 30;
	for (uint64_t token = 1; token <= 100; token++)
		go(plugin, token);
	broker_asked = 1;
	plugin->sys_next_ms = INT64_MAX;
	pass(plugin, 10000);
	assert_in_range(broker_asked, 5, 20);
	broker_to = 0;
	plugin->sys_next_ms = 0;
	pass(plugin, 2 * SYS_MS);
	check_status("presence/agent/u100", "offline", "after a shortage", 0);
	check_status("presence/agent/u1/devices/laptop", "offline", "after a shortage", 0);
	check_digest("after a shortage", 0);
	finish(plugin);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(nothing_fails),
		cmocka_unit_test(the_broker_refuses_once),
		cmocka_unit_test(the_broker_refuses_from_then_on),
		cmocka_unit_test(one_allocation_is_refused),
		cmocka_unit_test(both_are_refused),
		cmocka_unit_test(a_long_shortage),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
