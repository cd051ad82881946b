/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
#include "store/copy.h"

#include <stdlib.h>
#include <string.h>

static const char *string_at(const void *from, size_t offset)
{
	const char *string;
	memcpy(&string, (const char *)from + offset, sizeof(string));
	return string;
}

void *copy_with_strings(const struct copy_plan *plan, const void *from)
{
	size_t total = plan->whole;
	for (size_t i = 0; i < plan->count; i++) {
		const char *string = string_at(from, plan->strings[i]);
		total += string ? strlen(string) + 1 : 0;
	}
	char *whole = malloc(total);
	if (!whole)
		return NULL;
	memset(whole, 0, plan->whole);
	memcpy(whole + plan->place, from, plan->size);
	char *end = whole + plan->whole;
	for (size_t i = 0; i < plan->count; i++) {
		const char *string = string_at(from, plan->strings[i]);
		if (!string)
			continue;
		size_t size = strlen(string) + 1;
		memcpy(end, string, size);
		memcpy(whole + plan->place + plan->strings[i], &end, sizeof(end));
		end += size;
	}
	return whole;
}
