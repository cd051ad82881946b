/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "driver.h"

/* What a contribution costs Redis, by batch size: its own CPU time for EVALSHA, and bytes. */

enum { CONTRIBUTIONS = 25600 };

static double field(struct server *server, const char *section, const char *name)
{
	redisReply *reply = server_ask(server, "INFO %s", section);
	const char *at = strstr(reply->str, name);
	double value = at ? strtod(at + strlen(name), NULL) : 0;
	freeReplyObject(reply);
	return value;
}

/* All of Redis' own, sockets included. */
static double cpu_us(struct server *server)
{
	return 1e6 *
		(field(server, "cpu", "used_cpu_sys:") + field(server, "cpu", "used_cpu_user:"));
}

/* On the clock of the wall: the scripts alone. */
static double script_us(struct server *server)
{
	redisReply *reply = server_ask(server, "INFO commandstats");
	const char *at = strstr(reply->str, "cmdstat_evalsha:");
	at = at ? strstr(at, "usec=") : NULL;
	double us = at ? strtod(at + 5, NULL) : 0;
	freeReplyObject(reply);
	return us;
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

static void measure(struct driver *driver, int batch, bool up)
{
	struct server *server = driver->server;
	size_t bytes = 0;
	server_do(server, "CONFIG RESETSTAT");
	double memory = field(server, "memory", "used_memory:"), cpu = cpu_us(server);
	for (int i = 0; i < CONTRIBUTIONS; i += batch) {
		for (int k = 0; k < batch; k++)
			put(driver, i + k, up);
		redis_writer_step(driver->writer, driver->now_ms, driver->wall_ms);
		bytes += redis_writer_out(driver->writer)->length;
		driver_settle(driver);
	}
	(void)printf("%s  batch %3d: %5.1f us of CPU, %5.1f us in scripts, %4zu bytes sent, "
		     "%5.0f bytes kept\n",
		up ? "connect   " : "disconnect", batch, (cpu_us(server) - cpu) / CONTRIBUTIONS,
		script_us(server) / CONTRIBUTIONS, bytes / CONTRIBUTIONS,
		(field(server, "memory", "used_memory:") - memory) / CONTRIBUTIONS);
}

int main(void)
{
	struct server server;
	struct driver driver;
	static const int batches[] = { 1, 16, 256 };
	server_init(&server);
	server_start(&server, NULL);
	for (size_t i = 0; i < sizeof(batches) / sizeof(*batches); i++) {
		server_do(&server, "FLUSHALL");
		driver_init(&driver, &server, "b1");
		driver_start(&driver, 1);
		driver_settle(&driver);
		measure(&driver, batches[i], true);
		measure(&driver, batches[i], false);
		driver_stop(&driver);
	}
	server_finish(&server);
	return 0;
}
