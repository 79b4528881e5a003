/* SPDX-License-Identifier: Apache-2.0 */
/* Reads any bytes as MLmodel; what it names has to be a native model file. */
#include "formats/mlmodel.h"

#include <stddef.h>
#include <stdint.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct ig_err err = IG_ERR_INIT;
    struct ig_arena arena;
    struct ig_mlmodel mlmodel;
    ig_arena_init(&arena, 4096, (size_t)16 << 20);
    enum ig_code code =
        ig_mlmodel_read(&mlmodel, (struct ig_str){(const char *)data, size}, &arena, &err);
    IG_ASSERT(code == err.code);
    if (code == IG_OK) {
        IG_ASSERT(mlmodel.file.len > 0 && mlmodel.flavor.len > 0);
        IG_ASSERT(!ig_str_ends(mlmodel.file, IG_STR(".pkl")));
        IG_ASSERT(mlmodel.inputs_count == 0 || mlmodel.signature.len > 0);
        for (size_t i = 0; i < mlmodel.inputs_count; i++) IG_ASSERT(mlmodel.inputs[i].name.len > 0);
    }
    ig_arena_deinit(&arena);
    return 0;
}
