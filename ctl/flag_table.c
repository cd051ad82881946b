/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
#include "ctl/flag.h"

#define FIELD(name) .offset = offsetof(struct settings, name)

static const char *const versions[] = { "mqttv5", "mqttv311", NULL };
static const char *const tls_versions[] = { "tlsv1.3", "tlsv1.2", NULL };
static const char *const statuses[] = { "online", "away", "dnd", "offline", NULL };
static const char *const brokers[] = { "all", "2.0.11", "2.0.21", "2.1", NULL };

/* Rows read better in their own shape. */
/* clang-format off */
const struct flag flag_table[] = {
	{ .name = "host", .letter = 'h', .kind = FLAG_TEXT,
		.connection = true, FIELD(host), .value = "HOST",
		.text = "The broker's name or address. Default: localhost." },
	{ .name = "port", .letter = 'p', .kind = FLAG_NUMBER,
		.connection = true, FIELD(port), .value = "PORT", .min = 1, .max = 65535,
		.text = "Its port. Default: 1883, with TLS 8883." },
	{ .name = "unix", .kind = FLAG_FILE,
		.connection = true, FIELD(unix_path), .value = "PATH",
		.text = "The broker's Unix socket, instead of host and port." },
	{ .name = "url", .letter = 'L', .kind = FLAG_URL, .connection = true, .value = "URL",
		.text = "Host, port, username and password as one: "
			"mqtt://user:password@host:port, or mqtts:// for TLS with the "
			"certificates of this system." },
	{ .name = "username", .letter = 'u', .kind = FLAG_TEXT,
		.connection = true, FIELD(username), .value = "NAME",
		.text = "The username. It decides what may be commanded." },
	{ .name = "pw", .letter = 'P', .kind = FLAG_TEXT,
		.connection = true, FIELD(password), .value = "PASSWORD",
		.text = "The password. Others on this machine can read command lines: better "
			"put it into the options file." },
	{ .name = "id", .letter = 'i', .kind = FLAG_TEXT,
		.connection = true, FIELD(id), .value = "ID",
		.text = "The client id. Default: presencectl- and something random, which the "
			"plugin does not track." },
	{ .name = "protocol-version", .letter = 'V', .kind = FLAG_WORD,
		.connection = true, FIELD(version), .value = "VERSION",
		.words = versions, .prefix = "mqttv",
		.text = "mqttv5 or mqttv311; 5 or 311 will do. Default: mqttv5." },
	{ .name = "keepalive", .letter = 'k', .kind = FLAG_NUMBER,
		.connection = true, FIELD(keepalive), .value = "SECONDS",
		.min = 5, .max = 65535, .text = "The keepalive. Default: 60." },
	{ .name = "cafile", .kind = FLAG_FILE, .connection = true, FIELD(cafile), .value = "FILE",
		.text = "Use TLS, and trust the certificates in this file." },
	{ .name = "capath", .kind = FLAG_FILE,
		.connection = true, FIELD(capath), .value = "FOLDER",
		.text = "Use TLS, and trust the certificates in this folder." },
	{ .name = "cert", .kind = FLAG_FILE, .connection = true, FIELD(cert), .value = "FILE",
		.text = "Our own certificate; needs --key, and --cafile or --capath." },
	{ .name = "key", .kind = FLAG_FILE, .connection = true, FIELD(key), .value = "FILE",
		.text = "The key of --cert." },
	{ .name = "tls-version", .kind = FLAG_CHOICE,
		.connection = true, FIELD(tls_version), .value = "VERSION",
		.words = tls_versions,
		.text = "tlsv1.3 or tlsv1.2. Default: what both sides can." },
	{ .name = "tls-use-os-certs", .kind = FLAG_SWITCH,
		.connection = true, FIELD(tls_os_certs),
		.text = "Use TLS, and trust the certificates of this system." },
	{ .name = "insecure", .kind = FLAG_SWITCH, .connection = true, FIELD(insecure),
		.text = "Do not compare the certificate's name with the host's. For tests only." },
	{ .name = "options-file", .letter = 'o', .kind = FLAG_FILE,
		.connection = true, FIELD(options_file), .value = "FILE",
		.text = "Read options from this file, in place of the one under FILES." },
	{ .name = "timeout", .kind = FLAG_DURATION,
		.connection = true, FIELD(timeout_ms), .value = "DURATION",
		.min = 10, .max = 3600000,
		.text = "How long to wait for the connection, and for an answer. Default: 5s." },
	{ .name = "topic", .kind = FLAG_TEXT, .connection = true, FIELD(topic), .value = "TOPIC",
		.text = "What presence is published under: the plugin's option topic. "
			"Default: presence." },
	{ .name = "json", .kind = FLAG_SWITCH, FIELD(json),
		.text = "Print JSON, one value a line, for programs." },
	{ .name = "new", .letter = 'R', .kind = FLAG_SWITCH, FIELD(changes_only),
		.text = "Only what changes from now on, not how things stand." },
	{ .name = "count", .letter = 'C', .kind = FLAG_NUMBER, FIELD(count), .value = "N",
		.min = 1, .max = 1000000000,
		.text = "How many to show: watch ends after so many lines; list shows 100 "
			"unless told, and at most 1000." },
	{ .name = "offset", .kind = FLAG_NUMBER, FIELD(offset), .value = "N", .max = 1000000000,
		.text = "How many to skip." },
	{ .name = "after", .kind = FLAG_TEXT, FIELD(after), .value = "SUBJECT",
		.text = "Go on behind this subject, as the page before named it at its end." },
	{ .name = "role", .kind = FLAG_TEXT, FIELD(role), .value = "ROLE",
		.text = "Only of this role." },
	{ .name = "status", .kind = FLAG_CHOICE,
		FIELD(status), .value = "STATUS", .words = statuses,
		.text = "Only with this status: online, away, dnd or offline." },
	{ .name = "note", .kind = FLAG_TEXT, FIELD(note), .value = "TEXT",
		.text = "A text that everyone sees, of at most 128 bytes." },
	{ .name = "ttl", .kind = FLAG_DURATION, FIELD(ttl_ms), .value = "DURATION",
		.min = 1, .max = INT64_C(31536000000),
		.text = "How long it holds: 90s, 45min, 8h, 7d, or seconds. Default: until it is cleared." },
	{ .name = "broker", .kind = FLAG_WORD,
		FIELD(broker), .value = "VERSION", .words = brokers,
		.text = "Judge for this version of Mosquitto alone: 2.0.11, 2.0.21 or 2.1. "
			"Default: all; what concerns one of them names it." },
	{ .name = "admin", .kind = FLAG_TEXT, FIELD(admin), .value = "NAME",
		.text = "Also try whether a wrong password opens this username." },
	{ .name = "help", .kind = FLAG_SWITCH,
		FIELD(help), .text = "Show help, of a command if one is given." },
};
/* clang-format on */

const size_t flag_count = sizeof(flag_table) / sizeof(*flag_table);
