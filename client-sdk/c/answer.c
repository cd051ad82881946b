/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
#include <inttypes.h>
#include <json-c/json.h>
#include <stdlib.h>
#include <string.h>

#include "client-sdk/c/internal.h"

static struct pending *pending_take(struct presence_client *client, struct pending **link)
{
	struct pending *pending = *link;
	*link = pending->next;
	if (!pending->next)
		client->pending_end = link;
	client->pending_count--;
	return pending;
}

static void tell_done(struct presence_client *client, const struct pending *pending,
	enum presence_client_error error, const char *words, const char *data)
{
	if (!pending->done)
		return;
	struct notice *notice = notice_create(
		TELL_DONE, (const char *[4]){ error ? words : "", data });
	if (!notice) /* then at least that it is over */
		notice = notice_create(TELL_DONE, (const char *[4]){ "" });
	if (!notice)
		return;
	notice->error = error;
	notice->done = pending->done;
	notice->context = pending->context;
	notice_add(client, notice);
}

/* Any answer will do: what was sent before it is here. Where nobody answers commands it has to do
 * that the subscriptions were answered, and nothing that was retained has come for long. */
static bool fence_holds(const struct presence_client *client, enum presence_client_error error)
{
	return !error || error == PRESENCE_CLIENT_ECOMMAND ||
		(error == PRESENCE_CLIENT_ETIMEDOUT && !client->answered && !client->sent &&
			now_ms() - client->retained_ms >= client->timeout_ms);
}

/* A broker that has just started may still have last wills where records will be, so they were
 * passed over. If no plugin is there any more, they are what there is, and are asked for again. */
static void await_no_plugin(struct presence_client *client)
{
	if (!client->plugin_awaited || client->plugin_seen)
		return;
	client->plugin_awaited = false;
	client->say_again = true;
}

static void finish(struct presence_client *client, struct pending *pending,
	enum presence_client_error error, const char *words, const char *data)
{
	switch (pending->purpose) {
	case FOR_APPLICATION:
		tell_done(client, pending, error, words, data);
		break;
	case FOR_FENCE:
		client->fence_pending = false;
		/* Where that is a heartbeat, nobody being tracked is worth a word. */
		if (error == PRESENCE_CLIENT_ECOMMAND)
			tell_problem(client, pending->command, words);
		if (error == PRESENCE_CLIENT_ETIMEDOUT)
			await_no_plugin(client);
		if (fence_holds(client, error) && !client->say_again)
			watch_fence_answered(client, pending->fence);
		else
			client->fence_wanted = true;
		break;
	case FOR_QUESTION:
		ask_answered(client, error ? NULL : data);
		break;
	case FOR_ITSELF:
		if (error == PRESENCE_CLIENT_ECOMMAND)
			tell_problem(client, pending->command, words);
		break;
	}
	free(pending);
}

static const char *string_of(struct json_object *object, const char *key)
{
	struct json_object *value;
	return json_object_object_get_ex(object, key, &value) &&
			json_object_is_type(value, json_type_string)
		? json_object_get_string(value)
		: NULL;
}

static bool answer_read(struct presence_client *client, struct json_object *response)
{
	const char *correlation = string_of(response, "correlationData");
	const char *problem = string_of(response, "error");
	char *end;
	if (!correlation || *correlation != 'p')
		return false;
	uint64_t number = strtoull(correlation + 1, &end, 10);
	struct pending **link = &client->pending;
	while (*link && (*link)->number != number)
		link = &(*link)->next;
	if (!*link || *end)
		return false;
	struct json_object *data = NULL;
	client->plugin_seen = client->answered = true;
	(void)json_object_object_get_ex(response, "data", &data);
	finish(client, pending_take(client, link),
		problem ? PRESENCE_CLIENT_ECOMMAND : PRESENCE_CLIENT_OK, problem,
		data ? json_object_to_json_string_ext(data, JSON_C_TO_STRING_PLAIN) : NULL);
	return true;
}

bool answers_read(struct presence_client *client, const char *payload, size_t length)
{
	struct json_tokener *tokener = json_tokener_new();
	struct json_object *root = NULL, *list;
	bool ours = false;
	if (!tokener || length > INT32_MAX)
		goto out;
	root = json_tokener_parse_ex(tokener, payload, (int)length);
	if (!json_object_object_get_ex(root, "responses", &list) ||
		!json_object_is_type(list, json_type_array))
		goto out;
	for (size_t i = 0; i < json_object_array_length(list); i++) {
		struct json_object *response = json_object_array_get_idx(list, i);
		if (json_object_is_type(response, json_type_object))
			ours |= answer_read(client, response);
	}
out:
	json_object_put(root);
	if (tokener)
		json_tokener_free(tokener);
	return ours;
}

static void fail_first(struct presence_client *client, enum presence_client_error error)
{
	finish(client, pending_take(client, &client->pending), error, presence_strerror(error),
		NULL);
}

/* They all wait equally long, so the first that was sent is the first to give up. */
void answers_expire(struct presence_client *client, int64_t now)
{
	while (client->pending && client->pending->deadline_ms <= now)
		fail_first(client, PRESENCE_CLIENT_ETIMEDOUT);
}

void answers_give_up(struct presence_client *client, enum presence_client_error error)
{
	while (client->pending)
		fail_first(client, error);
}

int64_t answers_next_ms(const struct presence_client *client)
{
	return client->pending ? client->pending->deadline_ms : INT64_MAX;
}
