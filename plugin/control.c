/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
#include "plugin/control.h"

#include <stdio.h>
#include <string.h>

#include "wire/identity.h"

/* Of commands beyond command_rate one a second is answered. */
enum { EXCESS_PER_S = 1, EXCESS_AT_ONCE = 1 };

void control_warn(const struct options *options)
{
	if (options->control_open)
		log_line(LOG_WARNING,
			"control_open lets every client whose id makes it one of admin_roles "
			"command all others, and a client id proves nothing: never where strangers "
			"can connect");
}

/* Whom the broker let in by this name it has asked for a password, unless auth_mode made it not
 * care. */
static bool is_admin(const struct options *options, const char *client_id, const char *username)
{
	if (options->auth_mode != AUTH_MODE_ALLOW && identity_is_admin(options, NULL, username))
		return true;
	return options->control_open && identity_is_admin(options, client_id, username);
}

static void refuse_excess(struct request *request, int64_t now_us)
{
	char problem[COMMAND_PROBLEM_MAX];
	const struct options *options = request->plugin->options;
	plugin_refuse(request->plugin, REFUSED_COMMAND_RATE, request->client_id,
		"more commands than command_rate allows: they are not carried out");
	if (!rate_take(&request->client->excess, now_us, EXCESS_PER_S, EXCESS_AT_ONCE))
		return;
	(void)snprintf(problem, sizeof(problem),
		"too many commands: %u a second and %u at once are carried out, and this one is "
		"not; wait a second, and send fewer",
		options->command_rate, options->command_burst);
	replies_add(request->replies, request->command);
	reply_error(request->replies, problem);
}

static bool may_go_on(struct request *request, int64_t now_us)
{
	const struct options *options = request->plugin->options;
	if (rate_take(&request->client->commands, now_us, options->command_rate,
		    options->command_burst))
		return true;
	refuse_excess(request, now_us);
	return false;
}

/* That somebody asks is evidence; but heartbeats are no activity, and what declares something tells
 * the core itself. */
static void see(const struct request *request)
{
	const struct command *command = request->command;
	bool is_told = command && command->right == COMMAND_BY_DEVICE && !command->problem[0];
	bool is_beat = command && !strcmp(command->name, command_name(COMMAND_HEARTBEAT));
	if (request->client->token && !is_told && !is_beat)
		(void)plugin_feed(request->plugin,
			(struct presence_event){
				.type = PRESENCE_SEEN,
				.token = request->client->token,
			});
}

static void answer(
	struct request *request, const struct command *command, const char *problem, int64_t now_us)
{
	request->command = command;
	if (!may_go_on(request, now_us))
		return;
	see(request);
	replies_add(request->replies, command);
	if (problem[0])
		reply_error(request->replies, problem);
	else
		control_run(request);
}

static int answer_all(struct request *request, const struct mosquitto_evt_control *event)
{
	const struct options *options = request->plugin->options;
	int64_t now_us = clock_now_us();
	struct commands *commands;
	/* Whoever is beyond the limit does not get his commands read either. */
	if (!rate_has(&request->client->commands, now_us, options->command_rate,
		    options->command_burst)) {
		refuse_excess(request, now_us);
		return PRESENCE_OK;
	}
	if (commands_parse(event->payload, event->payloadlen, &commands))
		return PRESENCE_ENOMEM;
	if (!commands->count)
		answer(request, NULL, commands->problem, now_us);
	for (size_t i = 0; i < commands->count; i++)
		answer(request, &commands->item[i], commands->item[i].problem, now_us);
	commands_destroy(commands);
	return PRESENCE_OK;
}

void control(struct plugin *plugin, const struct mosquitto_evt_control *event)
{
	struct request request = {
		.plugin = plugin,
		.client = client_heard(plugin, event->client),
		.client_id = mosquitto_client_id(event->client),
		.username = mosquitto_client_username(event->client),
	};
	/* The local end of a bridge is nobody's. */
	if (!request.client || !request.client_id)
		return;
	size_t length;
	const char *json = NULL;
	request.is_admin = is_admin(plugin->options, request.client_id, request.username);
	request.replies = replies_create();
	int err = request.replies ? answer_all(&request, event) : PRESENCE_ENOMEM;
	if (!err && replies_count(request.replies)) {
		json = replies_text(request.replies, &length);
		err = json ? publish_reply(plugin, event, json, length) : PRESENCE_ENOMEM;
	}
	if (err)
		plugin_refuse(plugin, REFUSED_MEMORY, request.client_id, "no answer to it");
	replies_destroy(request.replies);
}
