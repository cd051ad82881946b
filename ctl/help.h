/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
#ifndef PRESENCE_CTL_HELP_H
#define PRESENCE_CTL_HELP_H

/* What is written for people from the tables. */

#include <stdio.h>

#include "ctl/subcommand.h"

/* command NULL: of all. */
void help_write(const struct subcommand *command, FILE *out);
void completion_write_bash(FILE *out);

/* Manual pages: roff with the macros of man(7). */
void manual_write_presencectl(FILE *out);   /* presencectl(1) */
void manual_write_configuration(FILE *out); /* mosquitto-presence.conf(5) */

#endif
