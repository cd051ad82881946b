/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
#ifndef TESTS_FAULT_ORDERS_H
#define TESTS_FAULT_ORDERS_H

#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

/* The orders of a preloaded library, size bytes that preloaded.py writes, in the file that variable
 * names. NULL: there are none. */
static inline void *orders_map(const char *variable, size_t size)
{
	const char *path = getenv(variable);
	int fd = path ? open(path, O_RDWR | O_CLOEXEC) : -1;
	if (fd < 0)
		return NULL;
	void *at = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	(void)close(fd); /* the map stays */
	return at == MAP_FAILED ? NULL : at;
}

#endif
