/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
#ifndef PRESENCE_CORE_SIPHASH_H
#define PRESENCE_CORE_SIPHASH_H

#include <stddef.h>
#include <stdint.h>

/* SipHash-c-d of Aumasson and Bernstein (https://www.aumasson.jp/siphash/siphash.pdf): a hash
 * that strangers who choose the input cannot make collide without the key. */
struct siphash {
	uint64_t v[4];
	uint64_t tail;
	size_t length;
};

void siphash_init(struct siphash *hash, const uint8_t key[16]);
void siphash_update(struct siphash *hash, const void *data, size_t length);
uint64_t siphash_finish(struct siphash *hash);

#endif
