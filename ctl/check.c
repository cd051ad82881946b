/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
#include "ctl/check.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "ctl/show.h"
#include "ctl/subcommand.h"

static const char our_library[] = "mosquitto_presence.so";
static const char option_prefix[] = "plugin_opt_";

struct check_finding *check_note(struct check *check, enum check_level level, unsigned versions,
	const struct conf_line *line, const char *format, ...)
{
	if (!(check->versions & versions))
		return NULL;
	struct check_finding *grown = realloc(check->finding, (check->count + 1) * sizeof(*grown));
	if (!grown) {
		check->failed = true;
		return NULL;
	}
	check->finding = grown;
	struct check_finding *finding = &grown[check->count];
	*finding = (struct check_finding){
		.level = level,
		.versions = versions,
		.file = line                     ? line->file
			: check->conf.file_count ? check->conf.file[0]
						 : "",
		.line = line ? line->line : 1,
		.place = line ? (size_t)(line - check->conf.line) : 0,
	};
	check->count++;
	va_list arguments;
	va_start(arguments, format);
	(void)vsnprintf(finding->what, sizeof(finding->what), format, arguments);
	va_end(arguments);
	return finding;
}

void check_fix(struct check_finding *finding, const char *format, ...)
{
	if (!finding)
		return;
	va_list arguments;
	va_start(arguments, format);
	(void)vsnprintf(finding->fix, sizeof(finding->fix), format, arguments);
	va_end(arguments);
}

/* Where the library of a line stands in its value; NULL: it loads none. */
static const char *library_of(const struct conf_line *line)
{
	if (!strcmp(line->key, "plugin") || !strcmp(line->key, "auth_plugin") ||
		!strcmp(line->key, "global_plugin"))
		return line->value;
	if (strcmp(line->key, "plugin_load"))
		return NULL;
	const char *path = strchr(line->value, ' '); /* behind the name it is given */
	return path ? path + 1 : "";
}

static void add_plugin(struct check *check, const struct conf_line *line, const char *path)
{
	bool is_named = !strcmp(line->key, "plugin_load");
	if (line->blanks_behind || (is_named ? *path == ' ' : line->blanks_before))
		check_fix(check_note(check, CHECK_ERROR, CHECK_2_1, line,
				  "blanks stand around the path of the %s line: the broker takes "
				  "them "
				  "as part of it, and does not start",
				  line->key),
			"put one space before it, and none behind it");
	if (check->plugin_count == CHECK_PLUGINS_MAX)
		return;
	const char *base = strrchr(path, '/');
	struct check_plugin *plugin = &check->plugin[check->plugin_count++];
	*plugin = (struct check_plugin){
		.line = line,
		.path = path,
		.ours = !strcmp(base ? base + 1 : path, our_library),
		.listener = strcmp(line->key, "global_plugin") ? check->listener_count - 1 : 0,
		.first_option = check->option_count,
	};
	if (plugin->ours && !check->ours)
		check->ours = plugin;
}

static void add_option(struct check *check, const struct conf_line *line)
{
	if (!check->plugin_count) {
		check_fix(check_note(check, CHECK_ERROR, CHECK_ALL, line,
				  "%s stands before any plugin", line->key),
			"move it under the plugin line it is for");
		return;
	}
	if (check->option_count == CHECK_OPTIONS_MAX)
		return;
	check->option[check->option_count++] = (struct check_option){ line,
		{ line->key + strlen(option_prefix), line->value } };
	check->plugin[check->plugin_count - 1].option_count++;
}

/* Plugins, their options and listeners, from the lines. */
static void collect(struct check *check)
{
	check->listener_count = 1;
	for (size_t i = 0; i < check->conf.count; i++) {
		const struct conf_line *line = &check->conf.line[i];
		const char *library = library_of(line);
		if (library) {
			add_plugin(check, line, library);
		} else if (!strncmp(line->key, option_prefix, strlen(option_prefix))) {
			add_option(check, line);
		} else if (!strcmp(line->key, "listener") || !strcmp(line->key, "port") ||
			!strcmp(line->key, "bind_address")) {
			bool is_default = strcmp(line->key, "listener") != 0;
			if (!is_default && check->listener_count == CHECK_LISTENERS_MAX)
				continue;
			size_t at = is_default ? 0 : check->listener_count++;
			check->listener[at].line = line;
		} else if (!strcmp(line->key, "protocol")) {
			check->listener[check->listener_count - 1].websockets = conf_is(
				line, "websockets");
		}
	}
	check->per_listener = conf_is_true(conf_find(&check->conf, "per_listener_settings"));
}

static void note_unreadable(struct check *check)
{
	for (size_t i = 0; i < check->conf.problem_count; i++) {
		const struct conf_problem *problem = &check->conf.problem[i];
		struct check_finding *finding = check_note(
			check, CHECK_ERROR, CHECK_ALL, NULL, "%s", problem->text);
		check_fix(finding, "correct the path, or run this as a user who may read it");
		if (finding) {
			finding->file = problem->file;
			finding->line = problem->line ? problem->line : 1;
		}
	}
}

void check_run(struct check *check, const char *path, unsigned versions)
{
	*check = (struct check){ .versions = versions };
	conf_read(&check->conf, path);
	check->failed = check->conf.failed;
	note_unreadable(check);
	if (!check->conf.count)
		return;
	collect(check);
	check_lines(check);
	if (!check->ours) {
		check_fix(check_note(check, CHECK_ERROR, CHECK_ALL, NULL,
				  "no plugin line loads %s: there is no presence", our_library),
			"add plugin /usr/lib/x86_64-linux-gnu/%s, before other plugins",
			our_library);
		return;
	}
	check_options(check);
	check_listeners(check);
	check_order(check);
	check_login(check);
	check_rights(check);
	check_bridges(check);
}

static int compare_findings(const void *a, const void *b)
{
	const struct check_finding *left = a, *right = b;
	if (left->place != right->place)
		return left->place < right->place ? -1 : 1;
	return left->level != right->level ? (int)left->level - (int)right->level
					   : strcmp(left->what, right->what);
}

static const char *concerns(unsigned versions)
{
	switch (versions & CHECK_ALL) {
	case CHECK_2_0_11:
		return "on Mosquitto 2.0.11, ";
	case CHECK_2_0_21:
		return "on Mosquitto 2.0.21, ";
	case CHECK_2_0:
		return "on Mosquitto 2.0, ";
	case CHECK_2_1:
		return "on Mosquitto 2.1, ";
	case CHECK_ALL & ~CHECK_2_0_11:
		return "from Mosquitto 2.0.21 on, ";
	}
	return "";
}

enum ctl_exit check_write(const struct check *check, FILE *out)
{
	size_t errors = 0;
	if (check->count)
		qsort(check->finding, check->count, sizeof(*check->finding), compare_findings);
	for (size_t i = 0; i < check->count; i++) {
		const struct check_finding *finding = &check->finding[i];
		errors += finding->level == CHECK_ERROR;
		size_t last = strlen(finding->fix);
		const char *end = last && finding->fix[last - 1] == '?' ? "" : ".";
		/* What stands in a file that is none may do things to a terminal. */
		show_text(finding->file, 0, out);
		fprintf(out, ":%zu: %s: %s", finding->line,
			finding->level == CHECK_ERROR ? "error" : "warning",
			concerns(finding->versions));
		show_text(finding->what, 0, out);
		fputs(". Fix: ", out);
		show_text(finding->fix, 0, out);
		fprintf(out, "%s\n", end);
	}
	if (check->failed)
		return CTL_TROUBLE;
	fprintf(out, "%zu error%s, %zu warning%s\n", errors, errors == 1 ? "" : "s",
		check->count - errors, check->count - errors == 1 ? "" : "s");
	return errors ? CTL_REFUSED : CTL_OK;
}

void check_finish(struct check *check)
{
	options_destroy(check->options);
	free(check->finding);
	conf_finish(&check->conf);
	*check = (struct check){ 0 };
}

enum ctl_exit run_check_config(const struct subcommand_call *call)
{
	static const unsigned versions[] = { CHECK_ALL, CHECK_2_0_11, CHECK_2_0_21, CHECK_2_1 };
	struct check *check = calloc(1, sizeof(*check));
	if (!check)
		return CTL_TROUBLE;
	check_run(check, call->arguments[0], versions[call->settings->broker]);
	enum ctl_exit end = check_write(check, stdout);
	check_finish(check);
	free(check);
	return end;
}
