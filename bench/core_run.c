/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
#include "core_run.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "core/presence.h"
#include "measure.h"

enum {
	SOME_MAX = 100000,
	STEPS_PER_ROUND = 1000000, /* small sizes go round until they have done so many */
	STEPS_PER_MS = 1000,       /* how fast the core's own time goes by */
	GRACE_MS = 3000,
};

const char *const phase_names[PHASES] = {
	[NEW] = "a new device",
	[END] = "clean end",
	[BACK] = "connect again",
	[LOSE] = "lost",
	[RETURN] = "back in grace",
	[RESYNC] = "say again",
	[BEAT] = "heartbeat",
	[DECLARE] = "declare",
	[EXPIRE] = "grace over",
};

struct run {
	struct presence *core;
	struct result *result;
	bool clocked;
	uint32_t devices;
	size_t steps;
	int64_t now_ms;
	uint64_t published;
	struct presence_effects
		effects;     /* not on the stack, where the compiler clears it each time */
	uint32_t place_back; /* undoes ORDER_BACK */
};

/* Coprime with ten: multiplied modulo the number of devices, each visits every device once, in an
 * order no cache can guess. */
enum { ORDER_END = 435761, ORDER_BACK = 702137, ORDER_LOST = 381913 };

/* Of those that come back in time; beyond all others. */
static const uint64_t token_returned = UINT64_C(1) << 40;

static uint32_t shuffled(uint32_t i, uint32_t order, uint32_t devices)
{
	return (uint32_t)((uint64_t)i * order % devices);
}

/* The number that, multiplied with order, is one modulo devices: by Euclid's way. */
static uint32_t inverse(uint32_t order, uint32_t devices)
{
	int64_t left = devices, right = order % devices, from = 0, to = 1;
	while (right) {
		int64_t times = left / right, rest = left % right, next = from - times * to;
		left = right;
		right = rest;
		from = to;
		to = next;
	}
	return (uint32_t)(from < 0 ? from + devices : from);
}

static void note_step(struct run *run, int64_t took_ns)
{
	struct result *result = run->result;
	uint32_t ns = took_ns < UINT32_MAX ? (uint32_t)took_ns : UINT32_MAX;
	if (run->steps >= result->steps)
		die("more steps than there is room for");
	if (ns < result->step_ns[run->steps])
		result->step_ns[run->steps] = ns;
	if (ns > result->seen_ns)
		result->seen_ns = ns;
}

static void step(struct run *run, struct presence_event *event)
{
	event->now_ms = run->now_ms;
	event->wall_ms = INT64_C(1763769600000) + run->now_ms;
	int64_t began_ns = run->clocked ? read_ns(CLOCK_MONOTONIC) : 0;
	int err = presence_step(run->core, event, &run->effects);
	if (run->clocked)
		note_step(run, read_ns(CLOCK_MONOTONIC) - began_ns);
	if (err)
		die("the core refused an event");
	run->steps++;
	for (size_t i = 0; i < run->effects.count; i++)
		run->published += run->effects.item[i].type == PRESENCE_PUBLISH;
}

static void tick(struct run *run)
{
	step(run, &(struct presence_event){ .type = PRESENCE_TICK });
}

/* Time goes by, and the loop turns often enough for the core not to think it stood still. */
static void advance(struct run *run, uint32_t i)
{
	if (i % STEPS_PER_MS)
		return;
	run->now_ms++;
	tick(run);
}

static void put_number(char *digits, uint32_t number)
{
	for (int place = 5; place >= 0; place--, number /= 16)
		digits[place] = "0123456789abcdef"[number % 16];
}

/* Minted one after the other as devices connect. */
static uint64_t token_of(const struct run *run, uint32_t device, uint32_t round)
{
	uint32_t place = round ? shuffled(device, run->place_back, run->devices) : device;
	return (uint64_t)round * run->devices + place + 1;
}

static void connect_device(struct run *run, uint32_t device, uint64_t token)
{
	char client_id[] = "agent:u000000:laptop", id[] = "u000000";
	put_number(client_id + strlen("agent:u"), device);
	put_number(id + strlen("u"), device);
	step(run,
		&(struct presence_event){
			.type = PRESENCE_CONNECTED,
			.token = token,
			.client_id = client_id,
			.role = "agent",
			.id = id,
			.device = "laptop",
		});
}

static void end_device(struct run *run, uint64_t token, enum presence_end end)
{
	step(run,
		&(struct presence_event){
			.type = PRESENCE_DISCONNECTED,
			.token = token,
			.end = end,
		});
}

static void settle(struct run *run)
{
	while (presence_deadline(run->core) <= run->now_ms)
		tick(run);
}

static int64_t phase_begin(struct run *run, enum phase phase)
{
	if (run->clocked)
		run->result->begins[phase] = run->steps;
	run->published = 0;
	return read_ns(CLOCK_PROCESS_CPUTIME_ID);
}

/* expected: records that must have been published in it. */
static double phase_ns(const struct run *run, enum phase phase, int64_t began_ns, uint32_t steps,
	uint32_t expected)
{
	double ns = (double)(read_ns(CLOCK_PROCESS_CPUTIME_ID) - began_ns) / steps;
	if (run->published != expected)
		die(phase_names[phase]);
	return ns;
}

static double fill(struct run *run)
{
	double heap = heap_bytes(), rss = rss_bytes();
	int64_t began_ns = phase_begin(run, NEW);
	for (uint32_t i = 0; i < run->devices; i++) {
		advance(run, i);
		connect_device(run, i, token_of(run, i, 0));
	}
	double ns = phase_ns(run, NEW, began_ns, run->devices, run->devices);
	if (!run->clocked) {
		run->result->heap_bytes = (heap_bytes() - heap) / run->devices;
		run->result->rss_bytes = (rss_bytes() - rss) / run->devices;
	}
	return ns;
}

static double leave(struct run *run, uint32_t round)
{
	int64_t began_ns = phase_begin(run, END);
	for (uint32_t i = 0; i < run->devices; i++) {
		advance(run, i);
		end_device(run, token_of(run, shuffled(i, ORDER_END, run->devices), round - 1),
			PRESENCE_END_DISCONNECT);
	}
	return phase_ns(run, END, began_ns, run->devices, run->devices);
}

static double come_back(struct run *run, uint32_t round)
{
	int64_t began_ns = phase_begin(run, BACK);
	for (uint32_t i = 0; i < run->devices; i++) {
		advance(run, i);
		uint32_t device = shuffled(i, ORDER_BACK, run->devices);
		connect_device(run, device, token_of(run, device, round));
	}
	return phase_ns(run, BACK, began_ns, run->devices, run->devices);
}

static double say_again(struct run *run)
{
	int64_t began_ns = phase_begin(run, RESYNC);
	step(run,
		&(struct presence_event){
			.type = PRESENCE_RESYNC,
			.targets = PRESENCE_TARGET_TOPIC | PRESENCE_TARGET_STORE,
		});
	settle(run);
	return phase_ns(run, RESYNC, began_ns, run->devices, run->devices);
}

static uint32_t some(const struct run *run)
{
	return run->devices < SOME_MAX ? run->devices : SOME_MAX;
}

/* Connections break, one a step. */
static double lose(struct run *run, uint32_t round)
{
	int64_t began_ns = phase_begin(run, LOSE);
	for (uint32_t i = 0; i < some(run); i++) {
		advance(run, i);
		uint64_t token = token_of(run, shuffled(i, ORDER_LOST, run->devices), round);
		end_device(run, token, PRESENCE_END_LOST);
	}
	return phase_ns(run, LOSE, began_ns, some(run), 0);
}

static double come_back_in_time(struct run *run)
{
	int64_t began_ns = phase_begin(run, RETURN);
	for (uint32_t i = 0; i < some(run); i++) {
		advance(run, i);
		connect_device(run, shuffled(i, ORDER_LOST, run->devices), token_returned + i);
	}
	return phase_ns(run, RETURN, began_ns, some(run), 0);
}

/* The same of each device that came back in time. */
static double each_says(struct run *run, enum phase phase, uint32_t order,
	struct presence_event event, uint32_t expected)
{
	int64_t began_ns = phase_begin(run, phase);
	for (uint32_t i = 0; i < some(run); i++) {
		advance(run, i);
		event.token = token_returned + shuffled(i, order, some(run));
		step(run, &event);
	}
	return phase_ns(run, phase, began_ns, some(run), expected);
}

static double beat(struct run *run)
{
	return each_says(
		run, BEAT, ORDER_END, (struct presence_event){ .type = PRESENCE_HEARTBEAT }, 0);
}

static double declare(struct run *run)
{
	return each_says(run, DECLARE, ORDER_BACK,
		(struct presence_event){
			.type = PRESENCE_DECLARE,
			.status = PRESENCE_DND,
			.note = "in a call",
		},
		some(run));
}

/* Connections break again; grace goes by; one device after the other is offline. */
static double expire(struct run *run)
{
	for (uint32_t i = 0; i < some(run); i++) {
		advance(run, i);
		end_device(run, token_returned + i, PRESENCE_END_LOST);
	}
	for (int passed_ms = 0; passed_ms < GRACE_MS; passed_ms += GRACE_MS / 3) {
		run->now_ms += GRACE_MS / 3;
		if (presence_deadline(run->core) > run->now_ms)
			tick(run);
	}
	int64_t began_ns = phase_begin(run, EXPIRE);
	settle(run);
	return phase_ns(run, EXPIRE, began_ns, some(run), some(run));
}

static struct presence *create(void)
{
	const struct presence_config config = {
		.grace_ms = GRACE_MS,
		.offline_retain_ms = INT64_C(7) * 24 * 3600 * 1000,
		.heartbeat_interval_ms = 3600 * 1000,
		.heartbeat_misses = 3,
		.subjects_max = DEVICES_MAX,
		.devices_max = 32,
		.hash_key = "any sixteen of t",
	};
	struct presence *core = presence_create(&config, 0);
	if (!core)
		die("out of memory");
	return core;
}

/* Of those who were there once, not at the same time. Warms up code and allocator too. */
static double offline_bytes(uint32_t devices)
{
	double base_bytes = heap_bytes();
	struct run run = { .core = create(), .devices = devices };
	for (uint32_t i = 0; i < devices; i++) {
		advance(&run, i);
		connect_device(&run, i, i + 1);
		end_device(&run, i + 1, PRESENCE_END_DISCONNECT);
	}
	double bytes = (heap_bytes() - base_bytes) / devices;
	presence_destroy(run.core);
	return bytes;
}

size_t core_run_steps(uint32_t devices)
{
	/* New, end, back, said again; the others are some; and ticks. */
	return 4 * (size_t)devices + 6 * (size_t)SOME_MAX + devices / 100 + 10000;
}

void core_run(struct result *result, uint32_t devices, bool clocked, int number)
{
	struct run run = { .result = result, .clocked = clocked, .devices = devices };
	double ns[PHASES] = { 0 };
	uint32_t rounds = clocked || devices > STEPS_PER_ROUND ? 1 : STEPS_PER_ROUND / devices;

	run.place_back = inverse(ORDER_BACK, devices);
	if (!clocked)
		result->offline_bytes = offline_bytes(devices);
	run.core = create();
	ns[NEW] = fill(&run);
	if (!clocked)
		result->miss_ns[number] = miss_ns(result->heap_bytes * devices);
	for (uint32_t round = 1; round <= rounds; round++) {
		ns[END] += leave(&run, round) / rounds;
		ns[BACK] += come_back(&run, round) / rounds;
	}
	ns[LOSE] = lose(&run, rounds);
	ns[RETURN] = come_back_in_time(&run);
	ns[RESYNC] = say_again(&run);
	ns[BEAT] = beat(&run);
	ns[DECLARE] = declare(&run);
	ns[EXPIRE] = expire(&run);
	for (int phase = 0; !clocked && phase < PHASES; phase++)
		result->ns[phase][number] = ns[phase];
	if (clocked)
		result->steps = run.steps;
	presence_destroy(run.core);
}
