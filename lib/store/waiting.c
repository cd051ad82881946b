/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
#include "store/waiting.h"

#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "core/siphash.h"
#include "store/copy.h"

static const size_t effect_strings[] = {
	offsetof(struct presence_effect, record.role),
	offsetof(struct presence_effect, record.id),
	offsetof(struct presence_effect, record.note),
	offsetof(struct presence_effect, device),
	offsetof(struct presence_effect, device_note),
	offsetof(struct presence_effect, override_note),
	offsetof(struct presence_effect, conversation),
};

static const struct copy_plan effect_plan = {
	.whole = sizeof(struct waiting),
	.place = offsetof(struct waiting, item.effect),
	.size = sizeof(struct presence_effect),
	.strings = effect_strings,
	.count = sizeof(effect_strings) / sizeof(*effect_strings),
};

struct waiting *waiting_create(const struct presence_effect *effect, int64_t now_ms)
{
	struct waiting *waiting = copy_with_strings(&effect_plan, effect);
	if (waiting)
		waiting->item.put_ms = now_ms;
	return waiting;
}

int queue_init(struct queue *queue, uint64_t max, uint64_t beyond)
{
	uint64_t limit = max + beyond;
	*queue = (struct queue){ .max = max, .limit = limit > max ? limit : UINT64_MAX };
	/* Fails only before the system has any randomness: then the broker could not do TLS. */
	if (getrandom(queue->hash_key, sizeof(queue->hash_key), 0) != sizeof(queue->hash_key))
		return PRESENCE_ENOMEM;
	return table_init(&queue->newest);
}

void queue_finish(struct queue *queue)
{
	for (struct store_item *item = queue_take(queue); item; item = queue_take(queue))
		store_item_destroy(item);
	table_finish(&queue->newest);
}

/* What gives way to another effect of the same key; only a REFRESH does across a RESYNCED. */
struct key {
	enum presence_effect_type type;
	const char *role, *id;
	const char *part; /* of the subject: a device, a conversation, or NULL */
	uint64_t era;
};

static bool may_give_way(enum presence_effect_type type)
{
	return type == PRESENCE_STORE || type == PRESENCE_STORE_OVERRIDE ||
		type == PRESENCE_REFRESH || type == PRESENCE_ACTIVITY;
}

static const char *part_of(const struct presence_effect *effect)
{
	if (effect->type == PRESENCE_STORE)
		return effect->device;
	return effect->type == PRESENCE_ACTIVITY ? effect->conversation : NULL;
}

static bool is_same(const char *one, const char *other)
{
	return one == other || (one && other && !strcmp(one, other));
}

static bool matches(const struct table_node *node, const void *wanted)
{
	const struct waiting *waiting = (const struct waiting *)((const char *)node -
		offsetof(struct waiting, node));
	const struct presence_effect *effect = &waiting->item.effect;
	const struct key *key = wanted;
	if (effect->type != key->type || !is_same(effect->record.id, key->id) ||
		!is_same(effect->record.role, key->role))
		return false;
	return key->type == PRESENCE_REFRESH ||
		(waiting->era == key->era && is_same(part_of(effect), key->part));
}

static uint64_t hash_of(const struct queue *queue, const struct key *key)
{
	const char *const parts[] = { key->role, key->id, key->part };
	const uint8_t type = (uint8_t)key->type;
	struct siphash hash;
	siphash_init(&hash, queue->hash_key);
	siphash_update(&hash, &type, 1);
	for (size_t i = 0; i < sizeof(parts) / sizeof(*parts); i++)
		if (parts[i])
			siphash_update(&hash, parts[i], strlen(parts[i]) + 1);
	return siphash_finish(&hash);
}

static struct waiting *find(const struct queue *queue, const struct key *key, uint64_t hash)
{
	struct table_node *node = table_find(&queue->newest, hash, matches, key);
	return node ? TABLE_ENTRY(node, struct waiting, node) : NULL;
}

static void unindex(struct queue *queue, struct waiting *waiting)
{
	if (!waiting->indexed)
		return;
	table_remove(&queue->newest, &waiting->node);
	waiting->indexed = false;
	if (waiting->item.effect.type == PRESENCE_REFRESH)
		queue->refreshes--;
}

static void index_newest(struct queue *queue, struct waiting *waiting, uint64_t hash)
{
	waiting->node.hash = hash;
	table_insert(&queue->newest, &waiting->node);
	waiting->indexed = true;
	if (waiting->item.effect.type == PRESENCE_REFRESH)
		queue->refreshes++;
}

static struct waiting *after(const struct waiting *waiting)
{
	return (struct waiting *)(void *)waiting->item.next;
}

/* next NULL: at the end. */
static void insert_before(struct queue *queue, struct waiting *waiting, struct waiting *next)
{
	struct waiting *before = next ? next->before : queue->last;
	waiting->before = before;
	waiting->item.next = next ? &next->item : NULL;
	if (before)
		before->item.next = &waiting->item;
	else
		queue->first = waiting;
	if (next)
		next->before = waiting;
	else
		queue->last = waiting;
	queue->count++;
}

static void unlink_waiting(struct queue *queue, struct waiting *waiting)
{
	struct waiting *next = after(waiting);
	if (waiting->before)
		waiting->before->item.next = waiting->item.next;
	else
		queue->first = next;
	if (next)
		next->before = waiting->before;
	else
		queue->last = waiting->before;
	waiting->item.next = NULL;
	queue->count--;
}

/* A later effect of the subject says what a waiting REFRESH would have said. */
static struct waiting *remove_refresh(struct queue *queue, const struct presence_record *record)
{
	if (!queue->refreshes || !record->id)
		return NULL;
	const struct key key = { PRESENCE_REFRESH, record->role, record->id, NULL, 0 };
	struct waiting *refresh = find(queue, &key, hash_of(queue, &key));
	if (refresh) {
		unindex(queue, refresh);
		unlink_waiting(queue, refresh);
	}
	return refresh;
}

/* Whether the waiting effect of the same key gives way to one of this type. */
static bool older_gives_way(const struct queue *queue, enum presence_effect_type type)
{
	return type == PRESENCE_REFRESH || type == PRESENCE_ACTIVITY || queue->count >= queue->max;
}

int queue_put(struct queue *queue, struct waiting *waiting, struct waiting *gone[2])
{
	const struct presence_effect *effect = &waiting->item.effect;
	const struct presence_record *record = &effect->record;
	bool is_refresh = effect->type == PRESENCE_REFRESH;
	bool is_activity = effect->type == PRESENCE_ACTIVITY;
	bool is_indexed = may_give_way(effect->type);
	const struct key key = { effect->type, record->role, record->id, part_of(effect),
		queue->era };
	uint64_t hash = is_indexed ? hash_of(queue, &key) : 0;
	struct waiting *older = is_indexed ? find(queue, &key, hash) : NULL;
	bool gives_way = older && older_gives_way(queue, effect->type);

	if (is_activity && !older && queue->count >= queue->max) {
		gone[0] = waiting;
		return PRESENCE_OK;
	}
	if (!gives_way && queue->count >= queue->limit)
		return PRESENCE_ENOMEM;
	waiting->era = queue->era;
	if (older)
		unindex(queue, older);
	if (older && is_refresh)
		waiting->item.put_ms = older->item.put_ms;
	insert_before(queue, waiting, is_refresh ? older : NULL);
	if (gives_way) {
		unlink_waiting(queue, older);
		gone[0] = older;
		queue->merged += !is_refresh && !is_activity;
	}
	if (is_indexed)
		index_newest(queue, waiting, hash);
	if (!is_refresh && !is_activity)
		gone[1] = remove_refresh(queue, record);
	if (effect->type == PRESENCE_RESYNCED)
		queue->era++;
	return PRESENCE_OK;
}

struct store_item *queue_take(struct queue *queue)
{
	struct waiting *waiting = queue->first;
	if (!waiting)
		return NULL;
	unindex(queue, waiting);
	unlink_waiting(queue, waiting);
	return &waiting->item;
}
