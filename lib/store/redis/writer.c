/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
#include "store/redis/writer.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "store/redis/state.h"

enum {
	BACKOFF_MIN_MS = 100,
	BACKOFF_MAX_MS = 5000,
	BACKOFF_STEPS = 6,
	STEADY_MS = 5000, /* ready for so long, a loss is the first in a row again */
};

struct redis_writer *redis_writer_create(
	const struct redis_writer_config *config, struct mailbox *box)
{
	struct redis_writer *writer = calloc(1, sizeof(*writer));
	if (!writer)
		return NULL;
	writer->config = config;
	writer->box = box;
	writer->random = config->seed | 1;
	writer->retain_ms = config->ttl_ms;
	redis_page_reset(&writer->snapshot);
	redis_page_reset(&writer->sweep);
	writer->partitions = calloc(config->partitions, sizeof(*writer->partitions));
	size_t size = strlen(config->prefix) + sizeof(":{4294967295}:meta");
	for (uint32_t i = 0; writer->partitions && i < config->partitions; i++) {
		char *key = writer->partitions[i].meta_key = malloc(size);
		if (!key)
			goto no_memory;
		(void)snprintf(key, size, "%s:{%u}:meta", config->prefix, i); /* fits, see size */
	}
	if (writer->partitions)
		return writer;
no_memory:
	redis_writer_destroy(writer);
	return NULL;
}

void redis_writer_destroy(struct redis_writer *writer)
{
	if (!writer)
		return;
	while (writer->first)
		redis_command_destroy(redis_command_take(writer));
	for (uint32_t i = 0; writer->partitions && i < writer->config->partitions; i++) {
		struct redis_partition *partition = &writer->partitions[i];
		redis_items_destroy(&partition->waiting);
		redis_items_destroy(&partition->refreshes);
		free(partition->meta_key);
	}
	free(writer->partitions);
	redis_items_destroy(&writer->inbox);
	redis_items_destroy(&writer->quarantine);
	redis_page_reset(&writer->snapshot);
	redis_page_reset(&writer->sweep);
	redis_out_finish(&writer->out);
	free(writer);
}

struct redis_out *redis_writer_out(struct redis_writer *writer)
{
	return &writer->out;
}

void redis_writer_sent(struct redis_writer *writer, size_t count, int64_t now_ms)
{
	/* What goes after the oldest command says nothing of whether that one is on its way. */
	if (writer->first && writer->first->end > writer->out.dropped)
		writer->moved_ms = now_ms;
	redis_out_drop(&writer->out, count);
}

/* ---- the connection ---- */

bool redis_writer_wants_connection(const struct redis_writer *writer, int64_t now_ms)
{
	return writer->phase == REDIS_DOWN && !writer->left && now_ms >= writer->retry_ms;
}

void redis_writer_connecting(struct redis_writer *writer, int64_t now_ms)
{
	writer->phase = REDIS_CONNECTING;
	writer->retry_ms = now_ms + REDIS_REPLY_MS;
}

void redis_writer_connected(struct redis_writer *writer, int64_t now_ms)
{
	writer->now_ms = now_ms;
	writer->phase = REDIS_PREPARING;
	redis_prepare(writer);
}

bool redis_writer_wants_close(const struct redis_writer *writer)
{
	return writer->close;
}

/* xorshift64: only to keep brokers from knocking at the same moment. */
static int64_t jittered(struct redis_writer *writer, int64_t wait_ms)
{
	writer->random ^= writer->random << 13;
	writer->random ^= writer->random >> 7;
	writer->random ^= writer->random << 17;
	return wait_ms / 2 + (int64_t)(writer->random % (uint64_t)(wait_ms / 2 + 1));
}

static void back_off(struct redis_writer *writer, int64_t at_least_ms)
{
	unsigned steps = writer->failures < BACKOFF_STEPS ? writer->failures : BACKOFF_STEPS;
	int64_t wait_ms = (int64_t)BACKOFF_MIN_MS << steps;
	if (wait_ms > BACKOFF_MAX_MS)
		wait_ms = BACKOFF_MAX_MS;
	if (wait_ms < at_least_ms)
		wait_ms = at_least_ms;
	writer->failures++;
	writer->retry_ms = writer->now_ms + jittered(writer, wait_ms);
}

static void fail(
	struct redis_writer *writer, const struct redis_problem *problem, const char *detail)
{
	if (writer->close)
		return;
	writer->close = true;
	redis_say_problem(
		&writer->said, writer->box, writer->config->where, problem, detail, writer->now_ms);
	writer->stats.state = problem->level == STORE_ERROR ? STORE_FAILED : STORE_CONNECTING;
}

void redis_fail(struct redis_writer *writer, const struct redis_problem *problem)
{
	fail(writer, problem, NULL);
}

void redis_fail_error(
	struct redis_writer *writer, const struct redis_command *command, const char *error)
{
	const struct redis_problem *problem = redis_problem_of(error);
	char detail[REDIS_DETAIL_MAX];
	redis_detail_write(error, detail);
	/* Some errors repeat what was said, and AUTH says the password. */
	bool is_told = problem == &redis_unexpected && command->kind != REDIS_AUTH;
	fail(writer, problem, is_told ? detail : NULL);
}

void redis_writer_disconnected(struct redis_writer *writer, const char *why, int64_t now_ms)
{
	writer->now_ms = now_ms;
	if (writer->phase == REDIS_READY) {
		writer->stats.lost_connections++;
		if (now_ms - writer->ready_ms >= STEADY_MS)
			writer->failures = 0;
	}
	if (!writer->close) {
		redis_say_problem(&writer->said, writer->box, writer->config->where,
			&redis_unreachable, why, now_ms);
		writer->stats.state = STORE_CONNECTING;
	}
	while (writer->first) {
		struct redis_command *command = redis_command_take(writer);
		redis_batch_requeue(writer, command);
		redis_command_destroy(command);
	}
	redis_page_reset(&writer->snapshot);
	redis_page_reset(&writer->sweep);
	redis_out_drop(&writer->out, writer->out.length);
	writer->loading = writer->reloads = writer->registering = writer->goodbyes = 0;
	writer->close = false;
	writer->phase = REDIS_DOWN;
	back_off(writer,
		writer->said.recovered || !writer->said.problem ? 0
								: writer->said.problem->wait_ms);
}

/* ---- replies ---- */

void redis_rev_seen(struct redis_writer *writer, int64_t rev)
{
	if (rev > writer->rev_seen)
		writer->rev_seen = rev;
}

static void post_rev(struct redis_writer *writer)
{
	const struct presence_event event = {
		.type = PRESENCE_REV_SEEN,
		.rev = writer->rev_seen,
	};
	if (writer->rev_seen > writer->rev_posted && !mailbox_post_event(writer->box, &event))
		writer->rev_posted = writer->rev_seen;
}

bool redis_refused(
	struct redis_writer *writer, const struct redis_command *command, const redisReply *reply)
{
	if (reply->type == REDIS_REPLY_ERROR) {
		if (!strncmp(reply->str, "NOSCRIPT", 8))
			redis_reload(writer);
		else
			redis_fail_error(writer, command, reply->str);
		return true;
	}
	const char *word = redis_word(reply);
	bool fenced = !strcmp(word, "FENCED");
	if (!fenced && strcmp(word, "LOST") != 0)
		return false;
	/* Said of an epoch that we have given up since. */
	if (command->round != writer->round || writer->phase != REDIS_READY)
		return true;
	if (fenced && strcmp(redis_text_at(reply, 1), writer->config->boot) != 0)
		redis_fenced_by(writer, redis_text_at(reply, 2), redis_text_at(reply, 3), 0);
	else
		redis_register(writer);
	return true;
}

static void handle(struct redis_writer *writer, struct redis_command *command, redisReply **reply)
{
	switch (command->kind) {
	case REDIS_AUTH:
	case REDIS_SELECT:
	case REDIS_INFO:
	case REDIS_LOAD:
		redis_prepare_reply(writer, command, *reply);
		break;
	case REDIS_REGISTER:
		redis_register_reply(writer, command, *reply);
		break;
	case REDIS_APPLY:
		redis_apply_reply(writer, command, *reply);
		break;
	case REDIS_REFRESH:
		redis_refresh_reply(writer, command, *reply);
		break;
	case REDIS_RENEW:
	case REDIS_LEAVE:
		redis_renew_reply(writer, command, *reply);
		break;
	case REDIS_SNAPSHOT:
		redis_snapshot_reply(writer, command, *reply);
		*reply = NULL;
		break;
	case REDIS_SWEEP:
		redis_sweep_reply(writer, command, *reply);
		*reply = NULL;
		break;
	case REDIS_KINDS:
		break;
	}
}

void redis_writer_reply(struct redis_writer *writer, redisReply *reply, int64_t now_ms)
{
	writer->now_ms = writer->moved_ms = now_ms;
	if (!writer->first || writer->close) {
		/* An answer to nothing: not Redis, or a push that we did not ask for. */
		redis_fail(writer, &redis_not_redis);
	} else {
		struct redis_command *command = redis_command_take(writer);
		handle(writer, command, &reply);
		redis_command_destroy(command);
	}
	if (reply)
		freeReplyObject(reply);
}

/* ---- time ---- */

/* When Redis is given up that does not answer. On a slow link much may wait to be sent, and for its
 * answer: what counts is that something moves. */
static int64_t late_ms(const struct redis_writer *writer)
{
	if (!writer->first)
		return INT64_MAX;
	int64_t since_ms = writer->first->sent_ms;
	return (since_ms > writer->moved_ms ? since_ms : writer->moved_ms) + REDIS_REPLY_MS;
}

static void step_ready(struct redis_writer *writer)
{
	redis_quarantine_step(writer);
	redis_renew_step(writer);
	redis_snapshot_step(writer);
	redis_resync_step(writer);
	/* Only now: what has just ended may have kept the mailbox closed. */
	redis_batch_take(writer);
	redis_resync_step(writer);
	redis_batch_step(writer);
	redis_leave_step(writer);
}

void redis_writer_step(struct redis_writer *writer, int64_t now_ms, int64_t wall_ms)
{
	writer->now_ms = now_ms;
	writer->wall_ms = wall_ms;
	post_rev(writer);
	if (writer->phase != REDIS_READY)
		redis_batch_take(writer);
	if (writer->close)
		return;
	bool late = now_ms >= late_ms(writer);
	switch (writer->phase) {
	case REDIS_DOWN:
		break;
	case REDIS_CONNECTING:
		if (now_ms >= writer->retry_ms)
			redis_fail(writer, &redis_no_answer);
		break;
	case REDIS_HELD:
		if (now_ms >= writer->retry_ms && !late)
			redis_register(writer);
		break;
	case REDIS_READY:
		if (!late)
			step_ready(writer);
		break;
	case REDIS_PREPARING:
	case REDIS_REGISTERING:
		break;
	}
	if (late)
		redis_fail(writer, &redis_no_answer);
}

static void sooner(int64_t *deadline_ms, int64_t at_ms)
{
	if (at_ms < *deadline_ms)
		*deadline_ms = at_ms;
}

int64_t redis_writer_deadline(const struct redis_writer *writer)
{
	int64_t deadline_ms = INT64_MAX;
	bool posting = writer->rev_seen > writer->rev_posted || writer->snapshot.reply ||
		writer->sweep.reply || writer->resync == REDIS_RESYNC_WANTED;
	if (writer->phase == REDIS_DOWN && writer->left)
		return deadline_ms;
	if (posting && writer->phase == REDIS_READY)
		sooner(&deadline_ms, writer->now_ms + REDIS_POST_AGAIN_MS);
	sooner(&deadline_ms, late_ms(writer));
	if (writer->phase == REDIS_DOWN || writer->phase == REDIS_CONNECTING ||
		writer->phase == REDIS_HELD)
		sooner(&deadline_ms, writer->retry_ms);
	if (writer->phase != REDIS_READY)
		return deadline_ms;
	sooner(&deadline_ms, writer->renew_ms);
	sooner(&deadline_ms, redis_batch_deadline(writer));
	sooner(&deadline_ms, redis_sweep_deadline(writer));
	if (writer->quarantine.first)
		sooner(&deadline_ms, writer->quarantine_ms);
	return deadline_ms;
}

bool redis_writer_lingers(const struct redis_writer *writer)
{
	return redis_batch_deadline(writer) != INT64_MAX;
}

bool redis_writer_idle(const struct redis_writer *writer)
{
	uint64_t waiting, merged, lost;
	int64_t oldest_ms;
	mailbox_get_counts(writer->box, &waiting, &oldest_ms, &merged, &lost);
	if (mailbox_leaving(writer->box))
		return writer->left;
	return !waiting && !redis_batch_held(writer) && writer->snapshot_done &&
		writer->resync == REDIS_RESYNC_NONE;
}

static void older(int64_t *oldest_ms, const struct redis_items *items)
{
	if (items->first && (!*oldest_ms || items->first->put_ms < *oldest_ms))
		*oldest_ms = items->first->put_ms;
}

void redis_writer_stats(
	const struct redis_writer *writer, struct store_stats *stats, int64_t *oldest_ms)
{
	*stats = writer->stats;
	stats->queue = redis_batch_held(writer);
	stats->has_told = writer->snapshot_done || writer->failures;
	*oldest_ms = 0;
	older(oldest_ms, &writer->inbox);
	for (uint32_t i = 0; i < writer->config->partitions; i++) {
		older(oldest_ms, &writer->partitions[i].waiting);
		older(oldest_ms, &writer->partitions[i].refreshes);
	}
	for (const struct redis_command *command = writer->first; command; command = command->next)
		older(oldest_ms, &command->items);
}
