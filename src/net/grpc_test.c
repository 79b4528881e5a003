/* SPDX-License-Identifier: Apache-2.0 */
/* Calls of gRPC against a service with one method a behaviour. With --serve the program prints its
 * port and serves until its input ends, for clients in other languages
 * (tests/interop/grpc_client.py).
 *
 *   Unary, Pool      the message comes back, from the loop or a worker
 *   Later, LaterChat the message comes back at the end of the loop's turn; the other: streaming
 *   Wait             a worker that waits for `gate`
 *   Watch            a worker that waits until its call is cancelled
 *   Chat, PoolChat   streaming: each message comes back twice
 *   WaitChat         streaming: a worker that waits for `gate`
 *   Count            streaming: the number of messages and bytes, at the end
 *   Expand           the message is a number of replies of 10,000 bytes, made one by one
 *   Until            streaming: echoes until "stop", then ends with ABORTED
 *   Fail             NOT_FOUND with a text that must be escaped
 *   Metadata         x-ask comes back as x-initial and x-trailing
 *   Deny             fails on its head
 *   Small            messages of at most 10 bytes
 *   Big              replies 100 MB, over the cap */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "net/grpc.h"
#include "net/http2_testing.h"

#include <pthread.h>
#include <zlib.h>

static struct ig_http_server *server;

static struct {
    _Atomic int calls, ended, aborted, dropped, last_status, worked;
    _Atomic unsigned most_pending; /* of Expand: replies made before the client took any */
} grpc;

struct tally {
    unsigned messages;
    size_t bytes;
};

static void reply_or_fail(struct ig_grpc_call *call, struct ig_str message)
{
    struct ig_err err = IG_ERR_INIT;
    if (ig_grpc_reply(call, message, &err)) ig_grpc_fail_err(call, &err);
}

static void work_reply(void *context, struct ig_grpc_call *call)
{
    (void)context;
    atomic_fetch_add(&grpc.worked, 1);
    if (ig_str_starts(call->method, IG_STR("Wait"))) wait_gate();
    if (ig_str_is(call->method, "WaitChat")) return;
    reply_or_fail(call, call->message);
    if (ig_str_is(call->method, "PoolChat")) reply_or_fail(call, call->message);
}

static void work_watch_call(void *context, struct ig_grpc_call *call)
{
    work_watch(context, call->exchange);
    ig_grpc_fail(call, IG_GRPC_CANCELLED, "cancelled");
}

static void on_call(void *context, struct ig_grpc_call *call)
{
    static const char *const STREAMING[] = {"Chat",  "PoolChat", "WaitChat",
                                            "Count", "Until",    "LaterChat"};
    struct ig_err err = IG_ERR_INIT;
    (void)context;
    atomic_fetch_add(&grpc.calls, 1);
    for (size_t i = 0; i < sizeof STREAMING / sizeof STREAMING[0]; i++) {
        if (ig_str_is(call->method, STREAMING[i])) call->streaming = true;
    }
    call->user = ig_arena_zalloc(&call->exchange->arena, sizeof(struct tally));
    if (ig_str_is(call->method, "Deny")) ig_grpc_fail(call, IG_GRPC_PERMISSION_DENIED, "not you");
    if (ig_str_is(call->method, "Small")) call->message_max_bytes = 10;
    if (ig_str_is(call->method, "Unary")) call->message_max_bytes = 32 << 20;
    if (!ig_str_is(call->method, "Metadata")) return;
    struct ig_str value = ig_http_header(&call->exchange->request, IG_STR("x-ask"));
    ig_exchange_header(call->exchange, "x-initial", value, &err);
    ig_exchange_trailer(call->exchange, "x-trailing", value, &err);
}

static enum ig_grpc_next expand(struct ig_grpc_call *call)
{
    static char bytes[10000];
    uint64_t wanted = 0;
    (void)ig_str_to_u64(call->message, &wanted);
    memset(bytes, (int)('a' + call->again_count % 26), sizeof bytes);
    reply_or_fail(call, (struct ig_str){bytes, sizeof bytes});
    atomic_store(&grpc.most_pending, call->again_count + 1);
    return call->again_count + 1 < wanted ? IG_GRPC_AGAIN : IG_GRPC_NEXT;
}

static void reply_big(struct ig_grpc_call *call)
{
    struct ig_err err = IG_ERR_INIT;
    size_t at = 0;
    struct ig_buf *out = ig_grpc_reply_open(call, &at);
    for (int i = 0; i < 1000; i++) ig_buf_add(out, call, 100);
    for (int i = 0; i < 1000; i++) ig_buf_add(out, ig_arena_zalloc(call->arena, 1000), 1000);
    while (!out->overflowed) ig_buf_add(out, call, sizeof *call);
    assert_int_equal(ig_grpc_reply_close(call, at, &err), IG_TOO_LARGE);
}

static enum ig_grpc_next on_message(void *context, struct ig_grpc_call *call)
{
    struct tally *tally = call->user;
    (void)context;
    tally->messages++;
    tally->bytes += call->message.len;
    call->work = ig_str_is(call->method, "Watch") ? work_watch_call : work_reply;
    if (ig_str_starts(call->method, IG_STR("Pool")) || ig_str_starts(call->method, IG_STR("Wa")))
        return IG_GRPC_TO_POOL;
    if (ig_str_starts(call->method, IG_STR("Later"))) {
        call->exchange->user = call;
        (void)wait_for_turn_end(call->exchange);
        return IG_GRPC_AT_TURN_END;
    }
    if (ig_str_is(call->method, "Expand")) return expand(call);
    if (ig_str_is(call->method, "Count")) return IG_GRPC_NEXT;
    if (ig_str_is(call->method, "Fail")) {
        ig_grpc_fail(call, IG_GRPC_NOT_FOUND, "no model 'ir\xc3\xads': 100%%");
        return IG_GRPC_NEXT;
    }
    if (ig_str_is(call->method, "Big")) {
        reply_big(call);
        return IG_GRPC_NEXT;
    }
    if (ig_str_is(call->method, "Until") && ig_str_is(call->message, "stop")) {
        ig_grpc_fail(call, IG_GRPC_ABORTED, "stopped");
        return IG_GRPC_NEXT;
    }
    reply_or_fail(call, call->message);
    if (ig_str_is(call->method, "Chat")) reply_or_fail(call, call->message);
    return IG_GRPC_NEXT;
}

static enum ig_grpc_next on_over(void *context, struct ig_grpc_call *call)
{
    const struct tally *tally = call->user;
    char text[64];
    (void)context;
    if (!ig_str_is(call->method, "Count")) return IG_GRPC_NEXT;
    snprintf(text, sizeof text, "%u messages, %zu bytes", tally->messages, tally->bytes);
    reply_or_fail(call, ig_str_view(text));
    return IG_GRPC_NEXT;
}

static void on_dropped(void *context, struct ig_grpc_call *call)
{
    (void)context;
    assert_non_null(call->work);
    atomic_fetch_add(&grpc.dropped, 1);
}

static void on_end(void *context, struct ig_grpc_call *call)
{
    (void)context;
    atomic_fetch_add(&grpc.ended, 1);
    atomic_store(&grpc.last_status, (int)call->status);
    if (call->exchange->aborted) atomic_fetch_add(&grpc.aborted, 1);
}

/* Calls of gRPC and of HTTP that waited together. */
static void on_turn_end(void *context, unsigned loop)
{
    struct ig_exchange *waiting[LATER_MAX];
    size_t count = later[loop].count;
    memcpy(waiting, later[loop].exchanges, count * sizeof *waiting);
    later[loop].count = 0;
    for (size_t i = 0; i < count; i++) {
        struct ig_grpc_call *call = waiting[i]->user;
        if (ig_str_starts(waiting[i]->request.path, IG_STR("/test.Echo/")))
            reply_or_fail(call, call->message);
        else
            work_echo(context, waiting[i]);
        ig_exchange_answered(waiting[i]);
    }
}

static const struct ig_grpc_service SERVICES[] = {
    {"/other.Other/", NULL, on_call, on_message, NULL, NULL, NULL},
    {"/test.Echo/", NULL, on_call, on_message, on_over, on_dropped, on_end},
};

static struct ig_http_server_options grpc_options(void)
{
    struct ig_http_server_options options = test_options();
    options.grpc = SERVICES;
    options.grpc_count = 2;
    options.handler.on_turn_end = on_turn_end;
    options.body_timeout_ms = 400;
    options.write_timeout_ms = 1000;
    memset(&grpc, 0, sizeof grpc);
    return options;
}

static int start(void **state)
{
    (void)state;
    struct ig_http_server_options options = grpc_options();
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
        if (!stats.connections_open) break;
    }
    unsigned cut = test_stop(server, 3000);
    if (cut || grpc.calls != grpc.ended || stats.inflight_bytes) {
        print_error("%u cut, %d calls, %d ended, %d bytes\n", cut, grpc.calls, grpc.ended,
                    (int)stats.inflight_bytes);
        return 1;
    }
    return 0;
}

/* A call whose messages follow. */
static struct ask *open_call(struct h2 *h2, const char *method, const char *fields)
{
    char path[128], all[512];
    snprintf(path, sizeof path, "/test.Echo/%s", method);
    snprintf(all, sizeof all, "content-type: application/grpc\nte: trailers\n%s",
             fields ? fields : "");
    return h2_ask_with(h2, "POST", path, all, true);
}

static void send_message(struct h2 *h2, struct ask *ask, struct ig_str message, bool last)
{
    struct ig_buf frame;
    ig_buf_init(&frame, SIZE_MAX / 2);
    size_t at = ig_grpc_frame_open(&frame);
    ig_buf_add_str(&frame, message);
    assert_true(ig_grpc_frame_close(&frame, at));
    h2_upload(h2, ask, frame.ptr, frame.len, last);
    ig_buf_deinit(&frame);
}

static struct ask *call_unary(struct h2 *h2, const char *method, const char *message)
{
    struct ask *ask = open_call(h2, method, NULL);
    send_message(h2, ask, ig_str_view(message), true);
    return ask;
}

static void half_close(struct h2 *h2, struct ask *ask)
{
    h2_upload(h2, ask, NULL, 0, true);
}

/* The n-th message that came back; ptr NULL when it is not there. */
static struct ig_str reply_of(const struct ask *ask, unsigned n)
{
    struct ig_str rest = ig_buf_view(&ask->body);
    struct ig_grpc_frame frame;
    while (ig_grpc_frame_parse(&frame, rest, 100 << 20) == IG_GRPC_FRAME_WHOLE) {
        if (!n--) return frame.message;
        rest = (struct ig_str){rest.ptr + frame.whole_bytes, rest.len - frame.whole_bytes};
    }
    return (struct ig_str){0};
}

static void assert_reply(const struct ask *ask, unsigned n, const char *text)
{
    struct ig_str got = reply_of(ask, n);
    if (!got.ptr || !ig_str_is(got, text))
        fail_msg("reply %u: expected '%s', got '%.*s'", n, text, IG_STR_ARGS(got));
}

static void assert_grpc(struct ask *ask, int status, const char *message)
{
    char wanted[600];
    struct ig_buf *fields = ask->trailers.len ? &ask->trailers : &ask->headers;
    ig_buf_add_char(fields, '\0');
    fields->len--;
    snprintf(wanted, sizeof wanted, "grpc-status: %d\n", status);
    if (ask->status != 200) fail_msg("HTTP status %d, error %u", ask->status, ask->error_code);
    assert_has(fields->ptr, wanted);
    snprintf(wanted, sizeof wanted, "grpc-message: %s\n", message);
    if (message)
        assert_has(fields->ptr, wanted);
    else
        assert_lacks(fields->ptr, "grpc-message");
}

static void test_unary(void **state)
{
    (void)state;
    struct h2 *h2 = h2_open(server);
    struct ask *ask = call_unary(h2, "Unary", "hello"), *empty = call_unary(h2, "Unary", "");
    struct ask *pool = call_unary(h2, "Pool", "worker");
    assert_true(h2_finish(h2));
    assert_grpc(ask, 0, NULL);
    assert_reply(ask, 0, "hello");
    assert_null(reply_of(ask, 1).ptr);
    ig_buf_add_char(&ask->headers, '\0');
    assert_has(ask->headers.ptr, "content-type: application/grpc\n");
    assert_grpc(empty, 0, NULL);
    assert_reply(empty, 0, "");
    assert_grpc(pool, 0, NULL);
    assert_reply(pool, 0, "worker");
    h2_close(h2);
}

static void test_turn_end(void **state)
{
    (void)state;
    struct ask *asks[20];
    struct h2 *h2 = h2_open(server);
    struct ask *chat = open_call(h2, "LaterChat", NULL), *gone = open_call(h2, "Later", NULL);
    struct ask *http = h2_post(h2, "/later", NULL, "http", 4);
    struct ask *past = open_call(h2, "Later", "grpc-timeout: 1n\n");
    send_message(h2, past, IG_STR("p"), true);
    for (int i = 0; i < 20; i++) asks[i] = call_unary(h2, "Later", i % 2 ? "odd" : "even");
    send_message(h2, gone, IG_STR("gone"), true);
    nghttp2_submit_rst_stream(h2->session, 0, gone->stream_id, NGHTTP2_CANCEL);
    send_message(h2, chat, IG_STR("one"), false);
    send_message(h2, chat, IG_STR("two"), false);
    send_message(h2, chat, IG_STR("three"), true);
    assert_true(h2_finish(h2));
    for (int i = 0; i < 20; i++) {
        assert_grpc(asks[i], 0, NULL);
        assert_reply(asks[i], 0, i % 2 ? "odd" : "even");
    }
    assert_body(http, 200, "http");
    assert_grpc(past, 4, "the deadline has passed");
    assert_grpc(chat, 0, NULL);
    assert_reply(chat, 0, "one");
    assert_reply(chat, 1, "two");
    assert_reply(chat, 2, "three");
    assert_null(reply_of(chat, 3).ptr);
    h2_close(h2);
}

static void test_a_service_needs_its_callbacks(void **state)
{
    (void)state;
    const struct ig_grpc_service bare = {.prefix = "/a/", .on_call = on_call};
    struct ig_http_server_options options = grpc_options();
    struct ig_http_server *none = NULL;
    struct ig_err err = IG_ERR_INIT;
    options.grpc = &bare;
    options.grpc_count = 1;
    assert_int_equal(ig_http_server_start(&none, &options, &err), IG_INVALID);
    assert_string_equal(err.message, "gRPC service 0 lacks a prefix or callbacks");
}

static void test_http_and_grpc_share_a_connection(void **state)
{
    (void)state;
    struct h2 *h2 = h2_open(server);
    struct ask *http = h2_get(h2, "/now"), *call = call_unary(h2, "Unary", "x");
    assert_true(h2_finish(h2));
    assert_body(http, 200, "now");
    assert_grpc(call, 0, NULL);
    h2_close(h2);
}

static void test_failures(void **state)
{
    (void)state;
    struct h2 *h2 = h2_open(server);
    struct ask *failed = call_unary(h2, "Fail", "x"), *denied = call_unary(h2, "Deny", "x");
    struct ask *unknown =
        h2_post(h2, "/no.Such/Method", "content-type: application/grpc\n", "\0\0\0\0\0", 5);
    struct ask *big = call_unary(h2, "Big", "x");
    assert_true(h2_finish(h2));
    assert_grpc(failed, 5, "no model 'ir%C3%ADs': 100%25");
    assert_int_equal(failed->trailers.len, 0);
    assert_grpc(denied, 7, "not you");
    assert_grpc(unknown, 12, "no service at /no.Such/Method");
    assert_grpc(big, 8, "the reply exceeds 67108864 bytes, or memory is out");
    h2_close(h2);
}

static void test_bad_messages(void **state)
{
    (void)state;
    struct h2 *h2 = h2_open(server);
    struct ask *none = open_call(h2, "Unary", NULL), *cut = open_call(h2, "Unary", NULL);
    struct ask *two = open_call(h2, "Unary", NULL), *flag = open_call(h2, "Unary", NULL);
    struct ask *packed = open_call(h2, "Unary", NULL), *large = open_call(h2, "Small", NULL);
    struct ask *other = open_call(h2, "Unary", "grpc-encoding: snappy\n");
    struct ask *time = open_call(h2, "Unary", "grpc-timeout: soon\n");
    struct ask *torn = open_call(h2, "Chat", NULL);
    half_close(h2, none);
    h2_upload(h2, cut, "\0\0\0\0\5abc", 8, true);
    h2_upload(h2, two, "\0\0\0\0\1a\0\0\0\0\1b", 12, true);
    h2_upload(h2, flag, "\7\0\0\0\1a", 6, true);
    h2_upload(h2, packed, "\1\0\0\0\1a", 6, true);
    h2_upload(h2, large, "\0\0\0\0\13", 5, false); /* its length alone is enough */
    half_close(h2, other);
    half_close(h2, time);
    h2_upload(h2, torn, "\0\0\0\0\1a\0\0\0", 9, true);
    assert_true(h2_finish(h2));
    assert_grpc(none, 12, "the method takes one message, none came");
    assert_grpc(cut, 13, "the last message is cut short");
    assert_grpc(two, 12, "the method takes one message, several came");
    assert_grpc(flag, 13, "a message's flag is neither 0 nor 1");
    assert_grpc(packed, 13, "a compressed message without grpc-encoding");
    assert_grpc(large, 8, "a message of 11 bytes, at most 10 are allowed");
    assert_grpc(other, 12, "grpc-encoding is none of identity, deflate, gzip");
    assert_grpc(time, 13, "grpc-timeout is not 1 to 8 digits and one of H M S m u n");
    assert_reply(torn, 0, "a");
    assert_grpc(torn, 13, "the last message is cut short");
    h2_close(h2);
}

static size_t packed_message(char *out, size_t size, const char *bytes, size_t length, int bits)
{
    z_stream stream = {0};
    deflateInit2(&stream, 6, Z_DEFLATED, bits, 8, Z_DEFAULT_STRATEGY);
    stream.next_in = (Bytef *)bytes;
    stream.avail_in = (uInt)length;
    stream.next_out = (Bytef *)out + 5;
    stream.avail_out = (uInt)size - 5;
    assert_int_equal(deflate(&stream, Z_FINISH), Z_STREAM_END);
    size_t packed = size - 5 - stream.avail_out;
    deflateEnd(&stream);
    out[0] = 1;
    for (int i = 0; i < 4; i++) out[1 + i] = (char)(packed >> (24 - 8 * i));
    return packed + 5;
}

static void test_compressed_messages(void **state)
{
    (void)state;
    static char text[200000], packed[300000];
    struct h2 *h2 = h2_open(server);
    uint32_t noise = 1;
    for (size_t i = 0; i < sizeof text; i++) {
        noise = noise * 1664525u + 1013904223u;
        text[i] = (char)('a' + (noise >> 28));
    }
    struct ask *small = open_call(h2, "Unary", "grpc-encoding: gzip\n");
    struct ask *large = open_call(h2, "Unary", "grpc-encoding: deflate\n");
    struct ask *bomb = open_call(h2, "Pool", "grpc-encoding: gzip\n");
    struct ask *torn = open_call(h2, "Pool", "grpc-encoding: gzip\n");
    h2_upload(h2, small, packed, packed_message(packed, sizeof packed, text, 1000, 31), true);
    size_t size = packed_message(packed, sizeof packed, text, sizeof text, 15);
    assert_true(size > 50000);
    h2_upload(h2, large, packed, size, true);
    packed[20]++;
    packed[size / 2]++;
    h2_upload(h2, torn, packed, size, true);
    char *zeros = calloc(5 << 20, 1);
    h2_upload(h2, bomb, packed, packed_message(packed, sizeof packed, zeros, 5 << 20, 31), true);
    free(zeros);
    assert_true(h2_finish(h2));
    assert_grpc(small, 0, NULL);
    assert_memory_equal(reply_of(small, 0).ptr, text, 1000);
    assert_grpc(large, 0, NULL);
    assert_int_equal(reply_of(large, 0).len, sizeof text);
    assert_memory_equal(reply_of(large, 0).ptr, text, sizeof text);
    assert_grpc(bomb, 8, "the decompressed message exceeds 4194304 bytes");
    assert_grpc(torn, 13, "the compressed message is malformed");
    h2_close(h2);
}

static void test_large_messages(void **state)
{
    (void)state;
    enum { SIZE = 20 << 20 };
    char *bytes = malloc(SIZE);
    struct h2 *h2 = h2_open(server);
    fill_pattern(bytes, SIZE, 0);
    struct ask *ask = open_call(h2, "Unary", NULL);
    send_message(h2, ask, (struct ig_str){bytes, SIZE}, true);
    assert_true(h2_finish(h2));
    assert_grpc(ask, 0, NULL);
    assert_int_equal(reply_of(ask, 0).len, SIZE);
    assert_memory_equal(reply_of(ask, 0).ptr, bytes, SIZE);
    h2_close(h2);
    free(bytes);
}

static void chat(const char *method)
{
    struct h2 *h2 = h2_open(server);
    struct ask *ask = open_call(h2, method, NULL);
    for (unsigned i = 0; i < 6; i++) {
        char text[32];
        snprintf(text, sizeof text, "message %u", i);
        send_message(h2, ask, ig_str_view(text), false);
        while (!reply_of(ask, 2 * i + 1).ptr) assert_true(h2_turn(h2, 3000));
        assert_reply(ask, 2 * i, text);
        assert_reply(ask, 2 * i + 1, text);
        assert_false(ask->ended);
    }
    half_close(h2, ask);
    assert_true(h2_finish(h2));
    assert_grpc(ask, 0, NULL);
    assert_null(reply_of(ask, 12).ptr);
    h2_close(h2);
}

static void test_bidirectional_streaming(void **state)
{
    (void)state;
    chat("Chat");
    chat("PoolChat");
}

/* A client that has several messages under way grants window for each reply and probes: that is no
 * flood, however many of its messages share a frame. */
static void test_many_messages_are_no_flood(void **state)
{
    (void)state;
    enum { ROUNDS = 500, MESSAGES = 8 };
    static const char PACK[] = "\0\0\0\0\1a\0\0\0\0\1a\0\0\0\0\1a\0\0\0\0\1a"
                               "\0\0\0\0\1a\0\0\0\0\1a\0\0\0\0\1a\0\0\0\0\1a";
    struct h2 *h2 = h2_open(server);
    struct ask *ask = open_call(h2, "Until", NULL);
    for (unsigned i = 0; i < ROUNDS && !h2->goaway; i++) {
        h2_upload(h2, ask, PACK, sizeof PACK - 1, false);
        for (unsigned m = 0; m < MESSAGES; m++) {
            nghttp2_submit_ping(h2->session, 0, (const uint8_t *)"12345678");
            nghttp2_submit_window_update(h2->session, 0, ask->stream_id, 1);
            nghttp2_submit_window_update(h2->session, 0, 0, 1);
        }
        size_t wanted = (size_t)(i + 1) * MESSAGES * 6;
        while (!h2->goaway && ask->body.len < wanted) assert_true(h2_turn(h2, 3000));
    }
    assert_false(h2->goaway);
    half_close(h2, ask);
    assert_true(h2_finish(h2));
    assert_grpc(ask, 0, NULL);
    h2_close(h2);
}

static void test_messages_in_pieces_and_packs(void **state)
{
    (void)state;
    struct h2 *h2 = h2_open(server);
    struct ask *pieces = open_call(h2, "Count", NULL), *pack = open_call(h2, "PoolChat", NULL);
    for (int i = 0; i < 3; i++) {
        static const char FRAME[] = "\0\0\0\0\4abcd";
        for (size_t at = 0; at < sizeof FRAME - 1; at++) {
            h2_upload(h2, pieces, FRAME + at, 1, i == 2 && at == sizeof FRAME - 2);
            h2_turn(h2, 1);
        }
    }
    for (int i = 0; i < 1000; i++) {
        char text[16];
        snprintf(text, sizeof text, "%d", i);
        send_message(h2, pack, ig_str_view(text), i == 999);
    }
    assert_true(h2_finish(h2));
    assert_grpc(pieces, 0, NULL);
    assert_reply(pieces, 0, "3 messages, 12 bytes");
    assert_grpc(pack, 0, NULL);
    assert_reply(pack, 0, "0");
    assert_reply(pack, 1998, "999");
    assert_reply(pack, 1999, "999");
    assert_null(reply_of(pack, 2000).ptr);
    h2_close(h2);
}

static void test_client_streaming_is_bounded_by_its_window(void **state)
{
    (void)state;
    static char bytes[100000];
    struct h2 *h2 = h2_open(server);
    struct ask *count = open_call(h2, "Count", NULL);
    for (int i = 0; i < 100; i++)
        send_message(h2, count, (struct ig_str){bytes, sizeof bytes}, i == 99);
    assert_true(h2_finish(h2));
    assert_grpc(count, 0, NULL);
    assert_reply(count, 0, "100 messages, 10000000 bytes");
    h2_close(h2);
}

static void test_the_window_closes_while_a_message_is_at_work(void **state)
{
    (void)state;
    static char bytes[10000];
    struct h2 *h2 = h2_open(server);
    struct ask *ask = open_call(h2, "WaitChat", NULL);
    for (int i = 0; i < 300; i++)
        send_message(h2, ask, (struct ig_str){bytes, sizeof bytes}, i == 299);
    while (atomic_load(&seen.waiting) < 1) h2_turn(h2, 10);
    for (int i = 0; i < 20; i++) h2_turn(h2, 10);
    if (ask->sent_at > 300000) fail_msg("%zu bytes were taken", ask->sent_at);
    atomic_store(&seen.gate, 1);
    assert_true(h2_finish(h2));
    assert_grpc(ask, 0, NULL);
    assert_int_equal(grpc.worked, 300);
    h2_close(h2);
}

static void test_messages_held_are_bounded(void **state)
{
    (void)state;
    static char bytes[200000];
    struct ig_http_server_options options = grpc_options();
    struct ig_http_stats stats;
    options.http2_connection_bytes = 1 << 20;
    server = test_start(&options);
    struct h2 *h2 = h2_open(server);
    unsigned refused = 0;
    for (int i = 0; i < 20; i++) {
        struct ask *ask = open_call(h2, "Count", NULL);
        h2_upload(h2, ask, "\0\0\3\15\101", 5, false);
        h2_upload(h2, ask, bytes, 199999, false);
    }
    for (int i = 0; i < 30; i++) {
        h2_turn(h2, 5);
        ig_http_server_stats(server, &stats);
        assert_true(stats.inflight_bytes <= 1 << 20);
    }
    for (int i = 0; i < 20; i++) refused += h2->asks[i]->closed;
    assert_in_range(refused, 16, 19); /* at most 4 x 256 KiB */
    for (int i = 0; i < 20; i++) {
        if (h2->asks[i]->closed)
            assert_grpc(h2->asks[i], 8, "too many request bytes are in flight");
        else
            h2_upload(h2, h2->asks[i], bytes, 2, true);
    }
    assert_true(h2_finish(h2));
    h2_close(h2);
    assert_int_equal(test_stop(server, 1000), 0);
}

static void test_full_and_late_workers(void **state)
{
    (void)state;
    struct ig_http_server_options options = grpc_options();
    options.loops = 1;
    options.workers = 1;
    options.workers_queue = 1;
    server = test_start(&options);
    struct h2 *h2 = h2_open(server);
    struct ask *first = call_unary(h2, "Wait", "a");
    while (atomic_load(&seen.waiting) < 1) h2_turn(h2, 10);
    struct ask *queued = open_call(h2, "Pool", "grpc-timeout: 100m\n");
    send_message(h2, queued, IG_STR("b"), true);
    h2_turn(h2, 50);
    struct ask *over = call_unary(h2, "Pool", "c");
    assert_true(h2_finish_one(h2, over));
    assert_grpc(over, 14, "too many calls wait for a worker");
    assert_int_equal(atomic_load(&grpc.dropped), 1);
    sleep_ms(120);
    atomic_store(&seen.gate, 1);
    assert_true(h2_finish(h2));
    assert_reply(first, 0, "a");
    assert_grpc(queued, 4, "the deadline has passed");
    assert_int_equal(grpc.worked, 1);
    h2_close(h2);
    assert_int_equal(test_stop(server, 1000), 0);
}

static void test_server_streaming_waits_for_its_client(void **state)
{
    (void)state;
    struct h2 *h2 = h2_open(server);
    h2->holds_window = true;
    struct ask *ask = call_unary(h2, "Expand", "500");
    for (int i = 0; i < 300 && atomic_load(&grpc.most_pending) < 6; i++) h2_turn(h2, 10);
    for (int i = 0; i < 20; i++) h2_turn(h2, 10);
    unsigned made = atomic_load(&grpc.most_pending);
    if (made < 6 || made > 40) fail_msg("%u replies were made for a window of 64 KiB", made);
    h2->holds_window = false;
    nghttp2_session_consume(h2->session, ask->stream_id, ask->body.len);
    assert_true(h2_finish(h2));
    assert_grpc(ask, 0, NULL);
    assert_int_equal(reply_of(ask, 499).len, 10000);
    assert_int_equal(reply_of(ask, 499).ptr[0], 'a' + 499 % 26);
    assert_null(reply_of(ask, 500).ptr);
    h2_close(h2);
}

static void test_a_streaming_call_may_end_early(void **state)
{
    (void)state;
    struct h2 *h2 = h2_open(server);
    struct ask *ask = open_call(h2, "Until", NULL);
    send_message(h2, ask, IG_STR("go"), false);
    send_message(h2, ask, IG_STR("stop"), false);
    send_message(h2, ask, IG_STR("late"), false);
    assert_true(h2_finish(h2));
    assert_reply(ask, 0, "go");
    assert_null(reply_of(ask, 1).ptr);
    assert_grpc(ask, 10, "stopped");
    assert_int_equal(ask->error_code, NGHTTP2_NO_ERROR);
    h2_close(h2);
}

static void test_metadata(void **state)
{
    (void)state;
    struct h2 *h2 = h2_open(server);
    struct ask *ask = open_call(h2, "Metadata", "x-ask: carried\n");
    send_message(h2, ask, IG_STR("m"), true);
    assert_true(h2_finish(h2));
    assert_grpc(ask, 0, NULL);
    assert_has(ask->trailers.ptr, "x-trailing: carried\n");
    ig_buf_add_char(&ask->headers, '\0');
    assert_has(ask->headers.ptr, "x-initial: carried\n");
    h2_close(h2);
}

static void test_calls_finish_in_any_order(void **state)
{
    (void)state;
    struct h2 *h2 = h2_open(server);
    struct ask *first = call_unary(h2, "Wait", "first"), *second = call_unary(h2, "Pool", "second");
    assert_true(h2_finish_one(h2, second));
    assert_reply(second, 0, "second");
    assert_false(first->closed);
    atomic_store(&seen.gate, 1);
    assert_true(h2_finish(h2));
    assert_reply(first, 0, "first");
    h2_close(h2);
}

static void test_deadlines(void **state)
{
    (void)state;
    struct h2 *h2 = h2_open(server);
    struct ask *work = open_call(h2, "Watch", "grpc-timeout: 1500m\n");
    struct ask *idle = open_call(h2, "Chat", "grpc-timeout: 1500m\n");
    struct ask *past = open_call(h2, "Unary", "grpc-timeout: 1n\n");
    send_message(h2, work, IG_STR("w"), true);
    send_message(h2, idle, IG_STR("i"), false);
    send_message(h2, past, IG_STR("p"), true);
    assert_true(h2_finish(h2));
    assert_true(reaches(&seen.cancelled, 1));
    assert_grpc(work, 4, "the deadline has passed");
    assert_reply(idle, 0, "i");
    assert_grpc(idle, 4, "the deadline has passed");
    assert_grpc(past, 4, "the deadline has passed");
    h2_close(h2);
}

static void test_slow_messages(void **state)
{
    (void)state;
    struct h2 *h2 = h2_open(server);
    struct ask *unary = open_call(h2, "Unary", NULL), *part = open_call(h2, "Chat", NULL);
    struct ask *patient = open_call(h2, "Chat", NULL);
    h2_upload(h2, part, "\0\0\0\0\5abc", 8, false);
    assert_true(h2_finish_one(h2, unary));
    assert_true(h2_finish_one(h2, part));
    assert_grpc(unary, 4, "the message did not arrive in time");
    assert_grpc(part, 4, "the message did not arrive in time");
    sleep_ms(500);
    send_message(h2, patient, IG_STR("still here"), true);
    assert_true(h2_finish(h2));
    assert_grpc(patient, 0, NULL);
    assert_reply(patient, 1, "still here");
    h2_close(h2);
}

static void test_a_reset_cancels_a_call(void **state)
{
    (void)state;
    struct h2 *h2 = h2_open(server);
    struct ask *work = call_unary(h2, "Watch", "w"), *idle = open_call(h2, "Chat", NULL);
    send_message(h2, idle, IG_STR("i"), false);
    while (atomic_load(&seen.waiting) < 1 || !idle->body.len) h2_turn(h2, 10);
    nghttp2_submit_rst_stream(h2->session, 0, work->stream_id, NGHTTP2_CANCEL);
    nghttp2_submit_rst_stream(h2->session, 0, idle->stream_id, NGHTTP2_CANCEL);
    h2_turn(h2, 100);
    assert_true(reaches(&seen.cancelled, 1));
    assert_true(reaches(&grpc.aborted, 2));
    assert_int_equal(grpc.last_status, IG_GRPC_CANCELLED);
    h2_close(h2);
}

static void *stop_server(void *context)
{
    unsigned *cut = context;
    *cut = ig_http_server_stop(server, 3000);
    return NULL;
}

static void test_drain_ends_idle_streaming_calls(void **state)
{
    (void)state;
    struct ig_http_server_options options = grpc_options();
    pthread_t thread;
    unsigned cut = 0;
    server = test_start(&options);
    struct h2 *h2 = h2_open(server);
    struct ask *idle = open_call(h2, "Chat", NULL), *busy = call_unary(h2, "Wait", "kept");
    send_message(h2, idle, IG_STR("i"), false);
    while (atomic_load(&seen.waiting) < 1 || !idle->body.len) h2_turn(h2, 10);
    pthread_create(&thread, NULL, stop_server, &cut);
    assert_true(h2_finish_one(h2, idle));
    assert_grpc(idle, 14, "the server is shutting down");
    atomic_store(&seen.gate, 1);
    assert_true(h2_finish_one(h2, busy));
    assert_grpc(busy, 0, NULL);
    assert_reply(busy, 0, "kept");
    h2_close(h2);
    pthread_join(thread, NULL);
    assert_int_equal(cut, 0);
    ig_http_server_free(server);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, start, stop)

/* `files`: a certificate and its key, or NULL. */
static int serve(char **files)
{
    struct ig_http_server_options options = grpc_options();
    struct ig_err err = IG_ERR_INIT;
    if (files && ig_tls_new(&options.tls, files[0], files[1], &err)) {
        fprintf(stderr, "%s\n", err.message);
        return 1;
    }
    options.write_timeout_ms = options.body_timeout_ms = 5000;
    server = test_start(&options);
    printf("%u\n", ig_http_server_port(server));
    fflush(stdout);
    while (getchar() != EOF) {
    }
    int cut = (int)test_stop(server, 1000);
    ig_tls_free(options.tls);
    return cut;
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        TEST(test_unary),
        TEST(test_turn_end),
        cmocka_unit_test(test_a_service_needs_its_callbacks),
        TEST(test_http_and_grpc_share_a_connection),
        TEST(test_failures),
        TEST(test_bad_messages),
        TEST(test_compressed_messages),
        TEST(test_large_messages),
        TEST(test_bidirectional_streaming),
        TEST(test_many_messages_are_no_flood),
        TEST(test_messages_in_pieces_and_packs),
        TEST(test_client_streaming_is_bounded_by_its_window),
        TEST(test_the_window_closes_while_a_message_is_at_work),
        cmocka_unit_test(test_messages_held_are_bounded),
        cmocka_unit_test(test_full_and_late_workers),
        TEST(test_server_streaming_waits_for_its_client),
        TEST(test_a_streaming_call_may_end_early),
        TEST(test_metadata),
        TEST(test_calls_finish_in_any_order),
        TEST(test_deadlines),
        TEST(test_slow_messages),
        TEST(test_a_reset_cancels_a_call),
        cmocka_unit_test(test_drain_ends_idle_streaming_calls),
    };
    if (argc >= 2 && strcmp(argv[1], "--serve") == 0) return serve(argc == 4 ? argv + 2 : NULL);
    return RUN_PLAIN_AND_TLS(tests);
}
