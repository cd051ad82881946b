/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
#include <stdlib.h>

#include "core/state.h"

/* A loop that did not turn for this long did not listen to its clients either; for as long after
 * that, silence proves nothing. */
enum { STALL_MS = 2000 };

struct presence *presence_create(const struct presence_config *config, int64_t now_ms)
{
	struct presence *core = calloc(1, sizeof(*core));
	if (!core)
		return NULL;
	core->config = *config;
	core->boot_ms = now_ms;
	core->tick_ms = now_ms;
	core->refresh_ms = now_ms + config->refresh_ms;
	if (pool_init(&core->pool) || index_init(&core->roles) || index_init(&core->subjects) ||
		index_init(&core->tokens) || index_init(&core->clients)) {
		presence_destroy(core);
		return NULL;
	}
	return core;
}

/* Frees what the effects of the step before have borrowed. */
static void bury(struct presence *core)
{
	device_destroy(core, device_at(core, core->gone_device));
	override_free(core, override_at(core, core->gone_override));
	activity_free(core, activity_at(core, core->gone_activity));
	note_free(core, core->gone_note);
	subject_destroy(core, subject_at(core, core->gone_subject));
	core->gone_device = 0;
	core->gone_override = 0;
	core->gone_activity = 0;
	core->gone_note = 0;
	core->gone_subject = 0;
}

void presence_destroy(struct presence *core)
{
	if (!core)
		return;
	index_finish(&core->roles);
	index_finish(&core->subjects);
	index_finish(&core->tokens);
	index_finish(&core->clients);
	pool_finish(&core->pool);
	free(core);
}

void presence_configure(struct presence *core, const struct presence_config *config)
{
	uint8_t key[sizeof(config->hash_key)];
	for (size_t i = 0; i < sizeof(key); i++)
		key[i] = core->config.hash_key[i];
	core->config = *config;
	for (size_t i = 0; i < sizeof(key); i++)
		core->config.hash_key[i] = key[i];
}

static int64_t waiting_deadline(const struct presence *core)
{
	uint32_t first = deadlines_first(&core->waiting, &core->pool);
	if (!first)
		return INT64_MAX;
	const struct deadline *deadline = pool_at(&core->pool, first);
	int64_t at_ms = when_ms(deadline->at);
	return at_ms > core->settle_ms ? at_ms : core->settle_ms;
}

int64_t presence_deadline(const struct presence *core)
{
	struct subject *unused;
	int64_t deadlines[] = {
		waiting_deadline(core),
		subject_forget_deadline(core, &unused),
		walk_deadline(core),
	};
	int64_t earliest = INT64_MAX;
	for (size_t i = 0; i < sizeof(deadlines) / sizeof(*deadlines); i++)
		if (deadlines[i] < earliest)
			earliest = deadlines[i];
	return earliest;
}

static void settle_waiting(
	struct presence *core, const struct presence_event *event, struct presence_effects *effects)
{
	uint32_t first = deadlines_first(&core->waiting, &core->pool);
	const struct deadline *deadline = pool_at(&core->pool, first);
	switch ((enum deadline_kind)deadline->kind) {
	case DUE_LINGER:
	case DUE_LIVE:
		session_due(core, session_at(core, DUE_OWNER(session, first)), event, effects);
		return;
	case DUE_OVERRIDE:
		override_expire(
			core, override_at(core, DUE_OWNER(override, first)), event, effects);
		return;
	case DUE_ACTIVITY:
		activity_settle(
			core, activity_at(core, DUE_OWNER(activity, first)), event, effects);
		return;
	case DUE_JUDGE:
	case DUE_JUDGE_OFFLINE:
		restore_judge(core, subject_at(core, DUE_OWNER(subject, first)), event, effects);
		return;
	case DUE_CLEAR: /* in lists of their own */
	case DUE_FORGET:
		return;
	}
}

static void tick(
	struct presence *core, const struct presence_event *event, struct presence_effects *effects)
{
	struct subject *forgettable = NULL;
	core->tick_ms = event->now_ms;
	if (waiting_deadline(core) <= event->now_ms)
		settle_waiting(core, event, effects);
	else if (subject_forget_deadline(core, &forgettable) <= event->now_ms)
		subject_forget(core, forgettable, event, effects);
	else if (walk_deadline(core) <= event->now_ms)
		walk_step(core, event, effects);
}

static void notice_stall(struct presence *core, int64_t now_ms)
{
	int64_t gap_ms = now_ms - core->tick_ms;
	if (gap_ms > core->counts.tick_gap_max_ms)
		core->counts.tick_gap_max_ms = gap_ms;
	if (gap_ms <= STALL_MS)
		return;
	core->counts.stalls++;
	core->settle_ms = now_ms + STALL_MS;
	core->tick_ms = now_ms;
}

static int forget(
	struct presence *core, const struct presence_event *event, struct presence_effects *effects)
{
	struct subject *subject = subject_find(core, event->role, event->id);
	if (!subject || !subject->rev)
		return PRESENCE_ENOENT;
	if (subject->status != PRESENCE_OFFLINE || subject->judge)
		return PRESENCE_EEXIST;
	subject_forget(core, subject, event, effects);
	return PRESENCE_OK;
}

static int say_again(struct presence *core, const struct presence_event *event)
{
	struct subject *subject = subject_find(core, event->role, event->id);
	if (!subject)
		return PRESENCE_ENOENT;
	bool is_hidden = subject_is_hidden(core, subject);
	walk_say(core, subject, event->targets & ~(is_hidden ? PRESENCE_TARGET_TOPIC : 0U));
	return PRESENCE_OK;
}

int presence_step(
	struct presence *core, const struct presence_event *event, struct presence_effects *effects)
{
	bury(core);
	effects->count = 0;
	notice_stall(core, event->now_ms);
	switch (event->type) {
	case PRESENCE_CONNECTED:
		return session_connect(core, event, effects);
	case PRESENCE_DISCONNECTED:
		return session_disconnect(core, event, effects);
	case PRESENCE_SEEN:
		return session_seen(core, event, effects);
	case PRESENCE_HEARTBEAT:
		return session_heartbeat(core, event, effects);
	case PRESENCE_DECLARE:
		return session_declare(core, event, effects);
	case PRESENCE_UNDECLARE:
		return session_undeclare(core, event, effects);
	case PRESENCE_LEAVE:
		return session_leave(core, event, effects);
	case PRESENCE_WILL:
		return session_will(core, event);
	case PRESENCE_TYPED:
		return activity_note(core, event, effects);
	case PRESENCE_OVERRIDDEN:
		return override_set(core, event, effects);
	case PRESENCE_WITHDRAW:
		return override_withdraw(core, event, effects);
	case PRESENCE_TICK:
		tick(core, event, effects);
		return PRESENCE_OK;
	case PRESENCE_RESTORED:
		return restore_subject(core, event, effects);
	case PRESENCE_RESTORED_DEVICE:
		return restore_device(core, event, effects);
	case PRESENCE_RESTORED_OVERRIDE:
		return override_restore(core, event, effects);
	case PRESENCE_FORGET:
		return forget(core, event, effects);
	case PRESENCE_ASSERT:
		return say_again(core, event);
	case PRESENCE_RESYNC:
		walk_say_everything(core, event->targets);
		return PRESENCE_OK;
	case PRESENCE_REV_SEEN:
		restore_rev(core, event->rev);
		return PRESENCE_OK;
	}
	return PRESENCE_EINVAL;
}
