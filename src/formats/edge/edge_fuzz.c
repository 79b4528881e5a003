/* SPDX-License-Identifier: Apache-2.0 */
#include "base/mem.h"
#include "formats/edge/edge_priv.h"
#include "formats/format.h"
#include "kernels/tree/tree_predict_walk.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Two rows through every tree. */
static void walk(const struct ig_model *model)
{
    double *row = ig_zalloc_array(model->features_count, sizeof *row);
    if (!row) return;
    for (int pass = 0; pass < 2; pass++) {
        for (uint32_t f = 0; f < model->features_count; f++) row[f] = pass ? 1e30 : f % 7;
        for (uint32_t t = 0; t < model->trees_count; t++)
            IG_ASSERT(ig_tree_walk(model, &model->trees[t], row) < model->trees[t].nodes_count);
    }
    ig_free(row);
}

/* Size and CRC are put right first, or nothing would ever come past them. Whatever loads has passed
 * ig_model_check and must be fit to be walked, and to be written again. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct ig_err err = IG_ERR_INIT;
    struct ig_model *model = NULL;
    uint8_t *bytes = ig_alloc(size + 1);
    if (!bytes) return 0;
    memcpy(bytes, data, size);
    if (size >= IG_EDGE_HEADER_BYTES) {
        for (uint32_t i = 0; i < 4; i++) bytes[8 + i] = (uint8_t)(size >> (8 * i));
        uint32_t crc = ig_edge_crc((const char *)bytes, size);
        for (uint32_t i = 0; i < 4; i++) bytes[IG_EDGE_CRC_AT + i] = (uint8_t)(crc >> (8 * i));
    }
    if (ig_edge_load(&model, (struct ig_str){(const char *)bytes, size}, &err) == IG_OK) {
        struct ig_tree_compact *compact = NULL;
        struct ig_err again = IG_ERR_INIT;
        if (model->kind == IG_MODEL_NETWORK) {
            ig_model_free(model);
            ig_free(bytes);
            return 0;
        }
        walk(model);
        if (ig_tree_compact_new(&compact, model, IG_COMPACT_WANT_INT8, &again) == IG_OK)
            ig_tree_compact_free(compact);
        ig_model_free(model);
    } else {
        IG_ASSERT(!model && err.code != IG_OK && err.message[0]);
    }
    ig_free(bytes);
    return 0;
}
