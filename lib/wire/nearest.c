/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
#include "wire/nearest.h"

#include <assert.h>
#include <string.h>

static size_t least(size_t a, size_t b)
{
	return a < b ? a : b;
}

/* How many letters to insert, drop, change or swap with their neighbour. */
static size_t distance(const char *from, const char *to)
{
	size_t rows[3][NEAREST_MAX + 1];
	size_t *before = rows[0], *above = rows[1], *row = rows[2];
	size_t width = strlen(to);
	assert(width <= NEAREST_MAX);
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

struct nearest nearest_begin(const char *word)
{
	size_t length = strlen(word);
	struct nearest nearest = { .word = word };
	/* More letters than that are another word. */
	size_t wrong_max = length > 6 ? length / 3 : length > 4 ? 2 : 1;
	if (length <= NEAREST_MAX)
		nearest.best = wrong_max + 1;
	return nearest;
}

void nearest_try(struct nearest *nearest, const char *known, const char *meant)
{
	if (!nearest->best)
		return;
	size_t far = distance(nearest->word, known);
	if (far < nearest->best) {
		nearest->best = far;
		nearest->found = meant;
	}
}
