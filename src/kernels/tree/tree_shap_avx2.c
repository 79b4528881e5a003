/* SPDX-License-Identifier: Apache-2.0 */
/* SHAP kernels in 32-byte registers. Stateless. */
#include "kernels/tree/tree_shap_priv.h"

#if defined(__AVX2__)

#include <immintrin.h>
#include <string.h>

typedef float f32x8 __attribute__((vector_size(32)));
typedef double f64x4 __attribute__((vector_size(32)));
typedef int32_t i32x8 __attribute__((vector_size(32)));
typedef int64_t i64x4 __attribute__((vector_size(32)));

static inline i32x8 compare_f32(const float *keys, float threshold)
{
    return (i32x8)_mm256_cmp_ps(_mm256_loadu_ps(keys), _mm256_set1_ps(threshold), _CMP_LE_OQ);
}

static inline f32x8 pick_f32(i32x8 left, i32x8 right, float if_left, float if_right)
{
    i32x8 a = (i32x8)_mm256_set1_ps(if_left);
    i32x8 b = (i32x8)_mm256_set1_ps(if_right);
    return (f32x8)((left & a) | (right & b));
}

static inline f32x8 either_f32(i32x8 left, float if_left, float if_right)
{
    return (f32x8)_mm256_blendv_ps(_mm256_set1_ps(if_right), _mm256_set1_ps(if_left), (__m256)left);
}

static inline i64x4 compare_f64(const float *keys, float threshold)
{
    __m128 outcome = _mm_cmp_ps(_mm_loadu_ps(keys), _mm_set1_ps(threshold), _CMP_LE_OQ);
    return (i64x4)_mm256_cvtepi32_epi64(_mm_castps_si128(outcome));
}

static inline f64x4 pick_f64(i64x4 left, i64x4 right, double if_left, double if_right)
{
    i64x4 a = (i64x4)_mm256_set1_pd(if_left);
    i64x4 b = (i64x4)_mm256_set1_pd(if_right);
    return (f64x4)((left & a) | (right & b));
}

static inline f64x4 either_f64(i64x4 left, double if_left, double if_right)
{
    return (f64x4)_mm256_blendv_pd(_mm256_set1_pd(if_right), _mm256_set1_pd(if_left),
                                   (__m256d)left);
}

#define VECTOR_BYTES 32

#define REAL float
#define RECORD ig_shap_split_f32
#define NAME(x) x##_rows_f32
#define MASK i32x8
#define MASK_ALL ((i32x8)_mm256_set1_epi32(-1))
#define MASK_COMPARE compare_f32
#define MASK_PICK pick_f32
#define MASK_EITHER either_f32
#include "kernels/tree/tree_shap_lanes.h"
#include "kernels/tree/tree_shap_undefine.h"

#define REAL double
#define RECORD ig_shap_split_f64
#define NAME(x) x##_rows_f64
#define MASK i64x4
#define MASK_ALL ((i64x4)_mm256_set1_epi64x(-1))
#define MASK_COMPARE compare_f64
#define MASK_PICK pick_f64
#define MASK_EITHER either_f64
#include "kernels/tree/tree_shap_lanes.h"
#include "kernels/tree/tree_shap_undefine.h"

struct splits_f32;
struct splits_f64;
static inline void choose_f32(const struct splits_f32 *splits, float *chosen, int32_t *went);
static inline void choose_f64(const struct splits_f64 *splits, double *chosen, int32_t *went);

#define REAL float
#define BITS int32_t
#define NAME(x) x##_f32
#define CHOOSE choose_f32
#include "kernels/tree/tree_shap_decide.h"
#include "kernels/tree/tree_shap_undefine.h"

#define REAL double
#define BITS int64_t
#define NAME(x) x##_f64
#define CHOOSE choose_f64
#include "kernels/tree/tree_shap_decide.h"
#include "kernels/tree/tree_shap_undefine.h"

/* -1 where eight splits go left. */
static inline __m256 outcomes(const float *keys, const uint32_t *slot, const float *threshold)
{
    __m256i at = _mm256_loadu_si256((const __m256i *)slot);
    return _mm256_cmp_ps(_mm256_i32gather_ps(keys, at, 4), _mm256_loadu_ps(threshold), _CMP_LE_OQ);
}

static inline void choose_f32(const struct splits_f32 *splits, float *chosen, int32_t *went)
{
    for (uint32_t i = 0; i < splits->count; i += 8) {
        __m256 left = outcomes(splits->keys, splits->slot + i, splits->threshold + i);
        __m256 s = _mm256_blendv_ps(_mm256_loadu_ps(splits->right + i),
                                    _mm256_loadu_ps(splits->left + i), left);
        _mm256_storeu_ps(chosen + i, s);
        _mm256_storeu_si256((__m256i *)(went + i), _mm256_castps_si256(left));
    }
}

static inline void choose_f64(const struct splits_f64 *splits, double *chosen, int32_t *went)
{
    for (uint32_t i = 0; i < splits->count; i += 8) {
        __m256 left = outcomes(splits->keys, splits->slot + i, splits->threshold + i);
        __m256i words = _mm256_castps_si256(left);
        _mm256_storeu_si256((__m256i *)(went + i), words);
        __m256d low = _mm256_castsi256_pd(_mm256_cvtepi32_epi64(_mm256_castsi256_si128(words)));
        __m256d high =
            _mm256_castsi256_pd(_mm256_cvtepi32_epi64(_mm256_extracti128_si256(words, 1)));
        _mm256_storeu_pd(chosen + i, _mm256_blendv_pd(_mm256_loadu_pd(splits->right + i),
                                                      _mm256_loadu_pd(splits->left + i), low));
        _mm256_storeu_pd(chosen + i + 4,
                         _mm256_blendv_pd(_mm256_loadu_pd(splits->right + i + 4),
                                          _mm256_loadu_pd(splits->left + i + 4), high));
    }
}

#define REAL float
#define NAME(x) x##_4_f32
#define POINTS 4
#define NODES 2
#define JOIN(low, high) __builtin_shufflevector(low, high, 0, 1, 2, 3, 4, 5, 6, 7)
#define LOW(x) __builtin_shufflevector(x, x, 0, 1, 2, 3)
#define HIGH(x) __builtin_shufflevector(x, x, 4, 5, 6, 7)
#define SPREAD(x, i, j) __builtin_shufflevector(x, x, i, i, i, i, j, j, j, j)
#include "kernels/tree/tree_shap_points.h"
#include "kernels/tree/tree_shap_undefine.h"

#define REAL float
#define NAME(x) x##_8_f32
#define POINTS 8
#define NODES 1
#include "kernels/tree/tree_shap_points.h"
#include "kernels/tree/tree_shap_undefine.h"

#define REAL double
#define NAME(x) x##_4_f64
#define POINTS 4
#define NODES 1
#include "kernels/tree/tree_shap_points.h"
#include "kernels/tree/tree_shap_undefine.h"

static void one_f32(const struct ig_tree_shap *shap, const struct ig_shap_block *block,
                    const struct ig_shap_work *work)
{
    decide_f32(shap, block, work);
    if (block->padded == 4)
        run_4_f32(shap, block, work);
    else
        run_8_f32(shap, block, work);
}

static void one_f64(const struct ig_tree_shap *shap, const struct ig_shap_block *block,
                    const struct ig_shap_work *work)
{
    decide_f64(shap, block, work);
    run_4_f64(shap, block, work);
}

const struct ig_shap_variant ig_shap_avx2 = {
    .name = "avx2",
    .f32 = {8, 3, sizeof(i32x8), one_f32, batch_run_rows_f32},
    .f64 = {4, 3, sizeof(i64x4), one_f64, batch_run_rows_f64},
};

#else

const struct ig_shap_variant ig_shap_avx2 = {.name = "scalar"};

#endif
