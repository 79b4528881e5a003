/* SPDX-License-Identifier: Apache-2.0 */
/* A whole connection in memory: any bytes, fed at once and again cut into pieces with a socket that
 * takes its output in bits, must make the same exchanges and the same answers, and leave nothing
 * behind. The first byte of an input chooses the cuts. */
#include "net/http_server_priv.h"

#include "base/hash.h"
#include "base/mem.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { LATER_MAX = 1, RING_BYTES = 65536, TEXT_MAX_BYTES = 1 << 24 };

/* One connection's other end and what it saw. */
static struct {
    const uint8_t *input;
    size_t left;
    uint32_t cuts;   /* state of the piece sizes; 0: all at once */
    bool ended;      /* the input is over: reads say so */
    bool would_wait; /* a stream's read would have waited: how far it came depends on the cuts */
    struct ig_buf output, log;
    unsigned begun, finished;
    struct ig_http_call *stream; /* waits for its worker to run */
    struct ig_exchange *later[LATER_MAX];
    size_t later_count;
} peer;

static size_t next_cut(void)
{
    if (!peer.cuts) return SIZE_MAX;
    peer.cuts = peer.cuts * 1664525u + 1013904223u;
    uint32_t kind = peer.cuts >> 30, rest = peer.cuts >> 8;
    return 1 + (kind == 0 ? rest % 200 : kind == 1 ? rest % 7 : 0);
}

static int64_t peer_read(struct ig_http_conn *conn, void *bytes, size_t size_bytes)
{
    (void)conn;
    if (!peer.left) return peer.ended ? 0 : -EAGAIN;
    size_t size = next_cut();
    if (size > peer.left) size = peer.left;
    if (size > size_bytes) size = size_bytes;
    memcpy(bytes, peer.input, size);
    peer.input += size;
    peer.left -= size;
    return (int64_t)size;
}

static int64_t peer_writev(struct ig_http_conn *conn, const struct iovec *parts, int count)
{
    (void)conn;
    size_t size = next_cut(), total = 0;
    for (int i = 0; i < count && total < size; i++) {
        size_t part = parts[i].iov_len < size - total ? parts[i].iov_len : size - total;
        ig_buf_add(&peer.output, parts[i].iov_base, part);
        total += part;
    }
    return (int64_t)total;
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
    for (int64_t got; (got = ig_exchange_read(exchange, bytes, sizeof bytes, &err)) > 0;)
        ig_buf_add(&exchange->reply, bytes, (size_t)got);
    /* Beside a loop that runs it would have waited for the next cut. */
    peer.would_wait = peer.would_wait || err.code == IG_DEADLINE;
    if (err.code) ig_buf_reset(&exchange->reply);
    if (err.code) exchange->status = ig_code_http_status(err.code);
}

static struct ig_http_decision on_request(void *context, struct ig_exchange *exchange)
{
    const struct ig_http_request *request = &exchange->request;
    (void)context;
    peer.begun++;
    ig_buf_printf(&peer.log, "%.*s %.*s?%.*s host %.*s headers %zu ", IG_STR_ARGS(request->method),
                  IG_STR_ARGS(request->path), IG_STR_ARGS(request->query),
                  IG_STR_ARGS(request->host), request->headers_count);
    if (ig_str_is(request->path, "/now")) return (struct ig_http_decision){.mode = IG_HTTP_RESPOND};
    if (!ig_str_is(request->path, "/stream"))
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

static void on_turn_end(void *context, unsigned loop)
{
    struct ig_exchange *later[LATER_MAX];
    size_t count = peer.later_count;
    (void)loop;
    memcpy(later, peer.later, sizeof later);
    peer.later_count = 0;
    for (size_t i = 0; i < count; i++) {
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
    peer.finished++;
    ig_buf_printf(&peer.log, "-> %d, %zu bytes\n", exchange->status, exchange->reply.len);
}

static bool submit(struct ig_http_server *server, struct ig_http_call *call, bool stream)
{
    (void)server;
    if (stream) {
        peer.stream = call;
    } else {
        ig_http_call_work(call);
    }
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
                                                     .stream_workers = 1,
                                                     .stream_ring_bytes = RING_BYTES,
                                                     .reply_max_bytes = 100000,
                                                     .arena_max_bytes = 100000,
                                                     .inflight_max_bytes = 1 << 20,
                                                     .http2_streams_max = 10,
                                                     .http2_connection_bytes = 1 << 20,
                                                     .head_timeout_ms = 1000,
                                                     .idle_timeout_ms = 1000,
                                                     .body_timeout_ms = 1000,
                                                     .client_bytes_per_s = 1,
                                                     .write_timeout_ms = 1000,
                                                     .handler = {.on_request = on_request,
                                                                 .on_body = on_body,
                                                                 .on_turn_end = on_turn_end,
                                                                 .on_end = on_end}};
    server.limits = (struct ig_http1_limits){1024, 256, 12};
    server.submit = submit;
    home.server = &server;
    if (ig_loop_new(&home.loop, &err)) abort();
    ig_buf_init(&peer.output, TEXT_MAX_BYTES);
    ig_buf_init(&peer.log, TEXT_MAX_BYTES);
    return &home;
}

/* The answers with what depends on time or on the cuts taken out. */
static uint64_t answers_hash(struct ig_buf *output)
{
    const struct ig_str proceed = IG_STR("HTTP/1.1 100 Continue\r\n\r\n");
    size_t kept = 0;
    for (size_t at = 0; at < output->len;) {
        struct ig_str rest = {output->ptr + at, output->len - at};
        if (ig_str_starts(rest, IG_STR("Date: ")) && rest.len > 37)
            at += 37;
        else if (ig_str_starts(rest, proceed))
            at += proceed.len;
        else
            output->ptr[kept++] = output->ptr[at++];
    }
    return ig_hash64(output->ptr, kept);
}

/* Feeds all, runs stream workers when nothing else moves, then ends the input. */
static void converse(struct ig_http_loop *home)
{
    struct ig_http_conn *conn = ig_zalloc(sizeof *conn);
    conn->fd = -1;
    conn->read = peer_read;
    conn->writev = peer_writev;
    ig_http_conn_init(conn, home);
    atomic_fetch_add(&home->server->connections_open, 1);
    for (int idle = 0; home->conns;) {
        size_t before = peer.left + peer.output.len;
        bool was_dead = conn->dead;
        conn->readable = conn->writable = true;
        if (!was_dead) conn->source.on_ready(&conn->source, EPOLLIN | EPOLLOUT);
        peer.would_wait = peer.would_wait || conn->http2; /* http2_fuzz.c is for those */
        ig_loop_turn(home->loop, 0);
        if (!home->conns) break;
        idle = before == peer.left + peer.output.len ? idle + 1 : 0;
        if (idle < 3) continue;
        if (peer.stream) {
            struct ig_http_call *call = peer.stream;
            peer.stream = NULL;
            ig_http_call_work(call);
        } else {
            if (peer.ended && idle > 20) abort(); /* a connection that never ends */
            peer.ended = true;
        }
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct ig_http_loop *home;
    uint64_t answers[2], logs[2];
    if (!size || size > 20000) return 0;
    if (!home) home = home_new();
    peer.would_wait = false;
    for (int run = 0; run < 2; run++) {
        ig_buf_reset(&peer.output);
        ig_buf_reset(&peer.log);
        peer.input = data + 1;
        peer.left = size - 1;
        peer.cuts = run ? data[0] + 1u : 0;
        peer.ended = false;
        converse(home);
        if (peer.begun != peer.finished) abort();
        answers[run] = answers_hash(&peer.output);
        logs[run] = ig_hash64(peer.log.ptr, peer.log.len);
    }
    if (!peer.would_wait && (answers[0] != answers[1] || logs[0] != logs[1])) abort();
    if (home->server->inflight_bytes || home->server->streams_active) abort();
    return 0;
}
