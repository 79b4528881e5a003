/* SPDX-License-Identifier: Apache-2.0 */
/* A TensorFlow Lite file as a model that is served. */
#include "base/mem.h"
#include "formats/format.h"
#include "formats/network_model.h"
#include "formats/tflite/tflite.h"

#include <string.h>

enum { NUMBERS_FLOOR = 1 << 16 };

bool ig_tflite_probe(struct ig_str bytes)
{
    return bytes.len >= 8 && memcmp(bytes.ptr + 4, "TFL3", 4) == 0;
}

/* The network borrows its constants from the model's own copy of the file. */
enum ig_code ig_tflite_load(struct ig_model **out, struct ig_str bytes, struct ig_err *err)
{
    /* A file may declare more numbers than it has bytes, within reason. */
    size_t most = bytes.len + NUMBERS_FLOOR, max_bytes;
    if (!ig_mul(&max_bytes, most, 1 + IG_NETWORK_MODEL_FEATURE_BYTES + sizeof(struct ig_input)))
        return ig_fail(err, IG_TOO_LARGE, "%zu bytes", bytes.len);
    struct ig_model *model = ig_model_new(max_bytes);
    void *copy = model ? ig_arena_alloc_aligned(&model->arena, bytes.len + 1, 64) : NULL;
    if (!copy) {
        ig_model_free(model);
        return ig_fail(err, IG_NO_MEMORY, "no memory for %zu bytes", bytes.len);
    }
    memcpy(copy, bytes.ptr, bytes.len);
    if (ig_tflite_network(&model->network, (struct ig_str){copy, bytes.len}, err) == IG_OK) {
        struct ig_str version = model->network->description;
        if (ig_network_model_fill(model, version.len ? version : IG_STR("schema 3"), most, err) ==
            IG_OK) {
            *out = model;
            return IG_OK;
        }
    }
    ig_model_free(model);
    return ig_err_code(err);
}
