/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
#ifndef PRESENCE_CORE_STATE_H
#define PRESENCE_CORE_STATE_H

/* What the core remembers. Private to lib/core. */

#include "core/deadline.h"
#include "core/presence.h"
#include "core/table.h"

struct role {
	struct table_node by_name;
	uint64_t subjects;
	uint64_t online; /* of them, not published as offline */
	char name[];
};

struct subject {
	struct table_node by_name;
	struct subject *next, *previous; /* in state.all */
	struct role *role;
	struct device *devices; /* up or lingering */
	/* Restored: when it is judged at the latest, in waiting. Gone: since when, in offline[]. */
	struct deadline due;
	uint32_t device_count;
	uint32_t published_devices;
	int64_t since_ms, last_seen_ms;
	int64_t rev; /* 0: never published */
	uint8_t status, previous_status, reason, source;
	bool judge; /* restored and not yet published in this boot */
	bool unmatched;
	char id[];
};

struct device {
	struct device *next;
	struct subject *subject;
	struct session *sessions; /* live ones, or a single lingering one */
	int64_t last_seen_ms;
	bool restored; /* not seen in this boot yet: its return is stored again */
	char name[];
};

struct session {
	struct table_node by_token; /* hashed by the token itself: we mint those */
	struct table_node by_client;
	struct session *next;
	struct device *device;
	struct deadline due; /* lingering: until when */
	uint8_t reason;      /* lingering: why the device will be down */
	bool live;
	bool restored; /* stands for one of an earlier boot: in no table */
};

/* What a struct deadline is part of and waits for. */
enum deadline_kind { DUE_SESSION, DUE_JUDGE, DUE_FORGET };
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
	struct deadlines waiting;                /* lingering sessions and restored subjects */
	struct deadlines offline[OFFLINE_KINDS]; /* by when they went offline: oldest first */
	int64_t boot_ms;
	int64_t rev;         /* the last one minted or seen */
	int64_t tick_ms;     /* of the last tick */
	int64_t settle_ms;   /* after a stall nothing settles before this */
	int64_t refresh_ms;  /* when the next refresh walk starts */
	struct walk refresh; /* extends the life of whom is online */
	struct walk say;     /* says again what is known */
	struct device
		*say_device; /* the next one of say.next to be said; meaningful if say_begun */
	bool say_begun;      /* some of say.next has been said */
	bool say_everything; /* say.next ends with PRESENCE_RESYNCED */
	unsigned say_targets;
	/* What the last effects borrow from; freed by the next step. */
	struct subject *gone_subject;
	struct device *gone_device;
};

/* subject.c: subjects and what is published of them */
struct subject *subject_find(const struct presence *core, const char *role, const char *id);
/* Linked in, but not published. NULL when out of memory; nothing has changed then. */
struct subject *subject_add(
	struct presence *core, const char *role, const char *id, bool unmatched);
/* The subject that is offline longest; NULL: none is offline. */
struct subject *subject_offline_longest(const struct presence *core);
/* Moves it to the end of the walks' way. */
void subject_move_last(struct presence *core, struct subject *subject);
/* When the next subject is to be forgotten; INT64_MAX: none is offline. */
int64_t subject_forget_deadline(const struct presence *core, struct subject **next);
void subject_evidence(struct subject *subject, int64_t wall_ms);
/* Adds PRESENCE_PUBLISH if what is published has changed, or subject is to be judged. Returns the
 * rev published before. */
int64_t subject_settle(struct presence *core, struct subject *subject,
	const struct presence_event *event, enum presence_reason reason,
	struct presence_effects *effects);
/* The same record under a new rev. */
void subject_publish_again(struct presence *core, struct subject *subject,
	const struct presence_event *event, struct presence_effects *effects);
void subject_record(const struct subject *subject, struct presence_record *record);
/* It must have no devices. */
void subject_forget(struct presence *core, struct subject *subject, int64_t now_ms,
	struct presence_effects *effects);
void subject_destroy(struct presence *core, struct subject *subject);
/* It is to be judged at that time. */
void subject_wait(struct presence *core, struct subject *subject, int64_t at_ms);
/* An effect of that type about subject, for the caller to complete. */
struct presence_effect *effect_add(struct presence *core, struct presence_effects *effects,
	enum presence_effect_type type, const struct subject *subject, int64_t now_ms);
void effect_add_store(struct presence *core, struct presence_effects *effects,
	const struct subject *subject, const struct device *device, enum presence_status rank,
	int64_t previous_rev, int64_t now_ms);

/* session.c: connections come and go */
int session_connect(struct presence *core, const struct presence_event *event,
	struct presence_effects *effects);
int session_disconnect(struct presence *core, const struct presence_event *event,
	struct presence_effects *effects);
int session_seen(struct presence *core, const struct presence_event *event);
void session_linger(struct presence *core, struct session *session, enum presence_reason reason,
	int64_t until_ms);
/* The session has lingered long enough. */
void session_expire(struct presence *core, struct session *session,
	const struct presence_event *event, struct presence_effects *effects);
void session_destroy(struct presence *core, struct session *session);

/* device.c */
struct device *device_find(const struct subject *subject, const char *name);
struct device *device_create(const char *name);
void device_add(struct presence *core, struct subject *subject, struct device *device);
/* Unlinked; its memory lives until the next step. It must have no sessions. */
void device_remove(struct presence *core, struct device *device);
/* Room for one more session and one more subject in every heap: PRESENCE_ENOMEM, or 0. */
int state_reserve(struct presence *core);
uint64_t state_hash(const struct presence *core, const char *first, const char *second);

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
void walk_say_everything(struct presence *core, unsigned targets);
/* When a walk has something to do; INT64_MAX: nothing. */
int64_t walk_deadline(const struct presence *core);
void walk_step(struct presence *core, const struct presence_event *event,
	struct presence_effects *effects);
/* subject or device is about to leave its list. */
void walk_skip_subject(struct presence *core, const struct subject *subject);
void walk_skip_device(struct presence *core, const struct device *device);

#endif
