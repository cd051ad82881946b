/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
#ifndef PRESENCE_WIRE_DIGEST_H
#define PRESENCE_WIRE_DIGEST_H

/* By what a reader learns whether it missed a record: the exclusive or, over all records of a role,
 * of this. */

#include <stdint.h>

/* FNV-1a 64 over the topic and, right behind it, the rev in decimal. */
uint64_t digest_hash(const char *topic, int64_t rev);

#endif
