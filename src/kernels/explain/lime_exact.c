/* SPDX-License-Identifier: Apache-2.0 */
/* Exact LIME: each leaf keeps, for each different feature of its path, the probability that a draw
 * of each outcome (bin, category, missing) passes all of the path's splits on it. A row says which
 * outcome is its own and how much the others weigh.
 *
 * Owns its arrays; immutable after `new`. */
#include "kernels/explain/lime_exact.h"

#include "base/mem.h"
#include "base/vec.h"
#include "kernels/explain/lime_priv.h"
#include "kernels/tree/tree_predict_walk.h"
#include "kernels/tree/tree_shap_leaf.h"

#include <math.h>
#include <string.h>

enum { SAMPLES_DEFAULT = 5000, FEATURES_DEFAULT = 10 };

static const size_t MEMORY_DEFAULT = (size_t)512 << 20;

struct element {
    uint32_t feature;
    uint32_t first; /* into passes: one an outcome of the feature */
};

struct leaf {
    uint32_t tree, node;
    uint32_t elements_first, elements_count;
};

struct ig_lime_exact {
    const struct ig_model *model;
    const struct ig_lime_space *space;
    struct {
        struct leaf *items;
        size_t count, cap;
    } leaves;
    struct {
        struct element *items;
        size_t count, cap;
    } elements;
    struct {
        double *items;
        size_t count, cap;
    } passes;
    size_t depth_max;
};

/* A split on the way to a leaf. */
struct step {
    const struct ig_node *node;
    bool left;
};

struct frame {
    uint32_t node;
    uint32_t depth;
    struct step last;
};

struct builder {
    struct ig_lime_exact *exact;
    struct ig_err *err;
    size_t bytes_max;
    struct step *path;
    struct frame *stack;
};

static bool fail(struct builder *b, const char *what)
{
    size_t held = ig_lime_exact_memory_bytes(b->exact);
    if (held > b->bytes_max / 2)
        ig_fail(b->err, IG_TOO_LARGE, "exact LIME: the model needs more than %zu MB of tables",
                b->bytes_max >> 20);
    else
        ig_fail(b->err, IG_NO_MEMORY, "no memory for %s", what);
    return false;
}

/* The part of a bin's normal that lies within (low, high]. */
static double part_of_bin(const struct ig_lime_outcome *bin, double low, double high)
{
    low = fmax(low, bin->low);
    high = fmin(high, bin->high);
    if (!(low < high)) return 0;
    double from = ig_lime_cdf((low - bin->value) / bin->spread),
           to = ig_lime_cdf((high - bin->value) / bin->spread);
    return (to - from) / bin->span;
}

/* Whether a value passes all splits of the path on the feature. */
static bool passes_all(const struct builder *b, uint32_t depth, uint32_t feature, double value)
{
    for (uint32_t i = 0; i < depth; i++) {
        const struct step *step = &b->path[i];
        if (step->node->feature != feature) continue;
        if (ig_tree_goes_left(b->exact->model, step->node, value) != step->left) return false;
    }
    return true;
}

static double pass_of(const struct builder *b, uint32_t depth, uint32_t feature,
                      const struct ig_lime_outcome *outcome)
{
    double low = -INFINITY, high = INFINITY;
    if (!(outcome->span > 0)) {
        double value = outcome->low == outcome->high ? outcome->low : outcome->value;
        return passes_all(b, depth, feature, value) ? 1 : 0;
    }
    for (uint32_t i = 0; i < depth; i++) {
        const struct step *step = &b->path[i];
        if (step->node->feature != feature) continue;
        if (step->left)
            high = fmin(high, step->node->value);
        else
            low = fmax(low, step->node->value);
    }
    return part_of_bin(outcome, low, high);
}

static bool add_element(struct builder *b, uint32_t depth, uint32_t feature)
{
    struct ig_lime_exact *exact = b->exact;
    const struct ig_lime_feature *own = &exact->space->features[feature];
    struct element element = {feature, (uint32_t)exact->passes.count};
    size_t most = b->bytes_max / sizeof(double);
    if (!IG_VEC_PUSH(&exact->elements, element, most)) return fail(b, "exact LIME");
    for (uint32_t i = 0; i < own->count; i++) {
        double pass = pass_of(b, depth, feature, &exact->space->outcomes[own->first + i]);
        if (!IG_VEC_PUSH(&exact->passes, pass, most)) return fail(b, "exact LIME");
    }
    return true;
}

static bool add_leaf(struct builder *b, uint32_t tree, const struct frame *frame)
{
    struct ig_lime_exact *exact = b->exact;
    struct leaf leaf = {tree, frame->node, (uint32_t)exact->elements.count, 0};
    for (uint32_t i = 0; i < frame->depth; i++) {
        bool seen = false;
        for (uint32_t k = 0; k < i && !seen; k++)
            seen = b->path[k].node->feature == b->path[i].node->feature;
        if (!seen && !add_element(b, frame->depth, b->path[i].node->feature)) return false;
    }
    leaf.elements_count = (uint32_t)exact->elements.count - leaf.elements_first;
    return IG_VEC_PUSH(&exact->leaves, leaf, UINT32_MAX) || fail(b, "exact LIME");
}

static bool add_tree(struct builder *b, uint32_t tree)
{
    const struct ig_model *model = b->exact->model;
    uint32_t first = model->trees[tree].first_node, top = 1;
    b->stack[0] = (struct frame){0, 0, {NULL, false}};
    while (top > 0) {
        struct frame frame = b->stack[--top];
        const struct ig_node *node = &model->nodes[first + frame.node];
        if (frame.depth) b->path[frame.depth - 1] = frame.last;
        if (node->op == IG_NODE_LEAF) {
            if (!add_leaf(b, tree, &frame)) return false;
            continue;
        }
        if (node->op == IG_NODE_IN && !b->exact->space->features[node->feature].categorical) {
            ig_fail(b->err, IG_INVALID, "exact LIME: feature %u is split by categories",
                    node->feature);
            return false;
        }
        b->stack[top++] = (struct frame){(uint32_t)node->right, frame.depth + 1, {node, false}};
        b->stack[top++] = (struct frame){(uint32_t)node->left, frame.depth + 1, {node, true}};
    }
    return true;
}

enum ig_code ig_lime_exact_new(struct ig_lime_exact **out, const struct ig_model *model,
                               const struct ig_lime_space *space, size_t memory_max_bytes,
                               struct ig_err *err)
{
    struct builder b = {.err = err,
                        .bytes_max = memory_max_bytes ? memory_max_bytes : MEMORY_DEFAULT};
    if (ig_tree_shap_admit(model, err) != IG_OK) return err->code;
    if (space->features_count != model->features_count)
        return ig_fail(err, IG_INVALID, "background: it has %u features, the model has %u",
                       space->features_count, model->features_count);
    b.exact = ig_zalloc(sizeof *b.exact);
    if (!b.exact) return ig_fail(err, IG_NO_MEMORY, "no memory for exact LIME");
    b.exact->model = model;
    b.exact->space = space;
    for (uint32_t t = 0; t < model->trees_count; t++)
        if (model->trees[t].depth > b.exact->depth_max) b.exact->depth_max = model->trees[t].depth;
    b.path = ig_zalloc_array(b.exact->depth_max + 1, sizeof *b.path);
    b.stack = ig_zalloc_array(b.exact->depth_max + 2, sizeof *b.stack);
    bool ok = b.path && b.stack;
    if (!ok) ig_fail(err, IG_NO_MEMORY, "no memory for exact LIME");
    for (uint32_t t = 0; ok && t < model->trees_count; t++) ok = add_tree(&b, t);
    ig_free(b.path);
    ig_free(b.stack);
    if (ok)
        *out = b.exact;
    else
        ig_lime_exact_free(b.exact);
    return err->code;
}

void ig_lime_exact_free(struct ig_lime_exact *exact)
{
    if (!exact) return;
    IG_VEC_FREE(&exact->leaves);
    IG_VEC_FREE(&exact->elements);
    IG_VEC_FREE(&exact->passes);
    ig_free(exact);
}

size_t ig_lime_exact_memory_bytes(const struct ig_lime_exact *exact)
{
    return sizeof *exact + exact->leaves.cap * sizeof *exact->leaves.items +
           exact->elements.cap * sizeof *exact->elements.items +
           exact->passes.cap * sizeof *exact->passes.items;
}

/* ---- a row ---- */

struct row_view {
    const struct ig_lime_exact *exact;
    uint32_t *home;
    double *weight; /* of each outcome under the weighted distribution */
    double *q;      /* P(z = 1) */
    double *covariance;
    double *mass, *home_mass, *before; /* of a path's elements */
    double mean, total;                /* of f; product of the features' weights */
};

static void weigh_outcomes(struct row_view *view, const double *row)
{
    const struct ig_lime_space *space = view->exact->space;
    double width = 0.75 * sqrt(space->features_count), flip = sqrt(exp(-1 / (width * width)));
    view->total = 1;
    for (uint32_t f = 0; f < space->features_count; f++) {
        const struct ig_lime_feature *feature = &space->features[f];
        uint32_t home = view->home[f] = ig_lime_outcome_of(space, f, row[f]);
        bool known = home < feature->count;
        double own = known ? space->outcomes[feature->first + home].share : 0;
        double all = own + flip * (1 - own);
        for (uint32_t i = 0; i < feature->count; i++) {
            double share = space->outcomes[feature->first + i].share;
            view->weight[feature->first + i] = (i == home ? share : flip * share) / all;
        }
        view->q[f] = own / all;
        view->total *= all;
    }
}

static void add_leaf_moments(struct row_view *view, const struct leaf *leaf, double value)
{
    const struct ig_lime_exact *exact = view->exact;
    const struct element *elements = exact->elements.items + leaf->elements_first;
    double product = value;
    for (uint32_t i = 0; i < leaf->elements_count; i++) {
        const struct ig_lime_feature *feature = &exact->space->features[elements[i].feature];
        const double *passes = exact->passes.items + elements[i].first;
        const double *weight = view->weight + feature->first;
        uint32_t home = view->home[elements[i].feature];
        double mass = 0;
        for (uint32_t k = 0; k < feature->count; k++) mass += weight[k] * passes[k];
        view->mass[i] = mass;
        view->home_mass[i] = home < feature->count ? passes[home] : mass;
        view->before[i] = product;
        product *= mass;
    }
    view->mean += product;
    double after = 1;
    for (uint32_t i = leaf->elements_count; i-- > 0; after *= view->mass[i]) {
        uint32_t f = elements[i].feature;
        view->covariance[f] +=
            view->before[i] * after * view->q[f] * (view->home_mass[i] - view->mass[i]);
    }
}

static void add_leaves(struct row_view *view, uint32_t output)
{
    const struct ig_lime_exact *exact = view->exact;
    const struct ig_model *model = exact->model;
    for (size_t i = 0; i < exact->leaves.count; i++) {
        const struct leaf *leaf = &exact->leaves.items[i];
        const struct ig_tree *tree = &model->trees[leaf->tree];
        const struct ig_node *node = &model->nodes[tree->first_node + leaf->node];
        if (!model->leaf_vectors && tree->output != output) continue;
        add_leaf_moments(view, leaf, ig_tree_shap_leaf_value(model, tree, node, output));
    }
    view->mean += ig_tree_shap_base_margin(model, output);
}

/* What LIME's "auto" would choose: alone, each feature's gain in R2 (up to 6), or its coefficient.
 */
static double rank_of(const struct row_view *view, uint32_t f, uint32_t wanted, double weight)
{
    double variance = view->q[f] * (1 - view->q[f]);
    if (!(variance > 0)) return 0;
    if (wanted <= 6) return view->covariance[f] * view->covariance[f] / variance;
    return fabs(view->covariance[f] / (variance + 0.01 / weight));
}

static void report(struct ig_lime_result *out, struct row_view *view, uint32_t wanted,
                   double weight)
{
    const struct ig_lime_space *space = view->exact->space;
    uint32_t *chosen = (uint32_t *)(uintptr_t)out->features;
    double *coefficients = (double *)(uintptr_t)out->coefficients;
    double *low = (double *)(uintptr_t)out->low, *high = (double *)(uintptr_t)out->high;
    if (wanted > space->features_count) wanted = space->features_count;
    for (uint32_t f = 0; f < space->features_count; f++) {
        double rank = rank_of(view, f, wanted, weight);
        uint32_t at = out->count < wanted ? out->count++ : wanted;
        for (; at > 0 && rank > rank_of(view, chosen[at - 1], wanted, weight); at--)
            if (at < wanted) chosen[at] = chosen[at - 1];
        if (at < wanted) chosen[at] = f;
    }
    for (uint32_t i = 0; i < out->count; i++) {
        double variance = view->q[chosen[i]] * (1 - view->q[chosen[i]]);
        double own = variance > 0 ? view->covariance[chosen[i]] / (variance + 1 / weight) : 0;
        uint32_t f = chosen[i], at = i;
        for (; at > 0 && fabs(own) > fabs(coefficients[at - 1]); at--) {
            coefficients[at] = coefficients[at - 1];
            chosen[at] = chosen[at - 1];
        }
        coefficients[at] = own;
        chosen[at] = f;
    }
    out->intercept = view->mean;
    for (uint32_t i = 0; i < out->count; i++)
        out->intercept -= coefficients[i] * view->q[chosen[i]];
    out->local_prediction = out->intercept;
    for (uint32_t i = 0; i < out->count; i++) {
        out->local_prediction += coefficients[i];
        ig_lime_bounds(&low[i], &high[i], space, chosen[i], view->home[chosen[i]]);
    }
}

enum ig_code ig_lime_exact_run(struct ig_lime_result *out, const struct ig_lime_exact *exact,
                               const struct ig_lime_exact_input *input,
                               const struct ig_lime_options *options, struct ig_arena *arena,
                               struct ig_err *err)
{
    uint32_t n = exact->space->features_count;
    size_t depth = exact->depth_max + 1;
    uint64_t samples = options->samples ? options->samples : SAMPLES_DEFAULT;
    if (options->value >= exact->model->outputs_count)
        return ig_fail(err, IG_INVALID, "class: %u of %u outputs", options->value,
                       exact->model->outputs_count);
    struct row_view view = {.exact = exact};
    uint32_t *integers = ig_arena_array(arena, (size_t)2 * n, sizeof *integers);
    double *numbers = ig_arena_array(
        arena, (size_t)6 * n + exact->space->outcomes_count + 3 * depth, sizeof *numbers);
    if (!integers || !numbers) return ig_fail(err, IG_NO_MEMORY, "no memory for a surrogate");
    view.home = integers;
    view.q = numbers;
    view.covariance = numbers + n;
    view.weight = numbers + (size_t)6 * n;
    view.mass = view.weight + exact->space->outcomes_count;
    view.home_mass = view.mass + depth;
    view.before = view.home_mass + depth;
    weigh_outcomes(&view, input->row);
    add_leaves(&view, options->value);
    struct ig_lime_result own = {.features = integers + n,
                                 .coefficients = numbers + (size_t)2 * n,
                                 .se = numbers + (size_t)3 * n,
                                 .low = numbers + (size_t)4 * n,
                                 .high = numbers + (size_t)5 * n,
                                 .r2 = NAN,
                                 .prediction = input->margin,
                                 .stability = 1,
                                 .samples = 0};
    report(&own, &view, options->features ? options->features : FEATURES_DEFAULT,
           (double)samples * view.total);
    *out = own;
    return IG_OK;
}
