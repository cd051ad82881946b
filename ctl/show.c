/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
#include "ctl/show.h"

#include <inttypes.h>
#include <string.h>
#include <time.h>
#include <wchar.h>

#include "wire/utf8.h"

enum { STATUS_COLUMNS = 8, SINCE_COLUMNS = 8, DEVICES_COLUMNS = 7 };
enum { SECOND = 1000, MINUTE = 60 * SECOND, HOUR = 60 * MINUTE, DAY = 24 * HOUR };

const char *show_age(int64_t ms, char text[SHOW_TIME_MAX])
{
	if (ms < 0)
		ms = 0; /* another machine's clock */
	if (ms < MINUTE)
		(void)snprintf(text, SHOW_TIME_MAX, "%" PRId64 "s", ms / SECOND);
	else if (ms < HOUR)
		(void)snprintf(text, SHOW_TIME_MAX, "%" PRId64 "m %02" PRId64 "s", ms / MINUTE,
			ms % MINUTE / SECOND);
	else if (ms < DAY)
		(void)snprintf(text, SHOW_TIME_MAX, "%" PRId64 "h %02" PRId64 "m", ms / HOUR,
			ms % HOUR / MINUTE);
	else
		(void)snprintf(text, SHOW_TIME_MAX, "%" PRId64 "d %02" PRId64 "h", ms / DAY,
			ms % DAY / HOUR);
	return text;
}

const char *show_time(int64_t wall_ms, char text[SHOW_TIME_MAX])
{
	time_t seconds = (time_t)(wall_ms / SECOND);
	struct tm parts;
	if (!gmtime_r(&seconds, &parts) || !strftime(text, SHOW_TIME_MAX, "%FT%T", &parts)) {
		(void)snprintf(text, SHOW_TIME_MAX, "-");
		return text;
	}
	size_t length = strlen(text);
	(void)snprintf(text + length, SHOW_TIME_MAX - length, ".%03dZ", (int)(wall_ms % SECOND));
	return text;
}

/* One character of text, at least one byte: how many columns it takes, and what to write for it. */
static size_t read_character(const char **text, size_t *columns, const char **bytes)
{
	uint32_t character;
	size_t length = utf8_read(*text, strlen(*text), &character);
	bool printable = length && utf8_printable(*text, length);
	int wide = printable ? wcwidth((wchar_t)character) : 1;
	*bytes = printable ? *text : "?";
	*columns = wide < 0 ? 1 : (size_t)wide;
	*text += length ? length : 1;
	return printable ? length : 1;
}

size_t show_width(const char *text)
{
	size_t width = 0, columns;
	const char *bytes;
	while (*text) {
		(void)read_character(&text, &columns, &bytes);
		width += columns;
	}
	return width;
}

void show_text(const char *text, size_t width, FILE *out)
{
	size_t at = 0, columns;
	const char *bytes;
	while (*text) {
		size_t length = read_character(&text, &columns, &bytes);
		if (width && at + columns > width)
			break;
		at += columns;
		(void)fwrite(bytes, 1, length, out);
	}
	while (at++ < width)
		fputc(' ', out);
}

const char *show_subject(const struct presence_record *record, char text[SHOW_SUBJECT_MAX])
{
	(void)snprintf(text, SHOW_SUBJECT_MAX, "%s/%s", record->role, record->id);
	return text;
}

void show_measure(struct show_layout *layout, const char *subject, const char *reason)
{
	enum { SUBJECT_MOST = 48 };
	size_t subject_width = show_width(subject), reason_width = strlen(reason);
	if (subject_width > SUBJECT_MOST)
		subject_width = SUBJECT_MOST;
	if (subject_width > layout->subject)
		layout->subject = subject_width;
	if (reason_width > layout->reason)
		layout->reason = reason_width;
}

/* What is left for the note; 0: no limit, or nothing. */
static size_t note_columns(const struct show_layout *layout, bool *none)
{
	size_t used = layout->subject + layout->reason + STATUS_COLUMNS + SINCE_COLUMNS +
		DEVICES_COLUMNS + 5 * 2;
	*none = layout->total && used >= layout->total;
	return layout->total && !*none ? layout->total - used : 0;
}

static void put(const char *text, size_t columns, FILE *out)
{
	show_text(text, columns, out);
	fputs("  ", out);
}

void show_head(const struct show_layout *layout, FILE *out)
{
	put("SUBJECT", layout->subject, out);
	put("STATUS", STATUS_COLUMNS, out);
	put("REASON", layout->reason, out);
	put("SINCE", SINCE_COLUMNS, out);
	put("DEVICES", DEVICES_COLUMNS, out);
	fputs("NOTE", out);
}

static const char *colour_of(enum presence_status status)
{
	switch (status) {
	case PRESENCE_ONLINE:
		return "\033[32m";
	case PRESENCE_AWAY:
		return "\033[33m";
	case PRESENCE_DND:
		return "\033[31m";
	case PRESENCE_OFFLINE:
		return "\033[2m";
	}
	return "";
}

void show_row(const struct show_layout *layout, const struct presence_record *record,
	const char *subject, int64_t wall_ms, FILE *out)
{
	char age[SHOW_TIME_MAX] = "-", devices[16];
	bool no_note;
	size_t note = note_columns(layout, &no_note);
	if (record->since_ms)
		(void)show_age(wall_ms - record->since_ms, age);
	(void)snprintf(devices, sizeof(devices), "%" PRIu32, record->devices);
	put(subject, layout->subject, out);
	if (layout->colours)
		fputs(colour_of(record->status), out);
	show_text(presence_status_name(record->status), STATUS_COLUMNS, out);
	fputs(layout->colours ? "\033[0m  " : "  ", out);
	put(presence_reason_name(record->reason), layout->reason, out);
	put(age, SINCE_COLUMNS, out);
	put(devices, DEVICES_COLUMNS, out);
	if (record->note && !no_note)
		show_text(record->note, layout->total && show_width(record->note) > note ? note : 0,
			out);
}

void show_change(const struct presence_record *record, int64_t wall_ms, FILE *out)
{
	char subject[SHOW_SUBJECT_MAX], time[SHOW_TIME_MAX];
	fprintf(out, "%s ", show_time(wall_ms, time));
	show_text(show_subject(record, subject), 0, out);
	fprintf(out, " %s %s %s %" PRIu32, presence_status_name(record->status),
		presence_status_name(record->previous), presence_reason_name(record->reason),
		record->devices);
	if (record->note) {
		fputc(' ', out);
		show_text(record->note, 0, out);
	}
	fputc('\n', out);
}
