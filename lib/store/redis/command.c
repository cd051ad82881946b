/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
#include <stdlib.h>

#include "store/redis/state.h"

/* Commands in flight, oldest first, and what their replies say. */

struct redis_command *redis_command_begin(
	struct redis_writer *writer, enum redis_kind kind, uint32_t place, size_t count)
{
	struct redis_command *command = calloc(1, sizeof(*command));
	if (!command) {
		redis_fail(writer, &redis_no_memory);
		return NULL;
	}
	command->kind = kind;
	command->place = place;
	command->round = writer->round;
	command->sent_ms = writer->now_ms;
	redis_out_begin(&writer->out, count);
	return command;
}

struct redis_command *redis_script_begin(struct redis_writer *writer, enum redis_kind kind,
	enum redis_script script, uint32_t place, size_t extra)
{
	const struct redis_partition *partition = &writer->partitions[place];
	struct redis_command *command = redis_command_begin(writer, kind, place, 10 + extra);
	if (!command)
		return NULL;
	redis_out_text(&writer->out, "EVALSHA");
	redis_out_text(&writer->out, writer->sha[script]);
	redis_out_number(&writer->out, 1);
	redis_out_text(&writer->out, partition->meta_key);
	redis_out_text(&writer->out, writer->config->node);
	redis_out_text(&writer->out, writer->config->boot);
	redis_out_number(&writer->out, partition->epoch);
	redis_out_number(&writer->out, partition->gen);
	redis_out_number(&writer->out, writer->wall_ms);
	redis_out_number(&writer->out, partition->acked);
	return command;
}

void redis_command_end(struct redis_writer *writer, struct redis_command *command)
{
	if (!redis_out_end(&writer->out))
		redis_fail(writer, &redis_no_memory);
	command->end = writer->out.dropped + writer->out.length;
	if (writer->last)
		writer->last->next = command;
	else
		writer->first = command;
	writer->last = command;
	if (command->kind == REDIS_APPLY || command->kind == REDIS_REFRESH)
		writer->batches++;
}

struct redis_command *redis_command_take(struct redis_writer *writer)
{
	struct redis_command *command = writer->first;
	writer->first = command->next;
	if (!writer->first)
		writer->last = NULL;
	if (command->kind == REDIS_APPLY || command->kind == REDIS_REFRESH)
		writer->batches--;
	return command;
}

void redis_command_destroy(struct redis_command *command)
{
	redis_items_destroy(&command->items);
	free(command);
}

uint64_t redis_stream_length(const struct redis_writer *writer)
{
	uint64_t length = writer->config->stream_maxlen / writer->config->partitions;
	return length ? length : 1;
}

/* ---- replies ---- */

const char *redis_text_at(const redisReply *reply, size_t place)
{
	if (reply->type != REDIS_REPLY_ARRAY || place >= (size_t)reply->elements)
		return "";
	const redisReply *element = reply->element[place];
	return element->type == REDIS_REPLY_STRING ? element->str : "";
}

const char *redis_word(const redisReply *reply)
{
	return redis_text_at(reply, 0);
}

/* The scripts count in Lua, where greater numbers are not exact: those are nobody's. */
static int64_t number_of(const redisReply *element)
{
	const int64_t end = INT64_C(1) << 53;
	int64_t number = 0;
	if (element->type == REDIS_REPLY_INTEGER)
		number = element->integer;
	else if (element->type == REDIS_REPLY_STRING)
		number = strtoll(element->str, NULL, 10);
	return number < end && number > -end ? number : 0;
}

int64_t redis_number_at(const redisReply *reply, size_t place)
{
	if (reply->type != REDIS_REPLY_ARRAY || place >= (size_t)reply->elements)
		return 0;
	return number_of(reply->element[place]);
}
