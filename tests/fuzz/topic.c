/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
/* Ids from strangers, and topics and keys as they come back: an id that qualifies survives the way
 * into a topic and out again, and cannot leave its level on the way. */

#include "wire/topic.h"
#include "core/presence.h"
#include "fuzz.h"
#include "store/redis/contribution.h"
#include "wire/command.h"
#include "wire/utf8.h"

static void check_encoded(const char *encoded, int length)
{
	MUST(length == (int)strlen(encoded) && length <= PRESENCE_ENCODED_MAX);
	MUST(!strpbrk(encoded, "/+#$:{}"));
	MUST(utf8_printable(encoded, (size_t)length));
}

static void check_id(const char *id, size_t room)
{
	char encoded[PRESENCE_ENCODED_MAX + 1], decoded[PRESENCE_ID_MAX + 1];
	bool valid = topic_id_valid(id);
	MUST(!valid || (strlen(id) >= 1 && strlen(id) <= PRESENCE_ID_MAX));
	if (!valid)
		return;
	int length = topic_encode(id, encoded, sizeof(encoded));
	check_encoded(encoded, length);
	MUST(topic_decode(encoded, (size_t)length, decoded, sizeof(decoded)) >= 0);
	MUST(!strcmp(decoded, id));
	/* Too little room is noticed, and not written past. */
	char *tight = malloc(room + 1);
	MUST(tight);
	MUST((topic_encode(id, tight, room) >= 0) == ((size_t)length < room));
	MUST((topic_decode(encoded, (size_t)length, tight, room) >= 0) == (strlen(id) < room));
	free(tight);
}

/* What somebody else wrote is read as the one id that would have been written so, or not at all. */
static void check_encoded_by_others(const uint8_t *bytes, size_t length)
{
	char id[PRESENCE_ID_MAX + 1], again[PRESENCE_ENCODED_MAX + 1];
	char *exact = copy_text(bytes, length);
	if (topic_decode(exact, length, id, sizeof(id)) >= 0) {
		MUST(topic_id_valid(id));
		MUST(topic_encode(id, again, sizeof(again)) == (int)length);
		MUST(!memcmp(again, exact, length));
	}
	free(exact);
}

static void check_names(const char *text)
{
	char role[PRESENCE_ID_MAX + 1], id[PRESENCE_ID_MAX + 1];
	struct subject_name name, again;
	char written[SUBJECT_NAME_MAX], key[PRESENCE_TOPIC_MAX];
	if (!subject_name_read(text, &name)) {
		MUST(topic_id_valid(name.role) && topic_id_valid(name.id));
		MUST(subject_name_write(name.role, name.id, written, sizeof(written)) > 0);
		MUST(!subject_name_read(written, &again));
		MUST(!strcmp(name.role, again.role) && !strcmp(name.id, again.id));
	}
	if (redis_name_read(text, role, id) >= 0) {
		MUST(topic_id_valid(role) && topic_id_valid(id));
		MUST(redis_name_write(role, id, key) > 0);
		MUST(!strcmp(key, text));
		MUST(redis_partition_of(text, 7) < 7);
	}
}

static void check_topics(const char *role, const char *id)
{
	char topic[PRESENCE_TOPIC_MAX];
	if (!topic_id_valid(role) || !topic_id_valid(id))
		return;
	MUST(topic_subject("presence", role, id, topic, sizeof(topic)) > 0);
	MUST(topic_under(topic, "presence") && !topic_under(topic, "presenc"));
	MUST(topic_device("presence", role, id, id, topic, sizeof(topic)) > 0);
	MUST(topic_under(topic, "presence"));
	MUST(topic_activity("typing", id, role, id, topic, sizeof(topic)) > 0);
	MUST(topic_under(topic, "typing"));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input input = { data, size };
	size_t room = take_byte(&input);
	const struct input whole = input;
	char *text = copy_text(whole.at, whole.left);
	char *first = take_line(&input), *second = take_line(&input);
	check_id(text, room);
	check_encoded_by_others(whole.at, whole.left);
	check_names(text);
	check_topics(first, second);
	(void)topic_under(text, first); /* any answer is right, if it comes */
	free(first);
	free(second);
	free(text);
	return 0;
}
