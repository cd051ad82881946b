/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
#include <inttypes.h>

#include "plugin/plugin.h"

/* How often stores are asked; and what an operator is told of, each at most once a minute. A worker
 * that hangs is looked at twice: when all of us stood still, it did too. */
enum { LOOK_MS = 1000, SLOW_US = 1000000, HUNG_LOOKS = 2 };

static void say_stall(struct plugin *plugin, int64_t now_ms)
{
	const struct presence_counts *counts = presence_counts(plugin->core);
	struct health *health = &plugin->health;
	uint64_t unsaid;
	if (counts->stalls == health->stalls)
		return;
	health->stalls = counts->stalls;
	if (log_allowed(&health->stall_log, now_ms, &unsaid))
		log_line(LOG_WARNING,
			"the broker stood still, %" PRIu64 " times so far, for %" PRId64
			" ms at most; whom it throws out for that has 3 s to come back. Was the "
			"machine suspended or overloaded, or did another plugin block?",
			counts->stalls, counts->tick_gap_max_ms);
}

static void say_merging(struct plugin *plugin, int64_t now_ms)
{
	struct health *health = &plugin->health;
	struct store_stats stats;
	uint64_t merged = 0, unsaid;
	for (size_t i = 0; i < plugin->store_count; i++) {
		store_get_stats(plugin->stores[i], now_ms, &stats);
		merged += stats.merged;
	}
	if (merged == health->merged)
		return;
	health->merged = merged;
	if (log_allowed(&health->merge_log, now_ms, &unsaid))
		log_line(LOG_WARNING,
			"more changes wait to be stored than queue_max: older ones give way to "
			"newer ones of the same device, %" PRIu64
			" so far. Is Redis, or the disk of state_file, slow or away?",
			merged);
}

static void say_hung(struct plugin *plugin, int64_t now_ms)
{
	struct health *health = &plugin->health;
	struct store_stats stats;
	uint64_t unsaid;
	for (size_t i = 0; i < plugin->store_count; i++) {
		store_get_stats(plugin->stores[i], now_ms, &stats);
		health->hung_looks[i] = stats.hung_ms ? health->hung_looks[i] + 1 : 0;
		if (health->hung_looks[i] != HUNG_LOOKS ||
			!log_allowed(&health->hung_log, now_ms, &unsaid))
			continue;
		bool is_redis = plugin->stores[i] == plugin->redis;
		log_line(LOG_WARNING,
			"the worker that writes to %s has been stuck for %" PRId64
			" s: does %s answer? Presence on MQTT goes on, and what changes is written "
			"when the worker is back",
			is_redis ? "Redis" : "state_file", stats.hung_ms / 1000,
			is_redis ? "the name server that knows the host of redis_url" : "its disk");
	}
}

static void say_slow(struct plugin *plugin, int64_t now_ms)
{
	struct health *health = &plugin->health;
	uint64_t unsaid;
	if (plugin->callback_max_us < SLOW_US || plugin->callback_max_us == health->slowest_us)
		return;
	health->slowest_us = plugin->callback_max_us;
	if (log_allowed(&health->slow_log, now_ms, &unsaid))
		log_line(LOG_WARNING,
			"presence held the broker up for %" PRId64
			" ms: is the machine overloaded?",
			plugin->callback_max_us / 1000);
}

void health_say(struct plugin *plugin, int64_t now_ms)
{
	say_stall(plugin, now_ms);
	if (now_ms < plugin->health.next_ms)
		return;
	plugin->health.next_ms = now_ms + LOOK_MS;
	say_merging(plugin, now_ms);
	say_hung(plugin, now_ms);
	say_slow(plugin, now_ms);
}
