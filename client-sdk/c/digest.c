/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
/* Does the broker's digest of a role agree with what is known here? QoS 0 is cut where a reader is
 * slow, and then only this tells. */
#include <json-c/json.h>
#include <stdlib.h>
#include <string.h>

#include "client-sdk/c/internal.h"

struct digest {
	struct sum sum;
	int64_t rev;
};

static bool get_int(struct json_object *root, const char *key, int64_t *value)
{
	struct json_object *found;
	if (!json_object_object_get_ex(root, key, &found) ||
		!json_object_is_type(found, json_type_int))
		return false;
	*value = json_object_get_int64(found);
	return *value >= 0;
}

static bool digest_parse(const char *payload, size_t length, struct digest *digest)
{
	struct json_tokener *tokener = json_tokener_new();
	struct json_object *root = NULL, *text;
	int64_t count;
	bool good = false;
	if (!tokener || length > INT32_MAX)
		goto out;
	root = json_tokener_parse_ex(tokener, payload, (int)length);
	if (!get_int(root, "count", &count) || !get_int(root, "rev", &digest->rev) ||
		!json_object_object_get_ex(root, "xor", &text) ||
		!json_object_is_type(text, json_type_string))
		goto out;
	char *end;
	const char *hex = json_object_get_string(text);
	digest->sum.count = (uint64_t)count;
	digest->sum.xor_of_hashes = strtoull(hex, &end, 16);
	good = strlen(hex) == 16 && !*end;
out:
	json_object_put(root);
	if (tokener)
		json_tokener_free(tokener);
	return good;
}

static bool equals(const struct sum *a, const struct sum *b)
{
	return a->count == b->count && a->xor_of_hashes == b->xor_of_hashes;
}

static void confirm(struct presence_client *client, struct entry *entry, void *role)
{
	if (entry->role == role && entry->has && !entry->confirmed)
		entry_confirm(client, entry);
}

/* With what came; or with all that is known, which then is as it was. A digest of a connection
 * before knew that anyway: it can doubt what came, and confirm nothing that did not. */
static bool agrees(struct presence_client *client, struct role *role)
{
	if (equals(&role->told, &role->confirmed))
		return true;
	if (!role->told_now || !equals(&role->told, &role->known))
		return false;
	entries_each(client, confirm, role);
	return true;
}

static void forget(struct presence_client *client, struct entry *entry, void *role)
{
	if (entry->role == role && entry->has && !entry->confirmed && entry_forget(client, entry))
		client->fence_wanted = true; /* without memory to tell, the next one does it */
}

static void agree(struct presence_client *client, struct role *role, int64_t now)
{
	role->disagreed = 0;
	role->doubted = false;
	role->agreed_ms = wall_ms();
	role->snapshot_gap_ms = 0;
	role->recheck_ms = now + DIGEST_AUDIT_MS;
	entries_each(client, forget, role);
}

void digest_judge(struct presence_client *client, struct role *role)
{
	if (role->judged)
		return;
	role->judged = true;
	if (!role->is_told)
		return;
	/* Older than what came, it can still tell that there is too little. */
	role->doubted = role->told_rev < role->rev ? role->told.count > role->confirmed.count
						   : !agrees(client, role);
	if (!role->doubted)
		role->agreed_ms = wall_ms();
}

void digest_missing(struct role *role)
{
	if (!role->told_now)
		role->is_told = role->doubted = false;
}

/* Twice in a row: between the broker's counting and this, somebody may just have been forgotten. If
 * asking again does not help, as when some records may not be read, it is done ever less often. */
static void disagree(struct presence_client *client, struct role *role, int64_t now)
{
	role->doubted = true;
	role->disagreed++;
	role->recheck_ms = now + DIGEST_WAIT_MS;
	if (role->disagreed < 2 || now < role->snapshot_ms)
		return;
	role->snapshot_gap_ms = role->snapshot_gap_ms ? 2 * role->snapshot_gap_ms : SNAPSHOT_MIN_MS;
	if (role->snapshot_gap_ms > SNAPSHOT_MAX_MS)
		role->snapshot_gap_ms = SNAPSHOT_MAX_MS;
	role->snapshot_ms = now + role->snapshot_gap_ms;
	int err = watch_snapshot(client, role);
	if (!err)
		err = watch_send_fence(client);
	if (err)
		role->snapshot_ms = now; /* with the next digest, then */
}

void digest_heard(struct presence_client *client, const char *name, bool retained,
	const char *payload, size_t length)
{
	struct digest digest;
	struct role *role = NULL;
	int64_t now = now_ms();
	if (!digest_parse(payload, length, &digest) || role_get_or_add(client, name, &role))
		return;
	const struct scope *scope = widest(client, role, NULL);
	client->plugin_seen = true;
	if (!scope)
		return;
	role->told = digest.sum;
	role->told_rev = digest.rev;
	role->is_told = role->told_now = true;
	/* Older than what is known: it cannot tell. */
	if (digest.rev < role->rev)
		return;
	bool asked = role->asked;
	role->asked = false;
	if (agrees(client, role))
		agree(client, role, now);
	else if (scope->fence <= client->fence_answered && (!retained || asked))
		disagree(client, role, now);
}
