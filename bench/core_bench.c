/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
/* What the state machine costs by itself: no sockets, no threads, a clock only to measure.
 *
 *     core_bench [--quick] [devices...]      1000 10000 100000 1000000 10000000 unless told
 *                                            otherwise; quick: to 100000, one run of each kind
 *
 * Each size runs a few times, each time in a fresh process. Some runs read the clock only around
 * whole phases, of ten million one: those give bytes and nanoseconds. The others read it around
 * every step: those give the longest pause. A pause of ours comes at the same step in every run,
 * one of the machine does not, so of each step the shortest of all runs counts. Fails when a record
 * is missing, and names the phase. */

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core_run.h"
#include "measure.h"

enum { FEW_RUNS = 1000000 };

static void run_in_child(struct result *result, uint32_t devices, bool clocked, int number)
{
	int status;
	pid_t child = fork();
	if (child < 0)
		die("no fork");
	if (!child) {
		core_run(result, devices, clocked, number);
		_exit(EXIT_SUCCESS);
	}
	if (waitpid(child, &status, 0) != child || status)
		die("a run failed");
}

static int compare(const void *left, const void *right)
{
	double a = *(const double *)left, b = *(const double *)right;
	return (a > b) - (a < b);
}

static double median(double values[RUNS_MAX], int runs)
{
	qsort(values, (size_t)runs, sizeof(*values), compare);
	return values[runs / 2];
}

static size_t longest_step(const struct result *result)
{
	size_t longest = 0;
	for (size_t i = 0; i < result->steps; i++)
		if (result->step_ns[i] > result->step_ns[longest])
			longest = i;
	return longest;
}

static enum phase phase_of(const struct result *result, size_t place)
{
	enum phase phase = PHASES - 1;
	while (phase > NEW && result->begins[phase] > place)
		phase--;
	return phase;
}

static void print_result(uint32_t devices, struct result *result, int runs)
{
	size_t longest = longest_step(result);
	double miss_ns = median(result->miss_ns, runs);
	printf("| %" PRIu32 " | %.0f | %.0f | %.0f | %.0f |", devices, result->heap_bytes,
		result->offline_bytes, result->rss_bytes, miss_ns);
	for (int phase = 0; phase < PHASES; phase++)
		printf(" %.0f |", median(result->ns[phase], runs));
	printf(" %.1f, %.1f | %.1f (%s) | %.1f |\n", result->ns[END][runs / 2] / miss_ns,
		result->ns[BACK][runs / 2] / miss_ns, result->step_ns[longest] / 1e3,
		phase_names[phase_of(result, longest)], result->seen_ns / 1e3);
	(void)fflush(stdout);
}

static void measure(uint32_t devices, int runs, int clocked_runs)
{
	size_t room = core_run_steps(devices);
	size_t size = sizeof(struct result) + room * sizeof(uint32_t);
	struct result *result = mmap(
		NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (result == MAP_FAILED)
		die("out of memory");
	for (int number = 0; number < runs; number++)
		run_in_child(result, devices, false, number);
	memset(result->step_ns, 0xff, room * sizeof(uint32_t));
	result->steps = room;
	for (int number = 0; number < clocked_runs; number++)
		run_in_child(result, devices, true, number);
	print_result(devices, result, runs);
	(void)munmap(result, size);
}

static void print_head(void)
{
	printf("| devices | bytes online | bytes offline | RSS | one miss, ns |");
	for (int phase = 0; phase < PHASES; phase++)
		printf(" %s%s |", phase ? "" : "ns: ", phase_names[phase]);
	printf(" end, again in misses | longest step, µs | longest seen, µs |\n|");
	for (int column = 0; column < PHASES + 8; column++)
		printf("--:|");
	printf("\n");
	(void)fflush(stdout);
}

int main(int argc, char *argv[])
{
	static const char *const every[] = { "1000", "10000", "100000", "1000000", "10000000",
		NULL };
	static const char *const few[] = { "1000", "10000", "100000", NULL };
	bool quick = argc > 1 && !strcmp(argv[1], "--quick");
	const char *const *size = quick ? few : every;
	if (argc > 1 + quick)
		size = (const char *const *)argv + 1 + quick;
	print_head();
	for (; *size; size++) {
		long devices = strtol(*size, NULL, 10);
		if (devices < 1000 || devices > DEVICES_MAX || DEVICES_MAX % devices)
			die("devices: 1000 to 10000000, a divisor of ten million");
		measure((uint32_t)devices, quick || devices > FEW_RUNS ? 1 : RUNS_MAX,
			quick ? 1 : RUNS_MAX);
	}
	return EXIT_SUCCESS;
}
