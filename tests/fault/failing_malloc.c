/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */

/* LD_PRELOAD: what the plugin's own code asks for can be refused, and nobody else's. The orders
 * stand in a file that the process maps, named by PRESENCE_MALLOC. */

#define _GNU_SOURCE
#include <errno.h>
#include <link.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "orders.h"

/* How often the plugin has asked; from which time to before which it gets nothing; how often it
 * got nothing. */
struct orders {
	_Atomic uint64_t asked, from, to, refused;
};

/* What glibc calls its own. */
void *__libc_malloc(size_t size);
void *__libc_calloc(size_t count, size_t size);
void *__libc_realloc(void *memory, size_t size);

static struct orders *orders;
static _Atomic uintptr_t code_from, code_to; /* of the plugin */
static _Thread_local bool is_looking;

__attribute__((constructor)) static void begin(void)
{
	orders = orders_map("PRESENCE_MALLOC", sizeof(*orders));
}

static int look_at(struct dl_phdr_info *info, size_t size, void *context)
{
	(void)size;
	(void)context;
	if (!info->dlpi_name || !strstr(info->dlpi_name, "mosquitto_presence.so"))
		return 0;
	for (int i = 0; i < info->dlpi_phnum; i++) {
		const ElfW(Phdr) *part = &info->dlpi_phdr[i];
		if (part->p_type != PT_LOAD || !(part->p_flags & PF_X))
			continue;
		atomic_store(&code_to, info->dlpi_addr + part->p_vaddr + part->p_memsz);
		atomic_store(&code_from, info->dlpi_addr + part->p_vaddr);
	}
	return 1;
}

static bool is_refused(const void *caller)
{
	if (!orders || is_looking)
		return false;
	if (!atomic_load(&code_from)) { /* not loaded so far */
		is_looking = true;
		(void)dl_iterate_phdr(look_at, NULL); /* finds it or not */
		is_looking = false;
	}
	uintptr_t at = (uintptr_t)caller;
	if (!atomic_load(&code_from) || at < atomic_load(&code_from) || at >= atomic_load(&code_to))
		return false;
	uint64_t number = atomic_fetch_add(&orders->asked, 1) + 1;
	if (number < atomic_load(&orders->from) || number >= atomic_load(&orders->to))
		return false;
	atomic_fetch_add(&orders->refused, 1);
	errno = ENOMEM;
	return true;
}

__attribute__((visibility("default"))) void *malloc(size_t size)
{
	return is_refused(__builtin_return_address(0)) ? NULL : __libc_malloc(size);
}

__attribute__((visibility("default"))) void *calloc(size_t count, size_t size)
{
	return is_refused(__builtin_return_address(0)) ? NULL : __libc_calloc(count, size);
}

__attribute__((visibility("default"))) void *realloc(void *memory, size_t size)
{
	return is_refused(__builtin_return_address(0)) ? NULL : __libc_realloc(memory, size);
}

__attribute__((visibility("default"))) char *strdup(const char *text)
{
	size_t size = strlen(text) + 1;
	char *copy = is_refused(__builtin_return_address(0)) ? NULL : __libc_malloc(size);
	return copy ? memcpy(copy, text, size) : NULL;
}
