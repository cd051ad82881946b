/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
/* What a contribution costs Redis: CPU of its main thread, bytes on the way, bytes kept; beside it,
 * in the same minute, what the same keys cost by plain commands.
 *
 *     redis_bench [subjects...]      1000 10000 100000 1000000 unless told otherwise
 *
 * Prints tables as Markdown. Fails when a contribution is missing in Redis. */

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "driver.h"
#include "redis_load.h"
#include "redis_plain.h"
#include "redis_resync.h"

enum {
	BATCH_MAX = 256,
	SLICE = 2048, /* contributions between two looks at the clock */
	SLICES = 5,   /* of each kind; the median counts */
	GROUPED = 10000,
	SIZES_MAX = 8,
};

struct pair {
	struct server ours, plain;
	struct driver driver;
	size_t bytes; /* sent by ours */
	long long wall_ms;
};

struct cost {
	double ours_us, plain_us, ratio, bytes;
};

static double info(struct server *server, const char *section, const char *name)
{
	redisReply *reply = server_ask(server, "INFO %s", section);
	const char *at = strstr(reply->str, name);
	double value = at ? strtod(at + strlen(name), NULL) : 0;
	freeReplyObject(reply);
	return value;
}

static void write_ours(struct pair *pair, enum kind kind, const char (*ids)[32], int count)
{
	struct driver *driver = &pair->driver;
	for (int i = 0; i < count; i++) {
		const struct presence_effect effect = effect_of(ids[i], kind, ++driver->wall_ms);
		(void)mailbox_put(driver->box, &effect, driver->now_ms);
	}
	redis_writer_step(driver->writer, driver->now_ms, driver->wall_ms);
	pair->bytes += redis_writer_out(driver->writer)->length;
	driver_settle(driver);
}

/* Of the subjects from..from + count - 1, or if shuffled out of 0..from - 1. */
static double slice(struct pair *pair, bool ours, enum kind kind, uint32_t from, int count,
	int batch, bool shuffled)
{
	char ids[BATCH_MAX][32];
	struct server *server = ours ? &pair->ours : &pair->plain;
	double before = cpu_us(server);
	for (int done = 0; done < count; done += batch) {
		for (int i = 0; i < batch; i++) {
			uint64_t place = (uint64_t)(done + i);
			write_id(ids[i], (uint32_t)(shuffled ? place * 7919 % from : from + place));
		}
		if (ours)
			write_ours(pair, kind, ids, batch);
		else
			plain_write(server, kind == LEAVE ? PLAIN_LEAVE : PLAIN_CONNECT, ids, batch,
				++pair->wall_ms);
	}
	return (cpu_us(server) - before) / count;
}

static int ascending(const void *one, const void *other)
{
	double a = *(const double *)one, b = *(const double *)other;
	return (a > b) - (a < b);
}

static double median(double values[], size_t count)
{
	qsort(values, count, sizeof(*values), ascending);
	return values[count / 2];
}

struct series {
	double ours[SLICES], plain[SLICES], ratio[SLICES];
};

static struct cost cost_of(struct series *series, double bytes)
{
	return (struct cost){ median(series->ours, SLICES), median(series->plain, SLICES),
		median(series->ratio, SLICES), bytes };
}

/* Everybody of a slice leaves and comes back, by both ways in turn. */
static void churn(struct pair *pair, uint32_t subjects, int batch, struct cost costs[2])
{
	static const enum kind kinds[] = { LEAVE, CONNECT };
	struct series series[2];
	double bytes[2] = { 0 };
	int count = subjects < SLICE ? (int)subjects / BATCH_MAX * BATCH_MAX : SLICE;
	for (int i = 0; i < SLICES; i++)
		for (int k = 0; k < 2; k++) {
			struct series *of = &series[k];
			size_t before = pair->bytes;
			of->plain[i] = slice(pair, false, kinds[k], subjects, count, batch, true);
			of->ours[i] = slice(pair, true, kinds[k], subjects, count, batch, true);
			of->ratio[i] = of->ours[i] / of->plain[i];
			bytes[k] += (double)(pair->bytes - before) / count / SLICES;
		}
	for (int k = 0; k < 2; k++)
		costs[k] = cost_of(&series[k], bytes[k]);
}

static double refresh(struct pair *pair, uint32_t subjects)
{
	double us[SLICES];
	int count = subjects < SLICE ? (int)subjects / BATCH_MAX * BATCH_MAX : SLICE;
	for (int i = 0; i < SLICES; i++)
		us[i] = slice(pair, true, REFRESH, subjects, count, BATCH_MAX, true);
	return median(us, SLICES);
}

/* New subjects from `from` on, by both ways in turn. */
static struct cost fill(struct pair *pair, uint32_t from, uint32_t to)
{
	double ours = 0, plain = 0;
	size_t before = pair->bytes;
	for (uint32_t at = from; at < to;) {
		int batch = to - at < BATCH_MAX ? (int)(to - at) : BATCH_MAX;
		int count = to - at < SLICE ? batch : SLICE;
		plain += slice(pair, false, CONNECT, at, count, batch, false) * count;
		ours += slice(pair, true, CONNECT, at, count, batch, false) * count;
		at += (uint32_t)count;
	}
	return (struct cost){ ours / (to - from), plain / (to - from), ours / plain,
		(double)(pair->bytes - before) / (to - from) };
}

static void open_pair(struct pair *pair)
{
	server_init(&pair->ours);
	server_start(&pair->ours, NULL);
	server_init(&pair->plain);
	server_start(&pair->plain, NULL);
	pair->bytes = 0;
	driver_init(&pair->driver, &pair->ours, "b1");
	driver_start(&pair->driver, 1);
	driver_settle(&pair->driver);
	pair->wall_ms = pair->driver.wall_ms;
}

static void close_pair(struct pair *pair)
{
	driver_stop(&pair->driver);
	server_finish(&pair->ours);
	server_finish(&pair->plain);
}

/* ---- tables ---- */

static void print_cost(const struct cost *cost)
{
	(void)printf(" %.1f | %.1f | %.2f |", cost->ours_us, cost->plain_us, cost->ratio);
}

static void by_batch(void)
{
	static const int batches[] = { 1, 8, 64, 256 };
	struct pair pair;
	struct cost costs[2];
	open_pair(&pair);
	(void)fill(&pair, 0, GROUPED);
	(void)printf(
		"| contributions in a call | leave µs | plain | ratio | come back µs | plain | "
		"ratio | bytes in |\n|--:|--:|--:|--:|--:|--:|--:|--:|\n");
	for (size_t i = 0; i < sizeof(batches) / sizeof(*batches); i++) {
		churn(&pair, GROUPED, batches[i], costs);
		(void)printf("| %d |", batches[i]);
		print_cost(&costs[0]);
		print_cost(&costs[1]);
		(void)printf(" %.0f |\n", costs[1].bytes);
		(void)fflush(stdout);
	}
	close_pair(&pair);
}

static void by_size(const uint32_t sizes[], size_t count)
{
	struct pair pair;
	struct cost costs[2];
	uint32_t subjects = 0;
	open_pair(&pair);
	double empty = info(&pair.ours, "memory", "used_memory:");
	(void)printf("\n| subjects | new µs | plain | ratio | leave µs | plain | ratio | come back "
		     "µs | plain | ratio | refresh µs | bytes of a subject | of a stream entry "
		     "|\n|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|\n");
	for (size_t i = 0; i < count; subjects = sizes[i++]) {
		struct cost new = fill(&pair, subjects, sizes[i]);
		if (number(&pair.ours, "ZCARD presence:{0}:online:agent") != sizes[i])
			fail("contributions are missing");
		double used = info(&pair.ours, "memory", "used_memory:") - empty;
		double stream = number(&pair.ours, "MEMORY USAGE presence:{0}:events SAMPLES 0");
		double length = number(&pair.ours, "XLEN presence:{0}:events");
		churn(&pair, sizes[i], BATCH_MAX, costs);
		(void)printf("| %" PRIu32 " |", sizes[i]);
		print_cost(&new);
		print_cost(&costs[0]);
		print_cost(&costs[1]);
		(void)printf(" %.1f | %.0f | %.0f |\n", refresh(&pair, sizes[i]),
			(used - stream) / sizes[i], stream / length);
		(void)fflush(stdout);
	}
	close_pair(&pair);
}

int main(int argc, char *argv[])
{
	uint32_t sizes[SIZES_MAX] = { 1000, 10000, 100000, 1000000 };
	size_t count = argc > 1 ? 0 : 4;
	for (int i = 1; i < argc && count < SIZES_MAX; i++)
		sizes[count++] = (uint32_t)strtoul(argv[i], NULL, 10);
	by_batch();
	by_size(sizes, count);
	(void)printf("\n| subjects, Redis empty | s | Redis µs each | broker µs each "
		     "|\n|--:|--:|--:|--:|\n");
	resync(sizes[count - 1]);
	return 0;
}
