/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
/* The mailbox when memory runs out: at every single allocation. */

#include "support.h"

/* malloc and calloc fail, in this thread, once the countdown has run out; -1: never. */
static _Thread_local int countdown = -1;

static bool fails(void)
{
	return countdown >= 0 && countdown-- == 0;
}

void *__real_malloc(size_t size);
void *__wrap_malloc(size_t size);
void *__wrap_malloc(size_t size)
{
	return fails() ? NULL : __real_malloc(size);
}

void *__real_calloc(size_t count, size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_calloc(size_t count, size_t size)
{
	return fails() ? NULL : __real_calloc(count, size);
}

static void test_create(void **state)
{
	int at = 0;
	(void)state;
	for (; at < 100; at++) {
		countdown = at;
		struct mailbox *box = mailbox_create(3, MAILBOX_BEYOND_MIN);
		countdown = -1;
		if (box) {
			mailbox_destroy(box);
			break;
		}
	}
	assert_in_range(at, 2, 10); /* a failure was seen at each */
}

/* Growing the index may fail; the item gets in all the same. */
static void test_put(void **state)
{
	(void)state;
	for (int at = 0; at < 200; at++) {
		struct mailbox *box = mailbox_create(40, MAILBOX_BEYOND_MIN);
		int failed = 0, taken = 0;
		countdown = at;
		for (int64_t rev = 1; rev <= 100; rev++) {
			char id[8];
			(void)snprintf(id, sizeof(id), "u%d", (int)(rev % 60));
			struct presence_effect effect = a_store(id, "d", rev);
			failed += mailbox_put(box, &effect, 1) != PRESENCE_OK;
		}
		bool was_used = countdown < 0;
		countdown = -1;
		assert_in_range(failed, 0, 1);
		assert_false(mailbox_take_overflow(box)); /* too full to say it all again */
		size_t count;
		struct store_item *item = mailbox_take(box, SIZE_MAX, &count);
		while (item) {
			struct store_item *next = item->next;
			store_item_destroy(item);
			item = next;
			taken++;
		}
		assert_in_range(taken, 59, 60);
		assert_int_equal(mailbox_take_overflow(box), failed);
		assert_false(mailbox_take_overflow(box));
		mailbox_destroy(box);
		if (!was_used) {
			assert_true(at >= 100);
			return;
		}
	}
	fail_msg("an allocation never succeeded");
}

static void test_messages(void **state)
{
	struct mailbox *box = mailbox_create(3, MAILBOX_BEYOND_MIN);
	const struct presence_event event = { .type = PRESENCE_REV_SEEN, .rev = 7 };
	uint64_t waiting, merged, lost;
	int64_t oldest_ms;
	(void)state;
	countdown = 0;
	assert_int_equal(mailbox_post_event(box, &event), PRESENCE_ENOMEM);
	countdown = 0;
	mailbox_log(box, STORE_ERROR, "lost");
	countdown = -1;
	mailbox_get_counts(box, &waiting, &oldest_ms, &merged, &lost);
	assert_int_equal(lost, 1);
	assert_null(mailbox_take_message(box));
	assert_int_equal(mailbox_post_event(box, &event), PRESENCE_OK);
	struct store_message *message = mailbox_take_message(box);
	assert_int_equal(message->event.rev, 7);
	store_message_destroy(message);
	mailbox_destroy(box);
}

static uint64_t answers_of(struct mailbox *box)
{
	const struct presence_effect said = { .type = PRESENCE_RESYNCED };
	size_t count;
	assert_int_equal(mailbox_put(box, &said, 1), PRESENCE_OK);
	struct store_item *item = mailbox_take(box, 1, &count);
	assert_non_null(item);
	uint64_t answers = item->answers;
	store_item_destroy(item);
	return answers;
}

/* Everything was said when nothing of it was lost, and only to requests that were heard. */
static void test_answers(void **state)
{
	struct mailbox *box = mailbox_create(40, MAILBOX_BEYOND_MIN);
	const struct presence_event request = { .type = PRESENCE_RESYNC };
	const struct presence_effect effect = a_store("a", "d", 1);
	(void)state;
	assert_int_equal(answers_of(box), 0);
	for (uint64_t number = 1; number < 4; number++) {
		assert_int_equal(mailbox_post_event(box, &request), PRESENCE_OK);
		assert_int_equal(mailbox_requests(box), number);
		assert_int_equal(answers_of(box), number - 1);
		store_message_destroy(mailbox_take_message(box));
		assert_int_equal(answers_of(box), number);
		countdown = 0;
		assert_int_equal(mailbox_put(box, &effect, 1), PRESENCE_ENOMEM);
		countdown = -1;
		assert_int_equal(answers_of(box), 0);
		assert_true(mailbox_take_overflow(box));
		assert_int_equal(answers_of(box), number);
	}
	mailbox_destroy(box);
}

static void test_store_create(void **state)
{
	const struct store_config config = {
		.node = "b1",
		.queue_max = 10,
		.state_file = "/nowhere/at/all/presence.db",
	};
	int at = 0;
	(void)state;
	for (; at < 100; at++) {
		countdown = at;
		struct store *store = store_create(&store_sqlite_ops, &config);
		countdown = -1;
		if (store) {
			assert_true(store_destroy(store, WAIT_MAX_MS));
			break;
		}
	}
	assert_in_range(at, 4, 12);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_create),
		cmocka_unit_test(test_put),
		cmocka_unit_test(test_messages),
		cmocka_unit_test(test_answers),
		cmocka_unit_test(test_store_create),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
