/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
#include "wire/options.h"

#include <stdio.h>

#include "check.h"
#include "core/presence.h"
#include "wire/identity.h"
#include "wire/options_table.h"

struct parsed {
	int err;
	struct options *options;
	char problem[OPTIONS_PROBLEM_MAX];
};

static struct parsed parse(const struct options_input *input)
{
	struct parsed parsed = { 0 };
	parsed.err = options_parse(input, &parsed.options, parsed.problem);
	assert_int_equal(parsed.err == PRESENCE_OK, parsed.options != NULL);
	assert_int_equal(parsed.err == PRESENCE_OK, parsed.problem[0] == '\0');
	assert_null(strchr(parsed.problem, '\n'));
	return parsed;
}

static struct parsed parse_pair(const char *key, const char *value)
{
	const struct option_pair pair = { key, value };
	return parse(&(struct options_input){ .pairs = &pair, .count = 1, .host_name = "b1" });
}

static struct parsed parse_file(const char *text, size_t length)
{
	return parse(&(struct options_input){ .host_name = "b1",
		.file_text = text,
		.file_length = length,
		.file_name = "/etc/p.conf" });
}

/* The effective value of one option, as options_print() shows it; the caller frees. */
static char *printed(const struct options *options, const char *key)
{
	char *all, start[64];
	assert_int_equal(options_print(options, &all), PRESENCE_OK);
	int length = snprintf(start, sizeof(start), "\n%s ", key);
	char *line = strstr(all, start);
	if (!line)
		fail_msg("%s is not printed", key);
	line += length;
	char *value = strndup(line, strcspn(line, "\n"));
	free(all);
	return value;
}

static void defaults_are_what_the_design_says(void **state)
{
	struct parsed parsed = parse(&(struct options_input){ .host_name = "mail.example.org" });
	const struct options *options = parsed.options;
	(void)state;
	assert_int_equal(parsed.err, PRESENCE_OK);
	assert_string_equal(options->node, "mail.example.org");
	assert_string_equal(options->topic, "presence");
	assert_string_equal(options->typing_topic, "typing");
	assert_int_equal(options->payload_format, PAYLOAD_JSON);
	assert_false(options->device_topics);
	assert_int_equal(options->identity_count, 2);
	assert_string_equal(
		identity_rule_text(options->identity[0]), "clientid {role}:{id}:{device}");
	assert_string_equal(identity_rule_text(options->identity[1]), "clientid {role}:{id}");
	assert_int_equal(options->roles.count, 5);
	assert_string_equal(options->roles.item[0], "agent");
	assert_string_equal(options->roles.item[4], "client");
	assert_int_equal(options->unmatched, UNMATCHED_TRACK);
	assert_int_equal(options->unmatched_retain_for_ms, 600000);
	assert_int_equal(options->ignore_prefixes.count, 4);
	assert_int_equal(options->grace_ms, 3000);
	assert_int_equal(options->grace_keepalive_ms, 0);
	assert_int_equal(options->restart_grace_ms, 10000);
	assert_int_equal(options->heartbeat_interval_ms, 20000);
	assert_int_equal(options->heartbeat_misses, 3);
	assert_int_equal(options->away_after_ms, 0);
	assert_int_equal(options->offline_retain_for_ms, INT64_C(604800000));
	assert_int_equal(options->auth_mode, AUTH_MODE_DEFER);
	assert_int_equal(options->topic_guard, TOPIC_GUARD_AUTO);
	assert_int_equal(options->admin_roles.count, 1);
	assert_false(options->control_open);
	assert_int_equal(options->command_rate, 10);
	assert_int_equal(options->command_burst, 20);
	assert_int_equal(options->subjects_max, 100000);
	assert_int_equal(options->devices_max, 32);
	assert_null(options->state_file);
	assert_int_equal(options->redis.scheme, REDIS_NONE);
	assert_null(options->redis_password_file);
	assert_string_equal(options->redis_prefix, "presence");
	assert_int_equal(options->redis_partitions, 1);
	assert_int_equal(options->redis_ttl_ms, 180000);
	assert_int_equal(options->redis_stream_maxlen, 100000);
	assert_int_equal(options->node_lease_ms, 10000);
	assert_int_equal(options->queue_max, 65536);
	assert_null(options->config_file);
	options_destroy(parsed.options);
}

static const struct {
	const char *key, *value, *printed; /* NULL: as given */
} good[] = {
	{ "node", "b1.Example_org-2", NULL },
	{ "topic", "app/presence", NULL },
	{ "topic", "\xc3\xa9tat", NULL },
	{ "typing_topic", "t", NULL },
	{ "payload_format", "text", NULL },
	{ "payload_format", "json", NULL },
	{ "device_topics", "true", NULL },
	{ "identity", "username {role}.{id}", NULL },
	{ "identity", "clientid x#{role}.{id}", NULL },
	{ "roles", "*", NULL },
	{ "roles", "  a   b  ", "a b" },
	{ "unmatched", "ignore", NULL },
	{ "unmatched_retain_for", "100ms", NULL },
	{ "ignore_prefixes", "none", NULL },
	{ "ignore_prefixes", "x", NULL },
	{ "grace", "0", NULL },
	{ "grace", "0s", "0" },
	{ "grace", "1500ms", NULL },
	{ "grace", "1.5s", "1500ms" },
	{ "grace", "60min", "1h" },
	{ "grace", " 3s \r", "3s" },
	{ "grace", "\t3s\t", "3s" },
	{ "grace_keepalive", "2s", NULL },
	{ "restart_grace", "1min", NULL },
	{ "heartbeat_interval", "1s", NULL },
	{ "heartbeat_misses", "100", NULL },
	{ "away_after", "5min", NULL },
	{ "offline_retain_for", "3650d", NULL },
	{ "auth_mode", "allow", NULL },
	{ "topic_guard", "off", NULL },
	{ "topic_guard", "defer", NULL },
	{ "admin_roles", "none", NULL },
	{ "control_open", "true", NULL },
	{ "command_rate", "1/s burst 1", NULL },
	{ "command_rate", "10000/s burst 10000", NULL },
	{ "subjects_max", "1", NULL },
	{ "subjects_max", "10M", "10000000" },
	{ "devices_max", "1k", "1000" },
	{ "queue_max", "16M", "16000000" },
	{ "state_file", "/var/lib/mosquitto/a b#c.db", NULL },
	{ "state_file", "none", NULL },
	{ "redis_url", "unix:///run/redis.sock", NULL },
	{ "redis_url", "redis://u:pass@h:1/2", "redis://u:******@h:1/2" },
	{ "redis_url", "none", NULL },
	{ "redis_password_file", "/etc/x", NULL },
	{ "redis_prefix", "app:presence", NULL },
	{ "redis_partitions", "1024", NULL },
	{ "redis_ttl", "30s", NULL },
	{ "redis_stream_maxlen", "1G", "1000000000" },
	{ "node_lease", "60s", "1min" },
	{ "config_file", "/etc/mosquitto/presence.conf", NULL },
};

static void good_values_are_taken(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT_OF(good); i++) {
		struct parsed parsed = parse_pair(good[i].key, good[i].value);
		if (parsed.err)
			fail_msg("%s", parsed.problem);
		const char *expected = good[i].printed ? good[i].printed : good[i].value;
		if (!strcmp(good[i].key, "node")) {
			assert_string_equal(parsed.options->node, expected);
		} else {
			char *value = printed(parsed.options, good[i].key);
			assert_string_equal(value, expected);
			free(value);
		}
		options_destroy(parsed.options);
	}
}

#define ID_64 "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
#define COMMENT                                                                                 \
	"has a # in its value; it starts a comment only as the first character of a line: put " \
	"the "                                                                                  \
	"comment on a line of its own"
#define NOT_TEXT "holds a tab, another control character or something that is not UTF-8"

/* The whole line, for each. */
static const struct {
	const char *key, *value, *problem;
} bad[] = {
	{ "redis_hots", "x",
		"plugin_opt_redis_hots: unknown option redis_hots; did you mean redis_url?" },
	{ "redis_host", "x",
		"plugin_opt_redis_host: unknown option redis_host; did you mean redis_url?" },
	{ "redis_password", "x",
		"plugin_opt_redis_password: unknown option redis_password; did you mean "
		"redis_password_file?" },
	{ "grcae", "3s", "plugin_opt_grcae: unknown option grcae; did you mean grace?" },
	{ "rgaec", "3s", "plugin_opt_rgaec: unknown option rgaec; did you mean grace?" },
	{ "Grace", "3s", "plugin_opt_Grace: unknown option Grace; did you mean grace?" },
	{ "rols", "x", "plugin_opt_rols: unknown option rols; did you mean roles?" },
	{ "hearbeat_intervall", "x",
		"plugin_opt_hearbeat_intervall: unknown option hearbeat_intervall; did you mean "
		"heartbeat_interval?" },
	{ "subject_max", "1",
		"plugin_opt_subject_max: unknown option subject_max; did you mean subjects_max?" },
	{ "xyzzy", "1",
		"plugin_opt_xyzzy: unknown option xyzzy; mosquitto.conf.example shows all there "
		"are" },
	{ "a_name_longer_than_any_option_that_there_is", "1",
		"plugin_opt_a_name_longer_than_any_option_that_there_is: unknown option "
		"a_name_longer_than_any_option_that_there_is; mosquitto.conf.example shows all "
		"there "
		"are" },
	{ "grace", "", "plugin_opt_grace: has no value" },
	{ "grace", "  \t ", "plugin_opt_grace: has no value" },
	{ "grace", "3",
		"plugin_opt_grace: \"3\" has no unit; write ms, s, min, h or d after it, like 3s" },
	{ "grace", "2m",
		"plugin_opt_grace: \"2m\" is unclear, since m is a month in mosquitto.conf; write "
		"2min "
		"for minutes" },
	{ "grace", "1.5ms",
		"plugin_opt_grace: \"1.5ms\" is no duration; write a number and ms, s, min, h "
		"or "
		"d, like 3s" },
	{ "grace", "-1s",
		"plugin_opt_grace: \"-1s\" is no duration; write a number and ms, s, min, h "
		"or d, "
		"like 3s" },
	{ "grace", "3601s", "plugin_opt_grace: \"3601s\" is out of range, from 0 to 1h" },
	{ "grace", "99999999999999999999999999d",
		"plugin_opt_grace: \"99999999999999999999999999d\" is out of range, from 0 to 1h" },
	{ "grace", "3s # short", "plugin_opt_grace: " COMMENT },
	{ "grace", "3s#", "plugin_opt_grace: " COMMENT },
	{ "grace", "3s\x01", "plugin_opt_grace: " NOT_TEXT },
	{ "grace", "\xff", "plugin_opt_grace: " NOT_TEXT },
	{ "grace",
		"a value of no kind at all, and much longer than anybody would want to read in a "
		"log",
		"plugin_opt_grace: \"a value of no kind at all, and much longer than anybody "
		"wo...\" is "
		"no duration; write a number and ms, s, min, h or d, like 3s" },
	/* Not cut in the middle of a character. */
	{ "grace", "012345678901234567890123456789012345678901234567890123456\xc3\xa9\xc3\xa9",
		"plugin_opt_grace: "
		"\"012345678901234567890123456789012345678901234567890123456...\" "
		"is no duration; write a number and ms, s, min, h or d, like 3s" },
	{ "node", "b 1", "plugin_opt_node: \"b 1\" is not 1 to 64 of A-Z a-z 0-9 . _ -" },
	{ "node", "b/1", "plugin_opt_node: \"b/1\" is not 1 to 64 of A-Z a-z 0-9 . _ -" },
	{ "node", "b#", "plugin_opt_node: " COMMENT },
	{ "node", ID_64 "x",
		"plugin_opt_node: "
		"\"0123456789abcdef0123456789abcdef0123456789abcdef0123456789...\" is "
		"not 1 to 64 of A-Z a-z 0-9 . _ -" },
	{ "topic", "a/+",
		"plugin_opt_topic: \"a/+\" is no start of a topic: at most 128 bytes, no + # $, no "
		"empty "
		"level" },
	{ "topic", "/a",
		"plugin_opt_topic: \"/a\" is no start of a topic: at most 128 bytes, no + # $, no "
		"empty "
		"level" },
	{ "topic", "a/",
		"plugin_opt_topic: \"a/\" is no start of a topic: at most 128 bytes, no + # $, no "
		"empty "
		"level" },
	{ "topic", "a//b",
		"plugin_opt_topic: \"a//b\" is no start of a topic: at most 128 bytes, no + # $, "
		"no "
		"empty level" },
	{ "topic", "$SYS/x",
		"plugin_opt_topic: \"$SYS/x\" is no start of a topic: at most 128 bytes, no + # $, "
		"no "
		"empty level" },
	{ "topic", "typing",
		"topic and typing_topic overlap; neither may be the start of the other" },
	{ "topic", "typing/x",
		"topic and typing_topic overlap; neither may be the start of the other" },
	{ "typing_topic", "presence/t",
		"topic and typing_topic overlap; neither may be the start of the other" },
	{ "payload_format", "xml", "plugin_opt_payload_format: \"xml\" is none of: json text" },
	{ "device_topics", "yes", "plugin_opt_device_topics: \"yes\" is neither true nor false" },
	{ "device_topics", "1", "plugin_opt_device_topics: \"1\" is neither true nor false" },
	{ "device_topics", "true # on", "plugin_opt_device_topics: " COMMENT },
	{ "identity", "clientid {role}{id}",
		"plugin_opt_identity: \"clientid {role}{id}\" needs something between two "
		"placeholders, to tell where one "
		"ends" },
	{ "identity", "clientid {role}:{id} # default", "plugin_opt_identity: " COMMENT },
	{ "roles", "none", "plugin_opt_roles: needs at least one word; * stands for any" },
	{ "roles", "agent # people", "plugin_opt_roles: " COMMENT },
	{ "roles", "a\tb", "plugin_opt_roles: " NOT_TEXT },
	{ "roles", "a " ID_64 ID_64 "x", "plugin_opt_roles: has a word of more than 128 bytes" },
	{ "roles",
		"1 2 3 4 5 6 7 8 9 1 2 3 4 5 6 7 8 9 1 2 3 4 5 6 7 8 9 1 2 3 4 5 6 7 8 9 "
		"1 2 3 4 5 6 7 8 9 1 2 3 4 5 6 7 8 9 1 2 3 4 5 6 7 8 9 1 2",
		"plugin_opt_roles: has more than 64 words" },
	{ "ignore_prefixes", "none x",
		"plugin_opt_ignore_prefixes: has none among other words; none stands alone" },
	{ "unmatched", "drop", "plugin_opt_unmatched: \"drop\" is none of: track ignore" },
	{ "unmatched_retain_for", "99ms",
		"plugin_opt_unmatched_retain_for: \"99ms\" is out of range, from 100ms to 3650d" },
	{ "heartbeat_interval", "999ms",
		"plugin_opt_heartbeat_interval: \"999ms\" is out of range, from 1s to 1h" },
	{ "heartbeat_misses", "0",
		"plugin_opt_heartbeat_misses: \"0\" is out of range, from 1 to 100" },
	{ "auth_mode", "none", "plugin_opt_auth_mode: \"none\" is none of: defer allow" },
	{ "topic_guard", "on", "plugin_opt_topic_guard: \"on\" is none of: auto defer allow off" },
	{ "command_rate", "10",
		"plugin_opt_command_rate: \"10\" is no rate like 10/s burst 20, each from 1 to "
		"10000, "
		"the second not below the first" },
	{ "command_rate", "0/s burst 1",
		"plugin_opt_command_rate: \"0/s burst 1\" is no rate like 10/s burst 20, each from "
		"1 to "
		"10000, the second not below the first" },
	{ "command_rate", "10/s burst 9",
		"plugin_opt_command_rate: \"10/s burst 9\" is no rate like 10/s burst 20, each "
		"from 1 "
		"to 10000, the second not below the first" },
	{ "command_rate", "10/s burst 20k",
		"plugin_opt_command_rate: \"10/s burst 20k\" is no rate like 10/s burst 20, each "
		"from 1 "
		"to 10000, the second not below the first" },
	{ "subjects_max", "0",
		"plugin_opt_subjects_max: \"0\" is out of range, from 1 to 10000000" },
	{ "subjects_max", "11M",
		"plugin_opt_subjects_max: \"11M\" is out of range, from 1 to 10000000" },
	{ "subjects_max", "many",
		"plugin_opt_subjects_max: \"many\" is no number; write digits, and k, M or G for "
		"thousands, like 100k" },
	{ "subjects_max", "100 # all", "plugin_opt_subjects_max: " COMMENT },
	{ "devices_max", "1001",
		"plugin_opt_devices_max: \"1001\" is out of range, from 1 to 1000" },
	{ "queue_max", "255",
		"plugin_opt_queue_max: \"255\" is out of range, from 256 to 16000000" },
	{ "redis_partitions", "1025",
		"plugin_opt_redis_partitions: \"1025\" is out of range, from 1 to 1024" },
	{ "redis_prefix", "{x}",
		"plugin_opt_redis_prefix: \"{x}\" is not 1 to 64 of A-Z a-z 0-9 . _ - :" },
	{ "state_file", "presence.db",
		"plugin_opt_state_file: \"presence.db\" is not an absolute path; start it with /" },
	{ "redis_password_file", "secret",
		"plugin_opt_redis_password_file: is not the absolute path of a file with the "
		"password in it; it would start with /" },
	{ "state_file", "/",
		"plugin_opt_state_file: \"/\" is not an absolute path; start it with /" },
	{ "state_file", "/var/x.db # here", "plugin_opt_state_file: " COMMENT },
	{ "config_file", "x.conf",
		"plugin_opt_config_file: \"x.conf\" is not an absolute path; start it with /" },
	{ "redis_url", "rediss://h",
		"plugin_opt_redis_url: asks for TLS with rediss://, which is not supported yet; "
		"use a "
		"unix "
		"socket, or redis:// on a trusted network or through stunnel" },
	{ "redis_url", "redis://bob@h",
		"redis_url has a user but no password; add redis_password_file" },
	{ "redis_ttl", "29s",
		"redis_ttl is 29s, less than three times node_lease, which is 10s; make it 30s or "
		"more" },
	{ "node_lease", "2min",
		"redis_ttl is 3min, less than three times node_lease, which is 2min; make it 6min "
		"or "
		"more" },
};

static void bad_values_are_explained(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT_OF(bad); i++) {
		struct parsed parsed = parse_pair(bad[i].key, bad[i].value);
		if (parsed.err != PRESENCE_EINVAL)
			fail_msg("%s %s is taken", bad[i].key, bad[i].value);
		assert_string_equal(parsed.problem, bad[i].problem);
	}
}

static void a_value_has_a_largest_size(void **state)
{
	char value[OPTIONS_PATH_MAX + 1];
	(void)state;
	memset(value, '/', sizeof(value));
	value[OPTIONS_PATH_MAX] = '\0';
	struct parsed parsed = parse_pair("state_file", value);
	assert_string_equal(parsed.problem,
		"plugin_opt_state_file: has a value that is too long, of more than 1023 bytes");
	value[OPTIONS_PATH_MAX - 1] = '\0';
	parsed = parse_pair("state_file", value);
	assert_int_equal(parsed.err, PRESENCE_OK);
	assert_string_equal(parsed.options->state_file, value);
	options_destroy(parsed.options);
}

/* Passwords stand in values, and lines in logs. */
static void no_problem_tells_a_password(void **state)
{
	static const char *const urls[] = { "redis://u:hunter2@", "redis://u:hunter2@h:x",
		"redis://u:hunter2@h/x", "redis://u:hunter2@h h", "redis://u:hunter2/@h",
		"redis://u:%hunter2@h", "rediss://u:hunter2@h", "http://u:hunter2@h",
		"redis://u:hunter2@h #", "redis://u:hunter2\x01@h" };
	(void)state;
	for (size_t i = 0; i < COUNT_OF(urls); i++) {
		struct parsed parsed = parse_pair("redis_url", urls[i]);
		assert_int_equal(parsed.err, PRESENCE_EINVAL);
		assert_null(strstr(parsed.problem, "hunter2"));
	}
	struct parsed parsed = parse_pair("redis_url", "redis://u:hunter2@h");
	char *text;
	assert_int_equal(options_print(parsed.options, &text), PRESENCE_OK);
	assert_null(strstr(text, "hunter2"));
	assert_non_null(strstr(text, "\nredis_url redis://u:******@h:6379/0\n"));
	free(text);
	options_destroy(parsed.options);
}

static void one_password_is_enough(void **state)
{
	static const struct option_pair pairs[] = {
		{ "redis_url", "redis://bob:x@h" },
		{ "redis_password_file", "/etc/x" },
	};
	static const struct option_pair user[] = {
		{ "redis_url", "redis://bob@h" },
		{ "redis_password_file", "/etc/x" },
	};
	(void)state;
	struct parsed parsed = parse(
		&(struct options_input){ .pairs = pairs, .count = 2, .host_name = "b1" });
	assert_string_equal(parsed.problem,
		"redis_url has a password and redis_password_file is given; remove one");
	parsed = parse(&(struct options_input){ .pairs = user, .count = 2, .host_name = "b1" });
	assert_int_equal(parsed.err, PRESENCE_OK);
	assert_string_equal(parsed.options->redis.user, "bob");
	options_destroy(parsed.options);
}

static void an_option_stands_once_unless_it_repeats(void **state)
{
	static const struct option_pair twice[] = { { "grace", "1s" }, { "grace", "1s" } };
	static const struct option_pair rules[] = {
		{ "identity", "username {role}.{id}" },
		{ "grace", "1s" },
		{ "identity", "clientid {role}/{id}" },
	};
	(void)state;
	struct parsed parsed = parse(
		&(struct options_input){ .pairs = twice, .count = 2, .host_name = "b1" });
	assert_string_equal(parsed.problem, "plugin_opt_grace: is given twice; remove one");
	parsed = parse(&(struct options_input){ .pairs = rules, .count = 3, .host_name = "b1" });
	assert_int_equal(parsed.options->identity_count, 2);
	assert_string_equal(
		identity_rule_text(parsed.options->identity[0]), "username {role}.{id}");
	assert_string_equal(
		identity_rule_text(parsed.options->identity[1]), "clientid {role}/{id}");
	options_destroy(parsed.options);
}

static void too_many_rules_are_refused(void **state)
{
	struct option_pair pairs[OPTION_ITEMS_MAX + 1];
	(void)state;
	for (size_t i = 0; i < COUNT_OF(pairs); i++)
		pairs[i] = (struct option_pair){ "identity", "clientid {role}:{id}" };
	struct options_input input = {
		.pairs = pairs, .count = COUNT_OF(pairs), .host_name = "b1"
	};
	assert_string_equal(
		parse(&input).problem, "plugin_opt_identity: stands more than 64 times");
	input.count--;
	struct parsed parsed = parse(&input);
	assert_int_equal(parsed.options->identity_count, OPTION_ITEMS_MAX);
	options_destroy(parsed.options);
}

static void the_host_names_the_node_unless_it_cannot(void **state)
{
	static const struct option_pair pair = { "node", "b1" };
	(void)state;
	struct parsed parsed = parse(&(struct options_input){ .host_name = "my host" });
	assert_string_equal(parsed.problem,
		"the host's name does not do as the default of node: \"my host\" is not 1 to 64 of "
		"A-Z "
		"a-z 0-9 . _ -; give plugin_opt_node");
	parsed = parse(&(struct options_input){ .host_name = NULL });
	assert_string_equal(parsed.problem,
		"the host's name does not do as the default of node: \"\" is not 1 to 64 of A-Z "
		"a-z 0-9 "
		". _ -; give plugin_opt_node");
	parsed = parse(
		&(struct options_input){ .pairs = &pair, .count = 1, .host_name = "my host" });
	assert_int_equal(parsed.err, PRESENCE_OK);
	options_destroy(parsed.options);
}

static void a_file_holds_options_too(void **state)
{
	static const char text[] = "# Options of presence\n"
				   "\n"
				   "grace 5s\r\n"
				   "\t grace_keepalive \t 1s  \n"
				   "  # a comment\n"
				   "identity username {role}.{id}\n"
				   "identity clientid {role}/{id}\n"
				   "#grace 6s\n"
				   "roles a b";
	(void)state;
	struct parsed parsed = parse_file(text, sizeof(text) - 1);
	if (parsed.err)
		fail_msg("%s", parsed.problem);
	assert_int_equal(parsed.options->grace_ms, 5000);
	assert_int_equal(parsed.options->grace_keepalive_ms, 1000);
	assert_int_equal(parsed.options->identity_count, 2);
	assert_int_equal(parsed.options->roles.count, 2);
	options_destroy(parsed.options);
}

static void what_the_broker_passes_wins_over_the_file(void **state)
{
	static const char text[] = "grace 5s\nroles a b\nidentity username {role}.{id}\n"
				   "identity username {role}-{id}\nstate_file /var/x\nnode b2\n";
	static const struct option_pair pairs[] = {
		{ "grace", "6s" },
		{ "identity", "clientid {role}/{id}" },
		{ "state_file", "none" },
		{ "config_file", "/etc/p.conf" },
	};
	(void)state;
	struct parsed parsed = parse(&(struct options_input){ .pairs = pairs,
		.count = COUNT_OF(pairs),
		.host_name = "b1",
		.file_text = text,
		.file_length = sizeof(text) - 1,
		.file_name = "/etc/p.conf" });
	if (parsed.err)
		fail_msg("%s", parsed.problem);
	assert_int_equal(parsed.options->grace_ms, 6000);
	assert_int_equal(parsed.options->roles.count, 2);
	assert_int_equal(parsed.options->identity_count, 1);
	assert_string_equal(
		identity_rule_text(parsed.options->identity[0]), "clientid {role}/{id}");
	assert_null(parsed.options->state_file);
	assert_string_equal(parsed.options->node, "b2");
	assert_string_equal(parsed.options->config_file, "/etc/p.conf");
	options_destroy(parsed.options);
}

static const struct {
	const char *text;
	size_t length;
	const char *problem;
} bad_files[] = {
	{ "\n\nredis_hots x\n", 14,
		"/etc/p.conf:3: redis_hots: unknown option redis_hots; did you mean redis_url?" },
	{ "plugin_opt_grace 3s\n", 20,
		"/etc/p.conf:1: plugin_opt_grace: unknown option; here keys stand without "
		"plugin_opt_" },
	{ "grace 3s\ngrace 4s", 17, "/etc/p.conf:2: grace: is given twice; remove one" },
	{ "# x\ngrace\n", 10, "/etc/p.conf:2: grace: has no value" },
	{ "grace 3s # x\n", 13, "/etc/p.conf:1: grace: " COMMENT },
	{ "grace=3s\n", 9,
		"/etc/p.conf:1: grace: unknown option; a key is letters, digits and _, then comes "
		"a "
		"blank and the value" },
	{ "redis_url=redis://:secret@h\n", 28,
		"/etc/p.conf:1: redis_url: unknown option; a key is letters, digits and _, then "
		"comes a blank and the value" },
	{ "config_file /etc/q.conf\n", 24,
		"/etc/p.conf:1: config_file: names this file; it can only stand in the broker's "
		"configuration" },
	{ "grace 3s\0\n", 10, "/etc/p.conf:1: is not text; each line is a key and its value" },
	{ "\n\xff\xfeg\n", 5, "/etc/p.conf:2: is not text; each line is a key and its value" },
	{ "node_lease 2min\n", 16,
		"redis_ttl is 3min, less than three times node_lease, which is 2min; make it 6min "
		"or "
		"more" },
};

static void mistakes_in_the_file_have_a_line(void **state)
{
	char text[4096];
	(void)state;
	for (size_t i = 0; i < COUNT_OF(bad_files); i++)
		assert_string_equal(parse_file(bad_files[i].text, bad_files[i].length).problem,
			bad_files[i].problem);
	memset(text, '#', sizeof(text));
	assert_string_equal(parse_file(text, sizeof(text)).problem, "/etc/p.conf:1: is too long");
	/* A file without a name still has lines. */
	assert_string_equal(parse(&(struct options_input){
					  .host_name = "b1", .file_text = "x", .file_length = 1 })
				    .problem,
		"config_file:1: x: unknown option x; mosquitto.conf.example shows all there are");
}

/* Whatever the file holds: an answer, and one line. */
static void any_file_has_an_answer(void **state)
{
	uint64_t seed = seed_of_test();
	static const char *const pieces[] = { "grace", "roles", "identity", " ", " ", "\n", "\n",
		"3s", "0", "#", "none", "clientid {role}:{id}", "\t", "\r\n", "\xff", "redis_url",
		"unix:///x", "\"", "%s%n", "node_lease", "true" };
	(void)state;
	for (int i = 0; i < 3000; i++) {
		char text[1024] = "";
		for (uint32_t n = random_below(&seed, 30); n > 0; n--)
			strcat(text, pieces[random_below(&seed, COUNT_OF(pieces))]);
		char *exact = malloc(strlen(text) + 1);
		assert_non_null(exact);
		memcpy(exact, text, strlen(text));
		struct parsed parsed = parse_file(exact, strlen(text));
		options_destroy(parsed.options);
		free(exact);
	}
}

static void config_file_is_found_first(void **state)
{
	char path[OPTIONS_PATH_MAX], problem[OPTIONS_PROBLEM_MAX];
	static const struct option_pair pairs[] = {
		{ "nonsense", "x" },
		{ "config_file", " /etc/p.conf \t" },
		{ "config_file", "/etc/q.conf" },
	};
	static const struct option_pair relative = { "config_file", "p.conf" };
	(void)state;
	assert_int_equal(options_config_file(NULL, 0, path, problem), PRESENCE_OK);
	assert_string_equal(path, "");
	assert_int_equal(options_config_file(pairs, 1, path, problem), PRESENCE_OK);
	assert_string_equal(path, "");
	assert_int_equal(options_config_file(pairs, 2, path, problem), PRESENCE_OK);
	assert_string_equal(path, "/etc/p.conf");
	assert_int_equal(options_config_file(pairs, 3, path, problem), PRESENCE_EINVAL);
	assert_string_equal(problem, "plugin_opt_config_file: is given twice; remove one");
	assert_int_equal(options_config_file(&relative, 1, path, problem), PRESENCE_EINVAL);
	assert_string_equal(problem,
		"plugin_opt_config_file: \"p.conf\" is not an absolute path; start it with /");
}

/* What is printed parses to the same, so that two configurations can be told apart. */
static void what_is_printed_parses_again(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT_OF(good); i++) {
		struct parsed parsed = parse_pair(good[i].key, good[i].value), again;
		char *text, *text_again, *line;
		assert_int_equal(options_print(parsed.options, &text), PRESENCE_OK);
		if (strstr(text, "******") || !strcmp(good[i].key, "config_file")) {
			options_destroy(parsed.options);
			free(text);
			continue;
		}
		/* The one line that a file may not have. */
		line = strstr(text, "config_file");
		line[0] = '#';
		again = parse_file(text, strlen(text));
		line[0] = 'c';
		if (again.err)
			fail_msg("%s", again.problem);
		assert_int_equal(options_print(again.options, &text_again), PRESENCE_OK);
		assert_string_equal(text_again, text);
		free(text);
		free(text_again);
		options_destroy(parsed.options);
		options_destroy(again.options);
	}
}

static const char *changed(const char *key, const char *value, const char *next_value)
{
	struct parsed running = parse_pair(key, value), next = parse_pair(key, next_value);
	const char *found;
	assert_int_equal(running.err, PRESENCE_OK);
	assert_int_equal(next.err, PRESENCE_OK);
	assert_int_equal(options_find_fixed(running.options, next.options, &found), PRESENCE_OK);
	options_destroy(running.options);
	options_destroy(next.options);
	return found;
}

static void some_options_cannot_change_while_running(void **state)
{
	(void)state;
	assert_null(changed("topic", "a", "a"));
	assert_string_equal(changed("topic", "a", "b"), "topic");
	assert_string_equal(changed("state_file", "/a", "none"), "state_file");
	assert_string_equal(changed("redis_url", "redis://:a@h", "redis://:b@h"), "redis_url");
	assert_null(changed("grace", "1s", "2s"));
	assert_null(changed("identity", "clientid {role}:{id}", "clientid {role}/{id}"));
	assert_null(changed("roles", "a", "b"));
}

/* The table itself. */
static void every_default_parses_and_prints(void **state)
{
	(void)state;
	assert_true(options_table_count > 30);
	for (size_t i = 0; i < options_table_count; i++) {
		const struct option *option = &options_table[i];
		assert_non_null(option->text);
		if (option->example) {
			struct parsed parsed = parse_pair(option->key, option->example);
			if (parsed.err)
				fail_msg("%s", parsed.problem);
			options_destroy(parsed.options);
		}
		if (option->kind == OPTION_NODE || option->repeatable)
			continue;
		struct parsed parsed = parse_pair(option->key, option->fallback);
		if (parsed.err)
			fail_msg("%s", parsed.problem);
		options_destroy(parsed.options);
	}
}

static void keep_last(void *context, const char *key, const char *default_value)
{
	char *log = context;
	sprintf(log + strlen(log), "%s=%s;", key, default_value);
}

static void each_key_is_visited_in_order(void **state)
{
	char log[8192] = "";
	(void)state;
	options_each_key(keep_last, log);
	assert_memory_equal(log, "node=the host's name;config_file=none;topic=presence;", 53);
	assert_non_null(strstr(log,
		";identity=clientid {role}:{id}:{device};"
		"identity=clientid {role}:{id};roles="));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(defaults_are_what_the_design_says),
		cmocka_unit_test(good_values_are_taken),
		cmocka_unit_test(bad_values_are_explained),
		cmocka_unit_test(a_value_has_a_largest_size),
		cmocka_unit_test(no_problem_tells_a_password),
		cmocka_unit_test(one_password_is_enough),
		cmocka_unit_test(an_option_stands_once_unless_it_repeats),
		cmocka_unit_test(too_many_rules_are_refused),
		cmocka_unit_test(the_host_names_the_node_unless_it_cannot),
		cmocka_unit_test(a_file_holds_options_too),
		cmocka_unit_test(what_the_broker_passes_wins_over_the_file),
		cmocka_unit_test(mistakes_in_the_file_have_a_line),
		cmocka_unit_test(any_file_has_an_answer),
		cmocka_unit_test(config_file_is_found_first),
		cmocka_unit_test(what_is_printed_parses_again),
		cmocka_unit_test(some_options_cannot_change_while_running),
		cmocka_unit_test(every_default_parses_and_prints),
		cmocka_unit_test(each_key_is_visited_in_order),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
