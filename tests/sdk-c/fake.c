/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
#include "fake.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

static struct fake *now; /* the one of the test that runs */

/* Some address that is no struct mosquitto: nothing of the real library may be reached with it. */
static char nobody;
struct mosquitto *fake_mosquitto(void)
{
	return (struct mosquitto *)(void *)&nobody;
}

/* Tests do not wait for what takes seconds, and are not hurried while the machine stands still. */
int __real_clock_gettime(clockid_t clock, struct timespec *time);
int __wrap_clock_gettime(clockid_t clock, struct timespec *time);
int __wrap_clock_gettime(clockid_t clock, struct timespec *time)
{
	if (!now || !now->stopped.tv_sec || clock != CLOCK_MONOTONIC)
		return __real_clock_gettime(clock, time);
	*time = now->stopped;
	time->tv_sec += now->ahead_s;
	return 0;
}

void fake_stop_clock(struct fake *fake)
{
	assert_int_equal(__real_clock_gettime(CLOCK_MONOTONIC, &fake->stopped), 0);
}

static int remember(char what, const char *topic, const void *payload, int length, bool retain)
{
	assert_true(now && now->sent_count < FAKE_SENT_MAX && length < FAKE_TEXT_MAX);
	struct fake_sent *sent = &now->sent[now->sent_count++];
	*sent = (struct fake_sent){ .what = what, .retain = retain, .mid = ++now->mids };
	(void)snprintf(sent->topic, sizeof(sent->topic), "%s", topic);
	if (length)
		memcpy(sent->payload, payload, (size_t)length);
	return MOSQ_ERR_SUCCESS;
}

int mosquitto_publish(struct mosquitto *mosq, int *mid, const char *topic, int payloadlen,
	const void *payload, int qos, bool retain)
{
	(void)mid;
	assert_true(mosq == fake_mosquitto() && qos == 0);
	return remember('p', topic, payload, payloadlen, retain);
}

int mosquitto_subscribe(struct mosquitto *mosq, int *mid, const char *sub, int qos)
{
	assert_true(mosq == fake_mosquitto() && qos == 0);
	remember('s', sub, NULL, 0, false);
	*mid = now->mids;
	return MOSQ_ERR_SUCCESS;
}

int mosquitto_unsubscribe(struct mosquitto *mosq, int *mid, const char *sub)
{
	(void)mid;
	assert_true(mosq == fake_mosquitto());
	return remember('u', sub, NULL, 0, false);
}

int mosquitto_will_set(struct mosquitto *mosq, const char *topic, int payloadlen,
	const void *payload, int qos, bool retain)
{
	assert_true(mosq == fake_mosquitto() && qos == 0 && retain);
	(void)snprintf(now->will_topic, sizeof(now->will_topic), "%s", topic);
	(void)snprintf(now->will, sizeof(now->will), "%.*s", payloadlen, (const char *)payload);
	return MOSQ_ERR_SUCCESS;
}

static void on_connection(struct presence_client *client, enum presence_client_error error,
	const char *words, int64_t retry_ms, void *context)
{
	struct fake *fake = context;
	(void)retry_ms;
	assert_true(!fake->client || client == fake->client);
	fake->connections++;
	fake->connection = error;
	(void)snprintf(fake->connection_words, sizeof(fake->connection_words), "%s", words);
}

static void on_transition(
	struct presence_client *client, const struct presence_client_record *record, void *context)
{
	struct fake *fake = context;
	(void)client;
	assert_true(fake->told_count < FAKE_TOLD_MAX);
	struct fake_told *told = &fake->told[fake->told_count++];
	told->record = *record;
	(void)snprintf(told->storage.role, sizeof(told->storage.role), "%s", record->role);
	(void)snprintf(told->storage.id, sizeof(told->storage.id), "%s", record->id);
	(void)snprintf(told->storage.note, sizeof(told->storage.note), "%s", record->note);
	(void)snprintf(told->storage.node, sizeof(told->storage.node), "%s", record->node);
	told->record.role = told->storage.role;
	told->record.id = told->storage.id;
	told->record.note = told->storage.note;
	told->record.node = told->storage.node;
}

static void on_typing(struct presence_client *client, const char *conversation, const char *role,
	const char *id, const char *kind, bool active, void *context)
{
	struct fake *fake = context;
	(void)client;
	fake->typing++;
	(void)snprintf(fake->typing_text, sizeof(fake->typing_text), "%s %s %s %s %d", conversation,
		role, id, kind, active);
}

static void on_problem(
	struct presence_client *client, const char *what, const char *words, void *context)
{
	struct fake *fake = context;
	(void)client;
	fake->problems++;
	(void)snprintf(fake->problem, sizeof(fake->problem), "%s: %s", what, words);
}

void fake_done(struct presence_client *client, enum presence_client_error error, const char *words,
	const char *data, void *context)
{
	struct fake *fake = context;
	(void)client;
	fake->done_count++;
	fake->done = error;
	(void)snprintf(fake->done_words, sizeof(fake->done_words), "%s", words);
	(void)snprintf(fake->done_data, sizeof(fake->done_data), "%s", data);
}

void fake_begin(struct fake *fake, bool with_names, int64_t timeout_ms)
{
	static const struct presence_client_callbacks callbacks = { on_connection, on_transition,
		on_typing, on_problem };
	memset(fake, 0, sizeof(*fake));
	now = fake;
	struct presence_client_config config = {
		.size = sizeof(config),
		.mosquitto = fake_mosquitto(),
		.timeout_ms = timeout_ms,
		.callbacks = &callbacks,
		.context = fake,
	};
	if (with_names) {
		config.role = "agent";
		config.id = "u1";
		config.device = "d";
	}
	int err = presence_client_create(&config, &fake->client);
	assert_true(!err && fake->client);
}

void fake_begin_watching(struct fake *fake, const char *role)
{
	fake_begin(fake, false, 0);
	assert_int_equal(presence_client_watch(fake->client, role, NULL), 0);
	presence_client_on_connect(fake->client, 0);
}

void fake_end(struct fake *fake)
{
	presence_client_destroy(fake->client);
	now = NULL;
}

void fake_clear(struct fake *fake)
{
	fake->sent_count = fake->told_count = fake->done_count = fake->typing = 0;
}

bool fake_message(struct fake *fake, const char *topic, const char *payload, bool retain)
{
	/* Exactly as large as they are, so that a sanitizer sees who reads on. */
	size_t length = strlen(payload);
	char *its_topic = strdup(topic), *bytes = length ? malloc(length) : NULL;
	assert_true(its_topic && (bytes || !length));
	if (length)
		memcpy(bytes, payload, length);
	const struct mosquitto_message message = {
		.topic = its_topic,
		.payload = bytes,
		.payloadlen = (int)length,
		.retain = retain,
	};
	bool ours = presence_client_on_message(fake->client, &message);
	free(bytes);
	free(its_topic);
	return ours;
}

int fake_count(const struct fake *fake, char what, const char *topic)
{
	int count = 0;
	for (int i = 0; i < fake->sent_count; i++)
		count += fake->sent[i].what == what && !strcmp(fake->sent[i].topic, topic);
	return count;
}

const struct fake_sent *fake_last(const struct fake *fake, char what, const char *topic)
{
	for (int i = fake->sent_count - 1; i >= 0; i--)
		if (fake->sent[i].what == what && !strcmp(fake->sent[i].topic, topic))
			return &fake->sent[i];
	return NULL;
}

bool fake_reply(struct fake *fake, const char *command, const char *result)
{
	char name[64], reply[2 * FAKE_TEXT_MAX], correlation[64];
	(void)snprintf(name, sizeof(name), "{\"commands\":[{\"command\":\"%s\"", command);
	for (int i = fake->sent_count - 1; i >= 0; i--) {
		const struct fake_sent *sent = &fake->sent[i];
		const char *found = strstr(sent->payload, "\"correlationData\":\"");
		if (strncmp(sent->payload, name, strlen(name)) != 0 || !found ||
			sscanf(found, "\"correlationData\":\"%63[^\"]", correlation) != 1)
			continue;
		(void)snprintf(reply, sizeof(reply),
			"{\"responses\":[{\"command\":\"%s\",\"correlationData\":\"%s\",%s}]}",
			command, correlation, result);
		return fake_message(fake, "$CONTROL/presence/v1/response", reply, false);
	}
	return false;
}

bool fake_answer(struct fake *fake, const char *command, const char *error)
{
	char result[512] = "\"data\":{}";
	if (error)
		(void)snprintf(result, sizeof(result), "\"error\":\"%s\"", error);
	return fake_reply(fake, command, result);
}
