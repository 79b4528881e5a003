/* SPDX-License-Identifier: Apache-2.0 */
/* What the device runtime tells of files that were packed here. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "services/edge/edge_device.h"
#include "stores/temp_testing.h"

#include <string.h>

static struct ig_err err;

static void open_device(struct ig_edge_device *device, const char *path)
{
    static const struct ig_edge_choice CHOICE = {IG_COMPACT_WANT_INT16, IG_EDGE_ROUNDING_MODEL};
    struct ig_package *package = NULL;
    err = IG_ERR_INIT;
    ig_edge_device_init(device);
    ASSERT_OK(ig_package_open(&package, IG_FILE_CWD, path, NULL, &err));
    ASSERT_OK(ig_edge_device_pack(device, package, &CHOICE, &err));
    ASSERT_OK(ig_edge_device_start(device, &err));
    ig_package_free(package);
}

static void expect_report(const struct ig_edge_device *device, const char *text)
{
    struct ig_json_out out;
    struct ig_buf buf;
    ig_buf_init(&buf, 1 << 16);
    ig_json_out_init(&out, &buf);
    ig_json_out_object(&out);
    ig_edge_device_write(&out, device);
    ig_json_out_object_end(&out);
    ig_buf_add_char(&buf, 0);
    if (!strstr(buf.ptr, text)) fail_msg("expected %s: %s", text, buf.ptr);
    ig_buf_deinit(&buf);
}

static void test_trees(void **state)
{
    (void)state;
    struct ig_edge_device device;
    char text[64];
    open_device(&device, "tests/golden/xgboost/binary_missing/model.json");
    struct ig_edge_tree_facts facts = ig_edge_device_trees(&device);
    assert_false(ig_edge_device_is_network(&device));
    assert_true(device.bound > 0 && facts.nodes > 0 && facts.thresholds > 0);
    assert_string_equal(facts.leaf, "int16");
    assert_int_equal(facts.splits + facts.leaves + facts.thresholds + facts.sets + facts.rest,
                     device.file.len);
    snprintf(text, sizeof text, "\"arena_bytes\":%zu", ige_arena_bytes(&device.model));
    expect_report(&device, text);
    expect_report(&device, "\"margin_error_bound\":");
    ig_edge_device_deinit(&device);
}

static void test_network(void **state)
{
    (void)state;
    struct ig_edge_device device;
    open_device(&device, "tests/corpus/tflite/cnn_int8");
    struct ig_edge_network_facts facts = ig_edge_device_network(&device);
    assert_true(ig_edge_device_is_network(&device));
    assert_true(facts.products > 0 && facts.counts[IGE_OP_CONV_2D] > 0);
    assert_int_equal(facts.mask >> IGE_OP_CONV_2D & 1, 1);
    expect_report(&device, "\"rounding\":\"single\"");
    expect_report(&device, "\"CONV_2D\":");
    ig_edge_device_deinit(&device);
}

static void test_broken(void **state)
{
    (void)state;
    struct ig_edge_device device;
    open_device(&device, "tests/corpus/tflite/cnn_int8");
    device.file.ptr[device.file.len - 1] ^= 1;
    ASSERT_FAILS(ig_edge_device_start(&device, &err), IG_CORRUPT,
                 "the device runtime refuses the file: its bytes have changed");
    ig_edge_device_deinit(&device);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_trees),
        cmocka_unit_test(test_network),
        cmocka_unit_test(test_broken),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
