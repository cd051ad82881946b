/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
#ifndef PRESENCE_CLIENT_INTERNAL_H
#define PRESENCE_CLIENT_INTERNAL_H

/* Inside libpresence. One lock guards all of a client. With it held nothing is called that could
 * call back: what is to be sent waits in the outbox, what is to be told in the notices, until
 * client_leave(). */

#include <mosquitto.h>
#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "client-sdk/c/presence_client.h"
#include "core/presence.h"
#include "core/table.h"
#include "wire/topic.h"

#define CONTROL_TOPIC "$CONTROL/presence/v1"
#define RESPONSE_TOPIC CONTROL_TOPIC "/response"
#define DIGEST_TOPIC "$SYS/broker/presence/digest/"

enum {
	PENDING_MAX = 1024,      /* answers awaited */
	OUTBOX_MAX = 1 << 20,    /* messages that wait to be sent */
	ROLES_MAX = 4096,        /* of whom something is known */
	TYPISTS_MAX = 4096,      /* who type now, in all conversations watched */
	CONVERSATIONS_MAX = 256, /* watched */
	DIGEST_WAIT_MS = 11000,  /* by then the broker has said a newer one, if there is any */
	DIGEST_AUDIT_MS = 20000, /* without one for so long it is asked for: it may be cut, too */
	AUDIT_MS = 60000, /* from one look at single subjects, which have none, to the next */
	SNAPSHOT_MIN_MS =
		20000, /* from one repair to the next, doubled each time it does not help */
	SNAPSHOT_MAX_MS = 3600000,
	STABLE_MS = 10000, /* a connection that lasted this long starts the retries afresh */
	SENT_MS = 60000,   /* for so long it is known that a subscription awaits its answer */
	TYPING_MS = 6000,  /* not heard of again for so long, somebody stopped */
	TICK_MAX_MS = 1000,
};

/* Something that is watched. It is subscribed to unless a wider one is, and was not refused. */
struct scope {
	bool wanted;
	bool ready;     /* on this connection all that was retained has come once */
	bool refused;   /* the broker does not let this client read it: nothing is known */
	uint64_t fence; /* whose answer tells that of the last subscription */
};

struct sum {
	uint64_t count, xor_of_hashes;
};

struct role {
	struct table_node by_name;
	struct role *next; /* of all */
	struct scope scope;
	struct sum known, confirmed; /* over its entries that have a rev */
	int64_t rev;                 /* the highest since it was subscribed to */
	bool judged;                 /* what came when it was last subscribed to */
	bool is_told, told_now;      /* there is a last digest; it is of this connection */
	struct sum told;
	int64_t told_rev;
	unsigned disagreed; /* digests, in a row */
	bool doubted, asked;
	uint64_t asked_fence; /* this one's answer comes behind the digest asked for, if any */
	int64_t agreed_ms;    /* wall clock: when a digest last agreed */
	int64_t recheck_ms, snapshot_ms,
		snapshot_gap_ms; /* when a digest, a repair may be asked for */
	char name[];
};

struct entry {
	struct table_node by_name;
	struct entry *next, **link; /* of all */
	struct role *role;
	struct scope scope;
	bool has;       /* the application knows of it */
	bool confirmed; /* heard of since it was last subscribed to; or that there is no record */
	bool asked;     /* a question about it is on its way */
	bool plain;     /* a birth message or will, not a record */
	enum presence_status status, previous;
	enum presence_reason reason;
	enum presence_source source;
	uint32_t devices;
	int64_t since_ms, last_seen_ms, until_ms, rev;
	int64_t sure_ms;   /* without what the connection and the digest say: entry_sure() */
	char *note, *node; /* NULL: none */
	char id[];
};

enum purpose { FOR_APPLICATION, FOR_FENCE, FOR_QUESTION, FOR_ITSELF };

/* A command that waits for its answer. */
struct pending {
	struct pending *next;
	enum purpose purpose;
	uint64_t number, fence;
	int64_t deadline_ms;
	presence_client_done *done;
	void *context;
	char command[32];
};

enum out_type { OUT_PUBLISH, OUT_SUBSCRIBE, OUT_UNSUBSCRIBE };
struct out {
	struct out *next;
	enum out_type type;
	bool retain;
	int mid; /* of a subscription that was sent */
	int64_t sent_ms;
	size_t length;
	const char *payload; /* behind topic */
	char topic[];
};

enum notice_type { TELL_CONNECTION, TELL_TRANSITION, TELL_TYPING, TELL_PROBLEM, TELL_DONE };
struct notice {
	struct notice *next;
	enum notice_type type;
	enum presence_client_error error;
	int64_t retry_ms;
	bool active;
	presence_client_done *done;
	void *context;
	struct presence_client_record record;
	const char *text[4]; /* in bytes, or NULL */
	char bytes[];
};

struct conversation {
	struct conversation *next;
	char name[];
};

struct typist {
	struct typist *next;
	int64_t until_ms;
	bool recording;
	const char *role, *id; /* behind conversation */
	char conversation[];
};

/* What the device says it is doing. */
struct declared {
	bool meant;            /* the application said something */
	bool said, has_status; /* said: to the broker, on this connection */
	enum presence_status status;
	char note[PRESENCE_NOTE_MAX + 1];
	presence_client_done *done;
	void *context;
};

struct presence_client {
	/* Fixed at creation. */
	struct presence_client_callbacks callbacks;
	void *context;
	char *role, *id, *client_id, *host, *topic, *typing_topic, *own_topic; /* own: or NULL */
	int port, keepalive_s;
	int64_t heartbeat_ms, retry_min_ms, retry_max_ms, timeout_ms;
	size_t subjects_max;
	bool with_birth, is_own; /* the connection is the library's */
	struct mosquitto *mosquitto;
	uint8_t hash_key[16];

	pthread_mutex_t lock;
	/* The rest with the lock held. */
	bool connected, ended, leaving, destroyed, problem_told;
	bool plugin_seen, answered;        /* on this connection: records or digests; commands */
	bool plugin_awaited;               /* there was one on the last connection */
	int64_t connected_ms, retained_ms; /* monotonic; when the last retained record came */
	int64_t heard_ms;                  /* wall clock */
	unsigned attempts;
	int64_t retry_ms;

	struct declared declared;
	int64_t heartbeat_due_ms, audit_due_ms;
	bool say_again; /* memory was short when everything was to be said */

	struct table entries, roles;
	struct role *first_role;
	struct entry *first_entry;
	struct scope everybody;
	struct conversation *conversations;
	size_t conversation_count, typist_count;
	struct typist *typists;

	uint64_t fence_next; /* what is subscribed to now is here when this one is answered */
	uint64_t fence_answered;
	bool fence_wanted, fence_pending;

	uint64_t number;
	struct pending *pending, **pending_end;
	size_t pending_count;

	struct out *outbox, **outbox_end;
	size_t outbox_count;
	struct out *sent, **sent_end; /* subscriptions without an answer yet */
	bool flushing, subscribing;
	pthread_cond_t subscribed; /* no longer subscribing */
	struct notice *notices, **notices_end;
	bool delivering;

	/* The library's own connection. */
	pthread_t thread;
	bool running, stopping;
	int wake_fd;
};

/* client.c */
void client_enter(struct presence_client *client);
/* Unlocks, and sends what waits. With tell, also calls back. */
void client_leave(struct presence_client *client, bool tell);
int64_t now_ms(void);  /* monotonic */
int64_t wall_ms(void); /* since 1970 */
int64_t random_below(int64_t limit);

/* outbox.c. PRESENCE_CLIENT_ENOMEM, _EFULL; nothing happens when there is no connection. */
int out_publish(
	struct presence_client *client, const char *topic, const char *payload, bool retain);
int out_subscribe(struct presence_client *client, const char *filter);
int out_unsubscribe(struct presence_client *client, const char *filter);
/* What waits, and what awaits its answer. */
void out_clear(struct presence_client *client);
void out_flush(struct presence_client *client); /* without the lock */

/* notice.c. NULL: out of memory. Texts are copied. */
struct notice *notice_create(enum notice_type type, const char *const text[4]);
void notice_add(struct presence_client *client, struct notice *notice);
void notices_deliver(struct presence_client *client); /* without the lock */
void notices_clear(struct presence_client *client);
/* What the library did by itself was refused; told once per connection. */
void tell_problem(struct presence_client *client, const char *what, const char *words);

/* session.c */
void session_begin(struct presence_client *client);
void session_end(
	struct presence_client *client, enum presence_client_error error, const char *words);
int session_leave(struct presence_client *client);
int64_t session_tick(struct presence_client *client);

/* say.c */
int say_everything(struct presence_client *client);
/* Whoever waits to be told of what was declared waits no more. */
void say_give_up(struct presence_client *client);
bool say_beats(const struct presence_client *client);
int say_heartbeat(struct presence_client *client, enum purpose purpose);

/* command.c */
struct json_object;
/* The message with one command, which correlation (NULL: none) is added to; the text is to be
 * freed. PRESENCE_CLIENT_EINVAL: the plugin would refuse it. */
int command_message(struct json_object *command, const char *correlation, char **message);
/* Takes command, also on error; NULL: out of memory. done may be NULL. */
int command_send(struct presence_client *client, struct json_object *command, enum purpose purpose,
	presence_client_done *done, void *context);
struct json_object *command_create(const char *name);
bool command_add_string(struct json_object *command, const char *key, const char *value);
bool command_add_seconds(struct json_object *command, const char *key, int64_t ms);

/* answer.c */
/* True when one of the replies was awaited here. */
bool answers_read(struct presence_client *client, const char *payload, size_t length);
void answers_expire(struct presence_client *client, int64_t now);
void answers_give_up(struct presence_client *client, enum presence_client_error error);
int64_t answers_next_ms(const struct presence_client *client);

/* entry.c */
void record_of(const struct presence_client *client, const struct entry *entry,
	struct presence_client_record *record);
/* The widest that is watched, was not refused and has this in it; NULL: none. role and entry may be
 * NULL. */
const struct scope *widest(
	const struct presence_client *client, const struct role *role, const struct entry *entry);
/* Whether the application wants to know of it, refused or not. */
bool is_watched(
	const struct presence_client *client, const struct role *role, const struct entry *entry);
struct entry *entry_find(struct presence_client *client, const char *role, const char *id);
int entry_get_or_add(
	struct presence_client *client, const char *role, const char *id, struct entry **entry);
/* The record is now this; node: NULL for none. PRESENCE_CLIENT_ENOMEM: nothing has changed. */
int entry_update(struct presence_client *client, struct entry *entry,
	const struct presence_record *record, const char *node, bool plain);
/* There is no record any more. Unless it is watched by itself the entry is gone, too. */
int entry_forget(struct presence_client *client, struct entry *entry);
void entry_unconfirm(struct presence_client *client, struct entry *entry);
void entry_confirm(struct presence_client *client, struct entry *entry);
void entry_remove(struct presence_client *client, struct entry *entry);
void entries_clear(struct presence_client *client);
struct role *role_find(struct presence_client *client, const char *name);
int role_get_or_add(struct presence_client *client, const char *name, struct role **role);
/* Calls visit for every entry, which it may remove. */
typedef void entry_visit(struct presence_client *client, struct entry *entry, void *context);
void entries_each(struct presence_client *client, entry_visit *visit, void *context);

/* watch.c */
int watch_subscribe_all(struct presence_client *client);
int watch_snapshot(struct presence_client *client, struct role *role);
/* Subscribes again to single subjects of role; NULL: of all. */
int watch_audit(struct presence_client *client, const struct role *role);
int watch_recheck(struct presence_client *client, struct role *role);
/* Sends the one command whose answer tells that what was subscribed to before it is here. */
int watch_send_fence(struct presence_client *client);
void watch_fence_answered(struct presence_client *client, uint64_t fence);
/* What is narrower, and watched, is subscribed to instead: that may be allowed. */
void watch_refused(struct presence_client *client, const char *filter);
void watch_lost(struct presence_client *client);

/* ask.c */
/* Asks the plugin about those who are watched by themselves and did not come: a broker may leave
 * out what is retained, and they have no digest that would tell. */
int ask_singles(struct presence_client *client);
/* data: of the reply; NULL: there is none, and the next audit asks again. */
void ask_answered(struct presence_client *client, const char *data);

/* digest.c */
/* All that was retained has come, or all the broker let through: the last digest tells. */
void digest_judge(struct presence_client *client, struct role *role);
/* It was asked for and did not come. That of a connection before then tells of a broker that is no
 * more: this one has had no record of the role. */
void digest_missing(struct role *role);
void digest_heard(struct presence_client *client, const char *role, bool retained,
	const char *payload, size_t length);

/* typing.c */
int typing_subscribe_all(struct presence_client *client);
bool typing_heard(
	struct presence_client *client, const char *topic, const char *payload, size_t length);
void typing_expire(struct presence_client *client, int64_t now);
void typing_lost(struct presence_client *client);
void typing_clear(struct presence_client *client);

/* message.c */
struct subject {
	char role[PRESENCE_ID_MAX + 1], id[PRESENCE_ID_MAX + 1];
};
/* False: the topic is of no subject under base. */
bool subject_read(const char *base, const char *topic, struct subject *subject);
void record_heard(struct presence_client *client, const char *role, const char *id,
	const struct presence_record *record, const char *node, bool plain);
bool message_read(struct presence_client *client, const struct mosquitto_message *message);

/* thread.c */
int thread_create(struct presence_client *client, const struct presence_client_config *config);
void thread_wake(struct presence_client *client);
void thread_destroy(struct presence_client *client);

#endif
