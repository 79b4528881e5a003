/* SPDX-License-Identifier: Apache-2.0 */
#ifndef IG_API_GRAPHQL_PLAN_PRIV_H
#define IG_API_GRAPHQL_PLAN_PRIV_H

/* Shared by the files of the plan. */

#include "api/graphql_plan.h"

/* Selections that are looked at, fragments as often as they are spread. */
enum { IG_GRAPHQL_STEPS_MAX = 50000 };

struct ig_graphql_planner {
    struct ig_graphql_definition *document;
    const struct ig_graphql_definition *operation;
    struct ig_graphql_value *variables; /* that have a value, by name */
    struct ig_arena *arena;
    struct ig_err *err;
    size_t steps;
    size_t mark; /* of the walk at hand: definition->seen of the fragments that it met */
};

/* The fields of a level, those of its fragments in their places. */
struct ig_graphql_fields {
    const struct ig_graphql_selection **items;
    size_t count, cap;
};
/* With a `type`, the fragments' types and all directives are checked and followed; NULL: every
 * field of any type. A fragment is met once in a walk; `again` goes on with the walk before. */
enum ig_code ig_graphql_expand(struct ig_graphql_fields *out, struct ig_graphql_planner *planner,
                               const struct ig_graphql_selection *first, const char *type,
                               bool again);
/* MLflow's limits. */
enum ig_code ig_graphql_check_limits(struct ig_graphql_planner *planner);
/* Fills planner->variables: what was given, else the declared default. */
enum ig_code ig_graphql_declare(struct ig_graphql_planner *planner,
                                const struct ig_graphql_value *given);
/* Follows a variable; *out NULL when it has no value. */
enum ig_code ig_graphql_resolve(const struct ig_graphql_value **out,
                                const struct ig_graphql_planner *planner,
                                const struct ig_graphql_value *value);
/* The body of the call that a root field is. */
enum ig_code ig_graphql_body(struct ig_str *out, const struct ig_graphql_planner *planner,
                             const struct ig_graphql_root *root,
                             const struct ig_graphql_value *arguments);

#endif
