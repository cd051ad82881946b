/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
#include "store/sqlite/file.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { ASIDE_TRIES = 100 };

#define TEXT(token) #token
#define TEXT_OF(macro) TEXT(macro)

/* What makes a file of each format one of the next; 0 is an empty one. Words for status, reason,
 * source and override: their numbers are free to change. Times in ms since the epoch. */
static const char *const upgrades[STATE_FILE_FORMAT] = {
	"CREATE TABLE meta (one INTEGER PRIMARY KEY CHECK (one = 1), format INTEGER NOT NULL,"
	" node TEXT NOT NULL, rev INTEGER NOT NULL);"
	"CREATE TABLE subjects (role TEXT, id TEXT, status TEXT NOT NULL, previous TEXT NOT NULL,"
	" reason TEXT NOT NULL, source TEXT NOT NULL, devices INTEGER NOT NULL,"
	" since INTEGER NOT NULL, last_seen INTEGER NOT NULL, rev INTEGER NOT NULL, note TEXT,"
	" until INTEGER NOT NULL, retain_until INTEGER NOT NULL,"
	" PRIMARY KEY (role, id)) WITHOUT ROWID;"
	"CREATE TABLE devices (role TEXT, id TEXT, device TEXT, rank INTEGER NOT NULL,"
	" rev INTEGER NOT NULL, last_seen INTEGER NOT NULL, note TEXT,"
	" PRIMARY KEY (role, id, device)) WITHOUT ROWID",
	"CREATE TABLE overrides (role TEXT, id TEXT, override TEXT NOT NULL, note TEXT,"
	" until INTEGER NOT NULL, rev INTEGER NOT NULL, PRIMARY KEY (role, id)) WITHOUT ROWID",
};

static const char finish_upgrade[] = "UPDATE meta SET format = " TEXT_OF(
	STATE_FILE_FORMAT) ";"
			   "PRAGMA application_id = " TEXT_OF(
				   STATE_FILE_APPLICATION) ";"
							   "PRAGMA user_version = " TEXT_OF(
								   STATE_FILE_FORMAT) ";"
										      "COMMIT";

static const char *const statements[STATE_STATEMENTS] = {
	[STATE_BEGIN] = "BEGIN IMMEDIATE",
	[STATE_COMMIT] = "COMMIT",
	[STATE_PUT_SUBJECT] = "INSERT OR REPLACE INTO subjects"
			      " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
	[STATE_PUT_DEVICE] = "INSERT OR REPLACE INTO devices VALUES (?, ?, ?, ?, ?, ?, ?)",
	[STATE_DROP_DEVICE] = "DELETE FROM devices WHERE role = ? AND id = ? AND device = ?",
	[STATE_DROP_DEVICES] = "DELETE FROM devices WHERE role = ? AND id = ?",
	[STATE_DROP_SUBJECT] = "DELETE FROM subjects WHERE role = ? AND id = ?",
	[STATE_PUT_OVERRIDE] = "INSERT OR REPLACE INTO overrides VALUES (?, ?, ?, ?, ?, ?)",
	[STATE_DROP_OVERRIDE] = "DELETE FROM overrides WHERE role = ? AND id = ?",
	[STATE_SEEN] = "UPDATE subjects SET last_seen = max(last_seen, ?3)"
		       " WHERE role = ?1 AND id = ?2",
	[STATE_PUT_META] = "INSERT INTO meta VALUES (1, " TEXT_OF(
		STATE_FILE_FORMAT) ", ?, ?)"
				   " ON CONFLICT DO UPDATE SET node = excluded.node,"
				   " rev = max(rev, excluded.rev)",
};

enum state_outcome state_file_failed(struct state_file *file, int code)
{
	file->code = code & 0xff;
	file->system_error = file->db ? sqlite3_system_errno(file->db) : 0;
	const char *message = file->db ? sqlite3_errmsg(file->db) : sqlite3_errstr(code);
	bool says_more = file->system_error && file->code != SQLITE_BUSY;
	(void)snprintf(file->problem, sizeof(file->problem), "%s%s%s", message,
		says_more ? ", " : "", says_more ? strerror(file->system_error) : "");
	bool is_damaged = file->code == SQLITE_CORRUPT || file->code == SQLITE_NOTADB;
	return is_damaged ? STATE_DAMAGED : STATE_TROUBLE;
}

static enum state_outcome damaged(struct state_file *file, const char *problem)
{
	file->code = SQLITE_CORRUPT;
	file->system_error = 0;
	(void)snprintf(file->problem, sizeof(file->problem), "%s", problem);
	return STATE_DAMAGED;
}

static enum state_outcome not_usable(
	struct state_file *file, int code, int system_error, const char *problem)
{
	file->code = code;
	file->system_error = system_error;
	(void)snprintf(file->problem, sizeof(file->problem), "%s", problem);
	return STATE_TROUBLE;
}

const char *state_file_advice(const struct state_file *file)
{
	if (file->code == SQLITE_BUSY)
		return "another process has it open, perhaps a second broker: give each its own";
	if (file->code == SQLITE_FULL)
		return "make room on its disk";
	if (file->code == SQLITE_READONLY || file->code == SQLITE_PERM)
		return "let the broker's user write it and its folder";
	if (file->code == SQLITE_NOMEM)
		return "give the broker more memory";
	switch (file->system_error) {
	case ENOENT:
	case ENOTDIR:
		return "create its folder";
	case EISDIR:
		return "name a file, not a folder";
	case EACCES:
	case EPERM:
	case EROFS:
		return "let the broker's user write it and its folder";
	case ENOSPC:
	case EDQUOT:
	case EFBIG:
		return "make room on its disk";
	default:
		return "check its disk";
	}
}

enum state_outcome state_file_prepare(
	struct state_file *file, const char *sql, sqlite3_stmt **statement)
{
	int code = sqlite3_prepare_v3(
		file->db, sql, -1, SQLITE_PREPARE_PERSISTENT, statement, NULL);
	/* The words are ours, so a table is not. */
	if ((code & 0xff) == SQLITE_ERROR)
		return damaged(file, sqlite3_errmsg(file->db));
	return code ? state_file_failed(file, code) : STATE_OK;
}

static enum state_outcome run(struct state_file *file, const char *sql)
{
	int code = sqlite3_exec(file->db, sql, NULL, NULL, NULL);
	return code ? state_file_failed(file, code) : STATE_OK;
}

/* The first column of the first row; *text (may be NULL) is cut to size. */
static enum state_outcome ask(
	struct state_file *file, const char *sql, int64_t *number, char *text, size_t size)
{
	sqlite3_stmt *statement;
	enum state_outcome outcome = state_file_prepare(file, sql, &statement);
	if (outcome)
		return outcome;
	int code = sqlite3_step(statement);
	if (code != SQLITE_ROW) {
		outcome = state_file_failed(file, code);
	} else if (text) {
		const unsigned char *answer = sqlite3_column_text(statement, 0);
		(void)snprintf(text, size, "%s", answer ? (const char *)answer : "");
	} else {
		*number = sqlite3_column_int64(statement, 0);
	}
	(void)sqlite3_finalize(statement); /* repeats what step answered */
	return outcome;
}

/* Before anything is written: a database of somebody else must stay as it is. */
static enum state_outcome check_format(struct state_file *file)
{
	int64_t application, tables;
	enum state_outcome outcome = ask(file, "PRAGMA user_version", &file->format, NULL, 0);
	if (!outcome)
		outcome = ask(file, "PRAGMA application_id", &application, NULL, 0);
	if (!outcome)
		outcome = ask(file, "SELECT count(*) FROM sqlite_schema", &tables, NULL, 0);
	if (outcome)
		return outcome;
	if (!file->format && !application && !tables)
		return STATE_OK;
	if (application != STATE_FILE_APPLICATION)
		return damaged(file, "a database of another program");
	if (file->format < 1 || file->format > STATE_FILE_FORMAT)
		return damaged(file, "written by another version of this plugin");
	char answer[STATE_FILE_PROBLEM_MAX];
	outcome = ask(file, "PRAGMA quick_check(1)", NULL, answer, sizeof(answer));
	if (!outcome && strcmp(answer, "ok") != 0)
		return damaged(file, answer);
	return outcome;
}

/* All of it or nothing: a file that cannot be upgraded stays what it is. */
static enum state_outcome upgrade(struct state_file *file)
{
	enum state_outcome outcome = run(file, "BEGIN IMMEDIATE");
	for (int64_t format = file->format; format < STATE_FILE_FORMAT && !outcome; format++)
		outcome = run(file, upgrades[format]);
	return outcome ? outcome : run(file, finish_upgrade);
}

static enum state_outcome prepare_all(struct state_file *file)
{
	enum state_outcome outcome = STATE_OK;
	for (int i = 0; i < STATE_STATEMENTS && !outcome; i++)
		outcome = state_file_prepare(file, statements[i], &file->statement[i]);
	return outcome;
}

static enum state_outcome open_and_check(struct state_file *file)
{
	const int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX;
	/* Who is online is nobody else's business. Only when it is not there yet: closing a file
	 * that SQLite has open would drop its locks. */
	int fd = open(file->path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (fd < 0 && errno != EEXIST)
		return not_usable(file, SQLITE_CANTOPEN, errno, strerror(errno));
	if (fd >= 0)
		(void)close(fd); /* nothing was written */
	int code = sqlite3_open_v2(file->path, &file->db, flags, NULL);
	if (!code)
		code = sqlite3_extended_result_codes(file->db, 1);
	if (!code)
		code = sqlite3_busy_timeout(file->db, STATE_FILE_BUSY_MS);
	if (code)
		return state_file_failed(file, code);
	if (sqlite3_db_readonly(file->db, "main") == 1)
		return not_usable(file, SQLITE_READONLY, 0, "it may only be read");

	/* One process only: the lock is kept from the first read on. */
	enum state_outcome outcome = run(file, "PRAGMA locking_mode = EXCLUSIVE");
	if (!outcome)
		outcome = check_format(file);
	if (!outcome)
		outcome = run(file, "PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL");
	if (!outcome && file->format < STATE_FILE_FORMAT)
		outcome = upgrade(file);
	if (!outcome)
		outcome = prepare_all(file);
	return outcome;
}

enum state_outcome state_file_open(struct state_file *file)
{
	enum state_outcome outcome = open_and_check(file);
	if (outcome)
		state_file_close(file);
	return outcome;
}

void state_file_close(struct state_file *file)
{
	for (int i = 0; i < STATE_STATEMENTS; i++) {
		(void)sqlite3_finalize(file->statement[i]); /* repeats what step answered */
		file->statement[i] = NULL;
	}
	/* What could not be moved from the log into the file stays in the log. */
	(void)sqlite3_close(file->db);
	file->db = NULL;
}

/* A name that nothing has yet. */
static int name_aside(const struct state_file *file, char aside[STATE_FILE_PATH_MAX])
{
	int64_t at = (int64_t)time(NULL);
	for (int i = 0; i < ASIDE_TRIES; i++) {
		int length = snprintf(
			aside, STATE_FILE_PATH_MAX, "%s.corrupt-%" PRId64, file->path, at + i);
		if (length < 0 || length >= STATE_FILE_PATH_MAX - (int)sizeof("-wal"))
			return ENAMETOOLONG;
		if (access(aside, F_OK) && errno == ENOENT)
			return 0;
	}
	return EEXIST;
}

static int rename_with(const char *from, const char *to, const char *suffix)
{
	char old[STATE_FILE_PATH_MAX + 8], new[STATE_FILE_PATH_MAX + 8];
	(void)snprintf(old, sizeof(old), "%s%s", from, suffix);
	(void)snprintf(new, sizeof(new), "%s%s", to, suffix);
	return rename(old, new) ? errno : 0;
}

enum state_outcome state_file_set_aside(struct state_file *file, char aside[STATE_FILE_PATH_MAX])
{
	int failed = name_aside(file, aside);
	if (!failed)
		failed = rename_with(file->path, aside, "");
	if (failed) {
		char problem[STATE_FILE_PROBLEM_MAX];
		(void)snprintf(problem, sizeof(problem), "%.120s; it cannot be renamed, %s",
			file->problem, strerror(failed));
		return not_usable(file, SQLITE_CANTOPEN, failed, problem);
	}
	/* There may be none. One that stays behind is of no use to a new file: SQLite drops it. */
	(void)rename_with(file->path, aside, "-wal");
	(void)rename_with(file->path, aside, "-shm");
	return STATE_OK;
}
