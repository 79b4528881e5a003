/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/mem.h"
#include "formats/package_priv.h"
#include "formats/tflite/tflite.h"
#include "kernels/nn/nn.h"
#include "kernels/train/encoder.h"
#include "kernels/train/layers.h"

#include <math.h>
#include <string.h>

/* A table of a number (missing at times) and a colour; the network takes 2 + 1 + 3 inputs. */
enum { ROWS = 6, FEATURES = 2, INPUTS = 6 };
static const double table[ROWS * FEATURES] = {1.5, 0, 7, 1, NAN, 2, 4, 2, 9, 0, 1, 1};

static struct ig_str colours[] = {{"red", 3}, {"green", 5}, {"blue", 4}};
static struct ig_str classes[] = {{"no", 2}, {"yes", 3}};
static struct ig_feature features[] = {
    {.name = {"size", 4}},
    {.name = {"colour", 6},
     .type = IG_FEATURE_CATEGORICAL,
     .categories = colours,
     .categories_count = 3},
};
static const struct ig_schema schema = {.features = features,
                                        .features_count = FEATURES,
                                        .task = IG_TASK_BINARY,
                                        .classes = classes,
                                        .classes_count = 2};

struct made {
    struct ig_arena arena;
    struct ig_encoder encoder;
    struct ig_network *network;
    struct ig_buf file, json, zip;
};

static void make(struct made *made)
{
    struct ig_err err = IG_ERR_INIT;
    struct ig_json_out out;
    bool norms[2 * IG_LAYERS_MAX];
    const uint32_t categories[] = {0, 3};
    const struct ig_encoder_rows rows = {table, ROWS, FEATURES, categories, true};
    const struct ig_layer items[] = {
        {.kind = IG_LAYER_DENSE, .units = 4, .activation = IG_NETWORK_ACTIVATION_RELU},
        {.kind = IG_LAYER_DENSE, .units = 1},
        {.kind = IG_LAYER_LOGISTIC}};
    ig_arena_init(&made->arena, 4096, 1 << 20);
    ig_buf_init(&made->file, 1 << 20);
    ig_buf_init(&made->json, 1 << 20);
    ig_buf_init(&made->zip, 1 << 20);
    assert_int_equal(ig_encoder_fit(&made->encoder, &made->arena, &rows, &err), IG_OK);
    assert_int_equal(made->encoder.inputs_count, INPUTS);
    const struct ig_layers layers = {0, 0, INPUTS, items, 3, 5};
    assert_int_equal(ig_layers_make(&made->network, norms, &layers, &err), IG_OK);
    assert_int_equal(ig_tflite_write(&made->file, made->network, &err), IG_OK);
    ig_json_out_init(&out, &made->json);
    ig_encoder_write(&out, &made->encoder);
}

static void unmake(struct made *made)
{
    ig_network_free(made->network);
    ig_buf_deinit(&made->file);
    ig_buf_deinit(&made->json);
    ig_buf_deinit(&made->zip);
    ig_arena_deinit(&made->arena);
}

/* What the network gives for rows that were encoded by hand. */
static void expected_values(const struct made *made, double values[ROWS])
{
    struct ig_err err = IG_ERR_INIT;
    struct ig_nn *nn;
    float inputs[ROWS * INPUTS];
    const struct ig_nn_options options = {.isa = IG_ISA_SCALAR};
    assert_int_equal(ig_nn_new(&nn, made->network, &options, &err), IG_OK);
    void *scratch = ig_alloc_aligned(64, ig_nn_scratch_bytes(nn) + 64);
    assert_non_null(scratch);
    ig_encoder_run(&made->encoder, table, ROWS, inputs);
    for (int i = 0; i < ROWS; i++) {
        float value;
        ig_nn_run(nn, (const void *const[]){inputs + i * INPUTS}, (void *const[]){&value}, scratch);
        values[i] = (double)value;
    }
    ig_free(scratch);
    ig_nn_free(nn);
}

static struct ig_package_spec spec_of(const struct made *made)
{
    return (struct ig_package_spec){.model_bytes = ig_buf_view(&made->file),
                                    .schema = &schema,
                                    .encoder_json = ig_buf_view(&made->json),
                                    .golden_rows = table,
                                    .golden_count = ROWS};
}

static void rows_of_the_table_go_in(void **state)
{
    (void)state;
    struct ig_err err = IG_ERR_INIT;
    struct ig_package *package = NULL;
    struct made made;
    double expected[ROWS], values[ROWS];
    make(&made);
    expected_values(&made, expected);
    const struct ig_package_spec spec = spec_of(&made);
    if (ig_package_write(&made.zip, &spec, &err) ||
        ig_package_open_bytes(&package, ig_buf_view(&made.zip), NULL, &err))
        fail_msg("%s", err.message);
    assert_int_equal(package->golden_rows_count, ROWS);
    assert_int_equal(package->model->features_count, FEATURES);
    assert_int_equal(package->schema.features_count, FEATURES);
    assert_true(ig_str_is(package->schema.features[1].categories[1], "green"));
    assert_false(package->schema.has_required);
    void *scratch =
        ig_alloc_aligned(64, ig_engine_scratch_bytes(package->engine, IG_ENGINE_MARGIN, ROWS));
    assert_non_null(scratch);
    ig_engine_margin(package->engine, table, ROWS, values, scratch);
    for (int i = 0; i < ROWS; i++) assert_true(values[i] == expected[i] && values[i] > 0);
    assert_true(values[0] != values[1]);
    ig_free(scratch);
    ig_package_free(package);
    unmake(&made);
}

static void expect_refused(const struct made *made, const char *manifest, const char *encoder,
                           const char *message)
{
    struct ig_err err = IG_ERR_INIT;
    struct ig_package *package = NULL;
    struct ig_buf zip;
    const struct pkg_entry entries[] = {{"ingot.yaml", ig_str_view(manifest)},
                                        {"model.tflite", ig_buf_view(&made->file)},
                                        {"e.json", ig_str_view(encoder)}};
    ig_buf_init(&zip, 1 << 20);
    assert_int_equal(pkg_zip_write(&zip, entries, 3, &err), IG_OK);
    assert_int_not_equal(ig_package_open_bytes(&package, ig_buf_view(&zip), NULL, &err), IG_OK);
    assert_null(package);
    if (!strstr(err.message, message)) fail_msg("'%s' is not in '%s'", message, err.message);
    ig_buf_deinit(&zip);
}

#define HEAD "model: model.tflite\nencoder: e.json\ntask: binary\nfeatures:\n"
#define NUMBER "  - {name: size}\n"
#define COLOUR "  - {name: colour, type: categorical, categories: [a, b, c]}\n"
#define ENCODED(first, second) "{\"version\":1,\"features\":[" first "," second "]}"
#define ENCODED_NUMBER "{\"mean\":1,\"deviation\":2,\"missing\":true,\"knots\":[1,5]}"

static void encoders_that_do_not_fit_are_refused(void **state)
{
    (void)state;
    static const char good[] = ENCODED(ENCODED_NUMBER, "{\"categories\":3}");
    struct made made;
    make(&made);
    expect_refused(&made, HEAD NUMBER COLOUR, ENCODED(ENCODED_NUMBER, "{\"categories\":2}"),
                   "encoder: it gives 5 inputs, the network takes 6");
    expect_refused(&made, HEAD NUMBER COLOUR, "{\"version\":1,\"features\":[{\"categories\":6}]}",
                   "encoder: 1 features, 2 in the schema");
    expect_refused(&made, HEAD NUMBER COLOUR,
                   ENCODED(ENCODED_NUMBER, "{\"categories\":3,\"odd\":1}"),
                   "encoder: an encoder's feature has no 'odd'");
    expect_refused(&made, HEAD NUMBER COLOUR, "{\"version\":1,", "encoder: ");
    expect_refused(&made, HEAD NUMBER COLOUR, "", "e.json is empty");
    expect_refused(&made, HEAD NUMBER "  - {name: colour}\n", good,
                   "feature 'colour': numeric in the schema, categorical for the encoder");
    expect_refused(&made, HEAD NUMBER "  - {name: c, type: categorical, categories: [a, b]}\n",
                   good, "feature 'c': 2 categories, 3 for the encoder");
    expect_refused(&made,
                   HEAD NUMBER "  - {name: c, type: categorical, categories_hashed: true,"
                               " categories: ['1', '2', '3']}\n",
                   good, "feature 'c': an encoder takes no hashes");
    expect_refused(&made,
                   "encoder: a/e.json\nmodel: model.tflite\ntask: binary\nfeatures:\n" NUMBER, good,
                   "line 1: encoder: expected the name of a file without a folder");
    expect_refused(&made, "encoder: f.json\nmodel: model.tflite\ntask: binary\nfeatures:\n" NUMBER,
                   good, "f.json: not in the zip");
    expect_refused(&made, HEAD NUMBER, "[]", "encoder: ");
    unmake(&made);
}

static void only_a_network_takes_an_encoder(void **state)
{
    (void)state;
    struct ig_err err = IG_ERR_INIT;
    struct ig_arena arena;
    struct ig_model *model = ig_model_new(1 << 12);
    ig_arena_init(&arena, 1024, 1 << 16);
    assert_non_null(model);
    assert_int_equal(pkg_encoder_attach(model, &schema, IG_STR("{}"), &arena, &err), IG_INVALID);
    assert_non_null(strstr(err.message, "encoder: the model is no network"));
    ig_model_free(model);
    ig_arena_deinit(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rows_of_the_table_go_in),
        cmocka_unit_test(encoders_that_do_not_fit_are_refused),
        cmocka_unit_test(only_a_network_takes_an_encoder),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
