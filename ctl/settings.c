/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
#include "ctl/settings.h"

#include <stdlib.h>
#include <string.h>

enum { KEEPALIVE_S = 60, TIMEOUT_MS = 5000 };

void settings_init(struct settings *settings)
{
	*settings = (struct settings){
		.keepalive = KEEPALIVE_S,
		.timeout_ms = TIMEOUT_MS,
		.topic = "presence",
	};
}

void settings_finish(struct settings *settings)
{
	for (size_t i = 0; i < settings->kept_count; i++)
		free(settings->kept[i]);
	free(settings->kept);
	settings->kept = NULL;
	settings->kept_count = 0;
}

char *settings_keep(struct settings *settings, const char *bytes, size_t length)
{
	char **kept = realloc(settings->kept, (settings->kept_count + 1) * sizeof(*kept));
	if (!kept)
		return NULL;
	settings->kept = kept;
	char *copy = malloc(length + 1);
	if (!copy)
		return NULL;
	memcpy(copy, bytes, length);
	copy[length] = '\0';
	kept[settings->kept_count++] = copy;
	return copy;
}
