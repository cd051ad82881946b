/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
#ifndef PRESENCE_CTL_FLAG_H
#define PRESENCE_CTL_FLAG_H

/* The options of the command line, one row each: parsing, --help, completion and the manual are
 * made from them. Which command takes which is said in subcommand.c. */

#include "ctl/settings.h"

enum flag_kind {
	FLAG_SWITCH,   /* bool, and no value */
	FLAG_TEXT,     /* const char * */
	FLAG_FILE,     /* const char *: a path */
	FLAG_NUMBER,   /* int64_t from min to max */
	FLAG_DURATION, /* int64_t: ms */
	FLAG_WORD,     /* int64_t: the place in words */
	FLAG_CHOICE,   /* const char *, one of words */
	FLAG_URL,      /* several fields at once */
};

struct flag {
	const char *name;
	char letter; /* or 0 */
	enum flag_kind kind;
	bool connection;   /* taken by every command that connects */
	size_t offset;     /* in struct settings */
	const char *value; /* what --help calls it */
	int64_t min, max;
	const char *const *words; /* ends with NULL */
	const char *prefix;       /* FLAG_WORD: what they all begin with and need not; or NULL */
	const char *text;
};

extern const struct flag flag_table[];
extern const size_t flag_count;

/* "-h", "--host"; NULL: there is none. */
const struct flag *flag_find(const char *word, size_t length);

/* Sets the field. value is NULL for a switch. False, and a problem that starts with the option's
 * name, when the value will not do. Value is borrowed: it must outlive settings. */
bool flag_set(const struct flag *flag, struct settings *settings, const char *value,
	char problem[SETTINGS_PROBLEM_MAX]);

/* The place of word in words, or -1. */
int64_t flag_word(const char *const *words, const char *word);

#endif
