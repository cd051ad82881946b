/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
#include "redis_load.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

void fail(const char *what)
{
	(void)fprintf(stderr, "redis_bench: %s\n", what);
	exit(1);
}

double cpu_us(const struct server *server)
{
	char path[64];
	unsigned long long ns = 0;
	(void)snprintf(path, sizeof(path), "/proc/%d/task/%d/schedstat", server->pid, server->pid);
	FILE *file = fopen(path, "r");
	if (!file || fscanf(file, "%llu", &ns) != 1)
		fail("no schedstat: a kernel without CONFIG_SCHED_INFO");
	(void)fclose(file);
	return (double)ns / 1000;
}

double number(struct server *server, const char *command)
{
	char text[32];
	return strtod(server_text(server, text, sizeof(text), command), NULL);
}

void write_id(char id[32], uint32_t subject)
{
	(void)snprintf(id, 32, "user-%07" PRIu32, subject);
}

struct presence_effect effect_of(const char *id, enum kind kind, int64_t wall_ms)
{
	bool up = kind != LEAVE;
	return (struct presence_effect){
		.type = kind == REFRESH ? PRESENCE_REFRESH : PRESENCE_STORE,
		.record = { .role = "agent",
			.id = id,
			.status = up ? PRESENCE_ONLINE : PRESENCE_OFFLINE,
			.previous = up ? PRESENCE_OFFLINE : PRESENCE_ONLINE,
			.reason = PRESENCE_REASON_CONNECT,
			.devices = up,
			.since_ms = wall_ms,
			.last_seen_ms = wall_ms,
			.rev = wall_ms * 1000 },
		.device = "web",
		.rank = up ? PRESENCE_ONLINE : PRESENCE_OFFLINE,
		.device_last_seen_ms = wall_ms,
		.retain_ms = up ? 0 : FAR_MS,
	};
}
