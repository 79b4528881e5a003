/* SPDX-License-Identifier: Apache-2.0 */
/* Any bytes as the records and tags of an evaluation dataset, and what is computed of them. */
#include "api/mlflow_evaluations.h"
#include "base/json_digest.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const struct ig_str text = {(const char *)data, size};
    struct ig_evaluation_records records = {NULL, 0, false};
    struct ig_tracking_pairs tags;
    struct ig_arena arena;
    struct ig_err err = IG_ERR_INIT, of_tags = IG_ERR_INIT;
    ig_arena_init(&arena, 4096, 16 << 20);
    enum ig_code code = ig_mlflow_records_decode(&records, text, &arena, &err);
    IG_ASSERT(code == err.code && (code == IG_OK || err.message[0]));
    for (size_t i = 0; code == IG_OK && i < records.count; i++) {
        unsigned char digest[IG_SHA256_BYTES];
        const struct ig_evaluation_record *record = &records.items[i];
        IG_ASSERT(record->inputs.len >= 2 && record->inputs.ptr[0] == '{');
        IG_ASSERT(ig_json_digest(digest, record->inputs, &arena, &err) == IG_OK);
        IG_ASSERT(!record->source.ptr || record->source_type.len);
    }
    if (ig_mlflow_tags_decode(&tags, text, &arena, &of_tags) == IG_OK)
        for (size_t i = 0; i < tags.count; i++) IG_ASSERT(tags.items[i].value.ptr);
    ig_arena_deinit(&arena);
    return 0;
}
