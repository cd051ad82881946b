/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
/* The worker's thread: how it starts, waits, and ends, with a store that does as it is told. Meant
 * to be run under ThreadSanitizer too. */

#include "support.h"

#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <signal.h>
#include <stdatomic.h>
#include <time.h>
#include <unistd.h>

struct fake {
	struct mailbox *box;
	char node[16];
	atomic_int steps, taken, destroyed;
	atomic_bool hangs, is_never_idle, takes_nothing, blocks_signals, waits_for_leave, is_deaf;
	atomic_int entered;
	sem_t go_on;
	int fds[2]; /* the worker waits for the first */
	_Atomic int64_t wait_ms;
};

static struct fake *fake; /* create() gets no context of ours */

static _Thread_local bool is_out_of_memory;

void *__real_malloc(size_t size);
void *__wrap_malloc(size_t size);
void *__wrap_malloc(size_t size)
{
	return is_out_of_memory ? NULL : __real_malloc(size);
}

static void *fake_create(const struct store_config *config, struct mailbox *box)
{
	fake->box = box;
	(void)snprintf(fake->node, sizeof(fake->node), "%s", config->node);
	return fake;
}

static void fake_destroy(void *self)
{
	(void)self;
	fake->destroyed++;
}

static void fake_step(void *self, int64_t step_ms, struct store_wait *wait)
{
	sigset_t blocked;
	size_t count = 0;
	(void)self;
	(void)pthread_sigmask(SIG_SETMASK, NULL, &blocked);
	fake->blocks_signals = sigismember(&blocked, SIGTERM) && sigismember(&blocked, SIGHUP) &&
		sigismember(&blocked, SIGUSR1);
	if (fake->hangs)
		(void)sem_wait(&fake->go_on);
	fake->entered++;
	while (fake->waits_for_leave && !mailbox_leaving(fake->box))
		(void)sched_yield();
	struct store_item *item = fake->takes_nothing ? NULL
						      : mailbox_take(fake->box, SIZE_MAX, &count);
	while (item) {
		struct store_item *next = item->next;
		store_item_destroy(item);
		item = next;
	}
	fake->taken += (int)count;
	char byte;
	if (read(fake->fds[0], &byte, 1) == 1)
		fake->taken += 1000;
	wait->fd = fake->fds[0];
	wait->events = POLLIN;
	wait->is_deaf = fake->is_deaf;
	if (fake->wait_ms)
		wait->until_ms = step_ms + fake->wait_ms;
	fake->steps++;
}

static bool fake_idle(const void *self)
{
	uint64_t waiting, merged, lost;
	int64_t oldest_ms;
	(void)self;
	mailbox_get_counts(fake->box, &waiting, &oldest_ms, &merged, &lost);
	return !fake->is_never_idle && !waiting;
}

static void fake_stats(const void *self, int64_t stats_ms, struct store_stats *stats)
{
	(void)self;
	(void)stats_ms;
	stats->state = STORE_READY;
	stats->queue += 5;
	stats->epoch = 3;
}

static const struct store_ops fake_ops = {
	.name = "fake",
	.create = fake_create,
	.destroy = fake_destroy,
	.step = fake_step,
	.idle = fake_idle,
	.stats = fake_stats,
};

static int set_up(void **state)
{
	(void)state;
	fake = calloc(1, sizeof(*fake));
	assert_non_null(fake);
	assert_int_equal(sem_init(&fake->go_on, 0, 0), 0);
	assert_int_equal(pipe2(fake->fds, O_NONBLOCK | O_CLOEXEC), 0);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	assert_int_equal(close(fake->fds[0]), 0);
	assert_int_equal(close(fake->fds[1]), 0);
	assert_int_equal(sem_destroy(&fake->go_on), 0);
	free(fake);
	return 0;
}

static struct store *make_store(uint64_t queue_max)
{
	char node[] = "b1";
	const struct store_config config = { .node = node, .queue_max = queue_max };
	struct store *store = store_create(&fake_ops, &config);
	assert_non_null(store);
	*node = '?'; /* store_create() copied it */
	return store;
}

static void wait_for(atomic_int *value, int at_least)
{
	for (int64_t until_ms = now_ms() + WAIT_MAX_MS; *value < at_least && now_ms() < until_ms;)
		(void)nanosleep(&(struct timespec){ .tv_nsec = 1000000 }, NULL);
	assert_true(*value >= at_least);
}

static void test_work(void **state)
{
	struct store *store = make_store(10);
	struct presence_effect effect = a_store("a", "d", 1);
	struct store_stats stats;
	(void)state;
	wait_for(&fake->steps, 1);
	assert_true(fake->blocks_signals);
	sigset_t blocked;
	assert_int_equal(pthread_sigmask(SIG_SETMASK, NULL, &blocked), 0);
	assert_false(sigismember(&blocked, SIGTERM)); /* ours are as before */
	for (int i = 1; i <= 10; i++) {
		store_put(store, &effect, 1);
		wait_for(&fake->taken, i); /* each wakes the worker */
	}
	assert_int_equal(write(fake->fds[1], "x", 1), 1);
	wait_for(&fake->taken, 1010);
	assert_string_equal(fake->node, "b1");
	store_beat(store, 17);
	assert_int_equal(mailbox_beat_ms(fake->box), 17);
	store_get_stats(store, 100, &stats);
	assert_int_equal(stats.queue, 5);
	assert_int_equal(stats.lag_ms, 0);
	assert_int_equal(stats.epoch, 3);
	mailbox_log(fake->box, STORE_NOTICE, "hello");
	struct store_message *message = store_take_message(store);
	assert_string_equal(message->text, "hello");
	store_message_destroy(message);
	assert_null(store_take_message(store));
	assert_true(store_destroy(store, WAIT_MAX_MS));
	assert_int_equal(fake->destroyed, 1);
}

/* What a kind does not keep never reaches its worker. */
static void test_passes_over(void **state)
{
	static const enum presence_effect_type all[] = { PRESENCE_PUBLISH, PRESENCE_DEVICE,
		PRESENCE_ACTIVITY, PRESENCE_STORE, PRESENCE_STORE_OVERRIDE, PRESENCE_FORGOTTEN,
		PRESENCE_REFRESH, PRESENCE_RESYNCED };
	const struct store_config config = { .node = "b1", .queue_max = 100 };
	struct store_ops ops = fake_ops;
	struct store_stats stats;
	(void)state;
	for (unsigned round = 0; round < 2; round++) {
		ops.keeps_activities = round;
		fake->takes_nothing = true;
		struct store *store = store_create(&ops, &config);
		assert_non_null(store);
		for (size_t i = 0; i < sizeof(all) / sizeof(*all); i++) {
			struct presence_effect effect = an_effect(
				all[i], all[i] == PRESENCE_RESYNCED ? NULL : "a", 1);
			effect.conversation = "c";
			store_put(store, &effect, 1);
		}
		store_get_stats(store, 1, &stats);
		assert_int_equal(stats.queue, 5 + 5 + round);
		fake->takes_nothing = false;
		assert_true(store_destroy(store, WAIT_MAX_MS));
	}
	assert_int_equal(fake->taken, 5 + 6);
}

static void test_waits_until(void **state)
{
	(void)state;
	fake->wait_ms = 1;
	struct store *store = make_store(10);
	wait_for(&fake->steps, 20);
	fake->wait_ms = 0;
	assert_true(store_destroy(store, WAIT_MAX_MS));
}

/* A step that cannot take anything must not make the loop spin. */
static void test_no_spinning(void **state)
{
	struct presence_effect effect = a_store("a", "d", 1);
	struct store_stats stats;
	(void)state;
	fake->takes_nothing = true;
	struct store *store = make_store(10);
	for (int i = 0; i < 10; i++)
		store_put(store, &effect, 40);
	store_get_stats(store, 100, &stats);
	assert_int_equal(stats.queue, 15);
	assert_int_equal(stats.lag_ms, 60);
	/* Nothing can be waited for here: that no step comes is the point. */
	(void)nanosleep(&(struct timespec){ .tv_nsec = 100 * 1000000 }, NULL);
	assert_in_range(fake->steps, 1, 22);
	fake->takes_nothing = false;
	assert_true(store_destroy(store, WAIT_MAX_MS));
	assert_int_equal(fake->taken, 10);
}

static void test_deaf(void **state)
{
	struct presence_effect effect = a_store("a", "d", 1);
	(void)state;
	fake->is_deaf = true;
	fake->wait_ms = 100;
	struct store *store = make_store(100);
	int64_t begin_ms = now_ms();
	for (int i = 0; i < 50; i++) {
		store_put(store, &effect, 1);
		(void)nanosleep(&(struct timespec){ .tv_nsec = 1000000 }, NULL); /* one by one */
	}
	wait_for(&fake->taken, 50);
	/* One at the start, one every 100 ms, and one more for each side of the clock. */
	assert_in_range(fake->steps, 1, (now_ms() - begin_ms) / 100 + 3);
	assert_true(store_destroy(store, WAIT_MAX_MS));
}

static void test_overflow(void **state)
{
	struct presence_effect effect = a_store("a", "d", 1);
	(void)state;
	fake->takes_nothing = true;
	struct store *store = make_store(10);
	for (int i = 0; i < 6; i++)
		store_put(store, &effect, 1);
	int steps = fake->steps;
	is_out_of_memory = true;
	store_put(store, &effect, 1);
	is_out_of_memory = false;
	wait_for(&fake->steps, steps + 1);
	assert_null(store_take_message(store)); /* six of ten wait: no room yet to say it all */
	fake->takes_nothing = false;
	store_put(store, &effect, 1);
	struct store_message *message = wait_for_message(store);
	assert_int_equal(message->type, STORE_MESSAGE_EVENT);
	assert_int_equal(message->event.type, PRESENCE_RESYNC);
	assert_int_equal(message->event.targets, PRESENCE_TARGET_STORE);
	store_message_destroy(message);
	message = wait_for_message(store);
	assert_int_equal(message->type, STORE_MESSAGE_LOG);
	assert_int_equal(message->level, STORE_WARNING);
	store_message_destroy(message);
	assert_true(store_destroy(store, WAIT_MAX_MS));
	assert_int_equal(fake->taken, 7);
}

static void test_hung(void **state)
{
	(void)state;
	fake->hangs = true;
	struct store *store = make_store(10);
	int64_t before_ms = now_ms();
	assert_false(store_destroy(store, 200));
	assert_in_range(now_ms() - before_ms, 190, WAIT_MAX_MS / 2);
	assert_int_equal(fake->destroyed, 0);
	fake->hangs = false;
	assert_int_equal(sem_post(&fake->go_on), 0);
	wait_for(&fake->destroyed, 1); /* by the worker, which frees the rest */
}

/* Of the moment after_ms from now. */
static struct store_stats stats_after(struct store *store, int64_t after_ms)
{
	struct store_stats stats;
	store_get_stats(store, now_ms() + after_ms, &stats);
	return stats;
}

static void test_hung_is_told(void **state)
{
	(void)state;
	int64_t until_ms = now_ms() + WAIT_MAX_MS;
	fake->hangs = true;
	struct store *store = make_store(10);
	while (!stats_after(store, STORE_HUNG_MS).hung_ms && now_ms() < until_ms)
		(void)sched_yield();
	struct store_stats stats = stats_after(store, STORE_HUNG_MS);
	assert_in_range(stats.hung_ms, STORE_HUNG_MS, STORE_HUNG_MS + WAIT_MAX_MS);
	assert_in_range(stats.lag_ms, STORE_HUNG_MS, STORE_HUNG_MS + WAIT_MAX_MS);
	assert_int_equal(stats.state, STORE_CONNECTING);
	assert_int_equal(stats_after(store, -WAIT_MAX_MS).hung_ms, 0);
	fake->hangs = false;
	assert_int_equal(sem_post(&fake->go_on), 0);
	while (stats_after(store, STORE_HUNG_MS).hung_ms && now_ms() < until_ms)
		(void)sched_yield();
	assert_int_equal(stats_after(store, STORE_HUNG_MS).hung_ms, 0);
	assert_int_equal(stats_after(store, STORE_HUNG_MS).state, STORE_READY);
	assert_true(store_destroy(store, WAIT_MAX_MS));
}

static void test_not_even_waiting(void **state)
{
	(void)state;
	struct store *store = make_store(10);
	(void)store_destroy(store, 0); /* either: the worker may be as quick */
	wait_for(&fake->destroyed, 1);
}

/* Trouble that does not end in time: not hung, so that nothing is left behind. */
static void test_never_idle(void **state)
{
	(void)state;
	fake->is_never_idle = true;
	struct store *store = make_store(10);
	int64_t before_ms = now_ms();
	assert_false(store_destroy(store, 1600)); /* the worker gives up an eighth earlier */
	assert_in_range(now_ms() - before_ms, 1390, WAIT_MAX_MS / 2);
	assert_int_equal(fake->destroyed, 1);
}

/* The step that reads the fd must not swallow the news that we leave. */
static void test_leave_during_step(void **state)
{
	(void)state;
	fake->waits_for_leave = true;
	struct store *store = make_store(10);
	wait_for(&fake->entered, 1);
	int64_t before_ms = now_ms();
	assert_true(store_destroy(store, WAIT_MAX_MS));
	assert_in_range(now_ms() - before_ms, 0, WAIT_MAX_MS / 2);
}

static void test_null(void **state)
{
	const struct store_config config = { .node = "b1", .queue_max = 10 };
	struct store *store = store_create(&store_null_ops, &config);
	struct presence_effect effect = a_store("a", "d", 1);
	struct store_stats stats;
	(void)state;
	assert_non_null(store);
	store_put(store, &effect, 1);
	store_beat(store, 1);
	assert_null(store_take_message(store));
	store_get_stats(store, 1, &stats);
	assert_int_equal(stats.queue, 0);
	assert_string_equal(store_state_name(stats.state), "ready");
	assert_true(store_destroy(store, 0));
	assert_true(store_destroy(NULL, 0));
}

static void test_names(void **state)
{
	(void)state;
	assert_string_equal(store_state_name(STORE_CONNECTING), "connecting");
	assert_string_equal(store_state_name(STORE_FENCED), "fenced");
	assert_string_equal(store_state_name(STORE_FAILED), "failed");
	assert_string_equal(store_state_name(STORE_LEAVING), "leaving");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_work, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_passes_over, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_waits_until, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_no_spinning, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_deaf, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_overflow, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_hung, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_hung_is_told, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_not_even_waiting, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_never_idle, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_leave_during_step, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_null, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_names, set_up, tear_down),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
