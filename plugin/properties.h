/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
#ifndef PRESENCE_PLUGIN_PROPERTIES_H
#define PRESENCE_PLUGIN_PROPERTIES_H

#include "plugin/broker_api.h"

/* Copies the value of a string or binary property, with a zero byte behind it. NULL: there is none,
 * no memory, or no way to read it; the caller frees. */
char *property_copy(const mosquitto_property *properties, int identifier, uint16_t *length);

#endif
