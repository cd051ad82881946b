/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
#include "sqlite_rig.h"

#include <dirent.h>
#include <sqlite3.h>

const char rig_format_1[] =
	"CREATE TABLE meta (one INTEGER PRIMARY KEY CHECK (one = 1), format INTEGER NOT NULL,"
	" node TEXT NOT NULL, rev INTEGER NOT NULL);"
	"CREATE TABLE subjects (role TEXT, id TEXT, status TEXT NOT NULL, previous TEXT NOT NULL,"
	" reason TEXT NOT NULL, source TEXT NOT NULL, devices INTEGER NOT NULL,"
	" since INTEGER NOT NULL, last_seen INTEGER NOT NULL, rev INTEGER NOT NULL, note TEXT,"
	" until INTEGER NOT NULL, retain_until INTEGER NOT NULL,"
	" PRIMARY KEY (role, id)) WITHOUT ROWID;"
	"CREATE TABLE devices (role TEXT, id TEXT, device TEXT, rank INTEGER NOT NULL,"
	" rev INTEGER NOT NULL, last_seen INTEGER NOT NULL, note TEXT,"
	" PRIMARY KEY (role, id, device)) WITHOUT ROWID;"
	"INSERT INTO meta VALUES (1, 1, 'b1', 77);"
	"INSERT INTO subjects VALUES ('agent', 'a', 'dnd', 'online', 'app', 'app', 1, 1000, 2000, "
	"9,"
	" 'lunch', 0, 0), ('agent', 'b', 'offline', 'online', 'lost', 'inferred', 0, 1500, 2500,"
	" 10, NULL, 0, 9999999999999);"
	"INSERT INTO devices VALUES ('agent', 'a', 'd', 3, 9, 2000, 'lunch');"
	"PRAGMA application_id = 1347572302; PRAGMA user_version = 1; PRAGMA journal_mode = WAL";

const char rig_from_format_1[] = "rev 77\n"
				 "is agent/a dnd < online app app 1 1000 2000 9 lunch 0\n"
				 "had agent/a/d 2000 dnd lunch\n"
				 "is agent/b offline < online lost inferred 0 1500 2500 10 - 0\n";

int rig_set_up(void **state)
{
	struct rig *rig = calloc(1, sizeof(*rig));
	assert_non_null(rig);
	rig->folder = make_folder();
	(void)snprintf(rig->path, sizeof(rig->path), "%s/presence.db", rig->folder);
	rig->config = (struct store_config){
		.node = "b1",
		.queue_max = 1000,
		.state_file = rig->path,
	};
	rig->now_ms = 1000000;
	*state = rig;
	return 0;
}

int rig_tear_down(void **state)
{
	struct rig *rig = *state;
	if (rig->self)
		rig_kill(rig);
	remove_folder(rig->folder);
	free(rig);
	return 0;
}

void rig_start(struct rig *rig)
{
	rig->box = mailbox_create(rig->config.queue_max, MAILBOX_BEYOND_MIN);
	rig->self = store_sqlite_ops.create(&rig->config, rig->box);
	assert_non_null(rig->self);
}

void rig_kill(struct rig *rig)
{
	store_sqlite_ops.destroy(rig->self);
	mailbox_destroy(rig->box);
	rig->self = NULL;
}

void rig_stop(struct rig *rig)
{
	mailbox_leave(rig->box);
	rig_settle(rig);
	rig_kill(rig);
}

void rig_step(struct rig *rig)
{
	rig->wait = (struct store_wait){ .fd = -1, .until_ms = INT64_MAX };
	store_sqlite_ops.step(rig->self, rig->now_ms, &rig->wait);
	assert_int_equal(rig->wait.fd, -1);
}

void rig_settle(struct rig *rig)
{
	int steps = 0;
	do {
		assert_true(++steps < 10000);
		rig_step(rig);
	} while (!store_sqlite_ops.idle(rig->self));
}

struct store_stats rig_stats(struct rig *rig)
{
	struct store_stats stats = { 0 };
	uint64_t merged, lost;
	int64_t oldest_ms;
	mailbox_get_counts(rig->box, &stats.queue, &oldest_ms, &merged, &lost);
	assert_int_equal(lost, 0);
	store_sqlite_ops.stats(rig->self, rig->now_ms, &stats);
	return stats;
}

static void describe_record(char *line, size_t size, const struct presence_event *event)
{
	const struct presence_record *record = &event->record;
	(void)snprintf(line, size, "is %s/%s %s < %s %s %s %u %lld %lld %lld %s %lld%s",
		record->role, record->id, presence_status_name(record->status),
		presence_status_name(record->previous), presence_reason_name(record->reason),
		presence_source_name(record->source), record->devices, (long long)record->since_ms,
		(long long)record->last_seen_ms, (long long)record->rev,
		record->note ? record->note : "-", (long long)record->until_ms,
		event->unmatched ? " unmatched" : "");
}

static void describe_device(char *line, size_t size, const struct presence_event *event)
{
	bool is_plain = event->status == PRESENCE_ONLINE && !event->note;
	(void)snprintf(line, size, "had %s/%s/%s %lld%s%s%s%s", event->role, event->id,
		event->device, (long long)event->last_seen_ms, is_plain ? "" : " ",
		is_plain ? "" : presence_status_name(event->status), event->note ? " " : "",
		event->note ? event->note : "");
}

static void describe_event(char *line, size_t size, const struct presence_event *event)
{
	if (event->type == PRESENCE_REV_SEEN)
		(void)snprintf(line, size, "rev %lld", (long long)event->rev);
	else if (event->type == PRESENCE_RESTORED)
		describe_record(line, size, event);
	else if (event->type == PRESENCE_RESTORED_DEVICE)
		describe_device(line, size, event);
	else if (event->type == PRESENCE_RESTORED_OVERRIDE)
		(void)snprintf(line, size, "said %s/%s %s %s %lld %lld%s%s", event->role, event->id,
			presence_override_name(event->override), event->note ? event->note : "-",
			(long long)event->until_ms, (long long)event->rev,
			event->unmatched ? " unmatched" : "", event->own ? "" : " elsewhere");
	else if (event->type == PRESENCE_RESYNC)
		(void)snprintf(line, size, "say again %u", event->targets);
	else
		fail_msg("event %d", event->type);
}

static void describe(char *line, size_t size, const struct store_message *message)
{
	static const char *const levels[] = { "notice", "warning", "error" };
	if (message->type == STORE_MESSAGE_EVENT)
		describe_event(line, size, &message->event);
	else
		(void)snprintf(line, size, "%s %s", levels[message->level], message->text);
}

void rig_assert_messages(struct rig *rig, const char *expected)
{
	char line[4096];
	for (struct store_message *message = mailbox_take_message(rig->box); message;
		message = mailbox_take_message(rig->box)) {
		describe(line, sizeof(line), message);
		store_message_destroy(message);
		size_t length = strcspn(expected, "\n*");
		bool is_start = expected[length] == '*';
		if (strncmp(line, expected, length) != 0 || (!is_start && strlen(line) != length) ||
			!length)
			fail_msg("got: %s\nnot: %s", line, expected);
		expected += strcspn(expected, "\n");
		expected += *expected == '\n';
	}
	if (*expected)
		fail_msg("missing: %s", expected);
}

void write_file(const char *path, const void *data, size_t size)
{
	FILE *file = fopen(path, "wb");
	assert_non_null(file);
	assert_int_equal(fwrite(data, 1, size, file), size);
	assert_int_equal(fclose(file), 0);
}

int count_files(const char *folder, const char *begin)
{
	int count = 0;
	DIR *open_folder = opendir(folder);
	assert_non_null(open_folder);
	for (struct dirent *entry = readdir(open_folder); entry; entry = readdir(open_folder))
		count += !strncmp(entry->d_name, begin, strlen(begin));
	assert_int_equal(closedir(open_folder), 0);
	return count;
}

void run_sql(const char *path, const char *sql)
{
	sqlite3 *db;
	char *problem = NULL;
	assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
	if (sqlite3_exec(db, sql, NULL, NULL, &problem))
		fail_msg("%s", problem);
	assert_int_equal(sqlite3_close(db), SQLITE_OK);
}

int64_t ask_sql(const char *path, const char *sql)
{
	sqlite3 *db;
	sqlite3_stmt *statement;
	assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
	assert_int_equal(sqlite3_prepare_v2(db, sql, -1, &statement, NULL), SQLITE_OK);
	assert_int_equal(sqlite3_step(statement), SQLITE_ROW);
	int64_t answer = sqlite3_column_int64(statement, 0);
	assert_int_equal(sqlite3_finalize(statement), SQLITE_OK);
	assert_int_equal(sqlite3_close(db), SQLITE_OK);
	return answer;
}
