/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "plugin/plugin.h"

enum { HOST_NAME_MAX_BYTES = 256, PASSWORD_MAX = 1024, SQLITE_REFRESH_MS = 60000 };

/* Reads at most max bytes; NULL, and a line in the log, when that is not possible. */
static char *read_file(const char *path, const char *option, size_t max, size_t *length)
{
	char *text = NULL;
	FILE *file = fopen(path, "re");
	if (!file) {
		log_line(LOG_ERROR,
			"%s %s cannot be read: %s. Create it, or let the broker's user "
			"read it",
			option, path, strerror(errno));
		return NULL;
	}
	text = malloc(max + 1);
	if (text) {
		*length = fread(text, 1, max + 1, file);
		if (ferror(file) || *length > max) {
			log_line(LOG_ERROR, "%s %s: %s", option, path,
				*length > max ? "the file is too long" : strerror(errno));
			free(text);
			text = NULL;
		} else {
			text[*length] = '\0';
		}
	}
	(void)fclose(file);
	return text;
}

/* What input does not name comes from the system. */
static struct options *parse(struct options_input input)
{
	char problem[OPTIONS_PROBLEM_MAX] = "out of memory";
	char path[OPTIONS_PATH_MAX], host_name[HOST_NAME_MAX_BYTES];
	struct options *options = NULL;
	char *text = NULL;

	if (options_config_file(input.pairs, input.count, path, problem)) {
		log_line(LOG_ERROR, "%s", problem);
		return NULL;
	}
	if (path[0]) {
		text = read_file(path, "config_file", OPTIONS_FILE_MAX, &input.file_length);
		if (!text)
			return NULL;
		input.file_text = text;
		input.file_name = path;
	}
	if (!gethostname(host_name, sizeof(host_name))) {
		host_name[sizeof(host_name) - 1] = '\0';
		input.host_name = host_name;
	}
	if (options_parse(&input, &options, problem))
		log_line(LOG_ERROR, "%s", problem);
	free(text);
	return options;
}

struct options *config_read(const struct mosquitto_opt *opts, int count)
{
	struct options_input input = { .count = (size_t)count };
	struct option_pair *pairs = calloc(input.count + 1, sizeof(*pairs));
	if (!pairs) {
		log_line(LOG_ERROR, "out of memory");
		return NULL;
	}
	for (size_t i = 0; i < input.count; i++)
		pairs[i] = (struct option_pair){ opts[i].key, opts[i].value };
	input.pairs = pairs;
	struct options *options = parse(input);
	free(pairs);
	return options;
}

void config_of_core(const struct plugin *plugin, struct presence_config *config)
{
	const struct options *options = plugin->options;
	*config = (struct presence_config){
		.grace_ms = options->grace_ms,
		.grace_keepalive_ms = options->grace_keepalive_ms,
		.restart_grace_ms = options->restart_grace_ms,
		.wills_follow = options->topic_guard != TOPIC_GUARD_OFF,
		.offline_retain_ms = options->offline_retain_for_ms,
		.unmatched_retain_ms = options->unmatched_retain_for_ms,
		.heartbeat_interval_ms = options->heartbeat_interval_ms,
		.heartbeat_misses = options->heartbeat_misses,
		.away_after_ms = options->away_after_ms,
		.device_topics = options->device_topics,
		/* 2.0.x never says that somebody said goodbye. */
		.goodbye = plugin->is_2_1 ? PRESENCE_REASON_DISCONNECT : PRESENCE_REASON_LEAVE,
		.subjects_max = options->subjects_max,
		.devices_max = options->devices_max,
	};
	if (options->redis.scheme != REDIS_NONE)
		config->refresh_ms = options->redis_ttl_ms / 3;
	else if (options->state_file)
		config->refresh_ms = SQLITE_REFRESH_MS;
	memcpy(config->hash_key, plugin->hash_key, sizeof(config->hash_key));
}

void config_apply(struct plugin *plugin)
{
	struct presence_config config;
	config_of_core(plugin, &config);
	presence_configure(plugin->core, &config);
}

static char *copied(const char *text, int *err)
{
	char *copy = strdup(text);
	if (!copy) {
		log_line(LOG_ERROR, "out of memory");
		*err = PRESENCE_ENOMEM;
	}
	return copy;
}

/* The password of redis_password_file, else of redis_url; *err is set when there should be one. */
static char *redis_password(const struct options *options, int *err)
{
	size_t length;
	if (!options->redis_password_file)
		return options->redis.password ? copied(options->redis.password, err) : NULL;
	char *password = read_file(
		options->redis_password_file, "redis_password_file", PASSWORD_MAX, &length);
	if (!password)
		*err = PRESENCE_EINVAL;
	else
		password[strcspn(password, "\r\n")] = '\0';
	return password;
}

static struct store *start(
	struct plugin *plugin, const struct store_ops *ops, const struct store_config *config)
{
	struct store *store = store_create(ops, config);
	if (store)
		plugin->stores[plugin->store_count++] = store;
	else
		log_line(LOG_ERROR, "cannot start a worker: out of memory or threads");
	return store;
}

int config_start_stores(struct plugin *plugin)
{
	const struct options *options = plugin->options;
	int err = PRESENCE_OK;
	char *password = redis_password(options, &err);
	if (err)
		return err;
	struct store_config config = {
		.node = options->node,
		.queue_max = options->queue_max,
		.subjects_max = options->subjects_max,
		.state_file = options->state_file,
		.redis_host = options->redis.host,
		.redis_port = options->redis.port,
		.redis_socket = options->redis.path,
		.redis_user = options->redis.user,
		.redis_password = password,
		.redis_db = options->redis.db,
		.redis_prefix = options->redis_prefix,
		.redis_partitions = options->redis_partitions,
		.redis_ttl_ms = options->redis_ttl_ms,
		.redis_stream_maxlen = options->redis_stream_maxlen,
		.node_lease_ms = options->node_lease_ms,
		.restart_grace_ms = options->restart_grace_ms,
	};
	if (options->state_file && !start(plugin, &store_sqlite_ops, &config))
		err = PRESENCE_ENOMEM;
	if (!err && options->redis.scheme != REDIS_NONE) {
		plugin->redis = start(plugin, &store_redis_ops, &config);
		err = plugin->redis ? PRESENCE_OK : PRESENCE_ENOMEM;
	}
	if (!err && !plugin->store_count)
		log_line(LOG_WARNING,
			"neither state_file nor redis_url is set: after a restart of "
			"the broker nobody knows who was online before, and retained records of "
			"clients that do not come back stay as they were. "
			"Set plugin_opt_state_file /var/lib/mosquitto/presence.db");
	if (password)
		explicit_bzero(password, strlen(password));
	free(password);
	return err;
}

/* Both texts have a line for each option, in the same order. */
static void log_changes(const struct options *running, const struct options *next)
{
	char *before = NULL, *after = NULL, *rest_before, *rest_after;
	int changes = 0;
	if (options_print(running, &before) || options_print(next, &after))
		goto out;
	char *was = strtok_r(before, "\n", &rest_before);
	char *is = strtok_r(after, "\n", &rest_after);
	while (was && is) {
		if (strcmp(was, is)) {
			log_line(LOG_NOTICE, "%s now reads %s; it was %s", next->config_file, is,
				was);
			changes++;
		}
		was = strtok_r(NULL, "\n", &rest_before);
		is = strtok_r(NULL, "\n", &rest_after);
	}
out:
	if (!changes)
		log_line(LOG_NOTICE, "%s read again: nothing has changed", next->config_file);
	free(before);
	free(after);
}

void config_reload(struct plugin *plugin)
{
	const char *fixed = NULL;
	struct options *next;

	if (!plugin->options->config_file)
		return;
	next = config_read(plugin->opts, plugin->opt_count);
	if (!next) {
		log_line(LOG_ERROR, "the options stay as they were");
		return;
	}
	if (options_find_fixed(plugin->options, next, &fixed) || fixed) {
		log_line(LOG_ERROR,
			"%s cannot change while the broker runs: the options stay as "
			"they were. Restart the broker to change it",
			fixed ? fixed : "(out of memory)");
		options_destroy(next);
		return;
	}
	if (!plugin->options->control_open)
		control_warn(next);
	log_changes(plugin->options, next);
	options_destroy(plugin->options);
	plugin->options = next;
	config_apply(plugin);
}
