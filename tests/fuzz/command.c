/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
/* Commands from any client, and the answers made of them: whatever the bytes, each command is
 * within its limits or carries a sentence that says what is wrong, and the answer is JSON that
 * gives back what is to be given back. */

#include "wire/command.h"

#include <json-c/json.h>

#include "fuzz.h"
#include "wire/replies.h"
#include "wire/utf8.h"

#define YEAR_MS (INT64_C(366) * 24 * 3600 * 1000)

static void check_problem(const char *problem)
{
	MUST(strlen(problem) < COMMAND_PROBLEM_MAX);
	MUST(utf8_printable(problem, strlen(problem)));
}

static bool is_id(const char *id)
{
	return !id || topic_id_valid(id);
}

static void check_subjects(const struct command *command)
{
	MUST(command->subject_count <= COMMAND_SUBJECTS_MAX);
	for (size_t i = 0; i < command->subject_count; i++) {
		struct subject_name name;
		command_subject(command, i, &name);
		MUST(topic_id_valid(name.role) && topic_id_valid(name.id));
	}
}

static void check_command(const struct command *command)
{
	struct subject_name name;
	check_problem(command->problem);
	MUST(command->name);
	if (command->problem[0])
		return;
	MUST((unsigned)command->type < COMMAND_TYPES);
	MUST(!strcmp(command->name, command_name(command->type)));
	MUST(command->interval_ms == 0 ||
		(command->interval_ms >= 1000 && command->interval_ms <= 3600 * 1000));
	MUST(command->ttl_ms >= 0 && command->ttl_ms <= YEAR_MS);
	MUST(!command->note ||
		(strlen(command->note) <= PRESENCE_NOTE_MAX &&
			utf8_printable(command->note, strlen(command->note))));
	MUST(command->status >= PRESENCE_OFFLINE && command->status <= PRESENCE_DND);
	MUST(command->override >= PRESENCE_OVERRIDE_NONE &&
		command->override <= PRESENCE_OVERRIDE_INVISIBLE);
	MUST(is_id(command->role) && is_id(command->id));
	MUST(!command->conversation || topic_id_valid(command->conversation));
	MUST(command->count <= COMMAND_COUNT_MAX);
	MUST(!command->after || !subject_name_read(command->after, &name));
	check_subjects(command);
}

static void check_given_back(struct json_object *response, const struct command *command)
{
	struct json_object *value;
	MUST(json_object_object_get_ex(response, "command", &value));
	bool is_given = json_object_object_get_ex(response, "correlationData", &value);
	MUST(is_given == (command->correlation != NULL));
	if (!is_given)
		return;
	MUST((size_t)json_object_get_string_len(value) == command->correlation_length);
	MUST(!memcmp(
		json_object_get_string(value), command->correlation, command->correlation_length));
}

/* An answer to each, some good and some bad. */
static void check_answer(const struct commands *commands)
{
	struct replies *replies = replies_create();
	size_t length;
	MUST(replies);
	for (size_t i = 0; i < commands->count; i++) {
		const struct command *command = &commands->item[i];
		replies_add(replies, command);
		if (command->problem[0]) {
			reply_error(replies, command->problem);
			continue;
		}
		reply_string(replies, "note", command->note ? command->note : "");
		reply_number(replies, "ttl", command->ttl_ms);
	}
	if (commands->problem[0]) {
		replies_add(replies, NULL);
		reply_error(replies, commands->problem);
	}
	const char *text = replies_text(replies, &length);
	MUST(text && strlen(text) == length);
	struct json_object *root = json_tokener_parse(text), *list;
	MUST(root && json_object_object_get_ex(root, "responses", &list));
	MUST(json_object_array_length(list) == replies_count(replies));
	for (size_t i = 0; i < commands->count; i++)
		check_given_back(json_object_array_get_idx(list, i), &commands->item[i]);
	json_object_put(root);
	replies_destroy(replies);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct commands *commands;
	char *exact = malloc(size + !size);
	MUST(exact);
	memcpy(exact, data, size);
	MUST(!commands_parse(exact, size, &commands));
	free(exact); /* nothing borrows from it */
	MUST(commands->count <= COMMANDS_MAX);
	check_problem(commands->problem);
	MUST(!commands->problem[0] || !commands->count);
	for (size_t i = 0; i < commands->count; i++)
		check_command(&commands->item[i]);
	check_answer(commands);
	commands_destroy(commands);
	return 0;
}
