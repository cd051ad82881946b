/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
#include <string.h>

#include "store/redis/state.h"

/* Mark and sweep: the broker says everything again under a new epoch, then what this node has in
 * Redis under an older one goes down. One resync at a time; if Redis is lost in the middle of one,
 * another follows. */

enum { PAGE = 256, HEAD = 4, AGAIN_MS = 60000 };

void redis_resync_begin(struct redis_writer *writer)
{
	writer->stats.resyncs++;
	if (writer->resync == REDIS_RESYNC_ASKED) {
		writer->resync_again = true;
		return;
	}
	redis_page_reset(&writer->sweep);
	writer->sweep_again_ms = 0;
	writer->resync = REDIS_RESYNC_WANTED;
	for (uint32_t i = 0; i < writer->config->partitions; i++)
		writer->partitions[i].floor = writer->partitions[i].epoch;
}

void redis_resync_anew(struct redis_writer *writer)
{
	writer->resync = REDIS_RESYNC_NONE;
	writer->resync_again = false;
	writer->resync_first = true;
	if (writer->phase == REDIS_READY)
		redis_register(writer);
}

void redis_resync_said(struct redis_writer *writer, uint64_t answers)
{
	/* Of what was asked for before, or not all of it: to sweep now would take down what is
	 * still to be said. */
	if (writer->resync == REDIS_RESYNC_ASKED && answers < writer->resync_request)
		return;
	if (writer->resync != REDIS_RESYNC_ASKED) {
		/* Not our request, so no epoch tells old from new. */
		redis_resync_anew(writer);
		return;
	}
	writer->resync = REDIS_RESYNC_DRAINING;
	if (!writer->resync_again)
		return;
	writer->resync_again = false;
	writer->stats.resyncs--;
	redis_resync_begin(writer);
}

int redis_assert(struct redis_writer *writer, const char *role, const char *id)
{
	const struct presence_event event = {
		.type = PRESENCE_ASSERT,
		.role = role,
		.id = id,
		.targets = PRESENCE_TARGET_STORE,
	};
	return mailbox_post_event(writer->box, &event);
}

static void ask(struct redis_writer *writer)
{
	struct redis_page *page = &writer->sweep;
	struct redis_command *command = redis_script_begin(
		writer, REDIS_SWEEP, REDIS_SCRIPT_SWEEP, page->partition, 6);
	if (!command)
		return;
	redis_out_number(&writer->out, writer->config->ttl_ms);
	redis_out_number(&writer->out, (int64_t)redis_stream_length(writer));
	redis_out_number(&writer->out, writer->partitions[page->partition].floor);
	redis_out_text(&writer->out, page->cursor);
	redis_out_number(&writer->out, PAGE);
	redis_out_number(&writer->out, writer->retain_ms);
	redis_command_end(writer, command);
	page->asked = true;
}

static void next_page(struct redis_writer *writer)
{
	struct redis_page *page = &writer->sweep;
	redis_page_next(page, writer->config->partitions);
	if (page->partition == writer->config->partitions) {
		redis_page_reset(page);
		writer->resync = REDIS_RESYNC_NONE;
	}
}

static void sweep(struct redis_writer *writer)
{
	struct redis_page *page = &writer->sweep;
	char role[PRESENCE_ID_MAX + 1], id[PRESENCE_ID_MAX + 1];
	for (; page->reply && page->row < (size_t)page->reply->elements; page->row++)
		if (redis_name_read(redis_text_at(page->reply, page->row), role, id) >= 0 &&
			redis_assert(writer, role, id))
			return;
	if (page->reply)
		next_page(writer);
	if (writer->resync == REDIS_RESYNC_SWEEPING && !page->asked && !writer->loading)
		ask(writer);
}

/* Some of what is to go down was behind keys that are not ours. What is of our own and waits for
 * such a key is written first, or it would go down too. */
int64_t redis_sweep_deadline(const struct redis_writer *writer)
{
	bool is_due = writer->sweep_again_ms && writer->resync == REDIS_RESYNC_NONE &&
		!writer->quarantine.first;
	return is_due ? writer->sweep_again_ms : INT64_MAX;
}

void redis_resync_step(struct redis_writer *writer)
{
	const struct presence_event event = {
		.type = PRESENCE_RESYNC,
		.targets = PRESENCE_TARGET_STORE,
	};
	switch (writer->resync) {
	case REDIS_RESYNC_NONE:
		if (writer->now_ms < redis_sweep_deadline(writer))
			return;
		writer->sweep_again_ms = 0;
		writer->resync = REDIS_RESYNC_DRAINING;
		return;
	case REDIS_RESYNC_ASKED:
		return;
	case REDIS_RESYNC_WANTED:
		/* Whom the snapshot has not told of, the broker cannot say. */
		if (!writer->snapshot_done && !mailbox_leaving(writer->box))
			return;
		if (mailbox_post_event(writer->box, &event))
			return;
		writer->resync = REDIS_RESYNC_ASKED;
		writer->resync_request = mailbox_requests(writer->box);
		return;
	case REDIS_RESYNC_DRAINING:
		if (redis_batch_held(writer) > writer->inbox.count)
			return;
		writer->resync = REDIS_RESYNC_SWEEPING;
		sweep(writer);
		return;
	case REDIS_RESYNC_SWEEPING:
		sweep(writer);
		return;
	}
}

void redis_sweep_reply(
	struct redis_writer *writer, const struct redis_command *command, redisReply *reply)
{
	struct redis_page *page = &writer->sweep;
	const char *cursor = redis_text_at(reply, 1);
	bool is_good = !strcmp(redis_word(reply), "OK") && strlen(cursor) < REDIS_CURSOR_MAX;
	page->asked = false;
	if (!strcmp(redis_word(reply), "TYPE"))
		redis_hold_type(writer, reply);
	else if (!is_good && !redis_refused(writer, command, reply))
		redis_fail(writer, &redis_not_redis);
	/* A resync that began since has its own sweep. */
	if (!is_good || command->round != writer->round ||
		writer->resync != REDIS_RESYNC_SWEEPING) {
		freeReplyObject(reply);
		return;
	}
	memcpy(page->cursor, cursor, strlen(cursor) + 1);
	redis_rev_seen(writer, redis_number_at(reply, 3));
	if (redis_number_at(reply, 2))
		writer->sweep_again_ms = writer->now_ms + AGAIN_MS;
	page->reply = reply;
	page->row = HEAD;
}
