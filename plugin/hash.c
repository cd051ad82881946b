/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
#include <string.h>

#include "core/siphash.h"
#include "plugin/plugin.h"

uint64_t plugin_hash(const struct plugin *plugin, const char *text)
{
	struct siphash hash;
	siphash_init(&hash, plugin->hash_key);
	siphash_update(&hash, text, strlen(text));
	return siphash_finish(&hash);
}
