/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "core/state.h"

/* Typing and recording: shown once, over when it is stopped, not heard of again, or whoever does
 * it leaves. However often that changes, it is published at most once in PAUSE_MS. */
enum { LIVES_MS = 5000, PAUSE_MS = 3000 };

static struct activity *activity_find(const struct subject *subject, const char *conversation)
{
	struct activity *activity = subject->activities;
	while (activity && strcmp(activity->conversation, conversation))
		activity = activity->next;
	return activity;
}

static uint32_t activity_count(const struct subject *subject)
{
	uint32_t count = 0;
	for (const struct activity *activity = subject->activities; activity;
		activity = activity->next)
		count++;
	return count;
}

static int activity_add(struct presence *core, struct subject *subject, const char *conversation,
	struct activity **added)
{
	/* In as many conversations at once as there may be devices. */
	if (activity_count(subject) >= core->config.devices_max)
		return PRESENCE_ELIMIT;
	size_t size = strlen(conversation) + 1;
	struct activity *activity = calloc(1, sizeof(*activity) + size);
	if (!activity || state_reserve(core)) {
		free(activity);
		return PRESENCE_ENOMEM;
	}
	memcpy(activity->conversation, conversation, size);
	activity->subject = subject;
	activity->published_ms = INT64_MIN / 2;
	activity->due.kind = DUE_ACTIVITY;
	activity->next = subject->activities;
	subject->activities = activity;
	core->waiting_users++;
	*added = activity;
	return PRESENCE_OK;
}

void activity_remove(struct presence *core, struct activity *activity)
{
	struct activity **link = &activity->subject->activities;
	while (*link != activity)
		link = &(*link)->next;
	*link = activity->next;
	deadline_clear(&core->waiting, &activity->due);
	core->waiting_users--;
	assert(!core->gone_activity);
	core->gone_activity = activity;
}

static void publish(struct presence *core, struct activity *activity, bool is_active,
	const struct presence_event *event, struct presence_effects *effects)
{
	struct presence_effect *effect = effect_add(
		core, effects, PRESENCE_ACTIVITY, activity->subject, event->now_ms);
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
		deadline_set(&core->waiting, &activity->due, activity->until_ms);
	else if (is_news || event->now_ms < may_publish_ms)
		deadline_set(&core->waiting, &activity->due, may_publish_ms);
	else
		activity_remove(core, activity);
}

int activity_note(
	struct presence *core, const struct presence_event *event, struct presence_effects *effects)
{
	struct session *session = session_find(core, event->token);
	if (!session || !session->live || session->silent)
		return PRESENCE_ENOENT;
	struct subject *subject = session->device->subject;
	struct activity *activity = activity_find(subject, event->conversation);
	int err = session_seen(core, event, effects);
	/* Whom nobody may see types for nobody. */
	if (err || subject_is_hidden(subject) || (!activity && !event->active))
		return err;
	if (!activity)
		err = activity_add(core, subject, event->conversation, &activity);
	if (err)
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
	for (struct activity *activity = subject->activities; activity; activity = activity->next) {
		if (token && activity->token != token)
			continue;
		activity->active = false;
		deadline_set(&core->waiting, &activity->due, now_ms);
	}
}
