/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */

/* What people read about the options, from the table. */

#include <stdlib.h>
#include <string.h>

#include "wire/option_kind.h"
#include "wire/options.h"

#define COMMENT_WIDTH 77

static const char intro[] =
	"<!-- Written by presence_options_reference from lib/wire/options_table.c: change that, "
	"not this. "
	"-->\n\n"
	"# Options\n\n"
	"`plugin_opt_<key> value` under the `plugin` line of the broker's configuration, or\n"
	"`key value` in the file that `plugin_opt_config_file` names. With an unknown key or a bad "
	"value\n"
	"the broker does not start, and one line in its log says what, where and what to write.\n\n"
	"- A duration is a number and `ms`, `s`, `min`, `h` or `d`: `1500ms`, `1.5s`, `10min`. `0` "
	"needs no\n"
	"  unit. A bare `m` is refused: it means month in mosquitto.conf.\n"
	"- A number may end in `k`, `M` or `G`, for thousands, millions, thousand millions: "
	"`100k`.\n"
	"- A list has blanks between its words; `none` is the empty one.\n"
	"- `#` starts a comment only as the first character of a line.\n"
	"- In the broker's configuration one space, not a tab, follows the key.\n\n"
	"On reload signal (SIGHUP) the broker does not read its `plugin_opt_` lines again; the "
	"plugin reads\n"
	"`config_file` again, all or nothing.\n";

static void write_life(const struct option *option, FILE *out)
{
	if (option->later)
		fputs("Reserved: accepted and checked, no effect in this version. ", out);
	fputs(option->reloads ? "Reloaded on reload signal." : "Not reloaded.", out);
}

/* < and * mean something in Markdown. */
static void write_escaped(const char *text, FILE *out)
{
	for (; *text; text++) {
		if (strchr("<*", *text))
			fputc('\\', out);
		fputc(*text, out);
	}
}

/* The defaults, each in backticks. */
static void write_defaults(const struct option *option, FILE *out)
{
	if (option->kind == OPTION_NODE) {
		fputs(option->fallback, out);
		return;
	}
	for (const char *line = option->fallback; *line;) {
		size_t length = strcspn(line, "\n");
		fprintf(out, "%s`%.*s`", line == option->fallback ? "" : ", then ", (int)length,
			line);
		line += length + (line[length] == '\n');
	}
}

void options_write_reference(FILE *out)
{
	fputs(intro, out);
	for (size_t i = 0; i < options_table_count; i++) {
		const struct option *option = &options_table[i];
		if (option->section)
			fprintf(out, "\n## %s\n", option->section);
		fprintf(out, "\n### %s\n\n", option->key);
		write_escaped(option->text, out);
		fputs("\n\nDefault: ", out);
		write_defaults(option, out);
		fputs(". Takes ", out);
		option_describe(option, out);
		fputs(". ", out);
		write_life(option, out);
		fputc('\n', out);
	}
}

/* text as comment lines. */
static void write_comment(const char *text, FILE *out)
{
	size_t column = 0;
	for (const char *word = text; *word;) {
		size_t length = strcspn(word, " ");
		if (column && column + 1 + length > COMMENT_WIDTH) {
			fputc('\n', out);
			column = 0;
		}
		fprintf(out, "%s%.*s", column ? " " : "# ", (int)length, word);
		column += length + (column ? 1 : 2);
		word += length + strspn(word + length, " ");
	}
	fputc('\n', out);
}

/* All the words about an option. False when out of memory. */
static bool write_words(const struct option *option, FILE *out)
{
	size_t length;
	char *words = NULL;
	FILE *memory = open_memstream(&words, &length);
	if (!memory)
		return false;
	fprintf(memory, "%s Takes ", option->text);
	option_describe(option, memory);
	fputs(". ", memory);
	if (option->example)
		fprintf(memory, "Defaults to %s. ", option->fallback);
	write_life(option, memory);
	bool written = !fclose(memory);
	if (written)
		write_comment(words, out);
	free(words);
	return written;
}

static void write_lines(const struct option *option, FILE *out)
{
	const char *start = option->active ? "" : "#";
	if (option->example) {
		fprintf(out, "%splugin_opt_%s %s\n", start, option->key, option->example);
		return;
	}
	for (const char *line = option->fallback; *line;) {
		size_t length = strcspn(line, "\n");
		fprintf(out, "%splugin_opt_%s %.*s\n", start, option->key, (int)length, line);
		line += length + (line[length] == '\n');
	}
}

int options_write_example(FILE *out)
{
	static const char ruler[] =
		"# -----------------------------------------------------------------\n";
	for (size_t i = 0; i < options_table_count; i++) {
		const struct option *option = &options_table[i];
		if (option->section)
			fprintf(out, "%s# %s\n%s\n", ruler, option->section, ruler);
		if (!write_words(option, out))
			return PRESENCE_ENOMEM;
		write_lines(option, out);
		fputc('\n', out);
	}
	return PRESENCE_OK;
}
