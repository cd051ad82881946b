/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
#include "ctl/subject.h"

#include <stdio.h>
#include <string.h>

bool subject_read(const char *text, struct subject *subject)
{
	size_t length = strcspn(text, "/");
	if (!text[length] || length > PRESENCE_ID_MAX ||
		strlen(text + length + 1) > PRESENCE_ID_MAX)
		return false;
	memcpy(subject->role, text, length);
	subject->role[length] = '\0';
	strcpy(subject->id, text + length + 1);
	return topic_id_valid(subject->role) && topic_id_valid(subject->id);
}

const char *subject_name(const struct subject *subject, char name[PRESENCE_TOPIC_MAX])
{
	char role[PRESENCE_ENCODED_MAX + 1] = "", id[PRESENCE_ENCODED_MAX + 1] = "";
	/* What is valid fits. */
	(void)topic_encode(subject->role, role, sizeof(role));
	(void)topic_encode(subject->id, id, sizeof(id));
	(void)snprintf(name, PRESENCE_TOPIC_MAX, "%s/%s", role, id);
	return name;
}

bool subject_of_topic(const char *base, const char *topic, struct subject *subject)
{
	size_t length = strlen(base);
	if (strncmp(topic, base, length) || topic[length] != '/')
		return false;
	const char *role = topic + length + 1, *id = strchr(role, '/');
	if (!id++)
		return false;
	return topic_decode(role, (size_t)(id - 1 - role), subject->role, sizeof(subject->role)) >=
		0 &&
		topic_decode(id, strlen(id), subject->id, sizeof(subject->id)) >= 0;
}

/* A level of a filter: + as it stands, a name encoded. */
static bool encode_level(const char *text, size_t length, char *out, size_t size)
{
	char name[PRESENCE_ID_MAX + 1];
	if (length == 0 || length > PRESENCE_ID_MAX)
		return false;
	memcpy(name, text, length);
	name[length] = '\0';
	if (!strcmp(name, "+") || !strcmp(name, "*")) {
		strcpy(out, "+");
		return true;
	}
	return topic_id_valid(name) && topic_encode(name, out, size) > 0;
}

bool subject_filter(const char *base, const char *pattern, char filter[PRESENCE_TOPIC_MAX])
{
	char role[PRESENCE_ENCODED_MAX + 1] = "+", id[PRESENCE_ENCODED_MAX + 1] = "+";
	if (pattern) {
		size_t length = strcspn(pattern, "/");
		const char *rest = pattern + length + (pattern[length] == '/');
		if (!encode_level(pattern, length, role, sizeof(role)) ||
			(*rest && !encode_level(rest, strlen(rest), id, sizeof(id))))
			return false;
	}
	int length = snprintf(filter, PRESENCE_TOPIC_MAX, "%s/%s/%s", base, role, id);
	return length > 0 && length < PRESENCE_TOPIC_MAX;
}
