/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
#include "core/state.h"

/* Roles come with their first subject and go with their last. */

static uint32_t role_hash(const struct presence *core, const char *name)
{
	return subject_hash(core, name, "");
}

static struct role *role_find_hashed(const struct presence *core, uint32_t hash, const char *name)
{
	struct index_search search;
	uint32_t number = index_first(&core->roles, hash, &search);
	while (number && strcmp(role_at(core, number)->name, name))
		number = index_next(&search);
	return role_at(core, number);
}

struct role *role_find(const struct presence *core, const char *name)
{
	return role_find_hashed(core, role_hash(core, name), name);
}

struct role *role_get_or_add(struct presence *core, const char *name)
{
	uint32_t hash = role_hash(core, name);
	struct role *found = role_find_hashed(core, hash, name);
	if (found)
		return found;
	if (index_reserve(&core->roles, hash))
		return NULL;
	uint32_t number = pool_take(&core->pool, SIZE_WITH(role, name, name));
	struct role *role = role_at(core, number);
	if (!role)
		return NULL;
	memcpy(role->name, name, strlen(name) + 1);
	role->self = number;
	role->hash = hash;
	index_insert(&core->roles, hash, number);
	return role;
}

void role_remove(struct presence *core, struct role *role)
{
	index_remove(&core->roles, role->hash, role->self);
	pool_give(&core->pool, role->self, SIZE_WITH(role, name, role->name));
}
