/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
/* A plugin that writes down which events a broker raises, in which order, for whom: what broker.c
 * must do as well. Lines are "event client#connection ..."; connections are numbered as they
 * appear. */

#include <stdio.h>
#include <string.h>

#include "plugin/broker_api.h"

enum { SEEN_MAX = 4096 };

/* One broker loads it once; its main thread alone comes here. */
static struct {
	mosquitto_plugin_id_t *identifier;
	FILE *out;
	bool is_2_1;
	int count, numbers;
	struct {
		const struct mosquitto *pointer;
		int number;
	} seen[SEEN_MAX];
} recorder;

static int number_of(const struct mosquitto *pointer, bool is_new)
{
	for (int i = 0; i < recorder.count; i++)
		if (recorder.seen[i].pointer == pointer) {
			if (is_new)
				recorder.seen[i].number = ++recorder.numbers;
			return recorder.seen[i].number;
		}
	if (recorder.count == SEEN_MAX)
		return 0;
	recorder.seen[recorder.count].pointer = pointer;
	return recorder.seen[recorder.count++].number = ++recorder.numbers;
}

static void write_event(
	const char *event, const struct mosquitto *client, bool is_new, const char *more)
{
	const char *id = mosquitto_client_id(client);
	(void)fprintf(recorder.out, "%s %s#%d%s%s\n", event, id ? id : "-",
		number_of(client, is_new), *more ? " " : "", more);
	(void)fflush(recorder.out);
}

static int on_auth(int event, void *data, void *self)
{
	(void)event;
	(void)self;
	write_event("auth", ((struct mosquitto_evt_basic_auth *)data)->client, true, "");
	return BROKER_PLUGIN_DEFER;
}

static int on_connect(int event, void *data, void *self)
{
	(void)event;
	(void)self;
	write_event("connect", ((struct event_connect *)data)->client, true, "");
	return MOSQ_ERR_SUCCESS;
}

static int on_end(int event, void *data, void *self)
{
	const struct mosquitto_evt_disconnect *end = data;
	char reason[16];
	(void)self;
	(void)snprintf(reason, sizeof(reason), "%d", end->reason);
	write_event(event == EVENT_CLIENT_OFFLINE ? "offline" : "end", end->client, false, reason);
	return MOSQ_ERR_SUCCESS;
}

static int on_check(int event, void *data, void *self)
{
	const struct mosquitto_evt_acl_check *check = data;
	(void)event;
	(void)self;
	if (check->access == MOSQ_ACL_WRITE)
		write_event("write", check->client, false, check->topic);
	return recorder.is_2_1 ? BROKER_PLUGIN_IGNORE : MOSQ_ERR_SUCCESS;
}

static int on_message(int event, void *data, void *self)
{
	const struct mosquitto_evt_message *message = data;
	(void)event;
	(void)self;
	write_event("message", message->client, false, message->topic);
	return MOSQ_ERR_SUCCESS;
}

static int on_tick(int event, void *data, void *self)
{
	(void)event;
	(void)data;
	(void)self;
	return MOSQ_ERR_SUCCESS;
}

#define EXPORT __attribute__((visibility("default")))
EXPORT int mosquitto_plugin_version(int version_count, const int *versions);
EXPORT int mosquitto_plugin_init(
	mosquitto_plugin_id_t *identifier, void **self, struct mosquitto_opt *opts, int opt_count);
EXPORT int mosquitto_plugin_cleanup(void *self, struct mosquitto_opt *opts, int opt_count);

int mosquitto_plugin_version(int version_count, const int *versions)
{
	for (int i = 0; i < version_count; i++)
		if (versions[i] == 5)
			return 5;
	return -1;
}

static int hook(int event, int (*call)(int, void *, void *))
{
	return mosquitto_callback_register(recorder.identifier, event, call, NULL, NULL);
}

int mosquitto_plugin_init(
	mosquitto_plugin_id_t *identifier, void **self, struct mosquitto_opt *opts, int opt_count)
{
	(void)self;
	recorder.identifier = identifier;
	recorder.out = opt_count && !strcmp(opts[0].key, "file") ? fopen(opts[0].value, "we")
								 : NULL;
	if (!recorder.out)
		return MOSQ_ERR_INVAL;
	recorder.is_2_1 = !hook(EVENT_CONNECT, on_connect);
	bool is_bad = hook(MOSQ_EVT_DISCONNECT, on_end) || hook(MOSQ_EVT_ACL_CHECK, on_check) ||
		hook(MOSQ_EVT_MESSAGE, on_message) || hook(MOSQ_EVT_TICK, on_tick);
	is_bad = is_bad ||
		hook(recorder.is_2_1 ? EVENT_CLIENT_OFFLINE : MOSQ_EVT_BASIC_AUTH,
			recorder.is_2_1 ? on_end : on_auth);
	return is_bad ? MOSQ_ERR_INVAL : MOSQ_ERR_SUCCESS;
}

int mosquitto_plugin_cleanup(void *self, struct mosquitto_opt *opts, int opt_count)
{
	(void)self;
	(void)opts;
	(void)opt_count;
	(void)fclose(recorder.out);
	return MOSQ_ERR_SUCCESS;
}
