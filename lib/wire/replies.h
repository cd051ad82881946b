/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
#ifndef PRESENCE_WIRE_REPLIES_H
#define PRESENCE_WIRE_REPLIES_H

/* The answer to a message of commands:
 * {"responses":[{"command":"..","correlationData":"..","data":{..}}]}, or "error" for "data".
 *
 * What finds no memory makes the whole fail at its end, so only that needs a check. */

#include "core/presence.h"
#include "wire/command.h"

struct replies;

/* NULL when out of memory. */
struct replies *replies_create(void);
void replies_destroy(struct replies *replies);

/* The next response, to command; NULL: to a message that is none. It is one of success with no
 * data, until something of the following is said. */
void replies_add(struct replies *replies, const struct command *command);
void reply_error(struct replies *replies, const char *problem);
void reply_string(struct replies *replies, const char *key, const char *value);
void reply_number(struct replies *replies, const char *key, int64_t number);
/* The text of a JSON value, taken at its word. */
void reply_json(struct replies *replies, const char *key, const char *json);
/* A list under key; what is said from now on with key NULL is in it. */
void reply_list(struct replies *replies, const char *key);
/* The record as node publishes it, or at least would. */
void reply_record(struct replies *replies, const struct presence_record *record, const char *node);

size_t replies_count(const struct replies *replies);
/* The whole as JSON, borrowed. NULL: out of memory. */
const char *replies_text(struct replies *replies, size_t *length);

#endif
