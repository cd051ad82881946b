/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */

/* How often is too often. */

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "plugin/plugin.h"

static unsigned take_all(struct rate *rate, int64_t now_us, uint32_t per_s, uint32_t burst)
{
	unsigned taken = 0;
	while (rate_has(rate, now_us, per_s, burst)) {
		assert_true(rate_take(rate, now_us, per_s, burst));
		taken++;
	}
	assert_false(rate_take(rate, now_us, per_s, burst));
	return taken;
}

static void a_burst_then_a_rate(void **state)
{
	struct rate rate = { 0 };
	int64_t now_us = 5000000;
	(void)state;
	assert_int_equal(take_all(&rate, now_us, 10, 20), 20);
	assert_int_equal(take_all(&rate, now_us + 99999, 10, 20), 0);
	assert_int_equal(take_all(&rate, now_us + 100000, 10, 20), 1);
	assert_int_equal(take_all(&rate, now_us + 600000, 10, 20), 5);
	/* Full again, and no fuller. */
	assert_int_equal(take_all(&rate, now_us + 60000000, 10, 20), 20);
}

static void one_at_a_time(void **state)
{
	struct rate rate = { 0 };
	(void)state;
	assert_int_equal(take_all(&rate, 0, 1, 1), 1);
	assert_int_equal(take_all(&rate, 999999, 1, 1), 0);
	assert_int_equal(take_all(&rate, 1000000, 1, 1), 1);
}

static void steady_at_the_rate_is_never_too_often(void **state)
{
	struct rate rate = { 0 };
	(void)state;
	for (int64_t i = 0; i < 1000; i++)
		assert_true(rate_take(&rate, i * 1000000 / 10000 + 7, 10000, 1));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_burst_then_a_rate),
		cmocka_unit_test(one_at_a_time),
		cmocka_unit_test(steady_at_the_rate_is_never_too_often),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
