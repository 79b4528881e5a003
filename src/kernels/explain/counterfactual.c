/* SPDX-License-Identifier: Apache-2.0 */
/* The search: axes from the constraints, a greedy start, exchanges, then best-first branch and
 * bound. An incumbent of distance D leaves each axis only what is nearer than D, less what the
 * other axes of the box cost already; so halving an axis shrinks all others in its far half. */
#include "base/clock.h"
#include "base/mem.h"
#include "kernels/explain/counterfactual_priv.h"
#include "kernels/tree/tree_shap_leaf.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { BOXES = 20000, EXCHANGES_MAX = 64, COMBINATIONS_MAX = 64, ALIGNMENT = 64 };

static const double TOLERANCE = 1e-9; /* relative: what counts as nearer */
static const size_t HEAP_MAX_BYTES = (size_t)1 << 28;

static enum ig_code no_memory(struct ig_err *err)
{
    return ig_fail(err, IG_NO_MEMORY, "no memory for a counterfactual");
}

/* ---- axes ---- */

static double last_of(const struct ig_counterfactual_space *space, const struct cf_feature *feature,
                      uint32_t cell)
{
    if (cell + 1 == feature->cells) return INFINITY;
    double next = feature->lows[cell + 1];
    return space->model->inputs_f32 ? (double)nextafterf((float)next, -INFINITY)
                                    : nextafter(next, -INFINITY);
}

static uint32_t cell_of(const struct ig_counterfactual_space *space,
                        const struct cf_feature *feature, double value)
{
    if (isnan(value)) return CF_MISSING;
    if (!feature->lows) {
        double code = space->model->category_truncates ? trunc(value) : value;
        bool known = code >= 0 && code < feature->cells - 1 && code == floor(code);
        return known ? (uint32_t)code : feature->cells - 1;
    }
    if (space->model->inputs_f32) value = (double)(float)value;
    uint32_t low = 0, high = feature->cells;
    while (high - low > 1) {
        uint32_t mid = low + (high - low) / 2;
        if (feature->lows[mid] <= value)
            low = mid;
        else
            high = mid;
    }
    return low;
}

/* The value of [least, last] nearest to `from` that the constraint allows; NaN: none. A row without
 * a value counts as 0, and has no direction. */
static double nearest_value(const struct ig_counterfactual_constraint *c, double from, double least,
                            double last)
{
    double low = least, high = last;
    bool missing = isnan(from);
    if (missing) from = 0;
    if (c->has_low && c->low > low) low = c->low;
    if (c->has_high && c->high < high) high = c->high;
    if (c->only_up && !missing && from > low) low = from;
    if (c->only_down && !missing && from < high) high = from;
    if (!(low <= high)) return NAN;
    double value = from < low ? low : from > high ? high : from;
    if (!(c->step > 0)) return isfinite(value) ? value : NAN;
    double steps = (value - from) / c->step;
    steps = value > from ? ceil(steps - 1e-12) : floor(steps + 1e-12);
    value = from + steps * c->step;
    while (value < low) value += c->step;
    if (value > high) value -= c->step;
    return value >= low && value <= high && isfinite(value) ? value : NAN;
}

static void add_position(struct cf_axis *axis, uint32_t cell, double value, double cost)
{
    axis->positions[axis->count++] = (struct cf_position){cell, value, cost};
}

static void fill_axis(const struct cf_search *search, struct cf_axis *axis, uint32_t f,
                      const struct ig_counterfactual_constraint *c)
{
    const struct ig_counterfactual_space *space = search->space;
    const struct cf_feature *feature = &space->features[f];
    double own = search->row[f], price = search->options->price;
    double scale = c->scale > 0 ? c->scale : feature->scale;
    uint32_t cell = cell_of(space, feature, own);
    bool moves = !c->immutable && feature->nodes_count > 0;
    bool categories = !feature->lows;
    axis->count = 0;
    if (categories && cell != CF_MISSING) add_position(axis, cell, own, 0);
    for (uint32_t i = 0; i < feature->cells; i++) {
        if (i == cell) {
            axis->base = categories ? 0 : axis->count;
            if (!categories) add_position(axis, i, own, 0);
            continue;
        }
        if (!moves || (categories && i + 1 == feature->cells)) continue;
        if (categories) {
            add_position(axis, i, i, price + 1 / (c->scale > 0 && !isnan(own) ? c->scale : 1));
            continue;
        }
        double least = feature->lows[i], last = last_of(space, feature, i);
        double value = nearest_value(c, own, least, last);
        double cost = isnan(own) ? 1 : fabs(value - own) / scale;
        if (!isnan(value)) add_position(axis, i, value, price + cost);
    }
    axis->has_missing = cell == CF_MISSING || (moves && c->may_go_missing);
    if (axis->has_missing) {
        if (cell == CF_MISSING) axis->base = axis->count;
        add_position(axis, CF_MISSING, NAN, cell == CF_MISSING ? 0 : price + 1);
    }
}

static enum ig_code make_axes(struct cf_search *search)
{
    const struct ig_counterfactual_space *space = search->space;
    const struct ig_counterfactual_constraint none = {0};
    uint32_t features = space->model->features_count;
    search->axes = ig_arena_array(search->arena, features, sizeof *search->axes);
    search->active = ig_arena_array(search->arena, features, sizeof *search->active);
    if (search->arena->overflowed) return no_memory(search->err);
    for (uint32_t f = 0; f < features; f++) {
        struct cf_axis *axis = &search->axes[f];
        const struct ig_counterfactual_constraint *c =
            search->options->constraints ? &search->options->constraints[f] : &none;
        if (cf_check_constraint(c, f, search->err) != IG_OK) return search->err->code;
        *axis = (struct cf_axis){0};
        axis->positions = ig_arena_array(search->arena, space->features[f].cells + (size_t)2,
                                         sizeof *axis->positions);
        if (!axis->positions) return no_memory(search->err);
        fill_axis(search, axis, f, c);
        if (axis->count > 1) search->active[search->active_count++] = f;
    }
    return IG_OK;
}

/* ---- points ---- */

static double cost_at(const struct cf_search *search, uint32_t feature, uint32_t position)
{
    return search->axes[feature].positions[position].cost;
}

static double cost_of(const struct cf_search *search, const uint32_t *point)
{
    double cost = 0;
    for (uint32_t i = 0; i < search->active_count; i++)
        cost += cost_at(search, search->active[i], point[search->active[i]]);
    return cost;
}

static uint32_t changes_of(const struct cf_search *search, const uint32_t *point)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < search->active_count; i++) {
        uint32_t f = search->active[i];
        count += point[f] != search->axes[f].base;
    }
    return count;
}

/* The nearest position of a range. */
static uint32_t nearest_in(const struct cf_axis *axis, struct cf_range range)
{
    uint32_t last = axis->has_missing && range.hi + 1 == axis->count && range.lo < range.hi
                        ? range.hi - 1
                        : range.hi;
    uint32_t at = axis->base < range.lo ? range.lo : axis->base > last ? last : axis->base;
    if (last < range.hi && axis->positions[range.hi].cost < axis->positions[at].cost)
        return range.hi;
    return at;
}

/* ---- a first answer ---- */

struct best {
    uint32_t *point;
    double cost; /* infinite: none yet */
};

static bool nearer(double cost, const struct best *best)
{
    return cost < best->cost - TOLERANCE * (1 + best->cost) || isinf(best->cost);
}

static void keep(struct cf_search *search, struct best *best, const uint32_t *point)
{
    memcpy(best->point, point, search->space->model->features_count * sizeof *point);
    best->cost = cost_of(search, point);
}

/* What a sweep finds for a feature: the cheapest wanted position, and the one that brings most for
 * what it costs. */
struct step {
    uint32_t feature, position;
    double worth; /* cost of the whole point where wanted, else gain a cost */
    bool wanted;
};

static void try_feature(struct cf_search *search, uint32_t *point, uint32_t feature, size_t stride,
                        double lack, struct step *out)
{
    const struct cf_axis *axis = &search->axes[feature];
    double others = cost_of(search, point) - cost_at(search, feature, point[feature]);
    bool may_change =
        changes_of(search, point) - (point[feature] != axis->base) < search->changes_max;
    cf_sweep(search, point, feature, stride);
    for (uint32_t i = 0; i < axis->count; i++) {
        if (i == point[feature] || (i != axis->base && !may_change)) continue;
        for (uint32_t o = 0; o < search->outputs; o++)
            search->sums[o] = search->differences[o * stride + i];
        double left = cf_lack(search->options, search->sums, search->outputs),
               cost = others + axis->positions[i].cost;
        if (left <= search->slack) {
            if (out->wanted && cost >= out->worth) continue;
            uint32_t kept = point[feature];
            point[feature] = i;
            if (cf_is_wanted(search, point)) *out = (struct step){feature, i, cost, true};
            point[feature] = kept;
        } else if (!out->wanted && left < lack) {
            double more = axis->positions[i].cost - cost_at(search, feature, point[feature]);
            double worth = (lack - left) / fmax(more, 1e-9);
            if (worth > out->worth) *out = (struct step){feature, i, worth, false};
        }
    }
}

/* Steps by gain a cost until the margin is wanted; false when no step helps. */
static bool go_greedily(struct cf_search *search, uint32_t *point, size_t stride)
{
    for (uint32_t round = 0; round < 4 * search->active_count + 4; round++) {
        struct step step = {.feature = CF_NONE};
        cf_point_sums(search, point);
        double lack = cf_lack(search->options, search->sums, search->outputs);
        for (uint32_t i = 0; i < search->active_count; i++)
            try_feature(search, point, search->active[i], stride, lack, &step);
        if (step.feature == CF_NONE) return false;
        point[step.feature] = step.position;
        if (step.wanted) return true;
    }
    return false;
}

/* Moves every changed feature back as far as it goes, and tries another in its place, until nothing
 * gets nearer. */
static void exchange(struct cf_search *search, struct best *best, uint32_t *point, size_t stride)
{
    for (int round = 0; round < EXCHANGES_MAX; round++) {
        double before = best->cost;
        for (uint32_t i = 0; i < search->active_count; i++) {
            uint32_t f = search->active[i], base = search->axes[f].base;
            if (best->point[f] == base) continue;
            for (uint32_t k = 0; k < search->active_count; k++) {
                uint32_t g = search->active[k];
                struct step step = {.feature = CF_NONE};
                memcpy(point, best->point, search->space->model->features_count * sizeof *point);
                if (g != f) point[f] = base;
                try_feature(search, point, g, stride, -INFINITY, &step);
                if (!step.wanted) continue;
                point[g] = step.position;
                if (nearer(cost_of(search, point), best)) keep(search, best, point);
                if (best->point[f] == base) break;
            }
        }
        if (!(best->cost < before)) return;
    }
}

/* ---- branch and bound ---- */

struct box {
    double cost;             /* of its nearest point: no point of it is nearer */
    struct cf_range *ranges; /* features */
};

struct queue {
    struct box *boxes; /* a binary heap */
    size_t count, cap;
};

static void swap_boxes(struct box *a, struct box *b)
{
    struct box kept = *a;
    *a = *b;
    *b = kept;
}

static bool push_box(struct queue *queue, struct box box)
{
    if (queue->count == queue->cap) {
        size_t cap = queue->cap ? 2 * queue->cap : 256;
        void *grown = ig_realloc(queue->boxes, cap * sizeof *queue->boxes);
        if (!grown) return false;
        queue->boxes = grown;
        queue->cap = cap;
    }
    queue->boxes[queue->count++] = box;
    for (size_t i = queue->count - 1; i && queue->boxes[i].cost < queue->boxes[(i - 1) / 2].cost;
         i = (i - 1) / 2)
        swap_boxes(&queue->boxes[i], &queue->boxes[(i - 1) / 2]);
    return true;
}

static struct box pop_box(struct queue *queue)
{
    struct box least = queue->boxes[0];
    queue->boxes[0] = queue->boxes[--queue->count];
    for (size_t i = 0, child; (child = 2 * i + 1) < queue->count; i = child) {
        if (child + 1 < queue->count && queue->boxes[child + 1].cost < queue->boxes[child].cost)
            child++;
        if (queue->boxes[i].cost <= queue->boxes[child].cost) break;
        swap_boxes(&queue->boxes[i], &queue->boxes[child]);
    }
    return least;
}

struct bounding {
    struct cf_search *search;
    struct queue queue;
    struct ig_arena arena; /* of ranges */
    struct best *best;
    uint32_t *point;
    double *credit;
    uint64_t boxes, boxes_max;
};

/* Drops what cannot be nearer than the best answer, and changes beyond the limit. False: nothing is
 * left. Fills box->cost and the box's nearest point. */
static bool shrink(struct bounding *b, struct box *box)
{
    struct cf_search *search = b->search;
    uint32_t changes = 0;
    box->cost = 0;
    for (uint32_t i = 0; i < search->active_count; i++) {
        uint32_t f = search->active[i];
        b->point[f] = nearest_in(&search->axes[f], box->ranges[f]);
        box->cost += cost_at(search, f, b->point[f]);
        changes += b->point[f] != search->axes[f].base;
    }
    if (changes > search->changes_max || !nearer(box->cost, b->best)) return false;
    double room = b->best->cost - box->cost;
    for (uint32_t i = 0; i < search->active_count; i++) {
        uint32_t f = search->active[i], at = b->point[f];
        struct cf_range *range = &box->ranges[f];
        const struct cf_axis *axis = &search->axes[f];
        double most = axis->positions[at].cost + room;
        if (changes == search->changes_max && at == axis->base) *range = (struct cf_range){at, at};
        while (range->lo < at && axis->positions[range->lo].cost >= most) range->lo++;
        while (range->hi > at && axis->positions[range->hi].cost >= most) range->hi--;
    }
    return true;
}

/* The axis to halve: the one that could do most, else the widest. */
static uint32_t choose_axis(const struct bounding *b, const struct box *box)
{
    uint32_t best = CF_NONE;
    double most = -1;
    for (uint32_t i = 0; i < b->search->active_count; i++) {
        uint32_t f = b->search->active[i];
        if (box->ranges[f].lo == box->ranges[f].hi) continue;
        if (b->credit[f] <= most) continue;
        most = b->credit[f];
        best = f;
    }
    return best;
}

/* Where the far part of a range begins: about half way in cost on the dearer side. True: the far
 * part is from *at on, else up to *at. */
static bool halve(const struct cf_axis *axis, struct cf_range range, uint32_t *at)
{
    uint32_t near = nearest_in(axis, range);
    double low = axis->positions[range.lo].cost, high = axis->positions[range.hi].cost;
    bool up = near == range.lo || (near != range.hi && high >= low);
    double half = (axis->positions[near].cost + (up ? high : low)) / 2;
    if (up) {
        uint32_t i = range.hi;
        while (i - 1 > near && axis->positions[i - 1].cost >= half) i--;
        *at = i;
        return true;
    }
    uint32_t i = range.lo;
    while (i + 1 < near && axis->positions[i + 1].cost >= half) i++;
    *at = i;
    return false;
}

static bool add_half(struct bounding *b, const struct box *box, uint32_t feature,
                     struct cf_range range)
{
    uint32_t features = b->search->space->model->features_count;
    struct box half = {.ranges = ig_arena_array(&b->arena, features, sizeof *half.ranges)};
    if (!half.ranges) return false;
    memcpy(half.ranges, box->ranges, features * sizeof *half.ranges);
    half.ranges[feature] = range;
    return !shrink(b, &half) || push_box(&b->queue, half);
}

/* False: no memory. */
static bool open_box(struct bounding *b, struct box *box)
{
    struct cf_search *search = b->search;
    uint32_t features = search->space->model->features_count, at;
    if (!shrink(b, box)) return true;
    cf_point_sums(search, b->point);
    if (cf_lack(search->options, search->sums, search->outputs) <= search->slack &&
        cf_is_wanted(search, b->point)) {
        keep(search, b->best, b->point); /* and it is the box's nearest */
        return true;
    }
    memset(b->credit, 0, features * sizeof *b->credit);
    if (!cf_box_may(search, box->ranges, b->point, b->credit)) return true;
    uint32_t feature = choose_axis(b, box);
    if (feature == CF_NONE) return true;
    struct cf_range range = box->ranges[feature];
    bool up = halve(&search->axes[feature], range, &at);
    struct cf_range low = {range.lo, up ? at - 1 : at}, high = {up ? at : at + 1, range.hi};
    return add_half(b, box, feature, low) && add_half(b, box, feature, high);
}

/* Returns the bound that is proved: no answer is nearer. */
static double branch_and_bound(struct bounding *b)
{
    struct cf_search *search = b->search;
    const struct ig_counterfactual_options *options = search->options;
    uint32_t features = search->space->model->features_count;
    struct box whole = {.ranges = ig_arena_array(&b->arena, features, sizeof *whole.ranges)};
    if (!whole.ranges) return 0;
    for (uint32_t f = 0; f < features; f++) {
        b->point[f] = search->axes[f].base;
        whole.ranges[f] = (struct cf_range){0, search->axes[f].count - 1};
    }
    if (!push_box(&b->queue, whole)) return 0;
    for (bool ok = true; b->queue.count;) {
        struct box box = pop_box(&b->queue);
        if (!nearer(box.cost, b->best)) return b->best->cost;
        bool late =
            options->deadline_ns && b->boxes % 16 == 0 && ig_clock_ns() > options->deadline_ns;
        if (!ok || late || b->boxes++ >= b->boxes_max) return fmin(box.cost, b->best->cost);
        for (uint32_t f = 0; f < features; f++) b->point[f] = search->axes[f].base;
        ok = open_box(b, &box);
    }
    return b->best->cost;
}

/* The nearest answer with the axes as they are; *bound: none is nearer. */
static bool solve(struct cf_search *search, struct best *best, uint64_t boxes_max, double *bound)
{
    uint32_t features = search->space->model->features_count;
    size_t stride = 1;
    uint32_t *point = ig_arena_array(search->arena, features, sizeof *point);
    double *credit = ig_arena_array(search->arena, features, sizeof *credit);
    if (!point || !credit) return false;
    for (uint32_t f = 0; f < features; f++) {
        if (search->axes[f].count + (size_t)1 > stride) stride = search->axes[f].count + (size_t)1;
        point[f] = search->axes[f].base;
    }
    search->differences =
        ig_arena_array(search->arena, search->outputs * stride, sizeof *search->differences);
    if (!search->differences) return false;
    best->cost = INFINITY;
    if (go_greedily(search, point, stride)) {
        keep(search, best, point);
        exchange(search, best, point, stride);
    }
    struct bounding b = {
        .search = search, .best = best, .point = point, .credit = credit, .boxes_max = boxes_max};
    ig_arena_init(&b.arena, 1 << 16, HEAP_MAX_BYTES);
    *bound = branch_and_bound(&b);
    search->boxes += b.boxes;
    ig_free(b.queue.boxes);
    ig_arena_deinit(&b.arena);
    return true;
}

/* ---- the call ---- */

/* Rounding between double sums and the engine's: a float's for float models. */
static double slack_of(const struct ig_counterfactual_space *space)
{
    double size = 1, unit = space->model->inputs_f32 ? 0x1p-24 : 0x1p-53;
    for (uint32_t o = 0; o < space->model->outputs_count; o++)
        size += fabs(ig_tree_shap_base_margin(space->model, o));
    for (uint32_t t = 0; t < space->trees_count; t++) {
        const struct cf_node *root = &space->nodes[space->trees[t].root];
        size += fmax(fabs(root->least), fabs(root->most));
    }
    return size * unit * 4 * sqrt((double)space->trees_count + 1);
}

static enum ig_code prepare(struct cf_search *search)
{
    const struct ig_counterfactual_space *space = search->space;
    struct ig_arena *arena = search->arena;
    size_t bytes = ig_engine_scratch_bytes(space->engine, IG_ENGINE_MARGIN, 1);
    size_t depth = 2 * ((size_t)space->depth_max + 2);
    search->outputs = space->model->outputs_count;
    search->changes_max = search->options->changes_max ? search->options->changes_max : UINT32_MAX;
    search->slack = slack_of(space);
    search->sums = ig_arena_array(arena, search->outputs, sizeof(double));
    search->highs = ig_arena_array(arena, search->outputs, sizeof(double));
    search->lows = ig_arena_array(arena, search->outputs, sizeof(double));
    search->stack = ig_arena_array(arena, depth, sizeof *search->stack);
    search->ranges = ig_arena_array(arena, depth, sizeof *search->ranges);
    search->moved = ig_arena_array(arena, space->model->features_count, sizeof(double));
    search->margins = ig_arena_array(arena, search->outputs, sizeof(double));
    search->scratch = ig_arena_alloc_aligned(arena, bytes ? bytes : ALIGNMENT, ALIGNMENT);
    if (arena->overflowed) return no_memory(search->err);
    return make_axes(search);
}

static enum ig_code keep_answer(struct ig_counterfactual *out, struct cf_search *search,
                                const struct best *best, double bound)
{
    uint32_t features = search->space->model->features_count, count = 0;
    uint32_t *changes = ig_arena_array(search->arena, features, sizeof *changes);
    double *row = ig_arena_array(search->arena, features, sizeof *row);
    double *margins = ig_arena_array(search->arena, search->outputs, sizeof *margins);
    if (!changes || !row || !margins) return no_memory(search->err);
    cf_is_wanted(search, best->point); /* for its values and margins */
    memcpy(row, search->moved, features * sizeof *row);
    memcpy(margins, search->margins, search->outputs * sizeof *margins);
    for (uint32_t i = 0; i < search->active_count; i++) {
        uint32_t f = search->active[i], at = count;
        if (best->point[f] == search->axes[f].base) continue;
        double cost = cost_at(search, f, best->point[f]);
        for (; at && cost_at(search, changes[at - 1], best->point[changes[at - 1]]) < cost; at--)
            changes[at] = changes[at - 1];
        changes[at] = f;
        count++;
    }
    *out = (struct ig_counterfactual){.row = row,
                                      .changes_count = count,
                                      .changes = changes,
                                      .distance = best->cost,
                                      .bound = fmin(bound, best->cost),
                                      .is_nearest = !nearer(bound, best),
                                      .margins = margins};
    return IG_OK;
}

/* Axes without the features that `which` names of each answer before, then as they were. */
static bool solve_without(struct cf_search *search, const struct ig_counterfactual *before,
                          const uint32_t *which, uint32_t before_count, struct best *best,
                          double *bound)
{
    struct cf_axis kept[IG_COUNTERFACTUALS_MAX];
    uint32_t features[IG_COUNTERFACTUALS_MAX], active_count = search->active_count;
    uint64_t most = search->options->boxes_max ? search->options->boxes_max : BOXES;
    uint32_t *active = search->active;
    for (uint32_t i = 0; i < before_count; i++) {
        features[i] = before[i].changes[which[i]];
        kept[i] = search->axes[features[i]];
    }
    uint32_t *fewer = ig_arena_array(search->arena, active_count, sizeof *fewer);
    if (!fewer) return false;
    search->active = fewer;
    search->active_count = 0;
    for (uint32_t k = 0; k < active_count; k++) {
        bool out = false;
        for (uint32_t i = 0; i < before_count; i++) out = out || features[i] == active[k];
        if (!out) fewer[search->active_count++] = active[k];
    }
    for (uint32_t i = 0; i < before_count; i++) {
        struct cf_axis *axis = &search->axes[features[i]];
        if (axis->count == 1) continue; /* named twice */
        axis->positions = &axis->positions[axis->base];
        axis->has_missing = kept[i].has_missing && kept[i].base + 1 == kept[i].count;
        axis->count = 1;
        axis->base = 0;
    }
    bool ok = solve(search, best, most, bound);
    for (uint32_t i = 0; ok && i < before_count; i++) /* in positions of the full axis */
        best->point[features[i]] = kept[i].base;
    for (uint32_t i = before_count; i-- > 0;) search->axes[features[i]] = kept[i];
    search->active = active;
    search->active_count = active_count;
    return ok;
}

/* The nearest answer that leaves out a feature of every one before: the least over all choices. */
static enum ig_code solve_next(struct cf_search *search, struct ig_counterfactual_result *out,
                               struct ig_counterfactual *items, double *bound, struct best *best)
{
    uint32_t which[IG_COUNTERFACTUALS_MAX] = {0}, tried = 0, at;
    uint32_t features = search->space->model->features_count;
    struct best one = {ig_arena_array(search->arena, features, sizeof(uint32_t)), INFINITY};
    if (!one.point) return no_memory(search->err);
    *bound = best->cost = INFINITY;
    do {
        double proved = 0;
        if (!solve_without(search, items, which, out->count, &one, &proved))
            return no_memory(search->err);
        if (proved < *bound) *bound = proved;
        if (one.cost < best->cost) {
            memcpy(best->point, one.point, features * sizeof *best->point);
            best->cost = one.cost;
        }
        for (at = 0; at < out->count && ++which[at] == items[at].changes_count; at++) which[at] = 0;
    } while (at < out->count && ++tried < COMBINATIONS_MAX);
    if (at < out->count) *bound = 0; /* choices were left out */
    return IG_OK;
}

enum ig_code ig_counterfactual_run(struct ig_counterfactual_result *out,
                                   const struct ig_counterfactual_space *space, const double *row,
                                   const struct ig_counterfactual_options *options,
                                   struct ig_arena *arena, struct ig_err *err)
{
    struct cf_search search = {
        .space = space, .options = options, .row = row, .arena = arena, .err = err};
    uint32_t features = space->model->features_count, count = options->count ? options->count : 1;
    struct ig_counterfactual *items;
    *out = (struct ig_counterfactual_result){0};
    if (cf_check_options(options, space->model->outputs_count, err) != IG_OK ||
        prepare(&search) != IG_OK)
        return err->code;
    items = ig_arena_array(arena, count, sizeof *items);
    struct best best = {ig_arena_array(arena, features, sizeof(uint32_t)), INFINITY};
    if (!items || !best.point) return no_memory(err);
    out->items = items;
    for (uint32_t f = 0; f < features; f++) best.point[f] = search.axes[f].base;
    out->is_there_already = cf_is_wanted(&search, best.point);
    while (!out->is_there_already && out->count < count) {
        double bound = 0;
        if (solve_next(&search, out, items, &bound, &best) != IG_OK) return err->code;
        if (isinf(best.cost)) {
            out->none = out->count == 0 && isinf(bound);
            break;
        }
        if (keep_answer(&items[out->count], &search, &best, bound) != IG_OK) return err->code;
        out->count++;
    }
    out->boxes = search.boxes;
    return IG_OK;
}
