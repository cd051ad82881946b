/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
#include <inttypes.h>
#include <string.h>

#include "wire/number.h"
#include "wire/option_kind.h"

static int refuse_range(
	const struct option *option, const char *quote, char problem[OPTIONS_PROBLEM_MAX])
{
	char min[NUMBER_TEXT_MAX], max[NUMBER_TEXT_MAX];
	bool duration = option->kind == OPTION_DURATION;
	return option_refuse(problem, "%s is out of range, from %s to %s", quote,
		number_text(option->min, duration, min), number_text(option->max, duration, max));
}

OPTION_SETTER(duration)
{
	char quote[OPTION_QUOTE_MAX];
	int64_t *ms = option_field(option, options);
	(void)option_quote(value, quote);
	switch (duration_read(value, ms)) {
	case NUMBER_NONE:
		return option_refuse(problem,
			"%s is no duration; write a number and ms, s, min, h or d, like 3s", quote);
	case NUMBER_NO_UNIT:
		return option_refuse(problem,
			"%s has no unit; write ms, s, min, h or d after it, like %ss", quote,
			value);
	case NUMBER_MONTH:
		return option_refuse(problem,
			"%s is unclear, since m is a month in mosquitto.conf; write %sin for "
			"minutes",
			quote, value);
	case NUMBER_OK:
		break;
	}
	if (*ms >= option->min && *ms <= option->max)
		return PRESENCE_OK;
	return refuse_range(option, quote, problem);
}

OPTION_PRINTER(duration)
{
	const int64_t *ms = option_field_const(option, options);
	char text[NUMBER_TEXT_MAX];
	(void)secrets;
	fputs(number_text(*ms, true, text), out);
}

OPTION_SETTER(count)
{
	char quote[OPTION_QUOTE_MAX];
	int64_t count;
	(void)option_quote(value, quote);
	if (count_read(value, &count) != NUMBER_OK)
		return option_refuse(problem,
			"%s is no number; write digits, and k, M or G for thousands, like 100k",
			quote);
	if (count < option->min || count > option->max)
		return refuse_range(option, quote, problem);
	if (option->kind == OPTION_COUNT32)
		*(uint32_t *)option_field(option, options) = (uint32_t)count;
	else
		*(uint64_t *)option_field(option, options) = (uint64_t)count;
	return PRESENCE_OK;
}

OPTION_PRINTER(count)
{
	const void *field = option_field_const(option, options);
	(void)secrets;
	if (option->kind == OPTION_COUNT32)
		fprintf(out, "%" PRIu32, *(const uint32_t *)field);
	else
		fprintf(out, "%" PRIu64, *(const uint64_t *)field);
}

/* "10/s burst 20" */
OPTION_SETTER(rate)
{
	static const char between[] = "/s burst ";
	char quote[OPTION_QUOTE_MAX];
	int64_t rate, burst;
	const char *rest = number_read(value, &rate);
	rest = rest && !strncmp(rest, between, strlen(between))
		? number_read(rest + strlen(between), &burst)
		: NULL;
	if (!rest || *rest || rate < option->min || burst < rate || burst > option->max)
		return option_refuse(problem,
			"%s is no rate like 10/s burst 20, each from %" PRId64 " to %" PRId64
			", the second not below the first",
			option_quote(value, quote), option->min, option->max);
	options->command_rate = (uint32_t)rate;
	options->command_burst = (uint32_t)burst;
	return PRESENCE_OK;
}

OPTION_PRINTER(rate)
{
	(void)option;
	(void)secrets;
	fprintf(out, "%" PRIu32 "/s burst %" PRIu32, options->command_rate, options->command_burst);
}
