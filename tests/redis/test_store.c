/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "server.h"
#include "store/store.h"

/* The whole store: worker thread, socket and a real Redis that is absent, killed, hung, emptied,
 * or no Redis at all. The test plays the broker; time is real. */

enum { SUBJECTS = 200, WAIT_MS = 30000 };

struct broker {
	struct server server;
	struct store *store;
	bool up[SUBJECTS];
	bool known[SUBJECTS];
	int64_t rev;
	char lines[16384];
};

static int64_t clock_ms(clockid_t clock)
{
	struct timespec now;
	assert_int_equal(clock_gettime(clock, &now), 0);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static void say(struct broker *broker, int s, const char *device)
{
	char id[16];
	bool up = broker->up[s];
	(void)snprintf(id, sizeof(id), "u%d", s);
	const struct presence_effect effect = {
		.type = PRESENCE_STORE,
		.record = { .role = "agent",
			.id = id,
			.status = up ? PRESENCE_ONLINE : PRESENCE_OFFLINE,
			.previous = up ? PRESENCE_OFFLINE : PRESENCE_ONLINE,
			.devices = up,
			.since_ms = clock_ms(CLOCK_REALTIME),
			.last_seen_ms = clock_ms(CLOCK_REALTIME),
			.rev = ++broker->rev },
		.device = device,
		.rank = up ? PRESENCE_ONLINE : PRESENCE_OFFLINE,
		.retain_ms = up ? 0 : 3600000,
	};
	store_put(broker->store, &effect, clock_ms(CLOCK_BOOTTIME));
}

static void toggle(struct broker *broker, int s)
{
	broker->up[s] = !broker->up[s];
	broker->known[s] = true;
	say(broker, s, "web");
}

static void toggle_some(struct broker *broker, int count)
{
	for (int i = 0; i < count; i++)
		toggle(broker, (int)(broker->rev % 7919 * 31 % SUBJECTS));
}

/* One turn of the broker's loop. */
static void turn(struct broker *broker)
{
	struct store_message *message;
	store_beat(broker->store, clock_ms(CLOCK_BOOTTIME));
	while ((message = store_take_message(broker->store))) {
		const struct presence_event *event = &message->event;
		if (message->type == STORE_MESSAGE_LOG) {
			size_t length = strlen(broker->lines);
			(void)snprintf(broker->lines + length, sizeof(broker->lines) - length,
				"%s\n", message->text);
		} else if (event->type == PRESENCE_REV_SEEN && event->rev > broker->rev) {
			broker->rev = event->rev;
		} else if (event->type == PRESENCE_ASSERT) {
			int s = atoi(event->id + 1);
			say(broker, s, broker->up[s] ? "web" : NULL);
		} else if (event->type == PRESENCE_RESYNC) {
			const struct presence_effect said = { .type = PRESENCE_RESYNCED };
			for (int s = 0; s < SUBJECTS; s++)
				if (broker->known[s])
					say(broker, s, broker->up[s] ? "web" : NULL);
			store_put(broker->store, &said, clock_ms(CLOCK_BOOTTIME));
		}
		store_message_destroy(message);
	}
	const struct timespec pause = { .tv_nsec = 2 * 1000 * 1000 };
	(void)nanosleep(&pause, NULL);
}

static bool agrees(struct broker *broker)
{
	char text[32];
	for (int s = 0; s < SUBJECTS; s++) {
		(void)server_text(&broker->server, text, sizeof(text),
			"HGET presence:{0}:subject:agent/u%d status", s);
		const char *expected = broker->up[s] ? "online" : "offline";
		if (broker->known[s] && strcmp(text, expected) != 0)
			return false;
	}
	return true;
}

static void until_agreed(struct broker *broker)
{
	int64_t deadline_ms = clock_ms(CLOCK_BOOTTIME) + WAIT_MS;
	while (!agrees(broker) && clock_ms(CLOCK_BOOTTIME) < deadline_ms)
		turn(broker);
	if (!agrees(broker))
		fail_msg("Redis does not agree; log:\n%s", broker->lines);
}

static void until_line(struct broker *broker, const char *text)
{
	int64_t deadline_ms = clock_ms(CLOCK_BOOTTIME) + WAIT_MS;
	while (!strstr(broker->lines, text) && clock_ms(CLOCK_BOOTTIME) < deadline_ms)
		turn(broker);
	if (!strstr(broker->lines, text))
		fail_msg("no line \"%s\"; log:\n%s", text, broker->lines);
}

static int count_lines(const struct broker *broker, const char *text)
{
	int count = 0;
	for (const char *at = broker->lines; (at = strstr(at, text)); at++)
		count++;
	return count;
}

static void begin(struct broker *broker, const char *user, const char *password)
{
	const struct store_config config = {
		.node = "b1",
		.queue_max = 65536,
		.redis_socket = broker->server.path,
		.redis_user = user,
		.redis_password = password,
		.redis_prefix = "presence",
		.redis_partitions = 1,
		.redis_ttl_ms = 180000,
		.redis_stream_maxlen = 10000,
		.node_lease_ms = 1500,
		.restart_grace_ms = 10000,
	};
	broker->rev = clock_ms(CLOCK_REALTIME) * 1000;
	broker->store = store_create(&store_redis_ops, &config);
	assert_non_null(broker->store);
}

static int start(void **state)
{
	struct broker *broker = calloc(1, sizeof(*broker));
	if (!broker)
		return -1;
	server_init(&broker->server);
	*state = broker;
	return 0;
}

static int stop(void **state)
{
	struct broker *broker = *state;
	server_finish(&broker->server);
	free(broker);
	return 0;
}

static void end(struct broker *broker)
{
	assert_true(store_destroy(broker->store, 2000));
}

static void test_absent_at_start(void **state)
{
	struct broker *broker = *state;
	begin(broker, NULL, NULL);
	toggle_some(broker, 300);
	until_line(broker, "no such socket");
	server_start(&broker->server, NULL);
	until_agreed(broker);
	until_line(broker, "node b1 writes, epoch 1");
	assert_int_equal(count_lines(broker, "\n"), 2);
	end(broker);
}

static void test_killed(void **state)
{
	struct broker *broker = *state;
	server_start(&broker->server, NULL);
	begin(broker, NULL, NULL);
	toggle_some(broker, 300);
	until_agreed(broker);
	for (int i = 0; i < 3; i++) {
		toggle_some(broker, 300);
		server_kill(&broker->server); /* it has nothing on disk: it comes back empty */
		toggle_some(broker, 300);
		for (int t = 0; t < 20; t++)
			turn(broker);
		server_start(&broker->server, NULL);
		until_agreed(broker);
	}
	struct store_stats stats;
	store_get_stats(broker->store, clock_ms(CLOCK_BOOTTIME), &stats);
	assert_int_equal(stats.lost_connections, 3);
	assert_int_equal(stats.resyncs, 3);
	end(broker);
}

static void test_hung(void **state)
{
	struct broker *broker = *state;
	server_start(&broker->server, NULL);
	begin(broker, NULL, NULL);
	toggle_some(broker, 300);
	until_agreed(broker);
	assert_int_equal(kill(broker->server.pid, SIGSTOP), 0);
	toggle_some(broker, 300);
	until_line(broker, "does not answer");
	toggle_some(broker, 300);
	assert_int_equal(kill(broker->server.pid, SIGCONT), 0);
	until_agreed(broker);
	/* Nothing was lost, so nothing had to be said again. */
	struct store_stats stats;
	store_get_stats(broker->store, clock_ms(CLOCK_BOOTTIME), &stats);
	assert_int_equal(stats.resyncs, 0);
	end(broker);
}

static void test_emptied(void **state)
{
	struct broker *broker = *state;
	server_start(&broker->server, NULL);
	begin(broker, NULL, NULL);
	toggle_some(broker, 300);
	until_agreed(broker);
	server_do(&broker->server, "FLUSHALL"); /* while idle: the renewal finds out */
	server_do(&broker->server, "SCRIPT FLUSH");
	until_agreed(broker);
	until_line(broker, "it lost what node b1 had written");
	end(broker);
}

static void test_password(void **state)
{
	struct broker *broker = *state;
	static const char *const options[] = { "--requirepass", "right", NULL };
	server_start(&broker->server, options);
	freeReplyObject(server_ask(&broker->server, "AUTH right"));
	begin(broker, NULL, "wrong-one");
	toggle_some(broker, 10);
	until_line(broker, "refuses the user or password");
	assert_int_equal(count_lines(broker, "wrong-one"), 0);
	assert_false(store_destroy(broker->store, 300)); /* and says that it is not written */
	begin(broker, NULL, "right");
	for (int s = 0; s < SUBJECTS; s++)
		if (broker->known[s])
			say(broker, s, "web");
	until_agreed(broker);
	end(broker);
}

static void test_rights(void **state)
{
	struct broker *broker = *state;
	server_start(&broker->server, NULL);
	server_do(&broker->server, "ACL SETUSER weak on >secret ~other:* +@all");
	begin(broker, "weak", "secret");
	toggle_some(broker, 10);
	until_line(broker, "does not let its user");
	assert_int_equal(count_lines(broker, "secret"), 0);
	assert_false(store_destroy(broker->store, 300));
}

static void test_wrong_type(void **state)
{
	struct broker *broker = *state;
	server_start(&broker->server, NULL);
	server_do(&broker->server, "SET presence:{0}:subject:agent/u7 junk");
	begin(broker, NULL, NULL);
	for (int s = 0; s < SUBJECTS; s++)
		toggle(broker, s);
	until_line(broker, "key presence:{0}:subject:agent/u7 is a string");
	server_do(&broker->server, "DEL presence:{0}:subject:agent/u7");
	until_agreed(broker);
	assert_int_equal(count_lines(broker, "\n"), 2);
	end(broker);
}

static void test_memory(void **state)
{
	struct broker *broker = *state;
	server_start(&broker->server, NULL);
	begin(broker, NULL, NULL);
	toggle_some(broker, 300);
	until_agreed(broker);
	server_do(&broker->server, "CONFIG SET maxmemory 1");
	toggle_some(broker, 300);
	until_line(broker, "out of memory; raise maxmemory");
	server_do(&broker->server, "CONFIG SET maxmemory 0");
	until_agreed(broker);
	end(broker);
}

/* Whoever listens there, says bytes and goes. */
static void serve(struct broker *broker, const char *bytes, size_t length, int times)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	(void)snprintf(address.sun_path, sizeof(address.sun_path), "%s", broker->server.path);
	int listening = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	assert_int_equal(bind(listening, (const struct sockaddr *)&address, sizeof(address)), 0);
	assert_int_equal(listen(listening, 8), 0);
	int64_t deadline_ms = clock_ms(CLOCK_BOOTTIME) + WAIT_MS;
	while (times && clock_ms(CLOCK_BOOTTIME) < deadline_ms) {
		int fd = accept(listening, NULL, NULL);
		if (fd >= 0) {
			(void)send(fd, bytes, length, MSG_NOSIGNAL);
			for (int i = 0; i < 20; i++)
				turn(broker);
			(void)close(fd);
			times--;
		}
		turn(broker);
	}
	assert_int_equal(times, 0);
	(void)close(listening);
	(void)unlink(broker->server.path);
}

static void test_garbage(void **state)
{
	static const char *const answers[] = { "HTTP/1.1 400 Bad Request\r\n\r\n",
		"*2147483647\r\n", "*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n", "", "$5\r\nhel",
		":1\r\n:2\r\n:3\r\n:4\r\n:5\r\n:6\r\n:7\r\n:8\r\n" };
	struct broker *broker = *state;
	for (size_t i = 0; i < sizeof(answers) / sizeof(*answers); i++) {
		begin(broker, NULL, NULL);
		toggle_some(broker, 10);
		serve(broker, answers[i], strlen(answers[i]), 1);
		(void)store_destroy(broker->store, 300);
		memset(broker->up, 0, sizeof(broker->up));
		memset(broker->known, 0, sizeof(broker->known));
	}
	/* And one that turns into Redis after all. */
	begin(broker, NULL, NULL);
	toggle_some(broker, 100);
	serve(broker, answers[1], strlen(answers[1]), 2);
	server_start(&broker->server, NULL);
	until_agreed(broker);
	end(broker);
}

static void test_leave(void **state)
{
	struct broker *broker = *state;
	char text[128];
	server_start(&broker->server, NULL);
	begin(broker, NULL, NULL);
	toggle_some(broker, 1000);
	end(broker); /* at once: all of it is written first */
	assert_true(agrees(broker));
	(void)server_text(&broker->server, text, sizeof(text), "HGET presence:{0}:nodes b1");
	assert_non_null(strstr(text, "|leaving|"));
	assert_true(atoi(server_text(&broker->server, text, sizeof(text),
			    "PTTL presence:{0}:lease:b1")) > 5000);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, start, stop)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_absent_at_start),
		TEST(test_killed),
		TEST(test_hung),
		TEST(test_emptied),
		TEST(test_password),
		TEST(test_rights),
		TEST(test_wrong_type),
		TEST(test_memory),
		TEST(test_garbage),
		TEST(test_leave),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
