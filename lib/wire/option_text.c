/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
#include <stdlib.h>
#include <string.h>

#include "wire/option_kind.h"
#include "wire/topic.h"

#define NAME_MAX_BYTES 64 /* of a node, or of a prefix of keys */

static const char name_bytes[] =
	"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-";

static int set_text(const struct option *option, struct options *options, const char *value)
{
	char **text = option_field(option, options);
	*text = strdup(value);
	return *text ? PRESENCE_OK : PRESENCE_ENOMEM;
}

OPTION_SETTER(name)
{
	char quote[OPTION_QUOTE_MAX];
	size_t length = strlen(value), good = strspn(value, name_bytes);
	/* Keys may have parts; no braces: they choose the slot in a cluster. */
	while (option->kind == OPTION_PREFIX && value[good] == ':')
		good += 1 + strspn(value + good + 1, name_bytes);
	if (good == length && length >= 1 && length <= NAME_MAX_BYTES)
		return set_text(option, options, value);
	return option_refuse(problem, "%s is not 1 to %d of A-Z a-z 0-9 . _ -%s",
		option_quote(value, quote), NAME_MAX_BYTES,
		option->kind == OPTION_PREFIX ? " :" : "");
}

OPTION_SETTER(topic)
{
	char quote[OPTION_QUOTE_MAX];
	size_t length = strlen(value);
	if (length <= PRESENCE_ID_MAX && !strpbrk(value, "+#$") && *value != '/' &&
		value[length - 1] != '/' && !strstr(value, "//"))
		return set_text(option, options, value);
	return option_refuse(problem,
		"%s is no start of a topic: at most %d bytes, no + # $, no empty level",
		option_quote(value, quote), PRESENCE_ID_MAX);
}

OPTION_SETTER(path)
{
	char quote[OPTION_QUOTE_MAX];
	if (!strcmp(value, "none"))
		return PRESENCE_OK;
	bool is_absolute = *value == '/' && value[1];
	if (!is_absolute && option->secret)
		return option_refuse(problem,
			"is not the absolute path of a file with the "
			"password in it; it would start with /");
	if (!is_absolute)
		return option_refuse(problem, "%s is not an absolute path; start it with /",
			option_quote(value, quote));
	return set_text(option, options, value);
}

OPTION_CLEARER(text)
{
	char **text = option_field(option, options);
	free(*text);
	*text = NULL;
}

OPTION_PRINTER(text)
{
	char *const *text = option_field_const(option, options);
	(void)secrets;
	fputs(*text ? *text : "none", out);
}

/* Every enum of options.h is read and written as what the compiler makes of it. */
_Static_assert(sizeof(enum auth_mode) == sizeof(unsigned), "an enum is an unsigned");

OPTION_SETTER(word)
{
	char quote[OPTION_QUOTE_MAX], words[OPTIONS_PROBLEM_MAX / 2] = "";
	for (unsigned i = 0; option->words[i]; i++) {
		if (!strcmp(option->words[i], value)) {
			unsigned *word = option_field(option, options);
			*word = i;
			return PRESENCE_OK;
		}
		strcat(strcat(words, " "), option->words[i]);
	}
	return option_refuse(problem, "%s is none of:%s", option_quote(value, quote), words);
}

OPTION_PRINTER(word)
{
	const unsigned *word = option_field_const(option, options);
	(void)secrets;
	fputs(option->words[*word], out);
}

OPTION_SETTER(bool)
{
	char quote[OPTION_QUOTE_MAX];
	bool *yes = option_field(option, options);
	*yes = !strcmp(value, "true");
	if (*yes || !strcmp(value, "false"))
		return PRESENCE_OK;
	return option_refuse(problem, "%s is neither true nor false", option_quote(value, quote));
}

OPTION_PRINTER(bool)
{
	const bool *yes = option_field_const(option, options);
	(void)secrets;
	fputs(*yes ? "true" : "false", out);
}
