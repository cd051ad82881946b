/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
/* A load generator for one broker. Devices connect, stay a while and leave; somebody watches
 * presence meanwhile.
 *
 *     broker_bench PORT PID SAYS LOAD CYCLES RATE WINDOW HOLD_MS PINGS
 *
 * SAYS is who says that they are there: 0 nobody, 1 the broker, 2 they themselves, with a message
 * when they come and a last will. LOAD 0: each leaves HOLD_MS after it came, every other one with
 * DISCONNECT, the rest with a reset. LOAD 1: HOLD_MS after the last one came all are reset at once;
 * before that they send PINGS a second, in turn. RATE is connects a second, 0 as fast as can be.
 * The pace is an open loop: when a connect is due does not depend on how the broker does, unless
 * WINDOW connects wait for their answer already. Prints one line of JSON. Fails when a transition
 * was lost, came twice or out of order. */

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "mark.h"
#include "mqtt.h"
#include "options.h"
#include "tally.h"

enum {
	EVENTS_MAX = 64,
	NS_PER_MS = 1000000,
	NS_PER_S = 1000000000,
	PATIENCE_S = 10, /* for what comes next */
	BARRIERS = 2,    /* an end and a ping may be read in any order, but not twice */
};

enum device_state { WAITING, CONNECTING, ASKED, UP, GONE };

struct device {
	int fd;
	enum device_state state;
	int64_t began_ns, up_ns, end_ns;
};

struct bench {
	struct options options;
	int epoll, timer;
	struct watcher watcher;
	struct device *devices;
	int *up; /* devices in the order they came up, which is the order they leave */
	struct tally tally;
	int begun, answered, ended;
	int pings, pongs;
	int64_t interval_ns;
	struct mark began, all_up, held; /* the latter two of LOAD_DROP */
	int64_t held_back_ns;            /* how late the latest connect was */
	int64_t round_ns, standstill_ns; /* the end of the latest round, the longest of all */
	long queue_max, lag_max_ms;
};

/* ---- what is seen ------------------------------------------------------------------------- */

static bool leaves_abruptly(const struct bench *bench, int index)
{
	return index % 2 || bench->options.load == LOAD_DROP;
}

static void see_status(struct bench *bench, int index, enum seen status, long rev, int64_t at_ns)
{
	struct device *device = &bench->devices[index];
	if (!tally_see(&bench->tally, index, status, rev, device->state == GONE))
		return;
	if (status == SEEN_ONLINE)
		tally_latency(&bench->tally, ONLINE, at_ns - device->began_ns);
	else
		tally_latency(&bench->tally, leaves_abruptly(bench, index) ? ABRUPT : CLEAN,
			at_ns - device->end_ns);
}

static void see(void *context, const struct sighting *sighting)
{
	struct bench *bench = context;
	long value = strtol(sighting->payload, NULL, 10);
	struct statement said;
	if (sighting->is_old)
		return;
	if (!strcmp(sighting->topic, "$SYS/broker/presence/queue") && value > bench->queue_max)
		bench->queue_max = value;
	else if (!strcmp(sighting->topic, "$SYS/broker/presence/lag_ms") &&
		value > bench->lag_max_ms)
		bench->lag_max_ms = value;
	else if (tally_read(sighting->topic, sighting->payload, &said) &&
		said.device < bench->options.cycles)
		see_status(bench, (int)said.device, said.status, said.rev, sighting->at_ns);
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

/* What a device says of itself, or its last will. */
struct words {
	char topic[32], payload[64];
};

static struct mqtt_message message_of(int index, enum seen status, struct words *text)
{
	(void)snprintf(text->topic, sizeof(text->topic), "presence/agent/u%06d", index);
	(void)snprintf(text->payload, sizeof(text->payload),
		"{\"v\":1,\"status\":\"%s\",\"rev\":%d}",
		status == SEEN_ONLINE ? "online" : "offline", status);
	return (struct mqtt_message){ text->topic, text->payload };
}

static void device_introduce(const struct bench *bench, int index)
{
	char client_id[32];
	struct words text;
	const struct mqtt_message will = message_of(index, SEEN_OFFLINE, &text);
	(void)snprintf(client_id, sizeof(client_id), "agent:u%06d:laptop", index);
	mqtt_send_connect(bench->devices[index].fd, client_id,
		bench->options.says == SAYS_CLIENT ? &will : NULL);
}

static void device_say(const struct bench *bench, int index, enum seen status)
{
	struct words text;
	const struct mqtt_message message = message_of(index, status, &text);
	if (bench->options.says == SAYS_CLIENT)
		mqtt_send_publish(bench->devices[index].fd, &message);
}

static void device_up(struct bench *bench, int index)
{
	struct device *device = &bench->devices[index];
	device->state = UP;
	device->up_ns = now_ns();
	tally_latency(&bench->tally, CONNACK_READ, device->up_ns - device->began_ns);
	device_say(bench, index, SEEN_ONLINE);
	bench->up[bench->answered++] = index;
	if (bench->answered == bench->options.cycles && bench->options.load == LOAD_DROP)
		bench->all_up = mark_now(bench->options.pid);
}

static void device_ready(struct bench *bench, int index, uint32_t events)
{
	struct device *device = &bench->devices[index];
	bool accepted = false;
	if (device->state == UP)
		bench->pongs += mqtt_take_pingresps(device->fd);
	if (device->state == CONNECTING && events & EPOLLOUT) {
		device_introduce(bench, index);
		device->state = ASKED;
	}
	if (device->state != ASKED || !mqtt_take_connack(device->fd, &accepted))
		return;
	bench->tally.refused += !accepted;
	device_up(bench, index);
}

static void device_end(struct bench *bench, int index)
{
	static const struct linger reset = { .l_onoff = 1, .l_linger = 0 };
	struct device *device = &bench->devices[index];
	device->end_ns = now_ns();
	device->state = GONE;
	if (leaves_abruptly(bench, index)) {
		if (setsockopt(device->fd, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset)))
			die("SO_LINGER");
	} else {
		device_say(bench, index, SEEN_OFFLINE);
		mqtt_send_disconnect(device->fd);
	}
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
	return bench->began.at_ns + bench->begun * bench->interval_ns;
}

static int64_t hold_until_ns(const struct bench *bench, int64_t from_ns)
{
	return from_ns + bench->options.hold_ms * (int64_t)NS_PER_MS;
}

/* When the next one leaves; INT64_MAX: something else has to come first. */
static int64_t end_due_ns(const struct bench *bench)
{
	if (bench->ended == bench->answered)
		return INT64_MAX;
	if (bench->options.load == LOAD_PASS)
		return hold_until_ns(bench, bench->devices[bench->up[bench->ended]].up_ns);
	if (bench->answered < bench->options.cycles || bench->pongs < bench->pings)
		return INT64_MAX;
	return hold_until_ns(bench, bench->all_up.at_ns);
}

static int64_t ping_due_ns(const struct bench *bench)
{
	if (!bench->options.pings || !bench->all_up.at_ns || bench->ended)
		return INT64_MAX;
	int64_t due_ns = bench->all_up.at_ns + bench->pings * (NS_PER_S / bench->options.pings);
	return due_ns < hold_until_ns(bench, bench->all_up.at_ns) ? due_ns : INT64_MAX;
}

static void end_next(struct bench *bench)
{
	if (!bench->ended && bench->options.load == LOAD_DROP)
		bench->held = mark_now(bench->options.pid);
	device_end(bench, bench->up[bench->ended]);
}

static int64_t first_of(int64_t a_ns, int64_t b_ns)
{
	return a_ns < b_ns ? a_ns : b_ns;
}

/* Does what is due, not too much at once, and sets the timer for what comes next. */
static void do_what_is_due(struct bench *bench)
{
	int64_t at_ns = now_ns();
	for (int i = 0; i < EVENTS_MAX && begin_due_ns(bench) <= at_ns; i++, at_ns = now_ns()) {
		if (bench->interval_ns && at_ns - begin_due_ns(bench) > bench->held_back_ns)
			bench->held_back_ns = at_ns - begin_due_ns(bench);
		device_begin(bench, bench->begun++);
	}
	for (int i = 0; i < EVENTS_MAX && ping_due_ns(bench) <= at_ns; i++, at_ns = now_ns())
		mqtt_send_ping(bench->devices[bench->up[bench->pings++ % bench->answered]].fd);
	for (int i = 0; i < EVENTS_MAX && end_due_ns(bench) <= at_ns; i++, at_ns = now_ns())
		end_next(bench);
	int64_t next_ns = first_of(
		begin_due_ns(bench), first_of(ping_due_ns(bench), end_due_ns(bench)));
	next_ns = first_of(next_ns, at_ns + NS_PER_S);
	struct itimerspec timer = { .it_value = { next_ns / NS_PER_S, next_ns % NS_PER_S } };
	if (timerfd_settime(bench->timer, TFD_TIMER_ABSTIME, &timer, NULL))
		die("timerfd_settime");
}

/* A round takes a second at most. When it took longer it was the machine that stood still, and the
 * broker with it: that does not count as its being slow to answer. */
static int64_t end_round(struct bench *bench)
{
	int64_t at_ns = now_ns(), took_ns = at_ns - bench->round_ns;
	bench->round_ns = at_ns;
	if (took_ns > bench->standstill_ns)
		bench->standstill_ns = took_ns;
	return first_of(took_ns, NS_PER_S);
}

/* The watcher first: its time of reading counts. Returns how long all of it took. */
static int64_t handle_events(struct bench *bench)
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
	return end_round(bench);
}

static bool is_finished(const struct bench *bench)
{
	int expected = bench->options.says ? bench->options.cycles : 0;
	return bench->ended == bench->options.cycles && bench->tally.complete >= expected;
}

static int progress(const struct bench *bench)
{
	return bench->answered + bench->ended + bench->tally.complete;
}

static void run(struct bench *bench)
{
	bench->began = mark_now(bench->options.pid);
	int64_t patience_ns = hold_until_ns(bench, PATIENCE_S * (int64_t)NS_PER_S);
	int64_t left_ns = patience_ns;
	while (!is_finished(bench) && left_ns > 0) {
		int before = progress(bench);
		do_what_is_due(bench);
		if (!is_finished(bench))
			left_ns -= handle_events(bench);
		if (progress(bench) > before)
			left_ns = patience_ns;
	}
	errno = 0;
	if (bench->ended < bench->options.cycles)
		die("the broker does not answer");
}

/* The broker has done what it was asked before. */
static void barrier(struct bench *bench)
{
	int64_t left_ns = PATIENCE_S * (int64_t)NS_PER_S;
	for (int i = 0; i < BARRIERS; i++) {
		int wanted = bench->watcher.pingresps + 1;
		mqtt_send_ping(bench->watcher.fd);
		while (bench->watcher.pingresps < wanted && left_ns > 0)
			left_ns -= handle_events(bench);
	}
	errno = 0;
	if (left_ns <= 0)
		die("no answer to a ping");
}

/* ---- what it says ------------------------------------------------------------------------- */

/* Of a mass drop: coming, staying and going, each by itself. */
static void print_phases(const struct bench *bench, const struct mark *gone)
{
	printf(", \"bytes\": %.0f, \"pings\": %d",
		(double)(bench->all_up.rss_bytes - bench->began.rss_bytes) / bench->options.cycles,
		bench->pings);
	mark_print("up", &bench->began, &bench->all_up, bench->options.cycles);
	mark_print("held", &bench->all_up, &bench->held, bench->pings);
	mark_print("down", &bench->held, gone, bench->options.cycles);
}

static void prepare(struct bench *bench)
{
	if (bench->options.load == LOAD_DROP)
		mqtt_need_sockets(bench->options.cycles);
	size_t cycles = (size_t)bench->options.cycles;
	bench->interval_ns = bench->options.rate ? NS_PER_S / bench->options.rate : 0;
	bench->devices = calloc(cycles, sizeof(*bench->devices));
	bench->up = calloc(cycles, sizeof(*bench->up));
	tally_prepare(&bench->tally, bench->options.cycles);
	bench->epoll = epoll_create1(EPOLL_CLOEXEC);
	bench->timer = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
	if (!bench->devices || !bench->up || bench->epoll < 0 || bench->timer < 0)
		die("memory or descriptors");
	bench->round_ns = now_ns();
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
	options_read(&bench->options, argc, argv);
	prepare(bench);
	run(bench);
	barrier(bench);
	struct mark gone = mark_now(bench->options.pid);
	printf("{\"held_back_ms\": %.3f, \"standstill_ms\": %.3f",
		(double)bench->held_back_ns / NS_PER_MS, (double)bench->standstill_ns / NS_PER_MS);
	mark_print("all", &bench->began, &gone, bench->options.cycles);
	if (bench->options.load == LOAD_DROP)
		print_phases(bench, &gone);
	tally_print_latencies(&bench->tally);
	printf(", \"queue_max\": %ld, \"lag_max_ms\": %ld", bench->queue_max, bench->lag_max_ms);
	int wrong = tally_print_counts(&bench->tally, bench->options.says);
	printf("}\n");
	return wrong ? EXIT_FAILURE : EXIT_SUCCESS;
}
