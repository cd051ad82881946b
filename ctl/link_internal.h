/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
#ifndef PRESENCE_CTL_LINK_INTERNAL_H
#define PRESENCE_CTL_LINK_INTERNAL_H

/* Inside link: making the connection. */

#include "ctl/link.h"

/* Gives a fresh link->mosquitto what settings say: names, TLS. */
enum ctl_exit link_prepare(
	struct link *link, const struct settings *settings, char problem[LINK_PROBLEM_MAX]);

/* Connects its socket, which may block, but not for longer than timeout_ms. */
enum ctl_exit link_connect(
	struct link *link, const struct settings *settings, char problem[LINK_PROBLEM_MAX]);

bool link_is_tls(const struct settings *settings);

/* A connection with TLS ended before the broker's word, with this error of the library. */
enum ctl_exit link_refuse_tls(const char *place, int err, char problem[LINK_PROBLEM_MAX]);

/* "host:port" or the socket's path, for messages. */
void link_place(const struct settings *settings, char *place, size_t size);

__attribute__((format(printf, 3, 4))) enum ctl_exit link_refuse(
	char problem[LINK_PROBLEM_MAX], enum ctl_exit end, const char *format, ...);

#endif
