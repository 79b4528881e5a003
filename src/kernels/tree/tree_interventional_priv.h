/* SPDX-License-Identifier: Apache-2.0 */
#ifndef IG_KERNELS_TREE_TREE_INTERVENTIONAL_PRIV_H
#define IG_KERNELS_TREE_TREE_INTERVENTIONAL_PRIV_H

/* The compiled form.
 *
 * The state of a node is one bit for each different player on its path, in the order of their first
 * split: whether the row passes all of that player's splits. A step turns a split's state into
 * those of its children. Where at most two levels of splits are left the steps end in a unit: its
 * root's state and the outcomes of its one to three splits index a table of what the unit's leaves
 * give to its players. A lone leaf is a unit without splits; a leaf with too many players is
 * walked: it keeps the background's different states instead of a table. */

#include "kernels/tree/tree_interventional.h"
#include "kernels/tree/tree_shap_compile.h"

enum {
    IG_INTERVENTIONAL_UNIT_SPLITS = 3,
    IG_INTERVENTIONAL_UNIT_LEVELS = 2,
    IG_INTERVENTIONAL_LEAF_PLAYERS = 10, /* of a leaf with a table: 3^10 pairs of states */
    IG_INTERVENTIONAL_INDEX_BITS = 12,
    IG_INTERVENTIONAL_PLAYERS_MAX = 64,
    IG_INTERVENTIONAL_MATRIX_MAX = 16384, /* players of interactions */
};

/* left = (s | (m & first)) & (m | keep) with m = outcome << bit, right likewise with the other
 * outcome; `first`: all ones where the player is new on the path, `keep`: all but its bit where it
 * is not. */
struct ig_interventional_step {
    uint64_t first, keep;
    uint32_t split; /* model node */
    uint32_t from;  /* states */
    uint32_t left, right;
    uint8_t bit;
};

struct ig_interventional_unit {
    size_t table;  /* first value, in tables; a walked leaf: first of its patterns */
    uint32_t root; /* model node */
    uint32_t state;
    uint32_t players_first; /* into players: width of them; with interactions, before them the
                               places in a row's matrix of a table entry's values */
    uint32_t splits[IG_INTERVENTIONAL_UNIT_SPLITS];
    uint32_t patterns_count; /* walked; without a background: its players' shares */
    double value;            /* walked: the leaf's */
    uint8_t state_bits;
    uint8_t splits_count;
    uint8_t width;   /* players */
    uint16_t values; /* an entry: of each player, then of each pair a < b */
    bool walked;
};

/* A tree for one output. */
struct ig_interventional_job {
    uint32_t tree, output;
    uint32_t steps_first, steps_count;
    uint32_t units_first, units_count;
};

struct ig_interventional_pattern {
    uint64_t state;
    double share; /* of the background */
};

struct ig_tree_interventional {
    struct ig_tree_shap keys; /* slots and ranks: how rows become keys; its arena owns the rest */
    struct ig_interventional_job *jobs;
    struct ig_interventional_step *steps;
    struct ig_interventional_unit *units;
    uint32_t *players; /* of units */
    uint32_t jobs_count, steps_count, units_count, players_count;
    uint32_t states_max; /* of a job */
    uint32_t units_max;
    uint32_t *slot; /* of each model node; and its threshold */
    float *threshold;
    void *tables; /* floats, or doubles when is_double */
    size_t values_count;
    bool is_double;
    bool interactions;
    bool by_covers; /* no background */
    struct ig_interventional_pattern *patterns;
    size_t patterns_count, patterns_cap, patterns_max;
    double *weight; /* [s * (PLAYERS_MAX + 1) + n] = 1 / (s * C(n, s)) for 1 <= s <= n */
    double *points; /* Gauss-Legendre rules of 1, 2, ... points, one after the other */
    double *point_weights;
    double *pair_weight; /* [s * (PLAYERS_MAX + 1) + n] = s! (n - s)! / (n + 1)! */
    double *base;        /* outputs_count */
    struct ig_tree_interventional_plan plan;
};

/* Jobs, steps, units: all but the tables' contents. */
enum ig_code ig_tree_interventional_lay(struct ig_tree_interventional *self,
                                        const struct ig_shap_compiler *c, size_t memory_max_bytes,
                                        struct ig_err *err);
/* The tables, patterns and base values from the background. */
enum ig_code ig_tree_interventional_fill(struct ig_tree_interventional *self,
                                         const struct ig_shap_compiler *c,
                                         const struct ig_background *background,
                                         struct ig_err *err);

static inline double ig_interventional_weight(const struct ig_tree_interventional *self, uint32_t s,
                                              uint32_t n)
{
    return self->weight[s * (IG_INTERVENTIONAL_PLAYERS_MAX + 1) + n];
}

/* Of the pair, with n - 2 others of which s are needed and the rest are not allowed. */
static inline double ig_interventional_pair(const struct ig_tree_interventional *self, uint32_t s,
                                            uint32_t n)
{
    return self->pair_weight[s * (IG_INTERVENTIONAL_PLAYERS_MAX + 1) + n - 2];
}

/* Place of the pair a < b among an entry's values. */
static inline uint32_t ig_interventional_place(uint32_t width, uint32_t a, uint32_t b)
{
    return width + a * width - a * (a + 1) / 2 + b - a - 1;
}

static inline void ig_interventional_step(const struct ig_interventional_step *step, uint64_t state,
                                          bool goes_left, uint64_t *left, uint64_t *right)
{
    uint64_t bit = (uint64_t)1 << step->bit;
    uint64_t mask = (uint64_t)goes_left << step->bit, other = mask ^ bit;
    *left = (state | (mask & step->first)) & (mask | step->keep);
    *right = (state | (other & step->first)) & (other | step->keep);
}

#endif
