/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
#include "core/state.h"

/* What is asked about subjects, without changing any. */

int presence_lookup(const struct presence *core, const char *role, const char *id,
	struct presence_record *record)
{
	const struct subject *subject = subject_find(core, role, id);
	if (!subject || !subject->rev)
		return PRESENCE_ENOENT;
	subject_record(core, subject, record);
	return PRESENCE_OK;
}

/* The order is that of the keyed hashes; of subjects with the same hash, that of their names. */
static bool is_behind(const struct presence *core, const struct subject *subject, const char *role,
	const char *id)
{
	int order = strcmp(role_at(core, subject->role)->name, role);
	return order ? order > 0 : strcmp(subject->id, id) > 0;
}

/* Of those with that hash the first behind role/id; role NULL: the first. */
static const struct subject *first_behind(
	const struct presence *core, uint32_t hash, const char *role, const char *id)
{
	const struct subject *first = NULL;
	struct index_search search;
	uint32_t number = index_first(&core->subjects, hash, &search);
	for (; number; number = index_next(&search)) {
		const struct subject *subject = subject_at(core, number);
		if (role && !is_behind(core, subject, role, id))
			continue;
		if (!first ||
			is_behind(core, first, role_at(core, subject->role)->name, subject->id))
			first = subject;
	}
	return first;
}

int presence_next(const struct presence *core, const char *role, const char *id,
	struct presence_record *record)
{
	uint32_t hash = role ? subject_hash(core, role, id) : 0;
	const struct subject *next = role ? first_behind(core, hash, role, id) : NULL;
	if (!next && role)
		return presence_next_behind(core, hash, record);
	if (!next && index_at_or_above(&core->subjects, &hash))
		next = first_behind(core, hash, NULL, NULL);
	if (!next)
		return PRESENCE_ENOENT;
	subject_record(core, next, record);
	return PRESENCE_OK;
}

uint32_t presence_place(const struct presence *core, const char *role, const char *id)
{
	return subject_hash(core, role, id);
}

int presence_next_behind(
	const struct presence *core, uint32_t place, struct presence_record *record)
{
	if (place == UINT32_MAX)
		return PRESENCE_ENOENT;
	uint32_t hash = place + 1;
	if (!index_at_or_above(&core->subjects, &hash))
		return PRESENCE_ENOENT;
	subject_record(core, first_behind(core, hash, NULL, NULL), record);
	return PRESENCE_OK;
}

struct status_count {
	const struct presence *core;
	enum presence_status status;
	uint64_t sum;
};

static void add_role(uint32_t number, void *context)
{
	struct status_count *count = context;
	count->sum += role_at(count->core, number)->published[count->status];
}

uint64_t presence_count(const struct presence *core, const char *role, enum presence_status status)
{
	struct status_count count = { .core = core, .status = status };
	const struct role *found = role ? role_find(core, role) : NULL;
	if (found)
		return found->published[status];
	if (!role)
		index_each(&core->roles, add_role, &count);
	return count.sum;
}

int presence_session(const struct presence *core, uint64_t token, struct presence_session *found)
{
	const struct session *session = session_find(core, token);
	if (!session || !session->live)
		return PRESENCE_ENOENT;
	const struct subject *subject = subject_at(core, device_at(core, session->device)->subject);
	*found = (struct presence_session){
		.role = role_at(core, subject->role)->name,
		.id = subject->id,
		.is_hidden = subject_is_hidden(core, subject),
	};
	return PRESENCE_OK;
}

const struct presence_counts *presence_counts(const struct presence *core)
{
	return &core->counts;
}

struct each_role {
	const struct presence *core;
	void (*visit)(void *context, const char *role, uint64_t online);
	void *context;
};

static void visit_role(uint32_t number, void *context)
{
	const struct each_role *each = context;
	const struct role *role = role_at(each->core, number);
	uint64_t online = 0;
	for (int status = PRESENCE_OFFLINE + 1; status < PRESENCE_STATUSES; status++)
		online += role->published[status];
	/* A role that only invisible ones have is none yet. */
	if (online || role->published[PRESENCE_OFFLINE])
		each->visit(each->context, role->name, online);
}

void presence_each_role(const struct presence *core,
	void (*visit)(void *context, const char *role, uint64_t online), void *context)
{
	struct each_role each = { core, visit, context };
	index_each(&core->roles, visit_role, &each);
}
