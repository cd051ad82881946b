/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
#include <stdio.h>
#include <string.h>

#include "store/sqlite_file.h"
#include "wire/record.h"
#include "wire/topic.h"

enum column {
	ROLE,
	ID,
	STATUS,
	PREVIOUS,
	REASON,
	SOURCE,
	DEVICES,
	SINCE,
	LAST_SEEN,
	REV,
	NOTE,
	UNTIL,
	DEVICE,
	DEVICE_LAST_SEEN
};

static const int64_t rev_end = (int64_t)1 << 53; /* the first number that JSON readers may round */

/* In the order of both keys, so that the devices of a subject follow each other. */
static const char rows_sql[] =
	"SELECT s.role, s.id, s.status, s.previous, s.reason, s.source, s.devices, s.since,"
	" s.last_seen, s.rev, s.note, s.until, d.device, d.last_seen"
	" FROM subjects s LEFT JOIN devices d"
	" ON d.role = s.role AND d.id = s.id AND d.rank > 0"
	" ORDER BY s.role, s.id";

static const char rev_sql[] = "SELECT max(coalesce((SELECT rev FROM meta), 0),"
			      " coalesce((SELECT max(rev) FROM subjects), 0))";

/* "" for NULL and when out of memory: no rule below lets that pass. */
static const char *text_of(sqlite3_stmt *row, enum column column)
{
	const unsigned char *value = sqlite3_column_text(row, (int)column);
	return value ? (const char *)value : "";
}

static bool record_of(sqlite3_stmt *row, struct presence_record *record)
{
	int64_t devices = sqlite3_column_int64(row, DEVICES);
	*record = (struct presence_record){
		.role = text_of(row, ROLE),
		.id = text_of(row, ID),
		.devices = (uint32_t)devices,
		.since_ms = sqlite3_column_int64(row, SINCE),
		.last_seen_ms = sqlite3_column_int64(row, LAST_SEEN),
		.rev = sqlite3_column_int64(row, REV),
		.note = sqlite3_column_type(row, NOTE) == SQLITE_NULL ? NULL : text_of(row, NOTE),
		.until_ms = sqlite3_column_int64(row, UNTIL),
	};
	return topic_id_valid(record->role) && topic_id_valid(record->id) &&
		!presence_status_parse(text_of(row, STATUS), &record->status) &&
		!presence_status_parse(text_of(row, PREVIOUS), &record->previous) &&
		!presence_reason_parse(text_of(row, REASON), &record->reason) &&
		!presence_source_parse(text_of(row, SOURCE), &record->source) && devices >= 0 &&
		devices <= UINT32_MAX && record->since_ms >= 0 && record->last_seen_ms >= 0 &&
		record->rev >= 0 && record->rev < rev_end && record->until_ms >= 0 &&
		(!record->note || strlen(record->note) < PRESENCE_RECORD_MAX);
}

/* STATE_MORE: the box is full. */
static enum state_outcome post_rev(
	struct state_load *load, struct state_file *file, struct mailbox *box)
{
	struct presence_event event = { .type = PRESENCE_REV_SEEN };
	sqlite3_stmt *statement;
	enum state_outcome outcome = state_file_prepare(file, rev_sql, &statement);
	if (outcome)
		return outcome;
	int code = sqlite3_step(statement);
	if (code == SQLITE_ROW)
		event.rev = sqlite3_column_int64(statement, 0);
	else
		outcome = state_file_failed(file, code);
	(void)sqlite3_finalize(statement); /* repeats what step answered */
	if (outcome)
		return outcome;
	load->has_rev = !mailbox_post_event(box, &event);
	return load->has_rev ? STATE_OK : STATE_MORE;
}

/* False: the box is full. */
static bool post_record(struct state_load *load, struct mailbox *box)
{
	struct presence_event event = { .type = PRESENCE_RESTORED };
	load->is_skipped = !record_of(load->cursor, &event.record);
	if (load->is_skipped)
		return true;
	event.unmatched = !strcmp(event.record.role, "client");
	if (mailbox_post_event(box, &event))
		return false;
	(void)snprintf(load->role, sizeof(load->role), "%s", event.record.role); /* they are */
	(void)snprintf(load->id, sizeof(load->id), "%s", event.record.id);       /* valid: fit */
	return true;
}

static bool is_next_subject(const struct state_load *load)
{
	return strcmp(load->role, text_of(load->cursor, ROLE)) != 0 ||
		strcmp(load->id, text_of(load->cursor, ID)) != 0;
}

static bool post_row(struct state_load *load, struct mailbox *box)
{
	if (is_next_subject(load) && !post_record(load, box))
		return false;
	const struct presence_event event = {
		.type = PRESENCE_RESTORED_DEVICE,
		.role = load->role,
		.id = load->id,
		.device = text_of(load->cursor, DEVICE),
		.last_seen_ms = sqlite3_column_int64(load->cursor, DEVICE_LAST_SEEN),
	};
	if (sqlite3_column_type(load->cursor, DEVICE) == SQLITE_NULL)
		load->skipped += load->is_skipped;
	else if (load->is_skipped || !topic_id_valid(event.device))
		load->skipped++;
	else if (mailbox_post_event(box, &event))
		return false;
	load->has_row = false;
	return true;
}

static enum state_outcome post_rows(
	struct state_load *load, struct state_file *file, struct mailbox *box)
{
	for (;;) {
		if (!load->has_row) {
			int code = sqlite3_step(load->cursor);
			if (code == SQLITE_DONE)
				return STATE_OK;
			if (code != SQLITE_ROW)
				return state_file_failed(file, code);
			load->has_row = true;
		}
		if (!post_row(load, box))
			return STATE_MORE;
	}
}

enum state_outcome state_load_some(
	struct state_load *load, struct state_file *file, struct mailbox *box)
{
	enum state_outcome outcome = load->has_rev ? STATE_OK : post_rev(load, file, box);
	if (!outcome && !load->cursor)
		outcome = state_file_prepare(file, rows_sql, &load->cursor);
	if (!outcome)
		outcome = post_rows(load, file, box);
	if (outcome != STATE_MORE)
		state_load_finish(load);
	return outcome;
}

void state_load_finish(struct state_load *load)
{
	(void)sqlite3_finalize(load->cursor); /* repeats what step answered */
	*load = (struct state_load){ .skipped = load->skipped };
}
