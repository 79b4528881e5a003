/* SPDX-License-Identifier: Apache-2.0 */
/* The C file: compiled by the strictest words of the compiler it stands alone, and answers as the
 * compact file's model, bit for bit. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "formats/edge/edge_c_testing.h"
#include "formats/edge/edge_testing.h"
#include "kernels/tree/tree_predict_walk.h"

#include <math.h>
#include <string.h>

enum { ROWS = 40 };

static double margin_at(enum ig_compact_leaf leaf, const void *margins, uint32_t output,
                        int32_t exponent)
{
    if (leaf == IG_COMPACT_FLOAT32) return (double)((const float *)margins)[output];
    if (leaf == IG_COMPACT_FLOAT64) return ((const double *)margins)[output];
    return ldexp(((const int32_t *)margins)[output], exponent);
}

static int32_t class_of(const struct ig_model *model, const double *margins)
{
    int32_t best = 0;
    double least = model->transform == IG_TRANSFORM_PROBABILITY ? 0.5 : 0;
    if (model->outputs_count == 1) return margins[0] > least;
    for (uint32_t o = 1; o < model->outputs_count; o++)
        if (margins[o] > margins[best]) best = (int32_t)o;
    return best;
}

static void check_rows(void *library, const struct ig_model *model, const struct ig_model *read,
                       const struct ig_tree_compact *compact)
{
    void (*run)(const float *, void *);
    int32_t (*class_index)(const float *);
    *(void **)&run = ig_c_testing_symbol(library, "model_margins");
    *(void **)&class_index = ig_c_testing_symbol(library, "model_class");
    uint32_t features = model->features_count;
    double *rows = ig_zalloc_array((size_t)ROWS * features, sizeof *rows);
    float *input = ig_zalloc_array(features, sizeof *input);
    ig_testing_rows(model, 9, ROWS, rows);
    for (size_t i = 0; i < ROWS; i++) {
        double *row = rows + i * features, margins[16], expected[16];
        for (uint32_t f = 0; f < features; f++) {
            input[f] = (float)row[f];
            row[f] = (double)input[f];
        }
        run(input, margins);
        ig_tree_walk_margin(read, row, expected);
        for (uint32_t o = 0; o < model->outputs_count; o++) {
            double computed = margin_at(compact->leaf, margins, o, compact->scale_exponent);
            double told = read->inputs_f32 ? (double)(float)expected[o] : expected[o];
            if (computed != told) fail_msg("row %zu: %.17g, expected %.17g", i, computed, told);
        }
        assert_int_equal(class_index(input), class_of(read, expected));
    }
    ig_free(rows);
    ig_free(input);
}

static void check_model(const struct ig_model *model, enum ig_compact_want want, unsigned number)
{
    struct ig_err err = IG_ERR_INIT;
    struct ig_tree_compact *compact = NULL;
    struct ig_buf buf, file;
    char name[32];
    double bounds[16];
    struct ig_model *read = ig_edge_testing_file(&file, model, want, bounds);
    ig_buf_init(&buf, 1 << 26);
    assert_int_equal(ig_tree_compact_new(&compact, model, want, &err), IG_OK);
    if (ig_edge_write_c(&buf, compact, IG_STR("model"), &err) != IG_OK) fail_msg("%s", err.message);
    bool floats = strstr(buf.ptr, "double") || strstr(buf.ptr, "float f = ");
    if (ig_compact_is_integer(compact->leaf)) assert_false(floats);
    snprintf(name, sizeof name, "model%u", number);
    void *handle = ig_c_testing_load(ig_buf_view(&buf), name);
    check_rows(handle, model, read, compact);
    dlclose(handle);
    ig_tree_compact_free(compact);
    ig_model_free(read);
    ig_buf_deinit(&buf);
    ig_buf_deinit(&file);
}

/* Each kind of leaf on each kind of model: all of them with INGOT_LONG=1, else a walk through both.
 */
static void test_c_files(void **state)
{
    (void)state;
    bool all = getenv("INGOT_LONG");
    unsigned number = 0;
    for (size_t i = 0; i < IG_EDGE_SHAPES_COUNT; i++) {
        struct ig_model *model = ig_testing_model(&IG_EDGE_SHAPES[i], 40 + i);
        for (int want = 0; want <= IG_COMPACT_WANT_INT8; want++, number++)
            if (all || want == (int)((i + i / 4) % 4))
                check_model(model, (enum ig_compact_want)want, number);
        ig_model_free(model);
    }
}

/* Trees that are leaves alone, and none at all. */
static void test_small_models(void **state)
{
    (void)state;
    struct ig_testing_shape shape = IG_EDGE_SHAPES[2];
    for (int i = 0; i < 2; i++) {
        shape.leaf_percent = 100;
        shape.trees = i ? 0 : 4;
        struct ig_model *model = ig_testing_model(&shape, 3);
        check_model(model, i ? IG_COMPACT_WANT_EXACT : IG_COMPACT_WANT_INT8, 100U + (unsigned)i);
        ig_model_free(model);
    }
}

static void test_names(void **state)
{
    (void)state;
    static const char *const BAD[] = {"", "1a", "a-b", "a b", "a;"};
    struct ig_model *model = ig_testing_model(&IG_EDGE_SHAPES[6], 1);
    struct ig_err none = IG_ERR_INIT;
    struct ig_tree_compact *compact = NULL;
    struct ig_buf buf;
    ig_buf_init(&buf, 1 << 20);
    assert_int_equal(ig_tree_compact_new(&compact, model, IG_COMPACT_WANT_EXACT, &none), IG_OK);
    for (size_t i = 0; i < sizeof BAD / sizeof *BAD; i++) {
        struct ig_err err = IG_ERR_INIT;
        assert_int_equal(ig_edge_write_c(&buf, compact, ig_str_view(BAD[i]), &err), IG_INVALID);
    }
    assert_int_equal(buf.len, 0);
    ig_tree_compact_free(compact);
    ig_model_free(model);
    ig_buf_deinit(&buf);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_c_files),
        cmocka_unit_test(test_small_models),
        cmocka_unit_test(test_names),
    };
    return cmocka_run_group_tests(tests, ig_c_testing_setup, ig_c_testing_teardown);
}
