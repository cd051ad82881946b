/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
/* Records as readers meet them on a topic that, without an ACL, anybody may write: what is read is
 * within its limits, survives being written, and cannot act on a terminal. */

#include "wire/record.h"
#include "ctl/show.h"
#include "fuzz.h"
#include "wire/topic.h"
#include "wire/utf8.h"

#define NUMBER_MAX ((INT64_C(1) << 53) - 1)

static void check_limits(const struct presence_record *record)
{
	MUST(topic_id_valid(record->role) && topic_id_valid(record->id));
	MUST(record->status >= PRESENCE_OFFLINE && record->status <= PRESENCE_DND);
	MUST(record->previous >= PRESENCE_OFFLINE && record->previous <= PRESENCE_DND);
	MUST(record->reason <= PRESENCE_REASON_PROTOCOL && record->source <= PRESENCE_MANUAL);
	MUST(record->since_ms >= 0 && record->since_ms <= NUMBER_MAX);
	MUST(record->last_seen_ms >= 0 && record->last_seen_ms <= NUMBER_MAX);
	MUST(record->rev >= 0 && record->rev <= NUMBER_MAX);
	MUST(record->until_ms >= 0 && record->until_ms <= NUMBER_MAX);
	MUST(!record->note || *record->note);
}

static void check_same(const struct presence_record *one, const struct presence_record *other)
{
	MUST(same_text(one->role, other->role) && same_text(one->id, other->id));
	MUST(same_text(one->note, other->note));
	MUST(one->status == other->status && one->previous == other->previous);
	MUST(one->reason == other->reason && one->source == other->source);
	MUST(one->devices == other->devices && one->rev == other->rev);
	MUST(one->since_ms == other->since_ms && one->last_seen_ms == other->last_seen_ms);
	MUST(one->until_ms == other->until_ms);
}

static void check_written(const struct presence_record *record, size_t room)
{
	char json[PRESENCE_RECORD_MAX];
	struct presence_record again;
	struct record_storage *storage;
	char *tight = malloc(room + 1);
	MUST(tight);
	int length = record_write(record, "b1", json, sizeof(json));
	int fitted = record_write(record, "b1", tight, room);
	if (length >= 0) {
		MUST((fitted >= 0) == ((size_t)length < room));
		MUST(!memchr(json, '\n', (size_t)length) && strlen(json) == (size_t)length);
		MUST(!record_read(json, (size_t)length, &again, &storage));
		check_same(record, &again);
		record_free(storage);
	}
	free(tight);
}

static void check_shown(const struct presence_record *record)
{
	char *text = NULL;
	size_t length = 0;
	FILE *out = open_memstream(&text, &length);
	MUST(out);
	char subject[SHOW_SUBJECT_MAX];
	struct show_layout layout = { .total = 100 };
	show_measure(&layout, show_subject(record, subject), presence_reason_name(record->reason));
	show_row(&layout, record, subject, NUMBER_MAX / 2, out);
	show_change(record, NUMBER_MAX / 2, out);
	MUST(!fclose(out));
	MUST(length && text[length - 1] == '\n');
	MUST(utf8_printable(text, length - 1));
	free(text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input input = { data, size };
	size_t room = take_number(&input, 2) % PRESENCE_RECORD_MAX;
	struct presence_record record;
	struct record_storage *storage;
	char *json = malloc(input.left + !input.left);
	MUST(json);
	memcpy(json, input.at, input.left);
	if (!record_read(json, input.left, &record, &storage)) {
		check_limits(&record);
		check_written(&record, room);
		check_shown(&record);
	} else {
		MUST(!storage);
	}
	record_free(storage);
	free(json);
	return 0;
}
