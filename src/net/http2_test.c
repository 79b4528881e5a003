/* SPDX-License-Identifier: Apache-2.0 */
/* HTTP/2 on the port of HTTP/1: the same routes, side by side on one connection, and the ways in
 * which a stream or a connection ends. Floods are in http2_flood_test.c. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "net/http2_testing.h"

#include <pthread.h>

static struct ig_http_server *server;

static int start(void **state)
{
    (void)state;
    struct ig_http_server_options options = test_options();
    options.body_timeout_ms = 400;
    options.write_timeout_ms = 400;
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
        if (!stats.streams_active && !stats.connections_open) break;
    }
    unsigned cut = test_stop(server, 3000);
    if (cut || seen.begun != seen.ended || stats.streams_active || stats.inflight_bytes) {
        print_error("%u cut, %d begun, %d ended, %d streams, %d bytes\n", cut, seen.begun,
                    seen.ended, (int)stats.streams_active, (int)stats.inflight_bytes);
        return 1;
    }
    return 0;
}

static void test_get(void **state)
{
    (void)state;
    struct h2 *h2 = h2_open(server);
    struct ask *ask = h2_get(h2, "/now");
    assert_true(h2_finish(h2));
    assert_body(ask, 200, "now");
    ig_buf_add_char(&ask->headers, '\0');
    assert_has(ask->headers.ptr, "content-type: text/plain\n");
    assert_has(ask->headers.ptr, "content-length: 3\n");
    assert_has(ask->headers.ptr, "x-content-type-options: nosniff\n");
    assert_has(ask->headers.ptr, "date: ");
    assert_lacks(ask->headers.ptr, "connection");
    assert_int_equal(h2->settings[NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS], 100);
    assert_int_equal(h2->settings[NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE], 24576);
    h2_close(h2);
}

static void test_curl_speaks_to_the_same_port(void **state)
{
    (void)state;
    static const char *const MODES[] = {"--http2-prior-knowledge", "--http2", "--http1.1"};
    static const char *const WANTED[] = {"now 2", "now 2", "now 1.1"}; /* the second: upgraded */
    for (size_t i = 0; i < 3; i++) {
        char url[64], line[64];
        snprintf(url, sizeof url, "%s://127.0.0.1:%u/now", over_tls ? "https" : "http",
                 ig_http_server_port(server));
        const char *const command[] = {"curl",
                                       "-s",
                                       "-m",
                                       "5",
                                       MODES[i],
                                       "-w",
                                       " %{http_version}",
                                       "--cacert",
                                       over_tls ? test_pki.files[0] : "",
                                       url,
                                       NULL};
        assert_int_equal(run_program(command, line, sizeof line), 0);
        assert_string_equal(line, WANTED[i]);
    }
}

/* What comes until the text is whole, or nothing comes any more. */
static void read_until(int fd, char *bytes, size_t size, const char *text)
{
    size_t got = 0;
    struct pollfd poller = {.fd = fd, .events = POLLIN};
    bytes[0] = '\0';
    while (!strstr(bytes, text) && got < size - 1 && poll(&poller, 1, 3000) > 0) {
        ssize_t n = recv(fd, bytes + got, 1, 0);
        if (n <= 0) break;
        bytes[++got] = '\0';
    }
}

static const char ASKED[] = " HTTP/1.1\r\nHost: test:80\r\nX-Echo: carried\r\n"
                            "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: websocket, h2c\r\n"
                            "HTTP2-Settings: AAMAAABkAAQAAP__\r\n\r\n";

static struct ask *ask_upgraded(struct h2 *h2)
{
    static const uint8_t SETTINGS[] = {0, 3, 0, 0, 0, 100, 0, 4, 0, 0, 255, 255};
    struct ask *ask = calloc(1, sizeof *ask);
    assert_non_null(ask);
    struct ig_buf *const bufs[] = {&ask->upload, &ask->headers, &ask->trailers, &ask->body};
    for (size_t i = 0; i < 4; i++) ig_buf_init(bufs[i], SIZE_MAX / 2);
    ask->stream_id = 1;
    h2->asks[h2->asks_count++] = ask;
    assert_int_equal(nghttp2_session_upgrade2(h2->session, SETTINGS, sizeof SETTINGS, 0, ask), 0);
    return ask;
}

/* The request of HTTP/1 is answered as the first stream's, behind what came before it. */
static void test_upgrade(void **state)
{
    (void)state;
    static const char *const PATHS[] = {"/now", "/pool", "/later", "/stream/echo", "/nowhere"};
    char text[600], got[2000];
    for (size_t i = 0; i < sizeof PATHS / sizeof *PATHS && !over_tls; i++) {
        struct h2 *h2 = h2_open(server);
        snprintf(text, sizeof text, "GET /now HTTP/1.1\r\nHost: test:80\r\n\r\nGET %s%s", PATHS[i],
                 ASKED);
        send_bytes(h2->fd, text, strlen(text));
        read_until(h2->fd, got, sizeof got, "Upgrade: h2c\r\n\r\n");
        assert_has(got, "\r\n\r\nnowHTTP/1.1 101 Switching Protocols\r\n");
        struct ask *first = ask_upgraded(h2), *second = h2_post(h2, "/echo", NULL, "more", 4);
        assert_true(h2_finish(h2));
        if (i == 0) assert_body(first, 200, "now");
        assert_int_equal(first->error_code, 0);
        assert_body(second, 200, "more");
        h2_close(h2);
    }
}

/* Over TLS, with a body, or without what HTTP/2 needs to know it is a request like any other. */
static void test_no_upgrade(void **state)
{
    (void)state;
    static const char *const HEADS[] = {
        "Connection: Upgrade\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\n\r\n",
        ("Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\n"
         "Content-Length: 1\r\n\r\nx"),
        "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMA\r\n\r\n",
        "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\n\r\n",
    };
    char text[600], got[2000];
    for (size_t i = 0; i < (over_tls ? 4 : 3); i++) {
        int fd = dial_for(server, false, "http/1.1");
        snprintf(text, sizeof text, "GET /now HTTP/1.1\r\nHost: test:80\r\n%s", HEADS[i]);
        send_bytes(fd, text, strlen(text));
        read_until(fd, got, sizeof got, "\r\n\r\nnow");
        assert_has(got, "HTTP/1.1 200 OK\r\n");
        close(fd);
    }
}

/* Settings that are none break the connection off. */
static void test_bad_upgrade(void **state)
{
    (void)state;
    static const char TEXT[] = "GET /now HTTP/1.1\r\nHost: test:80\r\n"
                               "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\n"
                               "HTTP2-Settings: AAIAAAAH\r\n\r\n"; /* ENABLE_PUSH is 7 */
    char got[2000];
    if (over_tls) return;
    int fd = dial_for(server, false, "http/1.1");
    send_bytes(fd, TEXT, sizeof TEXT - 1);
    read_until(fd, got, sizeof got, "\r\n\r\n");
    assert_lacks(got, "200");
    close(fd);
}

static void test_bodies(void **state)
{
    (void)state;
    static char bytes[90000];
    fill_pattern(bytes, sizeof bytes, 0);
    struct h2 *h2 = h2_open(server);
    struct ask *small = h2_post(h2, "/echo", NULL, "hello", 5);
    struct ask *empty = h2_post(h2, "/echo", NULL, "", 0);
    struct ask *pooled = h2_post(h2, "/pool", "content-length: 6\n", "worker", 6);
    struct ask *large = h2_post(h2, "/echo", NULL, bytes, sizeof bytes);
    assert_true(h2_finish(h2));
    assert_body(small, 200, "hello");
    assert_body(empty, 200, "");
    assert_body(pooled, 200, "worker");
    assert_int_equal(large->body.len, sizeof bytes);
    assert_memory_equal(large->body.ptr, bytes, sizeof bytes);
    h2_close(h2);
}

static void test_answers_come_in_any_order(void **state)
{
    (void)state;
    struct h2 *h2 = h2_open(server);
    struct ask *waits = h2_get(h2, "/wait"), *second = h2_get(h2, "/now");
    struct ask *third = h2_post(h2, "/pool", NULL, "past", 4);
    assert_true(h2_finish_one(h2, second));
    assert_true(h2_finish_one(h2, third));
    assert_false(waits->closed);
    assert_body(second, 200, "now");
    assert_body(third, 200, "past");
    atomic_store(&seen.gate, 1);
    assert_true(h2_finish(h2));
    assert_body(waits, 200, "waited");
    h2_close(h2);
}

static void test_many_requests_on_one_connection(void **state)
{
    static const char *const PATHS[] = {"/pool", "/echo", "/later", "/handed"};
    (void)state;
    struct h2 *h2 = h2_open(server);
    for (int i = 0; i < 250; i++) {
        char body[16];
        snprintf(body, sizeof body, "body %d", i);
        h2_post(h2, PATHS[i % 4], NULL, body, strlen(body));
    }
    assert_true(h2_finish(h2));
    for (int i = 0; i < 250; i++) {
        char body[16];
        snprintf(body, sizeof body, "body %d", i);
        assert_body(h2->asks[i], 200, body);
    }
    h2_close(h2);
}

static void test_large_reply_waits_for_the_window(void **state)
{
    (void)state;
    struct h2 *h2 = h2_open(server);
    struct ask *ask = h2_get(h2, "/size?3000000");
    assert_true(h2_finish(h2));
    assert_int_equal(ask->body.len, 3000000);
    for (size_t i = 0; i < ask->body.len; i += 997)
        assert_int_equal((unsigned char)ask->body.ptr[i], i % 251);
    h2_close(h2);
}

static void test_a_client_that_grants_nothing_is_given_up(void **state)
{
    (void)state;
    struct h2 *h2 = h2_open(server);
    h2->holds_window = true;
    struct ask *held = h2_get(h2, "/size?3000000"), *endless = h2_get(h2, "/stream/endless");
    struct ask *small = h2_get(h2, "/now");
    assert_true(h2_finish(h2));
    assert_body(small, 200, "now");
    assert_int_equal(held->error_code, NGHTTP2_CANCEL);
    assert_true(held->body.len <= 65535);
    assert_int_equal(endless->error_code, NGHTTP2_CANCEL);
    h2_close(h2);
    assert_true(reaches(&seen.aborted, 2));
    assert_int_equal(seen.write_code, IG_CANCELLED);
}

static void test_streams_echo(void **state)
{
    (void)state;
    struct h2 *h2 = h2_open(server);
    struct ask *one = h2_ask_with(h2, "POST", "/stream/echo", NULL, true);
    struct ask *two = h2_ask_with(h2, "POST", "/stream/echo", NULL, true);
    for (int i = 1; i <= 5; i++) {
        h2_upload(h2, one, "ping", 4, false);
        while (one->body.len < 4 * (size_t)i) assert_true(h2_turn(h2, 3000));
        h2_upload(h2, two, "pong", 4, i == 5);
    }
    h2_upload(h2, one, NULL, 0, true);
    assert_true(h2_finish(h2));
    assert_body(one, 200, "pingpingpingpingping");
    assert_body(two, 200, "pongpongpongpongpong");
    h2_close(h2);
}

static void test_uploads_and_downloads_stream(void **state)
{
    (void)state;
    enum { SIZE = 8 << 20 };
    char *bytes = malloc(SIZE), wanted[32];
    struct ig_http_server_options options = test_options(); /* its tick is a second */
    struct ig_http_server *own = test_start(&options);
    struct h2 *h2 = h2_open(own);
    uint64_t before_ns = ig_clock_ns();
    fill_pattern(bytes, SIZE, 0);
    struct ask *up = h2_post(h2, "/stream/sink", NULL, bytes, SIZE);
    struct ask *down = h2_get(h2, "/stream/source?8388608");
    assert_true(h2_finish(h2));
    snprintf(wanted, sizeof wanted, "%d", SIZE);
    assert_body(up, 200, wanted);
    assert_int_equal(down->body.len, SIZE);
    assert_memory_equal(down->body.ptr, bytes, SIZE);
    /* The window is granted by what the worker reads, not by the clock. */
    assert_true(ig_clock_ns() - before_ns < UINT64_C(10000000000));
    h2_close(h2);
    free(bytes);
    assert_int_equal(test_stop(own, 1000), 0);
}

static void test_broken_promises_reset_the_stream(void **state)
{
    (void)state;
    struct h2 *h2 = h2_open(server);
    struct ask *shorter = h2_get(h2, "/stream/short"), *longer = h2_get(h2, "/stream/long");
    struct ask *fine = h2_get(h2, "/now");
    assert_true(h2_finish(h2));
    assert_int_not_equal(shorter->error_code, 0);
    assert_int_not_equal(longer->error_code, 0);
    assert_body(fine, 200, "now");
    h2_close(h2);
}

static void test_caps_of_bodies(void **state)
{
    (void)state;
    static char bytes[200000];
    struct h2 *h2 = h2_open(server);
    struct ask *declared = h2_ask_with(h2, "POST", "/echo", "content-length: 200000\n", true);
    assert_true(h2_finish_one(h2, declared));
    assert_int_equal(declared->status, 413);
    struct ask *found = h2_post(h2, "/echo", NULL, bytes, sizeof bytes);
    struct ask *stream = h2_post(h2, "/stream/small", NULL, bytes, 11);
    struct ask *ignored = h2_ask_with(h2, "POST", "/stream/ignore", NULL, true);
    assert_true(h2_finish(h2));
    assert_int_equal(found->status, 413);
    assert_int_equal(stream->status, 413);
    assert_body(ignored, 403, "ignored");
    assert_int_equal(ignored->error_code, NGHTTP2_NO_ERROR);
    struct ask *good = h2_get(h2, "/now");
    assert_true(h2_finish(h2));
    assert_body(good, 200, "now");
    h2_close(h2);
}

static void test_caps_of_heads(void **state)
{
    (void)state;
    static char path[17000], field[26000];
    struct h2 *h2 = h2_open(server);
    memset(path, 'a', sizeof path - 1);
    path[0] = '/';
    memset(field, 'b', sizeof field - 1);
    memcpy(field, "x-long: ", 8);
    struct ask *longer = h2_get(h2, path);
    struct ask *fat = h2_ask_with(h2, "GET", "/now", field, false);
    struct ask *bad = h2_get(h2, "/a%zz"), *form = h2_get(h2, "http://a/now");
    struct ask *other = h2_ask_with(h2, "GET", "/now", "host: elsewhere\n", false);
    struct ask *expects = h2_ask_with(h2, "GET", "/now", "expect: wonders\n", false);
    struct ask *good = h2_ask_with(h2, "GET", "/now", "cookie: a=1\ncookie: b=2\n", false);
    assert_true(h2_finish(h2));
    assert_int_equal(longer->status, 414);
    assert_int_equal(fat->status, 431);
    assert_int_equal(bad->status, 400);
    assert_int_equal(form->error_code, NGHTTP2_PROTOCOL_ERROR); /* by the library */
    assert_int_equal(other->status, 400);
    assert_int_equal(expects->status, 417);
    assert_body(good, 200, "now");
    h2_close(h2);
}

static void test_statuses_and_headers(void **state)
{
    (void)state;
    struct h2 *h2 = h2_open(server);
    struct ask *empty = h2_get(h2, "/empty"), *own = h2_get(h2, "/header");
    struct ask *head = h2_ask_with(h2, "HEAD", "/size?1000", NULL, false);
    struct ask *none = h2_get(h2, "/bad-status"), *type = h2_get(h2, "/bad-type");
    struct ask *peer = h2_get(h2, "/peer"), *stream = h2_get(h2, "/stream/status");
    assert_true(h2_finish(h2));
    assert_body(empty, 204, "");
    assert_int_equal(own->status, 200);
    ig_buf_add_char(&own->headers, '\0');
    assert_has(own->headers.ptr, "x-own: yes\n");
    assert_body(head, 200, "");
    ig_buf_add_char(&head->headers, '\0');
    assert_has(head->headers.ptr, "content-length: 1000\n");
    assert_int_equal(none->status, 500);
    assert_int_equal(type->status, 200);
    assert_int_equal(peer->status, 200);
    assert_memory_equal(peer->body.ptr, "127.0.0.1:", 10);
    assert_int_equal(stream->status, 200);
    h2_close(h2);
}

static void test_a_continue_is_sent(void **state)
{
    (void)state;
    struct h2 *h2 = h2_open(server);
    struct ask *ask = h2_ask_with(h2, "POST", "/echo", "expect: 100-continue\n", true);
    while (!ask->informational) assert_true(h2_turn(h2, 3000));
    assert_int_equal(ask->informational, 100);
    h2_upload(h2, ask, "now", 3, true);
    assert_true(h2_finish(h2));
    assert_body(ask, 200, "now");
    h2_close(h2);
}

static void test_a_slow_body_is_refused(void **state)
{
    (void)state;
    struct h2 *h2 = h2_open(server);
    struct ask *slow = h2_ask_with(h2, "POST", "/echo", NULL, true);
    struct ask *stream = h2_ask_with(h2, "POST", "/stream/sink", NULL, true);
    h2_upload(h2, slow, "a", 1, false);
    h2_upload(h2, stream, "\0", 1, false);
    assert_true(h2_finish(h2));
    assert_int_equal(slow->status, 408);
    assert_int_equal(stream->status, 408);
    h2_close(h2);
}

static void test_a_reset_cancels_the_worker(void **state)
{
    (void)state;
    struct h2 *h2 = h2_open(server);
    struct ask *pool = h2_get(h2, "/watch"), *stream = h2_get(h2, "/stream/watch");
    while (atomic_load(&seen.waiting) < 2) h2_turn(h2, 10);
    nghttp2_submit_rst_stream(h2->session, 0, pool->stream_id, NGHTTP2_CANCEL);
    nghttp2_submit_rst_stream(h2->session, 0, stream->stream_id, NGHTTP2_CANCEL);
    h2_turn(h2, 100);
    assert_true(reaches(&seen.cancelled, 2));
    assert_true(reaches(&seen.aborted, 2));
    struct ask *more = h2_get(h2, "/now");
    assert_true(h2_finish(h2));
    assert_body(more, 200, "now");
    h2_close(h2);
}

static void test_a_lost_connection_cancels_its_workers(void **state)
{
    (void)state;
    struct h2 *h2 = h2_open(server);
    h2_get(h2, "/watch");
    h2_get(h2, "/stream/watch");
    h2_get(h2, "/stream/endless");
    while (atomic_load(&seen.waiting) < 3) h2_turn(h2, 10);
    h2_close(h2);
    assert_true(reaches(&seen.cancelled, 2));
    assert_true(reaches(&seen.aborted, 3));
}

static void test_preface_in_pieces(void **state)
{
    (void)state;
    static const char PREFACE[] = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\4\0\0\0\0\0";
    unsigned char reply[9];
    int fd = dial_for(server, false, "h2");
    for (size_t i = 0; i < sizeof PREFACE - 1; i++) {
        send_bytes(fd, PREFACE + i, 1);
        sleep_ms(2);
    }
    assert_int_equal(recv(fd, reply, sizeof reply, MSG_WAITALL), sizeof reply);
    assert_int_equal(reply[3], NGHTTP2_SETTINGS);
    close(fd);
}

static void test_half_a_preface_is_no_http2(void **state)
{
    (void)state;
    int fd = dial_for(server, false, "h2");
    char bytes[2000];
    send_text(fd, "PRI * HTTP/2.0\r\n\r\nXX\r\n\r\n");
    receive_all(fd, bytes, sizeof bytes); /* closed without a word of HTTP/1 */
    assert_lacks(bytes, "HTTP/1.1");
    close(fd);
    /* Behind a request it is a bad one. */
    fd = dial(server, false);
    send_text(fd, "GET /now HTTP/1.1\r\nHost: a\r\n\r\nPRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
    receive_all(fd, bytes, sizeof bytes);
    assert_has(bytes, "\r\n\r\nnow");
    assert_has(bytes, "HTTP/1.1 505 ");
    close(fd);
}

static void test_idle_connections_are_closed(void **state)
{
    (void)state;
    struct ig_http_server_options options = test_options();
    options.idle_timeout_ms = 300;
    options.head_timeout_ms = 300;
    struct ig_http_server *own = test_start(&options);
    struct h2 *used = h2_open(own), *silent = h2_open(own);
    struct ask *ask = h2_get(used, "/now");
    assert_true(h2_finish(used));
    assert_body(ask, 200, "now");
    h2_turn(silent, 10);
    assert_true(h2_finish_connection(used));
    assert_true(used->goaway);
    assert_int_equal(used->goaway_code, NGHTTP2_NO_ERROR);
    assert_true(h2_finish_connection(silent));
    h2_close(used);
    h2_close(silent);
    assert_int_equal(test_stop(own, 1000), 0);
}

struct stopping {
    struct ig_http_server *server;
    unsigned cut;
};

static void *stop_soon(void *context)
{
    struct stopping *stopping = context;
    stopping->cut = ig_http_server_stop(stopping->server, 3000);
    return NULL;
}

static void test_drain_finishes_what_is_in_flight(void **state)
{
    (void)state;
    struct ig_http_server_options options = test_options();
    struct stopping stopping = {test_start(&options), 0};
    pthread_t thread;
    struct h2 *h2 = h2_open(stopping.server), *idle = h2_open(stopping.server);
    struct ask *waits = h2_get(h2, "/wait"), *first = h2_get(idle, "/now");
    assert_true(h2_finish(idle));
    assert_body(first, 200, "now");
    while (atomic_load(&seen.waiting) < 1) h2_turn(h2, 10);
    pthread_create(&thread, NULL, stop_soon, &stopping);
    while (!h2->goaway) assert_true(h2_turn(h2, 3000));
    assert_true(h2_finish_connection(idle));
    assert_false(waits->closed);
    atomic_store(&seen.gate, 1);
    assert_true(h2_finish_connection(h2));
    assert_body(waits, 200, "waited");
    close(h2->fd);
    h2->fd = dup(0);
    pthread_join(thread, NULL);
    assert_int_equal(stopping.cut, 0);
    h2_close(h2);
    h2_close(idle);
    ig_http_server_free(stopping.server);
}

static void test_memory_failures_break_nothing(void **state)
{
    (void)state;
    for (uint64_t after = 1; after < 60; after++) {
        struct h2 *h2 = h2_open(server);
        h2_get(h2, "/now");
        h2_post(h2, "/pool", NULL, "abc", 3);
        h2_post(h2, "/later", NULL, "abc", 3);
        h2_get(h2, "/size?40000");
        ig_mem_fail_after(after);
        h2_flush(h2);
        struct pollfd poller = {.fd = h2->fd, .events = POLLIN};
        poll(&poller, 1, 50);
        sleep_ms(5);
        ig_mem_fail_after(0);
        h2_close(h2);
    }
    struct h2 *h2 = h2_open(server);
    struct ask *ask = h2_get(h2, "/now");
    assert_true(h2_finish(h2));
    assert_body(ask, 200, "now");
    h2_close(h2);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, start, stop)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_get),
        TEST(test_curl_speaks_to_the_same_port),
        TEST(test_upgrade),
        TEST(test_no_upgrade),
        TEST(test_bad_upgrade),
        TEST(test_bodies),
        TEST(test_answers_come_in_any_order),
        TEST(test_many_requests_on_one_connection),
        TEST(test_large_reply_waits_for_the_window),
        TEST(test_a_client_that_grants_nothing_is_given_up),
        TEST(test_streams_echo),
        cmocka_unit_test(test_uploads_and_downloads_stream),
        TEST(test_broken_promises_reset_the_stream),
        TEST(test_caps_of_bodies),
        TEST(test_caps_of_heads),
        TEST(test_statuses_and_headers),
        TEST(test_a_continue_is_sent),
        TEST(test_a_slow_body_is_refused),
        TEST(test_a_reset_cancels_the_worker),
        TEST(test_a_lost_connection_cancels_its_workers),
        TEST(test_preface_in_pieces),
        TEST(test_half_a_preface_is_no_http2),
        cmocka_unit_test(test_idle_connections_are_closed),
        cmocka_unit_test(test_drain_finishes_what_is_in_flight),
        TEST(test_memory_failures_break_nothing),
    };
    return RUN_PLAIN_AND_TLS(tests);
}
