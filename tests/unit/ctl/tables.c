/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */

/* The tables by themselves, and what is written from them: nothing may be missing anywhere. */

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "ctl/flag.h"
#include "ctl/help.h"

enum { HELP_COLUMNS = 80 };

static char *written(void (*write)(FILE *out))
{
	char *text = NULL;
	size_t length;
	FILE *out = open_memstream(&text, &length);
	assert_non_null(out);
	write(out);
	assert_int_equal(fclose(out), 0);
	return text;
}

static char *help_of(const struct subcommand *command)
{
	char *text = NULL;
	size_t length;
	FILE *out = open_memstream(&text, &length);
	assert_non_null(out);
	help_write(command, out);
	assert_int_equal(fclose(out), 0);
	return text;
}

static void test_flags_are_distinct(void **state)
{
	(void)state;
	for (size_t i = 0; i < flag_count; i++) {
		const struct flag *flag = &flag_table[i];
		assert_true(flag->text && flag->text[strlen(flag->text) - 1] == '.');
		assert_int_equal(flag->kind == FLAG_SWITCH, flag->value == NULL);
		assert_int_equal(
			flag->kind == FLAG_WORD || flag->kind == FLAG_CHOICE, flag->words != NULL);
		for (size_t j = 0; j < i; j++) {
			assert_string_not_equal(flag->name, flag_table[j].name);
			assert_false(flag->letter && flag->letter == flag_table[j].letter);
		}
	}
}

static void test_commands_name_flags_there_are(void **state)
{
	(void)state;
	for (size_t i = 0; i < subcommand_count; i++) {
		const struct subcommand *command = &subcommand_table[i];
		size_t words = 0, taken = 0;
		assert_non_null(command->run);
		assert_true(command->max <= SUBCOMMAND_ARGUMENTS_MAX);
		assert_ptr_equal(subcommand_find(command->name), command);
		for (const char *word = command->flags; *word; word += strcspn(word, " ")) {
			word += *word == ' ';
			words++;
		}
		for (size_t j = 0; j < flag_count; j++)
			taken += !flag_table[j].connection && strcmp(flag_table[j].name, "help") &&
				subcommand_takes(command, &flag_table[j]);
		assert_int_equal(words, taken);
	}
}

static void assert_mentions(const char *text, const char *word)
{
	if (!strstr(text, word))
		print_error("%s is not in:\n%s\n", word, text);
	assert_non_null(strstr(text, word));
}

/* roff writes - as \-. */
static void roff_name(const char *name, char *out)
{
	for (; *name; name++) {
		if (*name == '-')
			*out++ = '\\';
		*out++ = *name;
	}
	*out = '\0';
}

static void test_everything_is_mentioned(void **state)
{
	char *general = help_of(NULL), *completion = written(completion_write_bash);
	char *manual = written(manual_write_presencectl), word[128], name[64];
	(void)state;
	for (size_t i = 0; i < subcommand_count; i++) {
		const struct subcommand *command = &subcommand_table[i];
		char *help = help_of(command);
		assert_mentions(general, command->name);
		assert_mentions(general, command->summary);
		assert_mentions(help, command->name);
		roff_name(command->name, name);
		(void)snprintf(word, sizeof(word), ".SS \"%s", name);
		assert_mentions(manual, word);
		(void)snprintf(word, sizeof(word), "\t%s)\n\t\tflags=", command->name);
		assert_mentions(completion, word);
		for (size_t j = 0; j < flag_count; j++) {
			(void)snprintf(word, sizeof(word), "--%s", flag_table[j].name);
			if (subcommand_takes(command, &flag_table[j]))
				assert_mentions(help, word);
		}
		free(help);
	}
	for (size_t j = 0; j < flag_count; j++) {
		roff_name(flag_table[j].name, name);
		(void)snprintf(word, sizeof(word), "\\-\\-%s\\fR", name);
		assert_mentions(manual, word);
	}
	for (size_t i = 0; i < ctl_exit_count; i++) {
		(void)snprintf(word, sizeof(word), "\n  %d  ", ctl_exit_table[i].code);
		assert_mentions(general, word);
		(void)snprintf(word, sizeof(word), ".TP\n.B %d\n", ctl_exit_table[i].code);
		assert_mentions(manual, word);
		assert_int_equal(ctl_exit_table[i].code, i);
	}
	free(general);
	free(completion);
	free(manual);
}

static void check_width(const char *text)
{
	for (const char *line = text; *line;) {
		size_t length = strcspn(line, "\n");
		if (length > HELP_COLUMNS)
			print_error("%.*s\n", (int)length, line);
		assert_true(length <= HELP_COLUMNS);
		assert_false(length && line[length - 1] == ' ');
		line += length + (line[length] == '\n');
	}
}

static void test_help_fits_a_terminal(void **state)
{
	char *general = help_of(NULL);
	(void)state;
	check_width(general);
	free(general);
	for (size_t i = 0; i < subcommand_count; i++) {
		char *help = help_of(&subcommand_table[i]);
		check_width(help);
		free(help);
	}
}

static void test_hints(void **state)
{
	(void)state;
	assert_string_equal(subcommand_hint("watc"), "watch");
	assert_string_equal(subcommand_hint("ls"), "list");
	assert_string_equal(subcommand_hint("overide"), "override");
	assert_string_equal(subcommand_hint("checkconfig"), "check-config");
	assert_null(subcommand_hint("frobnicate"));
	assert_null(subcommand_hint(""));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_flags_are_distinct),
		cmocka_unit_test(test_commands_name_flags_there_are),
		cmocka_unit_test(test_everything_is_mentioned),
		cmocka_unit_test(test_help_fits_a_terminal),
		cmocka_unit_test(test_hints),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
