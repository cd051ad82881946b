/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
#include <arpa/inet.h>
#include <netdb.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <unistd.h>

#include <cmocka.h>

#include "store/redis/link.h"

/* Which address of a host is tried when. */

enum { PLACES = 3, WAIT_MS = 10000 };

static struct sockaddr_in addresses[PLACES];
static struct addrinfo infos[PLACES];
static int listeners[PLACES]; /* -1: nobody is there */

/* In place of the real ones, see CMakeLists.txt. */
int __wrap_getaddrinfo(const char *host, const char *service, const struct addrinfo *wanted,
	struct addrinfo **found);
int __wrap_getaddrinfo(const char *host, const char *service, const struct addrinfo *wanted,
	struct addrinfo **found)
{
	(void)host;
	(void)service;
	(void)wanted;
	*found = infos;
	return 0;
}

void __wrap_freeaddrinfo(struct addrinfo *found);
void __wrap_freeaddrinfo(struct addrinfo *found)
{
	(void)found;
}

/* 127.0.0.1 and those after it, each with a port of its own. */
static int begin(void **state)
{
	(void)state;
	for (int i = 0; i < PLACES; i++) {
		socklen_t length = sizeof(addresses[i]);
		addresses[i] = (struct sockaddr_in){
			.sin_family = AF_INET,
			.sin_addr = { htonl(INADDR_LOOPBACK + (uint32_t)i) },
		};
		infos[i] = (struct addrinfo){
			.ai_family = AF_INET,
			.ai_socktype = SOCK_STREAM,
			.ai_addr = (struct sockaddr *)&addresses[i],
			.ai_addrlen = length,
			.ai_next = i + 1 < PLACES ? &infos[i + 1] : NULL,
		};
		listeners[i] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
		if (bind(listeners[i], infos[i].ai_addr, length) || listen(listeners[i], 8) ||
			getsockname(listeners[i], infos[i].ai_addr, &length))
			return -1;
	}
	return 0;
}

static void shut(int place)
{
	if (listeners[place] >= 0)
		(void)close(listeners[place]);
	listeners[place] = -1;
}

static int end(void **state)
{
	(void)state;
	for (int i = 0; i < PLACES; i++)
		shut(i);
	return 0;
}

static void open_link(struct redis_link *link)
{
	assert_null(redis_link_open(link, "host", 6379, NULL));
	assert_true(link->connecting);
}

/* Until it is known: NULL, or why not. */
static const char *finish(struct redis_link *link)
{
	const char *why = NULL;
	while (!why && link->connecting) {
		struct pollfd ready = { .fd = link->fd, .events = POLLOUT };
		assert_int_equal(poll(&ready, 1, WAIT_MS), 1);
		why = redis_link_continue(link);
	}
	return why;
}

/* Where the next connection arrives. */
static int arrived(void)
{
	struct pollfd ready[PLACES];
	for (int i = 0; i < PLACES; i++)
		ready[i] = (struct pollfd){ .fd = listeners[i], .events = POLLIN };
	assert_int_equal(poll(ready, PLACES, WAIT_MS), 1);
	int place = 0;
	while (!ready[place].revents)
		place++;
	int fd = accept(listeners[place], NULL, NULL);
	assert_true(fd >= 0);
	(void)close(fd);
	return place;
}

/* That it takes too long is what whoever closes it has found. It has arrived before: to close
 * sooner could take it back. */
static void give_up(struct redis_link *link)
{
	struct pollfd ready = { .fd = link->fd, .events = POLLOUT };
	assert_int_equal(poll(&ready, 1, WAIT_MS), 1);
	assert_true(link->connecting);
	redis_link_close(link);
}

static void test_silent(void **state)
{
	struct redis_link link;
	(void)state;
	redis_link_init(&link);
	for (int i = 0; i < 2 * PLACES; i++) {
		open_link(&link);
		give_up(&link);
		assert_int_equal(arrived(), i % PLACES);
	}
}

/* The one that answered is the first to be tried while it does. */
static void test_answers(void **state)
{
	struct redis_link link;
	(void)state;
	redis_link_init(&link);
	open_link(&link);
	give_up(&link);
	assert_int_equal(arrived(), 0);
	for (int i = 0; i < 3; i++) {
		open_link(&link);
		assert_null(finish(&link));
		assert_int_equal(arrived(), 1);
		redis_link_close(&link);
	}
	shut(1);
	open_link(&link);
	assert_null(finish(&link));
	assert_int_equal(arrived(), 2);
	redis_link_close(&link);
	shut(2);
	open_link(&link);
	assert_non_null(finish(&link));
	open_link(&link); /* from the beginning */
	assert_null(finish(&link));
	assert_int_equal(arrived(), 0);
	redis_link_close(&link);
}

/* The name stands for fewer by then. */
static void test_fewer(void **state)
{
	struct redis_link link;
	(void)state;
	redis_link_init(&link);
	for (int i = 0; i < 2; i++) {
		open_link(&link);
		give_up(&link);
		assert_int_equal(arrived(), i);
	}
	infos[0].ai_next = NULL;
	open_link(&link);
	assert_null(finish(&link));
	assert_int_equal(arrived(), 0);
	redis_link_close(&link);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(void)
{
	const struct CMUnitTest tests[] = { TEST(test_silent), TEST(test_answers),
		TEST(test_fewer) };
	return cmocka_run_group_tests(tests, NULL, NULL);
}
