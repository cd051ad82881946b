/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
#ifndef PRESENCE_WIRE_OPTIONS_H
#define PRESENCE_WIRE_OPTIONS_H

/* The plugin's options. One table (options_table.c) drives parsing, defaults, units, hints, the
 * reference in the docs and the check that mosquitto.conf.example names every one. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

enum payload_format { PAYLOAD_JSON, PAYLOAD_TEXT };
enum unmatched_policy { UNMATCHED_TRACK, UNMATCHED_IGNORE };
enum auth_mode { AUTH_MODE_DEFER, AUTH_MODE_ALLOW };
enum topic_guard { TOPIC_GUARD_AUTO, TOPIC_GUARD_DEFER, TOPIC_GUARD_ALLOW, TOPIC_GUARD_OFF };

struct options_list {
	char **item;
	size_t count;
};

enum redis_scheme { REDIS_NONE, REDIS_TCP, REDIS_TLS, REDIS_UNIX };

struct redis_url {
	enum redis_scheme scheme;
	char *host; /* or NULL */
	uint16_t port;
	char *path;            /* of the unix socket, or NULL */
	char *user, *password; /* or NULL */
	uint32_t db;
};

struct identity_rule;

/* Durations in ms. Everything is owned by the struct. */
struct options {
	char *node;
	char *topic, *typing_topic;
	enum payload_format payload_format;
	bool device_topics;
	struct identity_rule **identity;
	size_t identity_count;
	struct options_list roles;
	enum unmatched_policy unmatched;
	int64_t unmatched_retain_for_ms;
	struct options_list ignore_prefixes;
	int64_t grace_ms, grace_keepalive_ms, restart_grace_ms;
	int64_t heartbeat_interval_ms;
	uint32_t heartbeat_misses;
	int64_t away_after_ms;
	int64_t offline_retain_for_ms;
	enum auth_mode auth_mode;
	enum topic_guard topic_guard;
	struct options_list admin_roles;
	bool control_open;
	uint32_t command_rate, command_burst; /* commands a second and at once */
	uint32_t subjects_max, devices_max;
	char *state_file; /* or NULL */
	struct redis_url redis;
	char *redis_password_file; /* or NULL */
	char *redis_prefix;
	uint32_t redis_partitions;
	int64_t redis_ttl_ms;
	uint64_t redis_stream_maxlen;
	int64_t node_lease_ms;
	uint64_t queue_max;
	char *config_file; /* or NULL */
};

/* One `key value` as it stands in the configuration, without plugin_opt_. */
struct option_pair {
	const char *key, *value;
};

#define OPTIONS_PROBLEM_MAX 512
#define OPTIONS_PATH_MAX 1024        /* of a file that an option names, with its terminator */
#define OPTIONS_FILE_MAX (64 * 1024) /* bytes of config_file */

/* All the bytes that options come from. Nothing is read here but these: files and the host's name
 * are the caller's to fetch. Borrowed for the call. */
struct options_input {
	const struct option_pair *pairs; /* plugin_opt_*, in their order */
	size_t count;
	const char *host_name; /* the default of node; NULL: node must be given */
	/* The content of config_file, not terminated; NULL when there is none. */
	const char *file_text;
	size_t file_length;
	const char *file_name; /* for messages */
};

/* Finds the path of config_file among pairs: into path, empty when it is not given. On error
 * PRESENCE_EINVAL and one line in problem. */
int options_config_file(const struct option_pair *pairs, size_t count, char path[OPTIONS_PATH_MAX],
	char problem[OPTIONS_PROBLEM_MAX]);

/* Parses pairs over the file over defaults; a repeatable option of one layer replaces all of the
 * layer under it. On error returns PRESENCE_EINVAL (or _ENOMEM), *options is NULL and problem holds
 * one line that says what is wrong, where, and what to do; it never holds a password. *options is
 * to be destroyed by the caller. */
int options_parse(const struct options_input *input, struct options **options,
	char problem[OPTIONS_PROBLEM_MAX]);
void options_destroy(struct options *options);

/* The words "key value" one per line, effective values, secrets as ******: to compare two
 * configurations and to show one. Returns PRESENCE_OK or PRESENCE_ENOMEM; the caller frees. */
int options_print(const struct options *options, char **text);

/* For a reload: the first option that differs and cannot change while the broker runs. NULL: next
 * may take the place of running. PRESENCE_ENOMEM, or 0. */
int options_find_fixed(const struct options *running, const struct options *next, const char **key);

/* Writes the reference of all options as Markdown: docs/OPTIONS.md. */
void options_write_reference(FILE *out);
/* Writes each option as mosquitto.conf.example shows it: words, then the line. PRESENCE_ENOMEM,
 * or 0. */
int options_write_example(FILE *out);
/* Calls visit for each key, in the order of the reference; once per value for a repeatable option
 * with several defaults. "none" is the default of what is off. */
void options_each_key(
	void (*visit)(void *context, const char *key, const char *default_value), void *context);

#endif
