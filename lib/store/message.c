/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
#include "store/message.h"

#include <stdlib.h>

#include "store/copy.h"

#define COUNT_OF(array) (sizeof(array) / sizeof(*(array)))

static const size_t event_strings[] = {
	offsetof(struct presence_event, client_id),
	offsetof(struct presence_event, role),
	offsetof(struct presence_event, id),
	offsetof(struct presence_event, device),
	offsetof(struct presence_event, note),
	offsetof(struct presence_event, conversation),
	offsetof(struct presence_event, record.role),
	offsetof(struct presence_event, record.id),
	offsetof(struct presence_event, record.note),
};

static const struct copy_plan event_plan = {
	.whole = sizeof(struct letter),
	.place = offsetof(struct letter, message.event),
	.size = sizeof(struct presence_event),
	.strings = event_strings,
	.count = COUNT_OF(event_strings),
};

static const size_t log_strings[] = { offsetof(struct store_message, text) };

static const struct copy_plan log_plan = {
	.whole = sizeof(struct letter),
	.place = offsetof(struct letter, message),
	.size = sizeof(struct store_message),
	.strings = log_strings,
	.count = COUNT_OF(log_strings),
};

struct letter *letter_of_event(const struct presence_event *event)
{
	struct letter *letter = copy_with_strings(&event_plan, event);
	if (letter)
		letter->message.type = STORE_MESSAGE_EVENT;
	return letter;
}

struct letter *letter_of_log(enum store_level level, const char *text)
{
	const struct store_message message = {
		.type = STORE_MESSAGE_LOG,
		.level = level,
		.text = text,
	};
	return copy_with_strings(&log_plan, &message);
}

void store_message_destroy(struct store_message *message)
{
	/* The message is the first member of its letter. */
	free(message);
}
