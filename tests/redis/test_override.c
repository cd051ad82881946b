/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "broker.h"
#include "past.h"
#include "store/redis/contribution.h"

/* What people and devices declare, as Redis holds it; above all that nobody can tell there who is
 * invisible from who is offline. */

enum { TEXT_MAX = 2048, DAY_MS = 86400000 };

static struct server server;

static int clean(void **state)
{
	(void)state;
	server_do(&server, "FLUSHALL");
	server_do(&server, "SCRIPT FLUSH");
	return 0;
}

/* The text of a reply, elements separated by spaces. */
static void join(const redisReply *reply, char out[TEXT_MAX])
{
	size_t length = strlen(out);
	if (reply->type == REDIS_REPLY_INTEGER)
		(void)snprintf(out + length, TEXT_MAX - length, "%lld", reply->integer);
	else if (reply->str)
		(void)snprintf(out + length, TEXT_MAX - length, "%s", reply->str);
	for (size_t i = 0; i < reply->elements; i++) {
		if (i)
			(void)strncat(out, " ", TEXT_MAX - strlen(out) - 1);
		join(reply->element[i], out);
	}
}

static const char *ask(const char *command, const char *key, const char *rest)
{
	static char out[TEXT_MAX];
	char whole[256];
	(void)snprintf(whole, sizeof(whole), "%s presence:{0}:%s%s%s", command, key,
		*rest ? " " : "", rest);
	redisReply *reply = server_ask(&server, whole);
	*out = '\0';
	join(reply, out);
	freeReplyObject(reply);
	return out;
}

static void begin(struct broker *broker, const char *node, uint64_t boot)
{
	broker_init(broker, &server, node);
	broker_start(broker, boot);
	broker_settle(broker);
}

/* ---- what happens to a broker; each is carried through to Redis ---- */

static void connects(struct broker *broker, uint64_t token, const char *id, const char *device)
{
	char client[64];
	(void)snprintf(client, sizeof(client), "agent:%s:%s", id, device);
	const struct presence_event event = {
		.type = PRESENCE_CONNECTED,
		.token = token,
		.client_id = client,
		.role = "agent",
		.id = id,
		.device = device,
	};
	assert_int_equal(broker_feed(broker, event), 0);
	broker_settle(broker);
}

static void ends(struct broker *broker, uint64_t token, enum presence_end end)
{
	assert_int_equal(broker_feed(broker,
				 (struct presence_event){
					 .type = PRESENCE_DISCONNECTED,
					 .token = token,
					 .end = end,
				 }),
		0);
	broker_settle(broker);
}

static void declares(
	struct broker *broker, uint64_t token, enum presence_status status, const char *note)
{
	assert_int_equal(broker_feed(broker,
				 (struct presence_event){
					 .type = PRESENCE_DECLARE,
					 .token = token,
					 .status = status,
					 .note = note,
				 }),
		0);
	broker_settle(broker);
}

static void overrides(struct broker *broker, const char *id, enum presence_override override,
	const char *note, int64_t ttl_ms)
{
	assert_int_equal(broker_feed(broker,
				 (struct presence_event){
					 .type = PRESENCE_OVERRIDDEN,
					 .role = "agent",
					 .id = id,
					 .override = override,
					 .note = note,
					 .until_ms = ttl_ms ? broker->driver.wall_ms + ttl_ms : 0,
				 }),
		0);
	broker_settle(broker);
}

static void types(struct broker *broker, uint64_t token, const char *conversation, bool active)
{
	assert_int_equal(broker_feed(broker,
				 (struct presence_event){
					 .type = PRESENCE_TYPED,
					 .token = token,
					 .conversation = conversation,
					 .active = active,
				 }),
		0);
	broker_settle(broker);
}

static void restarts(struct broker *broker, uint64_t boot)
{
	broker_stop(broker);
	broker_start(broker, boot);
	broker_settle(broker);
}

/* ---- overrides ---- */

static void test_formats(void **state)
{
	struct broker broker;
	char expected[256];
	(void)state;
	begin(&broker, "b1", 1);
	connects(&broker, 1, "u1", "web");
	broker_pass(&broker, 1000);
	overrides(&broker, "u1", PRESENCE_OVERRIDE_DND, "see \"a/b\" \xc3\xa4", 60000);
	assert_string_equal(ask("HGETALL", "overrides", ""),
		"agent/u1 {\"status\":\"dnd\",\"note\":\"see \\\"a\\/b\\\" \xc3\xa4\","
		"\"until\":1763769661000,\"rev\":1763769601000001,\"node\":\"b1\",\"epoch\":1}");
	assert_string_equal(ask("HMGET", "subject:agent/u1", "status source note until devices"),
		"dnd manual see \"a/b\" \xc3\xa4 1763769661000 1");
	assert_string_equal(ask("XREVRANGE", "events", "+ - COUNT 1") + 16,
		"t set node b1 boot 0000000000000001 epoch 1 seq 2 role agent id u1 device "
		" contribution  status dnd previous online reason override source manual devices 1"
		" since 1763769601000 last_seen 1763769600000 rev 1763769601000000"
		" prev_rev 1763769600000000 note see \"a/b\" \xc3\xa4 until 1763769661000");
	assert_non_null(strstr(ask("XREVRANGE", "events", "+ - COUNT 2"),
		"t override node b1 boot 0000000000000001 epoch 1 seq 2 role agent id u1 status"
		" dnd note see \"a/b\" \xc3\xa4 until 1763769661000 rev 1763769601000001"));

	overrides(&broker, "u1", PRESENCE_OVERRIDE_NONE, NULL, 0);
	(void)snprintf(expected, sizeof(expected),
		"agent/u1 {\"status\":\"none\",\"until\":%" PRId64
		",\"rev\":1763769601000003,\"node\":\"b1\",\"epoch\":1}",
		broker.driver.wall_ms + DAY_MS);
	assert_string_equal(ask("HGETALL", "overrides", ""), expected);
	assert_string_equal(ask("HGETALL", "subject:agent/u1", ""),
		"v 1 role agent id u1 status online previous dnd reason override source inferred"
		" devices 1 since 1763769601000 last_seen 1763769600000 rev 1763769601000002 node"
		" b1");

	/* What is long over goes when another one is written. */
	broker.driver.wall_ms += DAY_MS - 1;
	overrides(&broker, "u2", PRESENCE_OVERRIDE_AWAY, NULL, 1000);
	assert_string_equal(ask("HLEN", "overrides", ""), "2");
	broker.driver.wall_ms += 1;
	overrides(&broker, "u3", PRESENCE_OVERRIDE_AWAY, NULL, 0);
	assert_string_equal(ask("HLEN", "overrides", ""), "2");
	assert_string_equal(ask("HEXISTS", "overrides", "agent/u1"), "0");
	broker_stop(&broker);
}

/* It ends by itself, on time for the broker; Redis need not agree on the time. */
static void test_expires(void **state)
{
	struct broker broker;
	(void)state;
	begin(&broker, "b1", 1);
	connects(&broker, 1, "u1", "web");
	overrides(&broker, "u1", PRESENCE_OVERRIDE_AWAY, NULL, 5000);
	overrides(&broker, "u2", PRESENCE_OVERRIDE_AWAY, NULL, 5000);
	broker.driver.wall_ms -= 2000; /* the clock is put right */
	broker_pass(&broker, 4500);
	assert_string_equal(ask("HGET", "subject:agent/u1", "status"), "away");
	broker_pass(&broker, 500);
	assert_string_equal(ask("HMGET", "subject:agent/u1", "status reason source"),
		"online override_expired inferred");
	assert_non_null(strstr(ask("HGET", "overrides", "agent/u1"), "none"));
	assert_non_null(strstr(ask("HGET", "overrides", "agent/u2"), "none"));
	broker_stop(&broker);
}

/* Two brokers: the newest counts, whoever said it, and whenever it comes. */
static void test_newest_wins(void **state)
{
	struct broker one, two;
	(void)state;
	begin(&one, "b1", 1);
	begin(&two, "b2", 2);
	connects(&one, 1, "u1", "web");
	two.driver.wall_ms += 10;
	overrides(&two, "u1", PRESENCE_OVERRIDE_DND, "two", 0);
	assert_string_equal(
		ask("HMGET", "subject:agent/u1", "status note source devices"), "dnd two manual 1");
	overrides(&one, "u1", PRESENCE_OVERRIDE_AWAY, "one", 0);
	assert_string_equal(ask("HMGET", "subject:agent/u1", "status note"), "dnd two");
	assert_string_equal(ask("HGET", "overrides", "agent/u1"),
		"{\"status\":\"dnd\",\"note\":\"two\",\"rev\":1763769600010000,\"node\":\"b2\","
		"\"epoch\":2}");
	one.driver.wall_ms += 20;
	overrides(&one, "u1", PRESENCE_OVERRIDE_INVISIBLE, NULL, 0);
	assert_string_equal(ask("HGET", "subject:agent/u1", "status"), "offline");
	two.driver.wall_ms += 5;
	overrides(&two, "u1", PRESENCE_OVERRIDE_NONE, NULL, 0);
	assert_string_equal(ask("HGET", "subject:agent/u1", "status"), "offline");
	two.driver.wall_ms += 50;
	overrides(&two, "u1", PRESENCE_OVERRIDE_ONLINE, NULL, 0);
	assert_string_equal(ask("HGET", "subject:agent/u1", "status"), "online");
	broker_stop(&one);
	broker_stop(&two);
}

/* One that somebody else cannot have written: Redis does what it can with what stands there. */
static void test_foreign_values(void **state)
{
	static const char *const values[] = { "", "x", "[]", "7", "{}", "{\"status\":7}",
		"{\"status\":\"asleep\",\"rev\":1}", "{\"status\":\"offline\",\"rev\":1}",
		"{\"status\":\"dnd\",\"until\":1,\"rev\":\"x\",\"note\":5}" };
	struct broker broker;
	(void)state;
	begin(&broker, "b1", 1);
	for (size_t i = 0; i < sizeof(values) / sizeof(*values); i++) {
		server_do(&server, "HSET presence:{0}:overrides agent/u1 %s", values[i]);
		connects(&broker, 1, "u1", "web");
		assert_string_equal(ask("HGET", "subject:agent/u1", "status"), "online");
		overrides(&broker, "u1", PRESENCE_OVERRIDE_DND, NULL, 0);
		assert_string_equal(ask("HGET", "subject:agent/u1", "status"), "dnd");
		overrides(&broker, "u1", PRESENCE_OVERRIDE_NONE, NULL, 0);
		ends(&broker, 1, PRESENCE_END_DISCONNECT);
		assert_string_equal(ask("HGET", "subject:agent/u1", "status"), "offline");
	}
	restarts(&broker, 2);
	broker_stop(&broker);
}

/* ---- at the start, and when Redis has lost something ---- */

enum { LINES_MAX = 4096 };

/* A line for each that a restarted broker is told; of anything else nothing. */
static void write_down(char lines[LINES_MAX], const struct presence_event *event)
{
	size_t length = strlen(lines);
	char *end = lines + length;
	size_t room = LINES_MAX - length;
	if (event->type == PRESENCE_RESTORED_OVERRIDE)
		(void)snprintf(end, room, "said %s %s %s %" PRId64 "%s\n", event->id,
			presence_override_name(event->override), event->note ? event->note : "-",
			event->until_ms, event->own ? "" : " elsewhere");
	else if (event->type == PRESENCE_RESTORED)
		(void)snprintf(end, room, "is %s %s\n", event->record.id,
			presence_status_name(event->record.status));
	else if (event->type == PRESENCE_RESTORED_DEVICE)
		(void)snprintf(end, room, "had %s/%s %s %s\n", event->id, event->device,
			presence_status_name(event->status), event->note ? event->note : "-");
}

/* The broker was down for two seconds. Its core has heard nothing but lines. */
static void comes_back(struct broker *broker, uint64_t boot, char lines[LINES_MAX])
{
	struct store_message *message;
	*lines = '\0';
	broker->driver.wall_ms += 2000;
	broker_stop(broker);
	broker_start(broker, boot);
	driver_settle(&broker->driver);
	while ((message = mailbox_take_message(broker->driver.box))) {
		if (message->type == STORE_MESSAGE_EVENT) {
			write_down(lines, &message->event);
			(void)broker_feed(broker, message->event);
		}
		store_message_destroy(message);
	}
}

static int64_t line_of(const char *lines, const char *start)
{
	const char *at = strstr(lines, start);
	return at ? at - lines : -1;
}

static void test_restored(void **state)
{
	struct broker broker, other;
	char lines[LINES_MAX];
	(void)state;
	begin(&broker, "b1", 1);
	begin(&other, "b2", 2);
	connects(&broker, 1, "busy", "web");
	declares(&broker, 1, PRESENCE_AWAY, "lunch");
	connects(&broker, 2, "hushed", "web");
	overrides(&broker, "hushed", PRESENCE_OVERRIDE_INVISIBLE, NULL, 0);
	overrides(&broker, "hidden", PRESENCE_OVERRIDE_INVISIBLE, NULL, 0);
	connects(&broker, 3, "hidden", "web");
	overrides(&broker, "cleared", PRESENCE_OVERRIDE_DND, NULL, 0);
	overrides(&broker, "cleared", PRESENCE_OVERRIDE_NONE, NULL, 0);
	overrides(&broker, "over", PRESENCE_OVERRIDE_DND, NULL, 1000);
	overrides(&other, "busy", PRESENCE_OVERRIDE_DND, "call", 60000);
	comes_back(&broker, 3, lines);
	assert_true(line_of(lines, "said busy dnd call 1763769660000 elsewhere\n") >= 0);
	assert_true(line_of(lines, "said hushed invisible - 0\n") >= 0);
	assert_true(line_of(lines, "said hidden invisible - 0\n") >= 0);
	assert_true(line_of(lines, "said over dnd - 1763769601000\n") >= 0); /* its end is told */
	assert_true(line_of(lines, "said cleared none - ") >= 0);
	/* What was said of people comes before all records. */
	int64_t first = line_of(lines, "is ");
	assert_true(first > 0);
	assert_null(strstr(lines + first, "said "));
	assert_true(line_of(lines, "is busy dnd\nhad busy/web away lunch\n") >= first);
	assert_true(line_of(lines, "is hushed offline\nhad hushed/web online -\n") >= first);
	broker_settle(&broker);
	broker_pass(&broker, 11000);
	assert_string_equal(ask("HGET", "subject:agent/busy", "status"), "offline");
	connects(&broker, 4, "busy", "web");
	assert_string_equal(ask("HMGET", "subject:agent/busy", "status note"), "dnd call");
	broker_stop(&broker);
	broker_stop(&other);
}

/* The state file missed that it was cleared: it is told first, and holds what was before. */
static void test_restored_cleared(void **state)
{
	struct broker broker;
	struct presence_record record = { 0 };
	char known[TEXT_MAX];
	(void)state;
	begin(&broker, "b1", 1);
	connects(&broker, 1, "u1", "web");
	overrides(&broker, "u1", PRESENCE_OVERRIDE_DND, NULL, 0);
	assert_int_equal(presence_lookup(broker.core, "agent", "u1", &record), 0);
	int64_t rev = record.rev + 1;
	overrides(&broker, "u1", PRESENCE_OVERRIDE_NONE, NULL, 0);
	(void)snprintf(known, sizeof(known), "%s", ask("HGET", "overrides", "agent/u1"));
	assert_non_null(strstr(known, "\"none\""));
	broker_stop(&broker);
	broker_start(&broker, 2);
	assert_int_equal(broker_feed(&broker,
				 (struct presence_event){
					 .type = PRESENCE_RESTORED_OVERRIDE,
					 .role = "agent",
					 .id = "u1",
					 .override = PRESENCE_OVERRIDE_DND,
					 .rev = rev,
					 .own = true,
				 }),
		0);
	connects(&broker, 1, "u1", "web");
	assert_int_equal(presence_lookup(broker.core, "agent", "u1", &record), 0);
	assert_int_equal(record.status, PRESENCE_ONLINE);
	assert_string_equal(ask("HGET", "subject:agent/u1", "status"), "online");
	assert_non_null(strstr(ask("HGET", "overrides", "agent/u1"), "\"none\""));
	/* What is said from now on is newer than either. */
	overrides(&broker, "u1", PRESENCE_OVERRIDE_AWAY, NULL, 0);
	assert_string_equal(ask("HGET", "subject:agent/u1", "status"), "away");
	broker_stop(&broker);
}

/* Of whom nothing was published there is no record, and of who does not come back nothing stays. */
static void test_restored_unseen(void **state)
{
	static const char *const unseen[] = { "hidden", "once" };
	struct broker broker;
	char lines[LINES_MAX], line[64], key[64];
	(void)state;
	begin(&broker, "b1", 1);
	overrides(&broker, "hidden", PRESENCE_OVERRIDE_INVISIBLE, NULL, 0);
	connects(&broker, 1, "hidden", "web");
	overrides(&broker, "once", PRESENCE_OVERRIDE_INVISIBLE, NULL, 1000); /* over by then */
	connects(&broker, 2, "once", "web");
	comes_back(&broker, 2, lines);
	for (int i = 0; i < 2; i++) {
		(void)snprintf(line, sizeof(line), "had %s/web online -\n", unseen[i]);
		assert_true(line_of(lines, line) >= 0);
	}
	assert_true(line_of(lines, "is ") < 0);
	broker_settle(&broker);
	broker_pass(&broker, 11000);
	for (int i = 0; i < 2; i++) {
		(void)snprintf(key, sizeof(key), "subject:agent/%s", unseen[i]);
		assert_string_equal(ask("EXISTS", key, ""), "0");
		(void)snprintf(key, sizeof(key), "state:agent/%s", unseen[i]);
		assert_string_equal(ask("EXISTS", key, ""), "0");
	}
	broker_stop(&broker);
}

/* The same with half of what tells: who is not known to be online was not seen to go. */
static void test_restored_by_half(void **state)
{
	struct broker broker;
	char lines[LINES_MAX];
	(void)state;
	begin(&broker, "b1", 1);
	overrides(&broker, "bare", PRESENCE_OVERRIDE_INVISIBLE, NULL, 0);
	connects(&broker, 1, "bare", "web");
	server_do(&server, "HDEL presence:{0}:overrides agent/bare");
	connects(&broker, 2, "faded", "web");
	overrides(&broker, "faded", PRESENCE_OVERRIDE_INVISIBLE, NULL, 0);
	server_do(&server, "DEL presence:{0}:subject:agent/faded");
	comes_back(&broker, 2, lines);
	assert_true(line_of(lines, "had bare/web") >= 0 && line_of(lines, "is bare") < 0);
	assert_true(line_of(lines, "had faded/web") >= 0 && line_of(lines, "is faded") < 0);
	broker_stop(&broker);
}

/* More than one page of them; none comes after a record. */
static void test_many_restored(void **state)
{
	enum { MANY = 3000, SEEN = 16 };
	struct broker broker;
	int said = 0, late = 0, records = 0;
	char id[16];
	(void)state;
	broker_init(&broker, &server, "b1");
	broker.config.subjects_max = 2 * MANY;
	broker.driver.config.partitions = 8;
	broker_start(&broker, 1);
	for (int i = 0; i < MANY; i++) {
		(void)snprintf(id, sizeof(id), "u%d", i);
		struct presence_event event = {
			.type = PRESENCE_OVERRIDDEN,
			.role = "agent",
			.id = id,
			.override = PRESENCE_OVERRIDE_INVISIBLE,
		};
		assert_int_equal(broker_feed(&broker, event), 0);
	}
	connects(&broker, 1, "u1", "web");
	for (int i = 0; i < SEEN; i++) {
		(void)snprintf(id, sizeof(id), "seen%d", i);
		connects(&broker, 2 + (uint64_t)i, id, "web");
	}
	broker_stop(&broker);
	broker_start(&broker, 2);
	for (int round = 0; round < 100 && records < SEEN; round++) {
		struct store_message *message;
		driver_settle(&broker.driver);
		while ((message = mailbox_take_message(broker.driver.box))) {
			records += message->event.type == PRESENCE_RESTORED;
			said += message->event.type == PRESENCE_RESTORED_OVERRIDE;
			late += records && message->event.type == PRESENCE_RESTORED_OVERRIDE;
			store_message_destroy(message);
		}
		broker.driver.now_ms += 100;
	}
	assert_true(said >= MANY); /* told twice does no harm */
	assert_int_equal(late, 0);
	assert_int_equal(records, SEEN);
	broker_stop(&broker);
}

/* Everything is gone: what is said of people is said again, also of whom nothing is published. */
static void test_flushed(void **state)
{
	struct broker broker;
	(void)state;
	begin(&broker, "b1", 1);
	connects(&broker, 1, "u1", "web");
	overrides(&broker, "u1", PRESENCE_OVERRIDE_DND, "call", 600000);
	overrides(&broker, "u2", PRESENCE_OVERRIDE_AWAY, NULL, 0);
	overrides(&broker, "u3", PRESENCE_OVERRIDE_AWAY, NULL, 0);
	overrides(&broker, "u3", PRESENCE_OVERRIDE_NONE, NULL, 0);
	server_do(&server, "FLUSHALL");
	broker_pass(&broker, 5000);
	assert_string_equal(
		ask("HMGET", "subject:agent/u1", "status source note"), "dnd manual call");
	assert_non_null(strstr(ask("HGET", "overrides", "agent/u1"), "\"dnd\",\"note\":\"call\""));
	assert_non_null(strstr(ask("HGET", "overrides", "agent/u2"), "\"away\""));
	assert_string_equal(ask("HLEN", "overrides", ""), "2");
	assert_string_equal(ask("EXISTS", "subject:agent/u2", ""), "0");
	broker_stop(&broker);
}

/* Only they are gone: the next word of the broker finds it out, and they are said again. */
static void test_evicted(void **state)
{
	struct broker broker;
	(void)state;
	begin(&broker, "b1", 1);
	connects(&broker, 1, "u1", "web");
	declares(&broker, 1, PRESENCE_ONLINE, NULL);
	overrides(&broker, "u1", PRESENCE_OVERRIDE_DND, "call", 600000);
	connects(&broker, 2, "u2", "web");
	overrides(&broker, "u2", PRESENCE_OVERRIDE_INVISIBLE, NULL, 0);
	server_do(&server, "DEL presence:{0}:overrides");
	broker_pass(&broker, 5000); /* a third of the lease */
	assert_non_null(strstr(ask("HGET", "overrides", "agent/u1"), "\"dnd\",\"note\":\"call\""));
	assert_non_null(strstr(ask("HGET", "overrides", "agent/u2"), "\"invisible\""));
	assert_string_equal(ask("HGET", "meta", "gen"), "2"); /* readers learn it, too */
	server_do(&server, "DEL presence:{0}:overrides");
	declares(&broker, 1, PRESENCE_AWAY, NULL); /* finds it out as well */
	assert_string_equal(
		ask("HMGET", "subject:agent/u1", "status source note"), "dnd manual call");
	assert_string_equal(ask("HGET", "subject:agent/u2", "status"), "offline");
	broker_pass(&broker, 5000);
	assert_string_equal(ask("HMGET", "meta", "gen overrides"), "3 1");
	restarts(&broker, 2);
	assert_string_equal(ask("HGET", "meta", "gen"), "3");
	connects(&broker, 3, "u1", "web");
	connects(&broker, 4, "u2", "web");
	assert_string_equal(ask("HGET", "subject:agent/u1", "status"), "dnd");
	assert_string_equal(ask("HGET", "subject:agent/u2", "status"), "offline");
	broker_stop(&broker);
}

/* The only one, long over by Redis' clock, is not trimmed as soon as it is said again: that would
 * look like one more eviction, and so on. */
static void test_long_over(void **state)
{
	struct broker broker;
	(void)state;
	begin(&broker, "b1", 1);
	broker.driver.wall_ms -= 20 * (int64_t)DAY_MS; /* until somebody tells it the time */
	overrides(&broker, "u1", PRESENCE_OVERRIDE_DND, NULL, 60000);
	broker.driver.wall_ms += 20 * (int64_t)DAY_MS;
	server_do(&server, "DEL presence:{0}:overrides");
	broker_pass(&broker, 20000);
	assert_string_equal(ask("HGET", "meta", "gen"), "2");
	broker_stop(&broker);
}

/* The clock steps over its end: it lasts as long as was said. */
static void test_clock_steps(void **state)
{
	struct broker broker;
	(void)state;
	begin(&broker, "b1", 1);
	connects(&broker, 1, "u1", "web");
	overrides(&broker, "u1", PRESENCE_OVERRIDE_AWAY, NULL, 60000);
	broker.driver.wall_ms += 120000;
	connects(&broker, 2, "u1", "phone");
	assert_string_equal(
		ask("HMGET", "subject:agent/u1", "status source devices"), "away manual 2");
	broker_pass(&broker, 61000);
	assert_string_equal(
		ask("HMGET", "subject:agent/u1", "status source devices"), "online inferred 2");
	broker_stop(&broker);
}

/* Over when the broker starts, it stays over, wherever the clock goes; nobody flaps for that. */
static void test_over_at_start(void **state)
{
	struct broker broker;
	(void)state;
	begin(&broker, "b1", 1);
	connects(&broker, 1, "u1", "web");
	overrides(&broker, "u1", PRESENCE_OVERRIDE_AWAY, NULL, 60000);
	broker.driver.wall_ms += 120000;
	restarts(&broker, 2);
	assert_non_null(strstr(ask("HGET", "overrides", "agent/u1"), "\"none\""));
	assert_string_equal(ask("HGET", "subject:agent/u1", "status"), "away"); /* until judged */
	broker.driver.wall_ms -= 120000;
	connects(&broker, 2, "u1", "web");
	assert_string_equal(
		ask("HMGET", "subject:agent/u1", "status previous source"), "online away inferred");
	broker_stop(&broker);
}

/* Redis comes back from a past in which something was said that has been taken back since. */
static void test_past(void **state)
{
	struct broker broker;
	struct past past = { 0 };
	(void)state;
	begin(&broker, "b1", 1);
	connects(&broker, 1, "u1", "web");
	overrides(&broker, "u1", PRESENCE_OVERRIDE_INVISIBLE, NULL, 0);
	overrides(&broker, "u2", PRESENCE_OVERRIDE_DND, NULL, 0);
	overrides(&broker, "u3", PRESENCE_OVERRIDE_DND, NULL, 0);
	past_save(&past, &server);
	broker_pass(&broker, 1000);
	overrides(&broker, "u1", PRESENCE_OVERRIDE_NONE, NULL, 0);
	overrides(&broker, "u2", PRESENCE_OVERRIDE_NONE, NULL, 0);
	overrides(&broker, "u4", PRESENCE_OVERRIDE_INVISIBLE, NULL, 0);
	connects(&broker, 2, "u4", "web");
	past_bring_back(&past, &server);
	past_drop(&past);
	broker_pass(&broker, 5000);
	assert_string_equal(ask("HMGET", "subject:agent/u1", "status devices"), "online 1");
	assert_non_null(strstr(ask("HGET", "overrides", "agent/u1"), "\"none\""));
	assert_non_null(strstr(ask("HGET", "overrides", "agent/u2"), "\"none\""));
	assert_non_null(strstr(ask("HGET", "overrides", "agent/u3"), "\"dnd\""));
	assert_non_null(strstr(ask("HGET", "overrides", "agent/u4"), "\"invisible\""));
	assert_string_equal(ask("EXISTS", "subject:agent/u2", ""), "0");
	assert_string_equal(ask("EXISTS", "subject:agent/u4", ""), "0");
	broker_stop(&broker);
}

/* ---- invisible ---- */

/* All that is public of somebody, but for what tells one from another. */
static void public_of(const char *id, char out[TEXT_MAX])
{
	char key[128];
	(void)snprintf(key, sizeof(key), "subject:agent/%s", id);
	redisReply *fields = server_ask(&server, "HGETALL presence:{0}:%s", key);
	*out = '\0';
	for (size_t i = 0; i < fields->elements; i += 2) {
		const char *name = fields->element[i]->str;
		size_t length = strlen(out);
		bool differs = !strcmp(name, "id") || !strcmp(name, "rev");
		(void)snprintf(out + length, TEXT_MAX - length, "%s %s ", name,
			differs ? "-" : fields->element[i + 1]->str);
	}
	freeReplyObject(fields);
	(void)strncat(out, ask("ZSCORE", "online:agent", id), TEXT_MAX - strlen(out) - 1);
}

static int64_t dies_at_ms(const char *id)
{
	char key[128];
	(void)snprintf(key, sizeof(key), "subject:agent/%s", id);
	return strtoll(ask("PEXPIRETIME", key, ""), NULL, 10);
}

static void assert_twins(const char *is)
{
	char hidden[TEXT_MAX], gone[TEXT_MAX];
	enum { SAME_MS = 300 }; /* two commands of ours lie in between */
	public_of("hidden", hidden);
	public_of("gone", gone);
	assert_string_equal(hidden, gone);
	if (strncmp(hidden, is, strlen(is)) != 0)
		fail_msg("%s is not: %s", hidden, is);
	int64_t apart_ms = dies_at_ms("hidden") - dies_at_ms("gone");
	assert_true(apart_ms >= -SAME_MS && apart_ms <= SAME_MS);
}

struct shape {
	char text[TEXT_MAX], rev[64];
	int64_t dies_at_ms;
};

static struct shape shape_of(const char *id)
{
	struct shape shape = { 0 };
	char key[128];
	(void)snprintf(key, sizeof(key), "subject:agent/%s", id);
	public_of(id, shape.text);
	(void)snprintf(shape.rev, sizeof(shape.rev), "%s", ask("HGET", key, "rev"));
	shape.dies_at_ms = dies_at_ms(id);
	return shape;
}

/* Not even its rev, not even when it ends. */
static void assert_untouched(const struct shape *before)
{
	struct shape now = shape_of("hidden");
	assert_string_equal(now.text, before->text);
	assert_string_equal(now.rev, before->rev);
	assert_int_equal(now.dies_at_ms, before->dies_at_ms);
}

static void lives_unseen(struct broker *broker)
{
	struct shape before = shape_of("hidden");
	declares(broker, 1, PRESENCE_DND, "shh");
	assert_untouched(&before);
	connects(broker, 3, "hidden", "phone");
	assert_untouched(&before);
	types(broker, 3, "room", true);
	assert_string_equal(ask("EXISTS", "typing:room", ""), "0");
	broker_pass(broker, 70000); /* records of who is online are refreshed meanwhile */
	assert_untouched(&before);
	ends(broker, 3, PRESENCE_END_LOST);
	broker_pass(broker, 5000);
	assert_untouched(&before);
	ends(broker, 1, PRESENCE_END_DISCONNECT);
	assert_untouched(&before);
	connects(broker, 1, "hidden", "web");
	assert_untouched(&before);
	overrides(broker, "hidden", PRESENCE_OVERRIDE_INVISIBLE, "still", 7200000);
	assert_untouched(&before);
}

/* Two of them, until now alike: one leaves, one is not to be seen any more. */
static void test_twins(void **state)
{
	static const char offline[] = "v 1 role agent id - status offline previous online reason "
				      "disconnect source inferred devices 0 since 1763769601000 "
				      "last_seen 1763769601000 rev - node b1 ";
	struct broker broker;
	(void)state;
	begin(&broker, "b1", 1);
	connects(&broker, 1, "hidden", "web");
	connects(&broker, 2, "gone", "web");
	broker_pass(&broker, 1000);
	overrides(&broker, "hidden", PRESENCE_OVERRIDE_INVISIBLE, "psst", 0);
	ends(&broker, 2, PRESENCE_END_DISCONNECT);
	assert_twins(offline);
	lives_unseen(&broker);
	assert_twins(offline);

	server_do(&server, "FLUSHALL");
	broker_pass(&broker, 5000);
	assert_twins(offline);
	lives_unseen(&broker);
	/* Asked for again by an eviction that took part of it. */
	server_do(&server, "DEL presence:{0}:state:agent/hidden");
	server_do(&server, "DEL presence:{0}:overrides");
	lives_unseen(&broker);
	assert_twins(offline);

	restarts(&broker, 2);
	assert_twins(offline);
	broker_pass(&broker, 15000);
	assert_twins(offline);
	connects(&broker, 1, "hidden", "web");
	lives_unseen(&broker);

	broker_pass(&broker, 3600000); /* offline_retain_for */
	assert_string_equal(ask("EXISTS", "subject:agent/gone", ""), "0");
	assert_string_equal(ask("EXISTS", "subject:agent/hidden", ""), "0");
	connects(&broker, 4, "hidden", "tablet");
	assert_string_equal(ask("EXISTS", "subject:agent/hidden", ""), "0");
	overrides(&broker, "hidden", PRESENCE_OVERRIDE_NONE, NULL, 0);
	assert_string_equal(ask("HMGET", "subject:agent/hidden", "status devices"), "online 2");
	broker_stop(&broker);
}

/* It ends like a connect, and nothing tells what was in between. */
static void test_visible_again(void **state)
{
	struct broker broker;
	char hidden[TEXT_MAX], gone[TEXT_MAX];
	(void)state;
	begin(&broker, "b1", 1);
	connects(&broker, 1, "hidden", "web");
	connects(&broker, 2, "gone", "web");
	overrides(&broker, "hidden", PRESENCE_OVERRIDE_INVISIBLE, NULL, 0);
	ends(&broker, 2, PRESENCE_END_DISCONNECT);
	broker_pass(&broker, 10000);
	overrides(&broker, "hidden", PRESENCE_OVERRIDE_NONE, NULL, 0);
	connects(&broker, 2, "gone", "web");
	public_of("hidden", hidden);
	public_of("gone", gone);
	assert_string_equal(hidden, gone);
	assert_non_null(strstr(hidden, "status online previous offline reason connect"));
	broker_stop(&broker);
}

/* Invisible before it was ever there: no key that strangers may read. */
static void test_never_seen(void **state)
{
	struct broker broker;
	(void)state;
	begin(&broker, "b1", 1);
	overrides(&broker, "shy", PRESENCE_OVERRIDE_INVISIBLE, NULL, 0);
	for (int round = 0; round < 3; round++) {
		connects(&broker, 1, "shy", "web");
		declares(&broker, 1, PRESENCE_DND, "x");
		broker_pass(&broker, 70000);
		assert_string_equal(ask("EXISTS", "subject:agent/shy", ""), "0");
		assert_string_equal(ask("EXISTS", "online:agent", ""), "0");
		assert_string_equal(ask("HLEN", "state:agent/shy", ""), "1");
		ends(&broker, 1, PRESENCE_END_DISCONNECT);
		assert_string_equal(ask("EXISTS", "subject:agent/shy", ""), "0");
		assert_string_equal(ask("EXISTS", "state:agent/shy", ""), "0");
		if (round == 0)
			server_do(&server, "FLUSHALL");
		if (round == 1)
			restarts(&broker, 2);
		broker_pass(&broker, 12000);
		assert_string_equal(ask("EXISTS", "subject:agent/shy", ""), "0");
	}
	connects(&broker, 1, "shy", "web");
	overrides(&broker, "shy", PRESENCE_OVERRIDE_NONE, NULL, 0);
	assert_string_equal(ask("HMGET", "subject:agent/shy", "status previous reason"),
		"online offline connect");
	broker_stop(&broker);
}

/* One command after the other, until all is said: nobody sees them. */
static void watch_hidden(struct broker *broker, int steps)
{
	struct driver *driver = &broker->driver;
	for (int i = 0; i < steps; i++) {
		(void)driver_connect(driver);
		driver_step(driver);
		(void)driver_execute(driver, driver->wire);
		const char *status = ask("HGET", "subject:agent/hidden", "status");
		assert_true(!*status || !strcmp(status, "offline"));
		assert_string_equal(ask("ZCARD", "online:agent", ""), "0");
		(void)driver_answer(driver);
		(void)broker_turn(broker);
	}
}

/* Redis comes back from a past in which they were as invisible as now. */
static void test_never_shows_in_sweep(void **state)
{
	struct broker broker;
	struct past past = { 0 };
	(void)state;
	begin(&broker, "b1", 1);
	connects(&broker, 1, "hidden", "web");
	overrides(&broker, "hidden", PRESENCE_OVERRIDE_INVISIBLE, NULL, 0);
	past_save(&past, &server);
	overrides(&broker, "u2", PRESENCE_OVERRIDE_DND, NULL, 0);
	past_bring_back(&past, &server);
	past_drop(&past);
	overrides(&broker, "u2", PRESENCE_OVERRIDE_NONE, NULL, 0);
	watch_hidden(&broker, 60);
	broker_pass(&broker, 4000);
	past_save(&past, &server);
	overrides(&broker, "u3", PRESENCE_OVERRIDE_DND, NULL, 0);
	past_bring_back(&past, &server);
	past_drop(&past);
	(void)broker_feed(&broker,
		(struct presence_event){
			.type = PRESENCE_DECLARE, .token = 1, .status = PRESENCE_DND });
	watch_hidden(&broker, 80);
	struct store_stats stats;
	int64_t oldest_ms;
	redis_writer_stats(broker.driver.writer, &stats, &oldest_ms);
	assert_int_equal(stats.resyncs, 2);
	assert_non_null(strstr(ask("HGET", "overrides", "agent/hidden"), "\"invisible\""));
	broker_stop(&broker);
}

/* Redis has lost everything, and the first it hears is that a device of theirs did something. */
static void test_never_shows(void **state)
{
	struct broker broker;
	(void)state;
	begin(&broker, "b1", 1);
	connects(&broker, 1, "hidden", "web");
	overrides(&broker, "hidden", PRESENCE_OVERRIDE_INVISIBLE, NULL, 0);
	for (uint64_t round = 0; round < 10; round++) {
		server_do(&server, round % 2 ? "FLUSHALL" : "DEL presence:{0}:overrides");
		(void)broker_feed(&broker,
			(struct presence_event){
				.type = PRESENCE_CONNECTED,
				.token = 10 + round,
				.client_id = "x",
				.role = "agent",
				.id = "hidden",
				.device = round % 3 ? "phone" : "tablet",
			});
		watch_hidden(&broker, 40);
		broker_pass(&broker, 5000);
		assert_string_equal(ask("HGET", "subject:agent/hidden", "status"), "offline");
	}
	broker_stop(&broker);
}

/* ---- typing ---- */

static void test_typing(void **state)
{
	struct broker broker;
	(void)state;
	begin(&broker, "b1", 1);
	connects(&broker, 1, "u1", "web");
	connects(&broker, 2, "u2", "web");
	types(&broker, 1, "a/b", true);
	assert_string_equal(
		ask("ZRANGE", "typing:a%%2Fb", "0 -1 WITHSCORES"), "agent/u1 1763769605000");
	int64_t left_ms = strtoll(ask("PTTL", "typing:a%%2Fb", ""), NULL, 10);
	assert_true(left_ms > 3000 && left_ms <= 5000);
	broker_pass(&broker, 4000);
	types(&broker, 2, "a/b", true);
	assert_string_equal(ask("ZRANGE", "typing:a%%2Fb", "0 -1"), "agent/u1 agent/u2");
	types(&broker, 1, "a/b", false);
	assert_string_equal(ask("ZRANGE", "typing:a%%2Fb", "0 -1"), "agent/u2");
	broker_pass(&broker, 6000);
	assert_string_equal(ask("EXISTS", "typing:a%%2Fb", ""), "0");

	/* Nobody said that it ended: the next who writes clears up. */
	server_do(&server, "ZADD presence:{0}:typing:room %lld agent/late",
		(long long)broker.driver.wall_ms);
	server_do(&server, "ZADD presence:{0}:typing:room %lld agent/early",
		(long long)broker.driver.wall_ms + 4000);
	types(&broker, 1, "room", true);
	assert_string_equal(ask("ZRANGE", "typing:room", "0 -1"), "agent/early agent/u1");
	/* A key that is not ours keeps nobody else waiting. */
	server_do(&server, "SET presence:{0}:typing:odd x");
	types(&broker, 1, "odd", true);
	declares(&broker, 1, PRESENCE_DND, NULL);
	assert_string_equal(ask("HGET", "subject:agent/u1", "status"), "dnd");
	assert_string_equal(ask("GET", "typing:odd", ""), "x");
	/* While subject keys are not ours, typing goes on, and comes to no harm after that. */
	server_do(&server, "DEL presence:{0}:subject:agent/u2");
	server_do(&server, "SET presence:{0}:subject:agent/u2 x");
	declares(&broker, 2, PRESENCE_AWAY, NULL);
	types(&broker, 2, "room", true);
	assert_string_equal(ask("ZSCORE", "typing:room", "agent/u2"), "1763769615000");
	server_do(&server, "DEL presence:{0}:subject:agent/u2");
	broker_pass(&broker, 3000);
	assert_string_equal(ask("HGET", "subject:agent/u2", "status"), "away");
	broker_stop(&broker);
}

/* What an abandoned connection still had under way does nothing when it runs. */
static void test_typing_late(void **state)
{
	struct broker broker;
	(void)state;
	begin(&broker, "b1", 1);
	connects(&broker, 1, "u1", "web");
	(void)broker_feed(&broker,
		(struct presence_event){
			.type = PRESENCE_TYPED, .token = 1, .conversation = "c", .active = true });
	driver_step(&broker.driver);
	driver_cut(&broker.driver, true);
	broker_pass(&broker, 10000); /* typed, and over */
	assert_string_equal(ask("EXISTS", "typing:c", ""), "0");
	while (driver_execute_late(&broker.driver))
		;
	assert_string_equal(ask("EXISTS", "typing:c", ""), "0");
	broker_stop(&broker);
}

/* A conversation lies where its name says, whoever types in it. */
static void test_typing_partition(void **state)
{
	struct broker broker;
	char key[64], text[64];
	(void)state;
	broker_init(&broker, &server, "b1");
	broker.driver.config.partitions = 8;
	broker_start(&broker, 1);
	for (int i = 0; i < 20; i++) {
		char conversation[32], id[32];
		(void)snprintf(conversation, sizeof(conversation), "room %d", i);
		(void)snprintf(id, sizeof(id), "u%d", i);
		const struct presence_effect effect = {
			.type = PRESENCE_ACTIVITY,
			.record = { .role = "agent", .id = id },
			.conversation = conversation,
			.active = true,
			.active_until_ms = broker.driver.wall_ms + 5000,
		};
		assert_int_equal(mailbox_put(broker.driver.box, &effect, broker.driver.now_ms), 0);
		driver_settle(&broker.driver);
		(void)snprintf(key, sizeof(key), "presence:{%u}:typing:%s",
			redis_partition_of(conversation, 8), conversation);
		(void)server_text(&server, text, sizeof(text), "ZCARD %s", key);
		assert_string_equal(text, "1");
	}
	broker_stop(&broker);
}

static int start(void **state)
{
	(void)state;
	server_init(&server);
	server_start(&server, NULL);
	return 0;
}

static int finish(void **state)
{
	(void)state;
	server_finish(&server);
	return 0;
}

#define TEST(function) cmocka_unit_test_setup(function, clean)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_formats),
		TEST(test_expires),
		TEST(test_newest_wins),
		TEST(test_foreign_values),
		TEST(test_restored),
		TEST(test_restored_cleared),
		TEST(test_restored_unseen),
		TEST(test_restored_by_half),
		TEST(test_many_restored),
		TEST(test_flushed),
		TEST(test_evicted),
		TEST(test_long_over),
		TEST(test_clock_steps),
		TEST(test_over_at_start),
		TEST(test_past),
		TEST(test_twins),
		TEST(test_visible_again),
		TEST(test_never_seen),
		TEST(test_never_shows),
		TEST(test_never_shows_in_sweep),
		TEST(test_typing),
		TEST(test_typing_late),
		TEST(test_typing_partition),
	};
	return cmocka_run_group_tests(tests, start, finish);
}
