/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
#ifndef PRESENCE_BENCH_TALLY_H
#define PRESENCE_BENCH_TALLY_H

/* What has been seen of the devices of one load, and what went wrong: each is online once and, when
 * it has left, offline once, under rising revs. */

#include <stdbool.h>
#include <stdint.h>

/* What is measured. CONNACK: from before connect() to the broker's answer. The others end with the
 * watcher's read, and begin before connect(), DISCONNECT or the reset. */
enum latency { CONNACK_READ, ONLINE, CLEAN, ABRUPT, LATENCIES };
enum seen { SEEN_NOTHING, SEEN_ONLINE, SEEN_OFFLINE };

/* What a record says, or a message of Mosquitto's own example. */
struct statement {
	long device, rev;
	enum seen status;
};

struct tally {
	int devices;
	int complete; /* seen offline */
	int duplicates, reordered, refused;
	struct sight *sights;
	int64_t *latency[LATENCIES];
	int latencies[LATENCIES];
};

void tally_prepare(struct tally *tally, int devices);
void tally_latency(struct tally *tally, enum latency kind, int64_t ns);
/* False: it is of no device of ours. */
bool tally_read(const char *topic, const char *payload, struct statement *said);
/* True when it is what had to come. has_left: the device has said or shown that it goes. */
bool tally_see(struct tally *tally, int device, enum seen status, long rev, bool has_left);
/* As members of a JSON object, each with a comma before it. */
void tally_print_latencies(struct tally *tally);
/* How many transitions went wrong. is_watched: somebody should have told of them. */
int tally_print_counts(const struct tally *tally, bool is_watched);

#endif
