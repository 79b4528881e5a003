/* SPDX-License-Identifier: Apache-2.0 */
/* Saabas's contributions (A. Saabas, "Interpreting random forests", 2014). Owns the nodes' mean
 * values, in double, once for each output of a tree with leaf vectors. */
#include "kernels/tree/tree_saabas.h"

#include "base/mem.h"
#include "kernels/tree/tree_predict_walk.h"
#include "kernels/tree/tree_shap_compile.h"

#include <math.h>
#include <string.h>

struct ig_tree_saabas {
    struct ig_tree_shap holder; /* model, players, and the arena that owns all arrays */
    uint32_t copies;            /* outputs a node has means of */
    double *means;              /* nodes x copies */
    double *base;               /* outputs */
};

static void find_means(struct ig_tree_saabas *saabas, const struct ig_tree *tree)
{
    const struct ig_model *model = saabas->holder.model;
    const struct ig_node *nodes = model->nodes + tree->first_node;
    uint32_t copies = saabas->copies;
    double *means = saabas->means + (size_t)tree->first_node * copies;
    for (uint32_t i = tree->nodes_count; i-- > 0;)
        for (uint32_t o = 0; o < copies; o++) {
            const struct ig_node *node = &nodes[i];
            double *mean = &means[(size_t)i * copies + o];
            if (node->op == IG_NODE_LEAF) {
                *mean = ig_tree_shap_leaf_value(model, tree, node, o);
                continue;
            }
            double share = ig_tree_shap_left_share(nodes, node);
            double left = means[(size_t)node->left * copies + o];
            double right = means[(size_t)node->right * copies + o];
            *mean = share * left + (1 - share) * right;
        }
    for (uint32_t o = 0; o < copies; o++) saabas->base[copies > 1 ? o : tree->output] += means[o];
}

enum ig_code ig_tree_saabas_new(struct ig_tree_saabas **out, const struct ig_model *model,
                                const struct ig_players *players, struct ig_err *err)
{
    if (ig_tree_shap_admit(model, err) != IG_OK) return err->code;
    struct ig_tree_saabas *saabas = ig_zalloc(sizeof *saabas);
    if (!saabas) return ig_fail(err, IG_NO_MEMORY, "no memory for contributions");
    struct ig_arena *arena = &saabas->holder.arena;
    size_t values;
    saabas->holder.model = model;
    saabas->copies = model->leaf_vectors ? model->outputs_count : 1;
    ig_arena_init(arena, 64 * 1024, SIZE_MAX / 2);
    if (ig_tree_shap_copy_players(&saabas->holder, players, err) == IG_OK) {
        if (ig_mul(&values, model->nodes_count, saabas->copies))
            saabas->means = ig_arena_array(arena, values + 1, sizeof *saabas->means);
        saabas->base = ig_arena_array(arena, model->outputs_count, sizeof *saabas->base);
        if (!saabas->means || !saabas->base)
            ig_fail(err, IG_NO_MEMORY, "no memory for contributions");
    }
    if (err->code != IG_OK) {
        ig_tree_saabas_free(saabas);
        return err->code;
    }
    for (uint32_t t = 0; t < model->trees_count; t++) find_means(saabas, &model->trees[t]);
    for (uint32_t o = 0; o < model->outputs_count; o++)
        saabas->base[o] += ig_tree_shap_base_margin(model, o);
    *out = saabas;
    return IG_OK;
}

void ig_tree_saabas_free(struct ig_tree_saabas *saabas)
{
    if (!saabas) return;
    ig_arena_deinit(&saabas->holder.arena);
    ig_free(saabas);
}

size_t ig_tree_saabas_memory_bytes(const struct ig_tree_saabas *saabas)
{
    return sizeof *saabas + saabas->holder.arena.held_bytes;
}

static void add_tree(const struct ig_tree_saabas *saabas, const struct ig_tree *tree,
                     const double *row, double *contributions)
{
    const struct ig_model *model = saabas->holder.model;
    const struct ig_node *nodes = model->nodes + tree->first_node;
    uint32_t copies = saabas->copies;
    size_t stride = saabas->holder.players.count + (size_t)1;
    const double *means = saabas->means + (size_t)tree->first_node * copies;
    double *own = contributions + (copies > 1 ? 0 : tree->output * stride);
    for (uint32_t at = 0; nodes[at].op != IG_NODE_LEAF;) {
        const struct ig_node *node = &nodes[at];
        bool left = ig_tree_goes_left(model, node, row[node->feature]);
        uint32_t next = (uint32_t)(left ? node->left : node->right);
        uint32_t player = ig_player_of(&saabas->holder.players, node->feature);
        for (uint32_t o = 0; o < copies; o++)
            own[o * stride + player] +=
                means[(size_t)next * copies + o] - means[(size_t)at * copies + o];
        at = next;
    }
}

void ig_tree_saabas_run(const struct ig_tree_saabas *saabas, const double *rows, size_t rows_count,
                        const double *margins, double *contributions, double *additivity)
{
    const struct ig_model *model = saabas->holder.model;
    uint32_t outputs = model->outputs_count;
    size_t stride = saabas->holder.players.count + (size_t)1;
    for (size_t i = 0; i < rows_count; i++) {
        double *own = contributions + i * outputs * stride;
        memset(own, 0, outputs * stride * sizeof *own);
        for (uint32_t t = 0; t < model->trees_count; t++)
            add_tree(saabas, &model->trees[t], rows + i * model->features_count, own);
        additivity[i] = 0;
        for (uint32_t o = 0; o < outputs; o++, own += stride) {
            double sum = own[stride - 1] = saabas->base[o];
            for (size_t p = 0; p + 1 < stride; p++) sum += own[p];
            double apart = fabs(sum - margins[i * outputs + o]);
            if (!(apart <= additivity[i])) additivity[i] = apart;
        }
    }
}
