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

static void say_step(
	struct presence *core, const struct presence_event *event, struct presence_effects *effects)
{
	struct subject *subject = core->say.next;
	if (!core->say_begun) {
		core->say_begun = true;
		core->say_device = subject->devices;
		if (core->say_targets & PRESENCE_TARGET_TOPIC && !subject->judge)
			subject_publish_again(core, subject, event, effects);
	}
	struct device *device = core->say_device;
	if (core->say_targets & PRESENCE_TARGET_STORE)
		effect_add_store(core, effects, subject, device,
			device ? PRESENCE_ONLINE : PRESENCE_OFFLINE, 0, event->now_ms);
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
