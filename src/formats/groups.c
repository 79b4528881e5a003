/* SPDX-License-Identifier: Apache-2.0 */
/* From groups by name to players by number. Owns nothing; all memory is the arena's. */
#include "formats/groups.h"

/* For "%.*s": no more of a foreign name than a message can hold. */
#define SHOWN(text) (int)((text).len > 64 ? 64 : (text).len), (text).ptr

enum ig_code ig_groups_begin(struct ig_groups_builder *builder, const struct ig_schema *schema,
                             struct ig_arena *arena, struct ig_err *err)
{
    *builder = (struct ig_groups_builder){.schema = schema, .arena = arena};
    uint32_t features = schema->features_count;
    builder->group_of = ig_arena_array(arena, features, sizeof *builder->group_of);
    builder->groups = ig_arena_array(arena, features, sizeof *builder->groups);
    if (builder->group_of && builder->groups) return IG_OK;
    return ig_fail(err, IG_NO_MEMORY, "groups: no memory for %u features", features);
}

static enum ig_code check_last(const struct ig_groups_builder *builder, struct ig_err *err)
{
    if (!builder->is_empty) return IG_OK;
    struct ig_str last = builder->groups[builder->count - 1];
    return ig_fail(err, IG_INVALID, "groups.%.*s: at least one feature is expected", SHOWN(last));
}

enum ig_code ig_groups_add(struct ig_groups_builder *builder, struct ig_str name,
                           struct ig_err *err)
{
    if (check_last(builder, err) != IG_OK) return err->code;
    if (builder->count == builder->schema->features_count)
        return ig_fail(err, IG_INVALID, "groups: more than the model's %u features",
                       builder->schema->features_count);
    for (uint32_t i = 0; i < builder->count; i++)
        if (ig_str_eq(builder->groups[i], name))
            return ig_fail(err, IG_INVALID, "groups: '%.*s' is given twice", SHOWN(name));
    builder->groups[builder->count++] = name;
    builder->is_empty = true;
    return IG_OK;
}

enum ig_code ig_groups_add_feature(struct ig_groups_builder *builder, struct ig_str name,
                                   struct ig_err *err)
{
    struct ig_str group = builder->groups[builder->count - 1];
    int32_t feature = ig_schema_feature_index(builder->schema, name);
    if (feature < 0)
        return ig_fail(err, IG_INVALID, "groups.%.*s: the model has no feature '%.*s'",
                       SHOWN(group), SHOWN(name));
    if (builder->group_of[feature])
        return ig_fail(err, IG_INVALID, "groups.%.*s: feature '%.*s' is in a group already",
                       SHOWN(group), SHOWN(name));
    builder->group_of[feature] = builder->count;
    builder->is_empty = false;
    return IG_OK;
}

static enum ig_code check_names(const struct ig_groups_builder *builder, struct ig_err *err)
{
    for (uint32_t i = 0; i < builder->count; i++) {
        int32_t feature = ig_schema_feature_index(builder->schema, builder->groups[i]);
        if (feature >= 0 && builder->group_of[feature] != i + 1)
            return ig_fail(err, IG_INVALID, "groups: '%.*s' is the name of a feature outside it",
                           SHOWN(builder->groups[i]));
    }
    return IG_OK;
}

enum ig_code ig_groups_end(struct ig_groups *out, struct ig_groups_builder *builder,
                           struct ig_err *err)
{
    const struct ig_schema *schema = builder->schema;
    uint32_t features = schema->features_count, count = 0;
    if (check_last(builder, err) != IG_OK || check_names(builder, err) != IG_OK) return err->code;
    if (builder->count == 0) {
        *out = (struct ig_groups){{NULL, features}, NULL};
        return IG_OK;
    }
    uint32_t *player_of = ig_arena_array(builder->arena, builder->count, sizeof *player_of);
    struct ig_str *names = ig_arena_array(builder->arena, features, sizeof *names);
    if (!player_of || !names)
        return ig_fail(err, IG_NO_MEMORY, "groups: no memory for %u features", features);
    for (uint32_t f = 0; f < features; f++) { /* player_of: from 1, 0 is none yet */
        uint32_t group = builder->group_of[f];
        if (group && player_of[group - 1]) {
            builder->group_of[f] = player_of[group - 1] - 1;
            continue;
        }
        names[count] = group ? builder->groups[group - 1] : schema->features[f].name;
        builder->group_of[f] = count++;
        if (group) player_of[group - 1] = count;
    }
    *out = (struct ig_groups){{builder->group_of, count}, names};
    return IG_OK;
}

enum ig_code ig_groups_map(struct ig_players *out, const struct ig_players *players,
                           const struct ig_feature_map *map, struct ig_arena *arena,
                           struct ig_err *err)
{
    *out = *players;
    if (!players->of_feature || !map || !map->source_of) return IG_OK;
    uint32_t *of_feature = ig_arena_array(arena, map->features_count, sizeof *of_feature);
    if (!of_feature)
        return ig_fail(err, IG_NO_MEMORY, "groups: no memory for %u features", map->features_count);
    for (uint32_t f = 0; f < map->features_count; f++)
        of_feature[f] = players->of_feature[map->source_of[f]];
    out->of_feature = of_feature;
    return IG_OK;
}
