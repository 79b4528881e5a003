/* SPDX-License-Identifier: Apache-2.0 */
/* A whole connection of HTTP/2 in memory: any bytes behind the preface, in pieces, with a socket
 * that takes its output in bits, workers that end late, and routes and calls of every kind. Every
 * exchange and call that was begun ends, and no budget is left taken. The first byte of an input
 * chooses the cuts. */
#include "net/http2_priv.h"

#include "base/mem.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { LATER_MAX = 8, RING_BYTES = 65536, QUEUE_MAX = 64 };

/* Before it, where the first byte is over 127, the request of HTTP/1 that asks for it. */
static const char UPGRADE[] =
    "GET /later HTTP/1.1\r\nHost: a\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\n"
    "X-Own: 1\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n\r\n"
    "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\4\0\0\0\0\0";
static const char PREFACE[] = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\4\0\0\0\0\0";

static struct {
    const uint8_t *input;
    const char *preface_end;
    size_t left, preface_left;
    uint32_t cuts; /* state of the piece sizes; 0: all at once */
    bool ended;
    size_t taken; /* output bytes */
    unsigned begun, finished;
    struct ig_http_call *queue[QUEUE_MAX]; /* wait for a worker */
    unsigned queued;
    struct ig_exchange *later[LATER_MAX];
    size_t later_count;
} peer;

static size_t next_cut(void)
{
    if (!peer.cuts) return SIZE_MAX;
    peer.cuts = peer.cuts * 1664525u + 1013904223u;
    uint32_t kind = peer.cuts >> 30, rest = peer.cuts >> 8;
    return 1 + (kind == 0 ? rest % 200 : kind == 1 ? rest % 7 : rest % 4000);
}

static int64_t peer_read(struct ig_http_conn *conn, void *bytes, size_t size_bytes)
{
    (void)conn;
    const char *from = peer.preface_end - peer.preface_left;
    size_t *left = peer.preface_left ? &peer.preface_left : &peer.left;
    if (!*left) return peer.ended ? 0 : -EAGAIN;
    size_t size = next_cut();
    if (size > *left) size = *left;
    if (size > size_bytes) size = size_bytes;
    memcpy(bytes, left == &peer.left ? (const char *)peer.input : from, size);
    if (left == &peer.left) peer.input += size;
    *left -= size;
    return (int64_t)size;
}

static int64_t peer_writev(struct ig_http_conn *conn, const struct iovec *parts, int count)
{
    (void)conn;
    size_t size = next_cut();
    if (count != 1 || !parts[0].iov_len) abort();
    if (peer.cuts && size % 5 == 0) return -EAGAIN;
    if (size > parts[0].iov_len) size = parts[0].iov_len;
    peer.taken += size;
    return (int64_t)size;
}

static void echo(void *context, struct ig_exchange *exchange)
{
    (void)context;
    ig_buf_add_str(&exchange->reply, exchange->body);
}

static void drain(void *context, struct ig_exchange *exchange)
{
    char bytes[300];
    struct ig_err err = IG_ERR_INIT;
    (void)context;
    if (ig_exchange_begin(exchange, IG_HTTP_CHUNKED, &err)) return;
    for (int64_t got; (got = ig_exchange_read(exchange, bytes, sizeof bytes, &err)) > 0;) {
        if (ig_exchange_write(exchange, bytes, (size_t)got, &err)) break;
    }
    (void)ig_exchange_trailer(exchange, "x-end", IG_STR("yes"), &err);
}

static struct ig_http_decision on_request(void *context, struct ig_exchange *exchange)
{
    (void)context;
    peer.begun++;
    if (ig_str_is(exchange->request.path, "/now"))
        return (struct ig_http_decision){.mode = IG_HTTP_RESPOND};
    if (!ig_str_is(exchange->request.path, "/stream"))
        return (struct ig_http_decision){IG_HTTP_BUFFER, 1000};
    exchange->work = drain;
    exchange->deadline_ns = 1; /* a read that would block fails instead */
    return (struct ig_http_decision){IG_HTTP_STREAM, 5000};
}

static enum ig_http_next wait_for_turn_end(struct ig_exchange *exchange)
{
    peer.later[peer.later_count++] = exchange;
    return IG_HTTP_AT_TURN_END;
}

static void grpc_work(void *context, struct ig_grpc_call *call)
{
    struct ig_err err = IG_ERR_INIT;
    (void)context;
    (void)ig_grpc_reply(call, call->message, &err);
    call->again = call->message.len && call->again_count < (unsigned char)call->message.ptr[0] / 16;
}

static void on_turn_end(void *context, unsigned loop)
{
    struct ig_exchange *later[LATER_MAX];
    size_t count = peer.later_count;
    (void)loop;
    memcpy(later, peer.later, sizeof later);
    peer.later_count = 0;
    for (size_t i = 0; i < count; i++) {
        struct ig_grpc_call *call = later[i]->user;
        if (call)
            grpc_work(context, call);
        else
            echo(context, later[i]);
        ig_exchange_answered(later[i]);
    }
}

static enum ig_http_next on_body(void *context, struct ig_exchange *exchange)
{
    exchange->work = echo;
    if (ig_str_is(exchange->request.path, "/pool")) return IG_HTTP_TO_POOL;
    if (ig_str_is(exchange->request.path, "/later") && peer.later_count < LATER_MAX)
        return wait_for_turn_end(exchange);
    echo(context, exchange);
    return IG_HTTP_DONE;
}

static void on_end(void *context, struct ig_exchange *exchange)
{
    (void)context;
    (void)exchange;
    peer.finished++;
}

static void grpc_call(void *context, struct ig_grpc_call *call)
{
    (void)context;
    peer.begun++;
    call->message_max_bytes = 2000;
    call->streaming = !ig_str_is(call->method, "U");
}

static enum ig_grpc_next grpc_message(void *context, struct ig_grpc_call *call)
{
    struct ig_err err = IG_ERR_INIT;
    call->work = grpc_work;
    if (ig_str_is(call->method, "P")) return IG_GRPC_TO_POOL;
    if (ig_str_is(call->method, "L") && peer.later_count < LATER_MAX) {
        call->exchange->user = call;
        (void)wait_for_turn_end(call->exchange);
        return IG_GRPC_AT_TURN_END;
    }
    grpc_work(context, call);
    if (call->message.len > 100)
        ig_grpc_fail(call, IG_GRPC_ABORTED, "%.*s", IG_STR_ARGS(call->message));
    (void)ig_exchange_trailer(call->exchange, "x-count", IG_STR("1"), &err);
    return call->again ? IG_GRPC_AGAIN : IG_GRPC_NEXT;
}

static enum ig_grpc_next grpc_over(void *context, struct ig_grpc_call *call)
{
    call->work = grpc_work;
    (void)context;
    return IG_GRPC_TO_POOL;
}

static void grpc_end(void *context, struct ig_grpc_call *call)
{
    (void)context;
    (void)call;
    peer.finished++;
}

static const struct ig_grpc_service SERVICE = {"/g/",     NULL, grpc_call, grpc_message,
                                               grpc_over, NULL, grpc_end};

static bool submit(struct ig_http_server *server, struct ig_http_call *call, bool stream)
{
    (void)server;
    (void)stream;
    if (peer.queued == QUEUE_MAX) return false;
    peer.queue[peer.queued++] = call;
    return true;
}

static struct ig_http_loop *home_new(void)
{
    static struct ig_http_server server;
    static struct ig_http_loop home;
    struct ig_err err = IG_ERR_INIT;
    server.options = (struct ig_http_server_options){.head_max_bytes = 1024,
                                                     .target_max_bytes = 256,
                                                     .headers_max = 12,
                                                     .stream_workers = 4,
                                                     .stream_ring_bytes = RING_BYTES,
                                                     .reply_max_bytes = 100000,
                                                     .arena_max_bytes = 100000,
                                                     .inflight_max_bytes = 1 << 20,
                                                     .http2_streams_max = 10,
                                                     .http2_connection_bytes = 1 << 19,
                                                     .head_timeout_ms = 1000,
                                                     .idle_timeout_ms = 1000,
                                                     .body_timeout_ms = 1000,
                                                     .client_bytes_per_s = 1,
                                                     .write_timeout_ms = 1000,
                                                     .call_timeout_ms = 10000,
                                                     .stream_timeout_ms = 10000,
                                                     .grpc = &SERVICE,
                                                     .grpc_count = 1,
                                                     .handler = {.on_request = on_request,
                                                                 .on_body = on_body,
                                                                 .on_turn_end = on_turn_end,
                                                                 .on_end = on_end}};
    server.limits = (struct ig_http1_limits){1024, 256, 12};
    server.submit = submit;
    home.server = &server;
    if (ig_loop_new(&home.loop, &err)) abort();
    return &home;
}

/* One worker's turn, out of order. */
static bool run_worker(void)
{
    if (!peer.queued) return false;
    unsigned at = peer.cuts % peer.queued;
    struct ig_http_call *call = peer.queue[at];
    peer.queue[at] = peer.queue[--peer.queued];
    ig_http_call_work(call);
    return true;
}

static void converse(struct ig_http_loop *home)
{
    struct ig_http_conn *conn = ig_zalloc(sizeof *conn);
    conn->fd = -1;
    conn->read = peer_read;
    conn->writev = peer_writev;
    ig_http_conn_init(conn, home);
    atomic_fetch_add(&home->server->connections_open, 1);
    for (int idle = 0; home->conns;) {
        size_t before = peer.left + peer.preface_left + peer.taken;
        if (!conn->dead) conn->source.on_ready(&conn->source, EPOLLIN | EPOLLOUT);
        ig_loop_turn(home->loop, 0);
        if (!home->conns) break;
        idle = before == peer.left + peer.preface_left + peer.taken ? idle + 1 : 0;
        if (peer.cuts % 3 == 0 || idle >= 3) {
            if (run_worker()) idle = 0;
        }
        if (idle < 6) continue;
        if (peer.ended && idle > 50) abort(); /* a connection that never ends */
        peer.ended = true;
    }
    if (peer.queued) abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct ig_http_loop *home;
    if (!size || size > 20000) return 0;
    if (!home) home = home_new();
    peer.input = data + 1;
    peer.left = size - 1;
    bool upgrades = data[0] & 0x80;
    peer.preface_left = upgrades ? sizeof UPGRADE - 1 : sizeof PREFACE - 1;
    peer.preface_end = upgrades ? UPGRADE + sizeof UPGRADE - 1 : PREFACE + sizeof PREFACE - 1;
    peer.cuts = data[0];
    peer.ended = false;
    peer.begun = peer.finished = 0;
    converse(home);
    if (peer.begun != peer.finished) abort();
    if (home->server->inflight_bytes || home->server->streams_active) abort();
    return 0;
}
