/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
#ifndef PRESENCE_WIRE_NEAREST_H
#define PRESENCE_WIRE_NEAREST_H

/* Which known word a mistyped one was probably meant to be. */

#include <stddef.h>

#define NEAREST_MAX 32 /* bytes of a known word; a longer one is no mistyped one */

struct nearest {
	const char *found; /* NULL: it looks like none so far */
	const char *word;
	size_t best;
};

struct nearest nearest_begin(const char *word);
/* If known is nearer than all before, found becomes meant. */
void nearest_try(struct nearest *nearest, const char *known, const char *meant);

#endif
