/* SPDX-License-Identifier: Apache-2.0 */
#ifndef INGOT_EDGE_BUNDLE_TESTING_H
#define INGOT_EDGE_BUNDLE_TESTING_H

/* For tests only: signed bundles of random models. */

#include "base/mem.h"
#include "formats/edge/edge_bundle.h"
#include "formats/edge/edge_testing.h"
#include "formats/edge/minisign.h"
#include "kernels/quantize/network_testing.h"

#include "ingot_edge_bundle.h"

static const unsigned char BUNDLE_SEED[32] = {42, 1};

struct signed_bundle {
    struct ig_buf bytes;
    uint8_t signature[IGE_SIGNATURE_BYTES];
};

static inline void bundle_resign(struct signed_bundle *bundle)
{
    struct ig_err err = IG_ERR_INIT;
    struct ig_buf text;
    ig_buf_init(&text, 4096);
    if (ig_minisign_sign(&text, BUNDLE_SEED, ig_buf_view(&bundle->bytes), IG_STR(""), &err) !=
            IG_OK ||
        ig_minisign_signature_read(bundle->signature, ig_buf_view(&text), &err) != IG_OK)
        fail_msg("%s", err.message);
    ig_buf_deinit(&text);
}

static inline void bundle_make(struct signed_bundle *bundle, const struct ig_testing_shape *shape,
                               enum ig_compact_want want, uint64_t counter)
{
    struct ig_err err = IG_ERR_INIT;
    struct ig_model *model = ig_testing_model(shape, counter);
    struct ig_edge_bundle spec = {
        .id = IG_STR("risk"), .target = IG_STR("meter"), .counter = counter, .expiry = 2000000000};
    struct ig_tree_compact *compact = NULL;
    ig_buf_init(&bundle->bytes, 1 << 24);
    if (ig_tree_compact_new(&compact, model, want, &err) != IG_OK) fail_msg("%s", err.message);
    spec.compact = compact;
    if (ig_edge_bundle_write(&bundle->bytes, &spec, &err) != IG_OK) fail_msg("%s", err.message);
    bundle_resign(bundle);
    ig_tree_compact_free(compact);
    ig_model_free(model);
}

static inline void bundle_make_network(struct signed_bundle *bundle, uint64_t seed)
{
    struct ig_err err = IG_ERR_INIT;
    struct ig_network_compact *compact = NULL;
    struct ig_network *network = ig_testing_network(seed);
    struct ig_edge_bundle spec = {.id = IG_STR("digits"), .counter = 1};
    ig_buf_init(&bundle->bytes, 1 << 24);
    if (ig_network_compact_new(&compact, network, &err) != IG_OK) fail_msg("%s", err.message);
    spec.network = compact;
    if (ig_edge_bundle_write(&bundle->bytes, &spec, &err) != IG_OK) fail_msg("%s", err.message);
    bundle_resign(bundle);
    ig_network_compact_free(compact);
    ig_network_free(network);
}

static inline void bundle_key(uint8_t key[IGE_KEY_BYTES])
{
    struct ig_err err = IG_ERR_INIT;
    struct ig_buf text;
    ig_buf_init(&text, 4096);
    ig_minisign_public_write(&text, BUNDLE_SEED, &err);
    if (ig_minisign_public_read(key, ig_buf_view(&text), &err) != IG_OK)
        fail_msg("%s", err.message);
    ig_buf_deinit(&text);
}

#endif
