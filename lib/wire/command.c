/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
#include "wire/command.h"

#include <json-c/json.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "wire/command_field.h"
#include "wire/nearest.h"

enum { DEPTH_MAX = 8 };

#define BIT(field) (1u << (FIELD_##field))

/* All there is to know of each command. */
static const struct row {
	const char *name;
	enum command_right right;
	unsigned allowed, required;
} rows[COMMAND_TYPES] = {
	[COMMAND_HEARTBEAT] = { "heartbeat", COMMAND_BY_DEVICE,
		BIT(INTERVAL) | BIT(STATUS) | BIT(NOTE), 0 },
	[COMMAND_SET_STATUS] = { "setStatus", COMMAND_BY_DEVICE, BIT(STATUS) | BIT(NOTE),
		BIT(STATUS) },
	[COMMAND_CLEAR_STATUS] = { "clearStatus", COMMAND_BY_DEVICE, 0, 0 },
	[COMMAND_LEAVE] = { "leave", COMMAND_BY_DEVICE, 0, 0 },
	[COMMAND_TYPING] = { "typing", COMMAND_BY_DEVICE,
		BIT(CONVERSATION) | BIT(KIND) | BIT(ACTIVE), BIT(CONVERSATION) | BIT(ACTIVE) },
	[COMMAND_SET_OVERRIDE] = { "setOverride", COMMAND_BY_SUBJECT,
		BIT(STATUS) | BIT(NOTE) | BIT(TTL) | BIT(ROLE) | BIT(ID), BIT(STATUS) },
	[COMMAND_CLEAR_OVERRIDE] = { "clearOverride", COMMAND_BY_SUBJECT, BIT(ROLE) | BIT(ID), 0 },
	[COMMAND_GET_PRESENCE] = { "getPresence", COMMAND_BY_ANYBODY, BIT(SUBJECTS),
		BIT(SUBJECTS) },
	[COMMAND_LIST_PRESENCE] = { "listPresence", COMMAND_BY_ADMIN,
		BIT(ROLE) | BIT(STATUS) | BIT(COUNT) | BIT(OFFSET) | BIT(AFTER), 0 },
	[COMMAND_GET_STATS] = { "getStats", COMMAND_BY_ADMIN, 0, 0 },
	[COMMAND_LIST_NODES] = { "listNodes", COMMAND_BY_ADMIN, 0, 0 },
	[COMMAND_KICK] = { "kick", COMMAND_BY_ADMIN, BIT(CLIENTID), BIT(CLIENTID) },
	[COMMAND_FORGET] = { "forget", COMMAND_BY_ADMIN, BIT(ROLE) | BIT(ID), BIT(ROLE) | BIT(ID) },
};

const char *command_name(enum command_type type)
{
	return rows[type].name;
}

/* The first problem is the one that is told. */
__attribute__((format(printf, 2, 3))) static bool refuse(
	char problem[COMMAND_PROBLEM_MAX], const char *format, ...)
{
	va_list arguments;
	va_start(arguments, format);
	(void)vsnprintf(problem, COMMAND_PROBLEM_MAX, format, arguments); /* cut, at worst */
	va_end(arguments);
	return false;
}

static bool refuse_name(struct command *command)
{
	char quote[COMMAND_QUOTE_MAX];
	struct nearest nearest = nearest_begin(command->name);
	for (int type = 0; type < COMMAND_TYPES; type++)
		nearest_try(&nearest, rows[type].name, rows[type].name);
	command_quote(command->name, strlen(command->name), quote);
	if (nearest.found)
		return refuse(command->problem, "unknown command \"%s\"; did you mean \"%s\"?",
			quote, nearest.found);
	return refuse(command->problem,
		"unknown command \"%s\"; docs/PROTOCOL.md of the plugin lists all there are",
		quote);
}

/* What command is; its row. NULL: none, and the problem says so. */
static const struct row *read_name(struct command *command, struct json_object *item)
{
	struct json_object *value;
	char quote[COMMAND_QUOTE_MAX];
	if (!json_object_object_get_ex(item, command_field_key(FIELD_COMMAND), &value)) {
		refuse(command->problem,
			"\"command\" is missing; it takes the name of a command, like \"leave\"");
		return NULL;
	}
	if (!json_object_is_type(value, json_type_string)) {
		refuse(command->problem, "\"command\" is %s; it takes the name of a command",
			command_quote_value(value, quote));
		return NULL;
	}
	command->name = json_object_get_string(value);
	for (int type = 0; type < COMMAND_TYPES; type++) {
		if (strcmp(rows[type].name, command->name) ||
			strlen(command->name) != (size_t)json_object_get_string_len(value))
			continue;
		command->type = (enum command_type)type;
		command->right = rows[type].right;
		return &rows[type];
	}
	refuse_name(command);
	return NULL;
}

/* "a, b, c", of those in set; cut, at worst. */
static const char *list_keys(unsigned set, char out[COMMAND_PROBLEM_MAX])
{
	size_t length = 0;
	out[0] = '\0';
	for (int field = 0; field < COMMAND_FIELDS && length < COMMAND_PROBLEM_MAX; field++)
		if (set & 1u << field)
			length += (size_t)snprintf(out + length, COMMAND_PROBLEM_MAX - length,
				"%s%s", length ? ", " : "",
				command_field_key((enum command_field)field));
	return out;
}

static bool refuse_key(struct command *command, const struct row *row, const char *key)
{
	char quote[COMMAND_QUOTE_MAX], keys[COMMAND_PROBLEM_MAX];
	struct nearest nearest = nearest_begin(key);
	for (int field = 0; field < COMMAND_FIELDS; field++)
		if (row->allowed & 1u << field)
			nearest_try(&nearest, command_field_key((enum command_field)field),
				command_field_key((enum command_field)field));
	command_quote(key, strlen(key), quote);
	if (nearest.found)
		return refuse(command->problem, "unknown key \"%s\"; did you mean \"%s\"?", quote,
			nearest.found);
	return refuse(command->problem, "unknown key \"%s\"; %s takes %s", quote, row->name,
		row->allowed ? list_keys(row->allowed, keys) : "none");
}

static bool read_pair(struct command *command, const struct row *row, const char *key,
	struct json_object *value, unsigned *given)
{
	char quote[COMMAND_QUOTE_MAX];
	unsigned known = row->allowed | BIT(COMMAND) | BIT(CORRELATION);
	int field = 0;
	while (field < COMMAND_FIELDS &&
		!(known & 1u << field &&
			!strcmp(key, command_field_key((enum command_field)field))))
		field++;
	if (field == COMMAND_FIELDS)
		return refuse_key(command, row, key);
	*given |= 1u << field;
	if (field == FIELD_COMMAND || field == FIELD_CORRELATION ||
		command_field_read(command, (enum command_field)field, value))
		return true;
	if (command->problem[0])
		return false;
	return refuse(command->problem, "\"%s\" is %s; it takes %s", key,
		command_quote_value(value, quote),
		command_field_takes(command, (enum command_field)field));
}

static bool check_given(struct command *command, const struct row *row, unsigned given)
{
	for (int field = 0; field < COMMAND_FIELDS; field++)
		if (row->required & ~given & 1u << field)
			return refuse(command->problem, "\"%s\" is missing; it takes %s",
				command_field_key((enum command_field)field),
				command_field_takes(command, (enum command_field)field));
	if (row->right == COMMAND_BY_SUBJECT && !command->role != !command->id)
		return refuse(command->problem,
			"\"role\" and \"id\" name a subject together; give both, or none for your "
			"own");
	if (command->type == COMMAND_HEARTBEAT && command->note && !command->has_status)
		return refuse(command->problem,
			"\"note\" goes with a status; give \"status\" too, or use setStatus");
	return true;
}

static bool read_correlation(struct command *command, struct json_object *item)
{
	struct json_object *value;
	char quote[COMMAND_QUOTE_MAX];
	if (!json_object_object_get_ex(item, command_field_key(FIELD_CORRELATION), &value) ||
		command_field_read(command, FIELD_CORRELATION, value))
		return true;
	return refuse(command->problem, "\"correlationData\" is %s; it takes a string",
		command_quote_value(value, quote));
}

static void read_command(struct command *command, struct json_object *item)
{
	char quote[COMMAND_QUOTE_MAX];
	unsigned given = 0;
	*command = (struct command){ .name = "", .count = COMMAND_COUNT_DEFAULT };
	if (!json_object_is_type(item, json_type_object)) {
		refuse(command->problem,
			"a command is %s; it takes an object, like {\"command\":\"leave\"}",
			command_quote_value(item, quote));
		return;
	}
	bool is_good = read_correlation(command, item);
	const struct row *row = read_name(command, item);
	if (!row || !is_good)
		return;
	json_object_object_foreach(item, key, value)
	{
		if (!read_pair(command, row, key, value, &given))
			return;
	}
	check_given(command, row, given);
}

#define EXAMPLE "{\"commands\":[{\"command\":\"leave\"}]}"

static int parse(const char *bytes, size_t length, struct json_object **root,
	char problem[COMMAND_PROBLEM_MAX])
{
	struct json_tokener *tokener = json_tokener_new_ex(DEPTH_MAX);
	if (!tokener)
		return PRESENCE_ENOMEM;
	json_tokener_set_flags(tokener, JSON_TOKENER_STRICT | JSON_TOKENER_VALIDATE_UTF8);
	*root = json_tokener_parse_ex(tokener, bytes, (int)length);
	enum json_tokener_error error = json_tokener_get_error(tokener);
	size_t end = json_tokener_get_parse_end(tokener);
	json_tokener_free(tokener);
	/* A byte of zero ends the tokener's reading, whatever comes after it. */
	if (error == json_tokener_success && end == length)
		return PRESENCE_OK;
	if (error == json_tokener_error_depth)
		refuse(problem, "the message is nested too deep, %d levels at most; send " EXAMPLE,
			DEPTH_MAX);
	else if (error == json_tokener_continue)
		refuse(problem, "the message is cut off, or empty; send " EXAMPLE);
	else
		refuse(problem, "the message is no JSON from byte %zu on; send " EXAMPLE, end + 1);
	json_object_put(*root);
	*root = NULL;
	return PRESENCE_OK;
}

/* The list of commands in root. NULL: the problem says why there is none. */
static struct json_object *find_list(struct json_object *root, char problem[COMMAND_PROBLEM_MAX])
{
	static const char key_of_list[] = "commands";
	struct json_object *list = NULL;
	char quote[COMMAND_QUOTE_MAX];
	if (!json_object_is_type(root, json_type_object)) {
		refuse(problem, "the message is %s; send " EXAMPLE,
			command_quote_value(root, quote));
		return NULL;
	}
	json_object_object_foreach(root, key, value)
	{
		if (!strcmp(key, key_of_list)) {
			list = value;
			continue;
		}
		refuse(problem, "unknown key \"%s\" beside \"commands\"; send " EXAMPLE,
			command_quote(key, strlen(key), quote));
		return NULL;
	}
	size_t count = 0;
	if (json_object_is_type(list, json_type_array))
		count = json_object_array_length(list);
	if (count > 0 && count <= COMMANDS_MAX)
		return list;
	if (count)
		refuse(problem, "%zu commands in a message, %d at most; send them in several",
			count, COMMANDS_MAX);
	else
		refuse(problem, "\"commands\" is missing, empty or no list; send " EXAMPLE);
	return NULL;
}

int commands_parse(const char *bytes, size_t length, struct commands **commands)
{
	char problem[COMMAND_PROBLEM_MAX] = "";
	struct json_object *root = NULL, *list = NULL;
	*commands = NULL;
	if (length > COMMANDS_BYTES_MAX)
		refuse(problem, "%zu bytes in a message, %d at most; send the commands in several",
			length, COMMANDS_BYTES_MAX);
	else if (parse(bytes, length, &root, problem))
		return PRESENCE_ENOMEM;
	if (!problem[0])
		list = find_list(root, problem);
	size_t count = list ? json_object_array_length(list) : 0;
	struct commands *parsed = calloc(1, sizeof(*parsed) + count * sizeof(*parsed->item));
	if (!parsed) {
		json_object_put(root);
		return PRESENCE_ENOMEM;
	}
	memcpy(parsed->problem, problem, sizeof(problem));
	parsed->root = root;
	parsed->count = count;
	for (size_t i = 0; i < count; i++)
		read_command(&parsed->item[i], json_object_array_get_idx(list, i));
	*commands = parsed;
	return PRESENCE_OK;
}

void commands_destroy(struct commands *commands)
{
	if (!commands)
		return;
	json_object_put(commands->root);
	free(commands);
}

/* Encoded, or as it is. */
static bool read_part(const char *text, size_t length, char out[PRESENCE_ID_MAX + 1])
{
	if (memchr(text, '%', length))
		return topic_decode(text, length, out, PRESENCE_ID_MAX + 1) >= 0;
	if (length > PRESENCE_ID_MAX)
		return false;
	memcpy(out, text, length);
	out[length] = '\0';
	return topic_id_valid(out);
}

int subject_name_read(const char *text, struct subject_name *name)
{
	const char *slash = strchr(text, '/');
	if (!slash || !read_part(text, (size_t)(slash - text), name->role) ||
		!read_part(slash + 1, strlen(slash + 1), name->id))
		return PRESENCE_EINVAL;
	return PRESENCE_OK;
}

int subject_name_write(const char *role, const char *id, char *out, size_t size)
{
	int length = topic_encode(role, out, size);
	if (length < 0 || (size_t)length + 1 >= size)
		return PRESENCE_EINVAL;
	out[length++] = '/';
	int rest = topic_encode(id, out + length, size - (size_t)length);
	return rest < 0 ? rest : length + rest;
}

void command_subject(const struct command *command, size_t index, struct subject_name *name)
{
	/* It was read before. */
	(void)subject_name_read(
		json_object_get_string(json_object_array_get_idx(command->subjects, index)), name);
}
