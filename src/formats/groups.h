/* SPDX-License-Identifier: Apache-2.0 */
#ifndef IG_FORMATS_GROUPS_H
#define IG_FORMATS_GROUPS_H

/* Groups of features by name, that explanations take for one player each. Features that no group
 * names play alone, under their own names. Players are in the model's order; a group stands where
 * its first feature does. */

#include "base/arena.h"
#include "formats/schema.h"
#include "kernels/composite.h"
#include "kernels/explain/background.h"

struct ig_groups {
    struct ig_players players;  /* of_feature NULL: there are no groups */
    const struct ig_str *names; /* players.count; NULL without groups */
};

struct ig_groups_builder {
    const struct ig_schema *schema;
    uint32_t *group_of; /* by feature: number of its group from 1; 0: none */
    struct ig_str *groups;
    struct ig_arena *arena;
    uint32_t count;
    bool is_empty; /* the last group has no feature yet */
};

/* Everything lives in the arena; names are borrowed. */
enum ig_code ig_groups_begin(struct ig_groups_builder *builder, const struct ig_schema *schema,
                             struct ig_arena *arena, struct ig_err *err);
/* The features that follow are this group's. INVALID (as below, beginning with "groups"): its name
 * is taken by another, the one before has no feature. */
enum ig_code ig_groups_add(struct ig_groups_builder *builder, struct ig_str name,
                           struct ig_err *err);
/* INVALID: the model has no such feature, or it is in a group already. */
enum ig_code ig_groups_add_feature(struct ig_groups_builder *builder, struct ig_str name,
                                   struct ig_err *err);
/* INVALID: a group has the name of a feature that is not its own. */
enum ig_code ig_groups_end(struct ig_groups *out, struct ig_groups_builder *builder,
                           struct ig_err *err);

/* The same players of a model that numbers the features by `map` (NULL: alike): in the arena, or
 * the ones given. */
enum ig_code ig_groups_map(struct ig_players *out, const struct ig_players *players,
                           const struct ig_feature_map *map, struct ig_arena *arena,
                           struct ig_err *err);

#endif
