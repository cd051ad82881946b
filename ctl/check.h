/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
#ifndef PRESENCE_CTL_CHECK_H
#define PRESENCE_CTL_CHECK_H

/* check-config: what is wrong with a mosquitto.conf, and what to write instead. */

#include <stdio.h>

#include "ctl/conf.h"
#include "ctl/exit.h"
#include "wire/options.h"

/* Which versions of the broker a finding concerns. */
enum check_version {
	CHECK_2_0_11 = 1,
	CHECK_2_0_21 = 2,
	CHECK_2_1 = 4,
	CHECK_2_0 = CHECK_2_0_11 | CHECK_2_0_21,
	CHECK_ALL = CHECK_2_0 | CHECK_2_1,
};

enum check_level { CHECK_ERROR, CHECK_WARNING };

struct check_finding {
	enum check_level level;
	unsigned versions;
	const char *file; /* borrowed from conf, or own */
	size_t line;
	size_t place; /* of the line among all, to sort by */
	char what[512], fix[512];
};

struct check_plugin {
	const struct conf_line *line;
	const char *path; /* of its library */
	bool ours;
	size_t listener;                   /* it stands under; 0: before the first */
	size_t first_option, option_count; /* among check->option */
};

struct check_option {
	const struct conf_line *line;
	struct option_pair pair;
};

struct check_listener {
	const struct conf_line *line;
	bool websockets;
};

#define CHECK_PLUGINS_MAX 32
#define CHECK_OPTIONS_MAX 512
#define CHECK_LISTENERS_MAX 64

struct check {
	struct conf conf;
	unsigned versions; /* asked for */
	struct check_finding *finding;
	size_t count;
	bool failed; /* out of memory */
	bool per_listener;

	struct check_plugin plugin[CHECK_PLUGINS_MAX];
	size_t plugin_count;
	struct check_option option[CHECK_OPTIONS_MAX];
	size_t option_count;
	struct check_listener listener[CHECK_LISTENERS_MAX]; /* 0: the default one */
	size_t listener_count;
	const struct check_plugin *ours; /* the first; NULL: there is none */
	struct options *options;         /* of ours; NULL when they are wrong */
};

/* Reads and judges path. versions: of enum check_version. check is to be finished in any case. */
void check_run(struct check *check, const char *path, unsigned versions);
/* One line each. CTL_REFUSED when there are errors. */
enum ctl_exit check_write(const struct check *check, FILE *out);
void check_finish(struct check *check);

/* Inside check: notes what is wrong at a line, unless none of versions was asked for. line NULL:
 * the file as a whole. fix is a sentence without its full stop. */
__attribute__((format(printf, 5, 6))) struct check_finding *check_note(struct check *check,
	enum check_level level, unsigned versions, const struct conf_line *line, const char *format,
	...);
__attribute__((format(printf, 2, 3))) void check_fix(
	struct check_finding *finding, const char *format, ...);

void check_lines(struct check *check);     /* what stands in any line */
void check_options(struct check *check);   /* plugin_opt_ of ours */
void check_listeners(struct check *check); /* listeners, speed, limits */
void check_order(struct check *check);     /* plugins among themselves */
void check_login(struct check *check);     /* who may connect */
void check_rights(struct check *check);    /* who may read and write what */
void check_bridges(struct check *check);   /* what comes from other brokers */

/* True when a topic can match both: + # and the %c %u of patterns stand for anything. */
bool check_overlap(const char *a, const char *b);

#endif
