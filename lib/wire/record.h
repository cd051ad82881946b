/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
#ifndef PRESENCE_WIRE_RECORD_H
#define PRESENCE_WIRE_RECORD_H

/* The record on the wire: one line of JSON, keys in the order docs/PROTOCOL.md gives. */

#include <stddef.h>

#include "core/presence.h"

#define RECORD_VERSION 1         /* "v": readers refuse others */
#define PRESENCE_RECORD_MAX 4096 /* bytes of any record, with its terminator */

/* Writes the record of node. Returns its length, or PRESENCE_EINVAL when size does not hold it
 * and its terminator. Allocates nothing. */
int record_write(const struct presence_record *record, const char *node, char *out, size_t size);

/* The same for what stands on the topic of a device (PRESENCE_DEVICE) and of an activity
 * (PRESENCE_ACTIVITY). */
int device_write(const struct presence_effect *effect, char *out, size_t size);
int activity_write(const struct presence_effect *effect, char *out, size_t size);

/* Readers ignore unknown keys, accept unknown reasons (they read as unknown) and sources (as
 * inferred), and take an unknown status as not offline (it reads as online). All keys but note and
 * until are needed. PRESENCE_EINVAL: not a record, or one of more than PRESENCE_RECORD_MAX;
 * PRESENCE_ENOMEM. On success the strings of record live in *storage, which the caller frees with
 * record_free(); on error *storage is NULL. */
struct record_storage;
int record_read(const char *json, size_t length, struct presence_record *record,
	struct record_storage **storage);
/* Which broker says so, as the record has it; lives as long as storage. */
const char *record_node(const struct record_storage *storage);
void record_free(struct record_storage *storage);

#endif
