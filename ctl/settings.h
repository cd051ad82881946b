/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
#ifndef PRESENCE_CTL_SETTINGS_H
#define PRESENCE_CTL_SETTINGS_H

/* What the command line and the options file asked for. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Strings are borrowed, from argv or from kept. A text is NULL when it was not given. */
struct settings {
	const char *host, *unix_path;
	int64_t port; /* 0: 1883, or 8883 with TLS */
	const char *username, *password;
	const char *id;
	int64_t version; /* the place in the words of the table; 0 is MQTT 5 */
	int64_t keepalive;
	const char *cafile, *capath, *cert, *key, *tls_version;
	bool insecure, tls_os_certs;
	const char *options_file;
	int64_t timeout_ms;
	const char *topic; /* what presence stands under */

	bool help, json, changes_only;
	int64_t count, offset; /* 0: not given */
	const char *role, *after, *note, *admin;
	const char *status;
	int64_t ttl_ms;
	int64_t broker; /* the place in the words; 0: all */

	char **kept; /* strings of our own */
	size_t kept_count;
};

#define SETTINGS_PROBLEM_MAX 512
#define SETTINGS_FILE_MAX (64 * 1024) /* bytes of an options file */

void settings_init(struct settings *settings);
void settings_finish(struct settings *settings);

/* A copy that lives as long as settings; NULL when out of memory. */
char *settings_keep(struct settings *settings, const char *bytes, size_t length);

#endif
