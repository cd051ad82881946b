/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
/* What this device says of itself. */
#include <json-c/json.h>
#include <stdio.h>
#include <string.h>

#include "client-sdk/c/internal.h"
#include "wire/utf8.h"

/* What a plugin takes as declared, and others retain. */
static int publish_birth(struct presence_client *client)
{
	const struct declared *declared = &client->declared;
	const char *word = declared->has_status ? presence_status_name(declared->status) : "online";
	if (!declared->has_status || !declared->note[0])
		return out_publish(client, client->own_topic, word, true);
	struct json_object *birth = json_object_new_object();
	int err = PRESENCE_CLIENT_ENOMEM;
	if (birth && command_add_string(birth, "status", word) &&
		command_add_string(birth, "note", declared->note))
		err = out_publish(client, client->own_topic,
			json_object_to_json_string_ext(
				birth, JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE),
			true);
	json_object_put(birth);
	return err;
}

static int send_status(struct presence_client *client)
{
	struct declared *declared = &client->declared;
	struct json_object *command = command_create(
		declared->has_status ? "setStatus" : "clearStatus");
	if (command && declared->has_status &&
		(!command_add_string(command, "status", presence_status_name(declared->status)) ||
			!command_add_string(
				command, "note", declared->note[0] ? declared->note : NULL))) {
		json_object_put(command);
		command = NULL;
	}
	int err = command_send(client, command, declared->done ? FOR_APPLICATION : FOR_ITSELF,
		declared->done, declared->context);
	if (!err)
		declared->done = NULL; /* it has its answer to wait for */
	return err;
}

static int say_declared(struct presence_client *client)
{
	struct declared *declared = &client->declared;
	int err = PRESENCE_CLIENT_OK;
	if (declared->said)
		return err;
	/* Once a plugin shows, it need not be told twice. */
	if (client->with_birth && !client->plugin_seen)
		err = publish_birth(client);
	/* A birth message declares; who has nothing to declare takes that back. */
	if (!err && (declared->meant || client->with_birth))
		err = send_status(client);
	declared->said = !err;
	return err;
}

/* A beat brings back a device that declared offline. */
bool say_beats(const struct presence_client *client)
{
	const struct declared *declared = &client->declared;
	bool is_down = declared->has_status && declared->status == PRESENCE_OFFLINE;
	return client->role && client->heartbeat_ms > 0 && !is_down;
}

int say_heartbeat(struct presence_client *client, enum purpose purpose)
{
	struct json_object *command = command_create("heartbeat");
	if (command && !command_add_seconds(command, "interval", client->heartbeat_ms)) {
		json_object_put(command);
		command = NULL;
	}
	int err = command_send(client, command, purpose, NULL, NULL);
	/* The next one a little early, so that many do not beat as one. */
	if (!err)
		client->heartbeat_due_ms = now_ms() + client->heartbeat_ms -
			random_below(client->heartbeat_ms / 10);
	return err;
}

int say_everything(struct presence_client *client)
{
	int err = client->role ? say_declared(client) : PRESENCE_CLIENT_OK;
	if (!err && say_beats(client) && client->heartbeat_due_ms <= now_ms())
		err = say_heartbeat(client, FOR_ITSELF);
	return err;
}

void say_give_up(struct presence_client *client)
{
	struct declared *declared = &client->declared;
	struct notice *notice = declared->done
		? notice_create(TELL_DONE,
			  (const char *[4]){ presence_strerror(PRESENCE_CLIENT_ECANCELED) })
		: NULL;
	if (notice) {
		notice->error = PRESENCE_CLIENT_ECANCELED;
		notice->done = declared->done;
		notice->context = declared->context;
		notice_add(client, notice);
	}
	declared->done = NULL;
}

static int declare(struct presence_client *client, const struct declared *declared)
{
	client_enter(client);
	int err = client->destroyed ? PRESENCE_CLIENT_ESTATE : PRESENCE_CLIENT_OK;
	if (!err) {
		say_give_up(client);
		client->declared = *declared;
	}
	/* Without a connection it is said with the next; without memory, with the next tick. */
	if (!err && client->connected)
		client->say_again |= say_everything(client) != PRESENCE_CLIENT_OK;
	client_leave(client, false);
	return err;
}

int presence_client_set_status(struct presence_client *client, enum presence_client_status status,
	const char *note, presence_client_done *done, void *context)
{
	size_t length = note ? strlen(note) : 0;
	if (!client || status < PRESENCE_CLIENT_OFFLINE || status > PRESENCE_CLIENT_DND ||
		length > PRESENCE_NOTE_MAX || (length && !utf8_printable(note, length)))
		return PRESENCE_CLIENT_EINVAL;
	if (!client->role)
		return PRESENCE_CLIENT_ESTATE;
	struct declared declared = {
		.meant = true,
		.has_status = true,
		.status = (enum presence_status)status,
		.done = done,
		.context = context,
	};
	if (length)
		memcpy(declared.note, note, length + 1);
	return declare(client, &declared);
}

int presence_client_clear_status(
	struct presence_client *client, presence_client_done *done, void *context)
{
	if (!client)
		return PRESENCE_CLIENT_EINVAL;
	if (!client->role)
		return PRESENCE_CLIENT_ESTATE;
	return declare(
		client, &(struct declared){ .meant = true, .done = done, .context = context });
}
