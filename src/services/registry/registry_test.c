/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/mem.h"
#include "services/registry/world_testing.h"

static const struct ig_principal *const who = &IG_PRINCIPAL_LOCAL;

static int setup(void **state)
{
    static struct ig_world world;
    ig_world_open(&world);
    *state = &world;
    return 0;
}

static int teardown(void **state)
{
    ig_world_close(*state);
    return 0;
}

static void test_names(void **state)
{
    static const char *const good[] = {"a", "A-b_c.9", "0"};
    static const char *const bad[] = {"",   ".a",   "a/b",         "a b",  "-x",
                                      "..", "a\\b", "caf\xc3\xa9", "a%2e", "_x"};
    struct ig_err err = IG_ERR_INIT;
    char longest[IG_NAME_MAX + 2];
    (void)state;
    memset(longest, 'a', sizeof longest);
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++)
        ASSERT_OK(ig_name_check(ig_str_view(good[i]), "model", &err));
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        ASSERT_FAILS(ig_name_check(ig_str_view(bad[i]), "model", &err), IG_INVALID, "model name '");
    ASSERT_FAILS(ig_name_check(IG_STR("a\0b"), "alias", &err), IG_INVALID, "alias name");
    ASSERT_OK(ig_name_check((struct ig_str){longest, IG_NAME_MAX}, "model", &err));
    ASSERT_FAILS(ig_name_check((struct ig_str){longest, IG_NAME_MAX + 1}, "model", &err),
                 IG_INVALID, "1 to 128");
}

static void test_models(void **state)
{
    struct ig_world *world = *state;
    struct ig_err err = IG_ERR_INIT;
    struct ig_registry_model model;
    struct ig_registry_models models;
    ASSERT_OK(ig_registry_model_create(world->registry, who, IG_STR("b"), IG_STR("text"), &err));
    ASSERT_FAILS(ig_registry_model_create(world->registry, who, IG_STR("b"), IG_STR(""), &err),
                 IG_EXISTS, "model 'b' exists already");
    ig_world_register(world, "a", 1);
    ASSERT_OK(ig_registry_model_list(&models, world->registry, IG_STR(""), &world->arena, &err));
    assert_int_equal(models.count, 2);
    assert_true(ig_str_is(models.items[0].name, "a"));
    assert_int_equal(models.items[0].latest_version, 1);
    ASSERT_OK(ig_registry_model_list(&models, world->registry, IG_STR("a"), &world->arena, &err));
    assert_int_equal(models.count, 1);
    ASSERT_OK(ig_registry_model_get(&model, world->registry, IG_STR("b"), &world->arena, &err));
    assert_true(ig_str_is(model.description, "text"));
    assert_int_equal(model.latest_version, 0);
    ASSERT_OK(ig_registry_model_delete(world->registry, who, IG_STR("a"), &err));
    ASSERT_FAILS(ig_registry_model_get(&model, world->registry, IG_STR("a"), &world->arena, &err),
                 IG_NOT_FOUND, "model 'a' does not exist");
    ASSERT_FAILS(ig_registry_model_delete(world->registry, who, IG_STR("a"), &err), IG_NOT_FOUND,
                 "'a'");
    ASSERT_OK(ig_audit_verify(world->db, &err));
}

static void test_versions(void **state)
{
    struct ig_world *world = *state;
    struct ig_err err = IG_ERR_INIT;
    struct ig_registry_version version;
    struct ig_registry_versions versions;
    assert_int_equal(ig_world_register(world, "m", 1), 1);
    assert_int_equal(ig_world_register(world, "m", 2), 2);
    ASSERT_OK(
        ig_registry_version_get(&version, world->registry, IG_STR("m"), 2, &world->arena, &err));
    assert_true(ig_str_is(version.format, "lightgbm"));
    assert_int_equal(version.digest.len, 64);
    assert_true(version.size_bytes > 100);
    assert_true(ig_str_is(version.metrics_json, "{}"));
    ASSERT_OK(ig_registry_version_delete(world->registry, who, IG_STR("m"), 2, &err));
    ASSERT_FAILS(
        ig_registry_version_get(&version, world->registry, IG_STR("m"), 2, &world->arena, &err),
        IG_NOT_FOUND, "model 'm' has no version 2");
    assert_int_equal(ig_world_register(world, "m", 2), 3); /* numbers are not used again */
    ASSERT_OK(
        ig_registry_version_list(&versions, world->registry, IG_STR("m"), &world->arena, &err));
    assert_int_equal(versions.count, 2);
    assert_int_equal(versions.items[0].version, 3);
    ASSERT_FAILS(ig_registry_version_delete(world->registry, who, IG_STR("m"), 9, &err),
                 IG_NOT_FOUND, "version 9");
}

static void test_bad_packages(void **state)
{
    struct ig_world *world = *state;
    struct ig_err err = IG_ERR_INIT;
    char digest[IG_SHA256_HEX];
    int64_t version = 0;
    struct ig_registry_models models;
    ASSERT_OK(ig_blob_put(digest, world->blobs, IG_STR("not a model"), &err));
    struct ig_version_spec spec = {.model = IG_STR("m"), .digest = ig_str_view(digest)};
    assert_int_not_equal(ig_registry_version_create(&version, world->registry, who, &spec, &err),
                         IG_OK);
    ig_err_clear(&err);
    spec.digest = IG_STR("0000000000000000000000000000000000000000000000000000000000000000");
    ASSERT_FAILS(ig_registry_version_create(&version, world->registry, who, &spec, &err),
                 IG_NOT_FOUND, "blob 0000");
    spec.model = IG_STR("../m");
    ASSERT_FAILS(ig_registry_version_create(&version, world->registry, who, &spec, &err),
                 IG_INVALID, "model name '../m'");
    ASSERT_OK(ig_registry_model_list(&models, world->registry, IG_STR(""), &world->arena, &err));
    assert_int_equal(models.count, 0);
    assert_int_equal(version, 0);
}

static int64_t resolve(struct ig_world *world, const char *uri)
{
    struct ig_err err = IG_ERR_INIT;
    struct ig_registry_version version;
    ASSERT_OK(
        ig_registry_resolve(&version, world->registry, ig_str_view(uri), &world->arena, &err));
    return version.version;
}

static void test_aliases_and_resolving(void **state)
{
    struct ig_world *world = *state;
    struct ig_err err = IG_ERR_INIT;
    struct ig_registry_version version;
    struct ig_registry_aliases aliases;
    const struct ig_str m = IG_STR("m"), best = IG_STR("best");
    ig_world_register(world, "m", 1);
    ig_world_register(world, "m", 2);
    ASSERT_OK(ig_registry_alias_set(world->registry, who, m, best, 1, &err));
    assert_int_equal(resolve(world, "models:/m/best"), 1);
    ASSERT_OK(ig_registry_alias_set(world->registry, who, m, best, 2, &err));
    ASSERT_OK(ig_registry_alias_set(world->registry, who, m, IG_STR("also"), 2, &err));
    assert_int_equal(resolve(world, "models:/m@best"), 2);
    assert_int_equal(resolve(world, "models:/m/1"), 1);
    assert_int_equal(resolve(world, "models:/m"), 2);
    ASSERT_OK(ig_registry_version_get(&version, world->registry, m, 2, &world->arena, &err));
    assert_true(ig_str_is(version.aliases, "also,best"));
    ASSERT_FAILS(ig_registry_version_delete(world->registry, who, m, 2, &err), IG_CONFLICT,
                 "deployed or has an alias");
    ASSERT_FAILS(ig_registry_alias_set(world->registry, who, m, best, 7, &err), IG_NOT_FOUND,
                 "no version 7");
    ASSERT_FAILS(ig_registry_alias_set(world->registry, who, m, IG_STR("12"), 1, &err), IG_INVALID,
                 "all digits");
    ASSERT_OK(ig_registry_alias_delete(world->registry, who, m, best, &err));
    ASSERT_FAILS(ig_registry_alias_delete(world->registry, who, m, best, &err), IG_NOT_FOUND,
                 "no alias 'best'");
    ASSERT_OK(ig_registry_alias_list(&aliases, world->registry, m, &world->arena, &err));
    assert_int_equal(aliases.count, 1);
    assert_int_equal(aliases.items[0].version, 2);

    static const struct {
        const char *uri;
        enum ig_code code;
        const char *text;
    } bad[] = {
        {"m/1", IG_INVALID, "expected models:/NAME"},
        {"models:/", IG_INVALID, "model name ''"},
        {"models:/m/", IG_INVALID, "nothing after the name"},
        {"models:/m/0", IG_INVALID, "a number from 1"},
        {"models:/m/99999999999999999999", IG_INVALID, "a number from 1"},
        {"models:/m/9", IG_NOT_FOUND, "no version 9"},
        {"models:/m/best", IG_NOT_FOUND, "no alias 'best'"},
        {"models:/x/1", IG_NOT_FOUND, "model 'x' does not exist"},
        {"models:/m/../x", IG_INVALID, "alias name '../x'"},
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        ASSERT_FAILS(ig_registry_resolve(&version, world->registry, ig_str_view(bad[i].uri),
                                         &world->arena, &err),
                     bad[i].code, bad[i].text);
}

static void test_nth_call_and_allocation_fail(void **state)
{
    struct ig_world *world = *state;
    char text[1024], digest[IG_SHA256_HEX];
    struct ig_err err = IG_ERR_INIT;
    ASSERT_OK(ig_blob_put(digest, world->blobs, ig_world_model(text, 1, 2), &err));
    const struct ig_version_spec spec = {.model = IG_STR("m"), .digest = ig_str_view(digest)};
    int64_t made = 0;
    for (int kind = 0; kind < 2; kind++) {
        bool refused = true;
        for (uint64_t n = 1; refused; n++) {
            struct ig_registry_version version;
            struct ig_arena arena;
            int64_t number = 0;
            ig_err_clear(&err);
            ig_arena_init(&arena, 4096, 1 << 20);
            assert_true(n < 400);
            if (kind == 0)
                ig_db_fail_after(n);
            else
                ig_mem_fail_after(n);
            enum ig_code code =
                ig_registry_version_create(&number, world->registry, who, &spec, &err);
            made += code == IG_OK;
            if (code == IG_OK)
                code = ig_registry_version_get(&version, world->registry, IG_STR("m"), number,
                                               &arena, &err);
            refused = kind == 0 ? ig_db_failed() : ig_mem_failed();
            ig_db_fail_after(0);
            ig_mem_fail_after(0);
            if (refused) assert_int_equal(code, kind == 0 ? IG_IO : IG_NO_MEMORY);
            if (number) assert_int_equal(number, made); /* a refused create used no number */
            ig_arena_deinit(&arena);
        }
    }
    ASSERT_OK(ig_audit_verify(world->db, &err));
}

#define CASE(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_names),
        CASE(test_models),
        CASE(test_versions),
        CASE(test_bad_packages),
        CASE(test_aliases_and_resolving),
        CASE(test_nth_call_and_allocation_fail),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
