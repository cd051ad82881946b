/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
/* The state file when all is well, and when the process is killed. */

#include "sqlite_rig.h"

#include <poll.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static void test_first_start(void **state)
{
	struct rig *rig = *state;
	struct stat about;
	rig_start(rig);
	assert_int_equal(rig_stats(rig).state, STORE_CONNECTING);
	rig_settle(rig);
	assert_true(rig->wait.until_ms == INT64_MAX);
	assert_int_equal(rig_stats(rig).state, STORE_READY);
	rig_assert_messages(rig, "rev 0");
	assert_int_equal(stat(rig->path, &about), 0);
	assert_int_equal(about.st_mode & 0777, 0600);
	rig_stop(rig);
	rig_start(rig);
	rig_settle(rig);
	rig_assert_messages(rig, "rev 0");
}

/* All is written, and the next boot reads it. */
static void restart(struct rig *rig)
{
	rig_stop(rig);
	rig_start(rig);
	rig_settle(rig);
}

static void test_whole_record(void **state)
{
	struct rig *rig = *state;
	struct presence_effect effect = a_store("full", "phone", 11);
	rig_start(rig);
	effect.record.status = PRESENCE_DND;
	effect.record.previous = PRESENCE_AWAY;
	effect.record.reason = PRESENCE_REASON_OVERRIDE;
	effect.record.source = PRESENCE_MANUAL;
	effect.record.devices = 3;
	effect.record.since_ms = 1763769600123;
	effect.record.last_seen_ms = 1763769600456;
	effect.record.note = "gr\xc3\xbc\xc3\x9f dich";
	effect.record.until_ms = 1763773200000;
	effect.device_last_seen_ms = 1763769600400;
	effect.device_note = "desk";
	put(rig->box, effect);
	put(rig->box, a_store("full", "laptop", 12)); /* the record as it is now */
	effect.record.rev = 13;
	effect.device = NULL;
	put(rig->box, effect); /* the record alone */
	restart(rig);
	rig_assert_messages(rig,
		"rev 13\n"
		"is agent/full dnd < away override manual 3 1763769600123 1763769600456 13"
		" gr\xc3\xbc\xc3\x9f dich 1763773200000\n"
		"had agent/full/laptop 2000\n"
		"had agent/full/phone 1763769600400 online desk\n");
}

static void put_gone(struct rig *rig)
{
	struct presence_effect effect = a_store("gone", "phone", 22);
	put(rig->box, a_store("gone", "phone", 20));
	put(rig->box, a_store("gone", "tablet", 21));
	effect.rank = PRESENCE_OFFLINE;
	put(rig->box, effect);
	effect = a_store("gone", "tablet", 23);
	effect.rank = effect.record.status = PRESENCE_OFFLINE;
	effect.record.reason = PRESENCE_REASON_KEEPALIVE;
	effect.record.previous = PRESENCE_ONLINE;
	effect.record.devices = 0;
	put(rig->box, effect);
}

/* Who is offline has a record and no device; who is forgotten has neither. */
static void test_round_trip(void **state)
{
	struct rig *rig = *state;
	struct presence_effect stranger = a_store("stranger", "stranger", 5);
	rig_start(rig);
	put(rig->box, a_store("here", "phone", 11));
	put_gone(rig);
	stranger.record.role = "client";
	put(rig->box, stranger);
	put(rig->box, a_store("forgotten", "phone", 98));
	put(rig->box, an_effect(PRESENCE_FORGOTTEN, "forgotten", 99));
	put(rig->box, an_effect(PRESENCE_RESYNCED, NULL, 0));
	restart(rig);
	rig_assert_messages(rig,
		"rev 99\n"
		"is agent/gone offline < online keepalive inferred 0 1000 2000 23 - 0\n"
		"is agent/here online < offline connect inferred 1 1000 2000 11 - 0\n"
		"had agent/here/phone 2000\n"
		"is client/stranger online < offline connect inferred 1 1000 2000 5 - 0 unmatched\n"
		"had client/stranger/stranger 2000\n");
	rig_kill(rig);
	assert_int_equal(ask_sql(rig->path, "SELECT count(*) FROM devices"), 2);
	assert_int_equal(ask_sql(rig->path, "SELECT count(*) FROM subjects"), 3);
	assert_int_equal(ask_sql(rig->path, "SELECT count(*) FROM meta WHERE node = 'b1'"), 1);
	int64_t retain_until_ms = ask_sql(
		rig->path, "SELECT retain_until FROM subjects WHERE id = 'gone'");
	assert_in_range(retain_until_ms - (int64_t)time(NULL) * 1000, 1, 61000);
}

#define NOTE                        \
	"Vorstellungsgespr\xc3\xa4" \
	"ch"

/* What was said of people as a whole outlives their connections, and comes before all records. */
static void test_overrides(void **state)
{
	struct rig *rig = *state;
	struct presence_effect effect = an_override("full", PRESENCE_OVERRIDE_DND, 30, 29);
	rig_start(rig);
	put(rig->box, a_store("before", NULL, 28));
	effect.record.status = PRESENCE_DND;
	effect.record.source = PRESENCE_MANUAL;
	effect.record.note = effect.override_note = NOTE;
	effect.record.until_ms = effect.override_until_ms = 7000000000000;
	put(rig->box, effect);
	effect = an_override("stranger", PRESENCE_OVERRIDE_AWAY, 40, 0);
	effect.record.role = "client";
	put(rig->box, effect);
	restart(rig);
	rig_assert_messages(rig,
		"rev 40\n"
		"said agent/full dnd " NOTE " 7000000000000 30\n"
		"said client/stranger away - 0 40 unmatched\n"
		"is agent/before online < offline connect inferred 1 1000 2000 28 - 0\n"
		"is agent/full dnd < offline connect manual 1 1000 2000 29 " NOTE
		" 7000000000000\n");
}

static void test_invisible(void **state)
{
	struct rig *rig = *state;
	struct presence_effect effect = a_store("hidden", "phone", 0);
	rig_start(rig);
	/* Before it was ever seen: nothing but that is known at the next start. */
	put(rig->box, an_override("hidden", PRESENCE_OVERRIDE_INVISIBLE, 31, 0));
	effect.record.status = PRESENCE_OFFLINE;
	put(rig->box, effect);
	/* After that: its device is remembered, and its record stays offline. */
	put(rig->box, a_store("hushed", "phone", 32));
	effect = an_override("hushed", PRESENCE_OVERRIDE_INVISIBLE, 34, 33);
	effect.record.status = PRESENCE_OFFLINE;
	effect.record.devices = 0;
	put(rig->box, effect);
	effect = a_store("hushed", "phone", 33);
	effect.record.status = PRESENCE_OFFLINE;
	effect.record.devices = 0;
	effect.rank = PRESENCE_DND;
	effect.device_note = "shh";
	put(rig->box, effect);
	restart(rig);
	rig_assert_messages(rig,
		"rev 34\n"
		"said agent/hidden invisible - 0 31\n"
		"said agent/hushed invisible - 0 34\n"
		"is agent/hushed offline < offline connect inferred 0 1000 2000 33 - 0\n"
		"had agent/hushed/phone 2000 dnd shh\n");
	rig_stop(rig);
	assert_int_equal(ask_sql(rig->path, "SELECT count(*) FROM devices"), 1);
}

/* The last word counts; and one that is over is told, for the core to end. */
static void test_overrides_end(void **state)
{
	struct rig *rig = *state;
	struct presence_effect over = an_override("over", PRESENCE_OVERRIDE_DND, 39, 0);
	rig_start(rig);
	put(rig->box, an_override("cleared", PRESENCE_OVERRIDE_AWAY, 35, 0));
	put(rig->box, an_override("cleared", PRESENCE_OVERRIDE_NONE, 36, 0));
	put(rig->box, an_override("changed", PRESENCE_OVERRIDE_AWAY, 37, 0));
	put(rig->box, an_override("changed", PRESENCE_OVERRIDE_ONLINE, 38, 0));
	over.override_until_ms = 1000;
	put(rig->box, over);
	/* Forgotten: its override is not. */
	put(rig->box, a_store("forgotten", NULL, 41));
	put(rig->box, an_override("forgotten", PRESENCE_OVERRIDE_DND, 42, 41));
	put(rig->box, an_effect(PRESENCE_FORGOTTEN, "forgotten", 41));
	restart(rig);
	rig_assert_messages(rig,
		"rev 42\n"
		"said agent/changed online - 0 38\n"
		"said agent/forgotten dnd - 0 42\n"
		"said agent/over dnd - 1000 39\n");
	put(rig->box, an_override("over", PRESENCE_OVERRIDE_NONE, 43, 0)); /* as the core does */
	rig_stop(rig);
	assert_int_equal(ask_sql(rig->path, "SELECT count(*) FROM overrides WHERE id = 'over'"), 0);
	assert_int_equal(ask_sql(rig->path, "SELECT count(*) FROM overrides"), 2);
}

/* Its rev alone must not be minted again. */
static void test_rev_of_override(void **state)
{
	struct rig *rig = *state;
	rig_start(rig);
	put(rig->box, an_override("a", PRESENCE_OVERRIDE_AWAY, 98, 0));
	put(rig->box, an_override("a", PRESENCE_OVERRIDE_NONE, 99, 0));
	restart(rig);
	rig_assert_messages(rig, "rev 99");
	put(rig->box, an_override("b", PRESENCE_OVERRIDE_AWAY, 150, 0));
	rig_stop(rig);
	run_sql(rig->path, "DELETE FROM meta");
	rig_start(rig);
	rig_settle(rig);
	rig_assert_messages(rig, "rev 150\nsaid agent/b away - 0 150");
}

static void put_overrides(struct rig *rig, int first, int count)
{
	for (int i = first; i < first + count; i++) {
		char id[16];
		(void)snprintf(id, sizeof(id), "u%05d", i);
		put(rig->box, an_override(id, PRESENCE_OVERRIDE_INVISIBLE, i + 1, 0));
	}
}

/* More overrides than messages have room: still none comes late. */
static void test_pages_of_overrides(void **state)
{
	struct rig *rig = *state;
	enum { SUBJECTS = 9001 };
	int overrides = 0, records = 0, pages = 0;
	rig->config.queue_max = SUBJECTS;
	rig_start(rig);
	put_overrides(rig, 0, SUBJECTS);
	put(rig->box, a_store("a", "d", 1));
	rig_stop(rig);
	rig_start(rig);
	for (; !records && pages < 100; pages++) {
		rig_step(rig);
		for (struct store_message *message = mailbox_take_message(rig->box); message;
			message = mailbox_take_message(rig->box)) {
			char id[16];
			records += message->event.type == PRESENCE_RESTORED;
			if (message->event.type == PRESENCE_RESTORED_OVERRIDE) {
				(void)snprintf(id, sizeof(id), "u%05d", overrides++);
				assert_string_equal(message->event.id, id);
				assert_int_equal(records, 0);
			}
			store_message_destroy(message);
		}
	}
	assert_int_equal(overrides, SUBJECTS);
	assert_int_equal(records, 1);
	assert_int_equal(pages, 3);
}

static void test_upgrade(void **state)
{
	struct rig *rig = *state;
	char expected[512];
	run_sql(rig->path, rig_format_1);
	rig_start(rig);
	rig_settle(rig);
	rig_assert_messages(rig, rig_from_format_1);
	assert_int_equal(rig_stats(rig).state, STORE_READY);
	put(rig->box, an_override("a", PRESENCE_OVERRIDE_AWAY, 76, 0));
	rig_stop(rig);
	assert_int_equal(ask_sql(rig->path, "PRAGMA user_version"), 2);
	assert_int_equal(ask_sql(rig->path, "SELECT format FROM meta"), 2);
	rig_start(rig);
	rig_settle(rig);
	(void)snprintf(expected, sizeof(expected), "rev 77\nsaid agent/a away - 0 76\n%s",
		strchr(rig_from_format_1, '\n') + 1);
	rig_assert_messages(rig, expected);
	rig_stop(rig);
	assert_int_equal(count_files(rig->folder, "presence.db.corrupt"), 0);
}

/* Whenever it is killed, the file is of one format or the other, and nothing is missing. */
static void test_killed_in_upgrade(void **state)
{
	struct rig *rig = *state;
	int upgraded = 0;
	for (int round = 0; round < 40; round++) {
		int status;
		char path[4096];
		run_sql(rig->path, rig_format_1);
		pid_t child = fork();
		assert_true(child >= 0);
		if (child == 0) {
			rig_start(rig);
			rig_settle(rig);
			_exit(0);
		}
		const struct timespec wait = { .tv_nsec = round * 400000L };
		(void)nanosleep(&wait, NULL);
		assert_int_equal(kill(child, SIGKILL), 0);
		assert_int_equal(waitpid(child, &status, 0), child);
		int64_t format = ask_sql(rig->path, "PRAGMA user_version");
		upgraded += format == 2;
		assert_int_equal(format, ask_sql(rig->path, "SELECT format FROM meta"));
		assert_int_equal(format - 1,
			ask_sql(rig->path,
				"SELECT count(*) FROM sqlite_schema"
				" WHERE name = 'overrides'"));
		rig_start(rig);
		rig_settle(rig);
		rig_assert_messages(rig, rig_from_format_1);
		rig_kill(rig);
		assert_int_equal(remove(rig->path), 0);
		(void)snprintf(path, sizeof(path), "%.4000s-wal", rig->path);
		(void)remove(path);
		(void)snprintf(path, sizeof(path), "%.4000s-shm", rig->path);
		(void)remove(path);
	}
	print_message("%d of 40 were upgraded when killed\n", upgraded);
}

static void test_refresh(void **state)
{
	struct rig *rig = *state;
	struct presence_effect newer = an_effect(PRESENCE_REFRESH, "a", 1);
	struct presence_effect older = an_effect(PRESENCE_REFRESH, "b", 2);
	newer.record.last_seen_ms = 3000;
	older.record.last_seen_ms = 1000;
	rig_start(rig);
	put(rig->box, a_store("a", NULL, 1));
	put(rig->box, a_store("b", NULL, 2));
	put(rig->box, newer);
	put(rig->box, older);
	put(rig->box, an_effect(PRESENCE_REFRESH, "unknown", 3));
	restart(rig);
	rig_assert_messages(rig,
		"rev 3\n"
		"is agent/a online < offline connect inferred 1 1000 3000 1 - 0\n"
		"is agent/b online < offline connect inferred 1 1000 2000 2 - 0\n");
}

/* A number once used is never used again, though its record is gone. */
static void test_rev_stays(void **state)
{
	struct rig *rig = *state;
	rig_start(rig);
	put(rig->box, an_effect(PRESENCE_FORGOTTEN, "a", 99));
	rig_settle(rig);
	put(rig->box, a_store("b", NULL, 5));
	restart(rig);
	rig_assert_messages(
		rig, "rev 99\nis agent/b online < offline connect inferred 1 1000 2000 5 - 0\n");
}

static void test_forget_then_back(void **state)
{
	struct rig *rig = *state;
	rig_start(rig);
	put(rig->box, a_store("a", "old", 1));
	put(rig->box, an_effect(PRESENCE_FORGOTTEN, "a", 2));
	put(rig->box, a_store("a", "new", 3));
	restart(rig);
	rig_assert_messages(rig,
		"rev 3\n"
		"is agent/a online < offline connect inferred 1 1000 2000 3 - 0\n"
		"had agent/a/new 2000\n");
}

static void put_many(struct rig *rig, int first, int count)
{
	for (int i = first; i < first + count; i++) {
		char id[16];
		(void)snprintf(id, sizeof(id), "u%05d", i);
		put(rig->box, a_store(id, "d", i + 1));
	}
}

static void test_batches(void **state)
{
	struct rig *rig = *state;
	rig_start(rig);
	rig_settle(rig);
	put_many(rig, 0, 600);
	rig_step(rig);
	assert_true(rig->wait.until_ms <= rig->now_ms); /* more waits */
	assert_int_equal(rig_stats(rig).queue, 600 - 256);
	rig_step(rig);
	rig_step(rig);
	rig_step(rig);
	assert_true(store_sqlite_ops.idle(rig->self));
	assert_true(rig->wait.until_ms == INT64_MAX);
	rig_kill(rig); /* all of it is in the file, though nobody said goodbye */
	assert_int_equal(ask_sql(rig->path, "SELECT count(*) FROM subjects"), 600);
}

/* What is put at about the same time is written together, without waking for each. */
static void test_gathers(void **state)
{
	struct rig *rig = *state;
	struct presence_effect effect = a_store("a", "d", 1);
	rig_start(rig);
	rig_settle(rig);
	assert_false(rig->wait.is_deaf);
	assert_int_equal(mailbox_put(rig->box, &effect, rig->now_ms), PRESENCE_OK);
	rig->now_ms += 10;
	effect.device = "e";
	assert_int_equal(mailbox_put(rig->box, &effect, rig->now_ms), PRESENCE_OK);
	rig_step(rig);
	assert_int_equal(rig_stats(rig).queue, 2);
	assert_true(rig->wait.is_deaf);
	assert_int_equal(rig->wait.until_ms, rig->now_ms + 40);
	rig->now_ms += 40;
	rig_step(rig);
	assert_int_equal(rig_stats(rig).queue, 0);
	rig_step(rig);
	assert_false(rig->wait.is_deaf);
	assert_true(rig->wait.until_ms == INT64_MAX);

	for (int i = 0; i < 256; i++) /* enough for a transaction */
		assert_int_equal(mailbox_put(rig->box, &effect, rig->now_ms), PRESENCE_OK);
	rig_step(rig);
	assert_int_equal(rig_stats(rig).queue, 0);
	assert_int_equal(mailbox_put(rig->box, &effect, rig->now_ms), PRESENCE_OK);
	mailbox_leave(rig->box); /* nothing else will come */
	rig_step(rig);
	assert_int_equal(rig_stats(rig).queue, 0);
}

/* A subject and its device, next after *seen; counts in devices. */
static int read_messages(struct rig *rig, int next, bool *had_device)
{
	for (struct store_message *message = mailbox_take_message(rig->box); message;
		message = mailbox_take_message(rig->box)) {
		const struct presence_event *event = &message->event;
		char id[16];
		if (event->type == PRESENCE_RESTORED) {
			(void)snprintf(id, sizeof(id), "u%05d", next++);
			assert_true(*had_device);
			assert_string_equal(event->record.id, id);
			*had_device = false;
		} else if (event->type == PRESENCE_RESTORED_DEVICE) {
			(void)snprintf(id, sizeof(id), "u%05d", next - 1);
			assert_false(*had_device);
			assert_string_equal(event->id, id);
			*had_device = true;
		}
		store_message_destroy(message);
	}
	return next;
}

static void test_pages(void **state)
{
	struct rig *rig = *state;
	enum { SUBJECTS = 10001 }; /* two messages each: five times the box */
	bool had_device = true;
	int next = 0, pages = 0;
	rig->config.queue_max = SUBJECTS;
	rig_start(rig);
	put_many(rig, 0, SUBJECTS);
	rig_stop(rig);
	rig_start(rig);
	put(rig->box, an_effect(PRESENCE_FORGOTTEN, "u00000", SUBJECTS + 5));
	put(rig->box, an_effect(PRESENCE_FORGOTTEN, "u10000", SUBJECTS + 5));
	for (; next < SUBJECTS && pages < 100; pages++) {
		rig_step(rig);
		if (pages < 4) { /* it is not read through: nothing may be written */
			assert_int_equal(rig_stats(rig).queue, 2);
			assert_int_equal(rig->wait.until_ms, rig->now_ms + 1000);
			assert_int_equal(rig_stats(rig).state, STORE_CONNECTING);
			assert_false(store_sqlite_ops.idle(rig->self));
		}
		next = read_messages(rig, next, &had_device);
		assert_true(pages == 4 || is_readable(mailbox_fd(rig->box)));
	}
	assert_int_equal(next, SUBJECTS);
	assert_true(had_device);
	assert_int_equal(pages, 5);
	rig_stop(rig);
	assert_int_equal(ask_sql(rig->path, "SELECT count(*) FROM subjects"), SUBJECTS - 2);
}

static void test_leaving_while_reading(void **state)
{
	struct rig *rig = *state;
	enum { SUBJECTS = 5000 };
	rig->config.queue_max = SUBJECTS;
	rig_start(rig);
	put_many(rig, 0, SUBJECTS);
	rig_stop(rig);
	rig_start(rig);
	rig_step(rig);
	put(rig->box, a_store("new", "d", 9999));
	rig_stop(rig); /* nobody reads the messages */
	assert_int_equal(ask_sql(rig->path, "SELECT count(*) FROM subjects"), SUBJECTS + 1);
	assert_int_equal(ask_sql(rig->path, "SELECT count(*) FROM devices"), SUBJECTS + 1);
}

static void test_foreign_rows(void **state)
{
	struct rig *rig = *state;
	static const char *const changes[] = {
		"UPDATE subjects SET id = 'tab' || char(9) WHERE id = 'b'",
		"UPDATE subjects SET status = 'asleep' WHERE id = 'c'",
		"UPDATE subjects SET role = '' WHERE id = 'd'",
		"UPDATE subjects SET id = id || printf('%0128d', 7) WHERE id = 'e'",
		"UPDATE subjects SET rev = 9007199254740992 WHERE id = 'f'",
		"UPDATE subjects SET since = -1 WHERE id = 'g'",
		"UPDATE subjects SET id = CAST(x'ff41' AS TEXT) WHERE id = 'h'",
		"UPDATE subjects SET reason = 'mood', note = NULL WHERE id = 'i'",
		"UPDATE subjects SET devices = 4294967296 WHERE id = 'j'",
		"UPDATE devices SET device = char(10) WHERE id = 'k'",
		"UPDATE subjects SET note = printf('%0129d', 7) WHERE id = 'l'",
		"UPDATE devices SET rank = 4 WHERE id = 'n'",
		"UPDATE devices SET note = char(10) WHERE id = 'o'",
		"UPDATE overrides SET override = 'none' WHERE id = 'p'",
		"UPDATE overrides SET override = 'busy' WHERE id = 'q'",
		"UPDATE overrides SET id = '' WHERE id = 'r'",
		"UPDATE overrides SET until = -1 WHERE id = 's'",
		"UPDATE overrides SET note = printf('%0129d', 7) WHERE id = 't'",
		"UPDATE overrides SET rev = -1 WHERE id = 'u'",
	};
	rig_start(rig);
	for (char id[] = "a"; *id <= 'o'; ++*id)
		put(rig->box, a_store(id, "d", 1));
	for (char id[] = "p"; *id <= 'v'; ++*id)
		put(rig->box, an_override(id, PRESENCE_OVERRIDE_DND, 2, 0));
	rig_stop(rig);
	for (size_t i = 0; i < sizeof(changes) / sizeof(*changes); i++)
		run_sql(rig->path, changes[i]);
	rig_start(rig);
	rig_settle(rig);
	rig_assert_messages(rig,
		"rev *\n"
		"said agent/v dnd - 0 2\n"
		"is agent/a online *\n"
		"had agent/a/d 2000\n"
		"is agent/k online *\n"
		"is agent/m online *\n"
		"had agent/m/d 2000\n"
		"is agent/n online *\n"
		"is agent/o online *\n"
		"warning state file *\n");
}

/* With the thread, as the plugin uses it. */
static void test_threaded(void **state)
{
	struct rig *rig = *state;
	struct store *store = store_create(&store_sqlite_ops, &rig->config);
	int subjects = 0;
	assert_non_null(store);
	for (int i = 0; i < 500; i++) {
		char id[16];
		(void)snprintf(id, sizeof(id), "u%05d", i);
		struct presence_effect effect = a_store(id, "d", i + 1);
		struct store_stats stats;
		store_put(store, &effect, now_ms());
		store_get_stats(store, now_ms(), &stats);
		assert_true(stats.queue <= 500);
	}
	assert_true(store_destroy(store, WAIT_MAX_MS));
	store = store_create(&store_sqlite_ops, &rig->config);
	for (int64_t until_ms = now_ms() + WAIT_MAX_MS; subjects < 500 && now_ms() < until_ms;) {
		struct store_message *message = store_take_message(store);
		if (!message)
			continue;
		subjects += message->event.type == PRESENCE_RESTORED;
		store_message_destroy(message);
	}
	assert_int_equal(subjects, 500);
	assert_true(store_destroy(store, WAIT_MAX_MS));
}

enum { CRASH_BATCH = 10, CRASH_BATCHES_MAX = 20000 };

/* Starts and reads it all; returns how many subjects there are, u00000 and on. */
static int start_and_read(struct rig *rig)
{
	bool had_device = true;
	int next = 0;
	rig_start(rig);
	for (int i = 0; i < 1000 && !store_sqlite_ops.idle(rig->self); i++) {
		rig_step(rig);
		next = read_messages(rig, next, &had_device);
	}
	assert_true(store_sqlite_ops.idle(rig->self));
	assert_true(had_device);
	return next;
}

/* In a child: writes batch after batch, and says so after each. */
static void write_until_killed(struct rig *rig, int report_fd)
{
	int next = start_and_read(rig);
	for (int i = 0; i < CRASH_BATCHES_MAX; i++) {
		put_many(rig, next, CRASH_BATCH);
		rig_settle(rig);
		next += CRASH_BATCH;
		if (write(report_fd, &next, sizeof(next)) != sizeof(next))
			break;
	}
	_exit(1);
}

/* Lets the child report some batches, and kills it in the middle of another. */
static int write_and_kill(struct rig *rig, int batches)
{
	int fds[2], written = 0, status, report;
	assert_int_equal(pipe(fds), 0);
	pid_t child = fork();
	assert_true(child >= 0);
	if (child == 0) {
		(void)close(fds[0]);
		(void)alarm(WAIT_MAX_MS / 1000);
		write_until_killed(rig, fds[1]);
	}
	assert_int_equal(close(fds[1]), 0);
	for (int i = 0; i < batches; i++) {
		assert_int_equal(read(fds[0], &report, sizeof(report)), sizeof(report));
		written = report;
	}
	assert_int_equal(kill(child, SIGKILL), 0);
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
	while (read(fds[0], &report, sizeof(report)) == sizeof(report))
		written = report;
	assert_int_equal(close(fds[0]), 0);
	return written;
}

static void test_killed(void **state)
{
	struct rig *rig = *state;
	for (int round = 0; round < 12; round++) {
		int reported = write_and_kill(rig, 3 + round * 17 % 40);
		int found = start_and_read(rig);
		/* All that was reported, and beyond it at most one whole batch. */
		assert_true(found == reported || found == reported + CRASH_BATCH);
		rig_kill(rig);
		assert_int_equal(count_files(rig->folder, "presence.db.corrupt"), 0);
	}
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, rig_set_up, rig_tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_first_start),
		TEST(test_whole_record),
		TEST(test_round_trip),
		TEST(test_overrides),
		TEST(test_invisible),
		TEST(test_overrides_end),
		TEST(test_rev_of_override),
		TEST(test_pages_of_overrides),
		TEST(test_upgrade),
		TEST(test_killed_in_upgrade),
		TEST(test_refresh),
		TEST(test_rev_stays),
		TEST(test_forget_then_back),
		TEST(test_batches),
		TEST(test_gathers),
		TEST(test_pages),
		TEST(test_leaving_while_reading),
		TEST(test_foreign_rows),
		TEST(test_threaded),
		TEST(test_killed),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
