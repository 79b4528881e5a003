/* SPDX-License-Identifier: Apache-2.0 */
#ifndef IG_KERNELS_EXPLAIN_EXPLAIN_BUDGET_H
#define IG_KERNELS_EXPLAIN_EXPLAIN_BUDGET_H

/* Which method explains within a time: the one that is named, or the best that fits, by measured
 * costs. */

#include "kernels/explain/explain.h"

enum { IG_EXPLAIN_WHY_SIZE = 160 };

/* What is asked for besides the method. */
struct ig_explain_wish {
    bool background, probability;
    uint32_t players;
};

/* From the best to the cheapest; *count of them. Of probabilities, what plays their game (if only
 * on samples) is better than what scales the margin's contributions. */
const enum ig_explainer *ig_explain_by_quality(size_t *count, bool probability);
/* Whether a method may be chosen for this model and wish. */
bool ig_explain_suits(const struct ig_engine *engine, enum ig_explainer method,
                      const struct ig_explain_wish *wish);

/* A search offers methods in their order, with their estimated costs; the first that fits ends it.
 * Sampling fits when a tenth of its usual samples does. Begins as {.budget_ns = ...}. */
struct ig_explain_search {
    uint64_t budget_ns, cheapest_ns; /* 0: nothing was offered */
    const char *cheapest;
};
/* True: it fits, and `why` says so. */
bool ig_explain_search_offer(char why[IG_EXPLAIN_WHY_SIZE], struct ig_explain_search *search,
                             enum ig_explainer method, uint64_t cost_ns);
/* INVALID, naming the cheapest that was offered. */
enum ig_code ig_explain_search_fail(const struct ig_explain_search *search, struct ig_err *err);
/* Of a method that was asked for: one that samples stops in time; INVALID when another takes
 * longer. */
enum ig_code ig_explain_check_budget(char why[IG_EXPLAIN_WHY_SIZE], enum ig_explainer method,
                                     uint64_t cost_ns, uint64_t budget_ns, struct ig_err *err);

struct ig_explain_budget {
    uint64_t row_ns;                          /* time of one row, at least 1 */
    bool named;                               /* the spec's method was asked for */
    const struct ig_explain_options *options; /* of the run */
    char why[IG_EXPLAIN_WHY_SIZE];            /* set: why this method */
};

/* As ig_explain_new, within a budget; without a name the spec's method is not looked at. */
enum ig_code ig_explain_new_within(struct ig_explain **out, const struct ig_engine *engine,
                                   const struct ig_explain_spec *spec,
                                   struct ig_explain_budget *budget, struct ig_err *err);

#endif
