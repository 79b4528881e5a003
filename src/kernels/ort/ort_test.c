/* SPDX-License-Identifier: Apache-2.0 */
/* Loading, refusals and runs against the fake library (tests/support/ort_testing.c); the real one
 * is compared in the interop suite. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/thread.h"
#include "kernels/composite.h"
#include "kernels/explain/explain.h"
#include "kernels/ort/ort.h"
#include "kernels/ort/ort_priv.h"

#include <dlfcn.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { ROWS = 37, THREADS = 4, TIMEOUT_MS = 30 };

static char library[512];
static int (*live)(void);

static void expect_no_library(const char *path, const char *message)
{
    struct ig_err err = IG_ERR_INIT;
    struct ort_library own;
    assert_int_equal(ort_library_open(&own, path, &err), IG_UNSUPPORTED);
    if (!strstr(err.message, message)) fail_msg("'%s', expected '%s'", err.message, message);
}

static void test_libraries_that_will_not_do(void **state)
{
    (void)state;
    expect_no_library("/nowhere/libonnxruntime.so", "cannot open shared object");
    expect_no_library("libm.so.6", "has no OrtGetApiBase");
    setenv("FAKE_ORT", "old", 1);
    expect_no_library(library, "ONNX Runtime 1.3.0 is too old, 1.15 or later is needed");
    setenv("FAKE_ORT", "gap", 1);
    expect_no_library(library, "ONNX Runtime 1.99.0: its table has no Run");
    unsetenv("FAKE_ORT");
}

static void test_settings(void **state)
{
    (void)state;
    struct ig_err err = IG_ERR_INIT;
    struct ig_foreign *foreign = NULL;
    enum ig_ort_use use;
    assert_int_equal(ig_ort_setup("perhaps", "", &err), IG_INVALID);
    assert_string_equal(err.message, "onnx_engine: 'perhaps' is not auto, ingot or onnxruntime");
    err = IG_ERR_INIT;
    assert_int_equal(ig_ort_setup("auto", "lib/there.so", &err), IG_INVALID);
    assert_string_equal(err.message, "onnxruntime_library: 'lib/there.so' is not an absolute path");
    err = IG_ERR_INIT;
    setenv("INGOT_ONNX_ENGINE", "mine", 1);
    assert_int_equal(ig_ort_use(&use, &err), IG_INVALID);
    assert_string_equal(err.message, "INGOT_ONNX_ENGINE: 'mine' is not auto, ingot or onnxruntime");
    setenv("INGOT_ONNX_ENGINE", "ingot", 1);
    err = IG_ERR_INIT;
    assert_int_equal(ig_ort_new(&foreign, IG_STR("any"), IG_STR(""), &err), IG_UNSUPPORTED);
    assert_string_equal(err.message, "onnx_engine keeps ONNX Runtime out");
    unsetenv("INGOT_ONNX_ENGINE");
    err = IG_ERR_INIT;
    assert_int_equal(ig_ort_setup("auto", "/nowhere/there.so", &err), IG_OK);
    assert_int_equal(ig_ort_new(&foreign, IG_STR("any"), IG_STR(""), &err), IG_UNSUPPORTED);
    assert_non_null(strstr(err.message, "/nowhere/there.so"));
    err = IG_ERR_INIT; /* a failure is not kept */
    assert_int_equal(ig_ort_setup("onnxruntime", library, &err), IG_OK);
    assert_int_equal(ig_ort_use(&use, &err), IG_OK);
    assert_int_equal(use, IG_ORT_ALWAYS);
}

static void test_models_that_will_not_do(void **state)
{
    (void)state;
    static const char *const cases[][2] = {
        {"broken", "ONNX Runtime 1.99.0: model: this model is broken"},
        {"half", "input 'x': elements of ONNX's type 10, expected float32"},
        {"open", "input 'x': a dimension besides the first is not declared"},
        {"map", "output 'other' is no tensor; a sequence of maps comes from ZipMap"},
    };
    int before = live();
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct ig_err err = IG_ERR_INIT;
        struct ig_foreign *foreign = NULL;
        assert_int_equal(ig_ort_new(&foreign, ig_str_view(cases[i][0]), IG_STR(""), &err),
                         IG_UNSUPPORTED);
        if (!strstr(err.message, cases[i][1]))
            fail_msg("'%s', expected '%s'", err.message, cases[i][1]);
        assert_null(foreign);
        assert_int_equal(live(), before);
    }
}

static struct ig_model *model_of(const char *words)
{
    struct ig_err err = IG_ERR_INIT;
    struct ig_model *model = ig_model_new(1 << 16);
    assert_non_null(model);
    if (ig_ort_new(&model->foreign, ig_str_view(words), IG_STR("a test"), &err) != IG_OK)
        fail_msg("%s", err.message);
    model->kind = IG_MODEL_FOREIGN;
    model->sum_rule = IG_SUM_F64;
    model->features_count = model->foreign->features_count;
    model->outputs_count = model->predictions_count = model->foreign->values_count;
    model->base_margin =
        ig_arena_zalloc(&model->arena, model->outputs_count * sizeof *model->base_margin);
    if (ig_model_check(model, &err) != IG_OK) fail_msg("%s", err.message);
    return model;
}

static struct ig_engine *engine_of(const struct ig_model *model)
{
    struct ig_err err = IG_ERR_INIT;
    struct ig_engine *engine = NULL;
    if (ig_engine_new(&engine, model, &err) != IG_OK) fail_msg("%s", err.message);
    return engine;
}

static void margins(const struct ig_engine *engine, const double *rows, size_t count, double *out)
{
    size_t bytes = ig_engine_scratch_bytes(engine, IG_ENGINE_MARGIN, count);
    void *scratch = ig_alloc_aligned(64, bytes);
    assert_non_null(scratch);
    ig_engine_margin(engine, rows, count, out, scratch);
    ig_free(scratch);
}

static void fill(double *rows, size_t count)
{
    for (size_t i = 0; i < count; i++) rows[i] = (double)(i % 11) - 5;
}

static void test_facts_and_values(void **state)
{
    (void)state;
    static const char *const words[] = {"", "ints", "fixed", "company"};
    double rows[ROWS * 3], values[ROWS];
    fill(rows, ROWS * 3);
    for (size_t w = 0; w < sizeof words / sizeof words[0]; w++) {
        int before = live();
        struct ig_model *model = model_of(*words[w] ? words[w] : "plain");
        struct ig_engine *engine = engine_of(model);
        assert_true(ig_str_is(model->foreign->version, "1.99.0"));
        assert_true(ig_str_is(model->foreign->reason, "a test"));
        assert_string_equal(ig_engine_isa(engine), "onnxruntime");
        assert_int_equal(model->features_count, 3);
        assert_int_equal(model->outputs_count, 1);
        assert_true(ig_engine_may_fail(engine));
        assert_true(ig_engine_cost_ns(engine, IG_ENGINE_MARGIN, 1) > 1);
        for (size_t count = 0; count <= ROWS; count++) {
            margins(engine, rows, count, values);
            for (size_t i = 0; i < count; i++)
                assert_true(values[i] == rows[3 * i] + rows[3 * i + 1] + rows[3 * i + 2]);
        }
        ig_engine_free(engine);
        ig_model_free(model);
        assert_int_equal(live(), before);
    }
}

static void test_a_label_is_passed_over(void **state)
{
    (void)state;
    struct ig_model *model = model_of("label");
    struct ig_engine *engine = engine_of(model);
    double values[2];
    assert_true(model->foreign->beside_label);
    assert_int_equal(model->outputs_count, 2);
    margins(engine, (double[]){1, 2, 4}, 1, values);
    assert_true(values[0] == 7 && values[1] == -7);
    ig_engine_free(engine);
    ig_model_free(model);
}

static void test_failed_rows_are_told(void **state)
{
    (void)state;
    static const char *const cases[][2] = {
        {"thirteen", "ONNX Runtime 1.99.0: run: thirteen is no index"},
        {"ragged", "output 'y': 2 values of 1 rows, expected 1"},
    };
    double rows[ROWS * 3], values[ROWS];
    for (size_t c = 0; c < 2; c++) {
        struct ig_err err = IG_ERR_INIT;
        struct ig_model *model = model_of(cases[c][0]);
        struct ig_engine *engine = engine_of(model);
        fill(rows, ROWS * 3);
        margins(engine, rows, ROWS, values);
        assert_int_equal(ig_engine_check(engine, values, ROWS, &err), IG_OK);
        rows[3 * 5] = 13; /* within a batch */
        rows[3 * (ROWS - 1)] = 13;
        margins(engine, rows, ROWS, values);
        for (size_t i = 0; i < ROWS; i++)
            assert_int_equal(isnan(values[i]) != 0, i == 5 || i == ROWS - 1);
        assert_int_equal(ig_engine_check(engine, values, 5, &err), IG_OK);
        assert_int_equal(ig_engine_check(engine, values, ROWS, &err), IG_INTERNAL);
        assert_string_equal(err.message, cases[c][1]);
        ig_engine_free(engine);
        ig_model_free(model);
    }
}

static void test_an_ensemble_tells_its_members_failures(void **state)
{
    (void)state;
    static const enum ig_combine combines[] = {IG_COMBINE_MEAN, IG_COMBINE_MEDIAN};
    struct ig_model *sound = model_of("plain"), *frail = model_of("thirteen");
    struct ig_engine *engines[] = {engine_of(sound), engine_of(frail)};
    for (size_t c = 0; c < 2; c++) {
        struct ig_err err = IG_ERR_INIT;
        const struct ig_composite_member members[] = {
            {.engine = engines[0], .weight = 1, .map.features_count = 3},
            {.engine = engines[0], .weight = 1, .map.features_count = 3},
            {.engine = engines[1], .weight = 1, .map.features_count = 3, .name = "frail"},
        };
        const struct ig_composite_spec spec = {
            .combine = combines[c], .members = members, .members_count = 3, .features_count = 3};
        struct ig_composite *composite = NULL;
        struct ig_engine *engine = NULL;
        double values[2];
        if (ig_composite_new(&composite, &spec, &err) != IG_OK) fail_msg("%s", err.message);
        struct ig_model *model = ig_composite_model(composite, &err);
        assert_non_null(model);
        assert_int_equal(ig_engine_new_composite(&engine, model, composite, &err), IG_OK);
        margins(engine, (double[]){1, 2, 3, 13, 0, 0}, 2, values);
        assert_true(values[0] == 6);
        assert_int_equal(ig_engine_check(engine, values, 1, &err), IG_OK);
        assert_int_equal(ig_engine_check(engine, values, 2, &err), IG_INTERNAL);
        assert_string_equal(err.message,
                            "members[2] 'frail': ONNX Runtime 1.99.0: run: thirteen is no index");
        ig_engine_free(engine);
        ig_composite_free(composite);
        ig_model_free(model);
    }
    ig_engine_free(engines[0]);
    ig_engine_free(engines[1]);
    ig_model_free(sound);
    ig_model_free(frail);
}

struct ensemble {
    struct ig_composite *composite;
    struct ig_model *model;
    struct ig_engine *engine;
};

static void ensemble_init(struct ensemble *own, const struct ig_composite_spec *spec)
{
    struct ig_err err = IG_ERR_INIT;
    if (ig_composite_new(&own->composite, spec, &err) != IG_OK) fail_msg("%s", err.message);
    own->model = ig_composite_model(own->composite, &err);
    assert_non_null(own->model);
    assert_int_equal(ig_engine_new_composite(&own->engine, own->model, own->composite, &err),
                     IG_OK);
}

static void ensemble_deinit(struct ensemble *own)
{
    ig_engine_free(own->engine);
    ig_composite_free(own->composite);
    ig_model_free(own->model);
}

/* Of two rows. */
static void scores(const struct ig_engine *engine, const double *rows, struct ig_engine_scores out)
{
    void *scratch = ig_alloc_aligned(64, ig_engine_scratch_bytes(engine, IG_ENGINE_MARGIN, 2));
    assert_non_null(scratch);
    ig_engine_predict(engine, rows, 2, out, scratch);
    ig_free(scratch);
}

/* Three members with weights 1, 2 and 4, of which the last two fail on 13. */
static void test_an_ensemble_leaves_out_who_fails(void **state)
{
    (void)state;
    static const struct {
        enum ig_combine combine;
        double expected[2]; /* all answer; two fail */
    } cases[] = {
        {IG_COMBINE_MEAN, {6, 13}},
        {IG_COMBINE_MEAN_MARGIN, {6, 13}},
        {IG_COMBINE_MEDIAN, {6, 13}},
    };
    static const double rows[] = {1, 2, 3, 13, 0, 0};
    struct ig_model *sound = model_of("plain"), *frail = model_of("thirteen");
    struct ig_engine *engines[] = {engine_of(sound), engine_of(frail)};
    for (size_t c = 0; c < sizeof cases / sizeof cases[0]; c++) {
        struct ig_err err = IG_ERR_INIT;
        const struct ig_composite_member members[] = {
            {.engine = engines[0], .weight = 1, .map.features_count = 3, .name = "sound"},
            {.engine = engines[1], .weight = 2, .map.features_count = 3, .name = "frail"},
            {.engine = engines[1], .weight = 4, .map.features_count = 3, .name = "frail"},
        };
        struct ig_composite_spec spec = {.combine = cases[c].combine,
                                         .members = members,
                                         .members_count = 3,
                                         .features_count = 3,
                                         .skips = true};
        struct ensemble own;
        double values[2], predictions[2];
        uint32_t skipped[2];
        ensemble_init(&own, &spec);
        assert_true(ig_engine_skips(own.engine));
        scores(own.engine, rows, (struct ig_engine_scores){values, predictions, skipped});
        for (size_t i = 0; i < 2; i++) {
            assert_true(values[i] == cases[c].expected[i]);
            assert_true(predictions[i] == cases[c].expected[i]);
            assert_int_equal(skipped[i], i ? 6 : 0);
        }
        assert_int_equal(ig_engine_check(own.engine, values, 2, &err), IG_OK);
        /* who cannot be told of it gets a failure, by the first who failed */
        scores(own.engine, rows, (struct ig_engine_scores){values, predictions, NULL});
        assert_int_equal(ig_engine_check(own.engine, values, 1, &err), IG_OK);
        assert_int_equal(ig_engine_check(own.engine, values, 2, &err), IG_INTERNAL);
        assert_non_null(strstr(err.message, "'frail': ONNX Runtime"));
        ensemble_deinit(&own);
        /* nobody is left */
        spec.members = members + 1;
        spec.members_count = 2;
        ig_err_clear(&err);
        ensemble_init(&own, &spec);
        scores(own.engine, rows, (struct ig_engine_scores){values, predictions, skipped});
        assert_true(values[0] == 6);
        assert_int_equal(ig_engine_check(own.engine, values, 2, &err), IG_INTERNAL);
        assert_true(ig_foreign_marked(predictions + 1, 1));
        ensemble_deinit(&own);
    }
    for (size_t i = 0; i < 2; i++) ig_engine_free(engines[i]);
    ig_model_free(sound);
    ig_model_free(frail);
}

static const struct ig_composite_member *slow_members(struct ig_composite_member members[2],
                                                      const struct ig_engine *sound,
                                                      const struct ig_engine *slow)
{
    members[0] = (struct ig_composite_member){
        .engine = sound, .weight = 1, .map.features_count = 3, .name = "sound"};
    members[1] = (struct ig_composite_member){.engine = slow,
                                              .weight = 3,
                                              .map.features_count = 3,
                                              .name = "slow",
                                              .timeout_ms = TIMEOUT_MS};
    return members;
}

/* The fake's run of a 17 takes 10 s, unless it is told to end. */
static void test_a_member_has_its_time(void **state)
{
    (void)state;
    int before = live();
    double rows[ROWS * 3], values[ROWS], predictions[ROWS];
    uint32_t skipped[ROWS];
    struct ig_err err = IG_ERR_INIT;
    struct ig_model *sound = model_of("plain"), *slow = model_of("slow");
    struct ig_engine *engines[] = {engine_of(sound), engine_of(slow)};
    struct ig_composite_member members[2];
    const struct ig_composite_spec spec = {.combine = IG_COMBINE_MEAN,
                                           .members = slow_members(members, engines[0], engines[1]),
                                           .members_count = 2,
                                           .features_count = 3,
                                           .skips = true};
    struct ensemble own;
    ensemble_init(&own, &spec);
    fill(rows, ROWS * 3);
    rows[3 * 20] = 17; /* within the second batch */
    size_t bytes = ig_engine_scratch_bytes(own.engine, IG_ENGINE_MARGIN, ROWS);
    void *scratch = ig_alloc_aligned(64, bytes);
    uint64_t start_ns = ig_clock_ns();
    ig_engine_predict(own.engine, rows, ROWS,
                      (struct ig_engine_scores){values, predictions, skipped}, scratch);
    uint64_t spent_ns = ig_clock_ns() - start_ns;
    assert_in_range(spent_ns, TIMEOUT_MS * UINT64_C(1000000), UINT64_C(5000000000));
    for (size_t i = 0; i < ROWS; i++) {
        assert_int_equal(skipped[i], i < 16 ? 0 : 2); /* the first batch was in time */
        assert_true(values[i] == rows[3 * i] + rows[3 * i + 1] + rows[3 * i + 2]);
    }
    ig_engine_predict(own.engine, rows, ROWS, (struct ig_engine_scores){values, predictions, NULL},
                      scratch);
    assert_int_equal(ig_engine_check(own.engine, values, 16, &err), IG_OK);
    assert_int_equal(ig_engine_check(own.engine, values, ROWS, &err), IG_DEADLINE);
    assert_string_equal(err.message, "members[1] 'slow': no answer within its timeout of 30 ms");
    ig_free(scratch);
    ensemble_deinit(&own);
    for (size_t i = 0; i < 2; i++) ig_engine_free(engines[i]);
    ig_model_free(sound);
    ig_model_free(slow);
    assert_int_equal(live(), before);
}

struct race {
    const struct ig_engine *engine;
    double row[3];
    uint32_t timeout_ms;
    int wrong;
};

static void *run_race(void *context)
{
    struct race *race = context;
    double margin;
    size_t bytes = ig_engine_scratch_bytes(race->engine, IG_ENGINE_MARGIN, 1);
    void *scratch = ig_alloc_aligned(64, bytes);
    bool is_slow = race->row[0] == 17;
    for (int round = 0; scratch && round < (is_slow ? 5 : 500); round++) {
        ig_engine_predict_within(race->engine, race->row, 1,
                                 (struct ig_engine_scores){&margin, NULL, NULL}, scratch,
                                 race->timeout_ms);
        race->wrong += is_slow ? !ig_foreign_marked(&margin, 1) : margin != 6;
    }
    ig_free(scratch);
    return NULL;
}

/* Each run has a deadline of its own: those that are slow end, the others are left alone. */
static void test_many_are_watched(void **state)
{
    (void)state;
    int before = live();
    struct ig_model *model = model_of("slow");
    struct ig_engine *engine = engine_of(model);
    struct race races[THREADS];
    uint64_t threads[THREADS];
    struct ig_err err = IG_ERR_INIT;
    for (uint32_t i = 0; i < THREADS; i++) {
        races[i] = (struct race){engine, {i % 2 ? 17 : 1, 2, 3}, i % 2 ? 5 + i : 20000, 0};
        assert_int_equal(ig_thread_start(&threads[i], "race", run_race, &races[i], &err), IG_OK);
    }
    for (int i = 0; i < THREADS; i++) {
        ig_thread_join(threads[i]);
        assert_int_equal(races[i].wrong, 0);
    }
    ig_engine_free(engine);
    ig_model_free(model);
    assert_int_equal(live(), before);
}

/* A bound on what cannot be stopped is refused. */
static void test_times_that_cannot_be_kept(void **state)
{
    (void)state;
    struct ig_err err = IG_ERR_INIT;
    struct ig_model *sound = model_of("plain");
    struct ig_engine *engine = engine_of(sound);
    struct ig_composite_member members[2];
    struct ig_composite_spec spec = {.combine = IG_COMBINE_MEAN,
                                     .members = slow_members(members, engine, engine),
                                     .members_count = 1,
                                     .features_count = 3};
    struct ensemble inner;
    struct ig_composite *composite = NULL;
    ensemble_init(&inner, &spec);
    members[1].engine = inner.engine;
    spec.members_count = 2;
    assert_int_equal(ig_composite_new(&composite, &spec, &err), IG_INVALID);
    assert_string_equal(err.message, "members[1].timeout_ms: 30, but it is an ensemble; its own "
                                     "members may have one each");
    ensemble_deinit(&inner);
    ig_engine_free(engine);
    ig_model_free(sound);
}

/* Of the class told by the greater of a sum and its negative. */
static void test_votes_of_those_who_answer(void **state)
{
    (void)state;
    static const double rows[] = {-1, -2, -3, 13, -30, 0};
    struct ig_err err = IG_ERR_INIT;
    struct ig_model *sound = model_of("label"), *frail = model_of("label thirteen");
    struct ig_engine *engines[] = {engine_of(sound), engine_of(frail)};
    const struct ig_composite_member members[] = {
        {.engine = engines[1], .weight = 3, .map.features_count = 3},
        {.engine = engines[0], .weight = 1, .map.features_count = 3},
    };
    const struct ig_composite_spec spec = {.combine = IG_COMBINE_VOTE,
                                           .members = members,
                                           .members_count = 2,
                                           .features_count = 3,
                                           .classes_count = 2,
                                           .skips = true};
    struct ensemble own;
    double margins[2], predictions[2];
    uint32_t skipped[2];
    ensemble_init(&own, &spec);
    scores(own.engine, rows, (struct ig_engine_scores){margins, predictions, skipped});
    assert_int_equal(ig_engine_check(own.engine, margins, 2, &err), IG_OK);
    for (size_t i = 0; i < 2; i++) {
        assert_true(predictions[i] == 1); /* all who voted */
        assert_int_equal(skipped[i], i);
    }
    ensemble_deinit(&own);
    for (size_t i = 0; i < 2; i++) ig_engine_free(engines[i]);
    ig_model_free(sound);
    ig_model_free(frail);
}

static void test_words_go_in(void **state)
{
    (void)state;
    struct ig_str words[] = {IG_STR("a"), IG_STR("four")};
    struct ig_input inputs[2] = {{.kind = IG_INPUT_TEXT, .name = IG_STR("town")},
                                 {.kind = IG_INPUT_TEXT, .name = IG_STR("street")}};
    struct ig_err err = IG_ERR_INIT;
    struct ig_engine *engine = NULL;
    struct ig_model *model = model_of("text");
    double values[3];
    model->inputs = inputs;
    assert_int_equal(ig_engine_new(&engine, model, &err), IG_UNSUPPORTED);
    assert_non_null(strstr(err.message, "feature 0 'town' is text"));
    for (int i = 0; i < 2; i++) {
        inputs[i].categories = words;
        inputs[i].categories_count = 2;
    }
    engine = engine_of(model);
    margins(engine, (double[]){0, 1, 1, 1, NAN, -1}, 3, values);
    assert_true(values[0] == 5 && values[1] == 8 && values[2] == 0);
    margins(engine, (double[]){2, 1}, 1, values); /* beyond the last */
    assert_true(values[0] == 4);
    ig_engine_free(engine);
    ig_model_free(model);
}

/* The row itself is answered, but not all that the method asks. */
static void expect_failed_samples(const struct ig_engine *engine, enum ig_explainer method,
                                  const double *others, const double *row)
{
    const struct ig_background background = {.rows = others, .rows_count = 2, .features_count = 3};
    const struct ig_explain_spec spec = {.method = method, .background = &background};
    const struct ig_explain_options options = {.samples = 200};
    const struct ig_explain_rows rows = {row, 1};
    struct ig_err err = IG_ERR_INIT;
    struct ig_explain *explain = NULL;
    struct ig_explanations out;
    struct ig_arena arena;
    ig_arena_init(&arena, 1 << 16, 1 << 26);
    if (ig_explain_new(&explain, engine, &spec, &err) == IG_OK) /* LIME tries a run there */
        ig_explain_run(&out, explain, &rows, &options, &arena, &err);
    assert_int_equal(err.code, IG_INTERNAL);
    ig_explain_free(explain);
    ig_arena_deinit(&arena);
}

static void test_explanations(void **state)
{
    (void)state;
    static const enum ig_explainer methods[] = {IG_EXPLAINER_EXACT, IG_EXPLAINER_LEVERAGE,
                                                IG_EXPLAINER_LIME};
    struct ig_model *model = model_of("thirteen");
    struct ig_engine *engine = engine_of(model);
    const double others[] = {1, 0, 0, 3, 0, 2}, row[] = {4, 1, -2}, bad[] = {4, 13, -2};
    const double unlucky[] = {1, 0, 13, 3, 0, 2};
    const struct ig_background background = {.rows = others, .rows_count = 2, .features_count = 3};
    for (size_t m = 0; m < sizeof methods / sizeof methods[0]; m++) {
        const struct ig_explain_spec spec = {.method = methods[m], .background = &background};
        struct ig_explain_options options = {.samples = 200};
        struct ig_err err = IG_ERR_INIT;
        struct ig_explain *explain = NULL;
        struct ig_explanations out;
        struct ig_arena arena;
        ig_arena_init(&arena, 1 << 16, 1 << 26);
        if (ig_explain_new(&explain, engine, &spec, &err) != IG_OK) fail_msg("%s", err.message);
        const struct ig_explain_rows good = {row, 1}, failing = {bad, 1};
        if (ig_explain_run(&out, explain, &good, &options, &arena, &err) != IG_OK)
            fail_msg("%s", err.message);
        assert_true(out.margins[0] == 3);
        if (out.contributions) {
            assert_true(fabs(out.contributions[0] - 2) < 1e-9);
            assert_true(fabs(out.contributions[1] - 1) < 1e-9);
            assert_true(fabs(out.contributions[2] + 3) < 1e-9);
        }
        assert_int_equal(ig_explain_run(&out, explain, &failing, &options, &arena, &err),
                         IG_INTERNAL);
        assert_non_null(strstr(err.message, "thirteen"));
        ig_explain_free(explain);
        expect_failed_samples(engine, methods[m], unlucky, row);
        ig_arena_deinit(&arena);
    }
    ig_engine_free(engine);
    ig_model_free(model);
}

struct crowd {
    const struct ig_engine *engine;
    int wrong;
};

static void *run_many(void *context)
{
    struct crowd *crowd = context;
    double rows[ROWS * 3], values[ROWS];
    fill(rows, ROWS * 3);
    rows[3 * 7] = 13;
    for (int round = 0; round < 200; round++) {
        struct ig_err err = IG_ERR_INIT;
        margins(crowd->engine, rows, ROWS, values);
        for (size_t i = 0; i < ROWS; i++)
            crowd->wrong += i == 7 ? !isnan(values[i])
                                   : values[i] != rows[3 * i] + rows[3 * i + 1] + rows[3 * i + 2];
        crowd->wrong += ig_engine_check(crowd->engine, values, ROWS, &err) != IG_INTERNAL;
    }
    return NULL;
}

static void test_threads_share_a_session(void **state)
{
    (void)state;
    int before = live();
    struct ig_model *model = model_of("thirteen");
    struct ig_engine *engine = engine_of(model);
    struct crowd crowds[THREADS];
    uint64_t threads[THREADS];
    struct ig_err err = IG_ERR_INIT;
    for (int i = 0; i < THREADS; i++) {
        crowds[i] = (struct crowd){engine, 0};
        assert_int_equal(ig_thread_start(&threads[i], "crowd", run_many, &crowds[i], &err), IG_OK);
    }
    for (int i = 0; i < THREADS; i++) {
        ig_thread_join(threads[i]);
        assert_int_equal(crowds[i].wrong, 0);
    }
    ig_engine_free(engine);
    ig_model_free(model);
    assert_int_equal(live(), before);
}

static int find_library(void **state)
{
    (void)state;
    const char *build = getenv("INGOT_BUILD_DIR");
    snprintf(library, sizeof library, "%s/fake_ort.so", build ? build : "build/dev");
    void *handle = dlopen(library, RTLD_NOW);
    void *symbol = handle ? dlsym(handle, "fake_ort_live") : NULL;
    if (!symbol) return -1;
    memcpy(&live, &symbol, sizeof live);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_libraries_that_will_not_do),
        cmocka_unit_test(test_settings), /* chooses the fake for all below */
        cmocka_unit_test(test_models_that_will_not_do),
        cmocka_unit_test(test_facts_and_values),
        cmocka_unit_test(test_a_label_is_passed_over),
        cmocka_unit_test(test_failed_rows_are_told),
        cmocka_unit_test(test_an_ensemble_tells_its_members_failures),
        cmocka_unit_test(test_an_ensemble_leaves_out_who_fails),
        cmocka_unit_test(test_votes_of_those_who_answer),
        cmocka_unit_test(test_a_member_has_its_time),
        cmocka_unit_test(test_many_are_watched),
        cmocka_unit_test(test_times_that_cannot_be_kept),
        cmocka_unit_test(test_words_go_in),
        cmocka_unit_test(test_explanations),
        cmocka_unit_test(test_threads_share_a_session),
    };
    return cmocka_run_group_tests(tests, find_library, NULL);
}
