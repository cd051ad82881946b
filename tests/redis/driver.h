/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
#ifndef PRESENCE_TESTS_REDIS_DRIVER_H
#define PRESENCE_TESTS_REDIS_DRIVER_H

/* A writer in virtual time, between a mailbox whose broker side is the test and a real Redis. The
 * network is the test's: each command is handed over when it says so, each reply too. */

#include "server.h"
#include "store/redis/reader.h"
#include "store/redis/writer.h"

/* What left the writer and has not reached Redis. */
struct wire_command {
	struct wire_command *next;
	size_t length;
	char bytes[];
};

struct wire_reply {
	struct wire_reply *next;
	redisReply *reply;
};

/* One connection; abandoned ones live on, as they do in networks. */
struct wire {
	struct wire *next;
	int fd;
	struct redis_reader *reader;
	struct wire_command *commands, **commands_end;
	struct wire_reply *replies, **replies_end;
};

struct driver {
	struct server *server;
	struct redis_writer_config config;
	char boot[17];
	struct mailbox *box;
	struct redis_writer *writer;
	struct wire *wire;      /* NULL: not connected */
	struct wire *abandoned; /* still to be executed, maybe */
	int64_t now_ms, wall_ms;
	uint64_t executed; /* commands that Redis answered */
};

void driver_init(struct driver *driver, struct server *server, const char *node);
void driver_start(struct driver *driver, uint64_t boot);
void driver_stop(struct driver *driver);

/* Steps of the network; false: there was nothing to do. */
bool driver_connect(struct driver *driver);
bool driver_execute(struct driver *driver, struct wire *wire); /* one command reaches Redis */
bool driver_answer(struct driver *driver);                     /* one reply reaches the writer */
void driver_step(struct driver *driver);
/* The connection ends; what was under way on it is executed later, or never. */
void driver_cut(struct driver *driver, bool abandon);
/* One command of an abandoned connection is executed, twice if so said. */
bool driver_execute_late(struct driver *driver);
/* Everything that can be done now, until nothing is left to be done at this time. */
void driver_settle(struct driver *driver);

#endif
