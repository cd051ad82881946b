/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
#ifndef PRESENCE_STORE_MESSAGE_H
#define PRESENCE_STORE_MESSAGE_H

#include "store/store.h"

/* A message on its way to the broker; ends with store_message_destroy(&letter->message). */
struct letter {
	struct store_message message;
	struct letter *next;
};

/* Copies; NULL when out of memory. */
struct letter *letter_of_event(const struct presence_event *event);
struct letter *letter_of_log(enum store_level level, const char *text);

#endif
