/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
/* tests/vectors/client.json, which every client library runs. */
#include "wire/digest.h"

#include <inttypes.h>
#include <json-c/json.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "client-sdk/c/internal.h"
#include "fake.h"
#include "words.h"

static struct json_object *root;

static struct json_object *get(struct json_object *object, const char *key)
{
	struct json_object *value = NULL;
	(void)json_object_object_get_ex(object, key, &value);
	return value;
}

static const char *text(struct json_object *object, const char *key)
{
	struct json_object *value = get(object, key);
	return value ? json_object_get_string(value) : NULL;
}

static int64_t number(struct json_object *object, const char *key)
{
	return json_object_get_int64(get(object, key));
}

/* Calls check for each of a list, which must not be empty. */
static void each(const char *list, void (*check)(struct json_object *item))
{
	struct json_object *items = get(root, list);
	assert_true(json_object_is_type(items, json_type_array));
	size_t count = json_object_array_length(items);
	assert_true(count > 0);
	for (size_t i = 0; i < count; i++) {
		struct json_object *item = json_object_array_get_idx(items, i);
		check(item);
	}
	print_message("%s: %zu\n", list, count);
}

static enum presence_client_status status_of(const char *word)
{
	for (int status = PRESENCE_CLIENT_UNKNOWN; status <= PRESENCE_CLIENT_DND; status++)
		if (!strcmp(presence_client_status_name((enum presence_client_status)status), word))
			return (enum presence_client_status)status;
	fail_msg("no status %s", word);
	return PRESENCE_CLIENT_UNKNOWN;
}

/* A watcher of everybody that has all there is, of a broker with the plugin. */
static void begin_ready(struct fake *fake)
{
	fake_begin_watching(fake, NULL);
	assert_true(fake_answer(fake, "getPresence", NULL));
	fake_clear(fake);
}

static const char valid[] =
	"{\"v\":1,\"role\":%s,\"id\":%s,\"status\":\"online\",\"previous\":\"offline\","
	"\"reason\":\"connect\",\"source\":\"inferred\",\"devices\":1,\"since\":1,\"last_seen\":1,"
	"\"rev\":1,\"node\":\"b1\"}";

static void check_topic(struct json_object *item)
{
	struct fake fake;
	char record[2048];
	const char *role = json_object_to_json_string(get(item, "role"));
	char *its_role = strdup(role);
	(void)snprintf(record, sizeof(record), valid, its_role,
		json_object_to_json_string(get(item, "id")));
	free(its_role);
	begin_ready(&fake);
	/* From the topic to the names.. */
	assert_true(fake_message(&fake, text(item, "topic"), record, false));
	assert_int_equal(fake.told_count, 1);
	assert_string_equal(fake.told[0].record.role, text(item, "role"));
	assert_string_equal(fake.told[0].record.id, text(item, "id"));
	fake_end(&fake);
	/* .. and back. */
	fake_begin(&fake, false, 0);
	assert_int_equal(
		presence_client_watch(fake.client, text(item, "role"), text(item, "id")), 0);
	presence_client_on_connect(fake.client, 0);
	assert_int_equal(fake_count(&fake, 's', text(item, "topic")), 1);
	fake_end(&fake);
}

static void check_not_subject(struct json_object *item)
{
	struct fake fake;
	begin_ready(&fake);
	assert_false(fake_message(&fake, json_object_get_string(item), "online", false));
	assert_int_equal(fake.told_count, 0);
	fake_end(&fake);
}

static void check_id_refused(struct json_object *item)
{
	struct fake fake;
	char out[512];
	const char *id = json_object_get_string(item);
	fake_begin(&fake, false, 0);
	assert_int_equal(presence_client_watch(fake.client, "agent", id), PRESENCE_CLIENT_EINVAL);
	assert_int_equal(presence_client_watch(fake.client, id, NULL), PRESENCE_CLIENT_EINVAL);
	assert_int_equal(presence_client_watch_typing(fake.client, id), PRESENCE_CLIENT_EINVAL);
	assert_int_equal(
		presence_client_id("agent", id, "d", out, sizeof(out)), PRESENCE_CLIENT_EINVAL);
	assert_int_equal(
		presence_client_id(id, "u1", "d", out, sizeof(out)), PRESENCE_CLIENT_EINVAL);
	fake_end(&fake);
}

static void check_number(struct json_object *expect, const char *key, int64_t value)
{
	if (get(expect, key))
		assert_int_equal(value, number(expect, key));
}

static void check_text(struct json_object *expect, const char *key, const char *value)
{
	if (get(expect, key))
		assert_string_equal(value, text(expect, key));
}

static void check_fields(const struct presence_client_record *record, struct json_object *expect)
{
	check_text(expect, "role", record->role);
	check_text(expect, "id", record->id);
	check_text(expect, "status", presence_client_status_name(record->status));
	check_text(expect, "previous", presence_client_status_name(record->previous));
	check_text(expect, "reason", record->reason);
	check_text(expect, "source", record->source);
	check_text(expect, "note", record->note);
	check_text(expect, "node", record->node);
	check_number(expect, "devices", record->devices);
	check_number(expect, "since", record->since_ms);
	check_number(expect, "last_seen", record->last_seen_ms);
	check_number(expect, "rev", record->rev);
	check_number(expect, "until", record->until_ms);
}

static const char *told_as(struct fake *fake, struct json_object *expect, int before)
{
	if (json_object_is_type(expect, json_type_object)) {
		assert_int_equal(fake->told_count, before + 1);
		assert_false(fake->told[before].record.forgotten);
		check_fields(&fake->told[before].record, expect);
		return NULL;
	}
	return json_object_get_string(expect);
}

static void check_record(struct json_object *item)
{
	struct fake fake;
	const char *topic = text(item, "topic");
	begin_ready(&fake);
	(void)fake_message(&fake, topic, text(item, "payload"), false);
	const char *word = told_as(&fake, get(item, "expect"), 0);
	if (word)
		assert_int_equal(fake.told_count, 0); /* nobody was known who could be forgotten */
	fake_end(&fake);
	if (!word || strcmp(word, "forgotten") != 0)
		return;
	begin_ready(&fake);
	char record[2048];
	(void)snprintf(record, sizeof(record), valid, "\"agent\"", "\"u1\"");
	assert_true(fake_message(&fake, "presence/agent/u1", record, false));
	assert_true(fake_message(&fake, topic, text(item, "payload"), false));
	assert_int_equal(fake.told_count, 2);
	assert_true(fake.told[1].record.forgotten);
	fake_end(&fake);
}

static void check_plain(struct json_object *item)
{
	struct fake fake;
	const char *topic = text(item, "topic");
	fake_begin(&fake, false, 0);
	assert_int_equal(presence_client_watch(fake.client, NULL, NULL), 0);
	presence_client_on_connect(fake.client, 0);
	assert_true(fake_message(&fake, topic, "{\"status\":\"away\",\"note\":\"before\"}", false));
	assert_int_equal(fake.told_count, 1);
	assert_true(fake_message(&fake, topic, text(item, "payload"), false));
	const char *word = told_as(&fake, get(item, "expect"), 1);
	if (word && !strcmp(word, "ignored"))
		assert_int_equal(fake.told_count, 1);
	if (word && !strcmp(word, "forgotten"))
		assert_true(fake.told_count == 2 && fake.told[1].record.forgotten);
	fake_end(&fake);
}

static void check_transition(const struct fake_told *told, struct json_object *expect)
{
	char subject[512];
	(void)snprintf(subject, sizeof(subject), "%s/%s", told->record.role, told->record.id);
	assert_string_equal(subject, text(expect, "subject"));
	assert_string_equal(
		presence_client_status_name(told->record.status), text(expect, "status"));
	assert_int_equal(told->record.forgotten, json_object_get_boolean(get(expect, "forgotten")));
	const char *before = text(expect, "before");
	assert_int_equal(told->record.before, before ? status_of(before) : PRESENCE_CLIENT_UNKNOWN);
}

static void do_step(struct fake *fake, struct json_object *step)
{
	const char *what = text(step, "do");
	fake->told_count = 0;
	if (!strcmp(what, "subscribe")) {
		fake_clear(fake);
		presence_client_on_connect(fake->client, 0);
		assert_int_equal(fake_count(fake, 's', "presence/+/+"), 1);
	} else if (!strcmp(what, "snapshot_end")) {
		assert_true(fake_answer(fake, "getPresence", NULL));
	} else if (!strcmp(what, "lost")) {
		presence_client_on_disconnect(fake->client, 7);
	} else {
		assert_string_equal(what, "message");
		int asked = fake_count(fake, 's', "presence/+/+");
		(void)fake_message(fake, text(step, "topic"), text(step, "payload"),
			json_object_get_boolean(get(step, "retain")));
		if (get(step, "asks"))
			assert_int_equal(fake_count(fake, 's', "presence/+/+") > asked,
				json_object_get_boolean(get(step, "asks")));
	}
	struct json_object *transitions = get(step, "transitions");
	size_t count = json_object_array_length(transitions);
	assert_int_equal(fake->told_count, count);
	for (size_t i = 0; i < count; i++)
		check_transition(&fake->told[i], json_object_array_get_idx(transitions, i));
}

static void check_sequence(struct json_object *item)
{
	struct fake fake;
	struct json_object *steps = get(item, "steps");
	print_message("  %s\n", text(item, "name"));
	fake_begin(&fake, false, 0);
	assert_int_equal(presence_client_watch(fake.client, NULL, NULL), 0);
	for (size_t i = 0; i < json_object_array_length(steps); i++)
		do_step(&fake, json_object_array_get_idx(steps, i));
	json_object_object_foreach(get(item, "end"), subject, expect)
	{
		char role[129], id[129];
		struct presence_client_record record;
		struct presence_client_storage storage;
		assert_int_equal(sscanf(subject, "%128[^/]/%128s", role, id), 2);
		assert_int_equal(
			presence_client_lookup(fake.client, role, id, &record, &storage), 0);
		assert_string_equal(
			presence_client_status_name(record.status), text(expect, "status"));
		assert_int_equal(record.rev, number(expect, "rev"));
	}
	fake_end(&fake);
}

static void check_digest(struct json_object *item)
{
	struct json_object *records = get(item, "records");
	uint64_t all = 0;
	char hex[17];
	for (size_t i = 0; i < json_object_array_length(records); i++) {
		struct json_object *record = json_object_array_get_idx(records, i);
		uint64_t hash = digest_hash(text(record, "topic"), number(record, "rev"));
		(void)snprintf(hex, sizeof(hex), "%016" PRIx64, hash);
		assert_string_equal(hex, text(record, "hash"));
		all ^= hash;
	}
	(void)snprintf(hex, sizeof(hex), "%016" PRIx64, all);
	assert_string_equal(hex, text(item, "xor"));
}

static int command_by_hand(struct fake *fake, const char *call, struct json_object *args)
{
	struct json_object *command = command_create(call);
	assert_non_null(command);
	struct json_object *subjects = get(args, "subjects");
	if (get(args, "interval_ms"))
		assert_true(command_add_seconds(command, "interval", number(args, "interval_ms")));
	assert_true(command_add_string(command, "status", text(args, "status")));
	assert_true(command_add_string(command, "note", text(args, "note")));
	struct json_object *list = subjects ? json_object_new_array() : NULL;
	for (size_t i = 0; subjects && i < json_object_array_length(subjects); i++) {
		struct json_object *pair = json_object_array_get_idx(subjects, i);
		char topic[1024];
		assert_true(topic_subject("",
				    json_object_get_string(json_object_array_get_idx(pair, 0)),
				    json_object_get_string(json_object_array_get_idx(pair, 1)),
				    topic, sizeof(topic)) > 0);
		json_object_array_add(list, json_object_new_string(topic + 1));
	}
	if (list)
		json_object_object_add(command, "subjects", list);
	char *json = strdup(
		json_object_to_json_string_ext(command, JSON_C_TO_STRING_NOSLASHESCAPE));
	json_object_put(command);
	int err = presence_client_command(fake->client, json, fake_done, fake);
	free(json);
	return err;
}

static int make_call(struct fake *fake, const char *call, struct json_object *args)
{
	struct presence_client *client = fake->client;
	const char *status = text(args, "status"), *note = text(args, "note");
	const char *kind = text(args, "kind");
	if (!strcmp(call, "setStatus"))
		for (int known = PRESENCE_CLIENT_OFFLINE; known <= PRESENCE_CLIENT_DND; known++)
			if (!strcmp(status,
				    presence_client_status_name(
					    (enum presence_client_status)known)))
				return presence_client_set_status(client,
					(enum presence_client_status)known, note, fake_done, fake);
	if (!strcmp(call, "clearStatus"))
		return presence_client_clear_status(client, fake_done, fake);
	if (!strcmp(call, "leave"))
		return presence_client_leave(client);
	if (!strcmp(call, "typing") && (!kind || strcmp(kind, "singing") != 0))
		return presence_client_typing(client, text(args, "conversation"),
			kind && !strcmp(kind, "recording"),
			json_object_get_boolean(get(args, "active")), fake_done, fake);
	if (!strcmp(call, "setOverride"))
		return presence_client_set_override(client, text(args, "role"), text(args, "id"),
			(enum presence_client_override)override_of(status), note,
			number(args, "ttl_ms"), fake_done, fake);
	if (!strcmp(call, "clearOverride"))
		return presence_client_clear_override(
			client, text(args, "role"), text(args, "id"), fake_done, fake);
	return command_by_hand(fake, call, args);
}

/* The correlation is each library's own affair. */
static void without_correlation(const char *payload, char *out)
{
	const char *at = strstr(payload, ",\"correlationData\":\"");
	const char *end = at ? strchr(at + strlen(",\"correlationData\":\""), '"') : NULL;
	if (end)
		(void)sprintf(out, "%.*s%s", (int)(at - payload), payload, end + 1);
	else
		strcpy(out, payload);
}

static void begin_connected(struct fake *fake)
{
	fake_begin(fake, true, 0);
	presence_client_on_connect(fake->client, 0);
	assert_true(fake_answer(fake, "heartbeat", NULL));
	fake_clear(fake);
}

static void check_command(struct json_object *item)
{
	struct fake fake;
	char expected[FAKE_TEXT_MAX], found[FAKE_TEXT_MAX];
	begin_connected(&fake);
	assert_int_equal(make_call(&fake, text(item, "call"), get(item, "args")), 0);
	assert_int_equal(fake.sent_count, 1);
	assert_string_equal(fake.sent[0].topic, "$CONTROL/presence/v1");
	assert_false(fake.sent[0].retain);
	without_correlation(text(item, "payload"), expected);
	without_correlation(fake.sent[0].payload, found);
	assert_string_equal(found, expected);
	fake_end(&fake);
}

static void check_command_refused(struct json_object *item)
{
	struct fake fake;
	begin_connected(&fake);
	assert_int_equal(
		make_call(&fake, text(item, "call"), get(item, "args")), PRESENCE_CLIENT_EINVAL);
	assert_int_equal(fake.sent_count, 0);
	fake_end(&fake);
}

/* The replies have correlations of their own: they go to commands of those numbers. */
static void check_reply(struct json_object *item)
{
	struct fake fake;
	struct json_object *expect = get(item, "expect");
	char *payload = strdup(text(item, "payload"));
	begin_connected(&fake);
	assert_int_equal(
		presence_client_clear_override(fake.client, NULL, NULL, fake_done, &fake), 0);
	char correlation[64], reply[FAKE_TEXT_MAX];
	const char *given = strstr(fake.sent[0].payload, "correlationData\":\"");
	assert_int_equal(given ? sscanf(given, "correlationData\":\"%63[^\"]", correlation) : 0, 1);
	char *mine = strstr(payload, "\"correlationData\":\""), *rest = NULL;
	if (mine) {
		mine += strlen("\"correlationData\":\"");
		rest = strchr(mine, '"');
		assert_non_null(rest);
		(void)snprintf(reply, sizeof(reply), "%.*s%s%s", (int)(mine - payload), payload,
			correlation, rest ? rest : "");
	} else {
		(void)snprintf(reply, sizeof(reply), "%s", payload);
	}
	bool ours = fake_message(&fake, "$CONTROL/presence/v1/response", reply, false);
	assert_int_equal(ours, mine != NULL);
	assert_int_equal(fake.done_count, mine ? 1 : 0);
	for (size_t i = 0; i < json_object_array_length(expect); i++) {
		struct json_object *one = json_object_array_get_idx(expect, i);
		const char *its = text(one, "correlation");
		assert_non_null(its);
		if (its && *its)
			assert_string_equal(fake.done_words, text(one, "error"));
	}
	free(payload);
	fake_end(&fake);
}

static void check_client_id(struct json_object *item)
{
	char out[512];
	assert_int_equal(presence_client_id(text(item, "role"), text(item, "id"),
				 text(item, "device"), out, sizeof(out)),
		strlen(text(item, "client_id")));
	assert_string_equal(out, text(item, "client_id"));
}

static void check_client_id_refused(struct json_object *item)
{
	char out[512];
	assert_int_equal(presence_client_id(text(item, "role"), text(item, "id"),
				 text(item, "device"), out, sizeof(out)),
		PRESENCE_CLIENT_EINVAL);
}

/* A client of these names on the fake: it has its will at once, its birth when it connects. */
static void begin_named(struct fake *fake, struct json_object *item)
{
	fake_begin(fake, false, 0);
	struct presence_client *watcher = fake->client;
	struct presence_client_config config = {
		.size = sizeof(config),
		.role = text(item, "role"),
		.id = text(item, "id"),
		.mosquitto = fake_mosquitto(),
	};
	assert_int_equal(presence_client_create(&config, &fake->client), 0);
	presence_client_destroy(watcher);
}

static void check_birth(struct json_object *item)
{
	struct fake fake;
	begin_named(&fake, item);
	if (strcmp(text(item, "status"), "online") != 0)
		assert_int_equal(
			presence_client_set_status(fake.client, status_of(text(item, "status")),
				text(item, "note"), NULL, NULL),
			0);
	presence_client_on_connect(fake.client, 0);
	const struct fake_sent *birth = fake_last(&fake, 'p', text(item, "topic"));
	assert_non_null(birth);
	assert_true(birth->retain);
	assert_string_equal(birth->payload, text(item, "payload"));
	fake_end(&fake);
}

static void check_will(struct json_object *item)
{
	struct fake fake;
	begin_named(&fake, item);
	assert_string_equal(fake.will_topic, text(item, "topic"));
	assert_string_equal(fake.will, text(item, "payload"));
	fake_end(&fake);
}

static void check_typing_topic(struct json_object *item)
{
	struct fake fake;
	char payload[1024], expected[1024];
	const char *conversation = text(item, "conversation"), *role = text(item, "role"),
		   *id = text(item, "id");
	begin_ready(&fake);
	assert_int_equal(presence_client_watch_typing(fake.client, conversation), 0);
	(void)snprintf(payload, sizeof(payload),
		"{\"v\":1,\"conversation\":\"%s\",\"role\":\"%s\",\"id\":\"%s\",\"kind\":"
		"\"typing\","
		"\"active\":true}",
		conversation, role, id);
	(void)snprintf(expected, sizeof(expected), "%s %s %s typing 1", conversation, role, id);
	assert_true(fake_message(&fake, text(item, "topic"), payload, false));
	assert_string_equal(fake.typing_text, expected);
	fake_end(&fake);
}

static void check_typing_message(struct json_object *item)
{
	struct fake fake;
	struct json_object *expect = get(item, "expect");
	bool ignored = json_object_is_type(expect, json_type_string);
	begin_ready(&fake);
	assert_int_equal(presence_client_watch_typing(fake.client, "c1"), 0);
	/* So that an end has something to end. */
	if (!ignored && !json_object_get_boolean(get(expect, "active")))
		(void)fake_message(&fake, "typing/c1/agent/u1",
			"{\"v\":1,\"conversation\":\"c1\",\"role\":\"agent\",\"id\":\"u1\","
			"\"kind\":\"recording\",\"active\":true}",
			false);
	int before = fake.typing;
	(void)fake_message(&fake, text(item, "topic"), text(item, "payload"), false);
	assert_int_equal(fake.typing, ignored ? before : before + 1);
	if (!ignored) {
		char expected[1024];
		(void)snprintf(expected, sizeof(expected), "%s %s %s %s %d",
			text(expect, "conversation"), text(expect, "role"), text(expect, "id"),
			text(expect, "kind"), json_object_get_boolean(get(expect, "active")));
		assert_string_equal(fake.typing_text, expected);
	}
	fake_end(&fake);
}

static const struct list {
	const char *name;
	void (*check)(struct json_object *item);
} lists[] = {
	{ "topics", check_topic },
	{ "not_subjects", check_not_subject },
	{ "ids_refused", check_id_refused },
	{ "typing", check_typing_topic },
	{ "typing_messages", check_typing_message },
	{ "records", check_record },
	{ "plain", check_plain },
	{ "sequences", check_sequence },
	{ "digests", check_digest },
	{ "commands", check_command },
	{ "commands_refused", check_command_refused },
	{ "replies", check_reply },
	{ "client_ids", check_client_id },
	{ "client_ids_refused", check_client_id_refused },
	{ "births", check_birth },
	{ "wills", check_will },
};

static void test_list(void **state)
{
	const struct list *list = *state;
	each(list->name, list->check);
}

/* A list that is new has to be run too. */
static void test_all_lists(void **state)
{
	(void)state;
	assert_int_equal(json_object_object_length(root),
		1 + (int)(sizeof(lists) / sizeof(*lists))); /* and "about" */
}

int main(int argc, char **argv)
{
	struct CMUnitTest tests[sizeof(lists) / sizeof(*lists) + 1];
	size_t count = sizeof(lists) / sizeof(*lists);
	root = argc == 2 ? json_object_from_file(argv[1]) : NULL;
	if (!root) {
		fprintf(stderr, "usage: vectors client.json\n");
		return 2;
	}
	for (size_t i = 0; i < count; i++)
		tests[i] = (struct CMUnitTest){ .name = lists[i].name,
			.test_func = test_list,
			.initial_state = (void *)(uintptr_t)&lists[i] };
	tests[count] = (struct CMUnitTest)cmocka_unit_test(test_all_lists);
	int failed = cmocka_run_group_tests(tests, NULL, NULL);
	json_object_put(root);
	return failed;
}
