/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
#ifndef PRESENCE_TESTS_REDIS_SERVER_H
#define PRESENCE_TESTS_REDIS_SERVER_H

/* A real Redis for a test: in a temporary folder, on a unix socket, ended by pid. */

#include <stdbool.h>
#include <sys/types.h>

#include <hiredis/hiredis.h>

struct server {
	char folder[64], path[96];
	pid_t pid;
	redisContext *client; /* blocking, for the test itself */
};

/* options: further arguments of redis-server, NULL-terminated; may be NULL. Fails the test when
 * Redis does not come up. */
void server_init(struct server *server);
void server_start(struct server *server, const char *const options[]);
/* SIGKILL. */
void server_kill(struct server *server);
void server_finish(struct server *server);

/* Formats are those of hiredis: %s, %b, numbers. */
/* A command of the test's client; the reply is to be freed. */
redisReply *server_ask(struct server *server, const char *format, ...);
/* Without looking at the reply. */
void server_do(struct server *server, const char *format, ...);
/* The text of a reply that is a string or a number; "" for anything else. The next call of the
 * same thread overwrites it. */
const char *server_text(struct server *server, char *out, size_t size, const char *format, ...);

#endif
