/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
#include <string.h>

#include "core/state.h"

/* What a device says of itself: that it is alive, how it is, that it goes. */

static struct device *device_of(const struct presence *core, const struct session *session)
{
	return device_at(core, session->device);
}

static void see(struct presence *core, struct device *device, const struct presence_event *event)
{
	if (event->wall_ms > when_ms(device->last_seen))
		device->last_seen = when_of(event->wall_ms);
	subject_evidence(core, subject_at(core, device->subject), event->wall_ms);
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
	return when_ms(device->active) + core->config.away_after_ms;
}

static int64_t silent_at_ms(const struct session *session)
{
	return session->beats && !session->silent ? when_ms(session->beat_by) : INT64_MAX;
}

void session_rearm(struct presence *core, struct session *session, int64_t now_ms)
{
	int64_t idle_ms = idle_at_ms(core, device_of(core, session));
	int64_t silent_ms = silent_at_ms(session);
	int64_t next_ms = idle_ms < silent_ms ? idle_ms : silent_ms;
	uint32_t due = DUE_NUMBER(session, session_number(core, session));
	if (next_ms == INT64_MAX)
		deadline_clear(&core->waiting, &core->pool, due);
	else
		deadline_set(&core->waiting, &core->pool, due, DUE_LIVE,
			next_ms > now_ms ? next_ms : now_ms);
}

/* Beats and activity only write down their time; the deadline that was set before them looks at
 * it when it comes, and moves on. So they cost nothing but a look-up. */
static void rearm_if_unarmed(struct presence *core, struct session *session, int64_t now_ms)
{
	if (!session->due.in)
		session_rearm(core, session, now_ms);
}

void session_missed(struct presence *core, struct session *session,
	const struct presence_event *event, struct presence_effects *effects)
{
	struct device *device = device_of(core, session);
	if (silent_at_ms(session) <= event->now_ms) {
		session->silent = true;
		activity_end(
			core, subject_at(core, device->subject), session->token, event->now_ms);
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
	struct device *device = device_of(core, session);
	see(core, device, event);
	device->active = when_of(event->now_ms);
	rearm_if_unarmed(core, session, event->now_ms);
	if (!device->idle)
		return PRESENCE_OK;
	device->idle = false;
	session_rearm(core, session, event->now_ms);
	device_settle(core, device, event, PRESENCE_REASON_APP, effects);
	return PRESENCE_OK;
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
	struct device *device = device_of(core, session);
	bool is_sooner = !session->beats || by_ms < when_ms(session->beat_by);
	bool was_down = session->silent || device->declared == PRESENCE_OFFLINE;

	see(core, device, event);
	session->beats = true;
	session->beat_by = when_of(by_ms);
	session->silent = false;
	device_is_back(core, device);
	if (is_sooner || was_down || !session->due.in)
		session_rearm(core, session, event->now_ms);
	if (was_down)
		device_settle(core, device, event, PRESENCE_REASON_HEARTBEAT, effects);
	return PRESENCE_OK;
}

/* It is heard again, though not by a beat: the next one may take as long as the first. */
static void beat_later(const struct presence *core, struct session *session, int64_t now_ms)
{
	int64_t by_ms = now_ms + core->config.heartbeat_interval_ms * core->config.heartbeat_misses;
	if (session->beats && when_ms(session->beat_by) < by_ms)
		session->beat_by = when_of(by_ms);
}

/* Takes note. The old one may be what effects borrow. */
static void set_declared(struct presence *core, struct session *session, uint8_t declared,
	uint32_t note, int64_t now_ms)
{
	struct device *device = device_of(core, session);
	const char *old_text = text_at(core, device->note), *text = text_at(core, note);
	if (old_text && text ? strcmp(old_text, text) != 0 : old_text != text)
		device->note_is_new = true;
	core->gone_note = device->note;
	device->note = note;
	device->declared = declared;
	struct extras *extras = extras_of(core, subject_at(core, device->subject));
	if (extras)
		device->declaration = ++extras->declarations;
	device->active = when_of(now_ms);
	device->idle = false;
	if (session->silent)
		beat_later(core, session, now_ms);
	session->silent = false;
	session_rearm(core, session, now_ms);
}

int session_declare(
	struct presence *core, const struct presence_event *event, struct presence_effects *effects)
{
	struct session *session = find_live(core, event->token);
	if (!session)
		return PRESENCE_ENOENT;
	struct device *device = device_of(core, session);
	uint32_t note;
	if (!subject_extras(core, subject_at(core, device->subject)) ||
		note_copy(core, event->note, &note))
		return PRESENCE_ENOMEM;
	see(core, device, event);
	set_declared(core, session, (uint8_t)event->status, note, event->now_ms);
	if (event->status == PRESENCE_OFFLINE)
		activity_end(core, subject_at(core, device->subject), event->token, event->now_ms);
	device_settle(core, device_of(core, session), event, PRESENCE_REASON_APP, effects);
	return PRESENCE_OK;
}

int session_undeclare(
	struct presence *core, const struct presence_event *event, struct presence_effects *effects)
{
	struct session *session = find_live(core, event->token);
	if (!session)
		return PRESENCE_ENOENT;
	see(core, device_of(core, session), event);
	set_declared(core, session, UNDECLARED, 0, event->now_ms);
	device_settle(core, device_of(core, session), event, PRESENCE_REASON_APP, effects);
	return PRESENCE_OK;
}

int session_leave(
	struct presence *core, const struct presence_event *event, struct presence_effects *effects)
{
	struct session *session = find_live(core, event->token);
	if (!session)
		return PRESENCE_ENOENT;
	struct device *device = device_of(core, session);
	see(core, device, event);
	session->silent = true;
	session_rearm(core, session, event->now_ms);
	activity_end(core, subject_at(core, device->subject), event->token, event->now_ms);
	device_settle(core, device, event, PRESENCE_REASON_LEAVE, effects);
	return PRESENCE_OK;
}
