/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "core/state.h"

struct device *device_create(const char *name)
{
	size_t size = strlen(name) + 1;
	struct device *device = calloc(1, sizeof(*device) + size);
	if (device)
		memcpy(device->name, name, size);
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
