/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
/* What the state machine costs by itself: no sockets, no threads, a clock only to measure.
 *
 *     core_bench [devices...]      1000 10000 100000 1000000 unless told otherwise
 *
 * Each size runs a few times, each time in a fresh process. Some runs read the clock only around
 * whole phases: those give bytes and nanoseconds. The others read it around every step: those give
 * the longest pause. A pause of ours comes at the same step in every run, one of the machine does
 * not, so of each step the shortest of all runs counts. Fails when a record is missing,
 * and names the phase. */

#include <inttypes.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "core/presence.h"

enum {
	RUNS = 3, /* of each kind */
	DEVICES_MAX = 1000000,
	LOST_MAX = 100000,
	STEPS_PER_ROUND = 1000000, /* small sizes go round until they have done so many */
	STEPS_PER_MS = 1000,       /* how fast the core's own time goes by */
	GRACE_MS = 3000,
};

enum phase { NEW, END, BACK, RESYNC, LOSE, EXPIRE, PHASES };

static const char *const phase_names[PHASES] = {
	[NEW] = "a new device",
	[END] = "clean end",
	[BACK] = "connect again",
	[RESYNC] = "say again",
	[LOSE] = "lost",
	[EXPIRE] = "grace over",
};

/* Shared between the parent and its runs. */
struct result {
	double ns[PHASES][RUNS];
	double heap_bytes, rss_bytes, offline_bytes; /* per device */
	uint32_t seen_ns; /* the longest step of any run, whoever made it long */
	size_t begins[PHASES];
	size_t steps;
	uint32_t step_ns[]; /* the shortest of all runs */
};

struct run {
	struct presence *core;
	struct result *result;
	bool clocked;
	uint32_t devices;
	size_t steps;
	int64_t now_ms;
	uint64_t published;
};

/* Coprime with ten: multiplied modulo the number of devices, each visits every device once, in an
 * order no cache can guess. The third undoes the second. */
enum { ORDER_END = 435761, ORDER_BACK = 702137, PLACE_BACK = 312073, ORDER_LOST = 381913 };

static uint32_t shuffled(uint32_t i, uint32_t order, uint32_t devices)
{
	return (uint32_t)((uint64_t)i * order % devices);
}

static int64_t read_ns(clockid_t clock)
{
	struct timespec now;
	if (clock_gettime(clock, &now))
		abort();
	return now.tv_sec * INT64_C(1000000000) + now.tv_nsec;
}

static void die(const char *what)
{
	fprintf(stderr, "core_bench: %s\n", what);
	exit(EXIT_FAILURE);
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
	struct presence_effects effects;
	event->now_ms = run->now_ms;
	event->wall_ms = INT64_C(1763769600000) + run->now_ms;
	int64_t began_ns = run->clocked ? read_ns(CLOCK_MONOTONIC) : 0;
	int err = presence_step(run->core, event, &effects);
	if (run->clocked)
		note_step(run, read_ns(CLOCK_MONOTONIC) - began_ns);
	if (err)
		die("the core refused an event");
	run->steps++;
	for (size_t i = 0; i < effects.count; i++)
		run->published += effects.item[i].type == PRESENCE_PUBLISH;
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
	for (int place = 5; place >= 0; place--, number /= 10)
		digits[place] = (char)('0' + number % 10);
}

/* Minted one after the other as devices connect. */
static uint64_t token_of(const struct run *run, uint32_t device, uint32_t round)
{
	uint32_t place = round ? shuffled(device, PLACE_BACK, run->devices) : device;
	return (uint64_t)round * run->devices + place + 1;
}

static void connect_device(struct run *run, uint32_t device, uint32_t round)
{
	char client_id[] = "agent:u000000:laptop", id[] = "u000000";
	put_number(client_id + strlen("agent:u"), device);
	put_number(id + strlen("u"), device);
	step(run,
		&(struct presence_event){
			.type = PRESENCE_CONNECTED,
			.token = token_of(run, device, round),
			.client_id = client_id,
			.role = "agent",
			.id = id,
			.device = "laptop",
		});
}

static void end_device(struct run *run, uint32_t device, uint32_t round, enum presence_end end)
{
	step(run,
		&(struct presence_event){
			.type = PRESENCE_DISCONNECTED,
			.token = token_of(run, device, round),
			.end = end,
		});
}

static void settle(struct run *run)
{
	while (presence_deadline(run->core) <= run->now_ms)
		tick(run);
}

static double heap_bytes(void)
{
	struct mallinfo2 info = mallinfo2();
	return (double)(info.uordblks + info.hblkhd);
}

static double rss_bytes(void)
{
	unsigned long total, resident;
	FILE *file = fopen("/proc/self/statm", "re");
	if (!file || fscanf(file, "%lu %lu", &total, &resident) != 2)
		die("no /proc/self/statm");
	(void)fclose(file);
	return (double)resident * (double)sysconf(_SC_PAGESIZE);
}

static int64_t phase_begin(struct run *run, enum phase phase)
{
	if (run->clocked)
		run->result->begins[phase] = run->steps;
	run->published = 0;
	return read_ns(CLOCK_PROCESS_CPUTIME_ID);
}

static double phase_ns(const struct run *run, enum phase phase, int64_t began_ns, uint32_t expected)
{
	double ns = (double)(read_ns(CLOCK_PROCESS_CPUTIME_ID) - began_ns) / expected;
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
		connect_device(run, i, 0);
	}
	double ns = phase_ns(run, NEW, began_ns, run->devices);
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
		end_device(run, shuffled(i, ORDER_END, run->devices), round - 1,
			PRESENCE_END_DISCONNECT);
	}
	return phase_ns(run, END, began_ns, run->devices);
}

static double come_back(struct run *run, uint32_t round)
{
	int64_t began_ns = phase_begin(run, BACK);
	for (uint32_t i = 0; i < run->devices; i++) {
		advance(run, i);
		connect_device(run, shuffled(i, ORDER_BACK, run->devices), round);
	}
	return phase_ns(run, BACK, began_ns, run->devices);
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
	return phase_ns(run, RESYNC, began_ns, run->devices);
}

/* Connections break, one a step; grace goes by; one device after the other is offline. */
static double lose(struct run *run, uint32_t round)
{
	uint32_t lost = run->devices < LOST_MAX ? run->devices : LOST_MAX;
	(void)phase_begin(run, LOSE);
	for (uint32_t i = 0; i < lost; i++) {
		advance(run, i);
		end_device(run, shuffled(i, ORDER_LOST, run->devices), round, PRESENCE_END_LOST);
	}
	for (int passed_ms = 0; passed_ms < GRACE_MS; passed_ms += GRACE_MS / 3) {
		run->now_ms += GRACE_MS / 3;
		if (presence_deadline(run->core) > run->now_ms)
			tick(run);
	}
	int64_t began_ns = phase_begin(run, EXPIRE);
	settle(run);
	return phase_ns(run, EXPIRE, began_ns, lost);
}

static void run_once(struct result *result, uint32_t devices, bool clocked, int number)
{
	const struct presence_config config = {
		.grace_ms = GRACE_MS,
		.offline_retain_ms = INT64_C(7) * 24 * 3600 * 1000,
		.subjects_max = DEVICES_MAX,
		.devices_max = 32,
		.hash_key = "any sixteen of t",
	};
	struct run run = { .result = result, .clocked = clocked, .devices = devices };
	double base_bytes = heap_bytes(), ns[PHASES] = { 0 };
	uint32_t rounds = clocked ? 1 : STEPS_PER_ROUND / devices;

	run.core = presence_create(&config, 0);
	if (!run.core)
		die("out of memory");
	ns[NEW] = fill(&run);
	for (uint32_t round = 1; round <= rounds; round++) {
		ns[END] += leave(&run, round) / rounds;
		if (!clocked && round == 1)
			result->offline_bytes = (heap_bytes() - base_bytes) / devices;
		ns[BACK] += come_back(&run, round) / rounds;
	}
	ns[RESYNC] = say_again(&run);
	ns[EXPIRE] = lose(&run, rounds);
	for (int phase = 0; !clocked && phase < PHASES; phase++)
		result->ns[phase][number] = ns[phase];
	if (clocked)
		result->steps = run.steps;
}

static void run_in_child(struct result *result, uint32_t devices, bool clocked, int number)
{
	int status;
	pid_t child = fork();
	if (child < 0)
		die("no fork");
	if (!child) {
		run_once(result, devices, clocked, number);
		_exit(EXIT_SUCCESS);
	}
	if (waitpid(child, &status, 0) != child || status)
		die("a run failed");
}

static int compare(const void *left, const void *right)
{
	double a = *(const double *)left, b = *(const double *)right;
	return (a > b) - (a < b);
}

static double median(double values[RUNS])
{
	qsort(values, RUNS, sizeof(*values), compare);
	return values[RUNS / 2];
}

static size_t longest_step(const struct result *result)
{
	size_t longest = 0;
	for (size_t i = 0; i < result->steps; i++)
		if (result->step_ns[i] > result->step_ns[longest])
			longest = i;
	return longest;
}

static enum phase phase_of(const struct result *result, size_t place)
{
	enum phase phase = PHASES - 1;
	while (phase > NEW && result->begins[phase] > place)
		phase--;
	return phase;
}

static void print_result(uint32_t devices, struct result *result)
{
	size_t longest = longest_step(result);
	printf("| %" PRIu32 " | %.0f | %.0f | %.0f | %.0f | %.0f | %.0f | %.0f | %.0f | %.1f (%s) "
	       "| %.1f |\n",
		devices, result->heap_bytes, result->offline_bytes, result->rss_bytes,
		median(result->ns[NEW]), median(result->ns[END]), median(result->ns[BACK]),
		median(result->ns[RESYNC]), median(result->ns[EXPIRE]),
		result->step_ns[longest] / 1e3, phase_names[phase_of(result, longest)],
		result->seen_ns / 1e3);
	(void)fflush(stdout);
}

static void measure(uint32_t devices)
{
	size_t room = 6 * (size_t)devices + 1000;
	size_t size = sizeof(struct result) + room * sizeof(uint32_t);
	struct result *result = mmap(
		NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (result == MAP_FAILED)
		die("out of memory");
	for (int number = 0; number < RUNS; number++)
		run_in_child(result, devices, false, number);
	memset(result->step_ns, 0xff, room * sizeof(uint32_t));
	result->steps = room;
	for (int number = 0; number < RUNS; number++)
		run_in_child(result, devices, true, number);
	print_result(devices, result);
	(void)munmap(result, size);
}

int main(int argc, char *argv[])
{
	static const char *const every[] = { "1000", "10000", "100000", "1000000", NULL };
	printf("| devices | bytes online | bytes offline | RSS | ns: new | clean end | again | "
	       "say again | grace over | longest step, µs | longest seen, µs |\n"
	       "|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|\n");
	(void)fflush(stdout);
	const char *const *size = argc > 1 ? (const char *const *)argv + 1 : every;
	for (; *size; size++) {
		long devices = strtol(*size, NULL, 10);
		if (devices < 1000 || devices > DEVICES_MAX || DEVICES_MAX % devices)
			die("devices: 1000 to 1000000, a divisor of a million");
		measure((uint32_t)devices);
	}
	return EXIT_SUCCESS;
}
