/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
#include "store/store.h"

#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <time.h>

#include "store/copy.h"
#include "store/ops.h"

enum {
	WAIT_MAX_MS = 3600 * 1000,      /* poll() counts in int */
	RESYNC_PAUSE_MS = 10 * 1000,    /* between two requests to say everything again */
	RESYNC_POST_PAUSE_MS = 1 * 1000 /* when such a request found no memory */
};

struct store {
	const struct store_ops *ops;
	struct store_config config;
	struct mailbox *box; /* NULL: a kind without a worker */
	void *self;
	pthread_t thread;
	_Atomic int64_t give_up_ms; /* what is not written by then stays unwritten */
	_Atomic int64_t busy_ms;    /* since when the worker has not waited for work; 0: it does */

	/* The worker's. */
	bool must_resync;
	int64_t resync_from_ms;

	/* Who comes last frees. */
	pthread_mutex_t lock;
	pthread_cond_t ended;
	bool is_over, is_written, is_abandoned;
};

static const size_t config_strings[] = {
	offsetof(struct store_config, node),
	offsetof(struct store_config, state_file),
	offsetof(struct store_config, redis_host),
	offsetof(struct store_config, redis_socket),
	offsetof(struct store_config, redis_user),
	offsetof(struct store_config, redis_password),
	offsetof(struct store_config, redis_prefix),
};

static const struct copy_plan config_plan = {
	.whole = sizeof(struct store),
	.place = offsetof(struct store, config),
	.size = sizeof(struct store_config),
	.strings = config_strings,
	.count = sizeof(config_strings) / sizeof(*config_strings),
};

static int64_t clock_ms(clockid_t clock)
{
	struct timespec now = { 0 };
	/* Fails only for a clock that does not exist. */
	(void)clock_gettime(clock, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* ---- the worker ---- */

/* Something could not be taken into the box: the broker must say everything again. */
static void ask_again(struct store *store, int64_t now_ms, struct store_wait *wait)
{
	if (mailbox_take_overflow(store->box))
		store->must_resync = true;
	if (!store->must_resync)
		return;
	const struct presence_event resync = {
		.type = PRESENCE_RESYNC,
		.targets = PRESENCE_TARGET_STORE,
	};
	int64_t next_ms = store->resync_from_ms;
	if (now_ms >= next_ms && !mailbox_post_event(store->box, &resync)) {
		store->must_resync = false;
		store->resync_from_ms = now_ms + RESYNC_PAUSE_MS;
		mailbox_log(store->box, STORE_WARNING,
			"%s store: no memory or no place for what changed; asked for all of it "
			"again. Give the broker more memory if this repeats",
			store->ops->name);
		return;
	}
	if (now_ms >= next_ms)
		next_ms = now_ms + RESYNC_POST_PAUSE_MS;
	if (next_ms < wait->until_ms)
		wait->until_ms = next_ms;
}

static void wait_for_work(struct store *store, const struct store_wait *wait)
{
	int64_t until_ms = wait->until_ms;
	if (mailbox_leaving(store->box) && atomic_load(&store->give_up_ms) < until_ms)
		until_ms = atomic_load(&store->give_up_ms);
	int64_t left_ms = until_ms - clock_ms(CLOCK_BOOTTIME);
	if (left_ms < 0)
		left_ms = 0;
	struct pollfd fds[] = {
		/* poll() passes over -1 */
		{ .fd = wait->is_deaf ? -1 : mailbox_fd(store->box), .events = POLLIN },
		{ .fd = wait->fd, .events = wait->events },
	};
	(void)poll(fds, 2, (int)(left_ms < WAIT_MAX_MS ? left_ms : WAIT_MAX_MS));
	/* Interrupted or out of memory: the next turn of the loop looks for itself. */
	if (fds[0].revents) {
		/* A step in trouble takes nothing; the fd must not stay readable meanwhile. */
		size_t none;
		(void)mailbox_take(store->box, 0, &none);
	}
}

static bool work_until_left(struct store *store)
{
	for (;;) {
		bool is_leaving = mailbox_leaving(store->box);
		int64_t now_ms = clock_ms(CLOCK_BOOTTIME);
		struct store_wait wait = { .fd = -1, .until_ms = INT64_MAX };
		atomic_store(&store->busy_ms, now_ms);
		store->ops->step(store->self, now_ms, &wait);
		ask_again(store, now_ms, &wait);
		if (is_leaving && store->ops->idle(store->self))
			return true;
		if (is_leaving && now_ms >= atomic_load(&store->give_up_ms))
			return false;
		/* A step that takes reads the fd, and with it the news that we leave. */
		if (!is_leaving && mailbox_leaving(store->box))
			continue;
		atomic_store(&store->busy_ms, 0);
		wait_for_work(store, &wait);
	}
}

static void free_all(struct store *store)
{
	mailbox_destroy(store->box);
	/* Nobody holds or waits: the other thread is gone, or has given the store up. */
	(void)pthread_cond_destroy(&store->ended);
	(void)pthread_mutex_destroy(&store->lock);
	free(store);
}

static void *work(void *argument)
{
	struct store *store = argument;
	const struct sched_param none = { 0 };
	/* The broker's loop goes first. A kernel that refuses costs latency, not correctness. */
	(void)pthread_setschedparam(pthread_self(), SCHED_BATCH, &none);
	(void)pthread_setname_np(pthread_self(), "presence-store"); /* for the eye only */

	bool is_written = work_until_left(store);
	store->ops->destroy(store->self);

	(void)pthread_mutex_lock(&store->lock);
	store->is_over = true;
	store->is_written = is_written;
	bool is_abandoned = store->is_abandoned;
	(void)pthread_cond_signal(&store->ended);
	(void)pthread_mutex_unlock(&store->lock);
	if (is_abandoned)
		free_all(store);
	return NULL;
}

/* ---- the broker's side ---- */

static int start(struct store *store)
{
	sigset_t all, before;
	/* Signals are the broker's: its handlers must not run here. */
	(void)sigfillset(&all);
	if (pthread_sigmask(SIG_SETMASK, &all, &before))
		return PRESENCE_ENOMEM;
	int failed = pthread_create(&store->thread, NULL, work, store);
	(void)pthread_sigmask(SIG_SETMASK, &before, NULL);
	return failed ? PRESENCE_ENOMEM : PRESENCE_OK;
}

static int init_ending(struct store *store)
{
	pthread_condattr_t attributes;
	int err = PRESENCE_ENOMEM;
	if (pthread_condattr_init(&attributes))
		return err;
	if (pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC))
		goto out;
	if (pthread_cond_init(&store->ended, &attributes))
		goto out;
	if (!pthread_mutex_init(&store->lock, NULL))
		err = PRESENCE_OK;
	else
		(void)pthread_cond_destroy(&store->ended);
out:
	(void)pthread_condattr_destroy(&attributes);
	return err;
}

struct store *store_create(const struct store_ops *ops, const struct store_config *config)
{
	struct store *store = copy_with_strings(&config_plan, config);
	if (!store)
		return NULL;
	store->ops = ops;
	if (!ops->step)
		return store;
	if (init_ending(store)) {
		free(store);
		return NULL;
	}
	/* Of each its devices and what is said of it; few have more than one. */
	uint64_t beyond = 2 * config->subjects_max;
	store->box = mailbox_create(
		config->queue_max, beyond > MAILBOX_BEYOND_MIN ? beyond : MAILBOX_BEYOND_MIN);
	store->self = store->box ? ops->create(&store->config, store->box) : NULL;
	if (store->self && !start(store))
		return store;
	if (store->self)
		ops->destroy(store->self);
	free_all(store);
	return NULL;
}

/* False: not over in time, and from now on the worker's to free. */
static bool wait_for_end(struct store *store, int64_t wait_ms, bool *is_written)
{
	int64_t until_ms = clock_ms(CLOCK_MONOTONIC) + wait_ms;
	struct timespec until = {
		.tv_sec = (time_t)(until_ms / 1000),
		.tv_nsec = (long)(until_ms % 1000 * 1000000),
	};
	int failed = 0;
	(void)pthread_mutex_lock(&store->lock);
	while (!store->is_over && !failed)
		failed = pthread_cond_timedwait(&store->ended, &store->lock, &until);
	bool is_over = store->is_over;
	store->is_abandoned = !is_over;
	*is_written = store->is_written;
	(void)pthread_mutex_unlock(&store->lock);
	return is_over;
}

bool store_destroy(struct store *store, int64_t wait_ms)
{
	bool is_written = true;
	if (!store)
		return true;
	if (!store->box) {
		free(store);
		return true;
	}
	pthread_t thread = store->thread;
	/* The worker gives up a little earlier than we do, so that only a hung one is left. */
	atomic_store(&store->give_up_ms, clock_ms(CLOCK_BOOTTIME) + wait_ms - wait_ms / 8);
	mailbox_leave(store->box);
	if (!wait_for_end(store, wait_ms, &is_written)) {
		(void)pthread_detach(thread); /* it is ours and was not joined */
		return false;
	}
	(void)pthread_join(thread, NULL); /* as above */
	free_all(store);
	return is_written;
}

static bool is_kept(const struct store_ops *ops, enum presence_effect_type type)
{
	switch (type) {
	case PRESENCE_STORE:
	case PRESENCE_STORE_OVERRIDE:
	case PRESENCE_REFRESH:
	case PRESENCE_FORGOTTEN:
	case PRESENCE_RESYNCED:
		return true;
	case PRESENCE_ACTIVITY:
		return ops->keeps_activities;
	case PRESENCE_PUBLISH:
	case PRESENCE_DEVICE:
		return false;
	}
	return false;
}

void store_put(struct store *store, const struct presence_effect *effect, int64_t now_ms)
{
	/* What finds no memory the box remembers, and the worker asks for it again. */
	if (store->box && is_kept(store->ops, effect->type))
		(void)mailbox_put(store->box, effect, now_ms);
}

void store_beat(struct store *store, int64_t now_ms)
{
	if (store->box)
		mailbox_beat(store->box, now_ms);
}

struct store_message *store_take_message(struct store *store)
{
	return store->box ? mailbox_take_message(store->box) : NULL;
}

const char *store_state_name(enum store_state state)
{
	static const char *const names[] = {
		[STORE_CONNECTING] = "connecting",
		[STORE_READY] = "ready",
		[STORE_FENCED] = "fenced",
		[STORE_FAILED] = "failed",
		[STORE_LEAVING] = "leaving",
	};
	return names[state];
}

/* A name server that does not answer, or a disk: all else the worker does without waiting. What it
 * said last of itself may not be so any more. */
static void see_hung(const struct store *store, int64_t now_ms, struct store_stats *stats)
{
	int64_t since_ms = atomic_load(&store->busy_ms);
	if (!since_ms || now_ms - since_ms < STORE_HUNG_MS)
		return;
	stats->hung_ms = now_ms - since_ms;
	if (stats->lag_ms < stats->hung_ms)
		stats->lag_ms = stats->hung_ms;
	if (stats->state == STORE_READY)
		stats->state = STORE_CONNECTING;
}

void store_get_stats(struct store *store, int64_t now_ms, struct store_stats *stats)
{
	*stats = (struct store_stats){ .state = STORE_READY, .has_told = true };
	if (!store->box)
		return;
	int64_t oldest_ms;
	mailbox_get_counts(store->box, &stats->queue, &oldest_ms, &stats->merged, &stats->lost);
	if (stats->queue && now_ms > oldest_ms)
		stats->lag_ms = now_ms - oldest_ms;
	store->ops->stats(store->self, now_ms, stats);
	see_hung(store, now_ms, stats);
}
