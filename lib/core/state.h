/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
#ifndef PRESENCE_CORE_STATE_H
#define PRESENCE_CORE_STATE_H

/* What the core remembers. Private to lib/core. */

#include "core/deadline.h"
#include "core/presence.h"
#include "core/table.h"

#define PRESENCE_STATUS(number, name, word) +1
enum {
	PRESENCE_STATUSES = 0
#include "core/statuses.def"
};
#undef PRESENCE_STATUS

struct role {
	struct table_node by_name;
	uint64_t subjects;
	uint64_t published[PRESENCE_STATUSES]; /* records, by status */
	char name[];
};

struct subject {
	struct table_node by_name;
	struct subject *next, *previous; /* in the order of walks */
	struct role *role;
	struct device *devices;    /* those that have a session, up or not */
	struct override *override; /* or NULL */
	struct activity *activities;
	struct deadline due;   /* its kind says for what */
	uint32_t device_count; /* of devices */
	uint64_t declarations; /* counts them, so that the latest is known */
	/* As published: */
	uint32_t published_devices;
	uint64_t published_note; /* its hash; 0: none */
	int64_t published_until_ms;
	int64_t since_ms, last_seen_ms;
	int64_t offline_ms; /* status offline: since when, on the clock of now_ms */
	int64_t rev;        /* 0: not published */
	uint8_t status, previous_status, reason, source;
	bool judge; /* restored and not yet published in this boot */
	bool unmatched;
	char id[];
};

enum { UNDECLARED = 0xff };

struct device {
	struct device *next;
	struct subject *subject;
	struct session *sessions; /* live ones, or a single lingering one */
	int64_t last_seen_ms;
	int64_t active_ms;    /* last activity, on the clock of now_ms */
	uint64_t declaration; /* its place among the subject's */
	char *note;           /* or NULL */
	uint64_t stored_note; /* its hash, as last stored */
	int64_t shown_since_ms;
	uint8_t declared; /* a status, or UNDECLARED */
	uint8_t stored;   /* its contribution, as last stored */
	uint8_t shown;    /* on its own topic, where lingering does not count */
	bool idle;
	bool restored; /* not seen in this boot yet: its return is stored again */
	char name[];
};

struct session {
	struct table_node by_token; /* hashed by the token itself: we mint those */
	struct table_node by_client;
	struct session *next;
	struct device *device;
	struct deadline
		due;        /* lingering: until when; live: what comes first of beat and idleness */
	int64_t beat_by_ms; /* beat_ms is set: without one until then it is silent */
	uint32_t beat_ms;   /* 0: it does not beat */
	uint8_t reason;     /* why the device will be down; live: its will's, once that is known */
	bool live;
	bool silent;   /* live, but it left or stopped beating: as good as gone */
	bool restored; /* stands for one of an earlier boot: in no table */
};

struct override {
	struct subject *subject;
	struct deadline due; /* when it expires */
	enum presence_override what;
	int64_t until_ms, rev;
	char note[];
};

/* Somebody types in a conversation. Kept for a while after its end, so that it is not shown anew
 * too soon. */
struct activity {
	struct activity *next;
	struct subject *subject;
	struct deadline due;
	uint64_t token; /* of whose session */
	int64_t until_ms, published_ms;
	uint8_t kind, shown_kind;
	bool active, shown;
	char conversation[];
};

/* What a struct deadline is part of and waits for. */
enum deadline_kind {
	DUE_SESSION,
	DUE_OVERRIDE,
	DUE_ACTIVITY,
	DUE_JUDGE,  /* a restored subject, at the latest */
	DUE_CLEAR,  /* what is published of a subject that must be remembered */
	DUE_FORGET, /* a subject that need not be: in offline[], by when it went */
};
enum { OFFLINE_MATCHED, OFFLINE_UNMATCHED, OFFLINE_KINDS };

/* A walk over all subjects, a bounded number of them per step. */
struct walk {
	struct subject *next; /* NULL: not walking */
};

struct presence {
	struct presence_config config;
	struct presence_counts counts;
	struct table roles, subjects, tokens, clients;
	struct subject *first, *last;            /* of all subjects; walks go from first to last */
	struct deadlines waiting;                /* all kinds but DUE_FORGET */
	size_t waiting_users;                    /* of everything that may ever be in it at once */
	struct deadlines offline[OFFLINE_KINDS]; /* by when they went offline: oldest first */
	int64_t boot_ms;
	int64_t rev;         /* the last one minted or seen */
	int64_t tick_ms;     /* of the last tick */
	int64_t settle_ms;   /* after a stall nothing settles before this */
	int64_t refresh_ms;  /* when the next refresh walk starts */
	struct walk refresh; /* extends the life of whom is online */
	struct walk say;     /* says again what is known */
	struct device
		*say_device; /* of say.next the next to be said; means something if say_begun */
	bool say_begun;      /* some of say.next has been said */
	bool say_everything; /* say.next ends with PRESENCE_RESYNCED */
	unsigned say_targets;
	/* What the last effects borrow from; freed by the next step. */
	struct subject *gone_subject;
	struct device *gone_device;
	struct override *gone_override;
	struct activity *gone_activity;
	char *gone_note;
};

/* aggregate.c: what devices and override amount to */
struct aggregate {
	enum presence_status status;
	enum presence_source source;
	uint32_t devices;
	const char *note; /* borrowed; NULL: none */
	int64_t until_ms;
};
void aggregate(const struct subject *subject, struct aggregate *result);
/* What a device contributes; PRESENCE_OFFLINE: nothing. */
enum presence_status device_rank(const struct device *device);
/* The same as seen this moment, without grace. */
enum presence_status device_shown(const struct device *device);
/* Nothing that happens to it may be seen. */
bool subject_is_hidden(const struct subject *subject);

/* subject.c: subjects and what is published of them */
/* NULL: nobody of this role is known. */
struct role *role_find(const struct presence *core, const char *name);
struct subject *subject_find(const struct presence *core, const char *role, const char *id);
/* Linked in, but not published. NULL when out of memory; nothing has changed then. */
struct subject *subject_add(
	struct presence *core, const char *role, const char *id, bool unmatched);
void subject_destroy(struct presence *core, struct subject *subject);
/* The subject that is offline longest and need not be remembered; NULL: none. */
struct subject *subject_offline_longest(const struct presence *core);
/* To be called with -1 before its rev or status changes, and with 1 after that. */
void subject_count(struct presence *core, struct subject *subject, int by);
/* Moves it to the end of the walks' way. */
void subject_move_last(struct presence *core, struct subject *subject);
/* When the next subject is to be forgotten; INT64_MAX: none is offline. */
int64_t subject_forget_deadline(const struct presence *core, struct subject **next);
void subject_evidence(struct subject *subject, int64_t wall_ms);
/* It is to be judged at that time. */
void subject_wait(struct presence *core, struct subject *subject, int64_t at_ms);
/* Adds PRESENCE_PUBLISH if what is published has changed, or subject is to be judged. Returns the
 * rev published before. */
int64_t subject_settle(struct presence *core, struct subject *subject,
	const struct presence_event *event, enum presence_reason reason,
	struct presence_effects *effects);
/* The same record under a new rev. */
void subject_publish_again(struct presence *core, struct subject *subject,
	const struct presence_event *event, struct presence_effects *effects);
void subject_record(const struct subject *subject, struct presence_record *record);
/* What is published of it is cleared; the subject goes too, unless it must be remembered. */
void subject_forget(struct presence *core, struct subject *subject, int64_t now_ms,
	struct presence_effects *effects);
uint64_t note_hash(const struct presence *core, const char *note);

/* effect.c */
/* An effect of that type about subject, for the caller to complete. */
struct presence_effect *effect_add(struct presence *core, struct presence_effects *effects,
	enum presence_effect_type type, const struct subject *subject, int64_t now_ms);
/* device NULL: the record alone. */
void effect_add_store(struct presence *core, struct presence_effects *effects,
	const struct subject *subject, const struct device *device, int64_t previous_rev,
	int64_t now_ms);
/* What is said of subject as a whole, under that rev; without an override: that it is no more. */
void effect_add_override(struct presence *core, struct presence_effects *effects,
	const struct subject *subject, int64_t rev, int64_t previous_rev, int64_t now_ms);
/* What device shows on its own topic; offline when its subject is hidden. */
void effect_add_device(struct presence *core, struct presence_effects *effects,
	const struct device *device, enum presence_reason reason, int64_t now_ms);

/* device.c */
/* *copy is NULL for no note and for an empty one. PRESENCE_ENOMEM, or 0. */
int note_copy(const char *note, char **copy);
struct device *device_find(const struct subject *subject, const char *name);
struct device *device_create(const char *name);
void device_add(struct presence *core, struct subject *subject, struct device *device);
/* Unlinked; its memory lives until the next step. It must have no sessions. */
void device_remove(struct presence *core, struct device *device);
/* Something about device has changed: what of it differs from what was stored, shown and
 * published is stored, shown and published. Without a session left it goes. */
void device_settle(struct presence *core, struct device *device, const struct presence_event *event,
	enum presence_reason reason, struct presence_effects *effects);

/* session.c: connections come and go */
struct session *session_find(const struct presence *core, uint64_t token);
int session_connect(struct presence *core, const struct presence_event *event,
	struct presence_effects *effects);
int session_disconnect(struct presence *core, const struct presence_event *event,
	struct presence_effects *effects);
int session_will(struct presence *core, const struct presence_event *event);
void session_linger(struct presence *core, struct session *session, enum presence_reason reason,
	int64_t until_ms);
/* Its deadline has come. */
void session_due(struct presence *core, struct session *session, const struct presence_event *event,
	struct presence_effects *effects);
void session_remove(struct presence *core, struct session *session);

/* declare.c: what devices say of themselves */
int session_seen(struct presence *core, const struct presence_event *event,
	struct presence_effects *effects);
int session_heartbeat(struct presence *core, const struct presence_event *event,
	struct presence_effects *effects);
int session_declare(struct presence *core, const struct presence_event *event,
	struct presence_effects *effects);
int session_undeclare(struct presence *core, const struct presence_event *event,
	struct presence_effects *effects);
int session_leave(struct presence *core, const struct presence_event *event,
	struct presence_effects *effects);
/* The next of missed beats and idleness; a live session. */
void session_rearm(struct presence *core, struct session *session, int64_t now_ms);
void session_missed(struct presence *core, struct session *session,
	const struct presence_event *event, struct presence_effects *effects);

/* override.c */
int override_set(struct presence *core, const struct presence_event *event,
	struct presence_effects *effects);
int override_withdraw(struct presence *core, const struct presence_event *event,
	struct presence_effects *effects);
int override_restore(struct presence *core, const struct presence_event *event,
	struct presence_effects *effects);
void override_expire(struct presence *core, struct override *override,
	const struct presence_event *event, struct presence_effects *effects);
void override_remove(struct presence *core, struct subject *subject);

/* activity.c: typing and recording */
int activity_note(struct presence *core, const struct presence_event *event,
	struct presence_effects *effects);
void activity_settle(struct presence *core, struct activity *activity,
	const struct presence_event *event, struct presence_effects *effects);
/* All of the session's, or with token 0 of the subject's, end with the next tick. */
void activity_end(struct presence *core, struct subject *subject, uint64_t token, int64_t now_ms);
void activity_remove(struct presence *core, struct activity *activity);

/* Room for a few more users of every heap: PRESENCE_ENOMEM, or 0. */
int state_reserve(struct presence *core);
uint64_t state_hash(const struct presence *core, const char *first, const char *second);
int64_t state_mint_rev(struct presence *core, int64_t wall_ms);

/* restore.c: what an earlier boot left */
/* Never mint a rev at or below this one. */
void restore_rev(struct presence *core, int64_t rev);
int restore_subject(struct presence *core, const struct presence_event *event,
	struct presence_effects *effects);
int restore_device(struct presence *core, const struct presence_event *event,
	struct presence_effects *effects);
/* restart_grace is over for subject. */
void restore_judge(struct presence *core, struct subject *subject,
	const struct presence_event *event, struct presence_effects *effects);

/* walk.c: bulk work, a little per tick */
void walk_say(struct presence *core, struct subject *subject, unsigned targets);
/* Says what the topic of device shows now, if that is news: nothing of whom nobody may see. */
void walk_show(struct presence *core, struct device *device, const struct presence_event *event,
	struct presence_effects *effects);
void walk_say_everything(struct presence *core, unsigned targets);
/* When a walk has something to do; INT64_MAX: nothing. */
int64_t walk_deadline(const struct presence *core);
void walk_step(struct presence *core, const struct presence_event *event,
	struct presence_effects *effects);
/* subject or device is about to leave its list. */
void walk_skip_subject(struct presence *core, const struct subject *subject);
void walk_skip_device(struct presence *core, const struct device *device);

#endif
