/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
/* Somebody subscribes to presence/#, with much retained.
 *
 *     reader_bench PORT PID SUBJECTS REV PAUSE_MS CHANGES
 *
 * Waits until each of SUBJECTS has come with a rev of at least REV, and counts those that come more
 * than once. Then CHANGES devices come and go, after it has said "ready" on a line: each has to be
 * seen online and offline. PAUSE_MS: so long it reads nothing, after it has subscribed, or with
 * CHANGES after "ready", and its receive buffer is small. Prints one line of JSON. Fails when
 * something is missing, comes twice or out of order. */

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "mark.h"
#include "mqtt.h"
#include "tally.h"

enum { SILENCE_MS = 5000, SMALL_BYTES = 65536, SUBJECTS_MAX = 1000000 };

struct reader {
	int port, pid, subjects, pause_ms, changes;
	long rev; /* older ones do not count */
	struct watcher watcher;
	bool *is_there;
	int there, twice;
	bool is_ready;
	struct tally tally; /* since it was ready */
	struct mark began, all_there;
};

static void see(void *context, const struct sighting *sighting)
{
	struct reader *reader = context;
	struct statement said;
	if (!tally_read(sighting->topic, sighting->payload, &said) ||
		said.device >= reader->subjects || said.rev < reader->rev)
		return;
	if (reader->is_ready) {
		if (said.device < reader->changes)
			(void)tally_see(
				&reader->tally, (int)said.device, said.status, said.rev, true);
		return;
	}
	reader->twice += reader->is_there[said.device];
	reader->there += !reader->is_there[said.device];
	reader->is_there[said.device] = true;
	if (reader->there == reader->subjects && !reader->all_there.at_ns)
		reader->all_there = mark_now(reader->pid);
}

static void pause_reading(const struct reader *reader)
{
	const struct timespec pause = { reader->pause_ms / 1000,
		reader->pause_ms % 1000 * 1000000L };
	(void)nanosleep(&pause, NULL); /* shorter would only be kinder */
}

static bool is_finished(const struct reader *reader)
{
	return reader->is_ready ? reader->tally.complete == reader->changes
				: reader->there == reader->subjects;
}

/* Until all is there, or nothing comes any more. */
static void read_all(struct reader *reader)
{
	struct pollfd ready = { .fd = reader->watcher.fd, .events = POLLIN };
	while (!is_finished(reader) && poll(&ready, 1, SILENCE_MS) == 1)
		watcher_read(&reader->watcher);
}

/* What comes twice comes before the answer. */
static void barrier(struct reader *reader)
{
	struct pollfd ready = { .fd = reader->watcher.fd, .events = POLLIN };
	mqtt_send_ping(reader->watcher.fd);
	while (!reader->watcher.pingresps && poll(&ready, 1, SILENCE_MS) == 1)
		watcher_read(&reader->watcher);
	reader->watcher.pingresps = 0;
}

static void watch_changes(struct reader *reader)
{
	tally_prepare(&reader->tally, reader->changes);
	reader->is_ready = true;
	(void)puts("ready");
	(void)fflush(stdout);
	pause_reading(reader);
	read_all(reader);
	barrier(reader);
}

static void read_arguments(struct reader *reader, int argc, char *argv[])
{
	errno = EINVAL;
	if (argc != 7)
		die("PORT PID SUBJECTS REV PAUSE_MS CHANGES");
	reader->port = (int)strtol(argv[1], NULL, 10);
	reader->pid = (int)strtol(argv[2], NULL, 10);
	reader->subjects = (int)strtol(argv[3], NULL, 10);
	reader->rev = strtol(argv[4], NULL, 10);
	reader->pause_ms = (int)strtol(argv[5], NULL, 10);
	reader->changes = (int)strtol(argv[6], NULL, 10);
	if (reader->subjects < 1 || reader->subjects > SUBJECTS_MAX || reader->pause_ms < 0 ||
		reader->changes < 0 || reader->changes > reader->subjects)
		die("an argument");
}

int main(int argc, char *argv[])
{
	struct reader *reader = calloc(1, sizeof(*reader));
	if (!reader)
		die("memory");
	read_arguments(reader, argc, argv);
	reader->is_there = calloc((size_t)reader->subjects, sizeof(*reader->is_there));
	if (!reader->is_there)
		die("memory");
	reader->watcher.see = see;
	reader->watcher.context = reader;
	reader->watcher.receive_bytes = reader->pause_ms ? SMALL_BYTES : 0;
	reader->began = mark_now(reader->pid);
	watcher_begin(&reader->watcher, reader->port, "presencectl-reader");
	if (!reader->changes)
		pause_reading(reader);
	read_all(reader);
	barrier(reader);
	if (reader->changes)
		watch_changes(reader);
	int missing = reader->subjects - reader->there;
	printf("{\"missing\": %d, \"twice\": %d", missing, reader->twice);
	if (!missing)
		mark_print("all", &reader->began, &reader->all_there, reader->subjects);
	int wrong = missing + reader->twice;
	if (reader->changes)
		wrong += tally_print_counts(&reader->tally, true);
	printf("}\n");
	return wrong ? EXIT_FAILURE : EXIT_SUCCESS;
}
