/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
/* Questions about subjects that are watched by themselves. */
#include <json-c/json.h>
#include <string.h>

#include "client-sdk/c/internal.h"
#include "wire/record.h"

enum {
	SUBJECTS_AT_ONCE = 256,
	QUESTION_MAX = 48 * 1024, /* bytes of names; a command may have 64 KiB */
};

static bool is_missing(const struct presence_client *client, const struct entry *entry)
{
	return entry->scope.wanted && !entry->scope.refused && !entry->confirmed && !entry->asked &&
		widest(client, entry->role, entry) == &entry->scope &&
		entry->scope.fence <= client->fence_answered;
}

/* "agent/u1", as in topics, behind their first level. */
static bool name_add(struct presence_client *client, struct json_object *subjects,
	const struct entry *entry, size_t *size)
{
	char topic[PRESENCE_TOPIC_MAX];
	if (topic_subject(client->topic, entry->role->name, entry->id, topic, sizeof(topic)) < 0)
		return false;
	const char *name = topic + strlen(client->topic) + 1;
	struct json_object *text = json_object_new_string(name);
	*size += strlen(name) + 3;
	if (text && !json_object_array_add(subjects, text))
		return true;
	json_object_put(text);
	return false;
}

/* The next ones, from *entry on. */
static int ask_some(struct presence_client *client, struct entry **entry)
{
	struct json_object *command = command_create("getPresence");
	struct json_object *subjects = json_object_new_array();
	struct entry *first = *entry;
	size_t size = 0;
	bool good = command && subjects;
	for (; good && *entry && json_object_array_length(subjects) < SUBJECTS_AT_ONCE &&
		size < QUESTION_MAX;
		*entry = (*entry)->next)
		if (is_missing(client, *entry))
			good = name_add(client, subjects, *entry, &size);
	bool none = good && !json_object_array_length(subjects);
	if (!good || none || json_object_object_add(command, "subjects", subjects)) {
		json_object_put(subjects);
		json_object_put(command);
		return none ? PRESENCE_CLIENT_OK : PRESENCE_CLIENT_ENOMEM;
	}
	int err = command_send(client, command, FOR_QUESTION, NULL, NULL);
	for (; !err && first != *entry; first = first->next)
		first->asked |= is_missing(client, first);
	return err;
}

int ask_singles(struct presence_client *client)
{
	int err = PRESENCE_CLIENT_OK;
	for (struct entry *entry = client->first_entry; client->answered && entry && !err;)
		err = ask_some(client, &entry);
	return err;
}

static void take(
	struct presence_client *client, const struct presence_record *record, const char *node)
{
	struct entry *entry = entry_find(client, record->role, record->id);
	/* What has come since is newer. */
	if (!entry || !entry->asked || entry->confirmed)
		return;
	entry->asked = false;
	if (record->rev)
		record_heard(client, record->role, record->id, record, node, false);
	else if (!entry->has)
		entry_confirm(client, entry);
	else
		(void)entry_forget(client, entry); /* without memory, the next audit asks again */
}

static void not_asked(struct presence_client *client, struct entry *entry, void *context)
{
	(void)client;
	(void)context;
	entry->asked = false;
}

void ask_answered(struct presence_client *client, const char *data)
{
	struct json_object *root = data ? json_tokener_parse(data) : NULL, *list = NULL;
	if (!json_object_object_get_ex(root, "subjects", &list) ||
		!json_object_is_type(list, json_type_array)) {
		entries_each(client, not_asked, NULL);
		json_object_put(root);
		return;
	}
	for (size_t i = 0; i < json_object_array_length(list); i++) {
		struct presence_record record;
		struct record_storage *storage;
		const char *text = json_object_to_json_string_ext(
			json_object_array_get_idx(list, i), JSON_C_TO_STRING_PLAIN);
		if (record_read(text, strlen(text), &record, &storage))
			continue;
		take(client, &record, record_node(storage));
		record_free(storage);
	}
	json_object_put(root);
}
