/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
#include "wire/number.h"

#include "check.h"

static const struct {
	const char *text;
	enum number_error error;
	int64_t ms;
} durations[] = {
	{ "0", NUMBER_OK, 0 },
	{ "00", NUMBER_OK, 0 },
	{ "0ms", NUMBER_OK, 0 },
	{ "0d", NUMBER_OK, 0 },
	{ "1ms", NUMBER_OK, 1 },
	{ "1500ms", NUMBER_OK, 1500 },
	{ "3s", NUMBER_OK, 3000 },
	{ "003s", NUMBER_OK, 3000 },
	{ "10min", NUMBER_OK, 600000 },
	{ "2h", NUMBER_OK, 7200000 },
	{ "7d", NUMBER_OK, 604800000 },
	{ "99999999999999999999d", NUMBER_OK, INT64_MAX },
	{ "9223372036854775807s", NUMBER_OK, INT64_MAX },
	{ "1.5s", NUMBER_OK, 1500 },
	{ "1.5h", NUMBER_OK, 5400000 },
	{ "0.001s", NUMBER_OK, 1 },
	{ "0.000001d", NUMBER_NONE, 0 }, /* 86.4 ms */
	{ "0.0", NUMBER_OK, 0 },
	{ "9223372036854775.807s", NUMBER_OK, INT64_MAX },
	{ "9223372036854775.808s", NUMBER_OK, INT64_MAX },
	{ "3", NUMBER_NO_UNIT, 0 },
	{ "0.5", NUMBER_NO_UNIT, 0 },
	{ "1.5m", NUMBER_MONTH, 0 },
	{ "2m", NUMBER_MONTH, 0 },
	{ "0m", NUMBER_MONTH, 0 },
	{ "", NUMBER_NONE, 0 },
	{ "s", NUMBER_NONE, 0 },
	{ "-3s", NUMBER_NONE, 0 },
	{ "+3s", NUMBER_NONE, 0 },
	{ "1.5ms", NUMBER_NONE, 0 },
	{ "1.s", NUMBER_NONE, 0 },
	{ ".5s", NUMBER_NONE, 0 },
	{ "1.5.5s", NUMBER_NONE, 0 },
	{ "1.-5s", NUMBER_NONE, 0 },
	{ "1,5s", NUMBER_NONE, 0 },
	{ "1.0000000s", NUMBER_NONE, 0 }, /* more digits than anybody means */
	{ "3 s", NUMBER_NONE, 0 },
	{ "3S", NUMBER_NONE, 0 },
	{ "3sec", NUMBER_NONE, 0 },
	{ "3s5", NUMBER_NONE, 0 },
	{ "2w", NUMBER_NONE, 0 },
	{ "0x3s", NUMBER_NONE, 0 },
};

static void durations_have_units(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT_OF(durations); i++) {
		int64_t ms = -1;
		enum number_error error = duration_read(durations[i].text, &ms);
		if (error != durations[i].error)
			fail_msg("%s: %d", durations[i].text, error);
		if (error == NUMBER_OK)
			assert_int_equal(ms, durations[i].ms);
	}
}

static const struct {
	const char *text;
	enum number_error error;
	int64_t count;
} counts[] = {
	{ "0", NUMBER_OK, 0 },
	{ "65536", NUMBER_OK, 65536 },
	{ "100k", NUMBER_OK, 100000 },
	{ "16M", NUMBER_OK, 16000000 },
	{ "2G", NUMBER_OK, INT64_C(2000000000) },
	{ "99999999999G", NUMBER_OK, INT64_MAX },
	{ "9223372036854775808", NUMBER_OK, INT64_MAX },
	{ "", NUMBER_NONE, 0 },
	{ "k", NUMBER_NONE, 0 },
	{ "-1", NUMBER_NONE, 0 },
	{ "1K", NUMBER_NONE, 0 },
	{ "1kk", NUMBER_NONE, 0 },
	{ "1.5k", NUMBER_NONE, 0 },
	{ "ten", NUMBER_NONE, 0 },
};

static void counts_may_have_units(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT_OF(counts); i++) {
		int64_t count = -1;
		enum number_error error = count_read(counts[i].text, &count);
		if (error != counts[i].error)
			fail_msg("%s: %d", counts[i].text, error);
		if (error == NUMBER_OK)
			assert_int_equal(count, counts[i].count);
	}
}

static const struct {
	int64_t ms;
	const char *text;
} texts[] = {
	{ 0, "0" },
	{ 1, "1ms" },
	{ 1500, "1500ms" },
	{ 3000, "3s" },
	{ 180000, "3min" },
	{ 90000, "90s" },
	{ 7200000, "2h" },
	{ 604800000, "7d" },
	{ INT64_MAX, "9223372036854775807ms" },
};

static void a_duration_is_written_in_its_largest_unit(void **state)
{
	char text[NUMBER_TEXT_MAX];
	(void)state;
	for (size_t i = 0; i < COUNT_OF(texts); i++) {
		int64_t ms;
		assert_string_equal(number_text(texts[i].ms, true, text), texts[i].text);
		assert_int_equal(duration_read(text, &ms), NUMBER_OK);
		assert_int_equal(ms, texts[i].ms);
	}
	assert_string_equal(number_text(7200000, false, text), "7200000");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(durations_have_units),
		cmocka_unit_test(counts_may_have_units),
		cmocka_unit_test(a_duration_is_written_in_its_largest_unit),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
