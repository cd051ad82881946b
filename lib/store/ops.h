/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
#ifndef PRESENCE_STORE_OPS_H
#define PRESENCE_STORE_OPS_H

/* What a kind of store is to the worker. All calls come from the worker's thread, but for
 * create. */

#include "mailbox.h"

struct store_wait {
	int fd;           /* -1: none */
	short events;     /* POLLIN, POLLOUT */
	int64_t until_ms; /* CLOCK_BOOTTIME; INT64_MAX: no need */
	bool is_deaf;     /* what is put into the box meanwhile need not wake it */
};

struct store_ops {
	const char *name;
	bool keeps_activities; /* PRESENCE_ACTIVITY is of use to it */
	/* NULL when out of memory. Opens nothing. Borrows config and box for its whole life. */
	void *(*create)(const struct store_config *config, struct mailbox *box);
	void (*destroy)(void *self);
	/* Do what can be done now, without waiting; say in wait when to be called again: unless
	 * is_deaf it will also be called when something is put into the box. What it leaves in the
	 * box does not wake it again. NULL: this kind needs no worker, and none of the other calls.
	 */
	void (*step)(void *self, int64_t now_ms, struct store_wait *wait);
	/* True when nothing is waiting or unanswered; after mailbox_leaving(), when the goodbye is
	 * written too. */
	bool (*idle)(const void *self);
	/* The fields of stats that only this kind knows. queue and lag_ms come in with what waits
	 * in the box: add what was taken and is unanswered. May be called from the broker's thread.
	 */
	void (*stats)(const void *self, int64_t now_ms, struct store_stats *stats);
};

#endif
