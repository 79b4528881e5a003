/* SPDX-License-Identifier: Apache-2.0 */
/* SHAP values leaf by leaf, for tests of the fast kernels.
 *
 * A leaf with value v and path features 1..d gives f(S) = v * prod(S) o_j * prod(not S) z_j, where
 * o_j says whether the row satisfies every split on j and z_j is the product of those splits'
 * shares. Its Shapley value is v*(o_i - z_i) * sum_k c_k k!(d-1-k)!/d! with c_k the coefficients
 * of prod_{j != i} (z_j + o_j y): sums of positive terms, so accurate to a few units.
 *
 * Owns nothing between calls. */
#include "base/mem.h"
#include "kernels/tree/tree_predict_walk.h"
#include "kernels/tree/tree_shap_priv.h"

#include <math.h>
#include <string.h>

struct element {
    uint32_t player;
    double zero; /* share of the cover that goes this way */
    double one;  /* 1 when the row does, else 0 */
};

struct reference {
    const struct ig_model *model;
    struct ig_players players;
    const double *row;
    double *contributions;
    struct element *path;
    uint32_t path_count;
    double *polynomial;
    uint32_t *parents; /* of the nodes of the tree in hand */
};

static void path_add(struct reference *ref, uint32_t player, double zero, bool one)
{
    uint32_t i = 0;
    while (i < ref->path_count && ref->path[i].player != player) i++;
    if (i == ref->path_count) {
        ref->path[i] = (struct element){player, 1, 1};
        ref->path_count++;
    }
    ref->path[i].zero *= zero;
    ref->path[i].one *= one ? 1 : 0;
}

static void path_collect(struct reference *ref, const struct ig_tree *tree, uint32_t leaf)
{
    const struct ig_node *nodes = ref->model->nodes + tree->first_node;
    ref->path_count = 0;
    for (uint32_t at = leaf; at != 0; at = ref->parents[at]) {
        const struct ig_node *parent = &nodes[ref->parents[at]];
        bool is_left = parent->left == (int32_t)at;
        double share = ig_tree_shap_left_share(nodes, parent);
        bool goes_left = ig_tree_goes_left(ref->model, parent, ref->row[parent->feature]);
        path_add(ref, ig_player_of(&ref->players, parent->feature), is_left ? share : 1 - share,
                 goes_left == is_left);
    }
}

/* The integral of the other features' product over the order of arrival. */
static double shapley_weight(const struct reference *ref, uint32_t without)
{
    double *c = ref->polynomial;
    uint32_t degree = 0;
    c[0] = 1;
    for (uint32_t j = 0; j < ref->path_count; j++) {
        if (j == without) continue;
        const struct element *e = &ref->path[j];
        c[degree + 1] = c[degree] * e->one;
        for (uint32_t k = degree; k > 0; k--) c[k] = c[k] * e->zero + c[k - 1] * e->one;
        c[0] *= e->zero;
        degree++;
    }
    double weight = 1.0 / (double)ref->path_count;
    double sum = 0;
    for (uint32_t k = 0; k <= degree; k++) {
        sum += c[k] * weight;
        weight *= (double)(k + 1) / (double)(degree > k ? degree - k : 1);
    }
    return sum;
}

static void add_leaf(struct reference *ref, uint32_t output, double value)
{
    double *own = ref->contributions + (size_t)output * (ref->players.count + 1U);
    double base = value;
    for (uint32_t i = 0; i < ref->path_count; i++) {
        const struct element *e = &ref->path[i];
        own[e->player] += value * (e->one - e->zero) * shapley_weight(ref, i);
        base *= e->zero;
    }
    own[ref->players.count] += base;
}

static void add_tree(struct reference *ref, const struct ig_tree *tree)
{
    const struct ig_model *model = ref->model;
    const struct ig_node *nodes = model->nodes + tree->first_node;
    for (uint32_t i = 0; i < tree->nodes_count; i++) {
        if (nodes[i].op == IG_NODE_LEAF) continue;
        ref->parents[nodes[i].left] = i;
        ref->parents[nodes[i].right] = i;
    }
    for (uint32_t i = 0; i < tree->nodes_count; i++) {
        if (nodes[i].op != IG_NODE_LEAF) continue;
        path_collect(ref, tree, i);
        uint32_t outputs = model->leaf_vectors ? model->outputs_count : 1;
        for (uint32_t o = 0; o < outputs; o++)
            add_leaf(ref, model->leaf_vectors ? o : tree->output,
                     ig_tree_shap_leaf_value(model, tree, &nodes[i], o));
    }
}

static void add_base_margin(struct reference *ref)
{
    const struct ig_model *model = ref->model;
    for (uint32_t o = 0; o < model->outputs_count; o++)
        ref->contributions[(size_t)o * (ref->players.count + 1U) + ref->players.count] +=
            ig_tree_shap_base_margin(model, o);
}

enum ig_code ig_tree_shap_reference(const struct ig_model *model, const struct ig_players *players,
                                    const double *row, double *contributions, struct ig_err *err)
{
    struct reference ref = {.model = model,
                            .players = {NULL, model->features_count},
                            .row = row,
                            .contributions = contributions};
    size_t depth = 0;
    size_t nodes = 0;
    if (ig_tree_shap_admit(model, err) != IG_OK) return err->code;
    for (uint32_t t = 0; t < model->trees_count; t++) {
        if (model->trees[t].depth > depth) depth = model->trees[t].depth;
        if (model->trees[t].nodes_count > nodes) nodes = model->trees[t].nodes_count;
    }
    if (players) ref.players = *players;
    ref.path = ig_zalloc_array(depth + 1, sizeof *ref.path);
    ref.polynomial = ig_zalloc_array(depth + 2, sizeof *ref.polynomial);
    ref.parents = ig_zalloc_array(nodes + 1, sizeof *ref.parents);
    if (!ref.path || !ref.polynomial || !ref.parents) {
        ig_fail(err, IG_NO_MEMORY, "no memory for SHAP paths of %zu splits", depth);
        goto out;
    }
    memset(contributions, 0,
           sizeof *contributions * model->outputs_count * (ref.players.count + (size_t)1));
    for (uint32_t t = 0; t < model->trees_count; t++) add_tree(&ref, &model->trees[t]);
    add_base_margin(&ref);
out:
    ig_free(ref.path);
    ig_free(ref.polynomial);
    ig_free(ref.parents);
    return err->code;
}
