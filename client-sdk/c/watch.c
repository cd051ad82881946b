/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
/* What is watched, and when all that the broker has of it is here. */
#include <json-c/json.h>
#include <stdio.h>
#include <string.h>

#include "client-sdk/c/internal.h"

/* "presence/agent/+"; role NULL: of everybody. */
static int role_filter(
	const struct presence_client *client, const char *role, char *out, size_t size)
{
	char encoded[PRESENCE_ENCODED_MAX + 1] = "+";
	if (role && topic_encode(role, encoded, sizeof(encoded)) < 0)
		return PRESENCE_CLIENT_EINVAL;
	(void)snprintf(out, size, "%s/%s/+", client->topic, encoded);
	return PRESENCE_CLIENT_OK;
}

static int digest_filter(const char *role, char *out, size_t size)
{
	char encoded[PRESENCE_ENCODED_MAX + 1] = "+";
	if (role && topic_encode(role, encoded, sizeof(encoded)) < 0)
		return PRESENCE_CLIENT_EINVAL;
	(void)snprintf(out, size, DIGEST_TOPIC "%s", encoded);
	return PRESENCE_CLIENT_OK;
}

static void scope_begin(struct presence_client *client, struct scope *scope)
{
	scope->fence = client->fence_next;
	scope->refused = false;
	client->fence_wanted = true;
}

static void unconfirm_of(struct presence_client *client, struct entry *entry, void *role)
{
	if (!role || entry->role == role)
		entry_unconfirm(client, entry);
}

static void role_begin(struct role *role)
{
	role->rev = 0;
	role->disagreed = 0;
	role->asked = role->judged = false;
	role->recheck_ms = now_ms() + DIGEST_WAIT_MS;
}

/* Records first: the digest that is retained is worth something only behind them. */
static int subscribe_filters(struct presence_client *client, const char *role)
{
	char records[PRESENCE_TOPIC_MAX], digests[PRESENCE_TOPIC_MAX];
	int err = role_filter(client, role, records, sizeof(records));
	if (!err)
		err = digest_filter(role, digests, sizeof(digests));
	if (!err)
		err = out_subscribe(client, records);
	return err ? err : out_subscribe(client, digests);
}

static int subscribe_everybody(struct presence_client *client)
{
	entries_each(client, unconfirm_of, NULL);
	for (struct role *role = client->first_role; role; role = role->next)
		role_begin(role);
	scope_begin(client, &client->everybody);
	return subscribe_filters(client, NULL);
}

static int subscribe_role(struct presence_client *client, struct role *role)
{
	entries_each(client, unconfirm_of, role);
	role_begin(role);
	scope_begin(client, &role->scope);
	return subscribe_filters(client, role->name);
}

static int subscribe_entry(struct presence_client *client, struct entry *entry)
{
	char topic[PRESENCE_TOPIC_MAX];
	if (topic_subject(client->topic, entry->role->name, entry->id, topic, sizeof(topic)) < 0)
		return PRESENCE_CLIENT_EINVAL;
	entry_unconfirm(client, entry);
	scope_begin(client, &entry->scope);
	return out_subscribe(client, topic);
}

/* Single subjects have no digest: now and then they are subscribed to again. */
int watch_audit(struct presence_client *client, const struct role *role)
{
	int err = PRESENCE_CLIENT_OK;
	for (struct entry *entry = client->first_entry; entry && !err; entry = entry->next)
		if (entry->scope.wanted && (!role || entry->role == role) &&
			!widest(client, entry->role, NULL))
			err = subscribe_entry(client, entry);
	return err;
}

static int subscribe_roles(struct presence_client *client)
{
	int err = PRESENCE_CLIENT_OK;
	for (struct role *role = client->first_role; role && !err; role = role->next)
		if (role->scope.wanted)
			err = subscribe_role(client, role);
	return err ? err : watch_audit(client, NULL);
}

int watch_subscribe_all(struct presence_client *client)
{
	return client->everybody.wanted ? subscribe_everybody(client) : subscribe_roles(client);
}

int watch_snapshot(struct presence_client *client, struct role *role)
{
	bool everybody = !role || widest(client, role, NULL) == &client->everybody;
	return everybody ? subscribe_everybody(client) : subscribe_role(client, role);
}

/* Digests are published when they change. To be subscribed to again brings the last one. */
int watch_recheck(struct presence_client *client, struct role *role)
{
	char filter[PRESENCE_TOPIC_MAX];
	int64_t next_ms = now_ms() + DIGEST_WAIT_MS;
	bool everybody = widest(client, role, NULL) == &client->everybody;
	for (struct role *each = client->first_role; each; each = each->next)
		if (everybody || each == role) {
			each->asked = true;
			/* Unless the one of the last time is still on its way. */
			if (!client->fence_pending || each->asked_fence + 1 != client->fence_next)
				each->asked_fence = client->fence_next;
			each->recheck_ms = next_ms;
			client->fence_wanted |= each->is_told && !each->told_now;
		}
	int err = digest_filter(everybody ? NULL : role->name, filter, sizeof(filter));
	return err ? err : out_subscribe(client, filter);
}

/* A question that anybody may ask, about nobody. */
static int ask_nothing(struct presence_client *client)
{
	struct json_object *command = command_create("getPresence");
	struct json_object *subjects = json_object_new_array();
	struct json_object *nobody = json_object_new_string("client/nobody");
	if (!command || !subjects || !nobody || json_object_array_add(subjects, nobody)) {
		json_object_put(nobody);
		json_object_put(subjects);
		json_object_put(command);
		return PRESENCE_CLIENT_ENOMEM;
	}
	if (json_object_object_add(command, "subjects", subjects)) {
		json_object_put(subjects);
		json_object_put(command);
		return PRESENCE_CLIENT_ENOMEM;
	}
	return command_send(client, command, FOR_FENCE, NULL, NULL);
}

/* To ask is to do something, which keeps whoever declared nothing from being away. To beat is not.
 */
int watch_send_fence(struct presence_client *client)
{
	if (!client->fence_wanted || client->fence_pending)
		return PRESENCE_CLIENT_OK;
	int err = say_beats(client) ? say_heartbeat(client, FOR_FENCE) : ask_nothing(client);
	if (err)
		return err;
	client->fence_next++;
	client->fence_wanted = false;
	client->fence_pending = true;
	return err;
}

static struct scope *scope_of(struct presence_client *client, const char *filter)
{
	struct subject subject;
	char other[PRESENCE_TOPIC_MAX];
	if (subject_read(client->topic, filter, &subject)) {
		struct entry *entry = entry_find(client, subject.role, subject.id);
		return entry ? &entry->scope : NULL;
	}
	if (!role_filter(client, NULL, other, sizeof(other)) && !strcmp(filter, other))
		return &client->everybody;
	for (struct role *role = client->first_role; role; role = role->next)
		if (!role_filter(client, role->name, other, sizeof(other)) &&
			!strcmp(filter, other))
			return &role->scope;
	return NULL;
}

void watch_refused(struct presence_client *client, const char *filter)
{
	struct scope *scope = scope_of(client, filter);
	if (!scope || !scope->wanted)
		return;
	scope->refused = true;
	scope->ready = false;
	int err = scope == &client->everybody ? subscribe_roles(client) : PRESENCE_CLIENT_OK;
	for (struct role *role = client->first_role; role && !err; role = role->next)
		if (scope == &role->scope)
			err = watch_audit(client, role);
	if (!err)
		err = watch_send_fence(client);
	client->say_again |= err != PRESENCE_CLIENT_OK;
}

static bool has_come(const struct presence_client *client, const struct scope *scope)
{
	return !scope->refused && scope->fence <= client->fence_answered;
}

static void settle(const struct presence_client *client, struct scope *scope)
{
	scope->ready |= scope->wanted && has_come(client, scope);
}

static void judge(struct presence_client *client, struct role *role)
{
	const struct scope *scope = widest(client, role, NULL);
	settle(client, &role->scope);
	if (!scope || !has_come(client, scope))
		return;
	if (role->asked_fence == client->fence_answered)
		digest_missing(role);
	digest_judge(client, role);
}

/* Whether there may be a record although none came: those of a role have its digest to tell; who
 * is watched by itself is asked about, where there is somebody to answer. */
static bool may_be_cut(const struct presence_client *client, const struct entry *entry)
{
	return widest(client, entry->role, entry) == &entry->scope ? client->answered
								   : entry->role->doubted;
}

/* Who was known, and is not among what there is. */
static void sweep(struct presence_client *client, struct entry *entry, void *failed)
{
	settle(client, &entry->scope);
	const struct scope *scope = widest(client, entry->role, entry);
	bool stale = !entry->confirmed || (entry->plain && client->plugin_seen);
	if (entry->has && stale && scope && has_come(client, scope) && !may_be_cut(client, entry) &&
		entry_forget(client, entry))
		*(bool *)failed = true;
}

void watch_fence_answered(struct presence_client *client, uint64_t fence)
{
	bool failed = false;
	client->fence_answered = fence;
	settle(client, &client->everybody);
	for (struct role *role = client->first_role; role; role = role->next)
		judge(client, role);
	entries_each(client, sweep, &failed);
	/* Without memory to tell, or to ask, the next one does it. */
	client->fence_wanted |= failed || ask_singles(client) == PRESENCE_CLIENT_ENOMEM;
}

static void unready(struct presence_client *client, struct entry *entry, void *context)
{
	(void)client;
	(void)context;
	entry->scope.ready = false;
}

void watch_lost(struct presence_client *client)
{
	entries_each(client, unready, NULL);
	client->everybody.ready = false;
	for (struct role *role = client->first_role; role; role = role->next)
		role->scope.ready = role->doubted = role->told_now = false;
}

static int watch_begin(
	struct presence_client *client, struct role *role, struct entry *entry, struct scope *scope)
{
	if (scope->wanted)
		return PRESENCE_CLIENT_OK;
	const struct scope *wider = widest(client, role, NULL);
	scope->wanted = true;
	int err = PRESENCE_CLIENT_OK;
	if (wider || !client->connected)
		return err;
	if (entry)
		err = subscribe_entry(client, entry);
	else
		err = watch_snapshot(client, role);
	if (!err)
		err = watch_send_fence(client);
	/* It is watched; what found no memory is said again. */
	client->say_again |= err != PRESENCE_CLIENT_OK;
	return PRESENCE_CLIENT_OK;
}

static bool names_valid(const char *role, const char *id)
{
	return (role || !id) && (!role || topic_id_valid(role)) && (!id || topic_id_valid(id));
}

int presence_client_watch(struct presence_client *client, const char *role, const char *id)
{
	if (!client || !names_valid(role, id))
		return PRESENCE_CLIENT_EINVAL;
	client_enter(client);
	struct role *its_role = NULL;
	struct entry *entry = NULL;
	int err = role ? role_get_or_add(client, role, &its_role) : PRESENCE_CLIENT_OK;
	if (!err && id)
		err = entry_get_or_add(client, role, id, &entry);
	if (!err)
		err = watch_begin(client, its_role, entry,
			entry          ? &entry->scope
				: role ? &its_role->scope
				       : &client->everybody);
	client_leave(client, false);
	return err;
}

static void drop_uncovered(struct presence_client *client, struct entry *entry, void *context)
{
	(void)context;
	if (!is_watched(client, entry->role, entry))
		entry_remove(client, entry);
}

/* The filters of what is not watched any more; what was in it and is watched by itself is
 * subscribed to instead. */
static int watch_end(struct presence_client *client, struct role *role, struct entry *entry)
{
	char filter[PRESENCE_TOPIC_MAX];
	if (entry) {
		if (topic_subject(client->topic, role->name, entry->id, filter, sizeof(filter)) < 0)
			return PRESENCE_CLIENT_EINVAL;
		return out_unsubscribe(client, filter);
	}
	int err = role_filter(client, role ? role->name : NULL, filter, sizeof(filter));
	if (!err)
		err = out_unsubscribe(client, filter);
	if (!err)
		err = digest_filter(role ? role->name : NULL, filter, sizeof(filter));
	if (!err)
		err = out_unsubscribe(client, filter);
	if (!err && client->connected && !widest(client, NULL, NULL))
		err = subscribe_roles(client);
	return err ? err : watch_send_fence(client);
}

int presence_client_unwatch(struct presence_client *client, const char *role, const char *id)
{
	if (!client || !names_valid(role, id))
		return PRESENCE_CLIENT_EINVAL;
	client_enter(client);
	struct role *its_role = role ? role_find(client, role) : NULL;
	struct entry *entry = id ? entry_find(client, role, id) : NULL;
	struct scope *scope = id ? (entry ? &entry->scope : NULL)
		: role           ? (its_role ? &its_role->scope : NULL)
				 : &client->everybody;
	int err = PRESENCE_CLIENT_ENOENT;
	if (scope && scope->wanted) {
		*scope = (struct scope){ .wanted = false };
		err = watch_end(client, its_role, entry);
		entries_each(client, drop_uncovered, NULL);
	}
	client_leave(client, false);
	return err;
}
