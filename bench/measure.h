/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
#ifndef PRESENCE_BENCH_MEASURE_H
#define PRESENCE_BENCH_MEASURE_H

/* Time and memory of this process. What cannot be measured ends it. */

#include <stdint.h>
#include <time.h>

void die(const char *what);
int64_t read_ns(clockid_t clock);
/* What malloc has given out (mallinfo2), and what the kernel has. */
double heap_bytes(void);
double rss_bytes(void);
/* What a look at memory costs that no cache has: a chain of lines in random order, over that much
 * memory, each look waiting for the one before. */
double miss_ns(double bytes);

#endif
