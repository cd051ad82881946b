/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
#ifndef PRESENCE_WIRE_OPTIONS_LAYER_H
#define PRESENCE_WIRE_OPTIONS_LAYER_H

/* Inside wire: one place that options come from. Each layer replaces what the one before it set,
 * and may not set the same option twice unless it is repeatable. */

#include "wire/options_table.h"

#define OPTIONS_MAX 64 /* rows of the table */

struct options_layer {
	struct options *options; /* what is being made */
	const char *file_name;   /* NULL: plugin_opt_ lines of the broker's configuration */
	size_t line;             /* of the file */
	bool seen[OPTIONS_MAX];  /* by place in the table */
	char *problem;           /* OPTIONS_PROBLEM_MAX bytes */
};

/* One setting. PRESENCE_ENOMEM, or PRESENCE_EINVAL and a problem that says where. */
int options_layer_set(struct options_layer *layer, const char *key, const char *value);

/* All lines of a file. As options_layer_set(). */
int options_layer_read(struct options_layer *layer, const char *text, size_t length);

#endif
