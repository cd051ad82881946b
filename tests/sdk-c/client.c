/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
/* What a client says and makes of what it hears, without a network. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "fake.h"

#define CONTROL "$CONTROL/presence/v1"
#define RESPONSE CONTROL "/response"
#define DIGEST "$SYS/broker/presence/digest/agent"
#define NOTHING_BUT_NEWER "{\"count\":0,\"xor\":\"0000000000000000\",\"rev\":9}"
#define DIGESTS "$SYS/broker/presence/digest/+"
#define BOTH "{\"count\":2,\"xor\":\"000a0f000008920e\",\"rev\":6}" /* u1 of rev 5, u2 of 6 */
#define NOTHING "{\"count\":0,\"xor\":\"0000000000000000\",\"rev\":0}"

static void record_text(char *out, size_t size, const char *id, const char *status, int rev)
{
	(void)snprintf(out, size,
		"{\"v\":1,\"role\":\"agent\",\"id\":\"%s\",\"status\":\"%s\",\"previous\":"
		"\"offline\","
		"\"reason\":\"connect\",\"source\":\"inferred\",\"devices\":1,\"since\":1,"
		"\"last_seen\":1,\"rev\":%d,\"node\":\"b1\"}",
		id, status, rev);
}

static void hear(struct fake *fake, const char *id, const char *status, int rev)
{
	char record[1024], topic[256];
	record_text(record, sizeof(record), id, status, rev);
	(void)snprintf(topic, sizeof(topic), "presence/agent/%s", id);
	assert_true(fake_message(fake, topic, record, true));
}

static struct presence_client_record look_at(struct fake *fake, const char *role, const char *id)
{
	struct presence_client_record record;
	struct presence_client_storage storage;
	assert_int_equal(presence_client_lookup(fake->client, role, id, &record, &storage), 0);
	return record;
}

static struct presence_client_record look(struct fake *fake, const char *id)
{
	return look_at(fake, "agent", id);
}

static bool said(const struct fake *fake, int at, const char *command)
{
	char begin[64];
	(void)snprintf(begin, sizeof(begin), "{\"commands\":[{\"command\":\"%s\"", command);
	return at < fake->sent_count && !strcmp(fake->sent[at].topic, CONTROL) &&
		!strncmp(fake->sent[at].payload, begin, strlen(begin));
}

static int count_said(const struct fake *fake, const char *command)
{
	int count = 0;
	for (int i = 0; i < fake->sent_count; i++)
		count += said(fake, i, command);
	return count;
}

/* It does what is due by now; the deadlines of these tests are a ms away. */
static void tick(struct fake *fake)
{
	struct timespec little = { .tv_nsec = 1000000 };
	(void)presence_client_tick(fake->client);
	nanosleep(&little, NULL);
}

static void tick_until(struct fake *fake, const int *count, int wanted)
{
	for (int i = 0; *count < wanted && i < 5000; i++)
		tick(fake);
	assert_int_equal(*count, wanted);
}

static void count_record(const struct presence_client_record *record, void *count)
{
	(void)record;
	++*(int *)count;
}

static void test_config(void **state)
{
	(void)state;
	struct presence_client *client = NULL;
	const struct presence_client_config good = {
		.size = sizeof(good), .mosquitto = fake_mosquitto(), .role = "agent", .id = "u1"
	};
	struct presence_client_config bad[11];
	for (int i = 0; i < 11; i++)
		bad[i] = good;
	bad[0].size--;
	bad[1].id = NULL;
	bad[2].id = "a:b";
	bad[3].role = "";
	bad[4].device = "a\nb";
	bad[5].keepalive_s = 4;
	bad[6].heartbeat_ms = 999;
	bad[7].port = 65536;
	bad[8].topic = "presence/#";
	bad[9].retry_max_ms = -1;
	bad[10].retry_min_ms = INT64_MAX; /* could not be doubled */
	for (int i = 0; i < 11; i++)
		assert_int_equal(presence_client_create(&bad[i], &client), PRESENCE_CLIENT_EINVAL);
	assert_int_equal(presence_client_create(NULL, &client), PRESENCE_CLIENT_EINVAL);
	assert_null(client);
	presence_client_destroy(NULL);
	for (int error = 0; error >= PRESENCE_CLIENT_ESYSTEM; error--)
		assert_string_not_equal(presence_strerror(error), "an unknown error");
	assert_string_equal(presence_strerror(PRESENCE_CLIENT_ESYSTEM - 1), "an unknown error");
	assert_string_equal(presence_strerror(1), "an unknown error");
}

static void test_what_a_connection_begins_with(void **state)
{
	(void)state;
	struct fake fake;
	fake_begin(&fake, true, 0);
	assert_string_equal(fake.will, "offline");
	assert_int_equal(presence_client_watch(fake.client, "agent", NULL), 0);
	assert_int_equal(fake.sent_count, 0);
	presence_client_on_connect(fake.client, 0);
	assert_int_equal(fake.connections, 1);
	assert_int_equal(fake.sent_count, 5);
	/* The digest behind the records it is about, and behind both what tells that they came: a
	 * heartbeat, which is no activity. */
	assert_string_equal(fake.sent[0].topic, "presence/agent/+");
	assert_string_equal(fake.sent[1].topic, DIGEST);
	assert_true(said(&fake, 2, "heartbeat"));
	assert_string_equal(fake.sent[3].topic, "presence/agent/u1");
	assert_string_equal(fake.sent[3].payload, "online");
	assert_true(said(&fake, 4, "clearStatus"));
	/* Once. */
	(void)presence_client_tick(fake.client);
	assert_int_equal(fake.sent_count, 5);
	assert_int_equal(look(&fake, "u2").status, PRESENCE_CLIENT_UNKNOWN);
	assert_true(fake_answer(&fake, "heartbeat", NULL));
	assert_int_equal(look(&fake, "u2").status, PRESENCE_CLIENT_OFFLINE);
	fake_end(&fake);
}

static void test_everybody_is_unknown_without_connection(void **state)
{
	(void)state;
	struct fake fake;
	fake_begin_watching(&fake, NULL);
	assert_true(fake_answer(&fake, "getPresence", NULL));
	assert_int_equal(look(&fake, "u1").status, PRESENCE_CLIENT_OFFLINE);
	presence_client_on_disconnect(fake.client, 7);
	assert_int_equal(look(&fake, "u1").status, PRESENCE_CLIENT_UNKNOWN);
	fake_end(&fake);
}

static void test_more_than_there_is_room_for(void **state)
{
	(void)state;
	struct fake fake;
	fake_begin(&fake, false, 0);
	presence_client_destroy(fake.client);
	const struct presence_client_callbacks none = { NULL, NULL, NULL, NULL };
	struct presence_client_config config = {
		.size = sizeof(config),
		.mosquitto = fake_mosquitto(),
		.subjects_max = 2,
		.callbacks = &none,
	};
	assert_int_equal(presence_client_create(&config, &fake.client), 0);
	assert_int_equal(presence_client_watch(fake.client, "agent", NULL), 0);
	presence_client_on_connect(fake.client, 0);
	hear(&fake, "u1", "online", 1);
	hear(&fake, "u2", "online", 2);
	hear(&fake, "u3", "online", 3);
	int known = 0;
	assert_int_equal(presence_client_each(fake.client, count_record, &known), 2);
	assert_int_equal(presence_client_watch(fake.client, "agent", "u4"), PRESENCE_CLIENT_EFULL);
	/* Who is forgotten makes room. */
	assert_true(fake_message(&fake, "presence/agent/u1", "", false));
	hear(&fake, "u3", "online", 3);
	assert_int_equal(look(&fake, "u3").status, PRESENCE_CLIENT_ONLINE);
	fake_end(&fake);
}

static void test_typing_of_somebody_else(void **state)
{
	(void)state;
	struct fake fake;
	fake_begin(&fake, false, 0);
	assert_int_equal(presence_client_watch_typing(fake.client, "c1"), 0);
	presence_client_on_connect(fake.client, 0);
	assert_int_equal(fake_count(&fake, 's', "typing/c1/+/+"), 1);
	assert_true(fake_message(&fake, "typing/c1/agent/u2",
		"{\"v\":1,\"conversation\":\"c1\",\"role\":\"agent\",\"id\":\"u1\","
		"\"kind\":\"typing\",\"active\":true}",
		false));
	assert_int_equal(fake.typing, 0);
	assert_int_equal(presence_client_unwatch_typing(fake.client, "c1"), 0);
	assert_int_equal(presence_client_unwatch_typing(fake.client, "c1"), PRESENCE_CLIENT_ENOENT);
	fake_end(&fake);
}

static void hear_typing(struct fake *fake, const char *kind, bool active)
{
	char text[256];
	(void)snprintf(text, sizeof(text),
		"{\"v\":1,\"conversation\":\"c1\",\"role\":\"agent\",\"id\":\"u1\","
		"\"kind\":\"%s\",\"active\":%s}",
		kind, active ? "true" : "false");
	assert_true(fake_message(fake, "typing/c1/agent/u1", text, false));
}

static void test_every_beginning_has_an_end(void **state)
{
	(void)state;
	struct fake fake;
	fake_begin(&fake, false, 0);
	assert_int_equal(presence_client_watch_typing(fake.client, "c1"), 0);
	presence_client_on_connect(fake.client, 0);
	hear_typing(&fake, "recording", true);
	assert_string_equal(fake.typing_text, "c1 agent u1 recording 1");
	hear_typing(&fake, "typing", false);
	assert_string_equal(fake.typing_text, "c1 agent u1 typing 0");
	hear_typing(&fake, "typing", false);
	assert_int_equal(fake.typing, 2);
	/* But whoever does not watch is told nothing any more, and begins afresh. */
	hear_typing(&fake, "typing", true);
	assert_int_equal(presence_client_unwatch_typing(fake.client, "c1"), 0);
	assert_int_equal(presence_client_watch_typing(fake.client, "c1"), 0);
	hear_typing(&fake, "typing", true);
	assert_int_equal(fake.typing, 4);
	assert_int_equal(presence_client_unwatch_typing(fake.client, "c1"), 0);
	presence_client_on_disconnect(fake.client, 7);
	assert_int_equal(fake.typing, 4);
	fake_end(&fake);
}

/* A beat brings back a device that declared offline. */
static void test_who_is_offline_does_not_beat(void **state)
{
	(void)state;
	struct fake fake;
	fake_begin(&fake, true, 0);
	assert_int_equal(presence_client_watch(fake.client, "agent", NULL), 0);
	assert_int_equal(
		presence_client_set_status(fake.client, PRESENCE_CLIENT_OFFLINE, NULL, NULL, NULL),
		0);
	presence_client_on_connect(fake.client, 0);
	(void)presence_client_tick(fake.client);
	assert_int_equal(count_said(&fake, "setStatus"), 1);
	assert_int_equal(count_said(&fake, "getPresence"), 1); /* asks whether all has come */
	assert_int_equal(count_said(&fake, "heartbeat"), 0);
	assert_int_equal(
		presence_client_set_status(fake.client, PRESENCE_CLIENT_ONLINE, NULL, NULL, NULL),
		0);
	assert_int_equal(count_said(&fake, "heartbeat"), 1);
	fake_end(&fake);
}

static void test_a_status_is_said_again(void **state)
{
	(void)state;
	struct fake fake;
	fake_begin(&fake, true, 0);
	assert_int_equal(presence_client_set_status(
				 fake.client, PRESENCE_CLIENT_AWAY, NULL, fake_done, &fake),
		0);
	/* A later one takes its place. */
	assert_int_equal(presence_client_set_status(
				 fake.client, PRESENCE_CLIENT_DND, "call", fake_done, &fake),
		0);
	presence_client_on_connect(fake.client, 0);
	assert_int_equal(fake.done_count, 1);
	assert_int_equal(fake.done, PRESENCE_CLIENT_ECANCELED);
	assert_int_equal(count_said(&fake, "setStatus"), 1);
	assert_string_equal(fake_last(&fake, 'p', "presence/agent/u1")->payload,
		"{\"status\":\"dnd\",\"note\":\"call\"}");
	assert_true(fake_answer(&fake, "setStatus", NULL));
	assert_int_equal(fake.done_count, 2);
	assert_int_equal(fake.done, PRESENCE_CLIENT_OK);
	presence_client_on_disconnect(fake.client, 7);
	fake_clear(&fake);
	presence_client_on_connect(fake.client, 0);
	assert_int_equal(count_said(&fake, "setStatus"), 1);
	/* The plugin shows: what follows needs no birth message. */
	assert_true(fake_answer(&fake, "setStatus", NULL));
	assert_int_equal(fake.done_count, 0);
	fake_clear(&fake);
	assert_int_equal(presence_client_clear_status(fake.client, NULL, NULL), 0);
	assert_int_equal(fake.sent_count, 1);
	assert_true(said(&fake, 0, "clearStatus"));
	fake_end(&fake);
}

static void test_answers(void **state)
{
	(void)state;
	struct fake fake;
	fake_begin(&fake, true, 0);
	assert_int_equal(presence_client_clear_override(fake.client, NULL, NULL, fake_done, &fake),
		PRESENCE_CLIENT_ENOTCONN);
	presence_client_on_connect(fake.client, 0);
	assert_int_equal(presence_client_command(fake.client,
				 "{\"command\":\"kick\",\"clientid\":\"x\"}", fake_done, &fake),
		0);
	assert_true(fake_answer(&fake, "kick", "only admins may"));
	assert_int_equal(fake.done, PRESENCE_CLIENT_ECOMMAND);
	assert_string_equal(fake.done_words, "only admins may");
	/* Once is enough; and somebody else's is nobody's here. */
	assert_false(fake_answer(&fake, "kick", NULL));
	assert_false(fake_message(&fake, RESPONSE,
		"{\"responses\":[{\"command\":\"kick\",\"correlationData\":\"mine\",\"data\":{}}]}",
		false));
	assert_int_equal(fake.done_count, 1);
	/* What it said by itself is told once. */
	assert_true(fake_answer(&fake, "heartbeat", "nobody is tracked"));
	assert_true(fake_answer(&fake, "clearStatus", "nobody is tracked"));
	assert_int_equal(fake.problems, 1);
	assert_string_equal(fake.problem, "heartbeat: nobody is tracked");
	assert_int_equal(
		presence_client_clear_override(fake.client, NULL, NULL, fake_done, &fake), 0);
	presence_client_on_disconnect(fake.client, 7);
	assert_int_equal(fake.done_count, 2);
	assert_int_equal(fake.done, PRESENCE_CLIENT_ELOST);
	const char *const wrong[] = { "", "[]", "{\"command\":\"kick\"}", "{\"command\":\"no\"}",
		"{\"command\":\"leave\",\"correlationData\":\"1\"}" };
	for (size_t i = 0; i < sizeof(wrong) / sizeof(*wrong); i++)
		assert_int_equal(presence_client_command(fake.client, wrong[i], NULL, NULL),
			PRESENCE_CLIENT_EINVAL);
	presence_client_on_connect(fake.client, 0);
	assert_int_equal(
		presence_client_clear_override(fake.client, NULL, NULL, fake_done, &fake), 0);
	fake_end(&fake);
	assert_int_equal(fake.done, PRESENCE_CLIENT_ECANCELED);
}

static void done_and_on(struct presence_client *client, enum presence_client_error error,
	const char *words, const char *data, void *context)
{
	fake_done(client, error, words, data, context);
	assert_int_equal(error, PRESENCE_CLIENT_ECANCELED);
	assert_int_equal(presence_client_clear_status(client, NULL, NULL), PRESENCE_CLIENT_ESTATE);
	assert_int_equal(
		presence_client_set_status(client, PRESENCE_CLIENT_DND, NULL, done_and_on, context),
		PRESENCE_CLIENT_ESTATE);
	assert_int_equal(presence_client_clear_override(client, NULL, NULL, done_and_on, context),
		PRESENCE_CLIENT_ENOTCONN);
	assert_int_equal(presence_client_watch(client, "agent", "u9"), 0);
}

/* Whoever waits at the end is called back once, whatever he does then. */
static void test_destroyed(void **state)
{
	(void)state;
	struct fake fake;
	fake_begin(&fake, true, 0);
	assert_int_equal(presence_client_set_status(
				 fake.client, PRESENCE_CLIENT_AWAY, NULL, done_and_on, &fake),
		0);
	fake_end(&fake);
	assert_int_equal(fake.done_count, 1);
	fake_begin(&fake, true, 0);
	presence_client_on_connect(fake.client, 0);
	assert_int_equal(presence_client_set_status(
				 fake.client, PRESENCE_CLIENT_AWAY, NULL, done_and_on, &fake),
		0);
	assert_int_equal(
		presence_client_clear_override(fake.client, NULL, NULL, done_and_on, &fake), 0);
	fake_clear(&fake);
	fake_end(&fake);
	assert_int_equal(fake.done_count, 2);
	assert_int_equal(fake.sent_count, 0);
}

static void test_no_answer(void **state)
{
	(void)state;
	struct fake fake;
	fake_begin(&fake, true, 1);
	presence_client_on_connect(fake.client, 0);
	assert_int_equal(
		presence_client_clear_override(fake.client, NULL, NULL, fake_done, &fake), 0);
	tick_until(&fake, &fake.done_count, 1);
	assert_int_equal(fake.done, PRESENCE_CLIENT_ETIMEDOUT);
	fake_end(&fake);
}

static void test_leaving(void **state)
{
	(void)state;
	struct fake fake;
	fake_begin(&fake, true, 0);
	assert_int_equal(presence_client_leave(fake.client), PRESENCE_CLIENT_ENOTCONN);
	presence_client_on_connect(fake.client, 0);
	fake_clear(&fake);
	assert_int_equal(presence_client_leave(fake.client), 0);
	assert_int_equal(fake.sent_count, 2);
	assert_true(said(&fake, 0, "leave"));
	assert_string_equal(fake.sent[1].payload, "offline");
	presence_client_on_disconnect(fake.client, 0);
	assert_int_equal(fake.connections, 1); /* whoever leaves knows */
	fake_end(&fake);
}

static void test_refused(void **state)
{
	(void)state;
	struct fake fake;
	fake_begin(&fake, true, 0);
	presence_client_on_connect(fake.client, 5);
	assert_int_equal(fake.connection, PRESENCE_CLIENT_EREFUSED);
	assert_non_null(strstr(fake.connection_words, "not authorised"));
	assert_int_equal(fake.sent_count, 0);
	presence_client_on_disconnect(fake.client, 5); /* of the same */
	assert_int_equal(fake.connections, 1);
	presence_client_on_connect(fake.client, 135);
	assert_non_null(strstr(fake.connection_words, "Not authorized"));
	fake_end(&fake);
}

static void test_retries_spread(void **state)
{
	(void)state;
	struct fake fake;
	int64_t most = 0;
	int below_half = 0;
	fake_begin(&fake, true, 0);
	for (int i = 0; i < 100; i++) {
		presence_client_on_connect(fake.client, 0);
		presence_client_on_disconnect(fake.client, 7);
		int64_t retry_ms = presence_client_retry_ms(fake.client);
		assert_in_range(retry_ms, 0, i == 0 ? 2000 : i == 1 ? 4000 : 60000);
		below_half += retry_ms < 30000;
		if (retry_ms > most)
			most = retry_ms;
		fake_clear(&fake);
	}
	/* A connection that does not last does not start them afresh; and they are anywhere. */
	assert_in_range(most, 30000, 60000);
	assert_in_range(below_half, 20, 90);
	fake_end(&fake);
}

static void test_how_sure(void **state)
{
	(void)state;
	struct fake fake;
	fake_begin(&fake, false, 0);
	assert_int_equal(presence_client_watch(fake.client, "agent", NULL), 0);
	assert_int_equal(look(&fake, "u2").status, PRESENCE_CLIENT_UNKNOWN);
	assert_int_equal(look(&fake, "u2").sure_ms, 0);
	presence_client_on_connect(fake.client, 0);
	hear(&fake, "u2", "online", 5);
	assert_int_equal(look(&fake, "u3").status, PRESENCE_CLIENT_UNKNOWN);
	assert_true(fake_answer(&fake, "getPresence", NULL));
	assert_int_equal(look(&fake, "u3").status, PRESENCE_CLIENT_OFFLINE);
	int64_t then = look(&fake, "u2").sure_ms;
	assert_true(then > 0);
	/* Later, while all is well, it is sure of now; in doubt, of then; when it is lost, of the
	 * last that was heard. */
	struct timespec little = { .tv_nsec = 20000000 };
	nanosleep(&little, NULL);
	hear(&fake, "u4", "online", 6);
	int64_t later = look(&fake, "u2").sure_ms;
	assert_true(later >= then + 20);
	nanosleep(&little, NULL);
	assert_true(fake_message(
		&fake, DIGEST, "{\"count\":7,\"xor\":\"0000000000000001\",\"rev\":9}", false));
	assert_true(look(&fake, "u2").sure_ms < later);
	presence_client_on_disconnect(fake.client, 7);
	assert_true(look(&fake, "u2").sure_ms < later);
	assert_int_equal(look(&fake, "u2").status, PRESENCE_CLIENT_ONLINE);
	assert_int_equal(look(&fake, "u3").status, PRESENCE_CLIENT_UNKNOWN);
	fake_end(&fake);
}

static void test_repairs_get_rarer(void **state)
{
	(void)state;
	static const char wrong[] = "{\"count\":7,\"xor\":\"0000000000000001\",\"rev\":9}";
	struct fake fake;
	fake_begin_watching(&fake, "agent");
	/* Nobody knows yet what is missing. */
	for (int i = 0; i < 3; i++)
		assert_true(fake_message(&fake, DIGEST, wrong, false));
	assert_int_equal(fake_count(&fake, 's', "presence/agent/+"), 1);
	assert_true(fake_answer(&fake, "getPresence", NULL));
	/* Nor does it matter what is retained, unasked. */
	for (int i = 0; i < 3; i++)
		assert_true(fake_message(&fake, DIGEST, wrong, true));
	assert_int_equal(fake_count(&fake, 's', "presence/agent/+"), 1);
	for (int i = 0; i < 2; i++)
		assert_true(fake_message(&fake, DIGEST, wrong, false));
	assert_int_equal(fake_count(&fake, 's', "presence/agent/+"), 2);
	assert_true(fake_answer(&fake, "getPresence", NULL));
	/* It did not help: not again for 20 s. */
	for (int i = 0; i < 5; i++)
		assert_true(fake_message(&fake, DIGEST, wrong, false));
	assert_int_equal(fake_count(&fake, 's', "presence/agent/+"), 2);
	assert_true(fake_message(&fake, DIGEST, NOTHING, false));
	fake_end(&fake);
}

static void disagree_twice(struct fake *fake, const char *digest)
{
	for (int i = 0; i < 2; i++)
		assert_true(fake_message(fake, DIGEST, digest, false));
}

static void test_a_repair_takes_back_what_is_gone(void **state)
{
	(void)state;
	struct fake fake;
	fake_begin_watching(&fake, "agent");
	hear(&fake, "u1", "online", 5);
	hear(&fake, "u2", "online", 6);
	assert_true(fake_answer(&fake, "getPresence", NULL));
	/* Another question is under way: its answer tells nothing of what was asked after it. */
	fake_clear(&fake);
	assert_int_equal(presence_client_watch(fake.client, "device", NULL), 0);
	assert_int_equal(count_said(&fake, "getPresence"), 1);
	disagree_twice(&fake, "{\"count\":2,\"xor\":\"000f8e00000da338\",\"rev\":7}");
	assert_int_equal(fake_count(&fake, 's', "presence/agent/+"), 1);
	assert_int_equal(count_said(&fake, "getPresence"), 1);
	assert_true(fake_answer(&fake, "getPresence", NULL));
	assert_int_equal(fake.told_count, 0);
	assert_int_equal(look(&fake, "u1").status, PRESENCE_CLIENT_ONLINE);
	hear(&fake, "u1", "online", 5);
	hear(&fake, "u3", "online", 7);
	fake.told_count = 0;
	(void)presence_client_tick(fake.client);
	assert_int_equal(count_said(&fake, "getPresence"), 2);
	assert_true(fake_answer(&fake, "getPresence", NULL));
	assert_int_equal(fake.told_count, 1);
	assert_string_equal(fake.told[0].record.id, "u2");
	assert_true(fake.told[0].record.forgotten);
	fake_end(&fake);
}

/* A broker whose queue is full leaves out the rest: what the digest has and we do not have is no
 * reason to forget anybody. */
static void test_a_snapshot_that_is_cut(void **state)
{
	(void)state;
	static const char both[] = BOTH,
			  other[] = "{\"count\":2,\"xor\":\"0000000000000001\",\"rev\":9}";
	struct fake fake;
	fake_begin_watching(&fake, "agent");
	hear(&fake, "u1", "online", 5);
	hear(&fake, "u2", "online", 6);
	assert_true(fake_message(&fake, DIGEST, both, true));
	assert_true(fake_answer(&fake, "getPresence", NULL));
	for (int cut = 0; cut < 2; cut++) {
		presence_client_on_disconnect(fake.client, 7);
		int64_t sure_ms = look(&fake, "u2").sure_ms;
		fake_clear(&fake);
		presence_client_on_connect(fake.client, 0);
		hear(&fake, "u1", "online", 5);
		assert_true(fake_message(&fake, DIGEST, cut ? other : both, true));
		assert_true(fake_answer(&fake, "getPresence", NULL));
		assert_int_equal(fake.told_count, 0);
		assert_int_equal(look(&fake, "u2").status, PRESENCE_CLIENT_ONLINE);
		/* What is known is as the digest has it: then it is sure. */
		if (cut)
			assert_int_equal(look(&fake, "u2").sure_ms, sure_ms);
		else
			assert_true(look(&fake, "u2").sure_ms >= sure_ms);
		assert_int_equal(look(&fake, "u4").status, PRESENCE_CLIENT_OFFLINE);
	}
	/* Then it agrees: who is not in it is forgotten. */
	assert_true(fake_message(
		&fake, DIGEST, "{\"count\":1,\"xor\":\"161b0f1cdb8b8818\",\"rev\":9}", false));
	assert_int_equal(fake.told_count, 1);
	assert_string_equal(fake.told[0].record.id, "u2");
	assert_true(fake.told[0].record.forgotten);
	/* Who was never sure of anything does not take strangers for offline. */
	fake_end(&fake);
	fake_begin_watching(&fake, "agent");
	hear(&fake, "u1", "online", 5);
	assert_true(fake_message(&fake, DIGEST, other, true));
	assert_true(fake_answer(&fake, "getPresence", NULL));
	assert_int_equal(look(&fake, "u2").status, PRESENCE_CLIENT_UNKNOWN);
	fake_end(&fake);
}

/* u1 and u2 are known, and a digest has said so; then the connection begins anew. */
static void begin_after_a_digest(struct fake *fake)
{
	fake_begin_watching(fake, NULL);
	hear(fake, "u1", "online", 5);
	hear(fake, "u2", "online", 6);
	assert_true(fake_answer(fake, "getPresence", NULL));
	assert_true(fake_message(fake, DIGEST, BOTH, false));
	presence_client_on_disconnect(fake->client, 7);
	fake_clear(fake);
	fake_stop_clock(fake);
	presence_client_on_connect(fake->client, 0);
}

/* A broker that was started again and keeps nothing: its first digest of a role comes with the
 * first record. What was said before tells that something is missing, not that it is there. */
static void test_a_digest_of_the_connection_before(void **state)
{
	(void)state;
	struct fake fake;
	begin_after_a_digest(&fake);
	int64_t sure_ms = look(&fake, "u1").sure_ms;
	assert_true(fake_answer(&fake, "getPresence", NULL));
	assert_int_equal(fake.told_count, 0);
	struct timespec little = { .tv_nsec = 20000000 };
	nanosleep(&little, NULL);
	hear(&fake, "u3", "online", 2);
	assert_int_equal(look(&fake, "u1").status, PRESENCE_CLIENT_ONLINE);
	assert_int_equal(look(&fake, "u1").sure_ms, sure_ms);
	/* By now there would have been one; it is asked for once more, and does not come. */
	fake_clear(&fake);
	fake.ahead_s = 10;
	(void)presence_client_tick(fake.client);
	assert_int_equal(fake_count(&fake, 's', DIGESTS), 0);
	fake.ahead_s = 12;
	(void)presence_client_tick(fake.client);
	assert_int_equal(fake_count(&fake, 's', DIGESTS), 1);
	assert_int_equal(fake.told_count, 0);
	assert_true(fake_answer(&fake, "getPresence", NULL));
	assert_int_equal(fake.told_count, 2);
	assert_true(fake.told[0].record.forgotten && fake.told[1].record.forgotten);
	assert_int_equal(look(&fake, "u1").status, PRESENCE_CLIENT_OFFLINE);
	assert_int_equal(look(&fake, "u3").status, PRESENCE_CLIENT_ONLINE);
	/* That is settled: it is not asked again what came of it. */
	fake_clear(&fake);
	fake.ahead_s = 24;
	(void)presence_client_tick(fake.client);
	assert_int_equal(count_said(&fake, "getPresence"), 0);
	fake_end(&fake);
}

/* The digest was cut with the records: to ask for it brings it, and nobody was forgotten. */
static void test_a_digest_that_is_cut(void **state)
{
	(void)state;
	struct fake fake;
	begin_after_a_digest(&fake);
	hear(&fake, "u1", "online", 5);
	assert_true(fake_answer(&fake, "getPresence", NULL));
	fake.ahead_s = 12;
	(void)presence_client_tick(fake.client);
	/* The question behind it was cut, too: the answer to the next one does not tell of it. */
	fake.ahead_s = 22;
	fake_clear(&fake);
	(void)presence_client_tick(fake.client);
	assert_true(fake_answer(&fake, "getPresence", NULL));
	assert_int_equal(fake.told_count, 0);
	fake.ahead_s = 24;
	(void)presence_client_tick(fake.client);
	assert_int_equal(fake_count(&fake, 's', DIGESTS), 1);
	assert_true(fake_message(&fake, DIGEST, BOTH, true));
	assert_true(fake_answer(&fake, "getPresence", NULL));
	assert_int_equal(fake.told_count, 0);
	assert_int_equal(look(&fake, "u2").status, PRESENCE_CLIENT_ONLINE);
	fake_end(&fake);
}

static void test_single_subjects_are_asked_about(void **state)
{
	(void)state;
	struct fake fake;
	char record[1024], unknown[1024], result[4096];
	fake_begin(&fake, false, 0);
	assert_int_equal(presence_client_watch(fake.client, "agent", "u1"), 0);
	assert_int_equal(presence_client_watch(fake.client, "agent", "u2"), 0);
	assert_int_equal(presence_client_watch(fake.client, "agent", "u3"), 0);
	presence_client_on_connect(fake.client, 0);
	hear(&fake, "u1", "online", 5);
	assert_true(fake_answer(&fake, "getPresence", NULL));
	assert_int_equal(count_said(&fake, "getPresence"), 2);
	const struct fake_sent *sent = fake_last(&fake, 'p', CONTROL);
	assert_null(strstr(sent->payload, "agent/u1"));
	assert_non_null(strstr(sent->payload, "agent/u2"));
	assert_int_equal(look(&fake, "u2").status, PRESENCE_CLIENT_UNKNOWN);
	record_text(record, sizeof(record), "u2", "dnd", 4);
	record_text(unknown, sizeof(unknown), "u3", "offline", 0);
	(void)snprintf(result, sizeof(result), "\"data\":{\"subjects\":[%s,%s]}", record, unknown);
	assert_true(fake_reply(&fake, "getPresence", result));
	assert_int_equal(look(&fake, "u2").status, PRESENCE_CLIENT_DND);
	assert_string_equal(look(&fake, "u2").reason, "connect");
	assert_int_equal(look(&fake, "u3").status, PRESENCE_CLIENT_OFFLINE);
	/* Not sent again: left out, or forgotten? Without an answer nobody knows. */
	presence_client_on_disconnect(fake.client, 7);
	fake_clear(&fake);
	presence_client_on_connect(fake.client, 0);
	assert_true(fake_answer(&fake, "getPresence", NULL));
	assert_true(fake_answer(&fake, "getPresence", "too many"));
	assert_int_equal(fake.told_count, 0);
	assert_int_equal(look(&fake, "u2").status, PRESENCE_CLIENT_DND);
	assert_int_equal(count_said(&fake, "getPresence"), 2);
	assert_int_equal(fake.problems, 0);
	fake_end(&fake);
}

static void test_a_repair_of_everybody(void **state)
{
	(void)state;
	struct fake fake;
	fake_begin_watching(&fake, NULL);
	hear(&fake, "u1", "online", 5);
	assert_true(fake_answer(&fake, "getPresence", NULL));
	fake_clear(&fake);
	disagree_twice(&fake, NOTHING_BUT_NEWER);
	assert_int_equal(fake_count(&fake, 's', "presence/+/+"), 1);
	assert_true(fake_answer(&fake, "getPresence", NULL));
	assert_int_equal(fake.told_count, 1);
	assert_true(fake.told[0].record.forgotten);
	fake_end(&fake);
}

static void test_words_of_clients_count_only_without_plugin(void **state)
{
	(void)state;
	struct fake fake;
	fake_begin_watching(&fake, NULL);
	assert_true(fake_message(&fake, "presence/agent/ghost", "online", true));
	assert_int_equal(look(&fake, "ghost").status, PRESENCE_CLIENT_ONLINE);
	hear(&fake, "u1", "online", 3);
	assert_true(fake_message(&fake, "presence/agent/u1", "offline", false));
	assert_int_equal(look(&fake, "u1").status, PRESENCE_CLIENT_ONLINE);
	/* And what was taken before it showed is taken back. */
	fake.told_count = 0;
	assert_true(fake_answer(&fake, "getPresence", NULL));
	assert_int_equal(look(&fake, "ghost").status, PRESENCE_CLIENT_OFFLINE);
	assert_int_equal(fake.told_count, 1);
	assert_true(fake.told[0].record.forgotten);
	fake_end(&fake);
}

static void test_watches(void **state)
{
	(void)state;
	struct fake fake;
	struct presence_client_record record;
	struct presence_client_storage storage;
	fake_begin(&fake, false, 0);
	presence_client_on_connect(fake.client, 0);
	assert_int_equal(presence_client_lookup(fake.client, "agent", "u1", &record, &storage),
		PRESENCE_CLIENT_ENOENT);
	assert_int_equal(presence_client_watch(fake.client, NULL, "u1"), PRESENCE_CLIENT_EINVAL);
	assert_int_equal(presence_client_watch(fake.client, "agent", "u1"), 0);
	assert_int_equal(presence_client_watch(fake.client, "agent", "u1"), 0);
	assert_int_equal(fake_count(&fake, 's', "presence/agent/u1"), 1);
	assert_false(fake_message(&fake, "presence/agent/u2", "online", false));
	/* A wider one has it in it, and gives it back. */
	assert_int_equal(presence_client_watch(fake.client, "agent", NULL), 0);
	assert_int_equal(presence_client_watch(fake.client, "agent", "u3"), 0);
	assert_int_equal(fake_count(&fake, 's', "presence/agent/u3"), 0);
	assert_int_equal(fake_count(&fake, 's', "presence/agent/+"), 1);
	assert_true(fake_answer(&fake, "getPresence", NULL));
	hear(&fake, "u1", "online", 3);
	hear(&fake, "u2", "online", 4);
	fake_clear(&fake);
	assert_int_equal(presence_client_unwatch(fake.client, "agent", NULL), 0);
	assert_int_equal(fake_count(&fake, 'u', "presence/agent/+"), 1);
	assert_int_equal(fake_count(&fake, 'u', DIGEST), 1);
	assert_int_equal(fake_count(&fake, 's', "presence/agent/u1"), 1);
	assert_int_equal(fake_count(&fake, 's', "presence/agent/u3"), 1);
	assert_int_equal(look(&fake, "u1").status, PRESENCE_CLIENT_ONLINE);
	int known = 0;
	assert_int_equal(presence_client_each(fake.client, count_record, &known), 1);
	assert_int_equal(known, 1);
	/* Of a new connection nothing is known yet. */
	assert_true(fake_answer(&fake, "getPresence", NULL));
	char unknown[1024], result[2048];
	record_text(unknown, sizeof(unknown), "u3", "offline", 0);
	(void)snprintf(result, sizeof(result), "\"data\":{\"subjects\":[%s]}", unknown);
	assert_true(fake_reply(&fake, "getPresence", result));
	assert_int_equal(look(&fake, "u3").status, PRESENCE_CLIENT_OFFLINE);
	presence_client_on_disconnect(fake.client, 7);
	assert_int_equal(look(&fake, "u3").status, PRESENCE_CLIENT_UNKNOWN);
	presence_client_on_connect(fake.client, 0);
	fake.told_count = 0;
	assert_int_equal(presence_client_lookup(fake.client, "agent", "u2", &record, &storage),
		PRESENCE_CLIENT_ENOENT);
	assert_int_equal(
		presence_client_unwatch(fake.client, "agent", NULL), PRESENCE_CLIENT_ENOENT);
	assert_int_equal(presence_client_unwatch(fake.client, "agent", "u1"), 0);
	assert_int_equal(fake_count(&fake, 'u', "presence/agent/u1"), 1);
	assert_int_equal(fake.told_count, 0);
	fake_end(&fake);
}

static void test_subscriptions(void **state)
{
	(void)state;
	static const int granted = 0, refused = 128;
	struct fake fake;
	fake_begin(&fake, false, 1);
	assert_int_equal(presence_client_watch(fake.client, "agent", NULL), 0);
	presence_client_on_connect(fake.client, 0);
	assert_false(presence_client_on_subscribe(fake.client, 60, 1, &granted));
	/* Nobody answers commands, nor this: it cannot know. */
	for (int i = 0; i < 5000 && count_said(&fake, "getPresence") < 4; i++)
		tick(&fake);
	assert_true(count_said(&fake, "getPresence") >= 4);
	int mid = fake_last(&fake, 's', "presence/agent/+")->mid;
	assert_true(presence_client_on_subscribe(fake.client, mid, 1, &granted));
	assert_false(presence_client_on_subscribe(fake.client, mid, 1, &granted));
	assert_int_equal(look(&fake, "u1").status, PRESENCE_CLIENT_UNKNOWN);
	assert_true(presence_client_on_subscribe(
		fake.client, fake_last(&fake, 's', DIGEST)->mid, 1, &refused));
	assert_int_equal(fake.problems, 1);
	/* Both were answered: after a while that has to do. */
	for (int i = 0; i < 5000 && look(&fake, "u1").status != PRESENCE_CLIENT_OFFLINE; i++)
		tick(&fake);
	assert_int_equal(look(&fake, "u1").status, PRESENCE_CLIENT_OFFLINE);
	fake_end(&fake);
}

/* An application need not hand on what its subscriptions are answered: they are not kept for ever.
 */
static void test_subscriptions_nobody_hands_on(void **state)
{
	(void)state;
	static const int granted = 0;
	struct fake fake;
	int kept = 0;
	fake_begin(&fake, false, 0);
	fake_stop_clock(&fake);
	assert_int_equal(presence_client_watch(fake.client, "agent", "u1"), 0);
	presence_client_on_connect(fake.client, 0);
	for (int minute = 1; minute <= 10; minute++) {
		fake_clear(&fake);
		fake.ahead_s = 61 * minute;
		(void)presence_client_tick(fake.client);
		assert_int_equal(fake_count(&fake, 's', "presence/agent/u1"), 1);
	}
	for (int mid = 1; mid <= fake.mids; mid++)
		kept += presence_client_on_subscribe(fake.client, mid, 1, &granted);
	assert_int_equal(kept, 1);
	fake_end(&fake);
}

/* An answer tells of what was subscribed to before its question, and of nothing later. */
static void test_watched_meanwhile(void **state)
{
	(void)state;
	struct fake fake;
	fake_begin(&fake, false, 0);
	assert_int_equal(presence_client_watch(fake.client, "agent", NULL), 0);
	presence_client_on_connect(fake.client, 0);
	assert_int_equal(presence_client_watch(fake.client, "device", NULL), 0);
	assert_true(fake_answer(&fake, "getPresence", NULL));
	assert_int_equal(look(&fake, "u1").status, PRESENCE_CLIENT_OFFLINE);
	assert_int_equal(look_at(&fake, "device", "d1").status, PRESENCE_CLIENT_UNKNOWN);
	tick(&fake);
	assert_true(fake_answer(&fake, "getPresence", NULL));
	assert_int_equal(look_at(&fake, "device", "d1").status, PRESENCE_CLIENT_OFFLINE);
	fake_end(&fake);
}

/* A broker with the plugin that has just started may still have a last will where the record will
 * be: it is passed over, until it shows that the plugin is gone. */
static void test_a_will_before_the_record(void **state)
{
	(void)state;
	struct fake fake;
	fake_begin(&fake, false, 1);
	assert_int_equal(presence_client_watch(fake.client, "agent", NULL), 0);
	presence_client_on_connect(fake.client, 0);
	hear(&fake, "u1", "online", 5);
	presence_client_on_disconnect(fake.client, 7);
	fake_clear(&fake);
	presence_client_on_connect(fake.client, 0);
	assert_true(fake_message(&fake, "presence/agent/u1", "offline", true));
	assert_int_equal(look(&fake, "u1").status, PRESENCE_CLIENT_ONLINE);
	assert_int_equal(fake.told_count, 0);
	for (int i = 0; i < 5000 && fake_count(&fake, 's', "presence/agent/+") < 2; i++)
		tick(&fake);
	assert_true(fake_message(&fake, "presence/agent/u1", "offline", true));
	assert_int_equal(look(&fake, "u1").status, PRESENCE_CLIENT_OFFLINE);
	fake_end(&fake);
}

static void refuse(struct fake *fake, const char *filter)
{
	static const int refused = 128;
	assert_true(presence_client_on_subscribe(
		fake->client, fake_last(fake, 's', filter)->mid, 1, &refused));
}

/* Who may not be read is unknown, whatever else is answered. */
static void test_not_let_in(void **state)
{
	(void)state;
	static const int granted = 0;
	struct fake fake;
	fake_begin(&fake, false, 1);
	assert_int_equal(presence_client_watch(fake.client, "agent", NULL), 0);
	assert_int_equal(presence_client_watch(fake.client, "device", "d1"), 0);
	presence_client_on_connect(fake.client, 0);
	refuse(&fake, "presence/agent/+");
	refuse(&fake, "presence/device/d1");
	assert_int_equal(fake.problems, 1);
	assert_true(fake_answer(&fake, "getPresence", NULL));
	assert_int_equal(look(&fake, "u1").status, PRESENCE_CLIENT_UNKNOWN);
	assert_int_equal(look_at(&fake, "device", "d1").status, PRESENCE_CLIENT_UNKNOWN);
	assert_int_equal(count_said(&fake, "getPresence"), 1); /* that of the fence: no question */
	/* With a new connection it may be otherwise. */
	presence_client_on_disconnect(fake.client, 7);
	fake_clear(&fake);
	presence_client_on_connect(fake.client, 0);
	assert_true(presence_client_on_subscribe(
		fake.client, fake_last(&fake, 's', "presence/agent/+")->mid, 1, &granted));
	refuse(&fake, "presence/device/d1");
	assert_true(fake_answer(&fake, "getPresence", NULL));
	assert_int_equal(look(&fake, "u1").status, PRESENCE_CLIENT_OFFLINE);
	assert_int_equal(look_at(&fake, "device", "d1").status, PRESENCE_CLIENT_UNKNOWN);
	fake_end(&fake);
}

/* A wide watch that is refused has nothing in it: what is narrower is subscribed to by itself. */
static void test_what_is_narrower_is_let_in(void **state)
{
	(void)state;
	struct fake fake;
	fake_begin(&fake, false, 0);
	fake_stop_clock(&fake);
	presence_client_on_connect(fake.client, 0);
	assert_int_equal(presence_client_watch(fake.client, "agent", "u1"), 0);
	assert_int_equal(presence_client_watch(fake.client, "agent", NULL), 0);
	refuse(&fake, "presence/agent/+");
	assert_int_equal(fake_count(&fake, 's', "presence/agent/u1"), 2);
	/* And so it is with the next connection. */
	presence_client_on_disconnect(fake.client, 7);
	fake_clear(&fake);
	presence_client_on_connect(fake.client, 0);
	assert_int_equal(fake_count(&fake, 's', "presence/agent/u1"), 0);
	refuse(&fake, "presence/agent/+");
	assert_int_equal(fake_count(&fake, 's', "presence/agent/u1"), 1);
	hear(&fake, "u1", "online", 5);
	assert_true(fake_answer(&fake, "getPresence", NULL));
	assert_int_equal(look(&fake, "u1").status, PRESENCE_CLIENT_ONLINE);
	/* What it has is heard of again each minute, as whoever is watched by himself. */
	fake_clear(&fake);
	fake.ahead_s = 61;
	(void)presence_client_tick(fake.client);
	assert_int_equal(fake_count(&fake, 's', "presence/agent/u1"), 1);
	assert_int_equal(fake_count(&fake, 's', "presence/agent/+"), 0);
	fake_end(&fake);
}

static void test_not_everybody_is_let_in(void **state)
{
	(void)state;
	struct fake fake;
	struct presence_client_record record;
	struct presence_client_storage storage;
	fake_begin(&fake, false, 0);
	presence_client_on_connect(fake.client, 0);
	assert_int_equal(presence_client_watch(fake.client, NULL, NULL), 0);
	assert_int_equal(presence_client_watch(fake.client, "agent", NULL), 0);
	assert_int_equal(presence_client_watch(fake.client, "device", "d1"), 0);
	assert_int_equal(fake_count(&fake, 's', "presence/agent/+"), 0);
	refuse(&fake, "presence/+/+");
	assert_int_equal(fake_count(&fake, 's', "presence/agent/+"), 1);
	assert_int_equal(fake_count(&fake, 's', "presence/device/d1"), 1);
	assert_int_equal(presence_client_watch(fake.client, "client", NULL), 0);
	assert_int_equal(fake_count(&fake, 's', "presence/client/+"), 1);
	hear(&fake, "u1", "online", 5);
	(void)fake_answer(&fake, "getPresence", NULL);
	(void)presence_client_tick(fake.client);
	assert_true(fake_answer(&fake, "getPresence", NULL));
	assert_int_equal(look(&fake, "u1").status, PRESENCE_CLIENT_ONLINE);
	assert_int_equal(look(&fake, "u2").status, PRESENCE_CLIENT_OFFLINE);
	/* Watched all the same; but nothing is known. */
	assert_int_equal(look_at(&fake, "device", "d2").status, PRESENCE_CLIENT_UNKNOWN);
	/* What is not watched by itself any more, is not by way of everybody either. */
	assert_int_equal(presence_client_watch(fake.client, "agent", "u1"), 0);
	assert_int_equal(presence_client_unwatch(fake.client, "agent", NULL), 0);
	assert_int_equal(fake_count(&fake, 's', "presence/agent/u1"), 1);
	assert_int_equal(fake_count(&fake, 's', "presence/+/+"), 1);
	assert_int_equal(presence_client_unwatch(fake.client, NULL, NULL), 0);
	assert_int_equal(presence_client_lookup(fake.client, "agent", "u2", &record, &storage),
		PRESENCE_CLIENT_ENOENT);
	fake_end(&fake);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_config),
		cmocka_unit_test(test_what_a_connection_begins_with),
		cmocka_unit_test(test_a_status_is_said_again),
		cmocka_unit_test(test_answers),
		cmocka_unit_test(test_destroyed),
		cmocka_unit_test(test_no_answer),
		cmocka_unit_test(test_leaving),
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_retries_spread),
		cmocka_unit_test(test_how_sure),
		cmocka_unit_test(test_repairs_get_rarer),
		cmocka_unit_test(test_a_repair_takes_back_what_is_gone),
		cmocka_unit_test(test_a_snapshot_that_is_cut),
		cmocka_unit_test(test_a_digest_of_the_connection_before),
		cmocka_unit_test(test_a_digest_that_is_cut),
		cmocka_unit_test(test_single_subjects_are_asked_about),
		cmocka_unit_test(test_a_repair_of_everybody),
		cmocka_unit_test(test_everybody_is_unknown_without_connection),
		cmocka_unit_test(test_more_than_there_is_room_for),
		cmocka_unit_test(test_typing_of_somebody_else),
		cmocka_unit_test(test_every_beginning_has_an_end),
		cmocka_unit_test(test_who_is_offline_does_not_beat),
		cmocka_unit_test(test_words_of_clients_count_only_without_plugin),
		cmocka_unit_test(test_watches),
		cmocka_unit_test(test_subscriptions),
		cmocka_unit_test(test_subscriptions_nobody_hands_on),
		cmocka_unit_test(test_watched_meanwhile),
		cmocka_unit_test(test_not_let_in),
		cmocka_unit_test(test_what_is_narrower_is_let_in),
		cmocka_unit_test(test_not_everybody_is_let_in),
		cmocka_unit_test(test_a_will_before_the_record),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
