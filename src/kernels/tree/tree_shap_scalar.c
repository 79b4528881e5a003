/* SPDX-License-Identifier: Apache-2.0 */
/* SHAP kernels in 16-byte registers, which every supported processor has. Stateless. */
#include "kernels/tree/tree_shap_priv.h"

#include <string.h>

typedef float f32x4 __attribute__((vector_size(16)));
typedef float f32x2 __attribute__((vector_size(8)));
typedef double f64x2 __attribute__((vector_size(16)));
typedef int32_t i32x4 __attribute__((vector_size(16)));
typedef int32_t i32x2 __attribute__((vector_size(8)));
typedef int64_t i64x2 __attribute__((vector_size(16)));

static inline i32x4 compare_f32(const float *keys, float threshold)
{
    f32x4 x;
    memcpy(&x, keys, sizeof x);
    return x <= threshold - (f32x4){0};
}

static inline f32x4 pick_f32(i32x4 left, i32x4 right, float if_left, float if_right)
{
    i32x4 a = (i32x4)(if_left - (f32x4){0});
    i32x4 b = (i32x4)(if_right - (f32x4){0});
    return (f32x4)((left & a) | (right & b));
}

static inline f32x4 either_f32(i32x4 left, float if_left, float if_right)
{
    return pick_f32(left, ~left, if_left, if_right);
}

static inline i64x2 compare_f64(const float *keys, float threshold)
{
    f64x2 x = {(double)keys[0], (double)keys[1]};
    return x <= (double)threshold - (f64x2){0};
}

static inline f64x2 pick_f64(i64x2 left, i64x2 right, double if_left, double if_right)
{
    i64x2 a = (i64x2)(if_left - (f64x2){0});
    i64x2 b = (i64x2)(if_right - (f64x2){0});
    return (f64x2)((left & a) | (right & b));
}

static inline f64x2 either_f64(i64x2 left, double if_left, double if_right)
{
    return pick_f64(left, ~left, if_left, if_right);
}

#define VECTOR_BYTES 16

#define REAL float
#define RECORD ig_shap_split_f32
#define NAME(x) x##_rows_f32
#define MASK i32x4
#define MASK_ALL ((i32x4){-1, -1, -1, -1})
#define MASK_COMPARE compare_f32
#define MASK_PICK pick_f32
#define MASK_EITHER either_f32
#include "kernels/tree/tree_shap_lanes.h"
#include "kernels/tree/tree_shap_undefine.h"

#define REAL double
#define RECORD ig_shap_split_f64
#define NAME(x) x##_rows_f64
#define MASK i64x2
#define MASK_ALL ((i64x2){-1, -1})
#define MASK_COMPARE compare_f64
#define MASK_PICK pick_f64
#define MASK_EITHER either_f64
#include "kernels/tree/tree_shap_lanes.h"
#include "kernels/tree/tree_shap_undefine.h"

#define REAL float
#define BITS int32_t
#define NAME(x) x##_f32
#define CHOOSE choose_plain_f32
#include "kernels/tree/tree_shap_decide.h"
#include "kernels/tree/tree_shap_undefine.h"

#define REAL double
#define BITS int64_t
#define NAME(x) x##_f64
#define CHOOSE choose_plain_f64
#include "kernels/tree/tree_shap_decide.h"
#include "kernels/tree/tree_shap_undefine.h"

#define REAL float
#define NAME(x) x##_4_f32
#define POINTS 4
#define NODES 1
#include "kernels/tree/tree_shap_points.h"
#include "kernels/tree/tree_shap_undefine.h"

#define REAL double
#define NAME(x) x##_2_f64
#define POINTS 2
#define NODES 1
#include "kernels/tree/tree_shap_points.h"
#include "kernels/tree/tree_shap_undefine.h"

static void one_f32(const struct ig_tree_shap *shap, const struct ig_shap_block *block,
                    const struct ig_shap_work *work)
{
    decide_f32(shap, block, work);
    run_4_f32(shap, block, work);
}

static void one_f64(const struct ig_tree_shap *shap, const struct ig_shap_block *block,
                    const struct ig_shap_work *work)
{
    decide_f64(shap, block, work);
    run_2_f64(shap, block, work);
}

const struct ig_shap_variant ig_shap_scalar = {
    .name = "scalar",
    .f32 = {4, 1, sizeof(i32x4), one_f32, batch_run_rows_f32},
    .f64 = {2, 2, sizeof(i64x2), one_f64, batch_run_rows_f64},
};
