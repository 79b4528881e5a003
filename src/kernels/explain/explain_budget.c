/* SPDX-License-Identifier: Apache-2.0 */
/* Compares what methods cost with the time there is. Owns nothing; pure, but that candidates are
 * prepared and freed. */
#include "kernels/explain/explain_budget.h"

#include <stdio.h>

static const enum ig_explainer OF_MARGINS[] = {
    IG_EXPLAINER_TREE_INTERVENTIONAL, IG_EXPLAINER_LINEAR,   IG_EXPLAINER_EXACT,
    IG_EXPLAINER_TREE_PATH_DEPENDENT, IG_EXPLAINER_LEVERAGE, IG_EXPLAINER_SAABAS,
};
static const enum ig_explainer OF_PROBABILITIES[] = {IG_EXPLAINER_EXACT, IG_EXPLAINER_LEVERAGE,
                                                     IG_EXPLAINER_TREE_INTERVENTIONAL};

enum { EXACT_PLAYERS_MAX = 11, SAMPLES_SHARE = 10 };

static unsigned long long us(uint64_t ns)
{
    return ns / 1000;
}

const enum ig_explainer *ig_explain_by_quality(size_t *count, bool probability)
{
    *count = (probability ? sizeof OF_PROBABILITIES : sizeof OF_MARGINS) / sizeof *OF_MARGINS;
    return probability ? OF_PROBABILITIES : OF_MARGINS;
}

bool ig_explain_suits(const struct ig_engine *engine, enum ig_explainer method,
                      const struct ig_explain_wish *wish)
{
    if (!ig_explain_admits(engine, method)) return false;
    if (ig_explainer_needs_background(method) && !wish->background) return false;
    if (wish->probability && !ig_explainer_takes(method, IG_EXPLAINER_PROBABILITY)) return false;
    return method != IG_EXPLAINER_EXACT || wish->players <= EXACT_PLAYERS_MAX;
}

bool ig_explain_search_offer(char why[IG_EXPLAIN_WHY_SIZE], struct ig_explain_search *search,
                             enum ig_explainer method, uint64_t cost_ns)
{
    bool sampled = ig_explainer_takes(method, IG_EXPLAINER_SAMPLED);
    uint64_t least = sampled ? cost_ns / SAMPLES_SHARE + 1 : cost_ns;
    if (!search->cheapest || least < search->cheapest_ns) {
        search->cheapest_ns = least;
        search->cheapest = ig_explainer_name(method);
    }
    if (least > search->budget_ns) return false;
    if (cost_ns > search->budget_ns)
        snprintf(why, IG_EXPLAIN_WHY_SIZE, "the best that fits: it samples until %llu us are over",
                 us(search->budget_ns));
    else
        snprintf(why, IG_EXPLAIN_WHY_SIZE, "the best that fits: about %llu of %llu us",
                 us(cost_ns) + 1, us(search->budget_ns));
    return true;
}

enum ig_code ig_explain_search_fail(const struct ig_explain_search *search, struct ig_err *err)
{
    if (!search->cheapest)
        return ig_fail(err, IG_INVALID,
                       "budget_us: no method that may be chosen explains this model so; name one");
    return ig_fail(err, IG_INVALID,
                   "budget_us: no method explains these rows within %llu us; the cheapest, %s, "
                   "takes about %llu",
                   us(search->budget_ns), search->cheapest, us(search->cheapest_ns) + 1);
}

enum ig_code ig_explain_check_budget(char why[IG_EXPLAIN_WHY_SIZE], enum ig_explainer method,
                                     uint64_t cost_ns, uint64_t budget_ns, struct ig_err *err)
{
    if (ig_explainer_takes(method, IG_EXPLAINER_SAMPLED)) {
        snprintf(why, IG_EXPLAIN_WHY_SIZE, "asked for; it samples until %llu us are over",
                 us(budget_ns));
        return IG_OK;
    }
    if (cost_ns > budget_ns)
        return ig_fail(err, IG_INVALID,
                       "budget_us: method %s takes about %llu us for these rows, more than %llu",
                       ig_explainer_name(method), us(cost_ns) + 1, us(budget_ns));
    snprintf(why, IG_EXPLAIN_WHY_SIZE, "asked for; it takes about %llu us", us(cost_ns) + 1);
    return IG_OK;
}

enum ig_code ig_explain_new_within(struct ig_explain **out, const struct ig_engine *engine,
                                   const struct ig_explain_spec *spec,
                                   struct ig_explain_budget *budget, struct ig_err *err)
{
    bool grouped = spec->players && spec->players->of_feature;
    const struct ig_explain_wish wish = {spec->background != NULL, spec->probability,
                                         grouped ? spec->players->count
                                                 : ig_engine_model(engine)->features_count};
    struct ig_explain_search search = {.budget_ns = budget->row_ns};
    struct ig_explain_spec own = *spec;
    struct ig_explain *found = NULL;
    size_t count = 1;
    const enum ig_explainer *methods =
        budget->named ? &spec->method : ig_explain_by_quality(&count, spec->probability);
    for (size_t i = 0; i < count; i++) {
        own.method = methods[i];
        if (!budget->named && !ig_explain_suits(engine, own.method, &wish)) continue;
        if (!ig_explainer_takes(own.method, IG_EXPLAINER_BACKGROUND)) own.background = NULL;
        if (ig_explain_new(&found, engine, &own, err) != IG_OK) return err->code;
        uint64_t cost_ns = ig_explain_cost_ns(found, 1, budget->options);
        bool fits = budget->named
                        ? ig_explain_check_budget(budget->why, own.method, cost_ns, budget->row_ns,
                                                  err) == IG_OK
                        : ig_explain_search_offer(budget->why, &search, own.method, cost_ns);
        own.background = spec->background;
        if (fits) {
            *out = found;
            return IG_OK;
        }
        ig_explain_free(found);
    }
    return budget->named ? err->code : ig_explain_search_fail(&search, err);
}
