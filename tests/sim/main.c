/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
/* Seeds, shortening, replay: see usage(). */

#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "room.h"
#include "sim.h"

enum { LINE_MAX_BYTES = 256, SHRINK_RUNS_MAX = 1500, TWICE_EVERY = 1000 };

static volatile uint64_t seed_now;

static void say_seed(void)
{
	char text[64];
	int length = snprintf(text, sizeof(text), "sim: seed %llu\n", (unsigned long long)seed_now);
	if (write(STDERR_FILENO, text, (size_t)length) < 0)
		_exit(1);
}

static void on_signal(int number)
{
	say_seed();
	(void)signal(number, SIG_DFL);
	(void)raise(number);
}

#if defined(__SANITIZE_ADDRESS__)
void __sanitizer_set_death_callback(void (*callback)(void));
#endif

static void watch_for_the_end(void)
{
	(void)signal(SIGABRT, on_signal);
	(void)signal(SIGSEGV, on_signal);
	(void)signal(SIGALRM, on_signal);
#if defined(__SANITIZE_ADDRESS__)
	__sanitizer_set_death_callback(say_seed);
#endif
}

struct list {
	uint64_t seed;
	struct op *ops;
	size_t count;
};

/* In a process of its own: what is looked for may be a crash. */
static bool fails(const struct list *list, uint8_t kind)
{
	int status;
	(void)fflush(stdout);
	pid_t child = fork();
	if (child < 0)
		abort();
	if (!child) {
		struct outcome outcome;
		if (!freopen("/dev/null", "w", stderr))
			_exit(1);
		(void)alarm(10);
		world_run(list->seed, list->ops, list->count, &(struct way){ 0 }, &outcome);
		_exit(outcome.kind);
	}
	if (waitpid(child, &status, 0) != child)
		abort();
	if (!WIFEXITED(status))
		return !kind;
	return kind && WEXITSTATUS(status) == kind;
}

static struct list without(const struct list *list, size_t from, size_t count)
{
	struct list less = { list->seed, room_of(list->count * sizeof(struct op)), 0 };
	for (size_t i = 0; i < list->count; i++)
		if (i < from || i >= from + count)
			less.ops[less.count++] = list->ops[i];
	return less;
}

/* Takes away halves, quarters, .. single operations, as long as it still fails. */
static void shrink(struct list *list, uint8_t kind)
{
	int runs = 0;
	for (size_t size = list->count / 2; size > 0; size = size > 1 ? (size + 1) / 2 : 0) {
		bool is_less = true;
		while (is_less && runs < SHRINK_RUNS_MAX) {
			is_less = false;
			for (size_t at = 0; at < list->count && runs < SHRINK_RUNS_MAX;) {
				struct list less = without(list, at, size);
				runs++;
				if (!fails(&less, kind)) {
					free(less.ops);
					at += size;
					continue;
				}
				free(list->ops);
				*list = less;
				is_less = true;
			}
			if (size > 1)
				break;
		}
	}
}

static void print(const struct list *list)
{
	struct settings settings;
	char text[512];
	settings_roll(list->seed, &settings);
	settings_print(&settings, text, sizeof(text));
	(void)printf("# %s\nseed %llu\n", text, (unsigned long long)list->seed);
	for (size_t i = 0; i < list->count; i++) {
		op_print(&list->ops[i], text, sizeof(text));
		(void)printf("%s\n", text);
	}
}

static struct list list_of_seed(uint64_t seed)
{
	struct settings settings;
	struct list list = { .seed = seed };
	settings_roll(seed, &settings);
	list.ops = ops_roll(seed, &settings, &list.count);
	return list;
}

static void report(struct list *list, const struct outcome *outcome)
{
	size_t count = list->count;
	(void)printf("seed %llu fails: %s\n", (unsigned long long)list->seed, outcome->failure);
	shrink(list, outcome->kind);
	(void)printf("%zu of its %zu operations are enough; save these lines and run "
		     "sim --replay FILE:\n",
		list->count, count);
	print(list);
}

static bool run_twice(const struct list *list, const struct outcome *first)
{
	struct outcome second;
	world_run(list->seed, list->ops, list->count, &(struct way){ 0 }, &second);
	if (first->trace == second.trace)
		return true;
	(void)printf("seed %llu goes two ways\n", (unsigned long long)list->seed);
	return false;
}

static int run_seeds(uint64_t first, uint64_t count, unsigned failures_max, bool is_brief)
{
	uint64_t publishes = 0, events = 0, operations = 0;
	unsigned failures = 0;
	for (uint64_t seed = first; seed < first + count && failures < failures_max; seed++) {
		struct list list = list_of_seed(seed);
		struct outcome outcome;
		seed_now = seed;
		(void)alarm(60);
		world_run(seed, list.ops, list.count, &(struct way){ 0 }, &outcome);
		(void)alarm(0);
		publishes += outcome.publishes;
		events += outcome.events;
		operations += list.count;
		if (!outcome.is_good) {
			failures++;
			if (is_brief)
				(void)printf("seed %llu: %s\n", (unsigned long long)seed,
					outcome.failure);
			else
				report(&list, &outcome);
		} else if (seed % TWICE_EVERY == 0 && !run_twice(&list, &outcome)) {
			failures++;
		}
		free(list.ops);
	}
	(void)printf("%llu seeds from %llu: %llu operations, %llu records published, "
		     "%llu stream entries, %u failures\n",
		(unsigned long long)count, (unsigned long long)first,
		(unsigned long long)operations, (unsigned long long)publishes,
		(unsigned long long)events, failures);
	return failures != 0;
}

static int run_list(const struct list *list, const struct way *way)
{
	struct outcome outcome;
	seed_now = list->seed;
	world_run(list->seed, list->ops, list->count, way, &outcome);
	(void)printf("seed %llu, %zu operations, trace %016llx: %s\n",
		(unsigned long long)list->seed, list->count, (unsigned long long)outcome.trace,
		outcome.is_good ? "good" : outcome.failure);
	return !outcome.is_good;
}

static int replay(const char *path, const struct way *way)
{
	FILE *file = fopen(path, "r");
	char line[LINE_MAX_BYTES];
	struct list list = { 0 };
	unsigned long long seed;
	if (!file) {
		(void)fprintf(stderr, "sim: cannot read %s\n", path);
		return 2;
	}
	while (fgets(line, sizeof(line), file)) {
		struct op op;
		if (sscanf(line, "seed %llu", &seed) == 1) {
			list.seed = seed;
		} else if (op_parse(line, &op)) {
			list.ops = more_room(list.ops, (list.count + 1) * sizeof(op));
			list.ops[list.count++] = op;
		} else if (line[0] != '#' && line[0] != '\n') {
			(void)fprintf(stderr, "sim: %s: not an operation: %s", path, line);
			free(list.ops);
			(void)fclose(file);
			return 2;
		}
	}
	(void)fclose(file);
	int result = run_list(&list, way);
	free(list.ops);
	return result;
}

/* A broker of that version, without stores. */
static bool settings_for_record(const char *version, struct settings *settings)
{
	static const char *const versions[] = { "2.0.11", "2.0.21", "2.1" };
	*settings = (struct settings){ .is_guarded = true,
		.partitions = 1,
		.grace_ms = 3000,
		.restart_grace_ms = 1000,
		.lease_ms = 1000,
		.ttl_ms = 9000,
		.retain_ms = 604800000 };
	for (int i = 0; i < 3; i++)
		if (!strcmp(versions[i], version)) {
			settings->version = (enum broker_version)i;
			return true;
		}
	return false;
}

static int usage(void)
{
	(void)fprintf(stderr,
		"usage: sim [--first N] [--count N] [--failures N] [--brief]   many histories\n"
		"       sim --seed N [--verbose] [--print]                      one\n"
		"       sim --replay FILE [--verbose]                           a list of "
		"operations\n");
	return 2;
}

/* What is asked for. */
struct request {
	uint64_t first, count, seed;
	unsigned failures_max;
	bool is_brief, is_printed;
	const char *path;
	struct way way;
	struct settings recorded; /* way's, if any */
};

static bool take_option(struct request *request, int option, const char *value)
{
	switch (option) {
	case 'f':
		request->first = strtoull(value, NULL, 10);
		return true;
	case 'c':
		request->count = strtoull(value, NULL, 10);
		return true;
	case 'm':
		request->failures_max = (unsigned)strtoul(value, NULL, 10);
		return true;
	case 's':
		request->seed = strtoull(value, NULL, 10);
		return true;
	case 'b':
		request->is_brief = true;
		return true;
	case 'v':
		request->way.is_verbose = true;
		return true;
	case 'p':
		request->is_printed = true;
		return true;
	case 'l':
		request->way.recorded = &request->recorded;
		return settings_for_record(value, &request->recorded);
	case 'r':
		request->path = value;
		return true;
	default:
		return false;
	}
}

static int run_seed(const struct request *request)
{
	struct list list = list_of_seed(request->seed);
	if (request->is_printed)
		print(&list);
	int result = run_list(&list, &request->way);
	free(list.ops);
	return result;
}

int main(int argc, char **argv)
{
	static const struct option options[] = { { "first", required_argument, NULL, 'f' },
		{ "count", required_argument, NULL, 'c' },
		{ "failures", required_argument, NULL, 'm' }, { "brief", no_argument, NULL, 'b' },
		{ "seed", required_argument, NULL, 's' }, { "verbose", no_argument, NULL, 'v' },
		{ "print", no_argument, NULL, 'p' }, { "replay", required_argument, NULL, 'r' },
		{ "broker-log", required_argument, NULL, 'l' }, { 0 } };
	struct request request = { .first = 1, .count = 1000, .failures_max = 1 };
	for (int option; (option = getopt_long(argc, argv, "", options, NULL)) != -1;)
		if (!take_option(&request, option, optarg))
			return usage();
	watch_for_the_end();
	if (request.path)
		return replay(request.path, &request.way);
	if (request.seed)
		return run_seed(&request);
	return run_seeds(request.first, request.count, request.failures_max, request.is_brief);
}
