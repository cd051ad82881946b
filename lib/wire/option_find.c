/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
#include <assert.h>
#include <string.h>

#include "wire/options_table.h"

#define KEY_MAX 32 /* bytes of a key of the table; no mistyped one is longer */

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

static size_t least(size_t a, size_t b)
{
	return a < b ? a : b;
}

/* How many letters to insert, drop, change or swap with their neighbour. */
static size_t distance(const char *from, const char *to)
{
	size_t rows[3][KEY_MAX + 1];
	size_t *before = rows[0], *above = rows[1], *row = rows[2];
	size_t width = strlen(to);
	assert(width <= KEY_MAX);
	for (size_t x = 0; x <= width; x++)
		row[x] = x;
	for (size_t y = 1; y <= strlen(from); y++) {
		size_t *last = before;
		before = above;
		above = row;
		row = last;
		row[0] = y;
		for (size_t x = 1; x <= width; x++) {
			size_t change = above[x - 1] + (from[y - 1] != to[x - 1]);
			row[x] = least(change, 1 + least(above[x], row[x - 1]));
			if (x > 1 && y > 1 && from[y - 1] == to[x - 2] && from[y - 2] == to[x - 1])
				row[x] = least(row[x], before[x - 2] + 1);
		}
	}
	return row[width];
}

static const char *nearest(const char *key)
{
	const char *found = NULL;
	size_t length = strlen(key);
	if (length > KEY_MAX)
		return NULL;
	size_t best = 1 + (length > 6 ? length / 3 : 2); /* more than that is another word */
	for (size_t i = 0; i < options_table_count; i++) {
		size_t far = distance(key, options_table[i].key);
		if (far < best) {
			best = far;
			found = options_table[i].key;
		}
	}
	for (size_t i = 0; i < sizeof(others) / sizeof(*others); i++) {
		size_t far = distance(key, others[i][0]);
		if (far < best) {
			best = far;
			found = others[i][1];
		}
	}
	return found;
}

const struct option *option_find(const char *key, const char **hint)
{
	*hint = NULL;
	for (size_t i = 0; i < options_table_count; i++)
		if (!strcmp(options_table[i].key, key))
			return &options_table[i];
	*hint = nearest(key);
	return NULL;
}
