/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
#include "core/state.h"

/* How many subjects a step passes over before it gives up its turn. */
enum { PASSED_MAX = 64 };

static void skip_subject(struct presence *core, const struct subject *subject)
{
	if (core->refresh.next == subject->self)
		core->refresh.next = subject->next;
	if (core->say.next == subject->self) {
		core->say.next = subject->next;
		core->say_begun = false;
	}
}

void walk_skip_device(struct presence *core, const struct device *device)
{
	if (core->say_begun && core->say_device == device->self)
		core->say_device = device->next;
}

void walk_link_first(struct presence *core, struct subject *subject)
{
	subject->previous = 0;
	subject->next = core->first;
	if (core->first)
		subject_at(core, core->first)->previous = subject->self;
	else
		core->last = subject->self;
	core->first = subject->self;
}

void walk_unlink(struct presence *core, struct subject *subject)
{
	skip_subject(core, subject);
	if (subject->previous)
		subject_at(core, subject->previous)->next = subject->next;
	else
		core->first = subject->next;
	if (subject->next)
		subject_at(core, subject->next)->previous = subject->previous;
	else
		core->last = subject->previous;
}

static void move_last(struct presence *core, struct subject *subject)
{
	walk_unlink(core, subject);
	subject->next = 0;
	subject->previous = core->last;
	if (core->last)
		subject_at(core, core->last)->next = subject->self;
	else
		core->first = subject->self;
	core->last = subject->self;
}

/* The way of a walk leads to the last subject. To say one again, it is moved there. To whom it is
 * said may hold for those before it, too; but everybody sees what is published. */
void walk_say(struct presence *core, struct subject *subject, unsigned targets)
{
	if (targets & PRESENCE_TARGET_TOPIC)
		subject->say_topic = true;
	targets &= ~(unsigned)PRESENCE_TARGET_TOPIC;
	core->say_targets = targets | (core->say.next ? core->say_targets : 0);
	move_last(core, subject);
	if (!core->say.next) {
		core->say.next = subject->self;
		core->say_begun = false;
	}
}

void walk_say_everything(struct presence *core, unsigned targets)
{
	core->say_targets = targets | (core->say.next ? core->say_targets : 0);
	core->say.next = core->first;
	core->say_begun = false;
	/* Only who asked hears of the end, whatever else is said on the way or after it. */
	if (targets & PRESENCE_TARGET_STORE)
		core->say_resynced = true;
}

int64_t walk_deadline(const struct presence *core)
{
	if (core->say.next || core->say_resynced || core->refresh.next)
		return 0; /* now: no clock starts before that */
	return core->config.refresh_ms ? core->refresh_ms : INT64_MAX;
}

void walk_show(struct presence *core, struct device *device, const struct presence_event *event,
	struct presence_effects *effects)
{
	bool is_hidden = subject_is_hidden(core, subject_at(core, device->subject));
	enum presence_status shown = is_hidden ? PRESENCE_OFFLINE : device_shown(core, device);
	if (!core->config.device_topics || shown == device->shown)
		return;
	device->shown = (uint8_t)shown;
	effect_add_device(core, effects, device,
		is_hidden ? core->config.goodbye : PRESENCE_REASON_CONNECT, event);
}

static void say_device(struct presence *core, struct subject *subject, struct device *device,
	const struct presence_event *event, struct presence_effects *effects)
{
	if (core->say_targets & PRESENCE_TARGET_STORE && (device || subject->rev))
		effect_add_store(core, effects, subject, device, 0, event);
	if (device && core->say_targets & PRESENCE_TARGET_DEVICES)
		walk_show(core, device, event, effects);
}

static void say_step(
	struct presence *core, const struct presence_event *event, struct presence_effects *effects)
{
	struct subject *subject = subject_at(core, core->say.next);
	const struct override *override = subject_override(core, subject);
	if (!core->say_begun) {
		core->say_begun = true;
		core->say_device = subject->devices;
		bool is_topic = subject->say_topic || core->say_targets & PRESENCE_TARGET_TOPIC;
		subject->say_topic = false;
		if (is_topic && !subject->judge && subject->rev)
			subject_publish_again(core, subject, event, effects);
		/* Before its devices: without it, who is invisible would be online. */
		if (core->say_targets & PRESENCE_TARGET_STORE && override)
			effect_add_override(core, effects, subject, override->rev, 0, event);
	}
	struct device *device = device_at(core, core->say_device);
	say_device(core, subject, device, event, effects);
	if (device)
		core->say_device = device->next;
	if (!core->say_device) {
		core->say.next = subject->next;
		core->say_begun = false;
	}
}

static void refresh_step(
	struct presence *core, const struct presence_event *event, struct presence_effects *effects)
{
	for (int passed = 0; core->refresh.next && passed < PASSED_MAX; passed++) {
		struct subject *subject = subject_at(core, core->refresh.next);
		core->refresh.next = subject->next;
		if (subject->status == PRESENCE_OFFLINE)
			continue;
		effect_add(core, effects, PRESENCE_REFRESH, subject, event);
		return;
	}
}

void walk_step(
	struct presence *core, const struct presence_event *event, struct presence_effects *effects)
{
	if (core->say.next) {
		say_step(core, event, effects);
	} else if (core->say_resynced) {
		core->say_resynced = false;
		effect_add(core, effects, PRESENCE_RESYNCED, NULL, event);
	} else {
		if (!core->refresh.next) {
			core->refresh.next = core->first;
			core->refresh_ms = event->now_ms + core->config.refresh_ms;
		}
		refresh_step(core, event, effects);
	}
}
