/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
#include "wire/options_layer.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "core/presence.h"
#include "wire/option_kind.h"
#include "wire/utf8.h"

#define LINE_MAX_BYTES (OPTION_VALUE_MAX + 64) /* a value and its key */

#define KEY_QUOTE_MAX 64 /* of an unknown key, in bytes */

static const char blanks[] = " \t\r";
static const char key_bytes[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_";

/* "where: why", as the problem. */
static int refuse(struct options_layer *layer, const char *key, const char *why)
{
	if (layer->file_name)
		return option_refuse(
			layer->problem, "%s:%zu: %s: %s", layer->file_name, layer->line, key, why);
	return option_refuse(layer->problem, "plugin_opt_%s: %s", key, why);
}

static int refuse_unknown(struct options_layer *layer, const char *key, const char *hint)
{
	static const char broker_prefix[] = "plugin_opt_";
	char why[OPTIONS_PROBLEM_MAX], word[KEY_QUOTE_MAX + 1];
	size_t length = strspn(key, key_bytes);
	if (key[length]) {
		/* redis_url=redis://:secret@host: what follows may be a password. */
		(void)snprintf(word, sizeof(word), "%.*s", (int)length, key); /* may be cut */
		return refuse(layer, word,
			"unknown option; a key is letters, digits and _, then comes a blank and "
			"the value");
	}
	if (!strncmp(key, broker_prefix, strlen(broker_prefix)))
		(void)option_refuse(why, "unknown option; here keys stand without plugin_opt_");
	else if (hint)
		(void)option_refuse(why, "unknown option %s; did you mean %s?", key, hint);
	else
		(void)option_refuse(
			why, "unknown option %s; mosquitto.conf.example shows all there are", key);
	return refuse(layer, key, why);
}

/* What # is part of: paths, patterns and passwords may hold one, but not after a blank. */
static bool holds_comment(const struct option *option, const char *value)
{
	bool may = option->kind == OPTION_PATH || option->kind == OPTION_IDENTITY ||
		option->kind == OPTION_REDIS;
	return may ? strstr(value, " #") || *value == '#' : strchr(value, '#') != NULL;
}

/* What is wrong with a value of any kind; NULL: nothing. */
static const char *check_value(
	const struct options_layer *layer, const struct option *option, const char *value)
{
	if (option->repeatable ? false : layer->seen[option - options_table])
		return "is given twice; remove one";
	if (layer->file_name && option->kind == OPTION_PATH &&
		option->offset == offsetof(struct options, config_file))
		return "names this file; it can only stand in the broker's configuration";
	if (!*value)
		return "has no value";
	if (!utf8_printable(value, strlen(value)))
		return "holds a tab, another control character or something that is not UTF-8";
	if (holds_comment(option, value))
		return "has a # in its value; it starts a comment only as the first character of a "
		       "line: put the comment on a line of its own";
	return NULL;
}

static int set(struct options_layer *layer, const struct option *option, const char *value)
{
	bool *seen = &layer->seen[option - options_table];
	char why[OPTIONS_PROBLEM_MAX];
	if (!*seen)
		option_clear(option, layer->options);
	*seen = true;
	int err = option_set(option, layer->options, value, why);
	return err == PRESENCE_EINVAL ? refuse(layer, option->key, why) : err;
}

int options_layer_set(struct options_layer *layer, const char *key, const char *value)
{
	const char *hint, *why;
	char trimmed[OPTION_VALUE_MAX + 1];
	const struct option *option = option_find(key, &hint);
	assert(options_table_count <= OPTIONS_MAX);
	if (!option)
		return refuse_unknown(layer, key, hint);
	value += strspn(value, blanks);
	size_t length = strlen(value);
	while (length && strchr(blanks, value[length - 1]))
		length--;
	if (length > OPTION_VALUE_MAX)
		return refuse(layer, key, "has a value that is too long, of more than 1023 bytes");
	memcpy(trimmed, value, length);
	trimmed[length] = '\0';
	why = check_value(layer, option, trimmed);
	return why ? refuse(layer, key, why) : set(layer, option, trimmed);
}

static int refuse_line(struct options_layer *layer, const char *why)
{
	return option_refuse(layer->problem, "%s:%zu: %s", layer->file_name, layer->line, why);
}

/* One line, terminated, that may be changed. */
static int read_line(struct options_layer *layer, char *line)
{
	char *key = line + strspn(line, blanks);
	if (!*key || *key == '#')
		return PRESENCE_OK;
	char *value = key + strcspn(key, blanks);
	if (*value)
		*value++ = '\0';
	if (!utf8_printable(key, strlen(key)))
		return refuse_line(layer, "is not text; each line is a key and its value");
	return options_layer_set(layer, key, value);
}

int options_layer_read(struct options_layer *layer, const char *text, size_t length)
{
	char line[LINE_MAX_BYTES + 1];
	for (const char *end = text + length; text < end;) {
		const char *line_end = memchr(text, '\n', (size_t)(end - text));
		size_t line_length = (size_t)((line_end ? line_end : end) - text);
		layer->line++;
		if (line_length > LINE_MAX_BYTES)
			return refuse_line(layer, "is too long");
		if (memchr(text, '\0', line_length))
			return refuse_line(layer, "is not text; each line is a key and its value");
		memcpy(line, text, line_length);
		line[line_length] = '\0';
		int err = read_line(layer, line);
		if (err)
			return err;
		text += line_length + (line_end != NULL);
	}
	return PRESENCE_OK;
}
