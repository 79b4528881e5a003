/* SPDX-License-Identifier: Apache-2.0 */
/* The search for one answer by predictions alone. Deterministic unless a deadline stops it; all
 * state is in the search. Invariant: best is wanted by the model and keeps the constraints. */
#include "base/clock.h"
#include "kernels/explain/counterfactual_any_priv.h"
#include "model/foreign.h"

#include <math.h>
#include <string.h>

enum { DRAWS = 16, REFINEMENTS = 6, HALVINGS = 40, STALLS = 64 };

static const double TOLERANCE = 1e-9; /* relative: what counts as nearer */

bool cf_same(double a, double b)
{
    return a == b || (isnan(a) && isnan(b));
}

double cf_any_cost(const struct cf_any_search *search, uint32_t feature, double value)
{
    const struct cf_any_axis *axis = &search->axes[feature];
    double own = search->row[feature], price = search->options->price;
    if (cf_same(own, value)) return 0;
    if (isnan(own) || isnan(value)) return price + 1;
    if (!axis->is_category) return price + fabs(value - own) / axis->scale;
    return price + 1 / (axis->constraint.scale > 0 ? axis->constraint.scale : 1);
}

double cf_any_cost_of(const struct cf_any_search *search, const double *point)
{
    double cost = 0;
    for (uint32_t i = 0; i < search->active_count; i++)
        cost += cf_any_cost(search, search->active[i], point[search->active[i]]);
    return cost;
}

static uint32_t changes_of(const struct cf_any_search *search, const double *point)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < search->active_count; i++) {
        uint32_t f = search->active[i];
        count += !cf_same(point[f], search->row[f]);
    }
    return count;
}

double cf_any_allowed(const struct ig_counterfactual_constraint *constraint, double own,
                      double value)
{
    double low = constraint->has_low ? constraint->low : -INFINITY;
    double high = constraint->has_high ? constraint->high : INFINITY;
    double from = isnan(own) ? 0 : own, step = constraint->step;
    if (constraint->only_up && !isnan(own)) low = fmax(low, own);
    if (constraint->only_down && !isnan(own)) high = fmin(high, own);
    if (!(low <= high)) return NAN;
    value = fmin(fmax(value, low), high);
    if (step > 0) {
        value = from + trunc((value - from) / step + (value > from ? 1e-12 : -1e-12)) * step;
        if (value < low) value += step;
        if (value > high) value -= step;
    }
    return value >= low && value <= high && isfinite(value) ? value : NAN;
}

/* ---- asking the model ---- */

static bool is_over(const struct cf_any_search *search)
{
    return search->evals >= search->evals_max;
}

static void ask(struct cf_any_search *search, uint32_t count)
{
    const struct ig_predictor *predictor = &search->any->predictor;
    predictor->run(predictor, search->batch, count, search->margins, search->scratch);
    search->evals += count;
    search->failed |= ig_foreign_marked(search->margins, (size_t)count * search->outputs);
    if (search->options->deadline_ns && ig_clock_ns() > search->options->deadline_ns)
        search->evals_max = search->evals;
}

static bool wants(const struct cf_any_search *search, uint32_t at)
{
    const double *margins = search->margins + (size_t)at * search->outputs;
    return !isnan(margins[search->options->output]) &&
           cf_wants(search->options, margins, search->outputs);
}

static double *batch_row(const struct cf_any_search *search, uint32_t at, const double *from)
{
    double *row = search->batch + (size_t)at * search->features;
    memcpy(row, from, search->features * sizeof *row);
    return row;
}

bool cf_any_is_wanted(struct cf_any_search *search, const double *point)
{
    batch_row(search, 0, point);
    ask(search, 1);
    return wants(search, 0);
}

/* ---- one change ---- */

struct step {
    uint32_t feature;
    double value;
    double worth; /* cost of the whole point where wanted, else gain a cost */
    bool wanted;
};

/* Single changes of a point, gathered to be asked for together. */
struct trials {
    struct cf_any_search *search;
    const double *point;
    double cost, lack; /* of the point */
    uint32_t count;
    struct step tried[CF_BATCH];
    struct step best;
};

static void judge(struct trials *trials)
{
    struct cf_any_search *search = trials->search;
    if (trials->count) ask(search, trials->count);
    for (uint32_t i = 0; i < trials->count; i++) {
        struct step step = trials->tried[i];
        double more = cf_any_cost(search, step.feature, step.value) -
                      cf_any_cost(search, step.feature, trials->point[step.feature]);
        double left = cf_lack(search->options, search->margins + (size_t)i * search->outputs,
                              search->outputs);
        step.wanted = wants(search, i);
        step.worth = step.wanted ? trials->cost + more : (trials->lack - left) / fmax(more, 1e-9);
        bool better = step.wanted ? !trials->best.wanted || step.worth < trials->best.worth
                                  : !trials->best.wanted && step.worth > trials->best.worth;
        if (better) trials->best = step;
    }
    trials->count = 0;
}

static void try_value(struct trials *trials, uint32_t feature, double value)
{
    if (cf_same(value, trials->point[feature]) || is_over(trials->search)) return;
    batch_row(trials->search, trials->count, trials->point)[feature] = value;
    trials->tried[trials->count++] = (struct step){.feature = feature, .value = value};
    if (trials->count == CF_BATCH) judge(trials);
}

/* One of how many single changes is tried, so that a wide row leaves predictions for the rest. */
static uint64_t thin_out(const struct cf_any_search *search)
{
    uint64_t all = 0;
    for (uint32_t i = 0; i < search->active_count; i++)
        all += search->axes[search->active[i]].count;
    return (all + search->tries_max - 1) / search->tries_max;
}

/* The cheapest single change that is wanted, else the one that brings most for what it costs;
 * feature CF_NONE: none. */
static struct step best_step(struct cf_any_search *search, const double *point)
{
    uint64_t every = thin_out(search), at = every > 1 ? ig_rng_below(&search->rng, every) : 0;
    struct trials trials = {.search = search, .point = point, .best = {.feature = CF_NONE}};
    uint32_t changes = changes_of(search, point);
    trials.cost = cf_any_cost_of(search, point);
    cf_any_is_wanted(search, point);
    trials.lack = cf_lack(search->options, search->margins, search->outputs);
    for (uint32_t i = 0; i < search->active_count; i++) {
        uint32_t f = search->active[i];
        const struct cf_any_axis *axis = &search->axes[f];
        bool changed = !cf_same(point[f], search->row[f]);
        if (!changed && changes >= search->changes_max) continue;
        if (changed) try_value(&trials, f, search->row[f]);
        for (uint32_t k = 0; k < axis->count; k++)
            if (++at % every == 0) try_value(&trials, f, axis->values[k]);
    }
    judge(&trials);
    return trials.best;
}

static bool go_greedily(struct cf_any_search *search, double *point)
{
    for (uint32_t round = 0; round < 2 * search->active_count + 2 && !is_over(search); round++) {
        struct step step = best_step(search, point);
        if (step.feature == CF_NONE) return false;
        point[step.feature] = step.value;
        if (step.wanted) return true;
    }
    return false;
}

/* ---- toward the row ---- */

/* Takes back changes one by one, the dearest first, as long as the point stays wanted. */
static void make_sparse(struct cf_any_search *search, double *point)
{
    for (bool found = true; found && !is_over(search);) {
        struct trials trials = {.search = search, .point = point, .best = {.feature = CF_NONE}};
        trials.cost = cf_any_cost_of(search, point);
        trials.lack = -INFINITY;
        for (uint32_t i = 0; i < search->active_count; i++)
            try_value(&trials, search->active[i], search->row[search->active[i]]);
        judge(&trials);
        found = trials.best.feature != CF_NONE && trials.best.wanted;
        if (found) point[trials.best.feature] = trials.best.value;
    }
}

/* As near to the row as one feature goes while the rest stays; to 0 where the row has no value. */
static void bisect(struct cf_any_search *search, double *point, uint32_t feature)
{
    const struct cf_any_axis *axis = &search->axes[feature];
    double own = search->row[feature], from = isnan(own) ? 0 : own, to = point[feature];
    if (axis->is_category || isnan(to) || from == to) return;
    for (int i = 0; i < HALVINGS && fabs(to - from) > 1e-9 * axis->scale; i++) {
        double middle = cf_any_allowed(&axis->constraint, own, from + (to - from) / 2);
        if (isnan(middle) || middle == to || middle == from || is_over(search)) break;
        point[feature] = middle;
        if (cf_any_is_wanted(search, point))
            to = middle;
        else
            from = middle;
    }
    point[feature] = to;
}

/* Bisects every changed feature, the dearest first. */
static void draw_near(struct cf_any_search *search, double *point)
{
    uint32_t *order = search->order, count = 0;
    for (uint32_t i = 0; i < search->active_count; i++) {
        uint32_t f = search->active[i], at = count;
        double cost = cf_any_cost(search, f, point[f]);
        if (cf_same(point[f], search->row[f])) continue;
        for (; at && cf_any_cost(search, order[at - 1], point[order[at - 1]]) < cost; at--)
            order[at] = order[at - 1];
        order[at] = f;
        count++;
    }
    for (uint32_t i = 0; i < count; i++) bisect(search, point, order[i]);
}

/* A wanted point becomes a nearer one; kept if it is the best so far. */
static void refine(struct cf_any_search *search, double *point)
{
    for (int round = 0; round < REFINEMENTS; round++) {
        double before = cf_any_cost_of(search, point);
        make_sparse(search, point);
        draw_near(search, point);
        struct step step = best_step(search, point);
        double cost = cf_any_cost_of(search, point);
        if (step.feature != CF_NONE && step.wanted && step.worth < cost)
            point[step.feature] = step.value;
        if (!(cf_any_cost_of(search, point) < before - 1e-6 * (1 + before))) break;
    }
    double cost = cf_any_cost_of(search, point);
    if (changes_of(search, point) > search->changes_max) return;
    if (!(cost < search->best_cost - TOLERANCE * (1 + cost))) return;
    memcpy(search->best, point, search->features * sizeof *point);
    search->best_cost = cost;
}

/* ---- other starts ---- */

/* Wanted rows, the nearest first. */
struct starts {
    double *rows[CF_STARTS];
    double costs[CF_STARTS];
    uint32_t count;
};

static void offer(struct cf_any_search *search, struct starts *starts, const double *row)
{
    double cost = cf_any_cost_of(search, row);
    if (starts->count == CF_STARTS && !(cost < starts->costs[CF_STARTS - 1])) return;
    uint32_t at = starts->count < CF_STARTS ? starts->count++ : CF_STARTS - 1;
    double *own = starts->rows[at];
    for (; at && cost < starts->costs[at - 1]; at--) {
        starts->rows[at] = starts->rows[at - 1];
        starts->costs[at] = starts->costs[at - 1];
    }
    memcpy(own, row, search->features * sizeof *own);
    starts->rows[at] = own;
    starts->costs[at] = cost;
}

static void offer_wanted(struct cf_any_search *search, struct starts *starts, uint32_t count)
{
    if (count) ask(search, count);
    for (uint32_t i = 0; i < count; i++)
        if (wants(search, i)) offer(search, starts, search->batch + (size_t)i * search->features);
}

/* The row with every active feature as in a row of the background, as far as that is allowed. */
static void become(const struct cf_any_search *search, double *row, const double *other)
{
    for (uint32_t i = 0; i < search->active_count; i++) {
        uint32_t f = search->active[i];
        const struct cf_any_axis *axis = &search->axes[f];
        double value = other[f];
        if (isnan(value) && !axis->constraint.may_go_missing) continue;
        if (!isnan(value) && !axis->is_category)
            value = cf_any_allowed(&axis->constraint, search->row[f], value);
        if (!isnan(value) || isnan(other[f])) row[f] = value;
    }
}

static void start_from_background(struct cf_any_search *search, struct starts *starts)
{
    uint32_t count = 0;
    for (size_t i = 0; i < search->any->rows_count && !is_over(search); i++) {
        double *row = batch_row(search, count++, search->row);
        become(search, row, search->any->rows + i * search->features);
        if (count < CF_BATCH) continue;
        offer_wanted(search, starts, count);
        count = 0;
    }
    offer_wanted(search, starts, count);
}

/* Ever more features at once, each a value to try. */
static void start_from_draws(struct cf_any_search *search, struct starts *starts)
{
    for (uint32_t round = 0; round < DRAWS && !is_over(search); round++) {
        uint64_t most = (uint64_t)search->active_count * (round + 1) / DRAWS + 2;
        if (most > search->changes_max) most = search->changes_max;
        for (uint32_t i = 0; i < CF_BATCH; i++) {
            double *row = batch_row(search, i, search->row);
            for (uint64_t n = 1 + ig_rng_below(&search->rng, most); n > 0; n--) {
                uint32_t f = search->active[ig_rng_below(&search->rng, search->active_count)];
                const struct cf_any_axis *axis = &search->axes[f];
                row[f] = axis->values[ig_rng_below(&search->rng, axis->count)];
            }
        }
        offer_wanted(search, starts, CF_BATCH);
    }
}

/* Somewhere else: back, to a value to try, or part of the way there. */
static double draw_value(struct cf_any_search *search, uint32_t feature, double now)
{
    const struct cf_any_axis *axis = &search->axes[feature];
    double own = search->row[feature];
    uint64_t dice = ig_rng_below(&search->rng, 3);
    double to = axis->values[ig_rng_below(&search->rng, axis->count)];
    if (dice == 0) return own;
    if (dice == 1 || axis->is_category || isnan(to)) return to;
    double from = isnan(own) ? axis->values[ig_rng_below(&search->rng, axis->count)] : own;
    if (!isnan(now) && now != own) to = now;
    to = cf_any_allowed(&axis->constraint, own, from + ig_rng_unit(&search->rng) * (to - from));
    return isnan(to) ? now : to;
}

/* Of many changes of a point only those that are nearer than the best are asked for. */
static void start_nearer(struct cf_any_search *search, struct starts *starts, const double *point,
                         uint32_t most)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < 16 * CF_BATCH && count < CF_BATCH; i++) {
        double *row = batch_row(search, count, point);
        for (uint64_t n = 1 + ig_rng_below(&search->rng, most); n > 0; n--) {
            uint32_t f = search->active[ig_rng_below(&search->rng, search->active_count)];
            row[f] = draw_value(search, f, row[f]);
        }
        if (changes_of(search, row) > search->changes_max) continue;
        count += cf_any_cost_of(search, row) < search->best_cost * (1 - 1e-6);
    }
    offer_wanted(search, starts, count);
}

static void improve(struct cf_any_search *search, struct starts *starts)
{
    for (int stalls = 0; stalls < STALLS && !is_over(search); stalls++) {
        double before = search->best_cost;
        starts->count = 0;
        if (stalls % 2)
            start_nearer(search, starts, search->row, search->active_count);
        else
            start_nearer(search, starts, search->best, 3);
        for (uint32_t i = 0; i < starts->count; i++) refine(search, starts->rows[i]);
        if (search->best_cost < before) stalls = -1;
    }
}

void cf_any_solve(struct cf_any_search *search)
{
    struct starts starts = {.count = 0};
    search->best_cost = INFINITY;
    if (search->active_count == 0) return;
    for (uint32_t i = 0; i < CF_STARTS; i++)
        starts.rows[i] = search->batch + (size_t)(CF_BATCH + i) * search->features;
    memcpy(search->point, search->row, search->features * sizeof *search->point);
    if (go_greedily(search, search->point)) refine(search, search->point);
    for (int drawn = 0; drawn < 2; drawn++) {
        starts.count = 0;
        if (drawn)
            start_from_draws(search, &starts);
        else
            start_from_background(search, &starts);
        for (uint32_t i = 0; i < starts.count; i++) refine(search, starts.rows[i]);
    }
    if (!isinf(search->best_cost)) improve(search, &starts);
}
