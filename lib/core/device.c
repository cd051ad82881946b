/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "core/state.h"

int note_copy(const char *note, char **copy)
{
	*copy = NULL;
	if (!note || !note[0])
		return PRESENCE_OK;
	size_t size = strlen(note) + 1;
	*copy = malloc(size);
	if (!*copy)
		return PRESENCE_ENOMEM;
	memcpy(*copy, note, size);
	return PRESENCE_OK;
}

struct device *device_create(const char *name)
{
	size_t size = strlen(name) + 1;
	struct device *device = calloc(1, sizeof(*device) + size);
	if (!device)
		return NULL;
	memcpy(device->name, name, size);
	device->declared = UNDECLARED;
	return device;
}

struct device *device_find(const struct subject *subject, const char *name)
{
	struct device *device = subject->devices;
	while (device && strcmp(device->name, name))
		device = device->next;
	return device;
}

void device_add(struct presence *core, struct subject *subject, struct device *device)
{
	device->subject = subject;
	device->next = subject->devices;
	subject->devices = device;
	subject->device_count++;
	core->counts.devices++;
}

void device_remove(struct presence *core, struct device *device)
{
	assert(!device->sessions && !core->gone_device);
	walk_skip_device(core, device);
	struct device **link = &device->subject->devices;
	while (*link != device)
		link = &(*link)->next;
	*link = device->next;
	device->subject->device_count--;
	core->counts.devices--;
	core->gone_device = device;
}

static bool is_live(const struct device *device)
{
	return device->sessions && device->sessions->live;
}

static void show(struct presence *core, struct device *device, const struct presence_event *event,
	enum presence_reason reason, struct presence_effects *effects)
{
	enum presence_status shown = device_shown(device);
	if (!core->config.device_topics || shown == device->shown ||
		subject_is_hidden(device->subject))
		return;
	device->shown = (uint8_t)shown;
	device->shown_since_ms = event->wall_ms;
	effect_add_device(core, effects, device, reason, event->now_ms);
}

void device_settle(struct presence *core, struct device *device, const struct presence_event *event,
	enum presence_reason reason, struct presence_effects *effects)
{
	struct subject *subject = device->subject;
	enum presence_status rank = device_rank(device);
	uint64_t note = rank == PRESENCE_OFFLINE ? 0 : note_hash(core, device->note);
	bool is_new = rank != device->stored || note != device->stored_note;
	bool is_back = device->restored && is_live(device);

	if (!device->sessions)
		device_remove(core, device);
	/* Restored and not judged: its other devices may still come back, and then it never left.
	 */
	bool undecided = subject->judge && subject->devices && rank == PRESENCE_OFFLINE;
	int64_t previous_rev = subject->rev;
	if (!undecided)
		(void)subject_settle(core, subject, event, reason, effects);
	/* Which of two notes is shown may change though neither device says anything new. */
	if (is_new || is_back || subject->rev != previous_rev)
		effect_add_store(core, effects, subject, device, previous_rev, event->now_ms);
	device->stored = (uint8_t)rank;
	device->stored_note = note;
	if (is_back)
		device->restored = false;
	show(core, device, event, reason, effects);
}
