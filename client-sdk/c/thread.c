/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
/* The library's own connection: its thread alone uses it, so that nothing depends on how well
 * libmosquitto bears several. */
#include <errno.h>
#include <fcntl.h>
#include <mosquitto.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "client-sdk/c/internal.h"

enum { READS_MAX = 100, GOODBYE_MS = 1000 };

static void on_connect(struct mosquitto *mosquitto, void *client, int code)
{
	(void)mosquitto;
	presence_client_on_connect(client, code);
}

static void on_disconnect(struct mosquitto *mosquitto, void *client, int code)
{
	(void)mosquitto;
	presence_client_on_disconnect(client, code);
}

static void on_message(
	struct mosquitto *mosquitto, void *client, const struct mosquitto_message *message)
{
	(void)mosquitto;
	(void)presence_client_on_message(client, message); /* nobody else has this connection */
}

static void on_subscribe(
	struct mosquitto *mosquitto, void *client, int mid, int count, const int *granted)
{
	(void)mosquitto;
	(void)presence_client_on_subscribe(client, mid, count, granted);
}

int thread_create(struct presence_client *client, const struct presence_client_config *config)
{
	client->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (client->wake_fd < 0)
		return PRESENCE_CLIENT_ESYSTEM;
	if (mosquitto_lib_init())
		return PRESENCE_CLIENT_ENOMEM;
	client->mosquitto = mosquitto_new(client->client_id, true, client);
	if (!client->mosquitto) {
		(void)mosquitto_lib_cleanup();
		return PRESENCE_CLIENT_ENOMEM;
	}
	mosquitto_connect_callback_set(client->mosquitto, on_connect);
	mosquitto_disconnect_callback_set(client->mosquitto, on_disconnect);
	mosquitto_message_callback_set(client->mosquitto, on_message);
	mosquitto_subscribe_callback_set(client->mosquitto, on_subscribe);
	int err = config->username
		? mosquitto_username_pw_set(client->mosquitto, config->username, config->password)
		: MOSQ_ERR_SUCCESS;
	if (err)
		return err == MOSQ_ERR_NOMEM ? PRESENCE_CLIENT_ENOMEM : PRESENCE_CLIENT_EINVAL;
	return PRESENCE_CLIENT_OK;
}

void thread_destroy(struct presence_client *client)
{
	if (!client->is_own)
		return;
	if (client->mosquitto) {
		mosquitto_destroy(client->mosquitto);
		(void)mosquitto_lib_cleanup();
	}
	if (client->wake_fd >= 0)
		(void)close(client->wake_fd);
}

void thread_wake(struct presence_client *client)
{
	static const uint64_t one = 1;
	/* Full is as good: it is awake. */
	while (write(client->wake_fd, &one, sizeof(one)) < 0 && errno == EINTR)
		;
}

static bool is_stopping(struct presence_client *client)
{
	client_enter(client);
	bool stopping = client->stopping;
	pthread_mutex_unlock(&client->lock);
	return stopping;
}

static bool is_connected(struct presence_client *client)
{
	client_enter(client);
	bool connected = client->connected;
	pthread_mutex_unlock(&client->lock);
	return connected;
}

static void end(struct presence_client *client, enum presence_client_error error, const char *words)
{
	client_enter(client);
	session_end(client, error, words);
	client_leave(client, true);
}

static bool readable(int fd)
{
	struct pollfd one = { .fd = fd, .events = POLLIN };
	return poll(&one, 1, 0) > 0;
}

/* The library reads a packet at a time; here as many as there are, but not so many that nothing
 * else is done. */
static int read_packets(struct presence_client *client)
{
	int err, left = READS_MAX;
	do
		err = mosquitto_loop_read(client->mosquitto, 1);
	while (!err && --left && readable(mosquitto_socket(client->mosquitto)));
	return err;
}

static int turn(struct presence_client *client)
{
	struct mosquitto *mosquitto = client->mosquitto;
	int64_t wait_ms = presence_client_tick(client);
	struct pollfd fds[2] = {
		{ .fd = mosquitto_socket(mosquitto), .events = POLLIN },
		{ .fd = client->wake_fd, .events = POLLIN },
	};
	uint64_t count;
	int err = MOSQ_ERR_SUCCESS;
	if (fds[0].fd < 0)
		return MOSQ_ERR_CONN_LOST;
	if (mosquitto_want_write(mosquitto))
		fds[0].events |= POLLOUT;
	if (poll(fds, 2, (int)wait_ms) < 0 && errno != EINTR)
		return MOSQ_ERR_ERRNO;
	if (fds[1].revents & POLLIN)
		(void)!read(client->wake_fd, &count, sizeof(count)); /* only to empty it */
	if (fds[0].revents & (POLLIN | POLLERR | POLLHUP))
		err = read_packets(client);
	if (!err && fds[0].revents & POLLOUT)
		err = mosquitto_loop_write(mosquitto, 1);
	return err ? err : mosquitto_loop_misc(mosquitto);
}

/* Until the broker ends the connection. Closed with something unread it would be reset, and a
 * broker that has something to write to us takes that for a loss before it has read the goodbye. */
static void read_out(int fd, int64_t deadline)
{
	char unread[4096];
	int64_t left;
	struct pollfd one = { .fd = fd, .events = POLLIN };
	while ((left = deadline - now_ms()) > 0 && poll(&one, 1, (int)left) > 0)
		if (recv(fd, unread, sizeof(unread), 0) <= 0)
			return;
}

/* Until everything is written, but not for long: a broker that stands still hears nothing anyway.
 */
static void say_goodbye(struct presence_client *client)
{
	int64_t deadline = now_ms() + GOODBYE_MS, left;
	int fd = fcntl(mosquitto_socket(client->mosquitto), F_DUPFD_CLOEXEC, 0);
	(void)presence_client_leave(client); /* without a connection there is nobody to tell */
	out_flush(client);
	int err = mosquitto_disconnect(client->mosquitto);
	while (!err && mosquitto_want_write(client->mosquitto) &&
		(left = deadline - now_ms()) > 0) {
		struct pollfd socket = { .fd = mosquitto_socket(client->mosquitto),
			.events = POLLOUT };
		if (socket.fd < 0 || poll(&socket, 1, (int)left) <= 0)
			break;
		err = mosquitto_loop_write(client->mosquitto, 1);
	}
	/* libmosquitto closes its own descriptor with the last byte of the goodbye. */
	if (fd >= 0) {
		read_out(fd, deadline);
		(void)close(fd);
	}
	end(client, PRESENCE_CLIENT_ELOST, "");
}

/* From one connection's beginning to its end. */
static void converse(struct presence_client *client)
{
	client_enter(client);
	client->ended = false;
	pthread_mutex_unlock(&client->lock);
	errno = 0;
	int err = mosquitto_connect(
		client->mosquitto, client->host, client->port, client->keepalive_s);
	if (err) {
		end(client, PRESENCE_CLIENT_EUNREACHABLE,
			err == MOSQ_ERR_ERRNO && errno ? strerror(errno) : mosquitto_strerror(err));
		return;
	}
	int64_t deadline = now_ms() + client->timeout_ms;
	while (!err && !is_stopping(client)) {
		err = turn(client);
		if (!err && now_ms() >= deadline && !is_connected(client)) {
			(void)mosquitto_disconnect(client->mosquitto); /* closes the socket */
			end(client, PRESENCE_CLIENT_ETIMEDOUT, "connected, but no answer");
			return;
		}
	}
	if (err)
		end(client, PRESENCE_CLIENT_ELOST, mosquitto_strerror(err));
	else
		say_goodbye(client);
}

static void wait_retry(struct presence_client *client)
{
	int64_t deadline = now_ms() + presence_client_retry_ms(client), left;
	while (!is_stopping(client) && (left = deadline - now_ms()) > 0) {
		struct pollfd wake = { .fd = client->wake_fd, .events = POLLIN };
		uint64_t count;
		int64_t wait_ms = presence_client_tick(client);
		if (poll(&wake, 1, (int)(wait_ms < left ? wait_ms : left)) > 0)
			(void)!read(client->wake_fd, &count, sizeof(count));
	}
}

static void *run(void *context)
{
	struct presence_client *client = context;
	while (!is_stopping(client)) {
		converse(client);
		wait_retry(client);
	}
	return NULL;
}

int presence_client_start(struct presence_client *client)
{
	if (!client)
		return PRESENCE_CLIENT_EINVAL;
	sigset_t all, old;
	sigfillset(&all);
	client_enter(client);
	int err = client->is_own && !client->running ? PRESENCE_CLIENT_OK : PRESENCE_CLIENT_ESTATE;
	if (!err) {
		client->stopping = false;
		/* Signals are the application's. */
		pthread_sigmask(SIG_SETMASK, &all, &old);
		if (pthread_create(&client->thread, NULL, run, client))
			err = PRESENCE_CLIENT_ESYSTEM;
		pthread_sigmask(SIG_SETMASK, &old, NULL);
		client->running = !err;
	}
	pthread_mutex_unlock(&client->lock);
	return err;
}

int presence_client_stop(struct presence_client *client)
{
	if (!client)
		return PRESENCE_CLIENT_EINVAL;
	client_enter(client);
	bool running = client->running && !client->stopping;
	bool self = client->running && pthread_equal(pthread_self(), client->thread);
	pthread_t thread = client->thread;
	if (running && !self)
		client->stopping = true;
	pthread_mutex_unlock(&client->lock);
	if (self)
		return PRESENCE_CLIENT_ESTATE;
	if (!running)
		return PRESENCE_CLIENT_OK;
	thread_wake(client);
	(void)pthread_join(thread, NULL);
	client_enter(client);
	client->running = client->stopping = false;
	pthread_mutex_unlock(&client->lock);
	return PRESENCE_CLIENT_OK;
}

struct mosquitto *presence_client_mosquitto(struct presence_client *client)
{
	return client && client->is_own ? client->mosquitto : NULL;
}
