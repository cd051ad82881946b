/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
#ifndef TESTS_SDK_C_WORDS_H
#define TESTS_SDK_C_WORDS_H

#include <string.h>

/* An enum presence_client_override; -1: there is none of that name. */
static inline int override_of(const char *word)
{
	static const char *const words[] = { "online", "away", "dnd", "invisible" };
	for (int i = 0; i < 4; i++)
		if (!strcmp(words[i], word))
			return i;
	return -1;
}

#endif
