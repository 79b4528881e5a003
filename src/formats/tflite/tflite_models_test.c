/* SPDX-License-Identifier: Apache-2.0 */
/* The MLPerf Tiny reference models from the shared folder (INGOT_SHARED_DIR, or ../shared), with
 * the answers of TensorFlow Lite that came with them. Skipped where the folder is absent. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/file.h"
#include "base/mem.h"
#include "formats/tflite/tflite.h"
#include "kernels/nn/nn.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct sample {
    const char *name;
    double tolerance; /* of outputs; 0: every code the same */
    size_t arena_bytes_max, rows_min;
};

/* kws_float32 has int8 weights under float inputs: TensorFlow Lite rounds the inputs as well, here
 * they stay as they are. The shares are 0.0056 apart between TensorFlow Lite's own two ways. */
static const struct sample samples[] = {
    {"ad01_int8", 0, 900, 8},        {"kws_int8", 0, 16500, 8},
    {"vww_96_int8", 0, 65000, 3},    {"streaming_wakeword_int8", 0, 7000, 8},
    {"ad01_float32", 1e-4, 4000, 4}, {"kws_float32", 0.008, 66000, 4},
};

static const char *shared_file(const char *name, const char *ending)
{
    static char path[1024];
    const char *folder = getenv("INGOT_SHARED_DIR"), *source = getenv("INGOT_SOURCE_DIR");
    char shared[512];
    snprintf(shared, sizeof shared, "%s/../shared", source ? source : ".");
    snprintf(path, sizeof path, "%s/models/tflite/%s%s", folder ? folder : shared, name, ending);
    return path;
}

static bool read_file(struct ig_buf *buf, const char *name, const char *ending)
{
    struct ig_err err = IG_ERR_INIT;
    ig_buf_init(buf, 1 << 24);
    return ig_file_read(buf, IG_FILE_CWD, shared_file(name, ending), &err) == IG_OK;
}

/* The next row of a CSV file as the tensor's elements; false at the end. */
static bool next_row(struct ig_str *text, const struct ig_network_tensor *tensor, void *to)
{
    struct ig_str line = ig_str_trim(ig_str_cut(text, '\n'));
    size_t count = ig_network_tensor_count(tensor);
    if (!line.len) return false;
    for (size_t i = 0; i < count; i++) {
        double value = NAN;
        assert_true(ig_str_to_f64(ig_str_trim(ig_str_cut(&line, ',')), &value));
        if (tensor->type == IG_NETWORK_I8)
            ((int8_t *)to)[i] = (int8_t)value;
        else
            ((float *)to)[i] = (float)value;
    }
    return true;
}

static void compare(const struct sample *sample, const struct ig_network_tensor *out,
                    const void *computed, const void *expected)
{
    for (size_t i = 0; i < ig_network_tensor_count(out); i++) {
        bool i8 = out->type == IG_NETWORK_I8;
        double a = i8 ? ((const int8_t *)computed)[i] : (double)((const float *)computed)[i];
        double b = i8 ? ((const int8_t *)expected)[i] : (double)((const float *)expected)[i];
        if (fabs(a - b) > sample->tolerance)
            fail_msg("%s: value %zu is %g, expected %g", sample->name, i, a, b);
    }
}

static void run_sample(const struct sample *sample, const struct ig_network *network)
{
    struct ig_err err = IG_ERR_INIT;
    const struct ig_network_tensor *in = &network->tensors[network->inputs[0]];
    const struct ig_network_tensor *out = &network->tensors[network->outputs[0]];
    struct ig_nn *nn;
    const struct ig_nn_options options = {.isa = ig_cpu_isa()};
    struct ig_buf inputs, outputs;
    if (ig_nn_new(&nn, network, &options, &err) != IG_OK) fail_msg("%s", err.message);
    assert_true(ig_nn_arena_bytes(nn) <= sample->arena_bytes_max);
    assert_true(read_file(&inputs, sample->name, ".inputs.csv"));
    assert_true(read_file(&outputs, sample->name, ".outputs.csv"));
    struct ig_str input = ig_buf_view(&inputs), output = ig_buf_view(&outputs);
    void *x = ig_alloc(ig_network_tensor_bytes(in)), *y = ig_alloc(ig_network_tensor_bytes(out));
    void *expected = ig_alloc(ig_network_tensor_bytes(out));
    void *scratch = ig_alloc_aligned(64, ig_nn_scratch_bytes(nn));
    size_t rows = 0;
    for (; next_row(&input, in, x) && next_row(&output, out, expected); rows++) {
        ig_nn_run(nn, (const void *[]){x}, (void *[]){y}, scratch);
        compare(sample, out, y, expected);
    }
    assert_true(rows >= sample->rows_min);
    ig_free(x);
    ig_free(y);
    ig_free(expected);
    ig_free(scratch);
    ig_buf_deinit(&inputs);
    ig_buf_deinit(&outputs);
    ig_nn_free(nn);
}

static void answers_as_tensorflow_lite(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof samples / sizeof *samples; i++) {
        struct ig_err err = IG_ERR_INIT;
        struct ig_network *network;
        struct ig_buf bytes;
        bool found = read_file(&bytes, samples[i].name, ".tflite");
        if (found) {
            if (ig_tflite_network(&network, ig_buf_view(&bytes), &err) != IG_OK)
                fail_msg("%s: %s", samples[i].name, err.message);
            run_sample(&samples[i], network);
            ig_network_free(network);
        }
        ig_buf_deinit(&bytes);
        if (!found) skip();
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(answers_as_tensorflow_lite)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
