/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
#include "client-sdk/c/presence_client.h"

static const char *const errors[] = {
	[-PRESENCE_CLIENT_OK] = "all is well",
	[-PRESENCE_CLIENT_ENOMEM] = "out of memory",
	[-PRESENCE_CLIENT_EINVAL] = "an argument is not what it should be",
	[-PRESENCE_CLIENT_ESTATE] = "not possible now",
	[-PRESENCE_CLIENT_ENOTCONN] = "there is no connection to the broker",
	[-PRESENCE_CLIENT_EUNREACHABLE] = "the broker cannot be reached",
	[-PRESENCE_CLIENT_EREFUSED] = "the broker refuses",
	[-PRESENCE_CLIENT_ELOST] = "the connection was lost",
	[-PRESENCE_CLIENT_ETIMEDOUT] =
		"the broker did not answer in time; does it have the plugin?",
	[-PRESENCE_CLIENT_ECOMMAND] = "the command failed",
	[-PRESENCE_CLIENT_ENOENT] = "that is not watched",
	[-PRESENCE_CLIENT_EFULL] = "a limit is reached",
	[-PRESENCE_CLIENT_ECANCELED] = "given up, for a later call or the end",
	[-PRESENCE_CLIENT_ESYSTEM] = "the system gave no thread or descriptor",
};

const char *presence_strerror(int error)
{
	int count = (int)(sizeof(errors) / sizeof(*errors));
	return error <= 0 && error > -count ? errors[-error] : "an unknown error";
}

const char *presence_client_status_name(enum presence_client_status status)
{
	switch (status) {
	case PRESENCE_CLIENT_UNKNOWN:
		return "unknown";
	case PRESENCE_CLIENT_OFFLINE:
		return "offline";
	case PRESENCE_CLIENT_AWAY:
		return "away";
	case PRESENCE_CLIENT_ONLINE:
		return "online";
	case PRESENCE_CLIENT_DND:
		return "dnd";
	}
	return "unknown";
}
