/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
#include "ctl/print.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "ctl/clock.h"
#include "ctl/show.h"
#include "wire/record.h"

enum { PATH_BYTES = 512 };

void print_json(struct json_object *data)
{
	(void)puts(data ? json_object_to_json_string_ext(data, JSON_C_TO_STRING_PLAIN) : "{}");
}

/* Record number i of list; storage is to be freed by the caller. */
static bool read_record(struct json_object *list, size_t i, struct presence_record *record,
	struct record_storage **storage)
{
	struct json_object *one = json_object_array_get_idx(list, i);
	const char *text = json_object_to_json_string_ext(one, JSON_C_TO_STRING_PLAIN);
	*storage = NULL;
	return text && !record_read(text, strlen(text), record, storage);
}

typedef void visitor(void *context, const struct presence_record *record, const char *subject);

static void each_record(struct json_object *list, visitor *visit, void *context)
{
	for (size_t i = 0; i < json_object_array_length(list); i++) {
		struct presence_record record;
		struct record_storage *storage;
		char subject[SHOW_SUBJECT_MAX];
		if (read_record(list, i, &record, &storage))
			visit(context, &record, show_subject(&record, subject));
		record_free(storage);
	}
}

static void measure(void *context, const struct presence_record *record, const char *subject)
{
	show_measure(context, subject, presence_reason_name(record->reason));
}

static void print_row(void *context, const struct presence_record *record, const char *subject)
{
	show_row(context, record, subject, clock_wall_ms(), stdout);
	(void)putchar('\n');
}

/* How many there are besides those that were listed, and how to get at them. */
static void print_rest(struct json_object *data, size_t listed)
{
	struct json_object *total, *after;
	if (!json_object_object_get_ex(data, "totalCount", &total) ||
		json_object_get_int64(total) <= (int64_t)listed)
		return;
	(void)printf("%zu of %" PRId64, listed, json_object_get_int64(total));
	if (json_object_object_get_ex(data, "after", &after)) {
		(void)fputs("; the next ones: --after ", stdout);
		show_text(json_object_get_string(after), 0, stdout);
	}
	(void)putchar('\n');
}

void print_subjects(const struct settings *settings, struct json_object *data)
{
	struct show_layout layout = { .subject = strlen("SUBJECT"), .reason = strlen("REASON") };
	struct json_object *list;
	if (!json_object_object_get_ex(data, "subjects", &list) ||
		!json_object_is_type(list, json_type_array)) {
		print_tree(settings, data);
		return;
	}
	layout.colours = isatty(STDOUT_FILENO) && !getenv("NO_COLOR");
	each_record(list, measure, &layout);
	show_head(&layout, stdout);
	(void)putchar('\n');
	each_record(list, print_row, &layout);
	print_rest(data, json_object_array_length(list));
}

/* path holds length bytes of the keys so far. */
static void print_value(char path[PATH_BYTES], size_t length, struct json_object *value)
{
	if (json_object_is_type(value, json_type_object)) {
		json_object_object_foreach(value, key, inner)
		{
			int more = snprintf(
				path + length, PATH_BYTES - length, "%s%s", length ? "/" : "", key);
			if (more > 0 && (size_t)more < PATH_BYTES - length)
				print_value(path, length + (size_t)more, inner);
		}
	} else if (json_object_is_type(value, json_type_array)) {
		for (size_t i = 0; i < json_object_array_length(value); i++) {
			if (i &&
				json_object_is_type(
					json_object_array_get_idx(value, i), json_type_object))
				(void)putchar('\n');
			/* Elements of a list need no name: each stands for itself. */
			char inner[PATH_BYTES] = "";
			print_value(inner, 0, json_object_array_get_idx(value, i));
		}
	} else {
		path[length] = '\0';
		show_text(path, length ? 28 : 0, stdout);
		(void)fputs(length ? " " : "", stdout);
		show_text(value ? json_object_get_string(value) : "-", 0, stdout);
		(void)putchar('\n');
	}
}

void print_tree(const struct settings *settings, struct json_object *data)
{
	char path[PATH_BYTES] = "";
	(void)settings;
	if (data)
		print_value(path, 0, data);
}

void print_done(const struct settings *settings, struct json_object *data)
{
	struct json_object *scope;
	(void)settings;
	if (json_object_is_type(data, json_type_object) &&
		json_object_object_get_ex(data, "scope", &scope) &&
		json_object_is_type(scope, json_type_string) &&
		!strcmp(json_object_get_string(scope), "local"))
		(void)fputs("done, but Redis is away: for now only this broker knows\n", stdout);
}
