/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
#include "wire/replies.h"

#include <json-c/json.h>
#include <stdlib.h>
#include <string.h>

#include "wire/command_field.h"
#include "wire/record.h"

struct replies {
	struct json_object *root;
	/* Of the root: */
	struct json_object *responses, *response, *data, *list;
	size_t count;
	bool has_failed;
};

/* Takes value. What it is part of may be missing: then something failed before. Returns value, or
 * NULL. */
static struct json_object *put(struct replies *replies, struct json_object *parent, const char *key,
	struct json_object *value)
{
	bool is_in = false;
	if (parent && value)
		is_in = key ? !json_object_object_add(parent, key, value)
			    : !json_object_array_add(parent, value);
	if (is_in)
		return value;
	json_object_put(value);
	replies->has_failed = true;
	return NULL;
}

static struct json_object *put_data(
	struct replies *replies, const char *key, struct json_object *value)
{
	return put(replies, key ? replies->data : replies->list, key, value);
}

struct replies *replies_create(void)
{
	struct replies *replies = calloc(1, sizeof(*replies));
	if (!replies)
		return NULL;
	replies->root = json_object_new_object();
	replies->responses = put(replies, replies->root, "responses", json_object_new_array());
	if (replies->responses)
		return replies;
	replies_destroy(replies);
	return NULL;
}

void replies_destroy(struct replies *replies)
{
	if (!replies)
		return;
	json_object_put(replies->root);
	free(replies);
}

void replies_add(struct replies *replies, const struct command *command)
{
	const char *name = command ? command->name : "";
	char quote[COMMAND_QUOTE_MAX];
	replies->list = NULL;
	replies->count++;
	replies->response = put(replies, replies->responses, NULL, json_object_new_object());
	put(replies, replies->response, "command",
		json_object_new_string(command_quote(name, strlen(name), quote)));
	if (command && command->correlation)
		put(replies, replies->response, "correlationData",
			json_object_new_string_len(
				command->correlation, (int)command->correlation_length));
	replies->data = put(replies, replies->response, "data", json_object_new_object());
}

void reply_error(struct replies *replies, const char *problem)
{
	if (replies->response)
		json_object_object_del(replies->response, "data");
	replies->data = replies->list = NULL;
	put(replies, replies->response, "error", json_object_new_string(problem));
}

void reply_string(struct replies *replies, const char *key, const char *value)
{
	put_data(replies, key, json_object_new_string(value));
}

void reply_number(struct replies *replies, const char *key, int64_t number)
{
	put_data(replies, key, json_object_new_int64(number));
}

void reply_json(struct replies *replies, const char *key, const char *json)
{
	char *copy = strdup(json);
	struct json_object *value = copy ? put_data(replies, key, json_object_new_int(0)) : NULL;
	if (!value) {
		free(copy);
		replies->has_failed = true;
		return;
	}
	json_object_set_serializer(
		value, json_object_userdata_to_json_string, copy, json_object_free_userdata);
}

void reply_list(struct replies *replies, const char *key)
{
	replies->list = put_data(replies, key, json_object_new_array());
}

void reply_record(struct replies *replies, const struct presence_record *record, const char *node)
{
	char json[PRESENCE_RECORD_MAX];
	if (record_write(record, node, json, sizeof(json)) < 0)
		replies->has_failed = true;
	else
		reply_json(replies, NULL, json);
}

size_t replies_count(const struct replies *replies)
{
	return replies->count;
}

const char *replies_text(struct replies *replies, size_t *length)
{
	if (replies->has_failed)
		return NULL;
	return json_object_to_json_string_length(
		replies->root, JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE, length);
}
