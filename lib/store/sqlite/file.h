/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
#ifndef PRESENCE_STORE_SQLITE_FILE_H
#define PRESENCE_STORE_SQLITE_FILE_H

/* The state file: a SQLite database for one process, its format and its mishaps. */

#include <sqlite3.h>
#include <stdbool.h>
#include <stdint.h>

#include "store/ops.h"
#include "wire/topic.h"

#define STATE_FILE_FORMAT 2               /* PRAGMA user_version */
#define STATE_FILE_APPLICATION 1347572302 /* PRAGMA application_id, "PRSN" */
#define STATE_FILE_BUSY_MS 50             /* how long to wait for somebody else's lock */
#define STATE_FILE_PATH_MAX 4096
#define STATE_FILE_PROBLEM_MAX 256

enum state_outcome {
	STATE_OK,
	STATE_MORE,    /* so far; there is more to do */
	STATE_TROUBLE, /* the world's: try again later */
	STATE_DAMAGED, /* not a state file of this format, or no longer */
};

enum state_statement {
	STATE_BEGIN,
	STATE_COMMIT,
	STATE_PUT_SUBJECT,
	STATE_PUT_DEVICE,
	STATE_DROP_DEVICE,
	STATE_DROP_DEVICES,
	STATE_DROP_SUBJECT,
	STATE_PUT_OVERRIDE,
	STATE_DROP_OVERRIDE,
	STATE_SEEN,
	STATE_PUT_META,
	STATE_STATEMENTS
};

struct state_file {
	const char *path; /* borrowed */
	sqlite3 *db;      /* NULL: not open */
	sqlite3_stmt *statement[STATE_STATEMENTS];
	int64_t format; /* as found; 0: open had nothing to read */
	/* Of the last failure. */
	int code, system_error;
	char problem[STATE_FILE_PROBLEM_MAX];
};

/* Opens and checks; when it fails the file is closed and says why. */
enum state_outcome state_file_open(struct state_file *file);
/* Does nothing to a file that is not open. */
void state_file_close(struct state_file *file);
/* Renames a closed file and its log, so that they can be looked at. Writes the new name. */
enum state_outcome state_file_set_aside(struct state_file *file, char aside[STATE_FILE_PATH_MAX]);

/* Compiles for many uses. */
enum state_outcome state_file_prepare(
	struct state_file *file, const char *sql, sqlite3_stmt **statement);
/* Notes why and says what it means. code is SQLite's. */
enum state_outcome state_file_failed(struct state_file *file, int code);
/* What to do about the last failure. */
const char *state_file_advice(const struct state_file *file);

/* Writes items in one transaction: all of them, or none. */
enum state_outcome state_rows_write(
	struct state_file *file, const char *node, const struct store_item *items);

/* A read of the whole file in pieces, as events: the rev, all overrides, then all subjects. */
enum state_stage { STATE_LOAD_REV, STATE_LOAD_OVERRIDES, STATE_LOAD_SUBJECTS };
struct state_load {
	enum state_stage stage;
	sqlite3_stmt *cursor;
	bool has_row;                   /* cursor stands on a row that was not posted in full */
	char role[PRESENCE_ID_MAX + 1]; /* of the last subject that was */
	char id[PRESENCE_ID_MAX + 1];
	bool is_skipped;  /* the last subject does not qualify */
	uint64_t skipped; /* rows */
};

/* Posts into box what fits. STATE_MORE: it is full. After any other outcome load is finished. */
enum state_outcome state_load_some(
	struct state_load *load, struct state_file *file, struct mailbox *box);
void state_load_finish(struct state_load *load);

#endif
