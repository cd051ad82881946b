/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
/* store.h without threads: the real mailbox and writer, a network and a state file of our own. */

#include <stdio.h>

#include "redis_command.h"
#include "room.h"
#include "sim.h"
#include "store/message.h"
#include "store/ops.h"
#include "store/redis/writer.h"

enum { LINKS_MAX = 24, SOON_MS = 2, RESYNC_PAUSE_MS = 10000 };

/* ---- the network ---- */

struct parcel {
	struct parcel *next;
	int64_t at_ms;
	redisReply *reply; /* or bytes */
	size_t length;
	char bytes[];
};

struct parcels {
	struct parcel *first, *last;
};

/* One connection; those that were given up live on for what is still under way. */
struct link {
	struct parcels commands, replies, done; /* done: to be repeated late */
	bool is_abandoned, loses_commands, loses_replies, repeats;
	int64_t late_ms;
};

struct worker {
	struct mailbox *box;
	struct store_config config;
	struct redis_writer_config writer_config;
	struct redis_writer *writer;
	char boot[20];
	struct link *link; /* NULL: not connected */
	struct link *links[LINKS_MAX];
	size_t link_count;
	int64_t wake_ms, stalled_ms, hung_ms, slow_ms, resync_from_ms, repeat_ms;
	bool loses_commands, loses_replies, repeats, must_resync, is_killed;
	uint64_t registrations;
};

static void parcel_add(struct parcels *parcels, struct parcel *parcel)
{
	parcel->next = NULL;
	if (parcels->last)
		parcels->last->next = parcel;
	else
		parcels->first = parcel;
	parcels->last = parcel;
}

static struct parcel *parcel_take(struct parcels *parcels)
{
	struct parcel *parcel = parcels->first;
	parcels->first = parcel->next;
	if (!parcels->first)
		parcels->last = NULL;
	return parcel;
}

static void parcels_drop(struct parcels *parcels)
{
	while (parcels->first) {
		struct parcel *parcel = parcel_take(parcels);
		if (parcel->reply)
			freeReplyObject(parcel->reply);
		free(parcel);
	}
}

static int64_t delay_ms(struct world *world)
{
	int64_t ms = (int64_t)sim_roll(world, 3);
	if (world->worker->slow_ms && !world->is_healed)
		ms += (int64_t)sim_roll(world, (uint64_t)world->worker->slow_ms);
	return ms;
}

/* No sooner than what was sent before it. */
static void post(struct world *world, struct parcels *parcels, struct parcel *parcel)
{
	parcel->at_ms = world->now_ms + delay_ms(world);
	if (parcels->last && parcels->last->at_ms > parcel->at_ms)
		parcel->at_ms = parcels->last->at_ms;
	parcel_add(parcels, parcel);
}

static void link_destroy(struct link *link)
{
	parcels_drop(&link->commands);
	parcels_drop(&link->replies);
	parcels_drop(&link->done);
	free(link);
}

static void links_trim(struct worker *worker)
{
	size_t kept = 0;
	for (size_t i = 0; i < worker->link_count; i++) {
		struct link *link = worker->links[i];
		if (link->is_abandoned && !link->commands.first)
			link_destroy(link);
		else
			worker->links[kept++] = link;
	}
	worker->link_count = kept;
}

/* What has left it arrives still; with repeats, what has arrived does so again. */
static void link_abandon(struct world *world, struct link *link)
{
	struct worker *worker = world->worker;
	int64_t late_ms = (int64_t)sim_roll(world, 4000);
	link->is_abandoned = true;
	parcels_drop(&link->replies);
	if (link->loses_commands)
		parcels_drop(&link->commands);
	if (link->repeats) {
		while (link->commands.first)
			parcel_add(&link->done, parcel_take(&link->commands));
		link->commands = link->done;
		link->done = (struct parcels){ 0 };
	}
	for (struct parcel *parcel = link->commands.first; parcel; parcel = parcel->next)
		if (parcel->at_ms < world->now_ms + late_ms)
			parcel->at_ms = world->now_ms + late_ms;
	if (worker->link == link)
		worker->link = NULL;
}

static void disconnect(struct world *world, const char *why)
{
	struct worker *worker = world->worker;
	if (worker->link)
		link_abandon(world, worker->link);
	redis_writer_disconnected(worker->writer, why, world->now_ms);
	worker->wake_ms = world->now_ms;
	links_trim(worker);
}

static void connect_now(struct world *world)
{
	struct worker *worker = world->worker;
	redis_writer_connecting(worker->writer, world->now_ms);
	if (worker->link_count == LINKS_MAX) {
		parcels_drop(&worker->links[0]->commands);
		links_trim(worker);
	}
	if (worker->link_count == LINKS_MAX)
		return;
	struct link *link = room_of(sizeof(*link));
	*link = (struct link){ .loses_commands = worker->loses_commands,
		.loses_replies = worker->loses_replies,
		.repeats = worker->repeats };
	worker->links[worker->link_count++] = worker->link = link;
	redis_writer_connected(worker->writer, world->now_ms);
}

static void send_out(struct world *world)
{
	struct worker *worker = world->worker;
	struct redis_out *out = redis_writer_out(worker->writer);
	size_t from = 0;
	while (worker->link && from < out->length) {
		size_t length = command_length(out->bytes + from);
		struct parcel *parcel = room_of(sizeof(*parcel) + length + 1);
		*parcel = (struct parcel){ .length = length };
		memcpy(parcel->bytes, out->bytes + from, length);
		parcel->bytes[length] = '\0';
		sim_trace(world, parcel->bytes, length < 400 ? length : 400);
		from += length;
		post(world, &worker->link->commands, parcel);
	}
	redis_writer_sent(worker->writer, from, world->now_ms);
}

static void sim_say_command(struct world *world, const struct parcel *parcel, bool is_late)
{
	char text[700];
	size_t length = 0;
	if (!world->is_verbose || strstr(parcel->bytes, "SCRIPT"))
		return;
	for (size_t i = 0; i < parcel->length && length < sizeof(text) - 1; i++) {
		if (parcel->bytes[i] == '$' || parcel->bytes[i] == '*') {
			while (i < parcel->length && parcel->bytes[i] != '\n')
				i++;
			continue;
		}
		char byte = parcel->bytes[i];
		if (byte == '\r')
			byte = ' ';
		if (byte != '\n')
			text[length++] = byte;
	}
	text[length] = '\0';
	sim_say(world, "redis%s: %s", is_late ? " (late)" : "", text);
}

static void execute(struct world *world, struct link *link)
{
	struct worker *worker = world->worker;
	struct parcel *parcel = parcel_take(&link->commands);
	bool is_register = strstr(parcel->bytes, "000000\r\n$1\r\n1\r\n") != NULL &&
		link == worker->link;
	worker->registrations += is_register && world->is_healed;
	sim_say_command(world, parcel, link->is_abandoned);
	redisReply *reply = redis_model_command(&world->redis, parcel->bytes, parcel->length);
	if (reply->type == REDIS_REPLY_ARRAY && reply->elements)
		sim_say(world, "redis answers %s", reply->element[0]->str);
	else if (reply->type == REDIS_REPLY_ERROR)
		sim_say(world, "redis answers %s", reply->str);
	if (link->repeats && !link->is_abandoned)
		parcel_add(&link->done, parcel);
	else
		free(parcel);
	if (link->is_abandoned || link->loses_replies) {
		freeReplyObject(reply);
		return;
	}
	struct parcel *back = room_of(sizeof(*back));
	*back = (struct parcel){ .reply = reply };
	post(world, &link->replies, back);
}

/* ---- the state file ---- */

enum { ROWS_MAX = 64, STRINGS_MAX = 140 };

struct file_row {
	bool is_there;
	struct presence_record record;
	char role[STRINGS_MAX], id[STRINGS_MAX], note[STRINGS_MAX];
};

struct file_device {
	bool is_there;
	char role[STRINGS_MAX], id[STRINGS_MAX], device[STRINGS_MAX], note[STRINGS_MAX];
	enum presence_status rank;
	int64_t last_seen_ms;
};

struct file_override {
	bool is_there;
	char role[STRINGS_MAX], id[STRINGS_MAX], note[STRINGS_MAX];
	enum presence_override what;
	int64_t until_ms, rev;
};

struct file_state {
	struct file_row rows[ROWS_MAX];
	struct file_device devices[ROWS_MAX];
	struct file_override overrides[ROWS_MAX];
	int64_t rev;
};

struct file_model {
	struct file_state state;
	struct mailbox *box; /* NULL: nobody has it open */
	bool is_loaded;
	int64_t wake_ms, failing_ms, resync_from_ms;
	bool must_resync;
};

static void keep_text(char out[STRINGS_MAX], const char *text)
{
	(void)snprintf(out, STRINGS_MAX, "%s", text ? text : "");
}

static struct file_row *row_of(
	struct file_state *state, const struct presence_record *record, bool is_added)
{
	struct file_row *free_row = NULL;
	for (size_t i = 0; i < ROWS_MAX; i++) {
		struct file_row *row = &state->rows[i];
		if (row->is_there && !strcmp(row->role, record->role) &&
			!strcmp(row->id, record->id))
			return row;
		if (!row->is_there && !free_row)
			free_row = row;
	}
	return is_added ? free_row : NULL;
}

static void put_row(struct file_state *state, const struct presence_record *record)
{
	struct file_row *row = row_of(state, record, true);
	row->is_there = true;
	row->record = *record;
	keep_text(row->role, record->role);
	keep_text(row->id, record->id);
	keep_text(row->note, record->note);
	row->record.role = row->role;
	row->record.id = row->id;
	row->record.note = row->note[0] ? row->note : NULL;
}

static void put_device(struct file_state *state, const struct presence_effect *effect)
{
	struct file_device *free_one = NULL, *device = NULL;
	for (size_t i = 0; i < ROWS_MAX && !device; i++) {
		struct file_device *at = &state->devices[i];
		if (at->is_there && !strcmp(at->role, effect->record.role) &&
			!strcmp(at->id, effect->record.id) && !strcmp(at->device, effect->device))
			device = at;
		if (!at->is_there && !free_one)
			free_one = at;
	}
	if (!device)
		device = free_one;
	device->is_there = effect->rank != PRESENCE_OFFLINE;
	keep_text(device->role, effect->record.role);
	keep_text(device->id, effect->record.id);
	keep_text(device->device, effect->device);
	keep_text(device->note, effect->device_note);
	device->rank = effect->rank;
	device->last_seen_ms = effect->device_last_seen_ms;
}

static void put_override(struct file_state *state, const struct presence_effect *effect)
{
	struct file_override *free_one = NULL, *override = NULL;
	for (size_t i = 0; i < ROWS_MAX && !override; i++) {
		struct file_override *at = &state->overrides[i];
		if (at->is_there && !strcmp(at->role, effect->record.role) &&
			!strcmp(at->id, effect->record.id))
			override = at;
		if (!at->is_there && !free_one)
			free_one = at;
	}
	if (!override)
		override = free_one;
	override->is_there = effect->override != PRESENCE_OVERRIDE_NONE;
	keep_text(override->role, effect->record.role);
	keep_text(override->id, effect->record.id);
	keep_text(override->note, effect->override_note);
	override->what = effect->override;
	override->until_ms = effect->override_until_ms;
	override->rev = effect->override_rev;
}

static void forget_rows(struct file_state *state, const struct presence_record *record)
{
	struct file_row *row = row_of(state, record, false);
	if (row)
		row->is_there = false;
	for (size_t i = 0; i < ROWS_MAX; i++)
		if (!strcmp(state->devices[i].role, record->role) &&
			!strcmp(state->devices[i].id, record->id))
			state->devices[i].is_there = false;
}

static void file_write(struct file_state *state, const struct presence_effect *effect)
{
	const struct presence_record *record = &effect->record;
	struct file_row *row;
	if (record->rev > state->rev)
		state->rev = record->rev;
	if (effect->override_rev > state->rev)
		state->rev = effect->override_rev;
	switch (effect->type) {
	case PRESENCE_STORE:
		if (record->rev > 0)
			put_row(state, record);
		if (effect->device && (record->rev > 0 || effect->rank == PRESENCE_OFFLINE))
			put_device(state, effect);
		break;
	case PRESENCE_STORE_OVERRIDE:
		if (record->rev > 0)
			put_row(state, record);
		put_override(state, effect);
		break;
	case PRESENCE_REFRESH:
		row = row_of(state, record, false);
		if (row && row->record.last_seen_ms < record->last_seen_ms)
			row->record.last_seen_ms = record->last_seen_ms;
		break;
	case PRESENCE_FORGOTTEN:
		forget_rows(state, record);
		break;
	case PRESENCE_PUBLISH:
	case PRESENCE_DEVICE:
	case PRESENCE_ACTIVITY:
	case PRESENCE_RESYNCED:
		break;
	}
}

static void load_devices(struct file_model *file, const struct file_row *row)
{
	for (size_t i = 0; i < ROWS_MAX; i++) {
		const struct file_device *device = &file->state.devices[i];
		struct presence_event event = { .type = PRESENCE_RESTORED_DEVICE,
			.role = device->role,
			.id = device->id,
			.device = device->device,
			.last_seen_ms = device->last_seen_ms,
			.status = device->rank,
			.note = device->note[0] ? device->note : NULL };
		if (device->is_there && !strcmp(device->role, row->role) &&
			!strcmp(device->id, row->id))
			(void)mailbox_post_event(file->box, &event);
	}
}

static void file_load(struct file_model *file)
{
	struct presence_event rev = { .type = PRESENCE_REV_SEEN, .rev = file->state.rev };
	(void)mailbox_post_event(file->box, &rev);
	for (size_t i = 0; i < ROWS_MAX; i++) {
		const struct file_override *at = &file->state.overrides[i];
		struct presence_event event = { .type = PRESENCE_RESTORED_OVERRIDE,
			.role = at->role,
			.id = at->id,
			.override = at->what,
			.note = at->note[0] ? at->note : NULL,
			.until_ms = at->until_ms,
			.rev = at->rev,
			.own = true,
			.unmatched = !strcmp(at->role, "client") };
		if (at->is_there)
			(void)mailbox_post_event(file->box, &event);
	}
	for (size_t i = 0; i < ROWS_MAX; i++) {
		const struct file_row *row = &file->state.rows[i];
		struct presence_event event = { .type = PRESENCE_RESTORED,
			.record = row->record,
			.unmatched = !strcmp(row->role, "client") };
		if (!row->is_there)
			continue;
		(void)mailbox_post_event(file->box, &event);
		load_devices(file, row);
	}
	file->is_loaded = true;
}

static void file_turn(struct world *world)
{
	struct file_model *file = world->file;
	size_t count;
	file->wake_ms = INT64_MAX;
	if (!file->box)
		return;
	if (world->now_ms < file->failing_ms && !world->is_healed) {
		file->wake_ms = file->failing_ms;
		return;
	}
	if (!file->is_loaded)
		file_load(file);
	struct store_item *item = mailbox_take(file->box, SIZE_MAX, &count);
	while (item) {
		struct store_item *next = item->next;
		file_write(&file->state, &item->effect);
		store_item_destroy(item);
		item = next;
	}
	const struct presence_event resync = { .type = PRESENCE_RESYNC,
		.targets = PRESENCE_TARGET_STORE };
	if (mailbox_take_overflow(file->box))
		(void)mailbox_post_event(file->box, &resync);
}

void file_fail(struct world *world, int64_t ms)
{
	world->file->failing_ms = world->now_ms + ms;
}

bool file_has(const struct world *world, int subject)
{
	return file_record(world, subject) != NULL;
}

const struct presence_record *file_record(const struct world *world, int subject)
{
	const struct presence_record record = { .role = sim_subjects[subject].role,
		.id = sim_subjects[subject].id };
	const struct file_row *row = row_of(&world->file->state, &record, false);
	return row ? &row->record : NULL;
}

bool file_has_override(const struct world *world, int subject, enum presence_override override)
{
	for (size_t i = 0; i < ROWS_MAX; i++) {
		const struct file_override *at = &world->file->state.overrides[i];
		if (at->is_there && !strcmp(at->role, sim_subjects[subject].role) &&
			!strcmp(at->id, sim_subjects[subject].id))
			return at->what == override;
	}
	return override == PRESENCE_OVERRIDE_NONE;
}

/* ---- store.h ---- */

struct store {
	const struct store_ops *ops;
	bool is_redis;
};

const struct store_ops store_null_ops = { .name = "none" };
const struct store_ops store_sqlite_ops = { .name = "file" };
const struct store_ops store_redis_ops = { .name = "Redis" };

static struct mailbox *box_of(const struct store *store)
{
	return store->is_redis ? the_world->worker->box : the_world->file->box;
}

static void start_writer(struct world *world, const struct store_config *config)
{
	struct worker *worker = world->worker;
	worker->writer_config = (struct redis_writer_config){ .where = "simulated",
		.node = "b1",
		.prefix = "presence",
		.boot = worker->boot,
		.host = "host",
		.version = "0",
		.pid = 1,
		.partitions = config->redis_partitions,
		.ttl_ms = config->redis_ttl_ms,
		.lease_ms = config->node_lease_ms,
		.restart_grace_ms = config->restart_grace_ms > 0 ? config->restart_grace_ms : 1,
		.stream_maxlen = config->redis_stream_maxlen,
		.seed = world->seed + world->boots };
	(void)snprintf(
		worker->boot, sizeof(worker->boot), "%016llx", (unsigned long long)world->boots);
	worker->box = mailbox_create(config->queue_max, MAILBOX_BEYOND_MIN);
	worker->writer = redis_writer_create(&worker->writer_config, worker->box);
	worker->wake_ms = world->now_ms;
	worker->must_resync = worker->is_killed = false;
	worker->resync_from_ms = 0;
	if (!worker->writer)
		abort();
}

struct store *store_create(const struct store_ops *ops, const struct store_config *config)
{
	struct store *store = room_of(sizeof(*store));
	*store = (struct store){ ops, ops == &store_redis_ops };
	struct file_model *file = the_world->file;
	if (store->is_redis) {
		start_writer(the_world, config);
		return store;
	}
	file->box = mailbox_create(config->queue_max, MAILBOX_BEYOND_MIN);
	file->is_loaded = false;
	file->wake_ms = the_world->now_ms;
	return store;
}

static void end_writer(struct world *world)
{
	struct worker *worker = world->worker;
	if (worker->link)
		link_abandon(world, worker->link);
	redis_writer_destroy(worker->writer);
	mailbox_destroy(worker->box);
	worker->writer = NULL;
	worker->box = NULL;
	worker->wake_ms = INT64_MAX;
	links_trim(worker);
}

bool store_destroy(struct store *store, int64_t wait_ms)
{
	struct world *world = the_world;
	bool is_redis = store->is_redis, is_written = true;
	free(store);
	if (!is_redis) {
		if (!world->worker->is_killed)
			file_turn(world);
		mailbox_destroy(world->file->box);
		world->file->box = NULL;
		return true;
	}
	struct worker *worker = world->worker;
	if (!worker->is_killed) {
		mailbox_leave(worker->box);
		worker->wake_ms = world->now_ms;
		world_pass_without_broker(world, world->now_ms + wait_ms);
		is_written = redis_writer_idle(worker->writer);
	}
	end_writer(world);
	return is_written;
}

static void sooner(int64_t *at_ms, int64_t ms)
{
	if (ms < *at_ms)
		*at_ms = ms;
}

void store_put(struct store *store, const struct presence_effect *effect, int64_t now_ms)
{
	switch (effect->type) {
	case PRESENCE_STORE:
	case PRESENCE_STORE_OVERRIDE:
	case PRESENCE_REFRESH:
	case PRESENCE_FORGOTTEN:
	case PRESENCE_RESYNCED:
		break;
	case PRESENCE_ACTIVITY:
		if (store->is_redis)
			break;
		return;
	case PRESENCE_PUBLISH:
	case PRESENCE_DEVICE:
		return;
	}
	(void)mailbox_put(box_of(store), effect, now_ms); /* it remembers, should it fail */
	sooner(store->is_redis ? &the_world->worker->wake_ms : &the_world->file->wake_ms,
		now_ms + (int64_t)sim_roll(the_world, SOON_MS + 1) + (store->is_redis ? 0 : 30));
}

void store_beat(struct store *store, int64_t now_ms)
{
	mailbox_beat(box_of(store), now_ms);
}

struct store_message *store_take_message(struct store *store)
{
	return mailbox_take_message(box_of(store));
}

void store_get_stats(struct store *store, int64_t now_ms, struct store_stats *stats)
{
	int64_t oldest_ms;
	(void)now_ms;
	*stats = (struct store_stats){ .has_told = true };
	if (store->is_redis)
		redis_writer_stats(the_world->worker->writer, stats, &oldest_ms);
}

const char *store_state_name(enum store_state state)
{
	(void)state;
	return "state";
}

/* ---- the worker ---- */

void worker_create(struct world *world)
{
	world->worker = room_of(sizeof(*world->worker));
	memset(world->worker, 0, sizeof(*world->worker));
	world->worker->wake_ms = INT64_MAX;
	world->file = room_of(sizeof(*world->file));
	memset(world->file, 0, sizeof(*world->file));
	world->file->wake_ms = INT64_MAX;
}

void worker_destroy(struct world *world)
{
	struct worker *worker = world->worker;
	for (size_t i = 0; i < worker->link_count; i++)
		link_destroy(worker->links[i]);
	free(worker);
	free(world->file);
}

void worker_kill(struct world *world)
{
	world->worker->is_killed = true;
}

void worker_stall(struct world *world, int64_t ms)
{
	world->worker->stalled_ms = world->now_ms + ms;
}

bool worker_is_idle(const struct world *world)
{
	return !world->worker->writer || redis_writer_idle(world->worker->writer);
}

int64_t worker_lag_ms(const struct world *world)
{
	struct store_stats stats;
	int64_t oldest_ms, waiting_ms;
	uint64_t waiting, merged, lost;
	redis_writer_stats(world->worker->writer, &stats, &oldest_ms);
	mailbox_get_counts(world->worker->box, &waiting, &waiting_ms, &merged, &lost);
	if (waiting_ms && (!oldest_ms || waiting_ms < oldest_ms))
		oldest_ms = waiting_ms;
	return oldest_ms ? world->now_ms - oldest_ms : 0;
}

enum store_state worker_state(const struct world *world)
{
	struct store_stats stats = { .state = STORE_CONNECTING };
	int64_t oldest_ms;
	if (world->worker->writer)
		redis_writer_stats(world->worker->writer, &stats, &oldest_ms);
	return stats.state;
}

uint64_t worker_registrations(const struct world *world)
{
	return world->worker->registrations;
}

static int64_t max_ms(int64_t one, int64_t other)
{
	return one > other ? one : other;
}

int64_t worker_next_ms(const struct world *world)
{
	const struct worker *worker = world->worker;
	int64_t next_ms = world->file->wake_ms;
	if (worker->writer)
		sooner(&next_ms, max_ms(worker->wake_ms, worker->stalled_ms));
	for (size_t i = 0; i < worker->link_count; i++) {
		const struct link *link = worker->links[i];
		if (link->commands.first && (!link->loses_commands || link->is_abandoned))
			sooner(&next_ms, max_ms(link->commands.first->at_ms, worker->hung_ms));
		if (link->replies.first && worker->writer && link == worker->link)
			sooner(&next_ms, max_ms(link->replies.first->at_ms, worker->stalled_ms));
	}
	return next_ms;
}

static void hear_replies(struct world *world)
{
	struct worker *worker = world->worker;
	while (worker->link && worker->link->replies.first &&
		worker->link->replies.first->at_ms <= world->now_ms) {
		struct parcel *parcel = parcel_take(&worker->link->replies);
		redis_writer_reply(worker->writer, parcel->reply, world->now_ms);
		free(parcel);
		if (redis_writer_wants_close(worker->writer))
			disconnect(world, NULL);
	}
}

static void ask_again(struct world *world)
{
	struct worker *worker = world->worker;
	const struct presence_event resync = { .type = PRESENCE_RESYNC,
		.targets = PRESENCE_TARGET_STORE };
	if (mailbox_take_overflow(worker->box))
		worker->must_resync = true;
	if (!worker->must_resync)
		return;
	if (world->now_ms >= worker->resync_from_ms && !mailbox_post_event(worker->box, &resync)) {
		worker->must_resync = false;
		worker->resync_from_ms = world->now_ms + RESYNC_PAUSE_MS;
	}
	sooner(&worker->wake_ms, max_ms(worker->resync_from_ms, world->now_ms + 1));
}

static void step(struct world *world)
{
	struct worker *worker = world->worker;
	hear_replies(world);
	if (!worker->link && redis_writer_wants_connection(worker->writer, world->now_ms))
		connect_now(world);
	redis_writer_step(worker->writer, world->now_ms, world->now_ms + world->wall_offset_ms);
	send_out(world);
	if (redis_writer_wants_close(worker->writer))
		disconnect(world, NULL);
	worker->wake_ms = redis_writer_deadline(worker->writer);
	if (worker->wake_ms <= world->now_ms)
		worker->wake_ms = world->now_ms + 1;
	ask_again(world);
}

void worker_turn(struct world *world)
{
	struct worker *worker = world->worker;
	if (world->file->wake_ms <= world->now_ms)
		file_turn(world);
	for (size_t i = 0; i < worker->link_count && worker->hung_ms <= world->now_ms; i++) {
		struct link *link = worker->links[i];
		while (link->commands.first && link->commands.first->at_ms <= world->now_ms &&
			(!link->loses_commands || link->is_abandoned))
			execute(world, link);
	}
	links_trim(worker);
	bool has_replies = worker->link && worker->link->replies.first &&
		worker->link->replies.first->at_ms <= world->now_ms;
	if (worker->writer && worker->stalled_ms <= world->now_ms &&
		(worker->wake_ms <= world->now_ms || has_replies))
		step(world);
}

/* ---- what happens to the network ---- */

void net_cut(struct world *world)
{
	if (world->worker->writer && world->worker->link)
		disconnect(world, "cut");
}

void net_hang_redis(struct world *world, int64_t ms)
{
	world->worker->hung_ms = world->now_ms + ms;
}

void net_slow(struct world *world, int64_t ms)
{
	world->worker->slow_ms = ms;
}

void net_lose(struct world *world, bool commands)
{
	struct worker *worker = world->worker;
	bool on = sim_roll(world, 2) == 0;
	if (commands)
		worker->loses_commands = on;
	else
		worker->loses_replies = on;
	if (worker->link) {
		worker->link->loses_commands |= worker->loses_commands;
		worker->link->loses_replies |= worker->loses_replies;
	}
}

void net_repeat_late(struct world *world)
{
	world->worker->repeats = true;
	if (world->worker->link)
		world->worker->link->repeats = true;
}

void net_heal(struct world *world)
{
	struct worker *worker = world->worker;
	worker->hung_ms = worker->stalled_ms = worker->slow_ms = 0;
	worker->loses_commands = worker->loses_replies = worker->repeats = false;
	for (size_t i = 0; i < worker->link_count; i++) {
		struct link *link = worker->links[i];
		link->repeats = false;
		parcels_drop(&link->done);
		if (!link->is_abandoned && (link->loses_commands || link->loses_replies))
			link->loses_replies = true; /* it is dead, and will be given up */
	}
}
