/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
#include "store/redis/link.h"

#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

void redis_link_init(struct redis_link *link)
{
	*link = (struct redis_link){ .fd = -1 };
}

static void close_socket(struct redis_link *link)
{
	if (link->fd >= 0)
		(void)close(link->fd); /* whatever it says, the descriptor is gone */
	link->fd = -1;
	link->connecting = false;
}

void redis_link_close(struct redis_link *link)
{
	if (link->connecting)
		link->place++;
	close_socket(link);
	if (link->found)
		freeaddrinfo(link->found);
	link->found = link->trying = NULL;
}

/* strerror() is not safe in a thread; these are the ones an operator meets. */
static const char *reason_of(int err)
{
	switch (err) {
	case ECONNREFUSED:
		return "connection refused";
	case ENOENT:
		return "no such socket";
	case EACCES:
		return "permission denied on the socket";
	case ETIMEDOUT:
		return "connection timed out";
	case ECONNRESET:
	case EPIPE:
		return "connection reset";
	case ENETUNREACH:
	case EHOSTUNREACH:
		return "no route to the host";
	case EMFILE:
	case ENFILE:
		return "too many open files";
	default:
		return "connection failed";
	}
}

/* 0, or an errno. */
static int connect_to(struct redis_link *link, const struct sockaddr *address, socklen_t length)
{
	link->fd = socket(address->sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (link->fd < 0)
		return errno;
	const int on = 1;
	if (address->sa_family != AF_UNIX)
		(void)setsockopt(link->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on)); /* faster */
	link->connecting = connect(link->fd, address, length) < 0;
	if (!link->connecting || errno == EINPROGRESS)
		return 0;
	int err = errno;
	close_socket(link);
	return err;
}

static const char *try_addresses(struct redis_link *link)
{
	int err = ENOENT;
	for (; link->trying; link->trying = link->trying->ai_next, link->place++) {
		err = connect_to(link, link->trying->ai_addr, link->trying->ai_addrlen);
		if (!err)
			return NULL;
	}
	redis_link_close(link);
	link->place = 0;
	return reason_of(err);
}

/* The one at place; there may be fewer than last time. */
static void begin_at_place(struct redis_link *link)
{
	link->trying = link->found;
	for (unsigned i = 0; link->trying && i < link->place; i++)
		link->trying = link->trying->ai_next;
	if (link->trying)
		return;
	link->trying = link->found;
	link->place = 0;
}

static const char *open_unix(struct redis_link *link, const char *path)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	size_t length = strlen(path);
	if (length >= sizeof(address.sun_path))
		return "the path of the socket is too long";
	memcpy(address.sun_path, path, length + 1);
	int err = connect_to(link, (const struct sockaddr *)&address, sizeof(address));
	/* A unix socket with a full backlog: as good as not there yet. */
	return err ? reason_of(err == EAGAIN ? ETIMEDOUT : err) : NULL;
}

const char *redis_link_open(
	struct redis_link *link, const char *host, uint16_t port, const char *path)
{
	redis_link_close(link);
	if (path)
		return open_unix(link, path);
	char service[8];
	(void)snprintf(service, sizeof(service), "%u", (unsigned)port); /* five digits fit */
	const struct addrinfo wanted = { .ai_socktype = SOCK_STREAM };
	if (getaddrinfo(host ? host : "localhost", service, &wanted, &link->found)) {
		link->found = NULL;
		return "the host name is not known";
	}
	begin_at_place(link);
	return try_addresses(link);
}

const char *redis_link_continue(struct redis_link *link)
{
	struct pollfd ready = { .fd = link->fd, .events = POLLOUT };
	if (poll(&ready, 1, 0) <= 0)
		return NULL;
	int err = 0;
	socklen_t length = sizeof(err);
	if (getsockopt(link->fd, SOL_SOCKET, SO_ERROR, &err, &length) < 0)
		err = errno;
	link->connecting = false;
	if (!err)
		return NULL;
	close_socket(link);
	if (link->trying && (link->trying = link->trying->ai_next)) {
		link->place++;
		return try_addresses(link);
	}
	redis_link_close(link);
	link->place = 0;
	return reason_of(err);
}

static long outcome(long moved, const char **why)
{
	if (moved >= 0)
		return moved;
	if (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR)
		return 0;
	*why = reason_of(errno);
	return -1;
}

long redis_link_read(struct redis_link *link, char *bytes, size_t size, const char **why)
{
	long moved = recv(link->fd, bytes, size, 0);
	if (!moved) {
		*why = "it closed the connection";
		return -1;
	}
	return outcome(moved, why);
}

long redis_link_write(struct redis_link *link, const char *bytes, size_t length, const char **why)
{
	return outcome(send(link->fd, bytes, length, MSG_NOSIGNAL), why);
}
