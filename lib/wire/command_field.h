/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
#ifndef PRESENCE_WIRE_COMMAND_FIELD_H
#define PRESENCE_WIRE_COMMAND_FIELD_H

/* Inside wire: what stands in a command under each key. */

#include "wire/command.h"

enum command_field {
	FIELD_COMMAND,
	FIELD_CORRELATION,
	FIELD_INTERVAL,
	FIELD_STATUS,
	FIELD_NOTE,
	FIELD_TTL,
	FIELD_ROLE,
	FIELD_ID,
	FIELD_SUBJECTS,
	FIELD_COUNT,
	FIELD_OFFSET,
	FIELD_AFTER,
	FIELD_CLIENTID,
	FIELD_CONVERSATION,
	FIELD_KIND,
	FIELD_ACTIVE,
};
enum { COMMAND_FIELDS = FIELD_ACTIVE + 1 };

const char *command_field_key(enum command_field field);
/* What the field takes, for people. */
const char *command_field_takes(const struct command *command, enum command_field field);
/* Reads value into command, whose type is set. False: it is not what the field takes; a problem
 * that it sets says more. */
bool command_field_read(
	struct command *command, enum command_field field, struct json_object *value);

/* A piece of what was sent, printable and short, as an error may repeat it. */
#define COMMAND_QUOTE_MAX 48
const char *command_quote(const char *bytes, size_t length, char out[COMMAND_QUOTE_MAX]);
const char *command_quote_value(struct json_object *value, char out[COMMAND_QUOTE_MAX]);

#endif
