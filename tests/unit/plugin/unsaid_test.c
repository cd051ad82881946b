/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */

/* What the broker refuses once, or for a while, is published when it takes it again: records,
 * topics of devices, and what is cleared. Digests then amount to what is retained. */

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "plugin/plugin.h"
#include "wire/digest.h"

enum { RETAINED_MAX = 4096, FAILS_MAX = 500, AGAIN_MS = 1000, SYS_MS = 10000 };

/* ---- the broker ---- */

struct retained {
	char *topic, *payload;
};

static struct retained retained[RETAINED_MAX];
static size_t retained_count;
static int64_t now_ms;
static long broker_asked, broker_from, broker_to; /* which of its calls fail */
static long memory_asked, memory_from, memory_to; /* which of our allocations do */

static bool fails(long *asked, long from, long to)
{
	++*asked;
	return *asked >= from && *asked < to;
}

void *__real_malloc(size_t size);
void *__wrap_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__wrap_calloc(size_t count, size_t size);

void *__wrap_malloc(size_t size)
{
	return fails(&memory_asked, memory_from, memory_to) ? NULL : __real_malloc(size);
}

void *__wrap_calloc(size_t count, size_t size)
{
	return fails(&memory_asked, memory_from, memory_to) ? NULL : __real_calloc(count, size);
}

void *mosquitto_malloc(size_t size)
{
	return fails(&broker_asked, broker_from, broker_to) ? NULL : __real_malloc(size);
}

void mosquitto_free(void *room)
{
	free(room);
}

static struct retained *find(const char *topic)
{
	for (size_t i = 0; i < retained_count; i++)
		if (!strcmp(retained[i].topic, topic))
			return &retained[i];
	return NULL;
}

static void clear(struct retained *one)
{
	free(one->topic);
	free(one->payload);
	*one = retained[--retained_count];
}

int mosquitto_broker_publish(const char *client_id, const char *topic, int length, void *payload,
	int qos, bool retain, mosquitto_property *properties)
{
	(void)client_id;
	(void)qos;
	(void)properties;
	if (fails(&broker_asked, broker_from, broker_to))
		return MOSQ_ERR_NOMEM;
	struct retained *one = retain ? find(topic) : NULL;
	if (one)
		clear(one);
	if (length && retain) {
		size_t size = strlen(topic) + 1;
		one = &retained[retained_count++];
		one->topic = memcpy(__real_malloc(size), topic, size);
		one->payload = __real_calloc(1, (size_t)length + 1);
		memcpy(one->payload, payload, (size_t)length);
	}
	free(payload);
	return MOSQ_ERR_SUCCESS;
}

const char *mosquitto_client_id(const struct mosquitto *client)
{
	(void)client;
	return NULL;
}

void mosquitto_log_printf(int level, const char *format, ...)
{
	(void)level;
	(void)format;
}

int mosquitto_property_add_string(mosquitto_property **list, int identifier, const char *value)
{
	(void)list;
	(void)identifier;
	(void)value;
	return MOSQ_ERR_SUCCESS;
}

int mosquitto_property_add_int32(mosquitto_property **list, int identifier, uint32_t value)
{
	(void)list;
	(void)identifier;
	(void)value;
	return MOSQ_ERR_SUCCESS;
}

int mosquitto_property_add_binary(
	mosquitto_property **list, int identifier, const void *value, uint16_t length)
{
	(void)list;
	(void)identifier;
	(void)value;
	(void)length;
	return MOSQ_ERR_SUCCESS;
}

void mosquitto_property_free_all(mosquitto_property **list)
{
	*list = NULL;
}

int64_t clock_now_ms(void)
{
	return now_ms;
}

int64_t clock_wall_ms(void)
{
	return now_ms;
}

int64_t clock_now_us(void)
{
	return now_ms * 1000;
}

/* ---- the plugin ---- */

static struct plugin *begin(struct options *options)
{
	static char topic[] = "presence", typing_topic[] = "typing", node[] = "n";
	struct presence_config config = { .device_topics = true,
		.offline_retain_ms = 3600000,
		.subjects_max = 1000,
		.devices_max = 8 };
	struct plugin *plugin = calloc(1, sizeof(*plugin));
	*options = (struct options){ .topic = topic,
		.typing_topic = typing_topic,
		.node = node,
		.payload_format = PAYLOAD_JSON };
	now_ms = 1000000;
	broker_asked = broker_from = broker_to = 0;
	memory_asked = memory_from = memory_to = 0;
	plugin->options = options;
	plugin->core = presence_create(&config, now_ms);
	assert_int_equal(digests_init(plugin), 0);
	assert_int_equal(sys_init(plugin), 0);
	assert_int_equal(unsaid_init(plugin), 0);
	return plugin;
}

static void finish(struct plugin *plugin)
{
	presence_destroy(plugin->core);
	digests_finish(plugin);
	sys_finish(plugin);
	unsaid_finish(plugin);
	free(plugin);
	while (retained_count)
		clear(&retained[0]);
}

/* What fails for want of memory has not happened: it does now. */
static void feed(struct plugin *plugin, struct presence_event event)
{
	if (plugin_feed(plugin, event) == PRESENCE_ENOMEM)
		assert_int_equal(plugin_feed(plugin, event), 0);
}

static void turn(struct plugin *plugin)
{
	plugin->ticks++;
	do {
		feed(plugin, (struct presence_event){ .type = PRESENCE_TICK });
	} while (presence_deadline(plugin->core) <= now_ms);
	unsaid_say(plugin, now_ms);
	sys_publish_changes(plugin, now_ms);
}

static void pass(struct plugin *plugin, int64_t for_ms)
{
	for (int64_t until_ms = now_ms + for_ms; now_ms < until_ms; now_ms += 100)
		turn(plugin);
}

static void come(struct plugin *plugin, uint64_t token, const char *id, const char *device)
{
	char client[64];
	(void)snprintf(client, sizeof(client), "agent:%s:%s", id, device);
	feed(plugin,
		(struct presence_event){ .type = PRESENCE_CONNECTED,
			.token = token,
			.client_id = client,
			.role = "agent",
			.id = id,
			.device = device });
}

static void go(struct plugin *plugin, uint64_t token)
{
	feed(plugin,
		(struct presence_event){ .type = PRESENCE_DISCONNECTED,
			.token = token,
			.end = PRESENCE_END_DISCONNECT });
}

static void forget(struct plugin *plugin, const char *id)
{
	feed(plugin, (struct presence_event){ .type = PRESENCE_FORGET, .role = "agent", .id = id });
}

static void story(struct plugin *plugin)
{
	come(plugin, 1, "u1", "laptop");
	come(plugin, 2, "u1", "phone");
	come(plugin, 3, "u2", "laptop");
	turn(plugin);
	feed(plugin,
		(struct presence_event){
			.type = PRESENCE_DECLARE, .token = 1, .status = PRESENCE_DND });
	go(plugin, 3);
	come(plugin, 4, "u3", "laptop");
	go(plugin, 4);
	forget(plugin, "u3");
	forget(plugin, "u2");
	come(plugin, 5, "u2", "tablet");
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
		forget(plugin, "nobody");
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
		come(plugin, token, id, "laptop");
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
