/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
#ifndef PRESENCE_TESTS_SIM_ROOM_H
#define PRESENCE_TESTS_SIM_ROOM_H

/* Memory for a test: there, or the test is over. */

#include <stdlib.h>
#include <string.h>

static inline void *room_of(size_t size)
{
	void *room = malloc(size ? size : 1);
	if (!room)
		abort();
	return room;
}

static inline void *more_room(void *room, size_t size)
{
	room = realloc(room, size);
	if (!room)
		abort();
	return room;
}

/* NULL stays NULL. */
static inline char *text_of(const char *text)
{
	return text ? strcpy(room_of(strlen(text) + 1), text) : NULL;
}

#endif
