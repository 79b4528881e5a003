/* SPDX-License-Identifier: Apache-2.0 */
/* Random networks under random constraints: every answer is wanted by the model, keeps the
 * constraints, costs what it says, and is as near as the best of thousands of drawn rows, but 2%.
 * On tree ensembles answers are held against the proved nearest. */
#include <stdarg.h>
#include <stddef.h>

#include <setjmp.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/clock.h"
#include "kernels/explain/counterfactual_any.h"
#include "kernels/tree/tree_testing.h"
#include "model/foreign.h"

#include <string.h>

enum { FEATURES = 6, HIDDEN = 8, OUTPUTS = 3, ROWS = 40, CODES = 4, CODED = 5 };

/* A layer of tanh between two linear ones, or a linear one; a missing input is 0, a category one of
 * four numbers. */
struct net {
    double first[HIDDEN][FEATURES + 1], last[OUTPUTS][HIDDEN + 1], codes[CODES];
    uint32_t outputs;
    bool is_line; /* no hidden layer: the first row of `first` */
};

struct fixture {
    struct net net;
    struct ig_counterfactual_any *any;
    struct ig_arena arena;
    struct ig_err err;
    double rows[ROWS * FEATURES];
};

static const bool CATEGORICAL[FEATURES] = {[CODED] = true};
static const uint32_t CATEGORIES[FEATURES] = {[CODED] = CODES};

static double line_margin(const struct net *net, const double *row)
{
    double sum = net->first[0][FEATURES];
    for (int f = 0; f < FEATURES; f++) sum += isnan(row[f]) ? 0 : net->first[0][f] * row[f];
    return sum;
}

static void net_run(const struct ig_predictor *predictor, const double *rows, size_t count,
                    double *values, void *scratch)
{
    const struct net *net = predictor->context;
    (void)scratch;
    for (size_t i = 0; i < count; i++, rows += FEATURES, values += net->outputs) {
        double hidden[HIDDEN];
        if (net->is_line) {
            values[0] = line_margin(net, rows);
            continue;
        }
        for (int h = 0; h < HIDDEN; h++) {
            hidden[h] = net->first[h][FEATURES];
            for (int f = 0; f < FEATURES; f++) {
                double x = isnan(rows[f]) ? 0 : f == CODED ? net->codes[(int)rows[f]] : rows[f];
                hidden[h] += net->first[h][f] * x;
            }
            hidden[h] = tanh(hidden[h]);
        }
        for (uint32_t o = 0; o < net->outputs; o++) {
            values[o] = net->last[o][HIDDEN];
            for (int h = 0; h < HIDDEN; h++) values[o] += net->last[o][h] * hidden[h];
        }
    }
}

static size_t net_scratch(const struct ig_predictor *predictor, size_t rows_count)
{
    (void)predictor;
    return rows_count;
}

static void fill(double *values, size_t count, uint64_t *seed)
{
    for (size_t i = 0; i < count; i++) values[i] = ig_testing_unit(seed, false) * 1.5;
}

static void draw_row(double *row, uint64_t *seed)
{
    for (uint32_t f = 0; f < FEATURES; f++) {
        row[f] = f == CODED ? ig_testing_below(seed, CODES) : ig_testing_unit(seed, false) * 2;
        if (ig_testing_below(seed, 12) == 0) row[f] = NAN;
    }
}

static void open_fixture(struct fixture *x, uint64_t seed)
{
    const struct ig_background background = {x->rows, NULL, ROWS, FEATURES};
    *x = (struct fixture){.err = IG_ERR_INIT};
    fill(x->net.first[0], sizeof x->net.first / sizeof(double), &seed);
    fill(x->net.last[0], sizeof x->net.last / sizeof(double), &seed);
    fill(x->net.codes, CODES, &seed);
    x->net.outputs = seed % 2 ? 1 : OUTPUTS;
    for (int i = 0; i < ROWS; i++) draw_row(x->rows + i * FEATURES, &seed);
    const struct ig_counterfactual_any_spec spec = {
        {FEATURES, x->net.outputs, &x->net, net_run, net_scratch},
        seed % 3 ? &background : NULL,
        CATEGORICAL,
        CATEGORIES,
        NULL};
    assert_int_equal(ig_counterfactual_any_new(&x->any, &spec, &x->err), IG_OK);
    assert_true(ig_counterfactual_any_memory_bytes(x->any) > 0);
    ig_arena_init(&x->arena, 1 << 16, 1 << 26);
}

static void close_fixture(struct fixture *x)
{
    ig_counterfactual_any_free(x->any);
    ig_arena_deinit(&x->arena);
}

/* ---- the definition, again ---- */

static bool wanted(const struct fixture *x, const struct ig_counterfactual_options *o,
                   const double *row)
{
    const struct ig_predictor predictor = {FEATURES, x->net.outputs, &x->net, net_run, net_scratch};
    double margins[OUTPUTS];
    net_run(&predictor, row, 1, margins, NULL);
    double own = margins[o->output];
    if (o->want == IG_COUNTERFACTUAL_ABOVE) return own > o->low;
    if (o->want == IG_COUNTERFACTUAL_BELOW) return own <= o->high;
    if (o->want == IG_COUNTERFACTUAL_RANGE) return own >= o->low && own <= o->high;
    for (uint32_t i = 0; i < x->net.outputs; i++)
        if (i != o->output && (i < o->output ? margins[i] >= own : margins[i] > own)) return false;
    return true;
}

static bool stays(double from, double value)
{
    return from == value || (isnan(from) && isnan(value));
}

static bool allowed(const struct ig_counterfactual_constraint *c, uint32_t feature, double from,
                    double value)
{
    if (stays(from, value)) return true;
    if (c->immutable) return false;
    if (isnan(value)) return c->may_go_missing;
    if (feature == CODED) return value == floor(value) && value >= 0 && value < CODES;
    if ((c->has_low && value < c->low) || (c->has_high && value > c->high)) return false;
    if ((c->only_up && value < from) || (c->only_down && value > from)) return false;
    if (!(c->step > 0)) return true;
    double steps = (value - (isnan(from) ? 0 : from)) / c->step;
    return fabs(steps - round(steps)) < 1e-6;
}

static double cost(const struct fixture *x, const struct ig_counterfactual_options *o,
                   const double *row, const double *changed)
{
    double sum = 0;
    for (uint32_t f = 0; f < FEATURES; f++) {
        const struct ig_counterfactual_constraint *c = &o->constraints[f];
        double scale = c->scale > 0 ? c->scale : ig_counterfactual_any_scale(x->any, f);
        if (stays(row[f], changed[f])) continue;
        sum += o->price;
        if (isnan(row[f]) || isnan(changed[f]))
            sum += 1;
        else if (f == CODED)
            sum += 1 / (c->scale > 0 ? c->scale : 1);
        else
            sum += fabs(changed[f] - row[f]) / scale;
    }
    return sum;
}

static void draw_constraints(struct ig_counterfactual_constraint *c, uint64_t *seed)
{
    for (uint32_t f = 0; f < FEATURES; f++, c++) {
        *c = (struct ig_counterfactual_constraint){0};
        c->immutable = ig_testing_below(seed, 5) == 0;
        c->only_up = ig_testing_below(seed, 5) == 0;
        c->only_down = !c->only_up && ig_testing_below(seed, 5) == 0;
        c->has_low = ig_testing_below(seed, 3) == 0;
        c->has_high = ig_testing_below(seed, 3) == 0;
        c->low = -1 + ig_testing_unit(seed, false);
        c->high = 1 + ig_testing_unit(seed, false);
        c->may_go_missing = ig_testing_below(seed, 4) == 0;
        if (ig_testing_below(seed, 4) == 0) c->step = 0.25;
        if (ig_testing_below(seed, 4) == 0) c->scale = 0.5;
    }
}

static struct ig_counterfactual_options draw_options(const struct fixture *x, uint64_t *seed,
                                                     struct ig_counterfactual_constraint *c)
{
    struct ig_counterfactual_options o = {.constraints = c, .seed = *seed};
    draw_constraints(c, seed);
    o.want = (enum ig_counterfactual_want)ig_testing_below(seed, x->net.outputs > 1 ? 4 : 3);
    o.output = ig_testing_below(seed, x->net.outputs);
    o.low = ig_testing_unit(seed, false) * 2;
    o.high = o.want == IG_COUNTERFACTUAL_BELOW ? o.low : o.low + 0.5;
    if (ig_testing_below(seed, 3) == 0) o.price = 0.3;
    if (ig_testing_below(seed, 3) == 0) o.changes_max = 1 + ig_testing_below(seed, 3);
    return o;
}

static uint32_t changes_of(const double *row, const double *changed)
{
    uint32_t count = 0;
    for (uint32_t f = 0; f < FEATURES; f++) count += !stays(row[f], changed[f]);
    return count;
}

/* The cost of the nearest of many allowed draws; infinite: none is wanted. */
static double best_draw(const struct fixture *x, const struct ig_counterfactual_options *o,
                        const double *row, uint64_t *seed)
{
    double best = INFINITY;
    for (int i = 0; i < 4000; i++) {
        double other[FEATURES], changed[FEATURES];
        draw_row(other, seed);
        memcpy(changed, row, sizeof changed);
        for (uint32_t f = 0; f < FEATURES; f++) {
            double value = other[f], step = o->constraints[f].step,
                   from = isnan(row[f]) ? 0 : row[f];
            if (step > 0 && f != CODED) value = from + round((value - from) / step) * step;
            if (ig_testing_below(seed, 2) && allowed(&o->constraints[f], f, row[f], value))
                changed[f] = value;
        }
        if (o->changes_max && changes_of(row, changed) > o->changes_max) continue;
        if (wanted(x, o, changed)) best = fmin(best, cost(x, o, row, changed));
    }
    return best;
}

static void check_item(const struct fixture *x, const struct ig_counterfactual_options *o,
                       const double *row, const struct ig_counterfactual *item)
{
    assert_true(wanted(x, o, item->row));
    for (uint32_t f = 0; f < FEATURES; f++)
        if (!allowed(&o->constraints[f], f, row[f], item->row[f]))
            fail_msg("feature %u goes from %g to %g", f, row[f], item->row[f]);
    assert_int_equal(changes_of(row, item->row), item->changes_count);
    assert_true(!o->changes_max || item->changes_count <= o->changes_max);
    assert_true(fabs(cost(x, o, row, item->row) - item->distance) < 1e-9 * (1 + item->distance));
    if (x->net.is_line) return;
    assert_false(item->is_nearest);
    assert_true(item->bound == 0);
}

static void test_networks(void **state)
{
    (void)state;
    uint32_t found = 0, rounds = 150;
    for (uint64_t n = 0; n < rounds; n++) {
        struct fixture x;
        struct ig_counterfactual_constraint constraints[FEATURES];
        struct ig_counterfactual_result one, again;
        uint64_t seed = 1000 + n;
        double row[FEATURES];
        open_fixture(&x, n + 1);
        draw_row(row, &seed);
        const struct ig_counterfactual_options o = draw_options(&x, &seed, constraints);
        assert_int_equal(ig_counterfactual_any_run(&one, x.any, row, &o, &x.arena, &x.err), IG_OK);
        assert_int_equal(ig_counterfactual_any_run(&again, x.any, row, &o, &x.arena, &x.err),
                         IG_OK);
        assert_int_equal(one.is_there_already, wanted(&x, &o, row));
        assert_false(one.none);
        assert_int_equal(one.count, again.count);
        double drawn = one.is_there_already ? INFINITY : best_draw(&x, &o, row, &seed);
        if (one.count) {
            check_item(&x, &o, row, &one.items[0]);
            assert_memory_equal(one.items[0].row, again.items[0].row, sizeof row);
            if (one.items[0].distance > drawn * 1.02)
                fail_msg("round %u: distance %g, drawn %g", (unsigned)n, one.items[0].distance,
                         drawn);
            found++;
        } else if (!isinf(drawn)) {
            fail_msg("round %u: nothing found, but a draw at %g", (unsigned)n, drawn);
        }
        close_fixture(&x);
    }
    assert_true(found > rounds / 3);
}

static void test_alternatives_and_limits(void **state)
{
    (void)state;
    struct fixture x;
    struct ig_counterfactual_constraint constraints[FEATURES] = {{0}};
    struct ig_counterfactual_result out;
    uint64_t seed = 5;
    double row[FEATURES];
    open_fixture(&x, 7);
    draw_row(row, &seed);
    struct ig_counterfactual_options o = {
        .want = IG_COUNTERFACTUAL_ABOVE, .constraints = constraints, .count = 3, .seed = 1};
    while (wanted(&x, &o, row)) draw_row(row, &seed);
    assert_int_equal(ig_counterfactual_any_run(&out, x.any, row, &o, &x.arena, &x.err), IG_OK);
    assert_true(out.count >= 2);
    for (uint32_t i = 0; i < out.count; i++) {
        check_item(&x, &o, row, &out.items[i]);
        for (uint32_t k = 0; k < i; k++) {
            bool kept = false;
            for (uint32_t c = 0; c < out.items[k].changes_count; c++) {
                uint32_t f = out.items[k].changes[c];
                kept |= stays(out.items[i].row[f], row[f]);
            }
            assert_true(kept);
        }
    }
    o.boxes_max = 100;
    o.count = 1;
    assert_int_equal(ig_counterfactual_any_run(&out, x.any, row, &o, &x.arena, &x.err), IG_OK);
    assert_true(out.boxes < 400);
    o.boxes_max = 0;
    o.deadline_ns = ig_clock_ns();
    assert_int_equal(ig_counterfactual_any_run(&out, x.any, row, &o, &x.arena, &x.err), IG_OK);
    assert_true(out.boxes < 400);
    for (uint32_t f = 0; f < FEATURES; f++) constraints[f].immutable = true;
    assert_int_equal(ig_counterfactual_any_run(&out, x.any, row, &o, &x.arena, &x.err), IG_OK);
    assert_true(out.count == 0 && !out.none);
    constraints[2].step = -1;
    assert_int_equal(ig_counterfactual_any_run(&out, x.any, row, &o, &x.arena, &x.err), IG_INVALID);
    close_fixture(&x);
}

/* ---- linear models ---- */

enum { VALUES_MAX = 40 };

/* What a feature may become in a brute force, besides what is needed to finish. */
static uint32_t values_of(const struct fixture *x, const struct ig_counterfactual_options *o,
                          uint32_t f, double own, double *values)
{
    const struct ig_counterfactual_constraint *c = &o->constraints[f];
    double tried[VALUES_MAX];
    uint32_t count = 0, kept = 0;
    tried[count++] = NAN;
    for (int n = -12; n <= 12 && c->step > 0; n++)
        tried[count++] = (isnan(own) ? 0 : own) + n * c->step;
    for (int code = 0; code < CODES && f == CODED; code++) tried[count++] = code;
    if (c->has_low) tried[count++] = c->low;
    if (c->has_high) tried[count++] = c->high;
    values[kept++] = own;
    for (uint32_t i = 0; i < count && x->net.first[0][f] != 0; i++)
        if (!stays(own, tried[i]) && allowed(c, f, own, tried[i])) values[kept++] = tried[i];
    return kept;
}

/* One feature more, going exactly as far as is needed, or just beyond. */
static void finish(const struct fixture *x, const struct ig_counterfactual_options *o,
                   const double *row, double *point, double *best)
{
    if (wanted(x, o, point) && (!o->changes_max || changes_of(row, point) <= o->changes_max))
        *best = fmin(*best, cost(x, o, row, point));
    for (uint32_t f = 0; f < FEATURES - 1; f++) {
        double kept = point[f], weight = x->net.first[0][f];
        double margin = line_margin(&x->net, point) - (isnan(kept) ? 0 : weight * kept);
        for (int end = 0; end < 2 && weight != 0; end++) {
            double target = end ? o->high - 1e-10 : o->low + 1e-10;
            point[f] = (target - margin) / weight;
            if (allowed(&o->constraints[f], f, row[f], point[f]) && wanted(x, o, point) &&
                (!o->changes_max || changes_of(row, point) <= o->changes_max))
                *best = fmin(*best, cost(x, o, row, point));
        }
        point[f] = kept;
    }
}

static double brute_force(const struct fixture *x, const struct ig_counterfactual_options *o,
                          const double *row)
{
    double values[FEATURES][VALUES_MAX], point[FEATURES], best = INFINITY;
    uint32_t counts[FEATURES], at[FEATURES] = {0}, f = 0;
    for (uint32_t i = 0; i < FEATURES; i++) counts[i] = values_of(x, o, i, row[i], values[i]);
    while (f < FEATURES) {
        for (uint32_t i = 0; i < FEATURES; i++) point[i] = values[i][at[i]];
        finish(x, o, row, point, &best);
        for (f = 0; f < FEATURES && ++at[f] == counts[f]; f++) at[f] = 0;
    }
    return best;
}

/* Three features have weight, and the category. */
static void make_line(struct net *net, uint64_t *seed)
{
    net->is_line = true;
    net->outputs = 1;
    for (uint32_t f = 0; f < FEATURES; f++) {
        double size = 0.6 + fabs(ig_testing_unit(seed, false));
        net->first[0][f] = ig_testing_below(seed, 2) ? size : -size;
    }
    net->first[0][ig_testing_below(seed, 2)] = net->first[0][2 + ig_testing_below(seed, 3)] = 0;
}

static void test_linear_models(void **state)
{
    (void)state;
    uint32_t proved = 0, none = 0, rounds = 150, asked = 0;
    for (uint64_t n = 0; n < rounds; n++) {
        struct fixture x;
        struct ig_counterfactual_constraint constraints[FEATURES];
        struct ig_counterfactual_result out;
        uint64_t seed = 500 + n;
        double row[FEATURES];
        open_fixture(&x, 6 * n);
        make_line(&x.net, &seed);
        ig_counterfactual_any_free(x.any);
        const struct ig_counterfactual_any_spec spec = {{FEATURES, 1, &x.net, net_run, net_scratch},
                                                        NULL,
                                                        CATEGORICAL,
                                                        CATEGORIES,
                                                        x.net.first[0]};
        assert_int_equal(ig_counterfactual_any_new(&x.any, &spec, &x.err), IG_OK);
        draw_row(row, &seed);
        struct ig_counterfactual_options o = draw_options(&x, &seed, constraints);
        for (uint32_t f = 0; f < FEATURES; f++) constraints[f].step *= 4;
        if (o.want == IG_COUNTERFACTUAL_ABOVE) o.high = o.low;
        if (o.want == IG_COUNTERFACTUAL_BELOW) o.low = o.high;
        assert_int_equal(ig_counterfactual_any_run(&out, x.any, row, &o, &x.arena, &x.err), IG_OK);
        asked += !out.is_there_already;
        double best = out.is_there_already ? 0 : brute_force(&x, &o, row);
        if (out.none && !isinf(best)) fail_msg("round %u: one at %g", (unsigned)n, best);
        none += out.none;
        if (out.count && out.items[0].is_nearest) {
            double far = out.items[0].distance;
            assert_true(out.items[0].bound == far);
            if (!(fabs(far - best) <= 1e-6 * (1 + best)))
                fail_msg("round %u: distance %.9g, brute force %.9g", (unsigned)n, far, best);
            proved++;
        }
        for (uint32_t i = 0; i < out.count; i++) check_item(&x, &o, row, &out.items[i]);
        close_fixture(&x);
    }
    assert_true(none > 0);
    assert_true(proved + none >= asked * 8 / 10);
}

/* Against the proved nearest of small tree ensembles: never nearer, and seldom much farther. */
static void test_trees(void **state)
{
    (void)state;
    const struct ig_testing_shape shape = {
        .features = FEATURES, .outputs = 1, .trees = 8, .depth = 3, .sum_rule = IG_SUM_F64};
    uint32_t found = 0, equal = 0;
    double ratio = 0;
    for (uint64_t n = 1; n <= 40; n++) {
        struct ig_model *model = ig_testing_model(&shape, n);
        struct ig_engine *engine = NULL;
        struct ig_counterfactual_space *space = NULL;
        struct ig_counterfactual_any *any = NULL;
        struct ig_counterfactual_result exact, searched;
        struct ig_arena arena;
        struct ig_err err = IG_ERR_INIT;
        double rows[ROWS * FEATURES];
        const struct ig_background background = {rows, NULL, ROWS, FEATURES};
        ig_arena_init(&arena, 1 << 16, 1 << 26);
        uint64_t seed = n;
        for (int i = 0; i < ROWS * FEATURES; i++) rows[i] = ig_testing_unit(&seed, false) * 4;
        assert_int_equal(ig_engine_new(&engine, model, &err), IG_OK);
        const struct ig_counterfactual_any_spec spec = {ig_predictor_margin(engine), &background,
                                                        NULL, NULL, NULL};
        assert_int_equal(ig_counterfactual_space_new(&space, engine, &background, NULL, &err),
                         IG_OK);
        assert_int_equal(ig_counterfactual_any_new(&any, &spec, &err), IG_OK);
        struct ig_counterfactual_options o = {.want = IG_COUNTERFACTUAL_BELOW, .seed = n};
        assert_int_equal(ig_counterfactual_run(&exact, space, rows, &o, &arena, &err), IG_OK);
        assert_int_equal(ig_counterfactual_any_run(&searched, any, rows, &o, &arena, &err), IG_OK);
        assert_int_equal(exact.is_there_already, searched.is_there_already);
        assert_true(searched.count <= exact.count);
        if (searched.count) {
            double near = exact.items[0].distance, far = searched.items[0].distance;
            assert_true(far >= near - 1e-6 * (1 + near));
            equal += far <= near * 1.0001 + 1e-6;
            ratio += far / near;
            found++;
        }
        ig_counterfactual_space_free(space);
        ig_counterfactual_any_free(any);
        ig_engine_free(engine);
        ig_model_free(model);
        ig_arena_deinit(&arena);
    }
    assert_true(found >= 15);
    assert_true(equal >= found * 2 / 3);
    assert_true(ratio / found < 1.15);
}

enum { WIDE = 3000 };

static void wide_run(const struct ig_predictor *predictor, const double *rows, size_t count,
                     double *values, void *scratch)
{
    (void)predictor;
    (void)scratch;
    for (size_t i = 0; i < count; i++, rows += WIDE)
        values[i] = rows[WIDE - 1] + rows[WIDE - 2] + rows[0] / 100;
}

/* More changes than predictions: those that matter are found all the same. */
static void test_wide_rows(void **state)
{
    (void)state;
    const struct ig_counterfactual_any_spec spec = {
        {WIDE, 1, NULL, wide_run, net_scratch}, NULL, NULL, NULL, NULL};
    const struct ig_counterfactual_options o = {
        .want = IG_COUNTERFACTUAL_ABOVE, .low = 2, .seed = 3};
    struct ig_counterfactual_any *any = NULL;
    struct ig_counterfactual_result out;
    struct ig_err err = IG_ERR_INIT;
    struct ig_arena arena;
    double *row = ig_zalloc_array(WIDE, sizeof *row);
    ig_arena_init(&arena, 1 << 16, 1 << 26);
    assert_int_equal(ig_counterfactual_any_new(&any, &spec, &err), IG_OK);
    assert_int_equal(ig_counterfactual_any_run(&out, any, row, &o, &arena, &err), IG_OK);
    assert_int_equal(out.count, 1);
    assert_true(out.items[0].distance < 4);
    assert_true(out.boxes < 22000);
    ig_counterfactual_any_free(any);
    ig_arena_deinit(&arena);
    ig_free(row);
}

/* A model of another library: from a call on it says 0, or fails. */
struct fickle {
    uint32_t calls, from;
    bool fails;
};

static void fickle_run(const struct ig_predictor *predictor, const double *rows, size_t count,
                       double *values, void *scratch)
{
    struct fickle *fickle = (struct fickle *)(uintptr_t)predictor->context;
    bool turns = ++fickle->calls >= fickle->from;
    (void)scratch;
    for (size_t i = 0; i < count; i++) values[i] = turns ? 0 : rows[2 * i] + rows[2 * i + 1];
    if (turns && fickle->fails) ig_foreign_mark(values, count);
}

static enum ig_code run_fickle(struct fickle *fickle, struct ig_err *err)
{
    const struct ig_counterfactual_any_spec spec = {
        {2, 1, fickle, fickle_run, net_scratch}, NULL, NULL, NULL, NULL};
    const struct ig_counterfactual_options o = {
        .want = IG_COUNTERFACTUAL_ABOVE, .low = 2, .seed = 3};
    struct ig_counterfactual_any *any = NULL;
    struct ig_counterfactual_result out;
    struct ig_arena arena;
    const double row[2] = {0, 0};
    *err = IG_ERR_INIT;
    ig_arena_init(&arena, 1 << 16, 1 << 26);
    assert_int_equal(ig_counterfactual_any_new(&any, &spec, err), IG_OK);
    enum ig_code code = ig_counterfactual_any_run(&out, any, row, &o, &arena, err);
    if (code == IG_OK) assert_int_equal(out.count, 1);
    ig_counterfactual_any_free(any);
    ig_arena_deinit(&arena);
    return code;
}

static void test_the_model_changes_its_mind(void **state)
{
    struct ig_err err;
    struct fickle steady = {.from = UINT32_MAX};
    (void)state;
    assert_int_equal(run_fickle(&steady, &err), IG_OK);
    struct fickle turns = {.from = steady.calls}; /* the last call is about the answer */
    assert_int_equal(run_fickle(&turns, &err), IG_INTERNAL);
    assert_non_null(
        strstr(err.message, "answers the same row differently a second time: output 0"));
    struct fickle fails = {.from = steady.calls, .fails = true};
    assert_int_equal(run_fickle(&fails, &err), IG_INTERNAL);
    assert_string_equal(err.message, "the model failed on a counterfactual");
    struct fickle broken = {.from = 2, .fails = true};
    assert_int_equal(run_fickle(&broken, &err), IG_INTERNAL);
    assert_non_null(strstr(err.message, "the model failed on rows that were tried"));
}

static void test_every_allocation_may_fail(void **state)
{
    (void)state;
    struct fixture x;
    open_fixture(&x, 8);
    const struct ig_background background = {x.rows, NULL, ROWS, FEATURES};
    const struct ig_counterfactual_any_spec spec = {
        {FEATURES, x.net.outputs, &x.net, net_run, net_scratch},
        &background,
        CATEGORICAL,
        NULL,
        NULL};
    enum ig_code code = IG_NO_MEMORY;
    for (uint64_t n = 1; code != IG_OK && n < 50; n++) {
        struct ig_counterfactual_any *any = NULL;
        struct ig_err err = IG_ERR_INIT;
        ig_mem_fail_after(n);
        code = ig_counterfactual_any_new(&any, &spec, &err);
        assert_int_equal(code, ig_mem_failed() ? IG_NO_MEMORY : IG_OK);
        ig_mem_fail_after(0);
        ig_counterfactual_any_free(any);
    }
    assert_int_equal(code, IG_OK);
    close_fixture(&x);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_networks),
        cmocka_unit_test(test_alternatives_and_limits),
        cmocka_unit_test(test_linear_models),
        cmocka_unit_test(test_trees),
        cmocka_unit_test(test_wide_rows),
        cmocka_unit_test(test_the_model_changes_its_mind),
        cmocka_unit_test(test_every_allocation_may_fail),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
