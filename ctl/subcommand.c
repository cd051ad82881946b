/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
#include "ctl/subcommand.h"

#include <stdint.h>
#include <string.h>

#include "ctl/flag.h"

/* Rows read better in their own shape. */
/* clang-format off */
const struct subcommand subcommand_table[] = {
	{ .name = "watch", .arguments = "[PATTERN...]", .max = 16,
		.connects = true, .flags = "json new count", .run = run_watch,
		.summary = "Show who is online, live.",
		.text = "On a terminal a table that keeps itself up to date; q or Ctrl-C ends it, the "
			"arrow keys scroll. Into a pipe or a file one line for each change, after "
			"one for each subject as it is now. A pattern is a subject like agent/u1, "
			"a role like agent, or has + in place of one: +/u1. After a lost "
			"connection it connects again." },
	{ .name = "list", .arguments = "",
		.connects = true, .flags = "json role status count offset after", .run = run_list,
		.summary = "List the subjects the plugin knows.",
		.text = "One page, and how many there are in all. Only for administrators: "
			"those whose username has one of admin_roles." },
	{ .name = "get", .arguments = "SUBJECT...", .min = 1, .max = SUBCOMMAND_ARGUMENTS_MAX,
		.connects = true, .flags = "json", .run = run_get,
		.summary = "Show subjects: who is online now?",
		.text = "A subject is written as role/id. One that the plugin does not know is "
			"offline." },
	{ .name = "set", .arguments = "STATUS", .min = 1, .max = 1, .kinds = { ARGUMENT_STATUS },
		.connects = true, .flags = "json note", .run = run_set,
		.summary = "Be a device, with this status, until Ctrl-C.",
		.text = "Connects as the device that -i and -u make it, as any client does, "
			"declares online, away, dnd or offline, and stays: a device that is gone "
			"says nothing. Says goodbye at the end. Needs -i." },
	{ .name = "override", .arguments = "SUBJECT STATUS", .min = 2, .max = 2,
		.kinds = { ARGUMENT_OTHER, ARGUMENT_OVERRIDE },
		.connects = true, .flags = "json note ttl", .run = run_override,
		.summary = "Set the status of a subject as a whole.",
		.text = "online, away, dnd or invisible, whatever its devices say, until --ttl is "
			"over or it is cleared. Nobody becomes online by it who is not "
			"connected. Everyone may for themselves, administrators for all." },
	{ .name = "clear", .arguments = "SUBJECT", .min = 1, .max = 1,
		.connects = true, .flags = "json", .run = run_clear,
		.summary = "End an override.",
		.text = "From then on the devices of the subject decide again." },
	{ .name = "kick", .arguments = "CLIENTID", .min = 1, .max = 1,
		.connects = true, .flags = "json", .run = run_kick,
		.summary = "End a client's connection.",
		.text = "It may connect again. Only for administrators." },
	{ .name = "forget", .arguments = "SUBJECT", .min = 1, .max = 1,
		.connects = true, .flags = "json", .run = run_forget,
		.summary = "Remove what is known of a subject that is offline.",
		.text = "Its topic and its keys in Redis are cleared. Only for administrators." },
	{ .name = "stats", .arguments = "",
		.connects = true, .flags = "json", .run = run_stats,
		.summary = "Show the plugin's numbers.",
		.text = "As under $SYS/broker/presence. Only for administrators." },
	{ .name = "nodes", .arguments = "",
		.connects = true, .flags = "json", .run = run_nodes,
		.summary = "List the brokers that share presence.",
		.text = "Only for administrators." },
	{ .name = "check-config", .arguments = "FILE", .min = 1, .max = 1, .kinds = { ARGUMENT_FILE },
		.flags = "broker", .run = run_check_config,
		.summary = "Judge a mosquitto.conf, and say what to write instead.",
		.text = "Reads it as the broker does, with what include_dir names, and reports "
			"what would keep the plugin from working, as file:line, what is wrong and "
			"how to mend it. Changes nothing, and needs no broker." },
	{ .name = "doctor", .arguments = "",
		.connects = true, .flags = "json admin", .run = run_doctor,
		.summary = "Look for what is wrong with a running broker.",
		.text = "Connects, and looks at broker, plugin, Redis, delays, and at whether "
			"strangers can write where only the plugin should. What it publishes to find "
			"out it removes." },
	{ .name = "completion", .arguments = "bash", .min = 1, .max = 1, .kinds = { ARGUMENT_SHELL },
		.flags = "", .run = run_completion,
		.summary = "Print the completion script of a shell.",
		.text = "For bash: source <(presencectl completion bash). Packages install it." },
};
/* clang-format on */

const size_t subcommand_count = sizeof(subcommand_table) / sizeof(*subcommand_table);

const struct subcommand *subcommand_find(const char *name)
{
	for (size_t i = 0; i < subcommand_count; i++)
		if (!strcmp(subcommand_table[i].name, name))
			return &subcommand_table[i];
	return NULL;
}

/* How many letters two words share at their start and their end, in all. */
static size_t likeness(const char *a, const char *b)
{
	size_t head = 0, tail = 0, a_length = strlen(a), b_length = strlen(b);
	size_t shorter = a_length < b_length ? a_length : b_length;
	while (head < shorter && a[head] == b[head])
		head++;
	while (tail < shorter - head && a[a_length - 1 - tail] == b[b_length - 1 - tail])
		tail++;
	return head + tail;
}

const char *subcommand_hint(const char *name)
{
	/* What people who know other tools write. */
	static const char *const others[][2] = { { "lint", "check-config" },
		{ "check", "check-config" }, { "sub", "watch" }, { "ls", "list" },
		{ "status", "get" }, { "show", "get" }, { "dnd", "override" }, { "help", "--help" },
		{ "version", "--help" } };
	const char *found = NULL;
	size_t best = strlen(name) / 2;
	for (size_t i = 0; i < sizeof(others) / sizeof(*others); i++)
		if (!strcmp(others[i][0], name))
			return others[i][1];
	for (size_t i = 0; i < subcommand_count; i++) {
		size_t like = likeness(name, subcommand_table[i].name);
		if (like > best && 2 * like > strlen(subcommand_table[i].name)) {
			best = like;
			found = subcommand_table[i].name;
		}
	}
	return found;
}

bool subcommand_takes(const struct subcommand *command, const struct flag *flag)
{
	size_t length = strlen(flag->name);
	if (flag->connection)
		return command->connects;
	if (!strcmp(flag->name, "help"))
		return true;
	for (const char *word = command->flags; *word;) {
		size_t word_length = strcspn(word, " ");
		if (word_length == length && !memcmp(word, flag->name, length))
			return true;
		word += word_length + (word[word_length] == ' ');
	}
	return false;
}
