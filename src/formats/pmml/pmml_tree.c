/* SPDX-License-Identifier: Apache-2.0 */
/* TreeModel to a binary tree. A node's children are asked one after the other: where a predicate is
 * not true, the next one is asked, and behind the last one stands the node itself, when
 * noTrueChildStrategy is returnLastPrediction.
 *
 * A missing value goes where missingValueStrategy says: to the next child (none), to the node
 * itself (lastPrediction) or to the default child. Where the file has no prediction for it, the
 * input is marked as required. Nodes are made from a stack, a parent before its children. */
#include "formats/pmml/pmml_priv.h"

#include "base/num.h"

#include <math.h>
#include <string.h>

enum { CHILDREN_MAX = 4096 };

enum strategy { NONE, LAST_PREDICTION, NULL_PREDICTION, DEFAULT_CHILD };

/* Where the next node hangs: the left or right child of a node of the tree, or its root. */
struct link {
    int32_t parent; /* -1: the root */
    bool left;
};

struct pending {
    const struct pmml_element *node;
    struct link link;
};

struct building {
    struct pmml_reader *reader;
    const struct pmml_element *tree;
    enum strategy strategy;
    bool last_prediction; /* noTrueChildStrategy */
    bool classifies;
    uint32_t output;
    double factor;
    size_t first_node;
    const struct pmml_element *predicted; /* the node whose own prediction was added last, */
    uint32_t prediction;                  /* and its place among the values */
    struct {
        struct pending *items;
        size_t count, cap;
    } pending;
};

static bool add_node(struct building *b, struct ig_node node, struct link *link)
{
    struct pmml_reader *reader = b->reader;
    int32_t place = (int32_t)(reader->nodes.count - b->first_node);
    node.left = node.right = -1;
    node.source_id = place;
    if (!IG_VEC_PUSH(&reader->nodes, node, PMML_NODES_MAX)) return pmml_no_memory(reader);
    if (link->parent >= 0) {
        struct ig_node *parent = &reader->nodes.items[b->first_node + (size_t)link->parent];
        *(link->left ? &parent->left : &parent->right) = place;
    }
    *link = (struct link){place, false};
    return true;
}

static bool push(struct building *b, const struct pmml_element *node, struct link link)
{
    const struct pending pending = {node, link};
    return IG_VEC_PUSH(&b->pending, pending, PMML_NODES_MAX) || pmml_no_memory(b->reader);
}

/* ---- leaves ---- */

static bool has_score(const struct building *b, const struct pmml_element *node)
{
    return b->classifies ? pmml_xml_child(node, "ScoreDistribution") != NULL
                         : pmml_xml_get(node, "score").ptr != NULL;
}

/* The share of each class, in the order of the target's values. */
static bool read_shares(struct building *b, const struct pmml_element *node)
{
    struct pmml_reader *reader = b->reader;
    double *shares = reader->shares;
    const struct pmml_element *own = pmml_xml_child(node, "ScoreDistribution");
    const char *by = pmml_xml_get(own, "probability").ptr ? "probability" : "recordCount";
    double total = 0;
    if (!own) return pmml_refuse(reader, node, "a classification without ScoreDistribution");
    for (uint32_t i = 0; i < reader->classes_count; i++) shares[i] = 0;
    for (; own; own = pmml_xml_next(own)) {
        struct ig_str value = pmml_xml_get(own, "value");
        int32_t at = pmml_class_index(reader, value);
        double share;
        if (at < 0)
            return pmml_fail(reader, own, "'%.*s' is none of the target's values",
                             IG_STR_ARGS(value));
        if (!pmml_number(reader, own, by, NULL, &share)) return false;
        if (!(share >= 0)) return pmml_fail(reader, own, "%s is negative", by);
        shares[at] = share;
        total += share;
    }
    if (!(total > 0)) return pmml_fail(reader, node, "the shares of the classes are all 0");
    for (uint32_t i = 0; i < reader->classes_count && *by == 'r'; i++) shares[i] /= total;
    return true;
}

static bool add_classes(struct building *b, const struct pmml_element *node)
{
    struct pmml_reader *reader = b->reader;
    if (!pmml_use(reader, node, reader->classes_count) || !read_shares(b, node)) return false;
    uint32_t first = reader->vectors ? 0 : 1; /* of two classes, the second one's */
    for (uint32_t i = first; i < reader->classes_count; i++)
        if (!IG_VEC_PUSH(&reader->values, reader->shares[i] * b->factor, PMML_NODES_MAX))
            return pmml_no_memory(reader);
    return true;
}

/* What the node itself predicts, behind the values; once for all its leaves. */
static bool add_prediction(struct building *b, const struct pmml_element *node)
{
    double score;
    if (b->predicted == node) return true;
    b->predicted = node;
    b->prediction = (uint32_t)b->reader->values.count;
    if (b->classifies) return add_classes(b, node);
    return pmml_number(b->reader, node, "score", NULL, &score) &&
           (IG_VEC_PUSH(&b->reader->values, score * b->factor, PMML_NODES_MAX) ||
            pmml_no_memory(b->reader));
}

/* The node's own prediction as a leaf. */
static bool add_leaf(struct building *b, const struct pmml_element *node, struct link link,
                     double cover)
{
    if (!add_prediction(b, node)) return false;
    const struct ig_node leaf = {.op = IG_NODE_LEAF, .extra = b->prediction, .cover = cover};
    return add_node(b, leaf, &link);
}

static double count_of(struct building *b, const struct pmml_element *node)
{
    double count;
    if (pmml_to_number(pmml_xml_get(node, "recordCount"), &count) && count >= 0 && isfinite(count))
        return count;
    b->reader->counts_lack = true;
    return 1;
}

/* How many records came to the node and no further. */
static double own_count(struct building *b, const struct pmml_element *node)
{
    double left = count_of(b, node);
    for (const struct pmml_element *i = pmml_xml_child(node, "Node"); i; i = pmml_xml_next(i))
        left -= count_of(b, i);
    return left > 0 ? left : 0;
}

/* ---- splits ---- */

/* A threshold for doubles that asks as the float's comparison does. */
static void round_threshold(const struct pmml_reader *reader, bool rounds, struct ig_node *node)
{
    bool included;
    if (isinf(node->value) || !rounds) return;
    float threshold = (float)node->value;
    if (reader->f32) {
        node->value = (double)threshold;
        return;
    }
    if (node->op == IG_NODE_LT) threshold = nextafterf(threshold, -INFINITY);
    node->value = ig_num_last_to_f32(threshold, &included);
    node->op = included ? IG_NODE_LE : IG_NODE_LT;
}

/* Members of the set are those that unlike unseen ones go left, or right. */
static bool make_set(struct pmml_reader *reader, const struct pmml_predicate *predicate,
                     bool unseen, struct ig_node *node)
{
    uint32_t count = reader->fields[predicate->field].values_count;
    uint32_t *words =
        ig_arena_array(&reader->model->arena, ((size_t)count + 31) / 32 + 1, sizeof *words);
    if (!words) return pmml_no_memory(reader);
    for (uint32_t i = 0; i < count; i++)
        if ((predicate->truths[i] != 0) != unseen) words[i / 32] |= 1U << i % 32;
    const struct ig_category_set set = {words, count};
    node->op = IG_NODE_IN;
    node->extra = (uint32_t)reader->sets.count;
    node->flags |= unseen ? 0 : IG_NODE_SET_LEFT;
    return IG_VEC_PUSH(&reader->sets, set, PMML_NODES_MAX) || pmml_no_memory(reader);
}

/* Asks the predicate at *link; *on_true and *link become where its outcomes go on. */
static bool add_split(struct building *b, const struct pmml_predicate *predicate, bool missing,
                      struct link *link, struct link *on_true)
{
    struct pmml_reader *reader = b->reader;
    const struct pmml_field *field = &reader->fields[predicate->field];
    struct ig_node node = {.op = (uint8_t)predicate->op,
                           .value = predicate->threshold,
                           .feature = predicate->field,
                           .extra = IG_MODEL_NONE,
                           .missing = IG_NODE_MISSING_NAN};
    bool true_left = field->categorical || predicate->true_left;
    if (missing == true_left) node.flags = IG_NODE_DEFAULT_LEFT;
    bool unseen = field->invalid_is_missing ? missing : predicate->unseen;
    if (field->categorical && !make_set(reader, predicate, unseen, &node)) return false;
    if (!field->categorical) round_threshold(reader, predicate->rounds, &node);
    if (!add_node(b, node, link)) return false;
    *on_true = (struct link){link->parent, true_left};
    link->left = !true_left;
    return true;
}

/* Sends missing values of the predicate's field to the node itself. */
static bool stop_missing(struct building *b, const struct pmml_element *node,
                         const struct pmml_predicate *predicate, struct link *link)
{
    struct link leaf;
    struct pmml_predicate asks = {
        .field = predicate->field, .op = IG_NODE_LT, .threshold = -INFINITY, .true_left = true};
    const struct pmml_field *field = &b->reader->fields[predicate->field];
    if (field->categorical) {
        asks.truths = ig_arena_array(b->reader->scratch, field->values_count + (size_t)1, 1);
        if (!asks.truths) return pmml_no_memory(b->reader);
    }
    return add_split(b, &asks, true, link, &leaf) && add_leaf(b, node, leaf, 0);
}

static void require(struct building *b, const struct pmml_predicate *predicate)
{
    b->reader->model->inputs[predicate->field].required = true;
}

/* ---- a node's children ---- */

struct pmml_children {
    const struct pmml_element *node, *items[CHILDREN_MAX];
    struct pmml_predicate predicates[CHILDREN_MAX];
    size_t count;
    size_t default_child; /* count: none */
    bool scored;          /* the node has a prediction of its own */
};

static bool is_predicate(const struct pmml_element *element)
{
    return pmml_xml_is(element, "SimplePredicate") || pmml_xml_is(element, "SimpleSetPredicate") ||
           pmml_xml_is(element, "CompoundPredicate") || pmml_xml_is(element, "True") ||
           pmml_xml_is(element, "False");
}

static const struct pmml_element *predicate_of(const struct pmml_element *node)
{
    const struct pmml_element *child = node->first;
    while (child && !is_predicate(child)) child = child->next;
    return child;
}

static bool read_children(struct building *b, struct pmml_children *out)
{
    struct pmml_reader *reader = b->reader;
    struct ig_str default_child = pmml_xml_get(out->node, "defaultChild");
    const struct pmml_element *child = pmml_xml_child(out->node, "Node");
    for (out->count = 0; child; child = pmml_xml_next(child)) {
        const struct pmml_element *predicate = predicate_of(child);
        if (!predicate) return pmml_fail(reader, child, "has no predicate");
        if (out->count == CHILDREN_MAX)
            return pmml_refuse(reader, out->node, "more than %d children", CHILDREN_MAX);
        out->items[out->count] = child;
        if (!pmml_read_predicate(reader, predicate, &out->predicates[out->count++])) return false;
    }
    out->scored = has_score(b, out->node);
    out->default_child = 0;
    while (out->default_child < out->count &&
           !(default_child.ptr &&
             ig_str_eq(pmml_xml_get(out->items[out->default_child], "id"), default_child)))
        out->default_child++;
    return true;
}

/* Going on to the default child passes by those between, which has to leave the value missing. One
 * that stands before has taken it. */
static bool check_default(struct building *b, const struct pmml_children *children, size_t at)
{
    bool before = children->default_child < at;
    size_t first = before ? children->default_child : at;
    size_t end = before ? at : children->default_child;
    for (size_t i = first; i < end; i++)
        if (children->predicates[i].constant ||
            children->predicates[i].field != children->predicates[at].field)
            return pmml_refuse(b->reader, children->node,
                               "a defaultChild among predicates of several fields");
    return true;
}

/* Where a missing value goes at child `at`: on_true, or on to the next one. False with err set, or
 * after marking the field when there is no prediction. */
static bool route_missing(struct building *b, const struct pmml_children *children, size_t at,
                          struct link *link, bool *on_true)
{
    const struct pmml_predicate *predicate = &children->predicates[at];
    *on_true = predicate->missing == PMML_TRUE;
    if (predicate->missing != PMML_UNKNOWN) return true;
    switch (b->strategy) {
    case LAST_PREDICTION:
        if (children->scored) return stop_missing(b, children->node, predicate, link);
        require(b, predicate);
        return true;
    case NULL_PREDICTION:
        require(b, predicate);
        return true;
    case DEFAULT_CHILD:
        *on_true = children->default_child == at;
        if (children->default_child < children->count) return check_default(b, children, at);
        require(b, predicate);
        return true;
    default:
        return true; /* not true, so the next child is asked */
    }
}

static bool add_children(struct building *b, const struct pmml_children *children, struct link link)
{
    bool falls_back = b->last_prediction && children->scored;
    for (size_t i = 0; i < children->count; i++) {
        const struct pmml_predicate *predicate = &children->predicates[i];
        struct link on_true = link;
        bool missing;
        if (predicate->constant && !predicate->value) continue;
        if (predicate->constant) return push(b, children->items[i], link);
        if (i + 1 == children->count && !falls_back &&
            pmml_exhaustive(b->reader, children->predicates, children->count)) {
            bool reached = predicate->missing == PMML_TRUE || b->strategy == DEFAULT_CHILD;
            if (!reached) require(b, predicate);
            return push(b, children->items[i], link);
        }
        if (!route_missing(b, children, i, &link, &missing) ||
            !add_split(b, predicate, missing, &link, &on_true) ||
            !push(b, children->items[i], on_true))
            return false;
    }
    if (!falls_back)
        return pmml_refuse(b->reader, children->node,
                           "a node without a prediction, none of whose children need be true");
    return add_leaf(b, children->node, link, own_count(b, children->node));
}

static bool add_pending(struct building *b, struct pmml_children *children)
{
    const struct pending at = b->pending.items[--b->pending.count];
    if (!pmml_xml_child(at.node, "Node"))
        return add_leaf(b, at.node, at.link, count_of(b, at.node));
    children->node = at.node;
    return read_children(b, children) && add_children(b, children, at.link);
}

static bool read_strategies(struct building *b)
{
    static const char *const missing[4] = {"none", "lastPrediction", "nullPrediction",
                                           "defaultChild"};
    static const char *const no_true[4] = {"returnNullPrediction", "returnLastPrediction"};
    struct ig_str word = pmml_xml_get(b->tree, "missingValueStrategy");
    if (!pmml_expect(b->reader, b->tree, "missingValueStrategy", missing) ||
        !pmml_expect(b->reader, b->tree, "noTrueChildStrategy", no_true))
        return false;
    for (int i = NONE; i <= DEFAULT_CHILD; i++)
        if (ig_str_is(word, missing[i])) b->strategy = (enum strategy)i;
    b->last_prediction = ig_str_is(pmml_xml_get(b->tree, "noTrueChildStrategy"), no_true[1]);
    return true;
}

static bool end_tree(struct pmml_reader *reader, size_t first_node, uint32_t output)
{
    struct ig_node *nodes = &reader->nodes.items[first_node];
    size_t count = reader->nodes.count - first_node;
    const struct ig_tree tree = {.first_node = (uint32_t)first_node,
                                 .nodes_count = (uint32_t)count,
                                 .output = output,
                                 .weight = 1};
    for (size_t i = count; i-- > 0;)
        if (nodes[i].op != IG_NODE_LEAF)
            nodes[i].cover = nodes[nodes[i].left].cover + nodes[nodes[i].right].cover;
    return IG_VEC_PUSH(&reader->trees, tree, PMML_NODES_MAX) || pmml_no_memory(reader);
}

bool pmml_add_tree(struct pmml_reader *reader, const struct pmml_element *tree, uint32_t output,
                   double factor)
{
    static const char *const functions[4] = {"regression", "classification"};
    struct building b = {.reader = reader,
                         .tree = tree,
                         .output = output,
                         .factor = factor,
                         .first_node = reader->nodes.count};
    const struct pmml_element *root = pmml_xml_child(tree, "Node");
    const struct link nowhere = {-1, false};
    b.classifies = ig_str_is(pmml_xml_get(tree, "functionName"), "classification");
    if (!pmml_expect(reader, tree, "functionName", functions) || !read_strategies(&b)) return false;
    if (b.classifies !=
        (reader->classes_count > 0 && reader->model->transform == IG_TRANSFORM_PROBABILITY))
        return pmml_refuse(reader, tree, "a tree whose functionName is not the model's");
    if (!root || !pmml_xml_is(predicate_of(root), "True"))
        return pmml_refuse(reader, root ? root : tree, "a root whose predicate is not True");
    if (!reader->children)
        reader->children = ig_arena_alloc(reader->scratch, sizeof *reader->children);
    if (!reader->children) return pmml_no_memory(reader);
    count_of(&b, root);
    bool good = push(&b, root, nowhere);
    while (good && b.pending.count > 0) good = add_pending(&b, reader->children);
    IG_VEC_FREE(&b.pending);
    return good && end_tree(reader, b.first_node, output);
}

bool pmml_add_effects(struct pmml_reader *reader, uint32_t field, const uint32_t *codes,
                      const double *values, uint32_t count, uint32_t output)
{
    struct building b = {.reader = reader, .first_node = reader->nodes.count};
    struct link link = {-1, false}, leaf;
    uint32_t values_count = reader->fields[field].values_count;
    uint8_t *truths = ig_arena_array(reader->scratch, values_count + (size_t)1, 1);
    if (!truths) return pmml_no_memory(reader);
    for (uint32_t i = 0; i <= count; i++) {
        struct ig_node node = {.op = IG_NODE_LEAF, .cover = 1};
        leaf = link;
        if (i < count) {
            truths[codes[i]] = 1;
            const struct pmml_predicate asks = {.field = field, .truths = truths};
            if (!add_split(&b, &asks, false, &link, &leaf)) return false;
            truths[codes[i]] = 0;
        }
        node.extra = (uint32_t)reader->values.count;
        if (!IG_VEC_PUSH(&reader->values, i < count ? values[i] : 0, PMML_NODES_MAX))
            return pmml_no_memory(reader);
        if (!add_node(&b, node, &leaf)) return false;
    }
    return end_tree(reader, b.first_node, output);
}
