/* SPDX-License-Identifier: Apache-2.0 */
/* Distances equal those of all combinations of candidate values, on random small ensembles of both
 * libraries' rules with categories and missing values, under random constraints; every answer is
 * wanted by the engine and keeps the constraints. */
#include <stdarg.h>
#include <stddef.h>

#include <setjmp.h>
#include <stdint.h>

#include <cmocka.h>

#include "kernels/explain/counterfactual.h"
#include "kernels/tree/tree_predict_walk.h"
#include "kernels/tree/tree_testing.h"

#include <string.h>

enum { FEATURES = 4, CANDIDATES_MAX = 64, CODES = 5 };

struct fixture {
    struct ig_model *model;
    struct ig_engine *engine;
    struct ig_counterfactual_space *space;
    struct ig_arena arena;
    struct ig_err err;
    void *scratch;
    double candidates[FEATURES][CANDIDATES_MAX];
    size_t counts[FEATURES];
};

static bool is_category(uint32_t feature)
{
    return feature == 3;
}

/* Features split by category sets or by thresholds, not both. */
static void part_features(struct ig_model *model, const struct ig_testing_shape *shape,
                          uint64_t *seed)
{
    for (uint32_t i = 0; i < model->nodes_count; i++) {
        struct ig_node *node = &model->nodes[i];
        if (node->op == IG_NODE_LEAF) continue;
        if (node->op == IG_NODE_IN) node->feature = 3;
        if (node->op != IG_NODE_IN && node->feature == 3) node->feature = ig_testing_below(seed, 3);
        if (!isfinite(node->value)) node->value = 1;
        (void)shape;
    }
}

static void open_fixture(struct fixture *x, const struct ig_testing_shape *shape, uint64_t seed)
{
    static const uint32_t CATEGORIES[FEATURES] = {0, 0, 0, CODES};
    *x = (struct fixture){.err = IG_ERR_INIT};
    x->model = ig_testing_model(shape, seed);
    assert_non_null(x->model);
    part_features(x->model, shape, &seed);
    assert_int_equal(ig_model_check(x->model, &x->err), IG_OK);
    assert_int_equal(ig_engine_new(&x->engine, x->model, &x->err), IG_OK);
    assert_int_equal(ig_counterfactual_space_new(&x->space, x->engine, NULL, CATEGORIES, &x->err),
                     IG_OK);
    ig_arena_init(&x->arena, 1 << 16, 1 << 28);
    x->scratch = ig_alloc_aligned(64, ig_engine_scratch_bytes(x->engine, IG_ENGINE_MARGIN, 1) + 64);
}

static void close_fixture(struct fixture *x)
{
    ig_free(x->scratch);
    ig_arena_deinit(&x->arena);
    ig_counterfactual_space_free(x->space);
    ig_engine_free(x->engine);
    ig_model_free(x->model);
}

static bool wanted(struct fixture *x, const struct ig_counterfactual_options *o, const double *row)
{
    double margins[8];
    ig_engine_margin(x->engine, row, 1, margins, x->scratch);
    double own = margins[o->output];
    if (o->want == IG_COUNTERFACTUAL_ABOVE) return own > o->low;
    if (o->want == IG_COUNTERFACTUAL_BELOW) return own <= o->high;
    if (o->want == IG_COUNTERFACTUAL_RANGE) return own >= o->low && own <= o->high;
    for (uint32_t i = 0; i < x->model->outputs_count; i++)
        if (i != o->output && (i < o->output ? margins[i] >= own : margins[i] > own)) return false;
    return true;
}

/* Whether a new value keeps the constraint. */
static bool allowed(const struct ig_counterfactual_constraint *c, uint32_t feature, double from,
                    double value)
{
    bool stays = from == value || (isnan(from) && isnan(value));
    if (stays) return true;
    if (c->immutable) return false;
    if (isnan(value)) return c->may_go_missing;
    if (is_category(feature)) return true;
    if ((c->has_low && value < c->low) || (c->has_high && value > c->high)) return false;
    if ((c->only_up && value < from) || (c->only_down && value > from)) return false;
    if (c->step > 0) {
        double steps = (value - (isnan(from) ? 0 : from)) / c->step;
        return fabs(steps - round(steps)) < 1e-6;
    }
    return true;
}

static double cost(const struct fixture *x, const struct ig_counterfactual_options *o,
                   uint32_t feature, double from, double value)
{
    const struct ig_counterfactual_constraint *c = &o->constraints[feature];
    if (from == value || (isnan(from) && isnan(value))) return 0;
    if (is_category(feature) && !isnan(from) && !isnan(value))
        return o->price + 1 / (c->scale > 0 ? c->scale : 1);
    if (isnan(from) || isnan(value)) return o->price + 1;
    double scale = c->scale > 0 ? c->scale : ig_counterfactual_scale(x->space, feature);
    return o->price + fabs(value - from) / scale;
}

static void add_candidate(struct fixture *x, const struct ig_counterfactual_options *o,
                          uint32_t feature, double from, double value)
{
    const struct ig_counterfactual_constraint *c = &o->constraints[feature];
    if (!isnan(value) && !isfinite(value)) return;
    if (!allowed(c, feature, from, value)) return;
    assert_true(x->counts[feature] < CANDIDATES_MAX);
    x->candidates[feature][x->counts[feature]++] = value;
}

static double neighbour(bool f32, double value, double way)
{
    return f32 ? (double)nextafterf((float)value, (float)way) : nextafter(value, way);
}

/* Values about a threshold, within the constraint. */
static void add_about(struct fixture *x, const struct ig_counterfactual_options *o, uint32_t f,
                      double from, double threshold)
{
    const struct ig_counterfactual_constraint *c = &o->constraints[f];
    double start = isnan(from) ? 0 : from;
    if (c->step > 0) {
        double steps = floor((threshold - start) / c->step);
        for (double k = steps - 1; k <= steps + 2; k++)
            add_candidate(x, o, f, from, start + k * c->step);
        return;
    }
    add_candidate(x, o, f, from, threshold);
    add_candidate(x, o, f, from, neighbour(x->model->inputs_f32, threshold, INFINITY));
    add_candidate(x, o, f, from, neighbour(x->model->inputs_f32, threshold, -INFINITY));
}

static void find_candidates(struct fixture *x, const struct ig_counterfactual_options *o,
                            const double *row)
{
    for (uint32_t f = 0; f < FEATURES; f++) {
        const struct ig_counterfactual_constraint *c = &o->constraints[f];
        double seen[CANDIDATES_MAX];
        size_t seen_count = 0;
        x->counts[f] = 0;
        add_candidate(x, o, f, row[f], row[f]);
        if (!isnan(row[f])) add_candidate(x, o, f, row[f], NAN);
        for (int code = 0; is_category(f) && code < CODES; code++)
            if (code != row[f]) add_candidate(x, o, f, row[f], code);
        if (is_category(f)) continue;
        if (isnan(row[f])) add_candidate(x, o, f, row[f], 0);
        if (c->has_low) add_about(x, o, f, row[f], c->low);
        if (c->has_high) add_about(x, o, f, row[f], c->high);
        for (uint32_t i = 0; i < x->model->nodes_count; i++) {
            const struct ig_node *node = &x->model->nodes[i];
            bool known = node->op == IG_NODE_LEAF || node->feature != f;
            for (size_t k = 0; k < seen_count; k++) known = known || seen[k] == node->value;
            if (known) continue;
            seen[seen_count++] = node->value;
            add_about(x, o, f, row[f], node->value);
        }
        add_about(x, o, f, row[f], IG_TREE_ZERO);
        add_about(x, o, f, row[f], -IG_TREE_ZERO);
    }
}

static double brute_force(struct fixture *x, const struct ig_counterfactual_options *o,
                          const double *row)
{
    size_t at[FEATURES] = {0}, f;
    double best = INFINITY;
    find_candidates(x, o, row);
    do {
        double changed[FEATURES], sum = 0;
        uint32_t changes = 0;
        for (f = 0; f < FEATURES; f++) {
            changed[f] = x->candidates[f][at[f]];
            double own = cost(x, o, (uint32_t)f, row[f], changed[f]);
            sum += own;
            changes += own > 0;
        }
        if (sum < best && (!o->changes_max || changes <= o->changes_max) && wanted(x, o, changed))
            best = sum;
        for (f = 0; f < FEATURES && ++at[f] == x->counts[f]; f++) at[f] = 0;
    } while (f < FEATURES);
    return best;
}

static void random_constraints(struct ig_counterfactual_constraint *out, uint64_t *seed)
{
    memset(out, 0, FEATURES * sizeof *out);
    for (uint32_t f = 0; f < FEATURES; f++) {
        out[f].immutable = ig_testing_below(seed, 8) == 0;
        out[f].only_up = ig_testing_below(seed, 6) == 0;
        out[f].only_down = !out[f].only_up && ig_testing_below(seed, 6) == 0;
        out[f].may_go_missing = ig_testing_below(seed, 4) == 0;
        out[f].has_low = ig_testing_below(seed, 5) == 0;
        out[f].has_high = ig_testing_below(seed, 5) == 0;
        out[f].low = -1.5;
        out[f].high = 1.25;
        out[f].step = ig_testing_below(seed, 4) == 0 ? 0.25 : 0;
        out[f].scale = ig_testing_below(seed, 3) == 0 ? 0.5 : 0;
    }
}

static void check_answer(struct fixture *x, const struct ig_counterfactual_options *o,
                         const double *row, const struct ig_counterfactual *item)
{
    double sum = 0;
    uint32_t changes = 0;
    assert_true(wanted(x, o, item->row));
    for (uint32_t f = 0; f < FEATURES; f++) {
        double own = cost(x, o, f, row[f], item->row[f]);
        assert_true(allowed(&o->constraints[f], f, row[f], item->row[f]));
        sum += own;
        changes += own > 0;
    }
    assert_int_equal(changes, item->changes_count);
    assert_true(fabs(sum - item->distance) <= 1e-9 * (1 + sum));
    assert_true(!o->changes_max || changes <= o->changes_max);
    for (uint32_t i = 1; i < item->changes_count; i++)
        assert_true(cost(x, o, item->changes[i], row[item->changes[i]],
                         item->row[item->changes[i]]) <= cost(x, o, item->changes[i - 1],
                                                              row[item->changes[i - 1]],
                                                              item->row[item->changes[i - 1]]) +
                                                             1e-12);
}

static void choose_wanted(struct fixture *x, struct ig_counterfactual_options *o, const double *row,
                          uint64_t *seed)
{
    double margins[8];
    uint32_t outputs = x->model->outputs_count;
    ig_engine_margin(x->engine, row, 1, margins, x->scratch);
    o->output = ig_testing_below(seed, outputs);
    o->want = (enum ig_counterfactual_want)ig_testing_below(seed, outputs > 1 ? 4 : 3);
    double way = (0.1 + (double)ig_testing_below(seed, 100) / 100) * (o->want == 1 ? -1 : 1);
    o->low = margins[o->output] + way;
    o->high = o->want == IG_COUNTERFACTUAL_RANGE ? o->low + 0.5 : o->low;
}

static void run_random(const struct ig_testing_shape *shape, uint64_t first, int models)
{
    size_t found = 0, none = 0;
    for (int m = 0; m < models; m++) {
        struct fixture x;
        uint64_t seed = first + (uint64_t)m;
        open_fixture(&x, shape, seed);
        for (int i = 0; i < 6; i++) {
            struct ig_counterfactual_constraint constraints[FEATURES];
            struct ig_counterfactual_result result;
            double row[FEATURES];
            for (uint32_t f = 0; f < FEATURES; f++)
                row[f] = is_category(f) ? ig_testing_below(&seed, CODES)
                                        : ig_testing_unit(&seed, shape->f32) * 4;
            if (i == 5) row[ig_testing_below(&seed, FEATURES)] = NAN;
            random_constraints(constraints, &seed);
            struct ig_counterfactual_options o = {.constraints = constraints,
                                                  .price = i % 2 ? 0.25 : 0,
                                                  .changes_max = i % 3 == 2 ? 2 : 0};
            choose_wanted(&x, &o, row, &seed);
            ig_arena_reset(&x.arena);
            assert_int_equal(ig_counterfactual_run(&result, x.space, row, &o, &x.arena, &x.err),
                             IG_OK);
            double best = brute_force(&x, &o, row);
            if (best == 0) {
                assert_true(result.is_there_already);
            } else if (isinf(best)) {
                assert_true(result.none && result.count == 0);
                none++;
            } else {
                assert_int_equal(result.count, 1);
                check_answer(&x, &o, row, &result.items[0]);
                assert_true(result.items[0].is_nearest);
                if (fabs(result.items[0].distance - best) > 1e-6 * (1 + best))
                    fail_msg("model %d row %d: distance %.9g, the nearest is %.9g", m, i,
                             result.items[0].distance, best);
                found++;
            }
        }
        close_fixture(&x);
    }
    assert_true(found > (size_t)models);
    assert_true(none > 0);
}

static void test_xgboost_rules(void **state)
{
    const struct ig_testing_shape shape = {.features = FEATURES,
                                           .outputs = 1,
                                           .trees = 8,
                                           .depth = 4,
                                           .leaf_percent = 10,
                                           .set_percent = 25,
                                           .thresholds = 3,
                                           .f32 = true,
                                           .sum_rule = IG_SUM_F32_BASE_FIRST};
    (void)state;
    run_random(&shape, 1, 16);
}

static void test_lightgbm_rules(void **state)
{
    const struct ig_testing_shape shape = {.features = FEATURES,
                                           .outputs = 1,
                                           .trees = 8,
                                           .depth = 4,
                                           .leaf_percent = 10,
                                           .set_percent = 25,
                                           .thresholds = 3,
                                           .missing_kinds = true,
                                           .sum_rule = IG_SUM_F64};
    (void)state;
    run_random(&shape, 101, 16);
}

static void test_classes(void **state)
{
    struct ig_testing_shape shape = {.features = FEATURES,
                                     .outputs = 3,
                                     .trees = 9,
                                     .depth = 3,
                                     .leaf_percent = 10,
                                     .set_percent = 25,
                                     .thresholds = 3,
                                     .f32 = true,
                                     .dart = true,
                                     .sum_rule = IG_SUM_F32_BASE_FIRST};
    (void)state;
    run_random(&shape, 201, 10);
    shape.leaf_vectors = true;
    run_random(&shape, 301, 10);
}

/* Alternatives: each leaves out a feature of every one before, distances rise. */
static void test_alternatives(void **state)
{
    const struct ig_testing_shape shape = {.features = FEATURES,
                                           .outputs = 1,
                                           .trees = 20,
                                           .depth = 4,
                                           .thresholds = 6,
                                           .f32 = true,
                                           .sum_rule = IG_SUM_F32_BASE_FIRST};
    size_t several = 0;
    (void)state;
    for (uint64_t m = 0; m < 10; m++) {
        struct fixture x;
        struct ig_counterfactual_constraint constraints[FEATURES] = {{0}};
        struct ig_counterfactual_result result;
        double row[FEATURES] = {0.1, -0.2, 0.3, 1}, margin;
        open_fixture(&x, &shape, 400 + m);
        ig_engine_margin(x.engine, row, 1, &margin, x.scratch);
        const struct ig_counterfactual_options o = {
            .constraints = constraints, .low = margin + 0.3, .count = 4};
        assert_int_equal(ig_counterfactual_run(&result, x.space, row, &o, &x.arena, &x.err), IG_OK);
        several += result.count > 1;
        for (uint32_t i = 0; i < result.count; i++) {
            check_answer(&x, &o, row, &result.items[i]);
            for (uint32_t k = 0; k < i; k++) {
                bool left_out = false;
                assert_true(result.items[i].distance >= result.items[k].distance - 1e-9);
                for (uint32_t c = 0; c < result.items[k].changes_count; c++) {
                    uint32_t f = result.items[k].changes[c];
                    left_out = left_out || result.items[i].row[f] == row[f];
                }
                assert_true(left_out);
            }
        }
        close_fixture(&x);
    }
    assert_true(several > 3);
}

/* With few boxes the answer is honest: wanted, its bound below its distance. */
static void test_budget(void **state)
{
    const struct ig_testing_shape shape = {.features = FEATURES,
                                           .outputs = 1,
                                           .trees = 60,
                                           .depth = 5,
                                           .f32 = true,
                                           .sum_rule = IG_SUM_F32_BASE_FIRST};
    struct fixture x;
    struct ig_counterfactual_constraint constraints[FEATURES] = {{0}};
    struct ig_counterfactual_result few, many, again;
    double row[FEATURES] = {0.1, -0.2, 0.3, 1}, margin;
    (void)state;
    open_fixture(&x, &shape, 7);
    ig_engine_margin(x.engine, row, 1, &margin, x.scratch);
    struct ig_counterfactual_options o = {
        .constraints = constraints, .low = margin + 1, .boxes_max = 2};
    assert_int_equal(ig_counterfactual_run(&few, x.space, row, &o, &x.arena, &x.err), IG_OK);
    assert_true(few.count == 1 && few.boxes <= 3);
    check_answer(&x, &o, row, &few.items[0]);
    assert_true(few.items[0].bound <= few.items[0].distance);
    o.boxes_max = 0;
    assert_int_equal(ig_counterfactual_run(&many, x.space, row, &o, &x.arena, &x.err), IG_OK);
    assert_int_equal(ig_counterfactual_run(&again, x.space, row, &o, &x.arena, &x.err), IG_OK);
    assert_true(many.items[0].is_nearest);
    assert_true(many.items[0].distance <= few.items[0].distance);
    assert_true(few.items[0].bound <= many.items[0].distance + 1e-9);
    assert_memory_equal(many.items[0].row, again.items[0].row, sizeof row);
    close_fixture(&x);
}

/* Every allocation may fail: preparing and running give NO_MEMORY and free what they had. */
static void test_every_allocation_may_fail(void **state)
{
    const struct ig_testing_shape shape = {.features = FEATURES,
                                           .outputs = 1,
                                           .trees = 6,
                                           .depth = 4,
                                           .f32 = true,
                                           .sum_rule = IG_SUM_F32_BASE_FIRST};
    struct fixture x;
    enum ig_code code = IG_NO_MEMORY;
    const double row[FEATURES] = {0.1, -0.2, 0.3, 1};
    double margin;
    (void)state;
    open_fixture(&x, &shape, 12);
    ig_engine_margin(x.engine, row, 1, &margin, x.scratch);
    const struct ig_counterfactual_options o = {.low = margin + 0.2};
    for (uint64_t n = 1; code != IG_OK && n < 400; n++) {
        struct ig_counterfactual_space *space = NULL;
        struct ig_counterfactual_result result;
        struct ig_arena arena;
        struct ig_err err = IG_ERR_INIT;
        ig_arena_init(&arena, 1 << 10, 1 << 26);
        ig_mem_fail_after(n);
        code = ig_counterfactual_space_new(&space, x.engine, NULL, NULL, &err);
        if (code == IG_OK) code = ig_counterfactual_run(&result, space, row, &o, &arena, &err);
        if (code != IG_OK) assert_int_equal(code, IG_NO_MEMORY);
        ig_mem_fail_after(0);
        ig_counterfactual_space_free(space);
        ig_arena_deinit(&arena);
    }
    assert_int_equal(code, IG_OK);
    close_fixture(&x);
}

static void test_refusals(void **state)
{
    const struct ig_testing_shape shape = {.features = FEATURES,
                                           .outputs = 1,
                                           .trees = 3,
                                           .depth = 3,
                                           .f32 = true,
                                           .sum_rule = IG_SUM_F32_BASE_FIRST};
    struct fixture x;
    struct ig_counterfactual_constraint constraints[FEATURES] = {{0}};
    struct ig_counterfactual_result result;
    const double row[FEATURES] = {0};
    (void)state;
    open_fixture(&x, &shape, 9);
#define REFUSED(text, ...)                                                                         \
    do {                                                                                           \
        const struct ig_counterfactual_options o = {.constraints = constraints, __VA_ARGS__};      \
        x.err = IG_ERR_INIT;                                                                       \
        assert_int_equal(ig_counterfactual_run(&result, x.space, row, &o, &x.arena, &x.err),       \
                         IG_INVALID);                                                              \
        assert_string_equal(x.err.message, text);                                                  \
    } while (0)
    REFUSED("class: output 2, the model has 1", .output = 2);
    REFUSED("class: the model has one output", .want = IG_COUNTERFACTUAL_CLASS);
    REFUSED("wanted: a range from 2 to 1", .want = IG_COUNTERFACTUAL_RANGE, .low = 2, .high = 1);
    REFUSED("price: -1 is below 0", .price = -1);
    REFUSED("count: 9, at most 8", .count = 9);
    constraints[2].step = -1;
    REFUSED("constraints: feature 2: step and scale are at least 0", .low = 100);
    constraints[2] = (struct ig_counterfactual_constraint){
        .has_low = true, .has_high = true, .low = 3, .high = 2};
    REFUSED("constraints: feature 2: a range from 3 to 2", .low = 100);
    close_fixture(&x);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_xgboost_rules),
        cmocka_unit_test(test_lightgbm_rules),
        cmocka_unit_test(test_classes),
        cmocka_unit_test(test_alternatives),
        cmocka_unit_test(test_every_allocation_may_fail),
        cmocka_unit_test(test_budget),
        cmocka_unit_test(test_refusals),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
