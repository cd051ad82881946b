/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
#ifndef PRESENCE_CTL_ARGUMENTS_H
#define PRESENCE_CTL_ARGUMENTS_H

/* From argv and the options file to a command and its settings. */

#include "ctl/subcommand.h"

struct arguments {
	const struct subcommand *command; /* NULL: --help, or nothing at all was asked */
	const char *argument[SUBCOMMAND_ARGUMENTS_MAX];
	size_t count;
	struct settings settings;
};

/* Reads argv; options may stand before and after the command. Borrows argv. CTL_USAGE, and one
 * line in problem; arguments is to be finished in any case. */
enum ctl_exit arguments_read(struct arguments *arguments, int argc, char *const argv[],
	char problem[SETTINGS_PROBLEM_MAX]);
/* Reads the options file, which gives way to what argv says: so it is to be called first, and
 * once. path NULL: the default one, which need not exist. CTL_USAGE as above. */
enum ctl_exit arguments_read_file(
	struct settings *settings, const char *path, char problem[SETTINGS_PROBLEM_MAX]);
void arguments_finish(struct arguments *arguments);

#endif
