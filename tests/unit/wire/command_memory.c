/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */

/* Each allocation on the way of a command and its answer fails once, json-c's as we see them: its
 * functions that allocate answer that they could not. */

#include <json-c/json.h>
#include <stdio.h>

#include "failing.h"
#include "wire/command.h"
#include "wire/replies.h"

WRAP(void *, calloc, (size_t count, size_t size), (count, size), NULL)
WRAP(char *, strdup, (const char *text), (text), NULL)
WRAP(struct json_tokener *, json_tokener_new_ex, (int depth), (depth), NULL)
WRAP(struct json_object *, json_object_new_object, (void), (), NULL)
WRAP(struct json_object *, json_object_new_array, (void), (), NULL)
WRAP(struct json_object *, json_object_new_string, (const char *text), (text), NULL)
WRAP(struct json_object *, json_object_new_string_len, (const char *text, int length),
	(text, length), NULL)
WRAP(struct json_object *, json_object_new_int, (int32_t number), (number), NULL)
WRAP(struct json_object *, json_object_new_int64, (int64_t number), (number), NULL)
WRAP(int, json_object_object_add,
	(struct json_object * object, const char *key, struct json_object *value),
	(object, key, value), -1)
WRAP(int, json_object_array_add, (struct json_object * list, struct json_object *value),
	(list, value), -1)

static int attempt(void)
{
	static const char text[] =
		"{\"commands\":[{\"command\":\"leave\",\"correlationData\":\"x\"},{}]}";
	static const struct presence_record record = { .role = "agent", .id = "u1" };
	struct commands *commands;
	struct replies *replies;
	size_t length;
	int err = commands_parse(text, sizeof(text) - 1, &commands);
	assert_int_equal(err == PRESENCE_OK, commands != NULL);
	if (err)
		return err;
	replies = replies_create();
	if (!replies) {
		commands_destroy(commands);
		return PRESENCE_ENOMEM;
	}
	replies_add(replies, &commands->item[0]);
	reply_string(replies, "scope", "local");
	reply_number(replies, "totalCount", 1);
	reply_list(replies, "subjects");
	reply_record(replies, &record, "b1");
	replies_add(replies, &commands->item[1]);
	reply_error(replies, commands->item[1].problem);
	err = replies_text(replies, &length) ? PRESENCE_OK : PRESENCE_ENOMEM;
	replies_destroy(replies);
	commands_destroy(commands);
	return err;
}

static void half_an_answer_is_none(void **state)
{
	(void)state;
	fail_each(attempt, 25);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(half_an_answer_is_none) };
	return cmocka_run_group_tests(tests, NULL, NULL);
}
