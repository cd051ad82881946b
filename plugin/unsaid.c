/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
#include <stdlib.h>
#include <string.h>

#include "plugin/plugin.h"

/* What the broker refused, by topic and oldest first. The broker's memory_limit is not ours: mostly
 * we can keep what it cannot take. */

/* How many topics, how often it is tried again, and how many at once: about a millisecond. */
enum { UNSAID_MAX = 10000, AGAIN_MS = 1000, AT_ONCE_MAX = 500 };

struct unsaid {
	struct table_node by_topic;
	struct unsaid *next, *previous;
	struct told told; /* its texts lie behind this */
	char texts[];
};

static bool topic_matches(const struct table_node *node, const void *topic)
{
	return !strcmp(TABLE_CONST_ENTRY(node, struct unsaid, by_topic)->told.topic, topic);
}

int unsaid_init(struct plugin *plugin)
{
	return table_init(&plugin->unsaid);
}

static void free_unsaid(struct table_node *node)
{
	free(TABLE_ENTRY(node, struct unsaid, by_topic));
}

void unsaid_finish(struct plugin *plugin)
{
	table_clear(&plugin->unsaid, free_unsaid);
	table_finish(&plugin->unsaid);
}

static void link_last(struct plugin *plugin, struct unsaid *unsaid)
{
	unsaid->next = NULL;
	unsaid->previous = plugin->unsaid_last;
	if (plugin->unsaid_last)
		plugin->unsaid_last->next = unsaid;
	else
		plugin->unsaid_first = unsaid;
	plugin->unsaid_last = unsaid;
}

static void unlink_one(struct plugin *plugin, struct unsaid *unsaid)
{
	if (unsaid->previous)
		unsaid->previous->next = unsaid->next;
	else
		plugin->unsaid_first = unsaid->next;
	if (unsaid->next)
		unsaid->next->previous = unsaid->previous;
	else
		plugin->unsaid_last = unsaid->previous;
}

static void remove_one(struct plugin *plugin, struct unsaid *unsaid)
{
	unlink_one(plugin, unsaid);
	table_remove(&plugin->unsaid, &unsaid->by_topic);
	free(unsaid);
}

void unsaid_drop(struct plugin *plugin, const char *topic)
{
	if (!plugin->unsaid.count)
		return;
	struct table_node *node = table_find(
		&plugin->unsaid, plugin_hash(plugin, topic), topic_matches, topic);
	if (node)
		remove_one(plugin, TABLE_ENTRY(node, struct unsaid, by_topic));
}

int unsaid_keep(struct plugin *plugin, const struct told *told)
{
	size_t size = strlen(told->topic) + 1;
	if (plugin->unsaid.count >= UNSAID_MAX)
		return PRESENCE_ENOMEM;
	struct unsaid *unsaid = malloc(sizeof(*unsaid) + size + told->length);
	if (!unsaid)
		return PRESENCE_ENOMEM;
	unsaid->told = *told;
	memcpy(unsaid->texts, told->topic, size);
	if (told->length)
		memcpy(unsaid->texts + size, told->payload, told->length);
	unsaid->told.topic = unsaid->texts;
	unsaid->told.payload = unsaid->texts + size;
	unsaid->by_topic.hash = plugin_hash(plugin, told->topic);
	table_insert(&plugin->unsaid, &unsaid->by_topic);
	link_last(plugin, unsaid);
	return PRESENCE_OK;
}

/* The first that is refused again ends it, and makes room for the others. */
static void say_kept(struct plugin *plugin)
{
	for (int said = 0; plugin->unsaid_first && said < AT_ONCE_MAX; said++) {
		struct unsaid *unsaid = plugin->unsaid_first;
		if (publish_told(&unsaid->told)) {
			unlink_one(plugin, unsaid);
			link_last(plugin, unsaid);
			return;
		}
		plugin->has_told = true;
		remove_one(plugin, unsaid);
	}
}

void unsaid_say(struct plugin *plugin, int64_t now_ms)
{
	if (now_ms < plugin->unsaid_next_ms)
		return;
	plugin->unsaid_next_ms = now_ms + AGAIN_MS;
	say_kept(plugin);
	/* What is due may be what the core says again: it is not made to begin anew. */
	if (presence_deadline(plugin->core) <= now_ms)
		return;
	digests_said_again(plugin);
	if (!plugin->topics_unsaid)
		return;
	plugin->topics_unsaid = false;
	digests_say_again(plugin);
	(void)plugin_feed(plugin,
		(struct presence_event){
			.type = PRESENCE_RESYNC,
			.targets = PRESENCE_TARGET_TOPIC,
		});
}
