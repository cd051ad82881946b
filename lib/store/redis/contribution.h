/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
#ifndef PRESENCE_STORE_REDIS_CONTRIBUTION_H
#define PRESENCE_STORE_REDIS_CONTRIBUTION_H

/* How subjects and contributions stand in keys and arguments. */

#include "store/mailbox.h"
#include "store/redis/out.h"
#include "wire/topic.h"

#define REDIS_FIELDS 20        /* arguments of a contribution, as apply_1.lua counts them */
#define REDIS_REFRESH_FIELDS 3 /* and refresh_1.lua */

/* "<role>/<id>", both encoded. */
int redis_name_write(const char *role, const char *id, char out[PRESENCE_TOPIC_MAX]);
/* The inverse. */
int redis_name_read(const char *name, char role[PRESENCE_ID_MAX + 1], char id[PRESENCE_ID_MAX + 1]);
/* CRC16/XMODEM of name, as Redis Cluster counts its slots, over partitions. */
uint32_t redis_partition_of(const char *name, uint32_t partitions);

/* Where item belongs: to its subject, or an activity to its conversation. */
int redis_place_of(const struct store_item *item, uint32_t partitions, uint32_t *place);

struct redis_moment {
	int64_t now_ms, wall_ms;
	int64_t retain_ms; /* for an offline record whose effect does not say */
};

/* REDIS_FIELDS arguments of a PRESENCE_STORE, _STORE_OVERRIDE, _FORGOTTEN or _ACTIVITY. */
void redis_contribution_write(
	struct redis_out *out, const struct store_item *item, const struct redis_moment *moment);
/* REDIS_REFRESH_FIELDS arguments of a PRESENCE_REFRESH. */
void redis_refresh_write(struct redis_out *out, const struct store_item *item);

#endif
