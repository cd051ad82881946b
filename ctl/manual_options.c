/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
#include <stdlib.h>
#include <string.h>

#include "ctl/help.h"
#include "ctl/roff.h"
#include "wire/options_table.h"

static const char head[] =
	".\\\" Written by presence_manual from lib/wire/options_table.c: change that, not this.\n"
	".TH MOSQUITTO\\-PRESENCE.CONF 5 \"2026-11-22\" \"mosquitto\\-presence\" \"File formats\"\n"
	".SH NAME\n"
	"mosquitto\\-presence.conf \\- options of the presence plugin for Mosquitto\n"
	".SH SYNOPSIS\n"
	".EX\n"
	"plugin /usr/lib/x86_64\\-linux\\-gnu/mosquitto_presence.so\n"
	"plugin_opt_\\fIkey\\fR \\fIvalue\\fR\n"
	".EE\n"
	".SH DESCRIPTION\n"
	"Options of\n"
	".BR mosquitto_presence (7)\n"
	"stand behind its\n"
	".B plugin\n"
	"line in\n"
	".BR mosquitto.conf (5),\n"
	"each with\n"
	".B plugin_opt_\n"
	"before its key, or as lines of\n"
	".I key value\n"
	"in a file of their own, which\n"
	".B plugin_opt_config_file\n"
	"names.\n"
	"With an unknown key or a bad value the broker does not start, and one\n"
	"line in its log says what, where and what to write.\n"
	".B presencectl check\\-config\n"
	"says so before.\n"
	".PP\n"
	"A duration is a number and\n"
	".BR ms ,\n"
	".BR s ,\n"
	".BR min ,\n"
	".B h\n"
	"or\n"
	".BR d ;\n"
	"a bare\n"
	".B m\n"
	"is refused, since it means month in\n"
	".IR mosquitto.conf .\n"
	"A number may end in\n"
	".BR k ,\n"
	".B M\n"
	"or\n"
	".BR G .\n"
	"A list has blanks between its words;\n"
	".B none\n"
	"is the empty one.\n"
	"# starts a comment only as the first character of a line.\n"
	"In\n"
	".I mosquitto.conf\n"
	"one space, not a tab, follows the key.\n"
	".PP\n"
	"On reload signal (SIGHUP) the broker does not read its\n"
	".B plugin_opt_\n"
	"lines again; the plugin reads\n"
	".B config_file\n"
	"again, all or nothing.\n";

static const char tail[] =
	".SH FILES\n"
	".TP\n"
	".I /etc/mosquitto/conf.d/00\\-presence.conf\n"
	"A good place: Mosquitto 2.0 has to load this plugin before others that\n"
	"decide about clients, and reads files there in their order.\n"
	".SH SEE ALSO\n"
	".BR mosquitto_presence (7),\n"
	".BR mosquitto.conf (5),\n"
	".BR presencectl (1)\n";

static void write_defaults(const struct option *option, FILE *out)
{
	if (option->kind == OPTION_NODE) {
		roff_word(option->fallback, out);
		return;
	}
	for (const char *line = option->fallback; *line;) {
		char value[OPTION_VALUE_MAX + 1];
		size_t length = strcspn(line, "\n");
		memcpy(value, line, length);
		value[length] = '\0';
		fputs(line == option->fallback ? "\\fB" : ", then \\fB", out);
		roff_word(value, out);
		fputs("\\fR", out);
		line += length + (line[length] == '\n');
	}
}

/* What a value looks like, as a text. */
static void write_kind(const struct option *option, FILE *out)
{
	char *text = NULL;
	size_t length;
	FILE *memory = open_memstream(&text, &length);
	if (!memory)
		return;
	option_describe(option, memory);
	if (!fclose(memory))
		roff_word(text, out);
	free(text);
}

void manual_write_configuration(FILE *out)
{
	fputs(head, out);
	for (size_t i = 0; i < options_table_count; i++) {
		const struct option *option = &options_table[i];
		if (option->section)
			fprintf(out, ".SH \"%s\"\n", option->section);
		fputs(".TP\n.B ", out);
		roff_word(option->key, out);
		fputc('\n', out);
		roff_text(option->text, out);
		fputs("Takes ", out);
		write_kind(option, out);
		fputs(".\nDefault: ", out);
		write_defaults(option, out);
		fputs(".\n", out);
		if (option->later)
			fputs("Reserved: accepted and checked, no effect in this version.\n", out);
		fputs(option->reloads ? "Reloaded on reload signal.\n" : "Not reloaded.\n", out);
	}
	fputs(tail, out);
}
