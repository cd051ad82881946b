/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
#include <stdio.h>
#include <string.h>

#include "store/sqlite/file.h"
#include "wire/identity.h"
#include "wire/record.h"
#include "wire/topic.h"
#include "wire/utf8.h"

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
	DEVICE_LAST_SEEN,
	DEVICE_RANK,
	DEVICE_NOTE
};

static const int64_t rev_end = (int64_t)1 << 53; /* the first number that JSON readers may round */

/* In the order of both keys, so that the devices of a subject follow each other. */
static const char rows_sql[] =
	"SELECT s.role, s.id, s.status, s.previous, s.reason, s.source, s.devices, s.since,"
	" s.last_seen, s.rev, s.note, s.until, d.device, d.last_seen, d.rank, d.note"
	" FROM subjects s LEFT JOIN devices d"
	" ON d.role = s.role AND d.id = s.id AND d.rank > 0"
	" ORDER BY s.role, s.id";

static const char rev_sql[] = "SELECT max(coalesce((SELECT rev FROM meta), 0),"
			      " coalesce((SELECT max(rev) FROM subjects), 0),"
			      " coalesce((SELECT max(rev) FROM overrides), 0))";

enum override_column { OVERRIDE = ID + 1, OVERRIDE_NOTE, OVERRIDE_UNTIL, OVERRIDE_REV };

static const char overrides_sql[] =
	"SELECT role, id, override, note, until, rev FROM overrides ORDER BY role, id";

/* "" for NULL and when out of memory: no rule below lets that pass. */
static const char *text_of(sqlite3_stmt *row, int column)
{
	const unsigned char *value = sqlite3_column_text(row, column);
	return value ? (const char *)value : "";
}

static const char *note_of(sqlite3_stmt *row, int column)
{
	bool is_none = sqlite3_column_type(row, column) == SQLITE_NULL;
	return is_none ? NULL : text_of(row, column);
}

static bool is_note(const char *note)
{
	size_t length = note ? strlen(note) : 0;
	return length <= PRESENCE_NOTE_MAX && utf8_printable(note ? note : "", length);
}

static bool is_rev(int64_t rev)
{
	return rev >= 0 && rev < rev_end;
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
		.note = note_of(row, NOTE),
		.until_ms = sqlite3_column_int64(row, UNTIL),
	};
	return topic_id_valid(record->role) && topic_id_valid(record->id) &&
		!presence_status_parse(text_of(row, STATUS), &record->status) &&
		!presence_status_parse(text_of(row, PREVIOUS), &record->previous) &&
		!presence_reason_parse(text_of(row, REASON), &record->reason) &&
		!presence_source_parse(text_of(row, SOURCE), &record->source) && devices >= 0 &&
		devices <= UINT32_MAX && record->since_ms >= 0 && record->last_seen_ms >= 0 &&
		is_rev(record->rev) && record->until_ms >= 0 && is_note(record->note);
}

static bool device_of(
	const struct state_load *load, sqlite3_stmt *row, struct presence_event *event)
{
	int64_t rank = sqlite3_column_int64(row, DEVICE_RANK);
	*event = (struct presence_event){
		.type = PRESENCE_RESTORED_DEVICE,
		.role = load->role,
		.id = load->id,
		.device = text_of(row, DEVICE),
		.last_seen_ms = sqlite3_column_int64(row, DEVICE_LAST_SEEN),
		.status = (enum presence_status)rank,
		.note = note_of(row, DEVICE_NOTE),
	};
	return topic_id_valid(event->device) && rank > PRESENCE_OFFLINE && rank <= PRESENCE_DND &&
		is_note(event->note);
}

static bool override_of(sqlite3_stmt *row, struct presence_event *event)
{
	*event = (struct presence_event){
		.type = PRESENCE_RESTORED_OVERRIDE,
		.role = text_of(row, ROLE),
		.id = text_of(row, ID),
		.note = note_of(row, OVERRIDE_NOTE),
		.until_ms = sqlite3_column_int64(row, OVERRIDE_UNTIL),
		.rev = sqlite3_column_int64(row, OVERRIDE_REV),
		.own = true,
	};
	event->unmatched = identity_role_unmatched(event->role);
	return topic_id_valid(event->role) && topic_id_valid(event->id) &&
		!presence_override_parse(text_of(row, OVERRIDE), &event->override) &&
		event->override != PRESENCE_OVERRIDE_NONE && event->until_ms >= 0 &&
		is_rev(event->rev) && is_note(event->note);
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
	if (mailbox_post_event(box, &event))
		return STATE_MORE;
	load->stage = STATE_LOAD_OVERRIDES;
	return STATE_OK;
}

/* In these false means that the box is full. */
static bool post_record(struct state_load *load, struct mailbox *box)
{
	struct presence_event event = { .type = PRESENCE_RESTORED };
	load->is_skipped = !record_of(load->cursor, &event.record);
	if (load->is_skipped)
		return true;
	event.unmatched = identity_role_unmatched(event.record.role);
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
	struct presence_event event;
	if (sqlite3_column_type(load->cursor, DEVICE) == SQLITE_NULL)
		load->skipped += load->is_skipped;
	else if (load->is_skipped || !device_of(load, load->cursor, &event))
		load->skipped++;
	else if (mailbox_post_event(box, &event))
		return false;
	return true;
}

static bool post_override(struct state_load *load, struct mailbox *box)
{
	struct presence_event event;
	if (override_of(load->cursor, &event))
		return !mailbox_post_event(box, &event);
	load->skipped++;
	return true;
}

static enum state_outcome post_rows(struct state_load *load, struct state_file *file,
	struct mailbox *box, const char *sql, bool (*post)(struct state_load *, struct mailbox *))
{
	if (!load->cursor) {
		enum state_outcome outcome = state_file_prepare(file, sql, &load->cursor);
		if (outcome)
			return outcome;
	}
	for (;;) {
		if (!load->has_row) {
			int code = sqlite3_step(load->cursor);
			if (code == SQLITE_DONE)
				return STATE_OK;
			if (code != SQLITE_ROW)
				return state_file_failed(file, code);
			load->has_row = true;
		}
		if (!post(load, box))
			return STATE_MORE;
		load->has_row = false;
	}
}

/* Before any record, or who is invisible would be seen for a moment. */
static enum state_outcome post_overrides(
	struct state_load *load, struct state_file *file, struct mailbox *box)
{
	enum state_outcome outcome = post_rows(load, file, box, overrides_sql, post_override);
	if (outcome)
		return outcome;
	(void)sqlite3_finalize(load->cursor); /* repeats what step answered */
	load->cursor = NULL;
	load->stage = STATE_LOAD_SUBJECTS;
	return STATE_OK;
}

enum state_outcome state_load_some(
	struct state_load *load, struct state_file *file, struct mailbox *box)
{
	enum state_outcome outcome = STATE_OK;
	if (load->stage == STATE_LOAD_REV)
		outcome = post_rev(load, file, box);
	if (!outcome && load->stage == STATE_LOAD_OVERRIDES)
		outcome = post_overrides(load, file, box);
	if (!outcome)
		outcome = post_rows(load, file, box, rows_sql, post_row);
	if (outcome != STATE_MORE)
		state_load_finish(load);
	return outcome;
}

void state_load_finish(struct state_load *load)
{
	(void)sqlite3_finalize(load->cursor); /* repeats what step answered */
	*load = (struct state_load){ .skipped = load->skipped };
}
