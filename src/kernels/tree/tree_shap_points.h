/* SPDX-License-Identifier: Apache-2.0 */
/* The SHAP kernel of one row: a register holds POINTS points of each of NODES splits, neighbours in
 * a span. A kernel file defines REAL, NAME(x), POINTS and NODES, and for two nodes the shuffles
 * below, and includes this once a width.
 *
 *   JOIN(low, high), LOW(x), HIGH(x)  a register of two rows of points, and its rows
 *   SPREAD(x, i, j)                   POINTS times number i of x, then POINTS times number j
 *
 * Formulas and layout: tree_shap_priv.h. The row's s (or u) of every split of the block is known
 * before. Products and sums are those of tree_shap_lanes.h, in the same order. */

typedef REAL NAME(row) __attribute__((vector_size(POINTS * sizeof(REAL))));
typedef REAL NAME(vec) __attribute__((vector_size(NODES * POINTS * sizeof(REAL))));

struct NAME(points) {
    const struct ig_tree_shap *shap;
    const struct ig_shap_block *block;
    /* of the block's splits */
    const REAL *s;
    const REAL *mean;
    const uint32_t *feature;
    const uint32_t *table;

    const REAL *leaves;
    const REAL *tables; /* at the first point of the pass */
    const REAL *sigmas;
    REAL *values;
    REAL *phi;
    NAME(vec) tau; /* of a first split */
};

/* The first of `NODES` like splits, `each` apart. Past the end of a span the second is another
 * split: what is computed for it goes nowhere. */
struct NAME(split) {
    size_t at;
    size_t each;
    NAME(vec) s;
    NAME(vec) ratio;
};

/* The row whose index times IG_SHAP_PASS is `scaled`. */
IG_SHAP_INLINE NAME(row) * NAME(at)(REAL *rows, uint32_t scaled)
{
    return (NAME(row) *)(rows + (size_t)scaled * POINTS / IG_SHAP_PASS);
}

IG_SHAP_INLINE NAME(row) NAME(load)(const REAL *from)
{
    NAME(row) to;
    memcpy(&to, from, sizeof to);
    return to;
}

IG_SHAP_INLINE NAME(vec) NAME(load_all)(const void *from)
{
    NAME(vec) to;
    memcpy(&to, from, sizeof to);
    return to;
}

/* A number of each split on all its points: the split's is `first`, the next one's `each` later. */
#if NODES == 1

#define JOIN(low, high) (low)
#define LOW(x) (x)
#define HIGH(x) (x)

IG_SHAP_INLINE NAME(vec) NAME(spread)(const REAL *from, size_t first, size_t each)
{
    (void)each;
    return from[first] - (NAME(vec)){0};
}

#else

IG_SHAP_INLINE NAME(vec) NAME(spread)(const REAL *from, size_t first, size_t each)
{
    NAME(vec) x = NAME(load_all)(from);
    switch (each * 4 + first) {
    case 4:
        return SPREAD(x, 0, 1);
    case 8:
        return SPREAD(x, 0, 2);
    case 9:
        return SPREAD(x, 1, 3);
    case 12:
        return SPREAD(x, 0, 3);
    case 13:
        return SPREAD(x, 1, 4);
    default:
        return SPREAD(x, 2, 5);
    }
}

#endif

/* The splits at `group` + `first` and so on, of entries of `each` splits. */
IG_SHAP_INLINE struct NAME(split) NAME(split_of)(const struct NAME(points) * p, size_t group,
                                                 size_t first, size_t each, bool repeats)
{
    struct NAME(split) split = {.at = group + first, .each = each};
    NAME(vec) tau = p->tau;
    if (repeats) {
        const uint32_t *table = p->table + split.at;
        tau = JOIN(NAME(load)(p->tables + table[0]), NAME(load)(p->tables + table[each]));
    }
    split.s = NAME(spread)(p->s + group, first, each);
    split.ratio = tau * split.s + NAME(spread)(p->mean + group, first, each);
    return split;
}

/* What the splits add to phi, but for sigma. */
IG_SHAP_INLINE NAME(vec) NAME(scale)(const struct NAME(points) * p,
                                     const struct NAME(split) * split, bool repeats, NAME(vec) x)
{
    if (!repeats) return x;
    const uint32_t *table = p->table + split->at;
    return x * JOIN(NAME(load)(p->sigmas + table[0]), NAME(load)(p->sigmas + table[split->each]));
}

IG_SHAP_INLINE void NAME(add)(const struct NAME(points) * p, size_t split, NAME(row) x)
{
    NAME(row) *phi = NAME(at)(p->phi, p->feature[split]);
    *phi = *phi + x;
}

IG_SHAP_INLINE void NAME(down)(const struct NAME(points) * p, const struct ig_shap_span *span,
                               bool repeats, enum ig_shap_kind kind)
{
    const size_t each = kind == IG_SHAP_INNER_BOTTOM ? 2 : 1;
    const size_t children = kind == IG_SHAP_INNER_INNER ? 2 : 1;
    const uint32_t *child = p->shap->children + span->child_first;
    const NAME(row) *c = NAME(at)(p->values, span->value_first * IG_SHAP_PASS);
    const size_t count = span->count;
    size_t group = span->split_first;
    for (size_t i = 0; i < count; i += NODES) {
        const struct NAME(split) split = NAME(split_of)(p, group, 0, each, repeats);
        NAME(vec) whole = NAME(load_all)(c + i);
        NAME(vec) a = whole * split.ratio;
        NAME(vec) b = whole - a;
        *NAME(at)(p->values, child[0]) = LOW(a);
        if (children == 2) *NAME(at)(p->values, child[1]) = LOW(b);
        if (NODES == 2 && i + 1 < count) {
            *NAME(at)(p->values, child[children]) = HIGH(a);
            if (children == 2) *NAME(at)(p->values, child[3]) = HIGH(b);
        }
        group += NODES * each;
        child += NODES * children;
    }
}

/* G of the splits' inner child `first` of `children`. */
IG_SHAP_INLINE NAME(vec)
    NAME(child)(const struct NAME(points) * p, const uint32_t *child, size_t first, size_t children)
{
    (void)children;
    return JOIN(*NAME(at)(p->values, child[first]), *NAME(at)(p->values, child[first + children]));
}

IG_SHAP_INLINE void NAME(up)(const struct NAME(points) * p, const struct ig_shap_span *span,
                             bool repeats, enum ig_shap_kind kind)
{
    const bool a_is_bottom = kind == IG_SHAP_BOTTOM_BOTTOM || kind == IG_SHAP_BOTTOM_LEAF;
    const bool b_is_bottom = kind == IG_SHAP_BOTTOM_BOTTOM || kind == IG_SHAP_INNER_BOTTOM;
    const bool b_is_leaf = kind == IG_SHAP_BOTTOM_LEAF || kind == IG_SHAP_INNER_LEAF;
    const size_t each = (size_t)1 + a_is_bottom + b_is_bottom;
    const size_t children = kind == IG_SHAP_INNER_INNER ? 2 : !a_is_bottom;
    const uint32_t *child = p->shap->children + span->child_first;
    const REAL *leaf = p->leaves + span->leaf_first;
    NAME(row) *c = NAME(at)(p->values, span->value_first * IG_SHAP_PASS);
    const size_t count = span->count;
    size_t group = span->split_first;
    for (size_t i = 0; i < count; i += NODES) {
        const struct NAME(split) split = NAME(split_of)(p, group, 0, each, repeats);
        struct NAME(split) below_a = split;
        struct NAME(split) below_b = split;
        if (a_is_bottom) below_a = NAME(split_of)(p, group, 1, each, repeats);
        if (b_is_bottom) below_b = NAME(split_of)(p, group, a_is_bottom ? 2 : 1, each, repeats);
        NAME(vec) whole = NAME(load_all)(c + i);
        NAME(vec) c_a = whole * split.ratio;
        NAME(vec) g_a = a_is_bottom ? below_a.ratio : NAME(child)(p, child, 0, children);
        NAME(vec) g_b = below_b.ratio;
        if (b_is_leaf) g_b = NAME(spread)(leaf + i, 0, 1);
        if (kind == IG_SHAP_INNER_INNER) g_b = NAME(child)(p, child, 1, children);
        NAME(vec) add_a = NAME(scale)(p, &below_a, repeats, c_a * below_a.s);
        NAME(vec) add_b = NAME(scale)(p, &below_b, repeats, (whole - c_a) * below_b.s);
        NAME(vec) apart = g_a - g_b;
        NAME(vec) add = NAME(scale)(p, &split, repeats, whole * split.s) * apart;
        NAME(vec) g = split.ratio * apart + g_b;
        if (a_is_bottom) NAME(add)(p, below_a.at, LOW(add_a));
        if (b_is_bottom) NAME(add)(p, below_b.at, LOW(add_b));
        NAME(add)(p, split.at, LOW(add));
        c[i] = LOW(g);
        if (NODES == 2 && i + 1 < count) {
            if (a_is_bottom) NAME(add)(p, below_a.at + each, HIGH(add_a));
            if (b_is_bottom) NAME(add)(p, below_b.at + each, HIGH(add_b));
            NAME(add)(p, split.at + each, HIGH(add));
            c[i + 1] = HIGH(g);
        }
        group += NODES * each;
        child += NODES * children;
    }
}

IG_SHAP_INLINE void NAME(alone)(const struct NAME(points) * p, const struct ig_shap_span *span)
{
    const NAME(row) *c = NAME(at)(p->values, span->value_first * IG_SHAP_PASS);
    for (uint32_t i = 0; i < span->count; i++)
        NAME(add)(p, span->split_first + i, c[i] * p->s[span->split_first + i]);
}

IG_SHAP_INLINE void NAME(down_kind)(const struct NAME(points) * p, const struct ig_shap_span *span,
                                    bool repeats)
{
    if (span->kind == IG_SHAP_INNER_INNER)
        NAME(down)(p, span, repeats, IG_SHAP_INNER_INNER);
    else if (span->kind == IG_SHAP_INNER_LEAF)
        NAME(down)(p, span, repeats, IG_SHAP_INNER_LEAF);
    else
        NAME(down)(p, span, repeats, IG_SHAP_INNER_BOTTOM);
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
    NAME(row) weights = NAME(load)(p->tables + block->table_first);
    for (uint32_t i = 0; i < block->roots_count; i++)
        *NAME(at)(p->values, roots[i] * IG_SHAP_PASS) = weights;
    memset(p->phi, 0, block->features_count * sizeof(NAME(row)));
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
            NAME(down_kind)(p, &spans[i], true);
        else
            NAME(down_kind)(p, &spans[i], false);
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
                             .mean = (const REAL *)constants->mean + block->splits_first,
                             .feature = shap->feature + block->splits_first,
                             .table = shap->table + block->splits_first,
                             .leaves = constants->leaves,
                             .values = work->values,
                             .phi = work->phi};
    for (uint32_t point = 0; point < block->points; point += POINTS) {
        uint32_t left = block->points - point;
        p.tables = (const REAL *)constants->table + point;
        p.sigmas = p.tables + block->padded;
        NAME(row) tau = NAME(load)(p.tables + block->table_first + block->padded);
        p.tau = JOIN(tau, tau);
        NAME(begin)(&p);
        NAME(pass)(&p);
        NAME(end)(&p, left < POINTS ? left : POINTS, work->sums);
    }
}
