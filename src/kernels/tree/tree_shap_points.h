/* SPDX-License-Identifier: Apache-2.0 */
/* The SHAP kernel of one row: a register holds POINTS points. A kernel file defines REAL, STEP
 * (ig_shap_step_f32 or _f64), NAME(x) and POINTS and includes this once a width.
 *
 * Formulas and layout: tree_shap_priv.h. The row's s (or u) of every split of the block is known
 * before. Products and sums are those of tree_shap_lanes.h, in the same order. */

typedef REAL NAME(vec) __attribute__((vector_size(POINTS * sizeof(REAL))));

struct NAME(points) {
    const struct ig_tree_shap *shap;
    const struct ig_shap_block *block;
    const REAL *s;
    const struct STEP *steps;
    const REAL *leaves;
    const REAL *tables; /* at the first point of the pass */
    const REAL *sigmas;
    REAL *values;
    REAL *phi;
    NAME(vec) tau; /* of a first split */
};

/* The vector whose index times IG_SHAP_PASS is `scaled`. */
IG_SHAP_INLINE NAME(vec) * NAME(at)(REAL *vectors, uint32_t scaled)
{
    return (NAME(vec) *)(vectors + (size_t)scaled * POINTS / IG_SHAP_PASS);
}

IG_SHAP_INLINE NAME(vec) NAME(load)(const REAL *from)
{
    NAME(vec) to;
    memcpy(&to, from, sizeof to);
    return to;
}

IG_SHAP_INLINE NAME(vec)
    NAME(scale)(const struct NAME(points) * p, const struct STEP *step, bool repeats, NAME(vec) x)
{
    return repeats ? x * NAME(load)(p->sigmas + step->table) : x;
}

IG_SHAP_INLINE NAME(vec)
    NAME(ratio)(const struct NAME(points) * p, const struct STEP *step, bool repeats, REAL s)
{
    NAME(vec) tau = repeats ? NAME(load)(p->tables + step->table) : p->tau;
    return tau * s + step->mean;
}

/* A bottom under C: adds to phi, returns G. */
IG_SHAP_INLINE NAME(vec)
    NAME(bottom)(const struct NAME(points) * p, uint32_t split, NAME(vec) c, bool repeats)
{
    const struct STEP *step = p->steps + split;
    const REAL s = p->s[split];
    NAME(vec) *phi = NAME(at)(p->phi, step->feature);
    *phi = *phi + NAME(scale)(p, step, repeats, c * s);
    return NAME(ratio)(p, step, repeats, s);
}

IG_SHAP_INLINE void NAME(down)(const struct NAME(points) * p, const struct ig_shap_span *span,
                               bool repeats)
{
    const uint32_t each = span->kind == IG_SHAP_INNER_BOTTOM ? 2 : 1;
    const uint32_t *child = p->shap->children + span->child_first;
    const NAME(vec) *c = NAME(at)(p->values, span->value_first * IG_SHAP_PASS);
    const NAME(vec) *end = c + span->count;
    const struct STEP *step = p->steps + span->split_first;
    const REAL *s = p->s + span->split_first;
    if (span->kind == IG_SHAP_INNER_INNER) {
        for (; c < end; c++, step++, s++, child += 2) {
            NAME(vec) a = *c * NAME(ratio)(p, step, repeats, *s);
            *NAME(at)(p->values, child[1]) = *c - a;
            *NAME(at)(p->values, child[0]) = a;
        }
        return;
    }
    for (; c < end; c++, step += each, s += each, child++)
        *NAME(at)(p->values, *child) = *c * NAME(ratio)(p, step, repeats, *s);
}

IG_SHAP_INLINE void NAME(up)(const struct NAME(points) * p, const struct ig_shap_span *span,
                             bool repeats, enum ig_shap_kind kind)
{
    const bool a_is_bottom = kind == IG_SHAP_BOTTOM_BOTTOM || kind == IG_SHAP_BOTTOM_LEAF;
    const bool b_is_bottom = kind == IG_SHAP_BOTTOM_BOTTOM || kind == IG_SHAP_INNER_BOTTOM;
    const bool b_is_leaf = kind == IG_SHAP_BOTTOM_LEAF || kind == IG_SHAP_INNER_LEAF;
    const uint32_t *child = p->shap->children + span->child_first;
    const REAL *leaf = p->leaves + span->leaf_first;
    NAME(vec) *c = NAME(at)(p->values, span->value_first * IG_SHAP_PASS);
    NAME(vec) *end = c + span->count;
    uint32_t split = span->split_first;
    for (; c < end; c++) {
        const struct STEP *step = p->steps + split;
        const REAL s = p->s[split++];
        NAME(vec) ratio = NAME(ratio)(p, step, repeats, s);
        NAME(vec) c_a = *c * ratio;
        NAME(vec) g_a;
        NAME(vec) g_b;
        if (a_is_bottom)
            g_a = NAME(bottom)(p, split++, c_a, repeats);
        else
            g_a = *NAME(at)(p->values, *child++);
        if (b_is_bottom)
            g_b = NAME(bottom)(p, split++, *c - c_a, repeats);
        else if (b_is_leaf)
            g_b = *leaf++ - (NAME(vec)){0};
        else
            g_b = *NAME(at)(p->values, *child++);
        NAME(vec) apart = g_a - g_b;
        NAME(vec) *phi = NAME(at)(p->phi, step->feature);
        *phi = *phi + NAME(scale)(p, step, repeats, *c * s) * apart;
        *c = ratio * apart + g_b;
    }
}

IG_SHAP_INLINE void NAME(alone)(const struct NAME(points) * p, const struct ig_shap_span *span)
{
    const NAME(vec) *c = NAME(at)(p->values, span->value_first * IG_SHAP_PASS);
    for (uint32_t i = 0; i < span->count; i++) NAME(bottom)(p, span->split_first + i, c[i], false);
}

IG_SHAP_INLINE void NAME(up_kind)(const struct NAME(points) * p, const struct ig_shap_span *span,
                                  bool repeats)
{
    switch ((enum ig_shap_kind)span->kind) {
    case IG_SHAP_INNER_INNER:
        NAME(up)(p, span, repeats, IG_SHAP_INNER_INNER);
        break;
    case IG_SHAP_INNER_LEAF:
        NAME(up)(p, span, repeats, IG_SHAP_INNER_LEAF);
        break;
    case IG_SHAP_INNER_BOTTOM:
        NAME(up)(p, span, repeats, IG_SHAP_INNER_BOTTOM);
        break;
    case IG_SHAP_BOTTOM_BOTTOM:
        NAME(up)(p, span, repeats, IG_SHAP_BOTTOM_BOTTOM);
        break;
    case IG_SHAP_BOTTOM_LEAF:
        NAME(up)(p, span, repeats, IG_SHAP_BOTTOM_LEAF);
        break;
    case IG_SHAP_BOTTOM:
    case IG_SHAP_KINDS_COUNT:
        NAME(alone)(p, span);
        break;
    }
}

IG_SHAP_INLINE void NAME(begin)(const struct NAME(points) * p)
{
    const struct ig_shap_block *block = p->block;
    const uint32_t *roots = p->shap->roots + block->roots_first;
    NAME(vec) weights = NAME(load)(p->tables + block->table_first);
    for (uint32_t i = 0; i < block->roots_count; i++)
        *NAME(at)(p->values, roots[i] * IG_SHAP_PASS) = weights;
    memset(p->phi, 0, block->features_count * sizeof(NAME(vec)));
}

IG_SHAP_INLINE void NAME(end)(const struct NAME(points) * p, uint32_t points, double *sums)
{
    const struct ig_shap_block *block = p->block;
    const uint32_t *features = p->shap->features + block->features_first;
    for (uint32_t f = 0; f < block->features_count; f++) {
        double total = sums[features[f]];
        for (uint32_t k = 0; k < points; k++) total += (double)p->phi[f * POINTS + k];
        sums[features[f]] = total;
    }
}

IG_SHAP_INLINE void NAME(pass)(const struct NAME(points) * p)
{
    const struct ig_shap_span *spans = p->shap->spans + p->block->spans_first;
    const uint32_t count = p->block->spans_count;
    for (uint32_t i = 0; i < count && spans[i].kind < IG_SHAP_BOTTOM_BOTTOM; i++) {
        if (spans[i].repeats)
            NAME(down)(p, &spans[i], true);
        else
            NAME(down)(p, &spans[i], false);
    }
    for (uint32_t i = count; i-- > 0;) {
        if (spans[i].repeats)
            NAME(up_kind)(p, &spans[i], true);
        else
            NAME(up_kind)(p, &spans[i], false);
    }
}

static void NAME(run)(const struct ig_tree_shap *shap, const struct ig_shap_block *block,
                      const struct ig_shap_work *work)
{
    const struct ig_shap_constants *constants = sizeof(REAL) == 4 ? &shap->f32 : &shap->f64;
    struct NAME(points) p = {.shap = shap,
                             .block = block,
                             .s = work->chosen,
                             .steps = (const struct STEP *)constants->steps + block->splits_first,
                             .leaves = constants->leaves,
                             .values = work->values,
                             .phi = work->phi};
    for (uint32_t point = 0; point < block->points; point += POINTS) {
        uint32_t left = block->points - point;
        p.tables = (const REAL *)constants->table + point;
        p.sigmas = p.tables + block->padded;
        p.tau = NAME(load)(p.tables + block->table_first + block->padded);
        NAME(begin)(&p);
        NAME(pass)(&p);
        NAME(end)(&p, left < POINTS ? left : POINTS, work->sums);
    }
}
