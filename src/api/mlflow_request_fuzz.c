/* SPDX-License-Identifier: Apache-2.0 */
/* Any bytes as the body of an MLflow request with fields of every kind. */
#include "api/mlflow_request.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct ig_arena arena;
    struct ig_err err = IG_ERR_INIT;
    struct ig_str id = {NULL, 0};
    int64_t step = 0;
    double value = 0;
    struct ig_tracking_batch batch = {0};
    struct ig_tracking_datasets datasets = {0};
    struct ig_tracking_model_uses models = {0};
    bool archive = false;
    struct ig_mlflow_texts stages = {0};
    struct ig_tracking_pairs events = {0};
    struct ig_tracking_pair event = {{NULL, 0}, {NULL, 0}};
    const struct ig_mlflow_field fields[] = {{"run_id", IG_MLFLOW_TEXT, &id, true},
                                             {"step", IG_MLFLOW_I64, &step, false},
                                             {"value", IG_MLFLOW_F64, &value, false},
                                             {"metrics", IG_MLFLOW_METRICS, &batch.metrics, false},
                                             {"params", IG_MLFLOW_PAIRS, &batch.params, false},
                                             {"tags", IG_MLFLOW_PAIRS, &batch.tags, false},
                                             {"models", IG_MLFLOW_MODELS, &models, false},
                                             {"archive", IG_MLFLOW_BOOL, &archive, false},
                                             {"stages", IG_MLFLOW_TEXTS, &stages, false},
                                             {"datasets", IG_MLFLOW_DATASETS, &datasets, false},
                                             {"events", IG_MLFLOW_EVENTS, &events, false},
                                             {"event", IG_MLFLOW_EVENT, &event, false}};
    ig_arena_init(&arena, 4096, 4 << 20);
    enum ig_code code =
        ig_mlflow_decode(fields, 12, (struct ig_str){(const char *)data, size}, &arena, &err);
    IG_ASSERT(code == err.code);
    IG_ASSERT(code != IG_OK || id.len > 0);
    for (size_t i = 0; code == IG_OK && i < batch.metrics.count; i++)
        IG_ASSERT(batch.metrics.items[i].key.len > 0);
    for (size_t i = 0; code == IG_OK && i < batch.tags.count; i++)
        IG_ASSERT(batch.tags.items[i].key.len > 0 && batch.tags.items[i].value.len < size);
    for (size_t i = 0; code == IG_OK && i < events.count; i++)
        IG_ASSERT(events.items[i].key.len > 0 && events.items[i].value.len > 0);
    for (size_t i = 0; code == IG_OK && i < stages.count; i++)
        IG_ASSERT(stages.items[i].len < size);
    for (size_t i = 0; code == IG_OK && i < datasets.count; i++)
        IG_ASSERT(datasets.items[i].name.len > 0 && datasets.items[i].digest.len > 0);
    ig_arena_deinit(&arena);
    return 0;
}
