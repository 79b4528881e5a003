/* SPDX-License-Identifier: Apache-2.0 */
/* Artifacts: paths that are taken and refused, files and directories, lists, deletion, the trail.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/mem.h"
#include "services/tracking/artifacts.h"
#include "stores/db_testing.h"
#include "stores/temp_testing.h"

#include <stdio.h>
#include <string.h>

static struct {
    struct ig_temp temp;
    struct ig_db *db;
    struct ig_arena arena;
} world;
static const struct ig_principal *const who = &IG_PRINCIPAL_LOCAL;

static int setup(void **state)
{
    (void)state;
    struct ig_err err = IG_ERR_INIT;
    world.temp = ig_temp_make();
    struct ig_db_options options = ig_db_testing_options(world.temp.fd);
    ig_arena_init(&world.arena, 1 << 16, 64 << 20);
    ASSERT_OK(ig_db_open(&world.db, &options, &err));
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    ig_db_close(world.db);
    ig_arena_deinit(&world.arena);
    ig_temp_remove(&world.temp);
    return 0;
}

static void put(const char *path, int64_t size)
{
    struct ig_err err = IG_ERR_INIT;
    struct ig_artifact artifact = {.size_bytes = size};
    memset(artifact.digest, 'a', IG_SHA256_HEX - 1);
    ASSERT_OK(ig_artifacts_put(world.db, who, ig_str_view(path), &artifact, &err));
}

static void drop(const char *path)
{
    struct ig_err err = IG_ERR_INIT;
    ASSERT_OK(ig_artifacts_delete(world.db, who, ig_str_view(path), &err));
}

/* "dir/ file=size " of a directory. */
static const char *list(const char *directory)
{
    static char text[1024];
    struct ig_err err = IG_ERR_INIT;
    struct ig_artifact_list found;
    size_t length = 0;
    text[0] = '\0';
    ASSERT_OK(ig_artifacts_list(&found, world.db, ig_str_view(directory), &world.arena, &err));
    for (size_t i = 0; i < found.count && length < sizeof text; i++) {
        const struct ig_artifact_entry *entry = &found.items[i];
        const char *gap = i ? " " : "";
        if (entry->is_dir) assert_int_equal(entry->size_bytes, 0);
        length += (size_t)(entry->is_dir
                               ? snprintf(text + length, sizeof text - length, "%s%.*s/", gap,
                                          IG_STR_ARGS(entry->name))
                               : snprintf(text + length, sizeof text - length, "%s%.*s=%lld", gap,
                                          IG_STR_ARGS(entry->name), (long long)entry->size_bytes));
    }
    return text;
}

static void test_paths(void **state)
{
    (void)state;
    static const char *const good[] = {"a",
                                       "0/run/artifacts/model/MLmodel",
                                       "a b/\xC3\xBC.txt",
                                       "...",
                                       "..a/b..",
                                       ".hidden/.x",
                                       "100%",
                                       "a%20b",
                                       "a%zz",
                                       "~/x:y?",
                                       "11:x",
                                       "a+b=c&d"};
    static const struct {
        const char *path, *why;
    } bad[] = {
        {"", "0 bytes"},
        {"/", "absolute"},
        {"/etc/passwd", "absolute"},
        {"C:/x", "absolute"},
        {"c:x", "absolute"},
        {"..", "'..'"},
        {".", "'.'"},
        {"a/../b", "'..'"},
        {"a/..", "'..'"},
        {"../a", "'..'"},
        {"a/./b", "'.'"},
        {"a//b", "empty"},
        {"a/", "empty"},
        {"a\\b", "0x5C"},
        {"a#b", "0x23"},
        {"a\nb", "0x0A"},
        {"a\x7F", "0x7F"},
        {"%2e%2e/a", "'%2e'"},
        {"a/%2E%2E", "'%2E'"},
        {"a%2fb", "'%2f'"},
        {"a%5Cb", "'%5C'"},
        {"a%00", "'%00'"},
        {"%252e%252e", "'%25'"},
        {"a%23", "'%23'"},
        {"\xC0\xAE\xC0\xAE/a", "UTF-8"},
        {"a\xFF", "UTF-8"},
    };
    struct ig_err err = IG_ERR_INIT;
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++)
        if (ig_artifacts_check_path(ig_str_view(good[i]), &err) != IG_OK)
            fail_msg("%s: %s", good[i], err.message);
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        err = IG_ERR_INIT;
        if (ig_artifacts_check_path(ig_str_view(bad[i].path), &err) != IG_INVALID)
            fail_msg("'%s' was taken", bad[i].path);
        if (!strstr(err.message, bad[i].why)) fail_msg("'%s': %s", bad[i].path, err.message);
    }
    err = IG_ERR_INIT;
    ASSERT_FAILS(ig_artifacts_check_path(((struct ig_str){"a\0b", 3}), &err), IG_INVALID, "0x00");
}

/* "x/x/.../x", `depth` names of `width` bytes. */
static struct ig_str path_of(char *text, size_t depth, size_t width)
{
    size_t length = 0;
    for (size_t i = 0; i < depth; i++) {
        if (i) text[length++] = '/';
        memset(text + length, 'x', width);
        length += width;
    }
    return (struct ig_str){text, length};
}

static void test_caps(void **state)
{
    (void)state;
    char text[2048];
    struct ig_err err = IG_ERR_INIT;
    ASSERT_OK(ig_artifacts_check_path(path_of(text, IG_ARTIFACT_DEPTH_MAX, 31), &err));
    ASSERT_OK(ig_artifacts_check_path(path_of(text, 4, IG_ARTIFACT_NAME_MAX), &err));
    ASSERT_FAILS(ig_artifacts_check_path(path_of(text, IG_ARTIFACT_DEPTH_MAX + 1, 1), &err),
                 IG_INVALID, "more than 32 segments");
    ASSERT_FAILS(ig_artifacts_check_path(path_of(text, 1, IG_ARTIFACT_NAME_MAX + 1), &err),
                 IG_INVALID, "a segment of 256 bytes");
    ASSERT_FAILS(ig_artifacts_check_path(path_of(text, 5, 205), &err), IG_INVALID, "1029 bytes");
}

static void test_life(void **state)
{
    (void)state;
    struct ig_err err = IG_ERR_INIT;
    struct ig_artifact artifact = {.size_bytes = 0}, other = {.size_bytes = 9};
    put("0/r/artifacts/a.txt", 5);
    ASSERT_OK(ig_artifacts_get(&artifact, world.db, IG_STR("0/r/artifacts/a.txt"), &err));
    assert_true(artifact.size_bytes == 5 && artifact.created_ms > 0);
    memset(other.digest, 'b', IG_SHA256_HEX - 1);
    ASSERT_OK(ig_artifacts_put(world.db, who, IG_STR("0/r/artifacts/a.txt"), &other, &err));
    ASSERT_OK(ig_artifacts_get(&artifact, world.db, IG_STR("0/r/artifacts/a.txt"), &err));
    assert_string_equal(artifact.digest, other.digest);
    assert_int_equal(artifact.size_bytes, 9);
    ASSERT_FAILS(ig_artifacts_get(&artifact, world.db, IG_STR("0/r/artifacts"), &err), IG_NOT_FOUND,
                 "no artifact '0/r/artifacts'");
    ASSERT_FAILS(ig_artifacts_get(&artifact, world.db, IG_STR("../x"), &err), IG_INVALID, "'..'");
    ASSERT_FAILS(ig_artifacts_put(world.db, who, IG_STR("a//b"), &other, &err), IG_INVALID,
                 "empty");
    ASSERT_FAILS(ig_artifacts_delete(world.db, who, IG_STR("/"), &err), IG_INVALID, "absolute");
}

/* A name is a file or a directory, never both. */
static void test_places(void **state)
{
    (void)state;
    struct ig_err err = IG_ERR_INIT;
    struct ig_artifact artifact = {.size_bytes = 1};
    put("d/e/f", 1);
    ASSERT_FAILS(ig_artifacts_put(world.db, who, IG_STR("d/e"), &artifact, &err), IG_CONFLICT,
                 "is a directory: there is 'd/e/f'");
    ASSERT_FAILS(ig_artifacts_put(world.db, who, IG_STR("d"), &artifact, &err), IG_CONFLICT,
                 "is a directory");
    ASSERT_FAILS(ig_artifacts_put(world.db, who, IG_STR("d/e/f/g/h"), &artifact, &err), IG_CONFLICT,
                 "lies in a file: there is 'd/e/f'");
    put("d/e.x", 2);
    put("d/e0", 3);
    put("d/e/ff", 4);
    assert_string_equal(list("d"), "e/ e.x=2 e0=3");
}

static void test_lists(void **state)
{
    (void)state;
    put("0/r/artifacts/b/x", 1);
    put("0/r/artifacts/b/y/z", 2);
    put("0/r/artifacts/b/y/zz", 3);
    put("0/r/artifacts/a", 4);
    put("0/r/artifacts/b-1", 5);
    put("0/r/artifacts/c0/\xC3\xBC", 6);
    put("0/r/artifactsX/no", 7);
    put("0/r2/artifacts/no", 8);
    assert_string_equal(list("0/r/artifacts"), "a=4 b/ b-1=5 c0/");
    assert_string_equal(list("0/r/artifacts/b"), "x=1 y/");
    assert_string_equal(list("0/r/artifacts/b/y"), "z=2 zz=3");
    assert_string_equal(list("0/r/artifacts/c0"), "\xC3\xBC=6");
    assert_string_equal(list("0/r/artifacts/a"), "");
    assert_string_equal(list("0/none"), "");
    assert_string_equal(list("0"), "r/ r2/");
    assert_string_equal(list(""), "0/");
    put("\xF4\x8F\xBF\xBE", 9);
    assert_string_equal(list(""), "0/ \xF4\x8F\xBF\xBE=9");
    put("\xF4\x8F\xBF\xBF", 10);
    put("\xF4\x8F\xBF\xBF\xF4\x8F\xBF\xBF\xC3\xBC/x", 11); /* behind U+10FFFF alone */
    assert_string_equal(list(""), "0/ \xF4\x8F\xBF\xBE=9 \xF4\x8F\xBF\xBF=10"
                                  " \xF4\x8F\xBF\xBF\xF4\x8F\xBF\xBF\xC3\xBC/");
    struct ig_err err = IG_ERR_INIT;
    struct ig_artifact_list found;
    ASSERT_FAILS(ig_artifacts_list(&found, world.db, IG_STR("0/../1"), &world.arena, &err),
                 IG_INVALID, "'..'");
}

static void test_delete(void **state)
{
    (void)state;
    struct ig_err err = IG_ERR_INIT;
    struct ig_audit_list trail;
    put("r/a", 1);
    put("r/b/c", 2);
    put("r/b/d/e", 3);
    put("r/b0", 4);
    drop("r/b");
    assert_string_equal(list("r"), "a=1 b0=4");
    ASSERT_OK(ig_audit_list(&trail, world.db, &world.arena, 0, 10, &err));
    assert_int_equal(trail.count, 5);
    assert_true(ig_str_is(trail.items[0].action, "artifact.delete"));
    assert_true(ig_str_is(trail.items[0].object, "r/b"));
    assert_true(ig_str_is(trail.items[0].detail, "{\"files\":2}"));
    assert_true(ig_str_is(trail.items[1].action, "artifact.put"));
    assert_true(ig_str_is(trail.items[1].object, "r/b0"));
    drop("r/none");
    drop("r/a");
    assert_string_equal(list("r"), "b0=4");
    drop("r");
    assert_string_equal(list(""), "");
    ASSERT_OK(ig_audit_verify(world.db, &err));
}

static enum ig_code add_runs(struct ig_db_tx *tx, void *context, struct ig_err *err)
{
    static const char *const roots[] = {"mlflow-artifacts:/0/r0/artifacts", "s3://bucket/x",
                                        "mlflow-artifacts:/../r2", "mlflow-artifacts://host/r3"};
    char id[8];
    (void)context;
    ig_db_exec(tx,
               "insert into experiments(id, name, artifact_root, stage, created_ms, updated_ms)"
               " values(7, 'e', 'x', 'active', 1, 1)",
               NULL, 0, err);
    for (size_t i = 0; i < sizeof roots / sizeof roots[0] && err->code == IG_OK; i++) {
        snprintf(id, sizeof id, "r%zu", i);
        ig_db_exec(tx,
                   "insert into runs(id, experiment, name, user_id, status, stage, start_ms,"
                   " artifact_root) values($1, 7, '', '', 1, 'active', 1, $2)",
                   IG_DB_VALUES(IG_DB_C(id), IG_DB_C(roots[i])), err);
    }
    return err->code;
}

static void test_runs(void **state)
{
    (void)state;
    struct ig_err err = IG_ERR_INIT;
    struct ig_str uri, directory;
    struct ig_arena *arena = &world.arena;
    ASSERT_OK(ig_db_write(world.db, add_runs, NULL, &err));
    ASSERT_OK(ig_artifacts_of_run(&uri, &directory, world.db, IG_STR("r0"), arena, &err));
    assert_true(ig_str_is(uri, "mlflow-artifacts:/0/r0/artifacts"));
    assert_true(ig_str_is(directory, "0/r0/artifacts"));
    ASSERT_FAILS(ig_artifacts_of_run(&uri, &directory, world.db, IG_STR("r1"), arena, &err),
                 IG_INVALID, "at 's3://bucket/x', not here");
    ASSERT_FAILS(ig_artifacts_of_run(&uri, &directory, world.db, IG_STR("r2"), arena, &err),
                 IG_INVALID, "'..'");
    ASSERT_FAILS(ig_artifacts_of_run(&uri, &directory, world.db, IG_STR("r3"), arena, &err),
                 IG_INVALID, "absolute");
    ASSERT_FAILS(ig_artifacts_of_run(&uri, &directory, world.db, IG_STR("r'9"), arena, &err),
                 IG_NOT_FOUND, "Run with id=r'9 not found");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_paths),
        cmocka_unit_test(test_caps),
        cmocka_unit_test_setup_teardown(test_life, setup, teardown),
        cmocka_unit_test_setup_teardown(test_places, setup, teardown),
        cmocka_unit_test_setup_teardown(test_lists, setup, teardown),
        cmocka_unit_test_setup_teardown(test_delete, setup, teardown),
        cmocka_unit_test_setup_teardown(test_runs, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
