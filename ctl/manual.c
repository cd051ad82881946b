/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
#include "ctl/flag.h"
#include "ctl/help.h"
#include "ctl/roff.h"

static const char head[] =
	".\\\" Written by presence_manual from the tables in ctl/: change those, not this.\n"
	".TH PRESENCECTL 1 \"2026-11-22\" \"mosquitto\\-presence\" \"Commands\"\n"
	".SH NAME\n"
	"presencectl \\- show and steer who is online on a Mosquitto broker\n"
	".SH SYNOPSIS\n"
	".B presencectl\n"
	"[\\fIOPTION\\fR...] \\fICOMMAND\\fR [\\fIARGUMENT\\fR...]\n"
	".SH DESCRIPTION\n"
	"With\n"
	".BR mosquitto_presence (7)\n"
	"a Mosquitto broker knows who is online.\n"
	".B presencectl\n"
	"shows that, sends commands to the plugin, judges a configuration and\n"
	"looks for what is wrong.\n"
	"What may be commanded depends on the username and its password, never\n"
	"on the client id.\n"
	"A subject is written as\n"
	".IR role / id ,\n"
	"for example\n"
	".BR agent/u1 .\n";

static const char tail[] =
	".SH FILES\n"
	".TP\n"
	".I $XDG_CONFIG_HOME/presencectl\n"
	"or\n"
	".IR \\(ti/.config/presencectl :\n"
	"connection options, one a line, as on the command line, which they give way to.\n"
	"A line that begins with # is a comment.\n"
	".IP\n"
	".EX\n"
	"\\-h broker.example.org\n"
	"\\-\\-cafile /etc/ssl/certs/ca\\-certificates.crt\n"
	"\\-u admin.ops\n"
	"\\-P secret\n"
	".EE\n"
	".SH ENVIRONMENT\n"
	".TP\n"
	".B NO_COLOR\n"
	"With any value,\n"
	".B watch\n"
	"shows no colours.\n"
	".SH EXAMPLES\n"
	".TP\n"
	".B presencectl watch agent\n"
	"Every agent, live.\n"
	".TP\n"
	".B presencectl watch \\-R \\-\\-json | jq .id\n"
	"The id of each subject whose presence changes from now on.\n"
	".TP\n"
	".B presencectl override agent/u1 dnd \\-\\-ttl 45min \\-\\-note \\(dqin a meeting\\(dq\n"
	"Do not disturb, for a while.\n"
	".TP\n"
	".B presencectl check\\-config /etc/mosquitto/mosquitto.conf\n"
	"Before the broker is restarted.\n"
	".SH SEE ALSO\n"
	".BR mosquitto_presence (7),\n"
	".BR mosquitto\\-presence.conf (5),\n"
	".BR mosquitto.conf (5),\n"
	".BR mosquitto_sub (1)\n";

static void write_flag(const struct flag *flag, FILE *out)
{
	fputs(".TP\n\\fB", out);
	if (flag->letter)
		fprintf(out, "\\-%c\\fR, \\fB", flag->letter);
	fputs("\\-\\-", out);
	roff_word(flag->name, out);
	fputs("\\fR", out);
	if (flag->value)
		fprintf(out, " \\fI%s\\fR", flag->value);
	fputc('\n', out);
	roff_text(flag->text, out);
}

static void write_command(const struct subcommand *command, FILE *out)
{
	fputs(".SS \"", out);
	roff_word(command->name, out);
	if (*command->arguments)
		fprintf(out, " \\fI%s\\fP", command->arguments);
	fputs("\"\n", out);
	roff_text(command->summary, out);
	roff_text(command->text, out);
	for (size_t i = 0; i < flag_count; i++)
		if (!flag_table[i].connection && subcommand_takes(command, &flag_table[i]) &&
			flag_table[i].offset != offsetof(struct settings, help))
			write_flag(&flag_table[i], out);
}

void manual_write_presencectl(FILE *out)
{
	fputs(head, out);
	fputs(".SH COMMANDS\n", out);
	for (size_t i = 0; i < subcommand_count; i++)
		write_command(&subcommand_table[i], out);
	fputs(".SH OPTIONS\n"
	      "Options stand before or behind the command.\n"
	      "Those of the connection are as with\n"
	      ".BR mosquitto_sub (1):\n",
		out);
	for (size_t i = 0; i < flag_count; i++)
		if (flag_table[i].connection ||
			flag_table[i].offset == offsetof(struct settings, help))
			write_flag(&flag_table[i], out);
	fputs(".SH \"EXIT STATUS\"\n", out);
	for (size_t i = 0; i < ctl_exit_count; i++) {
		fprintf(out, ".TP\n.B %d\n", ctl_exit_table[i].code);
		roff_text(ctl_exit_table[i].text, out);
	}
	fputs(tail, out);
}
