/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
#ifndef PRESENCE_CTL_BOARD_H
#define PRESENCE_CTL_BOARD_H

/* What is known of each subject, in the order of their names. */

#include <stdbool.h>
#include <stddef.h>

#include "ctl/show.h"
#include "wire/record.h"

struct board_row {
	char *subject;
	struct presence_record record; /* its strings are in storage */
	struct record_storage *storage;
};

struct board {
	struct board_row *row;
	size_t count, room;
	size_t by_status[PRESENCE_DND + 1];
};

/* Takes storage. What is older than what is known is dropped. PRESENCE_ENOMEM, or 0. */
int board_take(
	struct board *board, const struct presence_record *record, struct record_storage *storage);
void board_remove(struct board *board, const char *subject);
void board_clear(struct board *board);

#endif
