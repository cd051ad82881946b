/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
#include "plugin/guard.h"

#include <stdlib.h>
#include <string.h>

#include "wire/declaration.h"
#include "wire/identity.h"

/* So many writes that others were asked about and that did not come to pass look like a broker
 * that has no others. */
enum { DEFERRED_IN_VAIN = 20 };

/* What a client wrote on its own topic, or its will: the broker asks about both alike. */
struct held {
	struct held *next;
	struct client *client; /* NULL: settled */
	bool is_declaration;   /* else it can only be refused, or a will */
	struct declaration declaration;
};

bool guard_is_on(const struct plugin *plugin)
{
	switch (plugin->options->topic_guard) {
	case TOPIC_GUARD_OFF:
		return false;
	case TOPIC_GUARD_AUTO:
		return plugin->is_2_1;
	case TOPIC_GUARD_DEFER:
	case TOPIC_GUARD_ALLOW:
		break;
	}
	return true;
}

/* What leaves the decision to others. 2.0.x has no word for that: there, the operator has said
 * whether there are others. */
int guard_neutral(const struct plugin *plugin)
{
	if (plugin->is_2_1)
		return BROKER_PLUGIN_IGNORE;
	return plugin->options->topic_guard == TOPIC_GUARD_ALLOW ? MOSQ_ERR_SUCCESS
								 : BROKER_PLUGIN_DEFER;
}

bool guard_concerns(const struct mosquitto_evt_acl_check *check)
{
	return check->access == MOSQ_ACL_WRITE || check->access == MOSQ_ACL_SUBSCRIBE;
}

static bool is_ours(const struct options *options, const char *topic)
{
	return topic_under(topic, options->topic) || topic_under(topic, options->typing_topic);
}

static bool identify(
	const struct plugin *plugin, const struct mosquitto *pointer, struct identity *identity)
{
	return identity_of(plugin->options, mosquitto_client_id(pointer),
		       mosquitto_client_username(pointer), identity) == IDENTITY_TRACKED;
}

/* The topic of who it is; empty when nobody keeps track of it. */
static void get_own(
	const struct plugin *plugin, const struct mosquitto *pointer, char own[PRESENCE_TOPIC_MAX])
{
	struct identity identity;
	if (!identify(plugin, pointer, &identity) ||
		topic_subject(plugin->options->topic, identity.role, identity.id, own,
			PRESENCE_TOPIC_MAX) < 0)
		own[0] = '\0';
}

static bool is_own(const struct plugin *plugin, const struct mosquitto *pointer, const char *topic)
{
	char own[PRESENCE_TOPIC_MAX];
	get_own(plugin, pointer, own);
	return !strcmp(topic, own);
}

static void refuse(struct plugin *plugin, const struct mosquitto *pointer, const char *topic)
{
	plugin_refuse(plugin, REFUSED_PUBLISH, mosquitto_client_id(pointer), topic);
}

/* As often as by a command. */
static void declare(
	struct plugin *plugin, struct client *client, const struct declaration *declaration)
{
	const struct options *options = plugin->options;
	if (!rate_take(&client->commands, clock_now_us(), options->command_rate,
		    options->command_burst)) {
		plugin_refuse(plugin, REFUSED_COMMAND_RATE, mosquitto_client_id(client->pointer),
			"more declarations than command_rate allows: they are not taken");
		return;
	}
	int err = plugin_feed(plugin,
		(struct presence_event){
			.type = PRESENCE_DECLARE,
			.token = client->token,
			.status = declaration->status,
			.note = declaration->note[0] ? declaration->note : NULL,
		});
	if (err == PRESENCE_ENOMEM)
		plugin->refused[REFUSED_MEMORY]++;
}

static void hear_will(struct plugin *plugin, const struct client *client)
{
	(void)plugin_feed(
		plugin, (struct presence_event){ .type = PRESENCE_WILL, .token = client->token });
}

static void take(struct plugin *plugin, struct client *client)
{
	char own[PRESENCE_TOPIC_MAX];
	if (client->held->is_declaration) {
		declare(plugin, client, &client->held->declaration);
		return;
	}
	get_own(plugin, client->pointer, own);
	refuse(plugin, client->pointer, own);
}

static void settle(struct plugin *plugin, struct client *client, bool is_will)
{
	if (is_will)
		hear_will(plugin, client);
	else
		take(plugin, client);
	guard_drop(client);
}

void guard_drop(struct client *client)
{
	if (client->held)
		client->held->client = NULL;
	client->held = NULL;
}

/* A client that has come this far is alive, and so is the broker: at its end it asks about wills
 * and nothing else. */
void guard_settle(struct plugin *plugin)
{
	while (plugin->held_first) {
		struct held *held = plugin->held_first;
		plugin->held_first = held->next;
		if (held->client)
			settle(plugin, held->client, client_is_replaced(plugin, held->client));
		free(held);
	}
}

void guard_finish(struct plugin *plugin)
{
	while (plugin->held_first) {
		struct held *held = plugin->held_first;
		plugin->held_first = held->next;
		free(held);
	}
}

/* When one connection takes over from another the broker asks about the will and then reports the
 * end; all other wills come after it. 2.1 tells why it ended: there, a client that published and
 * said goodbye in one breath is not mistaken. */
static void before_end(struct plugin *plugin, const struct mosquitto_evt_disconnect *end)
{
	struct client *client = client_find(plugin, end->client);
	if (client && client->held)
		settle(plugin, client, !plugin->is_2_1 || end->reason == BROKER_SESSION_TAKEN_OVER);
}

/* Nobody acts after his will: what he wrote before counts, and counts first. */
static void before_act(struct plugin *plugin, const struct mosquitto *pointer)
{
	struct client *client = client_find(plugin, pointer);
	if (client && client->held)
		settle(plugin, client, false);
}

void guard_before(struct plugin *plugin, int event, const void *data)
{
	if (!plugin->held_first)
		return;
	if (event == MOSQ_EVT_DISCONNECT || event == EVENT_CLIENT_OFFLINE)
		before_end(plugin, data);
	else if (event == MOSQ_EVT_CONTROL)
		before_act(plugin, ((const struct mosquitto_evt_control *)data)->client);
	else if (event == MOSQ_EVT_MESSAGE)
		before_act(plugin, ((const struct mosquitto_evt_message *)data)->client);
	/* Only 2.0.x ticks before anything can come of it. */
	if (plugin->is_2_1 && event != MOSQ_EVT_ACL_CHECK)
		guard_settle(plugin);
}

static struct held *held_get_or_add(struct plugin *plugin, struct client *client)
{
	struct held *held = client->held;
	if (held) {
		take(plugin, client); /* who writes again was alive */
		return held;
	}
	held = calloc(1, sizeof(*held));
	if (!held) {
		plugin->refused[REFUSED_MEMORY]++;
		return NULL;
	}
	held->next = plugin->held_first;
	plugin->held_first = held;
	held->client = client;
	client->held = held;
	return held;
}

static void hold(
	struct plugin *plugin, struct client *client, const struct mosquitto_evt_acl_check *check)
{
	struct held *held = held_get_or_add(plugin, client);
	if (held)
		held->is_declaration = !declaration_read(
			check->payload, check->payloadlen, &held->declaration);
}

/* A pointer that we do not know, or no longer. The broker asks in the name of whoever wrote a
 * retained message, with a pointer that is nobody's and no address: one without a client id is a
 * record of ours that it has read from its database. */
static int check_stranger(struct plugin *plugin, const struct mosquitto_evt_acl_check *check)
{
	const char *id = mosquitto_client_id(check->client);
	if (!mosquitto_client_address(check->client))
		return id && id[0] ? BROKER_ACL_DENIED : MOSQ_ERR_SUCCESS;
	if (is_own(plugin, check->client, check->topic))
		(void)plugin_feed(
			plugin, (struct presence_event){ .type = PRESENCE_WILL, .client_id = id });
	else
		refuse(plugin, check->client, check->topic);
	return BROKER_ACL_DENIED;
}

static int check_write(struct plugin *plugin, const struct mosquitto_evt_acl_check *check)
{
	struct client *client = client_find(plugin, check->client);
	if (!client)
		return check_stranger(plugin, check);
	if (client->is_pending)
		client_seen(plugin, check->client); /* it was let in */
	if (client->token && is_own(plugin, check->client, check->topic))
		hold(plugin, client, check);
	else
		refuse(plugin, check->client, check->topic);
	return BROKER_ACL_DENIED;
}

static void note_deferred(struct plugin *plugin)
{
	if (plugin->is_2_1 || plugin->message_was_seen ||
		plugin->options->topic_guard != TOPIC_GUARD_DEFER ||
		++plugin->deferred != DEFERRED_IN_VAIN)
		return;
	log_line(LOG_WARNING,
		"nothing that clients publish is let through. If this broker has no access control "
		"at all (no acl_file, no plugin for it), Mosquitto 2.0 refuses everything while "
		"this plugin defers: set plugin_opt_topic_guard allow");
}

int guard_check(struct plugin *plugin, const struct mosquitto_evt_acl_check *check)
{
	if (plugin->is_inert)
		return guard_neutral(plugin);
	if (check->access == MOSQ_ACL_SUBSCRIBE)
		client_subscribes(plugin, check->client);
	else if (is_ours(plugin->options, check->topic))
		return check_write(plugin, check);
	else
		note_deferred(plugin);
	return guard_neutral(plugin);
}

/* Bridges, which have no address, are asked about nothing. */
static void note_bypass(struct plugin *plugin, const struct mosquitto *pointer)
{
	if (plugin->bypass_was_said || !guard_is_on(plugin) || !mosquitto_client_address(pointer))
		return;
	plugin->bypass_was_said = true;
	log_line(LOG_WARNING,
		"topic_guard is not asked about what clients write: another plugin decides before "
		"it, and their wills get through. Load this plugin before others, "
		"for example from conf.d/00-presence.conf");
}

int guard_message(struct plugin *plugin, const struct mosquitto_evt_message *message)
{
	struct declaration declaration;
	plugin->message_was_seen = true;
	if (!is_ours(plugin->options, message->topic))
		return MOSQ_ERR_SUCCESS;
	note_bypass(plugin, message->client);
	struct client *client = client_find(plugin, message->client);
	bool own = client && is_own(plugin, message->client, message->topic);
	/* Also before the loop has turned once: it is online only then. */
	if (own)
		client->wrote_own = true;
	if (own && client->token &&
		!declaration_read(message->payload, message->payloadlen, &declaration))
		declare(plugin, client, &declaration);
	else
		refuse(plugin, message->client, message->topic);
	return BROKER_ACL_DENIED;
}

void guard_repair(struct plugin *plugin, const struct mosquitto *pointer)
{
	struct identity identity;
	if (identify(plugin, pointer, &identity))
		(void)plugin_feed(plugin,
			(struct presence_event){
				.type = PRESENCE_ASSERT,
				.role = identity.role,
				.id = identity.id,
				/* The stores too: it has a new rev. */
				.targets = PRESENCE_TARGET_TOPIC | PRESENCE_TARGET_STORE,
			});
}
