/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "redis_script.h"

/* ---- merge_1.lua ---- */

static bool is_own(const struct script *script, const char *field)
{
	return !strncmp(field, script->own, strlen(script->own));
}

/* "1|epoch|rank|rev|last_seen|note" */
static void device_read(const struct redis_field *field, struct state_device *device)
{
	long long epoch, rank, rev, seen;
	int note = 0;
	if (sscanf(field->value, "1|%lld|%lld|%lld|%lld|%n", &epoch, &rank, &rev, &seen, &note) <
			4 ||
		!note)
		epoch = rank = rev = note = 0;
	(void)snprintf(device->field, sizeof(device->field), "%s", field->name);
	(void)snprintf(device->note, sizeof(device->note), "%s", note ? field->value + note : "");
	device->epoch = epoch;
	device->rank = rank;
	device->rev = rev;
}

int64_t state_read(const struct script *script, const char *key, struct state_devices *devices)
{
	const struct redis_key *state = key_of(script->redis, key);
	int64_t rev = 0;
	devices->count = 0;
	for (size_t i = 0; state && i < state->count; i++) {
		if (!strcmp(state->fields[i].name, "rev")) {
			rev = strtoll(state->fields[i].value, NULL, 10);
		} else if (devices->count < STATE_DEVICES_MAX) {
			struct state_device *device = &devices->item[devices->count++];
			device_read(&state->fields[i], device);
			device->is_own = is_own(script, device->field);
		}
	}
	return rev;
}

struct high {
	int64_t rank, count, theirs, noted;
	const char *note;
};

static struct high highest(const struct state_devices *devices)
{
	struct high high = { .note = "", .noted = -1 };
	for (size_t i = 0; i < devices->count; i++) {
		const struct state_device *device = &devices->item[i];
		if (device->rank > 0) {
			high.count++;
			high.theirs += !device->is_own;
		}
		if (device->rank > high.rank ||
			(device->rank == high.rank &&
				(device->rev > high.noted ||
					(device->rev == high.noted &&
						strcmp(device->note, high.note) > 0)))) {
			high.rank = device->rank;
			high.note = device->note;
			high.noted = device->rev;
		}
	}
	return high;
}

struct record {
	const char *status, *previous, *note, *source, *node;
	bool has_since, has_last_seen;
	int64_t since, last_seen, devices, till, rev;
	bool is_read;
};

static bool is_offline(const char *status)
{
	return status && !strcmp(status, "offline");
}

static bool same(const char *one, const char *other)
{
	return one == other || (one && other && !strcmp(one, other));
}

static void set_offline(struct record *r)
{
	r->status = "offline";
	r->note = "";
	r->till = r->devices = 0;
	r->source = "inferred";
}

static void merge(struct script *script, const struct contribution *c,
	const struct state_devices *devices, struct record *r)
{
	struct high high = highest(devices);
	struct override_value *o = &(struct override_value){ 0 };
	bool ours = high.count > high.theirs;
	set_offline(r);
	if (high.rank == 0)
		return;
	override_read(script, c->name, o);
	const char *status = o->status;
	if (ours && is_offline(c->status))
		status = "offline";
	if (is_offline(status))
		return;
	r->devices = high.count;
	if (status) {
		bool is_told = high.theirs == 0 && same(c->status, status) &&
			!strcmp(c->note, o->note) && c->till == o->till;
		r->status = status;
		r->note = scratch_text(script->redis, o->note);
		r->till = o->till;
		r->source = is_told ? c->source : "manual";
		return;
	}
	r->status = script_words[high.rank & 3];
	bool holds = !o->is_there || (strcmp(o->word, "none") != 0 && o->till == c->till);
	bool is_manual = holds && ours && !strcmp(c->source, "manual");
	if (is_manual)
		r->status = c->status;
	if (is_manual || same(c->status, r->status)) {
		r->note = c->note;
		r->till = c->till;
		r->source = c->source;
	} else {
		r->note = scratch_text(script->redis, high.note);
	}
}

static const char *kept(struct script *script, const char *value)
{
	return value ? scratch_text(script->redis, value) : NULL;
}

/* Reads it once, when first asked. */
static const struct record *old_record(struct script *script, const char *key, struct record *old)
{
	struct redis_model *redis = script->redis;
	const char *value;
	if (old->is_read)
		return old;
	*old = (struct record){ .is_read = true };
	old->status = kept(script, hget(redis, key, "status"));
	old->previous = kept(script, hget(redis, key, "previous"));
	old->node = kept(script, hget(redis, key, "node"));
	value = hget(redis, key, "note");
	old->note = kept(script, value ? value : "");
	value = hget(redis, key, "since");
	old->has_since = value;
	old->since = value ? strtoll(value, NULL, 10) : 0;
	value = hget(redis, key, "last_seen");
	old->has_last_seen = value;
	old->last_seen = value ? strtoll(value, NULL, 10) : 0;
	value = hget(redis, key, "devices");
	old->devices = value ? strtoll(value, NULL, 10) : -1;
	value = hget(redis, key, "until");
	old->till = value ? strtoll(value, NULL, 10) : 0;
	value = hget(redis, key, "rev");
	old->rev = value ? strtoll(value, NULL, 10) : 0;
	return old;
}

struct change {
	struct script *script;
	struct contribution *c;
	char state[NAME_MAX_BYTES], subject[NAME_MAX_BYTES];
	bool has_length; /* of the record; else it is not known */
	size_t length;
	struct record old, r;
};

static const struct record *old_of(struct change *change)
{
	return old_record(change->script, change->subject, &change->old);
}

static void continuity(struct change *change, bool alone, const char *was)
{
	const struct contribution *c = change->c;
	struct record *r = &change->r;
	if (alone && c->has_since && same(r->status, c->status)) {
		r->since = c->since;
		r->previous = c->previous;
		return;
	}
	const struct record *old = old_of(change);
	if (old->status)
		was = old->status;
	if (!same(r->status, was)) {
		r->since = c->at;
		r->previous = was;
		return;
	}
	r->since = old->has_since ? old->since : c->has_since ? c->since : c->at;
	r->previous = old->previous ? old->previous : c->previous ? c->previous : "offline";
}

static int64_t last_seen(struct change *change, bool others)
{
	const struct contribution *c = change->c;
	bool is_told = same(change->r.status, c->status);
	if (c->has_last_seen && !others && is_told)
		return c->last_seen;
	const struct record *old = old_of(change);
	int64_t before = old->last_seen;
	if (before > 0 && is_offline(change->r.status) && is_offline(old->status) && !is_told)
		return before;
	if (!c->has_last_seen)
		return before > 0 ? before : change->script->now;
	return others && before > c->last_seen ? before : c->last_seen;
}

static bool differs(struct change *change)
{
	const struct record *r = &change->r, *old = old_of(change);
	return old->status &&
		(!same(old->status, r->status) || !same(old->previous, r->previous) ||
			!old->has_since || old->since != r->since || old->devices != r->devices ||
			strcmp(old->note, r->note) != 0 || old->till != r->till);
}

static void fields_write(struct change *change)
{
	struct redis_model *redis = change->script->redis;
	const struct contribution *c = change->c;
	const struct record *r = &change->r;
	const char *key = change->subject;
	hset(redis, key, "v", "1");
	hset(redis, key, "role", c->role);
	hset(redis, key, "id", c->id);
	hset(redis, key, "status", r->status);
	hset(redis, key, "previous", r->previous);
	hset(redis, key, "reason", c->reason);
	hset(redis, key, "source", r->source);
	hset_number(redis, key, "devices", r->devices);
	hset_number(redis, key, "since", r->since);
	hset_number(redis, key, "last_seen", r->last_seen);
	hset_number(redis, key, "rev", r->rev);
	hset(redis, key, "node", change->script->node);
	if (r->note[0])
		hset(redis, key, "note", r->note);
	if (r->till > 0)
		hset_number(redis, key, "until", r->till);
}

/* Of as many fields as before, and of more after that: the others were not of this record. */
static void record_write(struct change *change)
{
	struct redis_model *redis = change->script->redis;
	const struct record *r = &change->r;
	const char *key = change->subject;
	size_t fields = 12 + (size_t)(r->note[0] != '\0') + (size_t)(r->till > 0);
	bool over = change->has_length && change->length == fields;
	if (!over && (!change->has_length || change->length))
		del(redis, key);
	fields_write(change);
	if (over && key_of(redis, key)->count > fields) {
		del(redis, key);
		fields_write(change);
	}
	pexpire(redis, key,
		is_offline(r->status) ? change->c->retain : strtoll(change->script->ttl, NULL, 10));
}

/* NULL: out with it. */
static void score_set(struct script *script, const char *name, const int64_t *score)
{
	struct known *known = known_of(script, name);
	known->has_score = true;
	known->is_up = score;
	known->score = score ? *score : 0;
}

static void member_set(struct script *script, const char *name, bool is_ours)
{
	struct known *known = known_of(script, name);
	known->has_member = true;
	known->is_ours = is_ours;
}

static bool is_silent(struct change *change, int64_t old_rev)
{
	const struct contribution *c = change->c;
	if (!is_offline(change->r.status))
		return false;
	if (c->rev > (old_rev > 0 ? old_rev : old_of(change)->rev))
		return false;
	if (!old_of(change)->status)
		return c->rev == 0 && old_rev == 0;
	return is_offline(old_of(change)->status) && !differs(change);
}

/* last: who wrote the record before, or NULL. */
static void node_write(struct change *change, const char *last, const struct state_devices *devices)
{
	struct script *script = change->script;
	char key[NAME_MAX_BYTES], prefix[NAME_MAX_BYTES];
	member_set(script, change->c->name, true);
	if (!last || !strcmp(last, script->node))
		return;
	(void)snprintf(prefix, sizeof(prefix), "d:%s/", last);
	for (size_t i = 0; i < devices->count; i++)
		if (!strncmp(devices->item[i].field, prefix, strlen(prefix)))
			return;
	key_name(script, key, "node:", last);
	if (key_fits(script, key, "set"))
		srem(script->redis, key, change->c->name);
}

static void entry_of(
	const struct script *script, const struct contribution *c, char out[NAME_MAX_BYTES])
{
	(void)snprintf(out, NAME_MAX_BYTES, "1|%lld|%lld|%lld|%lld|%s", (long long)script->epoch,
		(long long)c->rank, (long long)c->rev, (long long)c->seen, c->device_note);
}

static void event_write(struct change *change, int64_t seq, int64_t old_rev)
{
	const struct script *script = change->script;
	const struct contribution *c = change->c;
	const struct record *r = &change->r;
	char entry[NAME_MAX_BYTES] = "", text[4 * NAME_MAX_BYTES];
	if (c->device[0])
		entry_of(script, c, entry);
	(void)snprintf(text, sizeof(text),
		"t\tset\tnode\t%s\tboot\t%s\tepoch\t%lld\tseq\t%lld\trole\t%s\tid\t%s\tdevice\t%s\t"
		"contribution\t%s\tstatus\t%s\tprevious\t%s\treason\t%s\tsource\t%s\tdevices\t%"
		"lld\t"
		"since\t%lld\tlast_seen\t%lld\trev\t%lld\tprev_rev\t%lld\tnote\t%s\tuntil\t%lld\t",
		script->node, script->boot, (long long)script->epoch, (long long)seq, c->role,
		c->id, c->device, entry, r->status, r->previous, c->reason, r->source,
		(long long)r->devices, (long long)r->since, (long long)r->last_seen,
		(long long)r->rev, (long long)old_rev, r->note, (long long)r->till);
	xadd(script->redis, script->events, text);
}

static void device_drop(struct state_devices *devices, size_t place)
{
	devices->item[place] = devices->item[--devices->count];
}

enum changed { UNCHANGED, CHANGED, TOO_OLD };

static enum changed leftovers_out(struct change *change, struct state_devices *devices)
{
	enum changed changed = UNCHANGED;
	for (size_t i = devices->count; i > 0; i--) {
		const struct state_device *device = &devices->item[i - 1];
		if (!device->is_own || device->epoch >= change->script->floor)
			continue;
		hdel(change->script->redis, change->state, device->field);
		device_drop(devices, i - 1);
		changed = CHANGED;
	}
	return changed;
}

static enum changed device_change(struct change *change, struct state_devices *devices)
{
	const struct script *script = change->script;
	const struct contribution *c = change->c;
	char field[NAME_MAX_BYTES];
	size_t i = 0;
	if (!c->device[0])
		return leftovers_out(change, devices);
	(void)snprintf(field, sizeof(field), "%s%s", script->own, c->field);
	while (i < devices->count && strcmp(devices->item[i].field, field) != 0)
		i++;
	struct state_device *device = i < devices->count ? &devices->item[i] : NULL;
	if (device && device->epoch == script->epoch && device->rev > c->rev)
		return TOO_OLD;
	if (c->rank == 0) {
		if (!device)
			return UNCHANGED;
		hdel(script->redis, change->state, field);
		device_drop(devices, i);
		return CHANGED;
	}
	bool is_new = !device || device->rank != c->rank ||
		strcmp(device->note, c->device_note) != 0;
	if (!device && devices->count < STATE_DEVICES_MAX)
		device = &devices->item[devices->count++];
	if (!device)
		return UNCHANGED;
	(void)snprintf(device->field, sizeof(device->field), "%s", field);
	(void)snprintf(device->note, sizeof(device->note), "%s", c->device_note);
	device->is_own = true;
	device->epoch = script->epoch;
	device->rank = c->rank;
	device->rev = c->rev;
	return is_new ? CHANGED : UNCHANGED;
}

static void state_write(
	struct change *change, int64_t rev, const struct state_devices *devices, bool had)
{
	const struct script *script = change->script;
	const struct contribution *c = change->c;
	char field[NAME_MAX_BYTES], entry[NAME_MAX_BYTES];
	if (rev == 0 && !devices->count) {
		del(script->redis, change->state);
		member_set(change->script, c->name, false);
		return;
	}
	if (c->device[0] && c->rank > 0) {
		(void)snprintf(field, sizeof(field), "%s%s", script->own, c->field);
		entry_of(script, c, entry);
		hset(script->redis, change->state, field, entry);
	}
	if (rev > 0)
		hset_number(script->redis, change->state, "rev", rev);
	if (!devices->count)
		pexpire(script->redis, change->state, c->retain);
	else if (!had)
		persist(script->redis, change->state);
}

static int64_t higher(int64_t one, int64_t other)
{
	return one > other ? one : other;
}

/* What was looked at before anything was written is good for one reading. */
static bool length_take(struct script *script, const char *name, size_t *length)
{
	struct known *known = known_of(script, name);
	bool has_length = known->has_length;
	known->has_length = false;
	*length = known->length;
	return has_length;
}

void contribute(struct script *script, struct contribution *c, int64_t seq)
{
	struct state_devices devices;
	struct change change = { .script = script, .c = c };
	key_name(script, change.state, "state:", c->name);
	key_name(script, change.subject, "subject:", c->name);
	int64_t old_rev = state_read(script, change.state, &devices);
	change.has_length = length_take(script, c->name, &change.length);
	bool had = devices.count != 0;
	if (c->rev == 0) {
		c->has_since = c->has_last_seen = false;
		c->previous = NULL;
	}
	struct high high = highest(&devices);
	enum changed changed = device_change(&change, &devices);
	if (changed == TOO_OLD)
		return;
	merge(script, c, &devices, &change.r);
	continuity(&change, high.theirs == 0, script_words[high.rank & 3]);
	change.r.last_seen = last_seen(&change, high.theirs > 0);
	change.r.rev = old_rev;
	if (changed == CHANGED || c->rev > old_rev || differs(&change)) {
		script->meta_rev = higher(c->rev, script->meta_rev + 1);
		change.r.rev = script->meta_rev;
		event_write(&change, seq, old_rev);
	}
	bool silent = is_silent(&change, old_rev), joins = high.count == high.theirs;
	const char *last = joins && change.r.devices > 0
		? kept(script, hget(script->redis, change.subject, "node"))
		: NULL;
	if (!silent) {
		score_set(
			script, c->name, is_offline(change.r.status) ? NULL : &change.r.last_seen);
		record_write(&change);
	}
	if (joins)
		node_write(&change, last, &devices);
	bool is_nothing = silent && !old_of(&change)->status;
	state_write(&change, is_nothing ? 0 : change.r.rev, &devices, had);
}

static void decode(char *part)
{
	char *to = part;
	for (unsigned byte; *part; part++) {
		if (sscanf(part, "%%%2x", &byte) == 1) {
			*to++ = (char)byte;
			part += 2;
		} else {
			*to++ = *part;
		}
	}
	*to = '\0';
}

static void names_of(struct script *script, const char *name, const char **role, const char **id)
{
	char key[NAME_MAX_BYTES], *first = scratch_text(script->redis, name), *second;
	key_name(script, key, "subject:", name);
	const char *known_role = hget(script->redis, key, "role");
	const char *known_id = hget(script->redis, key, "id");
	second = first + strcspn(first, "/");
	if (*second)
		*second++ = '\0';
	decode(first);
	decode(second);
	*role = known_role ? scratch_text(script->redis, known_role) : first;
	*id = known_id ? scratch_text(script->redis, known_id) : second;
}

void leftovers_drop(
	struct script *script, const char *name, const char *reason, int64_t retain, int64_t seq)
{
	struct contribution c = { .name = name,
		.device = "",
		.field = "",
		.device_note = "",
		.at = script->now,
		.reason = reason,
		.source = "inferred",
		.note = "",
		.retain = retain };
	names_of(script, name, &c.role, &c.id);
	contribute(script, &c, seq);
}

static void override_write(struct script *script, const struct contribution *c,
	const struct override_value *o, int64_t seq)
{
	char text[4 * NAME_MAX_BYTES];
	override_store(script, c->name, o);
	(void)snprintf(text, sizeof(text),
		"t\toverride\tnode\t%s\tboot\t%s\tepoch\t%lld\tseq\t%lld\trole\t%s\tid\t%s\t"
		"status\t%s\tnote\t%s\tuntil\t%lld\trev\t%lld\t",
		script->node, script->boot, (long long)script->epoch, (long long)seq, c->role,
		c->id, o->word, o->note, (long long)o->till, (long long)o->rev);
	xadd(script->redis, script->events, text);
}

void override_apply(struct script *script, struct contribution *c, int64_t seq)
{
	struct override_value known, o = { .rev = c->rank, .till = c->seen };
	(void)snprintf(o.word, sizeof(o.word), "%s", c->field);
	(void)snprintf(o.note, sizeof(o.note), "%s", c->device_note);
	override_read(script, c->name, &known);
	bool ours = known.is_there && !strcmp(known.node, script->node);
	if (!known.is_there || o.rev > known.rev || (ours && o.rev != known.rev)) {
		overrides_trim(script);
		override_write(script, c, &o, seq);
	} else if (o.rev == known.rev) {
		if (ours && known.epoch != script->epoch)
			override_store(script, c->name, &known);
	}
	bool is_again = known.is_there && o.rev == known.rev;
	if (c->rev == 0 && (is_again || !strcmp(o.word, "none")))
		return;
	c->field = c->device_note = "";
	c->rank = 0;
	contribute(script, c, seq);
}

void override_clear(struct script *script, const char *name, const struct override_value *override,
	int64_t retain, int64_t seq)
{
	struct contribution c = { .name = name };
	struct override_value none = { .word = "none" };
	names_of(script, name, &c.role, &c.id);
	script->meta_rev = higher(script->meta_rev, override->rev) + 1;
	none.rev = script->meta_rev;
	override_write(script, &c, &none, seq);
	leftovers_drop(script, name, "override", retain, seq);
}

static void forget_shared(struct script *script, struct contribution *c,
	const struct state_devices *devices, int64_t seq)
{
	int64_t floor = script->floor;
	for (size_t i = 0; i < devices->count; i++) {
		if (!devices->item[i].is_own)
			continue;
		script->floor = script->epoch + 1;
		leftovers_drop(script, c->name, c->reason, c->retain, seq);
		script->floor = floor;
		break;
	}
	member_set(script, c->name, false);
}

void forget(struct script *script, struct contribution *c, int64_t seq)
{
	struct state_devices devices;
	char state[NAME_MAX_BYTES], key[NAME_MAX_BYTES], text[4 * NAME_MAX_BYTES];
	size_t length;
	key_name(script, state, "state:", c->name);
	int64_t old_rev = state_read(script, state, &devices);
	(void)length_take(script, c->name, &length);
	if (highest(&devices).theirs > 0) {
		forget_shared(script, c, &devices, seq);
		return;
	}
	member_set(script, c->name, false);
	key_name(script, key, "subject:", c->name);
	del(script->redis, key);
	del(script->redis, state);
	score_set(script, c->name, NULL);
	script->meta_rev = higher(c->rev, script->meta_rev + 1);
	(void)snprintf(text, sizeof(text),
		"t\tforget\tnode\t%s\tboot\t%s\tepoch\t%lld\tseq\t%lld\trole\t%s\tid\t%s\trev\t%"
		"lld\t"
		"prev_rev\t%lld\t",
		script->node, script->boot, (long long)script->epoch, (long long)seq, c->role,
		c->id, (long long)script->meta_rev, (long long)old_rev);
	xadd(script->redis, script->events, text);
}

void merge_begin(struct script *script)
{
	char key[NAME_MAX_BYTES];
	key_name(script, key, "meta", "");
	const char *rev = hget(script->redis, key, "rev");
	script->meta_rev = rev ? strtoll(rev, NULL, 10) : 0;
	key_name(script, key, "overrides", "");
	script->overridden = key_of(script->redis, key) != NULL;
}

static void score_write(const struct script *script, const struct known *known)
{
	char key[NAME_MAX_BYTES];
	const char *id;
	online_key(script, known->name, key, &id);
	if (known->is_up)
		zadd(script->redis, key, known->score, id, false);
	else
		zrem(script->redis, key, id);
}

/* Whoever has a score has a record that was written: which comes first does not matter. */
void merge_end(struct script *script)
{
	char key[NAME_MAX_BYTES];
	key_name(script, key, "node:", script->node);
	for (const struct known *known = script->first; known; known = known->next)
		if (known->has_score)
			score_write(script, known);
	for (const struct known *known = script->first; known; known = known->next)
		if (known->has_member && known->is_ours)
			sadd(script->redis, key, known->name);
	for (const struct known *known = script->first; known; known = known->next)
		if (known->has_member && !known->is_ours)
			srem(script->redis, key, known->name);
	key_name(script, key, "meta", "");
	hset_number(script->redis, key, "rev", script->meta_rev);
}
