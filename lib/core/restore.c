/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
#include "core/state.h"

/* Devices of an earlier boot linger like lost ones, until restart_grace is over: who comes back in
 * time never flaps, and no second mechanism is needed. */

static const int64_t rev_end = (int64_t)1 << 53; /* the first number that JSON readers may round */

static int64_t grace_end_ms(const struct presence *core, int64_t now_ms)
{
	int64_t end_ms = core->boot_ms + core->config.restart_grace_ms;
	return end_ms > now_ms ? end_ms : now_ms;
}

void restore_rev(struct presence *core, int64_t rev)
{
	if (rev > core->rev && rev < rev_end)
		core->rev = rev;
}

/* The client came back before we learnt that it had been there: what it was goes on. */
static void adopt(struct presence *core, struct subject *subject,
	const struct presence_event *event, struct presence_effects *effects)
{
	const struct presence_record *record = &event->record;
	bool goes_on = !subject->judge && subject->status == record->status &&
		record->status != PRESENCE_OFFLINE && record->since_ms < when_ms(subject->since);
	if (!goes_on)
		return;
	subject->since = when_of(record->since_ms);
	subject->previous_status = record->previous & 3U;
	int64_t previous_rev = subject->rev;
	subject_publish_again(core, subject, event, effects);
	effect_add_store(core, effects, subject, NULL, previous_rev, event);
}

static void set_as_it_was(
	struct presence *core, struct subject *subject, const struct presence_event *event)
{
	const struct presence_record *record = &event->record;
	struct extras *extras = extras_of(core, subject);
	if (extras) {
		extras->published_note = note_hash(core, record->note);
		extras->published_until_ms = record->until_ms;
	}
	subject->status = record->status & 3U;
	subject->previous_status = record->previous & 3U;
	subject->reason = record->reason;
	subject->source = record->source & 3U;
	/* More than there can be are no number that an aggregate comes to. */
	subject->published_devices = record->devices < UINT16_MAX ? (uint16_t)record->devices
								  : UINT16_MAX;
	subject->since = when_of(record->since_ms);
	subject->last_seen = when_of(record->last_seen_ms);
	subject->rev = record->rev;
	subject_count(core, subject, 1);
	subject->judge = true;
}

int restore_subject(
	struct presence *core, const struct presence_event *event, struct presence_effects *effects)
{
	const struct presence_record *record = &event->record;
	restore_rev(core, record->rev);
	struct subject *subject = subject_find(core, record->role, record->id);
	if (subject && (subject->rev || subject->devices)) {
		adopt(core, subject, event, effects);
		return PRESENCE_OK;
	}
	struct subject *evicted = NULL;
	bool offline = record->status == PRESENCE_OFFLINE;
	/* It is not known which of two that are offline is so longer. */
	if (!subject && (!subject_has_room(core, &evicted) || (evicted && offline)))
		return PRESENCE_ESUBJECTS;
	/* An override may have been restored before it. */
	bool is_new = !subject;
	if (is_new)
		subject = subject_add(core, record->role, record->id, event->unmatched);
	if (!subject)
		return PRESENCE_ENOMEM;
	if ((record->note || record->until_ms) && !subject_extras(core, subject)) {
		if (is_new)
			subject_take_back(core, subject);
		return PRESENCE_ENOMEM;
	}
	if (evicted)
		subject_forget(core, evicted, event, effects);
	set_as_it_was(core, subject, event);
	subject_wait(core, subject, offline ? event->now_ms : grace_end_ms(core, event->now_ms));
	return PRESENCE_OK;
}

/* The store does not tell what a device declared from what was inferred; but only the latter is
 * online without a note, or away without one where silence makes away. */
static bool was_inferred(const struct presence *core, const struct presence_event *event)
{
	if (event->note && event->note[0])
		return false;
	return event->status == PRESENCE_ONLINE ||
		(event->status == PRESENCE_AWAY && core->config.away_after_ms);
}

static struct device *device_as_it_was(struct presence *core, const struct presence_event *event)
{
	struct device *device = device_create(core, event->device);
	if (!device)
		return NULL;
	if (note_copy(core, event->note, &device->note)) {
		device_destroy(core, device);
		return NULL;
	}
	device->restored = true;
	device->last_seen = when_of(event->last_seen_ms);
	if (was_inferred(core, event))
		device->idle = event->status == PRESENCE_AWAY;
	else
		device->declared = (uint8_t)event->status;
	device->stored = (uint8_t)event->status;
	return device;
}

static int linger(struct presence *core, struct subject *subject,
	const struct presence_event *event, struct presence_effects *effects)
{
	struct device *device = device_as_it_was(core, event);
	uint32_t number = device ? pool_take(&core->pool, sizeof(struct session)) : 0;
	struct extras *extras = number ? subject_extras(core, subject) : NULL;
	if (!extras) {
		pool_give(&core->pool, number, sizeof(struct session));
		device_destroy(core, device);
		return PRESENCE_ENOMEM;
	}
	device_add(core, subject, device);
	if (!subject_is_hidden(core, subject))
		device->shown = device->stored;
	device->declaration = ++extras->declarations;
	device->sessions = number;
	struct session *session = session_at(core, number);
	session->device = device->self;
	session->restored = true;
	session_linger(
		core, session, PRESENCE_REASON_BROKER_RESTART, grace_end_ms(core, event->now_ms));
	/* The subject is back already, on another device: this one counts too, for its grace. */
	if (!subject->judge)
		device_settle(core, device, event, PRESENCE_REASON_BROKER_RESTART, effects);
	return PRESENCE_OK;
}

static void store_down(
	struct presence *core, const struct presence_event *event, struct presence_effects *effects)
{
	struct presence_effect *effect = effect_add(core, effects, PRESENCE_STORE, NULL, event);
	effect->record.role = event->role;
	effect->record.id = event->id;
	effect->device = event->device;
}

/* The subject is judged without this device: no store may count it. */
static void store_without(struct presence *core, const struct subject *subject,
	const struct presence_event *event, struct presence_effects *effects)
{
	effect_add_store(core, effects, subject, NULL, 0, event);
	effects->item[effects->count - 1].device = event->device;
}

int restore_device(
	struct presence *core, const struct presence_event *event, struct presence_effects *effects)
{
	struct subject *subject = subject_find(core, event->role, event->id);
	if (!subject) {
		/* Nothing was published of it: the store need only hear that it is down. */
		store_down(core, event, effects);
		return PRESENCE_OK;
	}
	if (device_find(core, subject, event->device))
		return PRESENCE_OK;
	bool in_time = grace_end_ms(core, event->now_ms) > event->now_ms;
	if (!subject->judge && !(subject->devices && in_time)) {
		store_without(core, subject, event, effects);
		return PRESENCE_OK;
	}
	if (device_count(core, subject) >= core->config.devices_max) {
		store_without(core, subject, event, effects);
		return PRESENCE_EDEVICES;
	}
	return linger(core, subject, event, effects);
}

void restore_judge(struct presence *core, struct subject *subject,
	const struct presence_event *event, struct presence_effects *effects)
{
	/* Its devices are judged one by one; invisible ones need not be. */
	if (subject->devices && subject->status != PRESENCE_OFFLINE) {
		deadline_clear(&core->waiting, &core->pool, DUE_NUMBER(subject, subject->self));
		return;
	}
	int64_t previous_rev = subject_settle(
		core, subject, event, PRESENCE_REASON_BROKER_RESTART, effects);
	effect_add_store(core, effects, subject, NULL, previous_rev, event);
}
