/* SPDX-License-Identifier: Apache-2.0 */
/* Start, readiness and end of the server; cancelling jobs; one server a directory. */
#include "support/live.h"

#include "base/clock.h"
#include "base/file.h"
#include "stores/db.h"
#include "stores/db_testing.h"

#include <arpa/inet.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define ROW "{\"model\":\"m\",\"features\":{\"x0\":0.9,\"x1\":0.1,\"colour\":\"green\"}}"

enum { START_MAX_US = 500000 };

static struct live live;

static int setup(void **state)
{
    (void)state;
    char id[64];
    live_make(&live);
    live_write_table(&live, "table.csv", 300);
    live_start(&live, NULL);
    snprintf(id, sizeof id, "%s", live_submit(&live, "m", "table.csv", 100));
    assert_string_equal(live_wait_job(&live, id), "succeeded");
    assert_int_equal(live_call(&live, "PUT", "/api/v1/deployments/m", "{\"model\":\"m\"}"), 200);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    live_remove(&live);
    return 0;
}

/* From the start of the process to the first answered prediction: 50 ms is the aim of an optimised
 * build on a quiet machine; the bound here leaves room for sanitizers and neighbours. */
static void test_start_to_first_answer(void **state)
{
    (void)state;
    uint64_t best = UINT64_MAX;
    for (int i = 0; i < 5; i++) {
        live_stop(&live, i % 2 ? SIGKILL : SIGTERM);
        uint64_t start = ig_clock_ns();
        live_start(&live, NULL);
        assert_int_equal(live_call(&live, "POST", "/predict-with-explanation", ROW), 200);
        uint64_t spent = (ig_clock_ns() - start) / 1000;
        if (spent < best) best = spent;
    }
    print_message("start to first answer: %.1f ms\n", (double)best / 1000);
    assert_true(best < START_MAX_US);
}

static int connect_plain(void)
{
    struct sockaddr_in address = {.sin_family = AF_INET};
    const char *port = strrchr(live.url, ':') + 1;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    address.sin_port = htons((uint16_t)strtoul(port, NULL, 10));
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(fd >= 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof address), 0);
    return fd;
}

static void send_text(int fd, const char *text)
{
    size_t length = strlen(text);
    assert_int_equal(send(fd, text, length, MSG_NOSIGNAL), (ssize_t)length);
}

static void receive_all(int fd, char *text, size_t size)
{
    size_t length = 0;
    for (ssize_t got; length + 1 < size; length += (size_t)got)
        if ((got = recv(fd, text + length, size - 1 - length, 0)) <= 0) break;
    text[length] = '\0';
}

/* A request that is half sent when SIGTERM comes is finished; the process then ends with 0. */
static void test_graceful_end(void **state)
{
    (void)state;
    static char reply[16384];
    char head[256];
    int status = 0, fd = connect_plain();
    snprintf(head, sizeof head,
             "POST /predict-with-explanation HTTP/1.1\r\nHost: localhost\r\n"
             "Content-Type: application/json\r\nContent-Length: %zu\r\n\r\n",
             strlen(ROW));
    send_text(fd, head);
    nanosleep(&(struct timespec){0, 100000000}, NULL);
    kill(live.pid, SIGTERM);
    nanosleep(&(struct timespec){0, 100000000}, NULL);
    send_text(fd, ROW);
    receive_all(fd, reply, sizeof reply);
    assert_int_equal(strncmp(reply, "HTTP/1.1 200 ", 13), 0);
    assert_non_null(strstr(reply, "\"prediction\":\"yes\""));
    close(fd);
    assert_int_equal(waitpid(live.pid, &status, 0), live.pid);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    live.pid = 0;
    ig_client_free(live.client);
    live.client = NULL;
    live_start(&live, NULL);
}

enum { RECEIVED_MAX = 16384 };

/* Until the text has come; false at the end. */
static bool receive_until(int fd, const char *wanted, char bytes[RECEIVED_MAX])
{
    size_t length = 0;
    for (ssize_t got; length < RECEIVED_MAX; length += (size_t)got) {
        if (memmem(bytes, length, wanted, strlen(wanted))) return true;
        if ((got = recv(fd, bytes + length, RECEIVED_MAX - length, 0)) <= 0) break;
    }
    return false;
}

/* A request that asks for it is answered in HTTP/2 (RFC 7540 section 3.2). */
static void test_upgrade(void **state)
{
    (void)state;
    static const char PREFACE[] = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\4\0\0\0\0\0";
    static const char SWITCHING[] = "HTTP/1.1 101 Switching Protocols\r\n";
    static char bytes[RECEIVED_MAX];
    int fd = connect_plain();
    send_text(fd, "GET /v2 HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade, HTTP2-Settings\r\n"
                  "Upgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n\r\n");
    assert_int_equal(send(fd, PREFACE, sizeof PREFACE - 1, MSG_NOSIGNAL), sizeof PREFACE - 1);
    assert_true(receive_until(fd, "{\"name\":\"ingot\"", bytes));
    assert_int_equal(strncmp(bytes, SWITCHING, sizeof SWITCHING - 1), 0);
    close(fd);
}

static void test_one_server_a_directory(void **state)
{
    (void)state;
    struct live_run run = {0};
    live_run(&run, NULL,
             (const char *const[]){"server", "--data", live_path(&live, "data"), "--listen",
                                   "127.0.0.1:0", NULL});
    assert_int_equal(run.code, 1);
    live_run(&run, NULL,
             (const char *const[]){"key", "list", "--data", live_path(&live, "data"), NULL});
    assert_int_equal(run.code, 1);
    assert_non_null(strstr(run.err, "hint: a running server holds the directory"));
}

/* The network is closed until there are keys and somebody says that TLS is in front; then each
 * call needs a key and a known Host. */
static void test_exposure(void **state)
{
    (void)state;
    struct live other;
    struct live_run run = {0};
    live_make(&other);
    const char *data = live_path(&other, "data");
    live_run(&run, NULL,
             (const char *const[]){"server", "--data", data, "--listen", "0.0.0.0:0", NULL});
    assert_int_equal(run.code, 1);
    assert_non_null(strstr(run.err, "there are no API keys"));
    live_run(
        &run, NULL,
        (const char *const[]){"key", "create", "ops", "--scope", "admin", "--data", data, NULL});
    assert_int_equal(run.code, 0);
    snprintf(other.headers, sizeof other.headers, "X-API-Key: %.*s\r\n",
             (int)strcspn(run.out, "\n"), run.out);
    live_run(&run, NULL,
             (const char *const[]){"server", "--data", data, "--listen", "0.0.0.0:0", NULL});
    assert_int_equal(run.code, 1);
    assert_non_null(strstr(run.err, "no TLS"));
    live_start(&other, (const char *const[]){"--listen", "0.0.0.0:0", "--set",
                                             "insecure_network=true", NULL});
    assert_int_equal(live_call(&other, "GET", "/api/v1/models", NULL), 421);
    live_stop(&other, SIGTERM);
    live_start(&other,
               (const char *const[]){"--listen", "0.0.0.0:0", "--set", "insecure_network=true",
                                     "--set", "hosts=a,0.0.0.0", NULL});
    assert_int_equal(live_call(&other, "GET", "/api/v1/models", NULL), 200);
    live_remove(&other);
}

static void wait_for_state(const char *path, const char *state)
{
    for (int i = 0; i < 1000; i++) {
        assert_int_equal(live_call(&live, "GET", path, NULL), 200);
        if (strcmp(live_text(&live, "state"), state) == 0) return;
        nanosleep(&(struct timespec){0, 10000000}, NULL);
    }
    fail_msg("%s: never %s: %s", path, state, live_body(&live));
}

static void test_cancel(void **state)
{
    (void)state;
    char running[128], queued[128], cancel[160];
    snprintf(running, sizeof running, "/api/v1/jobs/%s",
             live_submit(&live, "long", "table.csv", 100000));
    snprintf(queued, sizeof queued, "/api/v1/jobs/%s",
             live_submit(&live, "later", "table.csv", 100000));
    wait_for_state(running, "running");
    snprintf(cancel, sizeof cancel, "%s/cancel", queued);
    assert_int_equal(live_call(&live, "POST", cancel, "{}"), 200);
    wait_for_state(queued, "cancelled");
    snprintf(cancel, sizeof cancel, "%s/cancel", running);
    assert_int_equal(live_call(&live, "POST", cancel, "{}"), 200);
    wait_for_state(running, "cancelled");
    assert_int_equal(live_call(&live, "POST", cancel, "{}"), 409);
    assert_int_equal(live_call(&live, "GET", "/api/v1/models/long/versions/1", NULL), 404);
    assert_int_equal(live_call(&live, "POST", "/predict-with-explanation", ROW), 200);
}

/* A clean end while a job runs: it is interrupted and says so. */
static void test_end_interrupts_jobs(void **state)
{
    (void)state;
    char path[128];
    snprintf(path, sizeof path, "/api/v1/jobs/%s", live_submit(&live, "long", "table.csv", 100000));
    wait_for_state(path, "running");
    uint64_t start = ig_clock_ns();
    int status = live_stop(&live, SIGTERM);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    assert_true(ig_clock_ns() - start < 10000000000u);
    live_start(&live, NULL);
    wait_for_state(path, "interrupted");
}

static enum ig_code age_jobs(struct ig_db_tx *tx, void *context, struct ig_err *err)
{
    (void)context;
    static const int64_t days = 10 * (int64_t)24 * 3600 * 1000;
    return ig_db_exec(tx, "update jobs set finished_ms = finished_ms - $1 where model = 'm'",
                      IG_DB_VALUES(IG_DB_I(days)), err);
}

/* Logs of jobs that ended ten days ago stay by default and go with jobs_keep_days=5. */
static void test_old_logs(void **state)
{
    (void)state;
    struct ig_err err = IG_ERR_INIT;
    struct ig_db *db = NULL;
    char path[128];
    int dirfd = -1;
    const char *id = live_submit(&live, "m", "table.csv", 5);
    snprintf(path, sizeof path, "/api/v1/jobs/%s", id);
    wait_for_state(path, "succeeded");
    live_stop(&live, SIGTERM);
    assert_int_equal(ig_dir_open(&dirfd, IG_FILE_CWD, live_path(&live, "data"), &err), IG_OK);
    struct ig_db_options options = ig_db_testing_options(dirfd);
    assert_int_equal(ig_db_open(&db, &options, &err), IG_OK);
    assert_int_equal(ig_db_write(db, age_jobs, NULL, &err), IG_OK);
    ig_db_close(db);
    ig_file_close(&dirfd);
    live_start(&live, NULL);
    snprintf(path, sizeof path, "/api/v1/jobs/%s/logs", id);
    assert_int_equal(live_call(&live, "GET", path, NULL), 200);
    assert_true(live.reply.body.len > 0);
    live_stop(&live, SIGTERM);
    live_start(&live, (const char *const[]){"--set", "jobs_keep_days=5", NULL});
    assert_int_equal(live_call(&live, "GET", path, NULL), 200);
    assert_int_equal(live.reply.body.len, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_start_to_first_answer),
        cmocka_unit_test(test_graceful_end),
        cmocka_unit_test(test_upgrade),
        cmocka_unit_test(test_one_server_a_directory),
        cmocka_unit_test(test_exposure),
        cmocka_unit_test(test_cancel),
        cmocka_unit_test(test_end_interrupts_jobs),
        cmocka_unit_test(test_old_logs),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
