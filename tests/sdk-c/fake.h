/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
#ifndef TESTS_SDK_C_FAKE_H
#define TESTS_SDK_C_FAKE_H

/* A libmosquitto that only remembers what it was told to send; and a client on it, with what it
 * calls back. */

#include <mosquitto.h>
#include <stdbool.h>
#include <time.h>

#include "client-sdk/c/presence_client.h"

enum { FAKE_SENT_MAX = 64, FAKE_TOLD_MAX = 64, FAKE_TEXT_MAX = 4096 };

struct fake_sent {
	char what; /* p: published, s: subscribed, u: unsubscribed */
	char topic[1024], payload[FAKE_TEXT_MAX];
	bool retain;
	int mid;
};

struct fake_told {
	struct presence_client_record record;
	struct presence_client_storage storage;
};

struct fake {
	struct presence_client *client;
	int mids, sent_count, told_count;
	struct fake_sent sent[FAKE_SENT_MAX];
	struct fake_told told[FAKE_TOLD_MAX];
	int connections;
	enum presence_client_error connection; /* the last */
	char connection_words[256];
	int done_count;
	enum presence_client_error done; /* the last */
	char done_words[256], done_data[FAKE_TEXT_MAX];
	int problems;
	char problem[256];
	int typing;
	char typing_text[1024]; /* "c1 agent u1 typing 1" */
	char will_topic[1024], will[64];
	struct timespec stopped; /* the monotonic clock, if it was */
	int ahead_s;             /* of that: time that has passed without waiting */
};

/* Of the one client there is at a time. with_names: agent:u1:d; otherwise a mere watcher. */
struct mosquitto *fake_mosquitto(void);
void fake_begin(struct fake *fake, bool with_names, int64_t timeout_ms);
/* A mere watcher of a role, NULL: of everybody, that has just connected. */
void fake_begin_watching(struct fake *fake, const char *role);
void fake_end(struct fake *fake);
/* From here on the monotonic clock goes only by ahead_s. */
void fake_stop_clock(struct fake *fake);
/* Forgets what was sent and told. */
void fake_clear(struct fake *fake);
bool fake_message(struct fake *fake, const char *topic, const char *payload, bool retain);
/* How many were sent with this topic, and the last of them; NULL: none. */
int fake_count(const struct fake *fake, char what, const char *topic);
const struct fake_sent *fake_last(const struct fake *fake, char what, const char *topic);
/* Answers the last command of that name; error NULL: it went well. False: there was none. */
bool fake_answer(struct fake *fake, const char *command, const char *error);
/* The same; result: "data" or "error", as it stands in the reply. */
bool fake_reply(struct fake *fake, const char *command, const char *result);
void fake_done(struct presence_client *client, enum presence_client_error error, const char *words,
	const char *data, void *context);

#endif
