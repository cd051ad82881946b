/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
#ifndef PRESENCE_CTL_REQUEST_H
#define PRESENCE_CTL_REQUEST_H

/* Commands to the plugin: one question, one answer. */

#include <json-c/json.h>

#include "ctl/link.h"

#define REQUEST_TOPIC "$CONTROL/presence/v1"

struct request {
	struct link link;
	struct json_object *reply; /* the one awaited, or NULL */
	char correlation[32];
	unsigned number;
};

/* Connects. As link_open(). request is to be closed in any case. */
enum ctl_exit request_open(
	struct request *request, const struct settings *settings, char problem[LINK_PROBLEM_MAX]);
void request_close(struct request *request);

/* Sends command with fields, an object that is taken, and waits for the answer: *data is its data,
 * to be put by the caller, or NULL. CTL_REFUSED: problem is what the plugin said. */
enum ctl_exit request_send(struct request *request, const char *command, struct json_object *fields,
	int64_t timeout_ms, struct json_object **data, char problem[LINK_PROBLEM_MAX]);

#endif
