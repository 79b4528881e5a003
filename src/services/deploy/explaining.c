/* SPDX-License-Identifier: Apache-2.0 */
/* Chooses explainers. Owns nothing. Thread rule: pure, but for the servable's prepared set, to
 * which a call that may wait adds. */
#include "services/deploy/explaining.h"

#include "base/mem.h"

#include <stdio.h>
#include <string.h>

struct chooser {
    const struct ig_servable *servable;
    struct ig_backgrounds *backgrounds;
    const struct ig_explain_ask *ask;
    char background[IG_SHA256_HEX];
    bool wait;
    struct ig_err *err;
};

bool ig_explaining_find_background(char digest[IG_SHA256_HEX], struct ig_backgrounds *backgrounds,
                                   struct ig_str model, struct ig_str name, bool wait,
                                   struct ig_err *err)
{
    if (!name.ptr) return true;
    switch (ig_backgrounds_find(digest, backgrounds, model, name, wait)) {
    case IG_BACKGROUND_BUSY:
        return false;
    case IG_BACKGROUND_ABSENT:
        ig_fail(err, IG_INVALID, "background: model '%.*s' has no background '%.*s'",
                IG_STR_ARGS(model), (int)(name.len > 64 ? 64 : name.len), name.ptr);
        return true;
    default:
        return true;
    }
}

/* False: not now. Else the digest, or err. */
static bool find_background(struct chooser *chooser)
{
    struct ig_str known = chooser->ask->background_digest;
    if (!known.len)
        return ig_explaining_find_background(chooser->background, chooser->backgrounds,
                                             ig_str_view(chooser->servable->model),
                                             chooser->ask->background, chooser->wait, chooser->err);
    snprintf(chooser->background, sizeof chooser->background, "%.*s", IG_STR_ARGS(known));
    return true;
}

/* features_count flags, to be freed; NULL: no memory. */
static uint32_t *categories_of(const struct ig_schema *schema)
{
    uint32_t *counts = ig_zalloc_array(schema->features_count + (size_t)1, sizeof *counts);
    for (uint32_t i = 0; counts && i < schema->features_count; i++)
        counts[i] = schema->features[i].categories_count;
    return counts;
}

static bool *categorical_of(const struct ig_schema *schema)
{
    bool *flags = ig_zalloc_array(schema->features_count + (size_t)1, sizeof *flags);
    for (uint32_t i = 0; flags && i < schema->features_count; i++)
        flags[i] = schema->features[i].type == IG_FEATURE_CATEGORICAL;
    return flags;
}

static const struct ig_explain *prepare(struct chooser *chooser, const struct ig_prepared_key *key)
{
    const struct ig_servable *servable = chooser->servable;
    const struct ig_package *package = servable->package;
    const struct ig_explain *found = NULL;
    struct ig_background_table *table = NULL;
    struct ig_explain_spec spec = {
        .method = key->method, .probability = key->probability, .players = &chooser->ask->players};
    if (key->background[0]) {
        if (ig_backgrounds_read(&table, chooser->backgrounds, ig_str_view(key->background),
                                &package->schema, chooser->err) != IG_OK)
            return NULL;
        spec.background = &table->background;
    }
    bool *categorical = categorical_of(&package->schema);
    uint32_t *categories = categories_of(&package->schema);
    spec.categorical = categorical;
    spec.categories = categories;
    if (categorical && categories)
        ig_prepared_make(&found, servable->prepared, key, package->engine, &spec, chooser->err);
    else
        ig_fail(chooser->err, IG_NO_MEMORY, "explanation");
    ig_free(categorical);
    ig_free(categories);
    ig_background_table_free(table);
    return found;
}

/* The prepared explainer of a method. False: not now; else *out, or err. */
static bool find_method(const struct ig_explain **out, struct chooser *chooser,
                        enum ig_explainer method)
{
    const struct ig_explain_ask *ask = chooser->ask;
    struct ig_prepared_key key = {.method = method, .probability = ask->probability};
    if (ig_explainer_takes(method, IG_EXPLAINER_BACKGROUND))
        memcpy(key.background, chooser->background, sizeof key.background);
    ig_prepared_groups(key.groups, &ask->players,
                       chooser->servable->package->model->features_count);
    *out = ig_prepared_find(chooser->servable->prepared, &key);
    if (*out) return true;
    if (!chooser->wait) return false;
    *out = prepare(chooser, &key);
    return true;
}

static void settle(struct ig_explain_choice *out, const struct chooser *chooser,
                   enum ig_explainer method, const struct ig_explain *explain)
{
    *out = (struct ig_explain_choice){.method = method,
                                      .explain = explain,
                                      .probability = chooser->ask->probability,
                                      .players = chooser->ask->players,
                                      .unit = explain ? ig_explain_unit(explain) : "margin",
                                      .variant = explain ? ig_explain_variant(explain) : ""};
    if (ig_explainer_takes(method, IG_EXPLAINER_BACKGROUND))
        memcpy(out->background, chooser->background, sizeof out->background);
    out->cost_ns =
        explain ? ig_explain_cost_ns(explain, chooser->ask->rows_count, &chooser->ask->options)
                : ig_engine_cost_ns(chooser->servable->package->engine, IG_ENGINE_CONTRIBUTIONS,
                                    chooser->ask->rows_count);
}

/* The engine's own values need no preparing. */
static bool is_plain(const struct ig_explain_ask *ask, enum ig_explainer method)
{
    return method == IG_EXPLAINER_TREE_PATH_DEPENDENT && !ask->players.of_feature &&
           !ask->probability;
}

static bool choose_method(struct ig_explain_choice *out, struct chooser *chooser,
                          enum ig_explainer method)
{
    const struct ig_explain *explain = NULL;
    bool known = true;
    if (is_plain(chooser->ask, method)) {
        if (!ig_engine_explains(chooser->servable->package->engine)) {
            ig_fail(chooser->err, IG_UNSUPPORTED,
                    "explain: leaves of this model are linear functions, which have no exact tree "
                    "explanation; methods exact, leverage and permutation take any model");
            return true;
        }
    } else {
        known = find_method(&explain, chooser, method);
        if (!known || !explain) return known;
    }
    settle(out, chooser, method, explain);
    return true;
}

/* Whether a method was refused for its size; the next may fit. */
static bool has_no_room(struct ig_err *err)
{
    if (err->code != IG_EXHAUSTED && err->code != IG_TOO_LARGE) return false;
    *err = IG_ERR_INIT;
    return true;
}

/* The first by quality whose cost is within the budget. */
static bool choose_by_budget(struct ig_explain_choice *out, struct chooser *chooser)
{
    const struct ig_explain_ask *ask = chooser->ask;
    const struct ig_engine *engine = chooser->servable->package->engine;
    const struct ig_explain_wish wish = {
        chooser->background[0] != 0, ask->probability,
        ask->players.of_feature ? ask->players.count : ig_engine_model(engine)->features_count};
    struct ig_explain_search search = {.budget_ns = ask->budget_ns};
    size_t count;
    const enum ig_explainer *methods = ig_explain_by_quality(&count, ask->probability);
    for (size_t i = 0; i < count; i++) {
        struct ig_explain_choice choice = {0};
        if (!ig_explain_suits(engine, methods[i], &wish)) continue;
        if (!choose_method(&choice, chooser, methods[i])) return false;
        if (has_no_room(chooser->err)) continue;
        if (chooser->err->code != IG_OK) return true;
        if (!ig_explain_search_offer(choice.why, &search, choice.method, choice.cost_ns)) continue;
        *out = choice;
        return true;
    }
    ig_explain_search_fail(&search, chooser->err);
    return true;
}

static enum ig_code check_options(const struct ig_explain_ask *ask, enum ig_explainer method,
                                  struct ig_err *err)
{
    unsigned given = ask->given;
    size_t count;
    const enum ig_explainer *methods = ig_explain_by_quality(&count, ask->probability);
    if (ask->background.ptr) given |= 1U << IG_EXPLAIN_OPTION_BACKGROUND;
    if (!ask->method_given && ask->budget_ns)
        return ig_explain_options_check(given, methods, count, IG_EXPLAIN_OF_REQUESTS, err);
    return ig_explain_options_check(given, &method, 1, IG_EXPLAIN_OF_REQUESTS, err);
}

bool ig_explaining_choose(struct ig_explain_choice *out, const struct ig_servable *servable,
                          struct ig_backgrounds *backgrounds, const struct ig_explain_ask *ask,
                          bool wait, struct ig_err *err)
{
    struct chooser chooser = {servable, backgrounds, ask, {0}, wait, err};
    struct ig_explain_choice choice = {0};
    bool has_background = ask->background.ptr != NULL, known;
    enum ig_explainer method = ask->method;
    if (!ask->method_given) method = ig_explain_default(servable->package->engine, has_background);
    if (check_options(ask, method, err) != IG_OK) return true;
    if (!find_background(&chooser)) return false;
    if (err->code != IG_OK) return true;
    if (!ask->method_given && ask->budget_ns) {
        known = choose_by_budget(&choice, &chooser);
    } else {
        known = choose_method(&choice, &chooser, method);
        if (known && err->code == IG_OK && ask->budget_ns)
            ig_explain_check_budget(choice.why, choice.method, choice.cost_ns, ask->budget_ns, err);
    }
    if (known && err->code == IG_OK) *out = choice;
    return known;
}
