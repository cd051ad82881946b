/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
#include "store/mailbox.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "store/message.h"
#include "store/waiting.h"

/* Items handed over per locking, so that the broker's thread never waits for a long list. */
enum { TAKEN_PER_LOCK = 32 };

struct mailbox {
	pthread_mutex_t lock;
	int fd;
	_Atomic int64_t beat_ms;
	atomic_bool leaving;

	/* Under lock. */
	struct queue queue;
	bool signalled; /* fd was written since mailbox_take() read it */
	bool overflow;
	struct letter *letters, *letters_last;
	uint64_t letters_count, lost;
	uint64_t requests, requests_heard; /* to say everything: posted, and taken by the broker */
	bool refused; /* an event found no room: tell the worker when there is some */
};

struct mailbox *mailbox_create(uint64_t max, uint64_t beyond)
{
	struct mailbox *box = calloc(1, sizeof(*box));
	if (!box)
		return NULL;
	box->fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (box->fd < 0)
		goto no_fd;
	if (queue_init(&box->queue, max, beyond))
		goto no_queue;
	if (pthread_mutex_init(&box->lock, NULL))
		goto no_lock;
	return box;
no_lock:
	queue_finish(&box->queue);
no_queue:
	(void)close(box->fd); /* nothing was written */
no_fd:
	free(box);
	return NULL;
}

void mailbox_destroy(struct mailbox *box)
{
	if (!box)
		return;
	for (struct letter *letter = box->letters, *next; letter; letter = next) {
		next = letter->next;
		store_message_destroy(&letter->message);
	}
	queue_finish(&box->queue);
	(void)close(box->fd);                    /* an eventfd has nothing to flush */
	(void)pthread_mutex_destroy(&box->lock); /* nobody holds it: the box is ours alone */
	free(box);
}

void store_item_destroy(struct store_item *item)
{
	free(item);
}

static void lock(struct mailbox *box)
{
	/* Fails for a mutex that is not one, or that we hold: our mistakes. */
	(void)pthread_mutex_lock(&box->lock);
}

static void unlock(struct mailbox *box)
{
	(void)pthread_mutex_unlock(&box->lock);
}

static void wake(struct mailbox *box)
{
	/* Fails only when the counter is full, and then it is readable. */
	const uint64_t one = 1;
	ssize_t written = write(box->fd, &one, sizeof(one));
	(void)written;
}

int mailbox_put(struct mailbox *box, const struct presence_effect *effect, int64_t now_ms)
{
	struct waiting *waiting = waiting_create(effect, now_ms);
	struct waiting *gone[2] = { NULL, NULL };
	int err = PRESENCE_ENOMEM;

	lock(box);
	/* The broker begins anew with each request: what it has said by now answers those it heard,
	 * unless some of it is missing. */
	if (waiting && effect->type == PRESENCE_RESYNCED && !box->overflow)
		waiting->item.answers = box->requests_heard;
	if (waiting)
		err = queue_put(&box->queue, waiting, gone);
	if (err)
		box->overflow = true;
	bool is_first = !box->signalled;
	box->signalled = true;
	unlock(box);

	if (is_first)
		wake(box);
	if (err)
		free(waiting);
	free(gone[0]);
	free(gone[1]);
	return err;
}

static void clear_signal(struct mailbox *box)
{
	/* Read first: a wake() that follows costs a turn of the loop for nothing, one that is read
	 * too late would cost a wait. */
	uint64_t value;
	ssize_t got = read(box->fd, &value, sizeof(value));
	(void)got; /* not readable: nothing to clear */
	lock(box);
	box->signalled = false;
	unlock(box);
}

/* Links up to max items at *end, and moves it; returns how many. */
static size_t take_some(struct mailbox *box, size_t max, struct store_item ***end)
{
	size_t taken = 0;
	lock(box);
	while (taken < max && (**end = queue_take(&box->queue))) {
		*end = &(**end)->next;
		taken++;
	}
	unlock(box);
	return taken;
}

struct store_item *mailbox_take(struct mailbox *box, size_t max, size_t *count)
{
	struct store_item *first = NULL, **end = &first;
	size_t some = 1;

	clear_signal(box);
	for (*count = 0; *count < max && some; *count += some) {
		size_t left = max - *count;
		some = take_some(box, left < TAKEN_PER_LOCK ? left : TAKEN_PER_LOCK, &end);
	}
	return first;
}

bool mailbox_take_overflow(struct mailbox *box)
{
	lock(box);
	bool overflow = box->overflow && box->queue.count <= box->queue.max / 2;
	if (overflow)
		box->overflow = false;
	unlock(box);
	return overflow;
}

/* ---- messages ---- */

static bool append_letter(struct mailbox *box, struct letter *letter, uint64_t max)
{
	if (box->letters_count >= max)
		return false;
	if (box->letters)
		box->letters_last->next = letter;
	else
		box->letters = letter;
	box->letters_last = letter;
	box->letters_count++;
	return true;
}

int mailbox_post_event(struct mailbox *box, const struct presence_event *event)
{
	struct letter *letter = letter_of_event(event);
	if (!letter)
		return PRESENCE_ENOMEM;
	lock(box);
	bool has_room = append_letter(box, letter, MAILBOX_EVENTS_MAX);
	if (!has_room)
		box->refused = true;
	else if (event->type == PRESENCE_RESYNC)
		box->requests++;
	unlock(box);
	if (has_room)
		return PRESENCE_OK;
	store_message_destroy(&letter->message);
	return PRESENCE_ENOMEM;
}

uint64_t mailbox_requests(struct mailbox *box)
{
	lock(box);
	uint64_t requests = box->requests;
	unlock(box);
	return requests;
}

void mailbox_log(struct mailbox *box, enum store_level level, const char *format, ...)
{
	char text[MAILBOX_LINE_MAX];
	va_list arguments;
	va_start(arguments, format);
	(void)vsnprintf(text, sizeof(text), format, arguments); /* a long line is cut */
	va_end(arguments);

	struct letter *letter = letter_of_log(level, text);
	lock(box);
	bool is_kept = letter && append_letter(box, letter, MAILBOX_EVENTS_MAX + MAILBOX_LOGS_MAX);
	if (!is_kept)
		box->lost++;
	unlock(box);
	if (!is_kept)
		free(letter);
}

struct store_message *mailbox_take_message(struct mailbox *box)
{
	bool has_room_again = false;
	lock(box);
	struct letter *letter = box->letters;
	if (letter) {
		box->letters = letter->next;
		box->letters_count--;
		if (letter->message.type == STORE_MESSAGE_EVENT &&
			letter->message.event.type == PRESENCE_RESYNC)
			box->requests_heard++;
		has_room_again = box->refused && box->letters_count <= MAILBOX_EVENTS_MAX / 2;
		if (has_room_again)
			box->refused = false;
	}
	unlock(box);
	if (has_room_again)
		wake(box);
	return letter ? &letter->message : NULL;
}

/* ---- flags and counts ---- */

void mailbox_beat(struct mailbox *box, int64_t now_ms)
{
	atomic_store_explicit(&box->beat_ms, now_ms, memory_order_relaxed);
}

int64_t mailbox_beat_ms(struct mailbox *box)
{
	return atomic_load_explicit(&box->beat_ms, memory_order_relaxed);
}

void mailbox_leave(struct mailbox *box)
{
	atomic_store(&box->leaving, true);
	wake(box);
}

bool mailbox_leaving(struct mailbox *box)
{
	return atomic_load(&box->leaving);
}

int mailbox_fd(const struct mailbox *box)
{
	return box->fd;
}

void mailbox_get_counts(struct mailbox *box, uint64_t *waiting, int64_t *oldest_ms,
	uint64_t *merged, uint64_t *lost)
{
	lock(box);
	*waiting = box->queue.count;
	*oldest_ms = box->queue.first ? box->queue.first->item.put_ms : 0;
	*merged = box->queue.merged;
	*lost = box->lost;
	unlock(box);
}
