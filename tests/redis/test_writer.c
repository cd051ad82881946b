/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "driver.h"
#include "past.h"
#include "store/redis/contribution.h"
#include "store/redis/problem.h"

/* What stands in Redis, and what an operator is told, one scenario at a time. */

static struct server server;

struct heard {
	int asserts, resyncs, restored, devices;
	int64_t rev;
	struct presence_record record; /* the last restored; its strings are gone */
	char lines[8192];              /* log lines, each "<level> <text>\n" */
};

static void listen(struct driver *driver, struct heard *heard)
{
	struct store_message *message;
	while ((message = mailbox_take_message(driver->box))) {
		const struct presence_event *event = &message->event;
		if (message->type == STORE_MESSAGE_LOG) {
			size_t length = strlen(heard->lines);
			(void)snprintf(heard->lines + length, sizeof(heard->lines) - length,
				"%d %s\n", (int)message->level, message->text);
		} else if (event->type == PRESENCE_ASSERT) {
			heard->asserts++;
		} else if (event->type == PRESENCE_RESYNC) {
			heard->resyncs++;
		} else if (event->type == PRESENCE_REV_SEEN) {
			heard->rev = event->rev;
		} else if (event->type == PRESENCE_RESTORED) {
			heard->restored++;
			heard->record = event->record;
		} else if (event->type == PRESENCE_RESTORED_DEVICE) {
			heard->devices++;
		}
		store_message_destroy(message);
	}
}

static int count_lines(const struct heard *heard)
{
	int count = 0;
	for (const char *at = heard->lines; (at = strchr(at, '\n')); at++)
		count++;
	return count;
}

static void put(struct driver *driver, const struct presence_effect *effect)
{
	assert_int_equal(mailbox_put(driver->box, effect, driver->now_ms), 0);
}

static void store(struct driver *driver, const char *id, const char *device,
	enum presence_status rank, enum presence_status status, enum presence_status previous)
{
	put(driver,
		&(struct presence_effect){
			.type = PRESENCE_STORE,
			.record = { .role = "agent",
				.id = id,
				.status = status,
				.previous = previous,
				.reason = rank ? PRESENCE_REASON_CONNECT
					       : PRESENCE_REASON_DISCONNECT,
				.devices = status != PRESENCE_OFFLINE,
				.since_ms = driver->wall_ms,
				.last_seen_ms = driver->wall_ms,
				.rev = driver->wall_ms * 1000 },
			.device = device,
			.rank = rank,
			.device_last_seen_ms = driver->wall_ms,
			.retain_ms = status == PRESENCE_OFFLINE ? 3600000 : 0,
		});
}

static void up(struct driver *driver, const char *id, const char *device)
{
	store(driver, id, device, PRESENCE_ONLINE, PRESENCE_ONLINE, PRESENCE_OFFLINE);
}

static void down(struct driver *driver, const char *id, const char *device)
{
	store(driver, id, device, PRESENCE_OFFLINE, PRESENCE_OFFLINE, PRESENCE_ONLINE);
}

static void forget(struct driver *driver, const char *id)
{
	put(driver,
		&(struct presence_effect){
			.type = PRESENCE_FORGOTTEN,
			.record = { .role = "agent", .id = id },
		});
}

static void types(struct driver *driver, const char *id, const char *conversation)
{
	put(driver,
		&(struct presence_effect){
			.type = PRESENCE_ACTIVITY,
			.record = { .role = "agent", .id = id },
			.conversation = conversation,
			.active = true,
			.active_until_ms = driver->wall_ms + 5000,
		});
}

static void refresh(struct driver *driver, const char *id, int64_t last_seen_ms)
{
	put(driver,
		&(struct presence_effect){
			.type = PRESENCE_REFRESH,
			.record = { .role = "agent",
				.id = id,
				.status = PRESENCE_ONLINE,
				.devices = 1,
				.last_seen_ms = last_seen_ms },
		});
}

static void pass(struct driver *driver, int64_t ms)
{
	driver->now_ms += ms;
	driver->wall_ms += ms;
	mailbox_beat(driver->box, driver->now_ms);
}

/* Time passes, and then all is done that is due. */
static void later(struct driver *driver, int64_t ms)
{
	pass(driver, ms);
	driver_settle(driver);
}

static void later_often(struct driver *driver, int times, int64_t ms)
{
	for (int i = 0; i < times; i++)
		later(driver, ms);
}

static void start_boot(struct driver *driver, uint64_t boot)
{
	driver_start(driver, boot);
	mailbox_beat(driver->box, driver->now_ms);
}

static void begin(struct driver *driver, const char *node, uint64_t boot)
{
	driver_init(driver, &server, node);
	start_boot(driver, boot);
}

/* Not the default user of Redis but one who may only do so much. */
static void begin_as(struct driver *driver, const char *user, const char *password)
{
	driver_init(driver, &server, "b1");
	driver->config.user = user;
	driver->config.password = password;
	start_boot(driver, 1);
}

static const char *ask(const char *command, const char *key)
{
	static char out[512];
	char whole[512];
	int length = snprintf(whole, sizeof(whole), "%s presence:{0}:", command);
	for (; *key && length < (int)sizeof(whole) - 2; key++) {
		if (*key == '%') /* to hiredis it would be a place for an argument */
			whole[length++] = '%';
		whole[length++] = *key;
	}
	whole[length] = '\0';
	redisReply *reply = server_ask(&server, whole);
	out[0] = '\0';
	if (reply->type == REDIS_REPLY_INTEGER)
		(void)snprintf(out, sizeof(out), "%lld", reply->integer);
	else if (reply->str)
		(void)snprintf(out, sizeof(out), "%s", reply->str);
	for (size_t i = 0; i < reply->elements; i++)
		(void)snprintf(out + strlen(out), sizeof(out) - strlen(out), "%s%s", i ? " " : "",
			reply->element[i]->str);
	freeReplyObject(reply);
	return out;
}

#define assert_redis(command, key, expected) assert_string_equal(ask(command, key), expected)

/* No allocation grows. */
static bool is_scarce;
void *__real_realloc(void *old, size_t size);
void *__wrap_realloc(void *old, size_t size);
void *__wrap_realloc(void *old, size_t size)
{
	return is_scarce ? NULL : __real_realloc(old, size);
}

static int clean(void **state)
{
	(void)state;
	server_do(&server, "FLUSHALL");
	server_do(&server, "SCRIPT FLUSH");
	return 0;
}

static void test_formats(void **state)
{
	struct driver driver;
	(void)state;
	begin(&driver, "b1", 0xabc);
	up(&driver, "u/1", "w:1");
	driver_settle(&driver);
	assert_redis("HGETALL", "subject:agent/u%2F1",
		"v 1 role agent id u/1 status online previous offline reason connect source "
		"inferred devices 1 since 1763769600000 last_seen 1763769600000 rev "
		"1763769600000000 node b1");
	assert_redis("HGETALL", "state:agent/u%2F1",
		"d:b1/w%3A1 1|1|2|1763769600000000|1763769600000| rev 1763769600000000");
	assert_redis("ZRANGE", "online:agent 0 -1 WITHSCORES", "u%2F1 1763769600000");
	assert_redis("SMEMBERS", "node:b1", "agent/u%2F1");
	assert_redis("HGETALL", "nodes", "b1 1|0000000000000abc|1|1|up|1|host|0");
	assert_redis("HGETALL", "meta", "format 1 partitions 1 gen 1 epoch 1 rev 1763769600000000");
	assert_redis("GET", "lease:b1", "0000000000000abc");
	assert_redis("XLEN", "events", "3"); /* gen, node, set */
	assert_true(atoll(ask("PTTL", "subject:agent/u%2F1")) > 170000);
	assert_redis("PTTL", "state:agent/u%2F1", "-1");
	pass(&driver, 5);
	down(&driver, "u/1", "w:1");
	driver_settle(&driver);
	assert_redis("HMGET", "subject:agent/u%2F1 status devices previous reason since",
		"offline 0 online disconnect 1763769600005");
	assert_redis("HGETALL", "state:agent/u%2F1", "rev 1763769600005000");
	assert_true(atoll(ask("PTTL", "state:agent/u%2F1")) > 3500000);
	assert_true(atoll(ask("PTTL", "subject:agent/u%2F1")) > 3500000);
	assert_redis("ZCARD", "online:agent", "0");
	up(&driver, "u/1", "w:1");
	driver_settle(&driver);
	assert_redis("PTTL", "state:agent/u%2F1", "-1");
	down(&driver, "u/1", "w:1");
	forget(&driver, "u/1");
	driver_settle(&driver);
	assert_redis("EXISTS", "subject:agent/u%2F1", "0");
	assert_redis("EXISTS", "state:agent/u%2F1", "0");
	assert_redis("SCARD", "node:b1", "0");
	assert_redis("XLEN", "events", "7");
	redisReply *last = server_ask(&server, "XREVRANGE presence:{0}:events + - COUNT 1");
	assert_string_equal(last->element[0]->element[1]->element[1]->str, "forget");
	freeReplyObject(last);
	driver_stop(&driver);
}

static void test_continuity(void **state)
{
	struct driver one, two;
	(void)state;
	begin(&one, "b1", 1);
	begin(&two, "b2", 2);
	up(&one, "u1", "a");
	driver_settle(&one);
	pass(&two, 1000);
	up(&two, "u1", "b");
	driver_settle(&two);
	/* Nothing changed for those who watch but the devices. */
	assert_redis("HMGET", "subject:agent/u1 status previous since devices",
		"online offline 1763769600000 2");
	pass(&two, 1000);
	store(&two, "u1", "b", PRESENCE_DND, PRESENCE_DND, PRESENCE_ONLINE);
	driver_settle(&two);
	assert_redis("HMGET", "subject:agent/u1 status previous since devices",
		"dnd online 1763769602000 2");
	down(&two, "u1", "b");
	driver_settle(&two);
	assert_redis("HMGET", "subject:agent/u1 status previous devices", "online dnd 1");
	/* The other one forgets what it no longer has; what is there stays. */
	forget(&two, "u1");
	driver_settle(&two);
	assert_redis("HGET", "subject:agent/u1 status", "online");
	assert_redis("SCARD", "node:b2", "0");
	driver_stop(&one);
	driver_stop(&two);
}

/* u1 was on the one node, and is offline there. */
static void begin_gone(struct driver *one, struct driver *two)
{
	begin(one, "b1", 1);
	begin(two, "b2", 2);
	up(one, "u1", "a");
	driver_settle(one);
	down(one, "u1", "a");
	driver_settle(one);
}

/* Who is somewhere else now is among the subjects of that node, also when the one before knew best
 * how the record was to be. */
static void test_moved(void **state)
{
	struct driver one, two;
	(void)state;
	begin_gone(&one, &two);
	assert_redis("SCARD", "node:b1", "1");
	pass(&two, 1000);
	up(&two, "u1", "b");
	driver_settle(&two);
	assert_redis("SCARD", "node:b1", "0");
	assert_redis("SMEMBERS", "node:b2", "agent/u1");
	driver_stop(&one);
	driver_stop(&two);
}

/* The set it is taken out of may be anything by then: nothing is left half done. */
static void test_moved_wrong_type(void **state)
{
	struct driver one, two;
	(void)state;
	begin_gone(&one, &two);
	driver_settle(&two);
	server_do(&server, "SET presence:{0}:node:b1 junk");
	pass(&two, 1000);
	up(&two, "u1", "b");
	driver_settle(&two);
	assert_redis("GET", "node:b1", "junk");
	assert_redis("HMGET", "subject:agent/u1 status devices", "online 1");
	assert_redis("HLEN", "state:agent/u1", "2");
	assert_redis("ZCARD", "online:agent", "1");
	assert_redis("SMEMBERS", "node:b2", "agent/u1");
	assert_redis("XLEN", "events", "6"); /* gen, 2 nodes, set 3 times */
	assert_true(redis_writer_idle(two.writer));
	driver_stop(&one);
	driver_stop(&two);
}

/* One goes at once; what follows soon goes together. */
static void test_linger(void **state)
{
	struct driver driver;
	(void)state;
	begin(&driver, "b1", 1);
	driver.config.linger_ms = 2;
	driver_settle(&driver);
	up(&driver, "u1", "a");
	driver_settle(&driver);
	assert_redis("XLEN", "events", "3"); /* gen, node, set */
	up(&driver, "u2", "a");
	driver_settle(&driver);
	up(&driver, "u3", "a");
	driver_settle(&driver);
	assert_redis("XLEN", "events", "3");
	assert_int_equal(redis_writer_deadline(driver.writer), driver.now_ms + 2);
	pass(&driver, 2);
	uint64_t before = driver.executed;
	driver_settle(&driver);
	assert_redis("XLEN", "events", "5");
	assert_int_equal(driver.executed, before + 1);
	for (int i = 0; i < REDIS_BATCH_MAX; i++) { /* full: at once */
		char id[16];
		(void)snprintf(id, sizeof(id), "v%d", i);
		up(&driver, id, "a");
	}
	driver_settle(&driver);
	assert_redis("XLEN", "events", "261");
	up(&driver, "u4", "a"); /* leaving: at once too */
	mailbox_leave(driver.box);
	driver_settle(&driver);
	assert_redis("HGET", "subject:agent/u4 status", "online");
	driver_stop(&driver);
}

static void test_rev(void **state)
{
	struct driver driver;
	struct heard heard = { 0 };
	(void)state;
	server_do(
		&server, "HSET presence:{0}:meta format 1 partitions 1 gen 5 rev 9007199254740000");
	begin(&driver, "b1", 1);
	up(&driver, "u1", "a");
	driver_settle(&driver);
	listen(&driver, &heard);
	assert_redis("HGET", "subject:agent/u1 rev", "9007199254740001");
	assert_redis("HGET", "meta gen", "5");
	driver_settle(&driver);
	listen(&driver, &heard);
	assert_int_equal(heard.rev, 9007199254740001);
	driver_stop(&driver);
}

/* What an earlier boot had up is told of as such, though nothing says any more that there was one.
 */
static void test_nodes_lost(void **state)
{
	struct driver driver;
	struct heard heard = { 0 };
	(void)state;
	begin(&driver, "b1", 1);
	up(&driver, "u1", "a");
	driver_settle(&driver);
	driver_stop(&driver);
	server_do(&server, "DEL presence:{0}:nodes");
	begin(&driver, "b1", 2);
	driver_settle(&driver);
	listen(&driver, &heard);
	assert_int_equal(heard.restored, 1);
	assert_int_equal(heard.devices, 1);
	assert_redis("HGET", "nodes b1", "1|0000000000000002|2|0|up|1|host|0");
	driver_stop(&driver);
}

static void test_wrong_type(void **state)
{
	struct driver driver;
	struct heard heard = { 0 };
	(void)state;
	server_do(&server, "SET presence:{0}:state:agent/u1 junk");
	begin(&driver, "b1", 1);
	up(&driver, "u0", "a");
	up(&driver, "u1", "a");
	types(&driver, "u1", "c");
	up(&driver, "u2", "a");
	driver_settle(&driver);
	listen(&driver, &heard);
	assert_redis("HGET", "subject:agent/u0 status", "online");
	assert_redis("HGET", "subject:agent/u2 status", "online");
	assert_redis("ZRANGE", "typing:c 0 -1", "agent/u1"); /* no key of the subject */
	assert_redis("EXISTS", "subject:agent/u1", "0");
	assert_redis("GET", "state:agent/u1", "junk");
	assert_non_null(strstr(heard.lines, "presence:{0}:state:agent/u1 is a string"));
	int lines = count_lines(&heard);
	down(&driver, "u1", "a");
	up(&driver, "u1", "b");
	later_often(&driver, 100, 1000);
	listen(&driver, &heard);
	assert_int_equal(count_lines(&heard), lines);
	server_do(&server, "DEL presence:{0}:state:agent/u1");
	later(&driver, 60000);
	assert_redis("HMGET", "subject:agent/u1 status devices", "online 1");
	assert_redis("HEXISTS", "state:agent/u1 d:b1/b", "1");
	assert_redis("HLEN", "state:agent/u1", "2");
	driver_settle(&driver);
	assert_true(redis_writer_idle(driver.writer));
	driver_stop(&driver);
}

/* This node has u1 on a and b, then only on b, and Redis thinks it was in the past. */
static void begin_sweep(struct driver *driver)
{
	begin(driver, "b1", 1);
	up(driver, "u1", "a");
	up(driver, "u1", "b");
	driver_settle(driver);
	server_do(&server, "HDEL presence:{0}:nodes b1");
	later(driver, 6000);
}

/* As the broker does, which has heard that it was asked. */
static void say_again(struct driver *driver, struct heard *heard)
{
	listen(driver, heard);
	up(driver, "u1", "b");
	put(driver, &(struct presence_effect){ .type = PRESENCE_RESYNCED });
}

/* The end of what was asked for earlier does not answer what was asked since: nothing has been said
 * again so far, and all would go down. */
static void test_sweep_not_answered(void **state)
{
	struct driver driver;
	struct heard heard = { 0 };
	(void)state;
	begin_sweep(&driver);
	put(&driver, &(struct presence_effect){ .type = PRESENCE_RESYNCED });
	driver_settle(&driver);
	assert_redis("HLEN", "state:agent/u1", "3");
	assert_redis("HMGET", "subject:agent/u1 status devices", "online 2");
	say_again(&driver, &heard);
	driver_settle(&driver);
	assert_int_equal(heard.resyncs, 1);
	assert_redis("HEXISTS", "state:agent/u1 d:b1/a", "0");
	assert_redis("HMGET", "subject:agent/u1 status devices", "online 1");
	driver_stop(&driver);
}

/* What could not be swept is swept when the key is gone that was not ours. */
static void test_sweep_wrong_type(void **state)
{
	struct driver driver;
	struct heard heard = { 0 };
	(void)state;
	begin_sweep(&driver);
	server_do(&server, "DEL presence:{0}:subject:agent/u1");
	server_do(&server, "SET presence:{0}:subject:agent/u1 junk");
	say_again(&driver, &heard);
	driver_settle(&driver);
	listen(&driver, &heard);
	assert_int_equal(heard.resyncs, 1);
	assert_redis("HEXISTS", "state:agent/u1 d:b1/a", "1");
	server_do(&server, "DEL presence:{0}:subject:agent/u1");
	later_often(&driver, 20, 5000);
	listen(&driver, &heard);
	assert_redis("HEXISTS", "state:agent/u1 d:b1/a", "0");
	assert_redis("HEXISTS", "state:agent/u1 d:b1/b", "1");
	assert_redis("HMGET", "subject:agent/u1 status devices", "online 1");
	assert_int_equal(heard.resyncs, 1);
	assert_int_equal(heard.asserts, 1);
	assert_true(redis_writer_idle(driver.writer));
	driver_stop(&driver);
}

/* Whose record is in the sweep's words is said again, even when the answer was lost. */
static void test_sweep_unanswered(void **state)
{
	struct driver driver;
	struct heard heard = { 0 };
	char reason[32] = "";
	(void)state;
	begin_sweep(&driver);
	later(&driver, 6000); /* renewed: not all will be said again because of the cut */
	say_again(&driver, &heard);
	for (int i = 0; i < 100 && strcmp(reason, "broker_restart") != 0; i++) {
		driver_step(&driver);
		if (!driver_answer(&driver))
			(void)driver_execute(&driver, driver.wire);
		(void)server_text(&server, reason, sizeof(reason),
			"HGET presence:{0}:subject:agent/u1 reason");
	}
	assert_string_equal(reason, "broker_restart");
	driver_cut(&driver, false);
	later(&driver, 60000);
	listen(&driver, &heard);
	assert_int_equal(heard.asserts, 1);
	assert_true(redis_writer_idle(driver.writer));
	driver_stop(&driver);
}

/* Another node found Redis in the past, before this one's sweep, which no mark counts. */
static void test_sweep_undone(void **state)
{
	struct driver driver;
	struct heard heard = { 0 };
	(void)state;
	begin(&driver, "b1", 1);
	up(&driver, "u1", "b");
	driver_settle(&driver);
	server_do(&server,
		"HSET presence:{0}:state:agent/u1 d:b1/a 1|0|2|1763769600000000|1763769600000|");
	server_do(&server, "HINCRBY presence:{0}:meta gen 1");
	later(&driver, 6000);
	listen(&driver, &heard);
	assert_int_equal(heard.resyncs, 1);
	say_again(&driver, &heard);
	driver_settle(&driver);
	assert_redis("HEXISTS", "state:agent/u1 d:b1/a", "0");
	assert_redis("HMGET", "subject:agent/u1 status devices", "online 1");
	later(&driver, 6000);
	listen(&driver, &heard);
	assert_int_equal(heard.resyncs, 1);
	driver_stop(&driver);
}

static void test_shared_wrong_type(void **state)
{
	struct driver driver;
	struct heard heard = { 0 };
	(void)state;
	begin(&driver, "b1", 1);
	driver_settle(&driver);
	server_do(&server, "SET presence:{0}:online:agent junk");
	up(&driver, "u1", "a");
	driver_settle(&driver);
	listen(&driver, &heard);
	assert_redis("EXISTS", "subject:agent/u1", "0");
	assert_non_null(strstr(heard.lines, "presence:{0}:online:agent"));
	server_do(&server, "DEL presence:{0}:online:agent");
	later(&driver, 10000);
	assert_redis("HGET", "subject:agent/u1 status", "online");
	driver_stop(&driver);
}

/* The next command begins to go through all overrides; they were read at the start already. */
static bool is_sweeping(const struct driver *driver)
{
	static const char cursor[] = "\r\no0\r\n";
	const struct wire_command *command = driver->wire ? driver->wire->commands : NULL;
	return command && memmem(command->bytes, command->length, cursor, sizeof(cursor) - 1);
}

/* While it is read what was before, and while what is left over is taken out. */
static void test_pages_wrong_type(void **state)
{
	static const char told[] = "not presence's: delete it, or choose another redis_prefix "
				   "(presence:{0}:overrides)";
	struct driver driver;
	struct heard heard = { 0 };
	(void)state;
	begin(&driver, "b1", 1);
	assert_true(driver_connect(&driver));
	for (int i = 0; i < 100 && !*ask("HGET", "nodes b1"); i++) {
		driver_step(&driver);
		if (!driver_execute(&driver, driver.wire))
			(void)driver_answer(&driver);
	}
	server_do(&server, "SET presence:{0}:overrides junk");
	driver_settle(&driver);
	listen(&driver, &heard);
	assert_non_null(strstr(heard.lines, told));
	assert_null(strstr(heard.lines, "does not speak Redis"));
	server_do(&server, "DEL presence:{0}:overrides");
	later(&driver, 10000);
	assert_true(redis_writer_idle(driver.writer));
	driver_stop(&driver);
	clean(state);
	begin_sweep(&driver);
	later(&driver, 6000); /* renewed: not all will be said again because of the wait */
	say_again(&driver, &heard);
	for (int i = 0; i < 100 && !is_sweeping(&driver); i++) {
		driver_step(&driver);
		if (!driver_answer(&driver) && !is_sweeping(&driver))
			(void)driver_execute(&driver, driver.wire);
	}
	assert_true(is_sweeping(&driver));
	server_do(&server, "SET presence:{0}:overrides junk");
	memset(&heard, 0, sizeof(heard));
	driver_settle(&driver);
	listen(&driver, &heard);
	assert_non_null(strstr(heard.lines, told));
	assert_null(strstr(heard.lines, "does not speak Redis"));
	server_do(&server, "DEL presence:{0}:overrides");
	later(&driver, 10000);
	assert_redis("HEXISTS", "state:agent/u1 d:b1/a", "0");
	driver_stop(&driver);
}

static void test_same_name(void **state)
{
	struct driver first, second;
	struct heard heard = { 0 };
	struct store_stats stats;
	int64_t oldest_ms;
	(void)state;
	begin(&first, "b1", 1);
	up(&first, "u1", "a");
	driver_settle(&first);
	begin(&second, "b1", 2);
	driver_settle(&second); /* a boot may take a live lease once, at its start */
	assert_redis("GET", "lease:b1", "0000000000000002");
	up(&first, "u2", "a");
	driver_settle(&first);
	assert_redis("EXISTS", "subject:agent/u2", "0");
	listen(&first, &heard);
	assert_non_null(strstr(heard.lines, "2 Redis at test: CRITICAL"));
	assert_non_null(strstr(heard.lines, "host host, pid 1"));
	redis_writer_stats(first.writer, &stats, &oldest_ms);
	assert_int_equal(stats.state, STORE_FENCED);
	assert_int_equal(stats.fenced, 1);
	int lines = count_lines(&heard);
	for (int i = 0; i < 20; i++) {
		pass(&first, 5000);
		later(&second, 3000);
		driver_settle(&first);
	}
	listen(&first, &heard);
	assert_int_equal(count_lines(&heard), lines);
	assert_redis("GET", "lease:b1", "0000000000000002");
	assert_redis("EXISTS", "subject:agent/u2", "0");
	/* The other one is gone. */
	server_do(&server, "DEL presence:{0}:lease:b1");
	later(&first, 10000);
	assert_redis("HGET", "subject:agent/u2 status", "online");
	listen(&first, &heard);
	assert_int_equal(heard.resyncs, 1);
	later(&second, 10000);
	redis_writer_stats(second.writer, &stats, &oldest_ms);
	assert_int_equal(stats.state, STORE_FENCED);
	driver_stop(&first);
	driver_stop(&second);
}

/* Another boot had the name, so all is to be said again; the answer that says so is lost. */
static void test_unheard_verdict(void **state)
{
	struct driver first, second;
	struct heard heard = { 0 };
	(void)state;
	begin(&first, "b1", 1);
	up(&first, "u1", "a");
	driver_settle(&first);
	begin(&second, "b1", 2);
	driver_settle(&second);
	driver_stop(&second);
	up(&first, "u1", "b");
	driver_settle(&first);
	server_do(&server, "DEL presence:{0}:lease:b1");
	pass(&first, 5000);
	for (int i = 0; i < 100 && !strstr(ask("HGET", "nodes b1"), "|resync|"); i++) {
		driver_step(&first);
		if (!driver_execute(&first, first.wire))
			(void)driver_answer(&first);
	}
	assert_non_null(strstr(ask("HGET", "nodes b1"), "|0000000000000001|"));
	driver_cut(&first, false);
	listen(&first, &heard);
	assert_int_equal(heard.resyncs, 0);
	pass(&first, 5000);
	driver_settle(&first);
	listen(&first, &heard);
	assert_int_equal(heard.resyncs, 1);
	driver_stop(&first);
}

static void test_mismatch(void **state)
{
	struct driver driver;
	struct heard heard = { 0 };
	(void)state;
	server_do(&server, "HSET presence:{0}:meta format 1 partitions 8 gen 1");
	begin(&driver, "b1", 1);
	up(&driver, "u1", "a");
	driver_settle(&driver);
	listen(&driver, &heard);
	assert_non_null(strstr(heard.lines, "set redis_partitions to 8 here"));
	assert_redis("EXISTS", "subject:agent/u1", "0");
	assert_redis("EXISTS", "nodes", "0");
	server_do(&server, "HSET presence:{0}:meta partitions 1");
	later(&driver, 30000);
	assert_redis("HGET", "subject:agent/u1 status", "online");
	driver_stop(&driver);
}

static void test_lease(void **state)
{
	struct driver driver;
	(void)state;
	begin(&driver, "b1", 1);
	driver_settle(&driver);
	server_do(&server, "DEL presence:{0}:lease:b1");
	driver.now_ms += 60000; /* the broker hangs: no beat */
	driver_settle(&driver);
	assert_redis("EXISTS", "lease:b1", "0");
	later(&driver, 4000);
	assert_redis("GET", "lease:b1", "0000000000000001"); /* only renewed: the epoch is intact */
	assert_redis("HGET", "nodes b1", "1|0000000000000001|1|0|up|1|host|0");
	driver_stop(&driver);
}

static void test_leave(void **state)
{
	struct driver driver;
	(void)state;
	begin(&driver, "b1", 1);
	driver_settle(&driver);
	up(&driver, "u1", "a");
	mailbox_leave(driver.box);
	assert_false(redis_writer_idle(driver.writer));
	driver_settle(&driver);
	assert_true(redis_writer_idle(driver.writer));
	assert_redis("HGET", "subject:agent/u1 status", "online");
	assert_redis("HGET", "nodes b1", "1|0000000000000001|1|1|leaving|1|host|0");
	assert_true(atoll(ask("PTTL", "lease:b1")) > 5000);
	driver_stop(&driver);
	/* Who follows need not take anything. */
	begin(&driver, "b1", 2);
	driver_settle(&driver);
	assert_redis("GET", "lease:b1", "0000000000000002");
	driver_stop(&driver);
}

static void test_snapshot(void **state)
{
	struct driver driver;
	struct heard heard = { 0 };
	char id[16];
	(void)state;
	begin(&driver, "b1", 1);
	for (int i = 0; i < 3000; i++) {
		(void)snprintf(id, sizeof(id), "u%d", i);
		up(&driver, id, "a");
		if (i % 3 == 0)
			down(&driver, id, "a");
	}
	driver_settle(&driver);
	driver_stop(&driver);
	begin(&driver, "b1", 2);
	up(&driver, "new", "a");
	/* More than the mailbox takes at once, and a connection that breaks in between. */
	driver_settle(&driver);
	assert_redis("EXISTS", "subject:agent/new", "0"); /* first the old is read */
	driver_cut(&driver, false);
	listen(&driver, &heard);
	heard.restored = heard.devices = 0;
	for (int i = 0; i < 20; i++) {
		later(&driver, 100);
		listen(&driver, &heard);
	}
	assert_int_equal(heard.restored, 3000);
	assert_int_equal(heard.devices, 2000);
	assert_redis("HGET", "subject:agent/new status", "online");
	driver_stop(&driver);
}

static void test_refresh(void **state)
{
	struct driver driver;
	struct heard heard = { 0 };
	(void)state;
	begin(&driver, "b1", 1);
	up(&driver, "u1", "a");
	up(&driver, "u2", "a");
	driver_settle(&driver);
	server_do(&server, "DEL presence:{0}:state:agent/u2");
	server_do(&server, "PEXPIRE presence:{0}:subject:agent/u1 5000");
	refresh(&driver, "u1", driver.wall_ms + 7);
	refresh(&driver, "u2", driver.wall_ms + 7);
	driver_settle(&driver);
	listen(&driver, &heard);
	assert_int_equal(heard.asserts, 1);
	assert_true(atoll(ask("PTTL", "subject:agent/u1")) > 100000);
	assert_redis("HGET", "subject:agent/u1 last_seen", "1763769600007");
	assert_redis("ZSCORE", "online:agent u1", "1763769600007");
	driver_stop(&driver);
}

/* Evicted, or somebody else's for a while: the next boot would not find its subjects. */
static void test_refresh_node(void **state)
{
	struct driver driver;
	(void)state;
	begin(&driver, "b1", 1);
	up(&driver, "u1", "a");
	driver_settle(&driver);
	server_do(&server, "DEL presence:{0}:node:b1");
	refresh(&driver, "u1", driver.wall_ms);
	driver_settle(&driver);
	assert_redis("SISMEMBER", "node:b1 agent/u1", "1");
	driver_stop(&driver);
}

static void test_late(void **state)
{
	struct driver driver;
	struct heard heard = { 0 };
	(void)state;
	begin(&driver, "b1", 1);
	driver_settle(&driver);
	up(&driver, "u1", "a");
	driver_step(&driver); /* sent, and nothing comes back */
	driver.now_ms += REDIS_REPLY_MS - 1;
	driver_step(&driver);
	assert_non_null(driver.wire);
	driver.now_ms++;
	driver_step(&driver);
	assert_null(driver.wire);
	later(&driver, 1000);
	pass(&driver, 10);
	down(&driver, "u1", "a");
	driver_settle(&driver);
	assert_true(driver_execute_late(&driver));
	assert_string_equal(driver.abandoned->replies->reply->element[0]->str, "FENCED");
	assert_redis("HGET", "subject:agent/u1 status", "offline");
	listen(&driver, &heard);
	assert_non_null(strstr(heard.lines, "1 Redis at test: does not answer"));
	driver_stop(&driver);
}

/* The scripts are long, and each goes and is answered by itself. */
static void test_slow_link(void **state)
{
	struct driver driver;
	(void)state;
	begin(&driver, "b1", 1);
	assert_true(driver_connect(&driver));
	struct redis_out *out = redis_writer_out(driver.writer);
	for (int i = 0; i < 5; i++) {
		pass(&driver, REDIS_REPLY_MS - 1);
		redis_writer_step(driver.writer, driver.now_ms, driver.wall_ms);
		assert_false(redis_writer_wants_close(driver.writer));
		assert_int_equal(redis_writer_deadline(driver.writer), driver.now_ms + 1);
		redis_writer_sent(driver.writer, 1, driver.now_ms);
	}
	assert_true(out->length > 50000);
	/* Gone, but for what follows the first command: no more of it moves. */
	redis_writer_sent(driver.writer, 100, driver.now_ms);
	pass(&driver, REDIS_REPLY_MS - 1);
	redis_writer_sent(driver.writer, 100, driver.now_ms);
	pass(&driver, 1);
	redis_writer_step(driver.writer, driver.now_ms, driver.wall_ms);
	assert_true(redis_writer_wants_close(driver.writer));
	driver_cut(&driver, false);
	pass(&driver, 5000);
	assert_true(driver_connect(&driver));
	driver_step(&driver);
	while (driver.wire && driver_execute(&driver, driver.wire)) {
		pass(&driver, REDIS_REPLY_MS - 1);
		assert_true(driver_answer(&driver));
		driver_step(&driver);
	}
	assert_redis("GET", "lease:b1", "0000000000000001");
	assert_true(redis_writer_idle(driver.writer));
	driver_stop(&driver);
}

/* Redis is back in the past, and before the node can see it, a REGISTER of a connection that it
 * gave up does: what that one is told nobody hears, and the node must be told again. */
static void test_late_register(void **state)
{
	struct driver driver;
	struct heard heard = { 0 };
	struct past past = { 0 };
	(void)state;
	begin(&driver, "b1", 1);
	driver_settle(&driver);
	past_save(&past, &server);
	up(&driver, "u1", "a");
	driver_settle(&driver);
	driver_cut(&driver, false);
	pass(&driver, 1000);
	assert_true(driver_connect(&driver));
	driver_step(&driver);
	while (driver_execute(&driver, driver.wire))
		continue;
	while (driver_answer(&driver))
		continue;
	driver_step(&driver); /* REGISTER is under way */
	assert_non_null(driver.wire->commands);
	driver_cut(&driver, true);
	later(&driver, 1000);
	past_bring_back(&past, &server);
	assert_true(driver_execute_late(&driver));
	later_often(&driver, 4, 2000);
	listen(&driver, &heard);
	assert_int_equal(heard.resyncs, 1);
	past_drop(&past);
	driver_stop(&driver);
}

static void test_password(void **state)
{
	struct driver driver;
	struct heard heard = { 0 };
	(void)state;
	server_do(&server, "ACL SETUSER writer on >secret ~presence:* +@all");
	begin_as(&driver, "writer", "not-secret");
	up(&driver, "u1", "a");
	driver_settle(&driver);
	pass(&driver, 14000);
	assert_false(redis_writer_wants_connection(driver.writer, driver.now_ms));
	listen(&driver, &heard);
	assert_int_equal(count_lines(&heard), 1);
	assert_non_null(strstr(heard.lines, "refuses the user or password"));
	assert_null(strstr(heard.lines, "secret"));
	driver.config.password = "secret";
	later(&driver, 30000);
	assert_redis("HGET", "subject:agent/u1 status", "online");
	/* Then its rights go. */
	server_do(&server, "ACL SETUSER writer -hset");
	up(&driver, "u2", "a");
	driver_settle(&driver);
	later(&driver, 100000);
	listen(&driver, &heard);
	assert_non_null(strstr(heard.lines, "does not let its user"));
	server_do(&server, "ACL SETUSER writer +hset");
	later(&driver, 100000);
	assert_redis("HGET", "subject:agent/u2 status", "online");
	driver_stop(&driver);
	server_do(&server, "ACL DELUSER writer");
}

/* The rights that the documentation gives, and no more. */
static void test_rights(void **state)
{
	struct driver driver;
	struct heard heard = { 0 };
	(void)state;
	server_do(&server,
		"ACL SETUSER writer on >secret ~presence:* -@all +evalsha +script|load "
		"+info +type +hget +hmget +hset +hdel +hgetall +hlen +hvals +del +pexpire "
		"+persist +pttl +set +zadd +zcard +zrem +sadd +scard +srem +sscan +xadd +xlen "
		"+hscan +hrandfield +zrange +zremrangebyscore");
	begin_as(&driver, "writer", "secret");
	up(&driver, "u1", "a");
	down(&driver, "u1", "a");
	put(&driver,
		&(struct presence_effect){
			.type = PRESENCE_STORE_OVERRIDE,
			.record = { .role = "agent", .id = "u1" },
			.override = PRESENCE_OVERRIDE_DND,
			.override_rev = 5,
		});
	types(&driver, "u1", "c");
	driver_settle(&driver);
	assert_redis("HLEN", "overrides", "1");
	assert_redis("ZCARD", "typing:c", "1");
	refresh(&driver, "u1", driver.wall_ms);
	later(&driver, 4000); /* the lease is renewed */
	server_do(&server, "FLUSHALL");
	up(&driver, "u1", "a");
	driver_settle(&driver);
	listen(&driver, &heard);
	put(&driver, &(struct presence_effect){ .type = PRESENCE_RESYNCED });
	driver_settle(&driver);
	assert_true(redis_writer_idle(driver.writer));
	assert_redis("HGET", "subject:agent/u1 status", "online");
	driver_stop(&driver);
	server_do(&server, "ACL DELUSER writer");
}

static void batch(struct driver *driver, const char *prefix,
	void (*say)(struct driver *driver, const char *id, const char *device))
{
	for (int i = 0; i < REDIS_BATCH_MAX; i++) {
		char id[16];
		(void)snprintf(id, sizeof(id), "%s%d", prefix, i);
		say(driver, id, "a");
	}
}

/* A batch finds no memory while an earlier one is applied and unanswered: none is lost, and none
 * comes before what was said before it. */
static void test_no_memory(void **state)
{
	struct driver driver;
	struct heard heard = { 0 };
	(void)state;
	begin(&driver, "b1", 1);
	driver_settle(&driver);
	batch(&driver, "u", up);
	driver_step(&driver);
	assert_true(driver_execute(&driver, driver.wire));
	pass(&driver, 10);
	batch(&driver, "u", down);
	batch(&driver, "v", up);
	batch(&driver, "w", up);
	batch(&driver, "x", up);
	is_scarce = true;
	driver_step(&driver);
	is_scarce = false;
	assert_null(driver.wire);
	later(&driver, 5000);
	listen(&driver, &heard);
	assert_non_null(strstr(heard.lines, "machine is out of memory"));
	assert_int_equal(heard.resyncs, 0);
	assert_redis("ZCARD", "online:agent", "768");
	assert_redis("HGET", "subject:agent/u0 status", "offline");
	assert_redis("HGET", "subject:agent/u255 status", "offline");
	assert_redis("HGET", "subject:agent/x0 status", "online");
	assert_true(redis_writer_idle(driver.writer));
	driver_stop(&driver);
}

static void test_memory(void **state)
{
	struct driver driver;
	struct heard heard = { 0 };
	(void)state;
	begin(&driver, "b1", 1);
	driver_settle(&driver);
	server_do(&server, "CONFIG SET maxmemory 1");
	up(&driver, "u1", "a");
	driver_settle(&driver);
	later_often(&driver, 10, 5000);
	listen(&driver, &heard);
	assert_non_null(strstr(heard.lines, "2 Redis at test: is out of memory; raise maxmemory"));
	assert_int_equal(count_lines(&heard), 2);
	server_do(&server, "CONFIG SET maxmemory 0");
	later(&driver, 5000);
	assert_redis("HGET", "subject:agent/u1 status", "online");
	driver_stop(&driver);
}

static void test_eviction_policy(void **state)
{
	struct driver driver;
	struct heard heard = { 0 };
	struct store_stats stats;
	int64_t oldest_ms;
	(void)state;
	server_do(&server, "CONFIG SET maxmemory-policy allkeys-lru");
	begin(&driver, "b1", 1);
	driver_settle(&driver);
	listen(&driver, &heard);
	assert_non_null(strstr(heard.lines, "1 Redis at test: maxmemory-policy is allkeys-lru,"));
	redis_writer_stats(driver.writer, &stats, &oldest_ms);
	assert_true(stats.evicting);
	heard.lines[0] = '\0';
	driver_cut(&driver, false);
	later(&driver, 5000);
	listen(&driver, &heard);
	assert_non_null(strstr(heard.lines, "maxmemory-policy is allkeys-lru,"));
	heard.lines[0] = '\0';
	driver_cut(&driver, false); /* too soon to be told that it is back */
	later(&driver, 1000);
	listen(&driver, &heard);
	assert_int_equal(count_lines(&heard), 0);
	driver_stop(&driver);
	server_do(&server, "CONFIG SET maxmemory-policy noeviction");
}

static void test_partitions(void **state)
{
	struct driver driver;
	char id[16];
	int there = 0;
	(void)state;
	assert_int_equal(redis_partition_of("123456789", 65536), 0x31c3);
	driver_init(&driver, &server, "b1");
	driver.config.partitions = 4;
	start_boot(&driver, 1);
	for (int i = 0; i < 100; i++) {
		(void)snprintf(id, sizeof(id), "u%d", i);
		up(&driver, id, "a");
	}
	driver_settle(&driver);
	for (int i = 0; i < 4; i++) {
		char count[16];
		(void)server_text(&server, count, sizeof(count), "SCARD presence:{%d}:node:b1", i);
		assert_true(atoi(count) > 10);
		there += atoi(count);
	}
	assert_int_equal(there, 100);
	driver_stop(&driver);
}

static void test_problems(void **state)
{
	static const char *const errors[] = { "LOADING Redis is loading", "BUSY Redis is busy",
		"READONLY You can't write", "OOM command not allowed", "NOAUTH Authentication",
		"WRONGPASS invalid", "NOPERM this user", "MASTERDOWN Link", "MISCONF Redis is",
		"NOREPLICAS Not enough", "MOVED 1 a:1", "CLUSTERDOWN Hash" };
	(void)state;
	for (size_t i = 0; i < sizeof(errors) / sizeof(*errors); i++)
		assert_true(redis_problem_of(errors[i]) != redis_problem_of("ERR whatever"));
	assert_ptr_equal(redis_problem_of(""), &redis_unexpected);
	/* Redis 7.2, 8, Valkey; 7.0; 6.2, which puts something before all of them */
	static const char *const rights[] = {
		"ERR ACL failure in script: User w has no permissions to run the 'hset' command",
		"ERR The user executing the script can't run this command or subcommand script: 1",
		"ERR Error running script (call to f_0a): @user_script:59: @user_script: 59: "
		"-NOPERM this user has no permissions",
		"ERR Error running script (call to f_0a): @user_script:59: @user_script: 59: The "
		"user executing the script can't run this command or subcommand",
	};
	for (size_t i = 0; i < sizeof(rights) / sizeof(*rights); i++)
		assert_string_equal(
			redis_problem_of(rights[i])->text, redis_problem_of("NOPERM")->text);
	for (size_t i = 0; i < sizeof(errors) / sizeof(*errors); i++) {
		char wrapped[256];
		(void)snprintf(wrapped, sizeof(wrapped),
			"ERR Error running script (call to f_0a): @user_script:59: @user_script: "
			"59: -%s",
			errors[i]);
		assert_ptr_equal(redis_problem_of(wrapped), redis_problem_of(errors[i]));
	}
	assert_ptr_equal(redis_problem_of("ERR Error running script (call to f_0a): what"),
		&redis_unexpected);
	assert_ptr_equal(redis_problem_of("ERR junk: -OOM"), &redis_unexpected);
}

/* An error that nobody knows is told, but for what could be secret or no line. */
static void test_unexpected(void **state)
{
	struct driver driver;
	struct heard heard = { 0 };
	char text[400];
	(void)state;
	begin(&driver, "b1", 1);
	driver_settle(&driver);
	up(&driver, "u1", "a");
	driver_step(&driver);
	(void)snprintf(text, sizeof(text), "-ERR odd\x1b\tthing%0300d\r\n", 0);
	struct redis_reader *reader = redis_reader_create();
	redisReply *reply = NULL;
	assert_int_equal(redis_reader_feed(reader, text, strlen(text)), 0);
	assert_int_equal(redis_reader_next(reader, &reply), 0);
	redis_writer_reply(driver.writer, reply, driver.now_ms);
	redis_reader_destroy(reader);
	assert_true(redis_writer_wants_close(driver.writer));
	driver_cut(&driver, false);
	listen(&driver, &heard);
	assert_non_null(strstr(heard.lines, "that was not expected (ERR odd  thing000"));
	assert_true(strlen(strstr(heard.lines, "(ERR")) < REDIS_DETAIL_MAX + 3);
	driver_stop(&driver);
	/* To a Redis that has no such command, the password is but an argument. */
	driver_init(&driver, &server, "b1");
	driver.config.password = "secret";
	start_boot(&driver, 2);
	assert_true(driver_connect(&driver));
	reader = redis_reader_create();
	(void)snprintf(text, sizeof(text), "-ERR unknown command 'AUTH', with args 'secret'\r\n");
	assert_int_equal(redis_reader_feed(reader, text, strlen(text)), 0);
	assert_int_equal(redis_reader_next(reader, &reply), 0);
	redis_writer_reply(driver.writer, reply, driver.now_ms);
	redis_reader_destroy(reader);
	driver_cut(&driver, false);
	heard.lines[0] = '\0';
	listen(&driver, &heard);
	assert_non_null(strstr(heard.lines, "that was not expected"));
	assert_null(strstr(heard.lines, "secret"));
	driver_stop(&driver);
}

static int start(void **state)
{
	(void)state;
	server_init(&server);
	server_start(&server, NULL);
	return 0;
}

static int stop(void **state)
{
	(void)state;
	server_finish(&server);
	return 0;
}

#define TEST(name) cmocka_unit_test_setup(name, clean)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_formats),
		TEST(test_continuity),
		TEST(test_linger),
		TEST(test_moved),
		TEST(test_moved_wrong_type),
		TEST(test_rev),
		TEST(test_nodes_lost),
		TEST(test_wrong_type),
		TEST(test_sweep_not_answered),
		TEST(test_sweep_wrong_type),
		TEST(test_sweep_unanswered),
		TEST(test_sweep_undone),
		TEST(test_shared_wrong_type),
		TEST(test_pages_wrong_type),
		TEST(test_same_name),
		TEST(test_unheard_verdict),
		TEST(test_mismatch),
		TEST(test_lease),
		TEST(test_leave),
		TEST(test_snapshot),
		TEST(test_refresh),
		TEST(test_refresh_node),
		TEST(test_late),
		TEST(test_slow_link),
		TEST(test_late_register),
		TEST(test_password),
		TEST(test_rights),
		TEST(test_no_memory),
		TEST(test_memory),
		TEST(test_eviction_policy),
		TEST(test_partitions),
		TEST(test_problems),
		TEST(test_unexpected),
	};
	return cmocka_run_group_tests(tests, start, stop);
}
