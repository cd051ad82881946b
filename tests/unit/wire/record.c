/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
#include "wire/record.h"

#include <stdio.h>

#include "check.h"
#include "wire/topic.h"

static const struct presence_record plain = {
	.role = "agent",
	.id = "u1",
	.status = PRESENCE_ONLINE,
	.previous = PRESENCE_OFFLINE,
	.reason = PRESENCE_REASON_CONNECT,
	.source = PRESENCE_INFERRED,
	.devices = 1,
	.since_ms = 1763769600123,
	.last_seen_ms = 1763769600124,
	.rev = 1763769600123000,
};

static const char plain_json[] =
	"{\"v\":1,\"role\":\"agent\",\"id\":\"u1\",\"status\":\"online\",\"previous\":\"offline\","
	"\"reason\":\"connect\",\"source\":\"inferred\",\"devices\":1,\"since\":1763769600123,"
	"\"last_seen\":1763769600124,\"rev\":1763769600123000,\"node\":\"b1\"}";

static const struct presence_record rich = {
	.role = "a\"b\\c",
	.id = "\xc3\xa9/\xf0\x9f\x98\x80",
	.status = PRESENCE_DND,
	.previous = PRESENCE_AWAY,
	.reason = PRESENCE_REASON_OVERRIDE_EXPIRED,
	.source = PRESENCE_MANUAL,
	.devices = UINT32_MAX,
	.since_ms = 0,
	.last_seen_ms = -1,
	.rev = (INT64_C(1) << 53) - 1,
	.note = "in a call\n\t\x01\x1f\x7f </script>",
	.until_ms = INT64_MAX,
};

static const char rich_json[] =
	"{\"v\":1,\"role\":\"a\\\"b\\\\c\",\"id\":\"\xc3\xa9/\xf0\x9f\x98\x80\",\"status\":\"dnd\","
	"\"previous\":\"away\",\"reason\":\"override_expired\",\"source\":\"manual\","
	"\"devices\":4294967295,\"since\":0,\"last_seen\":-1,\"rev\":9007199254740991,"
	"\"node\":\"b.1\",\"note\":\"in a call\\u000a\\u0009\\u0001\\u001f\x7f </script>\","
	"\"until\":9223372036854775807}";

static void a_record_is_these_bytes(void **state)
{
	char out[PRESENCE_RECORD_MAX];
	(void)state;
	assert_int_equal(record_write(&plain, "b1", out, sizeof(out)), (int)sizeof(plain_json) - 1);
	assert_string_equal(out, plain_json);
	assert_int_equal(record_write(&rich, "b.1", out, sizeof(out)), (int)sizeof(rich_json) - 1);
	assert_string_equal(out, rich_json);
}

static void an_empty_note_is_left_out(void **state)
{
	char out[PRESENCE_RECORD_MAX];
	struct presence_record record = plain;
	(void)state;
	record.note = "";
	assert_true(record_write(&record, "b1", out, sizeof(out)) > 0);
	assert_string_equal(out, plain_json);
}

static void the_smallest_number_is_written(void **state)
{
	char out[PRESENCE_RECORD_MAX];
	struct presence_record record = plain;
	(void)state;
	record.rev = INT64_MIN;
	assert_true(record_write(&record, "b1", out, sizeof(out)) > 0);
	assert_non_null(strstr(out, "\"rev\":-9223372036854775808,"));
}

static void writing_never_passes_its_room(void **state)
{
	(void)state;
	for (size_t size = 0; size <= sizeof(rich_json); size++) {
		char *out = test_malloc(size + 1);
		out[size] = '!';
		int length = record_write(&rich, "b.1", out, size);
		assert_int_equal(length,
			size == sizeof(rich_json) ? (int)sizeof(rich_json) - 1 : PRESENCE_EINVAL);
		assert_int_equal(out[size], '!');
		test_free(out);
	}
}

static int read_all(const char *json, size_t length, struct presence_record *record,
	struct record_storage **storage)
{
	/* In memory of its own, so that the sanitizer sees a byte read past it. */
	char *exact = malloc(length ? length : 1);
	assert_non_null(exact);
	memcpy(exact, json, length);
	int err = record_read(exact, length, record, storage);
	free(exact);
	return err;
}

static void assert_record_equal(
	const struct presence_record *record, const struct presence_record *expected)
{
	assert_string_equal(record->role, expected->role);
	assert_string_equal(record->id, expected->id);
	assert_int_equal(record->status, expected->status);
	assert_int_equal(record->previous, expected->previous);
	assert_int_equal(record->reason, expected->reason);
	assert_int_equal(record->source, expected->source);
	assert_int_equal(record->devices, expected->devices);
	assert_int_equal(record->since_ms, expected->since_ms);
	assert_int_equal(record->last_seen_ms, expected->last_seen_ms);
	assert_int_equal(record->rev, expected->rev);
	assert_int_equal(record->until_ms, expected->until_ms);
	if (!expected->note)
		assert_null(record->note);
	else
		assert_string_equal(record->note, expected->note);
}

static void assert_same(const struct presence_record *record)
{
	char out[PRESENCE_RECORD_MAX];
	struct presence_record back;
	struct record_storage *storage;
	int length = record_write(record, "b1", out, sizeof(out));
	assert_true(length > 0);
	assert_int_equal(read_all(out, (size_t)length, &back, &storage), PRESENCE_OK);
	assert_record_equal(&back, record);
	assert_string_equal(record_node(storage), "b1");
	record_free(storage);
}

static void what_is_written_reads_the_same(void **state)
{
	struct presence_record record = rich;
	(void)state;
	assert_same(&plain);
	record.last_seen_ms = 5;
	record.until_ms = (INT64_C(1) << 53) - 1;
	assert_same(&record);
}

static void any_record_reads_as_it_was_written(void **state)
{
	uint64_t seed = seed_of_test();
	(void)state;
	for (int i = 0; i < 5000; i++) {
		char role[PRESENCE_ID_MAX + 1], id[PRESENCE_ID_MAX + 1], note[257];
		random_id(&seed, PRESENCE_ID_MAX, role);
		random_id(&seed, PRESENCE_ID_MAX, id);
		random_id(&seed, 255, note + 1);
		note[0] = (char)(1 + random_below(&seed, 0x7f)); /* control characters too */
		assert_same(&(struct presence_record){
			.role = role,
			.id = id,
			.status = (enum presence_status)random_below(&seed, PRESENCE_DND + 1),
			.previous = (enum presence_status)random_below(&seed, PRESENCE_DND + 1),
			.reason = (enum presence_reason)random_below(
				&seed, PRESENCE_REASON_PROTOCOL + 1),
			.source = (enum presence_source)random_below(&seed, PRESENCE_MANUAL + 1),
			.devices = random_below(&seed, UINT32_MAX),
			.since_ms = random_below(&seed, UINT32_MAX),
			.last_seen_ms = random_below(&seed, UINT32_MAX),
			.rev = INT64_C(1000) * random_below(&seed, UINT32_MAX),
			.note = random_below(&seed, 2) ? note : NULL,
		});
	}
}

static void a_part_of_a_record_is_none(void **state)
{
	struct presence_record record = { .rev = 77 };
	struct record_storage *storage;
	(void)state;
	for (size_t length = 0; length < sizeof(rich_json) - 1; length++) {
		assert_int_equal(read_all(rich_json, length, &record, &storage), PRESENCE_EINVAL);
		assert_null(storage);
		assert_int_equal(record.rev, 77);
	}
}

/* Nothing is expected of the answers but that the reader survives, and keeps its word on ids. */
static void one_wrong_byte_does_no_harm(void **state)
{
	char json[sizeof(plain_json)];
	int accepted = 0;
	(void)state;
	for (size_t at = 0; at < sizeof(plain_json) - 1; at++)
		for (int byte = 0; byte < 256; byte += 5) {
			struct presence_record record;
			struct record_storage *storage;
			memcpy(json, plain_json, sizeof(json));
			json[at] = (char)byte;
			int err = read_all(json, sizeof(json) - 1, &record, &storage);
			assert_true(err == PRESENCE_OK || err == PRESENCE_EINVAL);
			if (err)
				continue;
			accepted++;
			assert_true(topic_id_valid(record.role) && topic_id_valid(record.id));
			assert_true(record.rev >= 0 && record.rev < INT64_C(1) << 53);
			record_free(storage);
		}
	assert_true(accepted > 0);
}

/* A record in which one key has another value; "" leaves it out. */
struct change {
	const char *key, *value;
	int err;
};

static const char *const keys[][2] = {
	{ "v", "1" },
	{ "role", "\"agent\"" },
	{ "id", "\"u1\"" },
	{ "status", "\"online\"" },
	{ "previous", "\"offline\"" },
	{ "reason", "\"connect\"" },
	{ "source", "\"inferred\"" },
	{ "devices", "1" },
	{ "since", "1763769600123" },
	{ "last_seen", "1763769600124" },
	{ "rev", "1763769600123000" },
	{ "node", "\"b1\"" },
	{ "note", "\"\"" },
	{ "until", "0" },
};

static size_t change(const char *key, const char *value, char *json, size_t size)
{
	size_t length = (size_t)snprintf(json, size, "{\"more\":{\"a\":[1]}");
	for (size_t i = 0; i < COUNT_OF(keys); i++) {
		bool changed = !strcmp(keys[i][0], key);
		if (changed && !*value)
			continue;
		length += (size_t)snprintf(json + length, size - length, ",\"%s\":%s", keys[i][0],
			changed ? value : keys[i][1]);
	}
	length += (size_t)snprintf(json + length, size - length, "}");
	assert_true(length < size);
	return length;
}

#define TOO_LONG                                                             \
	"\"0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef" \
	"0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef!\""

static const struct change changes[] = {
	{ "nothing", "1", PRESENCE_OK },
	{ "v", "", PRESENCE_EINVAL },
	{ "v", "0", PRESENCE_EINVAL },
	{ "v", "2", PRESENCE_EINVAL },
	{ "v", "1.0", PRESENCE_EINVAL },
	{ "v", "\"1\"", PRESENCE_EINVAL },
	{ "v", "null", PRESENCE_EINVAL },
	{ "role", "", PRESENCE_EINVAL },
	{ "role", "null", PRESENCE_EINVAL },
	{ "role", "1", PRESENCE_EINVAL },
	{ "role", "[\"agent\"]", PRESENCE_EINVAL },
	{ "role", "\"\"", PRESENCE_EINVAL },
	{ "role", "\"a\\u0000b\"", PRESENCE_EINVAL },
	{ "role", "\"a\\nb\"", PRESENCE_EINVAL },
	{ "role", "\"\\u007f\"", PRESENCE_EINVAL },
	{ "role", "\"\\u0085\"", PRESENCE_EINVAL },
	{ "role", "\"\\ufffe\"", PRESENCE_EINVAL },
	{ "role", "\"\\u00e9\"", PRESENCE_OK },
	{ "role", "\"\\ud83d\\ude00\"", PRESENCE_OK },
	{ "id", "", PRESENCE_EINVAL },
	{ "id", TOO_LONG, PRESENCE_EINVAL },
	{ "id", "\"\xc0\xaf\"", PRESENCE_EINVAL },
	{ "id", "\"\xed\xa0\x80\"", PRESENCE_EINVAL },
	{ "id", "\"\xff\"", PRESENCE_EINVAL },
	{ "id", "{}", PRESENCE_EINVAL },
	{ "status", "", PRESENCE_EINVAL },
	{ "status", "1", PRESENCE_EINVAL },
	{ "status", "null", PRESENCE_EINVAL },
	{ "previous", "", PRESENCE_EINVAL },
	{ "previous", "true", PRESENCE_EINVAL },
	{ "reason", "", PRESENCE_EINVAL },
	{ "reason", "[]", PRESENCE_EINVAL },
	{ "reason", "\"solar_flare\"", PRESENCE_OK },
	{ "source", "", PRESENCE_EINVAL },
	{ "source", "0", PRESENCE_EINVAL },
	{ "source", "\"oracle\"", PRESENCE_OK },
	{ "devices", "", PRESENCE_EINVAL },
	{ "devices", "-1", PRESENCE_EINVAL },
	{ "devices", "4294967295", PRESENCE_OK },
	{ "devices", "4294967296", PRESENCE_EINVAL },
	{ "devices", "1.5", PRESENCE_EINVAL },
	{ "devices", "\"1\"", PRESENCE_EINVAL },
	{ "since", "", PRESENCE_EINVAL },
	{ "since", "-1", PRESENCE_EINVAL },
	{ "since", "true", PRESENCE_EINVAL },
	{ "last_seen", "", PRESENCE_EINVAL },
	{ "last_seen", "{}", PRESENCE_EINVAL },
	{ "rev", "", PRESENCE_EINVAL },
	{ "rev", "9007199254740991", PRESENCE_OK },
	{ "rev", "9007199254740992", PRESENCE_EINVAL },
	{ "rev", "18446744073709551615", PRESENCE_EINVAL },
	{ "rev", "99999999999999999999999999999999999999", PRESENCE_EINVAL },
	{ "rev", "-99999999999999999999999999999999999999", PRESENCE_EINVAL },
	{ "rev", "1e3", PRESENCE_EINVAL },
	{ "rev", "1e999", PRESENCE_EINVAL },
	{ "rev", "NaN", PRESENCE_EINVAL },
	{ "rev", "Infinity", PRESENCE_EINVAL },
	{ "rev", "0x10", PRESENCE_EINVAL },
	{ "node", "", PRESENCE_EINVAL },
	{ "node", "7", PRESENCE_EINVAL },
	{ "note", "", PRESENCE_OK },
	{ "note", "null", PRESENCE_EINVAL },
	{ "note", "3", PRESENCE_EINVAL },
	{ "note", "\"a\\u0000b\"", PRESENCE_EINVAL },
	{ "note", "\"\xed\xa0\x80\"", PRESENCE_EINVAL },
	{ "note", "\"two\\nlines\"", PRESENCE_OK },
	{ "until", "", PRESENCE_OK },
	{ "until", "null", PRESENCE_EINVAL },
	{ "until", "-1", PRESENCE_EINVAL },
	{ "until", "\"soon\"", PRESENCE_EINVAL },
};

static void each_key_is_held_to_its_type(void **state)
{
	char json[PRESENCE_RECORD_MAX];
	(void)state;
	for (size_t i = 0; i < COUNT_OF(changes); i++) {
		struct presence_record record;
		struct record_storage *storage;
		size_t length = change(changes[i].key, changes[i].value, json, sizeof(json));
		int err = read_all(json, length, &record, &storage);
		if (err != changes[i].err)
			fail_msg("%s %s: %d", changes[i].key, changes[i].value, err);
		record_free(storage);
	}
}

static void words_of_later_versions_are_taken_kindly(void **state)
{
	char json[PRESENCE_RECORD_MAX];
	struct presence_record record;
	struct record_storage *storage;
	(void)state;
	size_t length = change("status", "\"in_space\"", json, sizeof(json));
	assert_int_equal(read_all(json, length, &record, &storage), PRESENCE_OK);
	assert_int_equal(record.status, PRESENCE_ONLINE);
	record_free(storage);
	length = change("reason", "\"solar_flare\"", json, sizeof(json));
	assert_int_equal(read_all(json, length, &record, &storage), PRESENCE_OK);
	assert_int_equal(record.reason, PRESENCE_REASON_UNKNOWN);
	assert_null(record.note); /* an empty one is none */
	record_free(storage);
}

static const char *const strangers[] = {
	"",
	" ",
	"null",
	"1",
	"\"online\"",
	"[]",
	"{}",
	"{\"v\":1}",
	"[{\"v\":1}]",
	"{\"v\":1,}",
	"{'v':1}",
	"{v:1}",
	"online",
	"offline",
	"\xef\xbb\xbf{}",
};

static void what_is_no_record_is_refused(void **state)
{
	struct presence_record record;
	struct record_storage *storage;
	(void)state;
	for (size_t i = 0; i < COUNT_OF(strangers); i++)
		if (read_all(strangers[i], strlen(strangers[i]), &record, &storage) !=
			PRESENCE_EINVAL)
			fail_msg("%s", strangers[i]);
}

static const struct {
	const char *tail;
	size_t length;
	int err;
} tails[] = {
	{ "", 0, PRESENCE_OK },
	{ "\n", 1, PRESENCE_OK },
	{ " \r\n\t", 4, PRESENCE_OK },
	{ "x", 1, PRESENCE_EINVAL },
	{ " {}", 3, PRESENCE_EINVAL },
	{ "}", 1, PRESENCE_EINVAL },
	{ ",", 1, PRESENCE_EINVAL },
	{ "\0", 1, PRESENCE_EINVAL },
	{ "\0garbage", 8, PRESENCE_EINVAL },
	{ "\n\0", 2, PRESENCE_EINVAL },
	{ "/* */", 5, PRESENCE_EINVAL },
};

static void nothing_but_blanks_may_follow(void **state)
{
	char json[PRESENCE_RECORD_MAX];
	(void)state;
	memcpy(json, plain_json, sizeof(plain_json));
	for (size_t i = 0; i < COUNT_OF(tails); i++) {
		struct presence_record record;
		struct record_storage *storage;
		memcpy(json + sizeof(plain_json) - 1, tails[i].tail, tails[i].length);
		int err = read_all(
			json, sizeof(plain_json) - 1 + tails[i].length, &record, &storage);
		if (err != tails[i].err)
			fail_msg("tail %zu: %d", i, err);
		record_free(storage);
	}
}

/* {"more":[[[..]]],"v":1,..} */
static size_t nest(char *json, size_t depth)
{
	size_t length = (size_t)sprintf(json, "{\"more\":");
	memset(json + length, '[', depth);
	memset(json + length + depth, ']', depth);
	length += 2 * depth;
	json[length++] = ',';
	memcpy(json + length, plain_json + 1, sizeof(plain_json) - 1);
	return length + sizeof(plain_json) - 2;
}

static void deep_nesting_is_refused(void **state)
{
	char json[PRESENCE_RECORD_MAX];
	struct presence_record record;
	struct record_storage *storage;
	(void)state;
	assert_int_equal(read_all(json, nest(json, 4), &record, &storage), PRESENCE_OK);
	record_free(storage);
	assert_int_equal(read_all(json, nest(json, 50), &record, &storage), PRESENCE_EINVAL);
	assert_int_equal(read_all(json, nest(json, 1500), &record, &storage), PRESENCE_EINVAL);
}

static void a_record_has_a_largest_size(void **state)
{
	char json[PRESENCE_RECORD_MAX + 1];
	struct presence_record record;
	struct record_storage *storage;
	(void)state;
	memset(json, ' ', sizeof(json));
	memcpy(json, plain_json, sizeof(plain_json) - 1);
	assert_int_equal(read_all(json, PRESENCE_RECORD_MAX - 1, &record, &storage), PRESENCE_OK);
	record_free(storage);
	assert_int_equal(read_all(json, PRESENCE_RECORD_MAX, &record, &storage), PRESENCE_EINVAL);
}

static void the_last_of_equal_keys_counts(void **state)
{
	char json[PRESENCE_RECORD_MAX];
	struct presence_record record;
	struct record_storage *storage;
	(void)state;
	int length = sprintf(json, "%.*s,\"id\":\"u2\"}", (int)sizeof(plain_json) - 2, plain_json);
	assert_int_equal(read_all(json, (size_t)length, &record, &storage), PRESENCE_OK);
	assert_string_equal(record.id, "u2");
	record_free(storage);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_record_is_these_bytes),
		cmocka_unit_test(an_empty_note_is_left_out),
		cmocka_unit_test(the_smallest_number_is_written),
		cmocka_unit_test(writing_never_passes_its_room),
		cmocka_unit_test(what_is_written_reads_the_same),
		cmocka_unit_test(any_record_reads_as_it_was_written),
		cmocka_unit_test(a_part_of_a_record_is_none),
		cmocka_unit_test(one_wrong_byte_does_no_harm),
		cmocka_unit_test(each_key_is_held_to_its_type),
		cmocka_unit_test(words_of_later_versions_are_taken_kindly),
		cmocka_unit_test(what_is_no_record_is_refused),
		cmocka_unit_test(nothing_but_blanks_may_follow),
		cmocka_unit_test(deep_nesting_is_refused),
		cmocka_unit_test(a_record_has_a_largest_size),
		cmocka_unit_test(the_last_of_equal_keys_counts),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
