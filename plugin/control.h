/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
#ifndef PRESENCE_PLUGIN_CONTROL_H
#define PRESENCE_PLUGIN_CONTROL_H

/* Inside control*.c: a command being carried out. */

#include "plugin/clients.h"
#include "wire/command.h"
#include "wire/replies.h"

struct request {
	struct plugin *plugin;
	struct client *client;
	const char *client_id,
		*username; /* the latter as the broker has authenticated it, or NULL */
	bool is_admin;
	const struct command *command;
	struct replies *replies;
};

/* Carries out request->command, which has no problem, and replies. */
void control_run(struct request *request);

/* control_ask.c */
void control_get_presence(struct request *request);
void control_list_presence(struct request *request);
void control_get_stats(struct request *request);
void control_list_nodes(struct request *request);

#endif
