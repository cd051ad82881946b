/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
/* Who types in the conversations watched. */
#include <json-c/json.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "client-sdk/c/internal.h"

static int filter_of(
	const struct presence_client *client, const char *conversation, char *out, size_t size)
{
	char encoded[PRESENCE_ENCODED_MAX + 1];
	if (topic_encode(conversation, encoded, sizeof(encoded)) < 0)
		return PRESENCE_CLIENT_EINVAL;
	(void)snprintf(out, size, "%s/%s/+/+", client->typing_topic, encoded);
	return PRESENCE_CLIENT_OK;
}

static int subscribe(struct presence_client *client, const char *conversation)
{
	char filter[PRESENCE_TOPIC_MAX];
	int err = filter_of(client, conversation, filter, sizeof(filter));
	return err ? err : out_subscribe(client, filter);
}

int typing_subscribe_all(struct presence_client *client)
{
	int err = PRESENCE_CLIENT_OK;
	for (const struct conversation *each = client->conversations; each && !err;
		each = each->next)
		err = subscribe(client, each->name);
	return err;
}

static struct conversation **conversation_find(struct presence_client *client, const char *name)
{
	struct conversation **link = &client->conversations;
	while (*link && strcmp((*link)->name, name) != 0)
		link = &(*link)->next;
	return link;
}

static int conversation_add(struct presence_client *client, const char *name)
{
	if (client->conversation_count >= CONVERSATIONS_MAX)
		return PRESENCE_CLIENT_EFULL;
	size_t size = strlen(name) + 1;
	struct conversation *added = malloc(sizeof(*added) + size);
	int err = added ? subscribe(client, name) : PRESENCE_CLIENT_ENOMEM;
	if (err) {
		free(added);
		return err;
	}
	memcpy(added->name, name, size);
	added->next = client->conversations;
	client->conversations = added;
	client->conversation_count++;
	return PRESENCE_CLIENT_OK;
}

int presence_client_watch_typing(struct presence_client *client, const char *conversation)
{
	if (!client || !conversation || !topic_id_valid(conversation))
		return PRESENCE_CLIENT_EINVAL;
	client_enter(client);
	int err = PRESENCE_CLIENT_OK;
	if (!*conversation_find(client, conversation))
		err = conversation_add(client, conversation);
	client_leave(client, false);
	return err;
}

static void typist_remove(struct presence_client *client, struct typist **link)
{
	struct typist *typist = *link;
	*link = typist->next;
	client->typist_count--;
	free(typist);
}

static void typists_forget(struct presence_client *client, const char *conversation)
{
	for (struct typist **link = &client->typists; *link;)
		if (!strcmp((*link)->conversation, conversation))
			typist_remove(client, link);
		else
			link = &(*link)->next;
}

int presence_client_unwatch_typing(struct presence_client *client, const char *conversation)
{
	char filter[PRESENCE_TOPIC_MAX];
	if (!client || !conversation ||
		filter_of(client, conversation, filter, sizeof(filter)) != PRESENCE_CLIENT_OK)
		return PRESENCE_CLIENT_EINVAL;
	client_enter(client);
	struct conversation **link = conversation_find(client, conversation), *found = *link;
	int err = found ? out_unsubscribe(client, filter) : PRESENCE_CLIENT_ENOENT;
	if (found && !err) {
		typists_forget(client, conversation);
		*link = found->next;
		free(found);
		client->conversation_count--;
	}
	client_leave(client, false);
	return err;
}

static void tell(struct presence_client *client, const struct typist *typist, bool active)
{
	struct notice *notice = notice_create(TELL_TYPING,
		(const char *[4]){ typist->conversation, typist->role, typist->id,
			typist->recording ? "recording" : "typing" });
	if (!notice)
		return; /* they will be heard of again, or stop by themselves */
	notice->active = active;
	notice_add(client, notice);
}

static struct typist *typist_create(const char *conversation, const char *role, const char *id)
{
	size_t sizes[] = { strlen(conversation) + 1, strlen(role) + 1, strlen(id) + 1 };
	struct typist *typist = calloc(1, sizeof(*typist) + sizes[0] + sizes[1] + sizes[2]);
	if (!typist)
		return NULL;
	char *at = memcpy(typist->conversation, conversation, sizes[0]);
	typist->role = at = memcpy(at + sizes[0], role, sizes[1]);
	typist->id = memcpy(at + sizes[1], id, sizes[2]);
	return typist;
}

static bool is_same(const struct typist *one, const struct typist *other)
{
	return !strcmp(one->conversation, other->conversation) && !strcmp(one->role, other->role) &&
		!strcmp(one->id, other->id);
}

/* Takes heard. */
static void update(struct presence_client *client, struct typist *heard, bool active)
{
	struct typist **link = &client->typists;
	while (*link && !is_same(*link, heard))
		link = &(*link)->next;
	/* An end is one of whatever it was. */
	bool known = *link && (!active || (*link)->recording == heard->recording);
	if (active != known)
		tell(client, heard, active);
	if (*link)
		typist_remove(client, link);
	if (!active || client->typist_count >= TYPISTS_MAX) {
		free(heard);
		return;
	}
	heard->until_ms = now_ms() + TYPING_MS;
	heard->next = client->typists;
	client->typists = heard;
	client->typist_count++;
}

static const char *string_of(struct json_object *root, const char *key)
{
	struct json_object *value;
	return json_object_object_get_ex(root, key, &value) &&
			json_object_is_type(value, json_type_string)
		? json_object_get_string(value)
		: NULL;
}

static void read_typing(struct presence_client *client, const char *topic, struct json_object *root)
{
	char expected[PRESENCE_TOPIC_MAX];
	struct json_object *active;
	const char *conversation = string_of(root, "conversation"), *role = string_of(root, "role"),
		   *id = string_of(root, "id"), *kind = string_of(root, "kind");
	if (!conversation || !role || !id || !kind ||
		!json_object_object_get_ex(root, "active", &active) ||
		!json_object_is_type(active, json_type_boolean) ||
		topic_activity(client->typing_topic, conversation, role, id, expected,
			sizeof(expected)) < 0 ||
		strcmp(topic, expected) != 0 || !*conversation_find(client, conversation))
		return;
	struct typist *heard = typist_create(conversation, role, id);
	if (!heard)
		return;
	heard->recording = !strcmp(kind, "recording");
	update(client, heard, json_object_get_boolean(active));
}

bool typing_heard(
	struct presence_client *client, const char *topic, const char *payload, size_t length)
{
	if (!client->conversations || !topic_under(topic, client->typing_topic))
		return false;
	struct json_tokener *tokener = json_tokener_new();
	if (!tokener || length > INT32_MAX)
		goto out;
	struct json_object *root = json_tokener_parse_ex(tokener, payload, (int)length);
	if (json_object_is_type(root, json_type_object))
		read_typing(client, topic, root);
	json_object_put(root);
out:
	if (tokener)
		json_tokener_free(tokener);
	return true;
}

void typing_expire(struct presence_client *client, int64_t now)
{
	for (struct typist **link = &client->typists; *link;) {
		if ((*link)->until_ms > now) {
			link = &(*link)->next;
			continue;
		}
		tell(client, *link, false);
		typist_remove(client, link);
	}
}

void typing_lost(struct presence_client *client)
{
	typing_expire(client, INT64_MAX);
}

void typing_clear(struct presence_client *client)
{
	while (client->typists)
		typist_remove(client, &client->typists);
	while (client->conversations) {
		struct conversation *first = client->conversations;
		client->conversations = first->next;
		free(first);
	}
}
