/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
#ifndef PRESENCE_TESTS_SIM_SIM_H
#define PRESENCE_TESTS_SIM_SIM_H

/* One world in virtual time: the real plugin, core and writer; a broker, a network, a Redis, a
 * state file and clients that are models. One seed, or one list of operations, is one history; it
 * is the same each time. README.md says what is checked. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/presence.h"
#include "redis_model.h"
#include "store/store.h"

/* ---- what happens ---- */

enum op_kind {
#define SIM_OP(name, word, group) OP_##name,
#include "ops.def"
#undef SIM_OP
	OP_KINDS
};

enum op_group {
	GROUP_CLIENT,   /* clients come and go */
	GROUP_DECLARE,  /* and say things of themselves */
	GROUP_OVERRIDE, /* or of subjects */
	GROUP_BEAT,
	GROUP_TYPING,
	GROUP_NET,   /* between broker and Redis */
	GROUP_REDIS, /* that forgets */
	GROUP_MOOD,  /* that refuses */
	GROUP_BROKER,
	GROUP_STALL,
	GROUP_CLOCK,
	GROUP_FILE,
	GROUPS
};

struct op {
	int64_t at_ms; /* since the beginning */
	enum op_kind kind;
	int client;
	int64_t a, b;
};

/* ---- how the world is ---- */

enum broker_version { V2_0_11, V2_0_21, V2_1 };

struct settings {
	enum broker_version version;
	bool has_redis, has_file, is_guarded, device_topics, others_decide;
	unsigned partitions;
	int64_t grace_ms, grace_keepalive_ms, restart_grace_ms, away_after_ms, ttl_ms, lease_ms,
		retain_ms;
	unsigned groups;       /* of ops */
	bool is_out_of_budget; /* every tick has time for a few steps only */
};

enum { CLIENTS = 7, SUBJECTS = 5, ADMIN = 6 };
extern const struct sim_client {
	const char *id, *role, *subject, *device;
	int subject_index; /* -1: of no interest */
} sim_clients[CLIENTS];
extern const struct sim_subject {
	const char *role, *id, *topic, *name; /* name: as in Redis */
} sim_subjects[SUBJECTS];

/* ---- what is known to be true, kept by whoever does it ---- */

struct true_client {
	bool is_wanted;                     /* it comes back when it is thrown out */
	int64_t reconnect_ms;               /* 0: no plans */
	struct mosquitto *connection;       /* NULL: the broker has none of it */
	bool has_been_seen;                 /* by a tick since it connected */
	int64_t came_ms, gone_ms, birth_ms; /* birth: when it last wrote on its topic */
	int64_t linger_ms;                  /* gone, it counts as there until then */
	bool is_silent;                     /* left, declared offline, or stopped beating */
	bool has_beaten;                    /* in this session */
	bool is_frozen;                     /* it beats no more */
	int64_t beat_ms, next_beat_ms;
	bool is_declared, is_declared_known;
	enum presence_status declared;
	char note[16];
	int connects; /* picks what it looks like */
};

struct true_subject {
	bool is_override_known;
	enum presence_override override;
	int64_t override_until_ms;
	int64_t override_ms; /* when it was said */
	char override_note[16];
	int64_t up_ms;     /* when one of its clients was last up */
	int64_t repeat_ms; /* about then it may be published unchanged */
	bool may_be_left;  /* Redis lost it, and the broker that knew better is over */
	bool is_unwritten; /* the state file knew nothing of what stood there at the start */
	int restored;      /* how often in this boot its past became known */
};

/* What stands on a topic. */
struct shown {
	bool is_there, is_foreign; /* foreign: a client's will */
	bool is_of_boot;           /* published by this boot */
	int64_t foreign_ms;
	struct presence_record record; /* role, id: NULL */
	char note[160], payload[1024];
};

struct retained_device {
	char topic[160];
	bool is_online;
};

enum { RETAINED_DEVICES_MAX = 32 };

struct truth {
	struct true_client clients[CLIENTS];
	struct true_subject subjects[SUBJECTS];
	struct shown shown[SUBJECTS];
	struct retained_device devices[RETAINED_DEVICES_MAX];
	size_t device_count;
	int64_t rev;        /* the highest published in this boot */
	int64_t ready_ms;   /* when this boot began to write to Redis; 0: not yet */
	int64_t stalled_ms; /* how long the last stall was */
	int64_t boot_ms, stall_ms,
		tick_ms;   /* when it began, when the last stall ended, the last tick */
	bool is_clock_odd; /* the wall clock stepped: times of records prove nothing */
	int typing[SUBJECTS];
	/* Redis' stream */
	int64_t event_rev[SUBJECTS], event_seq[8];
	char event_boot[20];
	bool is_chain_broken;
	int64_t harm_ms; /* when Redis last lost something */
	uint64_t publishes, events;
};

enum timer { TIMER_MOOD, TIMER_PLANT, TIMER_START, TIMERS };

struct world {
	uint64_t seed, random;
	struct settings settings;
	const struct op *ops;
	size_t op_count, next_op;
	int64_t now_ms, begin_ms, heal_ms, wall_offset_ms, us;
	bool is_verbose, is_healed;
	bool is_recorded; /* events of the broker are printed, and nothing is healed */
	uint64_t trace;
	char failure[1024];
	uint8_t failure_kind; /* so that shrinking keeps to one */
	struct redis_model redis;
	struct truth truth;
	struct broker *broker;
	struct worker *worker;
	struct file_model *file;
	struct redis_db past;
	uint64_t boots;
	int64_t timers[TIMERS]; /* 0: not set */
	char planted[512];      /* somebody else's key, for a while */
	int64_t returns;        /* who does not come back when the broker does */
};

extern struct world *the_world; /* the broker's functions have no other way to it */

uint64_t sim_roll(struct world *world, uint64_t below);
__attribute__((format(printf, 2, 3))) void sim_fail(struct world *world, const char *format, ...);
__attribute__((format(printf, 2, 3))) void sim_say(struct world *world, const char *format, ...);
void sim_trace(struct world *world, const char *bytes, size_t length);

/* ---- scenario.c ---- */
void settings_roll(uint64_t seed, struct settings *settings);
void settings_print(const struct settings *settings, char *out, size_t size);
/* ops for a seed, by time; the caller's to free. */
struct op *ops_roll(uint64_t seed, const struct settings *settings, size_t *count);
void op_print(const struct op *op, char *out, size_t size);
/* False: not an operation. */
bool op_parse(const char *line, struct op *op);
enum op_group op_group_of(enum op_kind kind);

/* ---- world.c ---- */
/* Runs a whole history. True: all was well; otherwise failure says what was not. */
struct outcome {
	bool is_good;
	uint8_t kind; /* of failure */
	char failure[1024];
	uint64_t trace, publishes, events;
};
struct way {
	bool is_verbose;
	const struct settings *recorded; /* print the broker's events; NULL: no */
};
void world_run(uint64_t seed, const struct op *ops, size_t count, const struct way *way,
	struct outcome *outcome);
/* Everything but the broker's loop, until then: while the broker waits at its end. */
void world_pass_without_broker(struct world *world, int64_t until_ms);
/* The same, whether they have work or not: while the broker waits at its start. */
void world_nap(struct world *world, int64_t ms);

/* ---- broker.c ---- */
struct mosquitto;
void broker_create(struct world *world);
void broker_destroy(struct world *world);
void broker_start(struct world *world);
void broker_stop(struct world *world);
void broker_crash(struct world *world);
bool broker_is_up(const struct world *world);
int64_t broker_next_ms(const struct world *world);
/* One turn of its loop. */
void broker_turn(struct world *world);
void broker_stall(struct world *world, int64_t ms);
/* To be done in its next turn. */
void broker_queue(struct world *world, const struct op *op);
bool broker_is_connected(const struct world *world, const struct mosquitto *connection);

/* ---- worker.c: the worker, the network and the file ---- */
void worker_create(struct world *world);
void worker_destroy(struct world *world);
int64_t worker_next_ms(const struct world *world);
void worker_turn(struct world *world);
void worker_stall(struct world *world, int64_t ms);
/* The process ends here and now. */
void worker_kill(struct world *world);
bool worker_is_idle(const struct world *world);
enum store_state worker_state(const struct world *world);
/* Age of the oldest item that Redis has not answered. */
int64_t worker_lag_ms(const struct world *world);
/* Since the faults ended. */
uint64_t worker_registrations(const struct world *world);
/* What happens to the network. */
void net_cut(struct world *world);
void net_hang_redis(struct world *world, int64_t ms);
void net_slow(struct world *world, int64_t ms);
void net_lose(struct world *world, bool commands);
void net_repeat_late(struct world *world);
void net_heal(struct world *world);
void file_fail(struct world *world, int64_t ms);
/* What the state file says of a subject; false: nothing. */
bool file_has(const struct world *world, int subject);
bool file_has_override(const struct world *world, int subject, enum presence_override override);
const struct presence_record *file_record(const struct world *world, int subject);

/* ---- truth.c: what must hold ---- */
void truth_init(struct world *world);
void truth_retained(struct world *world, const char *topic, const void *payload, size_t length,
	bool is_foreign);
void truth_typing(struct world *world, const char *topic, const char *payload, size_t length);
void truth_turned(struct world *world); /* after each turn of the broker's loop */
void truth_event(void *context, const char *entry);
void truth_connected(struct world *world, int client, struct mosquitto *connection);
void truth_gone(struct world *world, int client);
/* The broker told of an end under that id: a will may stand on its topic. */
void truth_ended(struct world *world, const char *client_id);
void truth_crashed(struct world *world);
void truth_started(struct world *world);
void truth_harmed(struct world *world); /* Redis lost something */
void truth_converged(struct world *world);
int subject_of_topic(const char *topic);
int subject_of_name(const char *role, const char *id);

#endif
