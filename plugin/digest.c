/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
#include "wire/digest.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "plugin/plugin.h"

/* Whom a role has had is worth knowing while few roles have nobody: who comes back to watch one
 * learns from its digest that all are gone. With `roles *` strangers make up as many as they like:
 * beyond so many, digests of nobody are dropped, so many at once. */
enum { EMPTY_MAX = 64, DROPPED_MAX = 1000 };

struct digest {
	struct table_node by_role;
	struct digest *next; /* of all */
	uint64_t count, xor_of_hashes;
	int64_t rev; /* the highest */
	char role[];
};

static bool digest_matches(const struct table_node *node, const void *role)
{
	return !strcmp(TABLE_CONST_ENTRY(node, struct digest, by_role)->role, role);
}

static struct digest *digest_get_or_add(struct plugin *plugin, const char *role)
{
	uint64_t hash = plugin_hash(plugin, role);
	struct table_node *node = table_find(&plugin->digests, hash, digest_matches, role);
	if (node)
		return TABLE_ENTRY(node, struct digest, by_role);
	size_t size = strlen(role) + 1;
	struct digest *digest = calloc(1, sizeof(*digest) + size);
	if (!digest)
		return NULL;
	memcpy(digest->role, role, size);
	digest->by_role.hash = hash;
	table_insert(&plugin->digests, &digest->by_role);
	digest->next = plugin->first_digest;
	plugin->first_digest = digest;
	return digest;
}

int digests_init(struct plugin *plugin)
{
	return table_init(&plugin->digests);
}

static void free_digest(struct table_node *node)
{
	free(TABLE_ENTRY(node, struct digest, by_role));
}

void digests_finish(struct plugin *plugin)
{
	table_clear(&plugin->digests, free_digest);
	table_finish(&plugin->digests);
}

void digest_record(struct plugin *plugin, const char *role, const char *topic, int64_t previous_rev,
	int64_t rev)
{
	if (rev > plugin->rev)
		plugin->rev = rev;
	struct digest *digest = digest_get_or_add(plugin, role);
	if (!digest) {
		plugin->refused[REFUSED_MEMORY]++;
		plugin->topics_unsaid = true;
		plugin->digests_state = DIGESTS_LACK;
		return;
	}
	if (previous_rev > plugin->digests_from) {
		digest->xor_of_hashes ^= digest_hash(topic, previous_rev);
		digest->count--;
	}
	if (rev) {
		digest->xor_of_hashes ^= digest_hash(topic, rev);
		digest->count++;
	}
	if (rev > digest->rev)
		digest->rev = rev;
}

void digests_say_again(struct plugin *plugin)
{
	if (plugin->digests_state != DIGESTS_LACK)
		return;
	for (struct digest *digest = plugin->first_digest; digest; digest = digest->next)
		digest->count = digest->xor_of_hashes = 0;
	plugin->digests_from = plugin->rev;
	plugin->digests_state = DIGESTS_COUNT_AGAIN;
}

void digests_said_again(struct plugin *plugin)
{
	if (plugin->digests_state == DIGESTS_COUNT_AGAIN)
		plugin->digests_state = DIGESTS_SOUND;
}

void digests_drop_empty(struct plugin *plugin)
{
	unsigned empty = 0, dropped = 0;
	struct digest **link = &plugin->first_digest, *digest;
	if (plugin->digests_state != DIGESTS_SOUND)
		return;
	while ((digest = *link)) {
		if (digest->count || ++empty <= EMPTY_MAX || dropped == DROPPED_MAX) {
			link = &digest->next;
			continue;
		}
		*link = digest->next;
		table_remove(&plugin->digests, &digest->by_role);
		free(digest);
		dropped++;
	}
}

static void visit_digest(const struct digest *digest, stat_visit *visit, void *context)
{
	char name[PRESENCE_TOPIC_MAX], value[128];
	char role[PRESENCE_ENCODED_MAX + 1];
	if (topic_encode(digest->role, role, sizeof(role)) < 0)
		return;
	(void)snprintf(name, sizeof(name), "digest/%s", role);
	(void)snprintf(value, sizeof(value),
		"{\"count\":%" PRIu64 ",\"xor\":\"%016" PRIx64 "\",\"rev\":%" PRId64 "}",
		digest->count, digest->xor_of_hashes, digest->rev);
	visit(context, name, value);
}

void digests_each(const struct plugin *plugin, stat_visit *visit, void *context)
{
	if (plugin->digests_state != DIGESTS_SOUND)
		return;
	for (const struct digest *digest = plugin->first_digest; digest; digest = digest->next)
		visit_digest(digest, visit, context);
}
