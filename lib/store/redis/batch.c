/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
#include <string.h>

#include "store/redis/state.h"

/* Contributions and refreshes: taken from the mailbox, sent in batches, taken back when a batch
 * was not applied. seq needs no place in an item: what is sent of a partition follows what was
 * acknowledged without a gap. */

enum { HELD_MAX = REDIS_IN_FLIGHT_MAX * REDIS_BATCH_MAX };

size_t redis_batch_held(const struct redis_writer *writer)
{
	size_t held = writer->inbox.count;
	for (uint32_t i = 0; i < writer->config->partitions; i++)
		held += writer->partitions[i].waiting.count + writer->partitions[i].refreshes.count;
	for (const struct redis_command *command = writer->first; command; command = command->next)
		held += command->items.count;
	return held;
}

/* ---- in ---- */

static void give(struct redis_writer *writer, struct store_item *item)
{
	uint32_t place;
	if (redis_place_of(item, writer->config->partitions, &place)) {
		store_item_destroy(item); /* ids are validated before they get here */
		return;
	}
	struct redis_partition *partition = &writer->partitions[place];
	if (item->effect.retain_ms > writer->retain_ms)
		writer->retain_ms = item->effect.retain_ms;
	if (item->effect.type == PRESENCE_REFRESH)
		redis_items_append(&partition->refreshes, item);
	else if (redis_quarantine_has(writer, item))
		redis_items_append(&writer->quarantine, item);
	else
		redis_items_append(&partition->waiting, item);
}

/* What follows PRESENCE_RESYNCED waits until all before it is answered and swept. */
static bool is_open(const struct redis_writer *writer)
{
	return writer->resync < REDIS_RESYNC_DRAINING;
}

/* An earlier boot's records are to be read before this one's are written over them; then the
 * mailbox is the better place to wait. */
static bool may_take(const struct redis_writer *writer)
{
	bool snapshot_done = writer->snapshot_done || mailbox_leaving(writer->box);
	return writer->phase == REDIS_READY && snapshot_done && is_open(writer);
}

void redis_batch_take(struct redis_writer *writer)
{
	size_t held = redis_batch_held(writer), count;
	size_t room = may_take(writer) && held < HELD_MAX ? HELD_MAX - held : 0;
	/* Without room too: it is this call that clears the mailbox' signal. */
	struct store_item *item = mailbox_take(writer->box, room, &count);
	while (item) {
		struct store_item *next = item->next;
		redis_items_append(&writer->inbox, item);
		item = next;
	}
	while (may_take(writer) && (item = redis_items_take(&writer->inbox))) {
		if (item->effect.type == PRESENCE_RESYNCED) {
			redis_resync_said(writer, item->answers);
			store_item_destroy(item);
		} else {
			give(writer, item);
		}
	}
	if (mailbox_take_overflow(writer->box))
		redis_resync_anew(writer);
}

/* ---- out ---- */

static void send_apply(struct redis_writer *writer, uint32_t place)
{
	struct redis_partition *partition = &writer->partitions[place];
	size_t count = partition->waiting.count;
	if (count > REDIS_BATCH_MAX)
		count = REDIS_BATCH_MAX;
	partition->batch_ms = writer->now_ms;
	struct redis_command *command = redis_script_begin(
		writer, REDIS_APPLY, REDIS_SCRIPT_APPLY, place, 4 + count * REDIS_FIELDS);
	if (!command)
		return;
	const struct redis_moment moment = { writer->now_ms, writer->wall_ms, writer->retain_ms };
	redis_out_number(&writer->out, writer->config->ttl_ms);
	redis_out_number(&writer->out, (int64_t)redis_stream_length(writer));
	redis_out_number(&writer->out, partition->floor);
	redis_out_number(&writer->out, partition->sent + 1);
	for (size_t i = 0; i < count; i++) {
		struct store_item *item = redis_items_take(&partition->waiting);
		redis_contribution_write(&writer->out, item, &moment);
		if (item->effect.record.rev > command->rev)
			command->rev = item->effect.record.rev;
		redis_items_append(&command->items, item);
	}
	partition->sent += (int64_t)count;
	redis_command_end(writer, command);
}

static void send_refresh(struct redis_writer *writer, uint32_t place)
{
	struct redis_partition *partition = &writer->partitions[place];
	size_t count = partition->refreshes.count;
	if (count > REDIS_BATCH_MAX)
		count = REDIS_BATCH_MAX;
	struct redis_command *command = redis_script_begin(writer, REDIS_REFRESH,
		REDIS_SCRIPT_REFRESH, place, 1 + count * REDIS_REFRESH_FIELDS);
	if (!command)
		return;
	redis_out_number(&writer->out, writer->config->ttl_ms);
	for (size_t i = 0; i < count; i++) {
		struct store_item *item = redis_items_take(&partition->refreshes);
		redis_refresh_write(&writer->out, item);
		redis_items_append(&command->items, item);
	}
	redis_command_end(writer, command);
}

static bool may_send(const struct redis_writer *writer)
{
	return writer->batches < REDIS_IN_FLIGHT_MAX && writer->phase == REDIS_READY &&
		!writer->close && !writer->loading;
}

/* When what waits in partition is to go: a full batch now, others not too soon after the last. */
static int64_t due_ms(const struct redis_writer *writer, const struct redis_partition *partition)
{
	bool now = partition->waiting.count >= REDIS_BATCH_MAX || mailbox_leaving(writer->box);
	return now ? writer->now_ms : partition->batch_ms + writer->config->linger_ms;
}

static bool is_due(const struct redis_writer *writer, const struct redis_partition *partition)
{
	return partition->waiting.first && due_ms(writer, partition) <= writer->now_ms;
}

int64_t redis_batch_deadline(const struct redis_writer *writer)
{
	int64_t deadline_ms = INT64_MAX;
	for (uint32_t i = 0; i < writer->config->partitions && may_send(writer); i++) {
		const struct redis_partition *partition = &writer->partitions[i];
		if (partition->waiting.first && due_ms(writer, partition) < deadline_ms)
			deadline_ms = due_ms(writer, partition);
	}
	return deadline_ms;
}

/* Partitions in turn, so that a busy one does not keep the others waiting. */
void redis_batch_step(struct redis_writer *writer)
{
	bool more = true;
	while (more) {
		more = false;
		for (uint32_t i = 0; i < writer->config->partitions && may_send(writer); i++) {
			struct redis_partition *partition = &writer->partitions[i];
			if (is_due(writer, partition))
				send_apply(writer, i);
			if (partition->refreshes.first && may_send(writer))
				send_refresh(writer, i);
			more = more || is_due(writer, partition) || partition->refreshes.first;
		}
		more = more && may_send(writer);
	}
}

/* ---- answers ---- */

static void take_back(struct redis_command *command, enum redis_kind kind, uint32_t place,
	struct redis_items *items)
{
	if (command->kind != kind || command->place != place)
		return;
	redis_items_append_all(items, &command->items);
	command->is_void = true;
}

void redis_batch_requeue(struct redis_writer *writer, struct redis_command *command)
{
	if (command->kind != REDIS_APPLY && command->kind != REDIS_REFRESH)
		return;
	struct redis_partition *partition = &writer->partitions[command->place];
	struct redis_items items = { 0 };
	if (command->is_void)
		return;
	take_back(command, command->kind, command->place, &items);
	for (struct redis_command *next = writer->first; next; next = next->next)
		take_back(next, command->kind, command->place, &items);
	if (command->kind == REDIS_REFRESH) {
		redis_items_prepend_all(&partition->refreshes, &items);
		return;
	}
	partition->unsure = (uint64_t)(partition->sent - partition->acked);
	partition->sent = partition->acked;
	redis_items_prepend_all(&partition->waiting, &items);
}

void redis_apply_reply(
	struct redis_writer *writer, struct redis_command *command, const redisReply *reply)
{
	struct redis_partition *partition = &writer->partitions[command->place];
	const char *word = redis_word(reply);
	if (command->is_void) {
		/* The one before it was not applied, so neither was this: a gap. */
		if (reply->type == REDIS_REPLY_ERROR)
			(void)redis_refused(writer, command, reply);
		return;
	}
	if (!strcmp(word, "OK") || !strcmp(word, "DUP")) {
		partition->acked += (int64_t)command->items.count;
		if (redis_number_at(reply, 2) > command->rev)
			redis_rev_seen(writer, redis_number_at(reply, 2));
		return;
	}
	if (!strcmp(word, "TYPE")) {
		if (redis_number_at(reply, 1) == 0) {
			redis_hold_type(writer, reply);
			redis_batch_requeue(writer, command);
		} else {
			redis_quarantine_put(writer, command, reply);
		}
		return;
	}
	redis_batch_requeue(writer, command);
	if (!redis_refused(writer, command, reply))
		redis_fail(writer, &redis_not_redis);
}

static const struct store_item *item_at(const struct redis_items *items, int64_t place)
{
	const struct store_item *item = items->first;
	while (item && place-- > 0)
		item = item->next;
	return item;
}

void redis_refresh_reply(
	struct redis_writer *writer, struct redis_command *command, const redisReply *reply)
{
	if (command->is_void)
		return;
	if (!strcmp(redis_word(reply), "OK")) {
		for (size_t i = 1; i < (size_t)reply->elements; i++) {
			const struct store_item *item = item_at(
				&command->items, redis_number_at(reply, i));
			/* No room at the broker: the next refresh will find it missing too. */
			if (item)
				(void)redis_assert(
					writer, item->effect.record.role, item->effect.record.id);
		}
		return;
	}
	redis_batch_requeue(writer, command);
	if (!strcmp(redis_word(reply), "TYPE"))
		redis_hold_type(writer, reply);
	else if (!redis_refused(writer, command, reply))
		redis_fail(writer, &redis_not_redis);
}
