/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "services/deploy/servable_priv.h"
#include "services/registry/world_testing.h"

static void test_load_and_count(void **state)
{
    struct ig_world world;
    struct ig_err err = IG_ERR_INIT;
    struct ig_registry_version version;
    const struct ig_servable *servable = NULL;
    (void)state;
    ig_world_open(&world);
    ig_world_register(&world, "m", 1);
    ASSERT_OK(
        ig_registry_version_get(&version, world.registry, IG_STR("m"), 1, &world.arena, &err));
    ASSERT_OK(ig_servable_load(&servable, &(struct ig_servable_source){world.blobs, 0}, IG_STR("d"),
                               &version, &err));
    assert_string_equal(servable->deployment, "d");
    assert_string_equal(servable->model, "m");
    assert_int_equal(servable->version, 1);
    assert_true(ig_str_is(version.digest, servable->digest));
    assert_string_equal(servable->model_digest, servable->package->model_digest);
    assert_true(servable->loaded_ms > 0);
    assert_ptr_equal(ig_servable_ref(servable), servable);
    ig_servable_unref(servable);
    assert_int_equal(servable->package->schema.features_count, 1); /* still there */
    ig_servable_unref(servable);
    ig_servable_unref(NULL);
    version.digest = IG_STR("0000000000000000000000000000000000000000000000000000000000000000");
    ASSERT_FAILS(ig_servable_load(&servable, &(struct ig_servable_source){world.blobs, 0},
                                  IG_STR("d"), &version, &err),
                 IG_NOT_FOUND, "model 'm' version 1: blob 0000");
    ig_world_close(&world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_load_and_count)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
