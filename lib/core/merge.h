/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
#ifndef PRESENCE_CORE_MERGE_H
#define PRESENCE_CORE_MERGE_H

#include "core/presence.h"

/* The status of a subject: highest_rank is the maximum over its devices up or lingering
 * (PRESENCE_OFFLINE when there is none). The same rule stands in Lua, in apply_1; both are held
 * to tests/vectors/merge.tsv. */
enum presence_status presence_merge(
	enum presence_status highest_rank, enum presence_override override);

#endif
