/* SPDX-License-Identifier: Apache-2.0 */
/* Tree ensembles and linear models as Core ML: TreeEnsembleRegressor and Classifier, GLMRegressor
 * and GLMClassifier.
 *
 * Thresholds and leaves are doubles there, so nothing is rounded; a NaN goes where
 * missingValueTracksTrueChild sends it. Core ML's transforms are the logistic and softmax, and it
 * has no sets of categories. Source: TreeEnsemble.proto, GLMRegressor.proto, GLMClassifier.proto.
 * Stateless. */
#include "formats/coreml/coreml_priv.h"

#define ZERO ((double)1e-35F) /* of IG_NODE_MISSING_ZERO */

enum { MODEL_GLM_REGRESSOR = 300, MODEL_TREE_REGRESSOR = 302 };
enum { MODEL_GLM_CLASSIFIER = 400, MODEL_TREE_CLASSIFIER = 402 };
enum { TREES_ENSEMBLE = 1, TREES_TRANSFORM = 2 };
enum { ENSEMBLE_NODE = 1, ENSEMBLE_OUTPUTS = 2, ENSEMBLE_BASE = 3 };
enum {
    NODE_TREE = 1,
    NODE_ID = 2,
    NODE_BEHAVIOR = 3,
    NODE_FEATURE = 10,
    NODE_THRESHOLD = 11,
    NODE_TRUE = 12,
    NODE_FALSE = 13,
    NODE_MISSING_TRUE = 14,
    NODE_EVALUATION = 20,
};
enum { EVALUATION_INDEX = 1, EVALUATION_VALUE = 2 };
enum { BEHAVIOR_LE = 0, BEHAVIOR_LT = 1, BEHAVIOR_LEAF = 6 };
enum { TRANSFORM_NONE = 0, TRANSFORM_SOFTMAX = 1, TRANSFORM_LOGISTIC = 2 };
enum { GLM_WEIGHTS = 1, GLM_OFFSET = 2, GLM_TRANSFORM = 3, ARRAY_VALUE = 1 };
enum { GLM_NONE = 0, GLM_LOGIT = 1 };

static void add_double(struct ig_buf *out, double value)
{
    unsigned char bytes[8];
    uint64_t bits;
    memcpy(&bits, &value, sizeof bits);
    for (size_t i = 0; i < sizeof bytes; i++, bits >>= 8) bytes[i] = (unsigned char)bits;
    ig_buf_add(out, bytes, sizeof bytes);
}

static bool left_of(const struct ig_node *node, double x)
{
    return node->op == IG_NODE_LT ? x < node->value : x <= node->value;
}

static bool refuse_feature(struct coreml_writer *w, const struct ig_node *node, const char *what)
{
    ig_fail(w->err, IG_UNSUPPORTED, "feature %s: %s; Core ML cannot say so",
            coreml_feature_name(w, node->feature), what);
    return false;
}

/* Whether NaN goes left. */
static bool missing_left(struct coreml_writer *w, const struct ig_node *node, bool *left)
{
    bool by_default = node->flags & IG_NODE_DEFAULT_LEFT;
    *left = node->missing == IG_NODE_MISSING_NONE ? left_of(node, 0) : by_default;
    if (node->op == IG_NODE_IN) return refuse_feature(w, node, "it is split by sets of categories");
    if (node->missing == IG_NODE_MISSING_ZERO &&
        (left_of(node, ZERO) != by_default || left_of(node, -ZERO) != by_default))
        return refuse_feature(w, node, "zeros count as missing and go against their order");
    return true;
}

static void add_evaluation(struct ig_buf *out, uint32_t output, double value)
{
    size_t at = ig_proto_open(out, NODE_EVALUATION);
    ig_proto_add_varint(out, EVALUATION_INDEX, output);
    ig_proto_add_f64(out, EVALUATION_VALUE, value);
    ig_proto_close(out, at);
}

static void add_leaf(struct coreml_writer *w, const struct ig_tree *tree,
                     const struct ig_node *leaf, double slope)
{
    const struct ig_model *model = w->model;
    double by = tree->weight * slope / (model->average ? model->iterations_count : 1);
    if (!model->leaf_vectors) {
        add_evaluation(&w->body, tree->output, leaf->value * by);
        return;
    }
    const double *values = model->leaf_values + (size_t)leaf->extra * model->outputs_count;
    for (uint32_t o = 0; o < model->outputs_count; o++) add_evaluation(&w->body, o, values[o] * by);
}

static bool add_node(struct coreml_writer *w, uint32_t tree, uint32_t index, double slope)
{
    const struct ig_tree *of = &w->model->trees[tree];
    const struct ig_node *node = &w->model->nodes[of->first_node + index];
    struct ig_buf *out = &w->body;
    bool left = false, leaf = node->op == IG_NODE_LEAF;
    if (!leaf && !missing_left(w, node, &left)) return false;
    size_t at = ig_proto_open(out, ENSEMBLE_NODE);
    ig_proto_add_varint(out, NODE_TREE, tree);
    ig_proto_add_varint(out, NODE_ID, index);
    ig_proto_add_varint(out, NODE_BEHAVIOR,
                        leaf                     ? BEHAVIOR_LEAF
                        : node->op == IG_NODE_LT ? BEHAVIOR_LT
                                                 : BEHAVIOR_LE);
    if (leaf) {
        add_leaf(w, of, node, slope);
    } else {
        ig_proto_add_varint(out, NODE_FEATURE, node->feature);
        ig_proto_add_f64(out, NODE_THRESHOLD, node->value);
        ig_proto_add_varint(out, NODE_TRUE, (uint64_t)node->left);
        ig_proto_add_varint(out, NODE_FALSE, (uint64_t)node->right);
        ig_proto_add_varint(out, NODE_MISSING_TRUE, left);
    }
    ig_proto_close(out, at);
    return true;
}

/* Core ML's transform of the sums, and the slope that leaves take over. */
static bool transform_of(struct coreml_writer *w, uint32_t *transform, double *slope)
{
    const struct ig_model *model = w->model;
    *slope = 1;
    switch (model->transform) {
    case IG_TRANSFORM_IDENTITY:
    case IG_TRANSFORM_PROBABILITY:
        *transform = TRANSFORM_NONE;
        return true;
    case IG_TRANSFORM_SIGMOID:
        *transform = TRANSFORM_LOGISTIC;
        *slope = model->transform_parameter;
        return true;
    case IG_TRANSFORM_SOFTMAX:
        *transform = TRANSFORM_SOFTMAX;
        return true;
    default:
        ig_fail(w->err, IG_UNSUPPORTED,
                "the objective's transform %s; Core ML has the identity, logistic and softmax",
                ig_transform_name(model->transform));
        return false;
    }
}

static void describe(struct coreml_writer *w, uint32_t regressor, uint32_t classifier)
{
    const uint32_t features = w->model->features_count;
    coreml_input_array(w, "features", COREML_DOUBLE, &features, 1);
    w->type = w->classes_count ? classifier : regressor;
    if (w->classes_count)
        coreml_classifier(w);
    else
        coreml_regressor(w, w->model->outputs_count);
}

bool coreml_write_trees(struct coreml_writer *w)
{
    const struct ig_model *model = w->model;
    struct ig_buf *out = &w->body;
    uint32_t transform;
    double slope;
    if (model->linear_leaves)
        return coreml_refuse(w, "leaves are linear models, which Core ML's trees cannot have");
    if (!transform_of(w, &transform, &slope)) return false;
    describe(w, MODEL_TREE_REGRESSOR, MODEL_TREE_CLASSIFIER);
    size_t at = ig_proto_open(out, TREES_ENSEMBLE);
    for (uint32_t t = 0; t < model->trees_count; t++)
        for (uint32_t n = 0; n < model->trees[t].nodes_count; n++)
            if (!add_node(w, t, n, slope)) return false;
    ig_proto_add_varint(out, ENSEMBLE_OUTPUTS, model->outputs_count);
    size_t base = ig_proto_open(out, ENSEMBLE_BASE);
    for (uint32_t o = 0; o < model->outputs_count; o++)
        add_double(out, model->base_margin[o] * slope);
    ig_proto_close(out, base);
    ig_proto_close(out, at);
    ig_proto_add_varint(out, TREES_TRANSFORM, transform);
    return true;
}

/* ---- linear models ---- */

/* An output's weights, less those of another (NONE: as they are), times the slope. */
static void add_weights(struct coreml_writer *w, uint32_t output, uint32_t less, double slope)
{
    const struct ig_model *model = w->model;
    struct ig_buf *out = &w->body;
    size_t at = ig_proto_open(out, GLM_WEIGHTS), items = ig_proto_open(out, ARRAY_VALUE);
    for (uint32_t f = 0; f < model->features_count; f++) {
        const double *weights = model->weights + (size_t)f * model->outputs_count;
        double minus = less == IG_MODEL_NONE ? 0 : weights[less];
        add_double(out, (weights[output] - minus) * slope);
    }
    ig_proto_close(out, items);
    ig_proto_close(out, at);
}

static double offset_of(const struct ig_model *model, uint32_t output)
{
    size_t biases = (size_t)model->features_count * model->outputs_count;
    return model->weights[biases + output] + model->base_margin[output];
}

/* Softmax as Core ML has it: class 0 is the reference, whose margin is 0. */
bool coreml_write_linear(struct coreml_writer *w)
{
    const struct ig_model *model = w->model;
    struct ig_buf *out = &w->body;
    bool reference = model->transform == IG_TRANSFORM_SOFTMAX;
    uint32_t first = reference ? 1 : 0, transform;
    double slope;
    if (!transform_of(w, &transform, &slope)) return false;
    if (w->classes_count && transform == TRANSFORM_NONE)
        return coreml_refuse(w, "a linear classifier without logistic or softmax, which Core ML "
                                "does not have");
    describe(w, MODEL_GLM_REGRESSOR, MODEL_GLM_CLASSIFIER);
    for (uint32_t o = first; o < model->outputs_count; o++)
        add_weights(w, o, reference ? 0 : IG_MODEL_NONE, slope);
    size_t at = ig_proto_open(out, GLM_OFFSET);
    for (uint32_t o = first; o < model->outputs_count; o++)
        add_double(out, (offset_of(model, o) - (reference ? offset_of(model, 0) : 0)) * slope);
    ig_proto_close(out, at);
    if (!w->classes_count) /* a classifier's is Logit, which is 0 */
        ig_proto_add_varint(out, GLM_TRANSFORM,
                            transform == TRANSFORM_LOGISTIC ? GLM_LOGIT : GLM_NONE);
    return true;
}
