/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
#include <string.h>

#include "wire/nearest.h"
#include "wire/options_table.h"

/* What people who know other plugins write, and what it is called here. */
static const char *const others[][2] = {
	{ "redis_host", "redis_url" },
	{ "redis_port", "redis_url" },
	{ "redis_db", "redis_url" },
	{ "redis_socket", "redis_url" },
	{ "redis_password", "redis_password_file" },
	{ "node_name", "node" },
	{ "node_id", "node" },
	{ "grace_period", "grace" },
	{ "queue_size", "queue_max" },
	{ "state_db", "state_file" },
};

static const char *nearest_key(const char *key)
{
	struct nearest nearest = nearest_begin(key);
	for (size_t i = 0; i < options_table_count; i++)
		nearest_try(&nearest, options_table[i].key, options_table[i].key);
	for (size_t i = 0; i < sizeof(others) / sizeof(*others); i++)
		nearest_try(&nearest, others[i][0], others[i][1]);
	return nearest.found;
}

const struct option *option_find(const char *key, const char **hint)
{
	*hint = NULL;
	for (size_t i = 0; i < options_table_count; i++)
		if (!strcmp(options_table[i].key, key))
			return &options_table[i];
	*hint = nearest_key(key);
	return NULL;
}
