/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
#ifndef PRESENCE_STORE_STORE_H
#define PRESENCE_STORE_STORE_H

/* A copy of presence outside the broker: SQLite (one file) or Redis, each behind one worker
 * thread. The broker's thread hands effects in and takes messages out, and never waits: no I/O,
 * and the one lock is held for pointer work only.
 *
 * Truth is the broker's memory: a store may lose all it holds and asks for it again with
 * PRESENCE_RESYNC. */

#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>

#include "core/presence.h"

/* Durations in ms. Strings are copied by store_create(). */
struct store_config {
	const char *node;      /* this broker's name, unique among all that share the store */
	uint64_t queue_max;    /* effects waiting before older ones of a device are merged */
	uint64_t subjects_max; /* of the core: so many are said again at once */
	/* SQLite */
	const char *state_file; /* absolute path */
	/* Redis */
	const char *redis_host; /* or NULL with redis_socket */
	uint16_t redis_port;
	const char *redis_socket;                /* path of a unix socket, or NULL */
	const char *redis_user, *redis_password; /* NULL: none */
	uint32_t redis_db;
	const char *redis_prefix;
	uint32_t redis_partitions;
	int64_t redis_ttl_ms;
	uint64_t redis_stream_maxlen; /* over all partitions */
	int64_t node_lease_ms, restart_grace_ms;
};

struct store_ops;

/* The kinds of store; pass one to store_create(). The null store keeps nothing and has no worker:
 * for a broker with neither Redis nor a state file. */
extern const struct store_ops store_null_ops;
extern const struct store_ops store_sqlite_ops;
extern const struct store_ops store_redis_ops;

struct store;

/* Starts the worker, with all signals blocked in it; nothing is opened yet, so that a store that
 * is away never keeps the broker from starting. NULL when out of memory or threads. */
struct store *store_create(const struct store_ops *ops, const struct store_config *config);

/* Says that the node is leaving, writes what is queued, for at most wait_ms, and ends. True when
 * everything was written. When the worker cannot be joined in time its memory is left to it. */
bool store_destroy(struct store *store, int64_t wait_ms);

/* Takes a copy of a PRESENCE_STORE, _STORE_OVERRIDE, _REFRESH, _FORGOTTEN, _ACTIVITY or _RESYNCED
 * effect; what its kind does not keep, and the other effects, it passes over. Order is kept. When
 * queue_max is reached, an older waiting contribution of the same device, or override of the same
 * subject, gives way and is counted; the newest is never lost: out of memory, the store asks for
 * PRESENCE_RESYNC by itself. Activities may be lost: they live for seconds. */
void store_put(struct store *store, const struct presence_effect *effect, int64_t now_ms);

/* The broker's loop turns: without this the worker lets its lease in Redis lapse. */
void store_beat(struct store *store, int64_t now_ms);

enum store_message_type {
	STORE_MESSAGE_EVENT, /* feed it to the core, times filled in: RESTORED, ASSERT, REV_SEEN, ..
			      */
	STORE_MESSAGE_LOG,   /* for the operator */
};

enum store_level { STORE_NOTICE, STORE_WARNING, STORE_ERROR };

struct store_message {
	enum store_message_type type;
	struct presence_event event; /* its strings live as long as the message */
	enum store_level level;
	const char *text;
};

/* The oldest message, to be given back with store_message_destroy(); NULL: none. */
struct store_message *store_take_message(struct store *store);
void store_message_destroy(struct store_message *message);

enum store_state { STORE_CONNECTING, STORE_READY, STORE_FENCED, STORE_FAILED, STORE_LEAVING };
const char *store_state_name(enum store_state state);

/* A worker that has not come back from one piece of work for so long. */
#define STORE_HUNG_MS 5000

/* A snapshot; zeros for what a kind of store does not have. */
struct store_stats {
	enum store_state state;
	uint64_t queue;  /* effects waiting or sent and unanswered */
	int64_t lag_ms;  /* age of the oldest of them; not less than hung_ms */
	int64_t hung_ms; /* how long the worker has been away, from STORE_HUNG_MS on; not ready */
	uint64_t merged; /* contributions that gave way in a full queue */
	uint64_t lost;   /* log lines that found no room */
	uint64_t epoch, gen, resyncs, fenced, lost_connections;
	bool evicting; /* Redis may evict: its policy is not noeviction */
	/* What an earlier boot left is among the messages, or cannot be had for the moment. */
	bool has_told;
};
void store_get_stats(struct store *store, int64_t now_ms, struct store_stats *stats);

#endif
