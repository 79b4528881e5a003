/* SPDX-License-Identifier: Apache-2.0 */
#ifndef IG_KERNELS_TREE_TREE_SHAP_PRIV_H
#define IG_KERNELS_TREE_TREE_SHAP_PRIV_H

/* The compiled form of an ensemble for SHAP values, shared by compiler, kernels and runner.
 *
 * A split carries the quadrature points C down and the conditional means G up, both one number a
 * point. With r its share to child a, z the product of its player's shares above it (1 for the
 * first split of the player: a feature, or a group of them), tau = t/(z + t(1-z)), sigma = z/(z +
 * t(1-z))^2 and s = o_a - r, or s = 0 where a split above it on the same feature already excludes
 * the row:
 *
 *     R = r + tau*s    C_a = C*R    C_b = C - C_a
 *     D = G_a - G_b    G = G_b + R*D    phi[feature] += C*s*sigma*D
 *
 * A split with two leaves (a "bottom") has D = v_a - v_b constant: with u = s*D and mean g it is
 * phi += C*u*sigma, G = g + tau*u. C at a root is the vector of quadrature weights, and a lane of
 * phi is summed over points at the end.
 *
 * Splits that own a value (all but bottoms below another split) are sorted by level, then by kind,
 * into spans, so that the kernels are loops without a branch. */

#include "kernels/tree/tree_shap.h"
#include "kernels/tree/tree_shap_leaf.h"

#include <math.h>

/* Kernels are specialised by inlining, which instrumented builds are spared: it takes minutes. */
#if defined(__clang__)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define IG_SHAP_INLINE static inline
#endif
#elif defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__) || !defined(__OPTIMIZE__)
#define IG_SHAP_INLINE static inline
#endif
#if !defined(IG_SHAP_INLINE)
#define IG_SHAP_INLINE static inline __attribute__((always_inline))
#endif

/* Before a loop over the points of a pass, whose number is a constant. */
#if defined(__clang__)
#define IG_SHAP_UNROLL _Pragma("unroll")
#else
#define IG_SHAP_UNROLL _Pragma("GCC unroll 4")
#endif

enum {
    IG_SHAP_POINTS_MAX = 1024,
    IG_SHAP_SPLITS_ALIGN = 16, /* each block's splits are padded to a multiple */
    IG_SHAP_PASS = 4,          /* points a pass of the batch kernel */
    IG_SHAP_ALIGN = 64,
    IG_SHAP_LANES_MAX = 16,
    IG_SHAP_SLACK = 16, /* elements past its last that the kernel of one row may read */
};

/* Kinds of split, by child a and child b: inner, bottom, leaf. */
enum ig_shap_kind {
    IG_SHAP_INNER_INNER,
    IG_SHAP_INNER_LEAF,
    IG_SHAP_INNER_BOTTOM,
    IG_SHAP_BOTTOM_BOTTOM, /* from here on nothing below needs C */
    IG_SHAP_BOTTOM_LEAF,
    IG_SHAP_BOTTOM, /* a tree of one split */
    IG_SHAP_KINDS_COUNT,
};

/* `count` splits of one kind; value i is value_first + i; a split and then its bottoms a, b take
 * consecutive indices of the block's splits. */
struct ig_shap_span {
    uint32_t kind;
    bool repeats; /* some of its splits repeat a feature of their path */
    uint32_t count;
    uint32_t value_first;
    uint32_t split_first;
    uint32_t child_first; /* into children: values of the inner children */
    uint32_t leaf_first;  /* into leaves */
};

/* Trees of one output and one number of points, computed and summed together. */
struct ig_shap_block {
    uint32_t output;
    uint32_t points;
    uint32_t padded;      /* points padded to 4, 8 or a multiple of 16 */
    uint32_t table_first; /* weights[padded], then tau[padded], sigma[padded] of a first split */
    uint32_t spans_first;
    uint32_t spans_count;
    uint32_t splits_first; /* multiple of IG_SHAP_SPLITS_ALIGN */
    uint32_t splits_count;
    uint32_t values_count;
    uint32_t roots_first; /* values of its trees' roots */
    uint32_t roots_count;
    uint32_t features_first; /* block's player -> used player */
    uint32_t features_count;
    uint32_t repeats_first;
    uint32_t repeats_count;
};

/* A split that is off unless `above` (earlier in the block) is on and went this way. */
struct ig_shap_repeat {
    uint32_t split; /* within the block */
    uint32_t above;
    int32_t went; /* -1: left, 0: right */
};

/* All of a split in one place, for the batch. */
struct ig_shap_split_f32 {
    uint32_t slot;
    float threshold;
    uint32_t feature; /* within the block */
    uint32_t above;   /* 0, or 2*(split + 1) + (1: right) of the split that it repeats */
    uint32_t table;
    float left;
    float right;
    float mean;
};

struct ig_shap_split_f64 {
    uint32_t slot;
    float threshold;
    uint32_t feature;
    uint32_t above;
    uint32_t table;
    double left;
    double right;
    double mean;
};

/* Numbers in the precision of the lanes. Those of a split are indexed like its thresholds. */
struct ig_shap_constants {
    void *left;  /* s (or u) of a split where the row goes left */
    void *right; /* and right */
    void *mean;  /* r; of a bottom: g */
    void *leaves;
    void *table;
    void *splits; /* records; absent where only single rows are run */
};

/* What a row is compared by: keys[slot] <= threshold goes left. */
struct ig_shap_slot {
    uint32_t feature;
    uint32_t node;  /* in the model: its own decision gives -inf (left) or NaN; else NONE */
    uint32_t ranks; /* into ranks: the feature's sorted thresholds */
    uint32_t ranks_count;
    uint8_t missing; /* enum ig_node_missing */
    uint8_t flags;   /* enum ig_node_flags */
};

struct ig_shap_work {
    const float *keys; /* slots x lanes */
    double *sums;      /* used players x lanes, added to */
    void *values;
    void *phi;
    void *chosen;
    int32_t *went;
};

struct ig_shap_kernel {
    uint32_t lanes;      /* of the batch */
    uint32_t batch_from; /* rows from which it is faster than one by one */
    uint32_t mask_bytes;
    void (*one)(const struct ig_tree_shap *shap, const struct ig_shap_block *block,
                const struct ig_shap_work *work);
    void (*batch)(const struct ig_tree_shap *shap, const struct ig_shap_block *block,
                  const struct ig_shap_work *work);
};

struct ig_shap_variant {
    const char *name;
    struct ig_shap_kernel f32;
    struct ig_shap_kernel f64;
};

struct ig_tree_shap {
    const struct ig_model *model;
    struct ig_arena arena; /* owns the arrays */
    const struct ig_shap_variant *variant;
    bool is_double;
    double *base; /* outputs_count */

    struct ig_shap_block *blocks; /* by output */
    uint32_t blocks_count;
    struct ig_shap_span *spans;
    uint32_t *children; /* values, times IG_SHAP_PASS */
    uint32_t *roots;
    uint32_t *features;
    struct ig_shap_repeat *repeats;

    /* of each split */
    uint32_t *slot;
    float *threshold;
    uint32_t *feature;            /* within the block, times IG_SHAP_PASS */
    uint32_t *table;              /* tau, then sigma, `padded` later */
    struct ig_shap_constants f32; /* absent when is_double */
    struct ig_shap_constants f64;

    struct ig_shap_slot *slots;
    uint32_t slots_count;
    double *ranks;             /* thresholds of models that compare doubles */
    struct ig_players players; /* of_feature: own copy, or NULL */
    uint32_t *used;            /* used player -> player, ascending */
    uint32_t used_count;

    uint32_t splits_max; /* greatest of a block */
    uint32_t values_max;
    uint32_t features_max;
};

extern const struct ig_shap_variant ig_shap_scalar;
extern const struct ig_shap_variant ig_shap_avx2;
extern const struct ig_shap_variant ig_shap_avx512;

enum ig_code ig_tree_shap_compile(struct ig_tree_shap *shap, struct ig_err *err);
/* Points and weights of the exact rule for degree 2*count - 1 on [0, 1]. */
void ig_tree_shap_quadrature(uint32_t count, double *points, double *weights);
/* keys[slot * lanes + lane]; lanes past the last row repeat it. lanes <= IG_SHAP_LANES_MAX. */
void ig_tree_shap_keys(const struct ig_tree_shap *shap, const double *rows, size_t rows_count,
                       size_t lanes, float *keys);

#endif
