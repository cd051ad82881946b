/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
#ifndef PRESENCE_PLUGIN_BROKER_API_H
#define PRESENCE_PLUGIN_BROKER_API_H

/* Mosquitto's plugin API as one binary meets it in 2.0.x and 2.1: built with the headers of
 * either, it asks for nothing that only one of them has, but by number. */

#if __has_include(<mosquitto/broker.h>)
#include <mosquitto.h>
#include <mosquitto/broker.h>
#include <mosquitto/broker_plugin.h>
#include <mosquitto/mqtt_protocol.h>
#else
#include <mosquitto.h>
#include <mosquitto_broker.h>
#include <mosquitto_plugin.h>
#include <mqtt_protocol.h>
#endif

#include "core/presence.h"

/* Of 2.1; registering them on 2.0.x answers MOSQ_ERR_NOT_SUPPORTED. CLIENT_OFFLINE is the end of a
 * connection whose session is kept; its event data is that of DISCONNECT. */
enum { EVENT_CONNECT = 11, EVENT_CLIENT_OFFLINE = 28 };

/* Error numbers have moved between versions: ours is what all of them mean by it. */
enum {
	BROKER_NOT_SUPPORTED = 10,
	BROKER_ACL_DENIED = 12,
	BROKER_PLUGIN_DEFER = 17,
	BROKER_PLUGIN_IGNORE = 32, /* of 2.1; 2.0.x ends the connection */
};
/* Why 2.1 ends a connection: another one has its client id. */
enum { BROKER_SESSION_TAKEN_OVER = 142 };

/* CONNECT has one field that we read. */
struct event_connect {
	void *future;
	struct mosquitto *client;
};

#endif
