/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "services/explain/backgrounds.h"
#include "services/registry/world_testing.h"

static const struct ig_principal *const who = &IG_PRINCIPAL_LOCAL;

struct fixture {
    struct ig_world world;
    struct ig_backgrounds *backgrounds;
    char digests[2][IG_SHA256_HEX];
};

static int setup(void **state)
{
    static struct fixture fixture;
    struct ig_err err = IG_ERR_INIT;
    ig_world_open(&fixture.world);
    struct ig_world *world = &fixture.world;
    ig_world_register(world, "m", -0.75);
    ASSERT_OK(ig_blob_put(fixture.digests[0], world->blobs, IG_STR("size\n1\n2\n"), &err));
    ASSERT_OK(ig_blob_put(fixture.digests[1], world->blobs, IG_STR("size\n1\n2\n3\n"), &err));
    ASSERT_OK(
        ig_backgrounds_open(&fixture.backgrounds, world->db, world->blobs, world->registry, &err));
    *state = &fixture;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *fixture = *state;
    ig_backgrounds_close(fixture->backgrounds);
    ig_world_close(&fixture->world);
    return 0;
}

static struct ig_background_spec spec_of(const struct fixture *fixture, int which)
{
    return (struct ig_background_spec){IG_STR("m"), IG_STR("all"),
                                       ig_str_view(fixture->digests[which])};
}

/* Set, found, replaced, listed, still there after a restart, deleted. */
static void test_life(void **state)
{
    struct fixture *fixture = *state;
    struct ig_world *world = &fixture->world;
    struct ig_err err = IG_ERR_INIT;
    struct ig_background_info info;
    struct ig_background_list list;
    char digest[IG_SHA256_HEX];
    for (int i = 0; i < 2; i++) {
        struct ig_background_spec spec = spec_of(fixture, i);
        ASSERT_OK(ig_backgrounds_set(fixture->backgrounds, who, &spec, &err));
        assert_int_equal(
            ig_backgrounds_find(digest, fixture->backgrounds, IG_STR("m"), IG_STR("all"), false),
            IG_BACKGROUND_FOUND);
        assert_string_equal(digest, fixture->digests[i]);
    }
    ASSERT_OK(ig_backgrounds_get(&info, fixture->backgrounds, IG_STR("m"), IG_STR("all"),
                                 &world->arena, &err));
    assert_int_equal(info.rows_count, 3);
    assert_true(ig_str_is(info.digest, fixture->digests[1]) && info.created_ms > 0);
    ig_backgrounds_close(fixture->backgrounds);
    ASSERT_OK(
        ig_backgrounds_open(&fixture->backgrounds, world->db, world->blobs, world->registry, &err));
    assert_int_equal(
        ig_backgrounds_find(digest, fixture->backgrounds, IG_STR("m"), IG_STR("all"), true),
        IG_BACKGROUND_FOUND);
    ASSERT_OK(ig_backgrounds_list(&list, fixture->backgrounds, IG_STR("m"), &world->arena, &err));
    assert_int_equal(list.count, 1);
    ASSERT_OK(ig_backgrounds_delete(fixture->backgrounds, who, IG_STR("m"), IG_STR("all"), &err));
    assert_int_equal(
        ig_backgrounds_find(digest, fixture->backgrounds, IG_STR("m"), IG_STR("all"), false),
        IG_BACKGROUND_ABSENT);
    ASSERT_FAILS(ig_backgrounds_delete(fixture->backgrounds, who, IG_STR("m"), IG_STR("all"), &err),
                 IG_NOT_FOUND, "model 'm' has no background 'all'");
    ASSERT_FAILS(ig_backgrounds_get(&info, fixture->backgrounds, IG_STR("m"), IG_STR("all"),
                                    &world->arena, &err),
                 IG_NOT_FOUND, "no background 'all'");
}

/* What does not fit leaves what was. */
static void test_refusals(void **state)
{
    struct fixture *fixture = *state;
    struct ig_world *world = &fixture->world;
    struct ig_err err = IG_ERR_INIT;
    struct ig_background_spec spec = spec_of(fixture, 0);
    char digest[IG_SHA256_HEX], found[IG_SHA256_HEX];
    ASSERT_OK(ig_backgrounds_set(fixture->backgrounds, who, &spec, &err));
    ASSERT_OK(ig_blob_put(digest, world->blobs, IG_STR("weight\n1\n"), &err));
    spec.digest = ig_str_view(digest);
    ASSERT_FAILS(ig_backgrounds_set(fixture->backgrounds, who, &spec, &err), IG_INVALID,
                 "background: the header lacks 1 of the model's features: 'size'");
    spec.digest = IG_STR("0000000000000000000000000000000000000000000000000000000000000000");
    ASSERT_FAILS(ig_backgrounds_set(fixture->backgrounds, who, &spec, &err), IG_NOT_FOUND, "blob");
    spec = spec_of(fixture, 0);
    spec.model = IG_STR("none");
    ASSERT_FAILS(ig_backgrounds_set(fixture->backgrounds, who, &spec, &err), IG_NOT_FOUND, "none");
    spec = spec_of(fixture, 0);
    spec.name = IG_STR("a/b");
    ASSERT_FAILS(ig_backgrounds_set(fixture->backgrounds, who, &spec, &err), IG_INVALID,
                 "background name 'a/b'");
    assert_int_equal(
        ig_backgrounds_find(found, fixture->backgrounds, IG_STR("m"), IG_STR("all"), false),
        IG_BACKGROUND_FOUND);
    assert_string_equal(found, fixture->digests[0]);
    struct ig_background_list list;
    ASSERT_FAILS(
        ig_backgrounds_list(&list, fixture->backgrounds, IG_STR("none"), &world->arena, &err),
        IG_NOT_FOUND, "none");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_life, setup, teardown),
        cmocka_unit_test_setup_teardown(test_refusals, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
