/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
/* What must hold: after each turn, with each publish, with each entry of Redis' stream, and when
 * the faults are over. It looks at what clients did and what watchers see, not at the code between.
 */

#include <stdio.h>

#include "room.h"
#include "sim.h"
#include "wire/record.h"

enum {
	SLACK_MS = 1500,
	STALL_GRACE_MS = 3000,
	RESTORE_MS = 6000,
	LAG_MS = 500,
	TURN_MS = 150,
	REGISTRATIONS_MAX = 8
};

int subject_of_topic(const char *topic)
{
	for (int i = 0; i < SUBJECTS; i++)
		if (!strcmp(sim_subjects[i].topic, topic))
			return i;
	return -1;
}

int subject_of_name(const char *role, const char *id)
{
	for (int i = 0; i < SUBJECTS; i++)
		if (!strcmp(sim_subjects[i].role, role) && !strcmp(sim_subjects[i].id, id))
			return i;
	return -1;
}

void truth_init(struct world *world)
{
	for (int i = 0; i < CLIENTS; i++)
		world->truth.clients[i].is_declared_known = true;
	for (int i = 0; i < SUBJECTS; i++)
		world->truth.subjects[i].is_override_known = true;
}

/* ---- clients come and go ---- */

static int64_t longest_grace_ms(const struct world *world)
{
	const struct settings *settings = &world->settings;
	int64_t ms = STALL_GRACE_MS;
	if (settings->grace_ms > ms)
		ms = settings->grace_ms;
	return ms;
}

void truth_connected(struct world *world, int client, struct mosquitto *connection)
{
	struct true_client *who = &world->truth.clients[client];
	bool is_takeover = who->connection != NULL || who->gone_ms == world->now_ms;
	int64_t away_ms = world->now_ms - who->gone_ms;
	sim_say(world, "%s is connected", sim_clients[client].id);
	/* Whether it was back in time, and so what it had declared still holds, is known only when
	 * it is clear; what it had said before it was silent does not. */
	bool is_held = world->settings.is_guarded && who->birth_ms == world->now_ms;
	if (who->is_silent || who->is_frozen || is_held) /* held: taken for its will */
		who->is_declared_known = false;
	else if (!is_takeover && away_ms > longest_grace_ms(world) + SLACK_MS &&
		world->now_ms - world->truth.boot_ms >
			world->settings.restart_grace_ms + longest_grace_ms(world) + RESTORE_MS &&
		world->now_ms - world->truth.stall_ms > longest_grace_ms(world) + SLACK_MS) {
		who->is_declared = false;
		who->is_declared_known = true;
		who->note[0] = '\0';
	} else if (!is_takeover || world->settings.version != V2_1) {
		who->is_declared_known = who->is_declared_known && !who->is_declared;
	} else if (who->gone_ms != world->now_ms) {
		who->is_declared_known = who->is_declared_known && !who->is_declared;
	}
	who->connection = connection;
	who->reconnect_ms = 0;
	who->has_been_seen = who->is_silent = who->has_beaten = who->is_frozen = false;
	who->came_ms = world->now_ms;
	who->is_wanted = true;
}

void truth_gone(struct world *world, int client)
{
	struct true_client *who = &world->truth.clients[client];
	sim_say(world, "%s is gone", sim_clients[client].id);
	who->connection = NULL;
	who->gone_ms = world->now_ms;
	/* A client that is thrown out comes back, soon or not. */
	if (who->is_wanted && !who->is_frozen)
		who->reconnect_ms = world->now_ms + 200 + (int64_t)sim_roll(world, 3000);
	int subject = sim_clients[client].subject_index;
	if (subject < 0)
		return;
	world->truth.subjects[subject].up_ms = world->now_ms;
}

void truth_ended(struct world *world, const char *client_id)
{
	for (int i = 0; i < CLIENTS; i++)
		if (sim_clients[i].subject_index >= 0 && !strcmp(sim_clients[i].id, client_id))
			world->truth.subjects[sim_clients[i].subject_index].repeat_ms =
				world->now_ms;
}

static bool redis_has_override(struct world *world, int subject)
{
	char key[64], word[64];
	const struct true_subject *who = &world->truth.subjects[subject];
	if (!world->settings.has_redis)
		return false;
	for (unsigned p = 0; p < world->settings.partitions; p++) {
		(void)snprintf(key, sizeof(key), "presence:{%u}:overrides", p);
		const char *value = redis_model_field(
			&world->redis, key, sim_subjects[subject].name);
		if (!value)
			continue;
		(void)snprintf(word, sizeof(word), "\"status\":\"%s\"",
			presence_override_name(who->override));
		bool is_none = strstr(value, "\"status\":\"none\"");
		return who->override == PRESENCE_OVERRIDE_NONE ? is_none
							       : strstr(value, word) != NULL;
	}
	return who->override == PRESENCE_OVERRIDE_NONE;
}

static bool is_known_anywhere(struct world *world, int subject)
{
	char key[96];
	for (unsigned p = 0; world->settings.has_redis && p < world->settings.partitions; p++) {
		(void)snprintf(key, sizeof(key), "presence:{%u}:subject:%s", p,
			sim_subjects[subject].name);
		if (redis_model_find(&world->redis, key))
			return true;
	}
	return world->settings.has_file && file_has(world, subject);
}

/* The broker is over, one way or another. What was not written by then may be forgotten. */
void truth_crashed(struct world *world)
{
	struct truth *truth = &world->truth;
	/* What is online is refreshed by then. */
	bool is_recent_harm = world->now_ms - truth->harm_ms < RESTORE_MS && truth->harm_ms;
	for (int i = 0; i < CLIENTS; i++) {
		struct true_client *client = &truth->clients[i];
		if (client->connection)
			truth_gone(world, i);
		client->reconnect_ms = client->linger_ms = 0;
		client->is_declared_known = client->is_declared_known && !client->is_declared;
	}
	for (int i = 0; i < SUBJECTS; i++) {
		struct true_subject *subject = &truth->subjects[i];
		bool is_in_file = world->settings.has_file &&
			file_has_override(world, i, subject->override);
		bool is_in_redis = redis_has_override(world, i);
		bool is_agreed = world->settings.has_file && world->settings.has_redis
			? is_in_file && is_in_redis
			: is_in_file || is_in_redis;
		if (!is_agreed || is_recent_harm || world->settings.retain_ms < 60000 ||
			world->now_ms - subject->override_ms < SLACK_MS)
			subject->is_override_known = false;
		/* The next boot goes by what Redis had no time to hear again. */
		if (is_recent_harm)
			subject->may_be_left = true;
		/* The broker's own file of retained messages is younger than what stores know only
		 * by chance. */
		if (!is_known_anywhere(world, i) || sim_roll(world, 4) == 0)
			truth->shown[i].is_there = false;
	}
}

void truth_started(struct world *world)
{
	struct truth *truth = &world->truth;
	truth->boot_ms = truth->stall_ms = world->now_ms;
	truth->rev = truth->ready_ms = 0;
	truth->device_count = 0;
	for (int i = 0; i < SUBJECTS; i++) {
		truth->shown[i].is_of_boot = truth->shown[i].is_foreign = false;
		truth->subjects[i].repeat_ms = INT64_MAX / 2;
		truth->subjects[i].restored = 0;
		truth->subjects[i].is_unwritten = truth->shown[i].is_there && !file_has(world, i);
		truth->typing[i] = 0;
	}
}

void truth_harmed(struct world *world)
{
	struct truth *truth = &world->truth;
	truth->harm_ms = world->now_ms;
	truth->is_chain_broken = true;
	bool has_read = truth->ready_ms && world->now_ms - truth->ready_ms > RESTORE_MS;
	if (broker_is_up(world) && has_read)
		return;
	/* What an earlier boot had said may be lost before this one has read it. */
	for (int i = 0; i < SUBJECTS; i++) {
		truth->subjects[i].is_override_known = false;
		truth->subjects[i].may_be_left = true;
		if (!truth->shown[i].is_of_boot && !is_known_anywhere(world, i))
			truth->shown[i].is_there = false;
	}
}

/* ---- what watchers see ---- */

static void check_offline(struct world *world, const struct presence_record *record, int subject)
{
	if (record->status != PRESENCE_OFFLINE)
		return;
	if (record->note || record->until_ms || record->devices ||
		record->source == PRESENCE_MANUAL)
		sim_fail(world, "%s: an offline record tells more than that",
			sim_subjects[subject].topic);
}

static bool same_text(const char *one, const char *other)
{
	return !strcmp(one ? one : "", other ? other : "");
}

static bool is_same(const struct presence_record *one, const struct presence_record *other)
{
	return one->status == other->status && one->devices == other->devices &&
		one->until_ms == other->until_ms && same_text(one->note, other->note);
}

static int stores(const struct world *world)
{
	return world->settings.has_file + world->settings.has_redis;
}

static void check_next(
	struct world *world, const struct presence_record *record, int subject, const char *payload)
{
	struct truth *truth = &world->truth;
	const struct shown *was = &truth->shown[subject];
	const char *topic = sim_subjects[subject].topic;
	bool is_said_again = was->is_of_boot && was->record.rev == record->rev;
	if (is_said_again) {
		if (strcmp(was->payload, payload) != 0)
			sim_fail(world, "%s: two records under one rev", topic);
		return;
	}
	if (record->rev <= truth->rev)
		sim_fail(world, "%s: rev %lld after %lld", topic, (long long)record->rev,
			(long long)truth->rev);
	truth->rev = record->rev;
	if (!was->is_of_boot || !was->is_there)
		return;
	bool is_other = was->record.status != record->status;
	bool is_of_past = !is_other &&
		(was->record.since_ms != record->since_ms ||
			was->record.previous != record->previous);
	bool is_nothing = is_same(&was->record, record);
	/* Once in a boot and store, or twice when reading was interrupted: what an earlier one knew
	 * of it came late, or it is judged. */
	bool may_be = world->boots > 1 && truth->subjects[subject].restored < 2 * stores(world);
	if (is_other && record->previous != was->record.status)
		sim_fail(world, "%s: previous is not what was before", topic);
	/* Its will may have stood there. */
	bool may_repeat = world->now_ms - truth->subjects[subject].repeat_ms <= SLACK_MS;
	if (!is_of_past && (!is_nothing || may_repeat))
		return;
	truth->subjects[subject].restored++;
	if (may_be)
		return;
	sim_fail(world, "%s: %s", topic,
		is_of_past ? "since or previous changed without the status"
			   : "published without a change");
}

static bool is_hidden(const struct world *world, int subject)
{
	const struct true_subject *who = &world->truth.subjects[subject];
	/* After a start it has to be read first. */
	if (who->override_ms < world->truth.boot_ms)
		return false;
	/* Nothing is checked close to its end. */
	return who->is_override_known && who->override == PRESENCE_OVERRIDE_INVISIBLE &&
		(!who->override_until_ms ||
			(!world->truth.is_clock_odd &&
				who->override_until_ms >
					world->now_ms + world->wall_offset_ms + SLACK_MS));
}

static void retain_record(struct world *world, int subject, const char *payload, size_t length)
{
	struct truth *truth = &world->truth;
	struct shown *shown = &truth->shown[subject];
	struct presence_record record;
	struct record_storage *storage;
	if (record_read(payload, length, &record, &storage)) {
		sim_fail(world, "%s: not a record", sim_subjects[subject].topic);
		return;
	}
	char text[sizeof(shown->payload)];
	(void)snprintf(text, sizeof(text), "%.*s", (int)length, payload);
	check_offline(world, &record, subject);
	check_next(world, &record, subject, text);
	if (is_hidden(world, subject) && record.status != PRESENCE_OFFLINE &&
		world->now_ms - truth->subjects[subject].override_ms > TURN_MS)
		sim_fail(world, "%s: invisible, and seen", sim_subjects[subject].topic);
	*shown = (struct shown){ .is_there = true, .is_of_boot = true, .record = record };
	(void)snprintf(shown->note, sizeof(shown->note), "%s", record.note ? record.note : "");
	(void)snprintf(shown->payload, sizeof(shown->payload), "%s", text);
	shown->record.role = shown->record.id = NULL;
	shown->record.note = record.note ? shown->note : NULL;
	if (truth->subjects[subject].repeat_ms > world->now_ms)
		truth->subjects[subject].repeat_ms = 0;
	record_free(storage);
	truth->publishes++;
}

static void retain_device(
	struct world *world, const char *topic, const char *payload, size_t length)
{
	struct truth *truth = &world->truth;
	size_t i = 0;
	while (i < truth->device_count && strcmp(truth->devices[i].topic, topic) != 0)
		i++;
	if (i == RETAINED_DEVICES_MAX)
		return;
	if (i == truth->device_count)
		truth->device_count++;
	(void)snprintf(truth->devices[i].topic, sizeof(truth->devices[i].topic), "%s", topic);
	truth->devices[i].is_online = length && !strstr(payload, "\"status\":\"offline\"");
}

void truth_retained(
	struct world *world, const char *topic, const void *payload, size_t length, bool is_foreign)
{
	int subject = subject_of_topic(topic);
	char text[1024];
	if (subject < 0) {
		(void)snprintf(text, sizeof(text), "%.*s", (int)length,
			payload ? (const char *)payload : "");
		if (strstr(topic, "/devices/"))
			retain_device(world, topic, text, length);
		return;
	}
	struct shown *shown = &world->truth.shown[subject];
	if (is_foreign) {
		sim_say(world, "will on %s", topic);
		/* Whom nobody may see, and whom nobody remembers, the plugin leaves alone. */
		const struct true_subject *who = &world->truth.subjects[subject];
		bool may_be_hidden = !who->is_override_known ||
			who->override == PRESENCE_OVERRIDE_INVISIBLE;
		shown->is_foreign = shown->is_there && !may_be_hidden;
		shown->foreign_ms = world->now_ms;
		if (world->settings.is_guarded)
			sim_fail(world, "%s: a will got through the guard", topic);
		return;
	}
	if (!length) {
		*shown = (struct shown){ 0 };
		world->truth.typing[subject] = 0;
		return;
	}
	retain_record(world, subject, payload, length);
}

void truth_typing(struct world *world, const char *topic, const char *bytes, size_t length)
{
	char payload[1024];
	(void)snprintf(payload, sizeof(payload), "%.*s", (int)length, bytes ? bytes : "");
	for (int i = 0; i < SUBJECTS; i++) {
		const char *name = sim_subjects[i].topic + strlen("presence/");
		size_t at = strlen(topic) - strlen(name);
		if (strlen(topic) <= strlen(name) || strcmp(topic + at, name) != 0)
			continue;
		int bit = strstr(topic, "/c1/") ? 2 : 1;
		bool is_on = strstr(payload, "\"active\":true");
		if (is_on && is_hidden(world, i) &&
			world->now_ms - world->truth.subjects[i].override_ms > SLACK_MS)
			sim_fail(world, "%s: invisible, and types", name);
		world->truth.typing[i] = is_on ? world->truth.typing[i] | bit
					       : world->truth.typing[i] & ~bit;
	}
}

/* ---- after each turn of the loop ---- */

/* There for sure: nothing that happened could make it count as gone. */
static bool is_solid(const struct world *world, const struct true_client *client)
{
	if (!client->connection)
		return client->linger_ms > world->now_ms + TURN_MS;
	return client->has_been_seen && !client->is_silent && !client->has_beaten &&
		client->came_ms < world->now_ms;
}

static bool is_gone_long(const struct world *world, int subject)
{
	const struct truth *truth = &world->truth;
	int64_t from_ms = truth->subjects[subject].up_ms;
	for (int i = 0; i < CLIENTS; i++)
		if (sim_clients[i].subject_index == subject && truth->clients[i].connection)
			return false;
	if (truth->stall_ms > from_ms)
		from_ms = truth->stall_ms;
	int64_t bound_ms = longest_grace_ms(world) + SLACK_MS;
	if (world->settings.is_out_of_budget)
		bound_ms += 2 * SLACK_MS;
	/* After a start, those of before are read first, which needs a healthy store. */
	if (world->boots > 1) {
		int64_t read_ms = truth->boot_ms + world->settings.restart_grace_ms + RESTORE_MS;
		if (!world->is_healed && world->now_ms - truth->boot_ms < 30000)
			return false;
		if (world->is_healed && world->heal_ms + RESTORE_MS > read_ms)
			read_ms = world->heal_ms + RESTORE_MS + world->settings.restart_grace_ms;
		if (read_ms > from_ms)
			from_ms = read_ms;
	}
	return world->now_ms - from_ms > bound_ms;
}

/* Presence answers for what stands there: this boot said it, or had to find it. */
static bool is_ours(const struct world *world, int subject)
{
	const struct shown *shown = &world->truth.shown[subject];
	const struct true_subject *who = &world->truth.subjects[subject];
	if (shown->is_of_boot || (world->settings.has_file && !who->is_unwritten))
		return true;
	return world->settings.has_redis && !who->may_be_left;
}

static void check_subject(struct world *world, int subject)
{
	const struct truth *truth = &world->truth;
	const struct shown *shown = &truth->shown[subject];
	bool is_solid_one = false,
	     is_online = shown->is_there && shown->record.status != PRESENCE_OFFLINE;
	for (int i = 0; i < CLIENTS; i++)
		if (sim_clients[i].subject_index == subject && is_solid(world, &truth->clients[i]))
			is_solid_one = true;
	const struct true_subject *who = &truth->subjects[subject];
	bool may_be_hidden = !who->is_override_known ||
		who->override == PRESENCE_OVERRIDE_INVISIBLE;
	if (is_solid_one && !is_online && !may_be_hidden)
		sim_fail(world, "%s is online, and shown as %s", sim_subjects[subject].topic,
			shown->is_there ? shown->payload : "nothing");
	if (is_online && is_gone_long(world, subject) && is_ours(world, subject))
		sim_fail(world, "%s is gone for long, and shown as %s", sim_subjects[subject].topic,
			shown->payload);
}

/* A will that stood where the record should is overwritten. */
static void check_repaired(struct world *world, int subject)
{
	const struct shown *shown = &world->truth.shown[subject];
	const struct true_subject *who = &world->truth.subjects[subject];
	bool may_be_hidden = !who->is_override_known ||
		who->override == PRESENCE_OVERRIDE_INVISIBLE;
	if (shown->is_foreign && !may_be_hidden && shown->is_of_boot &&
		world->now_ms - shown->foreign_ms > SLACK_MS)
		sim_fail(world, "%s: a client's will stands there", sim_subjects[subject].topic);
}

/* What the plugin said in this turn is shown with the next one. */
static bool is_all_said(const struct world *world)
{
	return broker_next_ms(world) > world->now_ms + 1;
}

void truth_turned(struct world *world)
{
	if (!world->truth.ready_ms && worker_state(world) == STORE_READY)
		world->truth.ready_ms = world->now_ms;
	if (!is_all_said(world))
		return;
	for (int i = 0; i < SUBJECTS; i++) {
		check_subject(world, i);
		check_repaired(world, i);
	}
}

/* ---- Redis' stream ---- */

static const char *value_of(const char *entry, const char *field, char out[64])
{
	size_t length = strlen(field);
	out[0] = '\0';
	for (bool is_field = true; *entry; is_field = !is_field) {
		size_t size = strcspn(entry, "\t");
		const char *value = entry + size + 1;
		if (is_field && size == length && !memcmp(entry, field, length)) {
			(void)snprintf(out, 64, "%.*s", (int)strcspn(value, "\t"), value);
			return out;
		}
		entry = value;
	}
	return out;
}

static int64_t number_of(const char *entry, const char *field)
{
	char text[64];
	return strtoll(value_of(entry, field, text), NULL, 10);
}

static void check_seq(struct world *world, const char *entry, int subject)
{
	struct truth *truth = &world->truth;
	char boot[64];
	(void)value_of(entry, "boot", boot);
	if (strcmp(boot, truth->event_boot) != 0) {
		/* In a Redis that knows nothing any more, anybody's late word counts for a moment.
		 */
		if (strcmp(boot, truth->event_boot) < 0 &&
			world->now_ms - truth->harm_ms > RESTORE_MS)
			sim_fail(world, "an earlier boot writes after a later one: %s", entry);
		memset(truth->event_seq, 0, sizeof(truth->event_seq));
		(void)snprintf(truth->event_boot, sizeof(truth->event_boot), "%.19s", boot);
	}
	/* Of one subject, so of one partition; a sweep speaks under the last one. */
	int64_t seq = number_of(entry, "seq");
	if (seq < truth->event_seq[subject] && !truth->is_chain_broken)
		sim_fail(world, "seq %lld after %lld: %s", (long long)seq,
			(long long)truth->event_seq[subject], entry);
	truth->event_seq[subject] = seq;
}

void truth_event(void *context, const char *entry)
{
	struct world *world = context;
	struct truth *truth = &world->truth;
	char type[64], role[64], id[64];
	(void)value_of(entry, "t", type);
	truth->events++;
	sim_say(world, "event %s", entry);
	if (!strcmp(type, "gen")) {
		truth->is_chain_broken = false;
		memset(truth->event_rev, 0, sizeof(truth->event_rev));
		memset(truth->event_seq, 0, sizeof(truth->event_seq));
	}
	if (strcmp(type, "set") != 0 && strcmp(type, "forget") != 0)
		return;
	int subject = subject_of_name(value_of(entry, "role", role), value_of(entry, "id", id));
	if (subject < 0) {
		sim_fail(world, "an event about nobody: %s", entry);
		return;
	}
	int64_t rev = number_of(entry, "rev"), previous = number_of(entry, "prev_rev");
	check_seq(world, entry, subject);
	if (!truth->is_chain_broken && previous && truth->event_rev[subject] &&
		previous != truth->event_rev[subject])
		sim_fail(world, "the chain of %s breaks: prev_rev %lld, was %lld", entry,
			(long long)previous, (long long)truth->event_rev[subject]);
	if (!truth->is_chain_broken && rev <= truth->event_rev[subject])
		sim_fail(world, "rev %lld after %lld: %s", (long long)rev,
			(long long)truth->event_rev[subject], entry);
	truth->event_rev[subject] = rev;
}

/* ---- when the faults are over ---- */

struct expected {
	bool is_sure; /* of status and note */
	bool is_up_sure;
	enum presence_status status;
	uint32_t devices;
	const char *note;
};

static bool is_up(const struct true_client *client)
{
	return client->connection && !client->is_silent && !client->is_frozen;
}

static void expect_devices(const struct world *world, int subject, struct expected *expected)
{
	expected->status = PRESENCE_OFFLINE;
	expected->is_sure = expected->is_up_sure = true;
	for (int i = 0; i < CLIENTS; i++) {
		const struct true_client *client = &world->truth.clients[i];
		if (sim_clients[i].subject_index != subject || !is_up(client))
			continue;
		enum presence_status status = client->is_declared ? client->declared
			: world->settings.away_after_ms           ? PRESENCE_AWAY
								  : PRESENCE_ONLINE;
		expected->devices++;
		if (!client->is_declared_known)
			expected->is_sure = false;
		if (client->is_declared && !client->is_declared_known &&
			client->declared == PRESENCE_OFFLINE)
			status = PRESENCE_ONLINE;
		if (status > expected->status)
			expected->status = status;
	}
}

static bool is_over(const struct world *world, const struct true_subject *who, bool *is_sure)
{
	int64_t wall_ms = world->now_ms + world->wall_offset_ms;
	if (!who->override_until_ms)
		return false;
	int64_t left_ms = who->override_until_ms - wall_ms;
	if (world->truth.is_clock_odd || (left_ms > -SLACK_MS && left_ms < SLACK_MS))
		*is_sure = false;
	return left_ms <= 0;
}

/* Nobody of it went so lately that they may still linger. */
static bool is_calm(const struct world *world, int subject)
{
	return world->now_ms - world->truth.subjects[subject].up_ms >
		longest_grace_ms(world) + SLACK_MS;
}

static void expect(const struct world *world, int subject, struct expected *expected)
{
	static const enum presence_status shows[] = {
		[PRESENCE_OVERRIDE_ONLINE] = PRESENCE_ONLINE,
		[PRESENCE_OVERRIDE_AWAY] = PRESENCE_AWAY,
		[PRESENCE_OVERRIDE_DND] = PRESENCE_DND,
		[PRESENCE_OVERRIDE_INVISIBLE] = PRESENCE_OFFLINE,
	};
	const struct true_subject *who = &world->truth.subjects[subject];
	*expected = (struct expected){ 0 };
	expect_devices(world, subject, expected);
	if (!is_calm(world, subject))
		expected->is_sure = expected->is_up_sure = false;
	if (!expected->devices)
		return;
	bool is_sure = who->is_override_known;
	if (who->override != PRESENCE_OVERRIDE_NONE && !is_over(world, who, &is_sure)) {
		expected->status = shows[who->override];
		expected->note = who->override_note;
		/* It decides, whatever the devices declared. */
		expected->is_up_sure = expected->is_up_sure && is_sure;
		expected->is_sure = expected->is_up_sure;
		if (expected->status == PRESENCE_OFFLINE)
			expected->devices = 0;
	} else if (!is_sure) {
		expected->is_sure = expected->is_up_sure = false;
	}
}

static void check_shown(struct world *world, int subject)
{
	struct expected expected;
	const struct shown *shown = &world->truth.shown[subject];
	const char *topic = sim_subjects[subject].topic;
	expect(world, subject, &expected);
	enum presence_status status = shown->is_there ? shown->record.status : PRESENCE_OFFLINE;
	if (!is_ours(world, subject) || !expected.is_up_sure)
		return;
	if ((status == PRESENCE_OFFLINE) != (expected.status == PRESENCE_OFFLINE) ||
		(shown->is_there && shown->record.devices != expected.devices))
		sim_fail(world, "%s ends as %s, and has %u devices up (%s)", topic,
			shown->is_there ? shown->payload : "nothing", expected.devices,
			presence_status_name(expected.status));
	else if (expected.is_sure && status != expected.status)
		sim_fail(world, "%s ends as %s, and should be %s", topic, shown->payload,
			presence_status_name(expected.status));
	else if (expected.is_sure && expected.note && shown->is_there &&
		status != PRESENCE_OFFLINE && !same_text(shown->note, expected.note))
		sim_fail(world, "%s ends as %s, and should have note %s", topic, shown->payload,
			expected.note);
	if (shown->is_foreign)
		sim_fail(world, "%s ends as a client's will", topic);
}

static bool redis_is(struct world *world, const char *key, const char *field, const char *expected)
{
	const char *value = redis_model_field(&world->redis, key, field);
	return same_text(value, expected);
}

static bool redis_is_number(
	struct world *world, const char *key, const char *field, int64_t expected)
{
	const char *value = redis_model_field(&world->redis, key, field);
	return (value ? strtoll(value, NULL, 10) : 0) == expected;
}

static const char *key_of_subject(struct world *world, int subject, const char *kind, char key[96])
{
	unsigned partition = 0;
	for (unsigned p = 0; p < world->settings.partitions; p++) {
		(void)snprintf(key, 96, "presence:{%u}:%s%s", p, kind, sim_subjects[subject].name);
		if (redis_model_find(&world->redis, key))
			return key;
	}
	(void)snprintf(key, 96, "presence:{%u}:%s%s", partition, kind, sim_subjects[subject].name);
	return key;
}

static unsigned entries_of_node(const struct redis_key *state)
{
	unsigned count = 0;
	for (size_t i = 0; state && i < state->count; i++)
		count += !strncmp(state->fields[i].name, "d:b1/", 5);
	return count;
}

static unsigned devices_up(const struct world *world, int subject)
{
	unsigned count = 0;
	for (int i = 0; i < CLIENTS; i++)
		count += sim_clients[i].subject_index == subject && is_up(&world->truth.clients[i]);
	return count;
}

static void check_online_set(struct world *world, int subject, bool is_online)
{
	char key[96];
	const char *id = strchr(sim_subjects[subject].name, '/') + 1;
	bool is_in = false;
	for (unsigned p = 0; p < world->settings.partitions; p++) {
		(void)snprintf(
			key, sizeof(key), "presence:{%u}:online:%s", p, sim_subjects[subject].role);
		const struct redis_key *set = redis_model_find(&world->redis, key);
		is_in = is_in || (set && redis_key_field(set, id));
	}
	/* Who has no record there does not count. */
	is_in = is_in &&
		redis_model_find(&world->redis, key_of_subject(world, subject, "subject:", key));
	if (is_in != is_online)
		sim_fail(world, "%s is%s in Redis' set of those who are online",
			sim_subjects[subject].name, is_in ? "" : " not");
}

static void check_redis(struct world *world, int subject)
{
	char key[96], state[96];
	const struct shown *shown = &world->truth.shown[subject];
	if (world->truth.subjects[subject].may_be_left || !is_calm(world, subject))
		return;
	const struct presence_record *record = &shown->record;
	const struct redis_key *hash = redis_model_find(
		&world->redis, key_of_subject(world, subject, "subject:", key));
	bool is_online = shown->is_there && record->status != PRESENCE_OFFLINE;
	unsigned entries = entries_of_node(
		redis_model_find(&world->redis, key_of_subject(world, subject, "state:", state)));
	check_online_set(world, subject, is_online);
	/* Of whom nobody may see, Redis may know nothing at all. */
	bool may_be_hidden = !world->truth.subjects[subject].is_override_known ||
		world->truth.subjects[subject].override == PRESENCE_OVERRIDE_INVISIBLE;
	if (entries != devices_up(world, subject) && !may_be_hidden)
		sim_fail(world, "Redis has %u devices of %s, and %u are up", entries,
			sim_subjects[subject].name, devices_up(world, subject));
	const char *status = redis_model_field(&world->redis, key, "status");
	if (!is_online) {
		/* What is offline may have been forgotten, or evicted, here or there. */
		if (hash && !same_text(status, "offline"))
			sim_fail(world, "Redis has %s as %s, and it is offline", key, status);
		return;
	}
	if (!hash || !same_text(status, presence_status_name(record->status)) ||
		!redis_is_number(world, key, "devices", record->devices) ||
		!redis_is_number(world, key, "until", record->until_ms) ||
		!redis_is(world, key, "note", record->note ? record->note : "") ||
		!redis_is_number(world, key, "since", record->since_ms) ||
		!redis_is(world, key, "previous", presence_status_name(record->previous)))
		sim_fail(world,
			"Redis' record %s (%s, since %s, previous %s, devices %s) is not %s", key,
			status ? status : "none",
			hash ? redis_model_field(&world->redis, key, "since") : "",
			hash ? redis_model_field(&world->redis, key, "previous") : "",
			hash ? redis_model_field(&world->redis, key, "devices") : "",
			shown->payload);
}

static void check_file(struct world *world, int subject)
{
	const struct shown *shown = &world->truth.shown[subject];
	const struct presence_record *kept = file_record(world, subject);
	bool is_online = shown->is_there && shown->record.status != PRESENCE_OFFLINE;
	if (!is_ours(world, subject))
		return;
	if (is_calm(world, subject) && is_online != (kept && kept->status != PRESENCE_OFFLINE))
		sim_fail(world, "the state file has %s as %s, and it is shown as %s",
			sim_subjects[subject].name,
			kept ? presence_status_name(kept->status) : "nothing",
			shown->is_there ? shown->payload : "nothing");
}

static void check_devices(struct world *world)
{
	struct truth *truth = &world->truth;
	char topic[200];
	for (size_t i = 0; i < truth->device_count; i++) {
		const struct retained_device *device = &truth->devices[i];
		for (int c = 0; c < CLIENTS; c++) {
			int subject = sim_clients[c].subject_index;
			(void)snprintf(topic, sizeof(topic), "%s/devices/%s",
				sim_subjects[subject].topic, sim_clients[c].device);
			const struct true_subject *who = &truth->subjects[subject];
			bool may_hide = !who->is_override_known ||
				who->override == PRESENCE_OVERRIDE_INVISIBLE;
			if (strcmp(topic, device->topic) != 0 || may_hide)
				continue;
			if (device->is_online != is_up(&truth->clients[c]))
				sim_fail(world, "%s ends as %s", topic,
					device->is_online ? "up" : "down");
		}
	}
}

void truth_converged(struct world *world)
{
	for (int i = 0; i < SUBJECTS; i++) {
		check_shown(world, i);
		if (world->truth.typing[i])
			sim_fail(world, "%s types for ever", sim_subjects[i].name);
		if (world->settings.has_redis)
			check_redis(world, i);
		if (world->settings.has_file)
			check_file(world, i);
	}
	check_devices(world);
	if (world->settings.has_redis && worker_lag_ms(world) > LAG_MS)
		sim_fail(world, "the worker is not done");
	if (worker_registrations(world) > REGISTRATIONS_MAX * world->settings.partitions)
		sim_fail(world, "%llu registrations after the faults ended",
			(unsigned long long)worker_registrations(world));
	if (world->settings.has_redis && worker_state(world) != STORE_READY)
		sim_fail(world, "the worker is not ready");
}
