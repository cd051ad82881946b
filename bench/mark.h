/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
#ifndef PRESENCE_BENCH_MARK_H
#define PRESENCE_BENCH_MARK_H

/* What a broker has used until a moment. */

#include <stdint.h>

struct mark {
	int64_t at_ns;
	int64_t cpu_ns; /* on-CPU time of its main thread */
	long rss_bytes;
};

struct mark mark_now(int pid);
/* From one to the other: ", "<name>_s": seconds, "<name>_us": CPU of each of count". */
void mark_print(const char *name, const struct mark *from, const struct mark *to, int count);

#endif
