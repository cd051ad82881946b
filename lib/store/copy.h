/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
#ifndef PRESENCE_STORE_COPY_H
#define PRESENCE_STORE_COPY_H

/* Structs that borrow strings, copied together with them in one allocation, so that one free()
 * ends both and half a copy cannot exist. */

#include <stddef.h>

struct copy_plan {
	size_t whole;          /* bytes of the struct to allocate; what is not copied is zero */
	size_t place;          /* where in it the copy goes */
	size_t size;           /* of the copy */
	const size_t *strings; /* offsets, in the copy, of its const char *; they may be NULL */
	size_t count;
};

/* NULL when out of memory. */
void *copy_with_strings(const struct copy_plan *plan, const void *from);

#endif
