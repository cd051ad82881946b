/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
#include <stdlib.h>

#include "ctl/clock.h"
#include "ctl/watch.h"

enum { HEAD_LINES = 2, FOOT_LINES = 1 };

static const char clear_rest[] = "\033[K\n"; /* of the line */

static size_t rows_shown(size_t lines)
{
	return lines > HEAD_LINES + FOOT_LINES ? lines - HEAD_LINES - FOOT_LINES : 1;
}

static void draw_title(const struct watch *watch, FILE *out)
{
	const size_t *by = watch->board.by_status;
	fprintf(out, "\033[1m%s\033[0m  %zu online, %zu away, %zu dnd, %zu offline", watch->place,
		by[PRESENCE_ONLINE], by[PRESENCE_AWAY], by[PRESENCE_DND], by[PRESENCE_OFFLINE]);
	if (watch->trouble)
		fprintf(out, "  \033[7m%s\033[0m", watch->trouble);
	fputs(clear_rest, out);
}

static void draw_rows(struct watch *watch, size_t lines, FILE *out)
{
	int64_t now = clock_wall_ms();
	size_t shown = rows_shown(lines), count = watch->board.count;
	if (watch->top + shown > count)
		watch->top = count > shown ? count - shown : 0;
	for (size_t i = watch->top; i < count && i < watch->top + shown; i++) {
		const struct board_row *row = &watch->board.row[i];
		show_row(&watch->layout, &row->record, row->subject, now, out);
		fputs(clear_rest, out);
	}
	fputs("\033[J", out); /* what was below */
	fprintf(out, "\033[%zu;1H", lines);
	if (count > shown)
		fprintf(out, "\033[2m%zu to %zu of %zu, arrow keys scroll, q ends\033[0m\033[K",
			watch->top + 1, watch->top + shown < count ? watch->top + shown : count,
			count);
	else
		fputs("\033[2mq ends\033[0m\033[K", out);
}

void watch_draw(struct watch *watch)
{
	char *frame = NULL;
	size_t length, lines;
	FILE *out = open_memstream(&frame, &length);
	if (!out)
		return;
	terminal_size(&watch->layout.total, &lines);
	fputs("\033[H", out);
	draw_title(watch, out);
	show_head(&watch->layout, out);
	fputs(clear_rest, out);
	draw_rows(watch, lines, out);
	/* In one piece, so that nobody sees half of it. */
	if (!fclose(out))
		(void)fwrite(frame, 1, length, stdout);
	free(frame);
	if (fflush(stdout))
		watch->failed = true;
	watch->dirty = false;
}

void watch_scroll(struct watch *watch, enum key key)
{
	size_t columns, lines, step = 1;
	terminal_size(&columns, &lines);
	switch (key) {
	case KEY_HOME:
		watch->top = 0;
		break;
	case KEY_PAGE_UP:
		step = rows_shown(lines);
		watch->top = watch->top > step ? watch->top - step : 0;
		break;
	case KEY_UP:
		watch->top -= watch->top > 0;
		break;
	case KEY_PAGE_DOWN:
		step = rows_shown(lines);
		watch->top += step; /* too far is mended when it is drawn */
		break;
	case KEY_DOWN:
		watch->top += step;
		break;
	case KEY_NONE:
	case KEY_QUIT:
		return;
	}
	watch->dirty = true;
}
