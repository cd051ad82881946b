/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
#include "core/merge.h"

enum presence_status presence_merge(
	enum presence_status highest_rank, enum presence_override override)
{
	/* An override speaks for somebody who is there; it never makes a disconnected one online.
	 */
	if (highest_rank == PRESENCE_OFFLINE)
		return PRESENCE_OFFLINE;
	switch (override) {
	case PRESENCE_OVERRIDE_NONE:
		return highest_rank;
	case PRESENCE_OVERRIDE_ONLINE:
		return PRESENCE_ONLINE;
	case PRESENCE_OVERRIDE_AWAY:
		return PRESENCE_AWAY;
	case PRESENCE_OVERRIDE_DND:
		return PRESENCE_DND;
	case PRESENCE_OVERRIDE_INVISIBLE:
		return PRESENCE_OFFLINE;
	}
	return highest_rank;
}
