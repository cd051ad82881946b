/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "driver.h"

/* What a contribution costs Redis, by batch size: its own CPU time for EVALSHA, and bytes. */

enum { CONTRIBUTIONS = 25600 };

static double script_us(struct server *server)
{
	redisReply *reply = server_ask(server, "INFO commandstats");
	const char *at = strstr(reply->str, "cmdstat_evalsha:");
	at = at ? strstr(at, "usec=") : NULL;
	double us = at ? strtod(at + 5, NULL) : 0;
	freeReplyObject(reply);
	return us;
}

static double memory(struct server *server)
{
	redisReply *reply = server_ask(server, "INFO memory");
	const char *at = strstr(reply->str, "used_memory:");
	double bytes = at ? strtod(at + 12, NULL) : 0;
	freeReplyObject(reply);
	return bytes;
}

static void put(struct driver *driver, int number, bool up)
{
	char id[32];
	(void)snprintf(id, sizeof(id), "user-%d", number);
	const struct presence_effect effect = {
		.type = PRESENCE_STORE,
		.record = { .role = "agent",
			.id = id,
			.status = up ? PRESENCE_ONLINE : PRESENCE_OFFLINE,
			.previous = up ? PRESENCE_OFFLINE : PRESENCE_ONLINE,
			.reason = PRESENCE_REASON_CONNECT,
			.devices = up,
			.since_ms = driver->wall_ms,
			.last_seen_ms = driver->wall_ms,
			.rev = ++driver->wall_ms * 1000 },
		.device = "web",
		.rank = up ? PRESENCE_ONLINE : PRESENCE_OFFLINE,
		.device_last_seen_ms = driver->wall_ms,
		.retain_ms = up ? 0 : 3600000,
	};
	(void)mailbox_put(driver->box, &effect, driver->now_ms);
}

static void measure(struct server *server, int batch, bool up)
{
	struct driver driver;
	size_t bytes = 0;
	driver_init(&driver, server, "b1");
	driver_start(&driver, 1);
	driver_settle(&driver);
	server_do(server, "CONFIG RESETSTAT");
	double before = memory(server);
	for (int i = 0; i < CONTRIBUTIONS; i += batch) {
		for (int k = 0; k < batch; k++)
			put(&driver, i + k, up);
		redis_writer_step(driver.writer, driver.now_ms, driver.wall_ms);
		bytes += redis_writer_out(driver.writer)->length;
		driver_settle(&driver);
	}
	(void)printf("%s  batch %3d: %5.1f us, %4zu bytes sent, %5.0f bytes kept\n",
		up ? "connect   " : "disconnect", batch, script_us(server) / CONTRIBUTIONS,
		bytes / CONTRIBUTIONS, (memory(server) - before) / CONTRIBUTIONS);
	driver_stop(&driver);
}

int main(void)
{
	struct server server;
	static const int batches[] = { 1, 16, 256 };
	server_init(&server);
	server_start(&server, NULL);
	for (size_t i = 0; i < sizeof(batches) / sizeof(*batches); i++) {
		server_do(&server, "FLUSHALL");
		measure(&server, batches[i], true);
		measure(&server, batches[i], false);
	}
	server_finish(&server);
	return 0;
}
