/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
#ifndef PRESENCE_CTL_ROFF_H
#define PRESENCE_CTL_ROFF_H

/* Text that roff shows as it is. */

#include <stdio.h>

/* One paragraph's text, and the end of its line. */
void roff_text(const char *text, FILE *out);
/* The same, without the end of the line; for pieces of a line. */
void roff_word(const char *text, FILE *out);

#endif
