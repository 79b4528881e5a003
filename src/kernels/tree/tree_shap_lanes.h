/* SPDX-License-Identifier: Apache-2.0 */
/* The SHAP kernel of many rows: a register holds one point of LANES rows. A kernel file defines the
 * names below and includes this once a lane type.
 *
 *   REAL, RECORD  float and ig_shap_split_f32, or double and ig_shap_split_f64
 *   VECTOR_BYTES  of a register
 *   NAME(x)       x with the suffix of this instance
 *   MASK          type of a register's outcomes, with the operators & and ~
 *   MASK_ALL, MASK_COMPARE(keys, threshold), MASK_PICK(left, right, if_left, if_right), and
 *   MASK_EITHER(left, if_left, if_right) for rows that all go left or right
 *
 * Formulas and layout: tree_shap_priv.h. Products and sums are separate operations in the order
 * written here, whatever the width: results have the same bits everywhere. */

#define LANES (VECTOR_BYTES / sizeof(REAL))

typedef REAL NAME(vec) __attribute__((vector_size(VECTOR_BYTES), aligned(VECTOR_BYTES)));

struct NAME(batch) {
    const struct ig_tree_shap *shap;
    const struct ig_shap_block *block;
    const struct RECORD *splits; /* of the block */
    const REAL *leaves;
    const REAL *tables; /* at the first point of the pass */
    const float *keys;
    NAME(vec) * values;
    NAME(vec) * phi;
    MASK *chosen; /* shifted by one split: rows that go left, right */
};

/* Tau of a first split, point by point. */
struct NAME(first) {
    NAME(vec) tau[IG_SHAP_PASS];
};

/* A split for the rows: s (or u), and what is needed of its feature. */
struct NAME(side) {
    NAME(vec) s;
    const REAL *tau; /* then sigma, `padded` later */
    NAME(vec) * phi;
    REAL mean;
};

IG_SHAP_INLINE NAME(vec) NAME(splat)(REAL x)
{
    return x - (NAME(vec)){0};
}

IG_SHAP_INLINE struct NAME(side) NAME(side_of)(const struct NAME(batch) * b, uint32_t split,
                                               bool repeats, uint32_t pass, MASK left, MASK right)
{
    const struct RECORD *record = &b->splits[split];
    uint32_t table = repeats ? record->table : b->block->table_first + b->block->padded;
    NAME(vec)
    s = repeats ? MASK_PICK(left, right, record->left, record->right)
                : MASK_EITHER(left, record->left, record->right);
    return (struct NAME(side)){.s = s,
                               .tau = b->tables + table,
                               .phi = b->phi + (size_t)record->feature * pass,
                               .mean = record->mean};
}

IG_SHAP_INLINE struct NAME(first) NAME(first_of)(const struct NAME(batch) * b, uint32_t pass)
{
    const REAL *tau = b->tables + b->block->table_first + b->block->padded;
    struct NAME(first) first;
    IG_SHAP_UNROLL
    for (uint32_t k = 0; k < pass; k++) first.tau[k] = NAME(splat)(tau[k]);
    return first;
}

IG_SHAP_INLINE NAME(vec) NAME(ratio)(const struct NAME(first) * first,
                                     const struct NAME(side) * side, bool repeats, uint32_t k)
{
    NAME(vec) tau = repeats ? NAME(splat)(side->tau[k]) : first->tau[k];
    return tau * side->s + side->mean;
}

/* Decides a split for the first time; `keep` where the outcome is asked for again. */
IG_SHAP_INLINE struct NAME(side) NAME(choose)(const struct NAME(batch) * b, uint32_t split,
                                              bool repeats, uint32_t pass, bool keep)
{
    const struct RECORD *record = &b->splits[split];
    MASK left = MASK_COMPARE(b->keys + (size_t)record->slot * LANES, record->threshold);
    MASK right = (MASK)~left;
    if (repeats) {
        MASK on = b->chosen[record->above];
        left = (MASK)(left & on);
        right = (MASK)(right & on);
    }
    if (keep) {
        b->chosen[2 * split + 2] = left;
        b->chosen[2 * split + 3] = right;
    }
    return NAME(side_of)(b, split, repeats, pass, left, right);
}

IG_SHAP_INLINE struct NAME(side)
    NAME(again)(const struct NAME(batch) * b, uint32_t split, bool repeats, uint32_t pass)
{
    return NAME(side_of)(b, split, repeats, pass, b->chosen[2 * split + 2],
                         b->chosen[2 * split + 3]);
}

/* A bottom under C of point k: adds to phi. */
IG_SHAP_INLINE void NAME(bottom)(const struct NAME(batch) * b, const struct NAME(side) * side,
                                 NAME(vec) c, bool repeats, uint32_t k)
{
    NAME(vec) product = c * side->s;
    if (repeats) product = product * NAME(splat)(side->tau[b->block->padded + k]);
    side->phi[k] = side->phi[k] + product;
}

IG_SHAP_INLINE void NAME(batch_down)(const struct NAME(batch) * b, const struct ig_shap_span *span,
                                     uint32_t pass, bool repeats)
{
    const uint32_t each = span->kind == IG_SHAP_INNER_BOTTOM ? 2 : 1;
    const bool both = span->kind == IG_SHAP_INNER_INNER;
    const uint32_t *child = b->shap->children + span->child_first;
    const struct NAME(first) first = NAME(first_of)(b, pass);
    const NAME(vec) *c = b->values + (size_t)span->value_first * pass;
    for (uint32_t i = 0; i < span->count; i++, c += pass) {
        struct NAME(side) side = NAME(choose)(b, span->split_first + i * each, repeats, pass, true);
        NAME(vec) *to_a = b->values + (size_t)*child++ * pass / IG_SHAP_PASS;
        NAME(vec) *to_b = b->values + (size_t)(both ? *child++ : 0) * pass / IG_SHAP_PASS;
        IG_SHAP_UNROLL
        for (uint32_t k = 0; k < pass; k++) {
            NAME(vec) a = c[k] * NAME(ratio)(&first, &side, repeats, k);
            to_a[k] = a;
            if (both) to_b[k] = c[k] - a;
        }
    }
}

IG_SHAP_INLINE void NAME(batch_up)(const struct NAME(batch) * b, const struct ig_shap_span *span,
                                   uint32_t pass, bool repeats, enum ig_shap_kind kind)
{
    const bool a_is_bottom = kind == IG_SHAP_BOTTOM_BOTTOM || kind == IG_SHAP_BOTTOM_LEAF;
    const bool b_is_bottom = kind == IG_SHAP_BOTTOM_BOTTOM || kind == IG_SHAP_INNER_BOTTOM;
    const bool b_is_inner = kind == IG_SHAP_INNER_INNER;
    const uint32_t *child = b->shap->children + span->child_first;
    const REAL *leaf = b->leaves + span->leaf_first;
    NAME(vec) *c = b->values + (size_t)span->value_first * pass;
    const struct NAME(first) first = NAME(first_of)(b, pass);
    uint32_t split = span->split_first;
    for (uint32_t i = 0; i < span->count; i++, c += pass) {
        struct NAME(side) side = a_is_bottom ? NAME(choose)(b, split, repeats, pass, repeats)
                                             : NAME(again)(b, split, repeats, pass);
        struct NAME(side) side_a = side;
        struct NAME(side) side_b = side;
        split++;
        if (a_is_bottom) side_a = NAME(choose)(b, split++, repeats, pass, false);
        if (b_is_bottom) side_b = NAME(choose)(b, split++, repeats, pass, false);
        const NAME(vec) *from_a =
            b->values + (size_t)(a_is_bottom ? 0 : *child++) * pass / IG_SHAP_PASS;
        const NAME(vec) *from_b =
            b->values + (size_t)(b_is_inner ? *child++ : 0) * pass / IG_SHAP_PASS;
        NAME(vec) constant = NAME(splat)(b_is_bottom || b_is_inner ? 0 : leaf[i]);
        IG_SHAP_UNROLL
        for (uint32_t k = 0; k < pass; k++) {
            NAME(vec) ratio = NAME(ratio)(&first, &side, repeats, k);
            NAME(vec) c_a = c[k] * ratio;
            NAME(vec) g_a = a_is_bottom ? NAME(ratio)(&first, &side_a, repeats, k) : from_a[k];
            NAME(vec) g_b = b_is_inner ? from_b[k] : constant;
            if (a_is_bottom) NAME(bottom)(b, &side_a, c_a, repeats, k);
            if (b_is_bottom) NAME(bottom)(b, &side_b, c[k] - c_a, repeats, k);
            if (b_is_bottom) g_b = NAME(ratio)(&first, &side_b, repeats, k);
            NAME(vec) apart = g_a - g_b;
            NAME(vec) weight = c[k] * side.s;
            if (repeats) weight = weight * NAME(splat)(side.tau[b->block->padded + k]);
            side.phi[k] = side.phi[k] + weight * apart;
            c[k] = ratio * apart + g_b;
        }
    }
}

IG_SHAP_INLINE void NAME(batch_alone)(const struct NAME(batch) * b, const struct ig_shap_span *span,
                                      uint32_t pass)
{
    for (uint32_t i = 0; i < span->count; i++) {
        const NAME(vec) *c = b->values + (size_t)(span->value_first + i) * pass;
        struct NAME(side) side = NAME(choose)(b, span->split_first + i, false, pass, false);
        for (uint32_t k = 0; k < pass; k++) NAME(bottom)(b, &side, c[k], false, k);
    }
}

IG_SHAP_INLINE void NAME(batch_up_kind)(const struct NAME(batch) * b,
                                        const struct ig_shap_span *span, uint32_t pass,
                                        bool repeats)
{
    switch ((enum ig_shap_kind)span->kind) {
    case IG_SHAP_INNER_INNER:
        NAME(batch_up)(b, span, pass, repeats, IG_SHAP_INNER_INNER);
        break;
    case IG_SHAP_INNER_LEAF:
        NAME(batch_up)(b, span, pass, repeats, IG_SHAP_INNER_LEAF);
        break;
    case IG_SHAP_INNER_BOTTOM:
        NAME(batch_up)(b, span, pass, repeats, IG_SHAP_INNER_BOTTOM);
        break;
    case IG_SHAP_BOTTOM_BOTTOM:
        NAME(batch_up)(b, span, pass, repeats, IG_SHAP_BOTTOM_BOTTOM);
        break;
    case IG_SHAP_BOTTOM_LEAF:
        NAME(batch_up)(b, span, pass, repeats, IG_SHAP_BOTTOM_LEAF);
        break;
    case IG_SHAP_BOTTOM:
    case IG_SHAP_KINDS_COUNT:
        NAME(batch_alone)(b, span, pass);
        break;
    }
}

IG_SHAP_INLINE void NAME(batch_begin)(const struct NAME(batch) * b, uint32_t pass)
{
    const struct ig_shap_block *block = b->block;
    const REAL *weights = b->tables + block->table_first;
    const uint32_t *roots = b->shap->roots + block->roots_first;
    for (uint32_t i = 0; i < block->roots_count; i++)
        for (uint32_t k = 0; k < pass; k++)
            b->values[(size_t)roots[i] * pass + k] = NAME(splat)(weights[k]);
    for (size_t i = 0; i < (size_t)block->features_count * pass; i++) b->phi[i] = NAME(splat)(0);
    b->chosen[0] = b->chosen[1] = MASK_ALL;
}

/* Each lane adds its points one after the other to its sum. */
IG_SHAP_INLINE void NAME(batch_end)(const struct NAME(batch) * b, uint32_t pass, double *sums)
{
    typedef double wide __attribute__((vector_size(LANES * sizeof(double)), aligned(16)));
    const struct ig_shap_block *block = b->block;
    const uint32_t *features = b->shap->features + block->features_first;
    for (uint32_t f = 0; f < block->features_count; f++) {
        wide *sum = (wide *)(sums + (size_t)features[f] * LANES);
        wide total = *sum;
        IG_SHAP_UNROLL
        for (uint32_t k = 0; k < pass; k++)
            total = total + __builtin_convertvector(b->phi[(size_t)f * pass + k], wide);
        *sum = total;
    }
}

/* The points from v.point on, as many as `pass`. */
IG_SHAP_INLINE void NAME(batch_pass)(const struct NAME(batch) * b, uint32_t pass, double *sums)
{
    const struct ig_shap_span *spans = b->shap->spans + b->block->spans_first;
    const uint32_t count = b->block->spans_count;
    NAME(batch_begin)(b, pass);
    for (uint32_t i = 0; i < count && spans[i].kind < IG_SHAP_BOTTOM_BOTTOM; i++) {
        if (spans[i].repeats)
            NAME(batch_down)(b, &spans[i], pass, true);
        else
            NAME(batch_down)(b, &spans[i], pass, false);
    }
    for (uint32_t i = count; i-- > 0;) {
        if (spans[i].repeats)
            NAME(batch_up_kind)(b, &spans[i], pass, true);
        else
            NAME(batch_up_kind)(b, &spans[i], pass, false);
    }
    NAME(batch_end)(b, pass, sums);
}

static void NAME(batch_run)(const struct ig_tree_shap *shap, const struct ig_shap_block *block,
                            const struct ig_shap_work *work)
{
    const struct ig_shap_constants *constants = sizeof(REAL) == 4 ? &shap->f32 : &shap->f64;
    struct NAME(batch)
        b = {.shap = shap,
             .block = block,
             .splits = (const struct RECORD *)constants->splits + block->splits_first,
             .leaves = constants->leaves,
             .tables = constants->table,
             .keys = work->keys,
             .values = work->values,
             .phi = work->phi,
             .chosen = work->chosen};
    for (uint32_t left = block->points; left > 0;) {
        uint32_t pass = left < IG_SHAP_PASS ? left : IG_SHAP_PASS;
        switch (pass) {
        case 1:
            NAME(batch_pass)(&b, 1, work->sums);
            break;
        case 2:
            NAME(batch_pass)(&b, 2, work->sums);
            break;
        case 3:
            NAME(batch_pass)(&b, 3, work->sums);
            break;
        default:
            NAME(batch_pass)(&b, IG_SHAP_PASS, work->sums);
            break;
        }
        b.tables += pass;
        left -= pass;
    }
}

#undef LANES
