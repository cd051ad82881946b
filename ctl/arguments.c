/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
#include "ctl/arguments.h"

#include <stdio.h>
#include <string.h>

#include "ctl/flag.h"

enum pass { PASS_WORDS, PASS_SETTINGS };

static enum ctl_exit refuse(char *problem, const char *what, const char *word, const char *then)
{
	(void)snprintf(problem, SETTINGS_PROBLEM_MAX, "%s%.64s%s", what, word, then);
	return CTL_USAGE;
}

static enum ctl_exit take_word(struct arguments *arguments, const char *word, char *problem)
{
	if (!arguments->command) {
		arguments->command = subcommand_find(word);
		if (arguments->command)
			return CTL_OK;
		const char *hint = subcommand_hint(word);
		char then[128] = "; presencectl --help lists them";
		if (hint)
			(void)snprintf(then, sizeof(then), "; did you mean %s?", hint);
		return refuse(problem, "there is no command ", word, then);
	}
	if (arguments->count == SUBCOMMAND_ARGUMENTS_MAX)
		return refuse(problem, "too many arguments, from ", word, "");
	arguments->argument[arguments->count++] = word;
	return CTL_OK;
}

/* The flag that word is, and its value: what follows =, or NULL. */
static const struct flag *find(const char *word, const char **value)
{
	size_t length = strncmp(word, "--", 2) ? strlen(word) : strcspn(word, "=");
	*value = word[length] == '=' ? word + length + 1 : NULL;
	return flag_find(word, length);
}

/* One pass over argv: words first, since which options there are depends on the command. */
static enum ctl_exit pass(
	struct arguments *arguments, int argc, char *const argv[], enum pass which, char *problem)
{
	enum ctl_exit end = CTL_OK;
	bool only_words = false;
	for (int i = 1; i < argc && end == CTL_OK; i++) {
		const char *value, *word = argv[i];
		if (only_words || word[0] != '-' || !word[1]) {
			if (which == PASS_WORDS)
				end = take_word(arguments, word, problem);
			continue;
		}
		if (!strcmp(word, "--")) {
			only_words = true;
			continue;
		}
		const struct flag *flag = find(word, &value);
		if (!flag)
			return refuse(problem, "there is no option ", word, "");
		if (flag->kind == FLAG_SWITCH && value)
			return refuse(problem, "", word, ": it takes no value");
		if (flag->kind != FLAG_SWITCH && !value) {
			if (i + 1 == argc)
				return refuse(problem, "", word, " needs a value");
			value = argv[++i];
		}
		if (which == PASS_SETTINGS && arguments->command &&
			!subcommand_takes(arguments->command, flag))
			return refuse(problem, word, " is no option of ", arguments->command->name);
		/* --options-file decides what is read before anything else is set. */
		bool early = flag->kind == FLAG_FILE && !strcmp(flag->name, "options-file");
		if ((which == PASS_SETTINGS || early || flag->kind == FLAG_SWITCH) &&
			!flag_set(flag, &arguments->settings, value, problem))
			end = CTL_USAGE;
	}
	return end;
}

static enum ctl_exit check(const struct arguments *arguments, char *problem)
{
	const struct subcommand *command = arguments->command;
	const struct settings *settings = &arguments->settings;
	if (arguments->count < command->min)
		return refuse(problem, command->name, " needs ", command->arguments);
	if (arguments->count > command->max)
		return refuse(problem, command->name,
			" does not take this: ", arguments->argument[command->max]);
	if (settings->password && !settings->username)
		return refuse(problem, "-P needs -u", "", "");
	if (!settings->cert != !settings->key)
		return refuse(problem, "--cert and --key need each other", "", "");
	if (settings->cert && !settings->cafile && !settings->capath)
		return refuse(problem, "--cert needs --cafile or --capath", "", "");
	return CTL_OK;
}

enum ctl_exit arguments_read(struct arguments *arguments, int argc, char *const argv[],
	char problem[SETTINGS_PROBLEM_MAX])
{
	*arguments = (struct arguments){ 0 };
	settings_init(&arguments->settings);
	enum ctl_exit end = pass(arguments, argc, argv, PASS_WORDS, problem);
	if (arguments->settings.help)
		return CTL_OK;
	if (end == CTL_OK && !arguments->command)
		return refuse(problem, "no command; presencectl --help lists them", "", "");
	if (end == CTL_OK && arguments->command->connects)
		end = arguments_read_file(
			&arguments->settings, arguments->settings.options_file, problem);
	if (end == CTL_OK)
		end = pass(arguments, argc, argv, PASS_SETTINGS, problem);
	return end == CTL_OK ? check(arguments, problem) : end;
}

void arguments_finish(struct arguments *arguments)
{
	settings_finish(&arguments->settings);
}
