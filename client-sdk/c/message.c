/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
/* What a message is, by its topic. */
#include <mosquitto.h>
#include <string.h>

#include "client-sdk/c/internal.h"
#include "wire/declaration.h"
#include "wire/record.h"

bool subject_read(const char *base, const char *topic, struct subject *subject)
{
	size_t length = strlen(base);
	if (!topic_under(topic, base) || !topic[length])
		return false;
	const char *role = topic + length + 1, *slash = strchr(role, '/');
	return slash &&
		topic_decode(role, (size_t)(slash - role), subject->role, sizeof(subject->role)) >=
		0 &&
		topic_decode(slash + 1, strlen(slash + 1), subject->id, sizeof(subject->id)) >= 0;
}

void record_heard(struct presence_client *client, const char *role, const char *id,
	const struct presence_record *record, const char *node, bool plain)
{
	struct entry *entry = entry_find(client, role, id);
	int err = PRESENCE_CLIENT_OK;
	if (!entry)
		err = entry_get_or_add(client, role, id, &entry);
	if (err == PRESENCE_CLIENT_EFULL)
		tell_problem(client, "watch", "there are more subjects than subjects_max");
	if (err)
		return;
	/* Late, or twice; and where there are records, what clients say of themselves is none. */
	if (!plain && entry->confirmed && !entry->plain && record->rev <= entry->rev)
		return;
	/* Out of memory: as if it had not come. The digest will tell. */
	(void)entry_update(client, entry, record, node, plain);
}

/* True: it was a record. */
static bool read_record(struct presence_client *client, const struct subject *subject,
	const char *payload, size_t length)
{
	struct presence_record record;
	struct record_storage *storage;
	if (record_read(payload, length, &record, &storage))
		return false;
	if (!strcmp(record.role, subject->role) && !strcmp(record.id, subject->id)) {
		client->plugin_seen = true;
		record_heard(
			client, subject->role, subject->id, &record, record_node(storage), false);
	}
	record_free(storage);
	return true;
}

/* A birth message or a last will. */
static void read_plain(struct presence_client *client, const struct subject *subject,
	const char *payload, size_t length)
{
	struct declaration declaration;
	if (declaration_read(payload, length, &declaration))
		return;
	struct presence_record record = {
		.role = subject->role,
		.id = subject->id,
		.status = declaration.status,
		.note = declaration.note[0] ? declaration.note : NULL,
	};
	record_heard(client, subject->role, subject->id, &record, NULL, true);
}

static bool heard_subject(struct presence_client *client, const struct mosquitto_message *message)
{
	struct subject subject;
	const char *payload = message->payload;
	size_t length = (size_t)message->payloadlen;
	if (!subject_read(client->topic, message->topic, &subject))
		return false;
	struct entry *entry = entry_find(client, subject.role, subject.id);
	if (!is_watched(client, role_find(client, subject.role), entry))
		return false;
	if (message->retain)
		client->retained_ms = now_ms();
	if (length) {
		if (!read_record(client, &subject, payload, length) && !client->plugin_seen &&
			!client->plugin_awaited)
			read_plain(client, &subject, payload, length);
	} else if (entry) {
		(void)entry_forget(client, entry); /* without memory, the digest will tell */
	}
	return true;
}

static bool heard_digest(struct presence_client *client, const struct mosquitto_message *message)
{
	char role[PRESENCE_ID_MAX + 1];
	const char *encoded = message->topic + sizeof(DIGEST_TOPIC) - 1;
	if (strncmp(message->topic, DIGEST_TOPIC, sizeof(DIGEST_TOPIC) - 1) != 0 ||
		topic_decode(encoded, strlen(encoded), role, sizeof(role)) < 0)
		return false;
	digest_heard(client, role, message->retain, message->payload, (size_t)message->payloadlen);
	return true;
}

bool presence_client_on_message(
	struct presence_client *client, const struct mosquitto_message *message)
{
	bool ours = false;
	if (!message || !message->topic || message->payloadlen < 0)
		return false;
	client_enter(client);
	if (!strcmp(message->topic, RESPONSE_TOPIC))
		ours = answers_read(client, message->payload, (size_t)message->payloadlen);
	else
		ours = heard_subject(client, message) || heard_digest(client, message) ||
			typing_heard(client, message->topic, message->payload,
				(size_t)message->payloadlen);
	if (ours)
		client->heard_ms = wall_ms();
	client_leave(client, true);
	return ours;
}
