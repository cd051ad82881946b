/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
#include <string.h>

#include "store/redis/state.h"

/* Subjects one of whose keys is not ours: they wait aside, in order, and everything else goes on.
 * All of them are tried again together; Redis names those that still do not fit. */

enum { QUARANTINE_MAX = 1024, WAIT_MIN_MS = 1000, WAIT_MAX_MS = 60000 };

static bool same_subject(const struct store_item *one, const struct store_item *other)
{
	const struct presence_record *a = &one->effect.record, *b = &other->effect.record;
	return !strcmp(a->id, b->id) && !strcmp(a->role, b->role);
}

static bool contains(const struct redis_items *items, const struct store_item *item)
{
	for (const struct store_item *other = items->first; other; other = other->next)
		if (same_subject(other, item))
			return true;
	return false;
}

bool redis_quarantine_has(const struct redis_writer *writer, const struct store_item *item)
{
	/* Where somebody types is no key of the subject. */
	return item->effect.type != PRESENCE_ACTIVITY && contains(&writer->quarantine, item);
}

/* Those of items whose subject is in the quarantine go there. */
static void follow(struct redis_writer *writer, struct redis_items *items)
{
	struct redis_items kept = { 0 };
	struct store_item *item;
	while ((item = redis_items_take(items)))
		redis_items_append(
			redis_quarantine_has(writer, item) ? &writer->quarantine : &kept, item);
	*items = kept;
}

static void limit(struct redis_writer *writer)
{
	while (writer->quarantine.count > QUARANTINE_MAX) {
		store_item_destroy(redis_items_take(&writer->quarantine));
		writer->quarantine_lost = true;
	}
}

static bool is_named(const redisReply *reply, int64_t number)
{
	for (size_t i = 1; i + 2 < (size_t)reply->elements; i += 3)
		if (redis_number_at(reply, i) == number)
			return true;
	return false;
}

void redis_quarantine_put(
	struct redis_writer *writer, struct redis_command *command, const redisReply *reply)
{
	struct redis_partition *partition = &writer->partitions[command->place];
	bool first = !writer->quarantine_wait_ms;
	struct redis_items others = { 0 };
	struct store_item *item;
	for (int64_t number = 1; (item = redis_items_take(&command->items)); number++)
		redis_items_append(is_named(reply, number) ? &writer->quarantine : &others, item);
	command->items = others;
	redis_batch_requeue(writer, command);
	partition->unsure = 0; /* the batch and all after it are known not to be applied */
	follow(writer, &partition->waiting);
	limit(writer);
	writer->quarantine_wait_ms = first ? WAIT_MIN_MS : writer->quarantine_wait_ms * 2;
	if (writer->quarantine_wait_ms > WAIT_MAX_MS)
		writer->quarantine_wait_ms = WAIT_MAX_MS;
	writer->quarantine_ms = writer->now_ms + writer->quarantine_wait_ms;
	if (first)
		mailbox_log(writer->box, STORE_ERROR,
			"Redis at %s: key %s is a %s and not presence's: delete it; until then %zu "
			"changes of that subject wait, all others go on",
			writer->config->where, redis_text_at(reply, 3), redis_text_at(reply, 2),
			writer->quarantine.count);
}

void redis_quarantine_step(struct redis_writer *writer)
{
	struct store_item *item;
	if (!writer->quarantine.first) {
		if (!writer->quarantine_wait_ms || redis_batch_held(writer))
			return;
		/* Tried again, and not come back. */
		writer->quarantine_wait_ms = 0;
		if (writer->quarantine_lost) {
			writer->quarantine_lost = false;
			redis_resync_anew(writer);
		}
		return;
	}
	if (writer->now_ms < writer->quarantine_ms)
		return;
	while ((item = redis_items_take(&writer->quarantine))) {
		uint32_t place = 0;
		(void)redis_place_of(item, writer->config->partitions, &place); /* as before */
		redis_items_append(&writer->partitions[place].waiting, item);
	}
}
