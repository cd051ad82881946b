/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */

/* Each allocation of lib/wire fails once; nothing leaks and nothing is half made. Those of
 * json-c, a shared library, stay as they are. */

#include <stdio.h>

#include "failing.h"
#include "wire/identity.h"
#include "wire/options.h"
#include "wire/record.h"

WRAP(void *, malloc, (size_t size), (size), NULL)
WRAP(void *, calloc, (size_t count, size_t size), (count, size), NULL)
WRAP(void *, realloc, (void *memory, size_t size), (memory, size), NULL)
WRAP(char *, strdup, (const char *text), (text), NULL)
WRAP(char *, strndup, (const char *text, size_t length), (text, length), NULL)
WRAP(FILE *, open_memstream, (char **text, size_t *length), (text, length), NULL)

static int attempt_options(void)
{
	static const struct option_pair pairs[] = {
		{ "identity", "username {role}.{id}" },
		{ "identity", "clientid {role}:{id}" },
		{ "roles", "a b c" },
		{ "state_file", "/var/x" },
		{ "redis_url", "redis://u:p@h:1/2" },
		{ "config_file", "/etc/p.conf" },
		{ "node", "b1" },
	};
	static const char file[] = "redis_url unix:///x\nidentity clientid {role}/{id}\nroles d e\n"
				   "state_file /var/y\n";
	char problem[OPTIONS_PROBLEM_MAX];
	struct options *options;
	int err = options_parse(&(struct options_input){ .pairs = pairs,
					.count = COUNT_OF(pairs),
					.host_name = "h",
					.file_text = file,
					.file_length = sizeof(file) - 1 },
		&options, problem);
	if (err) {
		assert_null(options);
		assert_string_equal(problem, "out of memory");
	}
	options_destroy(options);
	return err;
}

static void options_need_memory(void **state)
{
	(void)state;
	fail_each(attempt_options, 30);
}

static int attempt_config_file(void)
{
	static const struct option_pair pair = { "config_file", "/etc/p.conf" };
	char path[OPTIONS_PATH_MAX], problem[OPTIONS_PROBLEM_MAX];
	int err = options_config_file(&pair, 1, path, problem);
	assert_string_equal(path, err ? "" : "/etc/p.conf");
	assert_string_equal(problem, err ? "out of memory" : "");
	return err;
}

static void finding_the_file_needs_memory(void **state)
{
	(void)state;
	fail_each(attempt_config_file, 1);
}

static struct options *defaults(void)
{
	struct options *options;
	char problem[OPTIONS_PROBLEM_MAX];
	long kept = until_failure;
	until_failure = 0;
	assert_int_equal(
		options_parse(&(struct options_input){ .host_name = "h" }, &options, problem),
		PRESENCE_OK);
	until_failure = kept;
	return options;
}

static int attempt_print(void)
{
	struct options *options = defaults();
	char *text;
	int err = options_print(options, &text);
	assert_int_equal(err == PRESENCE_OK, text != NULL);
	free(text);
	options_destroy(options);
	return err;
}

static void printing_needs_memory(void **state)
{
	(void)state;
	fail_each(attempt_print, 1);
}

static int attempt_find_fixed(void)
{
	struct options *running = defaults(), *next = defaults();
	const char *key;
	int err = options_find_fixed(running, next, &key);
	assert_null(key);
	options_destroy(running);
	options_destroy(next);
	return err;
}

static void comparing_needs_memory(void **state)
{
	(void)state;
	fail_each(attempt_find_fixed, 10);
}

static int attempt_example(void)
{
	static char room[65536];
	long kept = until_failure;
	until_failure = 0;
	FILE *out = fmemopen(room, sizeof(room), "w");
	assert_non_null(out);
	until_failure = kept;
	int err = options_write_example(out);
	assert_int_equal(fclose(out), 0);
	return err;
}

static void the_example_needs_memory(void **state)
{
	(void)state;
	fail_each(attempt_example, 10);
}

static int attempt_rule(void)
{
	struct identity_rule *rule;
	const char *problem;
	int err = identity_rule_create("clientid {role}:{id}", &rule, &problem);
	assert_int_equal(err == PRESENCE_OK, rule != NULL);
	identity_rule_destroy(rule);
	return err;
}

static void a_rule_needs_memory(void **state)
{
	(void)state;
	fail_each(attempt_rule, 1);
}

static int attempt_record(void)
{
	static const char json[] =
		"{\"v\":1,\"role\":\"a\",\"id\":\"u1\",\"status\":\"online\",\"previous\":\"away\","
		"\"reason\":\"app\",\"source\":\"app\",\"devices\":1,\"since\":1,\"last_seen\":2,"
		"\"rev\":3,\"node\":\"b1\",\"note\":\"x\"}";
	struct presence_record record = { .rev = 77 };
	struct record_storage *storage;
	int err = record_read(json, sizeof(json) - 1, &record, &storage);
	assert_int_equal(err == PRESENCE_OK, storage != NULL);
	assert_int_equal(record.rev, err ? 77 : 3);
	record_free(storage);
	return err;
}

static void a_record_needs_memory(void **state)
{
	(void)state;
	fail_each(attempt_record, 1);
}

/* On the way of every publication. */
static void writing_a_record_needs_none(void **state)
{
	static const struct presence_record record = {
		.role = "agent", .id = "u\"1", .note = "in a call\n"
	};
	char out[PRESENCE_RECORD_MAX];
	(void)state;
	until_failure = 1;
	int length = record_write(&record, "b1", out, sizeof(out));
	bool failed = until_failure < 0;
	until_failure = 0;
	assert_true(length > 0);
	assert_false(failed);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(options_need_memory),
		cmocka_unit_test(finding_the_file_needs_memory),
		cmocka_unit_test(printing_needs_memory),
		cmocka_unit_test(comparing_needs_memory),
		cmocka_unit_test(the_example_needs_memory),
		cmocka_unit_test(a_rule_needs_memory),
		cmocka_unit_test(a_record_needs_memory),
		cmocka_unit_test(writing_a_record_needs_none),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
