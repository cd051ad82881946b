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

static const char *const overrides[] = {
	[PRESENCE_OVERRIDE_NONE] = "none",
	[PRESENCE_OVERRIDE_ONLINE] = "online",
	[PRESENCE_OVERRIDE_AWAY] = "away",
	[PRESENCE_OVERRIDE_DND] = "dnd",
	[PRESENCE_OVERRIDE_INVISIBLE] = "invisible",
};

static const char *const activities[] = {
	[PRESENCE_TYPING] = "typing",
	[PRESENCE_RECORDING] = "recording",
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

const char *presence_override_name(enum presence_override override)
{
	return overrides[override];
}

const char *presence_activity_name(enum presence_activity activity)
{
	return activities[activity];
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

int presence_override_parse(const char *word, enum presence_override *override)
{
	int found = parse(overrides, COUNT_OF(overrides), word);
	if (found < 0)
		return found;
	*override = (enum presence_override)found;
	return PRESENCE_OK;
}

int presence_activity_parse(const char *word, enum presence_activity *activity)
{
	int found = parse(activities, COUNT_OF(activities), word);
	if (found < 0)
		return found;
	*activity = (enum presence_activity)found;
	return PRESENCE_OK;
}
