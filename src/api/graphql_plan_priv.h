/* SPDX-License-Identifier: Apache-2.0 */
#ifndef IG_API_GRAPHQL_PLAN_PRIV_H
#define IG_API_GRAPHQL_PLAN_PRIV_H

/* Shared by the files of the plan. */

#include "api/graphql_plan.h"

/* The table's rows (graphql_schema.c); NULL: there is none. */
const struct ig_graphql_root *ig_graphql_root_find(const char *operation, struct ig_str name);
const struct ig_graphql_field *ig_graphql_field_find(const char *type, struct ig_str name);
const struct ig_graphql_input *ig_graphql_input_find(const char *type, struct ig_str name);
/* An argument of a root whose input is bare that has to be told and is none of these. */
const struct ig_graphql_input *ig_graphql_input_lacking(const char *type,
                                                        const struct ig_graphql_value *given);
bool ig_graphql_is_type(struct ig_str name); /* of objects */
bool ig_graphql_is_bare(
    const struct ig_graphql_root *root); /* its arguments are its input's fields */
bool ig_graphql_has_word(const char *enumeration, struct ig_str word);
#define IG_GRAPHQL_VIEW "MlflowViewType" /* the only enumeration of inputs */

/* As much of a text as messages have. */
struct ig_str ig_graphql_shown(struct ig_str text);

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
