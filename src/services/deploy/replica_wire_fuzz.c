/* SPDX-License-Identifier: Apache-2.0 */
/* What a replica sends, read as the server reads it: of a model with two outputs, for two rows. */
#include "base/mem.h"
#include "services/deploy/replica_wire.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { ROWS = 2 };

static void read_result(struct ig_str bytes, struct ig_arena *arena)
{
    const struct ig_model model = {.features_count = 2,
                                   .outputs_count = 1,
                                   .predictions_count = 1,
                                   .transform = IG_TRANSFORM_SIGMOID};
    struct ig_err err = IG_ERR_INIT;
    struct ig_replica_result got;
    unsigned char digest[IG_SHA256_BYTES];
    if (ig_replica_result_read(&got, bytes, ROWS, &model, arena, &err) != IG_OK) {
        IG_ASSERT(err.message[0]);
        return;
    }
    IG_ASSERT(got.result.rows_count == ROWS);
    double sum = got.result.margins[ROWS - 1] + got.result.predictions[ROWS - 1];
    IG_ASSERT(sum == sum || sum != sum);
    if (got.result.explanations.rows_count)
        for (size_t i = 0; i < ROWS; i++)
            IG_ASSERT(ig_explanations_digest(digest, &got.result.explanations, i, &model));
}

static void read_faces(struct ig_str bytes)
{
    struct ig_unpack in = {bytes.ptr, bytes.len, false};
    struct ig_err err = IG_ERR_INIT;
    struct ig_package *package = NULL;
    uint32_t node;
    while (ig_replica_face_read(&node, &package, &in, &err)) {
        IG_ASSERT(node < IG_ROUTING_NODES_MAX);
        IG_ASSERT(package->schema.features_count == package->model->features_count);
        ig_package_free(package);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct ig_arena arena;
    struct ig_err err = IG_ERR_INIT;
    struct ig_replica_usage usage;
    ig_arena_init(&arena, 1 << 16, 16 << 20);
    struct ig_str bytes = ig_arena_dup(&arena, (struct ig_str){(const char *)data, size});
    if (bytes.ptr) {
        read_result(bytes, &arena);
        read_faces(bytes);
        IG_ASSERT(ig_replica_error_read(bytes, &usage, &err) != IG_OK);
    }
    ig_arena_deinit(&arena);
    return 0;
}
