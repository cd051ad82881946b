/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
#include "core/state.h"

/* What is asked about subjects, without changing any. */

int presence_lookup(const struct presence *core, const char *role, const char *id,
	struct presence_record *record)
{
	const struct subject *subject = subject_find(core, role, id);
	if (!subject || !subject->rev)
		return PRESENCE_ENOENT;
	subject_record(subject, record);
	return PRESENCE_OK;
}

int presence_next(const struct presence *core, const char *role, const char *id,
	struct presence_record *record)
{
	/* The order is that of keyed hashes; that two subjects share all 64 bits of one, so that
	 * one of them is passed over, is not expected in the life of a broker. */
	uint64_t place = role ? table_place(state_hash(core, role, id)) + 1 : 0;
	const struct table_node *node = role && !place ? NULL
						       : table_find_place(&core->subjects, place);
	if (!node)
		return PRESENCE_ENOENT;
	subject_record(TABLE_CONST_ENTRY(node, struct subject, by_name), record);
	return PRESENCE_OK;
}

struct status_count {
	enum presence_status status;
	uint64_t sum;
};

static void add_role(const struct table_node *node, void *context)
{
	struct status_count *count = context;
	count->sum += TABLE_CONST_ENTRY(node, struct role, by_name)->published[count->status];
}

uint64_t presence_count(const struct presence *core, const char *role, enum presence_status status)
{
	struct status_count count = { .status = status };
	const struct role *found = role ? role_find(core, role) : NULL;
	if (found)
		return found->published[status];
	if (!role)
		table_each(&core->roles, add_role, &count);
	return count.sum;
}

int presence_session(const struct presence *core, uint64_t token, struct presence_session *found)
{
	const struct session *session = session_find(core, token);
	if (!session || !session->live)
		return PRESENCE_ENOENT;
	const struct subject *subject = session->device->subject;
	*found = (struct presence_session){
		.role = subject->role->name,
		.id = subject->id,
		.is_hidden = subject_is_hidden(subject),
	};
	return PRESENCE_OK;
}

const struct presence_counts *presence_counts(const struct presence *core)
{
	return &core->counts;
}

struct each_role {
	void (*visit)(void *context, const char *role, uint64_t online);
	void *context;
};

static void visit_role(const struct table_node *node, void *context)
{
	const struct role *role = TABLE_CONST_ENTRY(node, struct role, by_name);
	const struct each_role *each = context;
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
	struct each_role each = { visit, context };
	table_each(&core->roles, visit_role, &each);
}
