/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
#include "tally.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "mqtt.h"

enum { NS_PER_MS = 1000000 };

struct sight {
	enum seen seen;
	long rev;
};

void tally_prepare(struct tally *tally, int devices)
{
	tally->devices = devices;
	tally->sights = calloc((size_t)devices, sizeof(*tally->sights));
	for (int kind = 0; kind < LATENCIES; kind++)
		if (!(tally->latency[kind] = calloc((size_t)devices, sizeof(int64_t))))
			die("memory");
	if (!tally->sights)
		die("memory");
}

void tally_latency(struct tally *tally, enum latency kind, int64_t ns)
{
	if (tally->latencies[kind] < tally->devices) /* one that flaps has failed anyway */
		tally->latency[kind][tally->latencies[kind]++] = ns;
}

static bool number_after(const char *text, const char *before, long *number)
{
	const char *found = strstr(text, before);
	if (found)
		*number = strtol(found + strlen(before), NULL, 10);
	return found && *number >= 0;
}

bool tally_read(const char *topic, const char *payload, struct statement *said)
{
	bool is_online = strstr(payload, "\"status\":\"online\"");
	said->status = is_online ? SEEN_ONLINE : SEEN_OFFLINE;
	if (number_after(topic, "presence/agent/u", &said->device))
		return number_after(payload, "\"rev\":", &said->rev);
	if (!number_after(topic, "/client/agent:u", &said->device))
		return false;
	/* It is 1 or 0, and has no rev. */
	said->status = payload[0] == '1' ? SEEN_ONLINE : SEEN_OFFLINE;
	said->rev = said->status;
	return true;
}

bool tally_see(struct tally *tally, int device, enum seen status, long rev, bool has_left)
{
	struct sight *sight = &tally->sights[device];
	if (status == sight->seen) {
		tally->duplicates++;
		return false;
	}
	bool right = status > sight->seen && rev > sight->rev &&
		(status == SEEN_ONLINE || (sight->seen == SEEN_ONLINE && has_left));
	tally->reordered += !right;
	tally->complete += status == SEEN_OFFLINE;
	sight->seen = status;
	sight->rev = rev;
	return right;
}

static int compare(const void *left, const void *right)
{
	int64_t a = *(const int64_t *)left, b = *(const int64_t *)right;
	return (a > b) - (a < b);
}

void tally_print_latencies(struct tally *tally)
{
	static const char *const names[LATENCIES] = { "connack", "online", "clean", "abrupt" };
	for (int kind = 0; kind < LATENCIES; kind++) {
		int64_t *values = tally->latency[kind];
		size_t count = (size_t)tally->latencies[kind];
		qsort(values, count, sizeof(*values), compare);
		if (count)
			printf(", \"%s_ms\": {\"p50\": %.4f, \"p99\": %.4f, \"max\": %.4f}",
				names[kind], (double)values[count / 2] / NS_PER_MS,
				(double)values[count * 99 / 100] / NS_PER_MS,
				(double)values[count - 1] / NS_PER_MS);
	}
}

int tally_print_counts(const struct tally *tally, bool is_watched)
{
	int lost = 0;
	for (int i = 0; is_watched && i < tally->devices; i++)
		lost += SEEN_OFFLINE - (int)tally->sights[i].seen;
	printf(", \"lost\": %d, \"duplicates\": %d, \"reordered\": %d, \"refused\": %d", lost,
		tally->duplicates, tally->reordered, tally->refused);
	return lost + tally->duplicates + tally->reordered + tally->refused;
}
