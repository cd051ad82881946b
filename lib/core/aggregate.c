/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
#include "core/merge.h"
#include "core/state.h"

static bool is_up(const struct presence *core, const struct device *device, bool lingering_counts)
{
	const struct session *session = session_at(core, device->sessions);
	while (session && (session->live ? session->silent : !lingering_counts))
		session = session_at(core, session->next);
	return session != NULL;
}

static enum presence_status contribution(
	const struct presence *core, const struct device *device, bool lingering_counts)
{
	if (!is_up(core, device, lingering_counts))
		return PRESENCE_OFFLINE;
	if (device->declared != UNDECLARED)
		return device->declared;
	return device->idle ? PRESENCE_AWAY : PRESENCE_ONLINE;
}

enum presence_status device_rank(const struct presence *core, const struct device *device)
{
	return contribution(core, device, true);
}

enum presence_status device_shown(const struct presence *core, const struct device *device)
{
	return contribution(core, device, false);
}

/* The latest declaration among the devices that decide the status; NULL: none of them declared. */
static const struct device *latest_declared(
	const struct presence *core, const struct subject *subject, enum presence_status status)
{
	const struct device *latest = NULL;
	for (const struct device *device = device_at(core, subject->devices); device;
		device = device_at(core, device->next)) {
		if (device->declared == UNDECLARED || device_rank(core, device) != status)
			continue;
		if (!latest || device->declaration > latest->declaration)
			latest = device;
	}
	return latest;
}

/* No device there: offline. An override: what it says. Otherwise dnd before online before away.
 * So manual > app > inferred; an offline record says nothing but that. */
void aggregate(const struct presence *core, const struct subject *subject, struct aggregate *result)
{
	const struct override *override = subject_override(core, subject);
	enum presence_status highest = PRESENCE_OFFLINE;

	*result = (struct aggregate){ .source = PRESENCE_INFERRED };
	for (const struct device *device = device_at(core, subject->devices); device;
		device = device_at(core, device->next)) {
		enum presence_status rank = device_rank(core, device);
		result->devices += rank != PRESENCE_OFFLINE;
		if (rank > highest)
			highest = rank;
	}
	result->status = presence_merge(highest,
		override ? (enum presence_override) override->what : PRESENCE_OVERRIDE_NONE);
	if (result->status == PRESENCE_OFFLINE) {
		result->devices = 0;
		return;
	}
	if (override) {
		result->source = PRESENCE_MANUAL;
		result->note = override->note[0] ? override->note : NULL;
		result->until_ms = override->until_ms;
		return;
	}
	const struct device *latest = latest_declared(core, subject, result->status);
	if (latest) {
		result->source = PRESENCE_APP;
		result->note = text_at(core, latest->note);
	}
}
