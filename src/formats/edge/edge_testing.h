/* SPDX-License-Identifier: Apache-2.0 */
#ifndef IG_FORMATS_EDGE_EDGE_TESTING_H
#define IG_FORMATS_EDGE_EDGE_TESTING_H

/* For tests only: models with every kind of split, leaf, sum and layout, and their files. */

#include "formats/edge/edge.h"
#include "formats/format.h"
#include "kernels/tree/tree_testing.h"

static const struct ig_testing_shape IG_EDGE_SHAPES[] = {
    {.features = 5,
     .outputs = 1,
     .trees = 20,
     .depth = 6,
     .leaf_percent = 10,
     .f32 = true,
     .sum_rule = IG_SUM_F32_BASE_FIRST},
    {.features = 5,
     .outputs = 1,
     .trees = 20,
     .depth = 5,
     .leaf_percent = 20,
     .set_percent = 40,
     .f32 = true,
     .sum_rule = IG_SUM_F32_BASE_LAST,
     .thresholds = 7},
    {.features = 9,
     .outputs = 3,
     .trees = 31,
     .depth = 7,
     .leaf_percent = 15,
     .thresholds = 30,
     .missing_kinds = true,
     .sum_rule = IG_SUM_F64},
    {.features = 6,
     .outputs = 1,
     .trees = 25,
     .depth = 6,
     .leaf_percent = 10,
     .set_percent = 50,
     .missing_kinds = true,
     .sum_rule = IG_SUM_F64,
     .average = true},
    {.features = 40,
     .outputs = 4,
     .trees = 12,
     .depth = 5,
     .leaf_percent = 10,
     .f32 = true,
     .dart = true,
     .leaf_vectors = true,
     .sum_rule = IG_SUM_F32_BASE_FIRST},
    {.features = 300,
     .outputs = 2,
     .trees = 3,
     .depth = 11,
     .leaf_percent = 2,
     .missing_kinds = true,
     .dart = true,
     .sum_rule = IG_SUM_F64},
    {.features = 3,
     .outputs = 1,
     .trees = 9,
     .depth = 3,
     .leaf_percent = 90,
     .f32 = true,
     .sum_rule = IG_SUM_F32_BASE_LAST,
     .average = true},
    {.features = 4,
     .outputs = 2,
     .trees = 30,
     .depth = 6,
     .thresholds = 6,
     .f32 = true,
     .sum_rule = IG_SUM_F32_BASE_FIRST},
    {.features = 6,
     .outputs = 1,
     .trees = 30,
     .depth = 4,
     .integers = 12,
     .f32 = true,
     .sum_rule = IG_SUM_F32_BASE_FIRST},
    {.features = 20,
     .outputs = 3,
     .trees = 33,
     .depth = 6,
     .integers = 60,
     .missing_kinds = true,
     .sum_rule = IG_SUM_F64},
    {.features = 3,
     .outputs = 1,
     .trees = 12,
     .depth = 5,
     .decimals = 3,
     .f32 = true,
     .sum_rule = IG_SUM_F32_BASE_FIRST},
    {.features = 7,
     .outputs = 2,
     .trees = 30,
     .depth = 5,
     .decimals = 1,
     .f32 = true,
     .missing_kinds = true,
     .sum_rule = IG_SUM_F32_BASE_FIRST},
    {.features = 3, .outputs = 1, .trees = 12, .depth = 5, .decimals = 2, .sum_rule = IG_SUM_F64},
    {.features = 7,
     .outputs = 2,
     .trees = 30,
     .depth = 5,
     .decimals = 1,
     .missing_kinds = true,
     .sum_rule = IG_SUM_F64},
};
enum { IG_EDGE_SHAPES_COUNT = sizeof IG_EDGE_SHAPES / sizeof *IG_EDGE_SHAPES };

/* The file of a model, into `buf` (initialised here), and what stands in it as a model. */
static inline struct ig_model *ig_edge_testing_file(struct ig_buf *buf,
                                                    const struct ig_model *model,
                                                    enum ig_compact_want want, double *bounds)
{
    struct ig_err err = IG_ERR_INIT;
    struct ig_tree_compact *compact = NULL;
    struct ig_model *read = NULL;
    ig_buf_init(buf, 1 << 26);
    if (ig_tree_compact_new(&compact, model, want, &err) != IG_OK) fail_msg("%s", err.message);
    if (ig_edge_write(buf, compact, &err) != IG_OK) fail_msg("%s", err.message);
    if (ig_format_load(&read, ig_buf_view(buf), NULL, &err) != IG_OK) fail_msg("%s", err.message);
    memcpy(bounds, compact->error_bounds, model->outputs_count * sizeof *bounds);
    ig_tree_compact_free(compact);
    return read;
}

#endif
