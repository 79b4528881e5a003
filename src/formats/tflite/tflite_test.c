/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "formats/tflite/tflite.h"
#include "formats/tflite/tflite_testing.h"

#include <string.h>

static struct ig_str sample(const char *name)
{
    struct ig_str bytes = tflite_sample(name);
    if (!bytes.len) fail_msg("no sample %s", name);
    return bytes;
}

static void reads_a_network(void **state)
{
    (void)state;
    struct ig_err err = IG_ERR_INIT;
    struct ig_str bytes = sample("cnn_int8");
    struct ig_network *network;
    if (ig_tflite_network(&network, bytes, &err) != IG_OK) fail_msg("%s", err.message);
    static const enum ig_network_op ops[] = {
        IG_NETWORK_CONV_2D,         IG_NETWORK_DEPTHWISE_CONV_2D,
        IG_NETWORK_CONV_2D,         IG_NETWORK_ADD,
        IG_NETWORK_AVERAGE_POOL_2D, IG_NETWORK_RESHAPE,
        IG_NETWORK_FULLY_CONNECTED, IG_NETWORK_SOFTMAX,
    };
    assert_int_equal(network->layers_count, sizeof ops / sizeof *ops);
    for (uint32_t i = 0; i < network->layers_count; i++)
        assert_int_equal(network->layers[i].op, ops[i]);
    const struct ig_network_layer *conv = &network->layers[0];
    const struct ig_network_tensor *weights = ig_network_input(network, conv, 1);
    assert_int_equal(conv->activation, IG_NETWORK_ACTIVATION_RELU);
    assert_int_equal(conv->window.padding, IG_NETWORK_PADDING_SAME);
    assert_int_equal(conv->window.stride_h, 2);
    assert_int_equal(conv->window.dilation_w, 1);
    assert_int_equal(weights->quantization.count, 8);
    assert_true(network->layers[7].beta == 1.0F);
    assert_int_equal(network->layers[5].inputs_count, 1); /* the shape is the output's */
    assert_true(ig_str_is(network->description, "ingot golden"));
    assert_int_equal(network->rounding, IG_NETWORK_ROUNDING_SINGLE);
    const char *data = weights->data;
    assert_true(data >= bytes.ptr && data < bytes.ptr + bytes.len); /* not copied */
    ig_network_free(network);
    tflite_sample_free(bytes);
}

/* Constants that are not aligned for their type are copied. */
static void reads_at_any_address(void **state)
{
    (void)state;
    struct ig_err err = IG_ERR_INIT;
    struct ig_str bytes = sample("cnn_int8");
    char *moved = ig_alloc(bytes.len + 1);
    memcpy(moved + 1, bytes.ptr, bytes.len);
    struct ig_network *network, *straight;
    assert_int_equal(ig_tflite_network(&straight, bytes, &err), IG_OK);
    assert_int_equal(ig_tflite_network(&network, (struct ig_str){moved + 1, bytes.len}, &err),
                     IG_OK);
    for (uint32_t i = 0; i < network->tensors_count; i++) {
        const struct ig_network_tensor *a = &network->tensors[i], *b = &straight->tensors[i];
        assert_int_equal((uintptr_t)a->data % ig_network_type_bytes(a->type), 0);
        if (b->data) assert_memory_equal(a->data, b->data, ig_network_tensor_bytes(b));
    }
    ig_network_free(network);
    ig_network_free(straight);
    ig_free(moved);
    tflite_sample_free(bytes);
}

static size_t find(struct ig_str bytes, const void *what, size_t size)
{
    for (size_t i = 0; i + size <= bytes.len; i++)
        if (memcmp(bytes.ptr + i, what, size) == 0) return i;
    fail_msg("not found");
    return 0;
}

/* The sample with `size` bytes replaced where `from` stands, and the error that follows. */
static void refuse(const char *name, const char *from, const char *to, size_t size,
                   const char *message)
{
    struct ig_err err = IG_ERR_INIT;
    struct ig_str bytes = sample(name);
    struct ig_network *network = NULL;
    memcpy((char *)(uintptr_t)bytes.ptr + find(bytes, from, size), to, size);
    assert_int_not_equal(ig_tflite_network(&network, bytes, &err), IG_OK);
    assert_null(network);
    if (!strstr(err.message, message)) fail_msg("'%s', expected '%s'", err.message, message);
    tflite_sample_free(bytes);
}

static void names_what_it_refuses(void **state)
{
    (void)state;
    refuse("pad_int8", "TFL3", "TFL2", 4, "identifier");
    /* An operator's code as an int, its version, three bytes, and its code as a byte. */
    refuse("pad_int8", "\42\0\0\0\2\0\0\0\0\0\0\42", "\43\0\0\0\2\0\0\0\0\0\0\42", 12,
           "operator 0 (UNIDIRECTIONAL_SEQUENCE_RNN): the operator (builtin code 35)");
    refuse("pad_int8", "\42\0\0\0\2\0\0\0\0\0\0\42", "\42\0\0\0\143\0\0\0\0\0\0\42", 12,
           "operator 0 (PAD): version 99, expected 1 to 4");
    refuse("pad_int8", "\0\0\0\11", "\0\0\0\3", 4, "type 3 (UINT8)");
    /* A scale of 0.05. */
    refuse("pad_int8", "\xcd\xcc\x4c\x3d", "\0\0\0\0", 4, "scale 0 is 0");
    refuse("softmax_rows_int8", "\0\0\0\x3f", "\0\0\0\xbf", 4, "layer 0 (SOFTMAX): beta is -0.5");
    assert_string_equal(ig_tflite_builtin_name(3), "CONV_2D");
    assert_string_equal(ig_tflite_builtin_name(114), "QUANTIZE");
    assert_null(ig_tflite_builtin_name(-1));
    assert_null(ig_tflite_builtin_name(100000));
}

/* Cut anywhere, or with any byte changed, it reads or refuses. */
static void any_bytes_read_or_refuse(void **state)
{
    (void)state;
    static const char *const names[] = {"conv_int8", "half_weights", "mean_keep_int8"};
    for (size_t k = 0; k < sizeof names / sizeof *names; k++) {
        struct ig_str bytes = sample(names[k]);
        for (size_t i = 0; i < 2 * bytes.len; i++) {
            struct ig_err err = IG_ERR_INIT;
            struct ig_network *network = NULL;
            size_t size = i < bytes.len ? i : bytes.len;
            char *copy = ig_alloc(size + 1); /* so that a step beyond the end is seen */
            memcpy(copy, bytes.ptr, size);
            if (i >= bytes.len) copy[i - bytes.len] ^= (char)0xff;
            if (ig_tflite_network(&network, (struct ig_str){copy, size}, &err) != IG_OK)
                assert_true(err.message[0] && !network);
            ig_network_free(network);
            ig_free(copy);
        }
        tflite_sample_free(bytes);
    }
}

static void survives_without_memory(void **state)
{
    (void)state;
    struct ig_str bytes = sample("cnn_int8");
    for (uint64_t n = 1; n < 50; n++) {
        struct ig_err err = IG_ERR_INIT;
        struct ig_network *network = NULL;
        ig_mem_fail_after(n);
        enum ig_code code = ig_tflite_network(&network, bytes, &err);
        bool failed = ig_mem_failed();
        ig_mem_fail_after(0);
        assert_true(failed ? code != IG_OK && !network : code == IG_OK);
        ig_network_free(network);
        if (!failed) break;
    }
    tflite_sample_free(bytes);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_a_network),         cmocka_unit_test(reads_at_any_address),
        cmocka_unit_test(names_what_it_refuses),   cmocka_unit_test(any_bytes_read_or_refuse),
        cmocka_unit_test(survives_without_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
