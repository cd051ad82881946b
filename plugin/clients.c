/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
#include "plugin/clients.h"

#include <stdlib.h>
#include <string.h>

#include "plugin/guard.h"

enum { REASON_NONE = -1 };

static enum presence_end end_of(const struct client *client, int reason)
{
	/* By number: the names of some have moved between versions. */
	switch (reason) {
	case REASON_NONE: /* 2.0.x never says */
		return client->was_kicked ? PRESENCE_END_KICKED : PRESENCE_END_UNKNOWN;
	case 0:
		return PRESENCE_END_DISCONNECT;
	case 7:  /* CONN_LOST */
	case 14: /* ERRNO: it broke while something was written to it */
		return PRESENCE_END_LOST;
	case 19: /* KEEPALIVE */
		return PRESENCE_END_KEEPALIVE;
	case 142: /* SESSION_TAKEN_OVER */
		return PRESENCE_END_TAKEOVER;
	case 152: /* ADMINISTRATIVE_ACTION */
		return PRESENCE_END_KICKED;
	default:
		return PRESENCE_END_PROTOCOL;
	}
}

/* Nobody chooses a pointer. */
static uint64_t hash_of(const struct mosquitto *pointer)
{
	uint64_t hash = (uint64_t)(uintptr_t)pointer * 0x9e3779b97f4a7c15;
	return hash ^ hash >> 32;
}

/* Of client ids only hashes are compared: what is done with one, the broker does. */
static bool any_matches(const struct table_node *node, const void *unused)
{
	(void)node;
	(void)unused;
	return true;
}

struct client *client_of_id(const struct plugin *plugin, const char *client_id)
{
	struct table_node *node = table_find(
		&plugin->clients_by_id, plugin_hash(plugin, client_id), any_matches, NULL);
	return node ? TABLE_ENTRY(node, struct client, by_id) : NULL;
}

static bool pointer_matches(const struct table_node *node, const void *pointer)
{
	return TABLE_CONST_ENTRY(node, struct client, by_pointer)->pointer == pointer;
}

struct client *client_find(const struct plugin *plugin, const struct mosquitto *pointer)
{
	struct table_node *node = table_find(
		&plugin->clients, hash_of(pointer), pointer_matches, pointer);
	return node ? TABLE_ENTRY(node, struct client, by_pointer) : NULL;
}

static void unlink_pending(struct plugin *plugin, struct client *client)
{
	if (!client->is_pending)
		return;
	if (client->previous_pending)
		client->previous_pending->next_pending = client->next_pending;
	else
		plugin->pending_first = client->next_pending;
	if (client->next_pending)
		client->next_pending->previous_pending = client->previous_pending;
	else
		plugin->pending_last = client->previous_pending;
	client->next_pending = client->previous_pending = NULL;
	client->is_pending = false;
}

static void link_pending(struct plugin *plugin, struct client *client)
{
	client->is_pending = true;
	client->previous_pending = plugin->pending_last;
	if (plugin->pending_last)
		plugin->pending_last->next_pending = client;
	else
		plugin->pending_first = client;
	plugin->pending_last = client;
}

int clients_init(struct plugin *plugin)
{
	return table_init(&plugin->clients) || table_init(&plugin->clients_by_id) ? PRESENCE_ENOMEM
										  : PRESENCE_OK;
}

static void free_client(struct table_node *node)
{
	free(TABLE_ENTRY(node, struct client, by_pointer));
}

void clients_finish(struct plugin *plugin)
{
	table_clear(&plugin->clients, free_client);
	table_finish(&plugin->clients);
	table_finish(&plugin->clients_by_id);
}

static struct client *client_add(struct plugin *plugin, struct mosquitto *pointer)
{
	struct client *client = calloc(1, sizeof(*client));
	if (!client) {
		plugin_refuse(plugin, REFUSED_MEMORY, mosquitto_client_id(pointer), "a client");
		return NULL;
	}
	client->pointer = pointer;
	client->tick = plugin->ticks;
	client->by_pointer.hash = hash_of(pointer);
	table_insert(&plugin->clients, &client->by_pointer);
	return client;
}

static void set_connected(struct plugin *plugin, struct client *client, bool is_connected)
{
	if (is_connected == client->is_connected)
		return;
	client->is_connected = is_connected;
	if (is_connected)
		table_insert(&plugin->clients_by_id, &client->by_id);
	else
		table_remove(&plugin->clients_by_id, &client->by_id);
}

static void client_remove(struct plugin *plugin, struct client *client)
{
	unlink_pending(plugin, client);
	set_connected(plugin, client, false);
	guard_drop(client);
	table_remove(&plugin->clients, &client->by_pointer);
	free(client);
}

static void end_session(struct plugin *plugin, struct client *client, int reason)
{
	if (!client->token)
		return;
	(void)plugin_feed(plugin,
		(struct presence_event){
			.type = PRESENCE_DISCONNECTED,
			.token = client->token,
			.end = end_of(client, reason),
		});
	client->token = 0;
}

/* The connection is real: it gets a token, and the core hears of it. */
static void begin_session(struct plugin *plugin, struct client *client)
{
	struct identity identity;
	const char *client_id = mosquitto_client_id(client->pointer);
	const char *username = mosquitto_client_username(client->pointer);

	unlink_pending(plugin, client);
	client->by_id.hash = plugin_hash(plugin, client_id ? client_id : "");
	set_connected(plugin, client, true);
	if (username)
		plugin->username_was_accepted = true;
	switch (identity_of(plugin->options, client_id, username, &identity)) {
	case IDENTITY_IGNORED:
		return;
	case IDENTITY_INVALID:
		plugin_refuse(plugin, REFUSED_ID, client_id, "an id that does not qualify");
		return;
	case IDENTITY_TRACKED:
		break;
	}
	int err = plugin_feed(plugin,
		(struct presence_event){
			.type = PRESENCE_CONNECTED,
			.token = ++plugin->last_token,
			.client_id = client_id,
			.role = identity.role,
			.id = identity.id,
			.device = identity.device,
			.unmatched = identity.unmatched,
		});
	if (!err)
		client->token = plugin->last_token;
	else if (err == PRESENCE_ESUBJECTS)
		plugin_refuse(plugin, REFUSED_SUBJECTS, client_id, "a subject beyond subjects_max");
	else if (err == PRESENCE_EDEVICES)
		plugin_refuse(plugin, REFUSED_DEVICES, client_id, "a device beyond devices_max");
	else
		plugin_refuse(plugin, REFUSED_MEMORY, client_id, "a client");
}

/* The entry for a pointer that just came, NULL when there is nothing to do. Loaded twice, we get
 * every event twice, in one turn of the loop. In a later turn it is another client, and the end of
 * the one before escaped us. */
static struct client *client_arrives(struct plugin *plugin, struct mosquitto *pointer)
{
	struct client *client = client_find(plugin, pointer);
	if (!client)
		return client_add(plugin, pointer);
	if (client->tick == plugin->ticks)
		return NULL;
	end_session(plugin, client, REASON_NONE);
	client_remove(plugin, client);
	return client_add(plugin, pointer);
}

void client_connected(struct plugin *plugin, struct mosquitto *pointer)
{
	struct client *client = client_arrives(plugin, pointer);
	if (client)
		begin_session(plugin, client);
}

/* When it reloads, 2.0.x asks again about all it knows: who is connected, and sessions that have no
 * connection. Only over WebSocket somebody may come before the next tick, and such a session has
 * none of those either. */
static bool is_asked_again(const struct plugin *plugin, const struct mosquitto *pointer)
{
	return plugin->is_rechecking &&
		(client_find(plugin, pointer) ||
			mosquitto_client_protocol(pointer) != mp_websockets);
}

void client_asks(struct plugin *plugin, struct mosquitto *pointer)
{
	if (is_asked_again(plugin, pointer))
		return;
	struct client *client = client_arrives(plugin, pointer);
	if (client)
		link_pending(plugin, client);
}

bool client_is_replaced(const struct plugin *plugin, const struct client *client)
{
	const char *id = mosquitto_client_id(client->pointer), *theirs;
	const struct client *other = plugin->pending_first;
	for (; id && other; other = other->next_pending) {
		theirs = mosquitto_client_id(other->pointer);
		if (other != client && theirs && !strcmp(theirs, id))
			return true;
	}
	return false;
}

void clients_promote(struct plugin *plugin)
{
	while (plugin->pending_first)
		begin_session(plugin, plugin->pending_first);
}

/* "defer" leaves the decision to whoever decides; where nobody does, 2.0.x refuses usernames. */
static void note_refusal(struct plugin *plugin, const struct client *client)
{
	if (plugin->username_was_accepted || plugin->username_refusal_was_said ||
		plugin->options->auth_mode == AUTH_MODE_ALLOW ||
		!mosquitto_client_username(client->pointer))
		return;
	plugin->username_refusal_was_said = true;
	log_line(LOG_WARNING,
		"a client with a username was refused and none has been let in yet. "
		"If this broker has no authentication at all (no password_file, no plugin for it), "
		"Mosquitto 2.0 refuses every username while this plugin defers: "
		"set plugin_opt_auth_mode allow");
}

/* Whoever wrote on its own topic probably has a will there, too, and is remembered: so has who
 * comes after it under the same client id, even if it goes before it has written anything. Not who
 * was refused. */
static bool expect_will(struct plugin *plugin, const struct client *client)
{
	const char *client_id = mosquitto_client_id(client->pointer);
	uint64_t hash = plugin_hash(plugin, client_id ? client_id : "");
	uint64_t *writer = &plugin->writers[hash % WRITERS];
	if (client->wrote_own)
		*writer = hash;
	return *writer == hash && (client->token || client_is_replaced(plugin, client));
}

void client_disconnected(struct plugin *plugin, struct mosquitto *pointer, int reason)
{
	struct client *client = client_find(plugin, pointer);
	if (!client)
		return;
	tick_after_will(plugin);
	if (client->is_pending)
		note_refusal(plugin, client);
	bool is_unclean = end_of(client, reason) != PRESENCE_END_DISCONNECT;
	bool needs_repair = is_unclean && expect_will(plugin, client);
	end_session(plugin, client, reason);
	if (needs_repair)
		guard_repair(plugin, pointer);
	client_remove(plugin, client);
}

/* 2.0.x does not show us clients that an earlier plugin or a TLS certificate let in. Bridges have
 * no address. */
static struct client *client_late(struct plugin *plugin, struct mosquitto *pointer)
{
	if (plugin->is_2_1 || !mosquitto_client_address(pointer))
		return NULL;
	struct client *client = client_add(plugin, pointer);
	if (client && !plugin->late_was_said) {
		plugin->late_was_said = true;
		log_line(LOG_WARNING,
			"a client was let in before we were asked, and is online only "
			"since it published, gave a command or, with topic_guard, subscribed: "
			"load this plugin before other authentication plugins, "
			"for example from conf.d/00-presence.conf. "
			"(With TLS identities as usernames nothing can be done on Mosquitto 2.0.)");
	}
	if (client)
		begin_session(plugin, client);
	return client;
}

void client_subscribes(struct plugin *plugin, struct mosquitto *pointer)
{
	if (plugin->ticks && !client_find(plugin, pointer))
		(void)client_late(plugin, pointer);
}

struct client *client_heard(struct plugin *plugin, struct mosquitto *pointer)
{
	struct client *client = client_find(plugin, pointer);
	/* Nobody begins before the loop has turned once: a broker where it never does, could never
	 * take back what was said. */
	if (!plugin->ticks)
		return client;
	if (!client)
		client = client_late(plugin, pointer);
	else if (client->is_pending)
		begin_session(plugin, client);
	return client;
}

void client_seen(struct plugin *plugin, struct mosquitto *pointer)
{
	const struct client *client = client_heard(plugin, pointer);
	tick_after_will(plugin);
	if (client && client->token)
		(void)plugin_feed(plugin,
			(struct presence_event){
				.type = PRESENCE_SEEN,
				.token = client->token,
			});
}
