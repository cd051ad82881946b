/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
#include <string.h>

#include "ctl/flag.h"
#include "ctl/help.h"

static const char *const overrides[] = { "online", "away", "dnd", "invisible", NULL };
static const char *const declared[] = { "online", "away", "dnd", "offline", NULL };
static const char *const shells[] = { "bash", NULL };

static void write_words(const char *const *words, FILE *out)
{
	for (size_t i = 0; words[i]; i++)
		fprintf(out, "%s%s", i ? " " : "", words[i]);
}

/* The word before the cursor is an option that takes a value: which values there are. */
static void write_values(FILE *out)
{
	fputs("\tcase $before in\n", out);
	for (size_t i = 0; i < flag_count; i++) {
		const struct flag *flag = &flag_table[i];
		if (flag->kind == FLAG_SWITCH)
			continue;
		if (flag->letter)
			fprintf(out, "\t-%c | --%s)\n", flag->letter, flag->name);
		else
			fprintf(out, "\t--%s)\n", flag->name);
		if (flag->kind == FLAG_FILE) {
			fputs("\t\tcompopt -o default\n", out);
		} else if (flag->words) {
			fputs("\t\tmapfile -t COMPREPLY < <(compgen -W '", out);
			write_words(flag->words, out);
			fputs("' -- \"$current\")\n", out);
		}
		fputs("\t\treturn\n\t\t;;\n", out);
	}
	fputs("\tesac\n", out);
}

static void write_flags(const struct subcommand *command, FILE *out)
{
	for (size_t i = 0; i < flag_count; i++) {
		const struct flag *flag = &flag_table[i];
		if (command ? !subcommand_takes(command, flag)
			    : !flag->connection && strcmp(flag->name, "help"))
			continue;
		fprintf(out, " --%s", flag->name);
		if (flag->letter)
			fprintf(out, " -%c", flag->letter);
	}
}

/* The place of an argument among the arguments of its command decides what it is. */
static void write_arguments(const struct subcommand *command, FILE *out)
{
	const size_t count = sizeof(command->kinds) / sizeof(*command->kinds);
	for (size_t i = 0; i < count; i++) {
		const char *const *words = declared;
		switch (command->kinds[i]) {
		case ARGUMENT_OTHER:
			continue;
		case ARGUMENT_FILE:
			fprintf(out, "\t\t[ $place -ne %zu ] || compopt -o default\n", i);
			continue;
		case ARGUMENT_STATUS:
			break;
		case ARGUMENT_OVERRIDE:
			words = overrides;
			break;
		case ARGUMENT_SHELL:
			words = shells;
			break;
		}
		fprintf(out, "\t\t[ $place -ne %zu ] || words='", i);
		write_words(words, out);
		fputs("'\n", out);
	}
}

static void write_commands(FILE *out)
{
	fputs("\tcase $command in\n", out);
	for (size_t i = 0; i < subcommand_count; i++) {
		fprintf(out, "\t%s)\n\t\tflags='", subcommand_table[i].name);
		write_flags(&subcommand_table[i], out);
		fputs("'\n", out);
		write_arguments(&subcommand_table[i], out);
		fputs("\t\t;;\n", out);
	}
	fputs("\t*)\n\t\tflags='", out);
	write_flags(NULL, out);
	fputs("'\n\t\twords='", out);
	for (size_t i = 0; i < subcommand_count; i++)
		fprintf(out, "%s%s", i ? " " : "", subcommand_table[i].name);
	fputs("'\n\t\t;;\n\tesac\n", out);
}

static void write_switches(FILE *out)
{
	fputs("-*=*", out);
	for (size_t i = 0; i < flag_count; i++) {
		if (flag_table[i].kind != FLAG_SWITCH)
			continue;
		fprintf(out, " | --%s", flag_table[i].name);
		if (flag_table[i].letter)
			fprintf(out, " | -%c", flag_table[i].letter);
	}
}

void completion_write_bash(FILE *out)
{
	fputs("# bash completion for presencectl: written by presencectl completion bash\n"
	      "_presencectl()\n{\n"
	      "\tlocal current=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD - 1]}\n"
	      "\tlocal command='' place=0 flags='' words='' i\n"
	      "\tCOMPREPLY=()\n",
		out);
	write_values(out);
	fputs("\tfor ((i = 1; i < COMP_CWORD; i++)); do\n"
	      "\t\tcase ${COMP_WORDS[i]} in\n\t\t",
		out);
	write_switches(out);
	fputs(") ;;\n"
	      "\t\t-*) i=$((i + 1)) ;;\n"
	      "\t\t*)\n"
	      "\t\t\tif [ -n \"$command\" ]; then\n"
	      "\t\t\t\tplace=$((place + 1))\n"
	      "\t\t\telse\n"
	      "\t\t\t\tcommand=${COMP_WORDS[i]}\n"
	      "\t\t\tfi\n"
	      "\t\t\t;;\n"
	      "\t\tesac\n"
	      "\tdone\n",
		out);
	write_commands(out);
	fputs("\t[[ $current != -* ]] || words=$flags\n"
	      "\tmapfile -t COMPREPLY < <(compgen -W \"$words\" -- \"$current\")\n"
	      "}\n"
	      "complete -F _presencectl presencectl\n",
		out);
}

enum ctl_exit run_completion(const struct subcommand_call *call)
{
	if (strcmp(call->arguments[0], "bash")) {
		(void)fprintf(stderr, "presencectl: there is completion for bash only\n");
		return CTL_USAGE;
	}
	completion_write_bash(stdout);
	return CTL_OK;
}
