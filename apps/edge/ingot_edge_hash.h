/* SPDX-License-Identifier: Apache-2.0 */
#ifndef INGOT_EDGE_HASH_H
#define INGOT_EDGE_HASH_H

/* SHA-512 of a message in parts: what Ed25519 hashes lies in three places. */

#include "ingot_edge_sign.h"

struct ige_sha512 {
    uint64_t state[8];
    uint64_t size; /* so far; below 2^61 */
    uint8_t block[128];
};

void ige_sha512_init(struct ige_sha512 *hash);
void ige_sha512_update(struct ige_sha512 *hash, const void *bytes, size_t size);
void ige_sha512_final(struct ige_sha512 *hash, uint8_t digest[IGE_HASH_BYTES]);

#endif
