/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
#ifndef PRESENCE_BENCH_OPTIONS_H
#define PRESENCE_BENCH_OPTIONS_H

/* What broker_bench is asked for; its first comment explains them. */

enum says { SAYS_NOBODY, SAYS_BROKER, SAYS_CLIENT };
enum load { LOAD_PASS, LOAD_DROP };
struct options {
	int port, pid, says, load, cycles, rate, window, hold_ms, pings;
};

/* What cannot be ends the process. */
void options_read(struct options *options, int argc, char *argv[]);

#endif
