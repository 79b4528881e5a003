/* SPDX-License-Identifier: Apache-2.0 */
/* One connection's input, output and deadlines. Of sockets it only knows how to end them: bytes
 * come and go through conn->read and conn->writev, so that fuzzing runs it in memory. What the
 * bytes mean is for http_server_state.c.
 *
 * Invariants:
 * 1. The socket is edge triggered: `readable` and `writable` fall only on EAGAIN or a short read.
 * 2. A connection that dies while a worker holds its call is freed when the worker ends; freeing
 *    happens in `again`, never inside a callback that may still use the connection.
 * 3. One timer stands for all deadlines of a resting connection; `rest` sets it, `on_due` finds out
 *    which one passed.
 * Thread rule: the loop's thread, except ig_http_call_work. */
#include "net/http_server_priv.h"

#include "base/mem.h"

#include <errno.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
    ROUNDS_MAX = 64, /* of one connection before others have their turn */
    LINGER_MS = 2000
};

static const struct ig_http_server_options *options_of(const struct ig_http_conn *conn)
{
    return &conn->home->server->options;
}

/* Input and output. */

static void consume_output(struct ig_http_call *call, size_t written)
{
    size_t part = call->out.len - call->out_at;
    if (part > written) part = written;
    call->out_at += part;
    written -= part;
    if (call->out_at == call->out.len) {
        ig_buf_reset(&call->out);
        call->out_at = 0;
    }
    part = call->tail.len < written ? call->tail.len : written;
    if (part) call->tail.ptr += part;
    call->tail.len -= part;
    written -= part;
    if (written) ig_http_stream_wrote(call->stream, written);
}

static int gather_output(struct ig_http_call *call, struct iovec parts[4])
{
    int count = 0;
    if (call->out.len > call->out_at)
        parts[count++] = (struct iovec){call->out.ptr + call->out_at, call->out.len - call->out_at};
    if (call->tail.len) parts[count++] = (struct iovec){(char *)call->tail.ptr, call->tail.len};
    if (call->stream) count += ig_http_stream_ready(call->stream, parts + count);
    return count;
}

void ig_http_conn_account_output(struct ig_http_conn *conn, int64_t written, bool was_blocked)
{
    uint64_t now = ig_loop_now_ms(conn->home->loop);
    if (written || !was_blocked) conn->wrote_ms = now;
    conn->out_bytes += (uint64_t)written;
    if (!conn->blocked) conn->out_since_ms = 0;
    if (conn->blocked && !conn->out_since_ms) {
        conn->out_since_ms = now;
        conn->out_bytes = 0;
    }
    ig_http_count(&conn->home->counters.sent_bytes, (uint64_t)written);
}

/* Bytes written, or -1 when the connection broke. */
static int64_t flush(struct ig_http_conn *conn)
{
    struct ig_http_call *call = conn->call;
    struct iovec parts[4];
    int64_t total = 0;
    bool was_blocked = conn->blocked;
    conn->blocked = false;
    for (int count; call && (count = gather_output(call, parts)) > 0;) {
        conn->blocked = !conn->writable;
        if (conn->blocked) break;
        int64_t written = conn->writev(conn, parts, count);
        if (written == -EAGAIN) conn->writable = false;
        if (written == -EAGAIN || written == -EINTR) continue;
        if (written < 0) return -1;
        total += written;
        consume_output(call, (size_t)written);
    }
    ig_http_conn_account_output(conn, total, was_blocked);
    return total;
}

/* Where the next bytes of the socket go. */
static struct iovec input_room(struct ig_http_conn *conn)
{
    struct ig_http_call *call = conn->call;
    bool plain = !call->exchange.request.chunked;
    if (conn->state == IG_HTTP_AT_BODY && plain && call->body.cap > call->body.len &&
        call->exchange.request.content_length > call->in_cap - call->keep)
        return (struct iovec){call->body.ptr + call->body.len, (size_t)call->body_left};
    if (call->in_at == call->in_len) call->in_at = call->in_len = call->keep;
    if (conn->state == IG_HTTP_AT_STREAM && plain && call->in_at == call->in_len) {
        struct iovec room = ig_http_stream_room(call->stream);
        if (room.iov_len > call->body_left) room.iov_len = (size_t)call->body_left;
        return room;
    }
    return (struct iovec){call->in + call->in_len, call->in_cap - call->in_len};
}

static void account_input(struct ig_http_conn *conn, struct iovec room, size_t got)
{
    struct ig_http_call *call = conn->call;
    if (room.iov_base == call->in + call->in_len) {
        call->in_len += got;
        return;
    }
    call->body_left -= got;
    if (conn->state == IG_HTTP_AT_BODY) {
        call->body.len += got;
        call->exchange.body_bytes += got;
        return;
    }
    call->stream_bytes += got;
    ig_http_stream_filled(call->stream, got);
}

/* > 0 bytes came, 0 none are there now, -1 the connection is over. */
static int64_t read_some(struct ig_http_conn *conn)
{
    if (!conn->readable) return 0;
    if (!conn->call) {
        conn->call = ig_http_call_get(conn->home);
        if (!conn->call) return -1;
        conn->call->conn = conn;
        conn->since_ms = 0;
    }
    struct iovec room = input_room(conn);
    IG_ASSERT(room.iov_len);
    int64_t got = conn->read(conn, room.iov_base, room.iov_len);
    if (got == -EAGAIN) conn->readable = false;
    if (got == -EAGAIN || got == -EINTR) return 0;
    if (got <= 0) return -1;
    /* A short read has emptied the socket; the next bytes make a new event. */
    if ((size_t)got < room.iov_len && !conn->half_closed && !conn->more) conn->readable = false;
    conn->progress_ms = ig_loop_now_ms(conn->home->loop);
    ig_http_count(&conn->home->counters.received_bytes, (uint64_t)got);
    account_input(conn, room, (size_t)got);
    return got;
}

/* Waiting. */

bool ig_http_conn_idle(const struct ig_http_conn *conn)
{
    const struct ig_http_call *call = conn->call;
    if (conn->state != IG_HTTP_AT_HEAD)
        return conn->state == IG_HTTP_AT_HTTP2 && ig_http2_idle(conn);
    return !call ||
           (call->in_at == call->in_len && !call->skipped_line && !ig_http_call_pending(call));
}

/* When the input that is awaited is too late. */
static uint64_t input_due(const struct ig_http_conn *conn)
{
    const struct ig_http_server_options *options = options_of(conn);
    const struct ig_http_call *call = conn->call;
    if (conn->state == IG_HTTP_AT_LINGER) return conn->since_ms + LINGER_MS;
    if (conn->state == IG_HTTP_AT_HEAD && call) return conn->since_ms + options->head_timeout_ms;
    if (conn->state == IG_HTTP_AT_HEAD)
        return conn->progress_ms +
               (conn->served ? options->idle_timeout_ms : options->head_timeout_ms);
    IG_ASSERT(call != NULL);
    uint64_t bytes = conn->state == IG_HTTP_AT_STREAM ? call->stream_bytes : call->in_len;
    if (conn->state == IG_HTTP_AT_BODY) bytes += call->body.len;
    uint64_t paused = conn->progress_ms + options->body_timeout_ms;
    uint64_t slow =
        conn->since_ms + options->body_timeout_ms + bytes * 1000 / options->client_bytes_per_s;
    return paused < slow ? paused : slow;
}

uint64_t ig_http_conn_output_due(const struct ig_http_conn *conn)
{
    const struct ig_http_server_options *options = options_of(conn);
    uint64_t paused = conn->wrote_ms + options->write_timeout_ms;
    uint64_t slow = conn->out_since_ms + options->write_timeout_ms +
                    conn->out_bytes * 1000 / options->client_bytes_per_s;
    return paused < slow ? paused : slow;
}

static void rest(struct ig_http_conn *conn, bool wants_input)
{
    uint64_t now = ig_loop_now_ms(conn->home->loop), due = UINT64_MAX;
    if (conn->call && ig_http_conn_idle(conn)) {
        ig_http_call_put(conn->home, conn->call);
        conn->call = NULL;
    }
    if (conn->state == IG_HTTP_AT_HEAD && conn->call && !conn->since_ms) conn->since_ms = now;
    /* A client is not slow while it is we who do not read. */
    if (wants_input && conn->paused_ms) conn->since_ms += now - conn->paused_ms;
    if (wants_input && conn->paused_ms) conn->progress_ms = now;
    conn->paused_ms = wants_input ? 0 : conn->paused_ms ? conn->paused_ms : now;
    conn->wants_input = wants_input;
    if (conn->blocked) due = ig_http_conn_output_due(conn);
    if (wants_input && input_due(conn) < due) due = input_due(conn);
    if (due == UINT64_MAX)
        ig_loop_timer_clear(conn->home->loop, &conn->timer);
    else
        ig_loop_timer_set(conn->home->loop, &conn->timer, due);
}

void ig_http_conn_again(struct ig_http_conn *conn)
{
    if (conn->queued) return;
    conn->queued = true;
    ig_loop_defer(conn->home->loop, &conn->again);
}

/* One round: false when the connection rests or is closed. */
static bool run_once(struct ig_http_conn *conn)
{
    enum ig_http_step step = conn->call ? ig_http_state_advance(conn) : IG_HTTP_STEP_INPUT;
    struct ig_http_call *call = conn->call;
    if (call && call->out.overflowed) step = IG_HTTP_STEP_CLOSE;
    IG_ASSERT(call || step != IG_HTTP_STEP_AGAIN);
    if (step == IG_HTTP_STEP_AGAIN && call->out.len - call->out_at <= IG_HTTP_OUT_HIGH_BYTES)
        return true;
    int64_t written = step == IG_HTTP_STEP_CLOSE ? 0 : flush(conn);
    if (step == IG_HTTP_STEP_CLOSE || written < 0) {
        ig_http_conn_close(conn);
        return false;
    }
    if (step == IG_HTTP_STEP_AGAIN || (step == IG_HTTP_STEP_WAIT && written > 0)) return true;
    if (step == IG_HTTP_STEP_INPUT && !(conn->state == IG_HTTP_AT_HEAD && conn->blocked)) {
        int64_t got = read_some(conn);
        if (got > 0) return true;
        if (got < 0) {
            ig_http_conn_close(conn);
            return false;
        }
        rest(conn, true);
        return false;
    }
    if (step == IG_HTTP_STEP_HTTP2)
        ig_http2_adopt(conn);
    else
        rest(conn, false);
    return false;
}

void ig_http_conn_run(struct ig_http_conn *conn)
{
    for (int round = 0; round < ROUNDS_MAX; round++) {
        if (conn->dead || !run_once(conn)) return;
    }
    ig_http_conn_again(conn);
}

void ig_http_conn_finish(struct ig_http_conn *conn)
{
    if (conn->fd < 0 || conn->finished) return;
    if (conn->tls && !ig_tls_end(conn->tls)) return;
    shutdown(conn->fd, SHUT_WR);
    conn->finished = true;
}

void ig_http_conn_close(struct ig_http_conn *conn)
{
    struct ig_http_loop *home = conn->home;
    if (conn->dead) return;
    conn->dead = true;
    if (conn->tls)
        ig_http_tls_close(conn, conn->state == IG_HTTP_AT_CLOSE || ig_http_conn_idle(conn));
    ig_loop_timer_clear(home->loop, &conn->timer);
    if (conn->fd >= 0) {
        /* A child between fork and exec may hold it open; closing alone would leave it there. */
        ig_loop_remove(home->loop, conn->fd);
        close(conn->fd);
        conn->fd = -1;
    }
    if (conn->call) atomic_store(&conn->call->gone, true);
    if (conn->call && conn->call->stream) ig_http_stream_fail(conn->call->stream, IG_CANCELLED);
    if (conn->http2) ig_http2_cut(conn);
    ig_http_conn_again(conn);
}

void ig_http_conn_free(struct ig_http_conn *conn)
{
    struct ig_http_loop *home = conn->home;
    if (conn->call) {
        ig_http_state_finish(conn->call, true);
        ig_http_call_put(home, conn->call);
    }
    if (conn->http2) ig_http2_free(conn);
    if (conn->previous)
        conn->previous->next = conn->next;
    else
        home->conns = conn->next;
    if (conn->next) conn->next->previous = conn->previous;
    ig_http_count(&home->counters.closed, 1);
    atomic_fetch_sub(&home->server->connections_open, 1);
    ig_free(conn);
}

static void on_again(struct ig_loop_task *task)
{
    struct ig_http_conn *conn =
        (struct ig_http_conn *)((char *)task - offsetof(struct ig_http_conn, again));
    conn->queued = false;
    if (!conn->dead)
        ig_http_conn_run(conn);
    else if (!conn->working)
        ig_http_conn_free(conn);
}

static void on_due(struct ig_loop_timer *timer)
{
    struct ig_http_conn *conn =
        (struct ig_http_conn *)((char *)timer - offsetof(struct ig_http_conn, timer));
    uint64_t now = ig_loop_now_ms(conn->home->loop);
    struct ig_http_call *call = conn->call;
    if (conn->blocked && now >= ig_http_conn_output_due(conn)) {
        ig_http_conn_close(conn);
        return;
    }
    if (!conn->wants_input || now < input_due(conn)) {
        rest(conn, conn->wants_input);
        return;
    }
    /* An empty line alone begins no request: a 408 would pass for the answer to the next one. */
    bool begun = conn->state == IG_HTTP_AT_HEAD && call && call->in_len > call->in_at;
    if (conn->state == IG_HTTP_AT_STREAM && conn->working) {
        ig_http_state_fail_input(call, IG_TIMEOUT);
        rest(conn, false);
    } else if (begun || conn->state == IG_HTTP_AT_BODY) {
        (void)ig_http_state_refuse(conn, 408, "the request did not arrive in time");
        ig_http_conn_run(conn);
    } else {
        ig_http_conn_close(conn);
    }
}

void ig_http_conn_note_events(struct ig_http_conn *conn, uint32_t events)
{
    if (events & EPOLLRDHUP) conn->half_closed = true;
    if (events & (EPOLLIN | EPOLLRDHUP)) conn->readable = true;
    if (events & EPOLLOUT) conn->writable = true;
    /* With TLS either direction may wait for the other one. */
    if (conn->tls) conn->readable = conn->writable = true;
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
    if (conn->half_closed && conn->state == IG_HTTP_AT_POOL) atomic_store(&conn->call->gone, true);
    ig_http_conn_run(conn);
}

/* Workers. */

static void on_done(struct ig_loop_task *task)
{
    struct ig_http_call *call =
        (struct ig_http_call *)((char *)task - offsetof(struct ig_http_call, done));
    struct ig_http_conn *conn = call->conn;
    conn->working = false;
    if (conn->dead)
        ig_http_conn_again(conn);
    else
        ig_http_conn_run(conn);
}

static void on_wake(struct ig_loop_task *task)
{
    struct ig_http_call *call =
        (struct ig_http_call *)((char *)task - offsetof(struct ig_http_call, wake));
    ig_http_stream_woken(call->stream);
    if (!call->conn->dead) ig_http_conn_run(call->conn);
}

static void set_done(struct ig_http_call *call)
{
    call->done.run = call->exchange.request.http2 ? ig_http2_call_on_done : on_done;
}

void ig_http_call_later(struct ig_http_call *call)
{
    set_done(call);
}

static void on_turn_end(struct ig_loop_task *task)
{
    struct ig_http_loop *home =
        (struct ig_http_loop *)((char *)task - offsetof(struct ig_http_loop, turn_end));
    const struct ig_http_handler *handler = &home->server->options.handler;
    home->turn_end_queued = false;
    handler->on_turn_end(handler->context, home->index);
}

void ig_http_call_at_turn_end(struct ig_http_call *call)
{
    struct ig_http_loop *home = call->conn->home;
    set_done(call);
    if (home->turn_end_queued) return;
    home->turn_end_queued = true;
    home->turn_end.run = on_turn_end;
    ig_loop_defer(home->loop, &home->turn_end);
}

void ig_exchange_answered(struct ig_exchange *exchange)
{
    struct ig_http_call *call = ig_http_call_of(exchange);
    call->done.run(&call->done);
}

void ig_exchange_answered_later(struct ig_exchange *exchange)
{
    struct ig_http_call *call = ig_http_call_of(exchange);
    ig_loop_post(call->conn->home->loop, &call->done);
}

static void work(struct ig_http_call *call)
{
    call->exchange.again = false;
    call->exchange.work(call->conn->home->server->options.handler.context, &call->exchange);
}

void ig_http_call_work(void *context)
{
    struct ig_http_call *call = context;
    struct ig_http_loop *home = call->conn->home;
    set_done(call);
    call->wake.run = call->exchange.request.http2 ? ig_http2_call_on_wake : on_wake;
    work(call);
    if (call->exchange.again) {
        if (ig_pool_submit(call->exchange.pool, ig_http_call_work, call)) return;
        call->exchange.pool = NULL;
        work(call);
    }
    if (call->stream) ig_http_stream_finish(call);

    ig_loop_post(home->loop, &call->done);
}

void ig_http_conn_init(struct ig_http_conn *conn, struct ig_http_loop *home)
{
    conn->source.on_ready = on_ready;
    conn->timer.on_due = on_due;
    conn->again.run = on_again;
    conn->home = home;
    conn->state = IG_HTTP_AT_HEAD;
    conn->progress_ms = conn->wrote_ms = ig_loop_now_ms(home->loop);
    conn->next = home->conns;
    if (conn->next) conn->next->previous = conn;
    home->conns = conn;
}
