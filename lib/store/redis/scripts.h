/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
#ifndef PRESENCE_STORE_REDIS_SCRIPTS_H
#define PRESENCE_STORE_REDIS_SCRIPTS_H

/* The Lua scripts, as constants: data reaches them in ARGV only. */
enum redis_script {
	REDIS_SCRIPT_REGISTER,
	REDIS_SCRIPT_APPLY,
	REDIS_SCRIPT_REFRESH,
	REDIS_SCRIPT_RENEW,
	REDIS_SCRIPT_SWEEP,
	REDIS_SCRIPT_SNAPSHOT,
	REDIS_SCRIPTS
};

extern const char *const redis_scripts[REDIS_SCRIPTS];

#endif
