/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
#ifndef PRESENCE_CTL_SHOW_H
#define PRESENCE_CTL_SHOW_H

/* Presence, in rows for people. */

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "core/presence.h"

#define SHOW_TIME_MAX 32

/* "12s", "3m 05s", "2h 14m", "5d 03h". */
const char *show_age(int64_t ms, char text[SHOW_TIME_MAX]);
/* "2025-11-22T03:04:35.123Z" */
const char *show_time(int64_t wall_ms, char text[SHOW_TIME_MAX]);

/* Writes text without what could act on a terminal, cut or padded to width columns; width 0: all
 * of it, no padding. */
void show_text(const char *text, size_t width, FILE *out);
size_t show_width(const char *text); /* in columns */

/* How wide the columns are that differ. */
struct show_layout {
	size_t subject, reason;
	size_t total; /* of the terminal; 0: no limit */
	bool colours;
};

/* Makes room for a row. */
void show_measure(struct show_layout *layout, const char *subject, const char *reason);
void show_head(const struct show_layout *layout, FILE *out);
/* Ends without a new line. */
void show_row(const struct show_layout *layout, const struct presence_record *record,
	const char *subject, int64_t wall_ms, FILE *out);

/* The line that tells of a change, for pipes, with its end. */
void show_change(const struct presence_record *record, int64_t wall_ms, FILE *out);

/* "role/id" */
#define SHOW_SUBJECT_MAX 260
const char *show_subject(const struct presence_record *record, char text[SHOW_SUBJECT_MAX]);

#endif
