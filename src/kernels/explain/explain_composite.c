/* SPDX-License-Identifier: Apache-2.0 */
/* Explanations of ensembles of models whose margin is the weighted mean of the members' margins:
 * Shapley values and interactions are linear in the game, so they are the weighted means of the
 * members', exact where those are. With PROBABILITY the same holds of predictions that are a
 * weighted mean. Owns one prepared explainer a member. */
#include "base/mem.h"
#include "kernels/composite.h"
#include "kernels/explain/explain_priv.h"

#include <string.h>

struct by_members {
    struct ig_explain *members[IG_COMPOSITE_MEMBERS_MAX];
};

static const struct ig_composite *composite_of(const struct ig_explain *explain)
{
    return ig_engine_composite(explain->engine);
}

bool ig_explain_members_admit(const struct ig_engine *engine, enum ig_explainer method)
{
    const struct ig_composite *composite = ig_engine_composite(engine);
    if (!ig_composite_is_linear(composite)) return false;
    for (size_t i = 0; i < ig_composite_members(composite); i++)
        if (!ig_explain_admits(ig_composite_member(composite, i)->engine, method)) return false;
    return true;
}

static void dispose(struct ig_explain *explain)
{
    struct by_members *own = explain->state;
    if (!own) return;
    for (size_t i = 0; i < IG_COMPOSITE_MEMBERS_MAX; i++) ig_explain_free(own->members[i]);
    ig_free(own);
    explain->state = NULL;
}

/* What a member is prepared with: the same in its own order of features. */
struct translated {
    struct ig_background background;
    struct ig_players players;
    double *rows;
    uint32_t *of_feature;
};

static void translated_free(struct translated *own)
{
    ig_free(own->rows);
    ig_free(own->of_feature);
}

static bool translate(struct translated *own, struct ig_explain_spec *spec,
                      const struct ig_feature_map *map, uint32_t width)
{
    uint32_t features = map->features_count;
    if (ig_feature_map_is_identity(map)) return true;
    if (spec->background) {
        own->background = *spec->background;
        own->rows = ig_zalloc_array(spec->background->rows_count * features + 1, sizeof(double));
        if (!own->rows) return false;
        ig_feature_map_rows(map, spec->background->rows, spec->background->rows_count, width,
                            own->rows);
        own->background.rows = own->rows;
        own->background.features_count = features;
        spec->background = &own->background;
    }
    if (spec->players && spec->players->of_feature) {
        own->of_feature = ig_zalloc_array(features + (size_t)1, sizeof *own->of_feature);
        if (!own->of_feature) return false;
        for (uint32_t f = 0; f < features; f++)
            own->of_feature[f] = spec->players->of_feature[map->source_of ? map->source_of[f] : f];
        own->players = (struct ig_players){own->of_feature, spec->players->count};
        spec->players = &own->players;
    }
    return true;
}

static enum ig_code prepare_member(struct ig_explain **out, const struct ig_explain_spec *spec,
                                   const struct ig_composite_member *member, uint32_t width,
                                   struct ig_err *err)
{
    struct translated own = {0};
    struct ig_explain_spec translated = *spec;
    translated.categorical = NULL; /* of methods that an ensemble does not hand on */
    translated.categories = NULL;
    if (!translate(&own, &translated, &member->map, width))
        ig_fail(err, IG_NO_MEMORY, "no memory for an explainer");
    else
        ig_explain_new(out, member->engine, &translated, err);
    translated_free(&own);
    return err->code;
}

static enum ig_code prepare(struct ig_explain *explain, const struct ig_explain_spec *spec,
                            struct ig_err *err)
{
    const struct ig_composite *composite = composite_of(explain);
    size_t count = ig_composite_members(composite);
    struct ig_explain_spec each = *spec;
    if (spec->probability && !ig_composite_is_mean(composite))
        return ig_fail(err, IG_INVALID,
                       "unit: this ensemble's probability is no mean of its members'; exact, "
                       "leverage and permutation explain it, with a background");
    struct by_members *own = ig_zalloc(sizeof *own);
    if (!own) return ig_fail(err, IG_NO_MEMORY, "no memory for an explainer");
    explain->state = own;
    each.memory_max_bytes = spec->memory_max_bytes / count;
    for (size_t i = 0; i < count; i++) {
        if (prepare_member(&own->members[i], &each, ig_composite_member(composite, i),
                           ig_engine_model(explain->engine)->features_count, err) == IG_OK)
            continue;
        dispose(explain);
        return err->code;
    }
    return IG_OK;
}

/* Players of a member and of the whole differ only where each feature is its own player. */
static uint32_t player_of(const struct ig_explain *explain, const struct ig_feature_map *map,
                          uint32_t player)
{
    if (player >= map->features_count || explain->players.of_feature || !map->source_of)
        return player;
    return map->source_of[player];
}

static void add_vector(const struct ig_explain *explain, const struct ig_feature_map *map,
                       const double *from, double share, double *to)
{
    uint32_t players = explain->players.count;
    for (uint32_t p = 0; p < players; p++) to[player_of(explain, map, p)] += share * from[p];
    to[players] += share * from[players];
}

static void add_matrix(const struct ig_explain *explain, const struct ig_feature_map *map,
                       const double *from, double share, double *to)
{
    size_t side = explain->players.count + (size_t)1;
    for (uint32_t p = 0; p < side; p++)
        add_vector(explain, map, from + p * side, share,
                   to + (p + 1 == side ? p : player_of(explain, map, p)) * side);
}

/* One member's explanations into the sums. */
static enum ig_code add_member(const struct ig_explain *explain, const struct ig_explain_call *call,
                               size_t index, double *sums)
{
    const struct by_members *own = explain->state;
    const struct ig_composite *composite = composite_of(explain);
    const struct ig_composite_member *member = ig_composite_member(composite, index);
    double share = ig_composite_share(composite, index);
    uint32_t width = ig_engine_model(explain->engine)->features_count;
    size_t side = explain->players.count + (size_t)1, vectors = call->rows_count;
    bool pairs = ig_explainer_form(explain->id) == IG_EXPLAIN_INTERACTIONS;
    size_t each = pairs ? side * side : side;
    const double *rows = call->rows;
    struct ig_explanations part;
    vectors *= explain->values_count;
    if (!ig_feature_map_is_identity(&member->map)) {
        double *mapped = ig_explain_doubles(call, call->rows_count, member->map.features_count);
        if (!mapped) return call->err->code;
        ig_feature_map_rows(&member->map, rows, call->rows_count, width, mapped);
        rows = mapped;
    }
    if (ig_explain_run(&part, own->members[index],
                       &(struct ig_explain_rows){rows, call->rows_count}, call->options,
                       call->arena, call->err) != IG_OK) {
        ig_err_prefix(call->err, "members[%zu]", index);
        return call->err->code;
    }
    for (size_t v = 0; v < vectors; v++) {
        if (pairs)
            add_matrix(explain, &member->map, part.interactions + v * each, share, sums + v * each);
        else
            add_vector(explain, &member->map, part.contributions + v * each, share,
                       sums + v * each);
    }
    for (size_t i = 0; i < call->rows_count; i++) {
        call->notes[i].exact = call->notes[i].exact && part.notes[i].exact;
        call->notes[i].additivity += share * part.notes[i].additivity;
    }
    return IG_OK;
}

static enum ig_code run(const struct ig_explain *explain, const struct ig_explain_call *call)
{
    size_t side = explain->players.count + (size_t)1;
    bool pairs = ig_explainer_form(explain->id) == IG_EXPLAIN_INTERACTIONS;
    size_t each = explain->values_count * side * (pairs ? side : 1);
    double *sums = ig_explain_doubles(call, call->rows_count, each);
    if (!sums) return call->err->code;
    memset(sums, 0, call->rows_count * each * sizeof *sums);
    for (size_t i = 0; i < ig_composite_members(composite_of(explain)); i++)
        if (add_member(explain, call, i, sums) != IG_OK) return call->err->code;
    if (pairs)
        call->out->interactions = sums;
    else
        call->out->contributions = sums;
    return IG_OK;
}

static size_t memory_bytes(const struct ig_explain *explain)
{
    const struct by_members *own = explain->state;
    size_t bytes = sizeof *own;
    for (size_t i = 0; i < IG_COMPOSITE_MEMBERS_MAX && own->members[i]; i++)
        bytes += ig_explain_memory_bytes(own->members[i]);
    return bytes;
}

/* Of the first; all of them where they agree. */
static const char *variant(const struct ig_explain *explain)
{
    const struct by_members *own = explain->state;
    const char *first = ig_explain_variant(own->members[0]);
    for (size_t i = 1; i < IG_COMPOSITE_MEMBERS_MAX && own->members[i]; i++)
        if (strcmp(ig_explain_variant(own->members[i]), first) != 0) return "mixed";
    return first;
}

static const char *unit(const struct ig_explain *explain)
{
    const struct by_members *own = explain->state;
    return ig_explain_unit(own->members[0]);
}

static bool admits(const struct ig_engine *engine)
{
    return ig_engine_composite(engine) != NULL;
}

const struct ig_explain_method ig_explain_by_members = {.admits = admits,
                                                        .prepare = prepare,
                                                        .dispose = dispose,
                                                        .run = run,
                                                        .memory_bytes = memory_bytes,
                                                        .variant = variant,
                                                        .unit = unit};
