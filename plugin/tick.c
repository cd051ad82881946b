/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
#include "plugin/guard.h"

/* How long one turn of the loop may be ours, how often the clock is asked, and how long the broker
 * may sleep, when something happens and when nothing does: it must show us soon that it stood still
 * (2.1 can sleep for hours). */
enum {
	BUDGET_US = 10000,
	STEPS_PER_LOOK = 32,
	NAP_MS = 1,
	SLEEP_MAX_MS = 100,
	NEVER_TICKS_MS = 1000
};
/* How long the broker's start waits for its stores, and how often it looks. */
enum { PAST_WAIT_MS = 1000, PAST_LOOK_MS = 1 };

static bool is_over_budget(int64_t started_us, unsigned steps)
{
	return steps % STEPS_PER_LOOK == 0 && clock_now_us() - started_us > BUDGET_US;
}

static void hear(struct plugin *plugin, const struct store_message *message)
{
	static const enum log_level levels[] = {
		[STORE_NOTICE] = LOG_NOTICE,
		[STORE_WARNING] = LOG_WARNING,
		[STORE_ERROR] = LOG_ERROR,
	};
	if (message->type == STORE_MESSAGE_LOG) {
		log_line(levels[message->level], "%s", message->text);
		return;
	}
	int err = plugin_feed(plugin, message->event);
	if (err == PRESENCE_ESUBJECTS)
		plugin_refuse(plugin, REFUSED_SUBJECTS, "(of an earlier boot)",
			"a subject beyond subjects_max");
	else if (err == PRESENCE_EDEVICES)
		plugin_refuse(plugin, REFUSED_DEVICES, "(of an earlier boot)",
			"a device beyond devices_max");
	else if (err == PRESENCE_ENOMEM)
		plugin_refuse(plugin, REFUSED_MEMORY, "(of an earlier boot)", "a subject");
}

/* False: there may be more. */
static bool hear_stores(struct plugin *plugin, int64_t started_us)
{
	unsigned steps = 0;
	for (size_t i = 0; i < plugin->store_count; i++) {
		struct store_message *message;
		while ((message = store_take_message(plugin->stores[i]))) {
			hear(plugin, message);
			store_message_destroy(message);
			if (is_over_budget(started_us, ++steps))
				return false;
		}
	}
	return true;
}

/* The loop turns: a store may renew its lease. */
static void beat_stores(struct plugin *plugin, int64_t now_ms)
{
	for (size_t i = 0; i < plugin->store_count; i++)
		store_beat(plugin->stores[i], now_ms);
}

static bool stores_have_told(const struct plugin *plugin)
{
	struct store_stats stats;
	for (size_t i = 0; i < plugin->store_count; i++) {
		store_get_stats(plugin->stores[i], clock_now_ms(), &stats);
		if (!stats.has_told)
			return false;
	}
	return true;
}

/* Who is invisible and back at once would otherwise be seen, until it is known what was said. */
void tick_hear_past(struct plugin *plugin)
{
	int64_t until_ms = clock_now_ms() + PAST_WAIT_MS;
	bool has_told, is_all;
	do {
		beat_stores(plugin, clock_now_ms());
		has_told = stores_have_told(plugin);
		is_all = hear_stores(plugin, clock_now_us());
		if (is_all && !has_told)
			clock_nap(PAST_LOOK_MS);
	} while (!(is_all && has_told) && clock_now_ms() < until_ms);
	plugin->init_ms = clock_now_ms(); /* the loop could not turn before */
}

static void settle_what_is_due(struct plugin *plugin, int64_t started_us)
{
	unsigned steps = 0;
	do {
		(void)plugin_feed(plugin, (struct presence_event){ .type = PRESENCE_TICK });
	} while (presence_deadline(plugin->core) <= clock_now_ms() &&
		!is_over_budget(started_us, ++steps));
}

void tick_after_will(struct plugin *plugin)
{
	if (plugin->is_2_1 && presence_deadline(plugin->core) <= clock_now_ms())
		(void)plugin_feed(plugin, (struct presence_event){ .type = PRESENCE_TICK });
}

/* 2.1 asks when to come again; 2.0.x ignores the answer and comes at least every 100 ms. What a
 * tick publishes 2.1 sends when it comes again; and where something happens, more will. */
static void ask_for_next(struct plugin *plugin, struct mosquitto_evt_tick *event)
{
	int sleep_ms = plugin->has_told ? NAP_MS : SLEEP_MAX_MS;
	int64_t now_ms = clock_now_ms(), due_ms = presence_deadline(plugin->core);
	int64_t wait_ms = due_ms < now_ms + sleep_ms ? due_ms - now_ms : sleep_ms;
	plugin->has_told = false;
	event->next_s = 0;
#if __has_include(<mosquitto/broker.h>)
	event->next_ms = wait_ms < 1 ? 1 : (long)wait_ms;
#else
	event->next_ns = wait_ms < 1 ? 1 : (long)wait_ms; /* 2.1 reads this field in ms */
#endif
}

void tick(struct plugin *plugin, struct mosquitto_evt_tick *event)
{
	int64_t started_us = clock_now_us(), now_ms = clock_now_ms();

	plugin->ticks++;
	plugin->is_inert = false;
	plugin->is_rechecking = false;
	guard_settle(plugin); /* while it is known who is about to replace whom */
	clients_promote(plugin);
	kicks_run(plugin);
	(void)hear_stores(plugin, started_us); /* the rest with the next tick */
	settle_what_is_due(plugin, started_us);
	unsaid_say(plugin, now_ms);
	beat_stores(plugin, now_ms);
	sys_publish_changes(plugin, now_ms);
	health_say(plugin, now_ms);
	if (plugin->is_2_1)
		ask_for_next(plugin, event);
}

void tick_check_alive(struct plugin *plugin)
{
	if (plugin->ticks || plugin->is_inert || clock_now_ms() - plugin->init_ms < NEVER_TICKS_MS)
		return;
	plugin->is_inert = true;
	log_line(LOG_ERROR,
		"this broker never calls a plugin back between events, so nobody can be "
		"tracked: Mosquitto 2.0.11 does that with per_listener_settings true. "
		"Set per_listener_settings false, or use Mosquitto 2.0.21 or newer");
}
