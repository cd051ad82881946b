/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
/* The state file when the world is against it: damage, folders, rights, full disks, two brokers. */

#include "sqlite_rig.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

enum { ORDINARY_USER = 65534 };

static const char is_a[] = "is agent/a online < offline connect inferred 1 1000 2000 7 - 0\n"
			   "had agent/a/d 2000\n";

static void put_subjects(struct rig *rig, int from, int to)
{
	for (int i = from; i < to; i++) {
		char id[16];
		(void)snprintf(id, sizeof(id), "u%05d", i);
		put(rig->box, a_store(id, "d", i + 1));
	}
}

static void make_good(struct rig *rig, int subjects)
{
	rig_start(rig);
	put_subjects(rig, 0, subjects);
	rig_stop(rig);
}

/* It works: what is put now is there at the next start. */
static void assert_works(struct rig *rig)
{
	char expected[256];
	put(rig->box, a_store("a", "d", 7));
	rig_settle(rig);
	assert_int_equal(rig_stats(rig).state, STORE_READY);
	rig_stop(rig);
	rig_start(rig);
	rig_settle(rig);
	(void)snprintf(expected, sizeof(expected), "rev *\n%s", is_a);
	rig_assert_messages(rig, expected);
}

/* Starts on what lies there, which must be set aside with one line. */
static void assert_set_aside(struct rig *rig, const char *why)
{
	struct stat before, after;
	assert_int_equal(stat(rig->path, &before), 0);
	rig_start(rig);
	rig_step(rig);
	rig_step(rig);
	assert_int_equal(rig_stats(rig).state, STORE_READY);
	struct store_message *message = take_message(rig->box);
	assert_int_equal(message->type, STORE_MESSAGE_LOG); /* nothing of it was restored */
	assert_int_equal(message->level, STORE_ERROR);
	assert_non_null(strstr(message->text, rig->path));
	if (!strstr(message->text, why))
		fail_msg("got: %s\nnot: %s", message->text, why);
	char path[4096] = "";
	const char *aside = strstr(message->text, "kept as ");
	if (aside)
		(void)snprintf(path, sizeof(path), "%.*s", (int)strcspn(aside + 8, " "), aside + 8);
	assert_int_equal(strncmp(path, rig->path, strlen(rig->path)), 0);
	assert_int_equal(strncmp(path + strlen(rig->path), ".corrupt-", 9), 0);
	assert_int_equal(stat(path, &after), 0);
	assert_true(after.st_ino == before.st_ino && after.st_size == before.st_size);
	store_message_destroy(message);
	rig_assert_messages(rig, "rev 0\nsay again 2");
	assert_works(rig);
	assert_int_equal(count_files(rig->folder, "presence.db.corrupt-"), 1);
}

static void test_random_bytes(void **state)
{
	struct rig *rig = *state;
	unsigned char bytes[9000];
	srand(1);
	for (size_t i = 0; i < sizeof(bytes); i++)
		bytes[i] = (unsigned char)rand();
	write_file(rig->path, bytes, sizeof(bytes));
	assert_set_aside(rig, "file is not a database");
}

static void test_text_file(void **state)
{
	static const char text[] = "listener 1883\nallow_anonymous true\n";
	struct rig *rig = *state;
	write_file(rig->path, text, sizeof(text) - 1);
	assert_set_aside(rig, "file is not a database");
}

static void test_truncated_header(void **state)
{
	struct rig *rig = *state;
	make_good(rig, 10);
	assert_int_equal(truncate(rig->path, 50), 0);
	assert_set_aside(rig, "malformed");
}

static void test_truncated(void **state)
{
	struct rig *rig = *state;
	struct stat about;
	make_good(rig, 1000);
	assert_int_equal(stat(rig->path, &about), 0);
	assert_int_equal(truncate(rig->path, about.st_size / 2 / 4096 * 4096), 0);
	assert_set_aside(rig, "");
}

static void scribble(const char *path, off_t from, size_t size)
{
	char junk[4096];
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	assert_true(fd >= 0);
	memset(junk, 0xa5, sizeof(junk));
	for (size_t done = 0; done < size; done += sizeof(junk))
		assert_int_equal(pwrite(fd, junk, sizeof(junk), from + (off_t)done), sizeof(junk));
	assert_int_equal(close(fd), 0);
}

static void test_bad_page(void **state)
{
	struct rig *rig = *state;
	make_good(rig, 1000);
	scribble(rig->path, 5 * 4096, 4096);
	assert_set_aside(rig, "");
}

/* Whichever page is spoilt, nothing of such a file is taken for true. */
static void test_every_bad_page(void **state)
{
	struct rig *rig = *state;
	char *bytes = malloc(1 << 20);
	struct stat about;
	assert_non_null(bytes);
	make_good(rig, 1000);
	assert_int_equal(stat(rig->path, &about), 0);
	FILE *good = fopen(rig->path, "rb");
	assert_non_null(good);
	assert_int_equal(fread(bytes, 1, 1 << 20, good), about.st_size);
	assert_int_equal(fclose(good), 0);
	assert_in_range(about.st_size / 4096, 20, 200);
	for (off_t page = 0; page < about.st_size / 4096; page++) {
		write_file(rig->path, bytes, (size_t)about.st_size);
		scribble(rig->path, page * 4096, 4096);
		rig_start(rig);
		rig_step(rig);
		rig_settle(rig);
		rig_assert_messages(rig, "error *\nrev 0\nsay again 2");
		rig_kill(rig);
	}
	free(bytes);
}

static void test_newer_format(void **state)
{
	struct rig *rig = *state;
	make_good(rig, 1);
	run_sql(rig->path, "PRAGMA user_version = 99");
	assert_set_aside(rig, "written by another version of this plugin");
}

static void test_other_program(void **state)
{
	struct rig *rig = *state;
	run_sql(rig->path, "CREATE TABLE treasure (chest TEXT); PRAGMA user_version = 1");
	assert_set_aside(rig, "a database of another program");
}

static void test_missing_table(void **state)
{
	struct rig *rig = *state;
	make_good(rig, 1);
	run_sql(rig->path, "DROP TABLE devices");
	assert_set_aside(rig, "no such table");
}

static void test_missing_table_of_overrides(void **state)
{
	struct rig *rig = *state;
	make_good(rig, 1);
	run_sql(rig->path, "DROP TABLE overrides");
	assert_set_aside(rig, "no such table");
}

static void test_empty_file(void **state)
{
	struct rig *rig = *state;
	write_file(rig->path, "", 0);
	rig_start(rig);
	rig_settle(rig);
	rig_assert_messages(rig, "rev 0"); /* nothing was lost: nothing to say */
	assert_works(rig);
	assert_int_equal(count_files(rig->folder, "presence.db.corrupt-"), 0);
}

/* Fails at once, says so once, is tried again after 1, 2, 4 .. 60 s; what is put waits. */
static void assert_fails(struct rig *rig, const char *line)
{
	int64_t pauses_ms[] = { 1000, 2000, 4000, 8000, 16000, 32000, 60000, 60000 };
	char expected[8192];
	rig_start(rig);
	put(rig->box, a_store("a", "d", 7));
	for (size_t i = 0; i < sizeof(pauses_ms) / sizeof(*pauses_ms); i++) {
		rig_step(rig);
		assert_int_equal(rig->wait.until_ms - rig->now_ms, pauses_ms[i]);
		rig->now_ms = rig->wait.until_ms - 1;
		rig_step(rig); /* too early: nothing is tried */
		assert_int_equal(rig->wait.until_ms - rig->now_ms, 1);
		rig->now_ms++;
		assert_int_equal(rig_stats(rig).state, STORE_FAILED);
		assert_int_equal(rig_stats(rig).queue, 1);
	}
	(void)snprintf(expected, sizeof(expected), "error state file %s cannot be used: %s*",
		rig->path, line);
	rig_assert_messages(rig, expected);
	put(rig->box, a_store("b", "d", 8));
	rig_step(rig);
	assert_int_equal(rig_stats(rig).queue, 2);
	assert_false(store_sqlite_ops.idle(rig->self));
}

/* The cause is gone: what waited is written, one line says so, pauses are short again. */
static void assert_recovers(struct rig *rig)
{
	char expected[8192];
	rig->now_ms = rig->wait.until_ms;
	rig_settle(rig);
	(void)snprintf(expected, sizeof(expected), "rev 0\nnotice state file %s is written again\n",
		rig->path);
	rig_assert_messages(rig, expected);
	assert_int_equal(rig_stats(rig).state, STORE_READY);
	assert_int_equal(rig_stats(rig).queue, 0);
	rig_stop(rig);
	rig_start(rig);
	rig_settle(rig);
	(void)snprintf(
		expected, sizeof(expected), "rev 8\n%sis agent/b *\nhad agent/b/d 2000\n", is_a);
	rig_assert_messages(rig, expected);
}

static void test_folder(void **state)
{
	struct rig *rig = *state;
	assert_int_equal(mkdir(rig->path, 0700), 0);
	assert_fails(
		rig, "unable to open database file, Is a directory: name a file, not a folder. ");
	assert_int_equal(rmdir(rig->path), 0);
	assert_recovers(rig);
}

static void test_no_folder(void **state)
{
	struct rig *rig = *state;
	char folder[4096];
	(void)snprintf(folder, sizeof(folder), "%s/sub", rig->folder);
	(void)snprintf(rig->path, sizeof(rig->path), "%.4000s/presence.db", folder);
	assert_fails(rig, "No such file or directory: create its folder. ");
	assert_int_equal(mkdir(folder, 0700), 0);
	assert_recovers(rig);
}

/* There is no time for a long pause when the broker stops. */
static void test_leaving_in_trouble(void **state)
{
	struct rig *rig = *state;
	assert_int_equal(mkdir(rig->path, 0700), 0);
	assert_fails(
		rig, "unable to open database file, Is a directory: name a file, not a folder. ");
	mailbox_leave(rig->box);
	rig_step(rig);
	assert_int_equal(rig->wait.until_ms - rig->now_ms, 100);
	assert_int_equal(rmdir(rig->path), 0);
	rig->now_ms += 100;
	rig_settle(rig);
	assert_int_equal(rig_stats(rig).state, STORE_LEAVING);
	rig_kill(rig);
	assert_int_equal(ask_sql(rig->path, "SELECT count(*) FROM subjects"), 2);
}

static void test_file_as_folder(void **state)
{
	struct rig *rig = *state;
	char folder[4096];
	(void)snprintf(folder, sizeof(folder), "%s/sub", rig->folder);
	write_file(folder, "x", 1);
	(void)snprintf(rig->path, sizeof(rig->path), "%.4000s/presence.db", folder);
	assert_fails(rig, "Not a directory: create its folder. ");
}

static struct rig *rig_of_child;
static void (*check_of_child)(struct rig *rig);

static void test_in_child(void **state)
{
	(void)state;
	check_of_child(rig_of_child);
}

/* Runs check in a child, on its own copy of rig, as a test of its own: there a failed assertion
 * must not go on with ours. */
static void in_child(struct rig *rig, void (*check)(struct rig *rig), bool is_ordinary)
{
	int status;
	(void)fflush(NULL); /* lest the child writes it again */
	pid_t child = fork();
	assert_true(child >= 0);
	if (child == 0) {
		const struct CMUnitTest tests[] = { cmocka_unit_test(test_in_child) };
		rig_of_child = rig;
		check_of_child = check;
		if (is_ordinary && geteuid() == 0 && setuid(ORDINARY_USER))
			_exit(2);
		int failed = cmocka_run_group_tests(tests, NULL, NULL);
		(void)fflush(NULL);
		_exit(failed);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0);
}

static void check_read_only_folder(struct rig *rig)
{
	assert_fails(rig,
		"Permission denied: let the broker's user "
		"write it and its folder. ");
}

static void test_read_only_folder(void **state)
{
	struct rig *rig = *state;
	assert_int_equal(chmod(rig->folder, 0555), 0);
	in_child(rig, check_read_only_folder, true);
	assert_int_equal(chmod(rig->folder, 0755), 0);
}

static void check_read_only_file(struct rig *rig)
{
	assert_fails(rig, "it may only be read: let the broker's user write it and its folder. ");
}

static void test_read_only_file(void **state)
{
	struct rig *rig = *state;
	make_good(rig, 1);
	assert_int_equal(chmod(rig->path, 0444), 0);
	assert_int_equal(chmod(rig->folder, 0555), 0);
	in_child(rig, check_read_only_file, true);
	assert_int_equal(chmod(rig->folder, 0755), 0);
}

static void check_cannot_set_aside(struct rig *rig)
{
	assert_fails(rig,
		"file is not a database; it cannot be renamed, Permission denied: let the "
		"broker's user write it and its folder. ");
}

static void test_cannot_set_aside(void **state)
{
	struct rig *rig = *state;
	write_file(rig->path, "this is no database, whoever says so", 36);
	assert_int_equal(chmod(rig->path, 0666), 0);
	assert_int_equal(chmod(rig->folder, 0555), 0);
	in_child(rig, check_cannot_set_aside, true);
	assert_int_equal(chmod(rig->folder, 0755), 0);
	assert_int_equal(count_files(rig->folder, "presence.db.corrupt-"), 0);
}

static void check_second_opener(struct rig *rig)
{
	assert_fails(rig,
		"database is locked: another process has it open, perhaps a second broker: "
		"give each its own. ");
}

static void test_second_opener(void **state)
{
	struct rig *rig = *state;
	struct rig second = *rig;
	rig_start(rig);
	rig_settle(rig);
	check_second_opener(&second); /* in this process */
	rig_kill(&second);
	second = *rig;
	in_child(&second, check_second_opener, false);
	rig_assert_messages(rig, "rev 0");
	assert_works(rig); /* the first never noticed */

	second = *rig;
	check_second_opener(&second);
	rig_kill(rig);
	second.now_ms = second.wait.until_ms;
	rig_settle(&second); /* the first is gone: the second reads what it left, and writes */
	char expected[8192];
	(void)snprintf(expected, sizeof(expected),
		"rev 7\n%snotice state file %s is written again\n", is_a, rig->path);
	rig_assert_messages(&second, expected);
	rig_stop(&second);
}

static void limit_files(rlim_t bytes)
{
	struct rlimit limit;
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &limit), 0);
	limit.rlim_cur = bytes < limit.rlim_max ? bytes : limit.rlim_max;
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
}

/* A limit on the size of files stands for a full disk: it works everywhere, and as any user. */
static void test_disk_full(void **state)
{
	struct rig *rig = *state;
	enum { SUBJECTS = 3000, MORE = 1000 };
	char expected[8192];
	struct store_stats stats;
	rig->config.queue_max = 2 * SUBJECTS;
	assert_true(signal(SIGXFSZ, SIG_IGN) != SIG_ERR); /* the worker blocks all signals */
	rig_start(rig);
	put_subjects(rig, 0, 200);
	rig_settle(rig);
	rig_assert_messages(rig, "rev 0");
	limit_files(20000);
	put_subjects(rig, 200, SUBJECTS);
	rig_step(rig);
	assert_int_equal(rig_stats(rig).state, STORE_FAILED);
	uint64_t left = rig_stats(rig).queue;
	assert_int_equal(left, SUBJECTS - 200);
	for (int i = 0; i < 20; i++) {
		rig->now_ms = rig->wait.until_ms;
		rig_step(rig);
		stats = rig_stats(rig);
		assert_int_equal(stats.state, STORE_FAILED);
		assert_int_equal(stats.queue, left); /* no more is taken */
		assert_true(stats.lag_ms > 0);
	}
	assert_int_equal(rig->wait.until_ms - rig->now_ms, 60000);
	for (int i = 0; i < MORE; i++)
		put(rig->box, a_store("late", "d", SUBJECTS + i));
	(void)snprintf(
		expected, sizeof(expected), "error state file %s cannot be used: *", rig->path);
	rig_assert_messages(rig, expected);
	limit_files(RLIM_INFINITY);
	rig->now_ms = rig->wait.until_ms;
	rig_settle(rig);
	(void)snprintf(
		expected, sizeof(expected), "notice state file %s is written again\n", rig->path);
	rig_assert_messages(rig, expected);
	assert_int_equal(rig_stats(rig).queue, 0);
	rig_kill(rig);
	assert_int_equal(ask_sql(rig->path, "SELECT count(*) FROM subjects"), SUBJECTS + 1);
	assert_int_equal(ask_sql(rig->path, "SELECT count(*) FROM devices"), SUBJECTS + 1);
	assert_int_equal(ask_sql(rig->path, "SELECT rev FROM meta"), SUBJECTS + MORE - 1);
	assert_int_equal(count_files(rig->folder, "presence.db.corrupt-"), 0);
}

/* An older file that cannot be upgraded stays what it is, until it can be. */
static void test_upgrade_on_a_full_disk(void **state)
{
	struct rig *rig = *state;
	char expected[3 * 4096];
	run_sql(rig->path, rig_format_1);
	assert_true(signal(SIGXFSZ, SIG_IGN) != SIG_ERR);
	limit_files(1000);
	rig_start(rig);
	put(rig->box, an_override("a", PRESENCE_OVERRIDE_INVISIBLE, 78, 9));
	for (int i = 0; i < 5; i++) {
		rig_step(rig);
		rig->now_ms = rig->wait.until_ms;
		assert_int_equal(rig_stats(rig).state, STORE_FAILED);
	}
	limit_files(RLIM_INFINITY);
	assert_int_equal(ask_sql(rig->path, "PRAGMA user_version"), 1);
	rig_settle(rig);
	(void)snprintf(expected, sizeof(expected),
		"error state file %s cannot be used: *\n%snotice state file %s is written again\n",
		rig->path, rig_from_format_1, rig->path);
	rig_assert_messages(rig, expected);
	rig_stop(rig);
	assert_int_equal(ask_sql(rig->path, "PRAGMA user_version"), 2);
	assert_int_equal(ask_sql(rig->path, "SELECT count(*) FROM overrides"), 1);
	assert_int_equal(count_files(rig->folder, "presence.db.corrupt-"), 0);
}

/* Not even the first page finds room, and the broker stops: false, in time, and no more. */
static void test_full_at_the_end(void **state)
{
	struct rig *rig = *state;
	assert_true(signal(SIGXFSZ, SIG_IGN) != SIG_ERR);
	limit_files(1000);
	struct store *store = store_create(&store_sqlite_ops, &rig->config);
	struct presence_effect effect = a_store("a", "d", 1);
	assert_non_null(store);
	store_put(store, &effect, now_ms());
	int64_t before_ms = now_ms();
	assert_false(store_destroy(store, 600));
	assert_in_range(now_ms() - before_ms, 0, WAIT_MAX_MS / 2);
	limit_files(RLIM_INFINITY);
	assert_int_equal(count_files(rig->folder, "presence.db.corrupt-"), 0);
}

static void scribble_all(struct rig *rig)
{
	struct stat about;
	assert_int_equal(stat(rig->path, &about), 0);
	scribble(rig->path, 0, (size_t)about.st_size);
}

/* The disk spoils pages under a running store: begun anew, and filled again from memory. */
static void test_spoilt_while_running(void **state)
{
	struct rig *rig = *state;
	rig->config.queue_max = 40000;
	make_good(rig, 30000);
	rig_start(rig);
	mailbox_leave(rig->box); /* nobody reads messages: begin without having read it all */
	rig_settle(rig);
	in_child(rig, scribble_all, false); /* closing a file here would take its locks away */
	for (struct store_message *message = mailbox_take_message(rig->box); message;
		message = mailbox_take_message(rig->box))
		store_message_destroy(message);
	for (int i = 0; i < 30000; i += 100) {
		char id[16];
		(void)snprintf(id, sizeof(id), "u%05d", i);
		put(rig->box, a_store(id, "d", 40000 + i));
	}
	rig_settle(rig);
	rig_assert_messages(rig, "error state file *\nsay again 2");
	assert_int_equal(count_files(rig->folder, "presence.db.corrupt-"), 1);
	rig_kill(rig);
	assert_in_range(ask_sql(rig->path, "SELECT count(*) FROM subjects"), 1, 300);
	assert_int_equal(ask_sql(rig->path, "SELECT max(rev) FROM subjects"), 69900);
}

/* While it could not be used somebody removed it: the new one is filled again from memory. */
static void test_removed_in_trouble(void **state)
{
	struct rig *rig = *state;
	char expected[8192];
	assert_true(signal(SIGXFSZ, SIG_IGN) != SIG_ERR);
	rig_start(rig);
	put(rig->box, a_store("a", "d", 7));
	rig_settle(rig);
	rig_assert_messages(rig, "rev 0");
	limit_files(1);
	put(rig->box, a_store("b", "d", 8));
	rig_step(rig);
	limit_files(RLIM_INFINITY);
	assert_int_equal(rig_stats(rig).state, STORE_FAILED);
	assert_int_equal(unlink(rig->path), 0);
	rig->now_ms = rig->wait.until_ms;
	rig_settle(rig);
	(void)snprintf(expected, sizeof(expected), "error *\nnotice *\nsay again 2");
	rig_assert_messages(rig, expected);
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, rig_set_up, rig_tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_random_bytes),
		TEST(test_text_file),
		TEST(test_truncated_header),
		TEST(test_truncated),
		TEST(test_bad_page),
		TEST(test_every_bad_page),
		TEST(test_newer_format),
		TEST(test_other_program),
		TEST(test_missing_table),
		TEST(test_missing_table_of_overrides),
		TEST(test_empty_file),
		TEST(test_folder),
		TEST(test_no_folder),
		TEST(test_leaving_in_trouble),
		TEST(test_file_as_folder),
		TEST(test_read_only_folder),
		TEST(test_read_only_file),
		TEST(test_cannot_set_aside),
		TEST(test_second_opener),
		TEST(test_disk_full),
		TEST(test_upgrade_on_a_full_disk),
		TEST(test_full_at_the_end),
		TEST(test_spoilt_while_running),
		TEST(test_removed_in_trouble),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
