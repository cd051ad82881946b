/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
#include <stdlib.h>
#include <string.h>

#include "wire/identity.h"
#include "wire/option_kind.h"
#include "wire/redis_url.h"
#include "wire/topic.h"

static int list_add(struct options_list *list, const char *item, size_t length)
{
	char **more = realloc(list->item, (list->count + 1) * sizeof(*more));
	if (!more)
		return PRESENCE_ENOMEM;
	list->item = more;
	more[list->count] = strndup(item, length);
	if (!more[list->count])
		return PRESENCE_ENOMEM;
	list->count++;
	return PRESENCE_OK;
}

OPTION_SETTER(list)
{
	struct options_list *list = option_field(option, options);
	bool none = !strcmp(value, "none");
	for (size_t length; *value && !none; value += length) {
		value += strspn(value, " ");
		length = strcspn(value, " ");
		if (length > PRESENCE_ID_MAX)
			return option_refuse(
				problem, "has a word of more than %d bytes", PRESENCE_ID_MAX);
		if (length == strlen("none") && !strncmp(value, "none", length))
			return option_refuse(
				problem, "has none among other words; none stands alone");
		int err = list_add(list, value, length);
		if (err)
			return err;
	}
	if ((int64_t)list->count < option->min)
		return option_refuse(problem, "needs at least one word; * stands for any");
	if ((int64_t)list->count > option->max)
		return option_refuse(problem, "has more than %d words", (int)option->max);
	return PRESENCE_OK;
}

OPTION_CLEARER(list)
{
	struct options_list *list = option_field(option, options);
	for (size_t i = 0; i < list->count; i++)
		free(list->item[i]);
	free(list->item);
	*list = (struct options_list){ 0 };
}

OPTION_PRINTER(list)
{
	const struct options_list *list = option_field_const(option, options);
	(void)secrets;
	for (size_t i = 0; i < list->count; i++)
		fprintf(out, "%s%s", i ? " " : "", list->item[i]);
	if (list->count == 0)
		fputs("none", out);
}

OPTION_SETTER(identity)
{
	const char *why;
	struct identity_rule *rule;
	char quote[OPTION_QUOTE_MAX];
	(void)option;
	if (options->identity_count == OPTION_ITEMS_MAX)
		return option_refuse(problem, "stands more than %d times", OPTION_ITEMS_MAX);
	int err = identity_rule_create(value, &rule, &why);
	if (err == PRESENCE_EINVAL)
		return option_refuse(problem, "%s %s", option_quote(value, quote), why);
	struct identity_rule **more = err
		? NULL
		: realloc(options->identity, (options->identity_count + 1) * sizeof(*more));
	if (!more) {
		identity_rule_destroy(rule);
		return PRESENCE_ENOMEM;
	}
	options->identity = more;
	more[options->identity_count++] = rule;
	return PRESENCE_OK;
}

OPTION_CLEARER(identity)
{
	(void)option;
	for (size_t i = 0; i < options->identity_count; i++)
		identity_rule_destroy(options->identity[i]);
	free(options->identity);
	options->identity = NULL;
	options->identity_count = 0;
}

OPTION_PRINTER(identity)
{
	(void)secrets;
	for (size_t i = 0; i < options->identity_count; i++) {
		if (i)
			fprintf(out, "\n%s ", option->key);
		fputs(identity_rule_text(options->identity[i]), out);
	}
}

OPTION_SETTER(redis)
{
	const char *why;
	(void)option;
	int err = redis_url_parse(value, &options->redis, &why);
	return err == PRESENCE_EINVAL ? option_refuse(problem, "%s", why) : err;
}

OPTION_CLEARER(redis)
{
	(void)option;
	redis_url_finish(&options->redis);
}

OPTION_PRINTER(redis)
{
	(void)option;
	redis_url_print(&options->redis, secrets, out);
}
