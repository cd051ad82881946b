/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
#ifndef PRESENCE_STORE_REDIS_PROBLEM_H
#define PRESENCE_STORE_REDIS_PROBLEM_H

/* What can be wrong with Redis, and what the operator is told: once when it begins. */

#include "store/mailbox.h"

struct redis_problem {
	const char *error; /* how Redis' error begins */
	enum store_level level;
	int64_t wait_ms; /* at least so long before another try; 0: the usual */
	const char *text;
};

extern const struct redis_problem redis_unreachable, redis_no_answer, redis_not_redis,
	redis_no_memory, redis_scripts_unknown, redis_held_by_other, redis_mismatch,
	redis_wrong_type, redis_unexpected;

#define REDIS_DETAIL_MAX 160

/* Never NULL; redis_unexpected for an error that is not known. */
const struct redis_problem *redis_problem_of(const char *error);
/* As much of error as fits, and as can be printed. */
void redis_detail_write(const char *error, char out[REDIS_DETAIL_MAX]);

/* What was said last. */
struct redis_said {
	const struct redis_problem *problem; /* NULL: nothing yet */
	int64_t said_ms;
	bool recovered; /* it went well since */
	bool connected; /* the last line says that it goes well */
};

/* One line, unless the same is said already. detail may be NULL. */
void redis_say_problem(struct redis_said *said, struct mailbox *box, const char *where,
	const struct redis_problem *problem, const char *detail, int64_t now_ms);
void redis_say_connected(struct redis_said *said, struct mailbox *box, const char *where,
	const char *node, int64_t epoch);

#endif
