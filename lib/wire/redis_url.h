/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
#ifndef PRESENCE_WIRE_REDIS_URL_H
#define PRESENCE_WIRE_REDIS_URL_H

#include <stdio.h>

#include "wire/options.h"

/* redis://[user[:password]@]host[:port][/db], unix:///path; %XX in user and password. On error
 * PRESENCE_ENOMEM, or PRESENCE_EINVAL and *problem, a static sentence that goes after the option's
 * name. redis is to be finished either way. */
int redis_url_parse(const char *url, struct redis_url *redis, const char **problem);
void redis_url_finish(struct redis_url *redis);
/* As it was written, the password as ****** unless secrets; "none". */
void redis_url_print(const struct redis_url *redis, bool secrets, FILE *out);

#endif
