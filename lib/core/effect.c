/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
#include <assert.h>

#include "core/state.h"

struct presence_effect *effect_add(struct presence *core, struct presence_effects *effects,
	enum presence_effect_type type, const struct subject *subject,
	const struct presence_event *event)
{
	assert(effects->count < PRESENCE_EFFECTS_MAX);
	struct presence_effect *effect = &effects->item[effects->count++];
	*effect = (struct presence_effect){ .type = type };
	if (!subject)
		return effect;
	subject_record(core, subject, &effect->record);
	if (subject->status == PRESENCE_OFFLINE) {
		int64_t left_ms = subject_offline_ms(subject, event) +
			subject_retain_ms(core, subject) - event->now_ms;
		effect->retain_ms = left_ms > 0 ? left_ms : 0;
	}
	return effect;
}

void effect_add_store(struct presence *core, struct presence_effects *effects,
	const struct subject *subject, const struct device *device, int64_t previous_rev,
	const struct presence_event *event)
{
	struct presence_effect *effect = effect_add(core, effects, PRESENCE_STORE, subject, event);
	effect->previous_rev = previous_rev;
	if (!device)
		return;
	effect->device = device->name;
	effect->rank = device_rank(core, device);
	effect->device_last_seen_ms = when_ms(device->last_seen);
	if (effect->rank != PRESENCE_OFFLINE)
		effect->device_note = text_at(core, device->note);
}

void effect_add_override(struct presence *core, struct presence_effects *effects,
	const struct subject *subject, int64_t rev, int64_t previous_rev,
	const struct presence_event *event)
{
	const struct override *override = subject_override(core, subject);
	struct presence_effect *effect = effect_add(
		core, effects, PRESENCE_STORE_OVERRIDE, subject, event);
	effect->previous_rev = previous_rev;
	effect->override_rev = rev;
	if (!override)
		return;
	effect->override = override->what;
	effect->override_note = override->note[0] ? override->note : NULL;
	effect->override_until_ms = override->until_ms;
}

void effect_add_device(struct presence *core, struct presence_effects *effects,
	const struct device *device, enum presence_reason reason,
	const struct presence_event *event)
{
	const struct subject *subject = subject_at(core, device->subject);
	struct presence_effect *effect = effect_add(core, effects, PRESENCE_DEVICE, subject, event);
	effect->device = device->name;
	effect->rank = subject_is_hidden(core, subject) ? PRESENCE_OFFLINE : device->shown;
	effect->device_reason = reason;
	effect->device_since_ms = event->wall_ms;
	effect->retain_ms = core->config.offline_retain_ms;
}
