/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
#include <stdlib.h>

#include "core/state.h"

/* What a device says of itself: that it is alive, how it is, that it goes. */

static void see(struct device *device, const struct presence_event *event)
{
	if (event->wall_ms > device->last_seen_ms)
		device->last_seen_ms = event->wall_ms;
	subject_evidence(device->subject, event->wall_ms);
}

static struct session *find_live(const struct presence *core, uint64_t token)
{
	struct session *session = session_find(core, token);
	return session && session->live ? session : NULL;
}

static int64_t idle_at_ms(const struct presence *core, const struct device *device)
{
	if (!core->config.away_after_ms || device->idle || device->declared != UNDECLARED)
		return INT64_MAX;
	return device->active_ms + core->config.away_after_ms;
}

static int64_t silent_at_ms(const struct session *session)
{
	return session->beat_ms && !session->silent ? session->beat_by_ms : INT64_MAX;
}

void session_rearm(struct presence *core, struct session *session, int64_t now_ms)
{
	int64_t idle_ms = idle_at_ms(core, session->device), silent_ms = silent_at_ms(session);
	int64_t next_ms = idle_ms < silent_ms ? idle_ms : silent_ms;
	if (next_ms == INT64_MAX)
		deadline_clear(&core->waiting, &session->due);
	else
		deadline_set(&core->waiting, &session->due, next_ms > now_ms ? next_ms : now_ms);
}

/* Beats and activity only write down their time; the deadline that was set before them looks at
 * it when it comes, and moves on. So they cost nothing but a look-up. */
static void rearm_if_unarmed(struct presence *core, struct session *session, int64_t now_ms)
{
	if (!session->due.place)
		session_rearm(core, session, now_ms);
}

void session_missed(struct presence *core, struct session *session,
	const struct presence_event *event, struct presence_effects *effects)
{
	struct device *device = session->device;
	if (silent_at_ms(session) <= event->now_ms) {
		session->silent = true;
		activity_end(core, device->subject, session->by_token.hash, event->now_ms);
		session_rearm(core, session, event->now_ms);
		device_settle(core, device, event, PRESENCE_REASON_HEARTBEAT, effects);
		return;
	}
	bool is_idle = idle_at_ms(core, device) <= event->now_ms;
	if (is_idle)
		device->idle = true;
	session_rearm(core, session, event->now_ms);
	if (is_idle)
		device_settle(core, device, event, PRESENCE_REASON_IDLE, effects);
}

int session_seen(
	struct presence *core, const struct presence_event *event, struct presence_effects *effects)
{
	struct session *session = find_live(core, event->token);
	if (!session)
		return PRESENCE_ENOENT;
	struct device *device = session->device;
	see(device, event);
	device->active_ms = event->now_ms;
	rearm_if_unarmed(core, session, event->now_ms);
	if (!device->idle)
		return PRESENCE_OK;
	device->idle = false;
	session_rearm(core, session, event->now_ms);
	device_settle(core, device, event, PRESENCE_REASON_APP, effects);
	return PRESENCE_OK;
}

static void hear_again(struct session *session)
{
	session->silent = false;
	if (session->device->declared == PRESENCE_OFFLINE)
		session->device->declared = UNDECLARED;
}

int session_heartbeat(
	struct presence *core, const struct presence_event *event, struct presence_effects *effects)
{
	struct session *session = find_live(core, event->token);
	if (!session)
		return PRESENCE_ENOENT;
	int64_t interval_ms = event->interval_ms ? event->interval_ms
						 : core->config.heartbeat_interval_ms;
	int64_t by_ms = event->now_ms + interval_ms * core->config.heartbeat_misses;
	bool is_sooner = !session->beat_ms || by_ms < session->beat_by_ms;
	bool was_down = session->silent || session->device->declared == PRESENCE_OFFLINE;

	see(session->device, event);
	session->beat_ms = (uint32_t)interval_ms;
	session->beat_by_ms = by_ms;
	hear_again(session);
	if (is_sooner || was_down || !session->due.place)
		session_rearm(core, session, event->now_ms);
	if (was_down)
		device_settle(core, session->device, event, PRESENCE_REASON_HEARTBEAT, effects);
	return PRESENCE_OK;
}

/* Takes note. The old one may be what effects borrow. */
static void set_declared(struct presence *core, struct session *session, uint8_t declared,
	char *note, int64_t now_ms)
{
	struct device *device = session->device;
	core->gone_note = device->note;
	device->note = note;
	device->declared = declared;
	device->declaration = ++device->subject->declarations;
	device->active_ms = now_ms;
	device->idle = false;
	session->silent = false;
	session_rearm(core, session, now_ms);
}

int session_declare(
	struct presence *core, const struct presence_event *event, struct presence_effects *effects)
{
	struct session *session = find_live(core, event->token);
	if (!session)
		return PRESENCE_ENOENT;
	char *note;
	if (note_copy(event->note, &note))
		return PRESENCE_ENOMEM;
	see(session->device, event);
	set_declared(core, session, (uint8_t)event->status, note, event->now_ms);
	device_settle(core, session->device, event, PRESENCE_REASON_APP, effects);
	return PRESENCE_OK;
}

int session_undeclare(
	struct presence *core, const struct presence_event *event, struct presence_effects *effects)
{
	struct session *session = find_live(core, event->token);
	if (!session)
		return PRESENCE_ENOENT;
	see(session->device, event);
	set_declared(core, session, UNDECLARED, NULL, event->now_ms);
	device_settle(core, session->device, event, PRESENCE_REASON_APP, effects);
	return PRESENCE_OK;
}

int session_leave(
	struct presence *core, const struct presence_event *event, struct presence_effects *effects)
{
	struct session *session = find_live(core, event->token);
	if (!session)
		return PRESENCE_ENOENT;
	see(session->device, event);
	session->silent = true;
	session_rearm(core, session, event->now_ms);
	activity_end(core, session->device->subject, event->token, event->now_ms);
	device_settle(core, session->device, event, PRESENCE_REASON_LEAVE, effects);
	return PRESENCE_OK;
}
