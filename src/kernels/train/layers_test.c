/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/mem.h"
#include "kernels/train/network_testing.h"

#include <math.h>

static enum ig_code make(struct ig_network **out, const struct ig_layer *items, uint32_t count,
                         struct ig_err *err)
{
    static bool norms[2 * IG_LAYERS_MAX];
    *out = NULL;
    return ig_layers_make(out, norms, &(struct ig_layers){8, 6, 3, items, count, 7}, err);
}

static void makes_networks(void **state)
{
    (void)state;
    static bool norms[2 * IG_LAYERS_MAX];
    const struct ig_layer items[] = {
        {.kind = IG_LAYER_CONV,
         .units = 4,
         .filter = 3,
         .batch_norm = true,
         .activation = IG_NETWORK_ACTIVATION_RELU},
        {.kind = IG_LAYER_DEPTHWISE, .units = 2, .filter = 3, .stride = 2},
        {.kind = IG_LAYER_AVERAGE_POOL},
        {.kind = IG_LAYER_DENSE, .units = 5, .batch_norm = true},
        {.kind = IG_LAYER_SOFTMAX},
    };
    struct ig_err err = IG_ERR_INIT;
    struct ig_network *network = NULL, *same = NULL, *other = NULL;
    struct ig_layers layers = {8, 6, 3, items, 5, 7};
    assert_int_equal(ig_layers_make(&network, norms, &layers, &err), IG_OK);
    assert_int_equal(network->layers_count, 6); /* with a RESHAPE before the dense one */
    assert_int_equal(network->layers[3].op, IG_NETWORK_RESHAPE);
    assert_true(norms[0] && !norms[1] && !norms[2] && !norms[3] && norms[4] && !norms[5]);
    const struct ig_network_tensor *out = &network->tensors[network->outputs[0]];
    assert_true(out->rank == 2 && out->dims[0] == 1 && out->dims[1] == 5);
    const struct ig_network_tensor *depth = &network->tensors[network->layers[1].output];
    assert_true(depth->dims[1] == 4 && depth->dims[2] == 3 && depth->dims[3] == 8);
    const struct ig_network_tensor *conv = ig_network_input(network, &network->layers[0], 1);
    const float *weights = conv->data;
    double squares = 0, limit = sqrt(6.0 / 27);
    for (size_t i = 0; i < 108; i++) {
        assert_true(fabs((double)weights[i]) <= limit);
        squares += (double)weights[i] * (double)weights[i] / 108;
    }
    assert_float_equal(squares, 2.0 / 27, 0.02); /* He: the variance is 2 / fan in */
    assert_int_equal(ig_layers_make(&same, norms, &layers, &err), IG_OK);
    layers.seed = 8;
    assert_int_equal(ig_layers_make(&other, norms, &layers, &err), IG_OK);
    const float *again = ig_network_input(same, &same->layers[0], 1)->data;
    const float *differs = ig_network_input(other, &other->layers[0], 1)->data;
    assert_memory_equal(weights, again, 108 * sizeof *weights);
    assert_true(memcmp(weights, differs, 108 * sizeof *weights) != 0);
    ig_network_free(network);
    ig_network_free(same);
    ig_network_free(other);
}

static void refuses(void **state)
{
    (void)state;
    static const struct {
        struct ig_layer items[2];
        const char *message;
    } cases[] = {
        {{{.kind = IG_LAYER_CONV, .units = 0, .filter = 3}}, "layer 0: units is 0"},
        {{{.kind = IG_LAYER_CONV, .units = 1}}, "layer 0: filter is 0"},
        {{{.kind = IG_LAYER_RELU}, {.kind = IG_LAYER_ADD, .back = 2}}, "layer 1: back is 2"},
        {{{.kind = IG_LAYER_FLATTEN}, {.kind = IG_LAYER_CONV, .units = 1, .filter = 3}},
         "layer 1: a window over 2 dimensions"},
        {{{.kind = IG_LAYER_RELU}, {.kind = IG_LAYER_CONV, .units = 1, .filter = 9, .valid = true}},
         "layer 1"},
    };
    struct ig_network *network;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct ig_err err = IG_ERR_INIT;
        assert_int_not_equal(make(&network, cases[i].items, 2, &err), IG_OK);
        assert_null(network);
        if (!strstr(err.message, cases[i].message)) fail_msg("%zu: %s", i, err.message);
    }
    struct ig_err err = IG_ERR_INIT;
    assert_int_equal(make(&network, cases[0].items, 0, &err), IG_INVALID);
    const struct ig_layer dense = {.kind = IG_LAYER_DENSE, .units = 3};
    for (uint64_t n = 1; n < 20; n++) {
        ig_err_clear(&err);
        ig_mem_fail_after(n);
        enum ig_code code = make(&network, &dense, 1, &err);
        ig_mem_fail_after(0);
        ig_network_free(network);
        if (code == IG_OK) return;
        assert_int_equal(code, IG_NO_MEMORY);
    }
    fail_msg("never made");
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(makes_networks), cmocka_unit_test(refuses)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
