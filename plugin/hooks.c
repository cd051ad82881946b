/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
#include "plugin/hooks.h"

#include "plugin/guard.h"

/* Callbacks translate and hand over. */

static int on_connect(struct plugin *plugin, void *data)
{
	const struct event_connect *connect = data;
	client_connected(plugin, connect->client);
	return MOSQ_ERR_SUCCESS;
}

static int on_basic_auth(struct plugin *plugin, void *data)
{
	const struct mosquitto_evt_basic_auth *auth = data;
	tick_check_alive(plugin);
	if (!plugin->is_inert)
		client_asks(plugin, auth->client);
	return plugin->options->auth_mode == AUTH_MODE_ALLOW ? MOSQ_ERR_SUCCESS
							     : BROKER_PLUGIN_DEFER;
}

/* CLIENT_OFFLINE too: the end of a connection whose session the broker keeps. */
static int on_disconnect(struct plugin *plugin, void *data)
{
	const struct mosquitto_evt_disconnect *disconnect = data;
	client_disconnected(plugin, disconnect->client, disconnect->reason);
	return MOSQ_ERR_SUCCESS;
}

/* Only 0 and ACL_DENIED are harmless answers: any other disconnects the client. */
static int on_message(struct plugin *plugin, void *data)
{
	const struct mosquitto_evt_message *message = data;
	if (plugin->is_inert)
		return MOSQ_ERR_SUCCESS;
	client_seen(plugin, message->client);
	return guard_message(plugin, message);
}

static int on_acl_check(struct plugin *plugin, void *data)
{
	return guard_check(plugin, data);
}

static int on_control(struct plugin *plugin, void *data)
{
	if (!plugin->is_inert)
		control(plugin, data);
	return MOSQ_ERR_SUCCESS; /* anything else disconnects the client */
}

static int on_tick(struct plugin *plugin, void *data)
{
	tick(plugin, data);
	return MOSQ_ERR_SUCCESS;
}

/* 2.1 ends the broker for anything but success; on 2.0.x success keeps the event from the plugins
 * behind us. */
static int on_reload(struct plugin *plugin, void *data)
{
	(void)data;
	plugin->is_rechecking = !plugin->is_2_1;
	config_reload(plugin);
	return plugin->is_2_1 ? MOSQ_ERR_SUCCESS : BROKER_PLUGIN_DEFER;
}

enum versions { ALL_VERSIONS, ONLY_2_0, ONLY_2_1, WITH_GUARD };

static const struct hook {
	int event;
	enum versions versions;
	int (*run)(struct plugin *plugin, void *data);
	const char *topic; /* of CONTROL */
} hooks[] = {
	{ EVENT_CONNECT, ONLY_2_1, on_connect, NULL },
	{ EVENT_CLIENT_OFFLINE, ONLY_2_1, on_disconnect, NULL },
	{ MOSQ_EVT_BASIC_AUTH, ONLY_2_0, on_basic_auth, NULL },
	{ MOSQ_EVT_DISCONNECT, ALL_VERSIONS, on_disconnect, NULL },
	{ MOSQ_EVT_MESSAGE, ALL_VERSIONS, on_message, NULL },
	{ MOSQ_EVT_ACL_CHECK, WITH_GUARD, on_acl_check, NULL },
	{ MOSQ_EVT_CONTROL, ALL_VERSIONS, on_control, CONTROL_TOPIC },
	{ MOSQ_EVT_TICK, ALL_VERSIONS, on_tick, NULL },
	{ MOSQ_EVT_RELOAD, ALL_VERSIONS, on_reload, NULL },
};

enum { CONNECT, HOOKS = sizeof(hooks) / sizeof(*hooks) };

/* Every callback comes through here, so that the slowest can be shown. */
static int on_event(int event, void *data, void *self)
{
	struct plugin *plugin = self;
	int result = MOSQ_ERR_SUCCESS;
	/* Of these there is one for every message to every subscriber. */
	if (event == MOSQ_EVT_ACL_CHECK && !guard_concerns(data))
		return guard_neutral(plugin);
	int64_t started_us = clock_now_us();
	guard_before(plugin, event, data);
	for (size_t i = 0; i < HOOKS; i++)
		if (hooks[i].event == event)
			result = hooks[i].run(plugin, data);
	int64_t took_us = clock_now_us() - started_us;
	if (took_us > plugin->callback_max_us)
		plugin->callback_max_us = took_us;
	return result;
}

static bool applies(const struct plugin *plugin, const struct hook *hook)
{
	switch (hook->versions) {
	case ONLY_2_0:
		return !plugin->is_2_1;
	case ONLY_2_1:
		return plugin->is_2_1;
	case WITH_GUARD:
		return guard_is_on(plugin);
	case ALL_VERSIONS:
		break;
	}
	return true;
}

/* Asking for CONNECT tells which broker this is. Loaded twice by one broker, 2.0.x says that the
 * callback is there already, and 2.1 that the topic of CONTROL is; then it serves both. */
static bool add(mosquitto_plugin_id_t *identifier, const struct hook *hook, struct plugin *plugin)
{
	int err = mosquitto_callback_register(
		identifier, hook->event, on_event, hook->topic, plugin);
	return err == MOSQ_ERR_SUCCESS || err == MOSQ_ERR_ALREADY_EXISTS;
}

bool hooks_register(struct plugin *plugin, mosquitto_plugin_id_t *identifier)
{
	plugin->is_2_1 = add(identifier, &hooks[CONNECT], plugin);
	for (size_t i = 0; i < HOOKS; i++) {
		if (!applies(plugin, &hooks[i]) || i == CONNECT)
			continue;
		if (!add(identifier, &hooks[i], plugin)) {
			log_line(LOG_ERROR, "the broker does not let us hook event %d",
				hooks[i].event);
			return false;
		}
	}
	return true;
}

void hooks_unregister(struct plugin *plugin, mosquitto_plugin_id_t *identifier)
{
	for (size_t i = 0; i < HOOKS; i++)
		if (applies(plugin, &hooks[i]))
			(void)mosquitto_callback_unregister(identifier, hooks[i].event, on_event,
				hooks[i].topic); /* gone already when it was loaded twice */
}
