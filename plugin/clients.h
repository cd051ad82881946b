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
	struct mosquitto *pointer;
	uint64_t token; /* 0: not tracked, or pending */
	uint64_t tick;  /* the turn of the loop in which it came */
	struct client *next_pending, *previous_pending;
	struct held *held; /* or NULL */
	bool is_pending;   /* 2.0.x: asked to be let in, not confirmed yet */
	bool wrote_own;    /* it published on its own topic, and so may its will */
};

/* NULL: nothing that we have seen come. */
struct client *client_find(const struct plugin *plugin, const struct mosquitto *pointer);
/* 2.0.x: another one is about to have its client id. */
bool client_is_replaced(const struct plugin *plugin, const struct client *client);

#endif
