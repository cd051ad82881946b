/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
#ifndef PRESENCE_PLUGIN_PLUGIN_H
#define PRESENCE_PLUGIN_PLUGIN_H

/* What the plugin is made of. Everything here belongs to the broker's main thread. */

#include <stdbool.h>
#include <stdint.h>

#include "core/presence.h"
#include "core/table.h"
#include "plugin/broker_api.h"
#include "store/store.h"
#include "wire/identity.h"
#include "wire/options.h"

/* Why something was not done, as $SYS/broker/presence/refused/<why> counts it. */
enum refusal {
	REFUSED_ID,           /* an id that does not qualify: not tracked */
	REFUSED_SUBJECTS,     /* subjects_max: not tracked */
	REFUSED_DEVICES,      /* devices_max: not tracked */
	REFUSED_MEMORY,       /* no memory: not tracked, or said again later */
	REFUSED_PUBLISH,      /* a client, or its will, wrote where only presence may */
	REFUSED_COMMAND_RATE, /* a command beyond command_rate: not carried out */
	REFUSALS,
};

/* Says a thing at most once a minute, and how often it happened. */
struct log_limit {
	int64_t next_ms;
	uint64_t unsaid;
};

enum { STORES_MAX = 2, KICKS_MAX = 64, WRITERS = 1024 };

/* health.c: what was said already. */
struct health {
	int64_t next_ms, slowest_us;
	uint64_t stalls, merged;
	unsigned hung_looks[STORES_MAX]; /* at how many in a row a worker hung */
	struct log_limit stall_log, merge_log, slow_log, hung_log;
};

/* How often something may be done: rate_take(). All zeros: not done yet. */
struct rate {
	int64_t next_us;
};

struct plugin {
	struct options *options;
	struct presence *core;
	struct store *stores[STORES_MAX]; /* those that are configured */
	size_t store_count;
	struct store *redis;        /* one of them, or NULL */
	bool is_2_1;                /* the broker has CONNECT */
	uint8_t hash_key[16];       /* random, of all tables: ids come from strangers */
	struct load *loads;         /* entry.c: one each time the broker has loaded us */
	struct mosquitto_opt *opts; /* the broker's, as long as we are loaded */
	int opt_count;

	/* clients.c */
	struct table clients, clients_by_id; /* struct client */
	struct client *pending_first, *pending_last;
	uint64_t last_token;
	/* Whose clients wrote on their own topic: hashes of client ids, each in its place until
	 * another takes it. Who is missing has a record that is not repaired after his will. */
	uint64_t writers[WRITERS];
	bool username_was_accepted, username_refusal_was_said, late_was_said;
	bool is_rechecking; /* 2.0.x was told to reload, and there has been no tick since */

	/* guard.c */
	struct held *held_first;
	unsigned deferred; /* writes that others were to decide, none of which came to pass */
	bool message_was_seen, bypass_was_said;

	/* kick.c */
	char *kicks[KICKS_MAX]; /* ids of clients to be kicked with the next tick */
	size_t kick_count;

	/* tick.c */
	uint64_t ticks;
	int64_t init_ms;
	bool is_inert; /* the broker never ticks */
	bool has_told; /* something was published since the last tick */

	/* unsaid.c */
	struct table unsaid; /* struct unsaid */
	struct unsaid *unsaid_first, *unsaid_last;
	int64_t unsaid_next_ms;
	bool topics_unsaid; /* a record could not be kept either: say all of them again */

	/* sys.c, digest.c */
	struct table values, digests;
	enum digests_state { DIGESTS_SOUND, DIGESTS_LACK, DIGESTS_COUNT_AGAIN } digests_state;
	int64_t digests_from; /* what is published under this rev or a lower one is not counted */
	int64_t rev;          /* the highest that was published */
	struct value *first_value;
	struct digest *first_digest;
	int64_t sys_next_ms;
	int64_t callback_max_us;
	uint64_t refused[REFUSALS];
	struct log_limit refused_log[REFUSALS];
	struct health health;
};

/* One door: gives the event its times, steps the core and carries out the effects. */
int plugin_feed(struct plugin *plugin, struct presence_event event);
/* Counts why and warns at a limited rate; what names the client or topic. */
void plugin_refuse(
	struct plugin *plugin, enum refusal why, const char *client_id, const char *what);
const char *refusal_name(enum refusal why);

/* config.c: from the broker's options to ours. One log line and NULL when they are wrong. */
struct options *config_read(const struct mosquitto_opt *opts, int count);
void config_of_core(const struct plugin *plugin, struct presence_config *config);
/* Gives the core what the options and the broker's version ask for. */
void config_apply(struct plugin *plugin);
/* Starts what the options ask for. 0, or an error that is logged. */
int config_start_stores(struct plugin *plugin);
/* Reads config_file again: all of it or nothing. */
void config_reload(struct plugin *plugin);

/* clients.c: which connection is which session */
int clients_init(struct plugin *plugin);
void clients_finish(struct plugin *plugin);
/* 2.1: it is connected. The same pointer again, before the loop has turned, is the same event. */
void client_connected(struct plugin *plugin, struct mosquitto *pointer);
/* 2.0.x: it asks to be let in; if nothing contradicts before the next tick, it was. */
void client_asks(struct plugin *plugin, struct mosquitto *pointer);
/* 2.0.x: the pointers that asked and were not refused are connected. */
void clients_promote(struct plugin *plugin);
void client_disconnected(struct plugin *plugin, struct mosquitto *pointer, int reason);
/* It published: evidence, and on 2.0.x the first sign of clients that were let in unasked. */
void client_seen(struct plugin *plugin, struct mosquitto *pointer);
/* 2.0.x: it asks to subscribe: the first sign of some, as publishing is. */
void client_subscribes(struct plugin *plugin, struct mosquitto *pointer);

/* control.c: commands on CONTROL_TOPIC */
#define CONTROL_TOPIC "$CONTROL/presence/v1"
void control(struct plugin *plugin, const struct mosquitto_evt_control *event);
/* Warns of what control_open lets everybody do. */
void control_warn(const struct options *options);

/* kick.c: callbacks may be on behalf of the client that is to go, so it goes with a tick */
int kick_add(struct plugin *plugin, const char *client_id);
void kicks_run(struct plugin *plugin);
void kicks_finish(struct plugin *plugin);

/* rate.c: per_s times a second, burst of them at once. */
bool rate_has(const struct rate *rate, int64_t now_us, uint32_t per_s, uint32_t burst);
/* False, and nothing taken, when it is too often. */
bool rate_take(struct rate *rate, int64_t now_us, uint32_t per_s, uint32_t burst);

/* tick.c: what is due, bounded per turn of the loop */
void tick(struct plugin *plugin, struct mosquitto_evt_tick *event);
/* Somebody else does something. 2.1 asks about a will right after the end of its client: if none
 * has come by now, there is none, and without grace the end need not wait for the next tick. */
void tick_after_will(struct plugin *plugin);
void tick_check_alive(struct plugin *plugin);
/* At the start, before anybody can connect: waits a moment for what an earlier boot left. */
void tick_hear_past(struct plugin *plugin);

/* A retained message to all. */
struct told {
	const char *topic, *payload;
	size_t length; /* 0: what is retained is cleared */
	bool is_json;
	int64_t until_ms; /* on the clock of now_ms, when the broker is to drop it; 0: never */
};

/* broker_publish.c: the only place that publishes. All are PRESENCE_ENOMEM or 0. What is retained
 * and could not be published is said again later, but for values. */
int publish_told(const struct told *told);
int publish_record(struct plugin *plugin, const struct presence_effect *effect);
int publish_cleared(struct plugin *plugin, const struct presence_record *record);
int publish_device(struct plugin *plugin, const struct presence_effect *effect);
int publish_activity(struct plugin *plugin, const struct presence_effect *effect);
/* The answer to what event asked: to its client alone, where and as it wants it. */
int publish_reply(const struct plugin *plugin, const struct mosquitto_evt_control *event,
	const char *json, size_t length);
int publish_value(const char *topic, const char *value);

/* One number, word or JSON object of what $SYS and getStats tell. */
typedef void stat_visit(void *context, const char *name, const char *value);

/* hash.c: keyed, of what strangers may choose */
uint64_t plugin_hash(const struct plugin *plugin, const char *text);

/* unsaid.c: what is retained and could not be published */
int unsaid_init(struct plugin *plugin);
void unsaid_finish(struct plugin *plugin);
/* Something else is said on topic. */
void unsaid_drop(struct plugin *plugin, const char *topic);
/* Takes a copy; nothing of the topic is kept yet. PRESENCE_ENOMEM, or 0. */
int unsaid_keep(struct plugin *plugin, const struct told *told);
/* Tries again, a few at a time, once a second. */
void unsaid_say(struct plugin *plugin, int64_t now_ms);

/* digest.c: what all published records amount to, per role; also those that are yet unsaid */
int digests_init(struct plugin *plugin);
void digests_finish(struct plugin *plugin);
void digest_record(struct plugin *plugin, const char *role, const char *topic, int64_t previous_rev,
	int64_t rev);
/* A digest could not be made, and all records are about to be published again: they are counted
 * from nothing; and that is over. In between digests are not told. */
void digests_say_again(struct plugin *plugin);
void digests_said_again(struct plugin *plugin);
/* Too many that nobody is left of; to be called when that has been told: what is then missing is
 * cleared the next time. */
void digests_drop_empty(struct plugin *plugin);
void digests_each(const struct plugin *plugin, stat_visit *visit, void *context);

/* sys.c: $SYS/broker/presence */
int sys_init(struct plugin *plugin);
void sys_finish(struct plugin *plugin);
void sys_publish_changes(struct plugin *plugin, int64_t now_ms);
/* Everything that is told there, as of now. */
void sys_each(struct plugin *plugin, int64_t now_ms, stat_visit *visit, void *context);

/* health.c: one line when the broker stood still, when a worker hangs, when changes give way in a
 * full queue, or when we held the broker up; numbers are in $SYS. */
void health_say(struct plugin *plugin, int64_t now_ms);

/* clock.c */
int64_t clock_now_ms(void);  /* CLOCK_BOOTTIME: goes on while the machine sleeps */
int64_t clock_wall_ms(void); /* CLOCK_REALTIME */
int64_t clock_now_us(void);  /* CLOCK_MONOTONIC, to measure with */
void clock_nap(int ms);      /* about so long; only where nobody waits for us */

/* log.c: lines for the operator */
enum log_level { LOG_NOTICE, LOG_WARNING, LOG_ERROR };
__attribute__((format(printf, 2, 3))) void log_line(enum log_level level, const char *format, ...);
/* True when it may be said now; *unsaid: how often it was not since. */
bool log_allowed(struct log_limit *limit, int64_t now_ms, uint64_t *unsaid);

#endif
