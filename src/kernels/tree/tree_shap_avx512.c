/* SPDX-License-Identifier: Apache-2.0 */
/* SHAP kernels in 64-byte registers; for one row, the outcomes of 16 splits at once. Stateless. */
#include "kernels/tree/tree_shap_priv.h"

#if defined(__AVX512F__)

#include <immintrin.h>
#include <string.h>

typedef float f32x16 __attribute__((vector_size(64)));
typedef double f64x8 __attribute__((vector_size(64)));

static inline __mmask16 compare_f32(const float *keys, float threshold)
{
    return _mm512_cmp_ps_mask(_mm512_loadu_ps(keys), _mm512_set1_ps(threshold), _CMP_LE_OQ);
}

static inline f32x16 pick_f32(__mmask16 left, __mmask16 right, float if_left, float if_right)
{
    __m512 s = _mm512_maskz_mov_ps(right, _mm512_set1_ps(if_right));
    return (f32x16)_mm512_mask_mov_ps(s, left, _mm512_set1_ps(if_left));
}

static inline f32x16 either_f32(__mmask16 left, float if_left, float if_right)
{
    return (f32x16)_mm512_mask_mov_ps(_mm512_set1_ps(if_right), left, _mm512_set1_ps(if_left));
}

static inline __mmask8 compare_f64(const float *keys, float threshold)
{
    return _mm256_cmp_ps_mask(_mm256_loadu_ps(keys), _mm256_set1_ps(threshold), _CMP_LE_OQ);
}

static inline f64x8 pick_f64(__mmask8 left, __mmask8 right, double if_left, double if_right)
{
    __m512d s = _mm512_maskz_mov_pd(right, _mm512_set1_pd(if_right));
    return (f64x8)_mm512_mask_mov_pd(s, left, _mm512_set1_pd(if_left));
}

static inline f64x8 either_f64(__mmask8 left, double if_left, double if_right)
{
    return (f64x8)_mm512_mask_mov_pd(_mm512_set1_pd(if_right), left, _mm512_set1_pd(if_left));
}

#define VECTOR_BYTES 64

#define REAL float
#define RECORD ig_shap_split_f32
#define NAME(x) x##_rows_f32
#define MASK __mmask16
#define MASK_ALL ((__mmask16)0xffff)
#define MASK_COMPARE compare_f32
#define MASK_PICK pick_f32
#define MASK_EITHER either_f32
#include "kernels/tree/tree_shap_lanes.h"
#include "kernels/tree/tree_shap_undefine.h"

#define REAL double
#define RECORD ig_shap_split_f64
#define NAME(x) x##_rows_f64
#define MASK __mmask8
#define MASK_ALL ((__mmask8)0xff)
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

/* Up to 128 keys in registers: two at a time are a table of 32 that 16 lanes look up at once. */
struct tables {
    uint32_t count; /* of pairs of registers in use; 0: gather */
    const float *keys;
    __m512 low[4];
    __m512 high[4];
};

static inline struct tables tables_of(const float *keys, uint32_t slots_count)
{
    struct tables tables = {.count = (slots_count + 31) / 32, .keys = keys};
    if (tables.count > 4) tables.count = 0;
    for (uint32_t i = 0; i < tables.count; i++) {
        tables.low[i] = _mm512_loadu_ps(keys + 32 * i);
        tables.high[i] = _mm512_loadu_ps(keys + 32 * i + 16);
    }
    return tables;
}

/* keys[at] of 16 lanes; `count` is a constant of the caller. */
IG_SHAP_INLINE __m512 look_up(const struct tables *tables, uint32_t count, __m512i at)
{
    if (count == 0) return _mm512_i32gather_ps(at, tables->keys, 4);
    __m512 x = _mm512_permutex2var_ps(tables->low[0], at, tables->high[0]);
    if (count == 1) return x;
    __m512 y = _mm512_permutex2var_ps(tables->low[1], at, tables->high[1]);
    __mmask16 odd = _mm512_test_epi32_mask(at, _mm512_set1_epi32(32));
    x = _mm512_mask_mov_ps(x, odd, y);
    if (count == 2) return x;
    y = _mm512_permutex2var_ps(tables->low[2], at, tables->high[2]);
    __m512 z = _mm512_permutex2var_ps(tables->low[3], at, tables->high[3]);
    y = _mm512_mask_mov_ps(y, odd, z);
    return _mm512_mask_mov_ps(x, _mm512_test_epi32_mask(at, _mm512_set1_epi32(64)), y);
}

IG_SHAP_INLINE __mmask16 outcomes(const struct tables *tables, uint32_t count, const uint32_t *slot,
                                  const float *threshold)
{
    __m512 keys = look_up(tables, count, _mm512_loadu_si512(slot));
    return _mm512_cmp_ps_mask(keys, _mm512_loadu_ps(threshold), _CMP_LE_OQ);
}

IG_SHAP_INLINE void choose_tables_f32(const struct splits_f32 *splits, const struct tables *tables,
                                      uint32_t count, float *chosen, int32_t *went)
{
    for (uint32_t i = 0; i < splits->count; i += 16) {
        __mmask16 left = outcomes(tables, count, splits->slot + i, splits->threshold + i);
        __m512 s = _mm512_loadu_ps(splits->right + i);
        _mm512_storeu_ps(chosen + i, _mm512_mask_loadu_ps(s, left, splits->left + i));
        _mm512_storeu_si512(went + i, _mm512_movm_epi32(left));
    }
}

static inline void choose_f32(const struct splits_f32 *splits, float *chosen, int32_t *went)
{
    const struct tables tables = tables_of(splits->keys, splits->slots_count);
    switch (tables.count) {
    case 1:
        choose_tables_f32(splits, &tables, 1, chosen, went);
        break;
    case 2:
        choose_tables_f32(splits, &tables, 2, chosen, went);
        break;
    case 3:
    case 4:
        choose_tables_f32(splits, &tables, 4, chosen, went);
        break;
    default:
        choose_tables_f32(splits, &tables, 0, chosen, went);
        break;
    }
}

static inline void choose_f64(const struct splits_f64 *splits, double *chosen, int32_t *went)
{
    const struct tables tables = {.keys = splits->keys};
    for (uint32_t i = 0; i < splits->count; i += 16) {
        __mmask16 left = outcomes(&tables, 0, splits->slot + i, splits->threshold + i);
        __m512d low = _mm512_loadu_pd(splits->right + i);
        __m512d high = _mm512_loadu_pd(splits->right + i + 8);
        __mmask8 upper = (__mmask8)(left >> 8);
        _mm512_storeu_pd(chosen + i, _mm512_mask_loadu_pd(low, (__mmask8)left, splits->left + i));
        _mm512_storeu_pd(chosen + i + 8, _mm512_mask_loadu_pd(high, upper, splits->left + i + 8));
        _mm512_storeu_si512(went + i, _mm512_movm_epi32(left));
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

#define REAL float
#define NAME(x) x##_16_f32
#define POINTS 16
#define NODES 1
#include "kernels/tree/tree_shap_points.h"
#include "kernels/tree/tree_shap_undefine.h"

#define REAL double
#define NAME(x) x##_4_f64
#define POINTS 4
#define NODES 1
#include "kernels/tree/tree_shap_points.h"
#include "kernels/tree/tree_shap_undefine.h"

#define REAL double
#define NAME(x) x##_8_f64
#define POINTS 8
#define NODES 1
#include "kernels/tree/tree_shap_points.h"
#include "kernels/tree/tree_shap_undefine.h"

static void one_f32(const struct ig_tree_shap *shap, const struct ig_shap_block *block,
                    const struct ig_shap_work *work)
{
    decide_f32(shap, block, work);
    if (block->padded == 4)
        run_4_f32(shap, block, work);
    else if (block->padded == 8)
        run_8_f32(shap, block, work);
    else
        run_16_f32(shap, block, work);
}

static void one_f64(const struct ig_tree_shap *shap, const struct ig_shap_block *block,
                    const struct ig_shap_work *work)
{
    decide_f64(shap, block, work);
    if (block->padded == 4)
        run_4_f64(shap, block, work);
    else
        run_8_f64(shap, block, work);
}

const struct ig_shap_variant ig_shap_avx512 = {
    .name = "avx512",
    .f32 = {16, 5, sizeof(__mmask16), one_f32, batch_run_rows_f32},
    .f64 = {8, 4, sizeof(__mmask8), one_f64, batch_run_rows_f64},
};

#else

const struct ig_shap_variant ig_shap_avx512 = {.name = "scalar"};

#endif
