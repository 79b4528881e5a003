/* SPDX-License-Identifier: Apache-2.0 */
/* The device runtime against the server's own engine: random trees of every kind, and the shared
 * models where they are; and what it says to broken files and small arenas. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/file.h"
#include "formats/edge/edge_testing.h"
#include "formats/package.h"
#include "formats/rows.h"
#include "kernels/tree/tree_predict_walk.h"

#include "base/random.h"

#include "ingot_edge.h"
#include "ingot_edge_file.h"

#include <dirent.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { ROWS = 60 };

struct device {
    struct ig_buf file;
    struct ige_model model;
    struct ige_interpreter interpreter;
    void *arena; /* not a byte more than it asks for */
};

static void start(struct device *device)
{
    enum ige_status status = ige_load(&device->model, device->file.ptr, device->file.len);
    assert_int_equal(status, IGE_OK);
    size_t bytes = ige_arena_bytes(&device->model);
    device->arena = ig_alloc_aligned(8, bytes);
    assert_non_null(device->arena);
    assert_int_equal(
        ige_allocate_tensors(&device->interpreter, &device->model, device->arena, bytes - 1),
        IGE_ARENA_TOO_SMALL);
    assert_int_equal(
        ige_allocate_tensors(&device->interpreter, &device->model, device->arena, bytes), IGE_OK);
}

static void stop(struct device *device)
{
    ig_free(device->arena);
    ig_buf_deinit(&device->file);
}

static double output_of(const struct device *device, uint32_t output)
{
    const struct ige_tensor *tensor = ige_output(&device->interpreter);
    assert_true(output < tensor->count);
    if (tensor->type == IGE_FLOAT32) return (double)tensor->data.f32[output];
    if (tensor->type == IGE_FLOAT64) return tensor->data.f64[output];
    return ldexp(tensor->data.i32[output], tensor->exponent);
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

/* Runs one row and compares with `read`, the file's model, bit for bit. */
static void check_row(struct device *device, const struct ig_model *read, const double *row)
{
    double *floats = ig_zalloc_array(read->features_count, sizeof *floats);
    double margins[16];
    float *input = ige_input(&device->interpreter)->data.f32;
    for (uint32_t f = 0; f < read->features_count; f++) {
        input[f] = (float)row[f];
        floats[f] = (double)input[f];
    }
    ige_invoke(&device->interpreter);
    ig_tree_walk_margin(read, floats, margins);
    for (uint32_t o = 0; o < read->outputs_count; o++) {
        double computed = output_of(device, o);
        double expected = read->inputs_f32 ? (double)(float)margins[o] : margins[o];
        if (computed != expected)
            fail_msg("output %u: %.17g, expected %.17g", o, computed, expected);
        if ((float)computed != ige_margin(&device->interpreter, o))
            fail_msg("margin of output %u", o);
    }
    assert_int_equal(ige_class(&device->interpreter), class_of(read, margins));
    ig_free(floats);
}

static void check_shape(const struct ig_testing_shape *shape, uint64_t seed,
                        enum ig_compact_want want)
{
    struct device device = {0};
    double bounds[16];
    struct ig_model *model = ig_testing_model(shape, seed);
    struct ig_model *read = ig_edge_testing_file(&device.file, model, want, bounds);
    double *rows = ig_zalloc_array((size_t)ROWS * model->features_count, sizeof *rows);
    start(&device);
    ig_testing_rows(model, seed + 1, ROWS, rows);
    for (size_t i = 0; i < ROWS; i++) check_row(&device, read, rows + i * model->features_count);
    stop(&device);
    ig_free(rows);
    ig_model_free(read);
    ig_model_free(model);
}

static void test_random_trees(void **state)
{
    (void)state;
    for (size_t i = 0; i < IG_EDGE_SHAPES_COUNT; i++)
        for (int want = 0; want <= IG_COMPACT_WANT_INT8; want++)
            for (uint64_t seed = 1; seed <= 3; seed++)
                check_shape(&IG_EDGE_SHAPES[i], seed * 100 + i, (enum ig_compact_want)want);
}

/* ---- shared models ---- */

static bool read_shared(struct ig_buf *buf, const char *name)
{
    char path[1024];
    struct ig_err err = IG_ERR_INIT;
    const char *folder = getenv("INGOT_SHARED_DIR"), *source = getenv("INGOT_SOURCE_DIR");
    if (folder)
        snprintf(path, sizeof path, "%s/models/%s", folder, name);
    else
        snprintf(path, sizeof path, "%s/../shared/models/%s", source ? source : ".", name);
    ig_buf_init(buf, 1 << 26);
    return ig_file_read(buf, IG_FILE_CWD, path, &err) == IG_OK;
}

static const struct {
    const char *name;
    double bytes_a_node; /* at most, of the file with int16 leaves */
} SHARED[] = {
    {"xgboost/adult_binary.json", 3},
    {"xgboost/california_reg.json", 4},
    {"xgboost/kserve_iris.json", 6},
    {"xgboost/agaricus_binary.json", 5},
    {"lightgbm/multiclass5.txt", 5},
    {"lightgbm/breast_cancer_binary.txt", 5},
    {"lightgbm/iris_rf.txt", 6},
    {"lightgbm/mtpl_poisson.txt", 9},
    {"lightgbm/nyc_taxi_fare.txt", 4},
    {"lightgbm/airline_delay_categorical.txt", 17},
    {"lightgbm/mtpl2_small_categorical.txt", 9},
};

/* Exact leaves: the margin's bits are the model's; int16: within the bound. Rows are random ones
 * and ones on thresholds. */
static void check_shared(const struct ig_model *model, const char *name, double most)
{
    static const char *const WANTS[] = {"exact", "float32", "int16", "int8"};
    enum { MORE_ROWS = 300 };
    double *rows = ig_zalloc_array((size_t)MORE_ROWS * model->features_count, sizeof *rows);
    ig_testing_rows(model, 77, MORE_ROWS, rows);
    for (size_t i = 0; i < (size_t)MORE_ROWS * model->features_count; i++)
        rows[i] = (double)(float)rows[i];
    for (int want = 0; want < 4; want++) {
        struct device device = {0};
        double bounds[16], margins[16], worst = 0;
        unsigned same = 0;
        struct ig_model *read =
            ig_edge_testing_file(&device.file, model, (enum ig_compact_want)want, bounds);
        start(&device);
        for (size_t i = 0; i < MORE_ROWS; i++) {
            const double *row = rows + i * model->features_count;
            check_row(&device, read, row);
            ig_tree_walk_margin(model, row, margins);
            for (uint32_t o = 0; o < model->outputs_count; o++) {
                double error = fabs(output_of(&device, o) - margins[o]);
                if (error > bounds[o] + (want ? 2e-5 * (1 + fabs(margins[o])) : 0))
                    fail_msg("%s: off by %g, at most %g", name, error, bounds[o]);
                worst = fmax(worst, error);
            }
            same += ige_class(&device.interpreter) == class_of(model, margins);
        }
        double each = (double)device.file.len / model->nodes_count;
        printf("%-40s %-7s %7zu bytes, %5.2f a node, arena %zu, error %.2g, class %u of %d\n", name,
               WANTS[want], device.file.len, each, ige_arena_bytes(&device.model), worst, same,
               MORE_ROWS);
        if (want == IG_COMPACT_WANT_INT16 && each > most) fail_msg("%s: %g a node", name, each);
        stop(&device);
        ig_model_free(read);
    }
    ig_free(rows);
}

static void test_shared_models(void **state)
{
    (void)state;
    unsigned found = 0;
    for (size_t i = 0; i < sizeof SHARED / sizeof *SHARED; i++) {
        struct ig_err err = IG_ERR_INIT;
        struct ig_model *model = NULL;
        struct ig_buf buf;
        if (read_shared(&buf, SHARED[i].name)) {
            if (ig_format_load(&model, ig_buf_view(&buf), NULL, &err) != IG_OK)
                fail_msg("%s", err.message);
            check_shared(model, SHARED[i].name, SHARED[i].bytes_a_node);
            ig_model_free(model);
            found++;
        }
        ig_buf_deinit(&buf);
    }
    if (!found) skip();
}

/* ---- golden models ---- */

/* Whether the model is of a kind that devices run; runs its rows, as floats, and `read` beside it,
 * whose leaves are exact, so that every margin is the model's own. */
static bool check_golden(const struct ig_package *package, const char *rows_file)
{
    struct ig_err err = IG_ERR_INIT;
    struct device device = {0};
    struct ig_rows *rows = NULL;
    const struct ig_model *model = package->model;
    double bounds[16], margins[16];
    size_t count = 1;
    struct ig_buf text;
    const struct ig_rows_options options = {.no_header = true};
    if (model->kind != IG_MODEL_TREES || model->linear_leaves) return false;
    struct ig_model *read =
        ig_edge_testing_file(&device.file, model, IG_COMPACT_WANT_EXACT, bounds);
    double *row = ig_zalloc_array(model->features_count, sizeof *row);
    start(&device);
    ig_buf_init(&text, 1 << 26);
    if (ig_file_read(&text, IG_FILE_CWD, rows_file, &err) != IG_OK) fail_msg("%s", err.message);
    struct ig_str body = ig_buf_view(&text);
    ig_str_cut(&body, '\n'); /* its names are not always the model's */
    if (ig_rows_open_bytes(&rows, body, &package->schema, &options, &err) != IG_OK)
        fail_msg("%s: %s", rows_file, err.message);
    while (count) {
        if (ig_rows_next(rows, row, 1, &count, &err) != IG_OK) fail_msg("%s", err.message);
        if (!count) break;
        for (uint32_t f = 0; f < model->features_count; f++) row[f] = (double)(float)row[f];
        check_row(&device, read, row);
        ig_tree_walk_margin(model, row, margins);
        for (uint32_t o = 0; o < model->outputs_count; o++)
            if (output_of(&device, o) != margins[o] &&
                output_of(&device, o) != (double)(float)margins[o])
                fail_msg("%s: %.17g, expected %.17g", rows_file, output_of(&device, o), margins[o]);
    }
    ig_rows_close(rows);
    ig_buf_deinit(&text);
    stop(&device);
    ig_free(row);
    ig_model_free(read);
    return true;
}

static unsigned check_golden_folder(const char *library, const char *file)
{
    char path[512], rows[512];
    unsigned found = 0;
    snprintf(path, sizeof path, "tests/golden/%s", library);
    DIR *folder = opendir(path);
    assert_non_null(folder);
    for (struct dirent *entry; (entry = readdir(folder));) {
        struct ig_err err = IG_ERR_INIT;
        struct ig_package *package = NULL;
        if (entry->d_name[0] == '.') continue;
        snprintf(path, sizeof path, "tests/golden/%s/%s/%s", library, entry->d_name, file);
        snprintf(rows, sizeof rows, "tests/golden/%s/%s/input.csv", library, entry->d_name);
        if (ig_package_open(&package, IG_FILE_CWD, path, NULL, &err) == IG_OK)
            found += check_golden(package, rows);
        ig_package_free(package);
    }
    closedir(folder);
    return found;
}

static void test_golden_models(void **state)
{
    (void)state;
    assert_true(check_golden_folder("xgboost", "model.json") > 30);
    assert_true(check_golden_folder("lightgbm", "model.txt") > 40);
    assert_true(check_golden_folder("catboost", "model.json") > 10);
    assert_true(check_golden_folder("pmml", "model.pmml") > 10);
}

/* ---- numbers on grids ---- */

static float float_of(uint32_t bits)
{
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

/* Of decimals the float nearest to number / power is reached, of their halves number / power is
 * passed; a float times a power is an exact double. */
static bool is_reached(int32_t number, uint32_t grid, float value)
{
    static const float POWERS[] = {1, 1e1F, 1e2F, 1e3F, 1e4F, 1e5F, 1e6F, 1e7F};
    float power = POWERS[(grid - 1) % IGE_DECIMALS];
    return grid > IGE_DECIMALS ? (double)value * 2 * (double)power > number
                               : (float)number / power <= value;
}

/* The key's own threshold is reached, the next one is not; as far as there are such. */
static void check_grid_key(uint32_t bits, uint32_t grid)
{
    enum { END = 1 << 24 };
    float value = float_of(bits);
    if (isnan(value)) return;
    int32_t key = ige_grid_key(bits, grid);
    int32_t own = key < END ? key : END - 1, next = key < -END ? 1 - END : key + 1;
    bool reached = own <= -END || is_reached(own, grid, value);
    bool passed = next < END && is_reached(next, grid, value);
    if (!reached || passed) fail_msg("%a on grid %u: %d", (double)value, grid, key);
}

/* Floats of all sizes, and those around points of the grid. */
static void test_grid_keys(void **state)
{
    (void)state;
    enum { STEP = 999983, POINTS = 4000 };
    struct ig_rng random;
    ig_rng_seed(&random, 5);
    for (uint32_t grid = 1; grid <= IGE_GRIDS; grid++) {
        for (uint64_t bits = 0; bits <= UINT32_MAX; bits += STEP)
            check_grid_key((uint32_t)bits, grid);
        for (int i = 0; i < POINTS; i++) {
            double power = pow(10, (grid - 1) % IGE_DECIMALS) * (grid > IGE_DECIMALS ? 2 : 1);
            uint32_t number = (uint32_t)ig_rng_below(&random, 1U << (1 + i % 24)), bits;
            float point = (float)(number / power);
            memcpy(&bits, &point, sizeof bits);
            for (uint32_t near = 0; near < 3; near++) {
                check_grid_key(bits + near - (bits > 0), grid);
                check_grid_key((bits + near - (bits > 0)) | 0x80000000U, grid);
            }
        }
    }
}

/* ---- what is refused ---- */

static void test_refusals(void **state)
{
    (void)state;
    struct device device = {0};
    double bounds[16];
    struct ig_model *model = ig_testing_model(&IG_EDGE_SHAPES[2], 5);
    struct ig_model *read = ig_edge_testing_file(&device.file, model, IG_COMPACT_WANT_INT8, bounds);
    char *bytes = device.file.ptr;
    size_t size = device.file.len;
    assert_int_equal(ige_load(&device.model, bytes, 3), IGE_BAD_FILE);
    assert_int_equal(ige_load(&device.model, bytes, size - 1), IGE_BAD_FILE);
    bytes[size - 5] ^= 4;
    assert_int_equal(ige_load(&device.model, bytes, size), IGE_BAD_CRC);
    bytes[size - 5] ^= 4;
    bytes[4] = 9;
    assert_int_equal(ige_load(&device.model, bytes, size), IGE_UNSUPPORTED);
    bytes[4] = 1;
    bytes[0] = 'X';
    assert_int_equal(ige_load(&device.model, bytes, size), IGE_BAD_FILE);
    bytes[0] = 'I';
    start(&device);
    assert_int_equal(
        ige_allocate_tensors(&device.interpreter, &device.model, (char *)device.arena + 4, 1 << 20),
        IGE_ARENA_TOO_SMALL);
    stop(&device);
    ig_model_free(read);
    ig_model_free(model);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_random_trees),  cmocka_unit_test(test_shared_models),
        cmocka_unit_test(test_golden_models), cmocka_unit_test(test_grid_keys),
        cmocka_unit_test(test_refusals),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
