/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
/* Who is known, and what of them. */
#include <stdlib.h>
#include <string.h>

#include "client-sdk/c/internal.h"
#include "core/siphash.h"
#include "wire/digest.h"

_Static_assert((int)PRESENCE_CLIENT_OFFLINE == (int)PRESENCE_OFFLINE &&
		(int)PRESENCE_CLIENT_AWAY == (int)PRESENCE_AWAY &&
		(int)PRESENCE_CLIENT_ONLINE == (int)PRESENCE_ONLINE &&
		(int)PRESENCE_CLIENT_DND == (int)PRESENCE_DND,
	"statuses are handed on as they are");

struct name {
	const char *role, *id;
};

static uint64_t hash_of(const struct presence_client *client, const char *role, const char *id)
{
	struct siphash hash;
	siphash_init(&hash, client->hash_key);
	siphash_update(&hash, role, strlen(role) + 1);
	siphash_update(&hash, id, strlen(id));
	return siphash_finish(&hash);
}

static bool role_matches(const struct table_node *node, const void *name)
{
	return !strcmp(TABLE_CONST_ENTRY(node, struct role, by_name)->name, name);
}

static bool entry_matches(const struct table_node *node, const void *key)
{
	const struct entry *entry = TABLE_CONST_ENTRY(node, struct entry, by_name);
	const struct name *name = key;
	return !strcmp(entry->id, name->id) && !strcmp(entry->role->name, name->role);
}

struct role *role_find(struct presence_client *client, const char *name)
{
	struct table_node *node = table_find(
		&client->roles, hash_of(client, name, ""), role_matches, name);
	return node ? TABLE_ENTRY(node, struct role, by_name) : NULL;
}

int role_get_or_add(struct presence_client *client, const char *name, struct role **role)
{
	*role = role_find(client, name);
	if (*role)
		return PRESENCE_CLIENT_OK;
	if (client->roles.count >= ROLES_MAX)
		return PRESENCE_CLIENT_EFULL;
	size_t size = strlen(name) + 1;
	struct role *added = calloc(1, sizeof(*added) + size);
	if (!added)
		return PRESENCE_CLIENT_ENOMEM;
	memcpy(added->name, name, size);
	added->recheck_ms = now_ms() + DIGEST_AUDIT_MS;
	added->by_name.hash = hash_of(client, name, "");
	table_insert(&client->roles, &added->by_name);
	added->next = client->first_role;
	client->first_role = *role = added;
	return PRESENCE_CLIENT_OK;
}

static bool is_read(const struct scope *scope)
{
	return scope->wanted && !scope->refused;
}

const struct scope *widest(
	const struct presence_client *client, const struct role *role, const struct entry *entry)
{
	if (is_read(&client->everybody))
		return &client->everybody;
	if (role && is_read(&role->scope))
		return &role->scope;
	return entry && is_read(&entry->scope) ? &entry->scope : NULL;
}

bool is_watched(
	const struct presence_client *client, const struct role *role, const struct entry *entry)
{
	return client->everybody.wanted || (role && role->scope.wanted) ||
		(entry && entry->scope.wanted);
}

struct entry *entry_find(struct presence_client *client, const char *role, const char *id)
{
	const struct name name = { role, id };
	struct table_node *node = table_find(
		&client->entries, hash_of(client, role, id), entry_matches, &name);
	return node ? TABLE_ENTRY(node, struct entry, by_name) : NULL;
}

int entry_get_or_add(
	struct presence_client *client, const char *role, const char *id, struct entry **entry)
{
	struct role *its_role;
	*entry = entry_find(client, role, id);
	if (*entry)
		return PRESENCE_CLIENT_OK;
	if (client->entries.count >= client->subjects_max)
		return PRESENCE_CLIENT_EFULL;
	int err = role_get_or_add(client, role, &its_role);
	if (err)
		return err;
	size_t size = strlen(id) + 1;
	struct entry *added = calloc(1, sizeof(*added) + size);
	if (!added)
		return PRESENCE_CLIENT_ENOMEM;
	memcpy(added->id, id, size);
	added->role = its_role;
	added->by_name.hash = hash_of(client, role, id);
	table_insert(&client->entries, &added->by_name);
	added->next = client->first_entry;
	added->link = &client->first_entry;
	if (added->next)
		added->next->link = &added->next;
	client->first_entry = *entry = added;
	return PRESENCE_CLIENT_OK;
}

/* Into the sum, or out of it: the same twice. */
static void sum_add(struct sum *sum, uint64_t hash, bool in)
{
	sum->count += in ? 1 : UINT64_MAX;
	sum->xor_of_hashes ^= hash;
}

static void count(struct presence_client *client, const struct entry *entry, bool in)
{
	char topic[PRESENCE_TOPIC_MAX];
	struct role *role = entry->role;
	if (!entry->has || !entry->rev ||
		topic_subject(client->topic, role->name, entry->id, topic, sizeof(topic)) < 0)
		return;
	uint64_t hash = digest_hash(topic, entry->rev);
	sum_add(&role->known, hash, in);
	if (!entry->confirmed)
		return;
	sum_add(&role->confirmed, hash, in);
	if (in && entry->rev > role->rev)
		role->rev = entry->rev;
}

void entry_remove(struct presence_client *client, struct entry *entry)
{
	count(client, entry, false);
	table_remove(&client->entries, &entry->by_name);
	*entry->link = entry->next;
	if (entry->next)
		entry->next->link = entry->link;
	free(entry->note);
	free(entry->node);
	free(entry);
}

void entries_each(struct presence_client *client, entry_visit *visit, void *context)
{
	for (struct entry *entry = client->first_entry, *next; entry; entry = next) {
		next = entry->next;
		visit(client, entry, context);
	}
}

static void remove_any(struct presence_client *client, struct entry *entry, void *context)
{
	(void)context;
	entry_remove(client, entry);
}

void entries_clear(struct presence_client *client)
{
	entries_each(client, remove_any, NULL);
	while (client->first_role) {
		struct role *role = client->first_role;
		client->first_role = role->next;
		table_remove(&client->roles, &role->by_name);
		free(role);
	}
}

static int64_t entry_sure(const struct presence_client *client, const struct entry *entry)
{
	const struct role *role = entry->role;
	const struct scope *scope = widest(client, role, entry);
	int64_t sure_ms = entry->sure_ms;
	if (!entry->confirmed)
		return sure_ms;
	/* Only who watches the role is told its digest. */
	bool doubted = role->doubted && scope != &entry->scope;
	if (client->connected && scope && scope->ready && !doubted && client->heard_ms > sure_ms)
		sure_ms = client->heard_ms;
	return role->agreed_ms > sure_ms ? role->agreed_ms : sure_ms;
}

static void confirm(struct presence_client *client, struct entry *entry, bool confirmed)
{
	entry->sure_ms = entry_sure(client, entry);
	count(client, entry, false);
	entry->confirmed = confirmed;
	count(client, entry, true);
}

void entry_unconfirm(struct presence_client *client, struct entry *entry)
{
	confirm(client, entry, false);
	entry->asked = false;
}

void entry_confirm(struct presence_client *client, struct entry *entry)
{
	confirm(client, entry, true);
}

void record_of(const struct presence_client *client, const struct entry *entry,
	struct presence_client_record *record)
{
	bool bare = entry->plain || !entry->has;
	*record = (struct presence_client_record){
		.role = entry->role->name,
		.id = entry->id,
		.status = entry->has ? (enum presence_client_status)entry->status
				     : PRESENCE_CLIENT_UNKNOWN,
		.before = PRESENCE_CLIENT_UNKNOWN,
		.previous = (enum presence_client_status)entry->previous,
		.reason = bare ? "" : presence_reason_name(entry->reason),
		.source = bare ? "" : presence_source_name(entry->source),
		.note = entry->note ? entry->note : "",
		.node = entry->node && !bare ? entry->node : "",
		.until_ms = entry->until_ms,
		.devices = entry->devices,
		.since_ms = entry->since_ms,
		.last_seen_ms = entry->last_seen_ms,
		.rev = entry->rev,
		.sure_ms = entry_sure(client, entry),
	};
}

static bool differs(const struct entry *entry, const struct presence_record *record)
{
	const char *note = record->note ? record->note : "";
	return !entry->has || entry->status != record->status ||
		entry->devices != record->devices || entry->until_ms != record->until_ms ||
		strcmp(entry->note ? entry->note : "", note) != 0;
}

static void set(struct entry *entry, const struct presence_record *record, bool plain, char *note,
	char *node)
{
	free(entry->note);
	free(entry->node);
	entry->note = note;
	entry->node = node;
	entry->plain = plain;
	entry->has = entry->confirmed = true;
	entry->sure_ms = wall_ms();
	entry->status = record->status;
	entry->previous = record->previous;
	entry->reason = record->reason;
	entry->source = record->source;
	entry->devices = record->devices;
	entry->since_ms = record->since_ms;
	entry->last_seen_ms = record->last_seen_ms;
	entry->until_ms = record->until_ms;
	entry->rev = record->rev;
}

static struct notice *transition_create(
	const struct entry *entry, const char *note, const char *node)
{
	struct notice *notice = notice_create(TELL_TRANSITION,
		(const char *[4]){
			entry->role->name, entry->id, note ? note : "", node ? node : "" });
	if (notice)
		notice->record.before = entry->has ? (enum presence_client_status)entry->status
						   : PRESENCE_CLIENT_UNKNOWN;
	return notice;
}

static void transition_add(
	struct presence_client *client, struct notice *notice, const struct entry *entry)
{
	enum presence_client_status before = notice->record.before;
	record_of(client, entry, &notice->record);
	notice->record.before = before;
	notice->record.role = notice->text[0];
	notice->record.id = notice->text[1];
	notice->record.note = notice->text[2];
	notice->record.node = notice->text[3];
	notice_add(client, notice);
}

int entry_update(struct presence_client *client, struct entry *entry,
	const struct presence_record *record, const char *node, bool plain)
{
	char *own_note = record->note ? strdup(record->note) : NULL;
	char *own_node = node ? strdup(node) : NULL;
	bool transition = differs(entry, record);
	struct notice *notice = transition ? transition_create(entry, own_note, node) : NULL;
	if ((record->note && !own_note) || (node && !own_node) || (transition && !notice)) {
		free(own_note);
		free(own_node);
		free(notice);
		return PRESENCE_CLIENT_ENOMEM;
	}
	count(client, entry, false);
	set(entry, record, plain, own_note, own_node);
	count(client, entry, true);
	if (notice)
		transition_add(client, notice, entry);
	return PRESENCE_CLIENT_OK;
}

int entry_forget(struct presence_client *client, struct entry *entry)
{
	static const struct presence_record none = { .status = PRESENCE_OFFLINE };
	struct notice *notice = entry->has ? transition_create(entry, NULL, NULL) : NULL;
	if (entry->has && !notice)
		return PRESENCE_CLIENT_ENOMEM;
	if (notice) {
		count(client, entry, false);
		set(entry, &none, true, NULL, NULL);
		transition_add(client, notice, entry);
		notice->record.forgotten = true;
	}
	entry->has = entry->plain = false;
	if (!entry->scope.wanted)
		entry_remove(client, entry);
	return PRESENCE_CLIENT_OK;
}
