/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
#include <stdio.h>

#include "client-sdk/c/internal.h"

/* Nobody has heard of it: offline, if all that there is has come. */
static void describe_stranger(const struct presence_client *client, const struct role *role,
	const struct entry *entry, struct presence_client_record *record)
{
	const struct scope *scope = widest(client, role, entry);
	bool single = entry && scope == &entry->scope, ready = scope && scope->ready;
	int64_t sure_ms = client->heard_ms;
	if (ready && single && client->answered)
		ready = entry->confirmed; /* else it is being asked about */
	if (ready && !single && role && role->doubted)
		ready = (sure_ms = role->agreed_ms) > 0;
	*record = (struct presence_client_record){
		.status = ready ? PRESENCE_CLIENT_OFFLINE : PRESENCE_CLIENT_UNKNOWN,
		.before = PRESENCE_CLIENT_UNKNOWN,
		.reason = "",
		.source = "",
		.note = "",
		.node = "",
		.forgotten = ready,
	};
	if (ready)
		record->sure_ms = sure_ms;
}

int presence_client_lookup(struct presence_client *client, const char *role, const char *id,
	struct presence_client_record *record, struct presence_client_storage *storage)
{
	if (!client || !role || !id || !record || !storage || !topic_id_valid(role) ||
		!topic_id_valid(id))
		return PRESENCE_CLIENT_EINVAL;
	client_enter(client);
	const struct entry *entry = entry_find(client, role, id);
	const struct role *its_role = role_find(client, role);
	bool watched = is_watched(client, its_role, entry);
	if (watched && entry && entry->has)
		record_of(client, entry, record);
	else
		describe_stranger(client, its_role, entry, record);
	(void)snprintf(storage->role, sizeof(storage->role), "%s", role);
	(void)snprintf(storage->id, sizeof(storage->id), "%s", id);
	(void)snprintf(storage->note, sizeof(storage->note), "%s", record->note);
	(void)snprintf(storage->node, sizeof(storage->node), "%s", record->node);
	client_leave(client, false);
	record->role = storage->role;
	record->id = storage->id;
	record->note = storage->note;
	record->node = storage->node;
	return watched ? PRESENCE_CLIENT_OK : PRESENCE_CLIENT_ENOENT;
}

size_t presence_client_each(struct presence_client *client,
	void (*visit)(const struct presence_client_record *record, void *context), void *context)
{
	size_t count = 0;
	client_enter(client);
	for (const struct entry *entry = client->first_entry; entry; entry = entry->next) {
		struct presence_client_record record;
		if (!entry->has)
			continue;
		record_of(client, entry, &record);
		visit(&record, context);
		count++;
	}
	client_leave(client, false);
	return count;
}
