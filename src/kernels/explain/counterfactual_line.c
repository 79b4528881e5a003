/* SPDX-License-Identifier: Apache-2.0 */
/* The nearest change by a margin that is linear: how much each feature may add to it, and at what
 * cost, is known, so it is a knapsack. A feature is left, jumps to one of a few values (a multiple
 * of its step, a category, missing: a mode) or goes continuously; of the latter the best rates are
 * filled first. Depth-first branch and bound over these choices, bounded by the same filling where
 * undecided features give their best ratio without a price. Deterministic; all state is the call's.
 */
#include "kernels/explain/counterfactual_any_priv.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { MODES_MAX = 66, NODES_MAX = 20000, NUDGES = 6, GOES = MODES_MAX, LEFT };

static const double TOLERANCE = 1e-12;

struct mode {
    double gain, cost, value;
};

struct part {
    uint32_t feature;
    double weight;       /* of the wanted direction */
    double rate;         /* gain a cost where it goes continuously; 0: it cannot */
    double least, most;  /* gain of that; infinite: no end */
    double start;        /* cost of that at no gain: the price */
    double ratio, bound; /* greatest gain a cost, and gain, of any choice */
    struct mode *modes;  /* at most 2, or MODES_MAX with steps */
    uint32_t modes_count;
    uint32_t choice; /* of a mode, or GOES or LEFT */
    uint32_t next;   /* choice to try */
    double gain;     /* where it goes, in the best */
};

/* A place in the filling: a part that goes, or one that is undecided. */
struct slot {
    double rate;
    uint32_t part;
    bool undecided;
};

struct line {
    struct cf_any_search *search;
    struct part *parts;
    struct slot *slots; /* two a part, by falling rate */
    uint32_t *best;     /* choices */
    double *gains;      /* of parts that go, in hand */
    uint32_t count;
    double need; /* of gain */
    double best_cost;
    uint32_t nodes;
};

static int compare_parts(const void *a, const void *b)
{
    const struct part *x = a, *y = b;
    if (x->ratio != y->ratio) return x->ratio > y->ratio ? -1 : 1;
    return x->feature < y->feature ? -1 : 1;
}

static int compare_slots(const void *a, const void *b)
{
    const struct slot *x = a, *y = b;
    if (x->rate != y->rate) return x->rate > y->rate ? -1 : 1;
    if (x->part != y->part) return x->part < y->part ? -1 : 1;
    return (int)x->undecided - (int)y->undecided;
}

/* ---- what a feature can do ---- */

static void add_mode(struct line *line, struct part *part, double value)
{
    double own = line->search->row[part->feature];
    double gain = part->weight * ((isnan(value) ? 0 : value) - (isnan(own) ? 0 : own));
    if (!(gain > 0)) return;
    part->modes[part->modes_count++] =
        (struct mode){gain, cf_any_cost(line->search, part->feature, value), value};
}

/* All codes cost the same. */
static void add_code(struct line *line, struct part *part, const struct cf_any_axis *axis)
{
    double best = NAN;
    for (uint32_t i = 0; i < axis->count; i++) {
        double code = axis->values[i];
        if (isnan(code)) continue;
        if (isnan(best) || part->weight * code > part->weight * best) best = code;
    }
    if (!isnan(best)) add_mode(line, part, best);
}

/* Any number costs the same where the row has none: what is needed, or as much as goes. */
static void add_number(struct line *line, struct part *part, const struct cf_any_axis *axis)
{
    const struct ig_counterfactual_constraint *constraint = &axis->constraint;
    double value = cf_any_allowed(constraint, NAN, line->need / part->weight);
    if (!isnan(value) && part->weight * value < line->need && constraint->step > 0)
        value = cf_any_allowed(constraint, NAN, value + copysign(constraint->step, part->weight));
    if (!isnan(value)) add_mode(line, part, value);
}

/* False: more steps than are tried one by one. */
static bool add_steps(struct line *line, struct part *part, const struct cf_any_axis *axis)
{
    double step = axis->constraint.step, own = line->search->row[part->feature];
    double enough = ceil(line->need / (fabs(part->weight) * step) + 1e-9);
    for (double n = 1; n <= enough; n++) {
        double value = own + copysign(n * step, part->weight);
        double allowed = cf_any_allowed(&axis->constraint, own, value);
        if (isnan(allowed)) break;
        if (fabs(allowed - value) > step / 2) { /* before the range, or behind it */
            if ((allowed - value) * part->weight < 0) break;
            n = fmax(n, round(fabs(allowed - own) / step) - 1);
            continue;
        }
        if (part->modes_count == MODES_MAX - 1) return false;
        add_mode(line, part, allowed);
    }
    return true;
}

static void add_going(struct line *line, struct part *part, const struct cf_any_axis *axis)
{
    double own = line->search->row[part->feature];
    double up = part->weight > 0 ? 1 : -1, size = fabs(part->weight);
    const struct ig_counterfactual_constraint *c = &axis->constraint;
    bool against = up > 0 ? c->only_down : c->only_up;
    bool has_end = up > 0 ? c->has_high : c->has_low, starts = up > 0 ? c->has_low : c->has_high;
    double end = has_end ? up * ((up > 0 ? c->high : c->low) - own) : INFINITY;
    double start = starts ? up * ((up > 0 ? c->low : c->high) - own) : 0;
    if (against || !(end > 0) || start > end) return;
    part->rate = size * axis->scale;
    part->least = fmax(0, start) * size;
    part->most = end * size;
    part->start = line->search->options->price;
}

/* The greatest gain a cost, of which no more than is needed counts. */
static void rate_part(const struct line *line, struct part *part)
{
    for (uint32_t i = 0; i < part->modes_count; i++) {
        double gain = fmin(part->modes[i].gain, line->need);
        part->ratio = fmax(part->ratio, gain / part->modes[i].cost);
        part->bound = fmax(part->bound, gain);
    }
    if (!(part->rate > 0)) return;
    double gain = fmax(part->least, fmin(part->most, line->need));
    double cost = part->start + gain / part->rate;
    part->ratio = fmax(part->ratio, fmin(gain, line->need) / cost);
    part->bound = fmax(part->bound, fmin(gain, line->need));
}

/* False: it can do more than is tried here. */
static bool fill_part(struct line *line, struct part *part, uint32_t feature, double weight)
{
    const struct cf_any_axis *axis = &line->search->axes[feature];
    double own = line->search->row[feature];
    *part = (struct part){.feature = feature, .weight = weight, .choice = LEFT};
    bool ok = true;
    if (weight == 0) return true;
    size_t modes = axis->constraint.step > 0 ? MODES_MAX : 2;
    part->modes = ig_arena_array(line->search->arena, modes, sizeof *part->modes);
    if (!part->modes) return false;
    if (axis->is_category)
        add_code(line, part, axis);
    else if (isnan(own))
        add_number(line, part, axis);
    else if (axis->constraint.step > 0)
        ok = add_steps(line, part, axis);
    else
        add_going(line, part, axis);
    if (axis->constraint.may_go_missing && !isnan(own)) add_mode(line, part, NAN);
    rate_part(line, part);
    return ok;
}

/* ---- branch and bound ---- */

/* Cost of the choices with the parts up to `decided`, filled up to the need; `relaxed`: the others
 * help. Infinite: that does not do. */
static double evaluate(struct line *line, uint32_t decided, bool relaxed)
{
    double cost = 0, need = line->need;
    for (uint32_t i = 0; i < decided; i++) {
        const struct part *part = &line->parts[i];
        if (part->choice == LEFT) continue;
        bool goes = part->choice == GOES;
        cost += goes ? part->start + part->least / part->rate : part->modes[part->choice].cost;
        need -= goes ? part->least : part->modes[part->choice].gain;
        line->gains[i] = part->least;
    }
    for (uint32_t k = 0; need > 0 && k < 2 * line->count; k++) {
        const struct slot *slot = &line->slots[k];
        const struct part *part = &line->parts[slot->part];
        if (slot->undecided ? !relaxed || slot->part < decided
                            : slot->part >= decided || part->choice != GOES)
            continue;
        double room = slot->undecided ? part->bound : part->most - part->least;
        double gain = fmin(room, need);
        if (!(gain > 0)) continue;
        cost += gain / slot->rate;
        need -= gain;
        if (!slot->undecided) line->gains[slot->part] += gain;
    }
    return need > 0 ? INFINITY : cost;
}

static void keep(struct line *line, uint32_t decided, double cost)
{
    line->best_cost = cost;
    for (uint32_t i = 0; i < line->count; i++) {
        line->best[i] = i < decided ? line->parts[i].choice : LEFT;
        line->parts[i].gain = line->gains[i];
    }
}

/* The choices of a part in the order in which they are tried: to go, its modes, to be left. */
static bool choose_next(struct part *part)
{
    if (part->next == 0 && !(part->rate > 0)) part->next++;
    if (part->next > part->modes_count + 1) return false;
    if (part->next == 0)
        part->choice = GOES;
    else
        part->choice = part->next <= part->modes_count ? part->next - 1 : LEFT;
    part->next++;
    return true;
}

/* False: nodes ran out. */
static bool branch_and_bound(struct line *line)
{
    uint32_t depth = 0, changes = 0;
    line->best_cost = INFINITY;
    line->nodes = 0;
    for (uint32_t i = 0; i < line->count; i++) line->parts[i].choice = LEFT;
    if (line->count) line->parts[0].next = 0;
    while (line->count) {
        struct part *part = &line->parts[depth];
        changes -= part->choice != LEFT;
        if (!choose_next(part)) {
            part->choice = LEFT;
            if (depth-- == 0) return true;
            continue;
        }
        changes += part->choice != LEFT;
        if (changes > line->search->changes_max) continue;
        if (++line->nodes > NODES_MAX) return false;
        double cost = evaluate(line, depth + 1, false);
        if (cost < line->best_cost) keep(line, depth + 1, cost);
        double bound = evaluate(line, depth + 1, changes < line->search->changes_max);
        if (depth + 1 == line->count || bound >= line->best_cost * (1 - TOLERANCE)) continue;
        line->parts[++depth].next = 0;
    }
    return true;
}

/* ---- the call ---- */

static void sort_slots(struct line *line)
{
    qsort(line->parts, line->count, sizeof *line->parts, compare_parts);
    for (uint32_t i = 0; i < line->count; i++) {
        line->slots[2 * i] = (struct slot){line->parts[i].rate, i, false};
        line->slots[2 * i + 1] = (struct slot){line->parts[i].ratio, i, true};
    }
    qsort(line->slots, 2 * (size_t)line->count, sizeof *line->slots, compare_slots);
}

static bool fill_parts(struct line *line, double sign)
{
    const struct cf_any_search *search = line->search;
    line->count = 0;
    for (uint32_t i = 0; i < search->active_count; i++) {
        uint32_t f = search->active[i];
        struct part *part = &line->parts[line->count];
        if (!fill_part(line, part, f, sign * search->any->weights[f])) return false;
        line->count += part->ratio > 0;
    }
    sort_slots(line);
    return true;
}

static void become_best(const struct line *line, double *row)
{
    const struct cf_any_search *search = line->search;
    memcpy(row, search->row, search->features * sizeof *row);
    for (uint32_t i = 0; i < line->count; i++) {
        const struct part *part = &line->parts[i];
        uint32_t f = part->feature;
        if (line->best[i] == LEFT) continue;
        row[f] = line->best[i] == GOES ? cf_any_allowed(&search->axes[f].constraint, search->row[f],
                                                        search->row[f] + part->gain / part->weight)
                                       : part->modes[line->best[i]].value;
    }
}

/* The margin's distance from what is wanted: upward if `sign` is 1. */
static double gap_of(const struct ig_counterfactual_options *options, double margin, double *sign)
{
    bool up = options->want == IG_COUNTERFACTUAL_ABOVE ||
              (options->want == IG_COUNTERFACTUAL_RANGE && margin < options->low);
    *sign = up ? 1 : -1;
    return up ? options->low - margin : margin - options->high;
}

static double rounding_of(const struct cf_any_search *search, double margin, double gap)
{
    double size = fabs(margin) + gap;
    for (uint32_t f = 0; f < search->features; f++)
        if (!isnan(search->row[f])) size += fabs(search->any->weights[f] * search->row[f]);
    return size * 0x1p-24;
}

bool cf_any_solve_line(struct cf_any_search *search)
{
    struct line line = {.search = search};
    size_t count = search->active_count + (size_t)1;
    double sign, margin, gap, more = 0;
    line.parts = ig_arena_array(search->arena, count, sizeof *line.parts);
    line.slots = ig_arena_array(search->arena, 2 * count, sizeof *line.slots);
    line.best = ig_arena_array(search->arena, count, sizeof *line.best);
    line.gains = ig_arena_array(search->arena, count, sizeof *line.gains);
    search->best_cost = INFINITY;
    if (search->arena->overflowed) return false;
    cf_any_is_wanted(search, search->row);
    margin = search->margins[0];
    gap = gap_of(search->options, margin, &sign);
    /* The model rounds: a little more may be needed than the numbers say. What overshoots a range
     * is not wanted, and then nothing is proved. */
    for (int i = 0; i < NUDGES; i++) {
        line.need = gap + more;
        more = more > 0 ? 4 * more : rounding_of(search, margin, gap);
        if (!(line.need > 0)) continue;
        if (!isfinite(line.need) || !fill_parts(&line, sign) || !branch_and_bound(&line))
            return false;
        if (isinf(line.best_cost)) return true;
        become_best(&line, search->point);
        if (!cf_any_is_wanted(search, search->point)) continue;
        memcpy(search->best, search->point, search->features * sizeof *search->best);
        search->best_cost = cf_any_cost_of(search, search->best);
        return true;
    }
    return false;
}
