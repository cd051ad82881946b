/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
#ifndef PRESENCE_TESTS_WIRE_FAILING_H
#define PRESENCE_TESTS_WIRE_FAILING_H

/* Allocations that fail, one at a time. The linker sends our calls to WRAP's functions (--wrap). */

#include "check.h"
#include "core/presence.h"

static long until_failure; /* 0: none is to fail; -1: it has */

static bool fails(void)
{
	if (until_failure <= 0 || --until_failure > 0)
		return false;
	until_failure = -1;
	return true;
}

#define WRAP(type, name, parameters, arguments, failure)            \
	type __real_##name parameters;                              \
	type __wrap_##name parameters;                              \
	type __wrap_##name parameters                               \
	{                                                           \
		return fails() ? failure : __real_##name arguments; \
	}

/* Calls attempt with the first, second, .. allocation failing until none does. */
static void fail_each(int (*attempt)(void), long least)
{
	long index = 1;
	for (;; index++) {
		until_failure = index;
		int err = attempt();
		bool failed = until_failure < 0;
		until_failure = 0;
		if (err != (failed ? PRESENCE_ENOMEM : PRESENCE_OK))
			fail_msg("allocation %ld: %d", index, err);
		if (!failed)
			break;
		assert_true(index < 1000);
	}
	/* It did allocate, and so did fail. */
	assert_true(index > least);
}

#endif
