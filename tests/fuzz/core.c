/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
/* Any row of events that keeps to the core's contract. Effects are mirrored as a topic of retained
 * messages would be; the core's own answers must equal the mirror, whatever came, and when
 * everybody has left and time has passed, nothing is left. */

#include <inttypes.h>

#include "core/presence.h"
#include "fuzz.h"

enum { SUBJECTS = 6, DEVICES = 3, TOKENS = 24, EVENTS_MAX = 600, TICKS_MAX = 4000 };
enum { PRESENCE_STATUSES = PRESENCE_DND + 1 };
#define WALL_MS INT64_C(1763769600000)
#define DAY_MS (INT64_C(24) * 3600 * 1000)

static const char *const roles[] = { "agent", "device" };
static const char *const ids[] = { "u1", "u2", "u3" };
static const char *const devices[DEVICES] = { "laptop", "phone", "tablet" };
static const char *const notes[] = { NULL, "", "lunch", "until \xc3\xa9vening" };

struct topic {
	bool retained;
	bool restored; /* not judged yet: devices and note are those of an earlier boot */
	struct presence_record record;
	char note[PRESENCE_NOTE_MAX + 1];
};

struct rig {
	struct input input;
	struct presence *core;
	struct presence_config config;
	int64_t now_ms, wall_ms, last_rev;
	uint64_t tokens[TOKENS], minted;
	struct topic topics[SUBJECTS];
};

static const char *role_of(unsigned subject)
{
	return roles[subject / 3];
}

static unsigned subject_of(const struct presence_record *record)
{
	for (unsigned i = 0; i < SUBJECTS; i++)
		if (!strcmp(record->role, role_of(i)) && !strcmp(record->id, ids[i % 3]))
			return i;
	MUST(false); /* a subject nobody spoke of */
	return 0;
}

static void keep(struct topic *topic, const struct presence_record *record)
{
	topic->retained = true;
	topic->record = *record;
	topic->note[0] = '\0';
	if (record->note)
		strcpy(topic->note, record->note);
}

/* ---- what effects may say ---- */

static void check_record(const struct presence_record *record)
{
	bool offline = record->status == PRESENCE_OFFLINE;
	MUST(offline == (record->devices == 0));
	MUST(!offline || (!record->note && !record->until_ms));
	MUST(!offline || record->source != PRESENCE_MANUAL);
	MUST(record->rev > 0 && record->rev < INT64_C(1) << 53);
	MUST(presence_status_name(record->status) && presence_reason_name(record->reason));
	MUST(!record->note || strlen(record->note) <= PRESENCE_NOTE_MAX);
}

static void mirror_publish(struct rig *rig, const struct presence_effect *effect)
{
	const struct presence_record *record = &effect->record;
	struct topic *topic = &rig->topics[subject_of(record)];
	check_record(record);
	MUST(record->rev > rig->last_rev);
	rig->last_rev = record->rev;
	if (topic->retained && topic->record.status == record->status && !topic->restored)
		MUST(topic->record.since_ms >= record->since_ms);
	if (topic->retained && topic->record.status != record->status)
		MUST(record->previous == topic->record.status);
	topic->restored = false;
	keep(topic, record);
}

static void mirror(struct rig *rig, const struct presence_effect *effect)
{
	switch (effect->type) {
	case PRESENCE_PUBLISH:
		mirror_publish(rig, effect);
		break;
	case PRESENCE_FORGOTTEN:
		rig->topics[subject_of(&effect->record)].retained = false;
		rig->topics[subject_of(&effect->record)].restored = false;
		break;
	case PRESENCE_REFRESH:
		MUST(effect->record.status != PRESENCE_OFFLINE);
		break;
	case PRESENCE_DEVICE:
		MUST(rig->config.device_topics && effect->device);
		break;
	case PRESENCE_ACTIVITY:
		MUST(effect->conversation);
		break;
	case PRESENCE_STORE:
		MUST(effect->rank >= PRESENCE_OFFLINE && effect->rank <= PRESENCE_DND);
		MUST(!effect->device_note || effect->rank != PRESENCE_OFFLINE);
		break;
	case PRESENCE_STORE_OVERRIDE:
		MUST(presence_override_name(effect->override));
		break;
	case PRESENCE_RESYNCED:
		break;
	}
	MUST(effect->retain_ms >= 0);
}

enum { STALL_MS = 2000 }; /* as in core/step.c */

/* ---- the core's own answers ---- */

static void check_lookup(const struct rig *rig, unsigned subject)
{
	const struct topic *topic = &rig->topics[subject];
	struct presence_record record;
	int err = presence_lookup(rig->core, role_of(subject), ids[subject % 3], &record);
	MUST((err == PRESENCE_OK) == topic->retained);
	if (err)
		return;
	MUST(record.rev == topic->record.rev && record.status == topic->record.status);
	MUST(record.previous == topic->record.previous);
	MUST(record.devices == topic->record.devices);
	MUST(record.since_ms == topic->record.since_ms);
	MUST(record.reason == topic->record.reason && record.source == topic->record.source);
	MUST(record.until_ms == topic->record.until_ms);
	/* A client id that came back as somebody else ends who it was with the next tick, or when
	 * the broker has caught up after a stall: the note, which is not kept as it was published,
	 * goes with the device and not with the record. */
	if (!topic->restored && presence_deadline(rig->core) > rig->now_ms + STALL_MS)
		MUST(!strcmp(record.note ? record.note : "", topic->note));
}

static void check_walk(const struct rig *rig, uint64_t retained)
{
	struct presence_record record;
	const char *role = NULL, *id = NULL;
	uint64_t met = 0, steps = 0;
	while (!presence_next(rig->core, role, id, &record)) {
		met += record.rev != 0;
		role = record.role;
		id = record.id;
		MUST(++steps <= SUBJECTS);
	}
	MUST(met == retained);
}

static void check(const struct rig *rig)
{
	const struct presence_counts *counts = presence_counts(rig->core);
	uint64_t retained = 0, by_status[PRESENCE_STATUSES] = { 0 };
	for (unsigned i = 0; i < SUBJECTS; i++) {
		check_lookup(rig, i);
		if (!rig->topics[i].retained)
			continue;
		retained++;
		by_status[rig->topics[i].record.status]++;
	}
	MUST(counts->subjects == retained && counts->sessions <= TOKENS);
	for (int status = 0; status < PRESENCE_STATUSES; status++)
		MUST(presence_count(rig->core, NULL, (enum presence_status)status) ==
			by_status[status]);
	check_walk(rig, retained);
}

static int step(struct rig *rig, struct presence_event event)
{
	struct presence_effects effects;
	event.now_ms = rig->now_ms;
	event.wall_ms = rig->wall_ms;
	int err = presence_step(rig->core, &event, &effects);
	MUST(!err || !effects.count);
	MUST(effects.count <= PRESENCE_EFFECTS_MAX);
	for (size_t i = 0; i < effects.count; i++)
		mirror(rig, &effects.item[i]);
	if (event.type == PRESENCE_RESTORED && !err) {
		/* Known from now on, as it was published by another boot. */
		struct presence_record record;
		unsigned subject = subject_of(&event.record);
		struct topic *topic = &rig->topics[subject];
		if (!topic->retained &&
			!presence_lookup(rig->core, event.record.role, event.record.id, &record)) {
			keep(topic, &record);
			topic->restored = true;
		}
	}
	check(rig);
	return err;
}

/* Until nothing is due. */
static void settle(struct rig *rig)
{
	int ticks = 0;
	do {
		(void)step(rig, (struct presence_event){ .type = PRESENCE_TICK });
		MUST(ticks++ < TICKS_MAX);
	} while (presence_deadline(rig->core) <= rig->now_ms);
}

/* ---- bytes to events ---- */

static int64_t take_duration(struct input *input)
{
	static const int64_t units[] = { 1, 100, 1000, 10000, 60000, 3600000, DAY_MS, 0 };
	unsigned choice = take_byte(input);
	return (choice / 8) * units[choice % 8];
}

static void pass_time(struct rig *rig)
{
	int64_t by_ms = take_duration(&rig->input);
	unsigned clock = take_byte(&rig->input);
	rig->now_ms += by_ms;
	rig->wall_ms += by_ms;
	if (clock < 8) /* it was set */
		rig->wall_ms = WALL_MS + ((int64_t)clock - 4) * DAY_MS;
}

static void take_subject(struct rig *rig, struct presence_event *event)
{
	unsigned subject = take_byte(&rig->input) % SUBJECTS;
	event->role = role_of(subject);
	event->id = ids[subject % 3];
	event->record.role = event->role;
	event->record.id = event->id;
	event->unmatched = subject == 5;
}

static void take_record(struct rig *rig, struct presence_record *record)
{
	bool offline = take_byte(&rig->input) % 2;
	record->status = offline ? PRESENCE_OFFLINE
				 : (enum presence_status)(1 + take_byte(&rig->input) % 3);
	record->previous = (enum presence_status)(take_byte(&rig->input) % PRESENCE_STATUSES);
	record->devices = offline ? 0 : 1 + take_byte(&rig->input) % 3;
	record->since_ms = WALL_MS - take_duration(&rig->input);
	record->last_seen_ms = record->since_ms;
	record->rev = 1 + record->since_ms * 1000 + take_byte(&rig->input);
}

/* A type takes what it needs of the fields; all are within the contract. */
static struct presence_event take_event(struct rig *rig)
{
	struct input *input = &rig->input;
	unsigned choice = take_byte(input), place = take_byte(input);
	struct presence_event event = {
		.type = (enum presence_event_type)(choice % (PRESENCE_REV_SEEN + 1)),
		.token = rig->tokens[place % TOKENS],
		.device = devices[place / 32 % DEVICES],
		.client_id = devices[place / 16 % DEVICES],
		.conversation = devices[place / 64 % DEVICES],
		.active = place & 1,
		.activity = (enum presence_activity)(place / 2 % 2),
	};
	take_subject(rig, &event);
	unsigned what = take_byte(input);
	event.end = (enum presence_end)(what % (PRESENCE_END_UNKNOWN + 1));
	event.status = (enum presence_status)(what % PRESENCE_STATUSES);
	event.override = (enum presence_override)(what % (PRESENCE_OVERRIDE_INVISIBLE + 1));
	event.own = what & 64;
	event.note = notes[what / 8 % 4];
	event.targets = what / 32;
	event.interval_ms = what % 3 * 1500;
	if (event.type == PRESENCE_OVERRIDDEN || event.type == PRESENCE_RESTORED_OVERRIDE)
		event.until_ms = what & 128 ? rig->wall_ms + take_duration(input) - 1000 : 0;
	if (event.type == PRESENCE_RESTORED)
		take_record(rig, &event.record);
	if (event.type == PRESENCE_RESTORED_DEVICE && event.status == PRESENCE_OFFLINE)
		event.status = PRESENCE_ONLINE;
	if (event.type == PRESENCE_RESTORED_OVERRIDE || event.type == PRESENCE_REV_SEEN)
		event.rev = (int64_t)take_number(input, 6);
	if (event.type == PRESENCE_WILL && choice & 128)
		event.token = 0;
	/* Tokens are never used twice, but for an event that comes twice. */
	struct presence_session session;
	if (event.type == PRESENCE_CONNECTED && presence_session(rig->core, event.token, &session))
		event.token = rig->tokens[place % TOKENS] = ++rig->minted;
	return event;
}

static void take_config(struct rig *rig)
{
	struct input *input = &rig->input;
	unsigned flags = take_byte(input);
	rig->config = (struct presence_config){
		.grace_ms = take_byte(input) % 4 * 1500,
		.grace_keepalive_ms = take_byte(input) % 2 * 2000,
		.restart_grace_ms = take_byte(input) % 4 * 4000,
		.offline_retain_ms = DAY_MS,
		.unmatched_retain_ms = 60000,
		.refresh_ms = flags & 1 ? 60000 : 0,
		.heartbeat_interval_ms = 20000,
		.heartbeat_misses = 1 + flags / 2 % 3,
		.away_after_ms = flags & 8 ? 30000 : 0,
		.device_topics = flags & 16,
		.wills_follow = flags & 32,
		.goodbye = flags & 64 ? PRESENCE_REASON_UNKNOWN : PRESENCE_REASON_DISCONNECT,
		.subjects_max = 2 + take_byte(input) % 6,
		.devices_max = 1 + take_byte(input) % 3,
	};
}

static void everybody_leaves(struct rig *rig)
{
	for (unsigned i = 0; i < TOKENS; i++)
		(void)step(rig,
			(struct presence_event){ .type = PRESENCE_DISCONNECTED,
				.token = rig->tokens[i],
				.end = PRESENCE_END_LOST });
	for (int days = 0; days < 4; days++) {
		rig->now_ms += DAY_MS;
		rig->wall_ms += DAY_MS;
		/* After a gap the core waits a little, for those who come back. */
		for (int i = 0; i < 4; i++) {
			settle(rig);
			rig->now_ms += 1500;
			rig->wall_ms += 1500;
		}
	}
	for (unsigned i = 0; i < SUBJECTS; i++)
		MUST(!rig->topics[i].retained);
	MUST(presence_counts(rig->core)->subjects == 0);
	MUST(presence_counts(rig->core)->sessions == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct rig rig = {
		.input = { data, size },
		.now_ms = 1000000,
		.wall_ms = WALL_MS,
	};
	take_config(&rig);
	rig.core = presence_create(&rig.config, rig.now_ms);
	MUST(rig.core);
	for (int i = 0; i < EVENTS_MAX && rig.input.left; i++) {
		unsigned choice = take_byte(&rig.input);
		if (choice % 4 == 0)
			pass_time(&rig);
		else if (choice % 4 == 1)
			settle(&rig);
		else
			(void)step(&rig, take_event(&rig));
	}
	everybody_leaves(&rig);
	presence_destroy(rig.core);
	return 0;
}
