/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
/* Who a client is: its id, its username, and the rules of `identity`, a line each. Whoever is
 * tracked has a role, an id and a device that qualify, and nobody is an admin by the client id. */

#include "wire/identity.h"

#include "fuzz.h"
#include "wire/options.h"

enum { RULES_MAX = 4 };

static struct options *make_options(const char *const rules[], size_t count)
{
	struct option_pair pairs[RULES_MAX + 1] = { { "roles", "agent admin device *" } };
	struct options *options;
	char problem[OPTIONS_PROBLEM_MAX];
	for (size_t i = 0; i < count; i++)
		pairs[i + 1] = (struct option_pair){ "identity", rules[i] };
	const struct options_input input = {
		.pairs = pairs,
		.count = count + 1,
		.host_name = "b1",
	};
	return options_parse(&input, &options, problem) ? NULL : options;
}

static void check_rule(const char *text)
{
	struct identity_rule *rule, *again;
	const char *problem = NULL;
	if (identity_rule_create(text, &rule, &problem)) {
		MUST(problem && !rule);
		return;
	}
	/* As it is shown, it means the same. */
	MUST(!identity_rule_create(identity_rule_text(rule), &again, &problem));
	MUST(!strcmp(identity_rule_text(rule), identity_rule_text(again)));
	MUST(identity_rule_source(rule) == identity_rule_source(again));
	identity_rule_destroy(again);
	identity_rule_destroy(rule);
}

static void check_identity(
	const struct options *options, const char *client_id, const char *username)
{
	struct identity *identity = malloc(sizeof(*identity)); /* its own, for the sanitizer */
	MUST(identity);
	memset(identity, 'x', sizeof(*identity));
	if (identity_of(options, client_id, username, identity) == IDENTITY_TRACKED) {
		MUST(topic_id_valid(identity->role) && topic_id_valid(identity->id));
		MUST(topic_id_valid(identity->device));
		MUST(!identity->unmatched || !client_id || !strcmp(identity->id, client_id));
		MUST(identity_role_known(options, identity->role));
	}
	MUST(!identity_is_admin(options, NULL, NULL));
	(void)identity_is_admin(options, client_id, username); /* any answer, if it comes */
	free(identity);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input input = { data, size };
	char *client_id = take_line(&input), *username = take_line(&input);
	char *rules[RULES_MAX];
	size_t count = 0;
	while (count < RULES_MAX && input.left)
		rules[count++] = take_line(&input);
	for (size_t i = 0; i < count; i++)
		check_rule(rules[i]);
	struct options *options = make_options((const char *const *)rules, count);
	if (!options)
		options = make_options(NULL, 0);
	MUST(options);
	check_identity(options, client_id, username);
	check_identity(options, client_id, NULL);
	check_identity(options, NULL, username);
	options_destroy(options);
	while (count)
		free(rules[--count]);
	free(username);
	free(client_id);
	return 0;
}
