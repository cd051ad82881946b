/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
#ifndef PRESENCE_PLUGIN_GUARD_H
#define PRESENCE_PLUGIN_GUARD_H

/* Nobody but us writes under our topics: neither clients, when they publish, nor, with topic_guard,
 * their wills. What a client writes on its own topic is what it declares. */

#include "plugin/clients.h"

/* topic_guard, on this broker: ACL_CHECK is ours to answer. */
bool guard_is_on(const struct plugin *plugin);
/* Whether a check is more than somebody's reading; what we answer to one that is not. */
bool guard_concerns(const struct mosquitto_evt_acl_check *check);
int guard_neutral(const struct plugin *plugin);
/* Both answer for the broker. */
int guard_check(struct plugin *plugin, const struct mosquitto_evt_acl_check *check);
int guard_message(struct plugin *plugin, const struct mosquitto_evt_message *message);

/* A write on one's own topic may be a will: it is held until what comes next tells. Before any
 * other event; and once per turn of the loop. */
void guard_before(struct plugin *plugin, int event, const void *data);
void guard_settle(struct plugin *plugin);
/* The client goes, and what is held of it. */
void guard_drop(struct client *client);
void guard_finish(struct plugin *plugin);
/* Its will, which nobody has shown us, may stand where its record should: says that again. */
void guard_repair(struct plugin *plugin, const struct mosquitto *pointer);

#endif
