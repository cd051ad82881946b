/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
#include <stdlib.h>

#include "core/state.h"

/* After a stall the broker ends clients that it did not listen to; they get time to come back. */
enum { STALL_GRACE_MS = 3000, AT_ONCE = -1, NEXT_TICK = 0 };

static bool token_matches(const struct table_node *node, const void *key)
{
	(void)node;
	(void)key;
	return true; /* the hash is the token */
}

struct session *session_find(const struct presence *core, uint64_t token)
{
	struct table_node *node = table_find(&core->tokens, token, token_matches, NULL);
	return node ? TABLE_ENTRY(node, struct session, by_token) : NULL;
}

static void unlink_from_device(struct session *session)
{
	struct session **link = &session->device->sessions;
	while (*link != session)
		link = &(*link)->next;
	*link = session->next;
}

/* Sessions of whom nobody may see are not counted where everybody reads. */
static void count_session(struct presence *core, const struct session *session, int change)
{
	if (!subject_is_hidden(session->device->subject))
		core->counts.sessions += (uint64_t)change;
}

void session_remove(struct presence *core, struct session *session)
{
	deadline_clear(&core->waiting, &session->due);
	core->waiting_users--;
	unlink_from_device(session);
	if (!session->restored) {
		table_remove(&core->tokens, &session->by_token);
		table_remove(&core->clients, &session->by_client);
		activity_end(core, session->device->subject, session->by_token.hash, core->tick_ms);
	}
	if (session->live)
		count_session(core, session, -1);
	free(session);
}

void session_linger(struct presence *core, struct session *session, enum presence_reason reason,
	int64_t until_ms)
{
	if (session->live)
		count_session(core, session, -1);
	session->live = false;
	session->reason = (uint8_t)reason;
	deadline_set(&core->waiting, &session->due, until_ms);
}

static void drop_lingering(struct presence *core, struct device *device)
{
	struct session *session = device->sessions;
	while (session) {
		struct session *next = session->next;
		if (!session->live)
			session_remove(core, session);
		session = next;
	}
}

/* Ends the session, and its device with the last one. */
static void session_end(struct presence *core, struct session *session, enum presence_reason reason,
	const struct presence_event *event, struct presence_effects *effects)
{
	struct device *device = session->device;
	session_remove(core, session);
	device_settle(core, device, event, reason, effects);
}

struct same_client {
	const struct subject *other_than;
	int64_t now_ms;
};

static bool elsewhere_and_waiting(const struct table_node *node, const void *key)
{
	const struct session *session = TABLE_CONST_ENTRY(node, struct session, by_client);
	const struct same_client *same = key;
	bool waits = session->live || session->due.at_ms > same->now_ms;
	return waits && session->device->subject != same->other_than;
}

/* A client id has one connection: what it was under another subject has ended. It settles with the
 * next tick, for one event changes one subject. Only the keyed hash of the id is kept: two ids
 * that share it would cost a lingering session its grace, no more. */
static void end_elsewhere(
	struct presence *core, uint64_t client_hash, const struct subject *subject, int64_t now_ms)
{
	struct same_client same = { subject, now_ms };
	struct table_node *node;
	while ((node = table_find(&core->clients, client_hash, elsewhere_and_waiting, &same))) {
		struct session *session = TABLE_ENTRY(node, struct session, by_client);
		session_linger(core, session, PRESENCE_REASON_UNKNOWN, now_ms);
	}
}

/* What a connect needs; all of it is at hand before anything changes. */
struct arrival {
	struct subject *subject, *evicted;
	struct device *device, *new_device;
	struct session *session;
};

static int arrival_check(
	const struct presence *core, const struct presence_event *event, struct arrival *arrival)
{
	if (session_find(core, event->token))
		return PRESENCE_EEXIST;
	arrival->subject = subject_find(core, event->role, event->id);
	if (!arrival->subject) {
		if (core->subjects.count < core->config.subjects_max)
			return PRESENCE_OK;
		arrival->evicted = subject_offline_longest(core);
		return arrival->evicted ? PRESENCE_OK : PRESENCE_ESUBJECTS;
	}
	arrival->device = device_find(arrival->subject, event->device);
	if (!arrival->device && arrival->subject->device_count >= core->config.devices_max)
		return PRESENCE_EDEVICES;
	return PRESENCE_OK;
}

static int arrival_reserve(
	struct presence *core, const struct presence_event *event, struct arrival *arrival)
{
	arrival->session = calloc(1, sizeof(*arrival->session));
	if (!arrival->session || state_reserve(core))
		goto fail;
	if (!arrival->device && !(arrival->new_device = device_create(event->device)))
		goto fail;
	if (!arrival->subject &&
		!(arrival->subject = subject_add(core, event->role, event->id, event->unmatched)))
		goto fail;
	return PRESENCE_OK;
fail:
	free(arrival->session);
	free(arrival->new_device);
	return PRESENCE_ENOMEM;
}

static struct session *session_add(
	struct presence *core, const struct arrival *arrival, const struct presence_event *event)
{
	struct session *session = arrival->session;
	session->by_token.hash = event->token;
	session->by_client.hash = state_hash(core, event->client_id, "");
	session->due.kind = DUE_SESSION;
	session->live = true;
	session->device = arrival->device;
	session->next = arrival->device->sessions;
	arrival->device->sessions = session;
	table_insert(&core->tokens, &session->by_token);
	table_insert(&core->clients, &session->by_client);
	core->waiting_users++;
	count_session(core, session, 1);
	return session;
}

/* A device that comes back says what it said before, but no longer that it is offline. */
static void begin(struct device *device, const struct presence_event *event)
{
	device->last_seen_ms = event->wall_ms;
	device->active_ms = event->now_ms;
	device->idle = false;
	if (device->declared == PRESENCE_OFFLINE)
		device->declared = UNDECLARED;
	subject_evidence(device->subject, event->wall_ms);
}

int session_connect(
	struct presence *core, const struct presence_event *event, struct presence_effects *effects)
{
	struct arrival arrival = { 0 };
	int err = arrival_check(core, event, &arrival);
	if (!err)
		err = arrival_reserve(core, event, &arrival);
	if (err)
		return err;

	if (arrival.evicted)
		subject_forget(core, arrival.evicted, event->now_ms, effects);
	if (arrival.new_device) {
		arrival.device = arrival.new_device;
		device_add(core, arrival.subject, arrival.device);
	}
	struct session *session = session_add(core, &arrival, event);
	drop_lingering(core, arrival.device);
	end_elsewhere(core, session->by_client.hash, arrival.subject, event->now_ms);

	begin(arrival.device, event);
	session_rearm(core, session, event->now_ms);
	device_settle(core, arrival.device, event, PRESENCE_REASON_CONNECT, effects);
	return PRESENCE_OK;
}

static int64_t linger_ms(const struct presence *core, enum presence_end end, int64_t now_ms)
{
	bool stalled = now_ms < core->settle_ms;
	int64_t after_stall_ms = core->config.grace_ms > STALL_GRACE_MS ? core->config.grace_ms
									: STALL_GRACE_MS;
	int64_t no_grace = core->config.wills_follow ? NEXT_TICK : AT_ONCE;
	switch (end) {
	case PRESENCE_END_DISCONNECT:
	case PRESENCE_END_KICKED:
		return AT_ONCE;
	case PRESENCE_END_PROTOCOL:
		return no_grace;
	case PRESENCE_END_LOST:
		return core->config.grace_ms ? core->config.grace_ms : no_grace;
	case PRESENCE_END_KEEPALIVE:
		if (stalled)
			return after_stall_ms;
		return core->config.grace_keepalive_ms ? core->config.grace_keepalive_ms : no_grace;
	case PRESENCE_END_UNKNOWN:
		/* Even without grace not before the next tick: by then a connection that took this
		 * one over is known. */
		return stalled ? after_stall_ms : core->config.grace_ms;
	case PRESENCE_END_TAKEOVER:
		return core->config.grace_ms;
	}
	return AT_ONCE;
}

static enum presence_reason reason_of(enum presence_end end)
{
	switch (end) {
	case PRESENCE_END_DISCONNECT:
		return PRESENCE_REASON_DISCONNECT;
	case PRESENCE_END_LOST:
		return PRESENCE_REASON_LOST;
	case PRESENCE_END_KEEPALIVE:
		return PRESENCE_REASON_KEEPALIVE;
	case PRESENCE_END_KICKED:
		return PRESENCE_REASON_KICKED;
	case PRESENCE_END_PROTOCOL:
		return PRESENCE_REASON_PROTOCOL;
	case PRESENCE_END_TAKEOVER: /* and the one that took over did not stay */
	case PRESENCE_END_UNKNOWN:
		return PRESENCE_REASON_UNKNOWN;
	}
	return PRESENCE_REASON_UNKNOWN;
}

static bool has_other_live(const struct session *session)
{
	const struct session *other = session->device->sessions;
	while (other && (other == session || !other->live))
		other = other->next;
	return other != NULL;
}

static void note_end(const struct session *session, const struct presence_event *event)
{
	if (event->end != PRESENCE_END_DISCONNECT && event->end != PRESENCE_END_LOST)
		return;
	if (event->wall_ms > session->device->last_seen_ms)
		session->device->last_seen_ms = event->wall_ms;
	subject_evidence(session->device->subject, event->wall_ms);
}

int session_disconnect(
	struct presence *core, const struct presence_event *event, struct presence_effects *effects)
{
	struct session *session = session_find(core, event->token);
	if (!session || !session->live)
		return PRESENCE_ENOENT;
	/* A silent one is down already: it neither lingers nor was it seen. */
	if (!session->silent)
		note_end(session, event);
	int64_t for_ms = linger_ms(core, event->end, event->now_ms);
	enum presence_reason reason = session->reason == PRESENCE_REASON_WILL
		? PRESENCE_REASON_WILL
		: reason_of(event->end);
	if (for_ms == AT_ONCE || session->silent || has_other_live(session)) {
		session_end(core, session, reason, event, effects);
		return PRESENCE_OK;
	}
	session_linger(core, session, reason, event->now_ms + for_ms);
	activity_end(core, session->device->subject, event->token, event->now_ms);
	/* Its own topic knows no grace. */
	device_settle(core, session->device, event, reason, effects);
	return PRESENCE_OK;
}

static bool lingers(const struct table_node *node, const void *unused)
{
	(void)unused;
	return !TABLE_CONST_ENTRY(node, struct session, by_client)->live;
}

static struct session *find_lingering(const struct presence *core, const char *client_id)
{
	struct table_node *node = table_find(
		&core->clients, state_hash(core, client_id, ""), lingers, NULL);
	return node ? TABLE_ENTRY(node, struct session, by_client) : NULL;
}

int session_will(struct presence *core, const struct presence_event *event)
{
	struct session *session = event->token ? session_find(core, event->token)
					       : find_lingering(core, event->client_id);
	if (!session)
		return PRESENCE_ENOENT;
	session->reason = PRESENCE_REASON_WILL;
	return PRESENCE_OK;
}

void session_due(struct presence *core, struct session *session, const struct presence_event *event,
	struct presence_effects *effects)
{
	if (session->live)
		session_missed(core, session, event, effects);
	else
		session_end(core, session, session->reason, event, effects);
}
