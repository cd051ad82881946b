/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
#include <assert.h>
#include <string.h>

#include "core/state.h"

int note_copy(struct presence *core, const char *note, uint32_t *copy)
{
	*copy = 0;
	if (!note || !note[0])
		return PRESENCE_OK;
	size_t size = strlen(note) + 1;
	*copy = pool_take(&core->pool, size);
	if (!*copy)
		return PRESENCE_ENOMEM;
	memcpy(pool_at(&core->pool, *copy), note, size);
	return PRESENCE_OK;
}

void note_free(struct presence *core, uint32_t note)
{
	if (note)
		pool_give(&core->pool, note, strlen(text_at(core, note)) + 1);
}

struct device *device_create(struct presence *core, const char *name)
{
	uint32_t number = pool_take(&core->pool, SIZE_WITH(device, name, name));
	struct device *device = device_at(core, number);
	if (!device)
		return NULL;
	memcpy(device->name, name, strlen(name) + 1);
	device->self = number;
	device->declared = UNDECLARED;
	return device;
}

void device_destroy(struct presence *core, struct device *device)
{
	if (!device)
		return;
	note_free(core, device->note);
	pool_give(&core->pool, device->self, SIZE_WITH(device, name, device->name));
}

struct device *device_find(
	const struct presence *core, const struct subject *subject, const char *name)
{
	struct device *device = device_at(core, subject->devices);
	while (device && strcmp(device->name, name))
		device = device_at(core, device->next);
	return device;
}

uint32_t device_count(const struct presence *core, const struct subject *subject)
{
	uint32_t count = 0;
	for (uint32_t number = subject->devices; number; number = device_at(core, number)->next)
		count++;
	return count;
}

void device_add(struct presence *core, struct subject *subject, struct device *device)
{
	device->subject = subject->self;
	device->next = subject->devices;
	subject->devices = device->self;
	core->counts.devices++;
}

void device_remove(struct presence *core, struct device *device)
{
	assert(!device->sessions && !core->gone_device);
	walk_skip_device(core, device);
	uint32_t *link = &subject_at(core, device->subject)->devices;
	while (*link != device->self)
		link = &device_at(core, *link)->next;
	*link = device->next;
	core->counts.devices--;
	core->gone_device = device->self;
}

/* It no longer says that it is offline, nor what it said then. */
void device_is_back(struct presence *core, struct device *device)
{
	if (device->declared != PRESENCE_OFFLINE)
		return;
	device->declared = UNDECLARED;
	core->gone_note = device->note; /* it may be what effects borrow */
	device->note = 0;
	device->note_is_new = false;
}

static bool is_live(const struct presence *core, const struct device *device)
{
	const struct session *first = session_at(core, device->sessions);
	return first && first->live;
}

static void show(struct presence *core, struct device *device, const struct presence_event *event,
	enum presence_reason reason, struct presence_effects *effects)
{
	if (!core->config.device_topics)
		return;
	enum presence_status shown = device_shown(core, device);
	if (shown == device->shown || subject_is_hidden(core, subject_at(core, device->subject)))
		return;
	device->shown = (uint8_t)shown;
	effect_add_device(core, effects, device, reason, event);
}

void device_settle(struct presence *core, struct device *device, const struct presence_event *event,
	enum presence_reason reason, struct presence_effects *effects)
{
	struct subject *subject = subject_at(core, device->subject);
	enum presence_status rank = device_rank(core, device);
	bool note_is_new = rank != PRESENCE_OFFLINE && device->note_is_new;
	bool is_new = rank != device->stored || note_is_new;
	bool is_back = device->restored && is_live(core, device);

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
		effect_add_store(core, effects, subject, device, previous_rev, event);
	device->stored = (uint8_t)rank;
	device->note_is_new = false;
	if (is_back) {
		device->restored = false;
		/* What is retained of it may have gone with the broker. */
		device->shown = PRESENCE_OFFLINE;
	}
	show(core, device, event, reason, effects);
}
