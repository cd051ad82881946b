/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
#include "ctl/flag.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "wire/number.h"
#include "wire/utf8.h"

enum { MS_PER_S = 1000 };

const struct flag *flag_find(const char *word, size_t length)
{
	if (length < 2 || word[0] != '-')
		return NULL;
	for (size_t i = 0; i < flag_count; i++) {
		const struct flag *flag = &flag_table[i];
		if (length == 2 && flag->letter && word[1] == flag->letter)
			return flag;
		if (length > 3 && word[1] == '-' && strlen(flag->name) == length - 2 &&
			!memcmp(word + 2, flag->name, length - 2))
			return flag;
	}
	return NULL;
}

int64_t flag_word(const char *const *words, const char *word)
{
	for (int64_t i = 0; words[i]; i++)
		if (!strcmp(words[i], word))
			return i;
	return -1;
}

static void *field(const struct flag *flag, struct settings *settings)
{
	return (char *)settings + flag->offset;
}

static bool refuse(const struct flag *flag, const char *value, const char *why, char *problem)
{
	(void)snprintf(problem, SETTINGS_PROBLEM_MAX, "--%s%s%.64s: %s", flag->name,
		value[0] ? " " : "", value, why);
	return false;
}

static bool refuse_word(const struct flag *flag, const char *value, char *problem)
{
	char why[256] = "";
	size_t used = 0;
	for (size_t i = 0; flag->words[i] && used < sizeof(why); i++)
		used += (size_t)snprintf(why + used, sizeof(why) - used, "%s%s",
			i ? ", " : "it is one of ", flag->words[i]);
	return refuse(flag, value, why, problem);
}

static bool set_number(
	const struct flag *flag, struct settings *settings, const char *value, char *problem)
{
	char why[96];
	int64_t number;
	const char *rest = number_read(value, &number);
	if (!rest || *rest || number < flag->min || number > flag->max) {
		(void)snprintf(why, sizeof(why), "it must be a number from %" PRId64 " to %" PRId64,
			flag->min, flag->max);
		return refuse(flag, value, why, problem);
	}
	*(int64_t *)field(flag, settings) = number;
	return true;
}

/* The place of value in the words of flag, of which the prefix may be left out. */
static int64_t place_of(const struct flag *flag, const char *value)
{
	int64_t place = flag_word(flag->words, value);
	if (place >= 0 || !flag->prefix)
		return place;
	char word[32];
	(void)snprintf(word, sizeof(word), "%s%.16s", flag->prefix, value);
	return flag_word(flag->words, word);
}

static bool set_duration(
	const struct flag *flag, struct settings *settings, const char *value, char *problem)
{
	int64_t ms = 0;
	switch (duration_read(value, &ms)) {
	case NUMBER_OK:
		break;
	case NUMBER_MONTH:
		return refuse(flag, value, "write min for minutes", problem);
	case NUMBER_NO_UNIT: /* seconds, as in commands */
		(void)number_read(value, &ms);
		ms = ms < INT64_MAX / MS_PER_S ? ms * MS_PER_S : INT64_MAX;
		break;
	case NUMBER_NONE:
		return refuse(flag, value, "it must be a duration, like 90s, 45min or 8h", problem);
	}
	if (ms < flag->min || ms > flag->max)
		return refuse(flag, value,
			ms < flag->min ? "that is too short" : "that is too long", problem);
	*(int64_t *)field(flag, settings) = ms;
	return true;
}

/* "mqtt://user:password@host:port", taken as mosquitto_sub does: the bytes as they stand. */
static bool set_url(
	const struct flag *flag, struct settings *settings, const char *value, char *problem)
{
	static const char plain[] = "mqtt://", tls[] = "mqtts://";
	bool is_tls = !strncmp(value, tls, strlen(tls));
	/* The value may hold a password: it is not repeated. */
	if (!is_tls && strncmp(value, plain, strlen(plain)))
		return refuse(flag, "", "it must start with mqtt:// or mqtts://", problem);
	const char *start = value + strlen(is_tls ? tls : plain),
		   *end = start + strcspn(start, "/");
	if (end[0] && end[1])
		return refuse(flag, "", "it takes no topic: remove what follows the host", problem);
	char *rest = settings_keep(settings, start, (size_t)(end - start));
	if (!rest)
		return refuse(flag, "", "out of memory", problem);
	char *host = strrchr(rest, '@');
	if (host) {
		*host++ = '\0';
		char *password = strchr(rest, ':');
		if (password)
			*password++ = '\0';
		settings->username = rest;
		settings->password = password;
	} else {
		host = rest;
	}
	/* An IPv6 address stands in brackets. */
	char *bracket = *host == '[' ? strchr(host, ']') : NULL;
	char *port = strchr(bracket ? bracket : host, ':');
	int64_t number = 0;
	if (port) {
		*port++ = '\0';
		const char *after = number_read(port, &number);
		if (!after || *after || number < 1 || number > UINT16_MAX)
			return refuse(flag, "", "its port must be a number up to 65535", problem);
	}
	if (bracket) {
		*bracket = '\0';
		host++;
	}
	if (!*host)
		return refuse(flag, "", "it names no host", problem);
	settings->host = host;
	settings->port = number;
	settings->tls_os_certs = settings->tls_os_certs || is_tls;
	return true;
}

bool flag_set(const struct flag *flag, struct settings *settings, const char *value,
	char problem[SETTINGS_PROBLEM_MAX])
{
	switch (flag->kind) {
	case FLAG_SWITCH:
		*(bool *)field(flag, settings) = true;
		return true;
	case FLAG_CHOICE:
		if (flag_word(flag->words, value) < 0)
			return refuse_word(flag, value, problem);
		*(const char **)field(flag, settings) = value;
		return true;
	case FLAG_TEXT:
		/* What commands say goes into JSON. */
		if (!flag->connection && !utf8_valid(value))
			return refuse(flag, "", "it is not UTF-8", problem);
		*(const char **)field(flag, settings) = value;
		return true;
	case FLAG_FILE:
		*(const char **)field(flag, settings) = value;
		return true;
	case FLAG_NUMBER:
		return set_number(flag, settings, value, problem);
	case FLAG_DURATION:
		return set_duration(flag, settings, value, problem);
	case FLAG_WORD:
		if (place_of(flag, value) < 0)
			return refuse_word(flag, value, problem);
		*(int64_t *)field(flag, settings) = place_of(flag, value);
		return true;
	case FLAG_URL:
		return set_url(flag, settings, value, problem);
	}
	return false;
}
