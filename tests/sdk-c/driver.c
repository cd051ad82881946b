/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
/* A program that does with libpresence what its standard input says, and prints what it is told:
 * for tests/e2e/test_sdk_c.py. usage: driver PORT own|mine ROLE ID DEVICE [KEY=VALUE...]; - is
 * none. */
#include <mosquitto.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "client-sdk/c/presence_client.h"
#include "words.h"

/* What a done() is told it was for. */
#define TAG(word) ((void *)(uintptr_t)(word))

static void on_connection(struct presence_client *client, enum presence_client_error error,
	const char *words, int64_t retry_ms, void *context)
{
	(void)client;
	(void)context;
	printf("connection %d %lld %s\n", error, (long long)retry_ms, words);
}

static void on_transition(
	struct presence_client *client, const struct presence_client_record *record, void *context)
{
	(void)client;
	if (*(bool *)context) /* quiet */
		return;
	printf("transition %s/%s %s %s %s %d %u %s\n", record->role, record->id,
		presence_client_status_name(record->before),
		presence_client_status_name(record->status), *record->reason ? record->reason : "-",
		record->forgotten, record->devices, record->note);
}

static void on_typing(struct presence_client *client, const char *conversation, const char *role,
	const char *id, const char *kind, bool active, void *context)
{
	(void)client;
	(void)context;
	printf("typing %s %s/%s %s %d\n", conversation, role, id, kind, active);
}

static void on_problem(
	struct presence_client *client, const char *what, const char *words, void *context)
{
	(void)client;
	(void)context;
	printf("problem %s %s\n", what, words);
}

static void done(struct presence_client *client, enum presence_client_error error,
	const char *words, const char *data, void *context)
{
	(void)client;
	printf("done %s %d %s %s\n", (const char *)context, error, data, words);
}

/* A connection of the application: its own callbacks, and its own loop in a thread of libmosquitto.
 */
static void my_connect(struct mosquitto *mosquitto, void *client, int code)
{
	(void)mosquitto;
	printf("mine connect %d\n", code);
	presence_client_on_connect(client, code);
	if (!code)
		(void)mosquitto_subscribe(mosquitto, NULL, "my/#", 1);
}

static void my_disconnect(struct mosquitto *mosquitto, void *client, int code)
{
	(void)mosquitto;
	printf("mine disconnect %d\n", code);
	presence_client_on_disconnect(client, code);
}

static void my_message(
	struct mosquitto *mosquitto, void *client, const struct mosquitto_message *message)
{
	(void)mosquitto;
	if (!presence_client_on_message(client, message))
		printf("mine message %s %.*s\n", message->topic, message->payloadlen,
			(const char *)message->payload);
}

static void my_subscribe(
	struct mosquitto *mosquitto, void *client, int mid, int count, const int *granted)
{
	(void)mosquitto;
	if (!presence_client_on_subscribe(client, mid, count, granted))
		printf("mine subscribed\n");
}

static struct mosquitto *make_mine(const char *role, const char *id, const char *device)
{
	char client_id[400];
	if (presence_client_id(role, id, device, client_id, sizeof(client_id)) < 0)
		return NULL;
	struct mosquitto *mosquitto = mosquitto_new(client_id, true, NULL);
	if (!mosquitto)
		return NULL;
	mosquitto_connect_callback_set(mosquitto, my_connect);
	mosquitto_disconnect_callback_set(mosquitto, my_disconnect);
	mosquitto_message_callback_set(mosquitto, my_message);
	mosquitto_subscribe_callback_set(mosquitto, my_subscribe);
	return mosquitto;
}

static void configure(struct presence_client_config *config, const char *word)
{
	const char *value = strchr(word, '=') + 1;
	if (!strncmp(word, "username=", 9))
		config->username = value;
	if (!strncmp(word, "password=", 9))
		config->password = value;
	if (!strncmp(word, "keepalive=", 10))
		config->keepalive_s = atoi(value);
	if (!strncmp(word, "heartbeat=", 10))
		config->heartbeat_ms = atoi(value);
	if (!strncmp(word, "retry=", 6))
		config->retry_min_ms = config->retry_max_ms = atoi(value);
	if (!strncmp(word, "timeout=", 8))
		config->timeout_ms = atoi(value);
	if (!strncmp(word, "birth=", 6))
		config->without_birth = !strcmp(value, "none");
}

static const char *or_null(const char *word)
{
	return word && strcmp(word, "-") != 0 ? word : NULL;
}

static int status_of(const char *word)
{
	for (int i = PRESENCE_CLIENT_OFFLINE; i <= PRESENCE_CLIENT_DND; i++)
		if (!strcmp(word, presence_client_status_name((enum presence_client_status)i)))
			return i;
	return PRESENCE_CLIENT_UNKNOWN;
}

static void look_up(struct presence_client *client, const char *role, const char *id)
{
	struct presence_client_record record;
	struct presence_client_storage storage;
	int err = presence_client_lookup(client, role, id, &record, &storage);
	if (err)
		printf("looked %s/%s error %d\n", role, id, err);
	else
		printf("looked %s/%s %s %lld\n", role, id,
			presence_client_status_name(record.status), (long long)record.sure_ms);
}

static void count_status(const struct presence_client_record *record, void *counts)
{
	((size_t *)counts)[record->status]++;
}

static void count_all(struct presence_client *client)
{
	size_t counts[PRESENCE_CLIENT_DND + 1] = { 0 };
	size_t all = presence_client_each(client, count_status, counts);
	printf("counted %zu dnd %zu offline %zu\n", all, counts[PRESENCE_CLIENT_DND],
		counts[PRESENCE_CLIENT_OFFLINE]);
}

/* word: what to do, and with what. */
static int act(struct presence_client *client, char *word[4])
{
	if (!strcmp(word[0], "status"))
		return presence_client_set_status(client,
			(enum presence_client_status)status_of(word[1]), or_null(word[2]), done,
			TAG("status"));
	if (!strcmp(word[0], "clear"))
		return presence_client_clear_status(client, done, TAG("clear"));
	if (!strcmp(word[0], "override"))
		return presence_client_set_override(client, NULL, NULL,
			(enum presence_client_override)override_of(word[1]), or_null(word[2]),
			word[3] ? atoi(word[3]) : 0, done, TAG("override"));
	if (!strcmp(word[0], "typing"))
		return presence_client_typing(
			client, word[1], false, !strcmp(word[2], "1"), done, TAG("typing"));
	if (!strcmp(word[0], "kick")) {
		char json[256];
		snprintf(json, sizeof(json), "{\"command\":\"kick\",\"clientid\":\"%s\"}", word[1]);
		return presence_client_command(client, json, done, TAG("kick"));
	}
	if (!strcmp(word[0], "watch"))
		return presence_client_watch(client, or_null(word[1]), or_null(word[2]));
	if (!strcmp(word[0], "unwatch"))
		return presence_client_unwatch(client, or_null(word[1]), or_null(word[2]));
	if (!strcmp(word[0], "watch-typing"))
		return presence_client_watch_typing(client, word[1]);
	if (!strcmp(word[0], "look"))
		look_up(client, word[1], word[2]);
	if (!strcmp(word[0], "count"))
		count_all(client);
	if (!strcmp(word[0], "start"))
		return presence_client_start(client);
	if (!strcmp(word[0], "stop"))
		return presence_client_stop(client);
	return 0;
}

/* False: there is no more to read. */
static bool read_line(struct presence_client *client)
{
	char line[1024], *word[4] = { NULL }, *rest;
	if (!fgets(line, sizeof(line), stdin))
		return false;
	int count = 0;
	for (char *at = strtok_r(line, " \n", &rest); at && count < 4;
		at = strtok_r(NULL, " \n", &rest))
		word[count++] = at;
	if (!count)
		return true;
	int err = act(client, word);
	printf("did %s %d %s\n", word[0], err, presence_strerror(err));
	return true;
}

static int start(struct presence_client *client, const struct presence_client_config *config)
{
	struct mosquitto *mine = config->mosquitto;
	if (!mine)
		return presence_client_start(client);
	mosquitto_user_data_set(mine, client);
	mosquitto_reconnect_delay_set(mine, 1, 1, false);
	int err = mosquitto_connect(mine, config->host, config->port, 30);
	return err ? err : mosquitto_loop_start(mine);
}

static void obey(struct presence_client *client, bool ticks)
{
	struct pollfd in = { .fd = STDIN_FILENO, .events = POLLIN };
	for (bool more = true; more;) {
		int64_t wait_ms = ticks ? presence_client_tick(client) : 1000;
		if (poll(&in, 1, (int)wait_ms) > 0)
			more = read_line(client);
	}
}

static void leave_mine(struct presence_client *client, struct mosquitto *mine)
{
	(void)presence_client_leave(client);
	for (int i = 0; i < 1000 && mosquitto_want_write(mine); i++)
		(void)poll(NULL, 0, 1);
	mosquitto_disconnect(mine);
	mosquitto_loop_stop(mine, false);
}

/* What becomes of a client from its creation to its end. */
static int run(const struct presence_client_config *config)
{
	struct presence_client *client;
	int err = presence_client_create(config, &client);
	if (err) {
		printf("create %d %s\n", err, presence_strerror(err));
		return 1;
	}
	printf("started %d\n", start(client, config));
	obey(client, config->mosquitto);
	if (config->mosquitto)
		leave_mine(client, config->mosquitto);
	presence_client_destroy(client);
	return 0;
}

int main(int argc, char **argv)
{
	static const struct presence_client_callbacks callbacks = { on_connection, on_transition,
		on_typing, on_problem };
	if (argc < 6)
		return 2;
	setvbuf(stdout, NULL, _IOLBF, 0);
	setvbuf(stdin, NULL, _IONBF, 0);
	bool quiet = false;
	struct presence_client_config config = {
		.size = sizeof(config),
		.role = or_null(argv[3]),
		.id = or_null(argv[4]),
		.device = or_null(argv[5]),
		.host = "127.0.0.1",
		.port = atoi(argv[1]),
		.callbacks = &callbacks,
		.context = &quiet,
	};
	for (int i = 6; i < argc; i++)
		if (strchr(argv[i], '='))
			configure(&config, argv[i]);
		else
			quiet = !strcmp(argv[i], "quiet");
	mosquitto_lib_init();
	if (!strcmp(argv[2], "mine")) {
		config.mosquitto = make_mine(argv[3], argv[4], argv[5]);
		if (!config.mosquitto)
			return 3;
	}
	int status = run(&config);
	if (config.mosquitto)
		mosquitto_destroy(config.mosquitto);
	mosquitto_lib_cleanup();
	if (!status)
		printf("ended\n");
	return status;
}
