/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
#ifndef PRESENCE_WIRE_OPTIONS_TABLE_H
#define PRESENCE_WIRE_OPTIONS_TABLE_H

/* Inside wire: the table of options, and what each kind of value can do. */

#include "wire/options.h"

#define OPTION_VALUE_MAX (OPTIONS_PATH_MAX - 1) /* bytes of a value */
#define OPTION_ITEMS_MAX 64                     /* of a list; also rules of identity */

enum option_kind {
	OPTION_NODE,     /* char *: a broker's name */
	OPTION_TOPIC,    /* char *: the start of topics */
	OPTION_PREFIX,   /* char *: the start of keys in Redis */
	OPTION_PATH,     /* char *: absolute, or none */
	OPTION_WORD,     /* an enum: the place in words */
	OPTION_BOOL,     /* bool */
	OPTION_DURATION, /* int64_t: ms */
	OPTION_COUNT32,  /* uint32_t */
	OPTION_COUNT64,  /* uint64_t */
	OPTION_LIST,     /* struct options_list */
	OPTION_IDENTITY, /* options->identity */
	OPTION_RATE,     /* options->command_rate and command_burst */
	OPTION_REDIS,    /* options->redis */
};

struct option {
	const char *key;
	enum option_kind kind;
	size_t offset;        /* of the field in struct options, for kinds that read it */
	const char *fallback; /* the default; several, on lines of their own, if repeatable */
	int64_t min, max;     /* of a number; of a list, the items */
	const char *const *words;
	bool repeatable;
	bool reloads;        /* may change while the broker runs */
	bool secret;         /* what is no path may be the password itself: it is not repeated */
	bool later;          /* checked, but nothing reads it yet */
	const char *section; /* starts here */
	const char *example; /* shown in the example in place of the default */
	bool active;         /* shown there without # */
	const char *text;    /* the first sentence says what it is */
};

extern const struct option options_table[];
extern const size_t options_table_count;

/* Parses value, not empty and trimmed, into its field, which has been cleared. PRESENCE_ENOMEM, or
 * PRESENCE_EINVAL and a problem that starts after the option's name. */
int option_set(const struct option *option, struct options *options, const char *value,
	char problem[OPTIONS_PROBLEM_MAX]);
/* Frees what the field holds. */
void option_clear(const struct option *option, struct options *options);
/* Writes the value; each but the first of several on a new line with the key before it. */
void option_print(
	const struct option *option, const struct options *options, bool secrets, FILE *out);
/* What a value looks like, for the reference: "a duration from 0 to 1h". */
void option_describe(const struct option *option, FILE *out);

/* The option of this name; NULL: there is none, and *hint is the key it was probably meant to be,
 * or NULL. */
const struct option *option_find(const char *key, const char **hint);

#endif
