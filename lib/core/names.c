/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
#include "core/presence.h"

#include <string.h>

static const char *const statuses[] = {
#define PRESENCE_STATUS(number, name, word) [number] = (word),
#include "core/statuses.def"
#undef PRESENCE_STATUS
};

static const char *const reasons[] = {
#define PRESENCE_REASON(name, word) [PRESENCE_REASON_##name] = (word),
#include "core/reasons.def"
#undef PRESENCE_REASON
};

static const char *const sources[] = {
	[PRESENCE_INFERRED] = "inferred",
	[PRESENCE_APP] = "app",
	[PRESENCE_MANUAL] = "manual",
};

#define COUNT_OF(array) (sizeof(array) / sizeof(*(array)))

static int parse(const char *const words[], size_t count, const char *word)
{
	for (size_t i = 0; i < count; i++)
		if (!strcmp(words[i], word))
			return (int)i;
	return PRESENCE_EINVAL;
}

const char *presence_status_name(enum presence_status status)
{
	return statuses[status];
}

const char *presence_reason_name(enum presence_reason reason)
{
	return reasons[reason];
}

const char *presence_source_name(enum presence_source source)
{
	return sources[source];
}

int presence_status_parse(const char *word, enum presence_status *status)
{
	int found = parse(statuses, COUNT_OF(statuses), word);
	if (found < 0)
		return found;
	*status = (enum presence_status)found;
	return PRESENCE_OK;
}

int presence_reason_parse(const char *word, enum presence_reason *reason)
{
	int found = parse(reasons, COUNT_OF(reasons), word);
	if (found < 0)
		return found;
	*reason = (enum presence_reason)found;
	return PRESENCE_OK;
}

int presence_source_parse(const char *word, enum presence_source *source)
{
	int found = parse(sources, COUNT_OF(sources), word);
	if (found < 0)
		return found;
	*source = (enum presence_source)found;
	return PRESENCE_OK;
}
