/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
#include "wire/identity.h"

#include <stdlib.h>
#include <string.h>

#include "wire/options.h"
#include "wire/utf8.h"

enum placeholder { ROLE, ID, DEVICE, PLACEHOLDERS };

static const char *const placeholders[PLACEHOLDERS] = {
	[ROLE] = "{role}",
	[ID] = "{id}",
	[DEVICE] = "{device}",
};

static const char *const sources[] = {
	[IDENTITY_CLIENTID] = "clientid",
	[IDENTITY_USERNAME] = "username",
};

struct span {
	const char *at; /* NULL: none */
	size_t length;
};

/* literal[0] what[0] literal[1] what[1] .. literal[count] */
struct identity_rule {
	enum identity_source source;
	size_t count;
	enum placeholder what[PLACEHOLDERS];
	struct span literal[PLACEHOLDERS + 1]; /* in text; only the outer ones may be empty */
	char text[];
};

static bool starts_with(const char *string, const char *start)
{
	return !strncmp(string, start, strlen(start));
}

static enum placeholder placeholder_at(const char *pattern)
{
	enum placeholder what = ROLE;
	while (what < PLACEHOLDERS && !starts_with(pattern, placeholders[what]))
		what++;
	return what;
}

static bool has(const struct identity_rule *rule, enum placeholder what)
{
	for (size_t i = 0; i < rule->count; i++)
		if (rule->what[i] == what)
			return true;
	return false;
}

/* Splits pattern, which is a part of rule->text. NULL, or what is wrong with it. */
static const char *split(struct identity_rule *rule, const char *pattern)
{
	for (;;) {
		size_t length = strcspn(pattern, "{}");
		rule->literal[rule->count] = (struct span){ pattern, length };
		pattern += length;
		if (!*pattern)
			break;
		enum placeholder what = placeholder_at(pattern);
		if (what == PLACEHOLDERS)
			return "has an unknown placeholder; there are {role}, {id} and {device}";
		if (has(rule, what))
			return "has a placeholder twice";
		if (rule->count > 0 && length == 0)
			return "needs something between two placeholders, to tell where one ends";
		rule->what[rule->count++] = what;
		pattern += strlen(placeholders[what]);
	}
	return has(rule, ROLE) && has(rule, ID) ? NULL : "needs both {role} and {id}";
}

static const char *skip_blanks(const char *text)
{
	return text + strspn(text, " \t");
}

/* Reads "<source> "; NULL when value starts with something else. */
static const char *read_source(const char *value, enum identity_source *source)
{
	value = skip_blanks(value);
	for (size_t i = 0; i < sizeof(sources) / sizeof(*sources); i++) {
		size_t length = strlen(sources[i]);
		if (!starts_with(value, sources[i]) ||
			skip_blanks(value + length) == value + length)
			continue;
		*source = (enum identity_source)i;
		return skip_blanks(value + length);
	}
	return NULL;
}

static const char *check_pattern(const char *pattern, size_t length)
{
	if (length == 0)
		return "needs a pattern, like clientid {role}:{id}";
	if (length > PRESENCE_ID_MAX)
		return "has a pattern of more than 128 bytes";
	if (memchr(pattern, ' ', length) || memchr(pattern, '\t', length))
		return "has a blank in its pattern";
	if (!utf8_printable(pattern, length))
		return "has characters in its pattern that no id can have";
	return NULL;
}

static struct identity_rule *rule_new(
	enum identity_source source, const char *pattern, size_t length)
{
	size_t start = strlen(sources[source]) + 1;
	struct identity_rule *rule = calloc(1, sizeof(*rule) + start + length + 1);
	if (!rule)
		return NULL;
	rule->source = source;
	memcpy(rule->text, sources[source], start - 1);
	rule->text[start - 1] = ' ';
	memcpy(rule->text + start, pattern, length);
	return rule;
}

int identity_rule_create(const char *value, struct identity_rule **rule, const char **problem)
{
	enum identity_source source;
	*rule = NULL;
	const char *pattern = read_source(value, &source);
	if (!pattern) {
		*problem = "is not clientid or username, then a pattern, like clientid {role}:{id}";
		return PRESENCE_EINVAL;
	}
	size_t length = strlen(pattern);
	while (length && strchr(" \t", pattern[length - 1]))
		length--;
	*problem = check_pattern(pattern, length);
	if (*problem)
		return PRESENCE_EINVAL;
	struct identity_rule *made = rule_new(source, pattern, length);
	if (!made) {
		*problem = "found no memory";
		return PRESENCE_ENOMEM;
	}
	*problem = split(made, made->text + strlen(sources[source]) + 1);
	if (*problem) {
		identity_rule_destroy(made);
		return PRESENCE_EINVAL;
	}
	*rule = made;
	return PRESENCE_OK;
}

void identity_rule_destroy(struct identity_rule *rule)
{
	free(rule);
}

enum identity_source identity_rule_source(const struct identity_rule *rule)
{
	return rule->source;
}

const char *identity_rule_text(const struct identity_rule *rule)
{
	return rule->text;
}

static bool literal_at(const struct span *literal, struct span text)
{
	return literal->length <= text.length && !memcmp(text.at, literal->at, literal->length);
}

/* How much of text stands before literal: at least one byte; 0: it does not come. */
static size_t length_before(const struct span *literal, struct span text)
{
	for (size_t length = 1; length + literal->length <= text.length; length++)
		if (literal_at(literal, (struct span){ text.at + length, text.length - length }))
			return length;
	return 0;
}

/* How much of text the last placeholder takes: all but the literal at the end; 0: no match. */
static size_t length_of_rest(const struct span *literal, struct span text)
{
	if (text.length <= literal->length)
		return 0;
	size_t length = text.length - literal->length;
	return literal_at(literal, (struct span){ text.at + length, literal->length }) ? length : 0;
}

static bool rule_match(
	const struct identity_rule *rule, const char *name, struct span found[PLACEHOLDERS])
{
	struct span text = { name, strlen(name) };
	const struct span *literal = rule->literal;
	if (!literal_at(literal, text))
		return false;
	text = (struct span){ text.at + literal->length, text.length - literal->length };
	for (size_t i = 0; i < rule->count; i++) {
		literal++;
		bool last = i + 1 == rule->count;
		size_t length = last ? length_of_rest(literal, text) : length_before(literal, text);
		if (length == 0)
			return false;
		found[rule->what[i]] = (struct span){ text.at, length };
		length += literal->length;
		text = (struct span){ text.at + length, text.length - length };
	}
	return true;
}

static const char unmatched_role[] = "client";

bool identity_role_unmatched(const char *role)
{
	return !strcmp(role, unmatched_role);
}

static bool role_in(const struct options_list *roles, struct span role)
{
	for (size_t i = 0; i < roles->count; i++) {
		const char *known = roles->item[i];
		if (!strcmp(known, "*") ||
			(strlen(known) == role.length && !memcmp(known, role.at, role.length)))
			return true;
	}
	return false;
}

static bool copy_valid(struct span from, char out[PRESENCE_ID_MAX + 1])
{
	if (from.length > PRESENCE_ID_MAX)
		return false;
	memcpy(out, from.at, from.length);
	out[from.length] = '\0';
	return topic_id_valid(out);
}

static enum identity_verdict fill(const struct span found[PLACEHOLDERS], struct identity *identity)
{
	bool valid = copy_valid(found[ROLE], identity->role) &&
		copy_valid(found[ID], identity->id) && copy_valid(found[DEVICE], identity->device);
	return valid ? IDENTITY_TRACKED : IDENTITY_INVALID;
}

enum identity_verdict identity_of(const struct options *options, const char *client_id,
	const char *username, struct identity *identity)
{
	*identity = (struct identity){ 0 };
	if (!client_id)
		return IDENTITY_INVALID;
	for (size_t i = 0; i < options->ignore_prefixes.count; i++)
		if (starts_with(client_id, options->ignore_prefixes.item[i]))
			return IDENTITY_IGNORED;
	struct span whole = { client_id, strlen(client_id) };
	for (size_t i = 0; i < options->identity_count; i++) {
		const struct identity_rule *rule = options->identity[i];
		const char *name = rule->source == IDENTITY_CLIENTID ? client_id : username;
		struct span found[PLACEHOLDERS] = { [DEVICE] = whole };
		if (name && rule_match(rule, name, found) && role_in(&options->roles, found[ROLE]))
			return fill(found, identity);
	}
	if (options->unmatched == UNMATCHED_IGNORE)
		return IDENTITY_IGNORED;
	identity->unmatched = true;
	return fill(
		(const struct span[]){ { unmatched_role, strlen(unmatched_role) }, whole, whole },
		identity);
}

bool identity_is_admin(const struct options *options, const char *client_id, const char *username)
{
	for (size_t i = 0; i < options->identity_count; i++) {
		const struct identity_rule *rule = options->identity[i];
		const char *name = rule->source == IDENTITY_CLIENTID ? client_id : username;
		struct span found[PLACEHOLDERS] = { 0 };
		/* The first that matches decides, as it does for who a client is. */
		if (name && rule_match(rule, name, found) && role_in(&options->roles, found[ROLE]))
			return role_in(&options->admin_roles, found[ROLE]);
	}
	return false;
}

bool identity_role_known(const struct options *options, const char *role)
{
	return role_in(&options->roles, (struct span){ role, strlen(role) }) ||
		!strcmp(role, unmatched_role);
}
