/* SPDX-License-Identifier: Apache-2.0 */
/* Networks written and read again. Whether LiteRT and TensorFlow Lite Micro take the files, the
 * interop suite tries. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "formats/tflite/tflite.h"
#include "formats/tflite/tflite_testing.h"

#include <string.h>

static void same_tensor(const struct ig_network_tensor *a, const struct ig_network_tensor *b)
{
    const struct ig_network_quantization *p = &a->quantization, *q = &b->quantization;
    assert_true(ig_str_eq(a->name, b->name));
    assert_int_equal(a->type, b->type);
    assert_int_equal(a->rank, b->rank);
    assert_memory_equal(a->dims, b->dims, sizeof a->dims);
    assert_int_equal(!a->data, !b->data);
    if (a->data) assert_memory_equal(a->data, b->data, ig_network_tensor_bytes(a));
    assert_int_equal(p->count, q->count);
    if (!p->count) return;
    assert_int_equal(p->dimension, q->dimension);
    assert_memory_equal(p->scales, q->scales, p->count * sizeof *p->scales);
    assert_memory_equal(p->zero_points, q->zero_points, p->count * sizeof *p->zero_points);
}

static void same_layer(const struct ig_network *one, const struct ig_network *other, uint32_t index)
{
    const struct ig_network_layer *a = &one->layers[index], *b = &other->layers[index];
    assert_int_equal(a->op, b->op);
    assert_int_equal(a->activation, b->activation);
    assert_memory_equal(&a->window, &b->window, sizeof a->window);
    assert_memory_equal(a->pads, b->pads, sizeof a->pads);
    assert_int_equal(a->axis, b->axis);
    assert_int_equal(a->axes, b->axes);
    assert_int_equal(a->keep_dims, b->keep_dims);
    assert_true(a->beta == b->beta);
    for (uint32_t i = 0; i < a->inputs_count; i++)
        if (ig_network_input(one, a, i))
            same_tensor(ig_network_input(one, a, i), ig_network_input(other, b, i));
    same_tensor(&one->tensors[a->output], &other->tensors[b->output]);
}

static struct ig_network *read(struct ig_str bytes)
{
    struct ig_err err = IG_ERR_INIT;
    struct ig_network *network;
    if (ig_tflite_network(&network, bytes, &err) != IG_OK) fail_msg("%s", err.message);
    return network;
}

static void write_to(struct ig_buf *out, const struct ig_network *network)
{
    struct ig_err err = IG_ERR_INIT;
    ig_buf_init(out, 1 << 20);
    if (ig_tflite_write(out, network, &err) != IG_OK) fail_msg("%s", err.message);
}

static void reads_what_it_wrote(void **state)
{
    (void)state;
    static const char *const names[] = {
        "add_constant_int8",   "average_pool_int8", "cnn_int8",
        "concatenation_float", "conv_int8",         "depthwise_spread_int8",
        "float_border",        "half_weights",      "fully_connected_keep_float",
        "mean_keep_int8",      "pad_int8",          "mul_broadcast_float",
        "softmax_rows_int8",
    };
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        struct ig_str bytes = tflite_sample(names[i]);
        struct ig_network *network = read(bytes);
        struct ig_buf out;
        network->rounding = i % 2 ? IG_NETWORK_ROUNDING_DOUBLE : IG_NETWORK_ROUNDING_SINGLE;
        write_to(&out, network);
        struct ig_network *again = read(ig_buf_view(&out));
        assert_int_equal(again->rounding, network->rounding);
        assert_int_equal(again->layers_count, network->layers_count);
        assert_int_equal(again->inputs_count, network->inputs_count);
        assert_int_equal(again->outputs_count, network->outputs_count);
        assert_true(ig_str_eq(again->description, network->description));
        for (uint32_t k = 0; k < network->layers_count; k++) same_layer(network, again, k);
        ig_network_free(again);
        ig_network_free(network);
        ig_buf_deinit(&out);
        tflite_sample_free(bytes);
    }
}

/* LiteRT refuses a convolution that has none. */
static void gives_convolutions_a_bias(void **state)
{
    (void)state;
    struct ig_str bytes = tflite_sample("conv_int8");
    struct ig_network *network = read(bytes);
    struct ig_buf out;
    network->layers[0].inputs_count = 2;
    write_to(&out, network);
    struct ig_network *again = read(ig_buf_view(&out));
    const struct ig_network_tensor *bias = ig_network_input(again, &again->layers[0], 2);
    assert_non_null(bias);
    assert_int_equal(bias->type, IG_NETWORK_I32);
    assert_int_equal(bias->quantization.count,
                     ig_network_input(again, &again->layers[0], 1)->quantization.count);
    for (uint32_t i = 0; i < bias->dims[0]; i++)
        assert_int_equal(((const int32_t *)bias->data)[i], 0);
    ig_network_free(again);
    ig_network_free(network);
    ig_buf_deinit(&out);
    tflite_sample_free(bytes);
}

static void says_when_memory_is_out(void **state)
{
    (void)state;
    struct ig_err err = IG_ERR_INIT;
    struct ig_str bytes = tflite_sample("cnn_int8");
    struct ig_network *network = read(bytes);
    struct ig_buf out;
    ig_buf_init(&out, 1000);
    assert_int_equal(ig_tflite_write(&out, network, &err), IG_NO_MEMORY);
    ig_buf_deinit(&out);
    for (uint64_t n = 1; n < 100; n++) {
        ig_err_clear(&err);
        ig_buf_init(&out, 1 << 20);
        ig_mem_fail_after(n);
        enum ig_code code = ig_tflite_write(&out, network, &err);
        bool failed = ig_mem_failed();
        ig_mem_fail_after(0);
        assert_int_equal(code, failed ? IG_NO_MEMORY : IG_OK);
        ig_buf_deinit(&out);
        if (!failed) break;
    }
    ig_network_free(network);
    tflite_sample_free(bytes);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_what_it_wrote),
        cmocka_unit_test(gives_convolutions_a_bias),
        cmocka_unit_test(says_when_memory_is_out),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
