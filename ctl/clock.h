/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
#ifndef PRESENCE_CTL_CLOCK_H
#define PRESENCE_CTL_CLOCK_H

#include <stdint.h>

int64_t clock_ms(void);      /* never goes back */
int64_t clock_wall_ms(void); /* since the epoch */

/* Something that nobody can guess; at worst the time. */
uint64_t random_number(void);

#endif
