/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
#ifndef PRESENCE_CTL_PRINT_H
#define PRESENCE_CTL_PRINT_H

/* What the plugin answered, for people or programs. data is borrowed, and may be NULL. */

#include <json-c/json.h>

#include "ctl/settings.h"

void print_json(struct json_object *data);
/* {"subjects":[record..],"totalCount":n} as a table. */
void print_subjects(const struct settings *settings, struct json_object *data);
/* Any data, a value a line, with the keys that lead to it. */
void print_tree(const struct settings *settings, struct json_object *data);
/* Nothing but what a person should know: where it holds. */
void print_done(const struct settings *settings, struct json_object *data);

#endif
