/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
#ifndef PRESENCE_CTL_WATCH_H
#define PRESENCE_CTL_WATCH_H

/* Inside watch. */

#include "core/table.h"
#include "ctl/board.h"
#include "ctl/link.h"
#include "ctl/subcommand.h"
#include "ctl/terminal.h"

struct watch {
	const struct settings *settings;
	struct link link;
	bool screen; /* a table; else lines */
	struct terminal terminal;
	struct board board;
	struct table in_json; /* hashes of the topics that had a record, and that in JSON */
	uint8_t hash_key[16];
	struct show_layout layout;
	const char *trouble; /* shown while there is no connection */
	char place[256];     /* of the broker */
	size_t top;          /* the first row that is shown */
	int64_t lines_left;  /* lines to write; negative: no end */
	bool dirty, failed;
};

/* One message of a topic under presence. */
void watch_take(struct watch *watch, const struct mosquitto_message *message);
void watch_draw(struct watch *watch);
void watch_scroll(struct watch *watch, enum key key);

#endif
