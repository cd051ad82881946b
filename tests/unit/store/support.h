/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
#ifndef PRESENCE_TESTS_STORE_SUPPORT_H
#define PRESENCE_TESTS_STORE_SUPPORT_H

/* What the tests of the store share. cmocka.h wants its own includes first. */

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "store/mailbox.h"
#include "store/ops.h"

#define WAIT_MAX_MS 10000 /* how long a test waits for a fact */

/* Effects of agent/<id>. */
struct presence_effect a_store(const char *id, const char *device, int64_t rev);
/* What is said of it as a whole; an OVERRIDE_NONE: no more. record_rev 0: it is not published. */
struct presence_effect an_override(
	const char *id, enum presence_override override, int64_t rev, int64_t record_rev);
struct presence_effect an_activity(const char *id, const char *conversation, bool active);
struct presence_effect an_effect(enum presence_effect_type type, const char *id, int64_t rev);

void put(struct mailbox *box, struct presence_effect effect);
/* Takes all and writes them as "S a/d1 5, F a 6, ..": type, id, device or conversation, rev. */
void assert_waiting(struct mailbox *box, const char *expected);
/* Takes the next message; it is a failure when there is none. */
struct store_message *take_message(struct mailbox *box);
struct store_message *wait_for_message(struct store *store);
bool is_readable(int fd);
int64_t now_ms(void);

/* A folder of its own for a test; remove_folder() removes it with all that is in it. */
char *make_folder(void);
void remove_folder(char *folder);

#endif
