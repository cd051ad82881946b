/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/merge.h"
#include "driver.h"

/* One table, two languages: tests/vectors/merge.tsv by core/merge.c and by apply_1 in Redis. */

enum { COLUMNS = 7, DEVICES_MAX = 8, LINE_MAX_BYTES = 512 };
enum { NAME, DEVICES, OVERRIDE, CONTRIBUTION, STATUS, COUNT, SOURCE };

struct device {
	char name[32]; /* node/device */
	enum presence_status rank;
};

struct test_case {
	char line[LINE_MAX_BYTES];
	char *column[COLUMNS];
	struct device devices[DEVICES_MAX], contribution;
	size_t count;
};

static void read_device(const char *text, struct device *device)
{
	const char *equals = strchr(text, '=');
	assert_non_null(equals);
	(void)snprintf(device->name, sizeof(device->name), "%.*s", (int)(equals - text), text);
	assert_int_equal(presence_status_parse(equals + 1, &device->rank), 0);
}

static bool read_case(FILE *file, struct test_case *test)
{
	*test = (struct test_case){ 0 };
	do {
		if (!fgets(test->line, sizeof(test->line), file))
			return false;
	} while (*test->line == '#');
	test->line[strcspn(test->line, "\n")] = '\0';
	char *rest = test->line;
	for (int i = 0; i < COLUMNS; i++) {
		test->column[i] = strsep(&rest, "\t");
		assert_non_null(test->column[i]);
	}
	char devices[LINE_MAX_BYTES];
	(void)snprintf(devices, sizeof(devices), "%s", test->column[DEVICES]);
	rest = devices;
	for (char *word; strcmp(test->column[DEVICES], "-") && (word = strsep(&rest, " "));)
		read_device(word, &test->devices[test->count++]);
	read_device(test->column[CONTRIBUTION], &test->contribution);
	return true;
}

static enum presence_override override_of(const struct test_case *test)
{
	static const char *const words[] = { "-", "online", "away", "dnd", "invisible" };
	const char *text = test->column[OVERRIDE];
	size_t length = strcspn(text, "@");
	if (!strcmp(text + length, "@past"))
		return PRESENCE_OVERRIDE_NONE;
	for (int i = 0; i < 5; i++)
		if (strlen(words[i]) == length && !strncmp(words[i], text, length))
			return (enum presence_override)i;
	fail_msg("%s: no such override", text);
	return PRESENCE_OVERRIDE_NONE;
}

/* Of all nodes, or of ours alone. */
static enum presence_status highest_after(const struct test_case *test, bool ours, int *count)
{
	enum presence_status highest = test->contribution.rank;
	*count = highest != PRESENCE_OFFLINE;
	for (size_t i = 0; i < test->count; i++) {
		const struct device *device = &test->devices[i];
		if (!strcmp(device->name, test->contribution.name) ||
			(ours && strncmp(device->name, "b1/", 3) != 0))
			continue;
		(*count)++;
		if (device->rank > highest)
			highest = device->rank;
	}
	return highest;
}

static void check_in_c(const struct test_case *test)
{
	int count;
	enum presence_status rank = highest_after(test, false, &count);
	enum presence_status status = presence_merge(rank, override_of(test));
	if (strcmp(presence_status_name(status), test->column[STATUS]) != 0)
		fail_msg("%s: C says %s", test->column[NAME], presence_status_name(status));
	if (status != PRESENCE_OFFLINE)
		assert_int_equal(count, atoi(test->column[COUNT]));
}

static void write_before(struct server *server, const struct test_case *test, int64_t wall_ms)
{
	for (size_t i = 0; i < test->count; i++)
		server_do(server, "HSET presence:{0}:state:agent/u1 d:%s 1|1|%d|1|%lld|",
			test->devices[i].name, (int)test->devices[i].rank, (long long)wall_ms);
	const char *text = test->column[OVERRIDE];
	if (!strcmp(text, "-"))
		return;
	long long until = 0;
	if (strstr(text, "@past"))
		until = wall_ms - 1;
	else if (strstr(text, "@later"))
		until = wall_ms + 60000;
	char json[128];
	(void)snprintf(json, sizeof(json), "{\"status\":\"%.*s\",\"until\":%lld,\"rev\":1}",
		(int)strcspn(text, "@"), text, until);
	server_do(server, "HSET presence:{0}:overrides agent/u1 %s", json);
}

static void check_in_redis(struct server *server, const struct test_case *test)
{
	struct driver driver;
	char text[64];
	int count;
	server_do(server, "FLUSHALL");
	driver_init(&driver, server, "b1");
	write_before(server, test, driver.wall_ms);
	driver_start(&driver, 1);
	driver_settle(&driver);
	const struct presence_effect effect = {
		.type = PRESENCE_STORE,
		.record = { .role = "agent",
			.id = "u1",
			.status = highest_after(test, true, &count),
			.since_ms = driver.wall_ms,
			.last_seen_ms = driver.wall_ms,
			.rev = driver.wall_ms * 1000 },
		.device = strchr(test->contribution.name, '/') + 1,
		.rank = test->contribution.rank,
		.retain_ms = 1000000,
	};
	assert_int_equal(mailbox_put(driver.box, &effect, driver.now_ms), 0);
	driver_settle(&driver);
	static const char *const fields[] = { "status", "devices", "source" };
	for (int i = 0; i < 3; i++) {
		(void)server_text(server, text, sizeof(text),
			"HGET presence:{0}:subject:agent/u1 %s", fields[i]);
		if (strcmp(text, test->column[STATUS + i]) != 0)
			fail_msg("%s: Redis says %s %s", test->column[NAME], fields[i], text);
	}
	driver_stop(&driver);
}

static int each_case(struct server *server)
{
	char path[256];
	struct test_case test;
	int count = 0;
	const char *folder = getenv("PRESENCE_VECTORS");
	(void)snprintf(path, sizeof(path), "%s/merge.tsv", folder ? folder : "tests/vectors");
	FILE *file = fopen(path, "r");
	assert_non_null(file);
	while (read_case(file, &test)) {
		if (server)
			check_in_redis(server, &test);
		else
			check_in_c(&test);
		count++;
	}
	(void)fclose(file);
	return count;
}

static void test_c(void **state)
{
	(void)state;
	assert_true(each_case(NULL) >= 30);
}

static void test_redis(void **state)
{
	struct server server;
	(void)state;
	server_init(&server);
	server_start(&server, NULL);
	assert_true(each_case(&server) >= 30);
	server_finish(&server);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_c),
		cmocka_unit_test(test_redis),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
