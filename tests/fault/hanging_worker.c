/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */

/* LD_PRELOAD: a call that the plugin's workers make, and that may take long in real life, does not
 * come back while it is told so. The orders stand in a file that the process maps, named by
 * PRESENCE_HANG. */

#define _GNU_SOURCE
#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "orders.h"

enum { NAP_NS = 5000000 };

/* Whether to hang; how many do. */
struct orders {
	_Atomic uint64_t hang, hanging;
};

static struct orders *orders;

__attribute__((constructor)) static void begin(void)
{
	orders = orders_map("PRESENCE_HANG", sizeof(*orders));
}

static void hang_if_told(void)
{
	const struct timespec nap = { .tv_nsec = NAP_NS };
	char name[16] = "";
	if (!orders || !atomic_load(&orders->hang) ||
		pthread_getname_np(pthread_self(), name, sizeof(name)) ||
		strcmp(name, "presence-store") != 0)
		return;
	atomic_fetch_add(&orders->hanging, 1);
	while (atomic_load(&orders->hang))
		(void)nanosleep(&nap, NULL);
	atomic_fetch_sub(&orders->hanging, 1);
}

/* To Redis. */
__attribute__((visibility("default"))) ssize_t send(
	int fd, const void *bytes, size_t length, int flags)
{
	hang_if_told();
	return sendto(fd, bytes, length, flags, NULL, 0);
}

/* SQLite's, when it writes. */
__attribute__((visibility("default"))) ssize_t pwrite64(
	int fd, const void *bytes, size_t length, off64_t at)
{
	hang_if_told();
	return syscall(SYS_pwrite64, fd, bytes, length, at);
}
