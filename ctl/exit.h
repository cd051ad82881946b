/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
#ifndef PRESENCE_CTL_EXIT_H
#define PRESENCE_CTL_EXIT_H

/* How presencectl ends; the words for --help and the manual are in exit.c. */

#include <stddef.h>

enum ctl_exit {
	CTL_OK = 0,
	CTL_REFUSED = 1,
	CTL_USAGE = 2,
	CTL_UNREACHABLE = 3,
	CTL_TROUBLE = 4,
};

struct ctl_exit_row {
	enum ctl_exit code;
	const char *text;
};

extern const struct ctl_exit_row ctl_exit_table[];
extern const size_t ctl_exit_count;

#endif
