/* SPDX-License-Identifier: Apache-2.0 */
/* The real program with its blobs on S3: training, a deployment here and one in processes of its
 * own, starts with an empty cache, verbs without the server, S3 that is away, kill -9 in the middle
 * of an upload in parts. */
#include "support/live.h"
#include "support/s3_server.h"

#include <dirent.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static struct live live;
static struct live_run out;
static struct s3_server server;
static char blobs[300];

#define RUN(...) live_run(&out, &live, (const char *const[]){__VA_ARGS__, NULL})
#define PREDICT "/predict-with-explanation"
#define FEATURES "{\"x0\":0.9,\"x1\":0.1,\"colour\":\"green\"}"

static void start(void)
{
    live_start(&live, (const char *const[]){"--set", "workers=2", "--set", blobs, NULL});
}

static int setup(void **state)
{
    (void)state;
    char url[256], id[64];
    s3_server_start(&server);
    s3_server_url(url, &server, "a/b");
    snprintf(blobs, sizeof blobs, "blobs=%s", url);
    live_make(&live);
    live_write_table(&live, "table.csv", 400);
    start();
    snprintf(id, sizeof id, "%s", live_submit(&live, "m", "table.csv", 10));
    if (strcmp(live_wait_job(&live, id), "succeeded") != 0) fail_msg("%s", live_body(&live));
    live_write(&live, "graph.yaml",
               "root: {model: m}\nresources: {isolation: process, replicas: {min: 1, max: 1}}\n");
    RUN("deploy", "apart", "--graph", live_path(&live, "graph.yaml"));
    if (out.code != 0) fail_msg("%s", out.err);
    RUN("deploy", "here", "--model", "models:/m/1");
    if (out.code != 0) fail_msg("%s", out.err);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    live_remove(&live);
    s3_server_stop(&server);
    return 0;
}

/* Files in a folder below blobs/, which are removed. */
static int drop(const char *folder)
{
    int count = 0;
    char name[64];
    snprintf(name, sizeof name, "data/blobs/%s", folder);
    DIR *dir = opendir(live_path(&live, name));
    assert_non_null(dir);
    for (struct dirent *entry; (entry = readdir(dir));)
        if (entry->d_name[0] != '.') {
            assert_int_equal(unlinkat(dirfd(dir), entry->d_name, 0), 0);
            count++;
        }
    closedir(dir);
    return count;
}

static void assert_answers(void)
{
    EXPECT(200, "POST", PREDICT, "{\"model\":\"here\",\"features\":" FEATURES "}");
    double here = live_number(&live, "explanation.base_value");
    EXPECT(200, "POST", PREDICT, "{\"model\":\"apart\",\"features\":" FEATURES "}");
    assert_true(here == live_number(&live, "explanation.base_value"));
}

static void test_serving(void **state)
{
    (void)state;
    assert_true(s3_server_count(&server, "a/b/") >= 1);
    assert_int_equal(s3_server_count(&server, ""), s3_server_count(&server, "a/b/"));
    assert_answers();
    assert_true(drop("cache") > 0);
    EXPECT(200, "GET", "/api/v1/deployments/apart", NULL);
    kill((pid_t)live_number(&live, "replicas.pids.0"), SIGKILL); /* the next one asks S3 itself */
    assert_answers();
    live_stop(&live, SIGTERM);
    drop("cache");
    start();
    assert_answers();
}

static void test_verbs_without_the_server(void **state)
{
    (void)state;
    char data[200], table[200];
    snprintf(data, sizeof data, "%s", live_path(&live, "data"));
    snprintf(table, sizeof table, "%s", live_path(&live, "table.csv"));
    live_stop(&live, SIGTERM);
    assert_true(drop("cache") > 0);
    RUN("predict", "--model", "models:/m/1", "--data", data, "--input", table);
    if (out.code != 0) fail_msg("%s", out.err);
    RUN("server", "--data", data, "--listen", "127.0.0.1:0");
    assert_int_not_equal(out.code, 0);
    assert_non_null(strstr(out.err, "blobs: this directory's objects are in s3://ingot-test/a/b?"));
    RUN("server", "--data", data, "--listen", "127.0.0.1:0", "--set", "blobs=s4://x");
    assert_non_null(strstr(out.err, "blobs: 's4://x' is neither files nor s3://BUCKET/PREFIX"));
    start();
    assert_answers();
}

/* Another file of that name, which is no library, is found first. The running server holds the
 * database of these tests, so this one opens its own. */
static void test_without_libcurl(void **state)
{
    (void)state;
    char data[200];
    snprintf(data, sizeof data, "%s", live_path(&live, "other"));
    live_write(&live, "libcurl.so.4", "");
    unsetenv("INGOT_DATABASE");
    setenv("LD_LIBRARY_PATH", live.dir, 1);
    RUN("server", "--data", data, "--listen", "127.0.0.1:0", "--set", blobs);
    unsetenv("LD_LIBRARY_PATH");
    assert_int_not_equal(out.code, 0);
    if (!strstr(out.err, "S3 needs libcurl.so.4 (package libcurl4)")) fail_msg("%s", out.err);
}

static void test_s3_that_is_away(void **state)
{
    (void)state;
    s3_server_refuse(&server, 1000, 503, "SlowDown");
    s3_server_fail(&server, S3_FAULT_REFUSE, 1000, "PUT", NULL);
    EXPECT(503, "POST", "/api/v1/blobs", "some bytes");
    assert_non_null(strstr(live_body(&live), "503 SlowDown"));
    assert_answers();
    s3_server_fail(&server, S3_FAULT_CUT, 0, NULL, NULL);
    EXPECT(201, "POST", "/api/v1/blobs", "some bytes");
    s3_server_refuse(&server, 1000, 403, "AccessDenied");
    EXPECT(403, "POST", "/api/v1/blobs", "other bytes");
    assert_null(strstr(live_body(&live), S3_SERVER_SECRET_KEY));
    s3_server_fail(&server, S3_FAULT_CUT, 1000, NULL, NULL);
    live_stop(&live, SIGTERM);
    start();
    assert_answers();
    s3_server_fail(&server, S3_FAULT_CUT, 0, NULL, NULL);
}

static void *upload(void *context)
{
    char *bytes = context;
    live_try(&live, "POST", "/api/v1/blobs", bytes);
    return NULL;
}

/* Dies between the parts: nothing under the object's name, and the next try makes it. */
static void test_kill_in_an_upload(void **state)
{
    (void)state;
    enum { SIZE = 40 << 20 };
    char *bytes = malloc(SIZE + 1);
    pthread_t thread;
    assert_non_null(bytes);
    for (size_t i = 0; i < SIZE; i++) bytes[i] = (char)('a' + (i * 2654435761u >> 9) % 26);
    bytes[SIZE] = 0;
    int before = s3_server_count(&server, "");
    s3_server_fail(&server, S3_FAULT_CUT, 1000, "PUT", "partNumber=2"); /* it stays there */
    assert_int_equal(pthread_create(&thread, NULL, upload, bytes), 0);
    for (int i = 0; i < 10000 && server.shared->faults_left == 1000; i++) usleep(1000);
    assert_true(server.shared->faults_left < 1000);
    kill(live.pid, SIGKILL);
    pthread_join(thread, NULL);
    live_stop(&live, SIGKILL);
    assert_int_equal(s3_server_count(&server, ""), before);
    assert_int_equal(s3_server_uploads(&server), 1);
    s3_server_fail(&server, S3_FAULT_CUT, 0, NULL, NULL);
    start();
    assert_int_equal(drop("incoming"), 0);
    EXPECT(201, "POST", "/api/v1/blobs", bytes);
    assert_int_equal(s3_server_count(&server, ""), before + 1);
    assert_answers();
    free(bytes);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_serving),           cmocka_unit_test(test_verbs_without_the_server),
        cmocka_unit_test(test_without_libcurl),   cmocka_unit_test(test_s3_that_is_away),
        cmocka_unit_test(test_kill_in_an_upload),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
