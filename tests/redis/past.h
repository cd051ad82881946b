/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
#ifndef PRESENCE_TESTS_REDIS_PAST_H
#define PRESENCE_TESTS_REDIS_PAST_H

/* What Redis held at some time, to be brought back: a failover to the past. */

#include "server.h"

#define PAST_KEYS_MAX 64

struct past {
	struct past_key {
		char name[128];
		char *bytes;
		size_t length;
		long long ttl_ms;
	} keys[PAST_KEYS_MAX];
	size_t count; /* 0: nothing is saved */
};

void past_drop(struct past *past);
void past_save(struct past *past, struct server *server);
/* Everything else is gone then. */
void past_bring_back(const struct past *past, struct server *server);

#endif
