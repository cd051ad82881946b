/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "broker.h"
#include "chance.h"
#include "past.h"

/* Seeded histories of what people and devices declare: the real core, a network that cuts, delays,
 * loses and repeats, and a Redis that forgets. When the faults end, Redis must say of everybody
 * what the core says; and never, whatever is lost, does it show whom nobody may see.
 * PRESENCE_SEED and PRESENCE_RUNS choose other ones. */

enum { SUBJECTS = 3, DEVICES = 2, STEPS = 150, RUNS = 500, CLIENT_MAX = 64, TEXT_MAX = 512 };

enum fault {
	FAULT_CUT = 1,
	FAULT_LATE = 2,  /* commands of abandoned connections run later */
	FAULT_FLUSH = 4, /* everything is gone */
	FAULT_PAST = 8,  /* an old state comes back */
	FAULT_SCRIPTS = 16,
	FAULT_BOOT = 32,   /* the broker restarts */
	FAULT_EVICT = 64,  /* a key is evicted */
	FAULT_BATCH = 128, /* long pauses, so that much waits */
	FAULTS = 256,
};

struct world {
	struct server *server;
	struct broker broker;
	struct past past;
	uint64_t random, seed, boot, tokens;
	unsigned faults;
	uint64_t session[SUBJECTS][DEVICES]; /* 0: none */
	bool told[SUBJECTS];                 /* of each, that nobody may see it, and Redis knows */
	bool evicted;   /* in this run: what is said of people may be missing */
	bool restarted; /* in this run: nobody may know what Redis knows */
	uint64_t shown; /* times that somebody hidden was not offline */
};

struct totals {
	uint64_t runs, operations, overrides, commands, cuts, late, flushes, pasts, boots,
		evictions, resyncs, looks, wrong;
};

static const char *const ids[SUBJECTS] = { "u0", "u1", "u2" };
static const char *const device_names[DEVICES] = { "web", "phone" };
static const char *const notes[] = { NULL, "lunch", "a|b/\"c\"", "gr\xc3\xbc\xc3\x9f" };

static uint64_t roll(struct world *world, uint64_t below)
{
	return chance_below(&world->random, below);
}

static bool has(const struct world *world, unsigned fault)
{
	return world->faults & fault;
}

/* ---- what happens ---- */

static void feed(struct world *world, struct presence_event event)
{
	(void)broker_feed(&world->broker, event); /* what has no effect is an event too */
}

static void toggle(struct world *world, int s, int d)
{
	static const enum presence_end ends[] = { PRESENCE_END_DISCONNECT, PRESENCE_END_LOST,
		PRESENCE_END_KICKED, PRESENCE_END_UNKNOWN };
	uint64_t *token = &world->session[s][d];
	char client[CLIENT_MAX];
	if (*token) {
		feed(world,
			(struct presence_event){
				.type = PRESENCE_DISCONNECTED,
				.token = *token,
				.end = ends[roll(world, 4)],
			});
		*token = 0;
		return;
	}
	*token = ++world->tokens;
	(void)snprintf(client, sizeof(client), "%s:%s", ids[s], device_names[d]);
	feed(world,
		(struct presence_event){
			.type = PRESENCE_CONNECTED,
			.token = *token,
			.client_id = client,
			.role = "agent",
			.id = ids[s],
			.device = device_names[d],
		});
}

static void override(struct world *world, int s, struct totals *totals)
{
	enum presence_override what = (enum presence_override)roll(world, 6);
	if (what > PRESENCE_OVERRIDE_INVISIBLE)
		what = PRESENCE_OVERRIDE_INVISIBLE;
	int64_t ttl_ms = roll(world, 2) ? (int64_t)roll(world, 20000) + 1 : 0;
	totals->overrides++;
	feed(world,
		(struct presence_event){
			.type = PRESENCE_OVERRIDDEN,
			.role = "agent",
			.id = ids[s],
			.override = what,
			.note = notes[roll(world, 4)],
			.until_ms = ttl_ms ? world->broker.driver.wall_ms + ttl_ms : 0,
		});
}

static void operate(struct world *world, struct totals *totals)
{
	int s = (int)roll(world, SUBJECTS), d = (int)roll(world, DEVICES);
	uint64_t token = world->session[s][d];
	totals->operations++;
	switch (roll(world, 10)) {
	case 0:
	case 1:
	case 2:
		toggle(world, s, d);
		break;
	case 3:
	case 4:
		override(world, s, totals);
		break;
	case 5:
	case 6:
		feed(world,
			(struct presence_event){
				.type = PRESENCE_DECLARE,
				.token = token,
				.status = (enum presence_status)roll(world, 4),
				.note = notes[roll(world, 4)],
			});
		break;
	case 7:
		feed(world,
			(struct presence_event){
				.type = roll(world, 2) ? PRESENCE_UNDECLARE : PRESENCE_LEAVE,
				.token = token,
			});
		break;
	case 8:
		feed(world,
			(struct presence_event){
				.type = PRESENCE_TYPED,
				.token = token,
				.conversation = "room",
				.active = roll(world, 2),
			});
		break;
	default:
		feed(world,
			(struct presence_event){
				.type = PRESENCE_FORGET,
				.role = "agent",
				.id = ids[s],
			});
		break;
	}
}

static void forget_told(struct world *world)
{
	for (int s = 0; s < SUBJECTS; s++)
		world->told[s] = false;
}

static void restart(struct world *world)
{
	broker_stop(&world->broker);
	broker_start(&world->broker, ++world->boot);
	memset(world->session, 0, sizeof(world->session));
	/* What was not written yet is forgotten. */
	forget_told(world);
	world->restarted = true;
}

static void evict(struct world *world)
{
	static const char *const kinds[] = { "subject:agent/u0", "state:agent/u0",
		"subject:agent/u1", "state:agent/u1", "overrides", "typing:room", "online:agent" };
	server_do(world->server, "DEL presence:{0}:%s", kinds[roll(world, 7)]);
	world->evicted = true;
}

static void trouble(struct world *world, struct totals *totals)
{
	struct driver *driver = &world->broker.driver;
	switch (world->faults & (1u << roll(world, 8))) {
	case FAULT_CUT:
		totals->cuts += driver->wire != NULL;
		driver_cut(driver, has(world, FAULT_LATE));
		break;
	case FAULT_FLUSH:
		if (roll(world, 4))
			break;
		server_do(world->server, "FLUSHALL");
		totals->flushes++;
		break;
	case FAULT_PAST:
		if (!world->past.count) {
			past_save(&world->past, world->server);
			break;
		}
		past_bring_back(&world->past, world->server);
		past_drop(&world->past);
		totals->pasts++;
		break;
	case FAULT_SCRIPTS:
		server_do(world->server, "SCRIPT FLUSH");
		break;
	case FAULT_BOOT:
		if (roll(world, 4))
			break;
		restart(world);
		totals->boots++;
		break;
	case FAULT_EVICT:
		evict(world);
		totals->evictions++;
		break;
	default: /* one that this history does not have */
		break;
	}
}

static void network(struct world *world, struct totals *totals)
{
	struct driver *driver = &world->broker.driver;
	switch (roll(world, has(world, FAULT_BATCH) ? 10 : 5)) {
	case 0:
		(void)driver_connect(driver);
		driver_step(driver);
		break;
	case 1:
	case 2:
		while (roll(world, 4) && driver_execute(driver, driver->wire))
			;
		break;
	case 3:
		while (roll(world, 4) && driver_answer(driver))
			;
		driver_step(driver);
		break;
	case 4:
		totals->late += driver_execute_late(driver);
		if (!roll(world, 4))
			(void)broker_turn(&world->broker);
		break;
	default:
		break;
	}
}

static void pass_time(struct world *world, int64_t ms)
{
	struct driver *driver = &world->broker.driver;
	while (ms > 0) { /* a loop that stands still is not what this is about */
		int64_t step_ms = ms < 1000 ? ms : 1000;
		driver->now_ms += step_ms;
		driver->wall_ms += roll(world, 50) ? step_ms : -2000;
		feed(world, (struct presence_event){ .type = PRESENCE_TICK });
		ms -= step_ms;
	}
	mailbox_beat(driver->box, driver->now_ms);
}

/* ---- comparing ---- */

/* Whom nobody may see is hidden from the moment that all which waits is written. */
static void note_hidden(struct world *world, bool is_quiet)
{
	for (int s = 0; s < SUBJECTS; s++) {
		struct presence_session session;
		bool is_hidden = false;
		for (int d = 0; d < DEVICES; d++)
			if (world->session[s][d] &&
				!presence_session(
					world->broker.core, world->session[s][d], &session))
				is_hidden = is_hidden || session.is_hidden;
		if (!is_hidden)
			world->told[s] = false;
		else if (is_quiet)
			world->told[s] = true;
	}
}

static void look(struct world *world, struct totals *totals)
{
	char status[TEXT_MAX], score[TEXT_MAX];
	uint64_t waiting, merged, lost;
	int64_t oldest_ms;
	mailbox_get_counts(world->broker.driver.box, &waiting, &oldest_ms, &merged, &lost);
	note_hidden(world, !waiting && redis_writer_idle(world->broker.driver.writer));
	/* A past that comes back may be one in which they were seen. */
	for (int s = 0; s < SUBJECTS && !has(world, FAULT_PAST); s++) {
		if (!world->told[s])
			continue;
		totals->looks++;
		(void)server_text(world->server, status, sizeof(status),
			"HGET presence:{0}:subject:agent/%s status", ids[s]);
		(void)server_text(world->server, score, sizeof(score),
			"ZSCORE presence:{0}:online:agent %s", ids[s]);
		if ((!*status || !strcmp(status, "offline")) && !*score)
			continue;
		print_message("seed %" PRIu64 " faults %u: hidden %s is \"%s\", score \"%s\"\n",
			world->seed, world->faults, ids[s], status, score);
		world->shown++;
		world->told[s] = false;
	}
}

static bool complain(
	struct world *world, int s, const char *what, const char *found, const char *expected)
{
	print_message("seed %" PRIu64 " faults %u: %s of %s is \"%s\", should be \"%s\"\n",
		world->seed, world->faults, what, ids[s], found, expected);
	return false;
}

static bool field_is(struct world *world, int s, const char *field, const char *expected)
{
	char found[TEXT_MAX];
	(void)server_text(world->server, found, sizeof(found),
		"HGET presence:{0}:subject:agent/%s %s", ids[s], field);
	return !strcmp(found, expected) || complain(world, s, field, found, expected);
}

static bool number_is(struct world *world, int s, const char *field, int64_t expected)
{
	char text[32] = "";
	if (expected || strcmp(field, "until") != 0)
		(void)snprintf(text, sizeof(text), "%" PRId64, expected);
	return field_is(world, s, field, text);
}

static bool compare_record(struct world *world, int s, const struct presence_record *record)
{
	char score[TEXT_MAX];
	(void)server_text(
		world->server, score, sizeof(score), "ZSCORE presence:{0}:online:agent %s", ids[s]);
	bool is_online = record->status != PRESENCE_OFFLINE;
	if ((*score != '\0') != is_online)
		return complain(world, s, "score", score, is_online ? "some" : "none");
	return field_is(world, s, "status", presence_status_name(record->status)) &&
		field_is(world, s, "previous", presence_status_name(record->previous)) &&
		field_is(world, s, "source", presence_source_name(record->source)) &&
		field_is(world, s, "note", record->note ? record->note : "") &&
		number_is(world, s, "until", record->until_ms) &&
		number_is(world, s, "devices", record->devices) &&
		number_is(world, s, "since", record->since_ms) &&
		/* Of who is offline, later evidence need not be published. */
		(!is_online || number_is(world, s, "last_seen", record->last_seen_ms));
}

/* What the core would say again of a subject: the only way to look at its override. */
static bool compare_override(struct world *world, int s)
{
	char found[TEXT_MAX], expected[TEXT_MAX] = "none", *word = found;
	struct presence_event event = {
		.type = PRESENCE_ASSERT,
		.role = "agent",
		.id = ids[s],
		.targets = PRESENCE_TARGET_STORE,
		.now_ms = world->broker.driver.now_ms,
		.wall_ms = world->broker.driver.wall_ms,
	};
	struct presence_effects effects;
	if (!presence_step(world->broker.core, &event, &effects)) {
		event.type = PRESENCE_TICK;
		while (presence_deadline(world->broker.core) <= event.now_ms) {
			(void)presence_step(world->broker.core, &event, &effects);
			for (size_t i = 0; i < effects.count; i++)
				if (effects.item[i].type == PRESENCE_STORE_OVERRIDE &&
					!strcmp(effects.item[i].record.id, ids[s]))
					(void)snprintf(expected, sizeof(expected), "%s",
						presence_override_name(effects.item[i].override));
		}
	}
	(void)server_text(world->server, found, sizeof(found),
		"HGET presence:{0}:overrides agent/%s", ids[s]);
	if (!*found && (!strcmp(expected, "none") || world->evicted))
		return true;
	const char *until = strstr(found, "\"until\":");
	if (until && strtoll(until + 8, NULL, 10) <= event.wall_ms) {
		(void)snprintf(
			found, sizeof(found), "none"); /* it ended while the broker was down */
	} else if (!strncmp(found, "{\"status\":\"", 11)) {
		word = found + 11;
		word[strcspn(word, "\"")] = '\0';
	}
	return !strcmp(word, expected) || complain(world, s, "override", word, expected);
}

static bool compare_subject(struct world *world, int s)
{
	struct presence_record record;
	char status[TEXT_MAX];
	(void)server_text(world->server, status, sizeof(status),
		"HGET presence:{0}:subject:agent/%s status", ids[s]);
	if (presence_lookup(world->broker.core, "agent", ids[s], &record)) {
		/* A restart right before Redis is told leaves nobody who would know. */
		bool may_be_offline = world->restarted || has(world, FAULT_PAST);
		if (*status && (strcmp(status, "offline") != 0 || !may_be_offline))
			return complain(world, s, "status", status, "");
		return compare_override(world, s);
	}
	/* One that is offline and was taken from Redis is not missed. */
	if (!*status && record.status == PRESENCE_OFFLINE && world->evicted)
		return compare_override(world, s);
	return compare_record(world, s, &record) && compare_override(world, s);
}

/* All faults end; everybody has its say. */
static void calm(struct world *world)
{
	struct broker *broker = &world->broker;
	server_do(world->server, "DEL presence:{0}:lease:b1");
	for (int round = 0; round < 30; round++) {
		broker_settle(broker);
		while (driver_execute_late(&broker->driver))
			;
		broker_pass(broker, 3000);
	}
	broker_settle(broker);
}

static void run(struct server *server, uint64_t seed, struct totals *totals)
{
	struct world *world = calloc(1, sizeof(*world));
	assert_non_null(world);
	world->server = server;
	world->seed = seed;
	world->random = seed;
	world->faults = (unsigned)roll(world, FAULTS);
	server_do(server, "FLUSHALL");
	broker_init(&world->broker, server, "b1");
	broker_start(&world->broker, ++world->boot);
	for (int step = 0; step < STEPS; step++) {
		if (!roll(world, 3))
			operate(world, totals);
		if (!roll(world, 4))
			trouble(world, totals);
		for (int i = 0; i < 8; i++) {
			network(world, totals);
			look(world, totals);
		}
		pass_time(world, (int64_t)roll(world, roll(world, 10) ? 50 : 5000));
	}
	calm(world);
	look(world, totals);
	bool good = !world->shown;
	for (int s = 0; s < SUBJECTS && good; s++)
		good = compare_subject(world, s);
	totals->wrong += !good;
	struct store_stats stats;
	int64_t oldest_ms;
	redis_writer_stats(world->broker.driver.writer, &stats, &oldest_ms);
	totals->resyncs += stats.resyncs;
	totals->commands += world->broker.driver.executed;
	broker_stop(&world->broker);
	past_drop(&world->past);
	free(world);
	totals->runs++;
}

static void test_histories(void **state)
{
	struct server server;
	struct totals totals = { 0 };
	uint64_t first = chance_chosen("PRESENCE_SEED", 1);
	uint64_t runs = chance_chosen("PRESENCE_RUNS", RUNS);
	(void)state;
	server_init(&server);
	server_start(&server, NULL);
	for (uint64_t seed = first; seed < first + runs && totals.wrong < 5; seed++)
		run(&server, seed, &totals);
	server_finish(&server);
	print_message("seeds %" PRIu64 " to %" PRIu64 ": %" PRIu64 " events, %" PRIu64
		      " overrides, %" PRIu64 " commands, %" PRIu64 " cuts, %" PRIu64
		      " late commands, %" PRIu64 " flushes, %" PRIu64 " pasts, %" PRIu64
		      " restarts, %" PRIu64 " evictions, %" PRIu64 " resyncs, %" PRIu64
		      " looks at who is hidden; %" PRIu64 " of %" PRIu64 " wrong\n",
		first, first + totals.runs - 1, totals.operations, totals.overrides,
		totals.commands, totals.cuts, totals.late, totals.flushes, totals.pasts,
		totals.boots, totals.evictions, totals.resyncs, totals.looks, totals.wrong,
		totals.runs);
	assert_int_equal(totals.wrong, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_histories) };
	return cmocka_run_group_tests(tests, NULL, NULL);
}
