/* SPDX-License-Identifier: Apache-2.0 */
#include "model/derived.h"

static bool check_keys(const struct ig_derived *derived, uint32_t features)
{
    for (uint32_t k = 0; k < derived->keys_count; k++)
        for (uint32_t p = 0; p < derived->keys[k].parts_count; p++)
            if (derived->keys[k].parts[p].feature >= features) return false;
    return true;
}

static bool check_columns(const struct ig_derived *derived)
{
    for (uint32_t t = 0; t < derived->tables_count; t++) {
        const struct ig_derived_table *table = &derived->tables[t];
        if (table->key >= derived->keys_count) return false;
        for (uint32_t i = 1; i < table->count; i++)
            if (table->hashes[i] < table->hashes[i - 1]) return false;
    }
    for (uint32_t c = 0; c < derived->columns_count; c++)
        if (derived->columns[c].table >= derived->tables_count) return false;
    return true;
}

static bool check_players(const struct ig_derived *derived, uint32_t features)
{
    for (uint32_t p = 0; p < derived->players_count; p++) {
        if (!derived->players[p].count) return false;
        for (uint32_t i = 0; i < derived->players[p].count; i++)
            if (derived->players[p].features[i] >= features) return false;
    }
    for (uint32_t c = 0; c < derived->trees->features_count; c++)
        if (derived->player_of[c] >= derived->players_count) return false;
    return true;
}

enum ig_code ig_derived_check(const struct ig_derived *derived, const struct ig_model *model,
                              struct ig_err *err)
{
    uint32_t features = model->features_count;
    const struct ig_model *trees = derived->trees;
    if (!trees || trees->kind != IG_MODEL_TREES ||
        trees->features_count != (uint64_t)features + derived->columns_count ||
        trees->outputs_count != model->outputs_count)
        return ig_fail(err, IG_INVALID, "the trees do not take the columns that are derived");
    if (!check_keys(derived, features) || !check_columns(derived) ||
        !check_players(derived, features))
        return ig_fail(err, IG_INVALID, "a derived column rests on something that is not there");
    return IG_OK;
}
