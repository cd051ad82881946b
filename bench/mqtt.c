/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
#include "mqtt.h"

#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>

enum packet { CONNECT = 1, CONNACK = 2, PUBLISH = 3, SUBACK = 9, PINGRESP = 13 };
enum {
	RETAIN = 1,
	LENGTH_BYTES_MAX = 4,
	CONNECT_MS = 5000,
	TOPIC_MAX = 256,
	PAYLOAD_MAX = 4096,
	PACKET_MAX = 512
};

void die(const char *what)
{
	fprintf(stderr, "broker_bench: %s: %s\n", what, errno ? strerror(errno) : "unexpected");
	exit(2);
}

int64_t now_ns(void)
{
	struct timespec now;
	if (clock_gettime(CLOCK_MONOTONIC, &now))
		die("clock_gettime");
	return now.tv_sec * INT64_C(1000000000) + now.tv_nsec;
}

void mqtt_need_sockets(int count)
{
	enum { OTHERS = 16 };
	struct rlimit limit;
	if (getrlimit(RLIMIT_NOFILE, &limit))
		die("RLIMIT_NOFILE");
	limit.rlim_cur = limit.rlim_max;
	if (setrlimit(RLIMIT_NOFILE, &limit) || limit.rlim_cur < (rlim_t)count + OTHERS)
		die("too few descriptors (ulimit -n)");
}

int mqtt_socket(int port)
{
	struct sockaddr_in address = {
		.sin_family = AF_INET,
		.sin_port = htons((uint16_t)port),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK),
	};
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0)
		die("socket");
	if (connect(fd, (void *)&address, sizeof(address)) && errno != EINPROGRESS)
		die("connect");
	return fd;
}

void mqtt_send(int fd, const void *data, size_t size)
{
	/* Packets are small, and buffers empty when one is sent. */
	if (send(fd, data, size, MSG_NOSIGNAL) != (ssize_t)size)
		die("send");
}

/* A text with its length before it, in two bytes; what does not fit ends the process. */
static size_t put_text(char packet[static PACKET_MAX], size_t at, const char *text)
{
	size_t length = strlen(text);
	if (at + 2 + length > PACKET_MAX)
		die(text);
	packet[at] = (char)(length >> 8);
	packet[at + 1] = (char)length;
	memcpy(packet + at + 2, text, length);
	return at + 2 + length;
}

/* The header takes three bytes, of which length is two. */
static void send_packet(int fd, char header, char packet[static PACKET_MAX], size_t size)
{
	size_t length = size - 3;
	packet[0] = header;
	packet[1] = (char)((length & 0x7f) | 0x80);
	packet[2] = (char)(length >> 7);
	mqtt_send(fd, packet, size);
}

void mqtt_send_connect(int fd, const char *client_id, const struct mqtt_message *will)
{
	/* Clean session, a keepalive of 60 s. */
	static const char head[] = { 0, 4, 'M', 'Q', 'T', 'T', 4, 2, 0, 60 };
	enum { FLAGS = 3 + 7, WILL_RETAINED = 0x24 };
	char packet[PACKET_MAX];
	memcpy(packet + 3, head, sizeof(head));
	size_t at = put_text(packet, 3 + sizeof(head), client_id);
	if (will) {
		packet[FLAGS] |= WILL_RETAINED;
		at = put_text(packet, put_text(packet, at, will->topic), will->payload);
	}
	send_packet(fd, CONNECT << 4, packet, at);
}

void mqtt_send_publish(int fd, const struct mqtt_message *message)
{
	char packet[PACKET_MAX];
	size_t at = put_text(packet, 3, message->topic), length = strlen(message->payload);
	if (at + length > sizeof(packet))
		die(message->payload);
	memcpy(packet + at, message->payload, length);
	send_packet(fd, PUBLISH << 4 | RETAIN, packet, at + length);
}

void mqtt_send_ping(int fd)
{
	mqtt_send(fd, "\xc0", 2);
}

int mqtt_take_pingresps(int fd)
{
	char answers[64];
	ssize_t got = recv(fd, answers, sizeof(answers), 0);
	if (got < 0 && errno == EAGAIN)
		return 0;
	if (got <= 0 || got % 2)
		die("a connection that should stay");
	for (ssize_t i = 0; i < got; i += 2)
		if (answers[i] != (char)(PINGRESP << 4) || answers[i + 1])
			die("an answer to no ping");
	return (int)got / 2;
}

void mqtt_send_disconnect(int fd)
{
	mqtt_send(fd, "\xe0", 2);
}

bool mqtt_take_connack(int fd, bool *accepted)
{
	char answer[4];
	ssize_t got = recv(fd, answer, sizeof(answer), 0);
	if (got < 0 && errno == EAGAIN)
		return false;
	*accepted = got == sizeof(answer) && answer[0] == CONNACK << 4 && answer[3] == 0;
	return true;
}

/* ---- the watcher -------------------------------------------------------------------------- */

void watcher_begin(struct watcher *watcher, int port, const char *client_id)
{
	static const char subscribe[] = "\x82\x50\0\1\0\x0apresence/#\0"
					"\0\x16$SYS/broker/presence/#\0"
					"\0\x25$SYS/broker/connection/client/+/state"; /* QoS 0 */
	watcher->fd = mqtt_socket(port);
	int bytes = watcher->receive_bytes;
	if (bytes && setsockopt(watcher->fd, SOL_SOCKET, SO_RCVBUF, &bytes, sizeof(bytes)))
		die("SO_RCVBUF");
	struct pollfd connected = { .fd = watcher->fd, .events = POLLOUT };
	if (poll(&connected, 1, CONNECT_MS) != 1 || connected.revents != POLLOUT)
		die("the broker cannot be reached");
	mqtt_send_connect(watcher->fd, client_id, NULL);
	mqtt_send(watcher->fd, subscribe, sizeof(subscribe));
}

static void see_publish(
	struct watcher *watcher, const char *body, size_t length, bool is_old, int64_t at_ns)
{
	char topic[TOPIC_MAX], payload[PAYLOAD_MAX];
	size_t topic_length = length < 2 ? length
					 : (size_t)(uint8_t)body[0] << 8 | (uint8_t)body[1];
	if (topic_length + 2 > length)
		die("a packet that cannot be");
	size_t payload_length = length - topic_length - 2;
	if (topic_length >= sizeof(topic) || payload_length >= sizeof(payload))
		return; /* not of ours */
	memcpy(topic, body + 2, topic_length);
	topic[topic_length] = 0;
	memcpy(payload, body + 2 + topic_length, payload_length);
	payload[payload_length] = 0;
	watcher->see(watcher->context, &(struct sighting){ topic, payload, is_old, at_ns });
}

static void see_packet(
	struct watcher *watcher, uint8_t header, const char *body, size_t length, int64_t at_ns)
{
	watcher->subacks += header >> 4 == SUBACK;
	watcher->pingresps += header >> 4 == PINGRESP;
	if (header >> 4 == PUBLISH)
		see_publish(watcher, body, length, header & RETAIN, at_ns);
}

/* How long the packet at data is, 0 if it is not all there; its first header_length bytes say so.
 */
static size_t packet_length(const char *data, size_t size, size_t *header_length)
{
	size_t length = 0;
	for (size_t i = 1; i < size && i <= LENGTH_BYTES_MAX; i++) {
		length |= (size_t)((uint8_t)data[i] & 0x7f) << 7 * (i - 1);
		if ((uint8_t)data[i] & 0x80)
			continue;
		*header_length = i + 1;
		return length + *header_length <= size ? length + *header_length : 0;
	}
	return 0;
}

void watcher_read(struct watcher *watcher)
{
	ssize_t got = recv(watcher->fd, watcher->buffer + watcher->used,
		sizeof(watcher->buffer) - watcher->used, MSG_DONTWAIT);
	int64_t at_ns = now_ns();
	if (got < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (got <= 0)
		die("the watcher lost its connection");
	watcher->used += (size_t)got;
	size_t read = 0, length, header = 0;
	while ((length = packet_length(watcher->buffer + read, watcher->used - read, &header))) {
		const char *packet = watcher->buffer + read;
		see_packet(watcher, (uint8_t)packet[0], packet + header, length - header, at_ns);
		read += length;
	}
	watcher->used -= read;
	memmove(watcher->buffer, watcher->buffer + read, watcher->used);
}
