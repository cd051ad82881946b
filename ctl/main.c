/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
#include <locale.h>
#include <signal.h>
#include <stdio.h>

#include "ctl/arguments.h"
#include "ctl/help.h"

/* Output that could not be written must not look like success. */
static enum ctl_exit flushed(enum ctl_exit end)
{
	bool failed = ferror(stdout) != 0;
	return (fflush(stdout) || failed) && end == CTL_OK ? CTL_TROUBLE : end;
}

int main(int argc, char *argv[])
{
	char problem[SETTINGS_PROBLEM_MAX] = "";
	struct arguments arguments;

	/* How wide characters are, whatever the language: notes and ids are UTF-8. */
	(void)setlocale(LC_CTYPE, "C.UTF-8");
	(void)signal(SIGPIPE, SIG_IGN);
	enum ctl_exit end = arguments_read(&arguments, argc, argv, problem);
	if (end != CTL_OK) {
		(void)fprintf(stderr, "presencectl: %s\n", problem);
	} else if (arguments.settings.help) {
		help_write(arguments.command, stdout);
	} else {
		const struct subcommand_call call = { &arguments.settings, arguments.argument,
			arguments.count };
		end = arguments.command->run(&call);
	}
	end = flushed(end);
	arguments_finish(&arguments);
	return end;
}
