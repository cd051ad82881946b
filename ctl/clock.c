/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
#include "ctl/clock.h"

#include <sys/random.h>
#include <time.h>

static int64_t read_clock(clockid_t clock)
{
	struct timespec now = { 0 };
	(void)clock_gettime(clock, &now); /* cannot fail for these two */
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

int64_t clock_ms(void)
{
	return read_clock(CLOCK_MONOTONIC);
}

int64_t clock_wall_ms(void)
{
	return read_clock(CLOCK_REALTIME);
}

uint64_t random_number(void)
{
	uint64_t random;
	if (getrandom(&random, sizeof(random), 0) != (ssize_t)sizeof(random))
		random = (uint64_t)clock_wall_ms();
	return random;
}
