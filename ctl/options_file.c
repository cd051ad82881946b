/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ctl/arguments.h"
#include "ctl/flag.h"

enum { PATH_BYTES = 1024 };

static const char blanks[] = " \t\r";

/* One line: an option, and its value if it has one. */
static bool read_line(struct settings *settings, char *line, char *problem)
{
	char *word = line + strspn(line, blanks);
	size_t length = strlen(word);
	while (length && strchr(blanks, word[length - 1]))
		word[--length] = '\0';
	if (!*word || *word == '#')
		return true;
	length = strcspn(word, blanks);
	char *value = word + length;
	if (*value)
		*value++ = '\0';
	value += strspn(value, blanks);
	const struct flag *flag = flag_find(word, length);
	const char *why = NULL;
	if (!flag || !flag->connection)
		why = flag ? "stands on the command line only" : "there is no such option";
	else if (!strcmp(flag->name, "options-file"))
		why = "stands on the command line only";
	else if (flag->kind == FLAG_SWITCH && *value)
		why = "it takes no value";
	else if (flag->kind != FLAG_SWITCH && !*value)
		why = "needs a value";
	if (!why)
		return flag_set(flag, settings, *value ? value : NULL, problem);
	(void)snprintf(problem, SETTINGS_PROBLEM_MAX, "%.64s: %s", word, why);
	return false;
}

static enum ctl_exit read_lines(
	struct settings *settings, const char *path, char *text, char *problem)
{
	char why[SETTINGS_PROBLEM_MAX];
	size_t number = 1;
	for (char *line = text; line; number++) {
		char *end = strchr(line, '\n');
		if (end)
			*end++ = '\0';
		if (!read_line(settings, line, why)) {
			(void)snprintf(problem, SETTINGS_PROBLEM_MAX, "%.255s:%zu: %.240s", path,
				number, why);
			return CTL_USAGE;
		}
		line = end;
	}
	return CTL_OK;
}

/* $XDG_CONFIG_HOME/presencectl or ~/.config/presencectl; empty: neither is known. */
static void default_path(char path[PATH_BYTES])
{
	const char *config = getenv("XDG_CONFIG_HOME"), *home = getenv("HOME");
	int length = 0;
	if (config && *config)
		length = snprintf(path, PATH_BYTES, "%s/presencectl", config);
	else if (home && *home)
		length = snprintf(path, PATH_BYTES, "%s/.config/presencectl", home);
	if (length <= 0 || length >= PATH_BYTES)
		*path = '\0';
}

enum ctl_exit arguments_read_file(
	struct settings *settings, const char *path, char problem[SETTINGS_PROBLEM_MAX])
{
	char found[PATH_BYTES];
	char *text = NULL;
	if (!path)
		default_path(found);
	const char *name = path ? path : found;
	FILE *file = *name ? fopen(name, "re") : NULL;
	if (!file) {
		if (!path && (!*name || errno == ENOENT || errno == ENOTDIR))
			return CTL_OK;
		(void)snprintf(problem, SETTINGS_PROBLEM_MAX, "%.255s: %s", name, strerror(errno));
		return CTL_USAGE;
	}
	/* Values are borrowed from the text. */
	char *buffer = malloc(SETTINGS_FILE_MAX + 1);
	size_t length = buffer ? fread(buffer, 1, SETTINGS_FILE_MAX + 1, file) : 0;
	bool failed = !buffer || ferror(file) || length > SETTINGS_FILE_MAX;
	(void)fclose(file);
	if (!failed)
		text = settings_keep(settings, buffer, length);
	free(buffer);
	if (!text) {
		(void)snprintf(problem, SETTINGS_PROBLEM_MAX, "%.255s: %s", name,
			length > SETTINGS_FILE_MAX ? "it is too long" : "it cannot be read");
		return CTL_USAGE;
	}
	return read_lines(settings, name, text, problem);
}
