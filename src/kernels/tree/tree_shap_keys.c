/* SPDX-License-Identifier: Apache-2.0 */
/* Turns a row into keys, one float a slot, such that key <= threshold decides every split.
 *
 * A model that compares floats gives its inputs; one that compares doubles gives each input's rank
 * among the feature's thresholds, which is exact. A missing input becomes -inf where it goes left
 * and NaN where it goes right. A split that no threshold can say (a category set) has a slot of
 * its own. Stateless. */
#include "kernels/tree/tree_predict_walk.h"
#include "kernels/tree/tree_shap_priv.h"

#include <math.h>

/* How many of the sorted thresholds are below x. Without a branch on x. */
static float rank_of(const double *sorted, uint32_t count, double x)
{
    const double *at = sorted;
    for (uint32_t left = count; left > 1;) {
        uint32_t half = left / 2;
        at += half & -(uint32_t)(at[half - 1] < x);
        left -= half;
    }
    return (float)(at - sorted + (*at < x));
}

struct batch {
    const struct ig_tree_shap *shap;
    size_t lanes;
    const double *rows[IG_SHAP_LANES_MAX];
    float numbers[IG_SHAP_LANES_MAX];    /* each lane's rank by the feature in hand */
    uint32_t codes[IG_SHAP_LANES_MAX];   /* or its category */
    uint32_t missing[IG_SHAP_LANES_MAX]; /* 1 or 0 */
};

static inline bool is_missing(const struct ig_shap_slot *slot, double x)
{
    bool zero = slot->missing == IG_NODE_MISSING_ZERO;
    return (slot->missing != IG_NODE_MISSING_NONE) &
           (isnan(x) | (zero & (fabs(x) <= IG_TREE_ZERO)));
}

/* The category that x means; UINT32_MAX, which no set has, for none. */
static inline uint32_t code_of(const struct ig_model *model, double x)
{
    if (isnan(x)) x = 0;
    bool low = model->category_truncates ? x > -1 : x >= 0;
    double end = model->category_truncates ? 2147483648.0 : 16777216.0;
    bool valid = low & (x < end);
    return (uint32_t)(int64_t)(valid ? x : 0) | -(uint32_t)!valid;
}

static inline void number_keys(const struct batch *batch, const struct ig_shap_slot *slot,
                               float *keys)
{
    /* All that the loop needs is at hand: what it writes might be anything to the compiler. */
    const float instead = slot->flags & IG_NODE_DEFAULT_LEFT ? -INFINITY : NAN;
    const bool f32 = batch->shap->model->inputs_f32;
    const uint32_t feature = slot->feature;
    const size_t lanes = batch->lanes;
    const double zero = slot->missing == IG_NODE_MISSING_ZERO ? IG_TREE_ZERO : -1;
    const bool none = slot->missing == IG_NODE_MISSING_NONE;
    for (size_t i = 0; i < lanes; i++) {
        double x = batch->rows[i][feature];
        if (f32) x = (double)(float)x;
        /* find_numbers has set them. NOLINTNEXTLINE(clang-analyzer-core.uninitialized.Assign) */
        float number = f32 ? (float)x : batch->numbers[i];
        /* Written so that a NaN is missing. */
        bool missing = !(fabs(x) > zero);
        number = (none & isnan(x) & f32) ? 0 : number;
        keys[i] = (missing & !none) ? instead : number;
    }
}

static inline void find_codes(struct batch *batch, const struct ig_shap_slot *slot)
{
    const struct ig_model *model = batch->shap->model;
    const uint32_t feature = slot->feature;
    for (size_t i = 0; i < batch->lanes; i++) {
        double x = batch->rows[i][feature];
        if (model->inputs_f32) x = (double)(float)x;
        batch->codes[i] = code_of(model, x);
        batch->missing[i] = is_missing(slot, x);
    }
}

/* Without a branch on x, here as well. */
static inline void set_keys(const struct batch *batch, const struct ig_shap_slot *slot, float *keys)
{
    static const float KEYS[2] = {NAN, -INFINITY};
    static const uint32_t NOBODY;
    const struct ig_model *model = batch->shap->model;
    const struct ig_category_set set = model->sets[model->nodes[slot->node].extra];
    const uint32_t *words = set.bits ? set.words : &NOBODY;
    const uint32_t set_right = slot->flags & IG_NODE_SET_LEFT ? 0 : 1;
    const uint32_t missing_left = slot->flags & IG_NODE_DEFAULT_LEFT ? 1 : 0;
    const size_t lanes = batch->lanes;
    for (size_t i = 0; i < lanes; i++) {
        uint32_t code = batch->codes[i];
        uint32_t missing = batch->missing[i];
        uint32_t inside = code < set.bits;
        uint32_t member = inside & words[code / 32 & -inside] >> (code % 32);
        uint32_t left = member ^ set_right;
        keys[i] = KEYS[left ^ (missing & (left ^ missing_left))];
    }
}

static inline void node_keys(const struct batch *batch, const struct ig_shap_slot *slot,
                             float *keys)
{
    const struct ig_model *model = batch->shap->model;
    const uint32_t feature = slot->feature;
    for (size_t i = 0; i < batch->lanes; i++) {
        double x = batch->rows[i][feature];
        keys[i] = ig_tree_goes_left(model, &model->nodes[slot->node], x) ? -INFINITY : NAN;
    }
}

static inline void find_numbers(struct batch *batch, const struct ig_shap_slot *slot)
{
    const double *ranks = batch->shap->ranks + slot->ranks;
    const uint32_t feature = slot->feature;
    for (size_t i = 0; i < batch->lanes; i++) {
        double x = batch->rows[i][feature];
        batch->numbers[i] = rank_of(ranks, slot->ranks_count, isnan(x) ? 0 : x);
    }
}

static inline void all_keys(struct batch *batch, float *keys)
{
    const struct ig_tree_shap *shap = batch->shap;
    const struct ig_shap_slot *coded = NULL;
    uint32_t ranked = IG_MODEL_NONE;
    for (uint32_t i = 0; i < shap->slots_count; i++, keys += batch->lanes) {
        const struct ig_shap_slot *slot = &shap->slots[i];
        if (slot->node == IG_MODEL_NONE) {
            if (!shap->model->inputs_f32 && slot->ranks != ranked) find_numbers(batch, slot);
            ranked = slot->ranks;
            number_keys(batch, slot, keys);
        } else if (shap->model->nodes[slot->node].op == IG_NODE_IN) {
            bool known =
                coded && coded->feature == slot->feature && coded->missing == slot->missing;
            if (!known) find_codes(batch, slot);
            coded = slot;
            set_keys(batch, slot, keys);
        } else {
            node_keys(batch, slot, keys);
        }
    }
}

void ig_tree_shap_keys(const struct ig_tree_shap *shap, const double *rows, size_t rows_count,
                       size_t lanes, float *keys)
{
    struct batch batch;
    IG_ASSERT(rows_count > 0 && lanes <= IG_SHAP_LANES_MAX);
    batch.shap = shap;
    batch.lanes = lanes;
    for (size_t i = 0; i < lanes; i++)
        batch.rows[i] = rows + (i < rows_count ? i : rows_count - 1) * shap->model->features_count;
    all_keys(&batch, keys);
}
