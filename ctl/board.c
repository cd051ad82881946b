/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
#include "ctl/board.h"

#include <stdlib.h>
#include <string.h>

/* The place of subject, or where it would be. */
static size_t place_of(const struct board *board, const char *subject, bool *found)
{
	size_t low = 0, high = board->count;
	*found = false;
	while (low < high) {
		size_t middle = low + (high - low) / 2;
		int order = strcmp(subject, board->row[middle].subject);
		if (order == 0) {
			*found = true;
			return middle;
		}
		if (order < 0)
			high = middle;
		else
			low = middle + 1;
	}
	return low;
}

static bool make_room(struct board *board)
{
	if (board->count < board->room)
		return true;
	size_t room = board->room ? 2 * board->room : 64;
	struct board_row *row = realloc(board->row, room * sizeof(*row));
	if (!row)
		return false;
	board->row = row;
	board->room = room;
	return true;
}

static int insert(struct board *board, size_t place, const char *subject,
	const struct presence_record *record, struct record_storage *storage)
{
	char *copy = strdup(subject);
	if (!copy || !make_room(board)) {
		free(copy);
		record_free(storage);
		return PRESENCE_ENOMEM;
	}
	struct board_row *row = &board->row[place];
	memmove(row + 1, row, (board->count - place) * sizeof(*row));
	*row = (struct board_row){ copy, *record, storage };
	board->count++;
	board->by_status[record->status]++;
	return PRESENCE_OK;
}

int board_take(
	struct board *board, const struct presence_record *record, struct record_storage *storage)
{
	char subject[SHOW_SUBJECT_MAX];
	bool found;
	size_t place = place_of(board, show_subject(record, subject), &found);
	if (!found)
		return insert(board, place, subject, record, storage);
	struct board_row *row = &board->row[place];
	if (record->rev < row->record.rev) {
		record_free(storage);
		return PRESENCE_OK;
	}
	board->by_status[row->record.status]--;
	board->by_status[record->status]++;
	record_free(row->storage);
	row->record = *record;
	row->storage = storage;
	return PRESENCE_OK;
}

void board_remove(struct board *board, const char *subject)
{
	bool found;
	size_t place = place_of(board, subject, &found);
	if (!found)
		return;
	struct board_row *row = &board->row[place];
	board->by_status[row->record.status]--;
	record_free(row->storage);
	free(row->subject);
	board->count--;
	memmove(row, row + 1, (board->count - place) * sizeof(*row));
}

void board_clear(struct board *board)
{
	for (size_t i = 0; i < board->count; i++) {
		record_free(board->row[i].storage);
		free(board->row[i].subject);
	}
	free(board->row);
	*board = (struct board){ 0 };
}
