/* SPDX-License-Identifier: Apache-2.0 */
/* A connection of HTTP/2 (RFC 9113): its session, input, output, deadlines and end. The protocol is
 * libnghttp2's; the calls of its streams are in http2_call.c.
 *
 * A connection begins as one of HTTP/1 and is adopted when its first head is the preface, with its
 * first byte when ALPN has said so, or when a request without a body asks for it. All that is read
 * in a turn is given to the session, then all that the session has to say leaves in as few writes
 * as possible; both pass through scratch memory of the loop, so that a resting connection holds
 * none but the session's.
 *
 * What bounds a client: concurrent streams, counted until their workers are done, so that resetting
 * a stream makes no room (CVE-2023-44487); the session's own limits on resets, acknowledgements,
 * settings and continuations; a budget of control frames that refills with time, with what is sent
 * and with gRPC's replies; header lists by head_max_bytes; bodies by the caps of their routes,
 * http2_connection_bytes and inflight_max_bytes; and the timeouts of HTTP/1, looked at every tick.
 * Thread rule: the loop's thread. */
#include "net/http2_priv.h"

#include "base/mem.h"

#include <errno.h>
#include <sys/epoll.h>

enum {
    ROUNDS_MAX = 64,
    IN_BYTES = 64 * 1024,
    OUT_MAX_BYTES = 1024 * 1024,
    OUTBOUND_MAX = 1000, /* frames that wait: no more is read before some left */
    LINGER_MS = 2000,
    TICK_MIN_MS = 100,
    TICK_MAX_MS = 1000,
    CONNECTION_WINDOW_BYTES = 16 * 1024 * 1024,
    CREDIT_MAX = 2000, /* control frames at once */
    CREDIT_PER_S = 500,
    CREDIT_PER_DATA_SENT = 2, /* each may earn a WINDOW_UPDATE of the stream and the connection */
    RESETS_MAX = 1000,
    RESETS_PER_S = 33,
    ACKS_MAX = 1000,
    SETTINGS_MAX = 32,
    CONTINUATIONS_MAX = 8,
    FIRST_STREAM = 1
};

static const struct ig_http_server_options *options_of(const struct ig_http_conn *conn)
{
    return &conn->home->server->options;
}

void ig_http2_earn(struct ig_http_conn *conn, uint64_t frames)
{
    unsigned room = CREDIT_MAX - conn->http2->credit;
    conn->http2->credit += frames < room ? (unsigned)frames : room;
}

/* Events of the session. */

static struct ig_http2_call *call_of(nghttp2_session *session, int32_t stream_id)
{
    return stream_id ? nghttp2_session_get_stream_user_data(session, stream_id) : NULL;
}

/* Whether a frame asks for work without moving a request on. */
static bool is_control(const nghttp2_frame_hd *frame)
{
    switch (frame->type) {
    case NGHTTP2_DATA:
        return !frame->length && !(frame->flags & NGHTTP2_FLAG_END_STREAM);
    case NGHTTP2_HEADERS:
    case NGHTTP2_CONTINUATION:
    case NGHTTP2_GOAWAY:
        return false;
    case NGHTTP2_PING:
    case NGHTTP2_SETTINGS:
        return !(frame->flags & NGHTTP2_FLAG_ACK);
    default:
        return true;
    }
}

static int on_begin_frame(nghttp2_session *session, const nghttp2_frame_hd *frame, void *context)
{
    struct ig_http_conn *conn = context;
    struct ig_http2 *http2 = conn->http2;
    if (!is_control(frame)) return 0;
    uint64_t now = ig_loop_now_ms(conn->home->loop);
    uint64_t refill = (now - http2->credit_ms) * CREDIT_PER_S / 1000;
    if (refill) {
        http2->credit_ms = now;
        http2->credit =
            refill > CREDIT_MAX - http2->credit ? CREDIT_MAX : http2->credit + (unsigned)refill;
    }
    if (http2->credit)
        http2->credit--;
    else
        nghttp2_session_terminate_session(session, NGHTTP2_ENHANCE_YOUR_CALM);
    return 0;
}

static int on_begin_headers(nghttp2_session *session, const nghttp2_frame *frame, void *context)
{
    struct ig_http_conn *conn = context;
    if (frame->hd.type != NGHTTP2_HEADERS || frame->headers.cat != NGHTTP2_HCAT_REQUEST) return 0;
    struct ig_http2_call *call = NULL;
    if (conn->http2->calls_count < options_of(conn)->http2_streams_max)
        call = ig_http2_call_new(conn, frame->hd.stream_id);
    conn->http2->at_head = call;
    if (call)
        nghttp2_session_set_stream_user_data(session, frame->hd.stream_id, call);
    else
        nghttp2_submit_rst_stream(session, NGHTTP2_FLAG_NONE, frame->hd.stream_id,
                                  NGHTTP2_REFUSED_STREAM);
    return 0;
}

static int on_header(nghttp2_session *session, const nghttp2_frame *frame, nghttp2_rcbuf *name,
                     nghttp2_rcbuf *value, uint8_t flags, void *context)
{
    const struct ig_http_conn *conn = context;
    struct ig_http2_call *call = conn->http2->at_head;
    (void)session;
    (void)flags;
    if (!call || frame->hd.stream_id != call->stream_id ||
        frame->headers.cat != NGHTTP2_HCAT_REQUEST)
        return 0;
    nghttp2_vec n = nghttp2_rcbuf_get_buf(name), v = nghttp2_rcbuf_get_buf(value);
    ig_http2_call_header(call, (struct ig_str){(char *)n.base, n.len},
                         (struct ig_str){(char *)v.base, v.len});
    return 0;
}

static int on_frame(nghttp2_session *session, const nghttp2_frame *frame, void *context)
{
    struct ig_http2_call *call = call_of(session, frame->hd.stream_id);
    bool is_last = frame->hd.flags & NGHTTP2_FLAG_END_STREAM;
    (void)context;
    if (!call) return 0;
    if (frame->hd.type == NGHTTP2_HEADERS && frame->headers.cat == NGHTTP2_HCAT_REQUEST)
        ig_http2_call_begin(call, is_last);
    else if (is_last && (frame->hd.type == NGHTTP2_HEADERS || frame->hd.type == NGHTTP2_DATA))
        ig_http2_call_over(call);
    return 0;
}

static int on_data(nghttp2_session *session, uint8_t flags, int32_t stream_id, const uint8_t *bytes,
                   size_t size_bytes, void *context)
{
    struct ig_http2_call *call = call_of(session, stream_id);
    (void)flags;
    (void)context;
    nghttp2_session_consume_connection(session, size_bytes);
    if (call) ig_http2_call_data(call, (struct ig_str){(const char *)bytes, size_bytes});
    return 0;
}

static int on_sent(nghttp2_session *session, const nghttp2_frame *frame, void *context)
{
    struct ig_http_conn *conn = context;
    struct ig_http2_call *call = call_of(session, frame->hd.stream_id);
    if (frame->hd.type == NGHTTP2_DATA) ig_http2_earn(conn, CREDIT_PER_DATA_SENT);
    bool is_body = frame->hd.type == NGHTTP2_HEADERS || frame->hd.type == NGHTTP2_DATA;
    if (!call || !is_body || !(frame->hd.flags & NGHTTP2_FLAG_END_STREAM)) return 0;
    call->ended = true;
    /* The rest of the request is of no use (RFC 9113 section 8.1). */
    if (!call->base.body_over)
        nghttp2_submit_rst_stream(session, NGHTTP2_FLAG_NONE, call->stream_id, NGHTTP2_NO_ERROR);
    return 0;
}

static int on_stream_close(nghttp2_session *session, int32_t stream_id, uint32_t error_code,
                           void *context)
{
    struct ig_http2_call *call = call_of(session, stream_id);
    (void)error_code;
    (void)context;
    if (call) ig_http2_call_closed(call);
    return 0;
}

static nghttp2_option *options_new(void)
{
    nghttp2_option *option = NULL;
    if (nghttp2_option_new(&option) != 0) return NULL;
    nghttp2_option_set_no_auto_window_update(option, 1);
    nghttp2_option_set_no_closed_streams(option, 1);
    nghttp2_option_set_max_outbound_ack(option, ACKS_MAX);
    nghttp2_option_set_max_settings(option, SETTINGS_MAX);
    nghttp2_option_set_stream_reset_rate_limit(option, RESETS_MAX, RESETS_PER_S);
    nghttp2_option_set_max_continuations(option, CONTINUATIONS_MAX);
    return option;
}

static nghttp2_session_callbacks *callbacks_new(void)
{
    nghttp2_session_callbacks *callbacks = NULL;
    if (nghttp2_session_callbacks_new(&callbacks) != 0) return NULL;
    nghttp2_session_callbacks_set_on_begin_frame_callback(callbacks, on_begin_frame);
    nghttp2_session_callbacks_set_on_begin_headers_callback(callbacks, on_begin_headers);
    nghttp2_session_callbacks_set_on_header_callback2(callbacks, on_header);
    nghttp2_session_callbacks_set_on_frame_recv_callback(callbacks, on_frame);
    nghttp2_session_callbacks_set_on_data_chunk_recv_callback(callbacks, on_data);
    nghttp2_session_callbacks_set_on_frame_send_callback(callbacks, on_sent);
    nghttp2_session_callbacks_set_on_stream_close_callback(callbacks, on_stream_close);
    return callbacks;
}

static bool greet(struct ig_http_conn *conn)
{
    const struct ig_http_server_options *options = options_of(conn);
    nghttp2_session *session = conn->http2->session;
    size_t window = options->stream_ring_bytes;
    if (window < IG_HTTP2_WINDOW_MIN_BYTES) window = IG_HTTP2_WINDOW_MIN_BYTES;
    if (window > INT32_MAX) window = INT32_MAX;
    const nghttp2_settings_entry settings[] = {
        {NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, options->http2_streams_max},
        {NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, (uint32_t)window},
        {NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE, (uint32_t)options->head_max_bytes},
        {NGHTTP2_SETTINGS_NO_RFC7540_PRIORITIES, 1}};
    return nghttp2_submit_settings(session, NGHTTP2_FLAG_NONE, settings,
                                   sizeof settings / sizeof settings[0]) == 0 &&
           nghttp2_session_set_local_window_size(session, NGHTTP2_FLAG_NONE, 0,
                                                 CONNECTION_WINDOW_BYTES) == 0;
}

static nghttp2_mem *pool_of(struct ig_http_loop *home)
{
    if (!home->http2_pool.mem.malloc) ig_http2_pool_init(&home->http2_pool);
    return &home->http2_pool.mem;
}

static bool open_session(struct ig_http_conn *conn)
{
    nghttp2_option *option = options_new();
    nghttp2_session_callbacks *callbacks = callbacks_new();
    bool opened = option && callbacks &&
                  nghttp2_session_server_new3(&conn->http2->session, callbacks, conn, option,
                                              pool_of(conn->home)) == 0;
    nghttp2_option_del(option);
    nghttp2_session_callbacks_del(callbacks);
    return opened && greet(conn);
}

/* Output. */

/* What the session has to say, up to about OUT_HIGH bytes, in the loop's scratch. */
static bool collect(struct ig_http_conn *conn, struct iovec *part)
{
    struct ig_buf *scratch = &conn->home->http2_out;
    const uint8_t *bytes = NULL;
    ssize_t size = 0;
    if (!scratch->max_bytes) ig_buf_init(scratch, OUT_MAX_BYTES);
    ig_buf_reset(scratch);
    while (scratch->len < IG_HTTP_OUT_HIGH_BYTES &&
           (size = nghttp2_session_mem_send(conn->http2->session, &bytes)) > 0)
        ig_buf_add(scratch, bytes, (size_t)size);
    *part = (struct iovec){scratch->ptr, scratch->len};
    return size >= 0 && !scratch->overflowed;
}

/* Keeps what the socket did not take. */
static bool keep_rest(struct ig_http2 *http2, struct iovec part, size_t written)
{
    bool was_kept = http2->out.len > 0;
    if (was_kept) {
        http2->out_at += written;
        if (written == part.iov_len) {
            ig_buf_deinit(&http2->out);
            http2->out_at = 0;
        }
        return true;
    }
    if (written < part.iov_len)
        ig_buf_add(&http2->out, (char *)part.iov_base + written, part.iov_len - written);
    return !http2->out.overflowed;
}

static bool pending(const struct ig_http2 *http2)
{
    return http2->out.len > 0 || nghttp2_session_want_write(http2->session);
}

/* False: the connection broke. */
static bool flush(struct ig_http_conn *conn)
{
    struct ig_http2 *http2 = conn->http2;
    bool was_blocked = conn->blocked;
    int64_t total = 0;
    while (conn->writable) {
        struct iovec part = {0};
        if (http2->out.len)
            part = (struct iovec){http2->out.ptr + http2->out_at, http2->out.len - http2->out_at};
        else if (!collect(conn, &part))
            return false;
        if (!part.iov_len) break;
        int64_t written = conn->writev(conn, &part, 1);
        if (written == -EAGAIN) conn->writable = false;
        if (written < 0 && written != -EAGAIN && written != -EINTR) return false;
        if (written > 0) total += written;
        if (!keep_rest(http2, part, written > 0 ? (size_t)written : 0)) return false;
    }
    conn->blocked = !conn->writable && pending(http2);
    ig_http_conn_account_output(conn, total, was_blocked);
    return true;
}

/* Input. */

static bool receive(struct ig_http_conn *conn, const char *bytes, size_t size_bytes)
{
    struct ig_http2 *http2 = conn->http2;
    if (http2->lingers) return true;
    ssize_t used = nghttp2_session_mem_recv(http2->session, (const uint8_t *)bytes, size_bytes);
    return used >= 0;
}

/* > 0 bytes came, 0 none are there now or wanted, -1 the connection is over. */
static int64_t read_some(struct ig_http_conn *conn)
{
    struct ig_http_loop *home = conn->home;
    if (!conn->readable) return 0;
    if (nghttp2_session_get_outbound_queue_size(conn->http2->session) > OUTBOUND_MAX) return 0;
    if (!home->http2_in) home->http2_in = ig_alloc(IN_BYTES);
    if (!home->http2_in) return -1;
    int64_t got = conn->read(conn, home->http2_in, IN_BYTES);
    if (got == -EAGAIN) conn->readable = false;
    if (got == -EAGAIN || got == -EINTR) return 0;
    if (got <= 0) return -1;
    if (got < IN_BYTES && !conn->half_closed && !conn->more) conn->readable = false;
    conn->progress_ms = ig_loop_now_ms(home->loop);
    ig_http_count(&home->counters.received_bytes, (uint64_t)got);
    return receive(conn, home->http2_in, (size_t)got) ? got : -1;
}

/* The way of a turn. */

static void rest(struct ig_http_conn *conn)
{
    const struct ig_http_server_options *options = options_of(conn);
    struct ig_http2 *http2 = conn->http2;
    uint64_t due = ig_loop_now_ms(conn->home->loop) + http2->tick_ms;
    if (http2->lingers)
        due = conn->since_ms + LINGER_MS;
    else if (!http2->calls_count && !conn->blocked)
        due = http2->idle_since_ms +
              (conn->served ? options->idle_timeout_ms : options->head_timeout_ms);
    if (!conn->timer.due_ms || conn->timer.due_ms > due)
        ig_loop_timer_set(conn->home->loop, &conn->timer, due);
}

/* All is said: the client closes first, for a reset could overtake what it has not read yet. */
static void end_gently(struct ig_http_conn *conn)
{
    conn->http2->lingers = true;
    conn->since_ms = ig_loop_now_ms(conn->home->loop);
    ig_http_conn_finish(conn);
}

static bool is_over(const struct ig_http2 *http2)
{
    if (http2->lingers || pending(http2)) return false;
    return !nghttp2_session_want_read(http2->session) || (http2->goaway && !http2->calls_count);
}

static void run(struct ig_http_conn *conn)
{
    for (int round = 0; round < ROUNDS_MAX; round++) {
        if (conn->dead) return;
        int64_t got = flush(conn) ? 1 : -1;
        if (got > 0 && is_over(conn->http2)) end_gently(conn);
        if (got > 0 && conn->http2->lingers) ig_http_conn_finish(conn);
        if (got > 0) got = read_some(conn);
        if (got < 0) {
            ig_http_conn_close(conn);
            return;
        }
        if (got == 0) {
            rest(conn);
            return;
        }
    }
    ig_http_conn_again(conn);
}

static void on_ready(struct ig_loop_source *source, uint32_t events)
{
    struct ig_http_conn *conn = (struct ig_http_conn *)source;
    if (conn->dead) return;
    if (events & (EPOLLERR | EPOLLHUP)) {
        ig_http_conn_close(conn);
        return;
    }
    ig_http_conn_note_events(conn, events);
    run(conn);
}

static void on_again(struct ig_loop_task *task)
{
    struct ig_http_conn *conn =
        (struct ig_http_conn *)((char *)task - offsetof(struct ig_http_conn, again));
    conn->queued = false;
    if (conn->dead) {
        if (!conn->http2->working_count) ig_http_conn_free(conn);
        return;
    }
    for (struct ig_http2_call *call = conn->http2->calls, *next; call; call = next) {
        next = call->next;
        if (call->mode == IG_HTTP2_MESSAGES) ig_grpc_go_on(call);
    }
    run(conn);
}

static void on_due(struct ig_loop_timer *timer)
{
    struct ig_http_conn *conn =
        (struct ig_http_conn *)((char *)timer - offsetof(struct ig_http_conn, timer));
    struct ig_http2 *http2 = conn->http2;
    uint64_t now = ig_loop_now_ms(conn->home->loop);
    bool out_late = conn->blocked && now >= ig_http_conn_output_due(conn);
    if (out_late || (http2->lingers && now >= conn->since_ms + LINGER_MS)) {
        ig_http_conn_close(conn);
        return;
    }
    for (struct ig_http2_call *call = http2->calls, *next; call; call = next) {
        next = call->next;
        ig_http2_call_check_time(call);
    }
    const struct ig_http_server_options *options = options_of(conn);
    unsigned idle_ms = conn->served ? options->idle_timeout_ms : options->head_timeout_ms;
    if (!http2->calls_count && !conn->blocked && !http2->lingers &&
        now >= http2->idle_since_ms + idle_ms) {
        ig_http2_goaway(conn);
        (void)flush(conn);
        ig_http_conn_close(conn);
        return;
    }
    run(conn);
}

/* For the server's frame. */

static uint64_t tick_of(const struct ig_http_server_options *options)
{
    unsigned least = options->head_timeout_ms;
    if (options->body_timeout_ms < least) least = options->body_timeout_ms;
    if (options->write_timeout_ms < least) least = options->write_timeout_ms;
    least /= 4;
    if (least < TICK_MIN_MS) return TICK_MIN_MS;
    return least < TICK_MAX_MS ? least : TICK_MAX_MS;
}

/* What HTTP/1 has to say yet, then that HTTP/2 follows; the request that asked for it becomes the
 * first stream's (RFC 7540 section 3.2). */
static bool take_upgrade(struct ig_http_conn *conn, const struct ig_http_call *from)
{
    const struct ig_http1_upgrade *upgrade = from->upgrade;
    struct ig_http2 *http2 = conn->http2;
    size_t left = from->out.len - from->out_at;
    bool head = ig_str_is(from->exchange.request.method, "HEAD");
    if (left) ig_buf_add(&http2->out, from->out.ptr + from->out_at, left);
    ig_buf_add_str(&http2->out, IG_STR("HTTP/1.1 101 Switching Protocols\r\n"
                                       "Connection: Upgrade\r\nUpgrade: h2c\r\n\r\n"));
    if (http2->out.overflowed || nghttp2_session_upgrade2(http2->session, upgrade->settings,
                                                          upgrade->settings_bytes, head, NULL) != 0)
        return false;
    struct ig_http2_call *call = ig_http2_call_new(conn, FIRST_STREAM);
    if (!call) return false;
    nghttp2_session_set_stream_user_data(http2->session, FIRST_STREAM, call);
    ig_http2_call_head(call, &from->exchange.request);
    ig_http2_call_begin(call, true);
    return true;
}

void ig_http2_adopt(struct ig_http_conn *conn)
{
    struct ig_http_loop *home = conn->home;
    struct ig_http_call *call = conn->call;
    struct ig_http2 *http2 = ig_zalloc(sizeof *http2);
    if (!http2) {
        ig_http_conn_close(conn);
        return;
    }
    ig_buf_init(&http2->out, OUT_MAX_BYTES);
    http2->credit = CREDIT_MAX;
    http2->credit_ms = http2->idle_since_ms = ig_loop_now_ms(home->loop);
    http2->tick_ms = tick_of(options_of(conn));
    http2->goaway = atomic_load_explicit(&home->draining, memory_order_relaxed);
    conn->http2 = http2;
    conn->call = NULL;
    conn->state = IG_HTTP_AT_HTTP2;
    conn->source.on_ready = on_ready;
    conn->timer.on_due = on_due;
    conn->again.run = on_again;
    bool taken = open_session(conn) && (!call->upgrade || take_upgrade(conn, call)) &&
                 receive(conn, call->in + call->in_at, call->in_len - call->in_at);
    ig_http_call_put(home, call);
    if (taken && http2->goaway) {
        http2->goaway = false;
        ig_http2_goaway(conn);
    }
    if (taken)
        ig_http_conn_again(conn);
    else
        ig_http_conn_close(conn);
}

void ig_http2_goaway(struct ig_http_conn *conn)
{
    struct ig_http2 *http2 = conn->http2;
    if (http2->goaway) return;
    http2->goaway = true;
    nghttp2_submit_goaway(http2->session, NGHTTP2_FLAG_NONE,
                          nghttp2_session_get_last_proc_stream_id(http2->session), NGHTTP2_NO_ERROR,
                          NULL, 0);
}

void ig_http2_drain(struct ig_http_conn *conn)
{
    run(conn);
    if (conn->dead) return;
    ig_http2_goaway(conn);
    for (struct ig_http2_call *call = conn->http2->calls, *next; call; call = next) {
        next = call->next;
        if (call->mode == IG_HTTP2_MESSAGES) {
            call->run.waiting = true;
            ig_grpc_go_on(call);
        }
    }
    run(conn);
}

void ig_http2_cut(struct ig_http_conn *conn)
{
    for (struct ig_http2_call *call = conn->http2->calls; call; call = call->next) {
        call->open = false;
        atomic_store(&call->base.gone, true);
        if (call->base.stream) ig_http_stream_fail(call->base.stream, IG_CANCELLED);
    }
}

bool ig_http2_idle(const struct ig_http_conn *conn)
{
    const struct ig_http2 *http2 = conn->http2;
    if (!http2->session) return true;
    return http2->lingers || (!http2->calls_count && !pending(http2));
}

void ig_http2_free(struct ig_http_conn *conn)
{
    struct ig_http2 *http2 = conn->http2;
    while (http2->calls) ig_http2_call_end(http2->calls, true);
    nghttp2_session_del(http2->session);
    ig_buf_deinit(&http2->out);
    ig_free(http2);
    conn->http2 = NULL;
}

void ig_http2_loop_deinit(struct ig_http_loop *home)
{
    while (home->free_streams) {
        struct ig_http2_call *call = home->free_streams;
        home->free_streams = call->next;
        ig_http2_call_free(call);
    }
    ig_http2_pool_deinit(&home->http2_pool);
    ig_buf_deinit(&home->http2_out);
    ig_free(home->http2_in);
    home->http2_in = NULL;
}
