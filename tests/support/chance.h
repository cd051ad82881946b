/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
#ifndef PRESENCE_TESTS_CHANCE_H
#define PRESENCE_TESTS_CHANCE_H

/* Chance that can be had again: a seed is a sequence, the same one on every machine. */

#include <stdint.h>
#include <stdlib.h>

/* splitmix64: 0 to below - 1. */
static inline uint64_t chance_below(uint64_t *state, uint64_t below)
{
	uint64_t z = *state += UINT64_C(0x9e3779b97f4a7c15);
	z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
	return (z ^ z >> 31) % below;
}

/* What an environment variable chooses: PRESENCE_SEED, PRESENCE_RUNS. */
static inline uint64_t chance_chosen(const char *variable, uint64_t otherwise)
{
	const char *text = getenv(variable);
	return text ? strtoull(text, NULL, 10) : otherwise;
}

#endif
