/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
/* Presence as one writes it in an afternoon, to be measured beside: a connect publishes a retained
 * record, an end publishes another. It is quick, and it loses every race there is:
 *
 * - A takeover: the end of the old connection comes after the connect of the new one, so somebody
 *   who is there stays offline. Two devices of one person overwrite each other likewise.
 * - Mosquitto 2.0 asks before it accepts: who has a wrong password is online until refused, and the
 *   end that such a client reports takes the real one offline.
 * - No grace: every change of network is seen by everybody as offline and online.
 * - A broker that dies or restarts leaves all of them online for ever: it remembers nobody.
 * - Anybody may publish there too, last wills included; nobody repairs it.
 * - No limits, no escapes: an id with a + or # in it is published nowhere, or elsewhere.
 *
 * Two plugins are made of it, see peer.h. Not for use. */

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "peer.h"
#include "plugin/broker_api.h"

enum { TEXT_MAX = 256 };

struct peer {
	mosquitto_plugin_id_t *id;
	struct peer_store *store;
	int64_t rev;
	int connect_event; /* what tells of a connect in this version */
};

#define EXPORTED __attribute__((visibility("default")))

/* role:id:device is presence/role/id; others are not of ours. */
static bool topic_of(const char *client_id, char topic[static TEXT_MAX])
{
	const char *role_end = client_id ? strchr(client_id, ':') : NULL;
	if (!role_end || strlen(client_id) > TEXT_MAX / 2)
		return false;
	(void)snprintf(topic, TEXT_MAX, "presence/%.*s/%.*s", (int)(role_end - client_id),
		client_id, (int)strcspn(role_end + 1, ":"), role_end + 1);
	return true;
}

static int say(struct peer *peer, const struct mosquitto *client, const char *status)
{
	char topic[TEXT_MAX], record[TEXT_MAX];
	struct timespec now = { 0 };
	if (!topic_of(mosquitto_client_id(client), topic))
		return MOSQ_ERR_SUCCESS;
	(void)clock_gettime(CLOCK_REALTIME, &now);
	int length = snprintf(record, sizeof(record),
		"{\"v\":1,\"status\":\"%s\",\"since\":%" PRId64 ",\"rev\":%" PRId64 "}", status,
		(int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000, ++peer->rev);
	if (peer->store && !peer_store_put(peer->store, topic, record))
		mosquitto_log_printf(MOSQ_LOG_WARNING, "peer: Redis has not got %s", topic);
	return mosquitto_broker_publish_copy(NULL, topic, length, record, 0, true, NULL);
}

static int on_connect(int event, void *data, void *peer)
{
	const struct event_connect *connect = data;
	(void)event;
	return say(peer, connect->client, "online");
}

static int on_basic_auth(int event, void *data, void *peer)
{
	const struct mosquitto_evt_basic_auth *auth = data;
	(void)event;
	(void)say(peer, auth->client, "online");
	return BROKER_PLUGIN_DEFER;
}

static int on_disconnect(int event, void *data, void *peer)
{
	const struct mosquitto_evt_disconnect *end = data;
	(void)event;
	return say(peer, end->client, "offline");
}

EXPORTED int mosquitto_plugin_version(int count, const int *versions)
{
	for (int i = 0; i < count; i++)
		if (versions[i] == 5)
			return 5;
	return -1;
}

EXPORTED int mosquitto_plugin_init(
	mosquitto_plugin_id_t *id, void **data, struct mosquitto_opt *options, int count)
{
	struct peer *peer = calloc(1, sizeof(*peer));
	const char *path = NULL;
	int round_trips = 1;
	if (!peer)
		return MOSQ_ERR_NOMEM;
	for (int i = 0; i < count; i++)
		if (!strcmp(options[i].key, "redis"))
			path = options[i].value;
		else if (!strcmp(options[i].key, "round_trips"))
			round_trips = (int)strtol(options[i].value, NULL, 10);
	peer->id = id;
	peer->connect_event = EVENT_CONNECT;
	*data = peer;
	if (path && !(peer->store = peer_store_open(path, round_trips)))
		return MOSQ_ERR_UNKNOWN;
	if (mosquitto_callback_register(id, EVENT_CONNECT, on_connect, NULL, peer)) {
		peer->connect_event = MOSQ_EVT_BASIC_AUTH;
		if (mosquitto_callback_register(id, MOSQ_EVT_BASIC_AUTH, on_basic_auth, NULL, peer))
			return MOSQ_ERR_UNKNOWN;
	}
	return mosquitto_callback_register(id, MOSQ_EVT_DISCONNECT, on_disconnect, NULL, peer);
}

EXPORTED int mosquitto_plugin_cleanup(void *data, struct mosquitto_opt *options, int count)
{
	struct peer *peer = data;
	(void)options;
	(void)count;
	(void)mosquitto_callback_unregister(peer->id, peer->connect_event,
		peer->connect_event == EVENT_CONNECT ? on_connect : on_basic_auth, NULL);
	(void)mosquitto_callback_unregister(peer->id, MOSQ_EVT_DISCONNECT, on_disconnect, NULL);
	peer_store_close(peer->store);
	free(peer);
	return MOSQ_ERR_SUCCESS;
}
