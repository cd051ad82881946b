/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
#include "wire/options.h"

#include <stdlib.h>
#include <string.h>

#include "core/presence.h"
#include "wire/number.h"
#include "wire/option_kind.h"
#include "wire/options_layer.h"
#include "wire/topic.h"

/* Calls visit with each of the defaults of an option, while it answers PRESENCE_OK. */
static int each_default(const struct option *option,
	int (*visit)(void *context, const struct option *option, const char *value), void *context)
{
	char value[OPTION_VALUE_MAX + 1];
	int err = PRESENCE_OK;
	for (const char *line = option->fallback; *line && !err;) {
		size_t length = strcspn(line, "\n");
		memcpy(value, line, length);
		value[length] = '\0';
		err = visit(context, option, value);
		line += length + (line[length] == '\n');
	}
	return err;
}

/* A default in the table is written as a user could write it. */
static int set_default(void *context, const struct option *option, const char *value)
{
	char problem[OPTIONS_PROBLEM_MAX];
	return option_set(option, context, value, problem);
}

static int set_defaults(struct options *options)
{
	int err = PRESENCE_OK;
	for (size_t i = 0; i < options_table_count && !err; i++)
		if (options_table[i].kind != OPTION_NODE)
			err = each_default(&options_table[i], set_default, options);
	return err;
}

static int set_pairs(struct options_layer *layer, const struct option_pair *pairs, size_t count)
{
	int err = PRESENCE_OK;
	for (size_t i = 0; i < count && !err; i++)
		err = options_layer_set(layer, pairs[i].key, pairs[i].value);
	return err;
}

/* The default of node is not ours to know; it is judged only when nobody named the node. */
static int set_node(struct options *options, const char *host_name, char *problem)
{
	const char *hint;
	char why[OPTIONS_PROBLEM_MAX];
	if (options->node)
		return PRESENCE_OK;
	int err = option_set(option_find("node", &hint), options, host_name ? host_name : "", why);
	return err == PRESENCE_EINVAL
		? option_refuse(problem,
			  "the host's name does not do as the default of node: %s; "
			  "give plugin_opt_node",
			  why)
		: err;
}

static int check_redis(const struct options *options, char *problem)
{
	const struct redis_url *redis = &options->redis;
	char ttl[NUMBER_TEXT_MAX], lease[NUMBER_TEXT_MAX], least[NUMBER_TEXT_MAX];
	int64_t least_ms = 3 * options->node_lease_ms;
	if (options->redis_ttl_ms < least_ms)
		return option_refuse(problem,
			"redis_ttl is %s, less than three times node_lease, which is %s; make it "
			"%s or more",
			number_text(options->redis_ttl_ms, true, ttl),
			number_text(options->node_lease_ms, true, lease),
			number_text(least_ms, true, least));
	if (redis->password && options->redis_password_file)
		return option_refuse(problem,
			"redis_url has a password and redis_password_file is given; remove one");
	if (redis->user && !redis->password && !options->redis_password_file)
		return option_refuse(
			problem, "redis_url has a user but no password; add redis_password_file");
	return PRESENCE_OK;
}

/* What no option can know alone. */
static int check(const struct options *options, char *problem)
{
	if (topic_under(options->topic, options->typing_topic) ||
		topic_under(options->typing_topic, options->topic))
		return option_refuse(problem,
			"topic and typing_topic overlap; neither may be the start of the other");
	return check_redis(options, problem);
}

int options_parse(const struct options_input *input, struct options **options,
	char problem[OPTIONS_PROBLEM_MAX])
{
	struct options *made = calloc(1, sizeof(*made));
	struct options_layer file = {
		.options = made,
		.file_name = input->file_name ? input->file_name : "config_file",
		.problem = problem,
	};
	struct options_layer broker = { .options = made, .problem = problem };
	*options = NULL;
	*problem = '\0';
	int err = made ? set_defaults(made) : PRESENCE_ENOMEM;
	if (!err && input->file_text)
		err = options_layer_read(&file, input->file_text, input->file_length);
	if (!err)
		err = set_pairs(&broker, input->pairs, input->count);
	if (!err)
		err = set_node(made, input->host_name, problem);
	if (!err)
		err = check(made, problem);
	if (err == PRESENCE_ENOMEM)
		(void)option_refuse(problem, "out of memory");
	if (err) {
		options_destroy(made);
		return err;
	}
	*options = made;
	return PRESENCE_OK;
}

void options_destroy(struct options *options)
{
	for (size_t i = 0; options && i < options_table_count; i++)
		option_clear(&options_table[i], options);
	free(options);
}

int options_config_file(const struct option_pair *pairs, size_t count, char path[OPTIONS_PATH_MAX],
	char problem[OPTIONS_PROBLEM_MAX])
{
	struct options scratch = { 0 };
	struct options_layer layer = { .options = &scratch, .problem = problem };
	static const char key[] = "config_file";
	const char *hint;
	int err = PRESENCE_OK;
	*problem = *path = '\0';
	for (size_t i = 0; i < count && !err; i++)
		if (!strcmp(pairs[i].key, key))
			err = options_layer_set(&layer, key, pairs[i].value);
	if (!err && scratch.config_file)
		strcpy(path, scratch.config_file);
	if (err == PRESENCE_ENOMEM)
		(void)option_refuse(problem, "out of memory");
	option_clear(option_find(key, &hint), &scratch);
	return err;
}

int options_print(const struct options *options, char **text)
{
	size_t length;
	*text = NULL;
	FILE *out = open_memstream(text, &length);
	if (!out)
		return PRESENCE_ENOMEM;
	for (size_t i = 0; i < options_table_count; i++) {
		fprintf(out, "%s ", options_table[i].key);
		option_print(&options_table[i], options, false, out);
		fputc('\n', out);
	}
	if (!fclose(out))
		return PRESENCE_OK;
	free(*text);
	*text = NULL;
	return PRESENCE_ENOMEM;
}

/* The value as text, with its secrets, to compare; NULL when out of memory. */
static char *value_of(const struct option *option, const struct options *options)
{
	size_t length;
	char *text = NULL;
	FILE *out = open_memstream(&text, &length);
	if (!out)
		return NULL;
	option_print(option, options, true, out);
	if (!fclose(out))
		return text;
	free(text);
	return NULL;
}

int options_find_fixed(const struct options *running, const struct options *next, const char **key)
{
	int err = PRESENCE_OK;
	*key = NULL;
	for (size_t i = 0; i < options_table_count && !*key && !err; i++) {
		const struct option *option = &options_table[i];
		if (option->reloads)
			continue;
		char *old = value_of(option, running), *new = value_of(option, next);
		if (!old || !new)
			err = PRESENCE_ENOMEM;
		else if (strcmp(old, new))
			*key = option->key;
		free(old);
		free(new);
	}
	return err;
}

struct visitor {
	void (*visit)(void *context, const char *key, const char *default_value);
	void *context;
};

static int visit_default(void *context, const struct option *option, const char *value)
{
	const struct visitor *visitor = context;
	visitor->visit(visitor->context, option->key, value);
	return PRESENCE_OK;
}

void options_each_key(
	void (*visit)(void *context, const char *key, const char *default_value), void *context)
{
	struct visitor visitor = { visit, context };
	for (size_t i = 0; i < options_table_count; i++)
		(void)each_default(&options_table[i], visit_default, &visitor); /* cannot fail */
}
