/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
#ifndef PRESENCE_CORE_PRESENCE_H
#define PRESENCE_CORE_PRESENCE_H

/* The presence state machine: who is online, reduced from sessions.
 *
 * Pure: no I/O, clock, thread or log. Time, identity and the hash key come in with events and
 * config; what the world must do comes out as effects. One event changes one subject; bulk work
 * (expiry, restart, resync, refresh) is a series of due deadlines, each settled by one
 * PRESENCE_TICK.
 *
 * Words: a *subject* is `<role>/<id>`; a *device* one of its installations; a *session* one
 * accepted MQTT connection, known by a token that its caller mints and never uses twice.
 *
 * A struct presence belongs to one thread at a time. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum presence_error {
	PRESENCE_OK = 0,
	PRESENCE_ENOMEM = -1,
	PRESENCE_ESUBJECTS = -2, /* subjects_max reached and nobody offline to forget */
	PRESENCE_EDEVICES = -3,  /* the subject has devices_max devices */
	PRESENCE_ENOENT = -4,    /* no such token or subject: nothing to do */
	PRESENCE_EEXIST = -5,    /* the token is in use: the event came twice */
	PRESENCE_EINVAL = -6,    /* the bytes are not what they should be */
	PRESENCE_ELIMIT = -7,    /* a limit per subject is reached */
};

/* The number is the rank in aggregation, and what Redis stores; one file holds it for C and Lua. */
enum presence_status {
#define PRESENCE_STATUS(number, name, word) PRESENCE_##name = (number),
#include "core/statuses.def"
#undef PRESENCE_STATUS
};

/* Why a record is as it is; the words are in docs/PROTOCOL.md. */
enum presence_reason {
#define PRESENCE_REASON(name, word) PRESENCE_REASON_##name,
#include "core/reasons.def"
#undef PRESENCE_REASON
};

enum presence_source { PRESENCE_INFERRED, PRESENCE_APP, PRESENCE_MANUAL };

/* What an operator, or the person, said of a subject as a whole. Invisible shows as offline. */
enum presence_override {
	PRESENCE_OVERRIDE_NONE,
	PRESENCE_OVERRIDE_ONLINE,
	PRESENCE_OVERRIDE_AWAY,
	PRESENCE_OVERRIDE_DND,
	PRESENCE_OVERRIDE_INVISIBLE,
};

enum presence_activity { PRESENCE_TYPING, PRESENCE_RECORDING };

/* How a session ended, as far as the broker can tell. */
enum presence_end {
	PRESENCE_END_DISCONNECT, /* the client said goodbye: down at once */
	PRESENCE_END_LOST,       /* the connection broke: lingers for grace */
	PRESENCE_END_KEEPALIVE,  /* silence: lingers for grace_keepalive */
	PRESENCE_END_TAKEOVER,   /* another connection has its client id: lingers for grace */
	PRESENCE_END_KICKED,     /* down at once */
	PRESENCE_END_PROTOCOL,   /* down at once */
	PRESENCE_END_UNKNOWN,    /* the broker did not say (2.0.x): lingers for grace */
};

/* What everyone may know of a subject. Strings are borrowed; times are wall clock, ms since the
 * epoch; note is NULL and until_ms 0 when there is none. */
struct presence_record {
	const char *role, *id;
	enum presence_status status, previous;
	enum presence_reason reason;
	enum presence_source source;
	uint32_t devices; /* up or lingering */
	int64_t since_ms; /* when status became what it is */
	int64_t last_seen_ms;
	int64_t rev; /* rises with every record of this broker; below 2^53 */
	const char *note;
	int64_t until_ms;
};

enum presence_event_type {
	PRESENCE_CONNECTED,    /* token, client_id, role, id, device, unmatched */
	PRESENCE_DISCONNECTED, /* token, end */
	PRESENCE_SEEN,         /* token: it published or asked: evidence, and activity */
	PRESENCE_HEARTBEAT,    /* token, interval_ms (0: the default): alive, but no activity */
	PRESENCE_DECLARE,      /* token, status, note: what its device says of itself */
	PRESENCE_UNDECLARE,    /* token: its device says nothing of itself */
	PRESENCE_LEAVE,        /* token: its device is down until it beats or declares */
	/* token: the last will of its session, before the end; client_id, with token 0: of the
	 * session under that id that has ended. */
	PRESENCE_WILL,
	PRESENCE_TYPED,      /* token, conversation, activity, active */
	PRESENCE_OVERRIDDEN, /* role, id, override, note, until_ms */
	/* role, id: before it turns invisible, one of its devices goes, while several are there.
	 * PRESENCE_ENOENT: they are not. */
	PRESENCE_WITHDRAW,
	PRESENCE_TICK,            /* the loop turns: settle at most one due deadline */
	PRESENCE_RESTORED,        /* record, unmatched: what an earlier boot had published */
	PRESENCE_RESTORED_DEVICE, /* role, id, device, status, note, last_seen_ms: up then */
	/* role, id, override, note, until_ms, rev; own: said through this broker, before whatever
	 * was said in this boot. Other brokers' compare by rev. NONE: it is known to be cleared. */
	PRESENCE_RESTORED_OVERRIDE,
	PRESENCE_FORGET, /* role, id: if it is offline */
	/* role, id, targets: say it again; who is invisible would show by it, and does not. */
	PRESENCE_ASSERT,
	PRESENCE_RESYNC,   /* targets: say everything again */
	PRESENCE_REV_SEEN, /* rev: never mint one at or below it */
};

/* Where PRESENCE_ASSERT and PRESENCE_RESYNC repeat what is known. */
enum presence_target {
	PRESENCE_TARGET_TOPIC = 1,
	PRESENCE_TARGET_STORE = 2,
	PRESENCE_TARGET_DEVICES = 4, /* the topics of devices */
};

struct presence_event {
	enum presence_event_type type;
	int64_t now_ms;  /* CLOCK_BOOTTIME; never goes back */
	int64_t wall_ms; /* CLOCK_REALTIME; may step */
	uint64_t token;
	const char *client_id;
	const char *role, *id,
		*device; /* validated: 1 to 128 bytes of UTF-8, no control characters */
	bool unmatched;  /* no identity rule matched: unmatched_retain_ms applies */
	enum presence_end end;
	unsigned targets; /* of enum presence_target */
	int64_t rev;
	int64_t last_seen_ms;
	enum presence_status status;
	const char *note; /* NULL: none; at most PRESENCE_NOTE_MAX bytes of UTF-8 */
	int64_t interval_ms;
	enum presence_override override;
	int64_t until_ms; /* wall clock; 0: until it is cleared */
	bool own;
	const char *conversation;
	enum presence_activity activity;
	bool active;
	struct presence_record record;
};

#define PRESENCE_NOTE_MAX 128

enum presence_effect_type {
	PRESENCE_PUBLISH,        /* the record is now this: tell everyone */
	PRESENCE_STORE,          /* device's contribution and the record that results */
	PRESENCE_REFRESH,        /* the subject is still online: extend its life, note last_seen */
	PRESENCE_FORGOTTEN,      /* the subject is no more: clear its topic and its keys */
	PRESENCE_STORE_OVERRIDE, /* override, note, until, rev of it, and the record that results */
	PRESENCE_DEVICE,         /* device is now rank: tell everyone; lingering does not count */
	PRESENCE_ACTIVITY,       /* activity in conversation begins or ends: tell everyone */
	PRESENCE_RESYNCED,       /* every contribution has been said since PRESENCE_RESYNC */
};

struct presence_effect {
	enum presence_effect_type type;
	struct presence_record record;
	int64_t previous_rev; /* of the record published before; 0: none or unknown */
	int64_t retain_ms;    /* how long an offline record lives from now */
	/* PRESENCE_STORE: the device whose contribution this is; NULL: the record alone. */
	const char *device;
	enum presence_status rank; /* PRESENCE_OFFLINE: it is down */
	int64_t device_last_seen_ms;
	const char *device_note;
	int64_t device_since_ms;            /* PRESENCE_DEVICE: when rank became what it is */
	enum presence_reason device_reason; /* PRESENCE_DEVICE: why */
	enum presence_override override;    /* PRESENCE_STORE_OVERRIDE; NONE: it was cleared */
	const char *override_note;
	int64_t override_until_ms, override_rev;
	const char *conversation; /* PRESENCE_ACTIVITY */
	enum presence_activity activity;
	bool active;
	int64_t active_until_ms; /* wall clock: not heard of again by then, it is over */
};

#define PRESENCE_EFFECTS_MAX 6

/* Strings borrow from core: valid until the next presence_step(). */
struct presence_effects {
	size_t count;
	struct presence_effect item[PRESENCE_EFFECTS_MAX];
};

/* Durations in ms. All may change while running, through presence_configure(). */
struct presence_config {
	int64_t grace_ms, grace_keepalive_ms, restart_grace_ms;
	int64_t offline_retain_ms, unmatched_retain_ms;
	int64_t refresh_ms; /* every online subject yields PRESENCE_REFRESH this often; 0: never */
	int64_t heartbeat_interval_ms; /* of sessions that beat without naming theirs */
	uint32_t heartbeat_misses;     /* intervals without a beat that take a device down */
	int64_t away_after_ms;         /* without activity an undeclared device is away; 0: never */
	bool device_topics;            /* PRESENCE_DEVICE is wanted */
	/* PRESENCE_WILL may follow an end: unless that was a goodbye or a kick, it is told with the
	 * next tick, and then for that reason. */
	bool wills_follow;
	/* What the goodbye of a client reads like on this broker, and so going invisible too. */
	enum presence_reason goodbye;
	uint32_t subjects_max, devices_max;
	uint8_t hash_key[16]; /* random; ids come from strangers. Read at creation only. */
};

struct presence_counts {
	uint64_t subjects, devices, sessions; /* now; subjects: those that have a record */
	uint64_t transitions, forgotten, stalls;
	int64_t tick_gap_max_ms;
};

struct presence;

/* now_ms is the start of this boot: restart_grace_ms counts from it. NULL when out of memory. */
struct presence *presence_create(const struct presence_config *config, int64_t now_ms);
void presence_destroy(struct presence *core);
void presence_configure(struct presence *core, const struct presence_config *config);

/* Apply one event. On error nothing has changed and effects is empty; but of a restored device
 * beyond devices_max the store that told of it has to hear.
 * Ends, ticks, heartbeats and what is merely seen allocate nothing and cannot fail. */
int presence_step(struct presence *core, const struct presence_event *event,
	struct presence_effects *effects);

/* When the next deadline is due, on the clock of now_ms; INT64_MAX: nothing is waiting. While it
 * is not in the future, another PRESENCE_TICK has work to do. */
int64_t presence_deadline(const struct presence *core);

/* The record as last published. PRESENCE_ENOENT: unknown here, so offline. Borrows from core. */
int presence_lookup(const struct presence *core, const char *role, const char *id,
	struct presence_record *record);

/* All records, one by one, in an order of their own that lasts as long as the core: one that is
 * there throughout is met exactly once, whoever comes and goes meanwhile. role NULL: the first;
 * otherwise the next behind role/id, which need not be known any more. One with rev 0 is of a
 * subject that nothing is published of: to be passed over. PRESENCE_ENOENT: there are no more.
 * Borrows from core. */
int presence_next(const struct presence *core, const char *role, const char *id,
	struct presence_record *record);

/* The place of role/id in that order, known or not: it does not tell whose it is. Those that share
 * one, and there are few, follow one another. */
uint32_t presence_place(const struct presence *core, const char *role, const char *id);
/* As presence_next(), behind all that have that place. */
int presence_next_behind(
	const struct presence *core, uint32_t place, struct presence_record *record);

/* How many records presence_next() has of this role and status; role NULL: of all. */
uint64_t presence_count(const struct presence *core, const char *role, enum presence_status status);

/* Whose a live session is. PRESENCE_ENOENT: there is no such. Borrows from core. */
struct presence_session {
	const char *role, *id;
	bool is_hidden; /* the subject is invisible: nothing that happens to it may be seen */
};
int presence_session(const struct presence *core, uint64_t token, struct presence_session *session);

const struct presence_counts *presence_counts(const struct presence *core);

/* Calls visit once per role that has a record, with the number of those that are not offline. */
void presence_each_role(const struct presence *core,
	void (*visit)(void *context, const char *role, uint64_t online), void *context);

/* The words on the wire. presence_status_parse() answers PRESENCE_EINVAL for other words. */
const char *presence_status_name(enum presence_status status);
const char *presence_reason_name(enum presence_reason reason);
const char *presence_override_name(enum presence_override override);
const char *presence_activity_name(enum presence_activity activity);
const char *presence_source_name(enum presence_source source);
int presence_status_parse(const char *word, enum presence_status *status);
int presence_reason_parse(const char *word, enum presence_reason *reason);
int presence_override_parse(const char *word, enum presence_override *override);
int presence_activity_parse(const char *word, enum presence_activity *activity);
int presence_source_parse(const char *word, enum presence_source *source);

#endif
