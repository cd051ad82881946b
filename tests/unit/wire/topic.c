/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
#include "wire/topic.h"

#include "check.h"
#include "core/presence.h"

static const struct {
	const char *id;
	bool valid;
} ids[] = {
	{ "u1", true },
	{ "$SYS", true },
	{ "a/b+c#d%e:f{g}h i", true },
	{ "\xc3\xa9", true },              /* e acute */
	{ "\xc2\xa0", true },              /* the first after C1 */
	{ "\xe2\x80\xae", true },          /* a format character is no control character */
	{ "\xf0\x9f\x98\x80", true },      /* a face */
	{ "\xef\xbf\xbd", true },          /* U+FFFD, the last but noncharacters */
	{ "\xf4\x8f\xbf\xbd", true },      /* U+10FFFD */
	{ "\xee\x80\x80", true },          /* U+E000, after the surrogates */
	{ "", false },                     /* empty */
	{ "a\nb", false },                 /* C0 */
	{ "a\x1f", false },                /* C0 */
	{ "a\x7f", false },                /* DEL */
	{ "a\xc2\x80", false },            /* C1 */
	{ "a\xc2\x9f", false },            /* C1 */
	{ "\x80", false },                 /* nothing before it */
	{ "\xc3", false },                 /* cut off */
	{ "\xe2\x82", false },             /* cut off */
	{ "\xf0\x9f\x98", false },         /* cut off */
	{ "\xc3(", false },                /* not continued */
	{ "\xc0\xaf", false },             /* overlong / */
	{ "\xc1\x81", false },             /* overlong A */
	{ "\xe0\x80\xaf", false },         /* overlong / */
	{ "\xf0\x80\x80\xaf", false },     /* overlong / */
	{ "\xed\xa0\x80", false },         /* a surrogate */
	{ "\xed\xbf\xbf", false },         /* a surrogate */
	{ "\xef\xb7\x90", false },         /* U+FDD0 */
	{ "\xef\xbf\xbe", false },         /* U+FFFE */
	{ "\xf0\x9f\xbf\xbf", false },     /* U+1FFFF */
	{ "\xf4\x90\x80\x80", false },     /* past U+10FFFF */
	{ "\xf8\x88\x80\x80\x80", false }, /* five bytes */
	{ "\xfe", false },
	{ "\xff", false },
};

static void only_clean_text_is_an_id(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT_OF(ids); i++)
		if (topic_id_valid(ids[i].id) != ids[i].valid)
			fail_msg("row %zu is not %d", i, ids[i].valid);
}

static void an_id_has_1_to_128_bytes(void **state)
{
	char id[PRESENCE_ID_MAX + 2];
	(void)state;
	memset(id, 'a', sizeof(id));
	id[PRESENCE_ID_MAX + 1] = '\0';
	assert_false(topic_id_valid(id));
	id[PRESENCE_ID_MAX] = '\0';
	assert_true(topic_id_valid(id));
	/* The limit does not cut a character: é would end at byte 129. */
	memcpy(id + PRESENCE_ID_MAX - 1, "\xc3\xa9", 3);
	assert_false(topic_id_valid(id));
}

static void every_character_is_judged_alike(void **state)
{
	(void)state;
	for (uint32_t character = 1; character < 0x120000; character++) {
		char id[5];
		id[utf8_put(id, character)] = '\0';
		if (topic_id_valid(id) != character_fits(character))
			fail_msg("U+%04X", character);
	}
}

/* All pairs of bytes: only two printable ASCII or one character of two bytes do. */
static void every_pair_of_bytes_is_judged_alike(void **state)
{
	(void)state;
	for (unsigned first = 1; first < 256; first++)
		for (unsigned second = 1; second < 256; second++) {
			bool ascii = first >= 0x20 && first < 0x7f && second >= 0x20 &&
				second < 0x7f;
			bool two = first >= 0xc2 && first < 0xe0 && second >= 0x80 &&
				second < 0xc0 && !(first == 0xc2 && second < 0xa0);
			const char id[] = { (char)first, (char)second, '\0' };
			if (topic_id_valid(id) != (ascii || two))
				fail_msg("%02x %02x", first, second);
		}
}

static const struct {
	const char *id, *encoded;
} encodings[] = {
	{ "u1", "u1" },
	{ "/", "%2F" },
	{ "/+#%$:{}", "%2F%2B%23%25%24%3A%7B%7D" },
	{ "$SYS", "%24SYS" },
	{ "a/b", "a%2Fb" },
	{ "00:1b", "00%3A1b" },
	{ "100%", "100%25" },
	{ "%2F", "%252F" },
	{ "a b.c-d_e~", "a b.c-d_e~" },
	{ "\xc3\xa9", "\xc3\xa9" },
};

static void ids_stand_encoded_in_topics(void **state)
{
	char encoded[PRESENCE_ENCODED_MAX + 1], decoded[PRESENCE_ID_MAX + 1];
	(void)state;
	for (size_t i = 0; i < COUNT_OF(encodings); i++) {
		int length = topic_encode(encodings[i].id, encoded, sizeof(encoded));
		assert_string_equal(encoded, encodings[i].encoded);
		assert_int_equal(length, strlen(encoded));
		assert_int_equal(topic_decode(encoded, (size_t)length, decoded, sizeof(decoded)),
			strlen(encodings[i].id));
		assert_string_equal(decoded, encodings[i].id);
	}
}

static void encoding_never_writes_past_its_room(void **state)
{
	static const char id[] = "a/b:c", encoded[] = "a%2Fb%3Ac";
	(void)state;
	for (size_t size = 0; size <= sizeof(encoded); size++) {
		char *out = test_malloc(size + 1);
		out[size] = '!';
		int length = topic_encode(id, out, size);
		assert_int_equal(
			length, size == sizeof(encoded) ? (int)strlen(encoded) : PRESENCE_EINVAL);
		assert_int_equal(out[size], '!');
		if (size)
			assert_string_equal(out, length < 0 ? "" : encoded);
		test_free(out);
	}
}

static const struct {
	const char *encoded;
	size_t length;
} foreign[] = {
	{ "", 0 },
	{ "a/b", 3 }, /* must be %2F */
	{ "a+b", 3 }, /* and so on */
	{ "a#", 2 },
	{ "$a", 2 },
	{ "a:b", 3 },
	{ "{a}", 3 },
	{ "%2f", 3 }, /* lowercase */
	{ "%41", 3 }, /* A needs none */
	{ "%", 1 },
	{ "%2", 2 },
	{ "%2F", 2 }, /* cut off by the length */
	{ "%2G", 3 },
	{ "%G2", 3 },
	{ "%00", 3 },
	{ "%%", 2 },
	{ "a\0b", 3 },
	{ "%\0F", 3 },
	{ "%2\0", 3 },
	{ "\n", 1 }, /* no id */
	{ "\xff", 1 },
	{ "\xc3", 1 },
};

static void what_was_never_encoded_is_not_decoded(void **state)
{
	char out[PRESENCE_ID_MAX + 1];
	(void)state;
	for (size_t i = 0; i < COUNT_OF(foreign); i++)
		if (topic_decode(foreign[i].encoded, foreign[i].length, out, sizeof(out)) !=
			PRESENCE_EINVAL)
			fail_msg("row %zu decodes", i);
	/* One byte more than an id has. */
	char longer[PRESENCE_ID_MAX + 1], room[PRESENCE_ID_MAX + 2];
	memset(longer, 'a', sizeof(longer));
	assert_int_equal(topic_decode(longer, sizeof(longer), room, sizeof(room)), PRESENCE_EINVAL);
	assert_int_equal(
		topic_decode(longer, sizeof(longer) - 1, out, sizeof(out)), PRESENCE_ID_MAX);
}

static void any_id_survives_the_way_through_a_topic(void **state)
{
	uint64_t seed = seed_of_test();
	(void)state;
	for (int i = 0; i < 20000; i++) {
		char id[PRESENCE_ID_MAX + 1], back[PRESENCE_ID_MAX + 1];
		char encoded[PRESENCE_ENCODED_MAX + 1];
		random_id(&seed, PRESENCE_ID_MAX, id);
		assert_true(topic_id_valid(id));
		int length = topic_encode(id, encoded, sizeof(encoded));
		assert_true(length > 0);
		assert_null(strpbrk(encoded, "/+#$:{}"));
		assert_int_equal(
			topic_decode(encoded, (size_t)length, back, sizeof(back)), strlen(id));
		assert_string_equal(back, id);
	}
}

static void the_longest_id_has_room(void **state)
{
	char id[PRESENCE_ID_MAX + 1], encoded[PRESENCE_ENCODED_MAX + 1];
	char topic[PRESENCE_TOPIC_MAX];
	(void)state;
	memset(id, '%', PRESENCE_ID_MAX);
	id[PRESENCE_ID_MAX] = '\0';
	assert_int_equal(topic_encode(id, encoded, sizeof(encoded)), PRESENCE_ENCODED_MAX);
	/* As the base of topics may be as long as an id. */
	memset(id, 'b', PRESENCE_ID_MAX);
	char role[PRESENCE_ID_MAX + 1];
	memset(role, '/', PRESENCE_ID_MAX);
	role[PRESENCE_ID_MAX] = '\0';
	assert_int_equal(topic_subject(id, role, role, topic, sizeof(topic)),
		PRESENCE_ID_MAX + 2 + 2 * PRESENCE_ENCODED_MAX);
}

static void a_subject_has_a_topic(void **state)
{
	char topic[64];
	(void)state;
	assert_int_equal(topic_subject("presence", "agent", "u1", topic, sizeof(topic)), 17);
	assert_string_equal(topic, "presence/agent/u1");
	assert_int_equal(topic_subject("a/b", "x/y", "#", topic, sizeof(topic)), 13);
	assert_string_equal(topic, "a/b/x%2Fy/%23");
	assert_int_equal(topic_subject("presence", "agent", "u1", topic, 17), PRESENCE_EINVAL);
	assert_int_equal(topic_subject("presence", "agent", "u1", topic, 18), 17);
}

static void a_topic_lies_under_its_base(void **state)
{
	(void)state;
	assert_true(topic_under("presence", "presence"));
	assert_true(topic_under("presence/", "presence"));
	assert_true(topic_under("presence/agent/u1", "presence"));
	assert_true(topic_under("a/b/c", "a/b"));
	assert_false(topic_under("presences", "presence"));
	assert_false(topic_under("presenc", "presence"));
	assert_false(topic_under("", "presence"));
	assert_false(topic_under("/presence", "presence"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(only_clean_text_is_an_id),
		cmocka_unit_test(an_id_has_1_to_128_bytes),
		cmocka_unit_test(every_character_is_judged_alike),
		cmocka_unit_test(every_pair_of_bytes_is_judged_alike),
		cmocka_unit_test(ids_stand_encoded_in_topics),
		cmocka_unit_test(encoding_never_writes_past_its_room),
		cmocka_unit_test(what_was_never_encoded_is_not_decoded),
		cmocka_unit_test(any_id_survives_the_way_through_a_topic),
		cmocka_unit_test(the_longest_id_has_room),
		cmocka_unit_test(a_subject_has_a_topic),
		cmocka_unit_test(a_topic_lies_under_its_base),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
