/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
#ifndef PRESENCE_CTL_TERMINAL_H
#define PRESENCE_CTL_TERMINAL_H

/* The terminal, borrowed for a live table, and signals as something to wait for. */

#include <stdbool.h>
#include <stddef.h>
#include <termios.h>

enum key { KEY_NONE, KEY_QUIT, KEY_UP, KEY_DOWN, KEY_PAGE_UP, KEY_PAGE_DOWN, KEY_HOME };

struct terminal {
	bool shown, keys; /* the table is on it; keys can be read */
	struct termios before;
};

/* Switches to a screen of its own and reads keys one by one. */
void terminal_enter(struct terminal *terminal);
/* Everything as it was before. */
void terminal_leave(struct terminal *terminal);
void terminal_size(size_t *columns, size_t *lines);
/* The next of the keys that were pressed. KEY_NONE: there are no more. */
enum key terminal_key(struct terminal *terminal);

/* Makes SIGINT, SIGTERM and SIGHUP readable instead of deadly, and, with a screen, SIGWINCH and
 * SIGTSTP too. Returns the descriptor, or -1. */
int terminal_signals(bool screen);

enum signal_meaning { SIGNAL_NONE, SIGNAL_END, SIGNAL_RESIZE, SIGNAL_STOP };
enum signal_meaning terminal_signal(int signals);
/* What SIGTSTP would have done. Returns when the process goes on. */
void terminal_stop(struct terminal *terminal);

#endif
