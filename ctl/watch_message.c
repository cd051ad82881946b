/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
#include <json-c/json.h>
#include <stdlib.h>
#include <string.h>

#include "core/siphash.h"
#include "ctl/clock.h"
#include "ctl/subject.h"
#include "ctl/watch.h"
#include "wire/utf8.h"

static bool is_any(const struct table_node *node, const void *key)
{
	(void)node;
	(void)key;
	return true;
}

static uint64_t hash_of(const struct watch *watch, const char *topic)
{
	struct siphash hash;
	siphash_init(&hash, watch->hash_key);
	siphash_update(&hash, topic, strlen(topic));
	return siphash_finish(&hash);
}

static struct table_node *find_json(const struct watch *watch, const char *topic)
{
	return table_find(&watch->in_json, hash_of(watch, topic), is_any, NULL);
}

static void remember_json(struct watch *watch, const char *topic)
{
	struct table_node *node = find_json(watch, topic) ? NULL : malloc(sizeof(*node));
	if (!node) /* it is known, or a bare word will be believed */
		return;
	node->hash = hash_of(watch, topic);
	table_insert(&watch->in_json, node);
}

static void forget_json(struct watch *watch, const char *topic)
{
	struct table_node *node = find_json(watch, topic);
	if (node)
		table_remove(&watch->in_json, node);
	free(node);
}

/* Birth messages and last wills of clients stand under the same topics until the plugin has
 * published its own again. PRESENCE_EINVAL: it is no record. */
static int read_json(struct watch *watch, const struct mosquitto_message *message,
	const struct subject *subject, struct presence_record *record,
	struct record_storage **storage)
{
	int err = record_read(message->payload, (size_t)message->payloadlen, record, storage);
	if (err)
		return err;
	if (strcmp(record->role, subject->role) != 0 || strcmp(record->id, subject->id) != 0) {
		record_free(*storage);
		return PRESENCE_EINVAL;
	}
	remember_json(watch, message->topic);
	return PRESENCE_OK;
}

/* With payload_format text there is only the status: the rest is not known. */
static int read_text(const char *payload, size_t length, const struct subject *subject,
	struct presence_record *record, struct record_storage **storage)
{
	char word[16] = "", json[PRESENCE_RECORD_MAX];
	struct presence_record bare = { .role = subject->role, .id = subject->id };
	if (length >= sizeof(word))
		return PRESENCE_EINVAL;
	memcpy(word, payload, length);
	if (presence_status_parse(word, &bare.status))
		return PRESENCE_EINVAL;
	bare.previous = bare.status;
	int written = record_write(&bare, "-", json, sizeof(json));
	return written < 0 ? written : record_read(json, (size_t)written, record, storage);
}

static void line_written(struct watch *watch)
{
	if (fflush(stdout))
		watch->failed = true;
	if (watch->lines_left > 0)
		watch->lines_left--;
}

/* The subject's record was removed. */
static void forget(struct watch *watch, const struct subject *subject)
{
	char name[SHOW_SUBJECT_MAX], time[SHOW_TIME_MAX];
	struct presence_record record = { .role = subject->role, .id = subject->id };
	(void)show_subject(&record, name);
	if (watch->screen) {
		board_remove(&watch->board, name);
		watch->dirty = true;
		return;
	}
	if (watch->settings->json) {
		struct json_object *gone = json_object_new_object();
		(void)json_object_object_add(gone, "role", json_object_new_string(subject->role));
		(void)json_object_object_add(gone, "id", json_object_new_string(subject->id));
		(void)json_object_object_add(gone, "status", json_object_new_string("offline"));
		(void)json_object_object_add(gone, "forgotten", json_object_new_boolean(true));
		(void)puts(json_object_to_json_string_ext(gone, JSON_C_TO_STRING_PLAIN));
		json_object_put(gone);
	} else {
		(void)printf("%s ", show_time(clock_wall_ms(), time));
		show_text(name, 0, stdout);
		(void)puts(" offline - forgotten 0");
	}
	line_written(watch);
}

static void show_line(struct watch *watch, const struct presence_record *record,
	const char *payload, size_t length)
{
	char json[PRESENCE_RECORD_MAX];
	if (!watch->settings->json) {
		show_change(record, clock_wall_ms(), stdout);
	} else if (length && payload[0] == '{' && utf8_printable(payload, length)) {
		/* As it came, with keys that this version does not know: one line, and nothing that
		 * acts on a terminal, whoever wrote it. */
		(void)fwrite(payload, 1, length, stdout);
		(void)putchar('\n');
	} else if (record_write(record, "-", json, sizeof(json)) > 0) {
		(void)puts(json);
	}
	line_written(watch);
}

void watch_take(struct watch *watch, const struct mosquitto_message *message)
{
	const struct settings *settings = watch->settings;
	const char *payload = message->payload;
	size_t length = (size_t)message->payloadlen;
	struct presence_record record;
	struct record_storage *storage = NULL;
	struct subject subject;
	if (watch->lines_left == 0 || (settings->changes_only && message->retain) ||
		!subject_of_topic(settings->topic, message->topic, &subject))
		return;
	if (!length) {
		forget_json(watch, message->topic);
		forget(watch, &subject);
		return;
	}
	/* The plugin writes all its records in one format. */
	if (read_json(watch, message, &subject, &record, &storage) &&
		(find_json(watch, message->topic) ||
			read_text(payload, length, &subject, &record, &storage)))
		return; /* not the plugin's */
	if (watch->screen) {
		char name[SHOW_SUBJECT_MAX];
		show_measure(&watch->layout, show_subject(&record, name),
			presence_reason_name(record.reason));
		(void)board_take(&watch->board, &record, storage); /* one row less, at worst */
		watch->dirty = true;
	} else {
		show_line(watch, &record, payload, length);
		record_free(storage);
	}
}
