/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
#ifndef PRESENCE_WIRE_DECLARATION_H
#define PRESENCE_WIRE_DECLARATION_H

/* What a client says of itself by publishing on its own topic: MQTT clients that know nothing of
 * presence have done so for long, with a birth message and a last will. */

#include <stddef.h>

#include "core/presence.h"

#define DECLARATION_BYTES_MAX 1024

struct declaration {
	enum presence_status status;
	char note[PRESENCE_NOTE_MAX + 1]; /* empty: none */
};

/* Reads a bare online, away, dnd or offline, or a JSON object with "status", one of these words,
 * and perhaps "note"; its other keys are ignored. PRESENCE_EINVAL: anything else, of any bytes;
 * PRESENCE_ENOMEM. */
int declaration_read(const void *bytes, size_t length, struct declaration *declaration);

#endif
