/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
#include "core/siphash.h"

/* One compression and three finalisation rounds: the variant for hash tables, where nobody sees
 * the output. */
enum { COMPRESSION_ROUNDS = 1, FINALISATION_ROUNDS = 3 };

static uint64_t rotate(uint64_t value, unsigned bits)
{
	return value << bits | value >> (64 - bits);
}

static uint64_t little_endian(const uint8_t bytes[8])
{
	uint64_t value = 0;
	for (unsigned i = 0; i < 8; i++)
		value |= (uint64_t)bytes[i] << 8 * i;
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

static void update_byte(struct siphash *hash, uint8_t byte)
{
	hash->tail |= (uint64_t)byte << 8 * (hash->length++ % 8);
	if (hash->length % 8 == 0) {
		absorb(hash, hash->tail);
		hash->tail = 0;
	}
}

void siphash_update(struct siphash *hash, const void *data, size_t length)
{
	const uint8_t *bytes = data, *end = bytes + length;
	while (bytes < end && hash->length % 8)
		update_byte(hash, *bytes++);
	for (; end - bytes >= 8; bytes += 8, hash->length += 8)
		absorb(hash, little_endian(bytes));
	while (bytes < end)
		update_byte(hash, *bytes++);
}

uint64_t siphash_finish(struct siphash *hash)
{
	absorb(hash, hash->tail | (uint64_t)hash->length << 56);
	hash->v[2] ^= 0xff;
	rounds(hash->v, FINALISATION_ROUNDS);
	return hash->v[0] ^ hash->v[1] ^ hash->v[2] ^ hash->v[3];
}
