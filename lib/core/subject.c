/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
#include <assert.h>
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

uint32_t subject_hash(const struct presence *core, const char *role, const char *id)
{
	return index_hash(state_hash(core, role, id));
}

struct subject *subject_find_hashed(
	const struct presence *core, uint32_t hash, const char *role, const char *id)
{
	struct index_search search;
	uint32_t number = index_first(&core->subjects, hash, &search);
	for (; number; number = index_next(&search)) {
		struct subject *subject = subject_at(core, number);
		if (!strcmp(subject->id, id) && !strcmp(role_at(core, subject->role)->name, role))
			return subject;
	}
	return NULL;
}

struct subject *subject_find(const struct presence *core, const char *role, const char *id)
{
	return subject_find_hashed(core, subject_hash(core, role, id), role, id);
}

struct subject *subject_add(
	struct presence *core, const char *role_name, const char *id, bool unmatched)
{
	uint32_t hash = subject_hash(core, role_name, id);
	if (index_reserve(&core->subjects, hash))
		return NULL;
	size_t size = SIZE_WITH(subject, id, id);
	uint32_t number = pool_take(&core->pool, size);
	struct subject *subject = subject_at(core, number);
	struct role *role = subject ? role_get_or_add(core, role_name) : NULL;
	if (!role) {
		pool_give(&core->pool, number, size);
		return NULL;
	}
	memcpy(subject->id, id, strlen(id) + 1);
	subject->self = number;
	subject->unmatched = unmatched;
	subject->role = role->self;
	role->subjects++;
	index_insert(&core->subjects, hash, number);
	/* At the front, where walks that are under way have passed: it speaks for itself. */
	walk_link_first(core, subject);
	return subject;
}

struct extras *subject_extras(struct presence *core, struct subject *subject)
{
	if (!subject->extras)
		subject->extras = pool_take(&core->pool, sizeof(struct extras));
	return extras_of(core, subject);
}

uint64_t note_hash(const struct presence *core, const char *note)
{
	return note ? state_hash(core, note, "") | 1 : 0; /* 0 is none */
}

static int64_t retain_ms(const struct presence *core, bool unmatched)
{
	return unmatched ? core->config.unmatched_retain_ms : core->config.offline_retain_ms;
}

int64_t subject_retain_ms(const struct presence *core, const struct subject *subject)
{
	return retain_ms(core, subject->unmatched);
}

static struct deadlines *deadlines_of(
	struct presence *core, const struct subject *subject, unsigned kind)
{
	int whose = subject->unmatched ? OFFLINE_UNMATCHED : OFFLINE_MATCHED;
	if (kind == DUE_FORGET)
		return &core->forget[whose];
	return kind == DUE_CLEAR ? &core->clear[whose] : &core->waiting;
}

static void set_due(struct presence *core, struct subject *subject, unsigned kind, int64_t at_ms)
{
	deadline_set(deadlines_of(core, subject, kind), &core->pool,
		DUE_NUMBER(subject, subject->self), kind, at_ms);
}

static void clear_due(struct presence *core, struct subject *subject)
{
	deadline_clear(deadlines_of(core, subject, subject->due.kind), &core->pool,
		DUE_NUMBER(subject, subject->self));
}

void subject_wait(struct presence *core, struct subject *subject, int64_t at_ms)
{
	clear_due(core, subject);
	set_due(core, subject, subject->status == PRESENCE_OFFLINE ? DUE_JUDGE_OFFLINE : DUE_JUDGE,
		at_ms);
}

int64_t subject_offline_ms(const struct subject *subject, const struct presence_event *event)
{
	if (!subject->judge)
		return when_ms(subject->due.at);
	int64_t age_ms = event->wall_ms - when_ms(subject->since);
	/* On a wall clock that has stepped back, it went offline now. */
	return event->now_ms - (age_ms > 0 ? age_ms : 0);
}

static bool must_be_remembered(const struct presence *core, const struct subject *subject)
{
	return subject->devices || subject_override(core, subject);
}

/* Published as offline: for as long as offline records are kept, whoever is behind it. */
static void wait_to_be_forgotten(struct presence *core, struct subject *subject)
{
	/* One that was never published need not wait. */
	int64_t at_ms = subject->rev ? when_ms(subject->due.at) : WHEN_MIN;
	unsigned kind = must_be_remembered(core, subject) ? DUE_CLEAR : DUE_FORGET;
	clear_due(core, subject);
	if (kind == DUE_FORGET || subject->rev)
		set_due(core, subject, kind, at_ms);
}

void subject_destroy(struct presence *core, struct subject *subject)
{
	if (!subject)
		return;
	struct role *role = role_at(core, subject->role);
	if (!role->subjects)
		role_remove(core, role);
	if (subject->extras)
		pool_give(&core->pool, subject->extras, sizeof(struct extras));
	pool_give(&core->pool, subject->self, SIZE_WITH(subject, id, subject->id));
}

static struct subject *first_of(const struct presence *core, const struct deadlines *deadlines)
{
	uint32_t number = deadlines_first(deadlines, &core->pool);
	return number ? subject_at(core, DUE_OWNER(subject, number)) : NULL;
}

static struct subject *offline_longest(const struct presence *core)
{
	struct subject *matched = first_of(core, &core->forget[OFFLINE_MATCHED]);
	struct subject *unmatched = first_of(core, &core->forget[OFFLINE_UNMATCHED]);
	if (!matched || (unmatched && when_ms(unmatched->due.at) < when_ms(matched->due.at)))
		return unmatched;
	return matched;
}

bool subject_has_room(const struct presence *core, struct subject **evicted)
{
	bool is_full = core->subjects.count >= core->config.subjects_max;
	*evicted = is_full ? offline_longest(core) : NULL;
	return !is_full || *evicted;
}

int64_t subject_forget_deadline(const struct presence *core, struct subject **next)
{
	int64_t earliest = INT64_MAX;
	for (int whose = 0; whose < OFFLINE_KINDS; whose++) {
		struct subject *first[] = {
			first_of(core, &core->clear[whose]),
			first_of(core, &core->forget[whose]),
		};
		int64_t kept_ms = retain_ms(core, whose == OFFLINE_UNMATCHED);
		for (size_t i = 0; i < sizeof(first) / sizeof(*first); i++) {
			if (!first[i] || when_ms(first[i]->due.at) + kept_ms >= earliest)
				continue;
			earliest = when_ms(first[i]->due.at) + kept_ms;
			*next = first[i];
		}
	}
	return earliest;
}

void subject_evidence(struct presence *core, struct subject *subject, int64_t wall_ms)
{
	if (wall_ms > when_ms(subject->last_seen) && !subject_is_hidden(core, subject))
		subject->last_seen = when_of(wall_ms);
}

void subject_record(
	const struct presence *core, const struct subject *subject, struct presence_record *record)
{
	const struct extras *extras = extras_of(core, subject);
	struct aggregate now;
	*record = (struct presence_record){
		.role = role_at(core, subject->role)->name,
		.id = subject->id,
		.status = subject->status,
		.previous = subject->previous_status,
		.reason = subject->reason,
		.source = subject->source,
		.devices = subject->published_devices,
		.since_ms = when_ms(subject->since),
		.last_seen_ms = when_ms(subject->last_seen),
		.rev = subject->rev,
	};
	if (!extras)
		return;
	if (extras->published_note) {
		aggregate(core, subject, &now);
		record->note = now.note;
	}
	record->until_ms = extras->published_until_ms;
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
	effect_add(core, effects, PRESENCE_PUBLISH, subject, event)->previous_rev = previous_rev;
}

void subject_count(struct presence *core, struct subject *subject, int by)
{
	if (!subject->rev)
		return;
	core->counts.subjects += (uint64_t)by;
	role_at(core, subject->role)->published[subject->status] += (uint64_t)by;
}

static void set_status(struct presence *core, struct subject *subject, enum presence_status status,
	const struct presence_event *event)
{
	clear_due(core, subject);
	subject->due.at = when_of(event->now_ms); /* offline since then, if it is */
	subject->previous_status = subject->status;
	subject->status = status & 3U;
	subject->since = when_of(event->wall_ms);
}

static bool differs(const struct presence *core, const struct subject *subject,
	const struct aggregate *now, uint64_t note)
{
	const struct extras *extras = extras_of(core, subject);
	return now->status != subject->status || now->devices != subject->published_devices ||
		note != (extras ? extras->published_note : 0) ||
		now->until_ms != (extras ? extras->published_until_ms : 0);
}

static void set_published(struct presence *core, struct subject *subject,
	const struct aggregate *now, uint64_t note, enum presence_reason reason)
{
	struct extras *extras = extras_of(core, subject);
	/* Who has a note, or an override, has extras. */
	if (extras) {
		extras->published_note = note;
		extras->published_until_ms = now->until_ms;
	}
	subject->published_devices = (uint16_t)now->devices;
	subject->reason = reason;
	subject->source = now->source & 3U;
	core->counts.transitions++;
}

int64_t subject_settle(struct presence *core, struct subject *subject,
	const struct presence_event *event, enum presence_reason reason,
	struct presence_effects *effects)
{
	struct aggregate now;
	int64_t previous_rev = subject->rev;

	aggregate(core, subject, &now);
	uint64_t note = note_hash(core, now.note);
	bool changed = differs(core, subject, &now, note);
	subject_count(core, subject, -1);
	if (now.status != subject->status)
		set_status(core, subject, now.status, event);
	else if (subject->judge && subject->status == PRESENCE_OFFLINE) {
		int64_t offline_ms = subject_offline_ms(subject, event);
		clear_due(core, subject);
		subject->due.at = when_of(offline_ms);
	}
	if (changed)
		set_published(core, subject, &now, note, reason);
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
	const struct extras *extras = extras_of(core, subject);
	struct role *role = role_at(core, subject->role);
	assert(!core->gone_subject);
	while (extras && extras->activities) {
		activity_remove(core, activity_at(core, extras->activities));
		activity_free(core, activity_at(core, core->gone_activity));
		core->gone_activity = 0;
	}
	clear_due(core, subject);
	walk_unlink(core, subject);
	index_remove(&core->subjects, subject_hash(core, role->name, subject->id), subject->self);
	role->subjects--;
	core->gone_subject = subject->self;
}

void subject_take_back(struct presence *core, struct subject *subject)
{
	remove_subject(core, subject);
	subject_destroy(core, subject);
	core->gone_subject = 0;
}

void subject_forget(struct presence *core, struct subject *subject,
	const struct presence_event *event, struct presence_effects *effects)
{
	if (subject->rev) {
		effect_add(core, effects, PRESENCE_FORGOTTEN, subject, event)->previous_rev =
			subject->rev;
		core->counts.forgotten++;
	}
	subject_count(core, subject, -1);
	if (!must_be_remembered(core, subject)) {
		remove_subject(core, subject);
		return;
	}
	clear_due(core, subject);
	subject->rev = 0;
}
