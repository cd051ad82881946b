/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "plugin/control.h"

/* What is asked: it changes nothing. */

/* Subjects that one listPresence looks at: about a millisecond. */
enum { LOOKED_AT_MAX = 2000, STATUSES = PRESENCE_DND + 1 };

/* Of whom nothing is published: as if it had been offline for ever. */
static struct presence_record unknown(const struct subject_name *name)
{
	return (struct presence_record){
		.role = name->role,
		.id = name->id,
		.status = PRESENCE_OFFLINE,
		.previous = PRESENCE_OFFLINE,
		.reason = PRESENCE_REASON_UNKNOWN,
		.source = PRESENCE_INFERRED,
	};
}

void control_get_presence(struct request *request)
{
	const struct plugin *plugin = request->plugin;
	reply_list(request->replies, "subjects");
	for (size_t i = 0; i < request->command->subject_count; i++) {
		struct subject_name name;
		struct presence_record record;
		command_subject(request->command, i, &name);
		if (presence_lookup(plugin->core, name.role, name.id, &record))
			record = unknown(&name);
		reply_record(request->replies, &record, plugin->options->node);
	}
}

static bool is_listed(const struct command *command, const struct presence_record *record)
{
	return (!command->role || !strcmp(command->role, record->role)) &&
		(!command->has_status || command->status == record->status);
}

static uint64_t count_all(const struct plugin *plugin, const struct command *command)
{
	uint64_t sum = 0;
	for (int status = 0; status < STATUSES; status++)
		if (!command->has_status || command->status == (enum presence_status)status)
			sum += presence_count(
				plugin->core, command->role, (enum presence_status)status);
	return sum;
}

/* Where the next listPresence is to go on. Who has no record is not there, and no name to go on
 * from either: then it is a place in the order, which names nobody. A name has no + as it is. */
static void reply_after(struct request *request, const struct presence_record *last, uint32_t place)
{
	char name[SUBJECT_NAME_MAX];
	if (!last->rev)
		(void)snprintf(name, sizeof(name), "+/%08" PRIx32, place);
	else if (subject_name_write(last->role, last->id, name, sizeof(name)) < 0)
		return;
	reply_string(request->replies, "after", name);
}

static bool place_read(const char *after, uint32_t *place)
{
	if (strncmp(after, "+/", 2) || strspn(after + 2, "0123456789abcdef") != 8 || after[10])
		return false;
	*place = (uint32_t)strtoul(after + 2, NULL, 16);
	return true;
}

static int first(const struct request *request, struct presence_record *record)
{
	const struct presence *core = request->plugin->core;
	const char *after = request->command->after;
	struct subject_name start;
	uint32_t place;
	if (after && place_read(after, &place))
		return presence_next_behind(core, place, record);
	if (after && !subject_name_read(after, &start))
		return presence_next(core, start.role, start.id, record);
	return presence_next(core, NULL, NULL, record);
}

static void refuse_offset(struct request *request)
{
	reply_error(request->replies,
		"\"offset\" passes over too many; leave it out, and go on with the \"after\" "
		"of each reply");
}

void control_list_presence(struct request *request)
{
	const struct plugin *plugin = request->plugin;
	const struct command *command = request->command;
	struct presence_record record, last = { .rev = 0 };
	uint32_t place = 0, looked_at = 0, found = 0, listed = 0;

	reply_number(request->replies, "totalCount", (int64_t)count_all(plugin, command));
	reply_list(request->replies, "subjects");
	for (int err = first(request, &record); !err;
		err = presence_next(plugin->core, last.role, last.id, &record)) {
		uint32_t here = presence_place(plugin->core, record.role, record.id);
		/* Those that share a place are not torn apart. */
		if (listed == command->count || (looked_at >= LOOKED_AT_MAX && here != place)) {
			if (found < command->offset)
				refuse_offset(request);
			else
				reply_after(request, &last, place);
			return;
		}
		last = record;
		place = here;
		looked_at++;
		if (!record.rev || !is_listed(command, &record) || found++ < command->offset)
			continue;
		reply_record(request->replies, &record, plugin->options->node);
		listed++;
	}
}

static void reply_stat(void *context, const char *name, const char *value)
{
	/* Numbers and objects are JSON; the rest are words. */
	if (strchr("-{0123456789", *value))
		reply_json(context, name, value);
	else
		reply_string(context, name, value);
}

void control_get_stats(struct request *request)
{
	sys_each(request->plugin, clock_now_ms(), reply_stat, request->replies);
}

void control_list_nodes(struct request *request)
{
	char json[256];
	(void)snprintf(json, sizeof(json), "{\"node\":\"%s\",\"state\":\"up\",\"version\":\"%s\"}",
		request->plugin->options->node, PRESENCE_VERSION);
	reply_list(request->replies, "nodes");
	reply_json(request->replies, NULL, json);
}
