/* SPDX-License-Identifier: Apache-2.0 */
/* Versions whose files can be served: one model, one number and one alias in both registries. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "formats/package.h"
#include "services/registered/registered.h"
#include "services/registry/world_testing.h"
#include "services/tracking/artifacts.h"
#include "services/tracking/logged.h"

#include <stdio.h>
#include <string.h>

static struct ig_world world;
static struct ig_tracking *tracking;
static struct ig_registered_by by;
static struct ig_err err;
static const struct ig_principal *const who = &IG_PRINCIPAL_LOCAL;

#define SIGNED                                                                                     \
    "signature:\n  inputs: '[{\"type\": \"long\", \"name\": \"size\", \"required\": true}]'\n"
#define NATIVE "flavors:\n  lightgbm:\n    data: model.lgb\n" SIGNED
#define PICKLE "flavors:\n  sklearn:\n    pickled_model: model.pkl\n" SIGNED

static int setup(void **state)
{
    (void)state;
    err = IG_ERR_INIT;
    ig_world_open(&world);
    ASSERT_OK(ig_tracking_open(&tracking, world.db, &err));
    by = (struct ig_registered_by){
        .db = world.db, .who = who, .arena = &world.arena, .blobs = world.blobs};
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    ig_tracking_close(tracking);
    ig_world_close(&world);
    return 0;
}

static void put(struct ig_str directory, const char *name, struct ig_str bytes)
{
    struct ig_artifact artifact = {.size_bytes = (int64_t)bytes.len};
    const char *path = ig_arena_printf(&world.arena, "%.*s/%s", IG_STR_ARGS(directory), name);
    ASSERT_OK(ig_blob_put(artifact.digest, world.blobs, bytes, &err));
    ASSERT_OK(ig_artifacts_put(world.db, who, ig_str_view(path), &artifact, &err));
}

/* A logged model with this MLmodel beside the stump. */
static struct ig_str log_model(const char *mlmodel, double low)
{
    char text[1024];
    struct ig_logged_model model;
    struct ig_str directory;
    const struct ig_logged_spec spec = {
        .name = IG_STR("l"), .model_type = IG_STR(""), .source_run = IG_STR("")};
    ASSERT_OK(ig_logged_create(&model, world.db, &spec, &world.arena, &err));
    ASSERT_OK(ig_artifacts_directory(&directory, model.artifact_root, "x", &err));
    if (mlmodel) put(directory, "MLmodel", ig_str_view(mlmodel));
    put(directory, "model.lgb", ig_world_model(text, low, -low));
    return model.id;
}

static void make_model(const char *name)
{
    struct ig_registered_model model;
    const struct ig_registered_spec spec = {ig_str_view(name), IG_STR(""),
                                            (struct ig_tracking_pairs){NULL, 0}};
    ASSERT_OK(ig_registered_create(&model, &by, &spec, &err));
}

/* Registers the logged model; returns what the tag says. */
static const char *add(const char *name, struct ig_str id, int64_t number)
{
    struct ig_registered_version version = {.version = 0};
    const struct ig_registered_version_spec spec = {
        .name = ig_str_view(name),
        .source = ig_str_view(ig_arena_printf(&world.arena, "models:/%.*s", IG_STR_ARGS(id))),
        .description = IG_STR(""),
        .run_link = IG_STR(""),
        .model_id = id};
    ASSERT_OK(ig_registered_version_create(&version, &by, &spec, &err));
    assert_int_equal(version.version, number);
    for (size_t i = 0; i < version.tags.count; i++)
        if (ig_str_is(version.tags.items[i].key, "ingot.servable"))
            return version.tags.items[i].value.ptr;
    return "";
}

static struct ig_registry_version resolve(const char *uri)
{
    struct ig_registry_version found = {.version = 0};
    ASSERT_OK(ig_registry_resolve(&found, world.registry, ig_str_view(uri), &world.arena, &err));
    return found;
}

static void refuse(const char *uri, enum ig_code code, const char *text)
{
    struct ig_registry_version found;
    ASSERT_FAILS(ig_registry_resolve(&found, world.registry, ig_str_view(uri), &world.arena, &err),
                 code, text);
}

static void test_one_number_in_both(void **state)
{
    (void)state;
    struct ig_package *package = NULL;
    struct ig_buf bytes;
    make_model("churn");
    assert_string_equal(add("churn", log_model(PICKLE, 1), 1),
                        "no: the sklearn flavor holds Python objects or code, which are never "
                        "opened; convert it: mlflow.onnx.log_model(skl2onnx.to_onnx(model, "
                        "X[:1].to_numpy('float32')), name='model')");
    refuse("models:/churn", IG_NOT_FOUND, "model 'churn' has no version that can be served");
    refuse("models:/churn/1", IG_UNSUPPORTED,
           "version 1 of model 'churn' cannot be served: the sklearn flavor");
    assert_string_equal(add("churn", log_model(NATIVE, 2), 2), "yes");
    assert_int_equal(ig_world_register(&world, "churn", 3), 3);
    assert_string_equal(add("churn", log_model(NULL, 1), 4), "");
    refuse("models:/churn/4", IG_UNSUPPORTED, "cannot be served: no MLmodel lay at");
    assert_string_equal(add("churn", log_model(NATIVE, 5), 5), "yes");
    assert_int_equal(resolve("models:/churn").version, 5);
    assert_int_equal(resolve("models:/churn/latest").version, 5);
    struct ig_registry_version found = resolve("models:/churn/2");
    assert_true(ig_str_is(found.format, "lightgbm"));
    ig_buf_init(&bytes, 1 << 20);
    ASSERT_OK(ig_blob_read(&bytes, world.blobs, found.digest, &err));
    ASSERT_OK(ig_package_open_bytes(&package, ig_buf_view(&bytes), NULL, &err));
    assert_int_equal(package->schema.features[0].type, IG_FEATURE_INTEGER);
    assert_true(strstr(package->metadata_json.ptr, "mlflow_flavor") != NULL);
    assert_string_equal(found.model_digest.ptr, package->model_digest);
    ig_package_free(package);
    ig_buf_deinit(&bytes);
}

static void test_one_alias_in_both(void **state)
{
    (void)state;
    struct ig_registered_version version;
    struct ig_str churn = IG_STR("churn");
    make_model("churn");
    add("churn", log_model(NATIVE, 1), 1);
    add("churn", log_model(PICKLE, 1), 2);
    ASSERT_OK(ig_registered_alias(&by, churn, IG_STR("_best"), IG_STR("1"), &err));
    assert_int_equal(resolve("models:/churn@_best").version, 1);
    assert_true(ig_str_is(resolve("models:/churn/1").aliases, "_best"));
    ASSERT_OK(ig_registry_alias_set(world.registry, who, churn, IG_STR("live"), 1, &err));
    ASSERT_OK(
        ig_registered_version_find(&version, world.db, churn, IG_STR("live"), &world.arena, &err));
    assert_int_equal(version.version, 1);
    assert_int_equal(version.aliases_count, 2);
    ASSERT_FAILS(ig_registry_alias_set(world.registry, who, churn, IG_STR("live"), 2, &err),
                 IG_UNSUPPORTED, "version 2 of model 'churn' cannot be served: the sklearn");
    ASSERT_OK(ig_registered_alias(&by, churn, IG_STR("live"), IG_STR("2"), &err));
    refuse("models:/churn@live", IG_UNSUPPORTED, "version 2 of model 'churn' cannot be served");
    ASSERT_OK(ig_registered_unalias(&by, churn, IG_STR("live"), &err));
    refuse("models:/churn@live", IG_NOT_FOUND, "model 'churn' has no alias 'live'");
    ASSERT_FAILS(ig_registry_version_delete(world.registry, who, churn, 1, &err), IG_CONFLICT,
                 "is deployed or has an alias");
}

static void test_renaming_and_deleting(void **state)
{
    (void)state;
    struct ig_registered_model model;
    struct ig_str a = IG_STR("a"), b = IG_STR("b");
    make_model("a");
    add("a", log_model(NATIVE, 1), 1);
    add("a", log_model(NATIVE, 2), 2);
    ASSERT_OK(ig_registered_alias(&by, a, IG_STR("x"), IG_STR("1"), &err));
    ig_world_register(&world, "taken", 1);
    ASSERT_FAILS(ig_registered_rename(&model, &by, a, IG_STR("taken"), &err), IG_EXISTS,
                 "model 'taken' exists already");
    ASSERT_FAILS(ig_registered_rename(&model, &by, a, IG_STR("a b"), &err), IG_INVALID,
                 "model name 'a b'");
    ASSERT_OK(ig_registered_rename(&model, &by, a, b, &err));
    assert_int_equal(model.aliases.count, 1);
    assert_int_equal(resolve("models:/b@x").version, 1);
    refuse("models:/a", IG_NOT_FOUND, "model 'a' does not exist");
    ASSERT_OK(ig_registered_version_delete(&by, b, IG_STR("1"), &err));
    refuse("models:/b/1", IG_NOT_FOUND, "model 'b' has no version 1");
    refuse("models:/b@x", IG_NOT_FOUND, "model 'b' has no alias 'x'");
    assert_int_equal(resolve("models:/b").version, 2);
    ASSERT_OK(ig_registered_delete(&by, b, &err));
    refuse("models:/b", IG_NOT_FOUND, "model 'b' does not exist");
}

/* A model that Ingot deletes is no longer served; its registered versions stay. */
static void test_deleting_what_is_served(void **state)
{
    (void)state;
    struct ig_registered_version version;
    struct ig_str a = IG_STR("a");
    make_model("a");
    add("a", log_model(NATIVE, 1), 1);
    ASSERT_OK(ig_registered_alias(&by, a, IG_STR("x"), IG_STR("1"), &err));
    ASSERT_OK(ig_registry_model_delete(world.registry, who, a, &err));
    refuse("models:/a", IG_NOT_FOUND, "model 'a' has no version that can be served");
    refuse("models:/a@x", IG_UNSUPPORTED, "its package was deleted; register 'models:/a/1' again");
    ASSERT_OK(ig_registered_version_find(&version, world.db, a, IG_STR("x"), &world.arena, &err));
    assert_int_equal(version.version, 1);
    add("a", log_model(NATIVE, 1), 2);
    ASSERT_OK(ig_registered_version_delete(&by, a, IG_STR("1"), &err));
}

static void test_bad_directories(void **state)
{
    (void)state;
    make_model("a b");
    make_model("c");
    assert_true(strstr(add("a b", log_model(NATIVE, 1), 1), "no: model name 'a b'"));
    assert_string_equal(add("c", log_model("flavors:\n  onnx:\n    data: ../m.onnx\n", 1), 1),
                        "no: path: the segment '..' is not allowed");
    assert_true(strstr(add("c", log_model("flavors:\n  onnx:\n    data: m.onnx\n", 1), 2),
                       "no: there is no artifact"));
    assert_true(strstr(add("c", log_model("flavors:\n  xgboost:\n    data: MLmodel.json\n", 1), 3),
                       "no: "));
    assert_true(strstr(add("c", log_model("{", 1), 4), "no: MLmodel: "));
}

#define CASE(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {CASE(test_one_number_in_both), CASE(test_one_alias_in_both),
                                       CASE(test_renaming_and_deleting),
                                       CASE(test_deleting_what_is_served),
                                       CASE(test_bad_directories)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
