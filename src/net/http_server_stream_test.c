/* SPDX-License-Identifier: Apache-2.0 */
/* Streaming bodies: both directions, backpressure in constant memory, and every way that a client
 * can leave a worker alone. With INGOT_LONG=1 the large transfers are 1 GB instead of 32 MB. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "net/http_server_testing.h"

#include <stdlib.h>

#define POST(path, headers, body) "POST " path " HTTP/1.1\r\nHost: a\r\n" headers "\r\n" body

enum { GROWTH_MAX_KB = 12 * 1024 };

static struct ig_http_server *server;

static int start(void **state)
{
    (void)state;
    struct ig_http_server_options options = test_options();
    options.body_timeout_ms = 300;
    options.write_timeout_ms = 300;
    server = test_start(&options);
    return 0;
}

static int stop(void **state)
{
    (void)state;
    struct ig_http_stats stats;
    atomic_store(&seen.gate, 1);
    for (int i = 0; i < 2000; i++, sleep_ms(1)) {
        ig_http_server_stats(server, &stats);
        if (!stats.streams_active) break;
    }
    unsigned cut = test_stop(server, 3000);
    if (cut || seen.begun != seen.ended || stats.streams_active) {
        print_error("%u cut, %d begun, %d ended, %d streams\n", cut, seen.begun, seen.ended,
                    (int)stats.streams_active);
        return 1;
    }
    return 0;
}

static uint64_t large_bytes(void)
{
    return getenv("INGOT_LONG") ? UINT64_C(1) << 30 : UINT64_C(32) << 20;
}

static long resident_kb(void)
{
    char line[256];
    long kb = 0;
    FILE *file = fopen("/proc/self/status", "r");
    assert_non_null(file);
    while (fgets(line, sizeof line, file)) {
        if (sscanf(line, "VmRSS: %ld kB", &kb) == 1) break;
    }
    fclose(file);
    return kb;
}

static void test_upload_in_constant_memory(void **state)
{
    (void)state;
    static char bytes[251 * 1024];
    char request[256], reply[1000];
    if (over_tls) skip(); /* the tunnel takes its memory from the same process */
    uint64_t left = large_bytes();
    fill_pattern(bytes, sizeof bytes, 0);
    long before_kb = resident_kb(), most_kb = 0;
    int fd = dial(server, false);
    snprintf(request, sizeof request,
             POST("/stream/sink", "Connection: close\r\nContent-Length: %llu\r\n", ""),
             (unsigned long long)left);
    send_text(fd, request);
    for (unsigned i = 0; left; i++) {
        size_t size = left < sizeof bytes ? (size_t)left : sizeof bytes;
        send_bytes(fd, bytes, size);
        left -= size;
        if (i % 16 == 0 && resident_kb() > most_kb) most_kb = resident_kb();
    }
    receive_all(fd, reply, sizeof reply);
    close(fd);
    assert_status(reply, 200);
    snprintf(request, sizeof request, "\r\n\r\n%llu", (unsigned long long)large_bytes());
    assert_has(reply, request);
    if (most_kb - before_kb > GROWTH_MAX_KB) fail_msg("grew by %ld kB", most_kb - before_kb);
}

static void test_download_in_constant_memory(void **state)
{
    (void)state;
    static char bytes[300000];
    char request[256];
    uint64_t got = 0, head = 0;
    unsigned reads = 0;
    long before_kb = resident_kb(), most_kb = 0;
    int fd = dial(server, false);
    snprintf(request, sizeof request,
             "GET /stream/source?%llu HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
             (unsigned long long)large_bytes());
    send_text(fd, request);
    for (ssize_t n; (n = recv(fd, bytes, sizeof bytes, 0)) > 0; got += (uint64_t)n) {
        const char *end = head ? NULL : memmem(bytes, (size_t)n, "\r\n\r\n", 4);
        if (end) head = (uint64_t)(end - bytes) + 4;
        for (ssize_t i = got ? 0 : (ssize_t)head; i < n; i += 1009)
            assert_int_equal((unsigned char)bytes[i], (got + (uint64_t)i - head) % 251);
        if (reads++ % 64 == 0 && resident_kb() > most_kb) most_kb = resident_kb();
    }
    close(fd);
    assert_int_equal(got - head, large_bytes());
    if (most_kb - before_kb > GROWTH_MAX_KB) fail_msg("grew by %ld kB", most_kb - before_kb);
}

static void test_chunked_upload(void **state)
{
    (void)state;
    static char body[700000];
    char reply[1000];
    size_t length = 0, data = 0;
    /* Chunks of 1 to 5,000 bytes, cut anywhere by the sends. */
    for (size_t size = 1; size <= 5000 && length < sizeof body - 6000; size += 41) {
        length += (size_t)snprintf(body + length, 32, "%zx;n=%zu\r\n", size, size);
        fill_pattern(body + length, size, data);
        length += size;
        data += size;
        memcpy(body + length, "\r\n", 2);
        length += 2;
    }
    length += (size_t)snprintf(body + length, 32, "0\r\nX: y\r\n\r\n");
    int fd = dial(server, false);
    send_text(fd, POST("/stream/sink", "Transfer-Encoding: chunked\r\n", ""));
    for (size_t at = 0; at < length; at += 7919)
        send_bytes(fd, body + at, length - at < 7919 ? length - at : 7919);
    assert_true(receive_until(fd, reply, sizeof reply, "\r\n\r\n", 1));
    char expected[64];
    snprintf(expected, sizeof expected, "\r\n\r\n%zu", data);
    assert_status(reply, 200);
    assert_has(reply, expected);
    /* The connection is good for more. */
    send_text(fd, "GET /now HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
    receive_all(fd, reply, sizeof reply);
    assert_has(reply, "\r\n\r\nnow");
    close(fd);
}

static void test_echo_framing(void **state)
{
    (void)state;
    const char *reply =
        talk(server,
             IG_STR(POST("/stream/echo", "Connection: close\r\nContent-Length: 5\r\n", "hello")));
    assert_has(reply, "\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n");
    assert_has(reply, "\r\n\r\n5\r\nhello\r\n0\r\n\r\n");
    assert_lacks(reply, "Content-Length");
    /* HTTP/1.0 knows no chunks: plain bytes until the end of the connection. */
    reply = talk(server, IG_STR("POST /stream/echo HTTP/1.0\r\nContent-Length: 5\r\n\r\nhello"));
    assert_has(reply, "\r\nConnection: close\r\n\r\nhello");
    assert_lacks(reply, "chunked");
    reply = talk(server, IG_STR("HEAD /stream/source?5 HTTP/1.1\r\nHost: a\r\n\r\n"
                                "HEAD /stream/echo HTTP/1.1\r\nHost: a\r\nConnection: close\r\n"
                                "\r\n"));
    assert_has(reply, "Content-Length: 5\r\n\r\nHTTP/1.1 200 OK");
    size_t length = strlen(reply);
    assert_string_equal(reply + length - 4, "\r\n\r\n");
    reply = talk(server,
                 IG_STR(POST("/stream/echo", "Connection: close\r\nTransfer-Encoding: chunked\r\n",
                             "0\r\n\r\n")));
    assert_has(reply, "\r\n\r\n0\r\n\r\n");
}

static void test_expect(void **state)
{
    (void)state;
    char reply[1000];
    int fd = dial(server, false);
    send_text(fd, POST("/stream/sink", "Content-Length: 3\r\nExpect: 100-continue\r\n", ""));
    assert_true(receive_until(fd, reply, sizeof reply, "\r\n\r\n", 1));
    assert_string_equal(reply, "HTTP/1.1 100 Continue\r\n\r\n");
    send_bytes(fd, "\0\1\2", 3);
    assert_true(receive_until(fd, reply, sizeof reply, "\r\n\r\n3", 1));
    close(fd);
}

/* A worker that reads nothing: short rests are passed over, long ones end the connection. */
static void test_unread_body(void **state)
{
    (void)state;
    const char *reply = talk(
        server, IG_STR(POST("/stream/ignore", "Content-Length: 3\r\n",
                            "GET") "GET /now HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"));
    assert_has(reply, "HTTP/1.1 403 Forbidden");
    assert_has(reply, "\r\n\r\nnow");
    int fd = dial(server, false);
    static char bytes[400000], answer[1000];
    send_text(fd, POST("/stream/ignore", "Content-Length: 10000000\r\n", ""));
    send_bytes(fd, bytes, sizeof bytes);
    receive_all(fd, answer, sizeof answer);
    close(fd);
    assert_status(answer, 403);
    assert_has(answer, "Connection: close");
}

static void test_bad_bodies(void **state)
{
    (void)state;
    const char *reply = talk(
        server, IG_STR(POST("/stream/sink", "Transfer-Encoding: chunked\r\n", "1\r\n\0000\n")));
    assert_status(reply, 400);
    assert_int_equal(seen.read_code, IG_PARSE);
    assert_int_equal(count_of(reply, "HTTP/1.1 "), 1);
    reply = talk(server, IG_STR(POST("/stream/small", "Transfer-Encoding: chunked\r\n",
                                     "6\r\n\0\1\2\3\4\5\r\n5\r\n\6\7\10\11\12\r\n")));
    assert_status(reply, 413);
    assert_int_equal(seen.read_code, IG_TOO_LARGE);
    assert_has(reply, "Connection: close");
    reply = talk(server, IG_STR(POST("/stream/sink", "Content-Length: 2147483649\r\n", "")));
    assert_status(reply, 413);
}

static void test_promise_not_kept(void **state)
{
    (void)state;
    const char *reply = talk(server, IG_STR("GET /stream/short HTTP/1.1\r\nHost: a\r\n\r\n"
                                            "GET /now HTTP/1.1\r\nHost: a\r\n\r\n"));
    assert_has(reply, "Content-Length: 10\r\n\r\n12345");
    assert_int_equal(count_of(reply, "HTTP/1.1 "), 1);
    assert_true(reaches(&seen.aborted, 1));
}

static void test_wrong_use_by_a_worker(void **state)
{
    (void)state;
    const char *reply = talk(server, IG_STR("GET /stream/long HTTP/1.1\r\nHost: a\r\n\r\n"));
    assert_lacks(reply, "1234");
    assert_int_equal(seen.write_code, IG_INTERNAL);
    assert_true(reaches(&seen.aborted, 1));
    atomic_store(&seen.write_code, 0);
    reply = talk(server, IG_STR("GET /stream/status HTTP/1.1\r\nHost: a\r\n"
                                "Connection: close\r\n\r\n"));
    assert_int_equal(seen.write_code, IG_INTERNAL);
    assert_status(reply, 200);
}

static void test_client_leaves_watchers(void **state)
{
    (void)state;
    int stream = dial(server, false), pool = dial(server, false);
    send_text(stream, "GET /stream/watch HTTP/1.1\r\nHost: a\r\n\r\n");
    send_text(pool, "GET /watch HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_true(reaches(&seen.waiting, 2));
    assert_int_equal(seen.cancelled, 0);
    shutdown(stream, SHUT_WR);
    close(pool);
    assert_true(reaches(&seen.cancelled, 2));
    close(stream);
}

static void test_client_leaves_upload(void **state)
{
    (void)state;
    int fd = dial(server, false);
    send_text(fd, POST("/stream/sink", "Content-Length: 1000000\r\n", "12345"));
    assert_true(reaches(&seen.begun, 1));
    uint64_t left_ns = ig_clock_ns();
    close(fd);
    assert_true(reaches(&seen.read_code, 1));
    assert_int_equal(seen.read_code, IG_CANCELLED);
    assert_true(seen.failed_ns - left_ns < 250000000u);
    assert_true(reaches(&seen.aborted, 1));
}

static void test_client_leaves_download(void **state)
{
    (void)state;
    int fd = dial(server, true);
    send_text(fd, "GET /stream/endless HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_true(reaches(&seen.waiting, 1));
    sleep_ms(20); /* until all rings and sockets are full */
    uint64_t left_ns = ig_clock_ns();
    close(fd);
    assert_true(reaches(&seen.write_code, 1));
    assert_int_equal(seen.write_code, IG_CANCELLED);
    assert_true(seen.failed_ns - left_ns < 250000000u);
    assert_true(reaches(&seen.aborted, 1));
}

static void test_slow_clients(void **state)
{
    (void)state;
    char reply[1000];
    int upload = dial(server, false), download = dial(server, true);
    send_text(upload, POST("/stream/sink", "Content-Length: 1000000\r\n", "12345"));
    send_text(download, "GET /stream/endless HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_true(reaches(&seen.read_code, 1));
    assert_int_equal(seen.read_code, IG_TIMEOUT);
    receive_all(upload, reply, sizeof reply);
    assert_status(reply, 408);
    assert_has(reply, "Connection: close");
    assert_true(reaches(&seen.write_code, 1));
    close(upload);
    close(download);
}

/* The client is not blamed for a worker that does not read: backpressure is no timeout. */
static void test_slow_worker(void **state)
{
    (void)state;
    static char bytes[3000000];
    char reply[1000];
    int fd = dial(server, false);
    send_text(fd, POST("/stream/wait", "Content-Length: 3000000\r\nConnection: close\r\n", ""));
    assert_true(reaches(&seen.waiting, 1));
    ssize_t sent = 0;
    for (int pauses = 0; pauses < 10; sleep_ms(45), pauses++) {
        ssize_t more = send(fd, bytes, sizeof bytes - (size_t)sent, MSG_DONTWAIT | MSG_NOSIGNAL);
        if (more > 0) sent += more;
    }
    assert_true(sent > 300000);
    atomic_store(&seen.gate, 1);
    receive_all(fd, reply, sizeof reply);
    assert_status(reply, 200);
    assert_has(reply, "waited");
    close(fd);
}

static void test_deadline(void **state)
{
    (void)state;
    struct ig_http_server_options options = test_options();
    options.stream_timeout_ms = 100;
    struct ig_http_server *hasty = test_start(&options);
    char reply[1000];
    int fd = dial(hasty, false);
    send_text(fd, POST("/stream/sink", "Content-Length: 1000000\r\n", "12345"));
    receive_all(fd, reply, sizeof reply);
    assert_status(reply, 504);
    assert_int_equal(seen.read_code, IG_DEADLINE);
    close(fd);
    assert_int_equal(test_stop(hasty, 1000), 0);
}

static void test_streams_are_bounded(void **state)
{
    (void)state;
    int fds[4];
    for (int i = 0; i < 4; i++) {
        fds[i] = dial(server, false);
        send_text(fds[i], "GET /stream/wait HTTP/1.1\r\nHost: a\r\n\r\n");
    }
    assert_true(reaches(&seen.waiting, 4));
    const char *reply = talk(server, IG_STR("GET /stream/source?5 HTTP/1.1\r\nHost: a\r\n\r\n"
                                            "GET /now HTTP/1.1\r\nHost: a\r\n"
                                            "Connection: close\r\n\r\n"));
    assert_status(reply, 503);
    assert_has(reply, "too many streams are open");
    assert_has(reply, "\r\n\r\nnow");
    /* An unwanted body is not asked for. */
    reply = talk(server,
                 IG_STR(POST("/stream/sink", "Content-Length: 3\r\nExpect: 100-continue\r\n", "")));
    assert_status(reply, 503);
    atomic_store(&seen.gate, 1);
    assert_true(reaches(&seen.ended, 7));
    for (int i = 0; i < 4; i++) close(fds[i]);
    assert_status(talk(server, IG_STR("GET /stream/source?5 HTTP/1.1\r\nHost: a\r\n"
                                      "Connection: close\r\n\r\n")),
                  200);
}

static void test_stop_cuts_streams(void **state)
{
    (void)state;
    struct ig_http_server_options options = test_options();
    struct ig_http_server *other = test_start(&options);
    int download = dial(other, true), upload = dial(other, false);
    send_text(download, "GET /stream/endless HTTP/1.1\r\nHost: a\r\n\r\n");
    send_text(upload, POST("/stream/sink", "Content-Length: 1000000\r\n", "12345"));
    assert_true(reaches(&seen.waiting, 1) && reaches(&seen.begun, 2));
    assert_int_equal(test_stop(other, 50), 2);
    assert_int_equal(seen.write_code, IG_CANCELLED);
    assert_int_equal(seen.read_code, IG_CANCELLED);
    assert_int_equal(seen.ended, 2);
    close(download);
    close(upload);
}

#define WITH_SERVER(test) cmocka_unit_test_setup_teardown(test, start, stop)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_SERVER(test_upload_in_constant_memory),
        WITH_SERVER(test_download_in_constant_memory),
        WITH_SERVER(test_chunked_upload),
        WITH_SERVER(test_echo_framing),
        WITH_SERVER(test_expect),
        WITH_SERVER(test_unread_body),
        WITH_SERVER(test_bad_bodies),
        WITH_SERVER(test_promise_not_kept),
        WITH_SERVER(test_wrong_use_by_a_worker),
        WITH_SERVER(test_client_leaves_watchers),
        WITH_SERVER(test_client_leaves_upload),
        WITH_SERVER(test_client_leaves_download),
        WITH_SERVER(test_slow_clients),
        WITH_SERVER(test_slow_worker),
        cmocka_unit_test(test_deadline),
        WITH_SERVER(test_streams_are_bounded),
        cmocka_unit_test(test_stop_cuts_streams),
    };
    return RUN_PLAIN_AND_TLS(tests);
}
