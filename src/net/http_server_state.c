/* SPDX-License-Identifier: Apache-2.0 */
/* The states of a connection: what the bytes at hand mean, and what follows.
 *
 *   AT_HEAD --head--> on_request --BUFFER--> AT_BODY --on_body--> DONE ----------.
 *      ^                 |   |       '-TO_POOL, or others -> AT_POOL -----------+--> queue_reply
 *      |                 |   '--STREAM--> AT_STREAM --(reply, or begun)----------'       |
 *      |                 '--RESPOND------------------------------------------------------+
 *      |                                                                                 v
 *      '---- AT_SKIP (rest of a short body) <-- end_call <-- [AT_REPLY: a large one drains]
 *                                                  '-- last --> AT_CLOSE --> [AT_LINGER] --> closed
 *
 * Invariants:
 * 1. Responses leave in the order of their requests: a head is looked at only when the former
 *    response is queued whole, and not while the socket refuses OUT_HIGH bytes.
 * 2. Whatever refuses a request by its syntax closes the connection behind the answer: where the
 *    next request would begin is not known.
 * 3. While a worker, or who answers later, holds the call (`working`), the loop touches of it
 * only the stream, `gone`, the input buffer behind `keep` and the fields that say where in
 * the body it is. Reads and writes are in http_server_conn.c. Thread rule: the loop's thread. */
#include "net/http_server_priv.h"

#include "base/clock.h"

#include <string.h>

enum { SKIP_MAX_BYTES = 64 * 1024, GROW_BYTES = 64 * 1024 };

static const struct ig_http_server_options *options_of(const struct ig_http_conn *conn)
{
    return &conn->home->server->options;
}

/* Ends of calls. */

void ig_http_state_finish(struct ig_http_call *call, bool aborted)
{
    struct ig_http_loop *home = call->conn->home;
    const struct ig_http_handler *handler = &home->server->options.handler;
    if (call->stream) {
        atomic_fetch_sub(&home->server->streams_active, 1);
        ig_http_stream_free(call);
    }
    int class = call->exchange.status / 100;
    if (!aborted && class >= 1 && class <= 5) ig_http_count(&home->counters.responses[class], 1);
    call->exchange.aborted = aborted;
    if (call->begun && handler->on_end) handler->on_end(handler->context, &call->exchange);
    call->begun = false;
    ig_http_call_release(call);
}

/* The response is queued or written whole: makes room for the next request. */
static enum ig_http_step end_call(struct ig_http_conn *conn)
{
    struct ig_http_call *call = conn->call;
    bool over = call->body_over;
    struct ig_http1_chunked chunked = call->chunked;
    bool is_chunked = call->exchange.request.chunked;
    uint64_t left = call->body_left;
    ig_http_state_finish(call, false);
    ig_http_call_reset(call);
    conn->served = true;
    conn->progress_ms = conn->since_ms = ig_loop_now_ms(conn->home->loop);
    conn->state = IG_HTTP_AT_HEAD;
    if (over && !call->last) return IG_HTTP_STEP_AGAIN;
    call->body_over = over;
    call->chunked = chunked;
    call->exchange.request.chunked = is_chunked;
    call->body_left = left;
    call->skip_left = SKIP_MAX_BYTES;
    conn->state = call->last ? IG_HTTP_AT_CLOSE : IG_HTTP_AT_SKIP;
    return IG_HTTP_STEP_AGAIN;
}

static enum ig_http_step queue_reply(struct ig_http_conn *conn)
{
    struct ig_http_call *call = conn->call;
    /* A long rest of a body is not worth reading; a client that waits for 100 may send none. */
    bool long_rest = call->body_left > SKIP_MAX_BYTES || call->exchange.request.expect_continue;
    if (!call->body_over && long_rest) call->last = true;
    ig_http_reply_queue(call);
    if (call->out.overflowed) return IG_HTTP_STEP_CLOSE;
    if (!call->tail.len) return end_call(conn);
    conn->state = IG_HTTP_AT_REPLY;
    return IG_HTTP_STEP_WAIT;
}

/* Answers by itself and closes behind it. */
enum ig_http_step ig_http_state_refuse(struct ig_http_conn *conn, int status, const char *reason)
{
    conn->call->last = conn->call->linger = true;
    ig_http_reply_error(conn->call, status, reason);
    return queue_reply(conn);
}

static enum ig_http_step unavailable(struct ig_http_conn *conn, const char *reason)
{
    ig_http_reply_error(conn->call, 503, reason);
    return queue_reply(conn);
}

/* Bodies. */

/* Takes the next slice of the body out of the input. DATA, MORE, END (also sets body_over), BAD. */
static enum ig_http1_chunk body_next(struct ig_http_call *call, struct ig_str *data)
{
    struct ig_str input = {call->in + call->in_at, call->in_len - call->in_at};
    size_t used = 0;
    enum ig_http1_chunk got;
    *data = (struct ig_str){0};
    if (call->body_over) return IG_HTTP1_CHUNK_END;
    if (call->exchange.request.chunked) {
        got = ig_http1_chunked(&call->chunked, input, &used, data);
    } else {
        used = input.len < call->body_left ? input.len : (size_t)call->body_left;
        *data = (struct ig_str){input.ptr, used};
        call->body_left -= used;
        got = used ? IG_HTTP1_CHUNK_DATA : IG_HTTP1_CHUNK_MORE;
        if (!used && !call->body_left) got = IG_HTTP1_CHUNK_END;
    }
    call->in_at += used;
    if (got == IG_HTTP1_CHUNK_END) call->body_over = true;
    return got;
}

static enum ig_http_step run_body(struct ig_http_conn *conn)
{
    struct ig_http_call *call = conn->call;
    const struct ig_http_handler *handler = &options_of(conn)->handler;
    call->exchange.body_bytes = call->exchange.body.len;
    call->exchange.turn_is_ending = ig_loop_is_ending(conn->home->loop);
    call->exchange.back = false;
    enum ig_http_next next = handler->on_body(handler->context, &call->exchange);
    if (next == IG_HTTP_DONE) return queue_reply(conn);
    atomic_store_explicit(&call->gone, conn->half_closed, memory_order_relaxed);
    conn->state = IG_HTTP_AT_POOL;
    conn->working = true;
    if (next == IG_HTTP_AT_TURN_END) {
        ig_http_call_at_turn_end(call);
        return IG_HTTP_STEP_WAIT;
    }
    if (next == IG_HTTP_LATER) {
        ig_http_call_later(call);
        return IG_HTTP_STEP_WAIT;
    }
    IG_ASSERT(call->exchange.work);
    if (conn->home->server->submit(conn->home->server, call, false)) return IG_HTTP_STEP_WAIT;
    conn->working = false;
    return unavailable(conn, "too many calls wait for a worker");
}

/* Room for `more` body bytes, in the buffer and in the server's budget. */
static bool body_room(struct ig_http_call *call, size_t more)
{
    struct ig_buf *body = &call->body;
    if (body->len + more > call->reserved_bytes) {
        size_t step = call->exchange.request.chunked ? GROW_BYTES + call->reserved_bytes : 0;
        size_t want = body->len + more - call->reserved_bytes;
        if (!ig_http_call_reserve(call, want > step ? want : step)) return false;
    }
    return ig_buf_reserve(body, more);
}

static enum ig_http_step step_chunked_body(struct ig_http_conn *conn)
{
    struct ig_http_call *call = conn->call;
    struct ig_str data;
    for (;;) {
        switch (body_next(call, &data)) {
        case IG_HTTP1_CHUNK_BAD:
            return ig_http_state_refuse(conn, 400, "the chunked body is malformed");
        case IG_HTTP1_CHUNK_MORE:
            return IG_HTTP_STEP_INPUT;
        case IG_HTTP1_CHUNK_END:
            call->exchange.body = ig_buf_view(&call->body);
            return run_body(conn);
        case IG_HTTP1_CHUNK_DATA:
            if (data.len > call->body_max_bytes - call->body.len)
                return ig_http_state_refuse(conn, 413, "the body exceeds the cap of this route");
            if (!body_room(call, data.len))
                return ig_http_state_refuse(conn, 503, "too many request bytes are in flight");
            ig_buf_add(&call->body, data.ptr, data.len);
            call->exchange.body_bytes += data.len;
            break;
        }
    }
}

static enum ig_http_step step_body(struct ig_http_conn *conn)
{
    struct ig_http_call *call = conn->call;
    if (call->exchange.request.chunked) return step_chunked_body(conn);
    size_t size = (size_t)call->exchange.request.content_length;
    if (size > call->in_cap - call->keep) { /* set up for read_some to fill call->body */
        if (call->body_left) return IG_HTTP_STEP_INPUT;
        call->exchange.body = ig_buf_view(&call->body);
        call->body_over = true;
        return run_body(conn);
    }
    if (call->in_len - call->in_at < size) return IG_HTTP_STEP_INPUT;
    call->exchange.body = (struct ig_str){call->in + call->in_at, size};
    call->in_at += size;
    call->body_left = 0;
    call->body_over = true;
    return run_body(conn);
}

/* A body too long for the input buffer goes to one of its own; what has come of it already too. */
static bool body_set_up(struct ig_http_call *call)
{
    const struct ig_http_request *request = &call->exchange.request;
    if (request->chunked || request->content_length <= call->in_cap - call->keep) return true;
    if (!body_room(call, (size_t)request->content_length)) return false;
    struct ig_str data;
    if (body_next(call, &data) == IG_HTTP1_CHUNK_DATA) ig_buf_add(&call->body, data.ptr, data.len);
    call->exchange.body_bytes = call->body.len;
    return true;
}

static enum ig_http_step step_skip(struct ig_http_conn *conn)
{
    struct ig_http_call *call = conn->call;
    struct ig_str data;
    size_t before = call->in_at;
    enum ig_http1_chunk got = body_next(call, &data);
    size_t used = call->in_at - before;
    if (got == IG_HTTP1_CHUNK_BAD || used > call->skip_left) {
        conn->state = IG_HTTP_AT_CLOSE;
        call->linger = true;
        return IG_HTTP_STEP_AGAIN;
    }
    call->skip_left -= used;
    if (got == IG_HTTP1_CHUNK_DATA) return IG_HTTP_STEP_AGAIN;
    if (got == IG_HTTP1_CHUNK_MORE) return IG_HTTP_STEP_INPUT;
    ig_http_call_reset(call);
    conn->state = IG_HTTP_AT_HEAD;
    return IG_HTTP_STEP_AGAIN;
}

/* Streams. */

static enum ig_http_step end_stream(struct ig_http_conn *conn)
{
    struct ig_http_call *call = conn->call;
    struct iovec parts[2];
    if (call->input_failed) call->last = call->linger = true;
    if (!call->stream->begun) return queue_reply(conn);
    if (ig_http_stream_ready(call->stream, parts) || ig_http_call_pending(call))
        return IG_HTTP_STEP_WAIT;
    if (call->stream->cut) return IG_HTTP_STEP_CLOSE;
    if (!call->body_over && call->body_left > SKIP_MAX_BYTES) call->last = true;
    return end_call(conn);
}

void ig_http_state_fail_input(struct ig_http_call *call, enum ig_code code)
{
    call->input_failed = true;
    ig_http_stream_fail(call->stream, code);
}

/* Hands body bytes of the input to the worker; false when it takes no more now. */
static bool feed_stream(struct ig_http_call *call)
{
    struct ig_http_stream *stream = call->stream;
    struct ig_str data;
    for (;;) {
        size_t room = ig_http_stream_room(stream).iov_len, end = call->in_len;
        if (!room) return false;
        /* Coded bytes never make more data than they are, so a span's worth of them fits. */
        if (end - call->in_at > room) call->in_len = call->in_at + room;
        enum ig_http1_chunk got = body_next(call, &data);
        call->in_len = end;
        switch (got) {
        case IG_HTTP1_CHUNK_BAD:
            ig_http_state_fail_input(call, IG_PARSE);
            return false;
        case IG_HTTP1_CHUNK_END:
            ig_http_stream_in_over(stream);
            return false;
        case IG_HTTP1_CHUNK_MORE:
            if (call->in_at == call->in_len) return true;
            break;
        case IG_HTTP1_CHUNK_DATA:
            if (data.len > call->body_max_bytes - call->stream_bytes) {
                ig_http_state_fail_input(call, IG_TOO_LARGE);
                return false;
            }
            call->stream_bytes += data.len;
            ig_http_stream_put(stream, data);
            break;
        }
    }
}

static enum ig_http_step step_stream(struct ig_http_conn *conn)
{
    struct ig_http_call *call = conn->call;
    if (!conn->working) return end_stream(conn);
    if (!call->body_over && !call->input_failed && feed_stream(call)) return IG_HTTP_STEP_INPUT;
    if (call->body_over && conn->half_closed) atomic_store(&call->gone, true);
    return IG_HTTP_STEP_WAIT;
}

static enum ig_http_step start_stream(struct ig_http_conn *conn, uint64_t default_deadline_ns)
{
    struct ig_http_call *call = conn->call;
    struct ig_http_server *server = conn->home->server;
    IG_ASSERT(call->exchange.work);
    if (atomic_fetch_add(&server->streams_active, 1) >= server->options.stream_workers) {
        atomic_fetch_sub(&server->streams_active, 1);
        return unavailable(conn, "too many streams are open");
    }
    if (!ig_http_stream_open(call)) {
        atomic_fetch_sub(&server->streams_active, 1);
        return unavailable(conn, "no memory for a stream");
    }
    if (call->exchange.deadline_ns == default_deadline_ns)
        call->exchange.deadline_ns =
            call->exchange.started_ns + server->options.stream_timeout_ms * UINT64_C(1000000);
    if (call->body_over) ig_http_stream_in_over(call->stream);
    conn->state = IG_HTTP_AT_STREAM;
    conn->working = true;
    if (server->submit(server, call, true)) return IG_HTTP_STEP_AGAIN;
    conn->working = false;
    return unavailable(conn, "too many streams are open");
}

/* Heads. */

static enum ig_http_step begin_request(struct ig_http_conn *conn)
{
    struct ig_http_call *call = conn->call;
    struct ig_exchange *exchange = &call->exchange;
    const struct ig_http_server_options *options = options_of(conn);
    const struct ig_http_request *request = &exchange->request;
    exchange->started_ns = ig_clock_ns();
    uint64_t deadline_ns = exchange->started_ns + options->call_timeout_ms * UINT64_C(1000000);
    exchange->deadline_ns = deadline_ns;
    call->body_left = request->content_length;
    call->body_over = !request->chunked && request->content_length == 0;
    call->begun = true;
    conn->since_ms = conn->progress_ms = ig_loop_now_ms(conn->home->loop);
    ig_http_count(&conn->home->counters.requests, 1);
    struct ig_http_decision decision =
        options->handler.on_request(options->handler.context, exchange);
    if (decision.mode == IG_HTTP_RESPOND) return queue_reply(conn);
    call->body_max_bytes = decision.body_max_bytes;
    if (request->content_length > decision.body_max_bytes)
        return ig_http_state_refuse(conn, 413, "the body exceeds the cap of this route");
    bool waits = request->expect_continue && call->in_at == call->in_len && !call->body_over;
    enum ig_http_step step = IG_HTTP_STEP_AGAIN;
    if (decision.mode == IG_HTTP_STREAM)
        step = start_stream(conn, deadline_ns);
    else if (body_set_up(call))
        conn->state = IG_HTTP_AT_BODY;
    else
        return ig_http_state_refuse(conn, 503, "too many request bytes are in flight");
    bool wanted = conn->state == IG_HTTP_AT_BODY || conn->working;
    if (waits && wanted) ig_buf_add_str(&call->out, IG_STR("HTTP/1.1 100 Continue\r\n\r\n"));
    return step;
}

static const char *scan_reason(int status)
{
    if (status == 414) return "the target is too long";
    if (status == 431) return "the request's head is too large";
    return "the request's head is malformed";
}

/* Moves what is unread to the front when the room behind it gets short. */
static void compact(struct ig_http_call *call)
{
    if (call->in_at <= IG_HTTP_IN_BYTES / 2) return;
    memmove(call->in, call->in + call->in_at, call->in_len - call->in_at);
    call->in_len -= call->in_at;
    call->in_at = 0;
}

/* The part of HTTP/2's preface that is shaped like a request without headers. */
static bool is_http2_preface(struct ig_str head)
{
    return ig_str_eq(head, IG_STR("PRI * HTTP/2.0\r\n\r\n"));
}

/* Whether the request is to be answered as the first stream of HTTP/2. */
static bool wants_http2(struct ig_http_conn *conn)
{
    struct ig_http_call *call = conn->call;
    const struct ig_http_request *request = &call->exchange.request;
    if (!ig_http_header(request, IG_STR("upgrade")).ptr || conn->protocol != IG_TLS_NONE ||
        atomic_load_explicit(&conn->home->draining, memory_order_relaxed))
        return false;
    struct ig_http1_upgrade *upgrade = ig_arena_alloc(&call->exchange.arena, sizeof *upgrade);
    if (!upgrade || !ig_http1_upgrades(upgrade, request)) return false;
    call->upgrade = upgrade;
    return true;
}

static enum ig_http_step step_head(struct ig_http_conn *conn)
{
    struct ig_http_call *call = conn->call;
    const struct ig_http1_limits *limits = &conn->home->server->limits;
    if (call->out.len - call->out_at > IG_HTTP_OUT_HIGH_BYTES) return IG_HTTP_STEP_WAIT;
    compact(call);
    const char *bytes = call->in + call->in_at;
    size_t length = call->in_len - call->in_at;
    if (!length) return IG_HTTP_STEP_INPUT;
    if (conn->protocol == IG_TLS_HTTP2) return IG_HTTP_STEP_HTTP2;
    if (conn->wants_tls)
        return ig_http_state_refuse(conn, 400, "TLS is spoken here: the URL begins with https://");
    if (bytes[0] == '\r' && !call->skipped_line) { /* one empty line before a request */
        if (length < 2) return IG_HTTP_STEP_INPUT;
        if (bytes[1] != '\n')
            return ig_http_state_refuse(conn, 400, "the request's head is malformed");
        call->in_at += 2;
        call->skipped_line = true;
        return IG_HTTP_STEP_AGAIN;
    }
    int64_t head = ig_http1_scan(&call->scan, bytes, length, limits);
    if (head == 0) return IG_HTTP_STEP_INPUT;
    if (head < 0) return ig_http_state_refuse(conn, (int)-head, scan_reason((int)-head));
    const char *reason = NULL;
    struct ig_http_request *request = &call->exchange.request;
    request->peer = conn->peer;
    request->is_loopback = conn->is_loopback;
    int status = ig_http1_request(request, call->headers, (struct ig_str){bytes, (size_t)head},
                                  limits, &reason);
    call->in_at += (size_t)head;
    call->keep = call->in_at;
    bool sniffs = !conn->served && conn->protocol == IG_TLS_NONE;
    if (status == 505 && sniffs && is_http2_preface((struct ig_str){bytes, (size_t)head})) {
        call->in_at -= (size_t)head;
        return IG_HTTP_STEP_HTTP2;
    }
    if (status) return ig_http_state_refuse(conn, status, reason);
    return wants_http2(conn) ? IG_HTTP_STEP_HTTP2 : begin_request(conn);
}

static enum ig_http_step step_close(struct ig_http_conn *conn)
{
    struct ig_http_call *call = conn->call;
    if (ig_http_call_pending(call)) return IG_HTTP_STEP_WAIT;
    if (!call->linger && call->body_over && call->in_at == call->in_len) return IG_HTTP_STEP_CLOSE;
    /* Closing with unread input would send a reset, which may overtake the response. */
    ig_http_conn_finish(conn);
    conn->state = IG_HTTP_AT_LINGER;
    conn->since_ms = ig_loop_now_ms(conn->home->loop);
    return IG_HTTP_STEP_AGAIN;
}

enum ig_http_step ig_http_state_advance(struct ig_http_conn *conn)
{
    struct ig_http_call *call = conn->call;
    switch (conn->state) {
    case IG_HTTP_AT_HEAD:
        return step_head(conn);
    case IG_HTTP_AT_BODY:
        return step_body(conn);
    case IG_HTTP_AT_POOL:
        if (conn->working) return IG_HTTP_STEP_WAIT;
        return call->exchange.back ? run_body(conn) : queue_reply(conn);
    case IG_HTTP_AT_STREAM:
        return step_stream(conn);
    case IG_HTTP_AT_REPLY:
        return ig_http_call_pending(call) ? IG_HTTP_STEP_WAIT : end_call(conn);
    case IG_HTTP_AT_SKIP:
        return step_skip(conn);
    case IG_HTTP_AT_CLOSE:
        return step_close(conn);
    case IG_HTTP_AT_LINGER:
        ig_http_conn_finish(conn);
        call->in_at = call->in_len = 0;
        return IG_HTTP_STEP_INPUT;
    case IG_HTTP_AT_HTTP2:
        break;
    }
    return IG_HTTP_STEP_CLOSE;
}
