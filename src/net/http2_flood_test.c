/* SPDX-License-Identifier: Apache-2.0 */
/* What a hostile client of HTTP/2 can send, and that none of it costs more than a connection: each
 * flood ends with the connection closed or the excess refused, while another client is served. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "net/http2_testing.h"

static struct ig_http_server *server;

static int start(void **state)
{
    (void)state;
    struct ig_http_server_options options = test_options();
    options.loops = 1; /* the good client shares it with the bad one */
    options.workers = 2;
    options.write_timeout_ms = 1000;
    options.head_timeout_ms = 500;
    options.http2_connection_bytes = 1 << 20;
    server = test_start(&options);
    return 0;
}

static void assert_serves(void)
{
    struct h2 *h2 = h2_open(server);
    struct ask *ask = h2_get(h2, "/now");
    assert_true(h2_finish(h2));
    assert_body(ask, 200, "now");
    h2_close(h2);
}

static int stop(void **state)
{
    (void)state;
    struct ig_http_stats stats;
    atomic_store(&seen.gate, 1);
    for (int i = 0; i < 3000; i++, sleep_ms(1)) {
        ig_http_server_stats(server, &stats);
        if (!stats.connections_open) break;
    }
    unsigned cut = test_stop(server, 3000);
    if (cut || seen.begun != seen.ended || stats.inflight_bytes) {
        print_error("%u cut, %d begun, %d ended, %d bytes\n", cut, seen.begun, seen.ended,
                    (int)stats.inflight_bytes);
        return 1;
    }
    return 0;
}

/* A connection that has said hello and nothing else. */
static int hello(void)
{
    static const char HELLO[] =
        "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\4\0\0\0\0\0\0\0\0\4\1\0\0\0\0";
    int fd = dial_for(server, false, "h2");
    send_bytes(fd, HELLO, sizeof HELLO - 1);
    return fd;
}

static void frame_head(unsigned char head[9], size_t length, int type, int flags, uint32_t stream)
{
    const unsigned char bytes[9] = {
        (unsigned char)(length >> 16), (unsigned char)(length >> 8), (unsigned char)length,
        (unsigned char)type,           (unsigned char)flags,         (unsigned char)(stream >> 24),
        (unsigned char)(stream >> 16), (unsigned char)(stream >> 8), (unsigned char)stream};
    memcpy(head, bytes, sizeof bytes);
}

/* Sends the frame until the server closes the connection; false when it takes `most` of them. */
static bool closes_behind(int fd, const void *frame, size_t size, int most)
{
    for (int i = 0; i < most; i++) {
        if (send(fd, frame, size, MSG_NOSIGNAL) != (ssize_t)size) return true;
    }
    char bytes[65536];
    for (;;) { /* what is sent last may be answered by the close alone */
        ssize_t got = recv(fd, bytes, sizeof bytes, 0);
        if (got == 0 || (got < 0 && errno == ECONNRESET)) return true;
        if (got < 0) return false;
    }
}

static void test_control_frames(void **state)
{
    (void)state;
    static const struct {
        int type, flags;
        uint32_t stream;
        size_t length;
    } FLOODS[] = {{NGHTTP2_PING, 0, 0, 8},          {NGHTTP2_SETTINGS, 0, 0, 0},
                  {NGHTTP2_SETTINGS, 0, 0, 6},      {NGHTTP2_PRIORITY, 0, 1001, 5},
                  {NGHTTP2_WINDOW_UPDATE, 0, 0, 4}, {0xbe, 0, 0, 10}};
    for (size_t i = 0; i < sizeof FLOODS / sizeof FLOODS[0]; i++) {
        unsigned char frame[32] = {0};
        frame_head(frame, FLOODS[i].length, FLOODS[i].type, FLOODS[i].flags, FLOODS[i].stream);
        if (FLOODS[i].type == NGHTTP2_WINDOW_UPDATE) frame[12] = 1;
        if (FLOODS[i].length == 6) frame[10] = 6, frame[14] = (unsigned char)i;
        int fd = hello();
        if (!closes_behind(fd, frame, 9 + FLOODS[i].length, 200000))
            fail_msg("flood %zu is taken", i);
        close(fd);
        assert_serves();
    }
}

static void test_pings_are_answered(void **state)
{
    (void)state;
    struct h2 *h2 = h2_open(server);
    for (int i = 0; i < 500; i++) nghttp2_submit_ping(h2->session, 0, (const uint8_t *)"12345678");
    struct ask *ask = h2_get(h2, "/now");
    assert_true(h2_finish(h2));
    assert_body(ask, 200, "now");
    assert_false(h2->goaway);
    h2_close(h2);
}

static void test_empty_data_frames(void **state)
{
    (void)state;
    /* :method POST, :scheme http, :path /echo, :authority a */
    static const unsigned char REQUEST[] = {0,   0,   12,   1,    4,    0,    0,
                                            0,   1,   0x83, 0x86, 0x04, 0x05, '/',
                                            'e', 'c', 'h',  'o',  0x01, 0x01, 'a'};
    unsigned char empty[9];
    int fd = hello();
    send_bytes(fd, REQUEST, sizeof REQUEST);
    frame_head(empty, 0, NGHTTP2_DATA, 0, 1);
    assert_true(closes_behind(fd, empty, sizeof empty, 200000));
    close(fd);
    assert_serves();
}

/* CVE-2023-44487: open, reset, again. */
static void test_rapid_reset(void **state)
{
    (void)state;
    unsigned char pair[64];
    int fd = hello();
    bool closed = false;
    for (uint32_t stream = 1; stream < 20000 && !closed; stream += 2) {
        static const unsigned char FIELDS[] = {0x82, 0x86, 0x04, 0x05, '/',  'w',
                                               'a',  'i',  't',  0x01, 0x01, 'a'};
        frame_head(pair, sizeof FIELDS, NGHTTP2_HEADERS, 5, stream);
        memcpy(pair + 9, FIELDS, sizeof FIELDS);
        frame_head(pair + 9 + sizeof FIELDS, 4, NGHTTP2_RST_STREAM, 0, stream);
        memset(pair + 18 + sizeof FIELDS, 0, 4);
        size_t size = 22 + sizeof FIELDS;
        closed = send(fd, pair, size, MSG_NOSIGNAL) != (ssize_t)size;
    }
    struct ig_http_stats stats;
    char bytes[65536];
    while (!closed) {
        ssize_t got = recv(fd, bytes, sizeof bytes, 0);
        assert_true(got >= 0 || errno == ECONNRESET);
        closed = got <= 0;
    }
    close(fd);
    ig_http_server_stats(server, &stats);
    /* Resetting made no room: no more calls than streams are allowed at once. */
    assert_true(seen.begun > 0);
    if (seen.begun > 100) fail_msg("%d calls were begun", seen.begun);
    assert_true(stats.workers_queued <= 100);
    assert_serves();
}

static void test_streams_beyond_the_cap_are_refused(void **state)
{
    (void)state;
    struct h2 *h2 = h2_open(server);
    for (int i = 0; i < 100; i++) h2_get(h2, "/wait");
    while (atomic_load(&seen.begun) < 100) h2_turn(h2, 10);
    for (int i = 0; i < 10; i++)
        nghttp2_submit_rst_stream(h2->session, 0, h2->asks[i]->stream_id, NGHTTP2_CANCEL);
    h2_turn(h2, 100);
    struct ask *more = h2_get(h2, "/now"); /* the session has room, the workers are still busy */
    assert_true(h2_finish_one(h2, more));
    assert_int_equal(more->error_code, NGHTTP2_REFUSED_STREAM);
    assert_int_equal(seen.begun, 100);
    atomic_store(&seen.gate, 1);
    assert_true(h2_finish(h2));
    assert_body(h2->asks[99], 200, "waited");
    h2_close(h2);
}

static void test_continuations(void **state)
{
    (void)state;
    /* HEADERS without END_HEADERS, then CONTINUATION after CONTINUATION (CVE-2024-28182). */
    static const unsigned char REQUEST[] = {0, 0, 1, 1, 0, 0, 0, 0, 1, 0x82};
    unsigned char more[9 + 100];
    int fd = hello();
    send_bytes(fd, REQUEST, sizeof REQUEST);
    frame_head(more, 100, NGHTTP2_CONTINUATION, 0, 1);
    memset(more + 9, 0x86, 100);
    assert_true(closes_behind(fd, more, sizeof more, 100000));
    close(fd);
    assert_serves();
}

static void test_a_head_that_never_ends(void **state)
{
    (void)state;
    static const unsigned char REQUEST[] = {0, 0, 1, 1, 0, 0, 0, 0, 1, 0x82};
    char bytes[2000];
    int fd = hello();
    uint64_t before_ns = ig_clock_ns();
    send_bytes(fd, REQUEST, sizeof REQUEST);
    while (recv(fd, bytes, sizeof bytes, 0) > 0) {
    }
    assert_true(ig_clock_ns() - before_ns < UINT64_C(2500000000));
    close(fd);
    assert_serves();
}

/* A small block that stands for a huge list: the dynamic table's largest field, again and again. */
static void test_header_bomb(void **state)
{
    (void)state;
    static unsigned char block[16000];
    unsigned char head[9];
    size_t at = 0;
    block[at++] = 0x82, block[at++] = 0x86, block[at++] = 0x84;
    block[at++] = 0x01, block[at++] = 1, block[at++] = 'a';
    block[at++] = 0x40, block[at++] = 1, block[at++] = 'a'; /* a: 4,000 bytes, indexed */
    block[at++] = 0x7f, block[at++] = 0xa1, block[at++] = 0x1e;
    memset(block + at, 'x', 4000);
    at += 4000;
    while (at < sizeof block) block[at++] = 0xbe;
    int fd = hello();
    frame_head(head, sizeof block, NGHTTP2_HEADERS, 5, 1);
    send_bytes(fd, head, sizeof head);
    send_bytes(fd, block, sizeof block);
    char bytes[2000];
    long got = recv(fd, bytes, sizeof bytes, 0);
    assert_true(got > 0); /* 431 or the end of the connection; never a call */
    assert_int_equal(seen.begun, 0);
    close(fd);
    assert_serves();
}

static void test_replies_held_back_are_bounded(void **state)
{
    (void)state;
    struct h2 *h2 = h2_open(server);
    struct ig_http_stats stats;
    h2->holds_window = true;
    for (int i = 0; i < 50; i++) h2_get(h2, "/size?300000");
    unsigned refused = 0;
    while (h2->closed_count < 50 - 3) assert_true(h2_turn(h2, 3000));
    ig_http_server_stats(server, &stats);
    assert_true(stats.inflight_bytes <= 1 << 20);
    for (int i = 0; i < 50; i++) refused += h2->asks[i]->status == 503;
    assert_int_equal(refused, 47);
    assert_true(h2_finish(h2)); /* the others are given up */
    h2_close(h2);
}

static void test_bodies_held_are_bounded(void **state)
{
    (void)state;
    static char bytes[99000];
    struct h2 *h2 = h2_open(server);
    struct ig_http_stats stats;
    for (int i = 0; i < 50; i++)
        h2_upload(h2, h2_ask_with(h2, "POST", "/echo", NULL, true), bytes, sizeof bytes, false);
    for (int i = 0; i < 100; i++) {
        h2_turn(h2, 5);
        ig_http_server_stats(server, &stats);
        assert_true(stats.inflight_bytes <= 1 << 20);
    }
    unsigned refused = 0;
    for (int i = 0; i < 50; i++) refused += h2->asks[i]->status == 503;
    assert_int_equal(refused, 50 - 8); /* 8 x 128 KiB */
    for (int i = 0; i < 50; i++) h2_upload(h2, h2->asks[i], NULL, 0, true);
    assert_true(h2_finish(h2));
    h2_close(h2);
}

static void test_output_that_is_not_read(void **state)
{
    (void)state;
    static const nghttp2_settings_entry WINDOW[] = {
        {NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, 100 << 20}};
    struct h2 *h2 = h2_open_with(server, WINDOW, 1);
    nghttp2_session_set_local_window_size(h2->session, 0, 0, 100 << 20);
    h2_get(h2, "/stream/endless");
    h2_flush(h2); /* and reads nothing */
    assert_true(reaches(&seen.waiting, 1));
    assert_true(reaches(&seen.aborted, 1));
    h2_close(h2);
    assert_serves();
}

static void test_garbage(void **state)
{
    (void)state;
    uint32_t noise = 7;
    for (int round = 0; round < 50; round++) {
        char bytes[4000];
        int fd = hello();
        for (size_t i = 0; i < sizeof bytes; i++) {
            noise = noise * 1664525u + 1013904223u;
            bytes[i] = (char)(noise >> 24);
        }
        bytes[0] = 0;
        send_bytes(fd, bytes, sizeof bytes);
        close(fd);
    }
    tunnels_wait();
    assert_serves();
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, start, stop)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_control_frames),
        TEST(test_pings_are_answered),
        TEST(test_empty_data_frames),
        TEST(test_rapid_reset),
        TEST(test_streams_beyond_the_cap_are_refused),
        TEST(test_continuations),
        TEST(test_a_head_that_never_ends),
        TEST(test_header_bomb),
        TEST(test_replies_held_back_are_bounded),
        TEST(test_bodies_held_are_bounded),
        TEST(test_output_that_is_not_read),
        TEST(test_garbage),
    };
    return RUN_PLAIN_AND_TLS(tests);
}
