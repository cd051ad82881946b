/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
#include <assert.h>
#include <string.h>

#include "core/state.h"

/* Typing and recording: shown once, over when it is stopped, not heard of again, or whoever does
 * it leaves. However often that changes, it is published at most once in PAUSE_MS. */
enum { LIVES_MS = 5000, PAUSE_MS = 3000 };

static struct activity *first_of(const struct presence *core, const struct subject *subject)
{
	const struct extras *extras = extras_of(core, subject);
	return extras ? activity_at(core, extras->activities) : NULL;
}

static struct activity *activity_find(
	const struct presence *core, const struct subject *subject, const char *conversation)
{
	struct activity *activity = first_of(core, subject);
	while (activity && strcmp(activity->conversation, conversation))
		activity = activity_at(core, activity->next);
	return activity;
}

static uint32_t activity_count(const struct presence *core, const struct subject *subject)
{
	uint32_t count = 0;
	for (const struct activity *activity = first_of(core, subject); activity;
		activity = activity_at(core, activity->next))
		count++;
	return count;
}

static int activity_add(struct presence *core, struct subject *subject, const char *conversation,
	struct activity **added)
{
	/* In as many conversations at once as there may be devices. */
	if (activity_count(core, subject) >= core->config.devices_max)
		return PRESENCE_ELIMIT;
	struct extras *extras = subject_extras(core, subject);
	if (!extras)
		return PRESENCE_ENOMEM;
	uint32_t number = pool_take(&core->pool, SIZE_WITH(activity, conversation, conversation));
	struct activity *activity = activity_at(core, number);
	if (!activity)
		return PRESENCE_ENOMEM;
	memcpy(activity->conversation, conversation, strlen(conversation) + 1);
	activity->self = number;
	activity->subject = subject->self;
	activity->published_ms = INT64_MIN / 2;
	activity->next = extras->activities;
	extras->activities = number;
	*added = activity;
	return PRESENCE_OK;
}

void activity_remove(struct presence *core, struct activity *activity)
{
	uint32_t *link = &extras_of(core, subject_at(core, activity->subject))->activities;
	while (*link != activity->self)
		link = &activity_at(core, *link)->next;
	*link = activity->next;
	deadline_clear(&core->waiting, &core->pool, DUE_NUMBER(activity, activity->self));
	assert(!core->gone_activity);
	core->gone_activity = activity->self;
}

void activity_free(struct presence *core, struct activity *activity)
{
	if (activity)
		pool_give(&core->pool, activity->self,
			SIZE_WITH(activity, conversation, activity->conversation));
}

static void wait(struct presence *core, struct activity *activity, int64_t at_ms)
{
	deadline_set(&core->waiting, &core->pool, DUE_NUMBER(activity, activity->self),
		DUE_ACTIVITY, at_ms);
}

static void publish(struct presence *core, struct activity *activity, bool is_active,
	const struct presence_event *event, struct presence_effects *effects)
{
	struct presence_effect *effect = effect_add(
		core, effects, PRESENCE_ACTIVITY, subject_at(core, activity->subject), event);
	activity->shown = is_active;
	activity->shown_kind = activity->kind;
	activity->published_ms = event->now_ms;
	effect->conversation = activity->conversation;
	effect->activity = activity->kind;
	effect->active = is_active;
	effect->active_until_ms = event->wall_ms + LIVES_MS;
}

void activity_settle(struct presence *core, struct activity *activity,
	const struct presence_event *event, struct presence_effects *effects)
{
	bool is_active = activity->active && event->now_ms < activity->until_ms;
	bool is_news = is_active != activity->shown ||
		(is_active && activity->kind != activity->shown_kind);
	int64_t may_publish_ms = activity->published_ms + PAUSE_MS;

	activity->active = is_active;
	if (is_news && event->now_ms >= may_publish_ms) {
		publish(core, activity, is_active, event, effects);
		may_publish_ms = event->now_ms + PAUSE_MS;
		is_news = false;
	}
	if (is_active && !is_news)
		wait(core, activity, activity->until_ms);
	else if (is_news || event->now_ms < may_publish_ms)
		wait(core, activity, may_publish_ms);
	else
		activity_remove(core, activity);
}

int activity_note(
	struct presence *core, const struct presence_event *event, struct presence_effects *effects)
{
	struct session *session = session_find(core, event->token);
	if (!session || !session->live || session->silent)
		return PRESENCE_ENOENT;
	const struct device *device = device_at(core, session->device);
	if (device->declared == PRESENCE_OFFLINE) /* down until it says otherwise */
		return PRESENCE_ENOENT;
	struct subject *subject = subject_at(core, device->subject);
	struct activity *activity = activity_find(core, subject, event->conversation);
	/* Whom nobody may see types for nobody. */
	bool is_hidden = subject_is_hidden(core, subject);
	if (!activity && event->active && !is_hidden) {
		int err = activity_add(core, subject, event->conversation, &activity);
		if (err)
			return err;
	}
	int err = session_seen(core, event, effects);
	if (err || is_hidden || !activity)
		return err;
	activity->token = event->token;
	activity->active = event->active;
	activity->until_ms = event->now_ms + LIVES_MS;
	if (event->active)
		activity->kind = (uint8_t)event->activity;
	activity_settle(core, activity, event, effects);
	return PRESENCE_OK;
}

void activity_end(struct presence *core, struct subject *subject, uint64_t token, int64_t now_ms)
{
	for (struct activity *activity = first_of(core, subject); activity;
		activity = activity_at(core, activity->next)) {
		if (token && activity->token != token)
			continue;
		activity->active = false;
		wait(core, activity, now_ms);
	}
}
