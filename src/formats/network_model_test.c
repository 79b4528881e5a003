/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "formats/network_model.h"

#include <string.h>

/* Two inputs of names, and what comes of them. */
static struct ig_model *make(enum ig_network_op op, uint32_t columns)
{
    struct ig_err err = IG_ERR_INIT;
    struct ig_model *model = ig_model_new(1 << 16);
    struct ig_network *network = model->network = ig_network_new(1 << 16);
    struct ig_network_tensor tensor = {
        .name = IG_STR("pixels"), .type = IG_NETWORK_F32, .rank = 2, .dims = {1, columns}};
    uint32_t inputs[2] = {ig_network_add_tensor(network, &tensor)}, output;
    tensor.name = IG_STR("age");
    tensor.dims[1] = 1;
    inputs[1] = ig_network_add_tensor(network, &tensor);
    tensor.dims[1] = columns;
    output = ig_network_add_tensor(network, &tensor);
    const struct ig_network_layer layer = {
        .op = op, .inputs = inputs, .inputs_count = 1, .output = output, .beta = 1};
    ig_network_add_layer(network, &layer);
    ig_network_set_inputs(network, inputs, 2);
    ig_network_set_outputs(network, &output, 1);
    if (op != IG_NETWORK_SOFTMAX) network->layers[0].beta = 0;
    if (ig_network_check(network, &err) != IG_OK) fail_msg("%s", err.message);
    return model;
}

static void names_and_kinds(void **state)
{
    (void)state;
    struct ig_err err = IG_ERR_INIT;
    struct ig_model *model = make(IG_NETWORK_SOFTMAX, 3);
    if (ig_network_model_fill(model, IG_STR("2"), 10, &err) != IG_OK) fail_msg("%s", err.message);
    assert_int_equal(model->features_count, 4);
    assert_int_equal(model->outputs_count, 3);
    assert_true(ig_str_is(model->inputs[2].name, "pixels_2"));
    assert_true(ig_str_is(model->inputs[3].name, "age"));
    assert_true(model->inputs[3].required);
    assert_true(ig_str_is(model->objective, "multi:network"));
    assert_int_equal(model->transform, IG_TRANSFORM_PROBABILITY);
    assert_true(ig_str_is(model->source_version, "2"));
    ig_model_free(model);
    model = make(IG_NETWORK_LOGISTIC, 1);
    assert_int_equal(ig_network_model_fill(model, IG_STR("2"), 10, &err), IG_OK);
    assert_true(ig_str_is(model->objective, "binary:network"));
    ig_model_free(model);
    model = make(IG_NETWORK_RELU, 2);
    assert_int_equal(ig_network_model_fill(model, IG_STR("2"), 10, &err), IG_OK);
    assert_int_equal(model->transform, IG_TRANSFORM_IDENTITY);
    ig_model_free(model);
}

static void bounds_are_kept(void **state)
{
    (void)state;
    struct ig_err err = IG_ERR_INIT;
    struct ig_model *model = make(IG_NETWORK_RELU, 20);
    assert_int_equal(ig_network_model_fill(model, IG_STR("2"), 20, &err), IG_UNSUPPORTED);
    assert_non_null(strstr(err.message, "of 1 to 20 numbers"));
    ig_model_free(model);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_and_kinds),
        cmocka_unit_test(bounds_are_kept),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
