/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */

/* The lines one by one, and the plugin's own options. */

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "ctl/check.h"
#include "wire/number.h"

enum { FILE_PROBLEMS_MAX = 50 };

static const char prefix[] = "plugin_opt_";

/* "what; do this" from the parser, as what and fix. */
static void note_problem(struct check *check, const struct conf_line *line, const char *problem)
{
	const char *advice = strstr(problem, "; ");
	size_t length = advice ? (size_t)(advice - problem) : strlen(problem);
	struct check_finding *finding = check_note(
		check, CHECK_ERROR, CHECK_ALL, line, "%.*s", (int)length, problem);
	if (!advice)
		check_fix(finding, "write it as mosquitto-presence.conf(5) says");
	else
		check_fix(finding, "%s", advice + 2);
}

/* Options whose value is the rest of the line. Numbers and words end at the next blank, so that
 * what stands behind those does no harm. */
static bool takes_the_rest(const char *key)
{
	static const char *const keys[] = { "plugin", "auth_plugin", "global_plugin", "plugin_load",
		"include_dir", "password_file", "acl_file", "psk_file", "user", "pid_file",
		"persistence_location", "persistence_file", "cafile", "capath", "certfile",
		"keyfile", "crlfile", "dhparamfile", "http_dir" };
	for (size_t i = 0; i < sizeof(keys) / sizeof(*keys); i++)
		if (!strcmp(keys[i], key))
			return true;
	return false;
}

void check_lines(struct check *check)
{
	for (size_t i = 0; i < check->conf.count; i++) {
		const struct conf_line *line = &check->conf.line[i];
		size_t name = strcspn(line->key, "\t");
		if (line->key[name])
			check_fix(check_note(check, CHECK_ERROR, CHECK_ALL, line,
					  "a tab follows %.*s: the broker takes it as part of the "
					  "name, and does not start",
					  (int)name, line->key),
				"put one space between name and value");
		else if (!strcmp(line->key, "#"))
			check_fix(check_note(check, CHECK_ERROR, CHECK_ALL, line,
					  "blanks stand before the #: it is no comment, and the "
					  "broker "
					  "does not start"),
				"begin the line with #");
		else if (strstr(line->value, " #") && takes_the_rest(line->key))
			check_fix(
				check_note(check, CHECK_ERROR, CHECK_ALL, line,
					"a comment stands behind the value of %s: the broker takes "
					"it as part of the value",
					line->key),
				"put the comment on a line of its own");
		else if (!strcmp(line->key, "include_dir") && line->file != check->conf.file[0])
			check_fix(check_note(check, CHECK_WARNING, CHECK_ALL, line,
					  "include_dir in a file that was itself included does "
					  "nothing"),
				"move it to %s", check->conf.file[0]);
	}
}

/* One option by itself. True when something is wrong with it. */
static bool check_one(struct check *check, const struct check_option *option)
{
	char problem[OPTIONS_PROBLEM_MAX], start[160];
	struct options *options;
	const struct options_input input = {
		.pairs = &option->pair, .count = 1, .host_name = "host"
	};
	if (strchr(option->line->key, '\t'))
		return true; /* said already */
	if (!options_parse(&input, &options, problem)) {
		options_destroy(options);
		return false;
	}
	(void)snprintf(start, sizeof(start), "%s%.100s: ", prefix, option->pair.key);
	/* What is said of several together is for later, when all are there. */
	if (strncmp(problem, start, strlen(start)))
		return false;
	note_problem(check, option->line, problem);
	return true;
}

/* A mistake in config_file names its line: noted there, and the line taken out of text. */
static bool note_in_file(struct check *check, const struct conf_line *line, const char *path,
	char *text, const char *problem)
{
	size_t length = strlen(path);
	int64_t number;
	if (strncmp(problem, path, length) || problem[length] != ':')
		return false;
	const char *rest = number_read(problem + length + 1, &number);
	if (!rest || *rest++ != ':')
		return false;
	size_t before = check->count;
	note_problem(check, line, rest + strspn(rest, " "));
	if (check->count > before) {
		struct check_finding *finding = &check->finding[before];
		for (size_t i = 0; i < check->conf.file_count; i++)
			if (!strcmp(check->conf.file[i], path))
				finding->file = check->conf.file[i];
		finding->line = (size_t)number;
	}
	for (int64_t at = 1; at < number && text; at++)
		text = strchr(text, '\n') ? strchr(text, '\n') + 1 : NULL;
	for (; text && *text && *text != '\n'; text++)
		*text = ' ';
	return true;
}

/* The last line of ours that gives this option. */
static const struct conf_line *line_of(const struct check *check, const char *key, size_t length)
{
	const struct conf_line *line = check->ours->line;
	for (size_t i = 0; i < check->ours->option_count; i++) {
		const struct check_option *option = &check->option[check->ours->first_option + i];
		if (strlen(option->pair.key) == length && !memcmp(option->pair.key, key, length))
			line = option->line;
	}
	return line;
}

/* The line that a problem of several options together is about: the first option it names. */
static const struct conf_line *line_of_problem(const struct check *check, const char *problem)
{
	if (!strncmp(problem, prefix, strlen(prefix)))
		problem += strlen(prefix);
	return line_of(check, problem, strcspn(problem, ": "));
}

/* All that are right by themselves, together, and config_file. */
static void check_together(struct check *check, struct options_input *input, char *text)
{
	char problem[OPTIONS_PROBLEM_MAX];
	const struct conf_line *file_line = line_of(check, "config_file", strlen("config_file"));
	for (int i = 0; i < FILE_PROBLEMS_MAX; i++) {
		if (!options_parse(input, &check->options, problem))
			return;
		if (!text || !note_in_file(check, file_line, input->file_name, text, problem))
			break;
	}
	note_problem(check, line_of_problem(check, problem), problem);
}

static char *read_options_file(struct check *check, struct options_input *input, char *path)
{
	char problem[OPTIONS_PROBLEM_MAX];
	if (options_config_file(input->pairs, input->count, path, problem) || !*path)
		return NULL;
	char *text = conf_read_file(path, &input->file_length);
	if (!text) {
		check_fix(check_note(check, CHECK_ERROR, CHECK_ALL,
				  line_of(check, "config_file", strlen("config_file")),
				  "%s cannot be read: %s", path, strerror(errno)),
			"create it, and let the broker's user read it");
		return NULL;
	}
	/* Kept by conf, for what is noted at its lines. */
	char **grown = realloc(
		check->conf.file, (check->conf.file_count + 1) * sizeof(*check->conf.file));
	char *name = grown ? strdup(path) : NULL;
	if (grown)
		check->conf.file = grown;
	if (name)
		check->conf.file[check->conf.file_count++] = name;
	input->file_text = text;
	input->file_name = path;
	return text;
}

void check_options(struct check *check)
{
	struct option_pair pairs[CHECK_OPTIONS_MAX] = { { 0 } };
	char path[OPTIONS_PATH_MAX], host[256] = "host";
	struct options_input input = { .pairs = pairs, .host_name = host };
	(void)gethostname(host, sizeof(host) - 1);
	for (size_t i = 0; i < check->ours->option_count; i++) {
		const struct check_option *option = &check->option[check->ours->first_option + i];
		if (!check_one(check, option))
			pairs[input.count++] = option->pair;
	}
	char *text = read_options_file(check, &input, path);
	check_together(check, &input, text);
	free(text);
	if (check->options && !check->options->state_file &&
		check->options->redis.scheme == REDIS_NONE)
		check_fix(check_note(check, CHECK_WARNING, CHECK_ALL, check->ours->line,
				  "neither state_file nor redis_url is set: after a restart those "
				  "who left meanwhile stay published as online"),
			"%sstate_file /var/lib/mosquitto/presence.db", prefix);
	if (check->options && check->options->control_open)
		check_fix(check_note(check, CHECK_WARNING, CHECK_ALL,
				  line_of(check, "control_open", strlen("control_open")),
				  "control_open believes client ids: everybody can command in "
				  "everybody's name"),
			"remove it, unless this is a demonstration");
}
