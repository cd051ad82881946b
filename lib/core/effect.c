/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
#include <assert.h>

#include "core/state.h"

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
		int64_t retain_ms = subject->unmatched ? core->config.unmatched_retain_ms
						       : core->config.offline_retain_ms;
		int64_t left_ms = subject->offline_ms + retain_ms - now_ms;
		effect->retain_ms = left_ms > 0 ? left_ms : 0;
	}
	return effect;
}

void effect_add_store(struct presence *core, struct presence_effects *effects,
	const struct subject *subject, const struct device *device, int64_t previous_rev,
	int64_t now_ms)
{
	struct presence_effect *effect = effect_add(core, effects, PRESENCE_STORE, subject, now_ms);
	effect->previous_rev = previous_rev;
	if (!device)
		return;
	effect->device = device->name;
	effect->rank = device_rank(device);
	effect->device_last_seen_ms = device->last_seen_ms;
	if (effect->rank != PRESENCE_OFFLINE)
		effect->device_note = device->note;
}

void effect_add_override(struct presence *core, struct presence_effects *effects,
	const struct subject *subject, int64_t rev, int64_t previous_rev, int64_t now_ms)
{
	const struct override *override = subject->override;
	struct presence_effect *effect = effect_add(
		core, effects, PRESENCE_STORE_OVERRIDE, subject, now_ms);
	effect->previous_rev = previous_rev;
	effect->override_rev = rev;
	if (!override)
		return;
	effect->override = override->what;
	effect->override_note = override->note[0] ? override->note : NULL;
	effect->override_until_ms = override->until_ms;
}

void effect_add_device(struct presence *core, struct presence_effects *effects,
	const struct device *device, enum presence_reason reason, int64_t now_ms)
{
	struct presence_effect *effect = effect_add(
		core, effects, PRESENCE_DEVICE, device->subject, now_ms);
	effect->device = device->name;
	effect->rank = subject_is_hidden(device->subject) ? PRESENCE_OFFLINE : device->shown;
	effect->device_reason = reason;
	effect->device_since_ms = device->shown_since_ms;
	effect->retain_ms = core->config.offline_retain_ms;
}
