/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
#include "wire/record.h"

#include <json-c/json.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "wire/topic.h"
#include "wire/utf8.h"

#define DEPTH_MAX 8                         /* of what unknown keys may hold */
#define NUMBER_MAX ((INT64_C(1) << 53) - 1) /* what every reader of JSON can hold */

struct record_storage {
	char role[PRESENCE_ID_MAX + 1], id[PRESENCE_ID_MAX + 1];
	const char *node; /* behind note */
	char note[];
};

static int parse(const char *json, size_t length, struct json_object **root)
{
	struct json_tokener *tokener = json_tokener_new_ex(DEPTH_MAX);
	if (!tokener)
		return PRESENCE_ENOMEM;
	json_tokener_set_flags(tokener, JSON_TOKENER_STRICT | JSON_TOKENER_VALIDATE_UTF8);
	*root = json_tokener_parse_ex(tokener, json, (int)length);
	/* A byte of zero ends the tokener's reading, whatever comes after it. */
	bool whole = json_tokener_get_parse_end(tokener) == length;
	json_tokener_free(tokener);
	if (whole && json_object_is_type(*root, json_type_object))
		return PRESENCE_OK;
	json_object_put(*root);
	*root = NULL;
	return PRESENCE_EINVAL;
}

/* NULL when the key is missing or holds something else. */
static const char *get_string(struct json_object *root, const char *key)
{
	struct json_object *value;
	if (!json_object_object_get_ex(root, key, &value) ||
		!json_object_is_type(value, json_type_string))
		return NULL;
	const char *string = json_object_get_string(value);
	return strlen(string) == (size_t)json_object_get_string_len(value) ? string : NULL;
}

static bool get_number(struct json_object *root, const char *key, int64_t max, int64_t *number)
{
	struct json_object *value;
	if (!json_object_object_get_ex(root, key, &value) ||
		!json_object_is_type(value, json_type_int))
		return false;
	*number = json_object_get_int64(value);
	return *number >= 0 && *number <= max;
}

static bool get_status(struct json_object *root, const char *key, enum presence_status *status)
{
	const char *word = get_string(root, key);
	if (word && presence_status_parse(word, status))
		*status = PRESENCE_ONLINE; /* a later version's: whatever it is, not offline */
	return word;
}

static bool get_words(struct json_object *root, struct presence_record *record)
{
	const char *reason = get_string(root, "reason"), *source = get_string(root, "source");
	if (!reason || !source)
		return false;
	if (presence_reason_parse(reason, &record->reason))
		record->reason = PRESENCE_REASON_UNKNOWN;
	if (presence_source_parse(source, &record->source))
		record->source = PRESENCE_INFERRED;
	return get_status(root, "status", &record->status) &&
		get_status(root, "previous", &record->previous);
}

static bool get_numbers(struct json_object *root, struct presence_record *record)
{
	int64_t version, devices;
	if (!get_number(root, "v", RECORD_VERSION, &version) || version != RECORD_VERSION ||
		!get_number(root, "devices", UINT32_MAX, &devices) ||
		!get_number(root, "since", NUMBER_MAX, &record->since_ms) ||
		!get_number(root, "last_seen", NUMBER_MAX, &record->last_seen_ms) ||
		!get_number(root, "rev", NUMBER_MAX, &record->rev))
		return false;
	record->devices = (uint32_t)devices;
	return !json_object_object_get_ex(root, "until", NULL) ||
		get_number(root, "until", NUMBER_MAX, &record->until_ms);
}

/* The strings of root, still its own. */
static bool get_strings(struct json_object *root, struct presence_record *record)
{
	record->role = get_string(root, "role");
	record->id = get_string(root, "id");
	record->note = get_string(root, "note");
	if (!record->note && json_object_object_get_ex(root, "note", NULL))
		return false;
	return get_string(root, "node") && record->role && topic_id_valid(record->role) &&
		record->id && topic_id_valid(record->id) &&
		(!record->note || utf8_valid(record->note));
}

static struct record_storage *keep_strings(struct presence_record *record, const char *node)
{
	size_t note_size = record->note ? strlen(record->note) + 1 : 0;
	size_t node_size = strlen(node) + 1;
	struct record_storage *storage = malloc(sizeof(*storage) + note_size + node_size);
	if (!storage)
		return NULL;
	storage->node = memcpy(storage->note + note_size, node, node_size);
	strcpy(storage->role, record->role);
	strcpy(storage->id, record->id);
	record->role = storage->role;
	record->id = storage->id;
	if (note_size)
		record->note = memcpy(storage->note, record->note, note_size);
	if (note_size == 1)
		record->note = NULL;
	return storage;
}

int record_read(const char *json, size_t length, struct presence_record *record,
	struct record_storage **storage)
{
	*storage = NULL;
	if (length >= PRESENCE_RECORD_MAX)
		return PRESENCE_EINVAL;
	struct json_object *root;
	int err = parse(json, length, &root);
	if (err)
		return err;
	struct presence_record read = { 0 };
	if (!get_words(root, &read) || !get_numbers(root, &read) || !get_strings(root, &read)) {
		err = PRESENCE_EINVAL;
		goto out;
	}
	*storage = keep_strings(&read, get_string(root, "node"));
	if (*storage)
		*record = read;
	else
		err = PRESENCE_ENOMEM;
out:
	json_object_put(root);
	return err;
}

const char *record_node(const struct record_storage *storage)
{
	return storage->node;
}

void record_free(struct record_storage *storage)
{
	free(storage);
}
