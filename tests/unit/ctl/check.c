/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */

/* check-config over a folder of configurations, good and bad. Beside each x.conf stands x.expected,
 * the lines it gives. With PRESENCE_WRITE_EXPECTED set they are written instead. */

#include "ctl/check.h"

#include <dirent.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static char *judge(const char *path, unsigned versions, enum ctl_exit *end)
{
	struct check *check = calloc(1, sizeof(*check));
	char *text = NULL;
	size_t length;
	FILE *out = open_memstream(&text, &length);
	assert_non_null(check);
	assert_non_null(out);
	check_run(check, path, versions);
	*end = check_write(check, out);
	check_finish(check);
	free(check);
	assert_int_equal(fclose(out), 0);
	return text;
}

static void compare(const char *conf)
{
	char path[512];
	size_t length;
	enum ctl_exit end;
	char *found = judge(conf, CHECK_ALL, &end);
	(void)snprintf(
		path, sizeof(path), "%.*s.expected", (int)(strlen(conf) - strlen(".conf")), conf);
	if (getenv("PRESENCE_WRITE_EXPECTED")) {
		FILE *out = fopen(path, "w");
		assert_non_null(out);
		(void)fputs(found, out);
		(void)fclose(out);
	}
	char *expected = conf_read_file(path, &length);
	assert_non_null(expected);
	if (strcmp(found, expected))
		print_error("%s\n", conf);
	assert_string_equal(found, expected);
	assert_int_equal(end, strstr(found, ": error: ") ? CTL_REFUSED : CTL_OK);
	free(expected);
	free(found);
}

static void test_folder(void **state)
{
	DIR *folder = opendir(".");
	int count = 0;
	(void)state;
	assert_non_null(folder);
	for (struct dirent *entry; (entry = readdir(folder));) {
		const char *dot = strrchr(entry->d_name, '.');
		if (!dot || strcmp(dot, ".conf"))
			continue;
		compare(entry->d_name);
		count++;
	}
	(void)closedir(folder);
	assert_true(count >= 30);
}

static void test_versions(void **state)
{
	static const struct {
		const char *conf;
		unsigned version;
		bool error;
	} cases[] = {
		{ "order-dynsec.conf", CHECK_2_0_11, true },
		{ "order-dynsec.conf", CHECK_2_0_21, true },
		{ "order-dynsec.conf", CHECK_2_1, false },
		{ "websockets-only.conf", CHECK_2_0_11, true },
		{ "websockets-only.conf", CHECK_2_0_21, false },
		{ "per-listener.conf", CHECK_2_0_11, true },
		{ "per-listener.conf", CHECK_2_1, false },
		{ "allow-with-passwords.conf", CHECK_2_0_11, true },
		{ "allow-with-passwords.conf", CHECK_2_1, false },
	};
	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		enum ctl_exit end;
		char *found = judge(cases[i].conf, cases[i].version, &end);
		if (end != (cases[i].error ? CTL_REFUSED : CTL_OK))
			print_error("%s:\n%s", cases[i].conf, found);
		assert_int_equal(end, cases[i].error ? CTL_REFUSED : CTL_OK);
		free(found);
	}
}

static void test_missing_file(void **state)
{
	enum ctl_exit end;
	char *found = judge("nowhere.conf", CHECK_ALL, &end);
	(void)state;
	assert_int_equal(end, CTL_REFUSED);
	assert_string_equal(found,
		"nowhere.conf:1: error: nowhere.conf cannot be read: No such file or directory. "
		"Fix: correct the path, or run this as a user who may read it.\n"
		"1 error, 0 warnings\n");
	free(found);
}

static void write_file(const char *path, const char *text)
{
	FILE *file = fopen(path, "w");
	assert_non_null(file);
	(void)fputs(text, file);
	assert_int_equal(fclose(file), 0);
}

/* The plugin's own file is named by an absolute path, so it cannot stand in the folder. */
static void test_config_file(void **state)
{
	char folder[] = "/tmp/presence-check-XXXXXX", conf[64], options[64], text[512],
	     expected[1024];
	enum ctl_exit end;
	(void)state;
	assert_non_null(mkdtemp(folder));
	(void)snprintf(conf, sizeof(conf), "%s/m.conf", folder);
	(void)snprintf(options, sizeof(options), "%s/presence.conf", folder);
	(void)snprintf(text, sizeof(text),
		"listener 1883\nset_tcp_nodelay true\npassword_file p\n"
		"plugin /x/mosquitto_presence.so\nplugin_opt_config_file %s\n",
		options);
	write_file(conf, text);
	write_file(options, "# mine\nstate_file /var/lib/p.db\ngrce 3s\ngrace 5m\n\nqueue_max 1\n");
	char *found = judge(conf, CHECK_ALL, &end);
	(void)snprintf(expected, sizeof(expected),
		"%s:3: error: grce: unknown option grce. Fix: did you mean grace?\n", options);
	assert_non_null(strstr(found, expected));
	(void)snprintf(expected, sizeof(expected), "%s:4: error: grace: ", options);
	assert_non_null(strstr(found, expected));
	(void)snprintf(expected, sizeof(expected), "%s:6: error: queue_max: ", options);
	assert_non_null(strstr(found, expected));
	assert_non_null(strstr(found, "3 errors, 1 warning"));
	free(found);
	(void)remove(options);
	found = judge(conf, CHECK_ALL, &end);
	(void)snprintf(expected, sizeof(expected), "%s:5: error: %s cannot be read", conf, options);
	assert_non_null(strstr(found, expected));
	free(found);
	(void)remove(conf);
	(void)rmdir(folder);
}

/* Not in the folder: editors take blanks at the end of a line away. */
static void test_blanks(void **state)
{
	static const char first[] = "per_listener_settings true \n"
				    "listener 1883  127.0.0.1 \n"
				    "set_tcp_nodelay true # at once\n"
				    "upgrade_outgoing_qos true \n"
				    "max_queued_messages 0 # none waits\n"
				    "allow_anonymous true # for the demonstration\n"
				    "acl_file good.acl \n"
				    "plugin /x/mosquitto_presence.so \t\n"
				    "plugin_opt_auth_mode allow \n"
				    "plugin_opt_state_file /var/lib/p.db \n",
			  second[] = "allow_anonymous false # nobody\n"
				     "listener 1883\n"
				     "protocol websockets # for browsers\n"
				     "max_keepalive 0 \n"
				     "set_tcp_nodelay TRUE\n"
				     "plugin /x/mosquitto_presence.so\n"
				     "plugin_opt_auth_mode allow\n"
				     "plugin_load   name /x/mosquitto_persist_sqlite.so\n"
				     "include_dir . \n",
			  load[] = "plugin_load name  /x/mosquitto_presence.so\n";
	char path[] = "/tmp/presence-check-XXXXXX";
	enum ctl_exit end;
	int fd = mkstemp(path);
	(void)state;
	assert_true(fd >= 0 && !close(fd));
	write_file(path, first);
	char *found = judge(path, CHECK_2_0_11, &end);
	assert_non_null(strstr(found, ":1: error: on Mosquitto 2.0.11, per_listener_settings"));
	assert_non_null(strstr(found, ":5: warning: on Mosquitto 2.0, with max_queued_messages"));
	assert_non_null(strstr(found, "1 error, 1 warning\n"));
	free(found);
	found = judge(path, CHECK_2_1, &end);
	assert_non_null(strstr(found, ":8: error: on Mosquitto 2.1, blanks stand around the path"));
	assert_non_null(strstr(found, "1 error, 0 warnings\n"));
	free(found);
	write_file(path, second);
	found = judge(path, CHECK_2_0_11, &end);
	assert_non_null(strstr(found, ":2: error: on Mosquitto 2.0.11, there are WebSocket"));
	assert_non_null(strstr(found, "whatever allow_anonymous says"));
	assert_non_null(strstr(found, "set_tcp_nodelay is not true")); /* it does not start */
	assert_non_null(strstr(found, ":9: error: .  cannot be read: No such file or directory"));
	free(found);
	found = judge(path, CHECK_2_0_21, &end);
	assert_null(strstr(found, "max_keepalive"));
	free(found);
	found = judge(path, CHECK_2_1, &end);
	assert_null(strstr(found, "blanks stand"));
	free(found);
	write_file(path, load);
	found = judge(path, CHECK_2_1, &end);
	assert_non_null(strstr(found, "blanks stand around the path of the plugin_load line"));
	free(found);
	(void)remove(path);
}

int main(int argc, char *argv[])
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_folder),
		cmocka_unit_test(test_versions),
		cmocka_unit_test(test_missing_file),
		cmocka_unit_test(test_config_file),
		cmocka_unit_test(test_blanks),
	};
	/* The folder of configurations: their paths are short then. */
	if (argc != 2 || chdir(argv[1]))
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
