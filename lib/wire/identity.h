/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
#ifndef PRESENCE_WIRE_IDENTITY_H
#define PRESENCE_WIRE_IDENTITY_H

/* From what a client calls itself to the subject and device it is. */

#include <stdbool.h>

#include "core/presence.h"
#include "wire/topic.h"

enum identity_source { IDENTITY_CLIENTID, IDENTITY_USERNAME };

/* One `identity` option, compiled: "clientid {role}:{id}:{device}". Literals between placeholders;
 * each placeholder takes as little as it can and never nothing, the last one the rest. */
struct identity_rule;

/* Parses the value of an `identity` option. On error *problem is a static sentence. */
int identity_rule_create(const char *value, struct identity_rule **rule, const char **problem);
void identity_rule_destroy(struct identity_rule *rule);
enum identity_source identity_rule_source(const struct identity_rule *rule);
/* The rule as it was written, blanks made single. */
const char *identity_rule_text(const struct identity_rule *rule);

struct identity {
	char role[PRESENCE_ID_MAX + 1], id[PRESENCE_ID_MAX + 1], device[PRESENCE_ID_MAX + 1];
	bool unmatched; /* no rule matched: role client, id and device are the client id */
};

enum identity_verdict {
	IDENTITY_TRACKED,
	IDENTITY_IGNORED, /* by ignore_prefixes, or unmatched ignore: not an error */
	IDENTITY_INVALID, /* the id does not qualify (bytes, length): counted as refused */
};

struct options;
/* True when the identity rules make a role of admin_roles of it: those for usernames of username,
 * which the broker has authenticated; those for client ids of client_id, which proves nothing.
 * NULL: not to be asked, or there is none. */
bool identity_is_admin(const struct options *options, const char *client_id, const char *username);
/* True for the role of clients that no rule matches. It is all that says so of a subject that is
 * restored, or that somebody speaks of. */
bool identity_role_unmatched(const char *role);
/* True when a client can have this role. */
bool identity_role_known(const struct options *options, const char *role);

/* Applies identity, roles, unmatched and ignore_prefixes; the first rule that matches and whose
 * role is one of `roles` wins. Either name may be NULL: the broker does not know it. */
enum identity_verdict identity_of(const struct options *options, const char *client_id,
	const char *username, struct identity *identity);

#endif
