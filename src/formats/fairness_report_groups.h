/* SPDX-License-Identifier: Apache-2.0 */
#ifndef IG_FORMATS_FAIRNESS_REPORT_GROUPS_H
#define IG_FORMATS_FAIRNESS_REPORT_GROUPS_H

/* Groups of rows by the values of protected columns, and running moments of contributions in each.
 * Results live in the caller's arena. */

#include "base/table.h"
#include "formats/fairness_report.h"

struct ig_fairness_groups {
    struct ig_str name;
    uint32_t *of_row; /* rows_count numbers < count */
    struct ig_str *names;
    uint32_t count;
};

/* By value; a numeric column with more than IG_FAIRNESS_VALUES_MAX values by quartile. Missing
 * values are a group of their own. INVALID: too many groups. */
enum ig_code ig_fairness_groups_of(struct ig_fairness_groups *out, const struct ig_column *column,
                                   size_t rows_count, struct ig_arena *arena, struct ig_err *err);
/* By all of `parts` at once; only combinations that occur. */
enum ig_code ig_fairness_groups_cross(struct ig_fairness_groups *out,
                                      const struct ig_fairness_groups *parts, size_t parts_count,
                                      size_t rows_count, struct ig_arena *arena,
                                      struct ig_err *err);

/* Mean and variance of each feature's contribution in each group (Welford 1962). */
struct ig_fairness_moments {
    uint32_t groups_count, features_count;
    size_t *rows;           /* groups */
    double *means, *spread; /* groups x features; spread: sum of squares about the mean */
};

bool ig_fairness_moments_init(struct ig_fairness_moments *moments, uint32_t groups_count,
                              uint32_t features_count, struct ig_arena *arena);
void ig_fairness_moments_add(struct ig_fairness_moments *moments, uint32_t group,
                             const double *contributions);
/* Fills gaps[features_count], by falling difference, and returns how many: 0 when fewer than two
 * groups are compared. */
uint32_t ig_fairness_moments_gaps(const struct ig_fairness_moments *moments,
                                  const struct ig_fairness_group *groups,
                                  const struct ig_schema *schema,
                                  struct ig_fairness_attribution *gaps);

#endif
