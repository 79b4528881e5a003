/* SPDX-License-Identifier: Apache-2.0 */
/* Builds the compact form: inputs (thresholds, columns, sets), leaves, then the stream of nodes.
 * Owns the result's arena; the scratch arena lives for one build. Stateless. */
#include "kernels/quantize/tree_compact.h"

#include "base/mem.h"
#include "kernels/quantize/tree_compact_priv.h"

#include <string.h>

enum { FEATURES_MAX = UINT16_MAX, OUTPUTS_MAX = UINT16_MAX, CHUNK = 64 * 1024 };

int32_t ig_compact_key(float value)
{
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    return (int32_t)(bits >> 31 ? 0x80000000U - bits : bits);
}

float ig_compact_value(int32_t key)
{
    uint32_t bits = key < 0 ? 0x80000000U - (uint32_t)key : (uint32_t)key;
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

bool ig_compact_is_integer(enum ig_compact_leaf leaf)
{
    return leaf == IG_COMPACT_INT16 || leaf == IG_COMPACT_INT8;
}

uint32_t ig_compact_bits(uint32_t value)
{
    return value ? 32 - (uint32_t)__builtin_clz(value) : 1;
}

void ig_compact_put(uint8_t *at, uint64_t value, uint32_t bytes)
{
    for (uint32_t i = 0; i < bytes; i++) at[i] = (uint8_t)(value >> (8 * i));
}

bool ig_compact_no_memory(struct ig_compact_build *build, const char *what)
{
    ig_fail(build->err, IG_NO_MEMORY, "no memory for the %s of %u nodes", what,
            build->model->nodes_count);
    return false;
}

static enum ig_code check(const struct ig_model *model, struct ig_err *err)
{
    if (model->kind != IG_MODEL_TREES)
        return ig_fail(err, IG_UNSUPPORTED, "only tree ensembles have a compact form");
    if (model->linear_leaves)
        return ig_fail(err, IG_UNSUPPORTED,
                       "trees whose leaves are linear models have no compact form");
    if (model->features_count > FEATURES_MAX)
        return ig_fail(err, IG_TOO_LARGE, "%u features, at most %d", model->features_count,
                       FEATURES_MAX);
    if (model->outputs_count > OUTPUTS_MAX)
        return ig_fail(err, IG_TOO_LARGE, "%u outputs, at most %d", model->outputs_count,
                       OUTPUTS_MAX);
    return IG_OK;
}

static bool copy_facts(struct ig_compact_build *build)
{
    const struct ig_model *model = build->model;
    struct ig_tree_compact *compact = build->compact;
    compact->features_count = model->features_count;
    compact->outputs_count = model->outputs_count;
    compact->trees_count = model->trees_count;
    compact->inputs_truncate = model->category_truncates;
    compact->codes_end_log = model->category_truncates ? 31 : 24;
    compact->transform = model->transform;
    compact->transform_f64 = !model->inputs_f32;
    compact->transform_parameter = model->transform_parameter;
    compact->iterations_count = model->iterations_count;
    for (uint32_t i = 0; i < model->nodes_count; i++) {
        bool leaf = model->nodes[i].op == IG_NODE_LEAF;
        compact->leaves_count += leaf;
        compact->splits_count += !leaf;
    }
    build->nodes =
        ig_arena_array(&build->scratch, (size_t)model->nodes_count + 1, sizeof *build->nodes);
    if (!build->nodes) return ig_compact_no_memory(build, "facts");
    if (model->outputs_count == 1 || model->leaf_vectors) return true;
    compact->tree_outputs =
        ig_arena_array(&compact->arena, (size_t)model->trees_count + 1, sizeof(uint32_t));
    if (!compact->tree_outputs) return ig_compact_no_memory(build, "outputs");
    for (uint32_t t = 0; t < model->trees_count; t++)
        compact->tree_outputs[t] = model->trees[t].output;
    return true;
}

enum ig_code ig_tree_compact_new(struct ig_tree_compact **out, const struct ig_model *model,
                                 enum ig_compact_want want, struct ig_err *err)
{
    if (check(model, err) != IG_OK) return err->code;
    struct ig_tree_compact *compact = ig_zalloc(sizeof *compact);
    if (!compact) return ig_fail(err, IG_NO_MEMORY, "no memory for a compact model");
    struct ig_compact_build build = {.compact = compact, .model = model, .err = err};
    ig_arena_init(&compact->arena, CHUNK, SIZE_MAX);
    ig_arena_init(&build.scratch, CHUNK, SIZE_MAX);
    bool good = copy_facts(&build) && ig_compact_build_inputs(&build) &&
                ig_compact_build_sets(&build) && ig_compact_build_leaves(&build, want) &&
                ig_compact_build_stream(&build);
    ig_arena_deinit(&build.scratch);
    if (!good) {
        ig_tree_compact_free(compact);
        return err->code;
    }
    *out = compact;
    return IG_OK;
}

void ig_tree_compact_free(struct ig_tree_compact *compact)
{
    if (!compact) return;
    ig_arena_deinit(&compact->arena);
    ig_free(compact);
}
