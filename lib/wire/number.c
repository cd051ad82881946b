/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
#include "wire/number.h"

#include <inttypes.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#define MILLION INT64_C(1000000)
#define FRACTION_DIGITS 6

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

static const struct unit *unit_find(const char *name, const struct unit units[], size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (!strcmp(units[i].name, name))
			return &units[i];
	return NULL;
}

static int64_t multiply(int64_t number, int64_t size)
{
	return number > INT64_MAX / size ? INT64_MAX : number * size;
}

/* What stands after a point, in millionths. NULL: no digits, or too many. */
static const char *fraction_read(const char *text, int64_t *millionths)
{
	const char *rest = number_read(text, millionths);
	if (!rest || rest - text > FRACTION_DIGITS)
		return NULL;
	for (long digits = rest - text; digits < FRACTION_DIGITS; digits++)
		*millionths *= 10;
	return rest;
}

enum number_error duration_read(const char *text, int64_t *ms)
{
	int64_t millionths = 0;
	const char *name = number_read(text, ms);
	if (name && *name == '.')
		name = fraction_read(name + 1, &millionths);
	if (!name)
		return NUMBER_NONE;
	if (!*name)
		return *ms || millionths ? NUMBER_NO_UNIT : NUMBER_OK;
	if (!strcmp(name, "m"))
		return NUMBER_MONTH;
	const struct unit *unit = unit_find(name, durations, COUNT_OF(durations));
	if (!unit || millionths * unit->size % MILLION)
		return NUMBER_NONE;
	int64_t part = millionths * unit->size / MILLION;
	*ms = multiply(*ms, unit->size);
	*ms = *ms > INT64_MAX - part ? INT64_MAX : *ms + part;
	return NUMBER_OK;
}

enum number_error count_read(const char *text, int64_t *count)
{
	const char *name = number_read(text, count);
	const struct unit *unit = name ? unit_find(name, counts, COUNT_OF(counts)) : NULL;
	if (!unit)
		return NUMBER_NONE;
	*count = multiply(*count, unit->size);
	return NUMBER_OK;
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
