/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "formats/onnx/onnx_scan.h"
#include "formats/onnx/onnx_testing.h"

#include <string.h>

enum { ATTRIBUTE = 5, SUBGRAPH = 6, TENSOR = 5, SPARSE = 15 };

static enum ig_code scan(struct ig_onnx_facts *facts, const struct ig_buf *bytes,
                         struct ig_arena *arena, const char *message)
{
    struct ig_err err = IG_ERR_INIT;
    enum ig_code code = ig_onnx_scan(facts, ig_buf_view(bytes), arena, &err);
    if (code != IG_OK && !strstr(err.message, message))
        fail_msg("'%s', expected '%s'", err.message, message);
    return code;
}

static void test_facts(void **state)
{
    (void)state;
    static const struct {
        const char *ops;
        bool probabilities;
    } cases[] = {{"LSTM", false},
                 {"Softmax LSTM", false},
                 {"LSTM Softmax", true},
                 {"LSTM Sigmoid", true},
                 {"SVMClassifier Identity", true},
                 {"Tokenizer ZipMap Identity", true}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct ig_onnx_facts facts;
        struct ig_arena arena;
        struct ig_buf model;
        ig_arena_init(&arena, 4096, 1 << 16);
        test_onnx_model(&model, "maker", cases[i].ops, (struct ig_str){0});
        assert_int_equal(scan(&facts, &model, &arena, ""), IG_OK);
        assert_int_equal(facts.probabilities, cases[i].probabilities);
        assert_true(ig_str_is(facts.producer, "maker"));
        ig_buf_deinit(&model);
        ig_arena_deinit(&arena);
    }
}

/* A tensor within so many subgraphs, whose data lies elsewhere or not. */
static void nest(struct ig_buf *graph, int depth, bool external)
{
    struct ig_buf inner, outer;
    ig_buf_init(&inner, 1 << 16);
    ig_buf_init(&outer, 1 << 16);
    test_onnx_bytes(&inner, 8, IG_STR("weights"));
    if (external) test_onnx_varint(&inner, 14, 1);
    test_onnx_bytes(graph, TENSOR, ig_buf_view(&inner)); /* an initialiser */
    for (int i = 0; i < depth; i++) {
        ig_buf_reset(&outer);
        test_onnx_bytes(&outer, SUBGRAPH, ig_buf_view(graph)); /* an attribute */
        ig_buf_reset(&inner);
        test_onnx_bytes(&inner, ATTRIBUTE, ig_buf_view(&outer)); /* a node */
        ig_buf_reset(graph);
        test_onnx_bytes(graph, 1, ig_buf_view(&inner));
    }
    ig_buf_deinit(&inner);
    ig_buf_deinit(&outer);
}

static void test_data_elsewhere(void **state)
{
    (void)state;
    for (int depth = 0; depth < 4; depth++)
        for (int external = 0; external < 2; external++) {
            struct ig_onnx_facts facts;
            struct ig_arena arena;
            struct ig_buf model, graph;
            ig_arena_init(&arena, 4096, 1 << 16);
            ig_buf_init(&graph, 1 << 16);
            nest(&graph, depth, external);
            test_onnx_model(&model, "maker", "If", ig_buf_view(&graph));
            assert_int_equal(
                scan(&facts, &model, &arena, "tensor 'weights': its data lies in another file"),
                external ? IG_UNSUPPORTED : IG_OK);
            if (!external) assert_int_equal(facts.branches, depth > 0);
            ig_buf_deinit(&model);
            ig_buf_deinit(&graph);
            ig_arena_deinit(&arena);
        }
}

static void test_depth_and_damage(void **state)
{
    (void)state;
    struct ig_onnx_facts facts;
    struct ig_arena arena;
    struct ig_buf model, graph;
    ig_arena_init(&arena, 4096, 1 << 16);
    ig_buf_init(&graph, 1 << 16);
    nest(&graph, 30, false);
    test_onnx_model(&model, "maker", "If", ig_buf_view(&graph));
    assert_int_equal(scan(&facts, &model, &arena, "nest more than 64 deep"), IG_PARSE);
    ig_buf_deinit(&model);
    ig_buf_reset(&graph);
    nest(&graph, 10, false);
    test_onnx_model(&model, "maker", "If", ig_buf_view(&graph));
    assert_int_equal(scan(&facts, &model, &arena, ""), IG_OK);
    model.len -= 3;
    assert_int_equal(scan(&facts, &model, &arena, ""), IG_PARSE);
    ig_buf_deinit(&model);
    ig_buf_deinit(&graph);
    ig_arena_deinit(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_facts),
        cmocka_unit_test(test_data_elsewhere),
        cmocka_unit_test(test_depth_and_damage),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
