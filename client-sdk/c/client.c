/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
#include <assert.h>
#include <mosquitto.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>

#include "client-sdk/c/internal.h"

enum {
	PORT = 1883,
	KEEPALIVE_S = 30,
	KEEPALIVE_MIN_S = 5, /* libmosquitto refuses less */
	KEEPALIVE_MAX_S = 65535,
	HEARTBEAT_MS = 20000,
	HEARTBEAT_MIN_MS = 1000,
	HEARTBEAT_MAX_MS = 3600000,
	RETRY_MIN_MS = 2000,
	RETRY_MAX_MS = 60000,
	TIMEOUT_MS = 10000,
	SUBJECTS_MAX = 1000000,
};

static int64_t clock_ms(clockid_t clock)
{
	struct timespec now = { 0 };
	(void)clock_gettime(clock, &now); /* these clocks there always are */
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

int64_t now_ms(void)
{
	return clock_ms(CLOCK_MONOTONIC);
}

int64_t wall_ms(void)
{
	return clock_ms(CLOCK_REALTIME);
}

int64_t random_below(int64_t limit)
{
	uint64_t number;
	/* Without random numbers, the clock: it only has to differ between clients. */
	if (getrandom(&number, sizeof(number), 0) != sizeof(number))
		number = (uint64_t)clock_ms(CLOCK_REALTIME) * 6364136223846793005U;
	return limit > 0 ? (int64_t)(number % (uint64_t)limit) : 0;
}

void client_enter(struct presence_client *client)
{
	int err = pthread_mutex_lock(&client->lock);
	assert(!err); /* it is never locked twice by a thread */
	(void)err;
}

void client_leave(struct presence_client *client, bool tell)
{
	bool waits = client->outbox || client->notices;
	pthread_mutex_unlock(&client->lock);
	if (!waits)
		return;
	/* The library's own connection is used by its own thread alone. */
	if (client->is_own && !tell) {
		thread_wake(client);
		return;
	}
	out_flush(client);
	if (tell)
		notices_deliver(client);
}

int presence_client_id(const char *role, const char *id, const char *device, char *out, size_t size)
{
	if (!role || !id || !topic_id_valid(role) || !topic_id_valid(id) || strchr(role, ':') ||
		strchr(id, ':') || (device && *device && !topic_id_valid(device)))
		return PRESENCE_CLIENT_EINVAL;
	bool bare = !device || !*device;
	int length = snprintf(
		out, size, "%s:%s%s%s", role, id, bare ? "" : ":", bare ? "" : device);
	return length < 0 || (size_t)length >= size ? PRESENCE_CLIENT_EINVAL : length;
}

/* NULL for NULL; *failed: there was no memory. */
static char *copy(const char *text, bool *failed)
{
	char *copied = text ? strdup(text) : NULL;
	*failed |= text && !copied;
	return copied;
}

static bool between(int64_t value, int64_t min, int64_t max)
{
	return value >= min && value <= max;
}

static bool is_topic(const char *topic)
{
	return !topic || (*topic && strlen(topic) < PRESENCE_ID_MAX && !strpbrk(topic, "+#"));
}

static bool config_valid(const struct presence_client_config *config)
{
	return config && config->size == sizeof(*config) && !config->role == !config->id &&
		(config->role || !config->device) &&
		(!config->port || between(config->port, 1, 65535)) &&
		(!config->keepalive_s ||
			between(config->keepalive_s, KEEPALIVE_MIN_S, KEEPALIVE_MAX_S)) &&
		(!config->heartbeat_ms || config->heartbeat_ms == -1 ||
			between(config->heartbeat_ms, HEARTBEAT_MIN_MS, HEARTBEAT_MAX_MS)) &&
		between(config->retry_min_ms, 0, INT32_MAX) &&
		between(config->retry_max_ms, 0, INT32_MAX) &&
		between(config->timeout_ms, 0, INT32_MAX) && is_topic(config->topic) &&
		is_topic(config->typing_topic);
}

static int64_t value_or(int64_t value, int64_t otherwise)
{
	return value ? value : otherwise;
}

static void take_numbers(
	struct presence_client *client, const struct presence_client_config *config)
{
	client->port = (int)value_or(config->port, PORT);
	client->keepalive_s = (int)value_or(config->keepalive_s, KEEPALIVE_S);
	client->heartbeat_ms = value_or(config->heartbeat_ms, HEARTBEAT_MS);
	client->retry_min_ms = value_or(config->retry_min_ms, RETRY_MIN_MS);
	client->retry_max_ms = value_or(config->retry_max_ms, RETRY_MAX_MS);
	client->timeout_ms = value_or(config->timeout_ms, TIMEOUT_MS);
	client->subjects_max = config->subjects_max ? config->subjects_max : SUBJECTS_MAX;
	client->with_birth = config->role && !config->without_birth;
	client->is_own = !config->mosquitto;
	client->mosquitto = config->mosquitto;
	client->context = config->context;
	if (config->callbacks)
		client->callbacks = *config->callbacks;
}

static int take_names(struct presence_client *client, const struct presence_client_config *config)
{
	char id[3 * PRESENCE_ID_MAX + 3], topic[PRESENCE_TOPIC_MAX];
	bool failed = false;
	client->host = copy(config->host ? config->host : "localhost", &failed);
	client->topic = copy(config->topic ? config->topic : "presence", &failed);
	client->typing_topic = copy(
		config->typing_topic ? config->typing_topic : "typing", &failed);
	client->role = copy(config->role, &failed);
	client->id = copy(config->id, &failed);
	if (failed)
		return PRESENCE_CLIENT_ENOMEM;
	if (!config->role)
		return PRESENCE_CLIENT_OK;
	if (presence_client_id(config->role, config->id, config->device, id, sizeof(id)) < 0 ||
		topic_subject(client->topic, config->role, config->id, topic, sizeof(topic)) < 0)
		return PRESENCE_CLIENT_EINVAL;
	client->client_id = copy(id, &failed);
	client->own_topic = copy(topic, &failed);
	return failed ? PRESENCE_CLIENT_ENOMEM : PRESENCE_CLIENT_OK;
}

static int set_will(struct presence_client *client)
{
	static const char offline[] = "offline";
	if (!client->with_birth)
		return PRESENCE_CLIENT_OK;
	int err = mosquitto_will_set(
		client->mosquitto, client->own_topic, sizeof(offline) - 1, offline, 0, true);
	if (err)
		return err == MOSQ_ERR_NOMEM ? PRESENCE_CLIENT_ENOMEM : PRESENCE_CLIENT_EINVAL;
	return PRESENCE_CLIENT_OK;
}

int presence_client_create(
	const struct presence_client_config *config, struct presence_client **client)
{
	if (!client || !config_valid(config))
		return PRESENCE_CLIENT_EINVAL;
	struct presence_client *made = calloc(1, sizeof(*made));
	if (!made)
		return PRESENCE_CLIENT_ENOMEM;
	(void)pthread_mutex_init(&made->lock, NULL); /* neither can fail with these attributes */
	(void)pthread_cond_init(&made->subscribed, NULL);
	made->pending_end = &made->pending;
	made->outbox_end = &made->outbox;
	made->sent_end = &made->sent;
	made->notices_end = &made->notices;
	made->wake_fd = -1;
	made->fence_next = 1;
	made->ended = true;
	take_numbers(made, config);
	for (size_t i = 0; i < sizeof(made->hash_key); i++)
		made->hash_key[i] = (uint8_t)random_below(256);
	int err = take_names(made, config);
	if (!err && (table_init(&made->entries) || table_init(&made->roles)))
		err = PRESENCE_CLIENT_ENOMEM;
	if (!err && made->is_own)
		err = thread_create(made, config);
	if (!err)
		err = set_will(made);
	if (err) {
		presence_client_destroy(made);
		return err;
	}
	*client = made;
	return PRESENCE_CLIENT_OK;
}

void presence_client_destroy(struct presence_client *client)
{
	if (!client)
		return;
	(void)presence_client_stop(client);
	client_enter(client);
	/* Whoever is called back now can say nothing more, and has nothing to wait for. */
	client->destroyed = true;
	client->connected = false;
	answers_give_up(client, PRESENCE_CLIENT_ECANCELED);
	say_give_up(client);
	out_clear(client);
	client_leave(client, true);
	thread_destroy(client);
	notices_clear(client);
	typing_clear(client);
	entries_clear(client);
	table_finish(&client->entries);
	table_finish(&client->roles);
	pthread_cond_destroy(&client->subscribed);
	pthread_mutex_destroy(&client->lock);
	char *const names[] = { client->role, client->id, client->client_id, client->host,
		client->topic, client->typing_topic, client->own_topic };
	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++)
		free(names[i]);
	free(client);
}
