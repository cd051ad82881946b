/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
#include "redis_resync.h"

#include <inttypes.h>
#include <stdio.h>
#include <time.h>

#include "redis_load.h"
#include "store/store.h"

enum { QUEUE_MAX = 65536 };

static int64_t boot_ms(void)
{
	struct timespec now = { 0 };
	(void)clock_gettime(CLOCK_BOOTTIME, &now); /* it exists */
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static void pause_ms(int ms)
{
	const struct timespec pause = { .tv_nsec = ms * 1000000L };
	(void)nanosleep(&pause, NULL);
}

static uint64_t queue_of(struct store *store)
{
	struct store_stats stats;
	store_get_stats(store, boot_ms(), &stats);
	return stats.queue;
}

/* Until the worker asks for everything, or with ready until it writes. */
static void wait_for_worker(struct store *store, bool ready)
{
	int64_t give_up_ms = boot_ms() + 20000;
	for (bool found = false; !found; pause_ms(1)) {
		struct store_stats stats;
		struct store_message *message;
		store_get_stats(store, boot_ms(), &stats);
		store_beat(store, boot_ms());
		found = ready && stats.state == STORE_READY && stats.epoch;
		while ((message = store_take_message(store))) {
			if (!ready && message->type == STORE_MESSAGE_EVENT &&
				message->event.type == PRESENCE_RESYNC)
				found = true;
			store_message_destroy(message);
		}
		if (boot_ms() > give_up_ms)
			fail("the worker does not come");
	}
}

static void say_everything(struct store *store, uint32_t subjects)
{
	char id[32];
	for (uint32_t i = 0; i < subjects; i++) {
		write_id(id, i);
		const struct presence_effect effect = effect_of(id, CONNECT, 1763769600000 + i);
		store_put(store, &effect, boot_ms());
		if (i % 1024)
			continue;
		/* As the core does, which says a bounded number each tick. */
		while (queue_of(store) > QUEUE_MAX / 2)
			pause_ms(1);
		store_beat(store, boot_ms());
	}
	const struct presence_effect end = { .type = PRESENCE_RESYNCED };
	store_put(store, &end, boot_ms());
	for (struct store_message *message; (message = store_take_message(store));)
		store_message_destroy(message);
	while (queue_of(store))
		pause_ms(1);
}

void resync(uint32_t subjects)
{
	struct server server;
	server_init(&server);
	server_start(&server, NULL);
	const struct store_config config = { .node = "b1",
		.queue_max = QUEUE_MAX,
		.redis_socket = server.path,
		.redis_prefix = "presence",
		.redis_partitions = 1,
		.redis_ttl_ms = FAR_MS,
		.redis_stream_maxlen = 100000,
		.node_lease_ms = FAR_MS,
		.restart_grace_ms = 1000 };
	struct store *store = store_create(&store_redis_ops, &config);
	if (!store)
		fail("no store");
	wait_for_worker(store, true);
	server_do(&server, "FLUSHALL");
	const struct presence_effect first = effect_of("first", CONNECT, 1763769600000);
	store_put(store, &first, boot_ms());
	wait_for_worker(store, false);
	struct timespec cpu[2];
	double redis = cpu_us(&server);
	int64_t begin_ms = boot_ms();
	(void)clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &cpu[0]); /* it exists */
	say_everything(store, subjects);
	/* What was sent is in no queue, and may not have been carried out yet. */
	for (int64_t until_ms = boot_ms() + 20000;
		number(&server, "ZCARD presence:{0}:online:agent") < subjects &&
		boot_ms() < until_ms;)
		pause_ms(1);
	(void)clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &cpu[1]);
	double seconds = (double)(boot_ms() - begin_ms) / 1000;
	double own = (double)(cpu[1].tv_sec - cpu[0].tv_sec) * 1e6 +
		(double)(cpu[1].tv_nsec - cpu[0].tv_nsec) / 1e3;
	redis = cpu_us(&server) - redis;
	if (number(&server, "ZCARD presence:{0}:online:agent") < subjects)
		fail("contributions are missing");
	(void)printf("| %" PRIu32 " | %.1f | %.1f | %.1f |\n", subjects, seconds, redis / subjects,
		own / subjects);
	(void)store_destroy(store, 2000); /* all is written */
	server_finish(&server);
}
