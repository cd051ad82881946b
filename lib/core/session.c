/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
#include "core/state.h"

/* After a stall the broker ends clients that it did not listen to; they get time to come back. */
enum { STALL_GRACE_MS = 3000, AT_ONCE = -1, NEXT_TICK = 0 };

/* We mint tokens, one after the other: this spreads them evenly. */
static uint32_t token_hash(uint64_t token)
{
	return (uint32_t)(token * 0x9e3779b97f4a7c15 >> 32);
}

static struct session *find_hashed(const struct presence *core, uint32_t hash, uint64_t token)
{
	struct index_search search;
	uint32_t number = index_first(&core->tokens, hash, &search);
	while (number && session_at(core, number)->token != token)
		number = index_next(&search);
	return session_at(core, number);
}

struct session *session_find(const struct presence *core, uint64_t token)
{
	return find_hashed(core, token_hash(token), token);
}

static struct device *device_of(const struct presence *core, const struct session *session)
{
	return device_at(core, session->device);
}

uint32_t session_number(const struct presence *core, const struct session *session)
{
	uint32_t number = device_of(core, session)->sessions;
	while (session_at(core, number) != session)
		number = session_at(core, number)->next;
	return number;
}

static struct subject *subject_of(const struct presence *core, const struct session *session)
{
	return subject_at(core, device_of(core, session)->subject);
}

static void unlink_from_device(struct presence *core, struct session *session, uint32_t number)
{
	uint32_t *link = &device_of(core, session)->sessions;
	while (*link != number)
		link = &session_at(core, *link)->next;
	*link = session->next;
}

/* Sessions of whom nobody may see are not counted where everybody reads. */
static void count_session(struct presence *core, const struct session *session, int change)
{
	if (!subject_is_hidden(core, subject_of(core, session)))
		core->counts.sessions += (uint64_t)change;
}

void session_remove(struct presence *core, struct session *session)
{
	uint32_t number = session_number(core, session);
	deadline_clear(&core->waiting, &core->pool, DUE_NUMBER(session, number));
	unlink_from_device(core, session, number);
	if (!session->restored) {
		index_remove(&core->tokens, token_hash(session->token), number);
		index_remove(&core->clients, index_hash(session->client_hash), number);
		activity_end(core, subject_of(core, session), session->token, core->tick_ms);
	}
	if (session->live)
		count_session(core, session, -1);
	pool_give(&core->pool, number, sizeof(*session));
}

void session_linger(struct presence *core, struct session *session, enum presence_reason reason,
	int64_t until_ms)
{
	if (session->live)
		count_session(core, session, -1);
	session->live = false;
	session->reason = (uint8_t)reason;
	deadline_set(&core->waiting, &core->pool,
		DUE_NUMBER(session, session_number(core, session)), DUE_LINGER, until_ms);
}

static void drop_lingering(struct presence *core, struct device *device)
{
	struct session *session = session_at(core, device->sessions);
	while (session) {
		struct session *next = session_at(core, session->next);
		if (!session->live)
			session_remove(core, session);
		session = next;
	}
}

/* Ends the session, and its device with the last one. */
static void session_end(struct presence *core, struct session *session, enum presence_reason reason,
	const struct presence_event *event, struct presence_effects *effects)
{
	struct device *device = device_of(core, session);
	session_remove(core, session);
	device_settle(core, device, event, reason, effects);
}

/* A client id has one connection: what it was under another subject has ended. It settles with the
 * next tick, for one event changes one subject. Only the keyed hash of the id is kept: two ids
 * that share it would cost a lingering session its grace, no more. */
static void end_elsewhere(
	struct presence *core, uint64_t client_hash, const struct subject *subject, int64_t now_ms)
{
	struct index_search search;
	uint32_t number = index_first(&core->clients, index_hash(client_hash), &search);
	for (; number; number = index_next(&search)) {
		struct session *session = session_at(core, number);
		bool waits = session->live || when_ms(session->due.at) > now_ms;
		if (waits && session->client_hash == client_hash &&
			device_of(core, session)->subject != subject->self)
			session_linger(core, session, PRESENCE_REASON_UNKNOWN, now_ms);
	}
}

/* What a connect needs; all of it is at hand before anything changes. */
struct arrival {
	uint32_t token_hash, subject_hash;
	uint64_t client_hash;
	struct subject *subject, *evicted;
	struct device *device, *new_device;
	uint32_t session;
};

/* Three look-ups in memory that is far away: the first must not keep the others waiting. */
static void arrival_begin(
	const struct presence *core, const struct presence_event *event, struct arrival *arrival)
{
	arrival->token_hash = token_hash(event->token);
	arrival->subject_hash = subject_hash(core, event->role, event->id);
	index_prefetch(&core->subjects, arrival->subject_hash);
	index_prefetch(&core->tokens, arrival->token_hash);
	arrival->client_hash = state_hash(core, event->client_id, "");
	index_prefetch(&core->clients, index_hash(arrival->client_hash));
}

static int arrival_check(
	const struct presence *core, const struct presence_event *event, struct arrival *arrival)
{
	if (find_hashed(core, arrival->token_hash, event->token))
		return PRESENCE_EEXIST;
	arrival->subject = subject_find_hashed(core, arrival->subject_hash, event->role, event->id);
	if (!arrival->subject) {
		return subject_has_room(core, &arrival->evicted) ? PRESENCE_OK : PRESENCE_ESUBJECTS;
	}
	deadline_prefetch(&core->pool, DUE_NUMBER(subject, arrival->subject->self));
	arrival->device = device_find(core, arrival->subject, event->device);
	if (!arrival->device && device_count(core, arrival->subject) >= core->config.devices_max)
		return PRESENCE_EDEVICES;
	return PRESENCE_OK;
}

static int arrival_reserve(
	struct presence *core, const struct presence_event *event, struct arrival *arrival)
{
	arrival->session = pool_take(&core->pool, sizeof(struct session));
	if (!arrival->session || index_reserve(&core->tokens, arrival->token_hash) ||
		index_reserve(&core->clients, index_hash(arrival->client_hash)))
		goto fail;
	if (!arrival->device && !(arrival->new_device = device_create(core, event->device)))
		goto fail;
	if (!arrival->subject &&
		!(arrival->subject = subject_add(core, event->role, event->id, event->unmatched)))
		goto fail;
	return PRESENCE_OK;
fail:
	pool_give(&core->pool, arrival->session, sizeof(struct session));
	device_destroy(core, arrival->new_device);
	return PRESENCE_ENOMEM;
}

static struct session *session_add(
	struct presence *core, const struct arrival *arrival, const struct presence_event *event)
{
	struct session *session = session_at(core, arrival->session);
	session->token = event->token;
	session->client_hash = arrival->client_hash;
	session->live = true;
	session->device = arrival->device->self;
	session->next = arrival->device->sessions;
	arrival->device->sessions = arrival->session;
	index_insert(&core->tokens, arrival->token_hash, arrival->session);
	index_insert(&core->clients, index_hash(arrival->client_hash), arrival->session);
	count_session(core, session, 1);
	return session;
}

/* A device that comes back says what it said before, but no longer that it is offline. */
static void begin(struct presence *core, struct device *device, const struct presence_event *event)
{
	device->last_seen = when_of(event->wall_ms);
	device->active = when_of(event->now_ms);
	device->idle = false;
	device_is_back(core, device);
	subject_evidence(core, subject_at(core, device->subject), event->wall_ms);
}

int session_connect(
	struct presence *core, const struct presence_event *event, struct presence_effects *effects)
{
	struct arrival arrival = { 0 };
	arrival_begin(core, event, &arrival);
	int err = arrival_check(core, event, &arrival);
	if (!err)
		err = arrival_reserve(core, event, &arrival);
	if (err)
		return err;

	if (arrival.evicted)
		subject_forget(core, arrival.evicted, event, effects);
	if (arrival.new_device) {
		arrival.device = arrival.new_device;
		device_add(core, arrival.subject, arrival.device);
	}
	struct session *session = session_add(core, &arrival, event);
	drop_lingering(core, arrival.device);
	end_elsewhere(core, session->client_hash, arrival.subject, event->now_ms);

	begin(core, arrival.device, event);
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

static bool has_other_live(const struct presence *core, const struct session *session)
{
	const struct session *other = session_at(core, device_of(core, session)->sessions);
	while (other && (other == session || !other->live || other->silent))
		other = session_at(core, other->next);
	return other != NULL;
}

static void note_end(
	struct presence *core, const struct session *session, const struct presence_event *event)
{
	struct device *device = device_of(core, session);
	if (event->end != PRESENCE_END_DISCONNECT && event->end != PRESENCE_END_LOST)
		return;
	if (event->wall_ms > when_ms(device->last_seen))
		device->last_seen = when_of(event->wall_ms);
	subject_evidence(core, subject_of(core, session), event->wall_ms);
}

int session_disconnect(
	struct presence *core, const struct presence_event *event, struct presence_effects *effects)
{
	struct session *session = session_find(core, event->token);
	if (!session || !session->live)
		return PRESENCE_ENOENT;
	index_prefetch(&core->clients, index_hash(session->client_hash));
	/* A silent one is down already: it neither lingers nor was it seen. */
	if (!session->silent)
		note_end(core, session, event);
	int64_t for_ms = linger_ms(core, event->end, event->now_ms);
	enum presence_reason reason = session->reason == PRESENCE_REASON_WILL
		? PRESENCE_REASON_WILL
		: reason_of(event->end);
	if (for_ms == AT_ONCE || session->silent || has_other_live(core, session)) {
		session_end(core, session, reason, event, effects);
		return PRESENCE_OK;
	}
	session_linger(core, session, reason, event->now_ms + for_ms);
	activity_end(core, subject_of(core, session), event->token, event->now_ms);
	/* Its own topic knows no grace. */
	device_settle(core, device_of(core, session), event, reason, effects);
	return PRESENCE_OK;
}

static struct session *find_lingering(const struct presence *core, const char *client_id)
{
	struct index_search search;
	uint64_t hash = state_hash(core, client_id, "");
	uint32_t number = index_first(&core->clients, index_hash(hash), &search);
	while (number &&
		(session_at(core, number)->live || session_at(core, number)->client_hash != hash))
		number = index_next(&search);
	return session_at(core, number);
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
