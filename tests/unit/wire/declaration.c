/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
#include "wire/declaration.h"

#include <stdio.h>

#include "check.h"

static void check(const char *text, enum presence_status status, const char *note)
{
	struct declaration declaration;
	print_message("%s\n", text);
	assert_int_equal(declaration_read(text, strlen(text), &declaration), PRESENCE_OK);
	assert_int_equal(declaration.status, status);
	assert_string_equal(declaration.note, note);
}

static void words_and_objects_are_read(void **state)
{
	(void)state;
	check("online", PRESENCE_ONLINE, "");
	check("away", PRESENCE_AWAY, "");
	check("dnd", PRESENCE_DND, "");
	check("offline", PRESENCE_OFFLINE, "");
	check("{\"status\":\"away\"}", PRESENCE_AWAY, "");
	check("{\"status\":\"dnd\",\"note\":\"in a call\"}", PRESENCE_DND, "in a call");
	check("{\"note\":\"\\u00e9\",\"status\":\"away\"}", PRESENCE_AWAY, "\xc3\xa9");
	check("{\"status\":\"away\",\"note\":null}", PRESENCE_AWAY, "");
	check("{\"status\":\"away\",\"note\":\"\"}", PRESENCE_AWAY, "");
	check("{\"ts\":12,\"status\":\"offline\",\"more\":{\"a\":[1]}}", PRESENCE_OFFLINE, "");
}

static void refuse(const char *bytes, size_t length)
{
	struct declaration declaration;
	print_message("%.60s\n", bytes);
	/* Exactly as long as it says, so that a sanitizer sees who reads on. */
	char *copy = malloc(length ? length : 1);
	memcpy(copy, bytes, length);
	assert_int_equal(declaration_read(copy, length, &declaration), PRESENCE_EINVAL);
	free(copy);
}

static void anything_else_is_refused(void **state)
{
	(void)state;
	static const char *const wrong[] = { "", "Online", "online ", " online", "\"online\"",
		"invisible", "onlineonlineonlineonline", "1", "[]", "{}", "{\"status\":1}",
		"{\"status\":\"invisible\"}", "{\"status\":\"away\"", "{\"status\":\"away\"}x",
		"{\"status\":\"away\",\"note\":1}", "{\"status\":\"away\",\"note\":\"a\\u0000b\"}",
		"{\"status\":\"away\",\"note\":\"a\\nb\"}", "{\"status\":\"away\\u0000\"}",
		"{\"status\":\"away\",\"note\":\"\xff\"}",
		"{\"status\":\"away\",\"a\":[[[[[[[[[[1]]]]]]]]]]}" };
	for (size_t i = 0; i < COUNT_OF(wrong); i++)
		refuse(wrong[i], strlen(wrong[i]));
	refuse("away\0", 5);
	refuse("{\"status\":\"away\"}\0", 18);
	refuse("\0", 1);
}

static void a_note_has_128_bytes_at_most(void **state)
{
	(void)state;
	char text[DECLARATION_BYTES_MAX + 64], note[PRESENCE_NOTE_MAX + 2];
	memset(note, 'n', sizeof(note));
	note[PRESENCE_NOTE_MAX] = '\0';
	(void)snprintf(text, sizeof(text), "{\"status\":\"away\",\"note\":\"%s\"}", note);
	check(text, PRESENCE_AWAY, note);
	(void)snprintf(text, sizeof(text), "{\"status\":\"away\",\"note\":\"%sn\"}", note);
	refuse(text, strlen(text));
}

static void all_of_it_has_a_limit(void **state)
{
	(void)state;
	char text[DECLARATION_BYTES_MAX + 2];
	int length = snprintf(text, sizeof(text), "{\"status\":\"away\",\"x\":\"");
	memset(text + length, 'x', sizeof(text) - (size_t)length);
	memcpy(text + DECLARATION_BYTES_MAX - 2, "\"}", 3);
	check(text, PRESENCE_AWAY, "");
	memcpy(text + DECLARATION_BYTES_MAX - 2, "x\"}", 4);
	refuse(text, DECLARATION_BYTES_MAX + 1);
}

static void whatever_the_bytes(void **state)
{
	(void)state;
	static const char seed_text[] = "{\"status\":\"away\",\"note\":\"in a call\"}";
	uint64_t seed = seed_of_test();
	for (int i = 0; i < 20000; i++) {
		size_t length = 1 + random_below(&seed, sizeof(seed_text) - 1);
		char *bytes = malloc(length);
		memcpy(bytes, seed_text, length);
		for (uint32_t changes = random_below(&seed, 4); changes; changes--)
			bytes[random_below(&seed, (uint32_t)length)] = (char)random_below(
				&seed, 256);
		struct declaration declaration;
		if (!declaration_read(bytes, length, &declaration))
			assert_true(strlen(declaration.note) <= PRESENCE_NOTE_MAX);
		free(bytes);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(words_and_objects_are_read),
		cmocka_unit_test(anything_else_is_refused),
		cmocka_unit_test(a_note_has_128_bytes_at_most),
		cmocka_unit_test(all_of_it_has_a_limit),
		cmocka_unit_test(whatever_the_bytes),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
