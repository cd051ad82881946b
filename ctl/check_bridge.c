/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */

/* What comes from other brokers: the broker asks no access control about it. */

#include <string.h>
#include <strings.h>

#include "ctl/check.h"

enum { TOPIC_MAX = 512 };

/* The local topics of what a bridge's topic line lets in; false: nothing. Its words are
 * pattern [out|in|both [qos [local prefix [remote prefix]]]], and "" is none. */
static bool let_in(const char *value, char local[TOPIC_MAX])
{
	char text[TOPIC_MAX], *rest = NULL;
	(void)snprintf(text, sizeof(text), "%s", value); /* a longer one matches nothing of ours */
	const char *pattern = strtok_r(text, " ", &rest);
	const char *direction = pattern ? strtok_r(NULL, " ", &rest) : NULL;
	const char *qos = direction ? strtok_r(NULL, " ", &rest) : NULL;
	const char *prefix = qos ? strtok_r(NULL, " ", &rest) : NULL;
	if (!direction || (strcasecmp(direction, "in") != 0 && strcasecmp(direction, "both") != 0))
		return false;
	(void)snprintf(local, TOPIC_MAX, "%s%s", prefix && strcmp(prefix, "\"\"") ? prefix : "",
		strcmp(pattern, "\"\"") ? pattern : "");
	return true;
}

static void check_topic(struct check *check, const struct conf_line *line, const char *ours)
{
	char local[TOPIC_MAX], all[TOPIC_MAX];
	(void)snprintf(all, sizeof(all), "%s/#", ours); /* an option is shorter */
	if (!let_in(line->value, local) || !check_overlap(local, all))
		return;
	if (check->per_listener)
		check_fix(check_note(check, CHECK_ERROR, CHECK_ALL & ~CHECK_2_0_11, line,
				  "with per_listener_settings true nobody is asked about what "
				  "comes over this bridge: clients of the other broker write under "
				  "%s/",
				  ours),
			"per_listener_settings false, or topics that leave out %s", all);
	else
		check_fix(check_note(check, CHECK_WARNING, CHECK_ALL, line,
				  "what comes over this bridge under %s/ is refused, whoever sent "
				  "it; no access control is asked about it",
				  ours),
			"topics that leave out %s; brokers share presence through one Redis, each "
			"with a plugin_opt_node of its own",
			all);
}

void check_bridges(struct check *check)
{
	for (size_t i = 0; i < check->conf.count; i++) {
		const struct conf_line *line = &check->conf.line[i];
		if (strcmp(line->key, "topic") != 0)
			continue;
		check_topic(check, line, check->options ? check->options->topic : "presence");
		if (check->options)
			check_topic(check, line, check->options->typing_topic);
	}
}
