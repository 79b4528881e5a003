/* SPDX-License-Identifier: Apache-2.0 */
/* The server with its rows in PostgreSQL: what clients do is there after a restart and a kill, a
 * password comes from a file and is shown nowhere, offline verbs follow, a second server is kept
 * out, and a database that goes away is told as such and taken up again. */
#include "support/live.h"

#include "stores/postgres_testing.h"

#include <string.h>
#include <sys/stat.h>

#define ROW "{\"model\":\"d\",\"features\":{\"x0\":0.9,\"x1\":0.1,\"colour\":\"green\"}}"
#define PASSWORD "geheim/@:%"
#define MLFLOW "/api/2.0/mlflow/"

static struct live live;
static struct ig_postgres postgres;
static char url[512], wrong_url[512], run_id[64];
static struct live_run run;

/* Makes a user that has to give a password, by a database of our own. */
static enum ig_code make_user(struct ig_db_tx *tx, void *context, struct ig_err *err)
{
    (void)context;
    ig_db_exec(tx, "create role keeper login password '" PASSWORD "'", NULL, 0, err);
    return ig_db_exec(tx, "grant create on database postgres to keeper", NULL, 0, err);
}

static void ask_for_password(void)
{
    static const char LINES[] = "local all keeper scram-sha-256\nlocal all all trust\n";
    struct ig_temp temp = ig_temp_make();
    struct ig_err err = IG_ERR_INIT;
    struct ig_db_options options = {.dirfd = temp.fd,
                                    .database = ig_postgres_url(&postgres, temp.path)};
    struct ig_db *db = NULL;
    char path[96];
    ASSERT_OK(ig_db_open(&db, &options, &err));
    ASSERT_OK(ig_db_write(db, make_user, NULL, &err));
    ig_db_close(db);
    ig_temp_remove(&temp);
    snprintf(path, sizeof path, "%s/data/pg_hba.conf", postgres.dir);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    fputs(LINES, file);
    fclose(file);
    ig_postgres_stop(&postgres, SIGINT);
    ig_postgres_run(&postgres);
}

static int setup(void **state)
{
    (void)state;
    ig_postgres_start(&postgres, IG_POSTGRES_FAST);
    if (!postgres.pid) return 0;
    ask_for_password();
    live_make(&live);
    live_write_table(&live, "table.csv", 200);
    live_write(&live, "password", PASSWORD "\n");
    snprintf(url, sizeof url,
             "postgresql://keeper@/postgres?host=%s&options=-csearch_path%%3Dingot", postgres.dir);
    snprintf(wrong_url, sizeof wrong_url, "postgresql://keeper:falsch@/postgres?host=%s",
             postgres.dir);
    unsetenv("INGOT_TEST_DATABASE");
    setenv("INGOT_DATABASE", url, 1);
    setenv("INGOT_DATABASE_PASSWORD_FILE", live_path(&live, "password"), 1);
    live_start(&live, NULL);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    if (!postgres.pid) return 0;
    live_remove(&live);
    ig_postgres_remove(&postgres);
    return 0;
}

static int needs_postgres(void **state)
{
    (void)state;
    if (!postgres.pid) skip();
    return 0;
}

static bool has_loaded(pid_t pid, const char *library)
{
    char path[64], line[1024];
    bool found = false;
    snprintf(path, sizeof path, "/proc/%d/maps", pid);
    FILE *file = fopen(path, "r");
    assert_non_null(file);
    while (!found && fgets(line, sizeof line, file)) found = strstr(line, library) != NULL;
    fclose(file);
    return found;
}

/* Who stays with SQLite pays nothing. */
static void test_library_is_loaded_when_needed(void **state)
{
    struct live other;
    (void)state;
    assert_true(has_loaded(live.pid, "/libpq.so"));
    unsetenv("INGOT_DATABASE");
    live_make(&other);
    live_start(&other, NULL);
    bool some = has_loaded(other.pid, "/libc.so"),
         postgres_too = has_loaded(other.pid, "/libpq.so");
    live_remove(&other);
    setenv("INGOT_DATABASE", url, 1); /* before what may fail, since the next tests need it */
    assert_true(some);
    assert_false(postgres_too);
}

static void expect_all(void)
{
    char path[128];
    EXPECT(200, "GET", "/api/v1/models/m/versions/1", NULL);
    EXPECT(200, "GET", "/api/v1/models/m/versions/champion", NULL);
    EXPECT(200, "POST", "/predict-with-explanation", ROW);
    assert_int_equal((int)live_number(&live, "model.version"), 1);
    snprintf(path, sizeof path, MLFLOW "runs/get?run_id=%s", run_id);
    EXPECT(200, "GET", path, NULL);
    assert_string_equal(live_text(&live, "run.data.metrics.0.key"), "auc");
    assert_true(live_number(&live, "run.data.metrics.0.value") == 0.875);
    assert_string_equal(live_text(&live, "run.data.tags.0.value"), "K\xc3\xb6ln");
    EXPECT(200, "POST", MLFLOW "runs/search",
           "{\"experiment_ids\":[\"0\"],\"filter\":\"metrics.auc > 0.5 and tags.city ILIKE 'k%'\","
           "\"order_by\":[\"metrics.auc DESC\"]}");
    assert_string_equal(live_text(&live, "runs.0.info.run_id"), run_id);
}

static void test_all_is_there_again(void **state)
{
    char id[64], body[256];
    struct stat info;
    (void)state;
    snprintf(id, sizeof id, "%s", live_submit(&live, "m", "table.csv", 20));
    assert_string_equal(live_wait_job(&live, id), "succeeded");
    EXPECT(200, "PUT", "/api/v1/models/m/aliases/champion", "{\"version\":1}");
    EXPECT(200, "PUT", "/api/v1/deployments/d", "{\"model\":\"m\",\"version\":1}");
    EXPECT(200, "POST", MLFLOW "runs/create",
           "{\"experiment_id\":\"0\",\"start_time\":5,"
           "\"tags\":[{\"key\":\"city\",\"value\":\"K\xc3\xb6ln\"}]}");
    snprintf(run_id, sizeof run_id, "%s", live_text(&live, "run.info.run_id"));
    snprintf(body, sizeof body,
             "{\"run_id\":\"%s\",\"key\":\"auc\",\"value\":0.875,\"timestamp\":7}", run_id);
    EXPECT(200, "POST", MLFLOW "runs/log-metric", body);
    snprintf(body, sizeof body, "{\"run_id\":\"%s\",\"key\":\"k\",\"value\":\"a\\u0000b\"}",
             run_id);
    EXPECT(400, "POST", MLFLOW "runs/set-tag", body);
    assert_non_null(strstr(live_body(&live), "NUL"));
    expect_all();
    live_stop(&live, SIGTERM);
    live_start(&live, NULL);
    expect_all();
    live_stop(&live, SIGKILL);
    live_start(&live, NULL);
    expect_all();
    assert_int_equal(stat(live_path(&live, "data/ingot.db"), &info), -1);
}

static void expect_refused(const char *const *arguments, const char *word)
{
    live_run(&run, &live, arguments);
    if (run.code == 0 || !strstr(run.err, word)) fail_msg("%d: %s%s", run.code, run.err, run.out);
    assert_null(strstr(run.err, "geheim"));
    assert_null(strstr(run.err, "falsch"));
}

static void test_refusals(void **state)
{
    char set[600];
    const char *const elsewhere[] = {"server",   "--data",      live_path(&live, "other"),
                                     "--listen", "127.0.0.1:0", NULL};
    (void)state;
    expect_refused(elsewhere, "in use by another server");
    snprintf(set, sizeof set, "database=%s", wrong_url);
    unsetenv("INGOT_DATABASE_PASSWORD_FILE");
    expect_refused((const char *const[]){"server", "--data", elsewhere[2], "--listen",
                                         "127.0.0.1:0", "--set", set, NULL},
                   "password authentication failed");
    live_run(&run, &live, (const char *const[]){"server", "--settings", "--set", set, NULL});
    assert_non_null(strstr(run.out, "database: \"postgresql://keeper:***@/postgres?host="));
    assert_null(strstr(run.out, "falsch"));
    expect_refused((const char *const[]){"server", "--data", elsewhere[2], "--set",
                                         "database_password_file=/nowhere", NULL},
                   "database_password_file");
    setenv("INGOT_DATABASE_PASSWORD_FILE", live_path(&live, "password"), 1);
}

static int status_of_write(void)
{
    char body[160];
    snprintf(body, sizeof body, "{\"run_id\":\"%s\",\"key\":\"k\",\"value\":\"v\"}", run_id);
    return live_call(&live, "POST", MLFLOW "runs/set-tag", body);
}

static void test_database_away(void **state)
{
    (void)state;
    ig_postgres_stop(&postgres, SIGINT);
    assert_int_equal(status_of_write(), 503);
    assert_non_null(strstr(live_body(&live), "TEMPORARILY_UNAVAILABLE"));
    EXPECT(200, "POST", "/predict-with-explanation", ROW); /* needs no database */
    ig_postgres_run(&postgres);
    assert_int_equal(status_of_write(), 200);
    ig_postgres_stop(&postgres, SIGQUIT);
    ig_postgres_run(&postgres);
    assert_int_equal(status_of_write(), 200); /* a client notices a pause at most */
    expect_all();
}

/* To SQLite, and on to another schema: clients notice nothing. */
static void test_rows_move(void **state)
{
    const char *data = live_path(&live, "data");
    (void)state;
    const char *const home[] = {"migrate", "--data", data, "--to", "sqlite", NULL};
    expect_refused(home, "in use by process");
    live_stop(&live, SIGTERM);
    live_run(&run, &live, home);
    assert_int_equal(run.code, 0);
    assert_non_null(strstr(run.out, "  runs  "));
    assert_non_null(strstr(run.out, "read back and found the same"));
    unsetenv("INGOT_DATABASE");
    live_start(&live, NULL);
    expect_all();
    live_stop(&live, SIGTERM);
    expect_refused((const char *const[]){"migrate", "--data", data, "--to", url, NULL},
                   "has rows already");
    snprintf(url, sizeof url,
             "postgresql://keeper@/postgres?host=%s&options=-csearch_path%%3Dingot2", postgres.dir);
    live_run(&run, &live,
             (const char *const[]){"migrate", "--data", data, "--to", url, "--password-file",
                                   live_path(&live, "password"), "--format", "json", NULL});
    assert_int_equal(run.code, 0);
    assert_non_null(strstr(run.out, "], \"moved\": true}"));
    setenv("INGOT_DATABASE", url, 1);
    live_start(&live, NULL);
    expect_all();
}

/* Offline verbs find the rows by the same variables, and do not start a database beside them. */
static void test_offline_verbs(void **state)
{
    const char *const list[] = {"key", "list", "--data", live_path(&live, "data"), NULL};
    (void)state;
    live_stop(&live, SIGTERM);
    live_run(&run, &live,
             (const char *const[]){"key", "create", "boss", "--scope", "admin", "--data",
                                   live_path(&live, "data"), NULL});
    assert_int_equal(run.code, 0);
    live_run(&run, &live, list);
    assert_int_equal(run.code, 0);
    assert_non_null(strstr(run.out, "boss"));
    unsetenv("INGOT_DATABASE");
    expect_refused(list, "INGOT_DATABASE");
    setenv("INGOT_DATABASE", url, 1);
}

#define WITH_POSTGRES(test) cmocka_unit_test_setup(test, needs_postgres)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_POSTGRES(test_library_is_loaded_when_needed),
        WITH_POSTGRES(test_all_is_there_again),
        WITH_POSTGRES(test_refusals),
        WITH_POSTGRES(test_database_away),
        WITH_POSTGRES(test_rows_move),
        WITH_POSTGRES(test_offline_verbs), /* leaves no server, and a key */
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
