/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */

/* What is written for people about the options, held to the table. */

#include <stdio.h>

#include "check.h"
#include "core/presence.h"
#include "wire/options.h"

static char *read_file(const char *name)
{
	char path[4096];
	(void)snprintf(path, sizeof(path), "%s/%s", PROJECT_ROOT, name);
	FILE *file = fopen(path, "rb");
	if (!file)
		fail_msg("%s cannot be opened", name);
	size_t room = 256 * 1024;
	char *text = test_calloc(1, room);
	size_t length = fread(text, 1, room - 1, file);
	assert_true(length > 0 && length < room - 1);
	assert_int_equal(fclose(file), 0);
	return text;
}

static void the_reference_is_what_the_table_says(void **state)
{
	char *expected = NULL, *text = read_file("docs/OPTIONS.md");
	size_t length;
	FILE *out = open_memstream(&expected, &length);
	(void)state;
	assert_non_null(out);
	options_write_reference(out);
	assert_int_equal(fclose(out), 0);
	if (strcmp(text, expected))
		fail_msg("docs/OPTIONS.md differs from lib/wire/options_table.c; renew it with\n"
			 "<build folder>/lib/wire/presence_options_reference > docs/OPTIONS.md");
	free(expected);
	test_free(text);
}

/* The part of the example that the table writes, word by word: its comments, too. */
static void the_example_ends_in_what_the_table_says(void **state)
{
	char *expected = NULL, *text = read_file("mosquitto.conf.example");
	size_t length;
	FILE *out = open_memstream(&expected, &length);
	(void)state;
	assert_non_null(out);
	assert_int_equal(options_write_example(out), PRESENCE_OK);
	assert_int_equal(fclose(out), 0);
	const char *found = strstr(text, expected);
	if (!found || found[length])
		fail_msg("mosquitto.conf.example does not end in what lib/wire/options_table.c "
			 "says; "
			 "replace its end with\n"
			 "<build folder>/lib/wire/presence_options_reference example");
	free(expected);
	test_free(text);
}

static void find_key(void *context, const char *key, const char *default_value)
{
	const char *text = context;
	char line[256];
	bool shown_otherwise = !strcmp(default_value, "none") || !strcmp(key, "node");
	(void)snprintf(line, sizeof(line), "\n#plugin_opt_%s %s%s", key,
		shown_otherwise ? "" : default_value, shown_otherwise ? "" : "\n");
	bool commented = strstr(text, line);
	(void)snprintf(line, sizeof(line), "\nplugin_opt_%s ", key);
	if (!commented && !strstr(text, line))
		fail_msg("mosquitto.conf.example does not show %s", key);
}

/* Said a second time without the code that wrote it. */
static void the_example_shows_every_option_with_its_default(void **state)
{
	char *text = read_file("mosquitto.conf.example");
	(void)state;
	options_each_key(find_key, text);
	test_free(text);
}

/* As the broker reads it: options in their lines, and those of the plugin after its own. */
static void what_the_example_turns_on_is_valid(void **state)
{
	char *text = read_file("mosquitto.conf.example"), *rest;
	struct option_pair pairs[64];
	size_t count = 0;
	bool plugin = false;
	(void)state;
	for (char *line = strtok_r(text, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest)) {
		static const char start[] = "plugin_opt_";
		size_t length = strlen(line);
		assert_null(strpbrk(line, "\t\r"));
		assert_true(length < 80 && line[length - 1] != ' ');
		plugin = plugin || !strncmp(line, "plugin ", 7);
		if (strncmp(line, start, strlen(start)))
			continue;
		assert_true(plugin);
		char *value = strchr(line, ' ');
		assert_non_null(value);
		*value++ = '\0';
		pairs[count++] = (struct option_pair){ line + strlen(start), value };
	}
	assert_true(count > 0);
	struct options *options;
	char problem[OPTIONS_PROBLEM_MAX];
	if (options_parse(
		    &(struct options_input){ .pairs = pairs, .count = count, .host_name = "b1" },
		    &options, problem))
		fail_msg("%s", problem);
	assert_string_equal(options->state_file, "/var/lib/mosquitto/presence.db");
	options_destroy(options);
	test_free(text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_reference_is_what_the_table_says),
		cmocka_unit_test(the_example_ends_in_what_the_table_says),
		cmocka_unit_test(the_example_shows_every_option_with_its_default),
		cmocka_unit_test(what_the_example_turns_on_is_valid),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
