/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
#include <stdatomic.h>
#include <stdlib.h>

#include "store/sqlite/file.h"

/* The order of things: open, read it all, then write. Nothing is written before all is read, so
 * that the past can neither overwrite the present nor be read back as it. Whenever the file gives
 * trouble it is closed and opened again later; items taken from the box are held until they are
 * committed, and no more are taken, so that the rules of the box bound what waits. */

enum {
	BATCH_MAX = 256, /* items in one transaction */
	GATHER_MS = 50,  /* how long an item waits for others: a transaction of one costs as much */
	PAUSE_FIRST_MS = 1000,
	PAUSE_MAX_MS = 60 * 1000,
	PAUSE_LEAVING_MS = 100,
	POST_PAUSE_MS = 1000 /* when an event found no room or memory; room also wakes us */
};

struct sqlite_store {
	const struct store_config *config;
	struct mailbox *box;
	struct state_file file;
	struct state_load load;
	struct store_item *held; /* taken and not committed */
	bool is_loaded;
	bool is_begun;    /* there was a file: a new one lacks what was in it */
	bool must_resync; /* not yet asked for */
	bool is_leaving;
	int64_t retry_ms, pause_ms; /* pause_ms 0: no trouble */
	/* Read by the broker's thread. */
	_Atomic enum store_state state;
	atomic_bool has_told;
	atomic_size_t held_count;
	_Atomic int64_t held_since_ms;
};

static void *create(const struct store_config *config, struct mailbox *box)
{
	struct sqlite_store *store = calloc(1, sizeof(*store));
	if (!store)
		return NULL;
	store->config = config;
	store->box = box;
	store->file.path = config->state_file;
	return store;
}

static void free_held(struct sqlite_store *store)
{
	while (store->held) {
		struct store_item *next = store->held->next;
		store_item_destroy(store->held);
		store->held = next;
	}
	atomic_store(&store->held_count, 0);
}

static void close_file(struct sqlite_store *store)
{
	state_load_finish(&store->load);
	state_file_close(&store->file);
}

static void destroy(void *self)
{
	struct sqlite_store *store = self;
	close_file(store);
	free_held(store);
	free(store);
}

/* ---- trouble ---- */

static void wait_longer(struct sqlite_store *store, int64_t now_ms)
{
	int64_t longer_ms = store->pause_ms ? store->pause_ms * 2 : PAUSE_FIRST_MS;
	store->pause_ms = longer_ms < PAUSE_MAX_MS ? longer_ms : PAUSE_MAX_MS;
	store->retry_ms = now_ms + (store->is_leaving ? PAUSE_LEAVING_MS : store->pause_ms);
}

static void trouble(struct sqlite_store *store, int64_t now_ms)
{
	bool is_told = atomic_load(&store->state) == STORE_FAILED;
	close_file(store);
	wait_longer(store, now_ms);
	atomic_store(&store->state, STORE_FAILED);
	atomic_store(&store->has_told, true);
	if (!is_told)
		mailbox_log(store->box, STORE_ERROR,
			"state file %s cannot be used: %s: %s. Presence goes on without it, and it "
			"is tried again at least every %d s",
			store->file.path, store->file.problem, state_file_advice(&store->file),
			PAUSE_MAX_MS / 1000);
}

static void damage(struct sqlite_store *store, int64_t now_ms)
{
	char aside[STATE_FILE_PATH_MAX];
	close_file(store);
	if (state_file_set_aside(&store->file, aside)) {
		trouble(store, now_ms);
		return;
	}
	mailbox_log(store->box, STORE_ERROR,
		"state file %s is not usable: %s. It is kept as %s and a new one is begun; %s",
		store->file.path, store->file.problem, aside,
		store->is_loaded ? "it is filled again from memory, nothing is lost"
				 : "who was online before this start is lost");
	store->is_begun = true;
	/* The first time at once; a disk that damages one file after the other waits. */
	if (store->pause_ms)
		wait_longer(store, now_ms);
	else
		store->pause_ms = PAUSE_FIRST_MS;
}

static void recovered(struct sqlite_store *store)
{
	if (atomic_load(&store->state) == STORE_FAILED)
		mailbox_log(store->box, STORE_NOTICE, "state file %s is written again",
			store->file.path);
	store->pause_ms = 0;
	atomic_store(&store->state, store->is_leaving ? STORE_LEAVING : STORE_READY);
}

/* ---- work ---- */

static enum state_outcome open_file(struct sqlite_store *store)
{
	enum state_outcome outcome = state_file_open(&store->file);
	if (outcome)
		return outcome;
	if (!store->file.format && store->is_begun)
		store->must_resync = true;
	store->is_begun = true;
	return STATE_OK;
}

static void ask_again(struct sqlite_store *store, int64_t now_ms, struct store_wait *wait)
{
	const struct presence_event resync = {
		.type = PRESENCE_RESYNC,
		.targets = PRESENCE_TARGET_STORE,
	};
	if (store->must_resync && !mailbox_post_event(store->box, &resync))
		store->must_resync = false;
	if (store->must_resync && wait->until_ms > now_ms + POST_PAUSE_MS)
		wait->until_ms = now_ms + POST_PAUSE_MS;
}

static enum state_outcome load_some(
	struct sqlite_store *store, int64_t now_ms, struct store_wait *wait)
{
	enum state_outcome outcome = state_load_some(&store->load, &store->file, store->box);
	if (outcome == STATE_MORE)
		wait->until_ms = now_ms + POST_PAUSE_MS;
	if (outcome != STATE_OK)
		return outcome;
	store->is_loaded = true;
	atomic_store(&store->has_told, true);
	if (store->load.skipped)
		mailbox_log(store->box, STORE_WARNING,
			"state file %s: %llu entries are not what this plugin writes and were "
			"skipped; somebody else may have changed the file",
			store->file.path, (unsigned long long)store->load.skipped);
	return STATE_OK;
}

/* What waits is young, and more may come: it is written together. */
static bool gathers(const struct sqlite_store *store, int64_t now_ms, struct store_wait *wait)
{
	uint64_t waiting, merged, lost;
	int64_t oldest_ms;
	mailbox_get_counts(store->box, &waiting, &oldest_ms, &merged, &lost);
	bool is_young = waiting && waiting < BATCH_MAX && now_ms - oldest_ms < GATHER_MS;
	if (!is_young || store->held || store->is_leaving)
		return false;
	wait->until_ms = oldest_ms < now_ms ? oldest_ms + GATHER_MS : now_ms + GATHER_MS;
	wait->is_deaf = true;
	return true;
}

static enum state_outcome write_some(
	struct sqlite_store *store, int64_t now_ms, struct store_wait *wait)
{
	if (gathers(store, now_ms, wait))
		return STATE_OK;
	if (!store->held) {
		size_t count;
		store->held = mailbox_take(store->box, BATCH_MAX, &count);
		if (store->held)
			atomic_store(&store->held_since_ms, store->held->put_ms);
		atomic_store(&store->held_count, count);
	}
	if (store->held) {
		enum state_outcome outcome = state_rows_write(
			&store->file, store->config->node, store->held);
		if (outcome)
			return outcome;
		free_held(store);
		wait->until_ms = now_ms; /* there may be more */
	}
	recovered(store);
	return STATE_OK;
}

static void start_leaving(struct sqlite_store *store, int64_t now_ms)
{
	store->is_leaving = true;
	store->retry_ms = now_ms;
	/* The broker takes no more messages, so that reading would never end; what was not read
	 * stays in the file. */
	state_load_finish(&store->load);
	store->is_loaded = true;
}

static void step(void *self, int64_t now_ms, struct store_wait *wait)
{
	struct sqlite_store *store = self;
	enum state_outcome outcome = STATE_OK;
	if (mailbox_leaving(store->box) && !store->is_leaving)
		start_leaving(store, now_ms);
	wait->until_ms = store->retry_ms;
	if (now_ms < store->retry_ms)
		return;
	wait->until_ms = INT64_MAX;
	if (!store->file.db)
		outcome = open_file(store);
	if (!outcome && !store->is_loaded)
		outcome = load_some(store, now_ms, wait);
	if (!outcome)
		outcome = write_some(store, now_ms, wait);
	if (outcome == STATE_TROUBLE)
		trouble(store, now_ms);
	else if (outcome == STATE_DAMAGED)
		damage(store, now_ms);
	if (outcome == STATE_TROUBLE || outcome == STATE_DAMAGED)
		wait->until_ms = store->retry_ms;
	ask_again(store, now_ms, wait);
}

static bool idle(const void *self)
{
	const struct sqlite_store *store = self;
	uint64_t waiting, merged, lost;
	int64_t oldest_ms;
	mailbox_get_counts(store->box, &waiting, &oldest_ms, &merged, &lost);
	return !waiting && !store->held && (store->is_loaded || store->is_leaving);
}

static void stats(const void *self, int64_t now_ms, struct store_stats *stats)
{
	const struct sqlite_store *store = self;
	size_t held = atomic_load(&store->held_count);
	int64_t since_ms = atomic_load(&store->held_since_ms);
	stats->state = atomic_load(&store->state);
	stats->has_told = atomic_load(&store->has_told);
	stats->queue += held;
	if (held && now_ms - since_ms > stats->lag_ms)
		stats->lag_ms = now_ms - since_ms;
}

const struct store_ops store_sqlite_ops = {
	.name = "sqlite",
	.create = create,
	.destroy = destroy,
	.step = step,
	.idle = idle,
	.stats = stats,
};
