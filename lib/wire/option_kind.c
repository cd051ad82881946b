/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
#include "wire/option_kind.h"

#include <inttypes.h>
#include <stdarg.h>
#include <string.h>

#include "wire/number.h"

struct kind {
	int (*set)(
		const struct option *, struct options *, const char *, char[OPTIONS_PROBLEM_MAX]);
	void (*clear)(const struct option *, struct options *); /* NULL: nothing to free */
	void (*print)(const struct option *, const struct options *, bool, FILE *);
	const char *words; /* for the reference */
};

static const struct kind kinds[] = {
	[OPTION_NODE] = { option_set_name, option_clear_text, option_print_text,
		"1 to 64 of A-Z a-z 0-9 . _ -" },
	[OPTION_TOPIC] = { option_set_topic, option_clear_text, option_print_text, "a topic" },
	[OPTION_PREFIX] = { option_set_name, option_clear_text, option_print_text,
		"1 to 64 of A-Z a-z 0-9 . _ - :" },
	[OPTION_PATH] = { option_set_path, option_clear_text, option_print_text,
		"an absolute path, or none" },
	[OPTION_WORD] = { option_set_word, NULL, option_print_word, "" },
	[OPTION_BOOL] = { option_set_bool, NULL, option_print_bool, "true or false" },
	[OPTION_DURATION] = { option_set_duration, NULL, option_print_duration, "a duration" },
	[OPTION_COUNT32] = { option_set_count, NULL, option_print_count, "a number" },
	[OPTION_COUNT64] = { option_set_count, NULL, option_print_count, "a number" },
	[OPTION_LIST] = { option_set_list, option_clear_list, option_print_list,
		"words with blanks between them" },
	[OPTION_IDENTITY] = { option_set_identity, option_clear_identity, option_print_identity,
		"clientid or username, and a pattern" },
	[OPTION_RATE] = { option_set_rate, NULL, option_print_rate, "a rate like 10/s burst 20" },
	[OPTION_REDIS] = { option_set_redis, option_clear_redis, option_print_redis,
		"a URL, or none" },
};

int option_refuse(char problem[OPTIONS_PROBLEM_MAX], const char *format, ...)
{
	va_list arguments;
	va_start(arguments, format);
	/* A line too long for its room is cut: still the best there is to say. */
	(void)vsnprintf(problem, OPTIONS_PROBLEM_MAX, format, arguments);
	va_end(arguments);
	return PRESENCE_EINVAL;
}

const char *option_quote(const char *value, char quote[OPTION_QUOTE_MAX])
{
	size_t room = OPTION_QUOTE_MAX - sizeof("\"...\"");
	size_t length = strnlen(value, room + 1);
	if (length <= room)
		(void)snprintf(quote, OPTION_QUOTE_MAX, "\"%s\"", value);
	else {
		for (length = room; length && ((unsigned char)value[length] & 0xc0) == 0x80;)
			length--; /* not in the middle of a character */
		(void)snprintf(quote, OPTION_QUOTE_MAX, "\"%.*s...\"", (int)length, value);
	}
	return quote;
}

void *option_field(const struct option *option, struct options *options)
{
	return (char *)options + option->offset;
}

const void *option_field_const(const struct option *option, const struct options *options)
{
	return (const char *)options + option->offset;
}

int option_set(const struct option *option, struct options *options, const char *value,
	char problem[OPTIONS_PROBLEM_MAX])
{
	return kinds[option->kind].set(option, options, value, problem);
}

void option_clear(const struct option *option, struct options *options)
{
	if (kinds[option->kind].clear)
		kinds[option->kind].clear(option, options);
}

void option_print(
	const struct option *option, const struct options *options, bool secrets, FILE *out)
{
	kinds[option->kind].print(option, options, secrets, out);
}

/* "json, text or none" */
static void describe_words(const struct option *option, FILE *out)
{
	for (size_t i = 0; option->words[i]; i++) {
		const char *before = option->words[i + 1] ? ", " : " or ";
		fprintf(out, "%s%s", i ? before : "", option->words[i]);
	}
}

static void describe_range(const struct option *option, FILE *out)
{
	char min[NUMBER_TEXT_MAX], max[NUMBER_TEXT_MAX];
	bool duration = option->kind == OPTION_DURATION;
	fprintf(out, " from %s to %s", number_text(option->min, duration, min),
		number_text(option->max, duration, max));
}

void option_describe(const struct option *option, FILE *out)
{
	fputs(kinds[option->kind].words, out);
	switch (option->kind) {
	case OPTION_WORD:
		describe_words(option, out);
		break;
	case OPTION_DURATION:
	case OPTION_COUNT32:
	case OPTION_COUNT64:
		describe_range(option, out);
		break;
	case OPTION_LIST:
		if (option->min == 0)
			fputs(", or none", out);
		break;
	case OPTION_NODE:
	case OPTION_TOPIC:
	case OPTION_PREFIX:
	case OPTION_PATH:
	case OPTION_BOOL:
	case OPTION_IDENTITY:
	case OPTION_RATE:
	case OPTION_REDIS:
		break;
	}
}
