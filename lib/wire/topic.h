/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
#ifndef PRESENCE_WIRE_TOPIC_H
#define PRESENCE_WIRE_TOPIC_H

/* Names on the wire: which ids qualify, and how they stand in topics and keys. */

#include <stdbool.h>
#include <stddef.h>

#define PRESENCE_ID_MAX 128 /* bytes of a role, id or device, raw */
#define PRESENCE_ENCODED_MAX (3 * PRESENCE_ID_MAX)
#define PRESENCE_TOPIC_MAX 2048 /* of any topic or key written here, with its terminator */

/* Valid UTF-8 without control characters (C0, DEL, C1) or noncharacters, 1 to PRESENCE_ID_MAX
 * bytes. */
bool topic_id_valid(const char *id);

/* Writes id with / + # % $ : { } percent-encoded in uppercase hex (docs/PROTOCOL.md). Returns the
 * length, or PRESENCE_EINVAL when size does not hold it and its terminator. */
int topic_encode(const char *id, char *out, size_t size);

/* The inverse: out becomes a valid id. PRESENCE_EINVAL for anything topic_encode() would not have
 * written of one. */
int topic_decode(const char *encoded, size_t length, char *out, size_t size);

/* Writes "<base>/<role>/<id>", both encoded. As topic_encode(). */
int topic_subject(const char *base, const char *role, const char *id, char *out, size_t size);

/* Writes "<base>/<role>/<id>/devices/<device>". As topic_encode(). */
int topic_device(const char *base, const char *role, const char *id, const char *device, char *out,
	size_t size);

/* Writes "<base>/<conversation>/<role>/<id>". As topic_encode(). */
int topic_activity(const char *base, const char *conversation, const char *role, const char *id,
	char *out, size_t size);

/* True when topic is base itself or lies under it. */
bool topic_under(const char *topic, const char *base);

#endif
