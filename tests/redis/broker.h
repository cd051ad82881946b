/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
#ifndef PRESENCE_TESTS_REDIS_BROKER_H
#define PRESENCE_TESTS_REDIS_BROKER_H

/* A broker but for its sockets: the real core, and a writer driven by hand. */

#include "driver.h"

struct broker {
	struct driver driver;
	struct presence_config config;
	struct presence *core;
};

void broker_init(struct broker *broker, struct server *server, const char *node);
/* A boot. The clocks go on from where they are. */
void broker_start(struct broker *broker, uint64_t boot);
void broker_stop(struct broker *broker);

/* Returns what presence_step() does; effects go to the store. */
int broker_feed(struct broker *broker, struct presence_event event);
/* Does what is due, and what the store asks for. True: there was something. */
bool broker_turn(struct broker *broker);
/* Turns, and lets the network carry everything, until nothing is left to be done at this time. */
void broker_settle(struct broker *broker);
void broker_pass(struct broker *broker, int64_t ms);

#endif
