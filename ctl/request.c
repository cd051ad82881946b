/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
#include "ctl/request.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "ctl/clock.h"
#include "ctl/link_internal.h"

enum { NOT_AUTHORIZED = 135, REASONS_OF_FAILURE = 128, DEPTH_MAX = 16 };

static const char response_topic[] = REQUEST_TOPIC "/response";

static const char *text_of(struct json_object *object, const char *key)
{
	struct json_object *value;
	if (!json_object_object_get_ex(object, key, &value) ||
		!json_object_is_type(value, json_type_string))
		return NULL;
	return json_object_get_string(value);
}

/* The response to the question asked last, among those of one message. */
static struct json_object *find_reply(const struct request *request, struct json_object *root)
{
	struct json_object *responses;
	if (!json_object_object_get_ex(root, "responses", &responses) ||
		!json_object_is_type(responses, json_type_array))
		return text_of(root, "error") ? root : NULL; /* Mosquitto 2.1: no plugin there */
	for (size_t i = 0; i < json_object_array_length(responses); i++) {
		struct json_object *one = json_object_array_get_idx(responses, i);
		const char *correlation = text_of(one, "correlationData");
		const char *error = text_of(one, "error");
		/* What is wrong with a whole message is said of no command in it. */
		if (correlation ? !strcmp(correlation, request->correlation) : error != NULL)
			return one;
	}
	return NULL;
}

static void on_message(void *context, const struct mosquitto_message *message)
{
	struct request *request = context;
	if (request->reply || strcmp(message->topic, response_topic))
		return;
	struct json_tokener *tokener = json_tokener_new_ex(DEPTH_MAX);
	struct json_object *root = tokener
		? json_tokener_parse_ex(tokener, message->payload, message->payloadlen)
		: NULL;
	if (tokener)
		json_tokener_free(tokener);
	if (root)
		request->reply = json_object_get(find_reply(request, root));
	json_object_put(root);
}

enum ctl_exit request_open(
	struct request *request, const struct settings *settings, char problem[LINK_PROBLEM_MAX])
{
	*request = (struct request){ .link = { .on_message = on_message, .context = request } };
	return link_open(&request->link, settings, problem);
}

void request_close(struct request *request)
{
	json_object_put(request->reply);
	request->reply = NULL;
	link_close(&request->link);
}

/* {"commands":[{..}]}; NULL when out of memory. Takes fields. */
static struct json_object *make_message(
	struct request *request, const char *command, struct json_object *fields)
{
	struct json_object *root = json_object_new_object(), *list = json_object_new_array();
	(void)snprintf(request->correlation, sizeof(request->correlation), "%" PRIx64 "-%u",
		(uint64_t)clock_wall_ms(), ++request->number);
	if (!root || !list || !fields ||
		json_object_object_add(fields, "command", json_object_new_string(command)) ||
		json_object_object_add(
			fields, "correlationData", json_object_new_string(request->correlation)) ||
		json_object_object_add(root, "commands", list))
		return NULL;
	(void)json_object_array_add(list, fields);
	return root;
}

static enum ctl_exit judge(struct request *request, struct json_object **data, char *problem)
{
	const char *error = text_of(request->reply, "error");
	if (error)
		return link_refuse(problem, CTL_REFUSED, "%s", error);
	if (json_object_object_get_ex(request->reply, "data", data))
		(void)json_object_get(*data);
	return CTL_OK;
}

enum ctl_exit request_send(struct request *request, const char *command, struct json_object *fields,
	int64_t timeout_ms, struct json_object **data, char problem[LINK_PROBLEM_MAX])
{
	int64_t deadline = clock_ms() + timeout_ms, left;
	int code;
	*data = NULL;
	json_object_put(request->reply);
	request->reply = NULL;
	struct json_object *message = make_message(request, command, fields);
	if (!message)
		return link_refuse(problem, CTL_TROUBLE, "out of memory");
	enum ctl_exit end = link_publish(&request->link, REQUEST_TOPIC,
		json_object_to_json_string_ext(message, JSON_C_TO_STRING_PLAIN), false, timeout_ms,
		&code, problem);
	json_object_put(message);
	if (end != CTL_OK)
		return end;
	if (code >= REASONS_OF_FAILURE)
		return link_refuse(problem, CTL_REFUSED,
			code == NOT_AUTHORIZED ? "the broker does not let this user publish to %s; "
						 "let its access control allow it"
					       : "the broker did not take what was sent to %s",
			REQUEST_TOPIC);
	while (!request->reply && (left = deadline - clock_ms()) > 0)
		if (!link_wait(&request->link, NULL, 0, left))
			return link_refuse(
				problem, CTL_UNREACHABLE, "the broker closed the connection");
	if (!request->reply)
		return link_refuse(problem, CTL_UNREACHABLE,
			"no answer from the plugin in %" PRId64
			" ms; presencectl doctor looks for the reason",
			timeout_ms);
	return judge(request, data, problem);
}
