/* SPDX-License-Identifier: Apache-2.0 */
/* Ensembles against sums made by hand from their members' own answers. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "kernels/composite.h"
#include "kernels/explain/explain.h"
#include "kernels/tree/tree_testing.h"

#include <math.h>
#include <string.h>

enum { FEATURES = 5, MEMBERS = 3, ROWS = 7, BACKGROUND = 12 };

/* The last member numbers its features backwards. */
static const uint32_t BACKWARDS[FEATURES] = {4, 3, 2, 1, 0};

struct world {
    struct ig_model *models[MEMBERS];
    struct ig_engine *engines[MEMBERS];
    struct ig_composite_member members[MEMBERS];
    struct ig_composite *composite;
    struct ig_model *model;
    struct ig_engine *engine;
    struct ig_arena arena;
    double rows[(ROWS + BACKGROUND) * FEATURES];
    double backwards[(ROWS + BACKGROUND) * FEATURES];
};

static void assert_near(double got, double expected, double tolerance)
{
    if (!(fabs(got - expected) <= tolerance)) fail_msg("%.17g, expected %.17g", got, expected);
}

static void make_members(struct world *world, uint32_t outputs, enum ig_transform transform)
{
    struct ig_err err = IG_ERR_INIT;
    uint64_t seed = 99;
    for (uint32_t i = 0; i < MEMBERS; i++) {
        struct ig_testing_shape shape = {.features = FEATURES,
                                         .outputs = outputs,
                                         .trees = 6 + i,
                                         .depth = 3,
                                         .f32 = i == 0,
                                         .missing_kinds = true,
                                         .sum_rule = i ? IG_SUM_F64 : IG_SUM_F32_BASE_FIRST};
        world->models[i] = ig_testing_model(&shape, 31 + i);
        world->models[i]->transform = transform;
        world->models[i]->transform_parameter = 1;
        assert_int_equal(ig_engine_new(&world->engines[i], world->models[i], &err), IG_OK);
        world->members[i] = (struct ig_composite_member){
            .engine = world->engines[i], .weight = 1 + i, .map.features_count = FEATURES};
    }
    world->members[2].map.source_of = BACKWARDS;
    for (size_t i = 0; i < (ROWS + BACKGROUND) * FEATURES; i++)
        world->rows[i] = ig_testing_below(&seed, 9) ? 2 * ig_testing_unit(&seed, true) : NAN;
    for (size_t i = 0; i < (ROWS + BACKGROUND) * FEATURES; i++)
        world->backwards[i] = world->rows[i / FEATURES * FEATURES + BACKWARDS[i % FEATURES]];
    ig_arena_init(&world->arena, 1 << 16, 1 << 26);
}

static enum ig_code combine(struct world *world, const struct ig_composite_spec *spec,
                            struct ig_err *err)
{
    if (ig_composite_new(&world->composite, spec, err) != IG_OK) return err->code;
    world->model = ig_composite_model(world->composite, err);
    assert_non_null(world->model);
    assert_int_equal(ig_engine_new_composite(&world->engine, world->model, world->composite, err),
                     IG_OK);
    return IG_OK;
}

static void world_init(struct world *world, enum ig_combine how, uint32_t classes)
{
    struct ig_err err = IG_ERR_INIT;
    uint32_t outputs = classes > 2 ? classes : 1;
    enum ig_transform transform = classes > 2    ? IG_TRANSFORM_SOFTMAX
                                  : classes == 2 ? IG_TRANSFORM_SIGMOID
                                                 : IG_TRANSFORM_IDENTITY;
    memset(world, 0, sizeof *world);
    make_members(world, outputs, transform);
    const struct ig_composite_spec spec = {.combine = how,
                                           .members = world->members,
                                           .members_count = MEMBERS,
                                           .features_count = FEATURES,
                                           .classes_count = classes};
    if (combine(world, &spec, &err) != IG_OK) fail_msg("%s", err.message);
}

static void world_deinit(struct world *world)
{
    ig_engine_free(world->engine);
    ig_model_free(world->model);
    ig_composite_free(world->composite);
    for (int i = 0; i < MEMBERS; i++) {
        ig_engine_free(world->engines[i]);
        ig_model_free(world->models[i]);
    }
    ig_arena_deinit(&world->arena);
}

struct scores {
    double margins[ROWS * 3], predictions[ROWS * 3];
};

static void score(struct scores *out, const struct ig_engine *engine, const double *rows)
{
    size_t bytes = ig_engine_scratch_bytes(engine, IG_ENGINE_MARGIN, ROWS);
    void *scratch = ig_alloc_aligned(64, bytes + 64);
    memset(out, 0, sizeof *out);
    ig_engine_predict(engine, rows, ROWS,
                      (struct ig_engine_scores){out->margins, out->predictions, NULL}, scratch);
    ig_free(scratch);
}

static void score_members(struct scores out[MEMBERS], const struct world *world)
{
    for (int i = 0; i < MEMBERS; i++)
        score(&out[i], world->engines[i], i == 2 ? world->backwards : world->rows);
}

static void test_mean(void **state)
{
    (void)state;
    for (uint32_t classes = 0; classes <= 3; classes++) {
        struct world world;
        struct scores got, own[MEMBERS];
        if (classes == 1) continue;
        world_init(&world, classes ? IG_COMBINE_SOFT_VOTE : IG_COMBINE_MEAN, classes);
        score(&got, world.engine, world.rows);
        score_members(own, &world);
        for (size_t i = 0; i < ROWS * world.model->predictions_count; i++) {
            double predictions = 0, margins = 0;
            for (int m = 0; m < MEMBERS; m++) {
                predictions += (1 + m) * own[m].predictions[i] / 6;
                margins += (1 + m) * own[m].margins[i] / 6;
            }
            assert_near(got.predictions[i], predictions, 1e-14);
            assert_near(got.margins[i], margins, 1e-14);
        }
        assert_true(ig_composite_is_mean(world.composite));
        assert_int_equal(ig_model_gives_probabilities(world.model), classes > 0);
        world_deinit(&world);
    }
}

static void test_mean_margin(void **state)
{
    (void)state;
    struct world world;
    struct scores got;
    world_init(&world, IG_COMBINE_MEAN_MARGIN, 2);
    score(&got, world.engine, world.rows);
    for (size_t i = 0; i < ROWS; i++)
        assert_near(got.predictions[i], 1 / (1 + exp(-got.margins[i])), 1e-15);
    assert_false(ig_composite_is_mean(world.composite));
    world_deinit(&world);
}

static void test_median(void **state)
{
    (void)state;
    struct world world;
    struct scores got, own[MEMBERS];
    world_init(&world, IG_COMBINE_MEDIAN, 0);
    score(&got, world.engine, world.rows);
    score_members(own, &world);
    for (size_t i = 0; i < ROWS; i++) {
        double a = own[0].predictions[i], b = own[1].predictions[i], c = own[2].predictions[i];
        double middle = fmax(fmin(a, b), fmin(fmax(a, b), c));
        assert_true(got.predictions[i] == middle && got.margins[i] == middle);
    }
    assert_false(ig_composite_is_linear(world.composite));
    assert_false(ig_engine_explains(world.engine));
    world_deinit(&world);
}

/* A member that gives both of two classes' probabilities beside one that gives the second's. */
static void test_two_classes_by_one_number_or_two(void **state)
{
    static const enum ig_combine hows[] = {IG_COMBINE_MEAN, IG_COMBINE_SOFT_VOTE,
                                           IG_COMBINE_MEDIAN};
    struct ig_testing_shape shape = {
        .features = FEATURES, .outputs = 2, .trees = 5, .depth = 3, .sum_rule = IG_SUM_F64};
    (void)state;
    for (size_t h = 0; h < sizeof hows / sizeof *hows; h++) {
        struct world world;
        struct scores got, own[MEMBERS];
        struct ig_err err = IG_ERR_INIT;
        memset(&world, 0, sizeof world);
        make_members(&world, 1, IG_TRANSFORM_SIGMOID);
        ig_engine_free(world.engines[0]);
        ig_model_free(world.models[0]);
        world.models[0] = ig_testing_model(&shape, 77);
        world.models[0]->transform = IG_TRANSFORM_SOFTMAX;
        assert_int_equal(ig_engine_new(&world.engines[0], world.models[0], &err), IG_OK);
        world.members[0].engine = world.engines[0];
        const struct ig_composite_spec spec = {.combine = hows[h],
                                               .members = world.members,
                                               .members_count = MEMBERS,
                                               .features_count = FEATURES,
                                               .classes_count = 2};
        if (combine(&world, &spec, &err) != IG_OK) fail_msg("%s", err.message);
        assert_int_equal(world.model->predictions_count, 1);
        assert_true(ig_model_gives_probabilities(world.model));
        assert_false(ig_composite_is_linear(world.composite));
        score(&got, world.engine, world.rows);
        score_members(own, &world);
        for (size_t i = 0; i < ROWS; i++) {
            double a = own[0].predictions[2 * i + 1], b = own[1].predictions[i],
                   c = own[2].predictions[i];
            double middle = fmax(fmin(a, b), fmin(fmax(a, b), c));
            assert_near(got.predictions[i],
                        hows[h] == IG_COMBINE_MEDIAN ? middle : (a + 2 * b + 3 * c) / 6, 1e-15);
        }
        world_deinit(&world);
    }
}

static void test_vote(void **state)
{
    (void)state;
    for (uint32_t classes = 2; classes <= 3; classes++) {
        struct world world;
        struct scores got, own[MEMBERS];
        uint32_t each = classes > 2 ? classes : 1;
        world_init(&world, IG_COMBINE_VOTE, classes);
        assert_int_equal(world.model->predictions_count, each);
        score(&got, world.engine, world.rows);
        score_members(own, &world);
        for (size_t i = 0; i < ROWS; i++) {
            double shares[3] = {0};
            for (int m = 0; m < MEMBERS; m++) {
                const double *p = own[m].predictions + i * each;
                uint32_t class = p[0] > 0.5;
                if (each > 1)
                    class = p[0] >= p[1] ? (p[0] >= p[2] ? 0 : 2) : (p[1] >= p[2] ? 1 : 2);
                shares[class] += (1 + m) / 6.0;
            }
            for (uint32_t c = 0; c < each; c++)
                assert_near(got.predictions[i * each + c], shares[each == 1 ? 1 : c], 1e-15);
        }
        world_deinit(&world);
    }
}

static void test_stack(void **state)
{
    (void)state;
    static double weights[] = {0.5, -2, 3, 0.25};
    static double base = 1;
    struct ig_model meta = {.kind = IG_MODEL_LINEAR,
                            .features_count = 3,
                            .outputs_count = 1,
                            .predictions_count = 1,
                            .iterations_count = 1,
                            .weights = weights,
                            .base_margin = &base,
                            .transform = IG_TRANSFORM_SIGMOID,
                            .transform_parameter = 1};
    struct ig_engine *engine = NULL;
    struct ig_err err = IG_ERR_INIT;
    struct world world;
    struct scores got, own[MEMBERS];
    memset(&world, 0, sizeof world);
    make_members(&world, 1, IG_TRANSFORM_SIGMOID);
    assert_int_equal(ig_engine_new(&engine, &meta, &err), IG_OK);
    const struct ig_composite_spec spec = {.combine = IG_COMBINE_STACK,
                                           .members = world.members,
                                           .members_count = MEMBERS,
                                           .meta = engine,
                                           .features_count = FEATURES,
                                           .classes_count = 2};
    assert_int_equal(combine(&world, &spec, &err), IG_OK);
    score(&got, world.engine, world.rows);
    score_members(own, &world);
    for (size_t i = 0; i < ROWS; i++) {
        double margin = 1.25 + 0.5 * own[0].predictions[i] - 2 * own[1].predictions[i] +
                        3 * own[2].predictions[i];
        assert_near(got.margins[i], margin, 1e-6);
        assert_near(got.predictions[i], 1 / (1 + exp(-margin)), 1e-6);
    }
    world_deinit(&world);
    ig_engine_free(engine);
}

static struct ig_explain *prepare(const struct world *world, enum ig_explainer method,
                                  bool probability)
{
    const struct ig_background background = {world->rows + ROWS * FEATURES, NULL, BACKGROUND,
                                             FEATURES};
    struct ig_explain_spec spec = {.method = method, .probability = probability};
    struct ig_explain *explain = NULL;
    struct ig_err err = IG_ERR_INIT;
    if (ig_explainer_needs_background(method)) spec.background = &background;
    if (ig_explain_new(&explain, world->engine, &spec, &err) != IG_OK) fail_msg("%s", err.message);
    return explain;
}

static struct ig_explanations explain_for(struct world *world, const struct ig_explain *explain,
                                          const struct ig_counterfactual_ask *ask)
{
    const struct ig_explain_options options = {.counterfactual = ask};
    struct ig_explanations out;
    struct ig_err err = IG_ERR_INIT;
    assert_int_equal(ig_explain_run(&out, explain, &(struct ig_explain_rows){world->rows, ROWS},
                                    &options, &world->arena, &err),
                     IG_OK);
    return out;
}

static struct ig_explanations explain_rows(struct world *world, const struct ig_explain *explain)
{
    return explain_for(world, explain, NULL);
}

/* What goes through the members equals the enumeration of all coalitions of the whole. */
static void test_exact_explanations(void **state)
{
    (void)state;
    for (uint32_t classes = 0; classes <= 3; classes++) {
        struct world world;
        if (classes == 1) continue;
        world_init(&world, IG_COMBINE_MEAN, classes);
        struct ig_explain *tables = prepare(&world, IG_EXPLAINER_TREE_INTERVENTIONAL, false);
        struct ig_explain *brute = prepare(&world, IG_EXPLAINER_EXACT, false);
        struct ig_explanations a = explain_rows(&world, tables), b = explain_rows(&world, brute);
        size_t count = (size_t)ROWS * a.values_count * (FEATURES + 1);
        for (size_t i = 0; i < count; i++)
            assert_near(a.contributions[i], b.contributions[i], 2e-6);
        for (size_t i = 0; i < ROWS; i++) assert_true(a.notes[i].additivity < 1e-5);
        assert_string_equal(ig_explain_unit(tables), "margin");
        ig_explain_free(tables);
        ig_explain_free(brute);
        world_deinit(&world);
    }
}

static void test_path_dependent(void **state)
{
    (void)state;
    struct world world;
    struct scores scores;
    double contributions[ROWS * (FEATURES + 1)], additivity[ROWS], margins[ROWS];
    world_init(&world, IG_COMBINE_MEAN, 2);
    assert_true(ig_engine_explains(world.engine));
    size_t bytes = ig_engine_scratch_bytes(world.engine, IG_ENGINE_CONTRIBUTIONS, ROWS);
    void *scratch = ig_alloc_aligned(64, bytes);
    ig_engine_explain(world.engine,
                      &(struct ig_engine_io){world.rows, ROWS, contributions, additivity, margins},
                      scratch);
    score(&scores, world.engine, world.rows);
    for (size_t i = 0; i < ROWS; i++) {
        double sum = 0;
        for (size_t f = 0; f <= FEATURES; f++) sum += contributions[i * (FEATURES + 1) + f];
        assert_near(sum, scores.margins[i], 1e-5);
        assert_true(margins[i] == scores.margins[i]);
    }
    struct ig_explain *saabas = prepare(&world, IG_EXPLAINER_SAABAS, false);
    struct ig_explain *pairs = prepare(&world, IG_EXPLAINER_TREE_INTERACTIONS, false);
    struct ig_explanations matrices = explain_rows(&world, pairs);
    enum { SIDE = FEATURES + 1 };
    for (size_t i = 0; i < ROWS; i++) { /* rows of the matrix sum to the contributions */
        for (size_t f = 0; f < FEATURES; f++) {
            double sum = 0;
            for (size_t g = 0; g < FEATURES; g++)
                sum += matrices.interactions[(i * SIDE + f) * SIDE + g];
            assert_near(sum, contributions[i * SIDE + f], 1e-5);
        }
    }
    struct ig_explanations walked = explain_rows(&world, saabas);
    assert_int_equal(walked.players_count, FEATURES);
    assert_false(walked.notes[0].exact); /* they add up, yet are no Shapley values */
    assert_true(ig_explain_memory_bytes(pairs) > 0);
    ig_explain_free(saabas);
    ig_explain_free(pairs);
    ig_free(scratch);
    world_deinit(&world);
}

/* Any way of combining is a function, which the methods for any model explain. */
static void test_any_model_methods(void **state)
{
    (void)state;
    struct world world;
    world_init(&world, IG_COMBINE_VOTE, 2);
    struct ig_explain *brute = prepare(&world, IG_EXPLAINER_EXACT, false);
    struct ig_explanations got = explain_rows(&world, brute);
    for (size_t i = 0; i < ROWS; i++) assert_true(got.notes[i].additivity < 1e-12);
    assert_false(ig_explain_admits(world.engine, IG_EXPLAINER_TREE_INTERVENTIONAL));
    assert_true(ig_explain_admits(world.engine, IG_EXPLAINER_COUNTERFACTUAL));
    assert_int_equal(ig_explain_default(world.engine, true), IG_EXPLAINER_LEVERAGE);
    struct ig_explain *changes = prepare(&world, IG_EXPLAINER_COUNTERFACTUAL, false);
    got = explain_rows(&world, changes);
    uint32_t flipped = 0;
    for (size_t i = 0; i < ROWS; i++) {
        if (got.counterfactuals[i].count == 0) continue;
        const struct ig_counterfactual *item = got.counterfactuals[i].items;
        assert_true((item->margins[0] > 0.5) != (got.margins[i] > 0.5));
        assert_false(got.notes[i].exact);
        flipped++;
    }
    assert_true(flipped > 0);
    assert_string_equal(ig_explain_variant(changes), "predictions");
    ig_explain_free(changes);
    ig_explain_free(brute);
    world_deinit(&world);
}

/* What is told of a change is what the ensemble answers to it, where a mean of probabilities is no
 * function of the margin too. */
static void test_counterfactuals_of_means(void **state)
{
    (void)state;
    struct world world;
    uint32_t found = 0;
    world_init(&world, IG_COMBINE_MEAN, 2);
    struct ig_explain *changes = prepare(&world, IG_EXPLAINER_COUNTERFACTUAL, false);
    struct scores own, told;
    score(&own, world.engine, world.rows);
    double wanted = own.predictions[0];
    struct ig_counterfactual_ask ask = {.class = IG_EXPLAIN_PREDICTED,
                                        .decides = true,
                                        .has_low = true,
                                        .low = wanted - 1e-9,
                                        .has_high = true,
                                        .high = wanted + 1e-9};
    assert_true(explain_for(&world, changes, &ask).counterfactuals[0].is_there_already);
    ask.low = wanted - 0.05;
    ask.high = wanted + 0.05;
    struct ig_explanations got = explain_for(&world, changes, &ask);
    for (size_t i = 0; i < ROWS; i++) {
        double rows[ROWS * FEATURES];
        if (got.counterfactuals[i].count == 0) continue;
        const struct ig_counterfactual *item = got.counterfactuals[i].items;
        for (size_t r = 0; r < ROWS; r++)
            memcpy(rows + r * FEATURES, item->row, FEATURES * sizeof *rows);
        score(&told, world.engine, rows);
        assert_true(item->predictions[0] == told.predictions[0]);
        assert_true(item->margins[0] == told.margins[0]);
        assert_near(told.predictions[0], wanted, 0.05);
        found++;
    }
    assert_true(found > 0);
    ig_explain_free(changes);
    world_deinit(&world);
}

/* Against the mean of probabilities: each member's own, then their mean. */
static void test_probability(void **state)
{
    (void)state;
    struct world world;
    struct scores scores;
    world_init(&world, IG_COMBINE_MEAN, 2);
    struct ig_explain *explain = prepare(&world, IG_EXPLAINER_TREE_INTERVENTIONAL, true);
    struct ig_explanations got = explain_rows(&world, explain);
    score(&scores, world.engine, world.rows);
    for (size_t i = 0; i < ROWS; i++) {
        double sum = 0;
        for (size_t f = 0; f <= FEATURES; f++) sum += got.contributions[i * (FEATURES + 1) + f];
        assert_near(sum, scores.predictions[i], 1e-6);
    }
    assert_string_equal(ig_explain_unit(explain), "probability_rescaled");
    ig_explain_free(explain);
    world_deinit(&world);
}

static void expect_refusal(const struct ig_composite_spec *spec, const char *message)
{
    struct ig_composite *composite = NULL;
    struct ig_err err = IG_ERR_INIT;
    assert_int_equal(ig_composite_new(&composite, spec, &err), IG_INVALID);
    if (!strstr(err.message, message)) fail_msg("'%s' lacks '%s'", err.message, message);
}

static void test_refusals(void **state)
{
    (void)state;
    struct world world;
    memset(&world, 0, sizeof world);
    make_members(&world, 1, IG_TRANSFORM_SIGMOID);
    struct ig_composite_spec spec = {.combine = IG_COMBINE_MEAN,
                                     .members = world.members,
                                     .features_count = FEATURES,
                                     .classes_count = 2};
    expect_refusal(&spec, "members: 0, expected 1 to 32");
    spec.members_count = MEMBERS;
    world.members[1].weight = 0;
    expect_refusal(&spec, "members[1]: weight 0");
    world.members[1].weight = 1;
    spec.meta = world.engines[0];
    expect_refusal(&spec, "combining by mean takes none");
    spec.combine = IG_COMBINE_STACK;
    expect_refusal(&spec, "meta: it takes 5 features, the members give 3");
    spec.meta = NULL;
    expect_refusal(&spec, "meta: combining by stack needs");
    spec.combine = IG_COMBINE_VOTE;
    spec.classes_count = 0;
    expect_refusal(&spec, "classifiers only");
    spec.combine = IG_COMBINE_MEAN_MARGIN;
    world.models[2]->transform = IG_TRANSFORM_IDENTITY;
    expect_refusal(&spec, "members[2]: its margins go through IDENTITY");
    spec.combine = IG_COMBINE_SOFT_VOTE;
    spec.classes_count = 2;
    expect_refusal(&spec, "members[2]: it gives no probabilities");
    world_deinit(&world);
}

/* Categories that two models number differently. */
/* Of rows that are more than their time allows, the first may be answered; none is lost. */
static void test_timeout(void **state)
{
    (void)state;
    enum { MANY = 200000 };
    struct world world;
    struct ig_err err = IG_ERR_INIT;
    memset(&world, 0, sizeof world);
    make_members(&world, 1, IG_TRANSFORM_IDENTITY);
    struct ig_testing_shape large = {.features = FEATURES, .outputs = 1, .trees = 300, .depth = 7};
    struct ig_model *model = ig_testing_model(&large, 5);
    struct ig_engine *slow = NULL;
    assert_int_equal(ig_engine_new(&slow, model, &err), IG_OK);
    world.members[1].engine = slow;
    struct ig_composite_spec spec = {.combine = IG_COMBINE_MEAN,
                                     .members = world.members,
                                     .members_count = 2,
                                     .features_count = FEATURES,
                                     .skips = true};
    world.members[1].timeout_ms = 1;
    assert_int_equal(combine(&world, &spec, &err), IG_OK);

    double *rows = ig_zalloc_array((size_t)MANY * FEATURES, sizeof *rows);
    double *margins = ig_zalloc_array(MANY, sizeof *margins);
    double *first = ig_zalloc_array(MANY, sizeof *first);
    uint32_t *skipped = ig_zalloc_array(MANY, sizeof *skipped);
    void *scratch =
        ig_alloc_aligned(64, ig_engine_scratch_bytes(world.engine, IG_ENGINE_MARGIN, MANY) + 64);
    for (size_t i = 0; i < (size_t)MANY * FEATURES; i++)
        rows[i] = world.rows[i % (ROWS * FEATURES)];
    ig_engine_predict(world.engine, rows, MANY, (struct ig_engine_scores){margins, NULL, skipped},
                      scratch);
    assert_int_equal(ig_engine_check(world.engine, margins, MANY, &err), IG_OK);
    ig_engine_margin(world.engines[0], rows, MANY, first, scratch);
    size_t done = 0;
    while (done < MANY && !skipped[done]) done++;
    assert_true(done < MANY);
    for (size_t i = done; i < MANY; i++) {
        assert_int_equal(skipped[i], 2);
        assert_true(margins[i] == first[i]);
    }
    for (size_t i = 0; i < done; i++) {
        double second;
        ig_engine_margin(slow, rows + i * FEATURES, 1, &second, scratch);
        assert_near(margins[i], (first[i] + 2 * second) / 3, 1e-12);
    }

    ig_engine_predict(world.engine, rows, MANY, (struct ig_engine_scores){margins, NULL, NULL},
                      scratch); /* by one that does not skip */
    assert_int_equal(ig_engine_check(world.engine, margins, MANY, &err), IG_DEADLINE);
    assert_string_equal(err.message, "members[1]: no answer within its timeout of 1 ms");

    ig_free(rows);
    ig_free(margins);
    ig_free(first);
    ig_free(skipped);
    ig_free(scratch);
    world_deinit(&world);
    ig_engine_free(slow);
    ig_model_free(model);
}

/* A time that suffices changes nothing. */
static void test_timeout_that_suffices(void **state)
{
    (void)state;
    struct world world;
    struct scores without, with;
    world_init(&world, IG_COMBINE_MEAN, 2);
    score(&without, world.engine, world.rows);
    world_deinit(&world);
    struct ig_err err = IG_ERR_INIT;
    memset(&world, 0, sizeof world);
    make_members(&world, 1, IG_TRANSFORM_SIGMOID);
    for (int i = 0; i < MEMBERS; i++) world.members[i].timeout_ms = 600000;
    const struct ig_composite_spec spec = {.combine = IG_COMBINE_MEAN,
                                           .members = world.members,
                                           .members_count = MEMBERS,
                                           .features_count = FEATURES,
                                           .classes_count = 2};
    assert_int_equal(combine(&world, &spec, &err), IG_OK);
    score(&with, world.engine, world.rows);
    assert_memory_equal(&with, &without, sizeof with);
    world_deinit(&world);
}

static void test_feature_map(void **state)
{
    (void)state;
    static const int32_t CODES[] = {2, -1, 0};
    static const int32_t *const BY_FEATURE[] = {NULL, CODES};
    static const uint32_t COUNTS[] = {0, 3}, SOURCE[] = {1, 0};
    const struct ig_feature_map map = {2, SOURCE, BY_FEATURE, COUNTS};
    const double rows[] = {0, 7, 1, 8, 2, 9, 3, NAN, NAN, 1, -1, 2};
    double out[12];
    ig_feature_map_rows(&map, rows, 6, 2, out);
    const double expected[] = {7, 2, 8, -1, 9, 0, NAN, -1, 1, NAN, 2, -1};
    for (int i = 0; i < 12; i++)
        assert_true(isnan(expected[i]) ? isnan(out[i]) : out[i] == expected[i]);
    assert_false(ig_feature_map_is_identity(&map));
}

static void test_names(void **state)
{
    (void)state;
    enum ig_combine combine = IG_COMBINE_MEAN;
    for (int i = 0; i < IG_COMBINES_COUNT; i++) {
        assert_true(ig_combine_parse(ig_str_view(ig_combine_name((enum ig_combine)i)), &combine));
        assert_int_equal(combine, i);
    }
    assert_false(ig_combine_parse(IG_STR("average"), &combine));
    assert_true(ig_combine_takes_meta(IG_COMBINE_STACK));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_mean),
        cmocka_unit_test(test_mean_margin),
        cmocka_unit_test(test_median),
        cmocka_unit_test(test_two_classes_by_one_number_or_two),
        cmocka_unit_test(test_vote),
        cmocka_unit_test(test_stack),
        cmocka_unit_test(test_exact_explanations),
        cmocka_unit_test(test_path_dependent),
        cmocka_unit_test(test_any_model_methods),
        cmocka_unit_test(test_probability),
        cmocka_unit_test(test_counterfactuals_of_means),
        cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_feature_map),
        cmocka_unit_test(test_names),
        cmocka_unit_test(test_timeout),
        cmocka_unit_test(test_timeout_that_suffices),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
