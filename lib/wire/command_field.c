/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
#include "wire/command_field.h"

#include <json-c/json.h>
#include <stdio.h>
#include <string.h>

#include "wire/utf8.h"

enum { QUOTED_BYTES = 32, MS_PER_S = 1000 };
static const double interval_min_s = 1, interval_max_s = 3600;
static const double ttl_max_s = 365.0 * 24 * 3600;

/* The string, if it is one that holds no zero byte. */
static bool get_string(struct json_object *value, const char **string)
{
	if (!json_object_is_type(value, json_type_string))
		return false;
	const char *found = json_object_get_string(value);
	if (strlen(found) != (size_t)json_object_get_string_len(value))
		return false;
	*string = found;
	return true;
}

static bool read_correlation(struct command *command, struct json_object *value)
{
	if (!json_object_is_type(value, json_type_string))
		return false;
	command->correlation = json_object_get_string(value);
	command->correlation_length = (size_t)json_object_get_string_len(value);
	return true;
}

static bool get_seconds(struct json_object *value, double max_s, int64_t *ms)
{
	if (!json_object_is_type(value, json_type_int) &&
		!json_object_is_type(value, json_type_double))
		return false;
	double seconds = json_object_get_double(value);
	if (!(seconds > 0 && seconds <= max_s))
		return false;
	*ms = (int64_t)(seconds * MS_PER_S + 0.5);
	/* What is given is never none. */
	if (*ms == 0)
		*ms = 1;
	return true;
}

static bool read_interval(struct command *command, struct json_object *value)
{
	return get_seconds(value, interval_max_s, &command->interval_ms) &&
		command->interval_ms >= (int64_t)interval_min_s * MS_PER_S;
}

static bool read_ttl(struct command *command, struct json_object *value)
{
	return get_seconds(value, ttl_max_s, &command->ttl_ms);
}

static bool read_status(struct command *command, struct json_object *value)
{
	const char *word;
	if (!get_string(value, &word))
		return false;
	command->has_status = true;
	if (command->type == COMMAND_SET_OVERRIDE)
		return !presence_override_parse(word, &command->override) &&
			command->override != PRESENCE_OVERRIDE_NONE;
	/* Who beats is not offline. */
	return !presence_status_parse(word, &command->status) &&
		(command->type != COMMAND_HEARTBEAT || command->status != PRESENCE_OFFLINE);
}

static bool read_note(struct command *command, struct json_object *value)
{
	if (!get_string(value, &command->note))
		return false;
	size_t length = strlen(command->note);
	return length <= PRESENCE_NOTE_MAX && utf8_printable(command->note, length);
}

static bool get_id(struct json_object *value, const char **id)
{
	return get_string(value, id) && topic_id_valid(*id);
}

static bool read_role(struct command *command, struct json_object *value)
{
	return get_id(value, &command->role);
}

static bool read_id(struct command *command, struct json_object *value)
{
	return get_id(value, &command->id);
}

static bool read_conversation(struct command *command, struct json_object *value)
{
	return get_id(value, &command->conversation);
}

/* Not every client id is one that presence tracks. */
static bool read_client_id(struct command *command, struct json_object *value)
{
	return get_string(value, &command->client_id) && command->client_id[0];
}

static bool get_subject(struct json_object *value, const char **text)
{
	struct subject_name unused;
	return get_string(value, text) && !subject_name_read(*text, &unused);
}

static bool refuse_subject(struct command *command, struct json_object *value)
{
	char quote[COMMAND_QUOTE_MAX];
	(void)snprintf(command->problem, sizeof(command->problem),
		"\"subjects\" has %s in it; a subject is written like \"agent/u1\", with %% as "
		"%%25",
		command_quote_value(value, quote));
	return false;
}

static bool read_subjects(struct command *command, struct json_object *value)
{
	const char *unused;
	if (!json_object_is_type(value, json_type_array))
		return false;
	size_t count = json_object_array_length(value);
	if (count > COMMAND_SUBJECTS_MAX) {
		(void)snprintf(command->problem, sizeof(command->problem),
			"\"subjects\" has %zu names, %d at most; ask for the others in another "
			"command",
			count, COMMAND_SUBJECTS_MAX);
		return false;
	}
	for (size_t i = 0; i < count; i++)
		if (!get_subject(json_object_array_get_idx(value, i), &unused))
			return refuse_subject(command, json_object_array_get_idx(value, i));
	command->subjects = value;
	command->subject_count = count;
	return true;
}

static bool get_count(struct json_object *value, int64_t min, int64_t max, uint32_t *count)
{
	if (!json_object_is_type(value, json_type_int))
		return false;
	int64_t number = json_object_get_int64(value);
	if (number < min || number > max)
		return false;
	*count = (uint32_t)number;
	return true;
}

static bool read_count(struct command *command, struct json_object *value)
{
	return get_count(value, 1, COMMAND_COUNT_MAX, &command->count);
}

static bool read_offset(struct command *command, struct json_object *value)
{
	return get_count(value, 0, INT32_MAX, &command->offset);
}

static bool read_after(struct command *command, struct json_object *value)
{
	return get_subject(value, &command->after);
}

static bool read_kind(struct command *command, struct json_object *value)
{
	const char *word;
	return get_string(value, &word) && !presence_activity_parse(word, &command->activity);
}

static bool read_active(struct command *command, struct json_object *value)
{
	command->active = json_object_get_boolean(value);
	return json_object_is_type(value, json_type_boolean);
}

static const char an_id[] = "1 to 128 bytes of text without control characters";

static const struct field {
	const char *key;
	const char *takes;
	bool (*read)(struct command *command, struct json_object *value);
} fields[COMMAND_FIELDS] = {
	[FIELD_COMMAND] = { "command", "the name of a command", NULL },
	[FIELD_CORRELATION] = { "correlationData", "a string", read_correlation },
	[FIELD_INTERVAL] = { "interval", "seconds, from 1 to 3600", read_interval },
	[FIELD_STATUS] = { "status", NULL, read_status },
	[FIELD_NOTE] = { "note", "at most 128 bytes of text without control characters",
		read_note },
	[FIELD_TTL] = { "ttl", "seconds, more than 0 and up to a year; without it, until cleared",
		read_ttl },
	[FIELD_ROLE] = { "role", an_id, read_role },
	[FIELD_ID] = { "id", an_id, read_id },
	[FIELD_SUBJECTS] = { "subjects", "a list of at most 256 names like \"agent/u1\"",
		read_subjects },
	[FIELD_COUNT] = { "count", "a whole number from 1 to 1000", read_count },
	[FIELD_OFFSET] = { "offset", "a whole number from 0 to 2147483647", read_offset },
	[FIELD_AFTER] = { "after", "a name like \"agent/u1\", with % as %25", read_after },
	[FIELD_CLIENTID] = { "clientid", "the id of a client", read_client_id },
	[FIELD_CONVERSATION] = { "conversation", an_id, read_conversation },
	[FIELD_KIND] = { "kind", "typing or recording", read_kind },
	[FIELD_ACTIVE] = { "active", "true or false", read_active },
};

const char *command_field_key(enum command_field field)
{
	return fields[field].key;
}

const char *command_field_takes(const struct command *command, enum command_field field)
{
	if (field != FIELD_STATUS)
		return fields[field].takes;
	if (command->type == COMMAND_SET_OVERRIDE)
		return "one of online, away, dnd, invisible";
	return command->type == COMMAND_HEARTBEAT ? "one of online, away, dnd"
						  : "one of online, away, dnd, offline";
}

bool command_field_read(
	struct command *command, enum command_field field, struct json_object *value)
{
	return fields[field].read(command, value);
}

const char *command_quote(const char *bytes, size_t length, char out[COMMAND_QUOTE_MAX])
{
	size_t at = 0, written = 0, step;
	while (at < length) {
		uint32_t character;
		step = utf8_read(bytes + at, length - at, &character);
		bool printable = step && utf8_printable(bytes + at, step) && character != '"';
		if (written + (printable ? step : 1) > QUOTED_BYTES)
			break;
		memcpy(out + written, printable ? bytes + at : "?", printable ? step : 1);
		written += printable ? step : 1;
		at += step ? step : 1;
	}
	memcpy(out + written, at < length ? ".." : "", at < length ? 3 : 1);
	return out;
}

const char *command_quote_value(struct json_object *value, char out[COMMAND_QUOTE_MAX])
{
	char text[COMMAND_QUOTE_MAX];
	switch (json_object_get_type(value)) {
	case json_type_null:
		return "null";
	case json_type_object:
		return "an object";
	case json_type_array:
		return "a list";
	case json_type_boolean:
		return json_object_get_boolean(value) ? "true" : "false";
	case json_type_string:
		command_quote(json_object_get_string(value),
			(size_t)json_object_get_string_len(value), text);
		out[0] = '"';
		/* It ends below. NOLINTNEXTLINE(bugprone-not-null-terminated-result) */
		memcpy(out + 1, text, strlen(text));
		memcpy(out + 1 + strlen(text), "\"", 2);
		return out;
	case json_type_int:
	case json_type_double:
		break;
	}
	const char *number = json_object_to_json_string(value);
	return number ? command_quote(number, strlen(number), out) : "a number";
}
