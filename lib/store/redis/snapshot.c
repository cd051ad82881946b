/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
#include <string.h>

#include "store/redis/state.h"
#include "wire/identity.h"
#include "wire/utf8.h"

/* Once in a boot: what earlier boots of this node had is handed to the broker, page by page, as
 * fast as it takes it. Interrupted, it begins again: to be told twice changes nothing. The
 * overrides of all partitions come first: who is invisible is not to be seen meanwhile. */

enum { PAGE = 64, HEAD = 3 };
enum { ROW_NAME, ROW_RECORD, ROW_DEVICES };
enum { ROW_OVERRIDE = 1, ROW_NOTE, ROW_UNTIL, ROW_REV, ROW_OWN };
enum { DEVICE_FIELD, DEVICE_LAST_SEEN, DEVICE_RANK, DEVICE_NOTE, DEVICE_FIELDS };
/* As snapshot_1.lua's RECORD. */
enum { STATUS, PREVIOUS, REASON, SOURCE, DEVICES, SINCE, LAST_SEEN, REV, NOTE, UNTIL };

void redis_page_reset(struct redis_page *page)
{
	if (page->reply)
		freeReplyObject(page->reply);
	*page = (struct redis_page){ .cursor = REDIS_CURSOR_BEGIN };
}

void redis_page_next(struct redis_page *page, uint32_t partitions)
{
	const struct redis_page before = *page;
	redis_page_reset(page);
	if (!strcmp(before.cursor, REDIS_CURSOR_SUBJECTS)) { /* these are all overrides */
		page->partition = before.partition + 1;
		if (page->partition < partitions)
			return;
		page->partition = 0;
	} else if (!strcmp(before.cursor, REDIS_CURSOR_END)) {
		page->partition = before.partition + 1;
	} else {
		page->partition = before.partition;
		memcpy(page->cursor, before.cursor, sizeof(page->cursor));
		return;
	}
	memcpy(page->cursor, REDIS_CURSOR_SUBJECTS, sizeof(REDIS_CURSOR_SUBJECTS));
}

static void ask(struct redis_writer *writer)
{
	struct redis_page *page = &writer->snapshot;
	struct redis_command *command = redis_script_begin(
		writer, REDIS_SNAPSHOT, REDIS_SCRIPT_SNAPSHOT, page->partition, 3);
	if (!command)
		return;
	redis_out_number(&writer->out, writer->partitions[page->partition].boot_epoch);
	redis_out_text(&writer->out, page->cursor);
	redis_out_number(&writer->out, PAGE);
	redis_command_end(writer, command);
	page->asked = true;
}

static const redisReply *child(const redisReply *reply, size_t place)
{
	if (reply->type != REDIS_REPLY_ARRAY || place >= (size_t)reply->elements)
		return NULL;
	return reply->element[place];
}

/* Redis may hold what others wrote. A note that nobody could have set is none, ... */
static const char *note_at(const redisReply *reply, size_t place)
{
	const char *note = redis_text_at(reply, place);
	size_t length = strlen(note);
	bool is_good = length && length <= PRESENCE_NOTE_MAX && utf8_printable(note, length);
	return is_good ? note : NULL;
}

/* ... and neither is a time or rev below zero. */
static int64_t positive_at(const redisReply *reply, size_t place)
{
	int64_t number = redis_number_at(reply, place);
	return number > 0 ? number : 0;
}

static void read_record(const redisReply *from, struct presence_record *record)
{
	/* Written by another version, a word may be unknown: not offline, for no known reason. */
	record->status = PRESENCE_ONLINE;
	(void)presence_status_parse(redis_text_at(from, STATUS), &record->status);
	(void)presence_status_parse(redis_text_at(from, PREVIOUS), &record->previous);
	(void)presence_reason_parse(redis_text_at(from, REASON), &record->reason);
	(void)presence_source_parse(redis_text_at(from, SOURCE), &record->source);
	record->devices = (uint32_t)positive_at(from, DEVICES);
	record->since_ms = positive_at(from, SINCE);
	record->last_seen_ms = positive_at(from, LAST_SEEN);
	record->rev = positive_at(from, REV);
	record->note = note_at(from, NOTE);
	record->until_ms = positive_at(from, UNTIL);
}

/* In these false means that the broker has no room now. */
static bool post_override(
	struct redis_writer *writer, const redisReply *row, const char *role, const char *id)
{
	struct presence_event event = {
		.type = PRESENCE_RESTORED_OVERRIDE,
		.role = role,
		.id = id,
		.note = note_at(row, ROW_NOTE),
		.until_ms = positive_at(row, ROW_UNTIL),
		.rev = positive_at(row, ROW_REV),
		.own = redis_number_at(row, ROW_OWN) == 1,
		.unmatched = identity_role_unmatched(role),
	};
	if (presence_override_parse(redis_text_at(row, ROW_OVERRIDE), &event.override))
		return true;
	return !mailbox_post_event(writer->box, &event);
}

static bool post_record(
	struct redis_writer *writer, const redisReply *record, const char *role, const char *id)
{
	struct presence_event event = { .type = PRESENCE_RESTORED };
	if (!record->elements) /* nothing is published of it */
		return true;
	read_record(record, &event.record);
	event.record.role = role;
	event.record.id = id;
	/* Redis does not hold whether a rule matched; this is the role of whom none did. */
	event.unmatched = identity_role_unmatched(role);
	return !mailbox_post_event(writer->box, &event);
}

static bool post_device(struct redis_writer *writer, const redisReply *devices, size_t at,
	const char *role, const char *id)
{
	char device[PRESENCE_ID_MAX + 1];
	const char *field = redis_text_at(devices, at + DEVICE_FIELD);
	int64_t rank = redis_number_at(devices, at + DEVICE_RANK);
	if (topic_decode(field, strlen(field), device, sizeof(device)) < 0)
		return true;
	const struct presence_event event = {
		.type = PRESENCE_RESTORED_DEVICE,
		.role = role,
		.id = id,
		.device = device,
		.last_seen_ms = positive_at(devices, at + DEVICE_LAST_SEEN),
		/* A rank of another version: not offline. */
		.status = rank > PRESENCE_OFFLINE && rank <= PRESENCE_DND
			? (enum presence_status)rank
			: PRESENCE_ONLINE,
		.note = note_at(devices, at + DEVICE_NOTE),
	};
	return !mailbox_post_event(writer->box, &event);
}

/* part 0 is the record, each later one a device. */
static bool post_row(struct redis_writer *writer, const redisReply *row)
{
	struct redis_page *page = &writer->snapshot;
	const redisReply *record = child(row, ROW_RECORD), *devices = child(row, ROW_DEVICES);
	char role[PRESENCE_ID_MAX + 1], id[PRESENCE_ID_MAX + 1];
	if (!record || !devices || redis_name_read(redis_text_at(row, ROW_NAME), role, id) < 0)
		return true;
	if (record->type == REDIS_REPLY_STRING)
		return post_override(writer, row, role, id);
	if (page->part == 0 && !post_record(writer, record, role, id))
		return false;
	if (page->part == 0)
		page->part = 1;
	for (; page->part * DEVICE_FIELDS <= (size_t)devices->elements; page->part++)
		if (!post_device(writer, devices, (page->part - 1) * DEVICE_FIELDS, role, id))
			return false;
	return true;
}

static void next_page(struct redis_writer *writer)
{
	struct redis_page *page = &writer->snapshot;
	redis_page_next(page, writer->config->partitions);
	writer->snapshot_done = page->partition == writer->config->partitions;
}

void redis_snapshot_step(struct redis_writer *writer)
{
	struct redis_page *page = &writer->snapshot;
	if (writer->snapshot_done || writer->close || writer->loading)
		return;
	for (; page->reply && page->row < (size_t)page->reply->elements; page->row++) {
		if (!post_row(writer, page->reply->element[page->row]))
			return;
		page->part = 0;
	}
	if (page->reply)
		next_page(writer);
	if (!writer->snapshot_done && !page->asked)
		ask(writer);
}

void redis_snapshot_reply(
	struct redis_writer *writer, const struct redis_command *command, redisReply *reply)
{
	struct redis_page *page = &writer->snapshot;
	page->asked = false;
	const char *cursor = redis_text_at(reply, 1);
	if (strcmp(redis_word(reply), "OK") != 0 || strlen(cursor) >= REDIS_CURSOR_MAX) {
		if (!strcmp(redis_word(reply), "TYPE"))
			redis_hold_type(writer, reply);
		else if (!redis_refused(writer, command, reply))
			redis_fail(writer, &redis_not_redis);
		freeReplyObject(reply);
		return;
	}
	memcpy(page->cursor, cursor, strlen(cursor) + 1);
	redis_rev_seen(writer, redis_number_at(reply, 2));
	page->reply = reply;
	page->row = HEAD;
	page->part = 0;
}
