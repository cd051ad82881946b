/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
#include "wire/command.h"

#include <inttypes.h>
#include <json-c/json.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "client-sdk/c/internal.h"

struct json_object *command_create(const char *name)
{
	struct json_object *command = json_object_new_object();
	if (command && command_add_string(command, "command", name))
		return command;
	json_object_put(command);
	return NULL;
}

static bool add(struct json_object *object, const char *key, struct json_object *value)
{
	if (value && !json_object_object_add(object, key, value))
		return true;
	json_object_put(value);
	return false;
}

bool command_add_string(struct json_object *command, const char *key, const char *value)
{
	return !value || add(command, key, json_object_new_string(value));
}

bool command_add_seconds(struct json_object *command, const char *key, int64_t ms)
{
	if (ms % 1000 == 0)
		return add(command, key, json_object_new_int64(ms / 1000));
	char text[32];
	int length = snprintf(text, sizeof(text), "%" PRId64 ".%03d", ms / 1000, (int)(ms % 1000));
	while (text[length - 1] == '0')
		text[--length] = '\0';
	return add(command, key, json_object_new_double_s((double)ms / 1000, text));
}

/* The plugin's own reader says whether it would take it. */
static int check(const char *message, size_t length)
{
	struct commands *commands;
	if (commands_parse(message, length, &commands))
		return PRESENCE_CLIENT_ENOMEM;
	bool good = commands->count == 1 && !commands->problem[0] && !commands->item[0].problem[0];
	commands_destroy(commands);
	return good ? PRESENCE_CLIENT_OK : PRESENCE_CLIENT_EINVAL;
}

int command_message(struct json_object *command, const char *correlation, char **message)
{
	int err = PRESENCE_CLIENT_ENOMEM;
	struct json_object *root = json_object_new_object(), *list = json_object_new_array();
	if (!root || !list || !command_add_string(command, "correlationData", correlation) ||
		json_object_array_add(list, json_object_get(command)))
		goto out;
	if (!add(root, "commands", list)) {
		list = NULL; /* add() gave it back */
		goto out;
	}
	list = NULL;
	size_t length;
	const char *text = json_object_to_json_string_length(
		root, JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE, &length);
	err = text ? check(text, length) : PRESENCE_CLIENT_ENOMEM;
	*message = err ? NULL : strdup(text);
	if (!err && !*message)
		err = PRESENCE_CLIENT_ENOMEM;
out:
	json_object_put(list);
	json_object_put(root);
	return err;
}

static struct pending *pending_create(struct presence_client *client, struct json_object *command,
	enum purpose purpose, presence_client_done *done, void *context)
{
	struct pending *pending = calloc(1, sizeof(*pending));
	struct json_object *name;
	if (!pending)
		return NULL;
	*pending = (struct pending){
		.purpose = purpose,
		.number = ++client->number,
		.fence = client->fence_next,
		.deadline_ms = now_ms() + client->timeout_ms,
		.done = done,
		.context = context,
	};
	if (json_object_object_get_ex(command, "command", &name))
		(void)snprintf(pending->command, sizeof(pending->command), "%s",
			json_object_get_string(name));
	return pending;
}

int command_send(struct presence_client *client, struct json_object *command, enum purpose purpose,
	presence_client_done *done, void *context)
{
	char correlation[32], *message = NULL;
	struct pending *pending = NULL;
	int err = PRESENCE_CLIENT_ENOMEM;
	if (!command)
		goto out;
	err = PRESENCE_CLIENT_EFULL;
	if (client->pending_count >= PENDING_MAX)
		goto out;
	err = PRESENCE_CLIENT_ENOMEM;
	pending = pending_create(client, command, purpose, done, context);
	if (!pending)
		goto out;
	(void)snprintf(correlation, sizeof(correlation), "p%" PRIu64, pending->number);
	err = command_message(command, correlation, &message);
	/* What is wrong with it is told before that there is no connection. */
	if (!err && !client->connected)
		err = PRESENCE_CLIENT_ENOTCONN;
	if (!err)
		err = out_publish(client, CONTROL_TOPIC, message, false);
	if (err)
		goto out;
	*client->pending_end = pending;
	client->pending_end = &pending->next;
	client->pending_count++;
	pending = NULL;
out:
	free(pending);
	free(message);
	json_object_put(command);
	return err;
}

static int send_now(struct presence_client *client, struct json_object *command,
	presence_client_done *done, void *context)
{
	client_enter(client);
	int err = command_send(client, command, FOR_APPLICATION, done, context);
	client_leave(client, false);
	return err;
}

/* Gives object back when something found no memory. */
static struct json_object *whole(struct json_object *object, bool good)
{
	if (good)
		return object;
	json_object_put(object);
	return NULL;
}

int presence_client_set_override(struct presence_client *client, const char *role, const char *id,
	enum presence_client_override override, const char *note, int64_t ttl_ms,
	presence_client_done *done, void *context)
{
	static const char *const words[] = { "online", "away", "dnd", "invisible" };
	if (!client || (unsigned) override >= sizeof(words) / sizeof(*words) || ttl_ms < 0 ||
		!role != !id)
		return PRESENCE_CLIENT_EINVAL;
	struct json_object *command = command_create("setOverride");
	return send_now(client,
		whole(command,
			command && command_add_string(command, "status", words[override]) &&
				command_add_string(command, "note", note) &&
				(!ttl_ms || command_add_seconds(command, "ttl", ttl_ms)) &&
				command_add_string(command, "role", role) &&
				command_add_string(command, "id", id)),
		done, context);
}

int presence_client_clear_override(struct presence_client *client, const char *role, const char *id,
	presence_client_done *done, void *context)
{
	if (!client || !role != !id)
		return PRESENCE_CLIENT_EINVAL;
	struct json_object *command = command_create("clearOverride");
	return send_now(client,
		whole(command,
			command && command_add_string(command, "role", role) &&
				command_add_string(command, "id", id)),
		done, context);
}

int presence_client_typing(struct presence_client *client, const char *conversation, bool recording,
	bool active, presence_client_done *done, void *context)
{
	if (!client || !conversation)
		return PRESENCE_CLIENT_EINVAL;
	struct json_object *command = command_create("typing");
	return send_now(client,
		whole(command,
			command && command_add_string(command, "conversation", conversation) &&
				command_add_string(
					command, "kind", recording ? "recording" : NULL) &&
				add(command, "active", json_object_new_boolean(active))),
		done, context);
}

int presence_client_command(
	struct presence_client *client, const char *json, presence_client_done *done, void *context)
{
	if (!client || !json)
		return PRESENCE_CLIENT_EINVAL;
	struct json_object *command = json_tokener_parse(json);
	if (!json_object_is_type(command, json_type_object) ||
		json_object_object_get_ex(command, "correlationData", NULL)) {
		json_object_put(command);
		return PRESENCE_CLIENT_EINVAL;
	}
	return send_now(client, command, done, context);
}
