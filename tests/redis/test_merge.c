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

enum { COLUMNS = 8, DEVICES_MAX = 8, LINE_MAX_BYTES = 512, NOTE_ROOM = 32, CASES_MIN = 50 };
enum { NAME, DEVICES, OVERRIDE, CONTRIBUTION, STATUS, COUNT, SOURCE, NOTE };

struct device {
	char name[32]; /* node/device */
	enum presence_status rank;
	char note[NOTE_ROOM]; /* empty: none */
};

struct test_case {
	char line[LINE_MAX_BYTES];
	char *column[COLUMNS];
	struct device devices[DEVICES_MAX], contribution;
	size_t count;
};

static void read_device(const char *text, struct device *device)
{
	char status[16];
	const char *equals = strchr(text, '=');
	assert_non_null(equals);
	size_t length = strcspn(equals + 1, ":");
	(void)snprintf(device->name, sizeof(device->name), "%.*s", (int)(equals - text), text);
	(void)snprintf(status, sizeof(status), "%.*s", (int)length, equals + 1);
	(void)snprintf(device->note, sizeof(device->note), "%s",
		equals[1 + length] ? equals + 2 + length : "");
	assert_int_equal(presence_status_parse(status, &device->rank), 0);
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

struct said {
	enum presence_override what;
	char note[NOTE_ROOM];
	bool is_past, is_later;
};

/* False: nothing was ever said. */
static bool read_override(const struct test_case *test, struct said *said)
{
	const char *text = test->column[OVERRIDE];
	size_t length = strcspn(text, ":@"), note = 0;
	char word[16];
	*said = (struct said){ 0 };
	if (!strcmp(text, "-"))
		return false;
	(void)snprintf(word, sizeof(word), "%.*s", (int)length, text);
	assert_int_equal(presence_override_parse(word, &said->what), 0);
	if (text[length] == ':')
		note = 1 + strcspn(text + length + 1, "@");
	(void)snprintf(said->note, sizeof(said->note), "%.*s", note ? (int)note - 1 : 0,
		text + length + 1);
	said->is_past = !strcmp(text + length + note, "@past");
	said->is_later = !strcmp(text + length + note, "@later");
	return true;
}

static enum presence_override override_of(const struct test_case *test)
{
	struct said said;
	return read_override(test, &said) && !said.is_past ? said.what : PRESENCE_OVERRIDE_NONE;
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

static void expect(const struct test_case *test, const char *who, int column, const char *found)
{
	const char *expected = test->column[column];
	if (strcmp(found, strcmp(expected, "-") ? expected : "") != 0)
		fail_msg(
			"%s: %s says \"%s\", not \"%s\"", test->column[NAME], who, found, expected);
}

static bool is_ours(const struct test_case *test)
{
	for (size_t i = 0; i < test->count; i++)
		if (strncmp(test->devices[i].name, "b1/", 3) != 0)
			return false;
	return true;
}

enum { WALL_MS = 1000000 };

static void feed(struct presence *core, struct presence_event event, int64_t now_ms)
{
	struct presence_effects effects;
	event.now_ms = now_ms;
	event.wall_ms = WALL_MS + now_ms;
	event.role = "agent";
	event.id = "u1";
	(void)presence_step(core, &event, &effects); /* to end what is not there is no error here */
}

static void feed_device(struct presence *core, const struct device *device)
{
	const uint64_t token = (uint64_t)device->name[3]; /* b1/a */
	feed(core,
		(struct presence_event){
			.type = PRESENCE_CONNECTED,
			.token = token,
			.client_id = device->name,
			.device = device->name + 3,
		},
		1);
	if (device->rank == PRESENCE_OFFLINE)
		feed(core, (struct presence_event){ .type = PRESENCE_DISCONNECTED, .token = token },
			1);
	else
		feed(core,
			(struct presence_event){
				.type = PRESENCE_DECLARE,
				.token = token,
				.status = device->rank,
				.note = device->note,
			},
			1);
}

/* The same by the core itself, as long as all devices are its own. */
static void check_in_core(const struct test_case *test)
{
	const struct presence_config config = {
		.goodbye = PRESENCE_REASON_DISCONNECT, .subjects_max = 10, .devices_max = 10
	};
	struct presence *core = presence_create(&config, 0);
	struct presence_record record = { .status = PRESENCE_OFFLINE };
	struct said said;
	char count[16];
	assert_non_null(core);
	if (read_override(test, &said)) {
		struct presence_event event = {
			.type = PRESENCE_OVERRIDDEN,
			.override = said.what ? said.what : PRESENCE_OVERRIDE_DND,
			.note = said.note,
			.until_ms = said.is_past || said.is_later ? WALL_MS + 10 : 0,
		};
		feed(core, event, 0);
		event.override = PRESENCE_OVERRIDE_NONE;
		if (!said.what)
			feed(core, event, 0);
	}
	for (size_t i = 0; i < test->count; i++)
		feed_device(core, &test->devices[i]);
	feed_device(core, &test->contribution);
	for (int i = 0; said.is_past && i < 10; i++)
		feed(core, (struct presence_event){ .type = PRESENCE_TICK }, 10);
	(void)presence_lookup(core, "agent", "u1", &record); /* none reads as offline */
	(void)snprintf(count, sizeof(count), "%u", record.devices);
	expect(test, "the core", STATUS, presence_status_name(record.status));
	expect(test, "the core", COUNT, count);
	expect(test, "the core", NOTE, record.note ? record.note : "");
	presence_destroy(core);
}

static void write_before(struct server *server, const struct test_case *test, int64_t wall_ms)
{
	struct said said;
	char json[128];
	for (size_t i = 0; i < test->count; i++)
		server_do(server, "HSET presence:{0}:state:agent/u1 d:%s 1|1|%d|%lld|%lld|%s",
			test->devices[i].name, (int)test->devices[i].rank, (long long)i + 1,
			(long long)wall_ms, test->devices[i].note);
	if (!read_override(test, &said))
		return;
	long long until = 0;
	if (said.is_past)
		until = wall_ms - 1;
	else if (said.is_later || !said.what)
		until = wall_ms + 60000;
	(void)snprintf(json, sizeof(json),
		"{\"status\":\"%s\",\"note\":\"%s\",\"until\":%lld,\"rev\":1}",
		presence_override_name(said.what), said.note, until);
	server_do(server, "HSET presence:{0}:overrides agent/u1 %s", json);
}

/* What the record of a broker says that knows of its own devices alone, and of no override. */
static const char *note_after(const struct test_case *test, enum presence_status status)
{
	const char *note = NULL;
	for (size_t i = 0; i < test->count; i++)
		if (!strncmp(test->devices[i].name, "b1/", 3) &&
			strcmp(test->devices[i].name, test->contribution.name) != 0 &&
			test->devices[i].rank == status)
			note = test->devices[i].note;
	return test->contribution.rank == status ? test->contribution.note : note;
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
			.rev = driver.wall_ms * 1000,
			.note = note_after(test, highest_after(test, true, &count)) },
		.device = strchr(test->contribution.name, '/') + 1,
		.rank = test->contribution.rank,
		.device_note = test->contribution.note,
		.retain_ms = 1000000,
	};
	assert_int_equal(mailbox_put(driver.box, &effect, driver.now_ms), 0);
	driver_settle(&driver);
	static const char *const fields[] = { "status", "devices", "source", "note" };
	for (int i = 0; i < 4; i++) {
		(void)server_text(server, text, sizeof(text),
			"HGET presence:{0}:subject:agent/u1 %s", fields[i]);
		expect(test, "Redis", STATUS + i, text);
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
		if (!server && is_ours(&test))
			check_in_core(&test);
		count++;
	}
	(void)fclose(file);
	return count;
}

static void test_c(void **state)
{
	(void)state;
	assert_true(each_case(NULL) >= CASES_MIN);
}

static void test_redis(void **state)
{
	struct server server;
	(void)state;
	server_init(&server);
	server_start(&server, NULL);
	assert_true(each_case(&server) >= CASES_MIN);
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
