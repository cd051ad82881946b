/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
#ifndef PRESENCE_BENCH_REDIS_PLAIN_H
#define PRESENCE_BENCH_REDIS_PLAIN_H

/* What the script is compared with: the same keys written by plain commands in a pipeline, by
 * somebody who trusts that nobody else writes, nothing is lost and no command runs late. */

#include "server.h"

enum plain_act { PLAIN_CONNECT, PLAIN_LEAVE };

/* Of the subjects named by ids, all at once, one reply awaited for each command at the end. */
void plain_write(struct server *server, enum plain_act act, const char (*ids)[32], int count,
	long long wall_ms);

#endif
