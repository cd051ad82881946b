/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
/* The mailbox between two threads: meant to be run under ThreadSanitizer too. */

#include "support.h"

#include <poll.h>
#include <pthread.h>

enum { DEVICES = 50, EFFECTS = 100000, EVENTS = 20000, QUEUE_MAX = 64 };

struct seen {
	struct mailbox *box;
	int64_t newest[DEVICES]; /* by the worker */
	int64_t taken;
	bool is_in_order, is_in_time;
};

static void look_at(struct seen *seen, const struct presence_effect *effect)
{
	int device = atoi(effect->device);
	if (effect->record.rev <= seen->newest[device])
		seen->is_in_order = false;
	seen->newest[device] = effect->record.rev;
	seen->taken++;
}

static bool take_all(struct seen *seen)
{
	bool is_last = false;
	size_t count;
	struct store_item *item = mailbox_take(seen->box, 100, &count);
	while (item) {
		struct store_item *next = item->next;
		if (item->effect.type == PRESENCE_RESYNCED)
			is_last = true;
		else
			look_at(seen, &item->effect);
		store_item_destroy(item);
		item = next;
	}
	return is_last ? true : count == 100 ? take_all(seen) : false;
}

/* Takes until RESYNCED comes, and posts events as fast as they are read. */
static void *worker(void *argument)
{
	struct seen *seen = argument;
	struct presence_event event = { .type = PRESENCE_REV_SEEN, .device = "d" };
	bool is_over = false;
	while (!is_over || event.rev < EVENTS) {
		struct pollfd fd = { .fd = mailbox_fd(seen->box), .events = POLLIN };
		bool has_room = true;
		while (event.rev < EVENTS && has_room) {
			has_room = !mailbox_post_event(seen->box, &event);
			event.rev += has_room;
		}
		if (take_all(seen))
			is_over = true;
		else if ((!is_over || event.rev < EVENTS) && poll(&fd, 1, WAIT_MAX_MS) != 1) {
			seen->is_in_time = false; /* nobody told us */
			break;
		}
		mailbox_log(seen->box, STORE_NOTICE, "%d", (int)mailbox_beat_ms(seen->box));
	}
	return NULL;
}

static int64_t read_messages(struct mailbox *box, int64_t next_rev)
{
	for (struct store_message *message = mailbox_take_message(box); message;
		message = mailbox_take_message(box)) {
		if (message->type == STORE_MESSAGE_EVENT)
			assert_int_equal(message->event.rev, next_rev++);
		store_message_destroy(message);
	}
	return next_rev;
}

static void test_two_threads(void **state)
{
	struct seen *seen = calloc(1, sizeof(*seen));
	int64_t newest[DEVICES] = { 0 }, next_rev = 0;
	pthread_t thread;
	(void)state;
	*seen = (struct seen){
		.box = mailbox_create(QUEUE_MAX, MAILBOX_BEYOND_MIN),
		.is_in_order = true,
		.is_in_time = true,
	};
	assert_int_equal(pthread_create(&thread, NULL, worker, seen), 0);
	for (int64_t rev = 1; rev <= EFFECTS; rev++) {
		char device[8];
		int number = (int)(rev * 7919 % DEVICES);
		(void)snprintf(device, sizeof(device), "%d", number);
		put(seen->box, a_store("a", device, rev));
		newest[number] = rev;
		mailbox_beat(seen->box, rev);
		if (rev % 100 == 0)
			next_rev = read_messages(seen->box, next_rev);
	}
	put(seen->box, an_effect(PRESENCE_RESYNCED, NULL, 0));
	for (int64_t until_ms = now_ms() + WAIT_MAX_MS; next_rev < EVENTS && now_ms() < until_ms;)
		next_rev = read_messages(seen->box, next_rev);
	assert_int_equal(pthread_join(thread, NULL), 0);
	read_messages(seen->box, next_rev);

	uint64_t waiting, merged, lost;
	int64_t oldest_ms;
	mailbox_get_counts(seen->box, &waiting, &oldest_ms, &merged, &lost);
	assert_true(seen->is_in_time);
	assert_true(seen->is_in_order);
	assert_int_equal(next_rev, EVENTS);
	assert_int_equal(seen->taken + (int64_t)merged, EFFECTS);
	assert_memory_equal(seen->newest, newest, sizeof(newest));
	assert_int_equal(waiting, 0);
	mailbox_destroy(seen->box);
	free(seen);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_two_threads) };
	return cmocka_run_group_tests(tests, NULL, NULL);
}
