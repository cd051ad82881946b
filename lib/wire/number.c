/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
#include "wire/number.h"

#include <inttypes.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

struct unit {
	const char *name;
	int64_t size;
};

/* Smallest first. */
static const struct unit durations[] = {
	{ "ms", 1 },
	{ "s", 1000 },
	{ "min", 60 * 1000 },
	{ "h", 60 * 60 * 1000 },
	{ "d", 24 * 60 * 60 * 1000 },
};

static const struct unit counts[] = {
	{ "", 1 },
	{ "k", 1000 },
	{ "M", 1000 * 1000 },
	{ "G", 1000 * 1000 * 1000 },
};

#define COUNT_OF(array) (sizeof(array) / sizeof(*(array)))

const char *number_read(const char *text, int64_t *number)
{
	const char *start = text;
	int64_t value = 0;
	for (; *text >= '0' && *text <= '9'; text++) {
		int digit = *text - '0';
		value = value > (INT64_MAX - digit) / 10 ? INT64_MAX : value * 10 + digit;
	}
	*number = value;
	return text == start ? NULL : text;
}

static enum number_error scale(
	int64_t *number, const char *name, const struct unit units[], size_t count)
{
	for (size_t i = 0; i < count; i++) {
		if (strcmp(units[i].name, name))
			continue;
		int64_t size = units[i].size;
		*number = *number > INT64_MAX / size ? INT64_MAX : *number * size;
		return NUMBER_OK;
	}
	return NUMBER_NONE;
}

enum number_error duration_read(const char *text, int64_t *ms)
{
	const char *unit = number_read(text, ms);
	if (!unit)
		return NUMBER_NONE;
	if (!*unit)
		return *ms ? NUMBER_NO_UNIT : NUMBER_OK;
	if (!strcmp(unit, "m"))
		return NUMBER_MONTH;
	return scale(ms, unit, durations, COUNT_OF(durations));
}

enum number_error count_read(const char *text, int64_t *count)
{
	const char *unit = number_read(text, count);
	return unit ? scale(count, unit, counts, COUNT_OF(counts)) : NUMBER_NONE;
}

const char *number_text(int64_t number, bool duration, char text[NUMBER_TEXT_MAX])
{
	size_t unit = COUNT_OF(durations) - 1;
	while (number % durations[unit].size)
		unit--;
	if (duration && number != 0)
		(void)snprintf(text, NUMBER_TEXT_MAX, "%" PRId64 "%s",
			number / durations[unit].size, durations[unit].name);
	else
		(void)snprintf(text, NUMBER_TEXT_MAX, "%" PRId64, number);
	return text;
}
