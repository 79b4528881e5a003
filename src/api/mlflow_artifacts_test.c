/* SPDX-License-Identifier: Apache-2.0 */
/* What the artifact proxy answers without a stream: lists, deletion, refused paths. */
#include <stdarg.h>
#include <stddef.h>

#include <setjmp.h>
#include <stdint.h>

#include <cmocka.h>

#include "api/call_testing.h"
#include "api/route.h"
#include "services/registry/world_testing.h"

static struct ig_call_testing test;
static struct ig_world world;

static int setup(void **state)
{
    (void)state;
    ig_call_testing_init(&test);
    ig_world_open(&world);
    test.app.db = world.db;
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    ig_world_close(&world);
    ig_call_testing_deinit(&test);
    return 0;
}

static void put(const char *path, int64_t size)
{
    struct ig_err err = IG_ERR_INIT;
    struct ig_artifact artifact = {.size_bytes = size};
    memset(artifact.digest, 'a', IG_SHA256_HEX - 1);
    ASSERT_OK(
        ig_artifacts_put(test.app.db, &IG_PRINCIPAL_LOCAL, ig_str_view(path), &artifact, &err));
}

static const char *list(const char *query)
{
    ig_call_testing_again(&test);
    test.exchange.request.query = ig_str_view(query);
    if (ig_mlflow_artifact_list(&test.call) != IG_OK) return test.call.err.message;
    return test.exchange.reply.ptr;
}

static void test_list(void **state)
{
    (void)state;
    assert_string_equal(list(""), "{\"files\":[]}");
    put("0/r/artifacts/model/MLmodel", 7);
    put("0/r/artifacts/a \"b\".txt", 0);
    assert_string_equal(list(""), "{\"files\":[{\"path\":\"0\",\"is_dir\":true}]}");
    assert_string_equal(list("path="), "{\"files\":[{\"path\":\"0\",\"is_dir\":true}]}");
    assert_string_equal(
        list("path=0%2Fr/artifacts"),
        "{\"files\":[{\"path\":\"a \\\"b\\\".txt\",\"is_dir\":false,\"file_size\":0},"
        "{\"path\":\"model\",\"is_dir\":true}]}");
    assert_string_equal(list("path=0/r/artifacts/model"),
                        "{\"files\":[{\"path\":\"MLmodel\",\"is_dir\":false,\"file_size\":7}]}");
    assert_non_null(strstr(list("path=%2e%2e/x"), "'..'"));
    assert_int_equal(test.call.err.code, IG_INVALID);
    assert_non_null(strstr(list("path=/etc"), "absolute"));
}

static enum ig_code ask(enum ig_code (*handler)(struct ig_call *), const char *path)
{
    ig_call_testing_again(&test);
    test.call.who = IG_PRINCIPAL_LOCAL;
    test.call.params[0] = ig_str_view(path);
    return handler(&test.call);
}

static void test_delete(void **state)
{
    (void)state;
    put("d/a", 1);
    put("d/b", 2);
    assert_int_equal(ask(ig_mlflow_artifact_delete, "d/a"), IG_OK);
    assert_string_equal(test.exchange.reply.ptr, "{}");
    assert_int_equal(ask(ig_mlflow_artifact_delete, "d/none"), IG_OK);
    assert_string_equal(list("path=d"),
                        "{\"files\":[{\"path\":\"b\",\"is_dir\":false,\"file_size\":2}]}");
    assert_int_equal(ask(ig_mlflow_artifact_delete, "d/%2e%2e"), IG_INVALID);
}

/* Refused before a byte of the body is read, or of the disk. */
static void test_refused(void **state)
{
    (void)state;
    assert_int_equal(ask(ig_mlflow_artifact_put, "a\\b"), IG_INVALID);
    assert_int_equal(ask(ig_mlflow_artifact_put, "a#b"), IG_INVALID);
    assert_int_equal(ask(ig_mlflow_artifact_get, "C:/b"), IG_INVALID);
    assert_int_equal(ask(ig_mlflow_artifact_get, "a/none"), IG_NOT_FOUND);
}

static enum ig_code add_run(struct ig_db_tx *tx, void *context, struct ig_err *err)
{
    (void)context;
    ig_db_exec(tx,
               "insert into experiments(id, name, artifact_root, stage, created_ms, updated_ms)"
               " values(7, 'e', 'x', 'active', 1, 1)",
               NULL, 0, err);
    return ig_db_exec(tx,
                      "insert into runs(id, experiment, name, user_id, status, stage, start_ms,"
                      " artifact_root) values('r', 7, '', '', 1, 'active', 1,"
                      " 'mlflow-artifacts:/7/r/artifacts')",
                      NULL, 0, err);
}

static enum ig_code move_run(struct ig_db_tx *tx, void *context, struct ig_err *err)
{
    (void)context;
    return ig_db_exec(tx,
                      "update runs set artifact_root = 'mlflow-artifacts:/7/r/artifacts?x=1'"
                      " where id = 'r'",
                      NULL, 0, err);
}

static const char *of_run(enum ig_code (*handler)(struct ig_call *), const char *query)
{
    ig_call_testing_again(&test);
    test.exchange.request.query = ig_str_view(query);
    if (handler(&test.call) != IG_OK) return test.call.err.message;
    return test.exchange.reply.ptr;
}

/* Of a run: paths relative to it, and none that lead out of it. */
static void test_of_run(void **state)
{
    (void)state;
    struct ig_err err = IG_ERR_INIT;
    ASSERT_OK(ig_db_write(test.app.db, add_run, NULL, &err));
    put("7/r/artifacts/model/MLmodel", 7);
    put("7/secret", 8);
    static const struct {
        const char *query, *text;
    } lists[] = {
        {"run_id=r", "{\"root_uri\":\"mlflow-artifacts:/7/r/artifacts\",\"files\":"
                     "[{\"path\":\"model\",\"is_dir\":true}]}"},
        {"run_uuid=r&path=model",
         "{\"root_uri\":\"mlflow-artifacts:/7/r/artifacts\",\"files\":"
         "[{\"path\":\"model/MLmodel\",\"is_dir\":false,\"file_size\":7}]}"},
        {"run_id=none", "Run with id=none not found"},
        {"path=model", "Missing value for required parameter 'run_id'. See the API docs for more "
                       "information about request parameters."},
        {"run_id=r&path=..%2F..", "Invalid path"},
        {"run_id=r&path=/7", "Invalid path"},
    };
    for (size_t i = 0; i < sizeof lists / sizeof lists[0]; i++)
        assert_string_equal(of_run(ig_mlflow_run_artifact_list, lists[i].query), lists[i].text);
    static const struct {
        const char *query, *text;
    } gets[] = {
        {"run_uuid=r", "Missing value for required parameter 'path'."},
        {"run_uuid=r&path=model", "there is no artifact '7/r/artifacts/model'"},
        {"run_uuid=r&path=../../secret", "Invalid path"},
        {"run_uuid=r&path=%2e%2e/%2e%2e/secret", "Invalid path"},
        {"run_uuid=r&path=C:/secret", "path: 'C:/secret' is absolute, expected a relative one"},
    };
    for (size_t i = 0; i < sizeof gets / sizeof gets[0]; i++)
        assert_string_equal(of_run(ig_mlflow_run_artifact_get, gets[i].query), gets[i].text);
    ASSERT_OK(ig_db_write(test.app.db, move_run, NULL, &err));
    assert_string_equal(of_run(ig_mlflow_run_artifact_list, "run_id=r"),
                        "{\"root_uri\":\"mlflow-artifacts:/7/r/artifacts?x=1\",\"files\":"
                        "[{\"path\":\"model\",\"is_dir\":true}]}");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_list, setup, teardown),
        cmocka_unit_test_setup_teardown(test_delete, setup, teardown),
        cmocka_unit_test_setup_teardown(test_refused, setup, teardown),
        cmocka_unit_test_setup_teardown(test_of_run, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
