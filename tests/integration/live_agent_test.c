/* SPDX-License-Identifier: Apache-2.0 */
/* An agent of a device: telemetry that is sent twice and counted once, rows that drift, a socket
 * that answers without the server, updates by delta, and kill -9 at any time in between. */
#include "support/live.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#define MODEL "tests/golden/xgboost/binary_missing/model.json"

static struct live live;
static struct live_run ran;
static char dir[160], identity[160], pem[160], bundle[160], digest[80];

#define RUN(wanted, ...)                                                                           \
    do {                                                                                           \
        live_run(&ran, &live, (const char *const[]){__VA_ARGS__, NULL});                           \
        if (ran.code != (wanted)) fail_msg("%d: %s%s", ran.code, ran.out, ran.err);                \
    } while (0)
#define AGENT                                                                                      \
    "edge", "agent", "--dir", dir, "--identity", identity, "--once", "--slot-kb", "64",            \
        "--flush-rows", "1000"

static void keep_path(char out[160], const char *name)
{
    snprintf(out, 160, "%s", live_path(&live, name));
}

/* Makes the group's next bundle and rolls it out to all. */
static void roll_out(int counter, const char *leaves)
{
    char number[16], body[160];
    snprintf(number, sizeof number, "%d", counter);
    RUN(0, "edge", "bundle", MODEL, "--output", bundle, "--secret", pem, "--counter", number,
        "--leaves", leaves);
    RUN(0, "fleet", "bundle", "meters", bundle);
    const char *at = strstr(ran.out, "\"digest\": \"");
    assert_non_null(at);
    snprintf(digest, sizeof digest, "%.64s", at + strlen("\"digest\": \""));
    snprintf(body, sizeof body, "{\"digest\":\"%s\"}", digest);
    EXPECT(201, "POST", "/api/v1/fleet/groups/meters/rollouts", body);
    char path[128];
    snprintf(path, sizeof path, "/api/v1/fleet/rollouts/%s", live_text(&live, "id"));
    EXPECT(200, "POST", path, "{\"action\":\"advance\"}");
}

/* Rows whose first number is about `first`. */
static const char *write_rows(const char *name, int count, double first)
{
    static char text[16 << 10];
    size_t length = 0;
    for (int i = 0; i < count; i++)
        length += (size_t)snprintf(text + length, sizeof text - length, "%g,%d,%d,%d,0.%d,%d\n",
                                   first + i % 7, i % 5, 10 * (i % 9), i % 3, i % 8, i % 90);
    live_write(&live, name, text);
    return live_path(&live, name);
}

static int setup(void **state)
{
    (void)state;
    char public_path[160];
    live_make(&live);
    live_start(&live, NULL);
    keep_path(dir, "device");
    keep_path(identity, "identity.json");
    keep_path(pem, "factory.pem");
    keep_path(public_path, "factory.pub");
    keep_path(bundle, "bundle.igb");
    RUN(0, "edge", "keygen", live_path(&live, "factory"));
    RUN(0, "fleet", "group", "meters", "--public", public_path);
    RUN(0, "fleet", "enrol", "meters", "--id", "one", "--label", "site=roof", "--output", identity);
    roll_out(1, "int16");
    RUN(0, AGENT);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    live_remove(&live);
    return 0;
}

static void copy(const char *from, const char *to)
{
    char command[2][200];
    snprintf(command[0], sizeof command[0], "%s/%s", dir, from);
    snprintf(command[1], sizeof command[1], "%s/%s", dir, to);
    FILE *in = fopen(command[0], "r"), *out = fopen(command[1], "w");
    static char piece[1 << 16];
    size_t got;
    assert_true(in && out);
    while ((got = fread(piece, 1, sizeof piece, in)) > 0) fwrite(piece, 1, got, out);
    fclose(in);
    assert_int_equal(fclose(out), 0);
}

static double rows_told(void)
{
    EXPECT(200, "GET", "/api/v1/fleet/devices/one/drift", NULL);
    return live_number(&live, "features.0.rows");
}

/* Offline rows are told later; a device that lost its memory of having told tells again. */
static void test_telemetry(void **state)
{
    (void)state;
    char usual[160], baseline[160], path[256];
    snprintf(usual, sizeof usual, "%s", write_rows("usual.csv", 60, 0.5));
    keep_path(baseline, "baseline");
    RUN(0, "edge", "sketch", bundle, "--input", usual, "--output", baseline);
    RUN(0, AGENT, "--input", usual, "--server", "http://127.0.0.1:9");
    copy("flash", "before");
    RUN(0, AGENT);
    assert_true(rows_told() == 60);
    EXPECT(200, "GET", "/api/v1/fleet/devices/one", NULL);
    double seq = live_number(&live, "telemetry_seq");
    assert_true(seq >= 2);
    copy("before", "flash");
    RUN(0, AGENT);
    assert_true(rows_told() == 60);
    EXPECT(200, "GET", "/api/v1/fleet/devices/one", NULL);
    assert_true(live_number(&live, "telemetry_seq") == seq);
    assert_true(live_number(&live, "telemetry_lost") == 0);
    snprintf(path, sizeof path, "/api/v1/fleet/groups/meters/bundles/%s/baseline", digest);
    FILE *file = fopen(baseline, "r");
    static char bytes[16 << 10];
    assert_non_null(file);
    struct ig_client_call put = {.method = "PUT", .path = path};
    put.body = (struct ig_str){bytes, fread(bytes, 1, sizeof bytes, file)};
    fclose(file);
    assert_int_equal(live_send(&live, &put), 200);
    RUN(0, AGENT, "--input", usual);
    EXPECT(200, "GET", "/api/v1/fleet/devices/one/drift", NULL);
    assert_string_equal(live_text(&live, "against"), "baseline");
    assert_true(live_number(&live, "index") < 0.1);
    RUN(0, AGENT, "--input", write_rows("odd.csv", 200, -50));
    RUN(0, "fleet", "device", "one", "--drift");
    assert_non_null(strstr(ran.out, "\"drifting\": true"));
    RUN(0, "fleet", "devices", "--drifting", "--label", "site=roof");
    assert_non_null(strstr(ran.out, "\"id\": \"one\""));
}

/* What is wrong is said before the server keeps anything: a token is told once, and a bundle is
 * taken once. */
static void test_nothing_by_halves(void **state)
{
    (void)state;
    char next[160], rows[160], usual[160];
    keep_path(next, "next.igb");
    keep_path(usual, "next.baseline");
    snprintf(rows, sizeof rows, "%s", write_rows("odd.csv", 20, 1));
    RUN(1, "fleet", "enrol", "meters", "--id", "late", "--output", live_path(&live, "nowhere/x"));
    assert_non_null(strstr(ran.err, "nowhere/x': No such file or directory"));
    EXPECT(404, "GET", "/api/v1/fleet/devices/late", NULL);
    RUN(0, "edge", "bundle", MODEL, "--output", next, "--secret", pem, "--counter", "400");
    RUN(1, "fleet", "bundle", "meters", next, "--baseline", rows);
    assert_non_null(strstr(ran.err, "--baseline: "));
    live_write(&live, "empty", "");
    RUN(1, "fleet", "bundle", "meters", next, "--baseline", live_path(&live, "empty"));
    assert_non_null(strstr(ran.err, "empty' holds no sketch"));
    RUN(0, "edge", "sketch", next, "--input", rows, "--output", usual);
    RUN(0, "fleet", "bundle", "meters", next, "--baseline", usual);
    live_write(&live, "words.csv", "0.5,3,many,4,5,6\n");
    RUN(1, "edge", "sketch", next, "--input", live_path(&live, "words.csv"), "--output", usual);
    assert_non_null(strstr(ran.err, "--input, line 1: 'many' is no number"));
    live_write(&live, "words.csv", "a,b,c,d,e,f\n");
    RUN(1, "edge", "sketch", next, "--input", live_path(&live, "words.csv"), "--output", usual);
    assert_non_null(strstr(ran.err, "--input: it has no rows"));
}

static pid_t start_agent(const char *socket_path, const char *trial_rows)
{
    pid_t pid = fork();
    if (pid == 0) {
        if (!freopen("/dev/null", "w", stderr)) _exit(1);
        execl(live_program(), "ingot", "edge", "agent", "--dir", dir, "--identity", identity,
              "--slot-kb", "64", "--interval", "1", "--socket", socket_path, "--trial-rows",
              trial_rows, (char *)NULL);
        _exit(1);
    }
    assert_true(pid > 0);
    return pid;
}

/* The answer to one row; false when nobody listens yet. */
static bool ask(const char *path, char *answer, size_t size)
{
    static const char row[] = "0.5,3,100,NaN,0.25,-0.5\n";
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    snprintf(address.sun_path, sizeof address.sun_path, "%s", path);
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    ssize_t got = 0;
    if (connect(fd, (struct sockaddr *)&address, sizeof address) == 0 &&
        write(fd, row, sizeof row - 1) == (ssize_t)sizeof row - 1)
        got = read(fd, answer, size - 1);
    close(fd);
    answer[got > 0 ? got : 0] = '\0';
    return got > 0;
}

static void ask_soon(const char *path, char *answer, size_t size)
{
    for (int i = 0; i < 500; i++) {
        if (ask(path, answer, size)) return;
        usleep(10 * 1000);
    }
    fail_msg("nobody answers at %s", path);
}

/* Killed while it takes updates, whole or as deltas: it always answers afterwards, and in the end
 * has the newest. */
static void test_kill(void **state)
{
    (void)state;
    char path[160], answer[256], usual[160];
    int rounds = getenv("INGOT_LONG") ? 60 : 4;
    keep_path(path, "socket");
    snprintf(usual, sizeof usual, "%s", write_rows("usual.csv", 5, 0.5));
    for (int i = 0; i < rounds; i++) {
        roll_out(i + 2, i % 2 ? "int16" : "int8");
        pid_t pid = start_agent(path, "2");
        if (i % 4 == 3) ask_soon(path, answer, sizeof answer);
        usleep((useconds_t)(20 + i * 37 % 250) * 1000);
        kill(pid, SIGKILL);
        waitpid(pid, NULL, 0);
        RUN(0, AGENT, "--server", "http://127.0.0.1:9", "--input", usual);
        assert_null(strstr(ran.out, "error"));
    }
    for (int i = 0; i < 2; i++) RUN(0, AGENT, "--input", usual);
    EXPECT(200, "GET", "/api/v1/fleet/devices/one", NULL);
    if (live_number(&live, "counter") != rounds + 1) fail_msg("%s", live_body(&live));
    assert_string_equal(live_text(&live, "state"), "confirmed");
    pid_t pid = start_agent(path, "0");
    ask_soon(path, answer, sizeof answer);
    assert_true(strtod(answer, NULL) != 0);
    kill(pid, SIGTERM);
    int status;
    waitpid(pid, &status, 0);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

#define NETWORK "tests/corpus/tflite/fully_connected_keep_float"

/* An int8 network in a bundle: the agent quantizes rows and tells of them as of trees. */
static void test_network(void **state)
{
    (void)state;
    enum { ROWS = 30, COLUMNS = 60 };
    char net[160], small[160], rows[160], public_path[160], body[160], margins[4096];
    static char text[ROWS * COLUMNS * 8];
    size_t length = 0;
    keep_path(net, "net.igb");
    keep_path(public_path, "factory.pub");
    for (int row = 0; row < ROWS; row++)
        for (int i = 0; i < COLUMNS; i++)
            length +=
                (size_t)snprintf(text + length, sizeof text - length, "%.3f%c",
                                 (row * 7 + i * 5) % 13 / 6.0 - 1, i + 1 < COLUMNS ? ',' : '\n');
    live_write(&live, "net.csv", text);
    keep_path(rows, "net.csv");
    keep_path(dir, "networked");
    keep_path(identity, "networked.json");
    RUN(0, "fleet", "group", "nets", "--public", public_path);
    RUN(0, "fleet", "enrol", "nets", "--id", "two", "--output", identity);
    keep_path(small, "small.tflite");
    RUN(0, "edge", "quantize", "--model", NETWORK, "--no-header", "--input", rows, "--output",
        small);
    RUN(0, "edge", "bundle", small, "--output", net, "--secret", pem, "--counter", "1");
    RUN(0, "fleet", "bundle", "nets", net);
    snprintf(body, sizeof body, "{\"digest\":\"%.64s\"}",
             strstr(ran.out, "\"digest\": \"") + strlen("\"digest\": \""));
    EXPECT(201, "POST", "/api/v1/fleet/groups/nets/rollouts", body);
    RUN(0, AGENT, "--input", rows);
    snprintf(margins, sizeof margins, "%.4000s", ran.out);
    RUN(0, "edge", "run", "--model", small, "--no-header", "--input", rows);
    if (strncmp(ran.out, margins, strlen(margins)) != 0) fail_msg("%s\n%s", ran.out, margins);
    EXPECT(200, "GET", "/api/v1/fleet/devices/two/drift", NULL);
    assert_true(live_number(&live, "features.59.rows") == ROWS);
}

/* Between files what is made between bundles on the server. */
static void test_delta_files(void **state)
{
    (void)state;
    char old[160], delta[160], new[160];
    keep_path(old, "old.igb");
    keep_path(delta, "delta");
    keep_path(new, "new.igb");
    RUN(0, "edge", "bundle", MODEL, "--output", old, "--secret", pem, "--counter", "500");
    RUN(0, "edge", "delta", old, bundle, "--output", delta);
    RUN(0, "edge", "patch", old, delta, "--output", new);
    RUN(0, "edge", "delta", bundle, new, "--output", delta);
    assert_non_null(strstr(ran.out, " bytes for "));
    RUN(1, "edge", "patch", old, delta, "--output", new);
    assert_non_null(strstr(ran.err, "the delta was made for another old file"));
    RUN(1, "edge", "patch", old, old, "--output", new);
    assert_non_null(strstr(ran.err, "the delta is no delta"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_telemetry),   cmocka_unit_test(test_kill),
        cmocka_unit_test(test_delta_files), cmocka_unit_test(test_nothing_by_halves),
        cmocka_unit_test(test_network),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
