/* SPDX-License-Identifier: Apache-2.0 */
/* Headers of bundles as they are written, renewed, and broken; sketches apart from each other. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "formats/edge/edge_bundle.h"
#include "formats/edge/edge_header.h"
#include "formats/edge/edge_telemetry.h"
#include "formats/edge/edge_testing.h"

#include <math.h>

static struct ig_buf bundle;
static struct ig_err err;

static int setup(void **state)
{
    (void)state;
    struct ig_tree_compact *compact = NULL;
    struct ig_model *model = ig_testing_model(&IG_EDGE_SHAPES[6], 5);
    struct ig_edge_bundle spec = {
        .id = IG_STR("risk"), .target = IG_STR("meter"), .counter = 7, .expiry = 2000000000};
    err = IG_ERR_INIT;
    ig_buf_init(&bundle, 1 << 20);
    if (ig_tree_compact_new(&compact, model, IG_COMPACT_WANT_INT16, &err) != IG_OK) return -1;
    spec.compact = compact;
    enum ig_code code = ig_edge_bundle_write(&bundle, &spec, &err);
    ig_tree_compact_free(compact);
    ig_model_free(model);
    return code == IG_OK ? 0 : -1;
}

static int teardown(void **state)
{
    (void)state;
    ig_buf_deinit(&bundle);
    return 0;
}

static void test_header(void **state)
{
    (void)state;
    struct ig_edge_header header;
    assert_int_equal(ig_edge_header_read(&header, ig_buf_view(&bundle), &err), IG_OK);
    assert_true(ig_str_is(header.id, "risk") && ig_str_is(header.target, "meter"));
    assert_true(header.counter == 7 && header.expiry == 2000000000);
    ig_edge_header_renew(&bundle, 1000000, 0);
    assert_int_equal(ig_edge_header_read(&header, ig_buf_view(&bundle), &err), IG_OK);
    assert_true(header.counter == 1000000 && header.expiry == 0);
    ig_edge_header_renew(&bundle, 7, 2000000000);
}

static void expect_broken(size_t at, char flip, const char *message)
{
    struct ig_edge_header header;
    bundle.ptr[at] ^= flip;
    enum ig_code code = ig_edge_header_read(&header, ig_buf_view(&bundle), &err);
    bundle.ptr[at] ^= flip;
    if (code != IG_CORRUPT || !strstr(err.message, message))
        fail_msg("at %zu: '%s'", at, err.message);
    ig_err_clear(&err);
}

static void test_broken(void **state)
{
    (void)state;
    struct ig_edge_header header;
    struct ig_str head = {bundle.ptr, IG_EDGE_HEADER_BYTES - 1};
    assert_int_equal(ig_edge_header_read(&header, head, &err), IG_CORRUPT);
    ig_err_clear(&err);
    expect_broken(0, 1, "it is no bundle");
    expect_broken(4, 2, "its version is 3, expected 1");
    expect_broken(8, 1, " and says ");
    expect_broken(16, (char)0x80, "no text");
    expect_broken(48, 7, "counter or expiry");
    expect_broken(55, (char)0x80, "counter or expiry");
    expect_broken(86, 64, "not all there");
}

static void test_index(void **state)
{
    (void)state;
    struct ig_edge_sketch usual = {
        .rows = 100, .edges_count = 2, .edges = {0, 10}, .counts = {50, 30, 20}};
    struct ig_edge_sketch other = usual;
    assert_true(fabs(ig_edge_sketch_psi(&usual, &other)) < 1e-12);
    other.counts[0] = 20;
    other.counts[2] = 50;
    /* by hand: 2 * (50.5 - 20.5) / 102 * log(50.5 / 20.5) */
    assert_true(fabs(ig_edge_sketch_psi(&usual, &other) - 60.0 / 102 * log(50.5 / 20.5)) < 1e-12);
    assert_true(ig_edge_sketch_psi(&usual, &other) == ig_edge_sketch_psi(&other, &usual));
    other.edges[1] = 11;
    assert_true(isnan(ig_edge_sketch_psi(&usual, &other)));
    assert_true(ig_edge_sketch_value(&usual, 0x3f800000) == 1);
    assert_true(ig_edge_sketch_value(&usual, -0x3f800000) == -1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_header),
        cmocka_unit_test(test_broken),
        cmocka_unit_test(test_index),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
