/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
#include "ctl/exit.h"

const struct ctl_exit_row ctl_exit_table[] = {
	{ CTL_OK, "It is done; check-config found no error, doctor nothing that fails." },
	{ CTL_REFUSED,
		"The broker or the plugin said no, and why; check-config found an error, "
		"doctor something that fails." },
	{ CTL_USAGE, "The command line or the options file is not understood." },
	{ CTL_UNREACHABLE, "No connection to the broker, or no answer in time." },
	{ CTL_TROUBLE, "This machine: out of memory, or the output cannot be written." },
};

const size_t ctl_exit_count = sizeof(ctl_exit_table) / sizeof(*ctl_exit_table);
