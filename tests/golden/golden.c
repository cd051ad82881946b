/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
/* Runs a scenario: a text of commands, each followed by the effects it must have ("> ..").
 * docs: tests/golden/README.md. With --print it shows what really happens, to be read and kept. */

#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/presence.h"

enum { LINE_MAX_BYTES = 512, WORDS_MAX = 24, OUTPUT_MAX = 1 << 16, LOOP_MS = 100 };

struct runner {
	struct presence *core;
	struct presence_config config;
	int64_t now_ms, wall_offset_ms;
	bool show_store, show_refresh;
	char output[OUTPUT_MAX]; /* effects since the last command, a line each */
	size_t length;
};

static void say(struct runner *runner, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

#include <stdarg.h>

static void say(struct runner *runner, const char *format, ...)
{
	va_list arguments;
	va_start(arguments, format);
	size_t room = sizeof(runner->output) - runner->length;
	int written = vsnprintf(runner->output + runner->length, room, format, arguments);
	va_end(arguments);
	if (written < 0 || (size_t)written >= room) {
		fprintf(stderr, "too much output\n");
		exit(2);
	}
	runner->length += (size_t)written;
}

static void say_record(struct runner *runner, const struct presence_record *record)
{
	say(runner, " %s/%s %s previous=%s reason=%s", record->role, record->id,
		presence_status_name(record->status), presence_status_name(record->previous),
		presence_reason_name(record->reason));
	if (record->source != PRESENCE_INFERRED)
		say(runner, " source=%s", presence_source_name(record->source));
	say(runner, " devices=%u since=%" PRId64 " seen=%" PRId64 " rev=%" PRId64, record->devices,
		record->since_ms, record->last_seen_ms, record->rev);
	if (record->note)
		say(runner, " note=%s", record->note);
	if (record->until_ms)
		say(runner, " until=%" PRId64, record->until_ms);
}

static void say_effect(struct runner *runner, const struct presence_effect *effect)
{
	const struct presence_record *record = &effect->record;
	switch (effect->type) {
	case PRESENCE_PUBLISH:
		say(runner, "> @%" PRId64 " publish", runner->now_ms);
		say_record(runner, record);
		if (record->status == PRESENCE_OFFLINE)
			say(runner, " retain=%" PRId64, effect->retain_ms);
		say(runner, "\n");
		return;
	case PRESENCE_STORE:
		if (!runner->show_store)
			return;
		say(runner, "> @%" PRId64 " store %s/%s %s %s -> %s rev=%" PRId64 " after=%" PRId64,
			runner->now_ms, record->role, record->id,
			effect->device ? effect->device : "-", presence_status_name(effect->rank),
			presence_status_name(record->status), record->rev, effect->previous_rev);
		if (effect->device_note)
			say(runner, " note=%s", effect->device_note);
		say(runner, "\n");
		return;
	case PRESENCE_REFRESH:
		if (runner->show_refresh)
			say(runner, "> @%" PRId64 " refresh %s/%s seen=%" PRId64 "\n",
				runner->now_ms, record->role, record->id, record->last_seen_ms);
		return;
	case PRESENCE_FORGOTTEN:
		say(runner, "> @%" PRId64 " forgotten %s/%s\n", runner->now_ms, record->role,
			record->id);
		return;
	case PRESENCE_STORE_OVERRIDE:
		if (!runner->show_store)
			return;
		say(runner, "> @%" PRId64 " store-override %s/%s %s", runner->now_ms, record->role,
			record->id, presence_override_name(effect->override));
		if (effect->override_note)
			say(runner, " note=%s", effect->override_note);
		if (effect->override_until_ms)
			say(runner, " until=%" PRId64, effect->override_until_ms);
		say(runner, " rev=%" PRId64 " -> %s\n", effect->override_rev,
			presence_status_name(record->status));
		return;
	case PRESENCE_DEVICE:
		say(runner, "> @%" PRId64 " device %s/%s %s %s reason=%s since=%" PRId64 "\n",
			runner->now_ms, record->role, record->id, effect->device,
			presence_status_name(effect->rank),
			presence_reason_name(effect->device_reason), effect->device_since_ms);
		return;
	case PRESENCE_ACTIVITY:
		say(runner, "> @%" PRId64 " %s %s/%s in %s %s\n", runner->now_ms,
			presence_activity_name(effect->activity), record->role, record->id,
			effect->conversation, effect->active ? "begins" : "ends");
		return;
	case PRESENCE_RESYNCED:
		say(runner, "> @%" PRId64 " resynced\n", runner->now_ms);
		return;
	}
}

static const char *error_name(int err)
{
	static const char *const names[] = { "ok", "out of memory", "subjects_max", "devices_max",
		"unknown", "exists", "invalid", "limit" };
	return names[-err];
}

static void step(struct runner *runner, struct presence_event event)
{
	struct presence_effects effects;
	event.now_ms = runner->now_ms;
	event.wall_ms = runner->now_ms + runner->wall_offset_ms;
	int err = presence_step(runner->core, &event, &effects);
	for (size_t i = 0; i < effects.count; i++)
		say_effect(runner, &effects.item[i]);
	if (err)
		say(runner, "> error %s\n", error_name(err));
}

static void tick(struct runner *runner)
{
	do {
		step(runner, (struct presence_event){ .type = PRESENCE_TICK });
	} while (presence_deadline(runner->core) <= runner->now_ms);
}

/* Turns the loop until then, as a broker does. */
static void advance(struct runner *runner, int64_t to_ms)
{
	while (runner->now_ms < to_ms) {
		int64_t next_ms = runner->now_ms + LOOP_MS;
		int64_t due_ms = presence_deadline(runner->core);
		if (due_ms > runner->now_ms && due_ms < next_ms)
			next_ms = due_ms;
		runner->now_ms = next_ms < to_ms ? next_ms : to_ms;
		tick(runner);
	}
}

/* "key=" at the start of one of the words; NULL: not given. */
static const char *value_of(char *const words[], int count, const char *key)
{
	size_t length = strlen(key);
	for (int i = 0; i < count; i++)
		if (!strncmp(words[i], key, length) && words[i][length] == '=')
			return words[i] + length + 1;
	return NULL;
}

static int64_t number_of(char *const words[], int count, const char *key, int64_t otherwise)
{
	const char *value = value_of(words, count, key);
	return value ? strtoll(value, NULL, 10) : otherwise;
}

static bool is_given(char *const words[], int count, const char *word)
{
	for (int i = 0; i < count; i++)
		if (!strcmp(words[i], word))
			return true;
	return false;
}

static enum presence_end end_of(const char *word)
{
	static const char *const ends[] = { "disconnect", "lost", "keepalive", "takeover", "kicked",
		"protocol", "unknown" };
	for (size_t i = 0; i < sizeof(ends) / sizeof(*ends); i++)
		if (!strcmp(ends[i], word))
			return (enum presence_end)i;
	fprintf(stderr, "no such end: %s\n", word);
	exit(2);
}

static void set_config(struct runner *runner, char *const words[], int count)
{
	struct presence_config *config = &runner->config;
	config->grace_ms = number_of(words, count, "grace", config->grace_ms);
	config->grace_keepalive_ms = number_of(
		words, count, "grace_keepalive", config->grace_keepalive_ms);
	config->restart_grace_ms = number_of(
		words, count, "restart_grace", config->restart_grace_ms);
	config->offline_retain_ms = number_of(
		words, count, "offline_retain_for", config->offline_retain_ms);
	config->unmatched_retain_ms = number_of(
		words, count, "unmatched_retain_for", config->unmatched_retain_ms);
	config->heartbeat_interval_ms = number_of(
		words, count, "heartbeat_interval", config->heartbeat_interval_ms);
	config->heartbeat_misses = (uint32_t)number_of(
		words, count, "heartbeat_misses", config->heartbeat_misses);
	config->away_after_ms = number_of(words, count, "away_after", config->away_after_ms);
	config->device_topics = number_of(words, count, "device_topics", config->device_topics);
	config->wills_follow = number_of(words, count, "wills_follow", config->wills_follow);
	config->refresh_ms = number_of(words, count, "refresh", config->refresh_ms);
	config->subjects_max = (uint32_t)number_of(
		words, count, "subjects_max", config->subjects_max);
	config->devices_max = (uint32_t)number_of(words, count, "devices_max", config->devices_max);
	if (runner->core)
		presence_configure(runner->core, config);
}

static void show_record(struct runner *runner, const char *role, const char *id)
{
	struct presence_record record;
	int err = presence_lookup(runner->core, role, id, &record);
	say(runner, ">");
	if (err)
		say(runner, " %s", error_name(err));
	else
		say_record(runner, &record);
	say(runner, "\n");
}

static void show_role(void *context, const char *role, uint64_t online)
{
	say(context, "> online/%s %" PRIu64 "\n", role, online);
}

static void show_counts(struct runner *runner)
{
	const struct presence_counts *counts = presence_counts(runner->core);
	say(runner,
		"> subjects=%" PRIu64 " devices=%" PRIu64 " sessions=%" PRIu64
		" transitions=%" PRIu64 " forgotten=%" PRIu64 " stalls=%" PRIu64 "\n",
		counts->subjects, counts->devices, counts->sessions, counts->transitions,
		counts->forgotten, counts->stalls);
	presence_each_role(runner->core, show_role, runner);
}

static enum presence_status status_of(const char *word)
{
	enum presence_status status;
	if (!word || presence_status_parse(word, &status)) {
		fprintf(stderr, "no such status: %s\n", word ? word : "(none)");
		exit(2);
	}
	return status;
}

static void restore(struct runner *runner, char *const words[], int count)
{
	step(runner, (struct presence_event){
		.type = PRESENCE_RESTORED,
		.unmatched = is_given(words, count, "unmatched"),
		.record = {
			.role = words[1],
			.id = words[2],
			.status = status_of(words[3]),
			.previous = status_of(value_of(words, count, "previous")),
			.reason = PRESENCE_REASON_CONNECT,
			.devices = (uint32_t)number_of(words, count, "devices", 0),
			.since_ms = number_of(words, count, "since", 0),
			.last_seen_ms = number_of(words, count, "seen", 0),
			.rev = number_of(words, count, "rev", 0),
.note = value_of(words, count, "note"),
.until_ms = number_of(words, count, "until", 0),
		},
	});
}

static void boot(struct runner *runner)
{
	presence_destroy(runner->core);
	runner->core = presence_create(&runner->config, runner->now_ms);
	if (!runner->core) {
		fprintf(stderr, "out of memory\n");
		exit(2);
	}
}

struct command {
	const char *name;
	int words; /* at least, with the name */
	void (*run)(struct runner *runner, char *const words[], int count);
};

static void run_config(struct runner *runner, char *const words[], int count)
{
	set_config(runner, words, count);
}

static void run_boot(struct runner *runner, char *const words[], int count)
{
	(void)words;
	(void)count;
	boot(runner);
}

static void run_at(struct runner *runner, char *const words[], int count)
{
	(void)count;
	advance(runner, strtoll(words[1], NULL, 10));
}

static void run_stall(struct runner *runner, char *const words[], int count)
{
	(void)count;
	runner->now_ms = strtoll(words[1], NULL, 10);
}

static void run_clock(struct runner *runner, char *const words[], int count)
{
	(void)count;
	runner->wall_offset_ms += strtoll(words[1], NULL, 10);
}

static void run_tick(struct runner *runner, char *const words[], int count)
{
	(void)words;
	(void)count;
	tick(runner);
}

static void run_step(struct runner *runner, char *const words[], int count)
{
	(void)words;
	(void)count;
	step(runner, (struct presence_event){ .type = PRESENCE_TICK });
}

static void run_show(struct runner *runner, char *const words[], int count)
{
	runner->show_store = is_given(words, count, "store");
	runner->show_refresh = is_given(words, count, "refresh");
}

static void run_connect(struct runner *runner, char *const words[], int count)
{
	char client[LINE_MAX_BYTES * 2];
	const char *given = value_of(words, count, "client");
	(void)snprintf(client, sizeof(client), "%s:%s:%s", words[2], words[3], words[4]);
	step(runner,
		(struct presence_event){
			.type = PRESENCE_CONNECTED,
			.token = strtoull(words[1], NULL, 10),
			.role = words[2],
			.id = words[3],
			.device = words[4],
			.client_id = given ? given : client,
			.unmatched = is_given(words, count, "unmatched"),
		});
}

static void run_end(struct runner *runner, char *const words[], int count)
{
	(void)count;
	step(runner,
		(struct presence_event){
			.type = PRESENCE_DISCONNECTED,
			.token = strtoull(words[1], NULL, 10),
			.end = end_of(words[2]),
		});
}

static void run_seen(struct runner *runner, char *const words[], int count)
{
	(void)count;
	step(runner,
		(struct presence_event){
			.type = PRESENCE_SEEN,
			.token = strtoull(words[1], NULL, 10),
		});
}

static void run_heartbeat(struct runner *runner, char *const words[], int count)
{
	step(runner,
		(struct presence_event){
			.type = PRESENCE_HEARTBEAT,
			.token = strtoull(words[1], NULL, 10),
			.interval_ms = number_of(words, count, "interval", 0),
		});
}

static void run_declare(struct runner *runner, char *const words[], int count)
{
	step(runner,
		(struct presence_event){
			.type = PRESENCE_DECLARE,
			.token = strtoull(words[1], NULL, 10),
			.status = status_of(words[2]),
			.note = value_of(words, count, "note"),
		});
}

static void run_undeclare(struct runner *runner, char *const words[], int count)
{
	(void)count;
	step(runner,
		(struct presence_event){
			.type = PRESENCE_UNDECLARE,
			.token = strtoull(words[1], NULL, 10),
		});
}

static void run_leave(struct runner *runner, char *const words[], int count)
{
	(void)count;
	step(runner,
		(struct presence_event){
			.type = PRESENCE_LEAVE,
			.token = strtoull(words[1], NULL, 10),
		});
}

static void run_will(struct runner *runner, char *const words[], int count)
{
	const char *client = value_of(words, count, "client");
	step(runner,
		(struct presence_event){
			.type = PRESENCE_WILL,
			.token = client ? 0 : strtoull(words[1], NULL, 10),
			.client_id = client,
		});
}

static void run_type(struct runner *runner, char *const words[], int count)
{
	step(runner,
		(struct presence_event){
			.type = PRESENCE_TYPED,
			.token = strtoull(words[1], NULL, 10),
			.conversation = words[2],
			.activity = is_given(words, count, "recording") ? PRESENCE_RECORDING
									: PRESENCE_TYPING,
			.active = !is_given(words, count, "stop"),
		});
}

static void run_withdraw(struct runner *runner, char *const words[], int count)
{
	(void)count;
	step(runner,
		(struct presence_event){
			.type = PRESENCE_WITHDRAW,
			.role = words[1],
			.id = words[2],
		});
}

static void run_override(struct runner *runner, char *const words[], int count)
{
	enum presence_override override;
	if (presence_override_parse(words[3], &override)) {
		fprintf(stderr, "no such override: %s\n", words[3]);
		exit(2);
	}
	int64_t ttl_ms = number_of(words, count, "ttl", 0);
	bool restored = !strcmp(words[0], "restored-override");
	step(runner,
		(struct presence_event){
			.type = restored ? PRESENCE_RESTORED_OVERRIDE : PRESENCE_OVERRIDDEN,
			.role = words[1],
			.id = words[2],
			.override = override,
			.note = value_of(words, count, "note"),
			.until_ms = ttl_ms ? runner->now_ms + runner->wall_offset_ms + ttl_ms : 0,
			.rev = number_of(words, count, "rev", 0),
			.own = is_given(words, count, "own"),
		});
}

static void run_restored_device(struct runner *runner, char *const words[], int count)
{
	const char *given = value_of(words, count, "status");
	step(runner,
		(struct presence_event){
			.type = PRESENCE_RESTORED_DEVICE,
			.role = words[1],
			.id = words[2],
			.device = words[3],
			.status = status_of(given ? given : "online"),
			.note = value_of(words, count, "note"),
			.last_seen_ms = number_of(words, count, "seen", 0),
		});
}

static unsigned targets_of(char *const words[], int count)
{
	unsigned targets = 0;
	if (is_given(words, count, "topic"))
		targets |= PRESENCE_TARGET_TOPIC;
	if (is_given(words, count, "store"))
		targets |= PRESENCE_TARGET_STORE;
	return targets;
}

static void run_assert(struct runner *runner, char *const words[], int count)
{
	step(runner,
		(struct presence_event){
			.type = PRESENCE_ASSERT,
			.role = words[1],
			.id = words[2],
			.targets = targets_of(words, count),
		});
}

static void run_resync(struct runner *runner, char *const words[], int count)
{
	step(runner,
		(struct presence_event){
			.type = PRESENCE_RESYNC,
			.targets = targets_of(words, count),
		});
}

static void run_forget(struct runner *runner, char *const words[], int count)
{
	(void)count;
	step(runner,
		(struct presence_event){
			.type = PRESENCE_FORGET,
			.role = words[1],
			.id = words[2],
		});
}

static void run_rev(struct runner *runner, char *const words[], int count)
{
	(void)count;
	step(runner,
		(struct presence_event){
			.type = PRESENCE_REV_SEEN,
			.rev = strtoll(words[1], NULL, 10),
		});
}

static void run_lookup(struct runner *runner, char *const words[], int count)
{
	(void)count;
	show_record(runner, words[1], words[2]);
}

static void run_counts(struct runner *runner, char *const words[], int count)
{
	(void)words;
	(void)count;
	show_counts(runner);
}

static const struct command commands[] = {
	{ "config", 2, run_config },
	{ "boot", 1, run_boot },
	{ "at", 2, run_at },
	{ "stall", 2, run_stall },
	{ "clock", 2, run_clock },
	{ "tick", 1, run_tick },
	{ "step", 1, run_step },
	{ "show", 1, run_show },
	{ "connect", 5, run_connect },
	{ "end", 3, run_end },
	{ "seen", 2, run_seen },
	{ "heartbeat", 2, run_heartbeat },
	{ "declare", 3, run_declare },
	{ "undeclare", 2, run_undeclare },
	{ "leave", 2, run_leave },
	{ "will", 2, run_will },
	{ "type", 3, run_type },
	{ "override", 4, run_override },
	{ "withdraw", 3, run_withdraw },
	{ "restored-override", 4, run_override },
	{ "restored", 4, restore },
	{ "restored-device", 4, run_restored_device },
	{ "assert", 4, run_assert },
	{ "resync", 2, run_resync },
	{ "forget", 3, run_forget },
	{ "rev", 2, run_rev },
	{ "lookup", 3, run_lookup },
	{ "counts", 1, run_counts },
};

static bool run_line(struct runner *runner, char *line)
{
	char *words[WORDS_MAX];
	int count = 0;
	for (char *word = strtok(line, " \t\n"); word && count < WORDS_MAX;
		word = strtok(NULL, " \t\n"))
		words[count++] = word;
	if (!runner->core && strcmp(words[0], "config"))
		boot(runner);
	for (size_t i = 0; i < sizeof(commands) / sizeof(*commands); i++)
		if (!strcmp(commands[i].name, words[0]) && count >= commands[i].words) {
			commands[i].run(runner, words, count);
			return true;
		}
	return false;
}

static bool is_expectation(const char *line)
{
	return line[0] == '>';
}

static bool says_nothing(const char *line)
{
	return line[strspn(line, " \t\n")] == '\0' || line[0] == '#';
}

/* Collects the expectations that follow a command, and compares when the next one comes. */
struct check {
	const char *file;
	int command_line, failures;
	bool print;
	char expected[OUTPUT_MAX];
};

static void compare(struct check *check, struct runner *runner)
{
	if (check->print) {
		fputs(runner->output, stdout);
	} else if (strcmp(check->expected, runner->output)) {
		check->failures++;
		fprintf(stderr, "%s:%d: expected\n%sbut there was\n%s", check->file,
			check->command_line, check->expected, runner->output);
	}
	check->expected[0] = '\0';
	runner->output[0] = '\0';
	runner->length = 0;
}

static int run_file(const char *path, bool print)
{
	static struct runner runner; /* large; one scenario a process */
	static struct check check;
	char line[LINE_MAX_BYTES];
	FILE *file = fopen(path, "r");
	if (!file) {
		perror(path);
		return 2;
	}
	check.file = path;
	check.print = print;
	runner.config = (struct presence_config){
		.grace_ms = 3000,
		.restart_grace_ms = 10000,
		.heartbeat_interval_ms = 20000,
		.heartbeat_misses = 3,
		.goodbye = PRESENCE_REASON_DISCONNECT,
		.offline_retain_ms = 7 * 86400000LL,
		.unmatched_retain_ms = 600000,
		.subjects_max = 100,
		.devices_max = 32,
	};
	for (int number = 1; fgets(line, sizeof(line), file); number++) {
		if (is_expectation(line)) {
			strncat(check.expected, line,
				sizeof(check.expected) - strlen(check.expected) - 1);
			continue;
		}
		compare(&check, &runner);
		if (print)
			fputs(line, stdout);
		if (says_nothing(line))
			continue;
		check.command_line = number;
		if (!run_line(&runner, line)) {
			fprintf(stderr, "%s:%d: no such command, or words are missing\n", path,
				number);
			check.failures++;
		}
	}
	compare(&check, &runner);
	presence_destroy(runner.core);
	(void)fclose(file);
	return check.failures ? 1 : 0;
}

int main(int argc, char *argv[])
{
	bool print = argc == 3 && !strcmp(argv[1], "--print");
	if (argc != 2 && !print) {
		fprintf(stderr, "usage: golden [--print] SCENARIO\n");
		return 2;
	}
	return run_file(argv[argc - 1], print);
}
