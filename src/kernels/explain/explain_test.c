/* SPDX-License-Identifier: Apache-2.0 */
/* What every method of explainers.def must hold, and what the face refuses. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/thread.h"
#include "kernels/explain/explain_rows.h"
#include "kernels/tree/tree_testing.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { FEATURES = 6, ROWS = 5, BACKGROUND = 20 };

static const bool CODED[FEATURES] = {true, true, true, true, true, true}; /* split by sets too */
static const uint32_t MAP[FEATURES] = {0, 1, 0, 2, 1, 3};

struct world {
    struct ig_model *model;
    struct ig_engine *engine;
    struct ig_arena arena;
    double rows[(ROWS + BACKGROUND) * FEATURES];
    struct ig_background background;
    struct ig_players players;
};

static struct ig_model *linear_model(void)
{
    static double weights[(FEATURES + 1) * 2] = {1, -2, 0.5, 0.25, 3, 0, -1, 1, 2, 2, 0, -4, 1, -1};
    static double base[2] = {0.5, -0.5};
    struct ig_model *model = ig_model_new(1 << 20);
    struct ig_err err = IG_ERR_INIT;
    assert_non_null(model);
    model->kind = IG_MODEL_LINEAR;
    model->features_count = FEATURES;
    model->outputs_count = model->predictions_count = 2;
    model->iterations_count = 1;
    model->weights = weights;
    model->base_margin = base;
    if (ig_model_check(model, &err) != IG_OK) fail_msg("%s", err.message);
    return model;
}

/* kind 0: trees with a logistic response; 1: trees of two outputs; 2: linear. */
static void world_init(struct world *world, int kind)
{
    struct ig_testing_shape shape = {.features = FEATURES,
                                     .outputs = kind ? 2 : 1,
                                     .trees = 20,
                                     .depth = 4,
                                     .set_percent = 10,
                                     .missing_kinds = true,
                                     .sum_rule = IG_SUM_F64};
    struct ig_err err = IG_ERR_INIT;
    memset(world, 0, sizeof *world);
    ig_arena_init(&world->arena, 1 << 16, 1 << 28);
    world->model = kind == 2 ? linear_model() : ig_testing_model(&shape, 11);
    if (kind == 0) world->model->transform = IG_TRANSFORM_SIGMOID;
    world->model->transform_parameter = 1;
    assert_int_equal(ig_engine_new(&world->engine, world->model, &err), IG_OK);
    uint64_t seed = 4;
    for (size_t i = 0; i < (ROWS + BACKGROUND) * FEATURES; i++)
        world->rows[i] = ig_testing_below(&seed, 9) ? 2 * ig_testing_unit(&seed, false) : NAN;
    world->background =
        (struct ig_background){world->rows + ROWS * FEATURES, NULL, BACKGROUND, FEATURES};
    world->players = (struct ig_players){MAP, 4};
}

static void world_deinit(struct world *world)
{
    ig_engine_free(world->engine);
    ig_model_free(world->model);
    ig_arena_deinit(&world->arena);
}

static struct ig_explain_spec spec_of(const struct world *world, int method, bool grouped)
{
    struct ig_explain_spec spec = {.method = (enum ig_explainer)method};
    if (ig_explainer_takes(spec.method, IG_EXPLAINER_BACKGROUND))
        spec.background = &world->background;
    if (grouped) spec.players = &world->players;
    spec.categorical = CODED;
    return spec;
}

static struct ig_explanations run(struct world *world, const struct ig_explain *explain,
                                  size_t first, size_t count)
{
    const struct ig_explain_options options = {.samples = 640, .output = IG_EXPLAIN_PREDICTED};
    struct ig_explanations out = {0};
    struct ig_err err = IG_ERR_INIT;
    const struct ig_explain_rows rows = {world->rows + first * FEATURES, count};
    if (ig_explain_run(&out, explain, &rows, &options, &world->arena, &err) != IG_OK)
        fail_msg("%s: %s", ig_explainer_name(ig_explain_method(explain)), err.message);
    return out;
}

/* A surrogate's parts add up to its prediction; the features are those of the row. */
static void check_surrogates(const struct world *world, struct ig_explanations *out)
{
    for (size_t i = 0; i < out->rows_count; i++) {
        const struct ig_lime_result *own = &out->surrogates[i];
        double sum = own->intercept;
        assert_true(own->count > 0 && own->count <= FEATURES);
        for (uint32_t k = 0; k < own->count; k++) {
            sum += own->coefficients[k];
            assert_true(own->features[k] < FEATURES && own->se[k] >= 0);
        }
        assert_true(fabs(sum - own->local_prediction) < 1e-9 * (1 + fabs(sum)));
        assert_true(own->stability >= 0 && own->stability <= 1);
        assert_true(out->notes[i].output < world->model->outputs_count);
    }
}

static uint32_t decision(const struct world *world, const double *margins)
{
    return world->model->outputs_count == 1 ? margins[0] > 0 : margins[1] > margins[0];
}

/* Another decision, by what the item says has changed. */
static void check_changes(const struct world *world, const struct ig_explanations *out)
{
    size_t outputs = world->model->outputs_count;
    for (size_t i = 0; i < out->rows_count; i++) {
        const struct ig_counterfactual_result *own = &out->counterfactuals[i];
        assert_int_equal(own->count, 1);
        const struct ig_counterfactual *item = own->items;
        assert_int_not_equal(decision(world, item->margins),
                             decision(world, out->margins + i * outputs));
        assert_true(item->changes_count > 0 && item->distance > 0);
        for (uint32_t k = 0; k < item->changes_count; k++) {
            uint32_t f = item->changes[k];
            assert_true(item->row[f] != world->rows[i * FEATURES + f]);
        }
        assert_true(out->notes[i].samples > 0 && out->notes[i].seed > 0);
    }
}

/* Contributions add up to what is explained, in every row. */
static void check_sums(const struct world *world, const struct ig_explain *explain,
                       const struct ig_explanations *out)
{
    size_t stride = out->players_count + (size_t)1, outputs = world->model->outputs_count;
    bool probability = strncmp(ig_explain_unit(explain), "probability", 11) == 0;
    assert_int_equal(out->form, IG_EXPLAIN_ADDITIVE);
    for (size_t i = 0; i < out->rows_count; i++) {
        double wanted[2];
        memcpy(wanted, out->margins + i * outputs, outputs * sizeof(double));
        if (probability) ig_model_transform(world->model, out->margins + i * outputs, wanted);
        for (size_t v = 0; v < out->values_count; v++) {
            const double *own = out->contributions + (i * out->values_count + v) * stride;
            double sum = 0;
            for (size_t p = 0; p < stride; p++) sum += own[p];
            assert_true(fabs(sum - wanted[v]) <= 1e-5 * (1 + fabs(wanted[v])));
        }
        assert_true(out->notes[i].additivity <= 1e-5 * (1 + fabs(wanted[0])));
    }
}

/* The matrix is symmetric and adds up; a row of it is the player's contribution. */
static void check_matrices(struct world *world, int method, bool grouped,
                           const struct ig_explanations *out)
{
    size_t stride = out->players_count + (size_t)1;
    bool covers = method == IG_EXPLAINER_TREE_INTERACTIONS;
    struct ig_explain *explain;
    struct ig_err err = IG_ERR_INIT;
    struct ig_explain_spec spec =
        spec_of(world, covers ? IG_EXPLAINER_TREE_PATH_DEPENDENT : IG_EXPLAINER_TREE_INTERVENTIONAL,
                grouped);
    assert_int_equal(ig_explain_new(&explain, world->engine, &spec, &err), IG_OK);
    struct ig_explanations plain = run(world, explain, 0, out->rows_count);
    for (size_t m = 0; m < out->rows_count * out->values_count; m++) {
        const double *matrix = out->interactions + m * stride * stride;
        const double *wanted = plain.contributions + m * stride;
        for (size_t p = 0; p < stride; p++) {
            double sum = 0;
            for (size_t q = 0; q < stride; q++) {
                assert_true(matrix[p * stride + q] == matrix[q * stride + p]);
                sum += matrix[p * stride + q];
            }
            assert_true(fabs(sum - wanted[p]) < 3e-6 * (1 + fabs(wanted[p])));
        }
    }
    ig_explain_free(explain);
}

/* One by one and all at once: the same bits. */
static void check_batches(struct world *world, const struct ig_explain *explain,
                          const struct ig_explanations *all)
{
    size_t each = all->values_count * (all->players_count + (size_t)1);
    for (size_t i = 0; i < ROWS; i++) {
        struct ig_explanations one = run(world, explain, i, 1);
        if (all->interactions) {
            size_t wide = each * (all->players_count + (size_t)1);
            assert_memory_equal(one.interactions, all->interactions + i * wide,
                                wide * sizeof(double));
            continue;
        }
        if (all->surrogates) {
            assert_memory_equal(one.surrogates[0].coefficients, all->surrogates[i].coefficients,
                                all->surrogates[i].count * sizeof(double));
            continue;
        }
        if (all->counterfactuals) {
            assert_memory_equal(one.counterfactuals[0].items[0].row,
                                all->counterfactuals[i].items[0].row, FEATURES * sizeof(double));
            continue;
        }
        assert_memory_equal(one.contributions, all->contributions + i * each,
                            each * sizeof(double));
        if (all->se) assert_memory_equal(one.se, all->se + i * each, each * sizeof(double));
    }
}

/* Each row as bytes and back, then together again: the same digests. */
static void check_rows(struct world *world, const struct ig_explanations *out)
{
    struct ig_explanations rows[ROWS], joined;
    struct ig_buf packed;
    for (size_t i = 0; i < out->rows_count; i++) {
        struct ig_explanations one = ig_explanations_row(out, i, world->model);
        ig_buf_init(&packed, 1 << 20);
        ig_explanations_pack(&packed, &one, world->model);
        assert_false(packed.overflowed);
        struct ig_str kept = ig_arena_dup(&world->arena, ig_buf_view(&packed));
        ig_buf_deinit(&packed);
        for (struct ig_str cut = kept; cut.len; cut.len = (cut.len - 1) / 8 * 8) {
            bool whole = cut.len == kept.len;
            assert_int_equal(ig_explanations_unpack(&rows[i], cut, world->model, &world->arena),
                             whole);
        }
        assert_true(ig_explanations_unpack(&rows[i], kept, world->model, &world->arena));
        assert_string_equal(rows[i].notes->stopped, out->notes[i].stopped);
    }
    assert_true(ig_explanations_alike(&rows[0], &rows[out->rows_count - 1]));
    const double *se = rows[0].se;
    rows[0].se = se ? NULL : rows[0].margins;
    assert_false(ig_explanations_alike(&rows[0], &rows[out->rows_count - 1]));
    rows[0].se = se;
    assert_true(ig_explanations_join(&joined, rows, out->rows_count, world->model, &world->arena));
    for (size_t i = 0; i < out->rows_count; i++) {
        unsigned char wanted[IG_SHA256_BYTES], got[IG_SHA256_BYTES];
        assert_true(ig_explanations_digest(wanted, out, i, world->model));
        assert_true(ig_explanations_digest(got, &joined, i, world->model));
        assert_memory_equal(got, wanted, sizeof got);
        assert_true(joined.notes[i].samples == out->notes[i].samples);
    }
}

static void check_method(struct world *world, int method, bool grouped, bool probability)
{
    struct ig_explain *explain;
    struct ig_err err = IG_ERR_INIT;
    struct ig_explain_spec spec = spec_of(world, method, grouped);
    spec.probability = probability;
    if (ig_explain_new(&explain, world->engine, &spec, &err) != IG_OK)
        fail_msg("%s: %s", ig_explainer_name(spec.method), err.message);
    struct ig_explanations out = run(world, explain, 0, ROWS);
    assert_int_equal(out.players_count, grouped ? 4 : FEATURES);
    assert_int_equal(ig_explain_players(explain), out.players_count);
    assert_int_equal(ig_explain_values(explain), out.values_count);
    if (out.form == IG_EXPLAIN_INTERACTIONS)
        check_matrices(world, method, grouped, &out);
    else if (out.form == IG_EXPLAIN_SURROGATE)
        check_surrogates(world, &out);
    else if (out.form == IG_EXPLAIN_COUNTERFACTUAL)
        check_changes(world, &out);
    else
        check_sums(world, explain, &out);
    check_batches(world, explain, &out);
    check_rows(world, &out);
    assert_true(ig_explain_memory_bytes(explain) > 0);
    const struct ig_explain_options options = {0};
    assert_true(ig_explain_cost_ns(explain, 100, &options) >
                ig_explain_cost_ns(explain, 1, &options));
    assert_non_null(ig_explain_variant(explain));
    ig_explain_free(explain);
    ig_arena_reset(&world->arena);
}

static void test_every_method(void **state)
{
    (void)state;
    for (int kind = 0; kind < 3; kind++) {
        struct world world;
        world_init(&world, kind);
        for (int method = 0; method < IG_EXPLAINERS_COUNT; method++) {
            enum ig_explainer id = (enum ig_explainer)method;
            if (!ig_explain_admits(world.engine, id)) continue;
            for (int grouped = 0; grouped < 2; grouped++) {
                if (grouped && !ig_explainer_takes(id, IG_EXPLAINER_GROUPS)) continue;
                check_method(&world, method, grouped, false);
                if (kind == 0 && ig_explainer_takes(id, IG_EXPLAINER_PROBABILITY))
                    check_method(&world, method, grouped, true);
            }
        }
        world_deinit(&world);
    }
}

struct reader {
    struct world world; /* an arena of its own */
    const struct ig_explain *explain;
    unsigned char digests[ROWS][IG_SHA256_BYTES];
};

static void *read_rows(void *context)
{
    struct reader *reader = context;
    struct ig_explanations out = run(&reader->world, reader->explain, 0, ROWS);
    for (size_t i = 0; i < ROWS; i++)
        IG_ASSERT(ig_explanations_digest(reader->digests[i], &out, i, reader->world.model));
    return NULL;
}

/* Four threads at one explainer: what each of them got. */
static void read_at_once(struct reader *readers, struct world *world, int method)
{
    struct ig_explain *explain;
    struct ig_err err = IG_ERR_INIT;
    uint64_t threads[4];
    const struct ig_explain_spec spec = spec_of(world, method, false);
    if (ig_explain_new(&explain, world->engine, &spec, &err) != IG_OK)
        fail_msg("%s: %s", ig_explainer_name(spec.method), err.message);
    for (int i = 0; i < 4; i++) {
        readers[i].world = *world;
        readers[i].explain = explain;
        ig_arena_init(&readers[i].world.arena, 1 << 16, 1 << 28);
        assert_int_equal(ig_thread_start(&threads[i], "reader", read_rows, &readers[i], &err),
                         IG_OK);
    }
    for (int i = 0; i < 4; i++) {
        ig_thread_join(threads[i]);
        ig_arena_deinit(&readers[i].world.arena);
    }
    ig_explain_free(explain);
}

/* The same bits on every instruction set that this machine has, and by threads at once. */
static void test_same_bits(void **state)
{
    static const char *const SETS[] = {"avx512", "avx2", "scalar"};
    static struct reader readers[4];
    unsigned char wanted[ROWS][IG_SHA256_BYTES];
    (void)state;
    for (int kind = 0; kind < 3; kind++)
        for (int method = 0; method < IG_EXPLAINERS_COUNT; method++)
            for (int set = 0; set < 3; set++) {
                struct world world;
                setenv("INGOT_ISA", SETS[set], 1);
                world_init(&world, kind);
                bool admits = ig_explain_admits(world.engine, (enum ig_explainer)method);
                if (admits) read_at_once(readers, &world, method);
                if (admits && set == 0) memcpy(wanted, readers[0].digests, sizeof wanted);
                for (int i = 0; i < 4 && admits; i++)
                    if (memcmp(readers[i].digests, wanted, sizeof wanted))
                        fail_msg("%s, model %d, %s, thread %d: other bits",
                                 ig_explainer_name((enum ig_explainer)method), kind, SETS[set], i);
                world_deinit(&world);
            }
    unsetenv("INGOT_ISA");
}

/* Methods that play the same game agree: six players are few enough for each to be exact. */
static void test_methods_agree(void **state)
{
    static const enum ig_explainer SAME[] = {IG_EXPLAINER_EXACT, IG_EXPLAINER_TREE_INTERVENTIONAL,
                                             IG_EXPLAINER_LINEAR, IG_EXPLAINER_LEVERAGE,
                                             IG_EXPLAINER_PERMUTATION};
    (void)state;
    for (int kind = 0; kind < 3; kind++)
        for (int grouped = 0; grouped < 2; grouped++) {
            struct world world;
            struct ig_explanations wanted = {0};
            world_init(&world, kind);
            for (size_t m = 0; m < sizeof SAME / sizeof *SAME; m++) {
                struct ig_explain *explain;
                struct ig_err err = IG_ERR_INIT;
                struct ig_explain_spec spec = spec_of(&world, (int)SAME[m], grouped);
                if (!ig_explain_admits(world.engine, SAME[m])) continue;
                assert_int_equal(ig_explain_new(&explain, world.engine, &spec, &err), IG_OK);
                struct ig_explanations out = run(&world, explain, 0, ROWS);
                if (m == 0) wanted = out;
                assert_non_null(out.contributions);
                assert_non_null(wanted.contributions);
                size_t count = ROWS * out.values_count * (out.players_count + (size_t)1);
                for (size_t i = 0; out.contributions && wanted.contributions && i < count; i++)
                    if (!(fabs(out.contributions[i] - wanted.contributions[i]) <= 2e-6))
                        fail_msg("%s: %g, exact gives %g", ig_explainer_name(SAME[m]),
                                 out.contributions[i], wanted.contributions[i]);
                assert_true(out.notes[0].exact);
                ig_explain_free(explain);
            }
            world_deinit(&world);
        }
}

static void expect_refusal(struct world *world, const struct ig_explain_spec *spec,
                           enum ig_code code, const char *message)
{
    struct ig_explain *explain = NULL;
    struct ig_err err = IG_ERR_INIT;
    assert_int_equal(ig_explain_new(&explain, world->engine, spec, &err), code);
    assert_string_equal(err.message, message);
    assert_null(explain);
}

static void test_refusals(void **state)
{
    (void)state;
    struct world world;
    world_init(&world, 1);
    struct ig_explain_spec spec = {.method = IG_EXPLAINER_EXACT};
    expect_refusal(&world, &spec, IG_INVALID, "background: method exact needs one");
    struct ig_background narrow = world.background;
    narrow.features_count = 2;
    spec.background = &narrow;
    expect_refusal(&world, &spec, IG_INVALID, "background: it has 2 features, the model has 6");
    spec = spec_of(&world, IG_EXPLAINER_LINEAR, false);
    expect_refusal(
        &world, &spec, IG_UNSUPPORTED,
        "method: linear does not explain this kind of model; exact, leverage, permutation and "
        "lime take any, with a background");
    spec = spec_of(&world, IG_EXPLAINER_SAABAS, false);
    spec.probability = true;
    expect_refusal(&world, &spec, IG_INVALID, "unit: method saabas explains margins only");
    spec = spec_of(&world, IG_EXPLAINER_EXACT, false);
    spec.probability = true;
    expect_refusal(&world, &spec, IG_INVALID, "unit: this model gives no probabilities");
    assert_int_equal(ig_explain_default(world.engine, false), IG_EXPLAINER_TREE_PATH_DEPENDENT);
    assert_int_equal(ig_explain_default(world.engine, true), IG_EXPLAINER_TREE_INTERVENTIONAL);
    world_deinit(&world);
    world_init(&world, 2);
    assert_int_equal(ig_explain_default(world.engine, true), IG_EXPLAINER_LINEAR);
    world_deinit(&world);
}

/* Every allocation may fail: preparing gives NO_MEMORY and frees what it had. */
static void test_every_allocation_may_fail(void **state)
{
    (void)state;
    struct world world;
    world_init(&world, 0);
    for (int method = 0; method < IG_EXPLAINERS_COUNT; method++) {
        enum ig_code code = IG_NO_MEMORY;
        if (!ig_explain_admits(world.engine, (enum ig_explainer)method)) continue;
        if (method == IG_EXPLAINER_COUNTERFACTUAL) continue; /* see its own test */
        struct ig_explain_spec spec = spec_of(&world, method, false);
        spec.probability = ig_explainer_takes(spec.method, IG_EXPLAINER_PROBABILITY);
        for (uint64_t n = 1; code != IG_OK && n < 400; n++) {
            struct ig_err err = IG_ERR_INIT;
            struct ig_explain *explain = NULL;
            ig_mem_fail_after(n);
            code = ig_explain_new(&explain, world.engine, &spec, &err);
            assert_int_equal(code, ig_mem_failed() ? IG_NO_MEMORY : IG_OK);
            ig_mem_fail_after(0);
            ig_explain_free(explain);
        }
        assert_int_equal(code, IG_OK);
    }
    world_deinit(&world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_method),
        cmocka_unit_test(test_same_bits),
        cmocka_unit_test(test_methods_agree),
        cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_every_allocation_may_fail),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
