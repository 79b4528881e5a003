/* SPDX-License-Identifier: Apache-2.0 */
#include "kernels/explain/importance.h"

#include "base/mem.h"

enum needs { NONE, GAINS, COVERS };

static const struct {
    const char *name;
    enum needs needs;
    bool mean;
    const char *doc;
} KINDS[] = {
#define IG_IMPORTANCE(id, name, needs, mean, doc) {#name, needs, mean, doc},
#include "kernels/explain/importances.def"
#undef IG_IMPORTANCE
};

const char *ig_importance_name(enum ig_importance kind)
{
    return KINDS[kind].name;
}

const char *ig_importance_doc(enum ig_importance kind)
{
    return KINDS[kind].doc;
}

bool ig_importance_parse(struct ig_str name, enum ig_importance *out)
{
    for (int i = 0; i < IG_IMPORTANCES_COUNT; i++) {
        if (!ig_str_is(name, KINDS[i].name)) continue;
        *out = (enum ig_importance)i;
        return true;
    }
    return false;
}

enum ig_importance ig_importance_sum(enum ig_importance kind)
{
    int sum = 0;
    if (!KINDS[kind].mean) return kind;
    while (KINDS[sum].mean || KINDS[sum].needs != KINDS[kind].needs) sum++;
    return (enum ig_importance)sum;
}

/* LightGBM's own importances pass over splits that gained nothing. */
static bool counts(const struct ig_model *model, uint32_t node)
{
    if (model->nodes[node].op == IG_NODE_LEAF) return false;
    return model->sum_rule != IG_SUM_F64 || !model->gains || model->gains[node] > 0;
}

static double amount(const struct ig_model *model, enum needs needs, uint32_t node)
{
    if (needs == GAINS) return model->gains[node];
    return needs == COVERS ? model->nodes[node].cover : 1;
}

static void add_splits(double *out, uint32_t *splits, const struct ig_model *model,
                       enum needs needs)
{
    for (uint32_t f = 0; f < model->features_count; f++) out[f] = 0;
    for (uint32_t i = 0; i < model->nodes_count; i++) {
        if (!counts(model, i)) continue;
        out[model->nodes[i].feature] += amount(model, needs, i);
        splits[model->nodes[i].feature]++;
    }
}

enum ig_code ig_importance_run(double *out, const struct ig_model *model, enum ig_importance kind,
                               struct ig_err *err)
{
    enum needs needs = KINDS[kind].needs;
    if (model->kind != IG_MODEL_TREES)
        return ig_fail(err, IG_UNSUPPORTED,
                       "kind: %s importance is of trees, which this model is not",
                       KINDS[kind].name);
    if ((needs == GAINS && !model->gains) || (needs == COVERS && model->covers_counted))
        return ig_fail(err, IG_UNSUPPORTED, "kind: the model's file has no %s",
                       needs == GAINS ? "gains of splits" : "covers of nodes");
    uint32_t *splits = ig_zalloc_array(model->features_count + (size_t)1, sizeof *splits);
    if (!splits) return ig_fail(err, IG_NO_MEMORY, "no memory for importances");
    add_splits(out, splits, model, needs);
    for (uint32_t f = 0; KINDS[kind].mean && f < model->features_count; f++)
        if (splits[f]) out[f] /= splits[f];
    ig_free(splits);
    return IG_OK;
}

void ig_importance_gather(double *out, const double *values, uint32_t features_count,
                          const struct ig_players *players)
{
    for (uint32_t p = 0; p < players->count; p++) out[p] = 0;
    for (uint32_t f = 0; f < features_count; f++) out[ig_player_of(players, f)] += values[f];
}
