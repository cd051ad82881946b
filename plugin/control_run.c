/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
#include <string.h>

#include "plugin/control.h"
#include "wire/identity.h"

/* The core's answer, in words. */
static void reply_problem(struct request *request, int err)
{
	const char *problem = "this cannot be done";
	switch ((enum presence_error)err) {
	case PRESENCE_ENOMEM:
		problem = "the broker is out of memory; try again later";
		break;
	case PRESENCE_ESUBJECTS:
		problem =
			"the broker has subjects_max subjects, and cannot remember another; raise "
			"subjects_max";
		break;
	case PRESENCE_ELIMIT:
		problem =
			"typing in too many conversations at once; end some with \"active\":false";
		break;
	case PRESENCE_ENOENT:
		problem =
			"nothing is published of this subject; listPresence tells of whom there is";
		break;
	case PRESENCE_EEXIST:
		problem = "this subject is not offline; kick its clients first";
		break;
	case PRESENCE_EINVAL:
		problem = "\"ttl\" is over already; give more seconds";
		break;
	case PRESENCE_OK:
	case PRESENCE_EDEVICES:
		break;
	}
	reply_error(request->replies, problem);
}

/* Whose the client is. False: the reply says that it is nobody's. */
static bool find_own(struct request *request, struct presence_session *own)
{
	if (!presence_session(request->plugin->core, request->client->token, own))
		return true;
	reply_error(request->replies,
		"the presence of this client is not tracked, so it may ask but not declare; "
		"connect "
		"with a client id or username that the option identity makes a subject of");
	return false;
}

/* What a client says of its own device. */
static void declare(struct request *request, struct presence_event event)
{
	struct presence_session own;
	if (!find_own(request, &own))
		return;
	event.token = request->client->token;
	int err = plugin_feed(request->plugin, event);
	if (err == PRESENCE_ENOENT)
		reply_error(request->replies,
			"this device is down, as it left, declared offline or stopped beating; "
			"send a heartbeat or setStatus first");
	else if (err)
		reply_problem(request, err);
}

static void set_status(struct request *request)
{
	declare(request,
		(struct presence_event){
			.type = PRESENCE_DECLARE,
			.status = request->command->status,
			.note = request->command->note,
		});
}

static void heartbeat(struct request *request)
{
	/* First what it is, then that it is there: otherwise, coming back, it would for a moment be
	 * what it was before. */
	if (request->command->has_status)
		set_status(request);
	declare(request,
		(struct presence_event){
			.type = PRESENCE_HEARTBEAT,
			.interval_ms = request->command->interval_ms,
		});
}

static void clear_status(struct request *request)
{
	declare(request, (struct presence_event){ .type = PRESENCE_UNDECLARE });
}

static void leave(struct request *request)
{
	declare(request, (struct presence_event){ .type = PRESENCE_LEAVE });
}

static void typing(struct request *request)
{
	declare(request,
		(struct presence_event){
			.type = PRESENCE_TYPED,
			.conversation = request->command->conversation,
			.activity = request->command->activity,
			.active = request->command->active,
		});
}

/* For whoever runs the broker: who did what to whom. Notes are none of the log's business. */
static void audit(
	const struct request *request, const char *key, const char *first, const char *second)
{
	log_line(LOG_NOTICE, "%.128s/%.128s | %s | %s=%.128s%s%.128s", request->client_id,
		request->username ? request->username : "", request->command->name, key, first,
		second ? "/" : "", second ? second : "");
}

/* The subject that an override is about. False: the reply says why there is none. */
static bool find_target(struct request *request, struct presence_session *target)
{
	const struct command *command = request->command;
	if (!command->role)
		return find_own(request, target);
	struct presence_session own;
	bool is_own = !presence_session(request->plugin->core, request->client->token, &own) &&
		!strcmp(own.role, command->role) && !strcmp(own.id, command->id);
	*target = (struct presence_session){ .role = command->role, .id = command->id };
	if (!is_own && !request->is_admin) {
		reply_error(request->replies,
			"only admins may do that to others; leave out \"role\" and \"id\" for your "
			"own, or connect with a username that is of one of admin_roles");
		return false;
	}
	if (command->type == COMMAND_SET_OVERRIDE &&
		!identity_role_known(request->plugin->options, command->role)) {
		reply_error(request->replies,
			"no client can have this \"role\": it is none of the option roles");
		return false;
	}
	return true;
}

/* Until one device is left: the override takes that with it. */
static void withdraw(struct plugin *plugin, const struct presence_session *target)
{
	while (!plugin_feed(plugin,
		(struct presence_event){
			.type = PRESENCE_WITHDRAW,
			.role = target->role,
			.id = target->id,
		}))
		;
}

static void override(struct request *request, enum presence_override what)
{
	struct plugin *plugin = request->plugin;
	const struct command *command = request->command;
	struct presence_session target;
	struct store_stats stats;
	if (!find_target(request, &target))
		return;
	if (what == PRESENCE_OVERRIDE_INVISIBLE)
		withdraw(plugin, &target);
	int err = plugin_feed(plugin,
		(struct presence_event){
			.type = PRESENCE_OVERRIDDEN,
			.role = target.role,
			.id = target.id,
			.unmatched = identity_role_unmatched(target.role),
			.override = what,
			.note = command->note,
			.until_ms = command->ttl_ms ? clock_wall_ms() + command->ttl_ms : 0,
		});
	/* Whether there was one to clear would tell an admin who is invisible. */
	if (err && !(what == PRESENCE_OVERRIDE_NONE && err == PRESENCE_ENOENT)) {
		reply_problem(request, err);
		return;
	}
	if (command->role)
		audit(request, "subject", command->role, command->id);
	if (!plugin->redis)
		return;
	store_get_stats(plugin->redis, clock_now_ms(), &stats);
	if (stats.state != STORE_READY)
		reply_string(request->replies, "scope", "local");
}

static void set_override(struct request *request)
{
	override(request, request->command->override);
}

static void clear_override(struct request *request)
{
	override(request, PRESENCE_OVERRIDE_NONE);
}

static bool is_visible(const struct plugin *plugin, const struct client *client)
{
	struct presence_session session;
	return client &&
		(presence_session(plugin->core, client->token, &session) || !session.is_hidden);
}

static void kick(struct request *request)
{
	struct plugin *plugin = request->plugin;
	const char *client_id = request->command->client_id;
	const struct client *found = client_of_id(plugin, client_id);
	int err = kick_add(plugin, client_id);
	if (!err && found)
		audit(request, "clientid", client_id, NULL);
	if (err == PRESENCE_ELIMIT)
		reply_error(request->replies,
			"too many clients are about to be kicked; try again in a second");
	else if (err)
		reply_problem(request, err);
	/* Who is invisible is kicked, but nobody is told that he was there. */
	else if (!is_visible(plugin, found))
		reply_error(request->replies,
			"no client with this \"clientid\" is known to be connected to this broker");
}

static void forget(struct request *request)
{
	int err = plugin_feed(request->plugin,
		(struct presence_event){
			.type = PRESENCE_FORGET,
			.role = request->command->role,
			.id = request->command->id,
		});
	if (err)
		reply_problem(request, err);
	else
		audit(request, "subject", request->command->role, request->command->id);
}

void control_run(struct request *request)
{
	static void (*const run[COMMAND_TYPES])(struct request * request) = {
		[COMMAND_HEARTBEAT] = heartbeat,
		[COMMAND_SET_STATUS] = set_status,
		[COMMAND_CLEAR_STATUS] = clear_status,
		[COMMAND_LEAVE] = leave,
		[COMMAND_TYPING] = typing,
		[COMMAND_SET_OVERRIDE] = set_override,
		[COMMAND_CLEAR_OVERRIDE] = clear_override,
		[COMMAND_GET_PRESENCE] = control_get_presence,
		[COMMAND_LIST_PRESENCE] = control_list_presence,
		[COMMAND_GET_STATS] = control_get_stats,
		[COMMAND_LIST_NODES] = control_list_nodes,
		[COMMAND_KICK] = kick,
		[COMMAND_FORGET] = forget,
	};
	if (request->command->right == COMMAND_BY_ADMIN && !request->is_admin) {
		reply_error(request->replies,
			"only admins may do that: connect with a username that an \"identity "
			"username\" rule makes one of admin_roles");
		return;
	}
	run[request->command->type](request);
}
