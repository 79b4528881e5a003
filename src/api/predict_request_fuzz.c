/* SPDX-License-Identifier: Apache-2.0 */
/* Any bytes as the body of an inference request: both forms, names and codes as in a real schema.
 */
#include "api/predict_request.h"

#include <string.h>

static struct ig_str colours[] = {{"blue", 4}, {"red", 3}};
static struct ig_feature features[] = {
    {.name = {"age", 3}, .type = IG_FEATURE_NUMERIC},
    {.name = {"colour", 6},
     .type = IG_FEATURE_CATEGORICAL,
     .categories = colours,
     .categories_count = 2},
    {.name = {"n", 1}, .type = IG_FEATURE_INTEGER},
};
static struct ig_schema schema = {.features = features, .features_count = 3};

static const struct ig_rules_attribute attributes[] = {{{"segment", 7}, IG_RULES_TEXT},
                                                       {{"basket", 6}, IG_RULES_NUMBER}};

static bool find(struct ig_predict_target *out, void *context, struct ig_str model,
                 struct ig_err *err)
{
    (void)context;
    *out = (struct ig_predict_target){&schema, attributes, 2};
    if (!ig_str_is(model, "none")) return true;
    ig_fail(err, IG_NOT_FOUND, "model 'none': there is no such deployment");
    return false;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct ig_err err = IG_ERR_INIT;
    if (!schema.feature_by_name.slots) ig_schema_index(&schema, &err);
    for (int kserve = 0; kserve < 2; kserve++) {
        struct ig_arena arena;
        struct ig_json json;
        struct ig_predict_request request;
        struct ig_predict_source source = {find, NULL, 100, kserve == 1, true, IG_OK};
        const char *field = NULL;
        err = IG_ERR_INIT;
        ig_arena_init(&arena, 4096, 1 << 20);
        ig_json_init(&json, (struct ig_str){(const char *)data, size}, &arena, &err);
        enum ig_code code = ig_predict_request_decode(&request, &json, &source, &field);
        IG_ASSERT(code == err.code);
        const struct ig_groups *groups = &request.explain.groups;
        for (uint32_t f = 0; code == IG_OK && groups->players.of_feature && f < 3; f++)
            IG_ASSERT(groups->players.of_feature[f] < groups->players.count);
        IG_ASSERT(code != IG_OK || (request.rows_count > 0 && request.rows_count <= 100));
        ig_arena_deinit(&arena);
    }
    return 0;
}
