/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
#include <inttypes.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>
#include <unistd.h>

#include "store/ops.h"
#include "store/redis/link.h"
#include "store/redis/reader.h"
#include "store/redis/writer.h"

/* Redis as a kind of store: moves bytes between the writer and a socket. */

/* Company for what changes at 500 a second and more; nobody waits for Redis to learn of it. */
enum { LINGER_MS = 2 };
enum { CHUNK = 16 * 1024, CHUNKS_MAX = 64, HOST_MAX = 64, WHERE_MAX = 300, BOOT_MAX = 17 };

struct redis_store {
	const struct store_config *config;
	struct redis_writer_config writer_config;
	char boot[BOOT_MAX], host[HOST_MAX], where[WHERE_MAX];
	struct redis_writer *writer;
	struct redis_link link;
	struct redis_reader *reader; /* one for each connection */

	pthread_mutex_t lock;
	struct store_stats stats; /* under lock: a copy for the broker's thread */
	int64_t oldest_ms;
};

static int64_t wall_ms(void)
{
	struct timespec now = { 0 };
	(void)clock_gettime(CLOCK_REALTIME, &now); /* fails only for a clock that does not exist */
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* Which run of the broker this is: no two may share it. */
static void write_boot(struct redis_store *store)
{
	uint64_t random[2] = { 0 };
	if (getrandom(random, sizeof(random), 0) != (ssize_t)sizeof(random))
		random[0] = ((uint64_t)wall_ms() << 20) ^ (uint64_t)getpid();
	(void)snprintf(store->boot, sizeof(store->boot), "%016" PRIx64, random[0]);
	store->writer_config.seed = random[1];
}

/* What stands between bars in Redis must not hold one. */
static void write_host(struct redis_store *store)
{
	if (gethostname(store->host, sizeof(store->host) - 1))
		(void)snprintf(store->host, sizeof(store->host), "unknown");
	for (char *at = store->host; (at = strchr(at, '|'));)
		*at = '-';
}

static void write_where(struct redis_store *store)
{
	const struct store_config *config = store->config;
	if (config->redis_socket)
		(void)snprintf(store->where, WHERE_MAX, "%s", config->redis_socket);
	else
		(void)snprintf(store->where, WHERE_MAX, "%s:%u",
			config->redis_host ? config->redis_host : "localhost",
			(unsigned)config->redis_port);
}

static void configure(struct redis_store *store)
{
	const struct store_config *config = store->config;
	write_boot(store);
	write_host(store);
	write_where(store);
	uint64_t seed = store->writer_config.seed;
	store->writer_config = (struct redis_writer_config){
		.where = store->where,
		.node = config->node,
		.prefix = config->redis_prefix,
		.user = config->redis_user,
		.password = config->redis_password,
		.boot = store->boot,
		.host = store->host,
		.version = PRESENCE_VERSION,
		.pid = getpid(),
		.db = config->redis_db,
		.partitions = config->redis_partitions ? config->redis_partitions : 1,
		.ttl_ms = config->redis_ttl_ms,
		.lease_ms = config->node_lease_ms,
		.restart_grace_ms = config->restart_grace_ms > 0 ? config->restart_grace_ms : 1,
		.stream_maxlen = config->redis_stream_maxlen,
		.linger_ms = LINGER_MS,
		.seed = seed,
	};
}

static void *create(const struct store_config *config, struct mailbox *box)
{
	struct redis_store *store = calloc(1, sizeof(*store));
	if (!store)
		return NULL;
	if (pthread_mutex_init(&store->lock, NULL)) {
		free(store);
		return NULL;
	}
	store->config = config;
	redis_link_init(&store->link);
	configure(store);
	store->writer = redis_writer_create(&store->writer_config, box);
	if (store->writer)
		return store;
	(void)pthread_mutex_destroy(&store->lock); /* nobody holds it */
	free(store);
	return NULL;
}

static void destroy(void *self)
{
	struct redis_store *store = self;
	if (!store)
		return;
	redis_link_close(&store->link);
	redis_reader_destroy(store->reader);
	redis_writer_destroy(store->writer);
	(void)pthread_mutex_destroy(&store->lock); /* nobody holds it */
	free(store);
}

static void disconnect(struct redis_store *store, const char *why, int64_t now_ms)
{
	redis_link_close(&store->link);
	redis_reader_destroy(store->reader);
	store->reader = NULL;
	redis_writer_disconnected(store->writer, why, now_ms);
}

static const char *take_replies(struct redis_store *store, int64_t now_ms)
{
	redisReply *reply;
	while (!redis_writer_wants_close(store->writer)) {
		if (redis_reader_next(store->reader, &reply))
			return "its answer is not Redis', or too long";
		if (!reply)
			return NULL;
		redis_writer_reply(store->writer, reply, now_ms);
	}
	return NULL;
}

static const char *receive(struct redis_store *store, int64_t now_ms)
{
	char bytes[CHUNK];
	const char *why = NULL;
	for (int i = 0; i < CHUNKS_MAX && !why; i++) {
		long count = redis_link_read(&store->link, bytes, sizeof(bytes), &why);
		if (count <= 0)
			break;
		if (redis_reader_feed(store->reader, bytes, (size_t)count))
			return "its answer is too long";
		why = take_replies(store, now_ms);
	}
	return why;
}

static const char *send_out(struct redis_store *store, int64_t now_ms)
{
	struct redis_out *out = redis_writer_out(store->writer);
	const char *why = NULL;
	if (!out->length)
		return NULL;
	long count = redis_link_write(&store->link, out->bytes, out->length, &why);
	if (count > 0)
		redis_writer_sent(store->writer, (size_t)count, now_ms);
	return why;
}

static const char *connect_now(struct redis_store *store, int64_t now_ms)
{
	redis_writer_connecting(store->writer, now_ms);
	store->reader = redis_reader_create();
	if (!store->reader)
		return "out of memory";
	return redis_link_open(&store->link, store->config->redis_host, store->config->redis_port,
		store->config->redis_socket);
}

/* One turn; why the connection is over, or NULL. */
static const char *turn(struct redis_store *store, int64_t now_ms)
{
	const char *why = NULL;
	bool connecting = store->link.connecting, fresh = store->link.fd < 0;
	if (fresh && !redis_writer_wants_connection(store->writer, now_ms))
		fresh = false;
	else if (fresh)
		why = connect_now(store, now_ms);
	else if (connecting)
		why = redis_link_continue(&store->link);
	else
		why = receive(store, now_ms);
	if (!why && (fresh || connecting) && store->link.fd >= 0 && !store->link.connecting)
		redis_writer_connected(store->writer, now_ms);
	if (!why)
		redis_writer_step(store->writer, now_ms, wall_ms());
	if (!why && store->link.fd >= 0 && !store->link.connecting)
		why = send_out(store, now_ms);
	return why;
}

static void publish_stats(struct redis_store *store)
{
	struct store_stats stats;
	int64_t oldest_ms;
	redis_writer_stats(store->writer, &stats, &oldest_ms);
	(void)pthread_mutex_lock(&store->lock); /* fails for what is not a mutex */
	store->stats = stats;
	store->oldest_ms = oldest_ms;
	(void)pthread_mutex_unlock(&store->lock);
}

static void step(void *self, int64_t now_ms, struct store_wait *wait)
{
	struct redis_store *store = self;
	const char *why = turn(store, now_ms);
	if (why || redis_writer_wants_close(store->writer))
		disconnect(store, why, now_ms);
	publish_stats(store);
	wait->until_ms = redis_writer_deadline(store->writer);
	wait->is_deaf = redis_writer_lingers(store->writer);
	wait->fd = store->link.fd;
	wait->events = POLLIN;
	if (store->link.connecting)
		wait->events = POLLOUT;
	else if (redis_writer_out(store->writer)->length)
		wait->events |= POLLOUT;
}

static bool idle(const void *self)
{
	const struct redis_store *store = self;
	return redis_writer_idle(store->writer);
}

static void stats(const void *self, int64_t now_ms, struct store_stats *stats)
{
	/* The lock is not part of what the caller sees. */
	/* NOLINTNEXTLINE(performance-no-int-to-ptr) */
	struct redis_store *store = (struct redis_store *)(uintptr_t)self;
	struct store_stats queued = *stats;
	(void)pthread_mutex_lock(&store->lock); /* fails for what is not a mutex */
	*stats = store->stats;
	int64_t oldest_ms = store->oldest_ms;
	(void)pthread_mutex_unlock(&store->lock);
	stats->queue += queued.queue;
	stats->merged = queued.merged;
	stats->lost = queued.lost;
	stats->lag_ms = queued.lag_ms;
	if (oldest_ms && now_ms - oldest_ms > stats->lag_ms)
		stats->lag_ms = now_ms - oldest_ms;
}

const struct store_ops store_redis_ops = {
	.name = "Redis",
	.keeps_activities = true,
	.create = create,
	.destroy = destroy,
	.step = step,
	.idle = idle,
	.stats = stats,
};
