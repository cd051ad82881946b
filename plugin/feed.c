/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
#include <stdio.h>

#include "plugin/plugin.h"

/* PRESENCE_ENOMEM, or 0. */
static int publish(struct plugin *plugin, const struct presence_effect *effect)
{
	switch (effect->type) {
	case PRESENCE_PUBLISH:
		return publish_record(plugin, effect);
	case PRESENCE_FORGOTTEN:
		return publish_cleared(plugin, &effect->record);
	case PRESENCE_DEVICE:
		return publish_device(plugin, effect);
	case PRESENCE_ACTIVITY:
		return publish_activity(plugin, effect);
	case PRESENCE_STORE:
	case PRESENCE_REFRESH:
	case PRESENCE_STORE_OVERRIDE:
	case PRESENCE_RESYNCED:
		break;
	}
	return PRESENCE_OK;
}

static void carry_out(struct plugin *plugin, const struct presence_effect *effect, int64_t now_ms)
{
	plugin->has_told = true;
	if (publish(plugin, effect))
		plugin->refused[REFUSED_MEMORY]++;
	for (size_t i = 0; i < plugin->store_count; i++)
		store_put(plugin->stores[i], effect, now_ms);
}

int plugin_feed(struct plugin *plugin, struct presence_event event)
{
	struct presence_effects effects;
	event.now_ms = clock_now_ms();
	event.wall_ms = clock_wall_ms();
	int err = presence_step(plugin->core, &event, &effects);
	for (size_t i = 0; i < effects.count; i++)
		carry_out(plugin, &effects.item[i], event.now_ms);
	return err;
}

const char *refusal_name(enum refusal why)
{
	static const char *const names[REFUSALS] = {
		[REFUSED_ID] = "id",
		[REFUSED_SUBJECTS] = "subjects_max",
		[REFUSED_DEVICES] = "devices_max",
		[REFUSED_MEMORY] = "memory",
		[REFUSED_PUBLISH] = "publish",
		[REFUSED_COMMAND_RATE] = "command_rate",
	};
	return names[why];
}

void plugin_refuse(struct plugin *plugin, enum refusal why, const char *client_id, const char *what)
{
	uint64_t unsaid;
	char more[64] = "";
	plugin->refused[why]++;
	if (!log_allowed(&plugin->refused_log[why], clock_now_ms(), &unsaid))
		return;
	if (unsaid)
		(void)snprintf(more, sizeof(more), " (and %llu more since the last such line)",
			(unsigned long long)unsaid);
	const char *name = client_id ? client_id : "(no client id)";
	if (why == REFUSED_PUBLISH)
		log_line(LOG_WARNING,
			"refused what client %.128s published on %.256s: only presence writes "
			"there%s",
			name, what, more);
	else if (why == REFUSED_COMMAND_RATE)
		log_line(LOG_WARNING, "client %.128s gives %s%s", name, what, more);
	else
		log_line(LOG_WARNING, "client %.128s is not tracked: %s%s", name, what, more);
}
