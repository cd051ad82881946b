/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
#ifndef PRESENCE_CLIENT_H
#define PRESENCE_CLIENT_H

/* libpresence: presence for programs that use libmosquitto, in a few lines. Be present, say what
 * you are doing, know who is there. man 3 libpresence has an example; docs/PROTOCOL.md what is on
 * the wire.
 *
 * **Two ways.** The library makes the connection itself: presence_client_start() runs it on a
 * thread of its own. Or it stands on a connection of yours: give config.mosquitto and hand on what
 * your callbacks are told, to presence_client_on_connect(), .._on_disconnect(), .._on_message() and
 * .._on_subscribe(), and call presence_client_tick() when it says. Your callbacks stay yours.
 *
 * **Threads.** Any thread may call any function at any time, unless it says otherwise. Your
 * callbacks are called one at a time, never with a lock held, on the library's thread or, with your
 * own connection, from within the functions you hand on to. They may call everything but
 * presence_client_stop() and presence_client_destroy().
 *
 * **Ownership.** What goes in is copied. What a callback is given lasts until it returns.
 *
 * **Errors.** 0, or a negative enum presence_client_error; then nothing has changed. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif
#ifdef __GNUC__
#pragma GCC visibility push(default)
#endif

struct mosquitto;
struct mosquitto_message;
struct presence_client;

enum presence_client_error {
	PRESENCE_CLIENT_OK = 0,
	PRESENCE_CLIENT_ENOMEM = -1,
	PRESENCE_CLIENT_EINVAL = -2,       /* an argument is not what it should be */
	PRESENCE_CLIENT_ESTATE = -3,       /* not now: see the function */
	PRESENCE_CLIENT_ENOTCONN = -4,     /* there is no connection */
	PRESENCE_CLIENT_EUNREACHABLE = -5, /* no connection could be made */
	PRESENCE_CLIENT_EREFUSED = -6,     /* the broker refuses: password, name, access */
	PRESENCE_CLIENT_ELOST = -7,        /* the connection ended before it was answered */
	PRESENCE_CLIENT_ETIMEDOUT = -8,    /* no answer in time; perhaps no plugin */
	PRESENCE_CLIENT_ECOMMAND = -9, /* the plugin answered with an error: its words say which */
	PRESENCE_CLIENT_ENOENT = -10,  /* nobody watches that */
	PRESENCE_CLIENT_EFULL = -11,   /* a limit is reached */
	PRESENCE_CLIENT_ECANCELED = -12, /* a later call took its place, or the client ended */
	PRESENCE_CLIENT_ESYSTEM = -13,   /* the system gave no thread or descriptor */
};

/* A sentence, in English. Never NULL, never to be freed. Any thread. */
const char *presence_strerror(int error);

/* Unknown: whether somebody is there was not learnt yet. */
enum presence_client_status {
	PRESENCE_CLIENT_UNKNOWN = -1,
	PRESENCE_CLIENT_OFFLINE,
	PRESENCE_CLIENT_AWAY,
	PRESENCE_CLIENT_ONLINE,
	PRESENCE_CLIENT_DND,
};

/* What the whole person says, over all devices. Invisible reads as offline to everybody. */
enum presence_client_override {
	PRESENCE_CLIENT_OVERRIDE_ONLINE,
	PRESENCE_CLIENT_OVERRIDE_AWAY,
	PRESENCE_CLIENT_OVERRIDE_DND,
	PRESENCE_CLIENT_OVERRIDE_INVISIBLE,
};

/* "online", "away", "dnd", "offline", "unknown". */
const char *presence_client_status_name(enum presence_client_status status);

/* What is known of a subject. Times are milliseconds since 1970. */
struct presence_client_record {
	const char *role, *id;
	enum presence_client_status status;
	/* What the application was told before; PRESENCE_CLIENT_UNKNOWN: nothing. */
	enum presence_client_status before;
	enum presence_client_status previous; /* as the broker knows it: before since_ms */
	const char *reason; /* "connect", "lost", ..; "" where the broker tells none */
	const char *source; /* "inferred", "app", "manual" */
	const char *note;   /* "": none */
	const char *node;   /* the broker that says so; "" where reason is */
	int64_t until_ms;   /* 0: none */
	uint32_t devices;
	int64_t since_ms, last_seen_ms;
	int64_t rev;    /* 0: there is no record, or one of a broker without the plugin */
	bool forgotten; /* the broker has no record any more; the status is offline */
	/* When that was last sure; 0: never. While all is well that is about now: the connection is
	 * alive and the broker's digest agrees. */
	int64_t sure_ms;
};

/* All callbacks may be NULL. */
struct presence_client_callbacks {
	/* The connection is there (PRESENCE_CLIENT_OK), could not be made, was refused or is lost.
	 * words: what the broker or the system says of it. retry_ms: the library, with its own
	 * connection, tries again after that time. */
	void (*on_connection)(struct presence_client *client, enum presence_client_error error,
		const char *words, int64_t retry_ms, void *context);
	/* Of those watched, somebody's status, note, until or number of devices changed, or is
	 * known for the first time, or was forgotten. */
	void (*on_transition)(struct presence_client *client,
		const struct presence_client_record *record, void *context);
	/* Somebody begins or stops typing or recording, in a conversation watched. */
	void (*on_typing)(struct presence_client *client, const char *conversation,
		const char *role, const char *id, const char *kind, bool active, void *context);
	/* What the library said or asked by itself was refused: a heartbeat, because nobody is
	 * tracked under this name; a subscription. what: the command, or "subscribe"; the first of
	 * each connection is told. */
	void (*on_problem)(
		struct presence_client *client, const char *what, const char *words, void *context);
};

/* Zero is the default of everything. */
struct presence_client_config {
	size_t size; /* sizeof(struct presence_client_config): required */

	/* Who this is: the client id is role:id:device, or role:id without device. Each of 1 to 128
	 * bytes of UTF-8 without control characters; no : in role or id. The device must differ
	 * between installations of one person, and stay the same for each. role and id NULL: a mere
	 * watcher, present nowhere. */
	const char *role, *id, *device;

	/* A connection of yours, that does not connect yet; NULL: the library makes one, to: */
	struct mosquitto *mosquitto;
	const char *host; /* default: localhost */
	int port;         /* default: 1883 */
	const char *username, *password;
	int keepalive_s; /* default: 30, at least 5 */

	/* How often to say that the program is alive, and not only its connection; not while its
	 * status is offline. Default: 20000. -1: never; otherwise 1000 to 3600000. */
	int64_t heartbeat_ms;

	/* A retry waits a random time between 0 and the smaller of retry_max_ms and retry_min_ms
	 * times 2^n, n the attempts since a connection lasted 10 s. Default: 2000 and 60000; at
	 * most INT32_MAX. */
	int64_t retry_min_ms, retry_max_ms;

	int64_t timeout_ms;  /* for answers of the broker. Default: 10000 */
	size_t subjects_max; /* known at most. Default: 1000000 */

	/* Without the plugin, presence is a birth message and a last will, retained on the own
	 * topic: they are published too, and read where no plugin shows. A plugin takes the birth
	 * message for what it is and needs neither: true spares it both. */
	bool without_birth;
	const char *topic, *typing_topic; /* default: presence, typing */

	const struct presence_client_callbacks *callbacks; /* copied */
	void *context;                                     /* for them */
};

/* Makes a client that does nothing yet; a config.mosquitto gets its last will here, so before it
 * connects, and must outlive the client. EINVAL, ENOMEM, ESYSTEM. The library's own connection
 * calls mosquitto_lib_init() here and mosquitto_lib_cleanup() at the end, which libmosquitto wants
 * of one thread at a time. */
int presence_client_create(
	const struct presence_client_config *config, struct presence_client **client);

/* Stops it, calls back all that waits for an answer with ECANCELED, and frees it. NULL is fine. No
 * other thread may be using it. Not from a callback. Meanwhile nothing more can be said: ESTATE, or
 * ENOTCONN. */
void presence_client_destroy(struct presence_client *client);

/* The client id of these names; device NULL: without. Its length, or EINVAL when a name is none, or
 * size (at most 387 bytes are needed) does not hold it. */
int presence_client_id(
	const char *role, const char *id, const char *device, char *out, size_t size);

/* -- The library's own connection -------------------------------------------------------------- */

/* Connects on a thread of its own, and again whenever the connection ends, until stopped. ESTATE:
 * it runs, or the connection is yours. ESYSTEM: no thread. */
int presence_client_start(struct presence_client *client);

/* Says goodbye and ends the thread, and waits for that: as long as the system takes to make a
 * connection, if it is at it. Does nothing when it does not run. Not from a callback: ESTATE. */
int presence_client_stop(struct presence_client *client);

/* The library's connection, to set TLS options before presence_client_start(); nothing else. NULL
 * when the connection is yours. */
struct mosquitto *presence_client_mosquitto(struct presence_client *client);

/* -- A connection of yours --------------------------------------------------------------------- */

/* From your connect callback, with its code; from your disconnect callback. */
void presence_client_on_connect(struct presence_client *client, int code);
void presence_client_on_disconnect(struct presence_client *client, int code);

/* From your message callback. True: it was of presence; it is still yours to read. */
bool presence_client_on_message(
	struct presence_client *client, const struct mosquitto_message *message);

/* From your subscribe callback; true: it was one of the library's. Needed to learn of refused
 * subscriptions, and on brokers without the plugin. */
bool presence_client_on_subscribe(
	struct presence_client *client, int mid, int count, const int *granted);

/* Heartbeats and whatever else is due. Returns how many ms later it wants to be called again; more
 * often does no harm. */
int64_t presence_client_tick(struct presence_client *client);

/* Says goodbye; then call mosquitto_disconnect(). Does libmosquitto run a thread of its own, wait
 * until mosquitto_want_write() is false before that: the thread may end before all is written.
 * ENOTCONN, ENOMEM. */
int presence_client_leave(struct presence_client *client);

/* How long to wait before you connect again: the retry_ms of the last on_connection. */
int64_t presence_client_retry_ms(struct presence_client *client);

/* -- Saying -------------------------------------------------------------------------------------
 */

/* The answer to what was said. error: 0; ECOMMAND and in words what the plugin says is wrong and
 * what to do; ETIMEDOUT, ELOST, ECANCELED and words for that. data: of a success, a JSON object. */
typedef void presence_client_done(struct presence_client *client, enum presence_client_error error,
	const char *words, const char *data, void *context);

/* What this device is doing: not PRESENCE_CLIENT_UNKNOWN; note NULL: none, at most 128 bytes. It
 * is remembered, said as soon as there is a connection, and again at each new one. done may be
 * NULL. ESTATE: a mere watcher, or it is being destroyed. EINVAL, ENOMEM, EFULL. */
int presence_client_set_status(struct presence_client *client, enum presence_client_status status,
	const char *note, presence_client_done *done, void *context);

/* Nothing in particular any more: what the broker sees of it decides. As
 * presence_client_set_status(). */
int presence_client_clear_status(
	struct presence_client *client, presence_client_done *done, void *context);

/* The following need a connection: ENOTCONN. EINVAL, ENOMEM; EFULL: 1024 answers are awaited. */

/* Of all devices of a subject, for ttl_ms (0: until it is cleared; at most a year). role and id
 * NULL: the own; others' need an admin. */
int presence_client_set_override(struct presence_client *client, const char *role, const char *id,
	enum presence_client_override override, const char *note, int64_t ttl_ms,
	presence_client_done *done, void *context);
int presence_client_clear_override(struct presence_client *client, const char *role, const char *id,
	presence_client_done *done, void *context);

/* Typing, or recording, begins or stops; to be said again at least every 5 s while it goes on. */
int presence_client_typing(struct presence_client *client, const char *conversation, bool recording,
	bool active, presence_client_done *done, void *context);

/* Any command of docs/PROTOCOL.md, as a JSON object: {"command":"kick","clientid":"agent:u1:x"}.
 * Without correlationData, which is the library's. */
int presence_client_command(struct presence_client *client, const char *json,
	presence_client_done *done, void *context);

/* -- Knowing -------------------------------------------------------------------------------------
 */

/* Watches a subject; id NULL: all of a role; both NULL: everybody. Lasts over reconnects. To watch
 * twice is fine. EINVAL, ENOMEM, EFULL. */
int presence_client_watch(struct presence_client *client, const char *role, const char *id);
/* No more; what was known of it is dropped without a callback. ENOENT. */
int presence_client_unwatch(struct presence_client *client, const char *role, const char *id);

/* Who types in a conversation; likewise. */
int presence_client_watch_typing(struct presence_client *client, const char *conversation);
int presence_client_unwatch_typing(struct presence_client *client, const char *conversation);

/* What is known of a subject, from memory. Of record, before is UNKNOWN and the strings are in
 * storage. ENOENT: it is not watched. */
struct presence_client_storage {
	char role[129], id[129], note[4096], node[65];
};
int presence_client_lookup(struct presence_client *client, const char *role, const char *id,
	struct presence_client_record *record, struct presence_client_storage *storage);

/* Calls visit for each subject that has a record; with a lock held: visit may call nothing here.
 * Returns how many. */
size_t presence_client_each(struct presence_client *client,
	void (*visit)(const struct presence_client_record *record, void *context), void *context);

#ifdef __GNUC__
#pragma GCC visibility pop
#endif
#ifdef __cplusplus
}
#endif

#endif
