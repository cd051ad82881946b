/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
/* Every combination of two devices (connection x declaration) and an override, brought about by
 * events, against a second formulation of the rule: a list of opinions, strongest first. */

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/presence.h"

enum connection { ABSENT, LIVE, LINGERING, SILENT, CONNECTIONS };
enum declaration { NOTHING, SAYS_ONLINE, SAYS_AWAY, SAYS_DND, SAYS_OFFLINE, DECLARATIONS };
enum { DEVICES = 2, OVERRIDES = PRESENCE_OVERRIDE_INVISIBLE + 1 };

struct device {
	enum connection connection;
	enum declaration declaration;
};

struct situation {
	struct device devices[DEVICES];
	enum presence_override override;
};

static const char *const names[DEVICES] = { "first", "second" };
static const char *const notes[DEVICES] = { "note-1", "note-2" };

/* What should be seen. A device has an opinion when it is there and did not say that it is not. */
struct seen {
	const char *status, *source, *note;
	unsigned devices;
};

static bool has_opinion(const struct device *device)
{
	bool is_there = device->connection == LIVE || device->connection == LINGERING;
	return is_there && device->declaration != SAYS_OFFLINE;
}

static const char *opinion(const struct device *device)
{
	static const char *const words[] = { "online", "online", "away", "dnd", "" };
	return words[device->declaration];
}

static struct seen expect(const struct situation *situation)
{
	static const char *const strongest_first[] = { "dnd", "online", "away" };
	static const char *const overrides[] = { "", "online", "away", "dnd", "offline" };
	struct seen seen = { "offline", "inferred", NULL, 0 };
	for (int i = 0; i < DEVICES; i++)
		seen.devices += has_opinion(&situation->devices[i]);
	if (!seen.devices)
		return seen;
	if (situation->override != PRESENCE_OVERRIDE_NONE) {
		seen.status = overrides[situation->override];
		if (situation->override == PRESENCE_OVERRIDE_INVISIBLE)
			return (struct seen){ "offline", "inferred", NULL, 0 };
		seen.source = "manual";
		seen.note = "override";
		return seen;
	}
	for (size_t rule = 3; rule-- > 0;)
		for (int i = 0; i < DEVICES; i++)
			if (has_opinion(&situation->devices[i]) &&
				!strcmp(opinion(&situation->devices[i]), strongest_first[rule]))
				seen.status = strongest_first[rule];
	/* The second device declares after the first. */
	for (int i = 0; i < DEVICES; i++) {
		const struct device *device = &situation->devices[i];
		if (has_opinion(device) && device->declaration != NOTHING &&
			!strcmp(opinion(device), seen.status)) {
			seen.source = "app";
			seen.note = notes[i];
		}
	}
	return seen;
}

static void feed(struct presence *core, struct presence_event event)
{
	struct presence_effects effects;
	event.now_ms = 1000;
	event.wall_ms = 1000000;
	event.role = "agent";
	event.id = "u1";
	if (presence_step(core, &event, &effects)) {
		fprintf(stderr, "an event was refused\n");
		exit(1);
	}
}

static void declare(
	struct presence *core, uint64_t token, const struct device *device, const char *note)
{
	static const enum presence_status statuses[] = { PRESENCE_OFFLINE, PRESENCE_ONLINE,
		PRESENCE_AWAY, PRESENCE_DND, PRESENCE_OFFLINE };
	if (device->declaration == NOTHING)
		return;
	feed(core,
		(struct presence_event){ .type = PRESENCE_DECLARE,
			.token = token,
			.status = statuses[device->declaration],
			.note = note });
}

static void bring_about(
	struct presence *core, const struct situation *situation, bool override_first)
{
	struct presence_event override = {
		.type = PRESENCE_OVERRIDDEN, .override = situation->override, .note = "override"
	};
	if (override_first && situation->override != PRESENCE_OVERRIDE_NONE)
		feed(core, override);
	for (int i = 0; i < DEVICES; i++) {
		const struct device *device = &situation->devices[i];
		uint64_t token = (uint64_t)i + 1;
		if (device->connection == ABSENT)
			continue;
		feed(core,
			(struct presence_event){ .type = PRESENCE_CONNECTED,
				.token = token,
				.client_id = names[i],
				.device = names[i] });
		declare(core, token, device, notes[i]);
		if (device->connection == LINGERING)
			feed(core,
				(struct presence_event){ .type = PRESENCE_DISCONNECTED,
					.token = token,
					.end = PRESENCE_END_LOST });
		else if (device->connection == SILENT)
			feed(core,
				(struct presence_event){ .type = PRESENCE_LEAVE, .token = token });
	}
	if (!override_first && situation->override != PRESENCE_OVERRIDE_NONE)
		feed(core, override);
}

static bool is_same(const char *one, const char *other)
{
	return one && other ? !strcmp(one, other) : one == other;
}

static void compare(const struct presence *core, const struct situation *situation)
{
	struct seen expected = expect(situation);
	struct presence_record record;
	/* Who was never seen is unknown, and reads offline. */
	if (presence_lookup(core, "agent", "u1", &record))
		record = (struct presence_record){ .status = PRESENCE_OFFLINE };
	if (!strcmp(presence_status_name(record.status), expected.status) &&
		!strcmp(presence_source_name(record.source), expected.source) &&
		record.devices == expected.devices && is_same(record.note, expected.note))
		return;
	fprintf(stderr,
		"connections %d %d, declarations %d %d, override %s: %s %s %u %s, expected %s %s "
		"%u "
		"%s\n",
		situation->devices[0].connection, situation->devices[1].connection,
		situation->devices[0].declaration, situation->devices[1].declaration,
		presence_override_name(situation->override), presence_status_name(record.status),
		presence_source_name(record.source), record.devices,
		record.note ? record.note : "-", expected.status, expected.source, expected.devices,
		expected.note ? expected.note : "-");
	exit(1);
}

static struct situation situation_of(int number)
{
	struct situation situation;
	for (int i = 0; i < DEVICES; i++) {
		situation.devices[i].connection = (enum connection)(number % CONNECTIONS);
		number /= CONNECTIONS;
		situation.devices[i].declaration = (enum declaration)(number % DECLARATIONS);
		number /= DECLARATIONS;
	}
	situation.override = (enum presence_override)(number % OVERRIDES);
	return situation;
}

int main(void)
{
	const struct presence_config config = { .grace_ms = 1000,
		.subjects_max = 1,
		.devices_max = DEVICES,
		.offline_retain_ms = 1000 };
	const int cases = CONNECTIONS * DECLARATIONS * CONNECTIONS * DECLARATIONS * OVERRIDES;
	for (int number = 0; number < cases; number++) {
		struct situation situation = situation_of(number);
		for (int order = 0; order < 2; order++) {
			struct presence *core = presence_create(&config, 1000);
			if (!core)
				return 1;
			bring_about(core, &situation, order == 0);
			compare(core, &situation);
			presence_destroy(core);
		}
	}
	printf("%d situations, each in two orders: no difference\n", cases);
	return 0;
}
