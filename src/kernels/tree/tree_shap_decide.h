/* SPDX-License-Identifier: Apache-2.0 */
/* For one row: what every split of a block chooses. A kernel file defines REAL, BITS (an
 * integer of its size), NAME(x) and CHOOSE and includes this once a lane type.
 *
 *   CHOOSE(view, chosen, went)  s (or u) of every split as if it were the first on its feature, and
 *                               -1 (left) or 0 (right) */

/* Arrays of a block, from its first split on; `count` is a multiple of IG_SHAP_SPLITS_ALIGN. */
struct NAME(splits) {
    uint32_t count;
    uint32_t slots_count;
    const float *keys;
    const uint32_t *slot;
    const float *threshold;
    const REAL *left;
    const REAL *right;
};

static inline void NAME(choose_plain)(const struct NAME(splits) * splits, REAL *chosen,
                                      int32_t *went)
{
    for (uint32_t i = 0; i < splits->count; i++) {
        bool left = splits->keys[splits->slot[i]] <= splits->threshold[i];
        chosen[i] = left ? splits->left[i] : splits->right[i];
        went[i] = -(int32_t)left;
    }
}

/* Splits that repeat a feature are off where an earlier one excludes the row. */
static inline void NAME(decide)(const struct ig_tree_shap *shap, const struct ig_shap_block *block,
                                const struct ig_shap_work *work)
{
    const struct ig_shap_constants *constants = sizeof(REAL) == 4 ? &shap->f32 : &shap->f64;
    const struct NAME(splits)
        splits = {.count = block->splits_count,
                  .slots_count = shap->slots_count,
                  .keys = work->keys,
                  .slot = shap->slot + block->splits_first,
                  .threshold = shap->threshold + block->splits_first,
                  .left = (const REAL *)constants->left + block->splits_first,
                  .right = (const REAL *)constants->right + block->splits_first};
    const struct ig_shap_repeat *repeat = shap->repeats + block->repeats_first;
    const struct ig_shap_repeat *end = repeat + block->repeats_count;
    REAL *chosen = work->chosen;
    int32_t *went = work->went;
    CHOOSE(&splits, chosen, went);
    for (; repeat < end; repeat++) {
        /* By masks: a branch here would be a coin toss. */
        int32_t off = went[repeat->above] != repeat->went;
        BITS on = (BITS)off - 1;
        BITS bits;
        memcpy(&bits, &chosen[repeat->split], sizeof bits);
        bits &= on;
        memcpy(&chosen[repeat->split], &bits, sizeof bits);
        went[repeat->split] += 2 * off; /* neither left nor right */
    }
}
