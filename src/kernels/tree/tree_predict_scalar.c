/* SPDX-License-Identifier: Apache-2.0 */
/* The portable kernel: 8 trees move down in step, so that their loads overlap, and the answer is
 * added to the child's index instead of branching. Stateless. */
#include "kernels/tree/tree_predict_plan.h"

enum { LANES = 8 };

/* 1 = right. A category split's table is looked up in any case: table 0 where it is none. */
static inline uint32_t ask(const struct ig_tree_plan *plan, const uint16_t *ranks,
                           struct ig_tree_test test, bool with_sets)
{
    uint32_t value = ranks[test.column];
    uint32_t reached = value >= test.threshold;
    if (!with_sets) return reached;
    uint32_t category = test.column >= plan->sets.first_column;
    uint32_t all = 0U - category;
    return (reached & ~all) |
           (ig_tree_sets_right(&plan->sets, test.threshold & all, value & all) & all);
}

static inline void find(const struct ig_tree_plan *plan, const uint16_t *ranks,
                        const uint32_t *roots, uint32_t depth, uint32_t *slots, bool with_sets)
{
    uint32_t at[LANES];
    for (int l = 0; l < LANES; l++) at[l] = roots[l];
    for (uint32_t d = 0; d < depth; d++) {
        for (int l = 0; l < LANES; l++) {
            struct ig_tree_step step = plan->steps[at[l]];
            at[l] = step.left + ask(plan, ranks, step.test, with_sets);
        }
    }
    for (int l = 0; l < LANES; l++) slots[l] = at[l];
}

void ig_tree_find_nodes(const struct ig_tree_plan *plan, const uint16_t *ranks, uint32_t group,
                        uint32_t groups_count, uint32_t *slots, uint64_t *masks)
{
    (void)masks;
    const uint32_t *roots = plan->roots + (size_t)group * IG_TREE_GROUP;
    for (uint32_t first = 0; first < groups_count * IG_TREE_GROUP; first += LANES) {
        uint32_t depth = plan->depths[group + first / IG_TREE_GROUP];
        if (plan->sets.tables_count)
            find(plan, ranks, roots + first, depth, slots + first, true);
        else
            find(plan, ranks, roots + first, depth, slots + first, false);
    }
}
