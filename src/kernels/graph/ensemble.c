/* SPDX-License-Identifier: Apache-2.0 */
/* Reads the attributes of tree ensemble nodes. Nodes are first gathered as the file has them, then
 * laid out anew in preorder, so that every child comes after its parent and each node has one
 * parent: cycles and shared children are refused. Thread rule: none shared. */
#include "kernels/graph/ensemble.h"

#include "base/mem.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { NODES_MAX = INT32_MAX / 8 };

struct numbers {
    double *items;
    size_t count;
    bool doubles;
};

/* A node as gathered: children are indices of raw nodes. */
struct raw {
    double value;
    int64_t feature;
    uint32_t yes, no, parents;
    uint32_t first, count; /* leaf: weights of the file; MEMBER: members */
    uint8_t mode;
    bool missing_yes;
};

struct key {
    int64_t tree, node;
    uint32_t index;
};

struct reader {
    const struct ig_graph_node *node;
    struct ig_arena *arena;
    struct ig_err *err;
    struct ig_ensemble *out;
    struct raw *raw; /* heap */
    size_t raw_count, raw_cap;
    struct key *keys; /* heap, sorted */
    uint32_t *roots;  /* heap: raw */
    size_t roots_count;
    uint32_t *leaf_order; /* heap: the file's weights by leaf */
    const int64_t *targets;
    struct numbers weights;
};

static bool refuse(struct reader *reader, const char *what)
{
    ig_fail(reader->err, IG_INVALID, "node '%.*s' (%.*s): %s", IG_STR_ARGS(reader->node->name),
            IG_STR_ARGS(reader->node->op), what);
    return false;
}

static bool no_memory(struct reader *reader)
{
    ig_fail(reader->err, IG_NO_MEMORY, "tree ensemble: out of memory");
    return false;
}

/* A list of floats, or the tensor of the same meaning; count 0 when neither is there. */
static bool read_numbers(struct reader *reader, struct numbers *out, const char *list,
                         const char *tensor)
{
    const struct ig_attribute *attribute = ig_graph_attribute(reader->node, tensor);
    size_t count;
    const float *floats = ig_graph_f32s(reader->node, list, &count);
    const double *doubles = NULL;
    if (attribute && attribute->kind == IG_ATTRIBUTE_TENSOR) {
        count = attribute->tensor->count;
        floats = NULL;
        if (attribute->tensor->type == IG_TENSOR_F64)
            doubles = attribute->tensor->data;
        else if (attribute->tensor->type == IG_TENSOR_F32)
            floats = attribute->tensor->data;
        else
            return refuse(reader, "numbers that are neither float nor double");
    }
    out->items = ig_arena_array(reader->arena, count + 1, sizeof *out->items);
    if (!out->items) return no_memory(reader);
    for (size_t i = 0; doubles && i < count; i++) out->items[i] = doubles[i];
    for (size_t i = 0; floats && i < count; i++) out->items[i] = (double)floats[i];
    out->count = count;
    out->doubles = doubles != NULL;
    reader->out->doubles |= out->doubles;
    return true;
}

static bool room(struct reader *reader, size_t count)
{
    if (count == 0 || count > NODES_MAX) return refuse(reader, "no nodes, or too many");
    reader->raw = ig_zalloc_array(count, sizeof *reader->raw);
    reader->roots = ig_zalloc_array(count, sizeof *reader->roots);
    reader->raw_cap = count;
    return (reader->raw && reader->roots) || no_memory(reader);
}

static int compare_keys(const void *left, const void *right)
{
    const struct key *a = left;
    const struct key *b = right;
    if (a->tree != b->tree) return (a->tree > b->tree) - (a->tree < b->tree);
    return (a->node > b->node) - (a->node < b->node);
}

static bool find_node(const struct reader *reader, int64_t tree, int64_t node, uint32_t *out)
{
    struct key wanted = {tree, node, 0};
    const struct key *found =
        bsearch(&wanted, reader->keys, reader->raw_count, sizeof wanted, compare_keys);
    if (found) *out = found->index;
    return found != NULL;
}

static bool mode_of(struct ig_str name, uint8_t *mode)
{
    static const char *const names[] = {"BRANCH_LEQ", "BRANCH_LT",  "BRANCH_GTE",    "BRANCH_GT",
                                        "BRANCH_EQ",  "BRANCH_NEQ", "BRANCH_MEMBER", "LEAF"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (i != IG_ENSEMBLE_MEMBER && ig_str_is(name, names[i])) {
            *mode = (uint8_t)i;
            return true;
        }
    return false;
}

struct lists {
    const int64_t *trees, *nodes, *features, *yes, *no, *missing;
    const struct ig_str *modes;
    size_t missing_count;
    struct numbers values;
};

static bool read_lists(struct reader *reader, struct lists *lists)
{
    static const char *const names[] = {"nodes_treeids", "nodes_nodeids", "nodes_featureids",
                                        "nodes_truenodeids", "nodes_falsenodeids"};
    const int64_t **into[] = {&lists->trees, &lists->nodes, &lists->features, &lists->yes,
                              &lists->no};
    size_t count;
    lists->modes = ig_graph_strings(reader->node, "nodes_modes", &count);
    if (!room(reader, count)) return false;
    reader->raw_count = count;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        *into[i] = ig_graph_i64s(reader->node, names[i], &count);
        if (count != reader->raw_count)
            return refuse(reader, "its lists of nodes differ in length");
    }
    lists->missing =
        ig_graph_i64s(reader->node, "nodes_missing_value_tracks_true", &lists->missing_count);
    if (!read_numbers(reader, &lists->values, "nodes_values", "nodes_values_as_tensor"))
        return false;
    return lists->values.count == reader->raw_count || refuse(reader, "nodes_values: wrong length");
}

static bool sort_nodes(struct reader *reader, const struct lists *lists)
{
    reader->keys = ig_zalloc_array(reader->raw_count, sizeof *reader->keys);
    if (!reader->keys) return no_memory(reader);
    for (size_t i = 0; i < reader->raw_count; i++)
        reader->keys[i] = (struct key){lists->trees[i], lists->nodes[i], (uint32_t)i};
    qsort(reader->keys, reader->raw_count, sizeof *reader->keys, compare_keys);
    for (size_t i = 1; i < reader->raw_count; i++)
        if (compare_keys(&reader->keys[i - 1], &reader->keys[i]) == 0)
            return refuse(reader, "a node twice");
    return true;
}

static bool gather_nodes(struct reader *reader)
{
    struct lists lists = {0};
    if (!read_lists(reader, &lists) || !sort_nodes(reader, &lists)) return false;
    for (size_t i = 0; i < reader->raw_count; i++) {
        struct raw *raw = &reader->raw[i];
        if (!mode_of(lists.modes[i], &raw->mode)) return refuse(reader, "an unknown mode");
        raw->value = lists.values.items[i];
        raw->feature = lists.features[i];
        raw->missing_yes = i < lists.missing_count && lists.missing[i] == 1;
        if (raw->mode == IG_ENSEMBLE_LEAF) continue;
        if (!find_node(reader, lists.trees[i], lists.yes[i], &raw->yes) ||
            !find_node(reader, lists.trees[i], lists.no[i], &raw->no))
            return refuse(reader, "a child that is no node of its tree");
        reader->raw[raw->yes].parents++;
        reader->raw[raw->no].parents++;
    }
    for (size_t i = 0; i < reader->raw_count; i++)
        if (reader->raw[i].parents == 0) reader->roots[reader->roots_count++] = (uint32_t)i;
    return true;
}

/* Weights of the file sorted by leaf, in the file's order within a leaf. */
static bool gather_weights(struct reader *reader, const char *const names[5])
{
    size_t trees_count;
    size_t nodes_count;
    size_t targets_count;
    const int64_t *trees = ig_graph_i64s(reader->node, names[0], &trees_count);
    const int64_t *nodes = ig_graph_i64s(reader->node, names[1], &nodes_count);
    reader->targets = ig_graph_i64s(reader->node, names[2], &targets_count);
    if (!read_numbers(reader, &reader->weights, names[3], names[4])) return false;
    size_t count = reader->weights.count;
    if (trees_count != count || nodes_count != count || targets_count != count)
        return refuse(reader, "its lists of weights differ in length");
    uint32_t *leaves = ig_zalloc_array(count + 1, sizeof *leaves);
    reader->leaf_order = ig_zalloc_array(count + 1, sizeof *reader->leaf_order);
    bool good = leaves && reader->leaf_order;
    if (!good) no_memory(reader);
    for (size_t i = 0; good && i < count; i++) {
        good = find_node(reader, trees[i], nodes[i], &leaves[i]);
        if (good)
            reader->raw[leaves[i]].count++;
        else
            refuse(reader, "a weight of no node");
    }
    uint32_t first = 0;
    for (size_t i = 0; good && i < reader->raw_count; i++) {
        reader->raw[i].first = first;
        first += reader->raw[i].count;
        reader->raw[i].count = 0;
    }
    for (size_t i = 0; good && i < count; i++) {
        struct raw *leaf = &reader->raw[leaves[i]];
        reader->leaf_order[leaf->first + leaf->count++] = (uint32_t)i;
    }
    ig_free(leaves);
    return good;
}

/* The lists of TreeEnsemble (5). */
struct lists5 {
    const int64_t *features, *yes, *no, *yes_leaf, *no_leaf, *missing, *roots;
    const uint8_t *modes;
    size_t count, missing_count, roots_count, leaves_count;
    struct numbers splits, members;
};

static bool read_lists5(struct reader *reader, struct lists5 *lists)
{
    static const char *const names[] = {"nodes_featureids", "nodes_truenodeids",
                                        "nodes_falsenodeids", "nodes_trueleafs",
                                        "nodes_falseleafs"};
    const int64_t **into[] = {&lists->features, &lists->yes, &lists->no, &lists->yes_leaf,
                              &lists->no_leaf};
    const struct ig_graph_node *node = reader->node;
    const struct ig_attribute *modes = ig_graph_attribute(node, "nodes_modes");
    size_t count;
    if (!modes || modes->kind != IG_ATTRIBUTE_TENSOR || modes->tensor->type != IG_TENSOR_U8)
        return refuse(reader, "nodes_modes is no uint8 tensor");
    lists->modes = modes->tensor->data;
    lists->count = modes->tensor->count;
    if (lists->count > NODES_MAX / 3) return refuse(reader, "too many nodes");
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        *into[i] = ig_graph_i64s(node, names[i], &count);
        if (count != lists->count) return refuse(reader, "its lists of nodes differ in length");
    }
    lists->missing = ig_graph_i64s(node, "nodes_missing_value_tracks_true", &lists->missing_count);
    lists->roots = ig_graph_i64s(node, "tree_roots", &lists->roots_count);
    reader->targets = ig_graph_i64s(node, "leaf_targetids", &lists->leaves_count);
    if (!read_numbers(reader, &lists->splits, "", "nodes_splits") ||
        !read_numbers(reader, &lists->members, "", "membership_values") ||
        !read_numbers(reader, &reader->weights, "", "leaf_weights"))
        return false;
    if (lists->splits.count != lists->count || reader->weights.count != lists->leaves_count)
        return refuse(reader, "nodes_splits or leaf_weights: wrong length");
    return room(reader, lists->count * 3);
}

/* A child: another node, or a leaf, which becomes a node of its own for each parent. */
static bool child5(struct reader *reader, const struct lists5 *lists, int64_t id, bool leaf,
                   uint32_t *out)
{
    if (id < 0 || (size_t)id >= (leaf ? lists->leaves_count : lists->count))
        return refuse(reader, "a child that is no node");
    *out = (uint32_t)id;
    if (!leaf) {
        reader->raw[id].parents++;
        return true;
    }
    *out = (uint32_t)reader->raw_count;
    reader->leaf_order[reader->raw_count] = (uint32_t)id;
    reader->raw[reader->raw_count] = (struct raw){
        .mode = IG_ENSEMBLE_LEAF, .first = (uint32_t)reader->raw_count, .count = 1, .parents = 1};
    reader->raw_count++;
    return true;
}

static bool gather5(struct reader *reader)
{
    struct lists5 lists = {0};
    size_t member = 0;
    if (!read_lists5(reader, &lists)) return false;
    reader->leaf_order = ig_zalloc_array(reader->raw_cap, sizeof *reader->leaf_order);
    if (!reader->leaf_order) return no_memory(reader);
    reader->out->members = lists.members.items;
    reader->out->members_count = (uint32_t)lists.members.count;
    reader->raw_count = lists.count;
    for (size_t i = 0; i < lists.count; i++) {
        struct raw *raw = &reader->raw[i];
        if (lists.modes[i] > IG_ENSEMBLE_MEMBER) return refuse(reader, "an unknown mode");
        raw->mode = lists.modes[i];
        raw->value = lists.splits.items[i];
        raw->feature = lists.features[i];
        raw->missing_yes = i < lists.missing_count && lists.missing[i] == 1;
        raw->first = (uint32_t)member;
        while (raw->mode == IG_ENSEMBLE_MEMBER && member < lists.members.count &&
               !isnan(lists.members.items[member++]))
            raw->count++;
        if (!child5(reader, &lists, lists.yes[i], lists.yes_leaf[i] != 0, &raw->yes) ||
            !child5(reader, &lists, lists.no[i], lists.no_leaf[i] != 0, &raw->no))
            return false;
    }
    for (size_t i = 0; i < lists.roots_count; i++) {
        if (lists.roots[i] < 0 || (size_t)lists.roots[i] >= lists.count ||
            reader->roots_count == reader->raw_cap)
            return refuse(reader, "a root that is no node");
        reader->roots[reader->roots_count++] = (uint32_t)lists.roots[i];
        if (reader->raw[lists.roots[i]].parents++ > 0)
            return refuse(reader, "a root with a parent, or twice");
    }
    return true;
}

static bool lay_leaf(struct reader *reader, const struct raw *raw, struct ig_ensemble_node *node)
{
    struct ig_ensemble *out = reader->out;
    node->first = out->weights_count;
    node->count = raw->count;
    for (uint32_t i = 0; i < raw->count; i++) {
        uint32_t from = reader->leaf_order[raw->first + i];
        int64_t target = reader->targets[from];
        double value = reader->weights.items[from];
        if (target < 0 || target >= (int64_t)out->targets_count)
            return refuse(reader, "a weight of a target or class that is out of range");
        if (value < 0) out->weights_positive = false;
        out->weights[out->weights_count++] = (struct ig_ensemble_weight){value, (uint32_t)target};
    }
    return true;
}

static bool lay_node(struct reader *reader, uint32_t from, uint32_t at)
{
    const struct raw *raw = &reader->raw[from];
    struct ig_ensemble *out = reader->out;
    struct ig_ensemble_node *node = &out->nodes[at];
    if (raw->parents > 1) return refuse(reader, "a node with two parents");
    *node = (struct ig_ensemble_node){
        .value = raw->value, .mode = raw->mode, .missing_yes = raw->missing_yes};
    if (raw->mode == IG_ENSEMBLE_LEAF) return lay_leaf(reader, raw, node);
    if (raw->feature < 0 || raw->feature >= INT32_MAX)
        return refuse(reader, "a feature that is out of range");
    node->feature = (uint32_t)raw->feature;
    node->first = raw->first;
    node->count = raw->count;
    if (node->feature >= out->features_count) out->features_count = node->feature + 1;
    return true;
}

/* Preorder with a stack of (raw node, where its parent notes it). */
static bool lay_tree(struct reader *reader, uint32_t root, uint32_t *stack)
{
    struct ig_ensemble *out = reader->out;
    size_t depth = 0;
    stack[depth++] = root;
    stack[depth++] = IG_GRAPH_NONE;
    while (depth > 0) {
        uint32_t parent = stack[--depth];
        uint32_t from = stack[--depth];
        if (out->nodes_count == reader->raw_count) return refuse(reader, "a cycle");
        uint32_t at = out->nodes_count++;
        if (!lay_node(reader, from, at)) return false;
        if (parent != IG_GRAPH_NONE && at == parent + 1)
            out->nodes[parent].yes = at;
        else if (parent != IG_GRAPH_NONE)
            out->nodes[parent].no = at;
        if (reader->raw[from].mode == IG_ENSEMBLE_LEAF) continue;
        stack[depth++] = reader->raw[from].no;
        stack[depth++] = at;
        stack[depth++] = reader->raw[from].yes;
        stack[depth++] = at;
    }
    return true;
}

static bool lay_out(struct reader *reader)
{
    struct ig_ensemble *out = reader->out;
    size_t weights = reader->weights.count + reader->raw_count;
    out->nodes = ig_arena_array(reader->arena, reader->raw_count, sizeof *out->nodes);
    out->roots = ig_arena_array(reader->arena, reader->roots_count + 1, sizeof *out->roots);
    out->weights = ig_arena_array(reader->arena, weights, sizeof *out->weights);
    uint32_t *stack = ig_zalloc_array(reader->raw_count * 2 + 8, sizeof *stack);
    bool good = (out->nodes && out->roots && out->weights && stack) || no_memory(reader);
    out->weights_positive = true;
    for (size_t i = 0; good && i < reader->roots_count; i++) {
        out->roots[out->trees_count++] = out->nodes_count;
        good = lay_tree(reader, reader->roots[i], stack);
    }
    ig_free(stack);
    if (good && out->nodes_count != reader->raw_count)
        return refuse(reader, "a node that no root reaches");
    return good;
}

static bool word(struct reader *reader, const char *name, const char *const *words, size_t count,
                 int64_t *out)
{
    const struct ig_attribute *attribute = ig_graph_attribute(reader->node, name);
    if (!attribute) return true;
    if (attribute->kind == IG_ATTRIBUTE_I64) *out = *attribute->i64;
    if (attribute->kind == IG_ATTRIBUTE_STRING)
        for (*out = 0; *out < (int64_t)count; ++*out)
            if (ig_str_is(*attribute->strings, words[*out])) break;
    return (*out >= 0 && *out < (int64_t)count) || refuse(reader, "an unknown word");
}

static bool read_words(struct reader *reader)
{
    static const char *const transforms[] = {"NONE", "SOFTMAX", "LOGISTIC", "SOFTMAX_ZERO",
                                             "PROBIT"};
    static const char *const aggregates[] = {"AVERAGE", "SUM", "MIN", "MAX"};
    int64_t transform = IG_ENSEMBLE_NONE;
    int64_t aggregate = IG_ENSEMBLE_SUM;
    if (!word(reader, "post_transform", transforms, 5, &transform) ||
        !word(reader, "aggregate_function", aggregates, 4, &aggregate))
        return false;
    reader->out->transform = (enum ig_ensemble_transform)transform;
    reader->out->aggregate = (enum ig_ensemble_aggregate)aggregate;
    return true;
}

static bool read_targets(struct reader *reader)
{
    struct ig_ensemble *out = reader->out;
    const struct ig_graph_node *node = reader->node;
    size_t labels = 0;
    int64_t targets = ig_graph_i64(node, "n_targets", 1);
    if (out->classifier) {
        out->labels_text = ig_graph_strings(node, "classlabels_strings", &labels);
        if (!out->labels_text) out->labels = ig_graph_i64s(node, "classlabels_int64s", &labels);
        if (labels == 0) return refuse(reader, "no class labels");
        targets = (int64_t)labels;
    }
    if (targets < 1 || targets > INT32_MAX) return refuse(reader, "n_targets is out of range");
    out->targets_count = (uint32_t)targets;
    return true;
}

static bool read_base(struct reader *reader)
{
    struct ig_ensemble *out = reader->out;
    struct numbers base = {0};
    if (!read_numbers(reader, &base, "base_values", "base_values_as_tensor")) return false;
    if (base.count > 1 && base.count != out->targets_count)
        return refuse(reader, "base_values: wrong length");
    out->base = base.items;
    out->base_count = (uint32_t)base.count;
    return true;
}

static void find_single_class(struct ig_ensemble *out)
{
    out->single_class = out->classifier && out->targets_count == 2 && out->weights_count > 0;
    for (uint32_t i = 1; i < out->weights_count; i++)
        if (out->weights[i].target != out->weights[0].target) out->single_class = false;
}

static bool read_all(struct reader *reader)
{
    static const char *const classes[5] = {"class_treeids", "class_nodeids", "class_ids",
                                           "class_weights", "class_weights_as_tensor"};
    static const char *const targets[5] = {"target_treeids", "target_nodeids", "target_ids",
                                           "target_weights", "target_weights_as_tensor"};
    struct ig_ensemble *out = reader->out;
    out->classifier = ig_str_is(reader->node->op, "TreeEnsembleClassifier");
    if (!read_words(reader) || !read_targets(reader) || !read_base(reader)) return false;
    bool gathered =
        ig_str_is(reader->node->op, "TreeEnsemble")
            ? gather5(reader)
            : gather_nodes(reader) && gather_weights(reader, out->classifier ? classes : targets);
    if (!gathered || !lay_out(reader)) return false;
    find_single_class(out);
    return true;
}

enum ig_code ig_ensemble_read(struct ig_ensemble *out, const struct ig_graph_node *node,
                              struct ig_arena *arena, struct ig_err *err)
{
    struct ig_ensemble ensemble = {0};
    struct reader reader = {.node = node, .arena = arena, .err = err, .out = &ensemble};
    bool good = read_all(&reader);
    ig_free(reader.raw);
    ig_free(reader.roots);
    ig_free(reader.keys);
    ig_free(reader.leaf_order);
    if (!good) return ig_err_code(err);
    *out = ensemble;
    return IG_OK;
}
