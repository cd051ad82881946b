/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
#include "ctl/arguments.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

enum { WORDS_MAX = 16 };

/* Splits line at blanks; '' is an empty word. To be freed with free(words[0]). */
static int split(const char *line, char *words[WORDS_MAX])
{
	static const char program[] = "presencectl ";
	int count = 0;
	char *rest = NULL, *copy = malloc(strlen(line) + sizeof(program));
	assert_non_null(copy);
	strcpy(copy, program);
	strcat(copy, line);
	for (char *word = strtok_r(copy, " ", &rest); word; word = strtok_r(NULL, " ", &rest))
		words[count++] = strcmp(word, "''") ? word : word + 2;
	return count;
}

struct parsed {
	struct arguments arguments;
	enum ctl_exit end;
	char problem[SETTINGS_PROBLEM_MAX];
	char *words[WORDS_MAX];
};

static void parse(struct parsed *parsed, const char *line)
{
	parsed->problem[0] = '\0';
	int count = split(line, parsed->words);
	parsed->end = arguments_read(&parsed->arguments, count, parsed->words, parsed->problem);
}

static void release(struct parsed *parsed)
{
	arguments_finish(&parsed->arguments);
	free(parsed->words[0]);
}

static void test_refused(void **state)
{
	static const struct {
		const char *line, *problem;
	} cases[] = {
		{ "", "no command; presencectl --help lists them" },
		{ "wach", "there is no command wach; did you mean watch?" },
		{ "watch --colour", "there is no option --colour" },
		{ "watch -x", "there is no option -x" },
		{ "watch -h", "-h needs a value" },
		{ "watch -p 0", "--port 0: it must be a number from 1 to 65535" },
		{ "watch -p 70000", "--port 70000: it must be a number from 1 to 65535" },
		{ "watch -p 18x", "--port 18x: it must be a number from 1 to 65535" },
		{ "watch -V mqttv31", "--protocol-version mqttv31: it is one of mqttv5, mqttv311" },
		{ "watch --json=yes", "--json=yes: it takes no value" },
		{ "watch --ttl 3s", "--ttl is no option of watch" },
		{ "check-config x --json", "--json is no option of check-config" },
		{ "check-config x -h y", "-h is no option of check-config" },
		{ "check-config", "check-config needs FILE" },
		{ "check-config a b", "check-config does not take this: b" },
		{ "override agent/u1", "override needs SUBJECT STATUS" },
		{ "override agent/u1 dnd --ttl 99999999", "--ttl 99999999: that is too long" },
		{ "override agent/u1 dnd --ttl 99999999999999999999",
			"--ttl 99999999999999999999: that is too long" },
		{ "override agent/u1 dnd --note a\xff", "--note: it is not UTF-8" },
		{ "override agent/u1 dnd --ttl 5m", "--ttl 5m: write min for minutes" },
		{ "override agent/u1 dnd --ttl 0", "--ttl 0: that is too short" },
		{ "override agent/u1 dnd --ttl 9999d", "--ttl 9999d: that is too long" },
		{ "override agent/u1 dnd --ttl 366d", "--ttl 366d: that is too long" },
		{ "override agent/u1 dnd --ttl soon",
			"--ttl soon: it must be a duration, like 90s, 45min or 8h" },
		{ "list --status busy", "--status busy: it is one of online, away, dnd, offline" },
		{ "list -P secret", "-P needs -u" },
		{ "list --cert c", "--cert and --key need each other" },
		{ "list --cert c --key k", "--cert needs --cafile or --capath" },
		{ "list -L http://x", "--url: it must start with mqtt:// or mqtts://" },
		{ "list -L mqtt://u:secret@x/topic",
			"--url: it takes no topic: remove what follows the host" },
		{ "list -L mqtt://x:99999", "--url: its port must be a number up to 65535" },
		{ "list -L mqtt://:1883", "--url: it names no host" },
		{ "list -o /nonexistent/file", "/nonexistent/file: No such file or directory" },
	};
	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		struct parsed parsed;
		parse(&parsed, cases[i].line);
		assert_string_equal(parsed.problem, cases[i].problem);
		assert_int_equal(parsed.end, CTL_USAGE);
		release(&parsed);
	}
}

static void test_places(void **state)
{
	static const char *const lines[] = { "-h there -p 77 list --role agent",
		"list -h there --port 77 --role agent", "list --host=there --port=77 --role=agent",
		"-p 77 list --role agent -L mqtt://there:77" };
	(void)state;
	for (size_t i = 0; i < sizeof(lines) / sizeof(*lines); i++) {
		struct parsed parsed;
		parse(&parsed, lines[i]);
		assert_int_equal(parsed.end, CTL_OK);
		assert_string_equal(parsed.arguments.command->name, "list");
		assert_string_equal(parsed.arguments.settings.host, "there");
		assert_int_equal(parsed.arguments.settings.port, 77);
		assert_string_equal(parsed.arguments.settings.role, "agent");
		release(&parsed);
	}
}

static void test_words(void **state)
{
	struct parsed parsed;
	(void)state;
	parse(&parsed, "override agent/u1 dnd --note -- --ttl 1.5s");
	assert_int_equal(parsed.end, CTL_OK);
	assert_string_equal(parsed.arguments.settings.note, "--");
	assert_int_equal(parsed.arguments.settings.ttl_ms, 1500);
	release(&parsed);
	parse(&parsed, "override agent/u1 dnd --ttl 90 -V 311");
	assert_int_equal(parsed.arguments.settings.ttl_ms, 90000);
	assert_int_equal(parsed.arguments.settings.version, 1);
	release(&parsed);
	parse(&parsed, "-V 5 nodes");
	assert_int_equal(parsed.end, CTL_OK);
	assert_int_equal(parsed.arguments.settings.version, 0);
	release(&parsed);
	parse(&parsed, "kick -- -odd-");
	assert_int_equal(parsed.end, CTL_OK);
	assert_int_equal(parsed.arguments.count, 1);
	assert_string_equal(parsed.arguments.argument[0], "-odd-");
	release(&parsed);
	parse(&parsed, "--help --nonsense");
	assert_int_equal(parsed.end, CTL_OK);
	assert_true(parsed.arguments.settings.help);
	assert_null(parsed.arguments.command);
	release(&parsed);
	parse(&parsed, "watch --help");
	assert_string_equal(parsed.arguments.command->name, "watch");
	release(&parsed);
}

static void test_url(void **state)
{
	static const struct {
		const char *url, *host, *username, *password;
		int port;
		bool tls;
	} cases[] = {
		{ "mqtt://h", "h", NULL, NULL, 0, false },
		{ "mqtt://h/", "h", NULL, NULL, 0, false },
		{ "mqtts://h:99", "h", NULL, NULL, 99, true },
		{ "mqtt://u@h", "h", "u", NULL, 0, false },
		{ "mqtt://u:p:q@r@h:1", "h", "u", "p:q@r", 1, false },
		{ "mqtt://[::1]:5", "::1", NULL, NULL, 5, false },
		{ "mqtt://u:p@[fe80::1]", "fe80::1", "u", "p", 0, false },
	};
	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		struct parsed parsed;
		char line[128];
		(void)snprintf(line, sizeof(line), "list -L %s", cases[i].url);
		parse(&parsed, line);
		const struct settings *settings = &parsed.arguments.settings;
		assert_int_equal(parsed.end, CTL_OK);
		assert_string_equal(settings->host, cases[i].host);
		assert_int_equal(settings->port, cases[i].port);
		assert_int_equal(settings->tls_os_certs, cases[i].tls);
		assert_int_equal(!settings->username, !cases[i].username);
		if (cases[i].username)
			assert_string_equal(settings->username, cases[i].username);
		assert_int_equal(!settings->password, !cases[i].password);
		if (cases[i].password)
			assert_string_equal(settings->password, cases[i].password);
		release(&parsed);
	}
}

static char folder[] = "/tmp/presence-arguments-XXXXXX";

static void write_file(const char *name, const char *text)
{
	char path[128];
	(void)snprintf(path, sizeof(path), "%s/%s", folder, name);
	FILE *file = fopen(path, "w");
	assert_non_null(file);
	(void)fputs(text, file);
	assert_int_equal(fclose(file), 0);
}

static void remove_file(const char *name)
{
	char path[128];
	(void)snprintf(path, sizeof(path), "%s/%s", folder, name);
	(void)remove(path);
}

static void test_options_file(void **state)
{
	struct parsed parsed;
	(void)state;
	write_file("presencectl",
		"# mine\n\n-h there\r\n--port   77  \n  -u admin.ops\n-P a b # c\n--insecure\n");
	parse(&parsed, "list -p 78");
	assert_string_equal(parsed.problem, "");
	assert_string_equal(parsed.arguments.settings.host, "there");
	assert_int_equal(parsed.arguments.settings.port, 78);
	assert_string_equal(parsed.arguments.settings.username, "admin.ops");
	assert_string_equal(parsed.arguments.settings.password, "a b # c");
	assert_true(parsed.arguments.settings.insecure);
	release(&parsed);
	/* Nothing that needs no connection reads it. */
	write_file("presencectl", "nonsense\n");
	parse(&parsed, "check-config x");
	assert_int_equal(parsed.end, CTL_OK);
	release(&parsed);
	remove_file("presencectl");
	parse(&parsed, "list");
	assert_int_equal(parsed.end, CTL_OK);
	assert_null(parsed.arguments.settings.host);
	release(&parsed);
}

static void test_options_file_refused(void **state)
{
	static const struct {
		const char *text, *problem;
	} cases[] = {
		{ "\n-h there\n--nonsense 3\n", ":3: --nonsense: there is no such option" },
		{ "-p\n", ":1: -p: needs a value" },
		{ "--insecure yes\n", ":1: --insecure: it takes no value" },
		{ "--json\n", ":1: --json: stands on the command line only" },
		{ "-o other\n", ":1: -o: stands on the command line only" },
		{ "-p x\n", ":1: --port x: it must be a number from 1 to 65535" },
	};
	char line[128], expected[256];
	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		struct parsed parsed;
		write_file("other", cases[i].text);
		(void)snprintf(line, sizeof(line), "list -o %s/other", folder);
		(void)snprintf(expected, sizeof(expected), "%s/other%s", folder, cases[i].problem);
		parse(&parsed, line);
		assert_string_equal(parsed.problem, expected);
		assert_int_equal(parsed.end, CTL_USAGE);
		release(&parsed);
	}
	remove_file("other");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_places),
		cmocka_unit_test(test_words),
		cmocka_unit_test(test_url),
		cmocka_unit_test(test_options_file),
		cmocka_unit_test(test_options_file_refused),
	};
	/* What whoever runs this has there must not count. */
	if (!mkdtemp(folder) || setenv("XDG_CONFIG_HOME", folder, 1))
		return 1;
	int failed = cmocka_run_group_tests(tests, NULL, NULL);
	(void)rmdir(folder);
	return failed;
}
