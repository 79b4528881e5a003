/* SPDX-License-Identifier: Apache-2.0 */
/* Reason codes: read, refused, kept over a restart, replaced and removed. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "services/explain/reasons.h"
#include "services/registry/world_testing.h"

#include <string.h>

static const struct ig_principal *const who = &IG_PRINCIPAL_LOCAL;

static struct ig_world world;
static struct ig_backgrounds *backgrounds;
static struct ig_reasons *reasons;
static struct ig_arena arena;
static struct ig_err err;

static void open_services(void)
{
    err = IG_ERR_INIT;
    ASSERT_OK(ig_backgrounds_open(&backgrounds, world.db, world.blobs, world.registry, &err));
    ASSERT_OK(ig_reasons_open(&reasons, world.db, world.blobs, world.registry, backgrounds, &err));
}

static void close_services(void)
{
    ig_reasons_close(reasons);
    ig_backgrounds_close(backgrounds);
}

static int setup(void **state)
{
    (void)state;
    ig_world_open(&world);
    ig_world_register(&world, "m", -0.75);
    ig_arena_init(&arena, 1 << 12, 1 << 20);
    open_services();
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    close_services();
    ig_arena_deinit(&arena);
    ig_world_close(&world);
    return 0;
}

static enum ig_code set(const char *text)
{
    struct ig_reason_codes codes;
    struct ig_json json;
    err = IG_ERR_INIT;
    ig_json_init(&json, ig_str_view(text), &arena, &err);
    if (ig_reason_codes_read(&codes, &json) != IG_OK) return err.code;
    return ig_reasons_set(reasons, who, IG_STR("m"), &codes, &err);
}

static void test_life(void **state)
{
    struct ig_reason_codes codes;
    char digest[IG_SHA256_HEX];
    (void)state;
    assert_int_equal(ig_reasons_find(&codes, reasons, IG_STR("m"), &arena, false),
                     IG_REASONS_ABSENT);
    ASSERT_OK(ig_blob_put(digest, world.blobs, IG_STR("size\n1\n2\n"), &err));
    const struct ig_background_spec background = {IG_STR("m"), IG_STR("all"), ig_str_view(digest)};
    ASSERT_OK(ig_backgrounds_set(backgrounds, who, &background, &err));
    if (set("{\"adverse\":\"low\",\"baseline\":\"all\",\"texts\":{\"size\":\"Too small\"}}") !=
        IG_OK)
        fail_msg("%s", err.message);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(ig_reasons_find(&codes, reasons, IG_STR("m"), &arena, i == 1),
                         IG_REASONS_FOUND);
        assert_true(!codes.adverse_high && ig_str_is(codes.baseline, "all") && codes.count == 1);
        assert_true(ig_str_is(codes.texts[0].feature, "size"));
        assert_true(ig_str_is(codes.texts[0].text, "Too small"));
        close_services(); /* a restart finds them again */
        open_services();
    }
    assert_int_equal(set("{\"adverse\":\"high\",\"texts\":{\"size\":\"Too large\"}}"), IG_OK);
    assert_int_equal(ig_reasons_find(&codes, reasons, IG_STR("m"), &arena, true), IG_REASONS_FOUND);
    assert_true(codes.adverse_high && codes.baseline.len == 0);
    assert_int_equal(ig_reasons_delete(reasons, who, IG_STR("m"), &err), IG_OK);
    assert_int_equal(ig_reasons_find(&codes, reasons, IG_STR("m"), &arena, true),
                     IG_REASONS_ABSENT);
    assert_int_equal(ig_reasons_delete(reasons, who, IG_STR("m"), &err), IG_NOT_FOUND);
}

static void test_refusals(void **state)
{
    static const struct {
        const char *text, *message;
    } BAD[] = {
        {"{\"texts\":{\"size\":\"x\"}}", "adverse: missing"},
        {"{\"adverse\":\"low\"}", "texts: missing"},
        {"{\"adverse\":\"up\",\"texts\":{\"size\":\"x\"}}",
         "adverse: 'up' is neither high nor low"},
        {"{\"adverse\":\"low\",\"texts\":{\"size\":\"\"}}", "texts.size: a text of 1 to 500 bytes"},
        {"{\"adverse\":\"low\",\"texts\":{\"age\":\"x\"}}",
         "texts: the model has no feature 'age'"},
        {"{\"adverse\":\"low\",\"baseline\":\"none\",\"texts\":{\"size\":\"x\"}}",
         "baseline: the model has no background 'none'"},
        {"{\"adverse\":\"low\",\"text\":{}}", "text: unknown member"},
    };
    struct ig_reason_codes codes;
    (void)state;
    for (size_t i = 0; i < sizeof BAD / sizeof *BAD; i++) {
        assert_int_equal(set(BAD[i].text), IG_INVALID);
        if (strncmp(err.message, BAD[i].message, strlen(BAD[i].message)) != 0)
            fail_msg("%s", err.message);
    }
    assert_int_equal(ig_reasons_find(&codes, reasons, IG_STR("m"), &arena, true),
                     IG_REASONS_ABSENT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_life, setup, teardown),
        cmocka_unit_test_setup_teardown(test_refusals, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
