/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
#include "options.h"

#include <errno.h>
#include <stdlib.h>

#include "mqtt.h"

enum { CYCLES_MAX = 1000000 };

void options_read(struct options *options, int argc, char *argv[])
{
	int *const values[] = { &options->port, &options->pid, &options->says, &options->load,
		&options->cycles, &options->rate, &options->window, &options->hold_ms,
		&options->pings };
	int count = sizeof(values) / sizeof(*values);
	for (int i = 0; i < count && i + 1 < argc; i++)
		*values[i] = (int)strtol(argv[i + 1], NULL, 10);
	errno = EINVAL;
	if (argc != count + 1 || options->port < 1 || options->pid < 1 || options->cycles < 1 ||
		options->cycles > CYCLES_MAX || options->rate < 0 || options->window < 1 ||
		options->says < SAYS_NOBODY || options->says > SAYS_CLIENT || options->load < 0 ||
		options->load > LOAD_DROP || options->hold_ms < 0 || options->pings < 0)
		die("PORT PID SAYS LOAD CYCLES RATE WINDOW HOLD_MS PINGS");
}
