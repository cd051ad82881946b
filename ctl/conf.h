/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
#ifndef PRESENCE_CTL_CONF_H
#define PRESENCE_CTL_CONF_H

/* A mosquitto.conf as the broker reads it: include_dir followed, lines in the order that counts. */

#include <stdbool.h>
#include <stddef.h>

struct conf_line {
	const char *file;
	size_t line;
	char *key;                         /* up to the first blank */
	const char *value;                 /* what follows, without blanks around it; empty: none */
	bool blanks_before, blanks_behind; /* there were some, besides the one that separates it */
};

/* What could not be read. */
struct conf_problem {
	const char *file;
	size_t line; /* of what names it; 0: the file itself */
	char text[256];
};

struct conf {
	struct conf_line *line;
	size_t count, room;
	char **file; /* names, in the order they were read */
	size_t file_count;
	struct conf_problem *problem;
	size_t problem_count;
	bool failed; /* out of memory */
};

#define CONF_FILE_MAX (1024 * 1024) /* bytes of a file */

void conf_read(struct conf *conf, const char *path);
void conf_finish(struct conf *conf);

/* The last line of this key, which is the one that counts for most options; NULL: none. */
const struct conf_line *conf_find(const struct conf *conf, const char *key);

/* Of words, true and false and numbers the broker reads the first and takes no notice of what
 * stands behind it. NULL is no word, and not true. */
bool conf_is(const struct conf_line *line, const char *word);
bool conf_is_true(const struct conf_line *line);
long long conf_number(const struct conf_line *line, long long otherwise);

/* The whole of a file, terminated, to be freed; NULL, and errno. */
char *conf_read_file(const char *path, size_t *length);

#endif
