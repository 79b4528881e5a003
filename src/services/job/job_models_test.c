/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/file.h"
#include "services/job/job_models.h"
#include "services/registry/world_testing.h"

#include <unistd.h>

static struct ig_world world;

static int setup(void **state)
{
    struct ig_err err = IG_ERR_INIT;
    (void)state;
    ig_world_open(&world);
    ig_world_register(&world, "trees", -1);
    ig_world_register(&world, "trees", -2);
    ig_world_register(&world, "net", -3);
    ASSERT_OK(ig_registry_alias_set(world.registry, &IG_PRINCIPAL_LOCAL, IG_STR("trees"),
                                    IG_STR("best"), 1, &err));
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    ig_world_close(&world);
    return 0;
}

static struct ig_job_params params_of(const char *teacher, const char *source)
{
    struct ig_err err = IG_ERR_INIT;
    struct ig_job_params params;
    ig_params_defaults(&params, IG_JOB_EDGE);
    ASSERT_OK(ig_params_set(&params, IG_STR("teacher"), ig_str_view(teacher), &err));
    ASSERT_OK(ig_params_set(&params, IG_STR("source"), ig_str_view(source), &err));
    return params;
}

static void aliases_become_numbers(void **state)
{
    (void)state;
    struct ig_err err = IG_ERR_INIT;
    struct ig_job_params params = params_of("models:/trees/best", "models:/net");
    ASSERT_OK(ig_job_models_resolve(&params, world.registry, &err));
    assert_string_equal(params.edge.teacher.text, "models:/trees/1");
    assert_string_equal(params.edge.source.text, "models:/net/1");
    params = params_of("", "models:/trees@best");
    ASSERT_OK(ig_job_models_resolve(&params, world.registry, &err));
    assert_string_equal(params.edge.source.text, "models:/trees/1");
    params = params_of("models:/trees/best , models:/net,models:/trees", "");
    ASSERT_OK(ig_job_models_resolve(&params, world.registry, &err));
    assert_string_equal(params.edge.teacher.text, "models:/trees/1,models:/net/1,models:/trees/2");
    params = params_of("models:/a/1,models:/a/1,models:/a/1,models:/a/1", "");
    ASSERT_FAILS(ig_job_models_resolve(&params, world.registry, &err), IG_INVALID,
                 "parameter 'teacher': more than 3 models");
    params = params_of("models:/trees/1,,models:/net/1", "");
    ASSERT_FAILS(ig_job_models_resolve(&params, world.registry, &err), IG_INVALID,
                 "parameter 'teacher': model ''");
    params = params_of("", "models:/none/1");
    ASSERT_FAILS(ig_job_models_resolve(&params, world.registry, &err), IG_NOT_FOUND,
                 "parameter 'source': ");
    params = params_of("runs:/x/model", "");
    ASSERT_FAILS(ig_job_models_resolve(&params, world.registry, &err), IG_INVALID,
                 "parameter 'teacher': model 'runs:/x/model': expected models:/NAME/VERSION");
}

static void packages_come_in_order(void **state)
{
    (void)state;
    struct ig_err err = IG_ERR_INIT;
    const struct ig_job_models from = {world.registry, world.blobs};
    int fds[IG_JOB_MODELS_MAX];
    size_t count = 9;
    char expected[3][1024], found[1024];
    ig_world_model(expected[0], -2, 2);
    ig_world_model(expected[1], -1, 1);
    ig_world_model(expected[2], -3, 3);
    struct ig_job_params params = params_of("models:/trees/2,models:/trees/1", "models:/net/1");
    ASSERT_OK(ig_job_models_open(fds, &count, &from, &params, &err));
    assert_int_equal(count, 3);
    for (int i = 0; i < 3; i++) {
        ssize_t got = read(fds[i], found, sizeof found);
        assert_int_equal(got, strlen(expected[i]));
        assert_memory_equal(found, expected[i], (size_t)got);
        ig_file_close(&fds[i]);
    }
    params = params_of("models:/trees/1", "models:/net/7");
    ASSERT_FAILS(ig_job_models_open(fds, &count, &from, &params, &err), IG_NOT_FOUND,
                 "parameter 'source'");
    assert_int_equal(count, 0);
    ig_params_defaults(&params, IG_JOB_XGBOOST);
    ASSERT_OK(ig_job_models_open(fds, &count, &from, &params, &err));
    assert_int_equal(count, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(aliases_become_numbers),
        cmocka_unit_test(packages_come_in_order),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
