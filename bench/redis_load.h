/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
/* What is written to Redis, and what Redis says it cost. */
#ifndef BENCH_REDIS_LOAD_H
#define BENCH_REDIS_LOAD_H

#include <stdint.h>

#include "core/presence.h"
#include "server.h"

enum { FAR_MS = 3600000 };

enum kind { CONNECT, LEAVE, REFRESH };

void write_id(char id[32], uint32_t subject);

/* id is the caller's, and is pointed to. */
struct presence_effect effect_of(const char *id, enum kind kind, int64_t wall_ms);

/* Of the server's main thread, so far. */
double cpu_us(const struct server *server);

/* What a command answers, which is a number. */
double number(struct server *server, const char *command);

/* Said, and the end. */
_Noreturn void fail(const char *what);

#endif
