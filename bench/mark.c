/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
#include "mark.h"

#include <inttypes.h>
#include <stdio.h>
#include <unistd.h>

#include "mqtt.h"

/* The number at place, counted from 0, of a file in /proc. */
static int64_t read_number(int pid, const char *what, int place)
{
	char path[64];
	int64_t number = 0;
	(void)snprintf(path, sizeof(path), "/proc/%d/%s", pid, what);
	FILE *file = fopen(path, "re");
	if (!file)
		die(path);
	for (int i = 0; i <= place; i++)
		if (fscanf(file, "%" SCNd64, &number) != 1)
			die(path);
	(void)fclose(file);
	return number;
}

struct mark mark_now(int pid)
{
	return (struct mark){
		.at_ns = now_ns(),
		.cpu_ns = read_number(pid, "schedstat", 0),
		.rss_bytes = (long)read_number(pid, "statm", 1) * sysconf(_SC_PAGESIZE),
	};
}

void mark_print(const char *name, const struct mark *from, const struct mark *to, int count)
{
	printf(", \"%s_s\": %.5f", name, (double)(to->at_ns - from->at_ns) / 1e9);
	if (count)
		printf(", \"%s_us\": %.3f", name,
			(double)(to->cpu_ns - from->cpu_ns) / 1e3 / count);
}
