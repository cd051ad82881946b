/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
#include <poll.h>
#include <time.h>

#include "plugin/plugin.h"

enum { MS_PER_S = 1000, NS_PER_MS = 1000000, US_PER_S = 1000000, NS_PER_US = 1000 };

static int64_t read_ms(clockid_t clock)
{
	struct timespec now;
	(void)clock_gettime(clock, &now); /* fails only for clocks that do not exist */
	return (int64_t)now.tv_sec * MS_PER_S + now.tv_nsec / NS_PER_MS;
}

int64_t clock_now_ms(void)
{
	return read_ms(CLOCK_BOOTTIME);
}

int64_t clock_wall_ms(void)
{
	return read_ms(CLOCK_REALTIME);
}

int64_t clock_now_us(void)
{
	struct timespec now;
	(void)clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * US_PER_S + now.tv_nsec / NS_PER_US;
}

void clock_nap(int ms)
{
	(void)poll(NULL, 0, ms); /* how it ends does not matter */
}
