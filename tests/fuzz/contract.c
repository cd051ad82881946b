/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
#include "contract.h"

#include "fuzz.h"
#include "wire/topic.h"
#include "wire/utf8.h"

static bool is_number(int64_t number)
{
	return number >= 0 && number < INT64_C(1) << 53;
}

static bool is_note(const char *note)
{
	return !note || (strlen(note) <= PRESENCE_NOTE_MAX && utf8_printable(note, strlen(note)));
}

static bool is_status(enum presence_status status)
{
	return status >= PRESENCE_OFFLINE && status <= PRESENCE_DND;
}

static void check_record(const struct presence_record *record)
{
	MUST(topic_id_valid(record->role) && topic_id_valid(record->id));
	MUST(is_status(record->status) && is_status(record->previous));
	MUST(record->reason <= PRESENCE_REASON_PROTOCOL && record->source <= PRESENCE_MANUAL);
	MUST(is_number(record->since_ms) && is_number(record->last_seen_ms));
	MUST(is_number(record->rev) && is_number(record->until_ms) && is_note(record->note));
}

void contract_check(const struct presence_event *event)
{
	bool has_subject = event->type == PRESENCE_RESTORED_DEVICE ||
		event->type == PRESENCE_RESTORED_OVERRIDE || event->type == PRESENCE_ASSERT;
	if (event->type == PRESENCE_RESTORED)
		check_record(&event->record);
	else
		MUST(has_subject || event->type == PRESENCE_RESYNC ||
			event->type == PRESENCE_REV_SEEN);
	if (has_subject)
		MUST(topic_id_valid(event->role) && topic_id_valid(event->id));
	if (event->type == PRESENCE_RESTORED_DEVICE)
		MUST(topic_id_valid(event->device) && is_status(event->status));
	MUST(is_note(event->note) && is_number(event->until_ms) && is_number(event->rev));
	MUST(is_number(event->last_seen_ms));
	MUST(event->override <= PRESENCE_OVERRIDE_INVISIBLE);
}
