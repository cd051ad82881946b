/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */

/* What the broker and the plugin say of themselves. */

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ctl/clock.h"
#include "ctl/doctor.h"
#include "ctl/link_internal.h"
#include "ctl/show.h"

enum {
	ROUNDS = 5,
	ROUND_SLOW_MS = 40, /* what a delayed answer of the kernel takes */
	LAG_WARN_MS = 2000,
	LAG_FAIL_MS = 60000,
	CALLBACK_SLOW_US = 50000,
};

void doctor_check_broker(struct doctor *doctor)
{
	const char *version = doctor_value(doctor, "version");
	char place[256];
	link_place(doctor->settings, place, sizeof(place));
	if (!version) {
		doctor_say(doctor, DOCTOR_WARN, "broker", "let this user read $SYS/broker/version",
			"%s answers, but does not tell its version", place);
		return;
	}
	doctor_say(doctor, DOCTOR_OK, "broker", NULL, "%s, %s", place, version);
	if (strstr(version, "version 2.0."))
		doctor_say(doctor, DOCTOR_WARN, "reasons",
			"let clients send leave before they go, or use Mosquitto 2.1",
			"this version does not tell why a connection ended: a goodbye counts as "
			"lost, and is offline after grace");
	else
		doctor_say(doctor, DOCTOR_OK, "reasons", NULL,
			"this version tells why a connection ended");
}

/* Round trips of a question that needs no rights. */
static enum ctl_exit measure(struct doctor *doctor, int64_t *slowest_ms, char *problem)
{
	*slowest_ms = 0;
	for (int i = 0; i < ROUNDS; i++) {
		struct json_object *data, *fields = json_object_new_object(),
					  *list = json_object_new_array();
		(void)json_object_array_add(list, json_object_new_string("client/presencectl"));
		(void)json_object_object_add(fields, "subjects", list);
		int64_t start = clock_ms();
		enum ctl_exit end = request_send(&doctor->request, "getPresence", fields,
			doctor->settings->timeout_ms, &data, problem);
		int64_t took = clock_ms() - start;
		json_object_put(data);
		if (end != CTL_OK)
			return end;
		if (took > *slowest_ms)
			*slowest_ms = took;
	}
	return CTL_OK;
}

void doctor_check_plugin(struct doctor *doctor)
{
	char problem[LINK_PROBLEM_MAX] = "";
	int64_t slowest_ms;
	bool numbers = doctor_value(doctor, "presence/subjects") != NULL;
	enum ctl_exit end = measure(doctor, &slowest_ms, problem);
	if (end == CTL_UNREACHABLE && !numbers) {
		doctor_say(doctor, DOCTOR_FAIL, "plugin",
			"load mosquitto_presence.so, and look for its lines in the broker's log; "
			"presencectl check-config judges the configuration",
			"it does not answer, and there is nothing under $SYS/broker/presence");
		return;
	}
	if (end == CTL_UNREACHABLE) {
		doctor_say(doctor, DOCTOR_FAIL, "plugin",
			"let this user write to $CONTROL/presence/v1 and read its /response; then "
			"look for the plugin's lines in the broker's log",
			"it has published its numbers, but does not answer");
		return;
	}
	if (end != CTL_OK) {
		doctor_say(doctor, numbers ? DOCTOR_WARN : DOCTOR_FAIL, "plugin",
			numbers ? "let this user write to $CONTROL/presence/v1"
				: "load mosquitto_presence.so, or let this user read $SYS/#",
			"%s", problem);
		return;
	}
	if (numbers)
		doctor_say(doctor, DOCTOR_OK, "plugin", NULL,
			"%" PRId64 " subjects, %" PRId64 " sessions",
			doctor_number(doctor, "presence/subjects"),
			doctor_number(doctor, "presence/sessions"));
	else
		doctor_say(doctor, DOCTOR_WARN, "plugin",
			"wait 10 s after the start of the broker; then let this user read $SYS/#",
			"it answers, but there is nothing under $SYS/broker/presence");
	if (slowest_ms >= ROUND_SLOW_MS)
		doctor_say(doctor, DOCTOR_WARN, "latency",
			"set_tcp_nodelay true in mosquitto.conf; is the broker busy, or far away?",
			"the slowest of %d questions took %" PRId64 " ms", (int)ROUNDS, slowest_ms);
	else
		doctor_say(doctor, DOCTOR_OK, "latency", NULL,
			"the slowest of %d questions took %" PRId64 " ms", (int)ROUNDS, slowest_ms);
}

static void check_eviction(struct doctor *doctor)
{
	if (doctor_number(doctor, "presence/redis/eviction"))
		doctor_say(doctor, DOCTOR_WARN, "eviction",
			"maxmemory-policy noeviction in redis.conf",
			"when its memory is full, Redis may remove who is online");
	else
		doctor_say(doctor, DOCTOR_OK, "eviction", NULL, "Redis removes nothing by itself");
}

void doctor_check_store(struct doctor *doctor)
{
	const char *state = doctor_value(doctor, "presence/redis/state");
	if (!doctor_value(doctor, "presence/subjects"))
		return; /* said already */
	if (!state) {
		doctor_say(doctor, DOCTOR_OK, "redis", NULL, "not used");
		return;
	}
	if (!strcmp(state, "ready")) {
		doctor_say(doctor, DOCTOR_OK, "redis", NULL,
			"ready, %" PRId64 " connections lost since the start",
			doctor_number(doctor, "presence/redis/lost"));
		check_eviction(doctor);
	} else if (!strcmp(state, "fenced")) {
		doctor_say(doctor, DOCTOR_FAIL, "redis",
			"give each broker a plugin_opt_node of its own; the broker's log names the "
			"host that has this one",
			"fenced: another broker writes under the same node");
	} else if (!strcmp(state, "failed")) {
		doctor_say(doctor, DOCTOR_FAIL, "redis",
			"check its password, rights and maxmemory, that redis_url names a primary, "
			"and that all brokers have the same redis_partitions; the broker's log "
			"says "
			"which of these it is",
			"Redis answers, but does not let presence write; presence on MQTT goes on");
	} else {
		doctor_say(doctor, strcmp(state, "leaving") ? DOCTOR_FAIL : DOCTOR_WARN, "redis",
			"is Redis running, done with loading, and reachable from the broker? The "
			"broker's log says what happened",
			"not in step: %s; presence on MQTT goes on, and is written when Redis is "
			"back",
			state);
	}
}

/* What stays undone because there was no room for it. */
static void check_room(struct doctor *doctor)
{
	static const struct {
		const char *name, *what, *fix;
	} limits[] = {
		{ "presence/refused/subjects_max", "clients were not tracked: too many subjects",
			"raise subjects_max" },
		{ "presence/refused/devices_max", "devices were not tracked: too many of a subject",
			"raise devices_max, or give each device the same client id every time" },
		{ "presence/refused/memory", "times there was no memory",
			"give the broker more; whom it let in meanwhile without tracking them, it "
			"tracks when they connect again" },
	};
	bool is_short = false;
	for (size_t i = 0; i < sizeof(limits) / sizeof(*limits); i++) {
		int64_t count = doctor_number(doctor, limits[i].name);
		is_short = is_short || count;
		if (count)
			doctor_say(doctor, DOCTOR_WARN, "room", limits[i].fix, "%" PRId64 " %s",
				count, limits[i].what);
	}
	if (!is_short)
		doctor_say(doctor, DOCTOR_OK, "room", NULL, "for everybody so far");
}

static void check_queue(struct doctor *doctor)
{
	char age[SHOW_TIME_MAX];
	int64_t lag_ms = doctor_number(doctor, "presence/lag_ms");
	int64_t queue = doctor_number(doctor, "presence/queue");
	int64_t merged = doctor_number(doctor, "presence/merged");
	enum doctor_result result = DOCTOR_OK;
	if (lag_ms >= LAG_WARN_MS || merged)
		result = lag_ms >= LAG_FAIL_MS ? DOCTOR_FAIL : DOCTOR_WARN;
	doctor_say(doctor, result, "queue",
		result == DOCTOR_OK ? NULL
				    : "is Redis, or the disk of state_file, slow or away? "
				      "Else raise queue_max",
		"%" PRId64 " changes wait to be stored, the store is %s behind; %" PRId64
		" gave way in a full queue",
		queue, show_age(lag_ms, age), merged);
}

static void check_stalls(struct doctor *doctor)
{
	char gap[SHOW_TIME_MAX];
	int64_t stalls = doctor_number(doctor, "presence/stalls");
	int64_t slowest = doctor_number(doctor, "presence/callback_max_us");
	(void)show_age(doctor_number(doctor, "presence/tick_gap_max_ms"), gap);
	if (stalls)
		doctor_say(doctor, DOCTOR_WARN, "stalls",
			"was the machine suspended or overloaded, or did another plugin block?",
			"the broker stood still %" PRId64 " times, for %s at most", stalls, gap);
	else
		doctor_say(doctor, DOCTOR_OK, "stalls", NULL, "none");
	if (slowest >= CALLBACK_SLOW_US)
		doctor_say(doctor, DOCTOR_WARN, "speed", "is the machine overloaded?",
			"the plugin once held the broker up for %" PRId64 " ms", slowest / 1000);
}

void doctor_check_pace(struct doctor *doctor)
{
	if (!doctor_value(doctor, "presence/subjects"))
		return;
	check_queue(doctor);
	check_room(doctor);
	check_stalls(doctor);
}
