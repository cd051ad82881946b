/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
/* A load generator for one broker: devices connect at a steady pace, stay a while and leave, every
 * other one with a goodbye, the rest with a reset. Somebody watches presence meanwhile.
 *
 *     broker_bench PORT PID PRESENCE CYCLES RATE WINDOW HOLD_MS
 *
 * PRESENCE is 1 for a broker with the plugin, 0 for one without; RATE is connects a second, 0 as
 * fast as can be. The pace is an open loop: when a connect is due does not depend on how the broker
 * does, unless WINDOW connects wait for their answer already. Prints one line of JSON. Fails when a
 * transition was lost, came twice or out of order. */

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "mqtt.h"

enum {
	EVENTS_MAX = 64,
	CYCLES_MAX = 1000000,
	NS_PER_MS = 1000000,
	NS_PER_S = 1000000000,
	PATIENCE_S = 10, /* for what is still to come */
	BARRIERS = 2,    /* an end and a ping may be read in any order, but not twice */
};

/* What is measured: from before connect(), DISCONNECT or the reset, to the watcher's read. */
enum latency { ONLINE, CLEAN, ABRUPT, LATENCIES };

enum device_state { WAITING, CONNECTING, ASKED, UP, GONE };
enum seen { SEEN_NOTHING, SEEN_ONLINE, SEEN_OFFLINE };

struct device {
	int fd;
	enum device_state state;
	enum seen seen;
	int64_t began_ns, up_ns, end_ns;
	long rev;
};

struct options {
	int port, pid, presence, cycles, rate, window, hold_ms;
};

struct bench {
	struct options options;
	int epoll, timer;
	struct watcher watcher;
	struct device *devices;
	int *up; /* devices in the order they came up, which is the order they leave */
	int begun, answered, ended, complete;
	int64_t began_ns, interval_ns;
	int64_t held_back_ns; /* how late the latest connect was */
	int64_t *latency[LATENCIES];
	int latencies[LATENCIES];
	int duplicates, reordered, refused;
	long queue_max, lag_max_ms;
};

/* ---- what is seen ------------------------------------------------------------------------- */

static bool leaves_abruptly(int index)
{
	return index % 2;
}

static void note_latency(struct bench *bench, enum latency kind, int64_t ns)
{
	if (bench->latencies[kind] < bench->options.cycles) /* one that flaps has failed anyway */
		bench->latency[kind][bench->latencies[kind]++] = ns;
}

/* Each device is online once and, when it has left, offline once, under rising revs. */
static void see_status(struct bench *bench, int index, enum seen status, long rev, int64_t at_ns)
{
	struct device *device = &bench->devices[index];
	if (status == device->seen) {
		bench->duplicates++;
		return;
	}
	if (status < device->seen || rev <= device->rev ||
		(status == SEEN_OFFLINE && (device->seen != SEEN_ONLINE || device->state != GONE)))
		bench->reordered++;
	else if (status == SEEN_ONLINE)
		note_latency(bench, ONLINE, at_ns - device->began_ns);
	else
		note_latency(
			bench, leaves_abruptly(index) ? ABRUPT : CLEAN, at_ns - device->end_ns);
	bench->complete += status == SEEN_OFFLINE;
	device->seen = status;
	device->rev = rev;
}

static bool number_after(const char *text, const char *before, long *number)
{
	const char *found = strstr(text, before);
	if (found)
		*number = strtol(found + strlen(before), NULL, 10);
	return found;
}

static void see(void *context, const char *topic, const char *payload, int64_t at_ns)
{
	struct bench *bench = context;
	long index, rev, value = strtol(payload, NULL, 10);
	bool online = strstr(payload, "\"status\":\"online\"");
	if (!strcmp(topic, "$SYS/broker/presence/queue") && value > bench->queue_max)
		bench->queue_max = value;
	else if (!strcmp(topic, "$SYS/broker/presence/lag_ms") && value > bench->lag_max_ms)
		bench->lag_max_ms = value;
	else if (number_after(topic, "presence/agent/u", &index) && index >= 0 &&
		index < bench->options.cycles && number_after(payload, "\"rev\":", &rev))
		see_status(bench, (int)index, online ? SEEN_ONLINE : SEEN_OFFLINE, rev, at_ns);
}

/* ---- devices ------------------------------------------------------------------------------ */

static void watch(struct bench *bench, int fd, uint32_t events, int number)
{
	struct epoll_event event = { .events = events, .data.fd = number };
	if (epoll_ctl(bench->epoll, EPOLL_CTL_ADD, fd, &event))
		die("epoll_ctl");
}

static void device_begin(struct bench *bench, int index)
{
	struct device *device = &bench->devices[index];
	device->began_ns = now_ns();
	device->state = CONNECTING;
	device->fd = mqtt_socket(bench->options.port);
	watch(bench, device->fd, EPOLLIN | EPOLLOUT | EPOLLET, index);
}

static void device_ready(struct bench *bench, int index, uint32_t events)
{
	struct device *device = &bench->devices[index];
	bool accepted = false;
	if (device->state == CONNECTING && events & EPOLLOUT) {
		char client_id[32];
		(void)snprintf(client_id, sizeof(client_id), "agent:u%06d:laptop", index);
		mqtt_send_connect(device->fd, client_id);
		device->state = ASKED;
	}
	if (device->state != ASKED || !mqtt_take_connack(device->fd, &accepted))
		return;
	bench->refused += !accepted;
	device->state = UP;
	device->up_ns = now_ns();
	bench->up[bench->answered++] = index;
}

static void device_end(struct bench *bench, int index)
{
	static const struct linger reset = { .l_onoff = 1, .l_linger = 0 };
	struct device *device = &bench->devices[index];
	device->end_ns = now_ns();
	device->state = GONE;
	if (!leaves_abruptly(index))
		mqtt_send_disconnect(device->fd);
	else if (setsockopt(device->fd, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset)))
		die("SO_LINGER");
	(void)close(device->fd);
	bench->ended++;
}

/* ---- the run ------------------------------------------------------------------------------ */

/* When the next one begins; INT64_MAX: not before another is answered. */
static int64_t begin_due_ns(const struct bench *bench)
{
	if (bench->begun == bench->options.cycles ||
		bench->begun - bench->answered == bench->options.window)
		return INT64_MAX;
	return bench->began_ns + bench->begun * bench->interval_ns;
}

static int64_t end_due_ns(const struct bench *bench)
{
	if (bench->ended == bench->answered)
		return INT64_MAX;
	return bench->devices[bench->up[bench->ended]].up_ns +
		bench->options.hold_ms * (int64_t)NS_PER_MS;
}

/* Does what is due, and sets the timer for what comes next. */
static void do_what_is_due(struct bench *bench)
{
	int64_t at_ns = now_ns();
	for (; begin_due_ns(bench) <= at_ns; at_ns = now_ns()) {
		if (bench->interval_ns && at_ns - begin_due_ns(bench) > bench->held_back_ns)
			bench->held_back_ns = at_ns - begin_due_ns(bench);
		device_begin(bench, bench->begun++);
	}
	for (; end_due_ns(bench) <= at_ns; at_ns = now_ns())
		device_end(bench, bench->up[bench->ended]);
	int64_t begin_ns = begin_due_ns(bench), end_ns = end_due_ns(bench);
	int64_t next_ns = begin_ns < end_ns ? begin_ns : end_ns;
	if (next_ns == INT64_MAX)
		next_ns = at_ns + NS_PER_S;
	struct itimerspec timer = { .it_value = { next_ns / NS_PER_S, next_ns % NS_PER_S } };
	if (timerfd_settime(bench->timer, TFD_TIMER_ABSTIME, &timer, NULL))
		die("timerfd_settime");
}

/* The watcher first: its time of reading counts. */
static void handle_events(struct bench *bench)
{
	struct epoll_event events[EVENTS_MAX];
	uint64_t expirations;
	int count = epoll_wait(bench->epoll, events, EVENTS_MAX, 1000);
	for (int i = 0; i < count; i++)
		if (events[i].data.fd == bench->options.cycles)
			watcher_read(&bench->watcher);
	for (int i = 0; i < count; i++) {
		if (events[i].data.fd < bench->options.cycles)
			device_ready(bench, events[i].data.fd, events[i].events);
		else if (events[i].data.fd > bench->options.cycles)
			(void)!read(bench->timer, &expirations, sizeof(expirations));
	}
}

static bool is_finished(const struct bench *bench)
{
	int expected = bench->options.presence ? bench->options.cycles : 0;
	return bench->ended == bench->options.cycles && bench->complete >= expected;
}

static void run(struct bench *bench)
{
	bench->began_ns = now_ns();
	int64_t until_ns = bench->began_ns + bench->options.cycles * bench->interval_ns +
		bench->options.hold_ms * (int64_t)NS_PER_MS + PATIENCE_S * (int64_t)NS_PER_S;
	while (!is_finished(bench) && now_ns() < until_ns) {
		do_what_is_due(bench);
		handle_events(bench);
	}
	errno = 0;
	if (bench->ended < bench->options.cycles)
		die("the broker does not answer");
}

/* The broker has done what it was asked before. */
static void barrier(struct bench *bench)
{
	int64_t until_ns = now_ns() + PATIENCE_S * (int64_t)NS_PER_S;
	for (int i = 0; i < BARRIERS; i++) {
		int wanted = bench->watcher.pingresps + 1;
		watcher_ping(&bench->watcher);
		while (bench->watcher.pingresps < wanted) {
			handle_events(bench);
			if (now_ns() > until_ns)
				die("no answer to a ping");
		}
	}
}

/* On-CPU time of the broker's main thread, the only one it has of its own. */
static int64_t broker_cpu_ns(const struct bench *bench)
{
	char path[64];
	int64_t ns = 0;
	(void)snprintf(path, sizeof(path), "/proc/%d/task/%d/schedstat", bench->options.pid,
		bench->options.pid);
	FILE *file = fopen(path, "re");
	if (!file || fscanf(file, "%" SCNd64, &ns) != 1)
		die(path);
	(void)fclose(file);
	return ns;
}

/* ---- what it says ------------------------------------------------------------------------- */

static int compare(const void *left, const void *right)
{
	int64_t a = *(const int64_t *)left, b = *(const int64_t *)right;
	return (a > b) - (a < b);
}

static void print_latency(struct bench *bench, enum latency kind, const char *name)
{
	int64_t *values = bench->latency[kind];
	size_t count = (size_t)bench->latencies[kind];
	qsort(values, count, sizeof(*values), compare);
	if (count)
		printf(", \"%s_ms\": {\"p50\": %.4f, \"p99\": %.4f, \"max\": %.4f}", name,
			(double)values[count / 2] / NS_PER_MS,
			(double)values[count * 99 / 100] / NS_PER_MS,
			(double)values[count - 1] / NS_PER_MS);
}

/* How many transitions went wrong. */
static int print_counts(const struct bench *bench)
{
	int lost = 0;
	for (int i = 0; bench->options.presence && i < bench->options.cycles; i++)
		lost += SEEN_OFFLINE - (int)bench->devices[i].seen;
	printf(", \"lost\": %d, \"duplicates\": %d, \"reordered\": %d, \"refused\": %d", lost,
		bench->duplicates, bench->reordered, bench->refused);
	return lost + bench->duplicates + bench->reordered + bench->refused;
}

static void read_options(struct options *options, int argc, char *argv[])
{
	int *const values[] = { &options->port, &options->pid, &options->presence, &options->cycles,
		&options->rate, &options->window, &options->hold_ms };
	int count = sizeof(values) / sizeof(*values);
	for (int i = 0; i < count && i + 1 < argc; i++)
		*values[i] = (int)strtol(argv[i + 1], NULL, 10);
	errno = EINVAL;
	if (argc != count + 1 || options->port < 1 || options->pid < 1 || options->cycles < 1 ||
		options->cycles > CYCLES_MAX || options->rate < 0 || options->window < 1)
		die("PORT PID PRESENCE CYCLES RATE WINDOW HOLD_MS");
}

static void prepare(struct bench *bench)
{
	size_t cycles = (size_t)bench->options.cycles;
	bench->interval_ns = bench->options.rate ? NS_PER_S / bench->options.rate : 0;
	bench->devices = calloc(cycles, sizeof(*bench->devices));
	bench->up = calloc(cycles, sizeof(*bench->up));
	for (int kind = 0; kind < LATENCIES; kind++)
		if (!(bench->latency[kind] = calloc(cycles, sizeof(int64_t))))
			die("memory");
	bench->epoll = epoll_create1(EPOLL_CLOEXEC);
	bench->timer = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
	if (!bench->devices || !bench->up || bench->epoll < 0 || bench->timer < 0)
		die("memory or descriptors");
	bench->watcher.see = see;
	bench->watcher.context = bench;
	watcher_begin(&bench->watcher, bench->options.port, "presencectl-bench");
	watch(bench, bench->watcher.fd, EPOLLIN, bench->options.cycles);
	watch(bench, bench->timer, EPOLLIN, bench->options.cycles + 1);
	barrier(bench); /* what is retained comes before the answer */
	if (!bench->watcher.subacks)
		die("the watcher may not subscribe");
}

int main(int argc, char *argv[])
{
	struct bench *bench = calloc(1, sizeof(*bench));
	if (!bench)
		die("memory");
	read_options(&bench->options, argc, argv);
	prepare(bench);
	int64_t before_ns = broker_cpu_ns(bench);
	run(bench);
	barrier(bench);
	int64_t took_ns = now_ns() - bench->began_ns;
	printf("{\"cpu_us\": %.3f, \"seconds\": %.3f, \"held_back_ms\": %.3f",
		(double)(broker_cpu_ns(bench) - before_ns) / 1e3 / bench->options.cycles,
		(double)took_ns / NS_PER_S, (double)bench->held_back_ns / NS_PER_MS);
	print_latency(bench, ONLINE, "online");
	print_latency(bench, CLEAN, "clean");
	print_latency(bench, ABRUPT, "abrupt");
	printf(", \"queue_max\": %ld, \"lag_max_ms\": %ld", bench->queue_max, bench->lag_max_ms);
	int wrong = print_counts(bench);
	printf("}\n");
	return wrong ? EXIT_FAILURE : EXIT_SUCCESS;
}
