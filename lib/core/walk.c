/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
#include "core/state.h"

/* How many subjects a step passes over before it gives up its turn. */
enum { PASSED_MAX = 64 };

void walk_skip_subject(struct presence *core, const struct subject *subject)
{
	if (core->refresh.next == subject)
		core->refresh.next = subject->next;
	if (core->say.next == subject) {
		core->say.next = subject->next;
		core->say_begun = false;
	}
}

void walk_skip_device(struct presence *core, const struct device *device)
{
	if (core->say_begun && core->say_device == device)
		core->say_device = device->next;
}

/* The way of a walk leads to the last subject. To say one again, it is moved there. */
void walk_say(struct presence *core, struct subject *subject, unsigned targets)
{
	core->say_targets = targets | (core->say.next ? core->say_targets : 0);
	subject_move_last(core, subject);
	if (!core->say.next) {
		core->say.next = subject;
		core->say_begun = false;
	}
}

void walk_say_everything(struct presence *core, unsigned targets)
{
	core->say_targets = targets | (core->say.next ? core->say_targets : 0);
	core->say.next = core->first;
	core->say_begun = false;
	core->say_everything = true;
}

int64_t walk_deadline(const struct presence *core)
{
	if (core->say.next || core->say_everything || core->refresh.next)
		return 0; /* now: no clock starts before that */
	return core->config.refresh_ms ? core->refresh_ms : INT64_MAX;
}

void walk_show(struct presence *core, struct device *device, const struct presence_event *event,
	struct presence_effects *effects)
{
	bool is_hidden = subject_is_hidden(device->subject);
	enum presence_status shown = is_hidden ? PRESENCE_OFFLINE : device_shown(device);
	if (!core->config.device_topics || shown == device->shown)
		return;
	device->shown = (uint8_t)shown;
	device->shown_since_ms = event->wall_ms;
	effect_add_device(core, effects, device,
		is_hidden ? core->config.goodbye : PRESENCE_REASON_CONNECT, event->now_ms);
}

static void say_device(struct presence *core, struct subject *subject, struct device *device,
	const struct presence_event *event, struct presence_effects *effects)
{
	if (core->say_targets & PRESENCE_TARGET_STORE && (device || subject->rev))
		effect_add_store(core, effects, subject, device, 0, event->now_ms);
	if (device && core->say_targets & PRESENCE_TARGET_DEVICES)
		walk_show(core, device, event, effects);
}

static void say_step(
	struct presence *core, const struct presence_event *event, struct presence_effects *effects)
{
	struct subject *subject = core->say.next;
	if (!core->say_begun) {
		core->say_begun = true;
		core->say_device = subject->devices;
		if (core->say_targets & PRESENCE_TARGET_TOPIC && !subject->judge && subject->rev)
			subject_publish_again(core, subject, event, effects);
		/* Before its devices: without it, who is invisible would be online. */
		if (core->say_targets & PRESENCE_TARGET_STORE && subject->override)
			effect_add_override(
				core, effects, subject, subject->override->rev, 0, event->now_ms);
	}
	struct device *device = core->say_device;
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
		struct subject *subject = core->refresh.next;
		core->refresh.next = subject->next;
		if (subject->status == PRESENCE_OFFLINE)
			continue;
		effect_add(core, effects, PRESENCE_REFRESH, subject, event->now_ms);
		return;
	}
}

void walk_step(
	struct presence *core, const struct presence_event *event, struct presence_effects *effects)
{
	if (core->say.next) {
		say_step(core, event, effects);
	} else if (core->say_everything) {
		core->say_everything = false;
		if (core->say_targets & PRESENCE_TARGET_STORE)
			effect_add(core, effects, PRESENCE_RESYNCED, NULL, event->now_ms);
	} else {
		if (!core->refresh.next) {
			core->refresh.next = core->first;
			core->refresh_ms = event->now_ms + core->config.refresh_ms;
		}
		refresh_step(core, event, effects);
	}
}
