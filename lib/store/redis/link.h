/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
#ifndef PRESENCE_STORE_REDIS_LINK_H
#define PRESENCE_STORE_REDIS_LINK_H

/* One socket to Redis. Nothing here waits, but for the resolution of a host name. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct addrinfo;

struct redis_link {
	int fd; /* -1: closed */
	bool connecting;
	struct addrinfo *found, *trying; /* addresses of the host */
	unsigned place;                  /* of trying; of the one to begin with next time */
};

void redis_link_init(struct redis_link *link);
/* Still connecting: that address does not answer, and the next attempt begins with the one after
 * it. */
void redis_link_close(struct redis_link *link);

/* Begins to connect to host and port, or to the unix socket at path if it is not NULL. 0, or a
 * sentence that says why not. */
const char *redis_link_open(
	struct redis_link *link, const char *host, uint16_t port, const char *path);
/* After the socket has become writable: link->connecting is false when it is connected. */
const char *redis_link_continue(struct redis_link *link);

/* Bytes moved, 0 for none now; -1: the connection is over, *why says how. */
long redis_link_read(struct redis_link *link, char *bytes, size_t size, const char **why);
long redis_link_write(struct redis_link *link, const char *bytes, size_t length, const char **why);

#endif
