/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
#include <time.h>

#include "store/sqlite/file.h"

/* One use of a statement: values in their order, the first failure stays. */
struct use {
	sqlite3_stmt *statement;
	int column, code;
};

static struct use use_of(struct state_file *file, enum state_statement which)
{
	return (struct use){ .statement = file->statement[which] };
}

static void text(struct use *use, const char *value)
{
	/* Static: it is used before the item it lives in ends. NULL binds as NULL. */
	if (!use->code)
		use->code = sqlite3_bind_text(
			use->statement, ++use->column, value, -1, SQLITE_STATIC);
}

static void number(struct use *use, int64_t value)
{
	if (!use->code)
		use->code = sqlite3_bind_int64(use->statement, ++use->column, value);
}

static int run(struct use *use)
{
	int code = use->code ? use->code : sqlite3_step(use->statement);
	(void)sqlite3_reset(use->statement); /* repeats what step answered */
	return code == SQLITE_DONE ? SQLITE_OK : code;
}

static int64_t wall_ms(void)
{
	struct timespec now = { 0 };
	(void)clock_gettime(CLOCK_REALTIME, &now); /* the clock exists */
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static int put_subject(struct state_file *file, const struct presence_effect *effect)
{
	const struct presence_record *record = &effect->record;
	bool is_offline = record->status == PRESENCE_OFFLINE;
	struct use use = use_of(file, STATE_PUT_SUBJECT);
	text(&use, record->role);
	text(&use, record->id);
	text(&use, presence_status_name(record->status));
	text(&use, presence_status_name(record->previous));
	text(&use, presence_reason_name(record->reason));
	text(&use, presence_source_name(record->source));
	number(&use, record->devices);
	number(&use, record->since_ms);
	number(&use, record->last_seen_ms);
	number(&use, record->rev);
	text(&use, record->note);
	number(&use, record->until_ms);
	number(&use, is_offline ? wall_ms() + effect->retain_ms : 0);
	return run(&use);
}

static int put_device(struct state_file *file, const struct presence_effect *effect)
{
	bool is_down = effect->rank == PRESENCE_OFFLINE;
	struct use use = use_of(file, is_down ? STATE_DROP_DEVICE : STATE_PUT_DEVICE);
	text(&use, effect->record.role);
	text(&use, effect->record.id);
	text(&use, effect->device);
	if (!is_down) {
		number(&use, effect->rank);
		number(&use, effect->record.rev);
		number(&use, effect->device_last_seen_ms);
		text(&use, effect->device_note);
	}
	return run(&use);
}

static int put_override(struct state_file *file, const struct presence_effect *effect)
{
	bool is_cleared = effect->override == PRESENCE_OVERRIDE_NONE;
	struct use use = use_of(file, is_cleared ? STATE_DROP_OVERRIDE : STATE_PUT_OVERRIDE);
	text(&use, effect->record.role);
	text(&use, effect->record.id);
	if (!is_cleared) {
		text(&use, presence_override_name(effect->override));
		text(&use, effect->override_note);
		number(&use, effect->override_until_ms);
		number(&use, effect->override_rev);
	}
	return run(&use);
}

static int of_subject(
	struct state_file *file, enum state_statement which, const struct presence_record *record)
{
	struct use use = use_of(file, which);
	text(&use, record->role);
	text(&use, record->id);
	if (which == STATE_SEEN)
		number(&use, record->last_seen_ms);
	return run(&use);
}

static int write_item(struct state_file *file, const struct presence_effect *effect)
{
	int code = SQLITE_OK;
	/* What nobody may see must not be published at the next start; all there is to know of it
	 * then is its override. */
	bool is_published = effect->record.rev > 0;
	switch (effect->type) {
	case PRESENCE_STORE:
		if (is_published)
			code = put_subject(file, effect);
		if (!code && effect->device && (is_published || effect->rank == PRESENCE_OFFLINE))
			code = put_device(file, effect);
		break;
	case PRESENCE_STORE_OVERRIDE:
		if (is_published)
			code = put_subject(file, effect);
		if (!code)
			code = put_override(file, effect);
		break;
	case PRESENCE_REFRESH:
		code = of_subject(file, STATE_SEEN, &effect->record);
		break;
	case PRESENCE_FORGOTTEN:
		code = of_subject(file, STATE_DROP_DEVICES, &effect->record);
		if (!code)
			code = of_subject(file, STATE_DROP_SUBJECT, &effect->record);
		break;
	case PRESENCE_RESYNCED:
		/* Rows of what is no more cannot be left behind by a file that was begun anew; when
		 * memory ran out they can, and are judged like all others after the next start. */
	case PRESENCE_PUBLISH:
	case PRESENCE_DEVICE:
	case PRESENCE_ACTIVITY:
		break;
	}
	return code;
}

static int put_meta(struct state_file *file, const char *node, int64_t rev)
{
	struct use use = use_of(file, STATE_PUT_META);
	text(&use, node);
	number(&use, rev);
	return run(&use);
}

static int64_t higher(int64_t one, int64_t other)
{
	return one > other ? one : other;
}

enum state_outcome state_rows_write(
	struct state_file *file, const char *node, const struct store_item *items)
{
	struct use begin = use_of(file, STATE_BEGIN), commit = use_of(file, STATE_COMMIT);
	int64_t rev = 0;
	int code = run(&begin);
	for (const struct store_item *item = items; item && !code; item = item->next) {
		rev = higher(rev, item->effect.record.rev);
		rev = higher(rev, item->effect.override_rev);
		code = write_item(file, &item->effect);
	}
	if (!code)
		code = put_meta(file, node, rev);
	if (!code)
		code = run(&commit);
	if (!code)
		return STATE_OK;
	enum state_outcome outcome = state_file_failed(file, code);
	/* SQLite may have rolled back by itself; the caller closes the file anyway. */
	(void)sqlite3_exec(file->db, "ROLLBACK", NULL, NULL, NULL);
	return outcome;
}
