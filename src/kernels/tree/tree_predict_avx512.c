/* SPDX-License-Identifier: Apache-2.0 */
/* Block kernels for AVX-512 (F, VL, DQ, BW). The row's columns stay in two or four registers; one
 * permutation fetches the columns that 32 splits ask for, one comparison answers them all, and the
 * leaf is read off the answers' bits, 8 or 16 trees at once. No load depends on an earlier answer
 * within a block, which is what makes it faster than any walk. Stateless. */
#include "kernels/tree/tree_predict_plan.h"

#if defined(__x86_64__)

#include <immintrin.h>
#include <math.h>

#define INLINE static inline __attribute__((always_inline))

/* ---- ranking ---- */

INLINE uint32_t count_f32(const float *block, __m512 x)
{
    return (uint32_t)_mm_popcnt_u32(_mm512_cmp_ps_mask(x, _mm512_load_ps(block), _CMP_GE_OQ));
}

INLINE uint32_t count_f64(const double *block, __m512d x)
{
    __mmask8 low = _mm512_cmp_pd_mask(x, _mm512_load_pd(block), _CMP_GE_OQ);
    __mmask8 high = _mm512_cmp_pd_mask(x, _mm512_load_pd(block + 8), _CMP_GE_OQ);
    return (uint32_t)_mm_popcnt_u32((uint32_t)low | (uint32_t)high << 8);
}

static void rank_f32(const struct ig_tree_rank *rank, const double *row, uint16_t *ranks)
{
    for (uint32_t i = 0; i < rank->features_count; i++) {
        const struct ig_tree_rank_feature *feature = &rank->features[i];
        float value = (float)row[feature->feature];
        __m512 x = _mm512_set1_ps(value);
        uint32_t at = 0;
        for (uint32_t l = 0; l < feature->levels; l++)
            at = at * IG_TREE_RANK_FANOUT +
                 count_f32(rank->pivots_f32 + feature->at[l] + (size_t)at * IG_TREE_RANK_FANOUT, x);
        ig_tree_rank_store(rank, i, (double)value, at, ranks);
    }
}

static void rank_f64(const struct ig_tree_rank *rank, const double *row, uint16_t *ranks)
{
    for (uint32_t i = 0; i < rank->features_count; i++) {
        const struct ig_tree_rank_feature *feature = &rank->features[i];
        double value = row[feature->feature];
        __m512d x = _mm512_set1_pd(value);
        uint32_t at = 0;
        for (uint32_t l = 0; l < feature->levels; l++)
            at = at * IG_TREE_RANK_FANOUT +
                 count_f64(rank->pivots_f64 + feature->at[l] + (size_t)at * IG_TREE_RANK_FANOUT, x);
        ig_tree_rank_store(rank, i, value, at, ranks);
    }
}

void ig_tree_rank_row_avx512(const struct ig_tree_rank *rank, const double *row, uint16_t *ranks)
{
    if (rank->f32)
        rank_f32(rank, row, ranks);
    else
        rank_f64(rank, row, ranks);
}

/* ---- one row's columns in registers ---- */

struct columns {
    __m512i part[4];
};

INLINE struct columns load_columns(const uint16_t *ranks, bool wide)
{
    struct columns columns;
    for (int i = 0; i < 4; i++) columns.part[i] = _mm512_setzero_si512();
    for (int i = 0; i < (wide ? 4 : 2); i++) columns.part[i] = _mm512_load_si512(ranks + 32 * i);
    return columns;
}

INLINE __m512i look_up(const struct columns *columns, __m512i index, bool wide)
{
    __m512i low = _mm512_permutex2var_epi16(columns->part[0], index, columns->part[1]);
    if (!wide) return low;
    __m512i high = _mm512_permutex2var_epi16(columns->part[2], index, columns->part[3]);
    return _mm512_mask_blend_epi16(_mm512_test_epi16_mask(index, _mm512_set1_epi16(64)), low, high);
}

/* The answers of 32 splits: bit set = right. */
INLINE uint32_t ask32(const struct columns *columns, const uint16_t *index,
                      const uint16_t *thresholds, bool wide)
{
    __m512i x = look_up(columns, _mm512_load_si512(index), wide);
    return _mm512_cmpge_epu16_mask(x, _mm512_load_si512(thresholds));
}

INLINE uint32_t ask16(const struct columns *columns, const uint16_t *block, bool wide)
{
    __m512i index = _mm512_castsi256_si512(_mm256_load_si256((const __m256i *)block));
    __m256i x = _mm512_castsi512_si256(look_up(columns, index, wide));
    return _mm256_cmpge_epu16_mask(x, _mm256_load_si256((const __m256i *)(block + 16)));
}

/* Entry reached after `levels` steps from entry 1, in each lane: 2^levels + exit. */
INLINE __m512i descend64(__m512i answers, int levels)
{
    const __m512i one = _mm512_set1_epi64(1);
    __m512i at = one;
    for (int l = 0; l < levels; l++)
        at = _mm512_ternarylogic_epi64(_mm512_add_epi64(at, at), _mm512_srlv_epi64(answers, at),
                                       one, 0xf8);
    return at;
}

INLINE __m512i descend32(__m512i answers, int levels)
{
    const __m512i one = _mm512_set1_epi32(1);
    __m512i at = one;
    for (int l = 0; l < levels; l++)
        at = _mm512_ternarylogic_epi32(_mm512_add_epi32(at, at), _mm512_srlv_epi32(answers, at),
                                       one, 0xf8);
    return at;
}

/* What a kernel is called for: `trees` trees from `tree` on. */
struct job {
    const struct ig_tree_plan *plan;
    const uint16_t *ranks;
    uint32_t tree;
    uint32_t trees;
    uint32_t *slots;
    uint64_t *masks;
};

/* ---- one block a tree ---- */

/* From the answers' bits to slots: 64 * tree + exit, where the entry is 64 + exit. */
INLINE void exit_block6(struct job job)
{
    __m512i base = _mm512_setr_epi64(0, 1, 2, 3, 4, 5, 6, 7);
    base = _mm512_slli_epi64(_mm512_add_epi64(base, _mm512_set1_epi64((int64_t)job.tree - 1)), 6);
    for (uint32_t t = 0; t < job.trees; t += 8) {
        __m512i at = _mm512_add_epi64(descend64(_mm512_load_si512(job.masks + t), 6), base);
        _mm256_store_si256((__m256i *)(job.slots + t), _mm512_cvtepi64_epi32(at));
        base = _mm512_add_epi64(base, _mm512_set1_epi64(8 * 64));
    }
}

INLINE void find_block6(struct job job, bool wide)
{
    struct columns columns = load_columns(job.ranks, wide);
    const uint16_t *block = job.plan->blocks + (size_t)job.tree * 128;
    for (uint32_t t = 0; t < job.trees; t++, block += 128)
        job.masks[t] = ask32(&columns, block, block + 64, wide) |
                       (uint64_t)ask32(&columns, block + 32, block + 96, wide) << 32;
    exit_block6(job);
}

/* Ranks over 254 saturate at 255, which is what stands for missing in a byte block. */
__attribute__((target("avx512vbmi"))) void
ig_tree_find_byte_block_avx512(const struct ig_tree_plan *plan, const uint16_t *ranks,
                               uint32_t group, uint32_t groups_count, uint32_t *slots,
                               uint64_t *masks)
{
    struct job job = {plan,  ranks, group * IG_TREE_GROUP, groups_count * IG_TREE_GROUP,
                      slots, masks};
    __m256i low = _mm512_cvtusepi16_epi8(_mm512_load_si512(ranks));
    __m256i high = _mm512_cvtusepi16_epi8(_mm512_load_si512(ranks + 32));
    __m512i columns = _mm512_inserti64x4(_mm512_castsi256_si512(low), high, 1);
    const uint8_t *block = plan->byte_blocks + (size_t)job.tree * 128;
    for (uint32_t t = 0; t < job.trees; t++, block += 128) {
        __m512i x = _mm512_permutexvar_epi8(_mm512_load_si512(block), columns);
        masks[t] = _mm512_cmpge_epu8_mask(x, _mm512_load_si512(block + 64));
    }
    exit_block6(job);
}

INLINE void find_block5(struct job job, int levels, bool wide)
{
    uint32_t *masks = (uint32_t *)job.masks;
    struct columns columns = load_columns(job.ranks, wide);
    const uint16_t *block = job.plan->blocks + ((size_t)job.tree * 2 << levels);
    for (uint32_t t = 0; t < job.trees; t++, block += 2 << levels)
        masks[t] =
            levels == 5 ? ask32(&columns, block, block + 32, wide) : ask16(&columns, block, wide);
    __m512i lane = _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
    for (uint32_t t = 0; t < job.trees; t += 16) {
        __m512i base = _mm512_add_epi32(lane, _mm512_set1_epi32((int)(job.tree + t) - 1));
        __m512i at = descend32(_mm512_load_si512(masks + t), levels);
        _mm512_store_si512(job.slots + t,
                           _mm512_add_epi32(at, _mm512_slli_epi32(base, (unsigned)levels)));
    }
}

void ig_tree_find_block_avx512(const struct ig_tree_plan *plan, const uint16_t *ranks,
                               uint32_t group, uint32_t groups_count, uint32_t *slots,
                               uint64_t *masks)
{
    bool wide = plan->rank.columns_count > 64;
    struct job job = {plan,  ranks, group * IG_TREE_GROUP, groups_count * IG_TREE_GROUP,
                      slots, masks};
    if (plan->levels == 6 && !wide)
        find_block6(job, false);
    else if (plan->levels == 6)
        find_block6(job, true);
    else if (plan->levels == 5)
        find_block5(job, 5, wide);
    else
        find_block5(job, 4, wide);
}

/* ---- a block and 16 below it ---- */

INLINE void find_two(struct job job, bool wide)
{
    uint32_t *masks = (uint32_t *)job.masks;
    struct columns columns = load_columns(job.ranks, wide);
    const uint16_t *top = job.plan->blocks + (size_t)job.tree * 32;
    for (uint32_t t = 0; t < job.trees; t += 2, top += 64) {
        uint32_t both = ask32(&columns, top, top + 32, wide);
        masks[t] = both & 0xffff;
        masks[t + 1] = both >> 16;
    }
    __m512i lane = _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
    for (uint32_t t = 0; t < job.trees;
         t += 16) { /* 16 * tree + exit, and the entry is 16 + exit */
        __m512i base = _mm512_add_epi32(lane, _mm512_set1_epi32((int)(job.tree + t) - 1));
        __m512i at = descend32(_mm512_load_si512(masks + t), 4);
        _mm512_store_si512(job.slots + t, _mm512_add_epi32(at, _mm512_slli_epi32(base, 4)));
    }
    const uint16_t *blocks = job.plan->blocks + (size_t)job.plan->groups_count * IG_TREE_GROUP * 32;
    for (uint32_t t = 0; t < job.trees; t++)
        masks[t] = ask16(&columns, blocks + (size_t)job.slots[t] * 32, wide);
    for (uint32_t t = 0; t < job.trees; t += 16) {
        __m512i base = _mm512_sub_epi32(_mm512_load_si512(job.slots + t), _mm512_set1_epi32(1));
        __m512i at = descend32(_mm512_load_si512(masks + t), 4);
        _mm512_store_si512(job.slots + t, _mm512_add_epi32(at, _mm512_slli_epi32(base, 4)));
    }
}

void ig_tree_find_two_blocks_avx512(const struct ig_tree_plan *plan, const uint16_t *ranks,
                                    uint32_t group, uint32_t groups_count, uint32_t *slots,
                                    uint64_t *masks)
{
    struct job job = {plan,  ranks, group * IG_TREE_GROUP, groups_count * IG_TREE_GROUP,
                      slots, masks};
    if (plan->rank.columns_count > 64)
        find_two(job, true);
    else
        find_two(job, false);
}

/* ---- linked blocks ---- */

INLINE void find_linked(const struct ig_tree_plan *plan, const uint16_t *ranks, uint32_t group,
                        uint32_t *slots, uint32_t *masks, bool wide)
{
    struct columns columns = load_columns(ranks, wide);
    const uint32_t *roots = plan->roots + (size_t)group * IG_TREE_GROUP;
    uint32_t rounds = plan->depths[group] ? plan->depths[group] : 1;
    for (uint32_t t = 0; t < IG_TREE_GROUP; t++) slots[t] = roots[t];
    for (uint32_t round = 0; round < rounds; round++) {
        __m512i at = _mm512_loadu_si512(slots);
        __mmask16 going = _mm512_movepi32_mask(at) ^ 0xffff;
        if (!going) break;
        for (uint32_t t = 0; t < IG_TREE_GROUP; t++) {
            uint32_t block = slots[t] & IG_TREE_EXIT_LEAF ? 0 : slots[t];
            masks[t] = ask16(&columns, plan->blocks + (size_t)block * 32, wide);
        }
        __m512i entry = descend32(_mm512_load_si512(masks), 4);
        __m512i exit = _mm512_add_epi32(
            _mm512_slli_epi32(_mm512_sub_epi32(at, _mm512_set1_epi32(1)), 4), entry);
        at = _mm512_mask_i32gather_epi32(at, going, exit, plan->exits, 4);
        _mm512_storeu_si512(slots, at);
    }
    __m512i leaf =
        _mm512_andnot_si512(_mm512_set1_epi32((int)IG_TREE_EXIT_LEAF), _mm512_loadu_si512(slots));
    _mm512_storeu_si512(slots, leaf);
}

void ig_tree_find_linked_avx512(const struct ig_tree_plan *plan, const uint16_t *ranks,
                                uint32_t group, uint32_t groups_count, uint32_t *slots,
                                uint64_t *masks)
{
    bool wide = plan->rank.columns_count > 64;
    for (uint32_t g = 0; g < groups_count; g++, slots += IG_TREE_GROUP) {
        if (wide)
            find_linked(plan, ranks, group + g, slots, (uint32_t *)masks, true);
        else
            find_linked(plan, ranks, group + g, slots, (uint32_t *)masks, false);
    }
}

#endif
