/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
#ifndef PRESENCE_TESTS_PLUGIN_BROKER_H
#define PRESENCE_TESTS_PLUGIN_BROKER_H

/* A broker that keeps what is retained, and refuses what it is told to; and the part of the plugin
 * that publishes. The linker sends malloc and calloc here (--wrap). */

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "no_properties.h"
#include "plugin/plugin.h"

enum { RETAINED_MAX = 4096, AGAIN_MS = 1000, SYS_MS = 10000 };

/* ---- the broker ---- */

struct retained {
	char *topic, *payload;
};

static struct retained retained[RETAINED_MAX];
static size_t retained_count;
static int64_t now_ms;
static long broker_asked, broker_from, broker_to; /* which of its calls fail */
static long memory_asked, memory_from, memory_to; /* which of our allocations do */

static inline bool fails(long *asked, long from, long to)
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

static inline struct retained *find(const char *topic)
{
	for (size_t i = 0; i < retained_count; i++)
		if (!strcmp(retained[i].topic, topic))
			return &retained[i];
	return NULL;
}

static inline void clear(struct retained *one)
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

static inline struct plugin *begin(struct options *options)
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

static inline void finish(struct plugin *plugin)
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
static inline void feed(struct plugin *plugin, struct presence_event event)
{
	if (plugin_feed(plugin, event) == PRESENCE_ENOMEM)
		assert_int_equal(plugin_feed(plugin, event), 0);
}

static inline void turn(struct plugin *plugin)
{
	plugin->ticks++;
	do {
		feed(plugin, (struct presence_event){ .type = PRESENCE_TICK });
	} while (presence_deadline(plugin->core) <= now_ms);
	unsaid_say(plugin, now_ms);
	sys_publish_changes(plugin, now_ms);
}

static inline void pass(struct plugin *plugin, int64_t for_ms)
{
	for (int64_t until_ms = now_ms + for_ms; now_ms < until_ms; now_ms += 100)
		turn(plugin);
}

static inline void come(
	struct plugin *plugin, uint64_t token, const char *role, const char *id, const char *device)
{
	char client[64];
	(void)snprintf(client, sizeof(client), "%s:%s:%s", role, id, device);
	feed(plugin,
		(struct presence_event){ .type = PRESENCE_CONNECTED,
			.token = token,
			.client_id = client,
			.role = role,
			.id = id,
			.device = device });
}

static inline void go(struct plugin *plugin, uint64_t token)
{
	feed(plugin,
		(struct presence_event){ .type = PRESENCE_DISCONNECTED,
			.token = token,
			.end = PRESENCE_END_DISCONNECT });
}

static inline void forget(struct plugin *plugin, const char *role, const char *id)
{
	feed(plugin, (struct presence_event){ .type = PRESENCE_FORGET, .role = role, .id = id });
}

#endif
