/* SPDX-License-Identifier: Apache-2.0 */
/* Compact files and bundles of packages: trees, networks, and graphs that are networks. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "formats/edge/edge_header.h"
#include "services/edge/edge_export.h"
#include "stores/temp_testing.h"

#define TREES "tests/golden/xgboost/binary_missing/model.json"
#define NETWORK "tests/corpus/tflite/cnn_int8"
#define GRAPH "tests/corpus/onnx/network_cnn_int8.onnx"

static struct ig_err err;

static struct ig_package *open_package(const char *path)
{
    struct ig_package *package = NULL;
    err = IG_ERR_INIT;
    ASSERT_OK(ig_package_open(&package, IG_FILE_CWD, path, NULL, &err));
    return package;
}

static void pack(struct ig_buf *out, const struct ig_package *package, const char *leaves,
                 const char *rounding)
{
    struct ig_edge_choice choice;
    struct ig_edge_pack made;
    ig_buf_init(out, 1 << 20);
    ASSERT_OK(ig_edge_choice_parse(&choice, ig_str_view(leaves), ig_str_view(rounding), &err));
    ASSERT_OK(ig_edge_pack_init(&made, package, &choice, &err));
    ASSERT_OK(ig_edge_pack_write(out, &made, &err));
    ig_edge_pack_deinit(&made);
}

static bool same(const struct ig_buf *a, const struct ig_buf *b)
{
    return ig_str_eq(ig_buf_view(a), ig_buf_view(b));
}

static void test_choices(void **state)
{
    (void)state;
    struct ig_edge_choice choice;
    err = IG_ERR_INIT;
    ASSERT_OK(ig_edge_choice_parse(&choice, IG_STR(""), IG_STR(""), &err));
    assert_true(choice.leaves == IG_COMPACT_WANT_INT16);
    assert_true(choice.rounding == IG_EDGE_ROUNDING_MODEL);
    ASSERT_OK(ig_edge_choice_parse(&choice, IG_STR("exact"), IG_STR("double"), &err));
    assert_true(choice.leaves == IG_COMPACT_WANT_EXACT);
    assert_true(choice.rounding == IG_EDGE_ROUNDING_DOUBLE);
    ASSERT_FAILS(ig_edge_choice_parse(&choice, IG_STR("int4"), IG_STR(""), &err), IG_INVALID,
                 "leaves: 'int4' is not one of exact, float32, int16, int8");
    ASSERT_FAILS(ig_edge_choice_parse(&choice, IG_STR(""), IG_STR("up"), &err), IG_INVALID,
                 "rounding: 'up' is not one of model, single, double");
}

static void test_leaves_and_roundings(void **state)
{
    (void)state;
    struct ig_buf small, large, single, twice, own;
    struct ig_package *trees = open_package(TREES), *network = open_package(NETWORK);
    pack(&small, trees, "int8", "");
    pack(&large, trees, "exact", "");
    assert_true(small.len > 0 && small.len < large.len);
    pack(&own, network, "", "");
    pack(&single, network, "", "single");
    pack(&twice, network, "", "double");
    assert_true(same(&own, &single) && !same(&own, &twice));
    struct ig_buf *all[] = {&small, &large, &single, &twice, &own};
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) ig_buf_deinit(all[i]);
    ig_package_free(trees);
    ig_package_free(network);
}

/* A graph's compact file is that of the network it is exported as. */
static void test_graph(void **state)
{
    (void)state;
    const struct ig_edge_export options = {.format = IG_EDGE_FORMAT_TFLITE};
    struct ig_package *graph = open_package(GRAPH), *network = NULL;
    struct ig_buf of_graph, of_network, file;
    ig_buf_init(&file, 1 << 20);
    ASSERT_OK(ig_edge_export_write(&file, graph, &options, &err));
    ASSERT_OK(ig_package_open_bytes(&network, ig_buf_view(&file), NULL, &err));
    pack(&of_graph, graph, "", "");
    pack(&of_network, network, "", "");
    assert_true(of_graph.len > 0 && same(&of_graph, &of_network));
    ig_buf_deinit(&of_graph);
    ig_buf_deinit(&of_network);
    ig_buf_deinit(&file);
    ig_package_free(network);
    ig_package_free(graph);
}

static void test_bundle(void **state)
{
    (void)state;
    struct ig_package *package = open_package(TREES);
    struct ig_edge_bundle bundle = {.id = IG_STR("risk"), .target = IG_STR("meter"), .counter = 7};
    struct ig_edge_choice choice = {IG_COMPACT_WANT_INT8, IG_EDGE_ROUNDING_MODEL};
    struct ig_edge_header header;
    struct ig_buf out, file;
    ig_buf_init(&out, 1 << 20);
    pack(&file, package, "int8", "");
    ASSERT_OK(ig_edge_pack_bundle(&out, package, &choice, bundle, &err));
    ASSERT_OK(ig_edge_header_read(&header, ig_buf_view(&out), &err));
    assert_true(ig_str_is(header.id, "risk") && ig_str_is(header.target, "meter"));
    assert_true(header.counter == 7 && header.expiry == 0 && header.model_bytes == file.len);
    assert_memory_equal(out.ptr + header.model_at, file.ptr, file.len);
    bundle.counter = 0;
    ASSERT_FAILS(ig_edge_pack_bundle(&out, package, &choice, bundle, &err), IG_INVALID,
                 "counter: 0 is not from 1");
    bundle.counter = 1;
    bundle.id = (struct ig_str){"a\0b", 3};
    ASSERT_FAILS(ig_edge_pack_bundle(&out, package, &choice, bundle, &err), IG_INVALID,
                 "id: byte 2 is a control character");
    bundle.id = IG_STR("\xff");
    ASSERT_FAILS(ig_edge_pack_bundle(&out, package, &choice, bundle, &err), IG_INVALID,
                 "id: expected UTF-8");
    bundle.id = IG_STR("risk");
    bundle.target = IG_STR("meter-of-the-roof");
    ASSERT_FAILS(ig_edge_pack_bundle(&out, package, &choice, bundle, &err), IG_INVALID,
                 "target: 'meter-of-the-roof' is longer than 16 bytes");
    struct ig_buf narrow;
    ig_buf_init(&narrow, 100);
    bundle.target = IG_STR("");
    ASSERT_FAILS(ig_edge_pack_bundle(&narrow, package, &choice, bundle, &err), IG_TOO_LARGE,
                 "the bundle is larger than 100 bytes");
    ig_buf_deinit(&narrow);
    ig_buf_deinit(&out);
    ig_buf_deinit(&file);
    ig_package_free(package);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_choices),
        cmocka_unit_test(test_leaves_and_roundings),
        cmocka_unit_test(test_graph),
        cmocka_unit_test(test_bundle),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
