/* SPDX-License-Identifier: Apache-2.0 */
/* What a picture takes from the answers: names, output, unit, rows; and what it refuses. */
#include <stdarg.h>
#include <stddef.h>

#include <setjmp.h>
#include <stdint.h>

#include <cmocka.h>

#include "api/picture.h"

#include <math.h>
#include <string.h>

static struct ig_str sexes[] = {{"Female", 6}, {"Male", 4}};
static struct ig_str classes[] = {{"no", 2}, {"yes", 3}, {"maybe", 5}};
static struct ig_feature features[] = {
    {.name = {"age", 3}, .type = IG_FEATURE_NUMERIC},
    {.name = {"sex", 3},
     .type = IG_FEATURE_CATEGORICAL,
     .categories = sexes,
     .categories_count = 2},
};
static struct ig_schema schema = {.features = features,
                                  .features_count = 2,
                                  .task = IG_TASK_BINARY,
                                  .target = {"income", 6},
                                  .classes = classes,
                                  .classes_count = 2};
static struct ig_model model = {.features_count = 2,
                                .outputs_count = 1,
                                .predictions_count = 1,
                                .transform = IG_TRANSFORM_SIGMOID,
                                .transform_parameter = 1};
static const double row[] = {39, 1};
static const double contributions[] = {0.5, -1, 1.5, 2, 0.25, -0.5};
static const double margins[] = {1, 1.75}, predictions[] = {0.731, 0.852};

static struct ig_answer answer(void)
{
    return (struct ig_answer){.schema = &schema,
                              .model = &model,
                              .row = row,
                              .margins = margins,
                              .predictions = predictions,
                              .contributions = contributions,
                              .values_count = 1,
                              .players_count = 2,
                              .method = "m"};
}

static struct ig_buf svg;
static struct ig_err err;

static void draw(const struct ig_picture_request *request, const struct ig_answer *of, int rows)
{
    struct ig_picture *picture = NULL;
    err = IG_ERR_INIT;
    ig_buf_reset(&svg);
    if (ig_picture_new(&picture, request, of, &err) == IG_OK) {
        for (int i = 0; i < rows; i++) assert_int_equal(ig_picture_add(picture, of, &err), IG_OK);
        ig_picture_write(&svg, picture, &err);
    }
    ig_picture_free(picture);
}

static void test_one_row(void **state)
{
    (void)state;
    const struct ig_answer of = answer();
    draw(&(struct ig_picture_request){.plot = IG_STR("waterfall")}, &of, 1);
    assert_int_equal(err.code, IG_OK);
    assert_non_null(strstr(svg.ptr, "<title>Contributions to income yes</title>"));
    assert_non_null(strstr(svg.ptr, "E[f(x)] = 1.5"));
    assert_non_null(strstr(svg.ptr, "log-odds (probability 0.731)"));
    assert_non_null(strstr(svg.ptr, "prediction yes"));
    assert_non_null(strstr(svg.ptr, "Male"));
}

/* The output that was asked for, and groups, which have no value. */
static void test_outputs_and_groups(void **state)
{
    static const uint32_t OF_FEATURE[] = {0, 0};
    static const struct ig_str NAMES[] = {{"person", 6}};
    (void)state;
    struct ig_schema three = schema;
    struct ig_model softmax = model;
    three.task = IG_TASK_MULTICLASS;
    three.classes_count = softmax.outputs_count = softmax.predictions_count = 3;
    softmax.transform = IG_TRANSFORM_SOFTMAX;
    struct ig_answer of = answer();
    of.schema = &three;
    of.model = &softmax;
    of.values_count = 3;
    of.players_count = 1;
    of.player_of_feature = OF_FEATURE;
    of.player_names = NAMES;
    of.margins = of.predictions = (double[]){0.1, 0.2, 0.7};
    draw(&(struct ig_picture_request){.plot = IG_STR("waterfall")}, &of, 1);
    assert_non_null(strstr(svg.ptr, "Contributions to income maybe"));
    draw(&(struct ig_picture_request){.plot = IG_STR("force"), .class_name = IG_STR("no")}, &of, 1);
    assert_non_null(strstr(svg.ptr, "contributions to income no"));
    assert_non_null(strstr(svg.ptr, ">person<"));
    assert_null(strstr(svg.ptr, "person ="));
}

static void test_refusals(void **state)
{
    static const struct {
        struct ig_picture_request request;
        const char *message;
    } BAD[] = {
        {{.plot = {"pie", 3}}, "plot: unknown plot 'pie'; known: waterfall, force, bar, "},
        {{.plot = {"bar", 3}, .theme = {"pink", 4}}, "plot_theme: 'pink' is none of auto"},
        {{.plot = {"bar", 3}, .feature = {"agee", 4}}, "plot_feature: 'agee' is no feature"},
        {{.plot = {"bar", 3}, .color_by = {"x", 1}}, "plot_color_by: 'x' is no feature"},
        {{.plot = {"bar", 3}, .width = 10}, "plot_width: 10 is not from 360 to 4000"},
        {{.plot = {"force", 5}, .row = 3}, "plot_row: 3, but there are 2 rows"},
    };
    (void)state;
    struct ig_answer of = answer();
    for (size_t i = 0; i < sizeof BAD / sizeof *BAD; i++) {
        draw(&BAD[i].request, &of, 2);
        assert_int_equal(err.code, IG_INVALID);
        assert_int_equal(strncmp(err.message, BAD[i].message, strlen(BAD[i].message)), 0);
        assert_int_equal(svg.len, 0);
    }
    of.contributions = NULL;
    draw(&(struct ig_picture_request){.plot = IG_STR("bar")}, &of, 1);
    assert_string_equal(err.message,
                        "plot: method m gives no contributions, which is what plots show");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_one_row),
        cmocka_unit_test(test_outputs_and_groups),
        cmocka_unit_test(test_refusals),
    };
    ig_buf_init(&svg, 1 << 20);
    int code = cmocka_run_group_tests(tests, NULL, NULL);
    ig_buf_deinit(&svg);
    return code;
}
