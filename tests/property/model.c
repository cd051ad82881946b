/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
/* The core against a model that is too naive to be wrong: it keeps every connection in one array
 * and asks it anew, each time, who is there. Random events, a printed seed; `model SEED COUNT`
 * replays. What the effects say is mirrored too: topics and store must equal the core's answers. */

#include <inttypes.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "chance.h"
#include "core/presence.h"

enum { SUBJECTS = 6, DEVICES = 3, CLIENTS = 8, CONNECTIONS_MAX = 4096, EVENTS_PER_RUN = 400 };
enum { RESTORED = -1 };

struct connection {
	uint64_t token;
	int client, subject, device;
	bool live;
	int64_t until_ms; /* lingering: until when */
};

struct topic {
	bool retained;
	struct presence_record record;
};

struct world {
	uint64_t seed, random;
	int64_t now_ms, wall_offset_ms, last_tick_ms, settle_ms;
	struct presence *core;
	struct presence_config config;
	struct connection
		connections[CONNECTIONS_MAX]; /* live or lingering; others are taken out */
	int count;
	uint64_t next_token;
	int64_t last_rev;
	struct topic topics[SUBJECTS];
	bool stored[SUBJECTS][DEVICES];
	struct presence_record stored_record[SUBJECTS]; /* rev 0: not in the store */
	bool may_repeat[SUBJECTS];                      /* once, though nothing has changed */
	int events;
};

static const char *const ids[SUBJECTS] = { "u0", "u1", "u2", "u3", "u4", "u5" };
static const char *const devices[DEVICES] = { "laptop", "phone", "tablet" };
static const char *const clients[CLIENTS] = { "c0", "c1", "c2", "c3", "c4", "c5", "c6", "c7" };

__attribute__((format(printf, 2, 3), noreturn)) static void fail(
	const struct world *world, const char *format, ...)
{
	va_list arguments;
	va_start(arguments, format);
	fprintf(stderr, "seed %" PRIu64 ", event %d, at %" PRId64 ": ", world->seed, world->events,
		world->now_ms);
	vfprintf(stderr, format, arguments);
	fprintf(stderr, "\n");
	va_end(arguments);
	exit(1);
}

static int below(struct world *world, int end)
{
	return (int)chance_below(&world->random, (uint64_t)end);
}

static int index_of(const char *const names[], int count, const char *name)
{
	for (int i = 0; i < count; i++)
		if (!strcmp(names[i], name))
			return i;
	return count;
}

/* What effects must obey, whatever the events were. */
static void mirror_publish(struct world *world, const struct presence_record *record)
{
	int subject = index_of(ids, SUBJECTS, record->id);
	struct topic *topic = &world->topics[subject];
	if (record->rev <= world->last_rev)
		fail(world, "rev %" PRId64 " after %" PRId64, record->rev, world->last_rev);
	world->last_rev = record->rev;
	if ((record->status == PRESENCE_OFFLINE) != (record->devices == 0))
		fail(world, "%s is %s with %u devices", record->id,
			presence_status_name(record->status), record->devices);
	if (topic->retained) {
		bool same = topic->record.status == record->status;
		bool repeats = same && topic->record.devices == record->devices;
		if (repeats && !world->may_repeat[subject])
			fail(world, "%s: no transition was published", record->id);
		if (repeats)
			world->may_repeat[subject] = false;
		if (same != (topic->record.since_ms == record->since_ms) && same)
			fail(world, "%s: since changed, status did not", record->id);
		if (!same && record->previous != topic->record.status)
			fail(world, "%s: previous is not what was", record->id);
	}
	topic->retained = true;
	topic->record = *record;
	topic->record.id = ids[subject];
	topic->record.role = "agent";
}

static void mirror(struct world *world, const struct presence_effects *effects)
{
	for (size_t i = 0; i < effects->count; i++) {
		const struct presence_effect *effect = &effects->item[i];
		int subject = effect->record.id ? index_of(ids, SUBJECTS, effect->record.id) : 0;
		switch (effect->type) {
		case PRESENCE_PUBLISH:
			mirror_publish(world, &effect->record);
			break;
		case PRESENCE_STORE:
			world->stored_record[subject] = effect->record;
			world->stored_record[subject].id = ids[subject];
			world->stored_record[subject].role = "agent";
			if (effect->device)
				world->stored[subject][index_of(devices, DEVICES, effect->device)] =
					effect->rank != PRESENCE_OFFLINE;
			break;
		case PRESENCE_FORGOTTEN:
			world->topics[subject].retained = false;
			world->stored_record[subject].rev = 0;
			memset(world->stored[subject], 0, sizeof(world->stored[subject]));
			break;
		case PRESENCE_STORE_OVERRIDE:
		case PRESENCE_DEVICE:
		case PRESENCE_ACTIVITY:
		case PRESENCE_REFRESH:
		case PRESENCE_RESYNCED:
			break;
		}
	}
}

static int step(struct world *world, struct presence_event event)
{
	struct presence_effects effects;
	event.now_ms = world->now_ms;
	event.wall_ms = world->now_ms + world->wall_offset_ms;
	if (world->now_ms - world->last_tick_ms > 2000) {
		world->settle_ms = world->now_ms + 2000;
		world->last_tick_ms = world->now_ms;
	}
	int err = presence_step(world->core, &event, &effects);
	mirror(world, &effects);
	return err;
}

static void take_out(struct world *world, int i)
{
	world->connections[i] = world->connections[--world->count];
}

static void model_settle(struct world *world)
{
	if (world->now_ms < world->settle_ms)
		return;
	for (int i = world->count; i-- > 0;)
		if (!world->connections[i].live && world->connections[i].until_ms <= world->now_ms)
			take_out(world, i);
}

static void turn(struct world *world)
{
	int turns = 0;
	do {
		(void)step(world, (struct presence_event){ .type = PRESENCE_TICK });
		if (++turns > 10000)
			fail(world, "the deadlines never end");
	} while (presence_deadline(world->core) <= world->now_ms);
	world->last_tick_ms = world->now_ms;
	model_settle(world);
}

static void advance(struct world *world, int64_t by_ms)
{
	for (int64_t left_ms = by_ms; left_ms > 0; left_ms -= 500) {
		world->now_ms += left_ms < 500 ? left_ms : 500;
		turn(world);
	}
}

static void do_connect(struct world *world)
{
	int client = below(world, CLIENTS);
	/* A client id mostly means the same subject and device; now and then it does not. */
	int subject = below(world, 8) ? client % SUBJECTS : below(world, SUBJECTS);
	int device = below(world, 8) ? client % DEVICES : below(world, DEVICES);
	for (int i = world->count; i-- > 0;) {
		struct connection *other = &world->connections[i];
		if (!other->live && other->subject == subject && other->device == device) {
			take_out(world, i);
		} else if (other->client == client && other->subject != subject) {
			other->live = false;
			other->until_ms = world->now_ms;
		}
	}
	if (world->count == CONNECTIONS_MAX)
		fail(world, "too many connections");
	world->connections[world->count++] = (struct connection){
		.token = world->next_token,
		.client = client,
		.subject = subject,
		.device = device,
		.live = true,
	};
	int err = step(world,
		(struct presence_event){
			.type = PRESENCE_CONNECTED,
			.token = world->next_token++,
			.client_id = clients[client],
			.role = "agent",
			.id = ids[subject],
			.device = devices[device],
		});
	if (err)
		fail(world, "connect: %d", err);
}

static bool another_is_live(const struct world *world, const struct connection *than)
{
	for (int i = 0; i < world->count; i++) {
		const struct connection *other = &world->connections[i];
		if (other != than && other->live && other->subject == than->subject &&
			other->device == than->device)
			return true;
	}
	return false;
}

static int64_t model_linger_ms(const struct world *world, enum presence_end end)
{
	bool stalled = world->now_ms < world->settle_ms;
	int64_t grace_ms = world->config.grace_ms;
	int64_t long_ms = grace_ms > 3000 ? grace_ms : 3000;
	if (end == PRESENCE_END_LOST)
		return grace_ms ? grace_ms : -1;
	if (end == PRESENCE_END_TAKEOVER)
		return grace_ms;
	if (end == PRESENCE_END_UNKNOWN)
		return stalled ? long_ms : grace_ms;
	if (end == PRESENCE_END_KEEPALIVE)
		return stalled ? long_ms : -1;
	return -1;
}

static void do_end(struct world *world)
{
	enum presence_end end = (enum presence_end)below(world, PRESENCE_END_UNKNOWN + 1);
	uint64_t token = (uint64_t)below(world, (int)world->next_token);
	if (world->count && below(world, 10))
		token = world->connections[below(world, world->count)].token;
	struct connection *connection = NULL;
	for (int i = 0; i < world->count; i++)
		if (world->connections[i].token == token && world->connections[i].live)
			connection = &world->connections[i];
	if (connection) {
		/* A stall is noticed before the end is judged. */
		if (world->now_ms - world->last_tick_ms > 2000)
			world->settle_ms = world->now_ms + 2000;
		int64_t for_ms = model_linger_ms(world, end);
		connection->live = false;
		connection->until_ms = world->now_ms + for_ms;
		if (for_ms < 0 || another_is_live(world, connection))
			take_out(world, (int)(connection - world->connections));
	}
	int err = step(world,
		(struct presence_event){
			.type = PRESENCE_DISCONNECTED, .token = token, .end = end });
	if ((err == PRESENCE_OK) != (connection != NULL))
		fail(world, "end of token %" PRIu64 ": %d", token, err);
}

static bool is_there(const struct world *world, int subject)
{
	for (int i = 0; i < world->count; i++)
		if (world->connections[i].subject == subject)
			return true;
	return false;
}

static void do_forget(struct world *world)
{
	int subject = below(world, SUBJECTS);
	int err = step(world,
		(struct presence_event){
			.type = PRESENCE_FORGET, .role = "agent", .id = ids[subject] });
	if (!err && is_there(world, subject))
		fail(world, "%s was forgotten while it was there", ids[subject]);
}

static void restore_all(struct world *world)
{
	for (int subject = 0; subject < SUBJECTS; subject++) {
		if (!world->stored_record[subject].rev)
			continue;
		if (step(world,
			    (struct presence_event){ .type = PRESENCE_RESTORED,
				    .record = world->stored_record[subject] }))
			fail(world, "restore %s", ids[subject]);
		for (int device = 0; device < DEVICES; device++) {
			if (!world->stored[subject][device])
				continue;
			world->connections[world->count++] = (struct connection){
				.client = RESTORED,
				.subject = subject,
				.device = device,
				.until_ms = world->now_ms + world->config.restart_grace_ms,
			};
			if (step(world,
				    (struct presence_event){ .type = PRESENCE_RESTORED_DEVICE,
					    .role = "agent",
					    .id = ids[subject],
					    .device = devices[device],
					    .status = PRESENCE_ONLINE }))
				fail(world, "restore a device of %s", ids[subject]);
		}
	}
}

static void create_core(struct world *world)
{
	world->core = presence_create(&world->config, world->now_ms);
	if (!world->core)
		fail(world, "out of memory");
	world->last_tick_ms = world->now_ms;
	world->settle_ms = 0;
}

/* The broker starts again with what the store holds; who was there lingers. */
static void do_restart(struct world *world)
{
	presence_destroy(world->core);
	world->now_ms += below(world, 3000);
	create_core(world);
	world->count = 0;
	/* What was restored is published once more, changed or not. */
	memset(world->may_repeat, true, sizeof(world->may_repeat));
	(void)step(world,
		(struct presence_event){ .type = PRESENCE_REV_SEEN, .rev = world->last_rev });
	restore_all(world);
	turn(world);
}

static void do_say_again(struct world *world)
{
	unsigned targets = (unsigned)below(world, 4);
	if (targets & PRESENCE_TARGET_TOPIC)
		memset(world->may_repeat, true, sizeof(world->may_repeat));
	(void)step(world,
		(struct presence_event){
			.type = below(world, 2) ? PRESENCE_RESYNC : PRESENCE_ASSERT,
			.role = "agent",
			.id = ids[below(world, SUBJECTS)],
			.targets = targets,
		});
	turn(world);
}

static void do_something(struct world *world)
{
	switch (below(world, 16)) {
	case 0:
	case 1:
	case 2:
	case 3:
	case 4:
		do_connect(world);
		break;
	case 5:
	case 6:
	case 7:
	case 8:
		do_end(world);
		break;
	case 9:
	case 10:
	case 11:
		advance(world, below(world, 3000));
		break;
	case 12:
		if (!below(world, 4))
			world->now_ms += below(world, 20000); /* a stall, perhaps */
		break;
	case 13:
		if (!below(world, 4))
			do_forget(world);
		break;
	case 14:
		if (!below(world, 8))
			world->wall_offset_ms += below(world, 7200000) - 3600000;
		else if (!below(world, 4))
			do_say_again(world);
		break;
	case 15:
		if (!below(world, 8))
			do_restart(world);
		break;
	}
}

static uint32_t model_devices(const struct world *world, int subject, bool there[DEVICES])
{
	uint32_t count = 0;
	memset(there, 0, sizeof(bool[DEVICES]));
	for (int i = 0; i < world->count; i++)
		if (world->connections[i].subject == subject)
			there[world->connections[i].device] = true;
	for (int device = 0; device < DEVICES; device++)
		count += there[device];
	return count;
}

static void compare(struct world *world)
{
	for (int subject = 0; subject < SUBJECTS; subject++) {
		struct presence_record record = { .status = PRESENCE_OFFLINE };
		bool there[DEVICES];
		uint32_t count = model_devices(world, subject, there);
		int err = presence_lookup(world->core, "agent", ids[subject], &record);
		if ((count > 0) != (record.status == PRESENCE_ONLINE) || record.devices != count)
			fail(world, "%s is %s with %u devices, the model has %u", ids[subject],
				presence_status_name(record.status), record.devices, count);
		if ((err == PRESENCE_OK) != world->topics[subject].retained)
			fail(world, "%s: known is not published", ids[subject]);
		if (!err && world->topics[subject].record.status != record.status)
			fail(world, "%s: the topic is wrong", ids[subject]);
		if (memcmp(there, world->stored[subject], sizeof(there)))
			fail(world, "%s: the store is wrong", ids[subject]);
	}
	const struct presence_counts *counts = presence_counts(world->core);
	uint64_t live = 0;
	for (int i = 0; i < world->count; i++)
		live += world->connections[i].live;
	if (counts->sessions != live)
		fail(world, "%" PRIu64 " sessions, the model has %" PRIu64, counts->sessions, live);
}

static void run(uint64_t seed)
{
	static struct world world;
	world = (struct world){
		.seed = seed,
		.random = seed,
		.now_ms = 1000000,
		.next_token = 1,
		.config = { .subjects_max = SUBJECTS,
			.devices_max = DEVICES,
			.restart_grace_ms = 5000,
			.offline_retain_ms = INT64_MAX / 2 },
	};
	world.config.grace_ms = below(&world, 3) * 1000;
	world.config.refresh_ms = below(&world, 2) * 10000;
	memcpy(world.config.hash_key, &seed, sizeof(seed));
	create_core(&world);
	for (world.events = 0; world.events < EVENTS_PER_RUN; world.events++) {
		do_something(&world);
		compare(&world);
	}
	advance(&world, 60000);
	compare(&world);
	presence_destroy(world.core);
}

int main(int argc, char *argv[])
{
	uint64_t first = argc > 1 ? strtoull(argv[1], NULL, 10) : 1;
	uint64_t count = argc > 2 ? strtoull(argv[2], NULL, 10) : 1000;
	for (uint64_t seed = first; seed < first + count; seed++)
		run(seed);
	printf("seeds %" PRIu64 " to %" PRIu64 ", %d events each: no difference\n", first,
		first + count - 1, EVENTS_PER_RUN);
	return 0;
}
