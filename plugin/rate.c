/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
#include "plugin/plugin.h"

enum { US_PER_S = 1000000 };

/* next_us is when the bucket will be full again: each token taken moves it on by one interval, and
 * it may lie at most burst intervals ahead. */
bool rate_has(const struct rate *rate, int64_t now_us, uint32_t per_s, uint32_t burst)
{
	return rate->next_us <= now_us + (int64_t)(burst - 1) * US_PER_S / per_s;
}

bool rate_take(struct rate *rate, int64_t now_us, uint32_t per_s, uint32_t burst)
{
	if (!rate_has(rate, now_us, per_s, burst))
		return false;
	if (rate->next_us < now_us)
		rate->next_us = now_us;
	rate->next_us += US_PER_S / per_s;
	return true;
}
