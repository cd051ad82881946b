/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */

/* Subjects, rows and the board of a live table. */

#include "ctl/show.h"

#include <locale.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <json-c/json.h>

#include "ctl/board.h"
#include "ctl/print.h"
#include "ctl/subject.h"

static void test_ages(void **state)
{
	static const struct {
		int64_t ms;
		const char *text;
	} cases[] = { { -5, "0s" }, { 59999, "59s" }, { 60000, "1m 00s" }, { 3599999, "59m 59s" },
		{ 3600000, "1h 00m" }, { 86400000, "1d 00h" }, { 8640000000, "100d 00h" } };
	char text[SHOW_TIME_MAX];
	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++)
		assert_string_equal(show_age(cases[i].ms, text), cases[i].text);
	assert_string_equal(show_time(INT64_C(1763780675123), text), "2025-11-22T03:04:35.123Z");
}

static char *shown(const char *text, size_t width)
{
	char *out_text = NULL;
	size_t length;
	FILE *out = open_memstream(&out_text, &length);
	assert_non_null(out);
	show_text(text, width, out);
	assert_int_equal(fclose(out), 0);
	return out_text;
}

static void test_text(void **state)
{
	static const struct {
		const char *text;
		size_t width;
		const char *shown;
	} cases[] = {
		{ "plain", 0, "plain" }, { "plain", 3, "pla" }, { "plain", 7, "plain  " },
		{ "\033[31mred\a", 0, "?[31mred?" }, /* nothing acts on the terminal */
		{ "\xc2\x9b", 0, "?" },              /* nor this, a CSI of one character */
		{ "\xff\xfe", 0, "??" }, { "zo\xc3\xa9", 4, "zo\xc3\xa9 " },
		{ "\xe5\xb1\xb1\xe5\xb1\xb1", 3, "\xe5\xb1\xb1 " }, /* two columns each */
	};
	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		char *text = shown(cases[i].text, cases[i].width);
		assert_string_equal(text, cases[i].shown);
		free(text);
	}
}

static void test_subjects(void **state)
{
	static const char *const wrong[] = { "agent", "/u1", "agent/", "agent/a\tb" };
	struct subject subject;
	char name[PRESENCE_TOPIC_MAX];
	(void)state;
	assert_true(subject_read("agent/u1", &subject));
	assert_string_equal(subject.role, "agent");
	assert_string_equal(subject.id, "u1");
	assert_true(subject_read("agent/a/b", &subject));
	assert_string_equal(subject.id, "a/b");
	assert_string_equal(subject_name(&subject, name), "agent/a%2Fb");
	for (size_t i = 0; i < sizeof(wrong) / sizeof(*wrong); i++)
		if (subject_read(wrong[i], &subject))
			fail_msg("%s was read", wrong[i]);
}

static void test_subjects_of_topics(void **state)
{
	struct subject subject;
	(void)state;
	assert_true(subject_of_topic("presence", "presence/agent/a%2Fb", &subject));
	assert_string_equal(subject.id, "a/b");
	assert_false(subject_of_topic("presence", "presence/agent", &subject));
	assert_false(subject_of_topic("presence", "presence/agent/u1/devices/d", &subject));
	assert_false(subject_of_topic("pres", "presence/agent/u1", &subject));
	assert_false(subject_of_topic("presence", "presence-agent/u1", &subject));
}

static void test_filters(void **state)
{
	static const struct {
		const char *topic, *wanted, *filter; /* filter NULL: refused */
	} cases[] = {
		{ "presence", NULL, "presence/+/+" },
		{ "a/b", "agent", "a/b/agent/+" },
		{ "presence", "+/a+b", "presence/+/a%2Bb" },
		{ "presence", "agent/*", "presence/agent/+" },
		{ "presence", "", NULL },
		{ "presence", "/u1", NULL },
	};
	char filter[PRESENCE_TOPIC_MAX];
	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		bool good = subject_filter(cases[i].topic, cases[i].wanted, filter);
		if (good != (cases[i].filter != NULL))
			fail_msg("case %zu: %d", i, good);
		if (good)
			assert_string_equal(filter, cases[i].filter);
	}
}

static void take(struct board *board, const char *id, enum presence_status status, int64_t rev)
{
	char json[PRESENCE_RECORD_MAX];
	struct presence_record record = { .role = "agent", .id = id, .status = status, .rev = rev };
	struct record_storage *storage;
	int length = record_write(&record, "b1", json, sizeof(json));
	assert_true(length > 0);
	assert_int_equal(record_read(json, (size_t)length, &record, &storage), PRESENCE_OK);
	assert_int_equal(board_take(board, &record, storage), PRESENCE_OK);
}

static void test_board(void **state)
{
	struct board board = { 0 };
	char id[16];
	(void)state;
	for (int i = 0; i < 300; i++) {
		(void)snprintf(id, sizeof(id), "u%03d", i * 7 % 300);
		take(&board, id, PRESENCE_ONLINE, 10);
	}
	assert_int_equal(board.count, 300);
	for (size_t i = 1; i < board.count; i++)
		assert_true(strcmp(board.row[i - 1].subject, board.row[i].subject) < 0);
	take(&board, "u000", PRESENCE_DND, 11);
	take(&board, "u000", PRESENCE_AWAY, 9); /* older */
	assert_int_equal(board.row[0].record.status, PRESENCE_DND);
	assert_int_equal(board.by_status[PRESENCE_ONLINE], 299);
	assert_int_equal(board.by_status[PRESENCE_DND], 1);
	board_remove(&board, "agent/u000");
	board_remove(&board, "agent/nobody");
	assert_int_equal(board.count, 299);
	assert_int_equal(board.by_status[PRESENCE_DND], 0);
	board_clear(&board);
	assert_int_equal(board.count, 0);
}

static void test_change(void **state)
{
	char *text = NULL;
	size_t length;
	struct presence_record record = { .role = "agent",
		.id = "u\n1",
		.status = PRESENCE_AWAY,
		.previous = PRESENCE_ONLINE,
		.reason = PRESENCE_REASON_APP,
		.devices = 2,
		.note = "lunch" };
	FILE *out = open_memstream(&text, &length);
	(void)state;
	assert_non_null(out);
	show_change(&record, 0, out);
	assert_int_equal(fclose(out), 0);
	assert_string_equal(text, "1970-01-01T00:00:00.000Z agent/u?1 away online app 2 lunch\n");
	free(text);
}

/* Whatever a reply holds, and whoever forged it. */
static void test_done(void **state)
{
	static const char *const replies[] = { "{}", "{\"scope\":null}", "{\"scope\":1}",
		"{\"scope\":\"other\"}", "[]", "null" };
	(void)state;
	for (size_t i = 0; i < sizeof(replies) / sizeof(*replies); i++) {
		struct json_object *data = json_tokener_parse(replies[i]);
		print_done(NULL, data);
		json_object_put(data);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_ages),
		cmocka_unit_test(test_text),
		cmocka_unit_test(test_subjects),
		cmocka_unit_test(test_subjects_of_topics),
		cmocka_unit_test(test_filters),
		cmocka_unit_test(test_board),
		cmocka_unit_test(test_done),
		cmocka_unit_test(test_change),
	};
	if (!setlocale(LC_CTYPE, "C.UTF-8"))
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
