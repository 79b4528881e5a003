/* SPDX-License-Identifier: Apache-2.0 */
/* The server over real sockets: routing of the three modes, pipelining, refusals, caps, deadlines,
 * shutdown, and the failing of every allocation. Streams have a program of their own. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "net/http_server_testing.h"

#include "base/mem.h"
#include "base/thread.h"

#include <netinet/tcp.h>
#include <sys/resource.h>
#include <sys/wait.h>

#define GET(path) IG_STR("GET " path " HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
#define POST(path, headers, body) "POST " path " HTTP/1.1\r\nHost: a\r\n" headers "\r\n" body

static struct ig_http_server *server;

static int start(void **state)
{
    (void)state;
    struct ig_http_server_options options = test_options();
    server = test_start(&options);
    return 0;
}

/* Every on_request must have had its on_end. */
static int stop(void **state)
{
    (void)state;
    atomic_store(&seen.gate, 1);
    unsigned cut = test_stop(server, 3000);
    if (cut || seen.begun != seen.ended) {
        print_error("%u cut, %d begun, %d ended\n", cut, seen.begun, seen.ended);
        return 1;
    }
    return 0;
}

static void test_modes(void **state)
{
    (void)state;
    const char *reply = talk(server, GET("/now"));
    assert_status(reply, 200);
    assert_has(reply, "\r\nDate: ");
    assert_has(reply, " GMT\r\nX-Content-Type-Options: nosniff\r\n");
    assert_has(reply, "\r\nContent-Type: text/plain\r\nContent-Length: 3\r\n");
    assert_has(reply, "\r\nConnection: close\r\n\r\nnow");
    static const char *const ECHOES[] = {"/echo", "/pool", "/later", "/handed"};
    for (size_t i = 0; i < sizeof ECHOES / sizeof ECHOES[0]; i++) {
        char request[256];
        snprintf(request, sizeof request,
                 "POST %s HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nConnection: close\r\n\r\n"
                 "hello",
                 ECHOES[i]);
        reply = talk(server, ig_str_view(request));
        assert_status(reply, 200);
        assert_has(reply, "\r\n\r\nhello");
    }
    reply = talk(server, GET("/header"));
    assert_has(reply, "\r\nX-Own: yes\r\n");
    reply = talk(server, GET("/inject"));
    assert_lacks(reply, "Set-Cookie");
    assert_has(reply, "response header 'X-Evil' holds a control byte");
    reply = talk(server, GET("/bad-type"));
    assert_lacks(reply, "Set-Cookie");
    assert_has(reply, "\r\nContent-Type: application/octet-stream\r\n");
    reply = talk(server, GET("/bad-status"));
    assert_status(reply, 500);
}

static const char *format_json(void *context, int status, const char *reason, struct ig_str path,
                               struct ig_buf *reply)
{
    (void)context;
    ig_buf_printf(reply, "{\"status\": %d, \"reason\": \"%s\", \"path\": \"%.*s\"}", status, reason,
                  IG_STR_ARGS(path));
    return "application/json";
}

static void test_own_errors_and_peers(void **state)
{
    (void)state;
    struct ig_http_server_options options = test_options();
    options.handler.format_error = format_json;
    struct ig_http_server *other = test_start(&options);
    const char *reply = talk(other, IG_STR("GET / HTTP/1.1\r\n\r\n"));
    assert_has(reply, "\r\nContent-Type: application/json\r\n");
    assert_has(reply, "\r\n\r\n{\"status\": 400, \"reason\": \"Host is missing\", \"path\": \"");
    reply = talk(other, IG_STR("POST /buffer HTTP/1.1\r\nHost: a\r\n"
                               "Content-Length: 99999999999\r\n\r\n"));
    assert_has(reply, "{\"status\": 413, ");
    assert_has(reply, "\"path\": \"/buffer\"}");
    reply = talk(other, GET("/peer"));
    assert_has(reply, "\r\n\r\n127.0.0.1:");
    assert_has(reply, " local");
    assert_int_equal(test_stop(other, 1000), 0);
    /* The same over IPv6, where the machine has it. */
    struct ig_err err = IG_ERR_INIT;
    options.host = "::1";
    if (ig_http_server_start(&other, &options, &err)) return;
    struct sockaddr_in6 address = {.sin6_family = AF_INET6,
                                   .sin6_port = htons(ig_http_server_port(other)),
                                   .sin6_addr = IN6ADDR_LOOPBACK_INIT};
    char bytes[1000];
    int fd = socket(AF_INET6, SOCK_STREAM, 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof address), 0);
    if (over_tls) fd = tunnel_open(fd, "http/1.1");
    send_text(fd, "GET /peer HTTP/1.1\r\nHost: [::1]\r\nConnection: close\r\n\r\n");
    receive_all(fd, bytes, sizeof bytes);
    close(fd);
    assert_has(bytes, "\r\n\r\n[::1]:");
    assert_has(bytes, " local");
    assert_int_equal(test_stop(other, 1000), 0);
}

static void test_versions_and_bare_replies(void **state)
{
    (void)state;
    const char *reply = talk(server, IG_STR("GET /now HTTP/1.0\r\n\r\n"));
    assert_has(reply, "Connection: close\r\n\r\nnow");
    reply = talk(server, IG_STR("GET /now HTTP/1.0\r\nConnection: keep-alive\r\n\r\n"
                                "GET /now HTTP/1.0\r\n\r\n"));
    assert_has(reply, "Connection: keep-alive\r\n\r\nnowHTTP/1.1 200");
    reply = talk(server, IG_STR("HEAD /size?777 HTTP/1.1\r\nHost: a\r\n\r\n"
                                "HEAD /now HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"));
    assert_has(reply, "Content-Length: 777\r\n\r\nHTTP/1.1 200 OK");
    assert_has(reply, "Content-Length: 3\r\nConnection: close\r\n\r\n");
    assert_lacks(reply, "now");
    reply = talk(server, GET("/empty"));
    assert_status(reply, 204);
    assert_lacks(reply, "Content-Length");
    /* A POST without any length has no body. */
    reply = talk(server, IG_STR("POST /echo HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"));
    assert_has(reply, "Content-Length: 0\r\n");
    /* One empty line before a request is passed over, two are not. */
    reply = talk(server, IG_STR("\r\nGET /now HTTP/1.0\r\n\r\n"));
    assert_status(reply, 200);
    reply = talk(server, IG_STR("\r\n\r\nGET /now HTTP/1.0\r\n\r\n"));
    assert_status(reply, 400);
}

static void test_one_byte_at_a_time(void **state)
{
    (void)state;
    static const char REQUESTS[] =
        "\r\nPOST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc"
        "POST /pool HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
        "2;x\r\nde\r\n1\r\nf\r\n0\r\nT: u\r\n\r\n"
        "GET /now HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
    char reply[4096];
    int fd = dial(server, false), on = 1;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    for (size_t i = 0; i < sizeof REQUESTS - 1; i++) {
        send_bytes(fd, REQUESTS + i, 1);
        if (i % 8 == 0) sleep_ms(1);
    }
    receive_all(fd, reply, sizeof reply);
    close(fd);
    assert_int_equal(count_of(reply, "HTTP/1.1 200 OK"), 3);
    const char *first = strstr(reply, "\r\n\r\nabc"), *second = strstr(reply, "\r\n\r\ndef"),
               *third = strstr(reply, "\r\n\r\nnow");
    assert_true(first && second && third && first < second && second < third);
}

static void hold_worker(void *context)
{
    (void)context;
    wait_gate();
}

static void test_work_goes_on_in_another_pool(void **state)
{
    (void)state;
    struct ig_err err = IG_ERR_INIT;
    assert_int_equal(ig_pool_new(&second_pool, "second", 1, 4, &err), IG_OK);
    const char *reply = talk(server, GET("/again"));
    assert_status(reply, 200);
    assert_has(reply, "\r\n\r\nfirst second");
    ig_pool_free(second_pool);
    assert_int_equal(ig_pool_new(&second_pool, "narrow", 1, 1, &err), IG_OK);
    atomic_store(&seen.waiting, 0);
    assert_true(ig_pool_submit(second_pool, hold_worker, NULL));
    assert_true(reaches(&seen.waiting, 1));
    assert_true(ig_pool_submit(second_pool, hold_worker, NULL)); /* as many as may wait */
    assert_has(talk(server, GET("/again")), "\r\n\r\nfirst full");
    atomic_store(&seen.gate, 1);
    ig_pool_free(second_pool);
}

static void test_pipelining_keeps_order(void **state)
{
    (void)state;
    char request[8192] = "", reply[20000], expected[64];
    size_t length = 0;
    for (int i = 0; i < 24; i++) {
        static const char *const PATHS[] = {"/echo", "/pool",  "/stream/echo",
                                            "/now",  "/later", "/handed"};
        length += (size_t)snprintf(request + length, sizeof request - length,
                                   "POST %s HTTP/1.1\r\nHost: a\r\n%sContent-Length: 4\r\n\r\n"
                                   "<%02d>",
                                   PATHS[i % 6], i == 23 ? "Connection: close\r\n" : "", i);
    }
    int fd = dial(server, false);
    send_bytes(fd, request, length);
    receive_all(fd, reply, sizeof reply);
    close(fd);
    assert_int_equal(count_of(reply, "HTTP/1.1 200 OK"), 24);
    const char *at = reply;
    for (int i = 0; i < 24; i++) {
        snprintf(expected, sizeof expected, i % 6 == 3 ? "\r\n\r\nnow" : "<%02d>", i);
        at = strstr(at, expected);
        if (!at) fail_msg("answer %d is missing or out of order: %s", i, reply);
        at++;
    }
}

/* A client that sends far more requests than it reads answers for stalls, and gets all in the end.
 */
static void test_pipelining_is_bounded(void **state)
{
    (void)state;
    static char reply[65536];
    static const char REQUEST[] = "GET /size?3000 HTTP/1.1\r\nHost: a\r\n\r\n";
    if (over_tls) skip(); /* what waits in the tunnel cannot be counted */
    int fd = dial(server, true);
    size_t sent = 0, expected = 6000 * (sizeof REQUEST - 1), answers = 0;
    uint64_t received = 0;
    for (bool stalled = false; sent < expected && !stalled;) {
        ssize_t n =
            send(fd, REQUEST + sent % (sizeof REQUEST - 1),
                 sizeof REQUEST - 1 - sent % (sizeof REQUEST - 1), MSG_NOSIGNAL | MSG_DONTWAIT);
        if (n > 0) sent += (size_t)n;
        if (n > 0) continue;
        sleep_ms(30);
        struct ig_http_stats stats;
        ig_http_server_stats(server, &stats);
        stalled = stats.requests == answers;
        answers = (size_t)stats.requests;
    }
    /* All waited in the sockets while the answers were not taken. */
    assert_true(answers * (sizeof REQUEST - 1) < sent / 2);
    shutdown(fd, SHUT_WR);
    for (ssize_t n; (n = recv(fd, reply, sizeof reply, 0)) > 0;) received += (uint64_t)n;
    close(fd);
    size_t whole = sent / (sizeof REQUEST - 1);
    assert_in_range(received / whole, 3100, 3250);
}

static void test_refusals_close(void **state)
{
    (void)state;
    static const struct {
        int status;
        const char *request;
    } CASES[] = {
        {400, POST("/echo", "Content-Length: 4\r\nTransfer-Encoding: chunked\r\n", "0\r\n\r\n")},
        {400, POST("/echo", "Content-Length: 4\r\nContent-Length: 4\r\n", "abcd")},
        {400, POST("/echo", "Transfer-Encoding: xchunked\r\n", "0\r\n\r\n")},
        {400, POST("/echo", "Transfer-Encoding: chunked\r\n", "zz\r\n")},
        {400, POST("/echo", "Transfer-Encoding: chunked\r\n", "1\r\nab\r\n0\r\n\r\n")},
        {413, POST("/echo", "Content-Length: 100001\r\n", "")},
        {413, POST("/echo", "Content-Length: 9223372036854775807\r\n", "")},
        {417, POST("/echo", "Expect: something\r\n", "")},
        {505, "GET / HTTP/2.0\r\n\r\n"},
        {400, "\x16\x03\x01 not http"},
    };
    for (size_t i = 0; i < sizeof CASES / sizeof CASES[0]; i++) {
        char request[512];
        snprintf(request, sizeof request, "%sGET /now HTTP/1.1\r\nHost: a\r\n\r\n",
                 CASES[i].request);
        int before = seen.begun;
        const char *reply = talk(server, ig_str_view(request));
        assert_status(reply, CASES[i].status);
        assert_has(reply, "\r\nConnection: close\r\n");
        assert_int_equal(count_of(reply, "\r\n\r\n"), 1);
        assert_in_range(seen.begun - before, 0, 1);
    }
    static char large[40000];
    memset(large, 'a', sizeof large);
    memcpy(large, "GET /", 5);
    assert_status(talk(server, (struct ig_str){large, sizeof large}), 414);
    memcpy(large, "GET / HTTP/1.1\r\nX: ", 19);
    assert_status(talk(server, (struct ig_str){large, sizeof large}), 431);
    struct ig_http_stats stats;
    ig_http_server_stats(server, &stats);
    assert_int_equal(stats.requests_refused, sizeof CASES / sizeof CASES[0] + 2);
    assert_int_equal(stats.inflight_bytes, 0);
}

static void test_bodies_over_the_cap_in_chunks(void **state)
{
    (void)state;
    static char request[420000];
    size_t length = (size_t)snprintf(request, sizeof request,
                                     POST("/echo", "Transfer-Encoding: chunked\r\n", ""));
    /* 30,000 chunks of one byte are fine ... */
    for (int i = 0; i < 30000; i++, length += 6) memcpy(request + length, "1\r\nx\r\n", 6);
    size_t enough = length;
    length +=
        (size_t)snprintf(request + length, 300,
                         "0\r\n\r\nGET /now HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
    const char *reply = talk(server, (struct ig_str){request, length});
    assert_has(reply, "Content-Length: 30000\r\n");
    assert_has(reply, "xxxHTTP/1.1 200 OK");
    /* ... but not 100,001 bytes in all. */
    length = enough;
    for (int i = 0; i < 30000; i++, length += 6) memcpy(request + length, "1\r\nx\r\n", 6);
    length += (size_t)snprintf(request + length, 64, "%x\r\n", 100001 - 60000);
    memset(request + length, 'y', 40100);
    int fd = dial(server, false);
    char answer[1000];
    send_bytes(fd, request, length + 40100);
    receive_all(fd, answer, sizeof answer);
    close(fd);
    assert_status(answer, 413);
}

static void test_large_bodies(void **state)
{
    (void)state;
    static char request[100200], reply[101000];
    int head = snprintf(request, sizeof request,
                        POST("/pool", "Content-Length: 100000\r\nConnection: close\r\n", ""));
    fill_pattern(request + head, 100000, 0);
    int fd = dial(server, false);
    send_bytes(fd, request, (size_t)head + 99000);
    sleep_ms(5);
    send_bytes(fd, request + head + 99000, 1000);
    size_t got = receive_all(fd, reply, sizeof reply);
    close(fd);
    assert_status(reply, 200);
    assert_memory_equal(reply + got - 100000, request + head, 100000);
}

static void test_expect(void **state)
{
    (void)state;
    char reply[1000];
    int fd = dial(server, false);
    send_text(fd, POST("/echo", "Content-Length: 3\r\nExpect: 100-continue\r\n", ""));
    assert_true(receive_until(fd, reply, sizeof reply, "\r\n\r\n", 1));
    assert_string_equal(reply, "HTTP/1.1 100 Continue\r\n\r\n");
    send_text(fd, "abc");
    assert_true(receive_until(fd, reply, sizeof reply, "\r\n\r\nabc", 1));
    assert_status(reply, 200);
    /* Not asked for when the body is there already. */
    send_text(fd, POST("/echo", "Content-Length: 3\r\nExpect: 100-continue\r\n", "def"));
    assert_true(receive_until(fd, reply, sizeof reply, "\r\n\r\ndef", 1));
    assert_status(reply, 200);
    /* Not sent when the body is unwanted: the answer comes instead, and the connection ends. */
    send_text(fd, POST("/now", "Content-Length: 3\r\nExpect: 100-continue\r\n", ""));
    receive_all(fd, reply, sizeof reply);
    assert_status(reply, 200);
    assert_has(reply, "Connection: close");
    close(fd);
    const char *refused = talk(
        server, IG_STR(POST("/echo", "Content-Length: 100001\r\nExpect: 100-continue\r\n", "")));
    assert_status(refused, 413);
}

/* An unread short body is passed over and the connection goes on; a long one ends it. */
static void test_unread_bodies(void **state)
{
    (void)state;
    const char *reply =
        talk(server, IG_STR(POST("/now", "Content-Length: 5\r\n", "GET /")
                                POST("/now", "Transfer-Encoding: chunked\r\n",
                                     "3\r\nGET\r\n0\r\n\r\n") "GET /header HTTP/1.1\r\nHost: "
                                                              "a\r\nConnection: close\r\n\r\n"));
    assert_int_equal(count_of(reply, "HTTP/1.1 200 OK"), 3);
    assert_has(reply, "X-Own: yes");
    reply = talk(server, IG_STR(POST("/now", "Content-Length: 1000000\r\n", "GET /")));
    assert_int_equal(count_of(reply, "HTTP/1.1 "), 1);
    assert_has(reply, "Connection: close");
    reply = talk(server, IG_STR(POST("/now", "Transfer-Encoding: chunked\r\n", "zz\r\n")));
    assert_status(reply, 200);
}

static void test_deadlines(void **state)
{
    (void)state;
    struct ig_http_server_options options = test_options();
    options.head_timeout_ms = 150;
    options.idle_timeout_ms = 300;
    options.body_timeout_ms = 150;
    struct ig_http_server *hasty = test_start(&options);
    char reply[1000];
    int silent = dial(hasty, false), half = dial(hasty, false), body = dial(hasty, false),
        idle = dial(hasty, false), drip = dial(hasty, false), blank = dial(hasty, false);
    send_text(half, "GET /now HT");
    send_text(body, POST("/echo", "Content-Length: 10\r\n", "12345"));
    send_text(idle, "GET /now HTTP/1.1\r\nHost: a\r\n\r\n");
    send_text(blank, "GET /now HTTP/1.1\r\nHost: a\r\n\r\n\r\n");
    uint64_t began = ig_clock_ns();
    /* Bytes that keep dripping do not prolong the time for a head. */
    for (int i = 0; i < 12; i++, sleep_ms(25)) send_text(drip, "G");
    receive_all(drip, reply, sizeof reply);
    assert_status(reply, 408);
    receive_all(half, reply, sizeof reply);
    assert_status(reply, 408);
    receive_all(body, reply, sizeof reply);
    assert_status(reply, 408);
    assert_int_equal(receive_all(silent, reply, sizeof reply), 0);
    receive_all(idle, reply, sizeof reply);
    assert_has(reply, "now");
    assert_in_range((ig_clock_ns() - began) / 1000000, 290, 10000);
    receive_all(blank, reply, sizeof reply);
    assert_int_equal(count_of(reply, "HTTP/1.1 "), 1);
    int all[] = {silent, half, body, idle, drip, blank};
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) close(all[i]);
    assert_int_equal(test_stop(hasty, 1000), 0);
    assert_int_equal(seen.begun, seen.ended);
}

static void test_stalled_reader(void **state)
{
    (void)state;
    struct ig_http_server_options options = test_options();
    options.loops = 1;
    options.write_timeout_ms = 200;
    struct ig_http_server *one = test_start(&options);
    int stalled = dial(one, true);
    send_text(stalled, "GET /size?30000000 HTTP/1.1\r\nHost: a\r\n\r\n");
    /* Others on the same loop are served meanwhile. */
    for (int i = 0; i < 20; i++) assert_status(talk(one, GET("/now")), 200);
    assert_true(reaches(&seen.aborted, 1));
    close(stalled);
    assert_int_equal(test_stop(one, 1000), 0);
    assert_int_equal(seen.begun, seen.ended);
}

/* Taking a byte now and then does not hold a large reply for ever. */
static void test_dripping_reader(void **state)
{
    (void)state;
    struct ig_http_server_options options = test_options();
    options.write_timeout_ms = 250;
    options.client_bytes_per_s = 100000000;
    struct ig_http_server *one = test_start(&options);
    static char bytes[65536];
    int drip = dial(one, false);
    send_text(drip, "GET /size?60000000 HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_true(recv(drip, bytes, 1, 0) == 1);
    for (int i = 0; i < 400 && !atomic_load(&seen.aborted); i++, sleep_ms(2))
        (void)!recv(drip, bytes, sizeof bytes, MSG_DONTWAIT);
    assert_int_equal(seen.aborted, 1);
    close(drip);
    assert_int_equal(test_stop(one, 1000), 0);
}

static void test_large_reply_whole(void **state)
{
    (void)state;
    char bytes[20000];
    uint64_t got = 0, head = 0;
    int fd = dial(server, true);
    send_text(fd, "GET /size?5000000 HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
    for (ssize_t n; (n = recv(fd, bytes, sizeof bytes, 0)) > 0; got += (uint64_t)n) {
        const char *end = head ? NULL : memmem(bytes, (size_t)n, "\r\n\r\n", 4);
        if (end) head = (uint64_t)(end - bytes) + 4;
        ssize_t from = got ? 0 : (ssize_t)head;
        for (ssize_t i = from; i < n; i += 97)
            assert_int_equal((unsigned char)bytes[i], (got + (uint64_t)i - head) % 251);
    }
    close(fd);
    assert_int_equal(got - head, 5000000);
}

static void test_pool_is_bounded(void **state)
{
    (void)state;
    struct ig_http_server_options options = test_options();
    options.workers = 1;
    options.workers_queue = 1;
    struct ig_http_server *narrow = test_start(&options);
    char reply[1000];
    int first = dial(narrow, false), second = dial(narrow, false);
    send_text(first, "GET /wait HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
    assert_true(reaches(&seen.waiting, 1));
    send_text(second, "GET /wait HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
    assert_true(reaches(&seen.begun, 2));
    ig_http_server_wait_quiescent(narrow);
    const char *refused = talk(narrow, GET("/pool"));
    assert_status(refused, 503);
    assert_has(refused, "Retry-After: 1\r\n");
    assert_status(talk(narrow, GET("/now")), 200);
    atomic_store(&seen.gate, 1);
    receive_all(first, reply, sizeof reply);
    assert_has(reply, "waited");
    receive_all(second, reply, sizeof reply);
    assert_has(reply, "waited");
    close(first);
    close(second);
    assert_int_equal(test_stop(narrow, 1000), 0);
}

static void wait_unconnected(struct ig_http_server *which, struct ig_http_stats *stats)
{
    for (int i = 0; i < 2000; i++, sleep_ms(1)) {
        ig_http_server_stats(which, stats);
        if (!stats->connections_open) return;
    }
    fail_msg("connections stay open");
}

static void test_caps_of_connections_and_bytes(void **state)
{
    (void)state;
    if (over_tls) skip(); /* who is turned away hears no HTTP */
    struct ig_http_server_options options = test_options();
    options.loops = 1;
    options.connections_max = 2;
    options.inflight_max_bytes = 150000;
    struct ig_http_server *small = test_start(&options);
    char reply[1000];
    const char *large = talk(small, GET("/size?150001"));
    assert_status(large, 503);
    assert_has(large, "too many response bytes are in flight");
    struct ig_http_stats stats;
    wait_unconnected(small, &stats);
    int first = dial(small, false), second = dial(small, false);
    send_text(first, POST("/echo", "Content-Length: 90000\r\n", "x"));
    assert_true(reaches(&seen.begun, 2));
    send_text(second, POST("/echo", "Content-Length: 90000\r\n", "x"));
    receive_all(second, reply, sizeof reply);
    assert_status(reply, 503);
    assert_has(reply, "too many request bytes are in flight");
    int third = dial(small, false);
    (void)receive_all(third, reply, sizeof reply);
    bool refused = strstr(reply, "503 Service Unavailable") != NULL;
    close(third);
    close(second);
    if (!refused) { /* `second` was closed already: fill its place again */
        second = dial(small, false);
        sleep_ms(20);
        third = dial(small, false);
        receive_all(third, reply, sizeof reply);
        assert_status(reply, 503);
        close(third);
        close(second);
    }
    close(first);
    assert_true(reaches(&seen.ended, 3));
    wait_unconnected(small, &stats);
    assert_int_equal(stats.inflight_bytes, 0);
    assert_true(stats.connections_refused >= 1);
    assert_status(talk(small, GET("/now")), 200);
    assert_int_equal(test_stop(small, 1000), 0);
    assert_int_equal(seen.aborted, 1);
}

static void test_out_of_descriptors(void **state)
{
    (void)state;
    struct rlimit limit, low;
    char reply[1000];
    if (over_tls) skip(); /* a tunnel needs descriptors, too */
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    getrlimit(RLIMIT_NOFILE, &limit);
    low = limit;
    low.rlim_cur = (rlim_t)fd; /* no new descriptor at or above it */
    int fill[64], filled = 0;
    while (filled < 64 && (fill[filled] = dup(0)) >= 0 && fill[filled] < fd) filled++;
    if (filled < 64 && fill[filled] >= 0) close(fill[filled]);
    setrlimit(RLIMIT_NOFILE, &low);
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_port = htons(ig_http_server_port(server))};
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof address), 0);
    send_text(fd, "GET /now HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
    sleep_ms(50);
    assert_true(recv(fd, reply, sizeof reply, MSG_DONTWAIT) < 0);
    setrlimit(RLIMIT_NOFILE, &limit);
    receive_all(fd, reply, sizeof reply);
    assert_status(reply, 200);
    while (filled) close(fill[--filled]);
    close(fd);
}

/* Between fork and exec a child holds all sockets: what the server has closed must not wake it. */
static void test_a_child_holds_the_socket(void **state)
{
    (void)state;
    char reply[1000];
    struct ig_http_stats stats;
    int fd = dial(server, false);
    send_text(fd, "GET /wait HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
    assert_true(reaches(&seen.waiting, 1));
    pid_t child = fork();
    if (child == 0) {
        for (;;) pause();
    }
    atomic_store(&seen.gate, 1);
    assert_true(receive_until(fd, reply, sizeof reply, "waited", 1));
    wait_unconnected(server, &stats);
    send_text(fd, "more");
    sleep_ms(30);
    kill(child, SIGKILL);
    waitpid(child, NULL, 0);
    close(fd);
    assert_status(talk(server, GET("/now")), 200);
}

static void *stop_in_thread(void *context)
{
    (void)context;
    return (void *)(uintptr_t)test_stop(server, 3000);
}

static void test_graceful_stop(void **state)
{
    (void)state;
    char reply[2000];
    uint64_t thread;
    struct ig_err err = IG_ERR_INIT;
    int idle = dial(server, false), busy = dial(server, false);
    send_text(idle, "GET /now HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_true(receive_until(idle, reply, sizeof reply, "now", 1));
    send_text(busy, "GET /wait HTTP/1.1\r\nHost: a\r\n\r\nGET /now HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_true(reaches(&seen.waiting, 1));
    assert_int_equal(ig_thread_start(&thread, "stop", stop_in_thread, NULL, &err), IG_OK);
    assert_int_equal(receive_all(idle, reply, sizeof reply), 0);
    /* The port is closed, the request in flight is not. */
    int refused = socket(AF_INET, SOCK_STREAM, 0);
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_port = htons(ig_http_server_port(server))};
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    for (int i = 0; i < 1000 && connect(refused, (struct sockaddr *)&address, sizeof address) == 0;
         i++) {
        close(refused);
        refused = socket(AF_INET, SOCK_STREAM, 0);
        sleep_ms(1);
    }
    assert_int_not_equal(connect(refused, (struct sockaddr *)&address, sizeof address), 0);
    close(refused);
    atomic_store(&seen.gate, 1);
    receive_all(busy, reply, sizeof reply);
    assert_has(reply, "Connection: close\r\n\r\nwaited");
    assert_int_equal(count_of(reply, "HTTP/1.1 "), 1);
    close(busy);
    close(idle);
    ig_thread_join(thread);
    assert_int_equal(seen.begun, seen.ended);
}

static void *open_gate_later(void *context)
{
    (void)context;
    sleep_ms(100);
    atomic_store(&seen.gate, 1);
    return NULL;
}

static void test_stop_cuts_what_will_not_end(void **state)
{
    (void)state;
    struct ig_http_server_options options = test_options();
    struct ig_http_server *stuck = test_start(&options);
    uint64_t thread;
    struct ig_err err = IG_ERR_INIT;
    char reply[1000];
    int waits = dial(stuck, false), half = dial(stuck, false);
    send_text(waits, "GET /wait HTTP/1.1\r\nHost: a\r\n\r\n");
    send_text(half, "GET /wa");
    assert_true(reaches(&seen.waiting, 1));
    struct ig_http_stats stats = {0};
    for (int i = 0; i < 3000 && stats.received_bytes < 38; i++, sleep_ms(1))
        ig_http_server_stats(stuck, &stats);
    assert_int_equal(stats.received_bytes, 38);
    ig_thread_start(&thread, "gate", open_gate_later, NULL, &err);
    assert_int_equal(test_stop(stuck, 30), 2);
    ig_thread_join(thread);
    assert_int_equal(receive_all(waits, reply, sizeof reply), 0);
    assert_int_equal(seen.begun, 1);
    assert_int_equal(seen.ended, 1);
    assert_int_equal(seen.aborted, 1);
    close(waits);
    close(half);
}

static void test_quiescence(void **state)
{
    (void)state;
    uint64_t thread, began = ig_clock_ns();
    struct ig_err err = IG_ERR_INIT;
    char reply[1000];
    ig_http_server_wait_quiescent(server); /* idle loops: at once */
    assert_true(ig_clock_ns() - began < 1000000000u);
    int fd = dial(server, false);
    send_text(fd, "GET /spin HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
    assert_true(reaches(&seen.waiting, 1));
    began = ig_clock_ns();
    ig_thread_start(&thread, "gate", open_gate_later, NULL, &err);
    ig_http_server_wait_quiescent(server);
    assert_int_equal(atomic_load(&seen.gate), 1);
    assert_true(ig_clock_ns() - began > 50000000u);
    receive_all(fd, reply, sizeof reply);
    assert_status(reply, 200);
    close(fd);
    ig_thread_join(thread);
}

static void test_start_errors(void **state)
{
    (void)state;
    struct ig_http_server_options options = test_options();
    struct ig_http_server *other = NULL;
    struct ig_err err = IG_ERR_INIT;
    options.port = ig_http_server_port(server);
    assert_int_equal(ig_http_server_start(&other, &options, &err), IG_EXISTS);
    assert_non_null(strstr(err.message, "127.0.0.1 port"));
    err = IG_ERR_INIT;
    options.host = "not a host";
    assert_int_equal(ig_http_server_start(&other, &options, &err), IG_INVALID);
    assert_non_null(strstr(err.message, "'not a host'"));
    err = IG_ERR_INIT;
    options.host = NULL;
    options.port = 0;
    options.handler.on_body = NULL;
    assert_int_equal(ig_http_server_start(&other, &options, &err), IG_INVALID);
    err = IG_ERR_INIT;
    options.handler.on_body = test_on_body;
    options.stream_ring_bytes = 1000;
    assert_int_equal(ig_http_server_start(&other, &options, &err), IG_INVALID);
    assert_null(other);
}

/* A failing allocation may cost the request or the connection, never more. */
static void test_every_allocation_fails(void **state)
{
    (void)state;
    static const char *const REQUESTS[] = {
        "GET /header HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
        "GET /size?60000 HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
        POST("/pool", "Transfer-Encoding: chunked\r\nConnection: close\r\n",
             "3\r\nabc\r\n0\r\n\r\n"),
        POST("/stream/echo", "Content-Length: 3\r\nConnection: close\r\n", "abc"),
        POST("/echo", "Content-Length: 4\r\nTransfer-Encoding: chunked\r\n", ""),
    };
    struct ig_http_server_options options = test_options();
    options.loops = 1;
    for (size_t i = 0; i < sizeof REQUESTS / sizeof REQUESTS[0]; i++) {
        bool refused = true;
        for (uint64_t n = 1; refused; n++) {
            assert_true(n < 200);
            struct ig_http_server *fresh = test_start(&options); /* with empty free lists */
            ig_mem_fail_after(n);
            const char *reply = talk(fresh, ig_str_view(REQUESTS[i]));
            refused = ig_mem_failed();
            ig_mem_fail_after(0);
            int status = 0;
            bool answered = sscanf(reply, "HTTP/1.1 %d", &status) == 1;
            if (answered && status != 200 && status != 400 && status != 500 && status != 503)
                fail_msg("request %zu, allocation %d: %s", i, (int)n, reply);
            if (!refused) assert_true(answered);
            assert_status(talk(fresh, GET("/now")), 200);
            assert_int_equal(test_stop(fresh, 1000), 0);
        }
    }
    assert_int_equal(seen.begun, seen.ended);
    for (uint64_t n = 1;; n++) {
        struct ig_err err = IG_ERR_INIT;
        struct ig_http_server *fresh = NULL;
        ig_mem_fail_after(n);
        enum ig_code code = ig_http_server_start(&fresh, &options, &err);
        bool failed = ig_mem_failed();
        ig_mem_fail_after(0);
        assert_int_equal(code, failed ? IG_NO_MEMORY : IG_OK);
        if (!code) test_stop(fresh, 100);
        if (!failed) break;
    }
}

/* Clients that send anything and leave at any moment, on all kinds of routes at once. */
static void *churn(void *context)
{
    static const char *const REQUESTS[] = {
        "GET /now HTTP/1.1\r\nHost: a\r\n\r\n",
        POST("/pool", "Content-Length: 9\r\n", "123456789"),
        POST("/stream/echo", "Content-Length: 5\r\n", "12345"),
        POST("/stream/sink", "Transfer-Encoding: chunked\r\n", "3\r\nabc\r\n"),
        "GET /stream/source?300000 HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET /size?200000 HTTP/1.1\r\nHost: a\r\n\r\n",
        POST("/echo", "Content-Length: 5\r\n", "12"),
        "GET /stream/endless HTTP/1.1\r\nHost: a\r\n\r\n",
        "nonsense\r\n\r\n",
    };
    unsigned dice = *(unsigned *)context;
    char bytes[3000];
    int times = over_tls ? 15 : 60; /* a tunnel is a thread */
    for (int i = 0; i < times; i++) {
        int fd = dial(server, i % 2);
        for (unsigned turns = 1 + (dice >> 20) % 3; turns; turns--) {
            dice = dice * 1664525u + 1013904223u;
            send_text(fd, REQUESTS[(dice >> 16) % (sizeof REQUESTS / sizeof REQUESTS[0])]);
            if (dice & 0x1000) (void)!recv(fd, bytes, sizeof bytes, MSG_DONTWAIT);
            if (dice & 0x2000) sleep_ms(1);
        }
        struct linger reset = {.l_onoff = 1, .l_linger = 0};
        if (dice & 0x4000) setsockopt(fd, SOL_SOCKET, SO_LINGER, &reset, sizeof reset);
        close(fd);
    }
    return NULL;
}

static void test_churn(void **state)
{
    (void)state;
    unsigned dice[4] = {1, 22, 333, 4444};
    uint64_t threads[4];
    struct ig_err err = IG_ERR_INIT;
    for (int i = 0; i < 4; i++) ig_thread_start(&threads[i], "churn", churn, &dice[i], &err);
    for (int i = 0; i < 4; i++) ig_thread_join(threads[i]);
    tunnels_wait();
    assert_status(talk(server, GET("/now")), 200);
}

#define WITH_SERVER(test) cmocka_unit_test_setup_teardown(test, start, stop)

/* Two ports that were free a moment ago, and different. */
static void find_ports(uint16_t ports[2])
{
    int fds[2];
    for (int i = 0; i < 2; i++) {
        struct sockaddr_in address = {.sin_family = AF_INET};
        socklen_t size = sizeof address;
        fds[i] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        assert_int_equal(bind(fds[i], (struct sockaddr *)&address, size), 0);
        assert_int_equal(getsockname(fds[i], (struct sockaddr *)&address, &size), 0);
        ports[i] = ntohs(address.sin_port);
    }
    close(fds[0]);
    close(fds[1]);
}

/* Other programs take ports as well, so it may take several tries. */
static struct ig_http_server *start_on_ports(struct ig_http_server_options *options,
                                             uint16_t ports[2], bool fresh)
{
    struct ig_http_server *started = NULL;
    options->more_ports = ports;
    options->more_ports_count = 2;
    for (int i = 0; i < 50 && !started; i++) {
        struct ig_err err = IG_ERR_INIT;
        if (fresh) find_ports(ports);
        enum ig_code code = ig_http_server_start(&started, options, &err);
        assert_true(code == IG_OK || code == IG_EXISTS);
        if (!started) usleep(10000);
    }
    assert_non_null(started);
    return started;
}

static void test_more_ports(void **state)
{
    (void)state;
    struct ig_err err = IG_ERR_INIT;
    struct ig_http_server *several, *other = NULL;
    struct ig_http_server_options options = test_options();
    uint16_t ports[2];
    several = start_on_ports(&options, ports, true);
    assert_status(talk(several, GET("/now")), 200);
    for (int i = 0; i < 2; i++) {
        struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(ports[i])};
        char reply[1000];
        int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof address), 0);
        if (over_tls) fd = tunnel_open(fd, "http/1.1");
        send_text(fd, "GET /now HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
        receive_all(fd, reply, sizeof reply);
        assert_status(reply, 200);
        close(fd);
    }
    assert_int_equal(ig_http_server_start(&other, &options, &err), IG_EXISTS);
    assert_null(other);
    ig_http_server_stop(several, 1000);
    ig_http_server_free(several);
    err = IG_ERR_INIT;
    several = start_on_ports(&options, ports, false); /* all are free again */
    ig_http_server_stop(several, 1000);
    ig_http_server_free(several);
    options.more_ports_count = IG_HTTP_PORTS_MAX;
    assert_int_equal(ig_http_server_start(&other, &options, &err), IG_INVALID);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_SERVER(test_modes),
        cmocka_unit_test(test_own_errors_and_peers),
        WITH_SERVER(test_versions_and_bare_replies),
        WITH_SERVER(test_one_byte_at_a_time),
        WITH_SERVER(test_work_goes_on_in_another_pool),
        WITH_SERVER(test_pipelining_keeps_order),
        WITH_SERVER(test_pipelining_is_bounded),
        WITH_SERVER(test_refusals_close),
        WITH_SERVER(test_bodies_over_the_cap_in_chunks),
        WITH_SERVER(test_large_bodies),
        WITH_SERVER(test_expect),
        WITH_SERVER(test_unread_bodies),
        cmocka_unit_test(test_deadlines),
        cmocka_unit_test(test_stalled_reader),
        cmocka_unit_test(test_dripping_reader),
        WITH_SERVER(test_large_reply_whole),
        cmocka_unit_test(test_pool_is_bounded),
        cmocka_unit_test(test_caps_of_connections_and_bytes),
        cmocka_unit_test(test_more_ports),
        WITH_SERVER(test_out_of_descriptors),
        WITH_SERVER(test_a_child_holds_the_socket),
        cmocka_unit_test_setup(test_graceful_stop, start),
        cmocka_unit_test(test_stop_cuts_what_will_not_end),
        WITH_SERVER(test_quiescence),
        WITH_SERVER(test_start_errors),
        WITH_SERVER(test_churn),
        cmocka_unit_test(test_every_allocation_fails),
    };
    return RUN_PLAIN_AND_TLS(tests);
}
