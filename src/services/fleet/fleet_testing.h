/* SPDX-License-Identifier: Apache-2.0 */
#ifndef IG_SERVICES_FLEET_FLEET_TESTING_H
#define IG_SERVICES_FLEET_FLEET_TESTING_H

/* For tests: signed bundles whose model is any bytes, since the server does not look at it. */

#include "formats/edge/edge_header.h"
#include "formats/edge/minisign.h"
#include "services/fleet/fleet_rollout.h"
#include "services/registry/world_testing.h"

#include <zlib.h>

static const unsigned char FLEET_SEED[32] = {7, 7, 7};

struct fleet_bundle {
    struct ig_buf bytes, signature;
    char digest[IG_SHA256_HEX];
};

static inline void fleet_public_key(struct ig_buf *out)
{
    struct ig_err err = IG_ERR_INIT;
    ig_buf_init(out, 4096);
    ASSERT_OK(ig_minisign_public_write(out, FLEET_SEED, &err));
}

/* Another key's file, and its signature by `signer`. */
static inline void fleet_next_key(struct ig_buf *key, struct ig_buf *signature,
                                  const unsigned char seed[32], const unsigned char signer[32])
{
    struct ig_err err = IG_ERR_INIT;
    ig_buf_init(key, 4096);
    ig_buf_init(signature, 4096);
    ASSERT_OK(ig_minisign_public_write(key, seed, &err));
    ASSERT_OK(ig_minisign_sign(signature, signer, ig_buf_view(key), IG_STR("next"), &err));
}

static inline void fleet_bundle_put(struct ig_buf *out, uint64_t value, int bytes)
{
    for (int i = 0; i < bytes; i++) ig_buf_add_char(out, (char)(value >> (8 * i)));
}

/* Signed, and in the blob store. */
static inline void fleet_bundle_make(struct fleet_bundle *bundle, struct ig_blob_store *blobs,
                                     uint64_t counter, const char *target, uint64_t expiry)
{
    enum { MODEL = 4000 };
    struct ig_err err = IG_ERR_INIT;
    struct ig_buf *out = &bundle->bytes;
    char text[32] = "risk", kind[16] = "";
    ig_buf_init(out, 1 << 20);
    ig_buf_init(&bundle->signature, 4096);
    ig_buf_add_cstr(out, "IGB\x1a");
    fleet_bundle_put(out, 1, 4);
    fleet_bundle_put(out, IG_EDGE_HEADER_BYTES + MODEL, 4);
    fleet_bundle_put(out, 0, 4);
    ig_buf_add(out, text, sizeof text);
    fleet_bundle_put(out, counter, 8);
    fleet_bundle_put(out, expiry, 8);
    memcpy(kind, target, strlen(target));
    ig_buf_add(out, kind, sizeof kind);
    fleet_bundle_put(out, 64, 4);
    fleet_bundle_put(out, IG_EDGE_HEADER_BYTES, 4);
    fleet_bundle_put(out, MODEL, 4);
    fleet_bundle_put(out, IG_EDGE_HEADER_BYTES + MODEL, 4);
    fleet_bundle_put(out, 0, 8);
    fleet_bundle_put(out, 0, 8);
    for (uint64_t i = 0; i < MODEL; i++)
        fleet_bundle_put(out, i % 100 == counter ? counter : i * i, 1);
    ASSERT_OK(ig_minisign_sign(&bundle->signature, FLEET_SEED, ig_buf_view(out), IG_STR(""), &err));
    ASSERT_OK(ig_blob_put(bundle->digest, blobs, ig_buf_view(out), &err));
}

/* Appends a record of a sketch over edges 0 and 10 with these counts. */
static inline void fleet_record(struct ig_buf *out, uint32_t number, uint64_t counter,
                                uint32_t feature, const uint32_t counts[3])
{
    size_t start = out->len;
    fleet_bundle_put(out, 0x0046 << 16 | 0x4c49, 4);
    fleet_bundle_put(out, number, 4);
    fleet_bundle_put(out, 52, 4);
    fleet_bundle_put(out, 0, 4);
    fleet_bundle_put(out, counter, 8);
    fleet_bundle_put(out, 0, 4);
    fleet_bundle_put(out, feature, 2);
    fleet_bundle_put(out, 2, 1);
    fleet_bundle_put(out, 1, 1);
    fleet_bundle_put(out, (uint64_t)counts[0] + counts[1] + counts[2], 4);
    fleet_bundle_put(out, 0, 4);
    fleet_bundle_put(out, (uint32_t)-5, 4);
    fleet_bundle_put(out, 20, 4);
    fleet_bundle_put(out, 0, 4);
    fleet_bundle_put(out, 10, 4);
    for (int i = 0; i < 3; i++) fleet_bundle_put(out, counts[i], 4);
    unsigned char *at = (unsigned char *)out->ptr + start;
    uLong sum = crc32_z(crc32_z(0, at, 12), at + 16, 52);
    for (int i = 0; i < 4; i++) at[12 + i] = (unsigned char)(sum >> (8 * i));
    fleet_bundle_put(out, 0, 4);
}

static inline void fleet_bundle_free(struct fleet_bundle *bundle)
{
    ig_buf_deinit(&bundle->bytes);
    ig_buf_deinit(&bundle->signature);
}

#endif
