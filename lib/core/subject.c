/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

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

struct role *role_find(const struct presence *core, const char *name)
{
	struct table_node *node = table_find(
		&core->roles, state_hash(core, name, ""), role_matches, name);
	return node ? TABLE_ENTRY(node, struct role, by_name) : NULL;
}

static struct role *role_get_or_add(struct presence *core, const char *name)
{
	struct role *found = role_find(core, name);
	if (found)
		return found;
	size_t size = strlen(name) + 1;
	struct role *role = calloc(1, sizeof(*role) + size);
	if (!role)
		return NULL;
	memcpy(role->name, name, size);
	role->by_name.hash = state_hash(core, name, "");
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
	core->waiting_users++;
	return subject;
}

uint64_t note_hash(const struct presence *core, const char *note)
{
	return note ? state_hash(core, note, "") | 1 : 0; /* 0 is none */
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
	bool forget = subject->due.kind == DUE_FORGET;
	deadline_clear(forget ? offline_of(core, subject) : &core->waiting, &subject->due);
}

void subject_wait(struct presence *core, struct subject *subject, int64_t at_ms)
{
	clear_due(core, subject);
	subject->due.kind = DUE_JUDGE;
	deadline_set(&core->waiting, &subject->due, at_ms);
}

static bool must_be_remembered(const struct subject *subject)
{
	return subject->devices || subject->override;
}

/* Published as offline: for as long as offline records are kept, whoever is behind it. */
static void wait_to_be_forgotten(struct presence *core, struct subject *subject)
{
	clear_due(core, subject);
	if (!must_be_remembered(subject)) {
		subject->due.kind = DUE_FORGET;
		/* One that was never published need not wait. */
		deadline_set(offline_of(core, subject), &subject->due,
			subject->rev ? subject->offline_ms : INT64_MIN / 2);
	} else if (subject->rev) {
		subject->due.kind = DUE_CLEAR;
		deadline_set(&core->waiting, &subject->due,
			subject->offline_ms + retain_ms(core, subject->unmatched));
	}
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
	if (wall_ms > subject->last_seen_ms && !subject_is_hidden(subject))
		subject->last_seen_ms = wall_ms;
}

void subject_record(const struct subject *subject, struct presence_record *record)
{
	struct aggregate now;
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
	if (subject->published_note) {
		aggregate(subject, &now);
		record->note = now.note;
	}
	record->until_ms = subject->published_until_ms;
}

int64_t state_mint_rev(struct presence *core, int64_t wall_ms)
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
	subject->rev = state_mint_rev(core, event->wall_ms);
	effect_add(core, effects, PRESENCE_PUBLISH, subject, event->now_ms)->previous_rev =
		previous_rev;
}

void subject_count(struct presence *core, struct subject *subject, int by)
{
	if (!subject->rev)
		return;
	core->counts.subjects += (uint64_t)by;
	subject->role->published[subject->status] += (uint64_t)by;
}

static void set_status(
	struct subject *subject, enum presence_status status, const struct presence_event *event)
{
	if (status == PRESENCE_OFFLINE)
		subject->offline_ms = event->now_ms;
	subject->previous_status = subject->status;
	subject->status = (uint8_t)status;
	subject->since_ms = event->wall_ms;
}

static bool differs(
	const struct presence *core, const struct subject *subject, const struct aggregate *now)
{
	return now->status != subject->status || now->devices != subject->published_devices ||
		note_hash(core, now->note) != subject->published_note ||
		now->until_ms != subject->published_until_ms;
}

int64_t subject_settle(struct presence *core, struct subject *subject,
	const struct presence_event *event, enum presence_reason reason,
	struct presence_effects *effects)
{
	struct aggregate now;
	int64_t previous_rev = subject->rev;

	aggregate(subject, &now);
	bool changed = differs(core, subject, &now);
	subject_count(core, subject, -1);
	if (now.status != subject->status)
		set_status(subject, now.status, event);
	if (changed) {
		subject->published_devices = now.devices;
		subject->published_note = note_hash(core, now.note);
		subject->published_until_ms = now.until_ms;
		subject->reason = (uint8_t)reason;
		subject->source = (uint8_t)now.source;
		core->counts.transitions++;
	}
	if (changed || subject->judge)
		publish(core, subject, event, effects);
	subject_count(core, subject, 1);
	subject->judge = false;
	if (subject->status == PRESENCE_OFFLINE)
		wait_to_be_forgotten(core, subject);
	else
		clear_due(core, subject);
	return previous_rev;
}

void subject_publish_again(struct presence *core, struct subject *subject,
	const struct presence_event *event, struct presence_effects *effects)
{
	publish(core, subject, event, effects);
}

static void remove_subject(struct presence *core, struct subject *subject)
{
	assert(!core->gone_subject);
	while (subject->activities) {
		activity_remove(core, subject->activities);
		free(core->gone_activity);
		core->gone_activity = NULL;
	}
	clear_due(core, subject);
	unlink_subject(core, subject);
	table_remove(&core->subjects, &subject->by_name);
	subject->role->subjects--;
	core->waiting_users--;
	core->gone_subject = subject;
}

void subject_forget(struct presence *core, struct subject *subject, int64_t now_ms,
	struct presence_effects *effects)
{
	if (subject->rev) {
		effect_add(core, effects, PRESENCE_FORGOTTEN, subject, now_ms)->previous_rev =
			subject->rev;
		core->counts.forgotten++;
	}
	subject_count(core, subject, -1);
	if (!must_be_remembered(subject)) {
		remove_subject(core, subject);
		return;
	}
	clear_due(core, subject);
	subject->rev = 0;
}
