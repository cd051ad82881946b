/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
#include <stdarg.h>
#include <stdio.h>

#include "chance.h"
#include "room.h"
#include "sim.h"

struct world *the_world;

enum { BEGIN_MS = 1000000, SAFETY_MAX_STEPS = 400000, HEAL_MS = 5000, CALM_MS = 24000 };
static const int64_t begin_wall_ms = 1763769600000;

const struct sim_client sim_clients[CLIENTS] = {
	{ "agent:u1:web", "agent", "u1", "web", 0 },
	{ "agent:u1:phone", "agent", "u1", "phone", 0 },
	{ "agent:u2:web", "agent", "u2", "web", 1 },
	{ "agent:u2:a/b", "agent", "u2", "a/b", 1 },
	{ "device:d%1", "device", "d%1", "device:d%1", 2 },
	{ "odd+name", "client", "odd+name", "odd+name", 3 },
	{ "admin:root:x", "admin", "root", "x", 4 },
};

const struct sim_subject sim_subjects[SUBJECTS] = {
	{ "agent", "u1", "presence/agent/u1", "agent/u1" },
	{ "agent", "u2", "presence/agent/u2", "agent/u2" },
	{ "device", "d%1", "presence/device/d%251", "device/d%251" },
	{ "client", "odd+name", "presence/client/odd%2Bname", "client/odd%2Bname" },
	{ "admin", "root", "presence/admin/root", "admin/root" },
};

/* ---- chance, words ---- */

uint64_t sim_roll(struct world *world, uint64_t below)
{
	return chance_below(&world->random, below);
}

void sim_fail(struct world *world, const char *format, ...)
{
	va_list arguments;
	if (world->failure[0])
		return;
	uint32_t hash = 2166136261u;
	for (const char *at = format; *at; at++)
		hash = (hash ^ (unsigned char)*at) * 16777619u;
	world->failure_kind = (uint8_t)(1 + hash % 120);
	va_start(arguments, format);
	(void)vsnprintf(world->failure, sizeof(world->failure), format, arguments);
	va_end(arguments);
	sim_say(world, "FAILED: %s", world->failure);
}

void sim_say(struct world *world, const char *format, ...)
{
	va_list arguments;
	if (!world->is_verbose)
		return;
	(void)printf("%9.3f ", (double)(world->now_ms - world->begin_ms) / 1000);
	va_start(arguments, format);
	(void)vprintf(format, arguments);
	va_end(arguments);
	(void)putchar('\n');
}

void sim_trace(struct world *world, const char *bytes, size_t length)
{
	uint64_t hash = world->trace ^ (uint64_t)world->now_ms;
	for (size_t i = 0; i < length; i++)
		hash = (hash ^ (unsigned char)bytes[i]) * 0x100000001b3u;
	world->trace = hash;
}

/* ---- operations on the world ---- */

static void unplant(struct world *world)
{
	if (world->planted[0])
		redis_model_delete(&world->redis, world->planted);
	world->planted[0] = '\0';
	world->timers[TIMER_PLANT] = 0;
	truth_harmed(world);
}

static void plant(struct world *world, const struct op *op)
{
	static const char *const keys[] = { "subject:%s", "state:%s", "meta", "nodes", "lease:b1",
		"node:b1", "events", "overrides", "online:agent" };
	char kind[32], rest[300];
	const char *format = keys[op->a % 9];
	const char *name = sim_subjects[op->a / 9 % SUBJECTS].name;
	if (world->planted[0])
		return;
	(void)snprintf(kind, sizeof(kind), "presence:{%d}:", (int)(op->a % 2));
	if (strchr(format, '%'))
		(void)snprintf(
			rest, sizeof(rest), "%.*s%s", (int)strcspn(format, "%"), format, name);
	else
		(void)snprintf(rest, sizeof(rest), "%s", format);
	(void)snprintf(world->planted, sizeof(world->planted), "%s%s", kind, rest);
	redis_model_plant(&world->redis, world->planted);
	world->timers[TIMER_PLANT] = world->now_ms + op->b;
	truth_harmed(world);
}

static void set_mood(struct world *world, enum redis_mood mood, int64_t ms)
{
	world->redis.mood = mood;
	world->timers[TIMER_MOOD] = world->now_ms + ms;
}

static void go_down(struct world *world, const struct op *op)
{
	if (!broker_is_up(world))
		return;
	if (op->kind == OP_CRASH)
		broker_crash(world);
	else
		broker_stop(world);
	world->returns = op->b;
	world->timers[TIMER_START] = world->now_ms + op->a;
}

static void come_up(struct world *world)
{
	world->timers[TIMER_START] = 0;
	broker_start(world);
	for (int i = 0; i < CLIENTS; i++) {
		struct true_client *client = &world->truth.clients[i];
		client->reconnect_ms = 0;
		client->is_wanted = client->is_wanted && !(world->returns >> i & 1);
		if (client->is_wanted)
			client->reconnect_ms = world->now_ms + 1 + (int64_t)sim_roll(world, 3000);
	}
}

static void back_to_the_past(struct world *world)
{
	net_cut(world);
	redis_model_flush_scripts(&world->redis);
	if (!world->past.count)
		return;
	redis_db_copy(&world->redis.db, &world->past);
	truth_harmed(world);
}

static void happen_to_network(struct world *world, const struct op *op)
{
	switch (op->kind) {
	case OP_CUT:
		net_cut(world);
		break;
	case OP_SLOW:
		net_slow(world, op->a);
		break;
	case OP_LOSE_COMMANDS:
		net_lose(world, true);
		break;
	case OP_LOSE_REPLIES:
		net_lose(world, false);
		break;
	case OP_REPEAT:
		net_repeat_late(world);
		break;
	case OP_HANG:
		net_hang_redis(world, op->a);
		break;
	default: /* of another group */
		break;
	}
}

/* Its data are gone: all of them, some, or the last ones. */
static void happen_to_redis(struct world *world, const struct op *op)
{
	switch (op->kind) {
	case OP_EMPTY:
		net_cut(world);
		redis_model_flush_scripts(&world->redis);
		redis_model_flush(&world->redis);
		truth_harmed(world);
		break;
	case OP_FLUSH:
		redis_model_flush(&world->redis);
		truth_harmed(world);
		break;
	case OP_SAVE:
		if (!world->planted[0])
			redis_db_copy(&world->past, &world->redis.db);
		break;
	case OP_PAST:
		back_to_the_past(world);
		break;
	case OP_EVICT:
		world->redis.evicts = true;
		redis_model_evict(&world->redis, (size_t)op->a);
		truth_harmed(world);
		break;
	case OP_SCRIPTS:
		redis_model_flush_scripts(&world->redis);
		break;
	default: /* of another group */
		break;
	}
}

static void change_mood(struct world *world, const struct op *op)
{
	if (op->kind == OP_PLANT)
		plant(world, op);
	else if (op->kind == OP_OOM)
		set_mood(world, REDIS_OOM, op->a);
	else if (op->kind == OP_READONLY)
		set_mood(world, REDIS_READONLY, op->a);
	else
		set_mood(world, REDIS_LOADING, op->a);
}

static void stall(struct world *world, const struct op *op)
{
	if (op->kind == OP_STALL && !broker_is_up(world))
		return;
	if (op->kind == OP_STALL)
		broker_stall(world, op->a);
	worker_stall(world, op->a);
}

static void apply(struct world *world, const struct op *op)
{
	char line[128];
	op_print(op, line, sizeof(line));
	sim_say(world, "-- %s", line);
	switch (op_group_of(op->kind)) {
	case GROUP_CLIENT:
	case GROUP_DECLARE:
	case GROUP_OVERRIDE:
	case GROUP_BEAT:
	case GROUP_TYPING:
		broker_queue(world, op);
		break;
	case GROUP_NET:
		happen_to_network(world, op);
		break;
	case GROUP_REDIS:
		happen_to_redis(world, op);
		break;
	case GROUP_MOOD:
		change_mood(world, op);
		break;
	case GROUP_BROKER:
		go_down(world, op);
		break;
	case GROUP_STALL:
		stall(world, op);
		break;
	case GROUP_CLOCK:
		world->wall_offset_ms += op->a;
		world->truth.is_clock_odd = true;
		break;
	case GROUP_FILE:
		file_fail(world, op->a);
		break;
	case GROUPS:
		break;
	}
}

/* ---- time ---- */

static void sooner(int64_t *at_ms, int64_t ms)
{
	if (ms < *at_ms)
		*at_ms = ms;
}

static int64_t next_ms(const struct world *world, bool with_broker)
{
	int64_t at_ms = worker_next_ms(world);
	if (with_broker) {
		sooner(&at_ms, broker_next_ms(world));
		for (int i = 0; i < TIMERS; i++)
			if (world->timers[i])
				sooner(&at_ms, world->timers[i]);
		if (world->next_op < world->op_count)
			sooner(&at_ms, world->begin_ms + world->ops[world->next_op].at_ms);
	}
	return at_ms;
}

static void advance(struct world *world, int64_t at_ms)
{
	if (at_ms > world->now_ms)
		world->now_ms = at_ms;
	world->redis.now_ms = world->now_ms;
}

void world_pass_without_broker(struct world *world, int64_t until_ms)
{
	while (!worker_is_idle(world) && next_ms(world, false) <= until_ms) {
		advance(world, next_ms(world, false));
		worker_turn(world);
	}
}

void world_nap(struct world *world, int64_t ms)
{
	int64_t until_ms = world->now_ms + ms;
	while (next_ms(world, false) <= until_ms) {
		advance(world, next_ms(world, false));
		worker_turn(world);
	}
	advance(world, until_ms);
}

static bool is_due(const struct world *world, enum timer timer)
{
	return world->timers[timer] && world->timers[timer] <= world->now_ms;
}

static void turn(struct world *world)
{
	advance(world, next_ms(world, true));
	while (world->next_op < world->op_count &&
		world->begin_ms + world->ops[world->next_op].at_ms <= world->now_ms)
		apply(world, &world->ops[world->next_op++]);
	if (is_due(world, TIMER_MOOD)) {
		world->redis.mood = REDIS_FINE;
		world->timers[TIMER_MOOD] = 0;
	}
	if (is_due(world, TIMER_PLANT))
		unplant(world);
	if (is_due(world, TIMER_START))
		come_up(world);
	worker_turn(world);
	if (broker_is_up(world) && broker_next_ms(world) <= world->now_ms)
		broker_turn(world);
}

static void heal(struct world *world)
{
	sim_say(world, "-- heal");
	world->is_healed = true;
	world->heal_ms = world->now_ms;
	world->redis.mood = REDIS_FINE;
	world->timers[TIMER_MOOD] = 0;
	unplant(world);
	net_heal(world);
	if (!broker_is_up(world))
		come_up(world);
}

static void run_until(struct world *world, int64_t at_ms)
{
	for (int steps = 0; !world->failure[0] && next_ms(world, true) <= at_ms; steps++) {
		turn(world);
		if (steps > SAFETY_MAX_STEPS)
			sim_fail(world, "time stands still");
	}
	advance(world, at_ms);
}

static int64_t last_op_ms(const struct op *ops, size_t count)
{
	return count ? ops[count - 1].at_ms : 0;
}

static void begin(struct world *world, uint64_t seed, const struct settings *settings)
{
	world->seed = seed;
	world->random = seed * 0x9e3779b97f4a7c15u + 1;
	settings_roll(seed, &world->settings);
	if (settings)
		world->settings = *settings;
	world->now_ms = world->begin_ms = BEGIN_MS;
	world->wall_offset_ms = begin_wall_ms - BEGIN_MS;
	the_world = world;
	redis_model_init(&world->redis);
	world->redis.now_ms = world->now_ms;
	world->redis.heard = truth_event;
	world->redis.context = world;
	truth_init(world);
	worker_create(world);
	broker_create(world);
	broker_start(world);
}

void world_run(uint64_t seed, const struct op *ops, size_t count, const struct way *way,
	struct outcome *outcome)
{
	struct world *world = room_of(sizeof(*world));
	memset(world, 0, sizeof(*world));
	world->is_verbose = way->is_verbose;
	world->is_recorded = way->recorded;
	world->ops = ops;
	world->op_count = count;
	begin(world, seed, way->recorded);
	run_until(world, BEGIN_MS + last_op_ms(ops, count) + 100);
	if (!world->failure[0] && !world->is_recorded) {
		heal(world);
		run_until(world, world->now_ms + HEAL_MS + CALM_MS);
	}
	if (!world->failure[0] && !world->is_recorded)
		truth_converged(world);
	*outcome = (struct outcome){ .is_good = !world->failure[0],
		.kind = world->failure_kind,
		.trace = world->trace,
		.publishes = world->truth.publishes,
		.events = world->truth.events };
	(void)snprintf(outcome->failure, sizeof(outcome->failure), "%s", world->failure);
	world->is_recorded = false;
	broker_destroy(world);
	worker_destroy(world);
	redis_model_finish(&world->redis);
	redis_db_finish(&world->past);
	free(world);
}
