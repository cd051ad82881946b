/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */

/* presence_manual: writes the manual pages that come from tables. */

#include <string.h>

#include "ctl/help.h"

int main(int argc, char *argv[])
{
	if (argc == 2 && !strcmp(argv[1], "presencectl")) {
		manual_write_presencectl(stdout);
	} else if (argc == 2 && !strcmp(argv[1], "configuration")) {
		manual_write_configuration(stdout);
	} else {
		(void)fprintf(stderr, "usage: presence_manual presencectl|configuration\n");
		return CTL_USAGE;
	}
	return fflush(stdout) ? CTL_TROUBLE : CTL_OK;
}
