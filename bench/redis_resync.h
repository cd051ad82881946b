/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
#ifndef BENCH_REDIS_RESYNC_H
#define BENCH_REDIS_RESYNC_H

#include <stdint.h>

/* A Redis that lost all of it is told so many subjects again by the store with its worker, as in a
 * broker; prints a row of Markdown: subjects, s, µs of Redis each, µs of ours each. */
void resync(uint32_t subjects);

#endif
