/* SPDX-License-Identifier: Apache-2.0 */
/* AVX2: ranks a row, a block of 16 thresholds in two or four comparisons; and finds leaves in byte
 * blocks, the row's 64 columns in four registers of 16 that a shuffle looks up. Stateless. */
#include "kernels/tree/tree_predict_plan.h"

#if defined(__x86_64__)

#include <immintrin.h>

static inline uint32_t count_f32(const float *block, __m256 x)
{
    int low = _mm256_movemask_ps(_mm256_cmp_ps(x, _mm256_load_ps(block), _CMP_GE_OQ));
    int high = _mm256_movemask_ps(_mm256_cmp_ps(x, _mm256_load_ps(block + 8), _CMP_GE_OQ));
    return (uint32_t)_mm_popcnt_u32((uint32_t)low | (uint32_t)high << 8);
}

static inline uint32_t count_f64(const double *block, __m256d x)
{
    uint32_t reached = 0;
    for (unsigned i = 0; i < IG_TREE_RANK_FANOUT; i += 4) {
        __m256d at_least = _mm256_cmp_pd(x, _mm256_load_pd(block + i), _CMP_GE_OQ);
        reached |= (uint32_t)_mm256_movemask_pd(at_least) << i;
    }
    return (uint32_t)_mm_popcnt_u32(reached);
}

static void rank_f32(const struct ig_tree_rank *rank, const double *row, uint16_t *ranks)
{
    for (uint32_t i = 0; i < rank->features_count; i++) {
        const struct ig_tree_rank_feature *feature = &rank->features[i];
        float value = (float)row[feature->feature];
        __m256 x = _mm256_set1_ps(value);
        size_t at = 0;
        for (uint32_t l = 0; l < feature->levels; l++)
            at = at * IG_TREE_RANK_FANOUT +
                 count_f32(rank->pivots_f32 + feature->at[l] + at * IG_TREE_RANK_FANOUT, x);
        ig_tree_rank_store(rank, i, (double)value, (uint32_t)at, ranks);
    }
}

static void rank_f64(const struct ig_tree_rank *rank, const double *row, uint16_t *ranks)
{
    for (uint32_t i = 0; i < rank->features_count; i++) {
        const struct ig_tree_rank_feature *feature = &rank->features[i];
        double value = row[feature->feature];
        __m256d x = _mm256_set1_pd(value);
        size_t at = 0;
        for (uint32_t l = 0; l < feature->levels; l++)
            at = at * IG_TREE_RANK_FANOUT +
                 count_f64(rank->pivots_f64 + feature->at[l] + at * IG_TREE_RANK_FANOUT, x);
        ig_tree_rank_store(rank, i, value, (uint32_t)at, ranks);
    }
}

void ig_tree_rank_row_avx2(const struct ig_tree_rank *rank, const double *row, uint16_t *ranks)
{
    if (rank->f32)
        rank_f32(rank, row, ranks);
    else
        rank_f64(rank, row, ranks);
}

/* ---- byte blocks ---- */

#define INLINE static inline __attribute__((always_inline))

struct columns {
    __m256i part[4]; /* 16 columns, in both halves; of few columns two are set */
};

INLINE struct columns load_columns(const uint16_t *ranks, bool few)
{
    struct columns columns;
    const __m128i most = _mm_set1_epi16(IG_TREE_BYTE_MAX);
    for (int i = 0; i < (few ? 2 : 4); i++) {
        __m128i low = _mm_load_si128((const __m128i *)(ranks + 16 * i));
        __m128i high = _mm_load_si128((const __m128i *)(ranks + 16 * i + 8));
        __m128i bytes = _mm_packus_epi16(_mm_min_epu16(low, most), _mm_min_epu16(high, most));
        columns.part[i] = _mm256_broadcastsi128_si256(bytes);
    }
    return columns;
}

/* The answers of 32 splits: bit set = right. A shuffle takes the low 4 bits of an index; bits 4 and
 * 5 choose among the parts, moved to where a blend looks. */
INLINE uint32_t ask(const struct columns *columns, const uint8_t *index, const uint8_t *thresholds,
                    bool few)
{
    __m256i i = _mm256_load_si256((const __m256i *)index);
    __m256i t = _mm256_load_si256((const __m256i *)thresholds);
    __m256i bit4 = _mm256_slli_epi16(i, 3);
    __m256i x = _mm256_blendv_epi8(_mm256_shuffle_epi8(columns->part[0], i),
                                   _mm256_shuffle_epi8(columns->part[1], i), bit4);
    if (!few) {
        __m256i high = _mm256_blendv_epi8(_mm256_shuffle_epi8(columns->part[2], i),
                                          _mm256_shuffle_epi8(columns->part[3], i), bit4);
        x = _mm256_blendv_epi8(x, high, _mm256_slli_epi16(i, 2));
    }
    return (uint32_t)_mm256_movemask_epi8(_mm256_cmpeq_epi8(_mm256_max_epu8(x, t), x));
}

/* Entry reached after 6 steps from entry 1: 64 + exit. */
INLINE __m256i descend(__m256i answers)
{
    const __m256i one = _mm256_set1_epi64x(1);
    __m256i at = one;
#pragma GCC unroll 6
    for (int l = 0; l < 6; l++) {
        __m256i bit = _mm256_and_si256(_mm256_srlv_epi64(answers, at), one);
        at = _mm256_or_si256(_mm256_add_epi64(at, at), bit);
    }
    return at;
}

/* What the kernel is called for: `trees` trees from `tree` on. */
struct job {
    const struct ig_tree_plan *plan;
    const uint16_t *ranks;
    uint32_t tree;
    uint32_t trees;
    uint32_t *slots;
    uint64_t *masks;
};

INLINE void find(struct job job, bool few)
{
    struct columns columns = load_columns(job.ranks, few);
    const uint8_t *block = job.plan->byte_blocks + (size_t)job.tree * 128;
    for (uint32_t t = 0; t < job.trees; t++, block += 128)
        job.masks[t] = ask(&columns, block, block + 64, few) |
                       (uint64_t)ask(&columns, block + 32, block + 96, few) << 32;
    const __m128i of_lane = _mm_setr_epi32(0, 64, 128, 192);
    const __m256i low_halves = _mm256_setr_epi32(0, 2, 4, 6, 0, 2, 4, 6);
    for (uint32_t t = 0; t < job.trees; t += 4) { /* 64 * tree + exit, and the entry is 64 + exit */
        __m256i at = descend(_mm256_load_si256((const __m256i *)(job.masks + t)));
        __m128i base = _mm_add_epi32(of_lane, _mm_set1_epi32((int)((job.tree + t - 1) * 64)));
        __m128i exits = _mm256_castsi256_si128(_mm256_permutevar8x32_epi32(at, low_halves));
        _mm_storeu_si128((__m128i *)(job.slots + t), _mm_add_epi32(base, exits));
    }
}

void ig_tree_find_byte_block_avx2(const struct ig_tree_plan *plan, const uint16_t *ranks,
                                  uint32_t group, uint32_t groups_count, uint32_t *slots,
                                  uint64_t *masks)
{
    struct job job = {plan,  ranks, group * IG_TREE_GROUP, groups_count * IG_TREE_GROUP,
                      slots, masks};
    if (plan->rank.columns_count <= 32)
        find(job, true);
    else
        find(job, false);
}

#endif
