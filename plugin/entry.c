/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
/* What the broker calls: three functions. */

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "plugin/guard.h"
#include "plugin/hooks.h"

enum { PLUGIN_API = 5, GOODBYE_MS = 2000 };

#define EXPORT __attribute__((visibility("default")))

EXPORT int mosquitto_plugin_version(int version_count, const int *versions);
EXPORT int mosquitto_plugin_init(
	mosquitto_plugin_id_t *identifier, void **self, struct mosquitto_opt *opts, int opt_count);
EXPORT int mosquitto_plugin_cleanup(void *self, struct mosquitto_opt *opts, int opt_count);

/* One load of the plugin; configurations per listener make several, of one plugin. */
struct load {
	struct load *next;
	struct plugin *plugin;
	mosquitto_plugin_id_t *identifier;
};

/* The one instance of the process: the broker loads us once per listener and gives the loads
 * nothing in common. Touched by its main thread alone. */
static struct plugin *instance;

int mosquitto_plugin_version(int version_count, const int *versions)
{
	for (int i = 0; i < version_count; i++)
		if (versions[i] == PLUGIN_API)
			return PLUGIN_API;
	return -1;
}

static void plugin_destroy(struct plugin *plugin)
{
	if (!plugin)
		return;
	bool is_written = true;
	int64_t until_ms = clock_now_ms() + GOODBYE_MS;
	for (size_t i = 0; i < plugin->store_count; i++) {
		int64_t left_ms = until_ms - clock_now_ms();
		is_written &= store_destroy(plugin->stores[i], left_ms > 0 ? left_ms : 0);
	}
	if (!is_written)
		log_line(LOG_WARNING,
			"not all that changed last was written: Redis, or the disk of state_file, "
			"is slow or away. What it holds is put right after the next start");
	presence_destroy(plugin->core);
	guard_finish(plugin);
	kicks_finish(plugin);
	clients_finish(plugin);
	digests_finish(plugin);
	sys_finish(plugin);
	unsaid_finish(plugin);
	options_destroy(plugin->options);
	free(plugin);
}

static struct plugin *plugin_create(
	struct options *options, struct mosquitto_opt *opts, int opt_count)
{
	struct presence_config config;
	struct plugin *plugin = calloc(1, sizeof(*plugin));
	if (!plugin) {
		log_line(LOG_ERROR, "out of memory");
		options_destroy(options);
		return NULL;
	}
	plugin->options = options;
	plugin->opts = opts;
	plugin->opt_count = opt_count;
	plugin->init_ms = clock_now_ms();
	if (getrandom(plugin->hash_key, sizeof(plugin->hash_key), 0) < 0)
		log_line(LOG_WARNING, "no random key for the tables: %s", strerror(errno));
	config_of_core(plugin, &config);
	plugin->core = presence_create(&config, plugin->init_ms);
	if (!plugin->core || clients_init(plugin) || digests_init(plugin) || sys_init(plugin) ||
		unsaid_init(plugin)) {
		log_line(LOG_ERROR, "out of memory");
		plugin_destroy(plugin);
		return NULL;
	}
	if (config_start_stores(plugin)) {
		plugin_destroy(plugin);
		return NULL;
	}
	control_warn(options);
	return plugin;
}

/* Loaded before: the options must be the same ones. */
static bool is_same(const struct plugin *plugin, const struct options *options)
{
	char *ours = NULL, *theirs = NULL;
	bool same = !options_print(plugin->options, &ours) && !options_print(options, &theirs) &&
		!strcmp(ours, theirs);
	free(ours);
	free(theirs);
	if (!same)
		log_line(LOG_ERROR,
			"the plugin is loaded twice with different options: there is one "
			"presence per broker, so give every plugin line the same plugin_opt_ "
			"lines");
	return same;
}

static struct plugin *plugin_get_or_create(struct mosquitto_opt *opts, int opt_count)
{
	struct options *options = config_read(opts, opt_count);
	if (!options)
		return NULL;
	if (!instance)
		return plugin_create(options, opts, opt_count);
	bool same = is_same(instance, options);
	options_destroy(options);
	return same ? instance : NULL;
}

static void plugin_release(struct plugin *plugin)
{
	if (plugin->loads)
		return;
	if (plugin == instance)
		instance = NULL;
	plugin_destroy(plugin);
}

int mosquitto_plugin_init(
	mosquitto_plugin_id_t *identifier, void **self, struct mosquitto_opt *opts, int opt_count)
{
	struct load *load = calloc(1, sizeof(*load));
	struct plugin *plugin = load ? plugin_get_or_create(opts, opt_count) : NULL;
	if (!plugin)
		goto fail;
	if (!hooks_register(plugin, identifier)) {
		hooks_unregister(plugin, identifier);
		plugin_release(plugin);
		goto fail;
	}
	config_apply(plugin); /* the broker's version is known now */
	if (!plugin->loads)
		tick_hear_past(plugin);
	instance = plugin;
	*load = (struct load){ plugin->loads, plugin, identifier };
	plugin->loads = load;
	*self = load;
	return MOSQ_ERR_SUCCESS;
fail:
	free(load);
	return MOSQ_ERR_INVAL;
}

int mosquitto_plugin_cleanup(void *self, struct mosquitto_opt *opts, int opt_count)
{
	struct load *load = self;
	(void)opts;
	(void)opt_count;
	if (!load)
		return MOSQ_ERR_SUCCESS;
	struct plugin *plugin = load->plugin;
	hooks_unregister(plugin, load->identifier);
	struct load **link = &plugin->loads;
	while (*link != load)
		link = &(*link)->next;
	*link = load->next;
	free(load);
	plugin_release(plugin);
	return MOSQ_ERR_SUCCESS;
}
