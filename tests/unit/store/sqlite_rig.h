/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
#ifndef PRESENCE_TESTS_STORE_SQLITE_RIG_H
#define PRESENCE_TESTS_STORE_SQLITE_RIG_H

/* A SQLite store turned by hand, on a clock of its own, without a thread. */

#include "support.h"

struct rig {
	char *folder, path[4096];
	struct store_config config;
	struct mailbox *box;
	void *self;
	int64_t now_ms;
	struct store_wait wait; /* of the last step */
};

/* cmocka fixtures: *state is a struct rig, with a folder and nothing open. */
int rig_set_up(void **state);
int rig_tear_down(void **state);

/* A boot: a new box, a new store. */
void rig_start(struct rig *rig);
/* The end of one: all is written first, or (kill) not. */
void rig_stop(struct rig *rig);
void rig_kill(struct rig *rig);

void rig_step(struct rig *rig);
/* Steps until nothing waits. */
void rig_settle(struct rig *rig);
struct store_stats rig_stats(struct rig *rig);

/* Takes all messages, one line each, and compares. "rev 5", "is agent/a online < offline connect
 * inferred 1 1000 2000 7 note 0", "had agent/a/d 2000", with its status and note unless it is
 * online without one, "said agent/a dnd note 0 5", "say again 2", "error ..". The rest of an
 * expected line after "*" is not compared. */
void rig_assert_messages(struct rig *rig, const char *expected);

/* A file as the first version of the format wrote it, for run_sql(), and what is read from it. */
extern const char rig_format_1[], rig_from_format_1[];

void write_file(const char *path, const void *data, size_t size);
/* How many files in the folder have names that begin with begin. */
int count_files(const char *folder, const char *begin);
void run_sql(const char *path, const char *sql);
int64_t ask_sql(const char *path, const char *sql);

#endif
