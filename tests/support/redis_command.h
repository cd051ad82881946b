/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
#ifndef PRESENCE_TESTS_REDIS_COMMAND_H
#define PRESENCE_TESTS_REDIS_COMMAND_H

#include <stdlib.h>

/* "*3\r\n$7\r\nEVALSHA\r\n..": how long the first of a writer's commands is. */
static inline size_t command_length(const char *bytes)
{
	char *at;
	long count = strtol(bytes + 1, &at, 10);
	at += 2;
	for (long i = 0; i < count; i++) {
		long length = strtol(at + 1, &at, 10);
		at += 2 + length + 2;
	}
	return (size_t)(at - bytes);
}

#endif
