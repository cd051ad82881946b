/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
#include "measure.h"

#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

void die(const char *what)
{
	fprintf(stderr, "core_bench: %s\n", what);
	exit(EXIT_FAILURE);
}

int64_t read_ns(clockid_t clock)
{
	struct timespec now;
	if (clock_gettime(clock, &now))
		abort();
	return now.tv_sec * INT64_C(1000000000) + now.tv_nsec;
}

double heap_bytes(void)
{
	struct mallinfo2 info = mallinfo2();
	return (double)(info.uordblks + info.hblkhd);
}

double rss_bytes(void)
{
	unsigned long total, resident;
	FILE *file = fopen("/proc/self/statm", "re");
	if (!file || fscanf(file, "%lu %lu", &total, &resident) != 2)
		die("no /proc/self/statm");
	(void)fclose(file);
	return (double)resident * (double)sysconf(_SC_PAGESIZE);
}

double miss_ns(double bytes)
{
	enum { LINE = 64, LOOKS = 1000000 };
	size_t lines = (size_t)(bytes / LINE) + 2, at = 0;
	uint64_t random = 1;
	size_t *line = calloc(lines, LINE);
	if (!line)
		die("out of memory");
	/* One cycle through all: each is swapped with one before it (Sattolo's shuffle). */
	for (size_t i = 0; i < lines; i++)
		line[i * (LINE / sizeof(*line))] = i;
	for (size_t i = lines - 1; i > 0; i--) {
		random = random * 6364136223846793005 + 1442695040888963407;
		size_t other = (random >> 33) % i * (LINE / sizeof(*line));
		size_t own = line[i * (LINE / sizeof(*line))];
		line[i * (LINE / sizeof(*line))] = line[other];
		line[other] = own;
	}
	int64_t began_ns = read_ns(CLOCK_PROCESS_CPUTIME_ID);
	for (int look = 0; look < LOOKS; look++)
		at = line[at * (LINE / sizeof(*line))];
	double ns = (double)(read_ns(CLOCK_PROCESS_CPUTIME_ID) - began_ns) / LOOKS;
	if (at >= lines)
		die("the chain is broken");
	free(line);
	return ns;
}
