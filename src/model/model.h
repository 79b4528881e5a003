/* SPDX-License-Identifier: Apache-2.0 */
#ifndef IG_MODEL_MODEL_H
#define IG_MODEL_MODEL_H

/* The one in-memory model: everything that the file formats can say, and no format. Readers fill
 * it, ig_model_check validates it, kernels trust it. Immutable after the check; owned by its arena.
 *
 * Rows are doubles in model feature order, NaN = missing, a category = its code. */

#include "base/arena.h"
#include "base/err.h"

#define IG_MODEL_NONE UINT32_MAX

enum ig_node_op {
    IG_NODE_LEAF,
    IG_NODE_LT, /* left iff x <  threshold */
    IG_NODE_LE, /* left iff x <= threshold */
    IG_NODE_IN, /* category set `set`: member goes left iff IG_NODE_SET_LEFT */
};

/* What counts as missing at a node. A NaN where it does not is read as 0. */
enum ig_node_missing {
    IG_NODE_MISSING_NONE,
    IG_NODE_MISSING_ZERO, /* NaN and |x| <= 1e-35f (LightGBM kZeroThreshold) */
    IG_NODE_MISSING_NAN,
};

enum ig_node_flags {
    IG_NODE_DEFAULT_LEFT = 1, /* where missing goes */
    IG_NODE_SET_LEFT = 2,
};

struct ig_node {
    double value; /* inner: threshold; leaf: value (scalar leaves) */
    double cover; /* sum of Hessians (XGBoost) or row count (LightGBM); >= 0, finite */
    int32_t left; /* child, as an index within the tree; -1 at a leaf */
    int32_t right;
    uint32_t feature; /* inner */
    uint32_t
        extra;  /* IN: index into sets; leaf: index into leaf vectors or linear leaves; else NONE */
    uint8_t op; /* enum ig_node_op */
    uint8_t missing; /* enum ig_node_missing */
    uint8_t flags;
    int32_t
        source_id; /* the source library's number: node id (XGBoost), leaf or split (the others) */
};

/* Category set as a bitset: code c is a member iff c < bits and its bit is set. */
struct ig_category_set {
    const uint32_t *words;
    uint32_t bits;
};

/* leaf_const + sum coefficient*x; any NaN among its features falls back to the node's value. */
struct ig_linear_leaf {
    double constant;
    const uint32_t *features;
    const double *coefficients;
    uint32_t count;
};

struct ig_tree {
    uint32_t first_node;  /* into model nodes; node 0 of the tree is its root */
    uint32_t nodes_count; /* >= 1; children come after their parent */
    uint32_t leaves_count;
    uint32_t depth;  /* edges on the longest path; 0 for a lone leaf */
    uint32_t output; /* which output it adds to (scalar leaves) */
    double weight;   /* DART; 1 otherwise */
};

enum ig_model_kind {
    IG_MODEL_TREES,
    IG_MODEL_LINEAR,
    IG_MODEL_GRAPH,
    IG_MODEL_COMPOSITE, /* several models as one: an engine of kernels/composite.h runs it */
    IG_MODEL_FOREIGN,   /* in another library's hands: model/foreign.h */
    IG_MODEL_DERIVED,   /* trees over columns computed from the row: model/derived.h */
    IG_MODEL_NETWORK,   /* a neural network: model/network.h */
    IG_MODEL_KINDS_COUNT,
};

/* Precision and order of the source library's sums. */
enum ig_sum_rule {
    IG_SUM_F32_BASE_FIRST, /* XGBoost 1.3 and later: float accumulator that starts at the base
                              margin, then += leaf * tree weight (each step rounded to float) */
    IG_SUM_F32_BASE_LAST,  /* XGBoost before 1.3: trees from 0, then base margin + sum */
    IG_SUM_F64,            /* LightGBM: double accumulator from 0, then the base margin (0) */
};

enum ig_transform {
#define IG_TRANSFORM(name, doc) IG_TRANSFORM_##name,
#include "model/transforms.def"
#undef IG_TRANSFORM
    IG_TRANSFORMS_COUNT
};

/* What a file says of an input. UNKNOWN also where it says nothing. TEXT: the words themselves go
 * in, so an engine wants the words of all codes. */
enum ig_input_kind {
    IG_INPUT_UNKNOWN,
    IG_INPUT_NUMERIC,
    IG_INPUT_INTEGER,
    IG_INPUT_CATEGORICAL,
    IG_INPUT_TEXT,
};

struct ig_input {
    struct ig_str name;              /* empty when the file names none */
    enum ig_input_kind kind;         /* CATEGORICAL also when any node splits it by a set */
    const struct ig_str *categories; /* text of code 0, 1, ... where the file has them, or NULL */
    const uint32_t *category_hashes; /* CatBoost: hash of code 0, 1, ...'s text, or NULL */
    uint32_t categories_count;
    bool hash_coded; /* CatBoost: the code is the hash of the text, as a signed 32-bit number */
    bool required;   /* a missing value has no prediction (PMML) */
};

struct ig_graph;
struct ig_foreign;
struct ig_derived;
struct ig_network;
struct ig_encoder;

struct ig_model {
    struct ig_arena arena; /* owns all below and this struct's arrays */
    enum ig_model_kind kind;
    enum ig_sum_rule sum_rule;
    bool inputs_f32;         /* inputs and thresholds are rounded to float before comparing */
    bool category_truncates; /* LightGBM: codes are cut toward 0 (-0.5 is 0); XGBoost: negative is
                                invalid */
    bool average;            /* divide the sum by iterations_count (random forest) */
    bool leaf_vectors;       /* a leaf's extra indexes leaf_values rows of outputs_count */
    bool linear_leaves;
    uint32_t features_count;
    uint32_t outputs_count;     /* margins a row */
    uint32_t predictions_count; /* values a row after the transform (1 for argmax) */
    uint32_t iterations_count;

    struct ig_tree *trees; /* in the source library's order of summation */
    uint32_t trees_count;
    struct ig_node *nodes;
    uint32_t nodes_count;
    double *gains;       /* nodes_count: loss reduction of each split, 0 at leaves; NULL: unknown */
    bool covers_counted; /* the file has no covers: every leaf counts as one row */
    struct ig_category_set *sets;
    uint32_t sets_count;
    double *leaf_values; /* leaf_values_count rows of outputs_count */
    uint32_t leaf_values_count;
    struct ig_linear_leaf *linear;
    uint32_t linear_count;

    double *weights; /* LINEAR: features_count x outputs_count, feature-major, then outputs_count
                        biases. margin = bias + base, then += x * weight for each feature that is
                        not missing, in float, in feature order */

    struct ig_graph *graph;           /* GRAPH: owned; its values are the margins */
    struct ig_foreign *foreign;       /* FOREIGN: owned; its values are the margins */
    struct ig_derived *derived;       /* DERIVED: in the arena, its trees are owned */
    struct ig_network *network;       /* NETWORK: owned; a row is the elements of its inputs as real
                                         numbers, margins are those of its outputs */
    const struct ig_encoder *encoder; /* of a network: a row is a table's, from which this makes the
                                         inputs (kernels/train/encoder.h); borrowed; or NULL */

    double *base_margin; /* outputs_count; already through the link */
    enum ig_transform transform;
    double transform_parameter; /* sigmoid slope and the like; 1 where unused */

    struct ig_input *inputs;      /* features_count; NULL when the file says nothing of them */
    const struct ig_str *classes; /* names, where the file has them: outputs_count, but 2 of a
                                     binary one's single output; NULL: none */
    struct ig_str objective;      /* as the file spells it, or empty */
    struct ig_str source_version; /* "1.7.4", "v4"; for messages */
};

/* An empty model whose arena holds at most max_bytes; NULL when out of memory. */
struct ig_model *ig_model_new(size_t max_bytes);
void ig_model_free(struct ig_model *model);
/* Checks every index, range and number that kernels rely on, sets depth and leaves_count of each
 * tree, and refuses cycles, shared children and unreachable nodes. After it:
 * - trees lie one after another in `nodes` and every child comes after its parent;
 * - thresholds are not NaN (infinite is allowed); leaves, weights and covers are finite;
 * - with inputs_f32 every threshold, leaf, tree weight and base margin is a float's value.
 * The message names tree and node. */
enum ig_code ig_model_check(struct ig_model *model, struct ig_err *err);

/* predictions[predictions_count] from margins[outputs_count], as the source library computes it (in
 * float for inputs_f32 models). A composite's come from its engine alone. */
void ig_model_transform(const struct ig_model *model, const double *margins, double *predictions);
/* True when predictions are probabilities: of class 1 (one output) or of each class. */
bool ig_model_gives_probabilities(const struct ig_model *model);
const char *ig_transform_name(enum ig_transform transform);

#endif
