/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
#ifndef PRESENCE_CTL_SUBCOMMAND_H
#define PRESENCE_CTL_SUBCOMMAND_H

/* What presencectl can do, one row each: running, --help, completion and the manual follow. */

#include <stdbool.h>
#include <stddef.h>

#include "ctl/exit.h"
#include "ctl/settings.h"

/* What an argument is, for completion. */
enum subcommand_argument {
	ARGUMENT_OTHER,
	ARGUMENT_FILE,
	ARGUMENT_STATUS,
	ARGUMENT_OVERRIDE,
	ARGUMENT_SHELL
};

#define SUBCOMMAND_ARGUMENTS_MAX 256

struct subcommand_call {
	const struct settings *settings;
	const char *const *arguments;
	size_t count;
};

struct subcommand {
	const char *name;
	const char *arguments; /* as --help shows them */
	size_t min, max;       /* of arguments */
	enum subcommand_argument kinds[2];
	bool connects;     /* takes the options of a connection */
	const char *flags; /* the names of others, with blanks between them */
	const char *summary, *text;
	enum ctl_exit (*run)(const struct subcommand_call *call);
};

extern const struct subcommand subcommand_table[];
extern const size_t subcommand_count;

/* NULL: there is none. */
const struct subcommand *subcommand_find(const char *name);
/* The name that was probably meant, or NULL. */
const char *subcommand_hint(const char *name);

struct flag;
/* True when command takes flag; --help is for all. */
bool subcommand_takes(const struct subcommand *command, const struct flag *flag);

enum ctl_exit run_watch(const struct subcommand_call *call);
enum ctl_exit run_list(const struct subcommand_call *call);
enum ctl_exit run_get(const struct subcommand_call *call);
enum ctl_exit run_set(const struct subcommand_call *call);
enum ctl_exit run_override(const struct subcommand_call *call);
enum ctl_exit run_clear(const struct subcommand_call *call);
enum ctl_exit run_kick(const struct subcommand_call *call);
enum ctl_exit run_forget(const struct subcommand_call *call);
enum ctl_exit run_stats(const struct subcommand_call *call);
enum ctl_exit run_nodes(const struct subcommand_call *call);
enum ctl_exit run_check_config(const struct subcommand_call *call);
enum ctl_exit run_doctor(const struct subcommand_call *call);
enum ctl_exit run_completion(const struct subcommand_call *call);

#endif
