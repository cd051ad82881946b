/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
#ifndef PRESENCE_BENCH_CORE_RUN_H
#define PRESENCE_BENCH_CORE_RUN_H

/* One run of core_bench: devices come, go, come back; what that costs goes into a result. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { RUNS_MAX = 3, DEVICES_MAX = 10000000 };

enum phase { NEW, END, BACK, LOSE, RETURN, RESYNC, BEAT, DECLARE, EXPIRE, PHASES };

extern const char *const phase_names[PHASES];

/* Shared between the parent and its runs. */
struct result {
	double ns[PHASES][RUNS_MAX], miss_ns[RUNS_MAX];
	double heap_bytes, rss_bytes, offline_bytes; /* per device */
	uint32_t seen_ns; /* the longest step of any run, whoever made it long */
	size_t begins[PHASES];
	size_t steps;
	uint32_t step_ns[]; /* the shortest of all runs */
};

/* How many steps a run of so many devices makes, at most. */
size_t core_run_steps(uint32_t devices);
/* clocked: the clock is read around every step, otherwise only around phases. number: which run
 * of its kind this is. Ends the process when the core does anything unexpected. */
void core_run(struct result *result, uint32_t devices, bool clocked, int number);

#endif
