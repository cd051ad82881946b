/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
#include <stdio.h>
#include <string.h>

#include "store/redis/state.h"

/* Who may write for this node: taking it, keeping it, giving it up. */

enum { HELD_MIN_MS = 1000, HELD_MAX_MS = 5000, RENEWALS = 3, DETAIL_MAX = 400 };

static void send_register(struct redis_writer *writer, uint32_t place)
{
	const struct redis_writer_config *config = writer->config;
	struct redis_command *command = redis_script_begin(
		writer, REDIS_REGISTER, REDIS_SCRIPT_REGISTER, place, 7);
	if (!command)
		return;
	redis_out_number(&writer->out, writer->registered_once ? 0 : 1);
	redis_out_number(&writer->out, config->lease_ms);
	redis_out_number(&writer->out, config->partitions);
	redis_out_number(&writer->out, (int64_t)redis_stream_length(writer));
	redis_out_number(&writer->out, config->pid);
	redis_out_text(&writer->out, config->host);
	redis_out_text(&writer->out, config->version);
	redis_command_end(writer, command);
}

void redis_register(struct redis_writer *writer)
{
	writer->phase = REDIS_REGISTERING;
	writer->round++;
	writer->registering = writer->config->partitions;
	writer->resync_found = false;
	for (uint32_t i = 0; i < writer->config->partitions && !writer->close; i++)
		send_register(writer, i);
}

void redis_hold(struct redis_writer *writer, const struct redis_problem *problem, int64_t wait_ms,
	const char *detail)
{
	writer->phase = REDIS_HELD;
	writer->retry_ms = writer->now_ms + wait_ms;
	redis_say_problem(
		&writer->said, writer->box, writer->config->where, problem, detail, writer->now_ms);
	writer->stats.state = problem == &redis_held_by_other ? STORE_FENCED : STORE_FAILED;
}

void redis_hold_type(struct redis_writer *writer, const redisReply *reply)
{
	redis_hold(writer, &redis_wrong_type, redis_wrong_type.wait_ms, redis_text_at(reply, 3));
}

void redis_fenced_by(
	struct redis_writer *writer, const char *host, const char *pid, int64_t left_ms)
{
	char detail[DETAIL_MAX];
	/* A long host name may be cut. */
	(void)snprintf(detail, sizeof(detail), "node %s is held by host %s, pid %s",
		writer->config->node, host, pid);
	int64_t wait_ms = left_ms < HELD_MIN_MS ? HELD_MIN_MS : left_ms;
	if (writer->phase == REDIS_READY)
		writer->stats.fenced++;
	redis_hold(writer, &redis_held_by_other, wait_ms > HELD_MAX_MS ? HELD_MAX_MS : wait_ms,
		detail);
}

static void mismatched(struct redis_writer *writer, const redisReply *reply)
{
	char detail[DETAIL_MAX];
	/* Numbers and a configured prefix; a long one may be cut. */
	(void)snprintf(detail, sizeof(detail),
		"Redis has format %.8s and %.12s partitions under prefix %.64s, we have format 1 "
		"and %u: set redis_partitions to %.12s here, or choose another redis_prefix",
		redis_text_at(reply, 1), redis_text_at(reply, 2), writer->config->prefix,
		writer->config->partitions, redis_text_at(reply, 2));
	redis_hold(writer, &redis_mismatch, redis_mismatch.wait_ms, detail);
}

/* Of what was sent before, Redis has applied up to mark. */
static void settle_unsure(struct redis_partition *partition, int64_t mark)
{
	for (; partition->acked < mark && partition->unsure; partition->acked++) {
		store_item_destroy(redis_items_take(&partition->waiting));
		partition->unsure--;
	}
	partition->unsure = 0;
	partition->acked = partition->sent = mark;
}

static void ready(struct redis_writer *writer)
{
	const struct redis_partition *first = &writer->partitions[0];
	writer->phase = REDIS_READY;
	writer->ready_ms = writer->now_ms;
	writer->registered_once = true;
	writer->renew_ms = writer->now_ms + writer->config->lease_ms / RENEWALS;
	writer->beat_ms = mailbox_beat_ms(writer->box);
	writer->stats.state = STORE_READY;
	writer->stats.epoch = (uint64_t)first->epoch;
	writer->stats.gen = (uint64_t)first->gen;
	redis_say_connected(&writer->said, writer->box, writer->config->where, writer->config->node,
		first->epoch);
	if (writer->resync_found || writer->resync_first)
		redis_resync_begin(writer);
	writer->resync_first = false;
}

static void registered(
	struct redis_writer *writer, struct redis_partition *partition, const redisReply *reply)
{
	partition->epoch = redis_number_at(reply, 1);
	partition->gen = redis_number_at(reply, 2);
	if (!partition->boot_epoch)
		partition->boot_epoch = partition->epoch;
	settle_unsure(partition, redis_number_at(reply, 3));
	if (redis_number_at(reply, 4))
		mailbox_log(writer->box, STORE_WARNING,
			"Redis at %s: it lost what node %s had written; everything is written "
			"again",
			writer->config->where, writer->config->node);
	if (redis_number_at(reply, 5))
		writer->resync_found = true;
	redis_rev_seen(writer, redis_number_at(reply, 6));
	if (!--writer->registering)
		ready(writer);
}

void redis_register_reply(
	struct redis_writer *writer, const struct redis_command *command, const redisReply *reply)
{
	bool current = command->round == writer->round && writer->phase == REDIS_REGISTERING;
	const char *word = redis_word(reply);
	if (!current && reply->type != REDIS_REPLY_ERROR)
		return;
	if (!strcmp(word, "OK")) {
		registered(writer, &writer->partitions[command->place], reply);
	} else if (!strcmp(word, "HELD")) {
		redis_fenced_by(writer, redis_text_at(reply, 2), redis_text_at(reply, 3),
			redis_number_at(reply, 4));
	} else if (!strcmp(word, "MISMATCH")) {
		mismatched(writer, reply);
	} else if (!strcmp(word, "TYPE")) {
		redis_hold_type(writer, reply);
	} else if (redis_refused(writer, command, reply)) {
		if (current && !writer->close)
			redis_register(writer); /* the scripts are on their way */
	} else {
		redis_fail(writer, &redis_not_redis);
	}
}

static void send_renew(struct redis_writer *writer, uint32_t place, enum redis_kind kind)
{
	struct redis_command *command = redis_script_begin(
		writer, kind, REDIS_SCRIPT_RENEW, place, 3);
	if (!command)
		return;
	bool leaving = kind == REDIS_LEAVE;
	redis_out_number(&writer->out,
		leaving ? writer->config->restart_grace_ms : writer->config->lease_ms);
	redis_out_text(&writer->out, leaving ? "leaving" : "up");
	redis_out_number(&writer->out, (int64_t)redis_stream_length(writer));
	redis_command_end(writer, command);
}

void redis_renew_step(struct redis_writer *writer)
{
	if (writer->now_ms < writer->renew_ms || writer->goodbyes || writer->left)
		return;
	int64_t beat_ms = mailbox_beat_ms(writer->box);
	writer->renew_ms = writer->now_ms + writer->config->lease_ms / RENEWALS;
	/* A broker that hangs must not look alive. */
	if (beat_ms == writer->beat_ms) {
		writer->renew_ms = writer->now_ms + writer->config->lease_ms / RENEWALS / 4;
		return;
	}
	writer->beat_ms = beat_ms;
	for (uint32_t i = 0; i < writer->config->partitions && !writer->close; i++)
		send_renew(writer, i, REDIS_RENEW);
}

void redis_leave_step(struct redis_writer *writer)
{
	uint64_t waiting, merged, lost;
	int64_t oldest_ms;
	if (!mailbox_leaving(writer->box) || writer->left || writer->goodbyes)
		return;
	mailbox_get_counts(writer->box, &waiting, &oldest_ms, &merged, &lost);
	if (waiting || redis_batch_held(writer))
		return;
	writer->goodbyes = writer->config->partitions;
	for (uint32_t i = 0; i < writer->config->partitions && !writer->close; i++)
		send_renew(writer, i, REDIS_LEAVE);
}

void redis_renew_reply(
	struct redis_writer *writer, const struct redis_command *command, const redisReply *reply)
{
	bool leave = command->kind == REDIS_LEAVE, is_good = !strcmp(redis_word(reply), "OK");
	if (leave && !is_good)
		writer->goodbyes = 0; /* said again, as soon as we may write again */
	if (is_good) {
		if (leave && writer->goodbyes && !--writer->goodbyes) {
			writer->left = true;
			writer->stats.state = STORE_LEAVING;
		}
	} else if (redis_refused(writer, command, reply)) {
		if (!leave)
			writer->renew_ms = writer->now_ms;
	} else if (!strcmp(redis_word(reply), "TYPE")) {
		redis_hold_type(writer, reply);
	} else {
		redis_fail(writer, &redis_not_redis);
	}
}
