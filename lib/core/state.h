/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
#ifndef PRESENCE_CORE_STATE_H
#define PRESENCE_CORE_STATE_H

/* What the core remembers. Private to lib/core. */

#include <assert.h>
#include <string.h>

#include "core/deadline.h"
#include "core/index.h"
#include "core/pool.h"
#include "core/presence.h"
#include "core/when.h"

#define PRESENCE_STATUS(number, name, word) +1
enum {
	PRESENCE_STATUSES = 0
#include "core/statuses.def"
};
#undef PRESENCE_STATUS

/* Objects live in core->pool and know each other by their 32-bit numbers there, 0 being none: half
 * the size of pointers. role_at() and its like make the pointer. Objects do not move. What follows
 * is laid out without holes: a device with its subject and session is 152 bytes and two names. */

struct role {
	uint32_t self, hash;
	uint64_t subjects;
	uint64_t published[PRESENCE_STATUSES]; /* records, by status */
	char name[];
};

struct subject {
	uint32_t self, role;
	uint32_t next, previous; /* in the order of walks */
	uint32_t devices;        /* those that have a session, up or not */
	uint32_t extras;
	int64_t rev; /* 0: not published */
	/* Its kind says for what. While status is offline and judge is not set, its time is since
	 * when, whether or not it waits for anything. */
	struct deadline due;
	/* As published: */
	struct when since, last_seen;
	uint16_t published_devices;
	uint8_t status : 2, previous_status : 2, source : 2;
	bool judge : 1; /* restored and not yet published in this boot */
	bool unmatched : 1;
	bool say_topic : 1; /* to be published again when the walk comes to it */
	enum presence_reason reason : 7;
	char id[];
};

/* What few subjects have. Once there it stays. */
struct extras {
	uint32_t override, activities;
	uint64_t published_note; /* its hash; 0: none */
	int64_t published_until_ms;
	uint32_t declarations; /* counts them, so that the latest is known */
};

enum { UNDECLARED = 0xff };

struct device {
	uint32_t self, subject;
	uint32_t next;
	uint32_t sessions;    /* live ones, or a single lingering one */
	uint32_t note;        /* a text */
	uint32_t declaration; /* its place among the subject's */
	struct when last_seen;
	struct when active; /* last activity, on the clock of now_ms */
	uint8_t declared;   /* a status, or UNDECLARED */
	uint8_t stored;     /* its contribution, as last stored */
	uint8_t shown;      /* on its own topic, where lingering does not count */
	bool idle : 1;
	bool restored : 1;    /* not seen in this boot yet: its return is stored again */
	bool note_is_new : 1; /* not yet stored */
	char name[];
};

struct session {
	uint32_t device;
	uint32_t next; /* of device's: there, session_number() finds its own number */
	uint64_t client_hash;
	uint64_t token;
	struct deadline
		due; /* lingering: until when; live: what comes first of beat and idleness */
	struct when beat_by; /* it beats: without one until then it is silent */
	uint8_t reason;      /* why the device will be down; live: its will's, once that is known */
	bool beats : 1;
	bool live : 1;
	bool silent : 1;   /* live, but it left or stopped beating: as good as gone */
	bool restored : 1; /* stands for one of an earlier boot: in no index */
};

static_assert(
	offsetof(struct subject, id) + offsetof(struct device, name) + sizeof(struct session) <=
		152,
	"there are millions of them");

struct override {
	uint32_t self, subject;
	struct deadline due; /* when it expires */
	int64_t until_ms, rev;
	uint8_t what; /* enum presence_override */
	bool restored;
	char note[];
};

/* Somebody types in a conversation. Kept for a while after its end, so that it is not shown anew
 * too soon. */
struct activity {
	uint32_t self, subject;
	uint32_t next;
	uint8_t kind, shown_kind;
	bool active, shown;
	struct deadline due;
	uint64_t token; /* of whose session */
	int64_t until_ms, published_ms;
	char conversation[];
};

/* What a struct deadline is part of and waits for. */
enum deadline_kind {
	DUE_LINGER, /* a session's grace ends */
	DUE_LIVE,   /* a session must have beaten, or be idle */
	DUE_OVERRIDE,
	DUE_ACTIVITY,
	DUE_JUDGE,         /* a restored subject, at the latest */
	DUE_JUDGE_OFFLINE, /* the same, of one that was offline */
	DUE_CLEAR,         /* what is published of a subject that must be remembered: in clear[] */
	DUE_FORGET,        /* a subject that need not be: in forget[] */
};
enum { OFFLINE_MATCHED, OFFLINE_UNMATCHED, OFFLINE_KINDS };

/* A walk over all subjects, a bounded number of them per step. */
struct walk {
	uint32_t next; /* 0: not walking */
};

struct presence {
	struct presence_config config;
	struct presence_counts counts;
	struct pool pool;
	struct index roles, subjects, tokens, clients;
	uint32_t first, last;     /* of all subjects; walks go from first to last */
	struct deadlines waiting; /* all kinds but the following */
	/* By when they went offline, oldest first: subjects to be forgotten, and to be cleared. */
	struct deadlines forget[OFFLINE_KINDS], clear[OFFLINE_KINDS];
	int64_t boot_ms;
	int64_t rev;         /* the last one minted or seen */
	int64_t tick_ms;     /* of the last tick */
	int64_t settle_ms;   /* after a stall nothing settles before this */
	int64_t refresh_ms;  /* when the next refresh walk starts */
	struct walk refresh; /* extends the life of whom is online */
	struct walk say;     /* says again what is known */
	uint32_t say_device; /* of say.next the next to be said; means something if say_begun */
	bool say_begun;      /* some of say.next has been said */
	bool say_resynced;   /* a store waits for PRESENCE_RESYNCED, at the end of say.next */
	unsigned say_targets;
	/* What the last effects borrow from; freed by the next step. */
	uint32_t gone_subject, gone_device, gone_override, gone_activity, gone_note;
};

/* role_at() and its like: the pool's memory as what it is. NULL for 0. */
#define OBJECT_AT(type)                                                                    \
	static inline struct type *type##_at(const struct presence *core, uint32_t number) \
	{                                                                                  \
		return pool_at(&core->pool, number);                                       \
	}
OBJECT_AT(role)
OBJECT_AT(subject)
OBJECT_AT(device)
OBJECT_AT(session)
OBJECT_AT(override)
OBJECT_AT(activity)
#undef OBJECT_AT

/* NULL: it never had any. */
static inline struct extras *extras_of(const struct presence *core, const struct subject *subject)
{
	return pool_at(&core->pool, subject->extras);
}

static inline const char *text_at(const struct presence *core, uint32_t number)
{
	return pool_at(&core->pool, number);
}

/* NULL: none. */
static inline struct override *subject_override(
	const struct presence *core, const struct subject *subject)
{
	const struct extras *extras = extras_of(core, subject);
	return extras ? override_at(core, extras->override) : NULL;
}

/* Nothing that happens to it may be seen. */
static inline bool subject_is_hidden(const struct presence *core, const struct subject *subject)
{
	const struct override *override = subject_override(core, subject);
	return override && override->what == PRESENCE_OVERRIDE_INVISIBLE;
}

/* An index knows a keyed hash by half of its bits. */
static inline uint32_t index_hash(uint64_t hash)
{
	return (uint32_t)(hash >> 32);
}

/* Takes the size of a struct that ends with text, and text itself. */
#define SIZE_WITH(type, member, text) (offsetof(struct type, member) + strlen(text) + 1)

/* aggregate.c: what devices and override amount to */
struct aggregate {
	enum presence_status status;
	enum presence_source source;
	uint32_t devices;
	const char *note; /* borrowed; NULL: none */
	int64_t until_ms;
};
void aggregate(
	const struct presence *core, const struct subject *subject, struct aggregate *result);
/* What a device contributes; PRESENCE_OFFLINE: nothing. */
enum presence_status device_rank(const struct presence *core, const struct device *device);
/* The same as seen this moment, without grace. */
enum presence_status device_shown(const struct presence *core, const struct device *device);
/* role.c */
/* NULL: nobody of this role is known. */
struct role *role_find(const struct presence *core, const char *name);
/* NULL when out of memory. */
struct role *role_get_or_add(struct presence *core, const char *name);
/* It has no subjects any more. */
void role_remove(struct presence *core, struct role *role);

/* subject.c: subjects and what is published of them */
struct subject *subject_find(const struct presence *core, const char *role, const char *id);
struct subject *subject_find_hashed(
	const struct presence *core, uint32_t hash, const char *role, const char *id);
uint32_t subject_hash(const struct presence *core, const char *role, const char *id);
/* Linked in, but not published. NULL when out of memory; nothing has changed then. */
struct subject *subject_add(
	struct presence *core, const char *role, const char *id, bool unmatched);
/* It was just added, and is no more. */
void subject_take_back(struct presence *core, struct subject *subject);
/* Frees it. */
void subject_destroy(struct presence *core, struct subject *subject);
/* NULL when out of memory. */
struct extras *subject_extras(struct presence *core, struct subject *subject);
/* For one subject more. If *evicted is not NULL, it is to be forgotten for that: of those that need
 * not be remembered, the one that is offline longest. */
bool subject_has_room(const struct presence *core, struct subject **evicted);
/* To be called with -1 before its rev or status changes, and with 1 after that. */
void subject_count(struct presence *core, struct subject *subject, int by);
/* When the next subject is to be forgotten; INT64_MAX: none is offline. */
int64_t subject_forget_deadline(const struct presence *core, struct subject **next);
void subject_evidence(struct presence *core, struct subject *subject, int64_t wall_ms);
/* It is to be judged at that time; its status says where it waits. */
void subject_wait(struct presence *core, struct subject *subject, int64_t at_ms);
/* Adds PRESENCE_PUBLISH if what is published has changed, or subject is to be judged. Returns the
 * rev published before. */
int64_t subject_settle(struct presence *core, struct subject *subject,
	const struct presence_event *event, enum presence_reason reason,
	struct presence_effects *effects);
/* The same record under a new rev. */
void subject_publish_again(struct presence *core, struct subject *subject,
	const struct presence_event *event, struct presence_effects *effects);
void subject_record(
	const struct presence *core, const struct subject *subject, struct presence_record *record);
/* What is published of it is cleared; the subject goes too, unless it must be remembered. */
void subject_forget(struct presence *core, struct subject *subject,
	const struct presence_event *event, struct presence_effects *effects);
/* On the clock of now_ms, since when it is offline. */
int64_t subject_offline_ms(const struct subject *subject, const struct presence_event *event);
int64_t subject_retain_ms(const struct presence *core, const struct subject *subject);
uint64_t note_hash(const struct presence *core, const char *note);

/* effect.c */
/* An effect of that type about subject, for the caller to complete. */
struct presence_effect *effect_add(struct presence *core, struct presence_effects *effects,
	enum presence_effect_type type, const struct subject *subject,
	const struct presence_event *event);
/* device NULL: the record alone. */
void effect_add_store(struct presence *core, struct presence_effects *effects,
	const struct subject *subject, const struct device *device, int64_t previous_rev,
	const struct presence_event *event);
/* What is said of subject as a whole, under that rev; without an override: that it is no more. */
void effect_add_override(struct presence *core, struct presence_effects *effects,
	const struct subject *subject, int64_t rev, int64_t previous_rev,
	const struct presence_event *event);
/* What device shows on its own topic; offline when its subject is hidden. */
void effect_add_device(struct presence *core, struct presence_effects *effects,
	const struct device *device, enum presence_reason reason,
	const struct presence_event *event);

/* device.c */
/* *copy is 0 for no note and for an empty one. PRESENCE_ENOMEM, or 0. */
int note_copy(struct presence *core, const char *note, uint32_t *copy);
void note_free(struct presence *core, uint32_t note);
struct device *device_find(
	const struct presence *core, const struct subject *subject, const char *name);
struct device *device_create(struct presence *core, const char *name);
/* Frees it and its note. It is in no list; NULL does nothing. */
void device_destroy(struct presence *core, struct device *device);
uint32_t device_count(const struct presence *core, const struct subject *subject);
void device_add(struct presence *core, struct subject *subject, struct device *device);
/* Unlinked; its memory lives until the next step. It must have no sessions. */
void device_remove(struct presence *core, struct device *device);
void device_is_back(struct presence *core, struct device *device); /* it beats, or connects */
/* Something about device has changed: what of it differs from what was stored, shown and
 * published is stored, shown and published. Without a session left it goes. */
void device_settle(struct presence *core, struct device *device, const struct presence_event *event,
	enum presence_reason reason, struct presence_effects *effects);

/* session.c: connections come and go */
struct session *session_find(const struct presence *core, uint64_t token);
uint32_t session_number(const struct presence *core, const struct session *session);
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
/* Its memory lives until the next step. */
void override_remove(struct presence *core, struct subject *subject);
void override_free(struct presence *core, struct override *override);

/* activity.c: typing and recording */
int activity_note(struct presence *core, const struct presence_event *event,
	struct presence_effects *effects);
void activity_settle(struct presence *core, struct activity *activity,
	const struct presence_event *event, struct presence_effects *effects);
/* All of the session's, or with token 0 of the subject's, end with the next tick. */
void activity_end(struct presence *core, struct subject *subject, uint64_t token, int64_t now_ms);
/* Its memory lives until the next step. */
void activity_remove(struct presence *core, struct activity *activity);
void activity_free(struct presence *core, struct activity *activity);

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
/* Into the list of all subjects, where walks that are under way have passed, and out of it. */
void walk_link_first(struct presence *core, struct subject *subject);
void walk_unlink(struct presence *core, struct subject *subject);
/* device is about to leave its list. */
void walk_skip_device(struct presence *core, const struct device *device);

#endif
