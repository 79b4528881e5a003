/* SPDX-License-Identifier: Apache-2.0 */
/* Any bytes as an input example of a model with a number, a whole number and a category. */
#include "formats/mlmodel.h"

#include <math.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct ig_str categories[] = {IG_STR("red"), IG_STR("blue")};
    struct ig_feature features[] = {
        {.name = IG_STR("a"), .type = IG_FEATURE_NUMERIC},
        {.name = IG_STR("b"), .type = IG_FEATURE_INTEGER},
        {.name = IG_STR("c"),
         .type = IG_FEATURE_CATEGORICAL,
         .categories = categories,
         .categories_count = 2},
    };
    const struct ig_schema schema = {.features = features, .features_count = 3};
    struct ig_mlmodel_rows rows = {NULL, 0};
    struct ig_err err = IG_ERR_INIT;
    struct ig_arena arena;
    ig_arena_init(&arena, 4096, 4 << 20);
    enum ig_code code =
        ig_mlmodel_example(&rows, &schema, (struct ig_str){(const char *)data, size}, &arena, &err);
    IG_ASSERT(code == err.code);
    IG_ASSERT(code != IG_OK || (rows.count > 0 && rows.count <= IG_MLMODEL_EXAMPLE_ROWS_MAX));
    for (size_t i = 0; code == IG_OK && i < rows.count; i++) {
        double code_of = rows.items[3 * i + 2];
        IG_ASSERT(isnan(code_of) || code_of == 0 || code_of == 1);
    }
    ig_arena_deinit(&arena);
    return 0;
}
