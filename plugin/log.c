/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
#include <stdarg.h>
#include <stdio.h>

#include "plugin/plugin.h"

enum { LINE_MAX_BYTES = 1024, LIMIT_MS = 60000 };

void log_line(enum log_level level, const char *format, ...)
{
	static const struct {
		int level;
		const char *prefix;
	} levels[] = {
		[LOG_NOTICE] = { MOSQ_LOG_NOTICE, "" },
		[LOG_WARNING] = { MOSQ_LOG_WARNING, "Warning: " },
		[LOG_ERROR] = { MOSQ_LOG_ERR, "Error: " },
	};
	char line[LINE_MAX_BYTES];
	va_list arguments;
	va_start(arguments, format);
	(void)vsnprintf(line, sizeof(line), format, arguments); /* cut, at worst */
	va_end(arguments);
	/* Client ids and topics are strangers' bytes: nothing in them may act on a terminal. */
	for (char *byte = line; *byte; byte++)
		if ((unsigned char)*byte < ' ' || *byte == '\x7f')
			*byte = '?';
	mosquitto_log_printf(levels[level].level, "%spresence: %s", levels[level].prefix, line);
}

bool log_allowed(struct log_limit *limit, int64_t now_ms, uint64_t *unsaid)
{
	if (limit->next_ms > now_ms) {
		limit->unsaid++;
		return false;
	}
	*unsaid = limit->unsaid;
	*limit = (struct log_limit){ .next_ms = now_ms + LIMIT_MS };
	return true;
}
