/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
#include <stdlib.h>
#include <string.h>

#include "plugin/clients.h"

int kick_add(struct plugin *plugin, const char *client_id)
{
	if (plugin->kick_count == KICKS_MAX)
		return PRESENCE_ELIMIT;
	char *copy = strdup(client_id);
	if (!copy)
		return PRESENCE_ENOMEM;
	plugin->kicks[plugin->kick_count++] = copy;
	return PRESENCE_OK;
}

static void kick(struct plugin *plugin, const char *client_id)
{
	struct client *client = client_of_id(plugin, client_id);
	if (!client)
		return;
	/* Its end comes while we kick it, or, over WebSocket, a little later; on 2.0.x without a
	 * reason. */
	client->was_kicked = true;
	if (mosquitto_kick_client_by_clientid(client_id, true))
		client->was_kicked = false; /* and so it is still there */
}

void kicks_run(struct plugin *plugin)
{
	for (size_t i = 0; i < plugin->kick_count; i++) {
		kick(plugin, plugin->kicks[i]);
		free(plugin->kicks[i]);
	}
	plugin->kick_count = 0;
}

void kicks_finish(struct plugin *plugin)
{
	for (size_t i = 0; i < plugin->kick_count; i++)
		free(plugin->kicks[i]);
	plugin->kick_count = 0;
}
