/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
#ifndef PRESENCE_STORE_MAILBOX_H
#define PRESENCE_STORE_MAILBOX_H

/* Between the broker's thread and one worker: effects in, messages out, both bounded, under one
 * mutex that is held for pointer work only.
 *
 * Effects come out in the order they were put. Before max wait, no PRESENCE_STORE is dropped; from
 * then on the newest waiting one of the same device gives way to the one being put, which goes to
 * the end, and so does a PRESENCE_STORE_OVERRIDE to one of the same subject. So what waits is
 * bounded by max and the number of devices, and by `beyond` above max whatever happens.
 * A PRESENCE_REFRESH takes the place of one of its subject that still waits, and makes room for any
 * later effect that says the same of its subject. A PRESENCE_ACTIVITY gives way to the next of the
 * same subject in the same conversation, and when max wait it is not taken. PRESENCE_FORGOTTEN and
 * _RESYNCED never give way, and nothing put before _RESYNCED gives way to what is put after it. */

#include "store/store.h"

#define MAILBOX_BEYOND_MIN 1048576 /* a small broker need not count its devices */
#define MAILBOX_EVENTS_MAX 4096    /* messages unread before events have to wait */
#define MAILBOX_LOGS_MAX 64        /* more of them for log lines before those are lost */
#define MAILBOX_LINE_MAX 1024      /* bytes of a log line; longer ones are cut */

/* A copied effect; its strings live in the same allocation. Owned by the mailbox while it waits,
 * by whoever took it after that. */
struct store_item {
	struct store_item *next;
	struct presence_effect effect;
	int64_t put_ms; /* when the broker handed it in, CLOCK_BOOTTIME */
	/* PRESENCE_RESYNCED: how many requests of this box it answers, of all that were posted.
	 * 0: what was said before it did not all find memory. */
	uint64_t answers;
};

struct mailbox;

/* max: items waiting before older ones of a device give way; beyond: so many more, and one is
 * refused: all that may be said again at once has to fit. NULL: out of memory or descriptors. */
struct mailbox *mailbox_create(uint64_t max, uint64_t beyond);
void mailbox_destroy(struct mailbox *box);

/* Broker's thread. PRESENCE_ENOMEM: not taken; the box remembers (mailbox_take_overflow). */
int mailbox_put(struct mailbox *box, const struct presence_effect *effect, int64_t now_ms);
struct store_message *mailbox_take_message(struct mailbox *box);
void mailbox_beat(struct mailbox *box, int64_t now_ms);
/* From now on mailbox_leaving() is true; wakes the worker. */
void mailbox_leave(struct mailbox *box);

/* Worker's thread. Up to max items as a list, in order, NULL when there are none. */
struct store_item *mailbox_take(struct mailbox *box, size_t max, size_t *count);
void store_item_destroy(struct store_item *item);
/* True once after an item could not be taken, when at most max / 2 wait: everything must be said
 * again, and there is room for it. */
bool mailbox_take_overflow(struct mailbox *box);
/* Copies. PRESENCE_ENOMEM: no memory, or the broker has too many messages unread: try again later;
 * in the second case mailbox_fd() tells when. */
int mailbox_post_event(struct mailbox *box, const struct presence_event *event);
/* How many PRESENCE_RESYNC were posted. */
uint64_t mailbox_requests(struct mailbox *box);
__attribute__((format(printf, 3, 4))) void mailbox_log(
	struct mailbox *box, enum store_level level, const char *format, ...);
/* When the broker's loop last turned. */
int64_t mailbox_beat_ms(struct mailbox *box);
bool mailbox_leaving(struct mailbox *box);
/* Readable when something was put, messages have room again, or the box is leaving; reading it is
 * mailbox_take's, also with max 0. What mailbox_take leaves does not make it readable again. */
int mailbox_fd(const struct mailbox *box);

/* Either thread. oldest_ms: when the oldest waiting item was put; 0: none waits. */
void mailbox_get_counts(struct mailbox *box, uint64_t *waiting, int64_t *oldest_ms,
	uint64_t *merged, uint64_t *lost);

#endif
