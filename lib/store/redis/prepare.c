/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
#include <stdio.h>
#include <string.h>

#include "store/redis/state.h"

/* The beginning of a connection: who we are, what Redis may do to our keys, and the scripts. */

enum { RELOADS_MAX = 16 }; /* in one connection; more is not a flushed cache */

static void send_words(struct redis_writer *writer, enum redis_kind kind, uint32_t place,
	const char *const words[], size_t count)
{
	struct redis_command *command = redis_command_begin(writer, kind, place, count);
	if (!command)
		return;
	for (size_t i = 0; i < count; i++)
		redis_out_text(&writer->out, words[i]);
	redis_command_end(writer, command);
}

static void load_scripts(struct redis_writer *writer)
{
	for (uint32_t i = 0; i < REDIS_SCRIPTS; i++) {
		const char *const words[] = { "SCRIPT", "LOAD", redis_scripts[i] };
		send_words(writer, REDIS_LOAD, i, words, 3);
		writer->loading++;
	}
}

void redis_prepare(struct redis_writer *writer)
{
	const struct redis_writer_config *config = writer->config;
	if (config->password && config->user) {
		const char *const words[] = { "AUTH", config->user, config->password };
		send_words(writer, REDIS_AUTH, 0, words, 3);
	} else if (config->password) {
		const char *const words[] = { "AUTH", config->password };
		send_words(writer, REDIS_AUTH, 0, words, 2);
	}
	if (config->db) {
		char number[16];
		(void)snprintf(number, sizeof(number), "%u", config->db); /* ten digits fit */
		const char *const words[] = { "SELECT", number };
		send_words(writer, REDIS_SELECT, 0, words, 2);
	}
	const char *const info[] = { "INFO", "memory" };
	send_words(writer, REDIS_INFO, 0, info, 2);
	load_scripts(writer);
}

void redis_reload(struct redis_writer *writer)
{
	if (writer->loading)
		return;
	if (++writer->reloads > RELOADS_MAX) {
		redis_fail(writer, &redis_scripts_unknown);
		return;
	}
	load_scripts(writer);
}

static void look_at_policy(struct redis_writer *writer, const redisReply *reply)
{
	static const char field[] = "maxmemory_policy:";
	const char *policy = reply->type == REDIS_REPLY_STRING ? strstr(reply->str, field) : NULL;
	if (!policy) /* an ACL may hide it */
		return;
	policy += sizeof(field) - 1;
	bool evicting = strncmp(policy, "noeviction", 10) != 0;
	/* At each connect, unless that comes so often that it is not said any more. */
	if (evicting && (!writer->said.connected || !writer->stats.evicting))
		mailbox_log(writer->box, STORE_WARNING,
			"Redis at %s: maxmemory-policy is %.*s, so it may remove who is online; "
			"set it to noeviction",
			writer->config->where, (int)strcspn(policy, "\r\n"), policy);
	writer->stats.evicting = evicting;
}

static void loaded(
	struct redis_writer *writer, const struct redis_command *command, const redisReply *reply)
{
	if (reply->type != REDIS_REPLY_STRING || strlen(reply->str) >= REDIS_SHA_MAX) {
		redis_fail(writer, &redis_not_redis);
		return;
	}
	memcpy(writer->sha[command->place], reply->str, strlen(reply->str) + 1);
	if (--writer->loading)
		return;
	/* When reloaded in the middle of something, who asked has asked again already. */
	if (writer->phase == REDIS_PREPARING)
		redis_register(writer);
}

void redis_prepare_reply(
	struct redis_writer *writer, const struct redis_command *command, const redisReply *reply)
{
	bool is_error = reply->type == REDIS_REPLY_ERROR;
	/* Without rights to INFO all goes well but the warning. */
	bool may_fail = command->kind == REDIS_INFO && is_error &&
		!strncmp(reply->str, "NOPERM", 6);
	if (is_error && !may_fail)
		redis_fail_error(writer, command, reply->str);
	else if (command->kind == REDIS_INFO)
		look_at_policy(writer, reply);
	else if (command->kind == REDIS_LOAD)
		loaded(writer, command, reply);
}
