/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
#ifndef PRESENCE_CTL_LINK_H
#define PRESENCE_CTL_LINK_H

/* A connection to a broker, over libmosquitto, without threads: it moves only inside the calls
 * below. */

#include <mosquitto.h>
#include <poll.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "ctl/exit.h"
#include "ctl/settings.h"

#define LINK_PROBLEM_MAX 512
#define LINK_ID_MAX 64

struct link_will {
	const char *topic, *payload;
};

struct link {
	/* To be set before link_open(), if at all. */
	void (*on_message)(void *context, const struct mosquitto_message *message);
	void *context;
	const struct link_will *will; /* retained */
	bool version5;                /* whatever settings say */

	char id[LINK_ID_MAX]; /* when settings name none */
	struct mosquitto *mosquitto;
	bool answered, lost;
	int error;                /* of the library, when it was lost; 0: the broker ended it */
	int connack;              /* its code, once answered */
	int suback_id, puback_id; /* of the last ones that came */
	int suback_code, puback_code;
};

/* Connects, and waits at most settings->timeout_ms for the broker's word. CTL_REFUSED (the broker
 * said no), CTL_UNREACHABLE, CTL_TROUBLE, and one line in problem that says what to do. link is to
 * be closed in any case. */
enum ctl_exit link_open(
	struct link *link, const struct settings *settings, char problem[LINK_PROBLEM_MAX]);

/* Says goodbye, if it is connected. */
void link_close(struct link *link);

/* Waits until something came, on the connection or on one of others, or timeout_ms is over; handles
 * what came on the connection. False when the connection is lost. */
bool link_wait(struct link *link, struct pollfd *others, nfds_t count, int64_t timeout_ms);

/* Subscribes with QoS 0, and waits for the answer. As link_open(). */
enum ctl_exit link_subscribe(
	struct link *link, const char *filter, int64_t timeout_ms, char problem[LINK_PROBLEM_MAX]);

/* Publishes with QoS 1, and waits for the answer; *code is its reason code, 0 before MQTT 5. As
 * link_open(), but a refusal is told by code alone. */
enum ctl_exit link_publish(struct link *link, const char *topic, const char *payload, bool retain,
	int64_t timeout_ms, int *code, char problem[LINK_PROBLEM_MAX]);

/* Ends without a goodbye: the broker publishes the will. MQTT 5 only. */
void link_close_with_will(struct link *link);

#endif
