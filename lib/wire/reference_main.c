/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */

/* presence_options_reference: docs/OPTIONS.md, or with "example" the options as
 * mosquitto.conf.example shows them. */

#include <stdio.h>
#include <string.h>

#include "wire/options.h"

int main(int argc, char *argv[])
{
	int err = 0;
	if (argc == 2 && !strcmp(argv[1], "example")) {
		err = options_write_example(stdout);
	} else if (argc == 1) {
		options_write_reference(stdout);
	} else {
		(void)fprintf(stderr, "usage: presence_options_reference [example]\n");
		return 2;
	}
	return err || fflush(stdout) ? 1 : 0;
}
