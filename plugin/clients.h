/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
#ifndef PRESENCE_PLUGIN_CLIENTS_H
#define PRESENCE_PLUGIN_CLIENTS_H

#include "plugin/plugin.h"

struct held; /* guard.c: what it wrote, or its will */

/* A connection as the broker knows it. The broker re-uses the addresses of clients that have gone,
 * and reports ends under the id of clients that have not: a pointer means something only from its
 * CONNECT to its DISCONNECT, an id nothing at all. */
struct client {
	struct table_node by_pointer;
	struct table_node by_id; /* from when it is connected: is_connected */
	struct mosquitto *pointer;
	uint64_t token; /* 0: not tracked, or pending */
	uint64_t tick;  /* the turn of the loop in which it came */
	struct client *next_pending, *previous_pending;
	struct held *held;            /* or NULL */
	struct rate commands, excess; /* excess: when it was told of too many commands */
	bool is_connected;
	bool was_kicked; /* by us: 2.0.x does not tell */
	bool is_pending; /* 2.0.x: asked to be let in, not confirmed yet */
	bool wrote_own;  /* it published on its own topic, and so may its will */
};

/* NULL: nothing that we have seen come. */
struct client *client_find(const struct plugin *plugin, const struct mosquitto *pointer);
/* The one that is connected under this id; NULL: none that we know. */
struct client *client_of_id(const struct plugin *plugin, const char *client_id);
/* It did something: on 2.0.x the first sign of those that were let in unasked. NULL: nobody that we
 * know, or out of memory. */
struct client *client_heard(struct plugin *plugin, struct mosquitto *pointer);
/* 2.0.x: another one is about to have its client id. */
bool client_is_replaced(const struct plugin *plugin, const struct client *client);

#endif
