/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
#include "ctl/help.h"

#include <string.h>

#include "ctl/flag.h"

enum { WIDTH = 80, FLAG_COLUMN = 28, COMMAND_COLUMN = 16 };

/* text, indented by column, from a line that has reached at. */
static void write_wrapped(const char *text, size_t at, size_t column, FILE *out)
{
	if (column && at + 1 > column) {
		fputc('\n', out);
		at = 0;
	}
	bool first = true;
	while (*text) {
		size_t length = strcspn(text, " ");
		if (!first && at + 1 + length > WIDTH) {
			fputc('\n', out);
			at = 0;
			first = true;
		}
		if (first)
			fprintf(out, "%*s", (int)(column - at), "");
		at = first ? column + length : at + 1 + length;
		fprintf(out, "%s%.*s", first ? "" : " ", (int)length, text);
		first = false;
		text += length + strspn(text + length, " ");
	}
	fputc('\n', out);
}

static void write_flag(const struct flag *flag, FILE *out)
{
	int at = flag->letter ? fprintf(out, "  -%c, --%s", flag->letter, flag->name)
			      : fprintf(out, "      --%s", flag->name);
	if (flag->value)
		at += fprintf(out, " %s", flag->value);
	write_wrapped(flag->text, at < 0 ? 0 : (size_t)at, FLAG_COLUMN, out);
}

static void write_flags(const struct subcommand *command, bool connection, FILE *out)
{
	for (size_t i = 0; i < flag_count; i++)
		if (flag_table[i].connection == connection &&
			(!command || subcommand_takes(command, &flag_table[i])))
			write_flag(&flag_table[i], out);
}

static void write_exits(FILE *out)
{
	fputs("\nExit status:\n", out);
	for (size_t i = 0; i < ctl_exit_count; i++) {
		int at = fprintf(out, "  %d", ctl_exit_table[i].code);
		write_wrapped(ctl_exit_table[i].text, (size_t)at, 5, out);
	}
}

static void write_general(FILE *out)
{
	fputs("presencectl: who is online on a Mosquitto broker with mosquitto_presence\n\n"
	      "Usage: presencectl [OPTION...] COMMAND [ARGUMENT...]\n\nCommands:\n",
		out);
	for (size_t i = 0; i < subcommand_count; i++) {
		int at = fprintf(out, "  %s", subcommand_table[i].name);
		write_wrapped(subcommand_table[i].summary, (size_t)at, COMMAND_COLUMN, out);
	}
	fputs("\npresencectl COMMAND --help tells what a command does and takes.\n\n"
	      "Connection, as with mosquitto_sub:\n",
		out);
	write_flags(NULL, true, out);
	write_exits(out);
}

void help_write(const struct subcommand *command, FILE *out)
{
	if (!command) {
		write_general(out);
		return;
	}
	fprintf(out, "Usage: presencectl %s [OPTION...]%s%s\n\n", command->name,
		*command->arguments ? " " : "", command->arguments);
	write_wrapped(command->summary, 0, 0, out);
	write_wrapped(command->text, 0, 0, out);
	fputs("\nOptions:\n", out);
	write_flags(command, false, out);
	if (command->connects) {
		fputs("\nConnection, as with mosquitto_sub:\n", out);
		write_flags(command, true, out);
	}
	write_exits(out);
}
