/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
#include "driver.h"

#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "redis_command.h"

enum { REDIS_WAIT_MS = 10000 };

static void fail(const char *what)
{
	(void)fprintf(stderr, "driver: %s\n", what);
	abort();
}

void driver_init(struct driver *driver, struct server *server, const char *node)
{
	*driver = (struct driver){
		.server = server,
		.now_ms = 1000000,
		.wall_ms = 1763769600000,
		.config = {
			.where = "test",
			.node = node,
			.prefix = "presence",
			.boot = driver->boot,
			.host = "host",
			.version = "0",
			.pid = 1,
			.partitions = 1,
			.ttl_ms = 180000,
			.lease_ms = 10000,
			.restart_grace_ms = 10000,
			.stream_maxlen = 100000,
		},
	};
}

void driver_start(struct driver *driver, uint64_t boot)
{
	(void)snprintf(driver->boot, sizeof(driver->boot), "%016" PRIx64, boot);
	driver->config.boot = driver->boot;
	driver->config.seed = boot;
	driver->box = mailbox_create(65536, MAILBOX_BEYOND_MIN);
	driver->writer = redis_writer_create(&driver->config, driver->box);
	if (!driver->writer)
		fail("out of memory");
}

static void close_wire(struct wire *wire)
{
	if (!wire)
		return;
	for (struct wire_command *command; (command = wire->commands);) {
		wire->commands = command->next;
		free(command);
	}
	for (struct wire_reply *reply; (reply = wire->replies);) {
		wire->replies = reply->next;
		freeReplyObject(reply->reply);
		free(reply);
	}
	redis_reader_destroy(wire->reader);
	(void)close(wire->fd);
	free(wire);
}

void driver_stop(struct driver *driver)
{
	close_wire(driver->wire);
	for (struct wire *wire; (wire = driver->abandoned);) {
		driver->abandoned = wire->next;
		close_wire(wire);
	}
	redis_writer_destroy(driver->writer);
	mailbox_destroy(driver->box);
	driver->wire = NULL;
	driver->writer = NULL;
	driver->box = NULL;
}

static struct wire *open_wire(const char *path)
{
	struct wire *wire = calloc(1, sizeof(*wire));
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	if (!wire)
		fail("out of memory");
	(void)snprintf(address.sun_path, sizeof(address.sun_path), "%s", path);
	wire->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (connect(wire->fd, (const struct sockaddr *)&address, sizeof(address)))
		fail("cannot connect");
	wire->reader = redis_reader_create();
	wire->commands_end = &wire->commands;
	wire->replies_end = &wire->replies;
	return wire;
}

bool driver_connect(struct driver *driver)
{
	if (driver->wire || !redis_writer_wants_connection(driver->writer, driver->now_ms))
		return false;
	redis_writer_connecting(driver->writer, driver->now_ms);
	driver->wire = open_wire(driver->server->path);
	redis_writer_connected(driver->writer, driver->now_ms);
	return true;
}

static void take_output(struct driver *driver)
{
	struct redis_out *out = redis_writer_out(driver->writer);
	while (driver->wire && out->length) {
		size_t length = command_length(out->bytes);
		struct wire_command *command = malloc(sizeof(*command) + length);
		if (!command)
			fail("out of memory");
		*command = (struct wire_command){ .length = length };
		memcpy(command->bytes, out->bytes, length);
		redis_writer_sent(driver->writer, length, driver->now_ms);
		*driver->wire->commands_end = command;
		driver->wire->commands_end = &command->next;
	}
}

static void exchange(struct wire *wire, const struct wire_command *command)
{
	redisReply *reply = NULL;
	if (send(wire->fd, command->bytes, command->length, MSG_NOSIGNAL) !=
		(ssize_t)command->length)
		fail("Redis does not take a command");
	while (!redis_reader_next(wire->reader, &reply) && !reply) {
		char bytes[4096];
		struct pollfd ready = { .fd = wire->fd, .events = POLLIN };
		if (poll(&ready, 1, REDIS_WAIT_MS) != 1)
			fail("Redis does not answer");
		ssize_t count = recv(wire->fd, bytes, sizeof(bytes), 0);
		if (count <= 0 || redis_reader_feed(wire->reader, bytes, (size_t)count))
			fail("Redis is gone");
	}
	struct wire_reply *node = calloc(1, sizeof(*node));
	if (!node || !reply)
		fail("no reply");
	node->reply = reply;
	*wire->replies_end = node;
	wire->replies_end = &node->next;
}

bool driver_execute(struct driver *driver, struct wire *wire)
{
	if (!wire || !wire->commands)
		return false;
	struct wire_command *command = wire->commands;
	wire->commands = command->next;
	if (!wire->commands)
		wire->commands_end = &wire->commands;
	exchange(wire, command);
	driver->executed++;
	free(command);
	return true;
}

bool driver_answer(struct driver *driver)
{
	struct wire *wire = driver->wire;
	if (!wire || !wire->replies)
		return false;
	struct wire_reply *node = wire->replies;
	wire->replies = node->next;
	if (!wire->replies)
		wire->replies_end = &wire->replies;
	redis_writer_reply(driver->writer, node->reply, driver->now_ms);
	free(node);
	if (redis_writer_wants_close(driver->writer))
		driver_cut(driver, false);
	return true;
}

void driver_step(struct driver *driver)
{
	redis_writer_step(driver->writer, driver->now_ms, driver->wall_ms);
	if (redis_writer_wants_close(driver->writer))
		driver_cut(driver, true);
	take_output(driver);
}

void driver_cut(struct driver *driver, bool abandon)
{
	struct wire *wire = driver->wire;
	driver->wire = NULL;
	if (!wire)
		return;
	redis_writer_disconnected(driver->writer, "cut", driver->now_ms);
	if (!abandon) {
		close_wire(wire);
		return;
	}
	wire->next = driver->abandoned;
	driver->abandoned = wire;
}

bool driver_execute_late(struct driver *driver)
{
	struct wire **link = &driver->abandoned;
	while (*link && !(*link)->commands) {
		struct wire *done = *link;
		*link = done->next;
		close_wire(done);
	}
	return driver_execute(driver, *link);
}

void driver_settle(struct driver *driver)
{
	bool busy = true;
	while (busy) {
		busy = driver_connect(driver);
		driver_step(driver);
		while (driver_execute(driver, driver->wire))
			busy = true;
		while (driver_answer(driver))
			busy = true;
	}
}
