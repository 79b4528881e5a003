/* SPDX-License-Identifier: Apache-2.0 */
/* Trees over cells: one point, all positions of one feature, and bounds over a box. */
#include "kernels/explain/counterfactual_priv.h"
#include "kernels/tree/tree_shap_leaf.h"

#include <math.h>
#include <string.h>

bool cf_goes_left(const struct ig_counterfactual_space *space, const struct cf_node *node,
                  uint32_t cell)
{
    if (cell == CF_MISSING) return node->missing_left;
    if (node->mask == CF_NONE) return cell < node->cut;
    return space->masks[node->mask + cell / 64] >> cell % 64 & 1;
}

static uint32_t cell_at(const struct cf_search *search, const uint32_t *point, uint32_t feature)
{
    return search->axes[feature].positions[point[feature]].cell;
}

static uint32_t leaf_of(const struct cf_search *search, const uint32_t *point, uint32_t root)
{
    const struct ig_counterfactual_space *space = search->space;
    uint32_t at = root;
    for (;;) {
        const struct cf_node *node = &space->nodes[at];
        if (node->feature == CF_NONE) return at;
        at = cf_goes_left(space, node, cell_at(search, point, node->feature)) ? node->left
                                                                              : node->right;
    }
}

void cf_point_sums(struct cf_search *search, const uint32_t *point)
{
    const struct ig_counterfactual_space *space = search->space;
    for (uint32_t o = 0; o < search->outputs; o++)
        search->sums[o] = ig_tree_shap_base_margin(space->model, o);
    for (uint32_t t = 0; t < space->trees_count; t++)
        search->sums[space->trees[t].output] +=
            space->nodes[leaf_of(search, point, space->trees[t].root)].value;
}

bool cf_is_wanted(struct cf_search *search, const uint32_t *point)
{
    uint32_t features = search->space->model->features_count;
    for (uint32_t f = 0; f < features; f++)
        search->moved[f] = search->axes[f].positions[point[f]].value;
    ig_engine_margin(search->space->engine, search->moved, 1, search->margins, search->scratch);
    return cf_wants(search->options, search->margins, search->outputs);
}

/* ---- one feature ---- */

/* The first position whose cell is at least `cell`. */
static uint32_t position_from(const struct cf_axis *axis, uint32_t cell)
{
    uint32_t low = 0, high = axis->count - axis->has_missing;
    while (low < high) {
        uint32_t mid = low + (high - low) / 2;
        if (axis->positions[mid].cell < cell)
            low = mid + 1;
        else
            high = mid;
    }
    return low;
}

static void sweep_tree(struct cf_search *search, const uint32_t *point, uint32_t feature,
                       const struct cf_tree *tree, double *differences)
{
    const struct ig_counterfactual_space *space = search->space;
    const struct cf_axis *axis = &search->axes[feature];
    uint32_t depth = 0;
    search->stack[0] = tree->root;
    search->ranges[0] = (struct cf_range){0, axis->count - axis->has_missing};
    for (depth = 1; depth > 0;) {
        const struct cf_node *node = &space->nodes[search->stack[--depth]];
        struct cf_range range = search->ranges[depth];
        if (range.lo >= range.hi) continue;
        if (node->feature == CF_NONE) {
            differences[range.lo] += node->value;
            differences[range.hi] -= node->value;
        } else if (node->feature == feature) {
            uint32_t cut = position_from(axis, node->cut);
            uint32_t middle = cut < range.lo ? range.lo : cut > range.hi ? range.hi : cut;
            search->stack[depth] = node->left;
            search->ranges[depth++] = (struct cf_range){range.lo, middle};
            search->stack[depth] = node->right;
            search->ranges[depth++] = (struct cf_range){middle, range.hi};
        } else {
            bool left = cf_goes_left(space, node, cell_at(search, point, node->feature));
            search->stack[depth] = left ? node->left : node->right;
            search->ranges[depth++] = range;
        }
    }
}

/* Position by position: where cells that go left do not hang together. */
static void sweep_points(struct cf_search *search, const uint32_t *point, uint32_t feature,
                         size_t stride, uint32_t first)
{
    const struct cf_axis *axis = &search->axes[feature];
    uint32_t *changed = (uint32_t *)(uintptr_t)point, kept = point[feature];
    for (uint32_t i = first; i < axis->count; i++) {
        changed[feature] = i;
        cf_point_sums(search, changed);
        for (uint32_t o = 0; o < search->outputs; o++)
            search->differences[o * stride + i] = search->sums[o];
    }
    changed[feature] = kept;
}

void cf_sweep(struct cf_search *search, const uint32_t *point, uint32_t feature, size_t stride)
{
    const struct ig_counterfactual_space *space = search->space;
    const struct cf_axis *axis = &search->axes[feature];
    if (space->features[feature].is_masked) {
        sweep_points(search, point, feature, stride, 0);
        return;
    }
    uint32_t plain = axis->count - axis->has_missing;
    memset(search->differences, 0, search->outputs * stride * sizeof *search->differences);
    for (uint32_t t = 0; t < space->trees_count; t++)
        sweep_tree(search, point, feature, &space->trees[t],
                   search->differences + space->trees[t].output * stride);
    for (uint32_t o = 0; o < search->outputs; o++) {
        double *own = search->differences + o * stride;
        double sum = ig_tree_shap_base_margin(space->model, o);
        for (uint32_t i = 0; i < plain; i++) own[i] = sum += own[i];
    }
    if (axis->has_missing) sweep_points(search, point, feature, stride, plain);
}

/* ---- boxes ---- */

static void reach(const struct cf_search *search, const struct cf_range *box,
                  const struct cf_node *node, bool *left, bool *right)
{
    const struct ig_counterfactual_space *space = search->space;
    const struct cf_axis *axis = &search->axes[node->feature];
    struct cf_range range = box[node->feature];
    *left = *right = false;
    if (axis->has_missing && range.hi + 1 == axis->count) {
        *(cf_goes_left(space, node, CF_MISSING) ? left : right) = true;
        if (range.lo == range.hi) return;
        range.hi--;
    }
    if (node->mask == CF_NONE) {
        *left = *left || axis->positions[range.lo].cell < node->cut;
        *right = *right || axis->positions[range.hi].cell >= node->cut;
        return;
    }
    for (uint32_t i = range.lo; i <= range.hi && !(*left && *right); i++)
        *(cf_goes_left(space, node, axis->positions[i].cell) ? left : right) = true;
}

/* The leaf of the box with the greatest sign * value. */
static uint32_t best_leaf(struct cf_search *search, const struct cf_range *box, uint32_t root,
                          double sign)
{
    const struct ig_counterfactual_space *space = search->space;
    uint32_t best = CF_NONE, depth = 0;
    double greatest = -INFINITY;
    search->stack[depth++] = root;
    while (depth > 0) {
        uint32_t at = search->stack[--depth];
        const struct cf_node *node = &space->nodes[at];
        double most = sign > 0 ? node->most : -node->least;
        bool left, right;
        if (most <= greatest) continue;
        if (node->feature == CF_NONE) {
            greatest = most;
            best = at;
            continue;
        }
        reach(search, box, node, &left, &right);
        const struct cf_node *low = &space->nodes[node->left], *high = &space->nodes[node->right];
        bool left_first = sign > 0 ? low->most > high->most : low->least < high->least;
        if (left_first && right) search->stack[depth++] = node->right;
        if (left) search->stack[depth++] = node->left;
        if (!left_first && right) search->stack[depth++] = node->right;
    }
    return best;
}

/* Features at which the way to `leaf` leaves the point's way share what it gains. */
static void give_credit(struct cf_search *search, const uint32_t *point, uint32_t leaf, double gain,
                        double *credit)
{
    const struct ig_counterfactual_space *space = search->space;
    for (uint32_t at = leaf; space->nodes[at].parent != CF_NONE; at = space->nodes[at].parent) {
        const struct cf_node *parent = &space->nodes[space->nodes[at].parent];
        bool left = cf_goes_left(space, parent, cell_at(search, point, parent->feature));
        if ((parent->left == at) != left) credit[parent->feature] += gain;
    }
}

static bool wants_more(const struct cf_search *search, uint32_t output)
{
    enum ig_counterfactual_want want = search->options->want;
    return output == search->options->output && want != IG_COUNTERFACTUAL_BELOW;
}

static bool wants_less(const struct cf_search *search, uint32_t output)
{
    enum ig_counterfactual_want want = search->options->want;
    if (want == IG_COUNTERFACTUAL_CLASS) return output != search->options->output;
    return output == search->options->output && want != IG_COUNTERFACTUAL_ABOVE;
}

bool cf_box_may(struct cf_search *search, const struct cf_range *box, const uint32_t *point,
                double *credit)
{
    const struct ig_counterfactual_space *space = search->space;
    const struct ig_counterfactual_options *options = search->options;
    for (uint32_t o = 0; o < search->outputs; o++)
        search->highs[o] = search->lows[o] = ig_tree_shap_base_margin(space->model, o);
    for (uint32_t t = 0; t < space->trees_count; t++) {
        const struct cf_tree *tree = &space->trees[t];
        double here = space->nodes[leaf_of(search, point, tree->root)].value;
        if (wants_more(search, tree->output)) {
            uint32_t leaf = best_leaf(search, box, tree->root, 1);
            double value = space->nodes[leaf].value;
            search->highs[tree->output] += value;
            if (value > here) give_credit(search, point, leaf, value - here, credit);
        }
        if (wants_less(search, tree->output)) {
            uint32_t leaf = best_leaf(search, box, tree->root, -1);
            double value = space->nodes[leaf].value;
            search->lows[tree->output] += value;
            if (value < here) give_credit(search, point, leaf, here - value, credit);
        }
    }
    double high = search->highs[options->output], low = search->lows[options->output];
    if (wants_more(search, options->output) && options->want != IG_COUNTERFACTUAL_CLASS &&
        high < options->low - search->slack)
        return false;
    if (wants_less(search, options->output) && low > options->high + search->slack) return false;
    for (uint32_t o = 0; options->want == IG_COUNTERFACTUAL_CLASS && o < search->outputs; o++)
        if (o != options->output && search->lows[o] > high + search->slack) return false;
    return true;
}
