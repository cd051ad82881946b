/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "plugin/plugin.h"

enum { INTERVAL_MS = 10000, VALUE_MAX = 128 };

/* What was last published under a name, so that only changes are. */
struct value {
	struct table_node by_name;
	struct value *next; /* of all */
	uint64_t round;     /* when it was last among what there is */
	char text[VALUE_MAX];
	char name[];
};

static bool value_matches(const struct table_node *node, const void *name)
{
	return !strcmp(TABLE_CONST_ENTRY(node, struct value, by_name)->name, name);
}

static struct value *value_find(const struct plugin *plugin, uint64_t hash, const char *name)
{
	struct table_node *node = table_find(&plugin->values, hash, value_matches, name);
	return node ? TABLE_ENTRY(node, struct value, by_name) : NULL;
}

static struct value *value_get_or_add(struct plugin *plugin, const char *name)
{
	uint64_t hash = plugin_hash(plugin, name);
	struct value *value = value_find(plugin, hash, name);
	if (value)
		return value;
	size_t size = strlen(name) + 1;
	value = calloc(1, sizeof(*value) + size);
	if (!value)
		return NULL;
	memcpy(value->name, name, size);
	value->by_name.hash = hash;
	table_insert(&plugin->values, &value->by_name);
	value->next = plugin->first_value;
	plugin->first_value = value;
	return value;
}

int sys_init(struct plugin *plugin)
{
	return table_init(&plugin->values);
}

static void free_value(struct table_node *node)
{
	free(TABLE_ENTRY(node, struct value, by_name));
}

void sys_finish(struct plugin *plugin)
{
	table_clear(&plugin->values, free_value);
	table_finish(&plugin->values);
}

static void topic_of(const struct value *value, char topic[PRESENCE_TOPIC_MAX])
{
	(void)snprintf(topic, PRESENCE_TOPIC_MAX, "$SYS/broker/presence/%s", value->name);
}

static void set_value(struct value *value, const char *text)
{
	char topic[PRESENCE_TOPIC_MAX];
	if (!strcmp(value->text, text))
		return;
	topic_of(value, topic);
	/* Out of memory it is told the next time. */
	if (!publish_value(topic, text))
		(void)snprintf(value->text, sizeof(value->text), "%s", text);
}

/* Publishes the value when it differs from what it was. */
static void publish_if_changed(void *context, const char *name, const char *text)
{
	struct plugin *plugin = context;
	struct value *value = value_get_or_add(plugin, name);
	if (!value)
		return;
	value->round = plugin->ticks;
	set_value(value, text);
}

static const char *role_behind(const struct value *value, const char *prefix)
{
	size_t length = strlen(prefix);
	return strncmp(value->name, prefix, length) ? NULL : value->name + length;
}

static bool is_missing(const struct plugin *plugin, const struct value *value)
{
	return !value || value->round != plugin->ticks;
}

/* Its digest was dropped, which takes along the number of those online. */
static bool is_dropped(const struct plugin *plugin, const struct value *value)
{
	char name[PRESENCE_TOPIC_MAX];
	const char *role = role_behind(value, "online/");
	if (plugin->digests_state != DIGESTS_SOUND)
		return false;
	if (!role)
		return role_behind(value, "digest/");
	(void)snprintf(name, sizeof(name), "digest/%s", role);
	return is_missing(plugin, value_find(plugin, plugin_hash(plugin, name), name));
}

static int clear_value(const struct value *value)
{
	char topic[PRESENCE_TOPIC_MAX];
	topic_of(value, topic);
	return publish_value(topic, "");
}

/* A role that nobody has any more is not among what there is: nobody of it is online. */
static void publish_missing_roles(struct plugin *plugin)
{
	struct value **link = &plugin->first_value, *value;
	while ((value = *link)) {
		bool is_gone = is_missing(plugin, value) && is_dropped(plugin, value);
		if (is_gone && !clear_value(value)) {
			*link = value->next;
			table_remove(&plugin->values, &value->by_name);
			free(value);
			continue;
		}
		if (!is_gone && is_missing(plugin, value) && role_behind(value, "online/"))
			set_value(value, "0");
		link = &value->next;
	}
}

struct each {
	stat_visit *visit;
	void *context;
};

static void number(const struct each *each, const char *name, int64_t value)
{
	char text[VALUE_MAX];
	(void)snprintf(text, sizeof(text), "%" PRId64, value);
	each->visit(each->context, name, text);
}

static void visit_online(void *context, const char *role, uint64_t online)
{
	char encoded[PRESENCE_ENCODED_MAX + 1], name[PRESENCE_TOPIC_MAX];
	if (topic_encode(role, encoded, sizeof(encoded)) < 0)
		return;
	(void)snprintf(name, sizeof(name), "online/%s", encoded);
	number(context, name, (int64_t)online);
}

static void visit_refusals(const struct plugin *plugin, const struct each *each)
{
	char name[VALUE_MAX];
	for (int why = 0; why < REFUSALS; why++) {
		(void)snprintf(name, sizeof(name), "refused/%s", refusal_name(why));
		number(each, name, (int64_t)plugin->refused[why]);
	}
}

static void visit_stores(const struct plugin *plugin, int64_t now_ms, const struct each *each)
{
	struct store_stats sum = { 0 }, stats;
	for (size_t i = 0; i < plugin->store_count; i++) {
		store_get_stats(plugin->stores[i], now_ms, &stats);
		sum.queue += stats.queue;
		sum.merged += stats.merged;
		if (stats.lag_ms > sum.lag_ms)
			sum.lag_ms = stats.lag_ms;
	}
	number(each, "merged", (int64_t)sum.merged);
	number(each, "queue", (int64_t)sum.queue);
	number(each, "lag_ms", sum.lag_ms);
	if (!plugin->redis)
		return;
	store_get_stats(plugin->redis, now_ms, &stats);
	each->visit(each->context, "redis/state", store_state_name(stats.state));
	number(each, "redis/epoch", (int64_t)stats.epoch);
	number(each, "redis/gen", (int64_t)stats.gen);
	number(each, "redis/resyncs", (int64_t)stats.resyncs);
	number(each, "redis/fenced", (int64_t)stats.fenced);
	number(each, "redis/lost", (int64_t)stats.lost_connections);
	number(each, "redis/eviction", stats.evicting);
}

void sys_each(struct plugin *plugin, int64_t now_ms, stat_visit *visit, void *context)
{
	struct each each = { visit, context };
	const struct presence_counts *counts = presence_counts(plugin->core);
	number(&each, "subjects", (int64_t)counts->subjects);
	number(&each, "sessions", (int64_t)counts->sessions);
	number(&each, "transitions", (int64_t)counts->transitions);
	number(&each, "forgotten", (int64_t)counts->forgotten);
	number(&each, "stalls", (int64_t)counts->stalls);
	number(&each, "tick_gap_max_ms", counts->tick_gap_max_ms);
	number(&each, "callback_max_us", plugin->callback_max_us);
	presence_each_role(plugin->core, visit_online, &each);
	visit_refusals(plugin, &each);
	visit_stores(plugin, now_ms, &each);
	digests_each(plugin, visit, context);
}

void sys_publish_changes(struct plugin *plugin, int64_t now_ms)
{
	if (now_ms < plugin->sys_next_ms)
		return;
	plugin->sys_next_ms = now_ms + INTERVAL_MS;
	sys_each(plugin, now_ms, publish_if_changed, plugin);
	publish_missing_roles(plugin);
	digests_drop_empty(plugin);
}
