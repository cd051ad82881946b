/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
#include "core/siphash.h"

/* One compression and three finalisation rounds: the variant for hash tables, where nobody sees
 * the output. */
enum { COMPRESSION_ROUNDS = 1, FINALISATION_ROUNDS = 3 };

static uint64_t rotate(uint64_t value, unsigned bits)
{
	return value << bits | value >> (64 - bits);
}

/* Written out, compilers make one load of it. */
static inline uint64_t little_endian(const uint8_t bytes[8])
{
	return (uint64_t)bytes[0] | (uint64_t)bytes[1] << 8 | (uint64_t)bytes[2] << 16 |
		(uint64_t)bytes[3] << 24 | (uint64_t)bytes[4] << 32 | (uint64_t)bytes[5] << 40 |
		(uint64_t)bytes[6] << 48 | (uint64_t)bytes[7] << 56;
}

/* The first count of less than eight bytes. */
static inline uint64_t little_endian_some(const uint8_t *bytes, size_t count)
{
	uint64_t value = 0;
	unsigned bits = 0;
	if (count & 4) {
		value = (uint64_t)bytes[0] | (uint64_t)bytes[1] << 8 | (uint64_t)bytes[2] << 16 |
			(uint64_t)bytes[3] << 24;
		bytes += 4;
		bits = 32;
	}
	if (count & 2) {
		value |= ((uint64_t)bytes[0] | (uint64_t)bytes[1] << 8) << bits;
		bytes += 2;
		bits += 16;
	}
	if (count & 1)
		value |= (uint64_t)bytes[0] << bits;
	return value;
}

static inline void rounds(uint64_t v[4], int count)
{
	while (count-- > 0) {
		v[0] += v[1];
		v[2] += v[3];
		v[1] = rotate(v[1], 13) ^ v[0];
		v[3] = rotate(v[3], 16) ^ v[2];
		v[0] = rotate(v[0], 32);
		v[2] += v[1];
		v[0] += v[3];
		v[1] = rotate(v[1], 17) ^ v[2];
		v[3] = rotate(v[3], 21) ^ v[0];
		v[2] = rotate(v[2], 32);
	}
}

static inline void absorb(struct siphash *hash, uint64_t word)
{
	hash->v[3] ^= word;
	rounds(hash->v, COMPRESSION_ROUNDS);
	hash->v[0] ^= word;
}

void siphash_init(struct siphash *hash, const uint8_t key[16])
{
	uint64_t k0 = little_endian(key), k1 = little_endian(key + 8);
	*hash = (struct siphash){
		.v = { k0 ^ 0x736f6d6570736575, k1 ^ 0x646f72616e646f6d, k0 ^ 0x6c7967656e657261,
			k1 ^ 0x7465646279746573 },
	};
}

/* Less than a word, and no more than the tail has room for. */
static void update_some(struct siphash *hash, const uint8_t *bytes, size_t count)
{
	hash->tail |= little_endian_some(bytes, count) << 8 * (hash->length % 8);
	hash->length += count;
	if (count && hash->length % 8 == 0) {
		absorb(hash, hash->tail);
		hash->tail = 0;
	}
}

void siphash_update(struct siphash *hash, const void *data, size_t length)
{
	const uint8_t *bytes = data;
	size_t room = hash->length % 8 ? 8 - hash->length % 8 : 0;
	size_t first = length < room ? length : room;
	update_some(hash, bytes, first);
	bytes += first;
	length -= first;
	for (; length >= 8; bytes += 8, length -= 8, hash->length += 8)
		absorb(hash, little_endian(bytes));
	update_some(hash, bytes, length);
}

uint64_t siphash_finish(struct siphash *hash)
{
	absorb(hash, hash->tail | (uint64_t)hash->length << 56);
	hash->v[2] ^= 0xff;
	rounds(hash->v, FINALISATION_ROUNDS);
	return hash->v[0] ^ hash->v[1] ^ hash->v[2] ^ hash->v[3];
}
