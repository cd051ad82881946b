/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
#ifndef PRESENCE_BENCH_MQTT_H
#define PRESENCE_BENCH_MQTT_H

/* As much MQTT 3.1.1 as a load generator needs, and a connection that watches. Whatever fails ends
 * the process: a measurement with holes is none. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

_Noreturn void die(const char *what);
/* CLOCK_MONOTONIC */
int64_t now_ns(void);

/* So many at once. */
void mqtt_need_sockets(int count);
/* A non-blocking socket whose connect() is under way, to a broker on loopback. */
int mqtt_socket(int port);
void mqtt_send(int fd, const void *data, size_t size);
/* will: a retained last will, NULL for none. */
struct mqtt_message {
	const char *topic, *payload;
};
void mqtt_send_connect(int fd, const char *client_id, const struct mqtt_message *will);
/* Retained, QoS 0. */
void mqtt_send_publish(int fd, const struct mqtt_message *message);
void mqtt_send_ping(int fd);
/* How many answers to pings there are; anything else there is ends the process. */
int mqtt_take_pingresps(int fd);
void mqtt_send_disconnect(int fd);
/* The answer to CONNECT: false when it is not there yet; accepted says what it was. */
bool mqtt_take_connack(int fd, bool *accepted);

/* One message, as long as see() runs; topic and payload end with 0. is_old: a retained one of
 * before. */
struct sighting {
	const char *topic, *payload;
	bool is_old;
	int64_t at_ns; /* when it was read */
};

/* Subscribed to presence/#, to what the plugin tells of itself, and to what Mosquitto's own example
 * of a plugin tells of clients. see is called with each message. */
struct watcher {
	void (*see)(void *context, const struct sighting *sighting);
	void *context;
	int receive_bytes; /* the size of its receive buffer; 0: what the kernel thinks right */
	int fd;
	int subacks, pingresps; /* so far */
	size_t used;
	char buffer[1 << 18];
};

/* Connects and subscribes; answers are counted by watcher_read(). */
void watcher_begin(struct watcher *watcher, int port, const char *client_id);
/* Reads what is there. */
void watcher_read(struct watcher *watcher);

#endif
