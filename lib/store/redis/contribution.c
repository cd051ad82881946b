/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
#include "store/redis/contribution.h"

#include <string.h>

int redis_name_write(const char *role, const char *id, char out[PRESENCE_TOPIC_MAX])
{
	int length = topic_encode(role, out, PRESENCE_TOPIC_MAX);
	if (length < 0 || length > PRESENCE_ENCODED_MAX)
		return PRESENCE_EINVAL;
	out[length++] = '/';
	int rest = topic_encode(id, out + length, PRESENCE_TOPIC_MAX - (size_t)length);
	return rest < 0 ? rest : length + rest;
}

int redis_name_read(const char *name, char role[PRESENCE_ID_MAX + 1], char id[PRESENCE_ID_MAX + 1])
{
	const char *slash = strchr(name, '/');
	if (!slash)
		return PRESENCE_EINVAL;
	int err = topic_decode(name, (size_t)(slash - name), role, PRESENCE_ID_MAX + 1);
	if (err < 0)
		return err;
	return topic_decode(slash + 1, strlen(slash + 1), id, PRESENCE_ID_MAX + 1);
}

uint32_t redis_partition_of(const char *name, uint32_t partitions)
{
	uint32_t crc = 0;
	for (; *name; name++) {
		crc ^= (uint32_t)(unsigned char)*name << 8;
		for (int bit = 0; bit < 8; bit++)
			crc = (crc & 0x8000u ? crc << 1 ^ 0x1021u : crc << 1) & 0xffffu;
	}
	return crc % partitions;
}

int redis_place_of(const struct store_item *item, uint32_t partitions, uint32_t *place)
{
	const struct presence_effect *effect = &item->effect;
	char name[PRESENCE_TOPIC_MAX];
	int err = effect->type == PRESENCE_ACTIVITY
		? topic_encode(effect->conversation, name, sizeof(name))
		: redis_name_write(effect->record.role, effect->record.id, name);
	if (err < 0)
		return err;
	*place = redis_partition_of(name, partitions);
	return PRESENCE_OK;
}

static void write_encoded(struct redis_out *out, const char *device)
{
	char encoded[PRESENCE_ENCODED_MAX + 1] = "";
	if (device && topic_encode(device, encoded, sizeof(encoded)) < 0)
		out->failed = true; /* ids are validated before they get here */
	redis_out_text(out, encoded);
}

static const char *kind_of(enum presence_effect_type type)
{
	switch (type) {
	case PRESENCE_FORGOTTEN:
		return "f";
	case PRESENCE_STORE_OVERRIDE:
		return "o";
	case PRESENCE_ACTIVITY:
		return "t";
	case PRESENCE_STORE:
	case PRESENCE_PUBLISH: /* this and the others are no contributions */
	case PRESENCE_DEVICE:
	case PRESENCE_REFRESH:
	case PRESENCE_RESYNCED:
		break;
	}
	return "s";
}

/* Five arguments: of a device, or what stands in their places in other kinds. */
static void write_part(struct redis_out *out, const struct presence_effect *effect)
{
	bool is_override = effect->type == PRESENCE_STORE_OVERRIDE;
	bool is_activity = effect->type == PRESENCE_ACTIVITY;
	const char *note = is_override ? effect->override_note : effect->device_note;
	redis_out_text(out, effect->device ? effect->device : "");
	if (is_override)
		redis_out_text(out, presence_override_name(effect->override));
	else
		write_encoded(out, is_activity ? effect->conversation : effect->device);
	if (is_override) {
		redis_out_number(out, effect->override_rev);
		redis_out_number(out, effect->override_until_ms);
	} else if (is_activity) {
		redis_out_number(out, effect->active);
		redis_out_number(out, effect->active_until_ms);
	} else {
		redis_out_number(out, effect->rank);
		redis_out_number(out, effect->device_last_seen_ms);
	}
	redis_out_text(out, note ? note : "");
}

void redis_contribution_write(
	struct redis_out *out, const struct store_item *item, const struct redis_moment *moment)
{
	const struct presence_effect *effect = &item->effect;
	const struct presence_record *record = &effect->record;
	bool offline = record->status == PRESENCE_OFFLINE;
	char name[PRESENCE_TOPIC_MAX] = "";
	if (redis_name_write(record->role, record->id, name) < 0)
		out->failed = true;
	redis_out_text(out, kind_of(effect->type));
	redis_out_text(out, name);
	redis_out_text(out, record->role);
	redis_out_text(out, record->id);
	write_part(out, effect);
	redis_out_number(out, record->status);
	redis_out_number(out, record->previous);
	redis_out_number(out, record->since_ms);
	redis_out_number(out, record->last_seen_ms);
	redis_out_number(out, record->rev);
	redis_out_text(out, presence_reason_name(record->reason));
	redis_out_text(out, presence_source_name(record->source));
	redis_out_text(out, record->note && !offline ? record->note : "");
	redis_out_number(out, offline ? 0 : record->until_ms);
	redis_out_number(out, offline ? effect->retain_ms : moment->retain_ms);
	redis_out_number(out, moment->wall_ms - (moment->now_ms - item->put_ms));
}

void redis_refresh_write(struct redis_out *out, const struct store_item *item)
{
	const struct presence_record *record = &item->effect.record;
	char name[PRESENCE_TOPIC_MAX] = "";
	if (redis_name_write(record->role, record->id, name) < 0)
		out->failed = true;
	redis_out_text(out, name);
	redis_out_number(out, record->last_seen_ms);
	redis_out_number(out, record->devices);
}
