/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "core/merge.h"
#include "core/siphash.h"
#include "core/state.h"

uint64_t state_hash(const struct presence *core, const char *first, const char *second)
{
	struct siphash hash;
	siphash_init(&hash, core->config.hash_key);
	/* The terminator is hashed too, so that "a","bc" differs from "ab","c". */
	siphash_update(&hash, first, strlen(first) + 1);
	siphash_update(&hash, second, strlen(second));
	return siphash_finish(&hash);
}

static bool role_matches(const struct table_node *node, const void *name)
{
	return !strcmp(TABLE_CONST_ENTRY(node, struct role, by_name)->name, name);
}

static struct role *role_get_or_add(struct presence *core, const char *name)
{
	uint64_t hash = state_hash(core, name, "");
	struct table_node *node = table_find(&core->roles, hash, role_matches, name);
	if (node)
		return TABLE_ENTRY(node, struct role, by_name);
	size_t size = strlen(name) + 1;
	struct role *role = calloc(1, sizeof(*role) + size);
	if (!role)
		return NULL;
	memcpy(role->name, name, size);
	role->by_name.hash = hash;
	table_insert(&core->roles, &role->by_name);
	return role;
}

static void role_remove(struct presence *core, struct role *role)
{
	table_remove(&core->roles, &role->by_name);
	free(role);
}

struct name {
	const char *role, *id;
};

static bool subject_matches(const struct table_node *node, const void *key)
{
	const struct subject *subject = TABLE_CONST_ENTRY(node, struct subject, by_name);
	const struct name *name = key;
	return !strcmp(subject->id, name->id) && !strcmp(subject->role->name, name->role);
}

struct subject *subject_find(const struct presence *core, const char *role, const char *id)
{
	struct name name = { role, id };
	uint64_t hash = state_hash(core, role, id);
	struct table_node *node = table_find(&core->subjects, hash, subject_matches, &name);
	return node ? TABLE_ENTRY(node, struct subject, by_name) : NULL;
}

static void link_first(struct presence *core, struct subject *subject)
{
	subject->previous = NULL;
	subject->next = core->first;
	if (core->first)
		core->first->previous = subject;
	else
		core->last = subject;
	core->first = subject;
}

static void unlink_subject(struct presence *core, struct subject *subject)
{
	walk_skip_subject(core, subject);
	if (subject->previous)
		subject->previous->next = subject->next;
	else
		core->first = subject->next;
	if (subject->next)
		subject->next->previous = subject->previous;
	else
		core->last = subject->previous;
}

void subject_move_last(struct presence *core, struct subject *subject)
{
	unlink_subject(core, subject);
	subject->next = NULL;
	subject->previous = core->last;
	if (core->last)
		core->last->next = subject;
	else
		core->first = subject;
	core->last = subject;
}

struct subject *subject_add(
	struct presence *core, const char *role_name, const char *id, bool unmatched)
{
	size_t size = strlen(id) + 1;
	struct subject *subject = calloc(1, sizeof(*subject) + size);
	struct role *role = subject ? role_get_or_add(core, role_name) : NULL;
	if (!role) {
		free(subject);
		return NULL;
	}
	memcpy(subject->id, id, size);
	subject->unmatched = unmatched;
	subject->role = role;
	role->subjects++;
	subject->due.kind = DUE_FORGET;
	subject->by_name.hash = state_hash(core, role_name, id);
	table_insert(&core->subjects, &subject->by_name);
	/* At the front, where walks that are under way have passed: it speaks for itself. */
	link_first(core, subject);
	core->counts.subjects++;
	return subject;
}

static struct deadlines *offline_of(struct presence *core, const struct subject *subject)
{
	return &core->offline[subject->unmatched ? OFFLINE_UNMATCHED : OFFLINE_MATCHED];
}

static int64_t retain_ms(const struct presence *core, bool unmatched)
{
	return unmatched ? core->config.unmatched_retain_ms : core->config.offline_retain_ms;
}

static void clear_due(struct presence *core, struct subject *subject)
{
	bool judge = subject->due.kind == DUE_JUDGE;
	deadline_clear(judge ? &core->waiting : offline_of(core, subject), &subject->due);
}

void subject_wait(struct presence *core, struct subject *subject, int64_t at_ms)
{
	clear_due(core, subject);
	subject->due.kind = DUE_JUDGE;
	deadline_set(&core->waiting, &subject->due, at_ms);
}

static void wait_to_be_forgotten(
	struct presence *core, struct subject *subject, const struct presence_event *event)
{
	clear_due(core, subject);
	subject->due.kind = DUE_FORGET;
	/* Restored, it went offline in the past; on a clock that has stepped, now. */
	int64_t age_ms = event->wall_ms - subject->since_ms;
	deadline_set(offline_of(core, subject), &subject->due,
		event->now_ms - (age_ms > 0 ? age_ms : 0));
}

void subject_destroy(struct presence *core, struct subject *subject)
{
	if (!subject)
		return;
	if (!subject->role->subjects)
		role_remove(core, subject->role);
	free(subject);
}

struct subject *subject_offline_longest(const struct presence *core)
{
	struct deadline *matched = deadlines_first(&core->offline[OFFLINE_MATCHED]);
	struct deadline *unmatched = deadlines_first(&core->offline[OFFLINE_UNMATCHED]);
	struct deadline *oldest = matched;
	if (!matched || (unmatched && unmatched->at_ms < matched->at_ms))
		oldest = unmatched;
	return oldest ? TABLE_ENTRY(oldest, struct subject, due) : NULL;
}

int64_t subject_forget_deadline(const struct presence *core, struct subject **next)
{
	int64_t earliest = INT64_MAX;
	for (int kind = 0; kind < OFFLINE_KINDS; kind++) {
		struct deadline *first = deadlines_first(&core->offline[kind]);
		if (!first)
			continue;
		int64_t at_ms = first->at_ms + retain_ms(core, kind == OFFLINE_UNMATCHED);
		if (at_ms < earliest) {
			earliest = at_ms;
			*next = TABLE_ENTRY(first, struct subject, due);
		}
	}
	return earliest;
}

void subject_evidence(struct subject *subject, int64_t wall_ms)
{
	if (wall_ms > subject->last_seen_ms)
		subject->last_seen_ms = wall_ms;
}

void subject_record(const struct subject *subject, struct presence_record *record)
{
	*record = (struct presence_record){
		.role = subject->role->name,
		.id = subject->id,
		.status = subject->status,
		.previous = subject->previous_status,
		.reason = subject->reason,
		.source = subject->source,
		.devices = subject->published_devices,
		.since_ms = subject->since_ms,
		.last_seen_ms = subject->last_seen_ms,
		.rev = subject->rev,
	};
}

struct presence_effect *effect_add(struct presence *core, struct presence_effects *effects,
	enum presence_effect_type type, const struct subject *subject, int64_t now_ms)
{
	assert(effects->count < PRESENCE_EFFECTS_MAX);
	struct presence_effect *effect = &effects->item[effects->count++];
	*effect = (struct presence_effect){ .type = type };
	if (!subject)
		return effect;
	subject_record(subject, &effect->record);
	if (subject->status == PRESENCE_OFFLINE) {
		int64_t left_ms = retain_ms(core, subject->unmatched);
		if (subject->due.kind == DUE_FORGET && subject->due.place)
			left_ms += subject->due.at_ms - now_ms;
		effect->retain_ms = left_ms > 0 ? left_ms : 0;
	}
	return effect;
}

void effect_add_store(struct presence *core, struct presence_effects *effects,
	const struct subject *subject, const struct device *device, enum presence_status rank,
	int64_t previous_rev, int64_t now_ms)
{
	struct presence_effect *effect = effect_add(core, effects, PRESENCE_STORE, subject, now_ms);
	effect->previous_rev = previous_rev;
	effect->rank = rank;
	if (device) {
		effect->device = device->name;
		effect->device_last_seen_ms = device->last_seen_ms;
	}
}

static int64_t mint_rev(struct presence *core, int64_t wall_ms)
{
	int64_t from_clock = wall_ms * 1000;
	core->rev = from_clock > core->rev ? from_clock : core->rev + 1;
	return core->rev;
}

static void publish(struct presence *core, struct subject *subject,
	const struct presence_event *event, struct presence_effects *effects)
{
	/* What an earlier boot published is not among what this one has. */
	int64_t previous_rev = subject->judge ? 0 : subject->rev;
	subject->rev = mint_rev(core, event->wall_ms);
	effect_add(core, effects, PRESENCE_PUBLISH, subject, event->now_ms)->previous_rev =
		previous_rev;
}

static void set_status(struct subject *subject, enum presence_status status, int64_t wall_ms)
{
	if (subject->status == PRESENCE_OFFLINE)
		subject->role->online++;
	if (status == PRESENCE_OFFLINE)
		subject->role->online--;
	subject->previous_status = subject->status;
	subject->status = (uint8_t)status;
	subject->since_ms = wall_ms;
}

int64_t subject_settle(struct presence *core, struct subject *subject,
	const struct presence_event *event, enum presence_reason reason,
	struct presence_effects *effects)
{
	/* Until devices can declare, each one that is there is online. */
	enum presence_status highest_rank = subject->devices ? PRESENCE_ONLINE : PRESENCE_OFFLINE;
	enum presence_status status = presence_merge(highest_rank, PRESENCE_OVERRIDE_NONE);
	uint32_t devices = status == PRESENCE_OFFLINE ? 0 : subject->device_count;
	bool changed = status != subject->status || devices != subject->published_devices;
	int64_t previous_rev = subject->rev;

	if (status != subject->status)
		set_status(subject, status, event->wall_ms);
	if (changed) {
		subject->published_devices = devices;
		subject->reason = (uint8_t)reason;
		subject->source = PRESENCE_INFERRED;
		core->counts.transitions++;
	}
	if (!subject->devices)
		wait_to_be_forgotten(core, subject, event);
	else if (changed || subject->judge)
		clear_due(core, subject);
	if (changed || subject->judge)
		publish(core, subject, event, effects);
	subject->judge = false;
	return previous_rev;
}

void subject_publish_again(struct presence *core, struct subject *subject,
	const struct presence_event *event, struct presence_effects *effects)
{
	publish(core, subject, event, effects);
}

void subject_forget(struct presence *core, struct subject *subject, int64_t now_ms,
	struct presence_effects *effects)
{
	assert(!subject->devices && !core->gone_subject);
	struct presence_effect *effect = effect_add(
		core, effects, PRESENCE_FORGOTTEN, subject, now_ms);
	effect->previous_rev = subject->rev;
	if (subject->status != PRESENCE_OFFLINE)
		subject->role->online--;
	clear_due(core, subject);
	unlink_subject(core, subject);
	table_remove(&core->subjects, &subject->by_name);
	subject->role->subjects--;
	core->counts.subjects--;
	core->counts.forgotten++;
	core->gone_subject = subject;
}

struct each_role {
	void (*visit)(void *context, const char *role, uint64_t online);
	void *context;
};

static void visit_role(const struct table_node *node, void *context)
{
	const struct role *role = TABLE_CONST_ENTRY(node, struct role, by_name);
	const struct each_role *each = context;
	each->visit(each->context, role->name, role->online);
}

void presence_each_role(const struct presence *core,
	void (*visit)(void *context, const char *role, uint64_t online), void *context)
{
	struct each_role each = { visit, context };
	table_each(&core->roles, visit_role, &each);
}
