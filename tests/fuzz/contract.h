/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
#ifndef PRESENCE_TESTS_FUZZ_CONTRACT_H
#define PRESENCE_TESTS_FUZZ_CONTRACT_H

/* What core/presence.h asks of those who call it, of what comes back from a store. */

#include "core/presence.h"

/* Ends the process unless event is one that a store may post. */
void contract_check(const struct presence_event *event);

#endif
