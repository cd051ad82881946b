/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
#ifndef PRESENCE_PLUGIN_HOOKS_H
#define PRESENCE_PLUGIN_HOOKS_H

#include "plugin/plugin.h"

/* Registers with the broker what its version has; plugin->is_2_1 is set. False: the log says
 * what failed. */
bool hooks_register(struct plugin *plugin, mosquitto_plugin_id_t *identifier);
void hooks_unregister(struct plugin *plugin, mosquitto_plugin_id_t *identifier);

#endif
