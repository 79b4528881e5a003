/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "services/job/edge_plan.h"
#include "stores/temp_testing.h"

#include <string.h>

static struct ig_job_params params_of(const char *const pairs[][2], size_t count)
{
    struct ig_err err = IG_ERR_INIT;
    struct ig_job_params params;
    ig_params_defaults(&params, IG_JOB_EDGE);
    for (size_t i = 0; i < count; i++)
        ASSERT_OK(ig_params_set(&params, ig_str_view(pairs[i][0]), ig_str_view(pairs[i][1]), &err));
    return params;
}

#define PARAMS(...)                                                                                \
    params_of((const char *const[][2]){__VA_ARGS__},                                               \
              sizeof((const char *const[][2]){__VA_ARGS__}) / sizeof(const char *[2]))

static void layers_are_read(void **state)
{
    (void)state;
    struct ig_err err = IG_ERR_INIT;
    struct ig_edge_network network;
    struct ig_job_params params = PARAMS({"layers", " 8 ,4"}, {"activation", "relu6"});
    ASSERT_OK(ig_edge_plan_network(&network, &params.edge, IG_FIT_LOGISTIC, 1, &err));
    assert_int_equal(network.count, 4);
    assert_int_equal(network.items[0].units, 8);
    assert_int_equal(network.items[1].units, 4);
    assert_int_equal(network.items[1].activation, IG_NETWORK_ACTIVATION_RELU6);
    assert_int_equal(network.items[2].units, 1);
    assert_int_equal(network.items[2].activation, IG_NETWORK_ACTIVATION_NONE);
    assert_int_equal(network.items[3].kind, IG_LAYER_LOGISTIC);
    params = PARAMS({"layers", "conv:8x3/2,depthwise:5,max_pool:2,average_pool,16"},
                    {"input_shape", "12x10x3"}, {"batch_norm", "on"}, {"activation", "tanh"});
    ASSERT_OK(ig_edge_plan_network(&network, &params.edge, IG_FIT_SOFTMAX, 7, &err));
    assert_int_equal(network.height * 100 + network.width * 10 + network.channels, 1303);
    assert_int_equal(network.count, 10); /* a tanh behind each of the three with weights */
    assert_int_equal(network.items[0].kind, IG_LAYER_CONV);
    assert_int_equal(network.items[0].units, 8);
    assert_int_equal(network.items[0].filter, 3);
    assert_int_equal(network.items[0].stride, 2);
    assert_true(network.items[0].batch_norm);
    assert_int_equal(network.items[1].kind, IG_LAYER_TANH);
    assert_int_equal(network.items[2].kind, IG_LAYER_DEPTHWISE);
    assert_int_equal(network.items[4].kind, IG_LAYER_MAX_POOL);
    assert_int_equal(network.items[5].filter, 0);
    assert_int_equal(network.items[8].units, 7);
    assert_int_equal(network.items[9].kind, IG_LAYER_SOFTMAX);
    params = PARAMS({"layers", ""}); /* a linear model */
    ASSERT_OK(ig_edge_plan_network(&network, &params.edge, IG_FIT_SQUARED, 1, &err));
    assert_int_equal(network.count, 1);
}

static void wrong_parameters_are_named(void **state)
{
    (void)state;
    static const struct {
        const char *pairs[4][2];
        size_t count;
        const char *message;
    } cases[] = {
        {{{"layers", "8,x"}}, 1, "parameter 'layers': 'x'"},
        {{{"layers", "8,,4"}}, 1, "parameter 'layers': ''"},
        {{{"layers", "0"}}, 1, "parameter 'layers': '0'"},
        {{{"layers", "65537"}}, 1, "'65537'"},
        {{{"layers", "conv:8x3"}}, 1, "expected input_shape beside windows"},
        {{{"layers", "conv:8"}, {"input_shape", "8x8x1"}}, 2, "the size of a window"},
        {{{"layers", "conv:x3"}, {"input_shape", "8x8x1"}}, 2, "conv:FILTERSxSIZE"},
        {{{"layers", "max_pool:2/2"}, {"input_shape", "8x8x1"}}, 2, "a stride of"},
        {{{"layers", "max_pool"}, {"input_shape", "8x8x1"}}, 2, "the size of a window"},
        {{{"input_shape", "8x8"}}, 1, "parameter 'input_shape': '8x8'"},
        {{{"epochs", "0"}}, 1, "parameter 'epochs': 0 needs a source"},
        {{{"epochs", "0"}, {"source", "models:/a/1"}, {"teacher", "models:/b/1"}}, 3, "'teacher'"},
        {{{"epochs", "0"}, {"source", "models:/a/1"}, {"pruning", "constant"}}, 3, "'pruning'"},
        {{{"epochs", "0"}, {"source", "models:/a/1"}, {"pruned_neurons", "0.5"}},
         3,
         "'pruned_neurons': needs epochs"},
        {{{"epochs", "1"}, {"quantization_aware", "on"}}, 2, "'quantization_aware': needs 2"},
        {{{"source", "models:/a/1"}, {"input_shape", "8x8x1"}},
         2,
         "'8x8x1': the source has its own"},
        {{{"source", "models:/a/1"}, {"layers", "4"}}, 2, "'layers': '4': the source has its own"},
        {{{"source", "models:/a/1"}, {"ranks", "off"}},
         2,
         "'ranks': 'off': the source has its own"},
        {{{"pruning", "polynomial"}, {"begin_step", "50"}, {"end_step", "10"}}, 3, "pruning: "},
        {{{"student", "trees"}}, 1, "parameter 'student': trees need a teacher"},
        {{{"student", "trees"}, {"teacher", "models:/a/1"}, {"layers", "8"}},
         3,
         "parameter 'layers': student 'trees' has none"},
        {{{"student", "trees"}, {"teacher", "models:/a/1"}, {"temperature", "3"}},
         3,
         "parameter 'temperature': student 'trees' has none"},
        {{{"max_depth", "3"}}, 1, "parameter 'max_depth': student 'network' has none"},
        {{{"pruned_leaves", "0.5"}}, 1, "parameter 'pruned_leaves': student 'network' has none"},
        {{{"quantization", "float16"}, {"rounding", "double"}},
         2,
         "parameter 'rounding': it is for int8, quantization is 'float16'"},
        {{{"quantization", "none"}, {"calibrator", "kl"}},
         2,
         "parameter 'calibrator': it is for int8, quantization is 'none'"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct ig_err err = IG_ERR_INIT;
        struct ig_job_params params = params_of(cases[i].pairs, cases[i].count);
        ASSERT_FAILS(ig_edge_plan_check(&params.edge, &err), IG_INVALID, cases[i].message);
    }
    struct ig_err err = IG_ERR_INIT;
    struct ig_job_params params = PARAMS({"epochs", "0"}, {"source", "models:/a/1"});
    ASSERT_OK(ig_edge_plan_check(&params.edge, &err));
    params = PARAMS({"student", "trees"}, {"teacher", "models:/a/1"}, {"rounds", "5"},
                    {"alpha", "0.5"}, {"pruned_leaves", "0.5"}, {"layers", "32,32"});
    ASSERT_OK(ig_edge_plan_check(&params.edge, &err)); /* a default is no demand */
}

static void pruning_ends_in_the_middle(void **state)
{
    (void)state;
    struct ig_pruning_schedule schedule;
    struct ig_fit_options options;
    struct ig_job_params params = PARAMS({"pruning", "polynomial"}, {"epochs", "10"},
                                         {"quantization_aware", "on"}, {"batch_size", "10"});
    ig_edge_plan_fit(&options, &schedule, &params.edge, IG_FIT_LOGISTIC, 3001);
    assert_ptr_equal(options.pruning, &schedule);
    assert_int_equal(schedule.frequency, 100); /* 3010 steps */
    assert_int_equal(schedule.end, 1500);
    assert_int_equal(options.int8_from, 8);
    assert_true(options.alpha == 1 && options.temperature == 1); /* no teacher */
    ig_edge_plan_fit(&options, &schedule, &params.edge, IG_FIT_LOGISTIC, 30);
    assert_int_equal(schedule.frequency, 2); /* 30 steps */
    assert_int_equal(schedule.end, 14);
    params = PARAMS({"pruning", "constant"}, {"sparsity_pattern", "2:4"}, {"teacher", "models:/a"},
                    {"alpha", "0.25"}, {"temperature", "4"});
    ig_edge_plan_fit(&options, &schedule, &params.edge, IG_FIT_SOFTMAX, 20000);
    assert_int_equal(schedule.end, -1);
    assert_int_equal(options.batch, 128);
    assert_int_equal(options.pattern.kind, IG_PRUNING_M_BY_N);
    assert_int_equal(options.pattern.zeros * 10 + options.pattern.group, 24);
    assert_true(options.alpha == 0.25 && options.temperature == 4);
    params = PARAMS({"pruning", "polynomial"}, {"sparsity_pattern", "block"}, {"block_inputs", "2"},
                    {"block_pooling", "max"}, {"end_step", "70"}, {"frequency", "7"},
                    {"optimizer", "sgd"});
    ig_edge_plan_fit(&options, &schedule, &params.edge, IG_FIT_SQUARED, 1000);
    assert_int_equal(schedule.end, 70);
    assert_int_equal(schedule.frequency, 7);
    assert_int_equal(options.pattern.block_inputs * 10 + options.pattern.block_outputs, 24);
    assert_true(options.pattern.block_max);
    assert_int_equal(options.optimizer.kind, IG_OPTIMIZER_SGD);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(layers_are_read),
        cmocka_unit_test(wrong_parameters_are_named),
        cmocka_unit_test(pruning_ends_in_the_middle),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
