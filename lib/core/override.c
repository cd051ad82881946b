/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
#include <string.h>

#include "core/state.h"

/* What a person or operator says of a subject. It outlives connections and restarts, and never
 * makes online who is not connected. Going invisible reads like a goodbye, ending it like a
 * connect; in between nothing that happens may be seen. */

static struct override *override_create(struct presence *core, const struct presence_event *event)
{
	const char *note = event->note ? event->note : "";
	uint32_t number = pool_take(&core->pool, SIZE_WITH(override, note, note));
	struct override *override = override_at(core, number);
	if (!override)
		return NULL;
	memcpy(override->note, note, strlen(note) + 1);
	override->self = number;
	override->what = (uint8_t)event->override;
	override->until_ms = event->until_ms;
	return override;
}

void override_free(struct presence *core, struct override *override)
{
	if (override)
		pool_give(&core->pool, override->self, SIZE_WITH(override, note, override->note));
}

static uint64_t live_sessions(const struct presence *core, const struct subject *subject)
{
	uint64_t count = 0;
	for (const struct device *device = device_at(core, subject->devices); device;
		device = device_at(core, device->next))
		for (const struct session *session = session_at(core, device->sessions); session;
			session = session_at(core, session->next))
			count += session->live;
	return count;
}

void override_remove(struct presence *core, struct subject *subject)
{
	struct override *override = subject_override(core, subject);
	if (!override)
		return;
	deadline_clear(&core->waiting, &core->pool, DUE_NUMBER(override, override->self));
	extras_of(core, subject)->override = 0;
	core->gone_override = override->self;
}

/* Takes override, which may be NULL; otherwise subject has extras. */
static void replace(struct presence *core, struct subject *subject, struct override *override,
	const struct presence_event *event)
{
	override_remove(core, subject);
	if (!override)
		return;
	extras_of(core, subject)->override = override->self;
	override->subject = subject->self;
	if (override->until_ms)
		deadline_set(&core->waiting, &core->pool, DUE_NUMBER(override, override->self),
			DUE_OVERRIDE, event->now_ms + (override->until_ms - event->wall_ms));
}

/* Devices whose topics follow at once; those of others take a few ticks. */
enum { SHOWN_AT_ONCE = 3 };

/* What was invisible becomes visible, or the other way round. */
static void change_sight(struct presence *core, struct subject *subject, bool is_hidden,
	const struct presence_event *event, struct presence_effects *effects)
{
	uint64_t live = live_sessions(core, subject);
	core->counts.sessions += is_hidden ? -live : live;
	if (is_hidden)
		activity_end(core, subject, 0, event->now_ms);
	/* As it would be with a goodbye: later, it could be told from one. */
	struct device *device = device_at(core, subject->devices);
	for (int shown = 0; device && shown < SHOWN_AT_ONCE;
		shown++, device = device_at(core, device->next))
		walk_show(core, device, event, effects);
	/* A record that had been forgotten meanwhile took the contributions with it. */
	if (subject->devices)
		walk_say(core, subject,
			PRESENCE_TARGET_DEVICES | (is_hidden ? 0 : PRESENCE_TARGET_STORE));
}

static int64_t apply(struct presence *core, struct subject *subject, struct override *override,
	const struct presence_event *event, enum presence_reason reason,
	struct presence_effects *effects)
{
	bool was_hidden = subject_is_hidden(core, subject);
	bool is_hidden = override && override->what == PRESENCE_OVERRIDE_INVISIBLE;
	if (subject->devices && subject->status != PRESENCE_OFFLINE && is_hidden)
		subject_evidence(core, subject, event->wall_ms);
	replace(core, subject, override, event);
	if (is_hidden)
		reason = core->config.goodbye;
	else if (was_hidden)
		reason = PRESENCE_REASON_CONNECT;
	if (was_hidden && !is_hidden && subject->devices)
		subject_evidence(core, subject, event->wall_ms);
	int64_t previous_rev = subject_settle(core, subject, event, reason, effects);
	if (was_hidden != is_hidden)
		change_sight(core, subject, is_hidden, event, effects);
	return previous_rev;
}

/* The subject may never have been here: what is said of it waits for it. */
static int find_or_add(struct presence *core, const struct presence_event *event,
	struct presence_effects *effects, struct subject **subject)
{
	struct subject *evicted;
	*subject = subject_find(core, event->role, event->id);
	if (*subject)
		return subject_extras(core, *subject) ? PRESENCE_OK : PRESENCE_ENOMEM;
	if (!subject_has_room(core, &evicted))
		return PRESENCE_ESUBJECTS;
	*subject = subject_add(core, event->role, event->id, event->unmatched);
	if (!*subject)
		return PRESENCE_ENOMEM;
	if (!subject_extras(core, *subject)) {
		subject_take_back(core, *subject);
		return PRESENCE_ENOMEM;
	}
	if (evicted)
		subject_forget(core, evicted, event, effects);
	return PRESENCE_OK;
}

static int make(struct presence *core, const struct presence_event *event,
	struct presence_effects *effects, struct subject **subject, struct override **override)
{
	*override = override_create(core, event);
	int err = *override ? find_or_add(core, event, effects, subject) : PRESENCE_ENOMEM;
	if (err)
		override_free(core, *override);
	return err;
}

static int clear(
	struct presence *core, const struct presence_event *event, struct presence_effects *effects)
{
	struct subject *subject = subject_find(core, event->role, event->id);
	if (!subject || !subject_override(core, subject))
		return PRESENCE_ENOENT;
	int64_t previous_rev = apply(core, subject, NULL, event, PRESENCE_REASON_OVERRIDE, effects);
	int64_t rev = state_mint_rev(core, event->wall_ms);
	effect_add_override(core, effects, subject, rev, previous_rev, event);
	return PRESENCE_OK;
}

int override_set(
	struct presence *core, const struct presence_event *event, struct presence_effects *effects)
{
	if (event->override == PRESENCE_OVERRIDE_NONE)
		return clear(core, event, effects);
	if (event->until_ms && event->until_ms <= event->wall_ms)
		return PRESENCE_EINVAL;
	struct subject *subject;
	struct override *override;
	int err = make(core, event, effects, &subject, &override);
	if (err)
		return err;
	int64_t previous_rev = apply(
		core, subject, override, event, PRESENCE_REASON_OVERRIDE, effects);
	override->rev = state_mint_rev(core, event->wall_ms);
	effect_add_override(core, effects, subject, override->rev, previous_rev, event);
	return PRESENCE_OK;
}

/* The one that counts least of those whose topic shows that they are there; NULL: none. */
static struct device *least_shown(const struct presence *core, const struct subject *subject)
{
	struct device *least = NULL, *device;
	for (uint32_t next = subject->devices; next; next = device->next) {
		device = device_at(core, next);
		if (device->shown == PRESENCE_OFFLINE)
			continue;
		if (!least || device->shown < least->shown ||
			(device->shown == least->shown && device->declaration < least->declaration))
			least = device;
	}
	return least;
}

/* Nobody says goodbye on several devices at once: who turned invisible so could be told. Only what
 * is published goes down; what the device contributes stays, for the end of it. */
int override_withdraw(
	struct presence *core, const struct presence_event *event, struct presence_effects *effects)
{
	struct subject *subject = subject_find(core, event->role, event->id);
	if (!subject || subject->judge || subject->status == PRESENCE_OFFLINE ||
		subject->published_devices < 2)
		return PRESENCE_ENOENT;
	struct device *device = core->config.device_topics ? least_shown(core, subject) : NULL;
	subject_evidence(core, subject, event->wall_ms);
	subject->published_devices--;
	subject->reason = core->config.goodbye;
	core->counts.transitions++;
	subject_publish_again(core, subject, event, effects);
	if (device) {
		device->shown = PRESENCE_OFFLINE;
		effect_add_device(core, effects, device, core->config.goodbye, event);
	}
	return PRESENCE_OK;
}

/* It ended while the broker was down: the stores have still to hear of it. */
static void tell_ended(
	struct presence *core, const struct presence_event *event, struct presence_effects *effects)
{
	struct subject *subject = subject_find(core, event->role, event->id);
	if (subject && subject_override(core, subject))
		return;
	struct presence_effect *effect = effect_add(
		core, effects, PRESENCE_STORE_OVERRIDE, subject, event);
	effect->record.role = event->role;
	effect->record.id = event->id;
	effect->override_rev = state_mint_rev(core, event->wall_ms);
}

/* By their revs; but what this broker said before its start is older than what it said since, even
 * if its wall clock was ahead then. */
static bool is_newer(const struct override *known, const struct presence_event *event)
{
	if (!known->restored && event->own)
		return false;
	return event->rev > known->rev;
}

int override_restore(
	struct presence *core, const struct presence_event *event, struct presence_effects *effects)
{
	bool is_clear = event->override == PRESENCE_OVERRIDE_NONE;
	restore_rev(core, event->rev);
	if (!is_clear && event->until_ms && event->until_ms <= event->wall_ms) {
		tell_ended(core, event, effects);
		return PRESENCE_OK;
	}
	struct subject *subject = subject_find(core, event->role, event->id);
	const struct override *known = subject ? subject_override(core, subject) : NULL;
	if (known ? !is_newer(known, event) : is_clear)
		return PRESENCE_OK;
	struct override *override =
		NULL; /* cleared: one store may have missed what another knows */
	int err = is_clear ? PRESENCE_OK : make(core, event, effects, &subject, &override);
	if (err)
		return err;
	if (override) {
		override->rev = event->rev;
		override->restored = true;
	}
	int64_t previous_rev = subject->rev;
	/* What is published of one that waits for its judgement already counts with this. */
	if (subject->judge)
		replace(core, subject, override, event);
	else
		previous_rev = apply(
			core, subject, override, event, PRESENCE_REASON_OVERRIDE, effects);
	/* A store that was asked for everything again must not miss it; another one may lack it. */
	effect_add_override(core, effects, subject, event->rev, previous_rev, event);
	return PRESENCE_OK;
}

/* Told like one that was cleared: no other clock need agree on when it ended. */
void override_expire(struct presence *core, struct override *override,
	const struct presence_event *event, struct presence_effects *effects)
{
	struct subject *subject = subject_at(core, override->subject);
	int64_t previous_rev = apply(
		core, subject, NULL, event, PRESENCE_REASON_OVERRIDE_EXPIRED, effects);
	int64_t rev = state_mint_rev(core, event->wall_ms);
	effect_add_override(core, effects, subject, rev, previous_rev, event);
}
