/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
#ifndef PRESENCE_STORE_REDIS_STATE_H
#define PRESENCE_STORE_REDIS_STATE_H

/* What the writer remembers. Private to redis_*.c. */

#include "store/redis/contribution.h"
#include "store/redis/problem.h"
#include "store/redis/queue.h"
#include "store/redis/scripts.h"
#include "store/redis/writer.h"

#define REDIS_SHA_MAX 41
#define REDIS_CURSOR_MAX 24
#define REDIS_CURSOR_BEGIN "o0" /* see page_get() in override_1.lua */
#define REDIS_CURSOR_SUBJECTS "s0"
#define REDIS_CURSOR_END "0"
#define REDIS_POST_AGAIN_MS 20 /* the broker has too much unread: try again after this */

enum redis_phase {
	REDIS_DOWN,
	REDIS_CONNECTING,
	REDIS_PREPARING,
	REDIS_REGISTERING,
	REDIS_READY,
	REDIS_HELD,
};

enum redis_kind {
	REDIS_AUTH,
	REDIS_SELECT,
	REDIS_INFO,
	REDIS_LOAD,
	REDIS_REGISTER,
	REDIS_APPLY,
	REDIS_REFRESH,
	REDIS_RENEW,
	REDIS_LEAVE,
	REDIS_SNAPSHOT,
	REDIS_SWEEP,
	REDIS_KINDS
};

/* Sent and unanswered. */
struct redis_command {
	struct redis_command *next;
	enum redis_kind kind;
	uint32_t place; /* the partition, or of REDIS_LOAD the script */
	uint64_t round; /* of registering: answers to older rounds say nothing about the new one */
	struct redis_items items;
	int64_t rev; /* the highest in items */
	int64_t sent_ms;
	uint64_t end; /* when so many bytes were dropped from out, all of it has gone */
	bool is_void; /* its items were taken back: the one before it failed */
};

struct redis_partition {
	char *meta_key;
	struct redis_items waiting;   /* all but REFRESH, not in flight */
	struct redis_items refreshes; /* not in flight */
	uint64_t unsure; /* of waiting, the first ones were sent once and may have been applied */
	int64_t epoch, gen;  /* 0: never registered */
	int64_t boot_epoch;  /* the first one */
	int64_t floor;       /* entries of this node with an older epoch are left over */
	int64_t acked, sent; /* seq */
	int64_t batch_ms;    /* when the last batch went */
};

/* A reply read bit by bit, because the broker takes only so many messages at once. */
struct redis_page {
	redisReply *reply; /* NULL: none */
	size_t row, part;
	uint32_t partition;
	char cursor[REDIS_CURSOR_MAX];
	bool asked;
};

/* Everything is to be said again, and what was not said then goes down. */
enum redis_resync {
	REDIS_RESYNC_NONE,
	REDIS_RESYNC_WANTED,   /* PRESENCE_RESYNC to be posted */
	REDIS_RESYNC_ASKED,    /* it is; PRESENCE_RESYNCED will come */
	REDIS_RESYNC_DRAINING, /* it came; all before it is to be answered */
	REDIS_RESYNC_SWEEPING,
};

struct redis_writer {
	const struct redis_writer_config *config;
	struct mailbox *box;
	struct redis_out out;
	struct redis_partition *partitions;
	int64_t now_ms, wall_ms;

	enum redis_phase phase;
	bool close;        /* the connection is of no more use */
	int64_t retry_ms;  /* down, held: when to try again */
	int64_t ready_ms;  /* since when ready */
	unsigned failures; /* in a row */
	uint64_t random;
	struct redis_said said;

	struct redis_command *first, *last;
	int64_t moved_ms; /* when Redis last took or gave something */
	unsigned batches; /* of them, APPLY and REFRESH */
	unsigned loading; /* SCRIPT LOAD unanswered */
	unsigned reloads; /* in this connection */
	char sha[REDIS_SCRIPTS][REDIS_SHA_MAX];

	uint64_t round;
	uint32_t registering; /* REGISTER unanswered in this round */
	bool registered_once; /* this boot has held the node */
	bool resync_found;    /* in this round */
	bool resync_first;    /* to begin when registered */
	int64_t renew_ms, beat_ms;

	struct redis_items inbox; /* taken, not yet given to a partition */
	int64_t retain_ms;        /* the longest an offline record was asked to live */
	int64_t rev_seen, rev_posted;

	bool snapshot_done;
	struct redis_page snapshot;
	enum redis_resync resync;
	bool resync_again;
	uint64_t resync_request; /* the number of ours: mailbox_requests() */
	struct redis_page sweep;
	int64_t sweep_again_ms; /* 0: all of it was looked at */

	struct redis_items quarantine;
	int64_t quarantine_ms, quarantine_wait_ms;
	bool quarantine_lost;

	unsigned goodbyes; /* LEAVE unanswered */
	bool left;
	struct store_stats stats;
};

/* command.c */
/* The beginning of a script call with extra arguments still to be written; NULL: no memory, and
 * the connection is to be closed. */
struct redis_command *redis_script_begin(struct redis_writer *writer, enum redis_kind kind,
	enum redis_script script, uint32_t partition, size_t extra);
struct redis_command *redis_command_begin(
	struct redis_writer *writer, enum redis_kind kind, uint32_t place, size_t count);
/* Takes command. Not all of it may have found memory: the connection is to be closed then, and
 * command counts as sent till then, so that what it carries goes back in its order. */
void redis_command_end(struct redis_writer *writer, struct redis_command *command);
/* The oldest one, which is the caller's then. There is one. */
struct redis_command *redis_command_take(struct redis_writer *writer);
void redis_command_destroy(struct redis_command *command);
/* Of one partition's stream. */
uint64_t redis_stream_length(const struct redis_writer *writer);

/* What a reply says. The word of an array; "" for anything else. */
const char *redis_word(const redisReply *reply);
/* An element as number, below 2^53, or text: 0, or "", when there is no such. */
int64_t redis_number_at(const redisReply *reply, size_t place);
const char *redis_text_at(const redisReply *reply, size_t place);

/* writer.c */
/* Ends the connection because of problem. */
void redis_fail(struct redis_writer *writer, const struct redis_problem *problem);
/* Because Redis answers command with error. */
void redis_fail_error(
	struct redis_writer *writer, const struct redis_command *command, const char *error);
/* Answers that mean the same whatever the question: an error, FENCED, LOST. True: handled. */
bool redis_refused(
	struct redis_writer *writer, const struct redis_command *command, const redisReply *reply);
void redis_rev_seen(struct redis_writer *writer, int64_t rev);

/* prepare.c */
void redis_prepare(struct redis_writer *writer);
void redis_prepare_reply(
	struct redis_writer *writer, const struct redis_command *command, const redisReply *reply);
/* Redis does not know a script: load them again, once. */
void redis_reload(struct redis_writer *writer);

/* register.c */
void redis_register(struct redis_writer *writer);
void redis_register_reply(
	struct redis_writer *writer, const struct redis_command *command, const redisReply *reply);
/* Waits until the one who fenced us is gone. */
void redis_hold(struct redis_writer *writer, const struct redis_problem *problem, int64_t wait_ms,
	const char *detail);
/* reply: TYPE, of a key that all need. */
void redis_hold_type(struct redis_writer *writer, const redisReply *reply);
void redis_fenced_by(
	struct redis_writer *writer, const char *host, const char *pid, int64_t left_ms);
void redis_renew_step(struct redis_writer *writer);
void redis_leave_step(struct redis_writer *writer);
void redis_renew_reply(
	struct redis_writer *writer, const struct redis_command *command, const redisReply *reply);

/* batch.c */
void redis_batch_step(struct redis_writer *writer);
/* When what waits for company goes; INT64_MAX: nothing does. */
int64_t redis_batch_deadline(const struct redis_writer *writer);
/* Gives what was taken from the mailbox to the partitions. */
void redis_batch_take(struct redis_writer *writer);
void redis_apply_reply(
	struct redis_writer *writer, struct redis_command *command, const redisReply *reply);
void redis_refresh_reply(
	struct redis_writer *writer, struct redis_command *command, const redisReply *reply);
/* command's items, and those of all sent after it in its partition, wait again. */
void redis_batch_requeue(struct redis_writer *writer, struct redis_command *command);
size_t redis_batch_held(const struct redis_writer *writer);

/* quarantine.c */
/* reply: TYPE. Of the items of partition, those of the subjects it names. */
void redis_quarantine_put(
	struct redis_writer *writer, struct redis_command *command, const redisReply *reply);
bool redis_quarantine_has(const struct redis_writer *writer, const struct store_item *item);
void redis_quarantine_step(struct redis_writer *writer);

/* snapshot.c */
void redis_snapshot_step(struct redis_writer *writer);
void redis_snapshot_reply(
	struct redis_writer *writer, const struct redis_command *command, redisReply *reply);
void redis_page_reset(struct redis_page *page);
/* What was asked for has been read: on to the next cursor, or partition. First come all overrides,
 * then all subjects; then partition is partitions. */
void redis_page_next(struct redis_page *page, uint32_t partitions);

/* sweep.c */
void redis_resync_begin(struct redis_writer *writer);
/* With a new epoch: what was missed is unknown. */
void redis_resync_anew(struct redis_writer *writer);
void redis_resync_said(struct redis_writer *writer, uint64_t answers);
void redis_resync_step(struct redis_writer *writer);
/* When to look again; INT64_MAX: no need. */
int64_t redis_sweep_deadline(const struct redis_writer *writer);
void redis_sweep_reply(
	struct redis_writer *writer, const struct redis_command *command, redisReply *reply);
/* Asks for the subject to be said again; PRESENCE_ENOMEM: later. */
int redis_assert(struct redis_writer *writer, const char *role, const char *id);

#endif
