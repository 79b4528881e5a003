/* SPDX-License-Identifier: Apache-2.0 */
/* Streams: two byte rings between a loop, which never blocks, and one worker, which may.
 *
 *   socket -> loop -> in  -> ig_exchange_read  -> worker
 *   socket <- loop <- out <- ig_exchange_write <- worker
 *
 * Invariants: 1. head and tail move under the lock; bytes between them belong to the reader of the
 * ring, the others to its writer, so copies run without the lock. 2. a full `in` stops the loop
 * from reading the socket (backpressure to the client), a full `out` stops the worker. 3. a worker
 * that ends posts `done` last, behind every `wake`, and touches nothing of the call afterwards.
 * 4. `failed` is set once and never cleared. Thread rule: see each half. */
#include "net/http_server_priv.h"

#include "base/clock.h"
#include "base/mem.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

static bool ring_open(struct ig_http_ring *ring, size_t size_bytes)
{
    *ring = (struct ig_http_ring){.bytes = ig_alloc(size_bytes), .size_bytes = size_bytes};
    return ring->bytes != NULL;
}

static size_t ring_used(const struct ig_http_ring *ring)
{
    return (size_t)(ring->tail - ring->head);
}

/* The longest span from position `at` within `size` bytes that does not wrap. */
static struct iovec ring_span(const struct ig_http_ring *ring, uint64_t at, size_t size)
{
    size_t offset = (size_t)at & (ring->size_bytes - 1);
    size_t straight = ring->size_bytes - offset;
    return (struct iovec){ring->bytes + offset, size < straight ? size : straight};
}

/* The loop's half. */

bool ig_http_stream_open(struct ig_http_call *call)
{
    size_t size = call->conn->home->server->options.stream_ring_bytes;
    bool windowed = call->exchange.request.http2;
    if (windowed && size < IG_HTTP2_WINDOW_MIN_BYTES) size = IG_HTTP2_WINDOW_MIN_BYTES;
    pthread_condattr_t monotonic;
    if (!ig_http_call_reserve(call, 2 * size)) return false;
    struct ig_http_stream *stream = ig_zalloc(sizeof *stream);
    if (!stream) return false;
    bool opened = ring_open(&stream->in, size) && ring_open(&stream->out, size);
    if (!opened) {
        ig_free(stream->in.bytes);
        ig_free(stream);
        return false;
    }
    pthread_mutex_init(&stream->lock, NULL);
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&stream->changed, &monotonic);
    pthread_condattr_destroy(&monotonic);
    stream->windowed = windowed;
    call->stream = stream;
    return true;
}

void ig_http_stream_free(struct ig_http_call *call)
{
    struct ig_http_stream *stream = call->stream;
    if (!stream) return;
    pthread_mutex_destroy(&stream->lock);
    pthread_cond_destroy(&stream->changed);
    ig_free(stream->in.bytes);
    ig_free(stream->out.bytes);
    ig_free(stream);
    call->stream = NULL;
}

struct iovec ig_http_stream_room(struct ig_http_stream *stream)
{
    pthread_mutex_lock(&stream->lock);
    struct ig_http_ring *in = &stream->in;
    struct iovec room = ring_span(in, in->tail, in->size_bytes - ring_used(in));
    stream->in_wanted = room.iov_len == 0;
    pthread_mutex_unlock(&stream->lock);
    return room;
}

void ig_http_stream_filled(struct ig_http_stream *stream, size_t size_bytes)
{
    pthread_mutex_lock(&stream->lock);
    stream->in.tail += size_bytes;
    pthread_cond_signal(&stream->changed);
    pthread_mutex_unlock(&stream->lock);
}

size_t ig_http_stream_put(struct ig_http_stream *stream, struct ig_str bytes)
{
    size_t put = 0;
    while (put < bytes.len) {
        struct iovec room = ig_http_stream_room(stream);
        if (!room.iov_len) break;
        if (room.iov_len > bytes.len - put) room.iov_len = bytes.len - put;
        memcpy(room.iov_base, bytes.ptr + put, room.iov_len);
        put += room.iov_len;
        ig_http_stream_filled(stream, room.iov_len);
    }
    return put;
}

void ig_http_stream_in_over(struct ig_http_stream *stream)
{
    pthread_mutex_lock(&stream->lock);
    stream->in_over = true;
    pthread_cond_signal(&stream->changed);
    pthread_mutex_unlock(&stream->lock);
}

void ig_http_stream_fail(struct ig_http_stream *stream, enum ig_code code)
{
    pthread_mutex_lock(&stream->lock);
    if (!stream->failed) stream->failed = code;
    pthread_cond_signal(&stream->changed);
    pthread_mutex_unlock(&stream->lock);
}

int ig_http_stream_ready(struct ig_http_stream *stream, struct iovec parts[2])
{
    pthread_mutex_lock(&stream->lock);
    struct ig_http_ring *out = &stream->out;
    size_t used = ring_used(out);
    parts[0] = ring_span(out, out->head, used);
    parts[1] = ring_span(out, out->head + parts[0].iov_len, used - parts[0].iov_len);
    pthread_mutex_unlock(&stream->lock);
    return (parts[0].iov_len > 0) + (parts[1].iov_len > 0);
}

void ig_http_stream_wrote(struct ig_http_stream *stream, size_t size_bytes)
{
    pthread_mutex_lock(&stream->lock);
    stream->out.head += size_bytes;
    pthread_cond_signal(&stream->changed);
    pthread_mutex_unlock(&stream->lock);
}

void ig_http_stream_woken(struct ig_http_stream *stream)
{
    pthread_mutex_lock(&stream->lock);
    stream->wake_posted = false;
    pthread_mutex_unlock(&stream->lock);
}

struct ig_http_stream_news ig_http_stream_look(struct ig_http_stream *stream)
{
    pthread_mutex_lock(&stream->lock);
    struct ig_http_stream_news news = {.head_ready = stream->head_ready,
                                       .empty = !ring_used(&stream->in),
                                       .granted = (size_t)(stream->in.head - stream->granted)};
    stream->granted = stream->in.head;
    pthread_mutex_unlock(&stream->lock);
    return news;
}

/* The worker's half. */

static enum ig_code fail_text(enum ig_code code, struct ig_err *err)
{
    switch (code) {
    case IG_TIMEOUT:
        return ig_fail(err, code, "the client sends or takes the body too slowly");
    case IG_DEADLINE:
        return ig_fail(err, code, "the stream's deadline has passed");
    case IG_TOO_LARGE:
        return ig_fail(err, code, "the request's body exceeds its cap");
    case IG_PARSE:
        return ig_fail(err, code, "the request's chunked body is malformed");
    default:
        return ig_fail(err, IG_CANCELLED, "the client went away");
    }
}

/* With the lock held: sleeps until something changes or the deadline passes. */
static void wait_change(struct ig_http_stream *stream, uint64_t deadline_ns)
{
    struct timespec until = {.tv_sec = (time_t)(deadline_ns / 1000000000u),
                             .tv_nsec = (long)(deadline_ns % 1000000000u)};
    if (pthread_cond_timedwait(&stream->changed, &stream->lock, &until) == 0) return;
    if (ig_clock_ns() >= deadline_ns && !stream->failed) stream->failed = IG_DEADLINE;
}

/* With the lock held: whether the loop must be told. */
static bool want_wake(struct ig_http_stream *stream)
{
    bool post = !stream->wake_posted;
    stream->wake_posted = true;
    return post;
}

static void wake_loop(struct ig_http_call *call)
{
    ig_loop_post(call->conn->home->loop, &call->wake);
}

int64_t ig_exchange_read(void *exchange, void *bytes, size_t size_bytes, struct ig_err *err)
{
    struct ig_http_call *call = ig_http_call_of(exchange);
    struct ig_http_stream *stream = call->stream;
    IG_ASSERT(stream);
    struct ig_http_ring *in = &stream->in;
    pthread_mutex_lock(&stream->lock);
    while (!stream->failed && !stream->in_over && !ring_used(in))
        wait_change(stream, call->exchange.deadline_ns);
    enum ig_code failed = stream->failed;
    size_t used = ring_used(in);
    struct iovec span = ring_span(in, in->head, used < size_bytes ? used : size_bytes);
    pthread_mutex_unlock(&stream->lock);
    if (failed) return fail_text(failed, err), -1;
    if (!span.iov_len) return 0;
    memcpy(bytes, span.iov_base, span.iov_len);
    call->exchange.body_bytes += span.iov_len;
    pthread_mutex_lock(&stream->lock);
    in->head += span.iov_len;
    bool wake = stream->in_wanted && ring_used(in) <= in->size_bytes / 2;
    if (stream->windowed) wake = in->head - stream->granted >= in->size_bytes / 4;
    if (wake) {
        stream->in_wanted = false;
        wake = want_wake(stream);
    }
    pthread_mutex_unlock(&stream->lock);
    if (wake) wake_loop(call);
    return (int64_t)span.iov_len;
}

/* Copies all bytes into `out`, sleeping while it is full. The loop hears of them through tell_out,
 * so that a chunk and its frame leave together. */
static enum ig_code put_out(struct ig_http_call *call, const char *bytes, size_t size_bytes,
                            struct ig_err *err)
{
    struct ig_http_stream *stream = call->stream;
    struct ig_http_ring *out = &stream->out;
    while (size_bytes) {
        pthread_mutex_lock(&stream->lock);
        while (!stream->failed && ring_used(out) == out->size_bytes) {
            if (!want_wake(stream)) {
                wait_change(stream, call->exchange.deadline_ns);
                continue;
            }
            pthread_mutex_unlock(&stream->lock);
            wake_loop(call);
            pthread_mutex_lock(&stream->lock);
        }
        enum ig_code failed = stream->failed;
        struct iovec room = ring_span(out, out->tail, out->size_bytes - ring_used(out));
        pthread_mutex_unlock(&stream->lock);
        if (failed) return fail_text(failed, err);
        if (room.iov_len > size_bytes) room.iov_len = size_bytes;
        memcpy(room.iov_base, bytes, room.iov_len);
        bytes += room.iov_len;
        size_bytes -= room.iov_len;
        pthread_mutex_lock(&stream->lock);
        out->tail += room.iov_len;
        pthread_mutex_unlock(&stream->lock);
    }
    return IG_OK;
}

static void tell_out(struct ig_http_call *call)
{
    struct ig_http_stream *stream = call->stream;
    pthread_mutex_lock(&stream->lock);
    bool wake = ring_used(&stream->out) && want_wake(stream);
    pthread_mutex_unlock(&stream->lock);
    if (wake) wake_loop(call);
}

static void tell_head(struct ig_http_call *call)
{
    struct ig_http_stream *stream = call->stream;
    pthread_mutex_lock(&stream->lock);
    stream->head_ready = true;
    bool wake = want_wake(stream);
    pthread_mutex_unlock(&stream->lock);
    if (wake) wake_loop(call);
}

enum ig_code ig_exchange_begin(struct ig_exchange *exchange, int64_t length, struct ig_err *err)
{
    struct ig_http_call *call = ig_http_call_of(exchange);
    struct ig_http_stream *stream = call->stream;
    char date[IG_HTTP_DATE_SIZE];
    IG_ASSERT(stream && !stream->begun);
    if (exchange->status < 200 || exchange->status > 599)
        return ig_fail(err, IG_INTERNAL, "response status %d is none", exchange->status);
    bool bare = exchange->status == 204 || exchange->status == 304;
    if (exchange->close || call->conn->home->draining || !exchange->request.keep_alive)
        call->last = true;
    bool http2 = exchange->request.http2;
    bool chunked = length < 0 && exchange->request.minor_version == 1 && !http2;
    if (length < 0 && !chunked) call->last = true; /* HTTP/1.0: the body ends with the connection */
    int64_t form = length >= 0 ? length : IG_HTTP_LENGTH_CHUNKED;
    if (bare || (length < 0 && !chunked)) form = IG_HTTP_LENGTH_NONE;
    struct timespec now;
    clock_gettime(CLOCK_REALTIME_COARSE, &now);
    ig_http_reply_format_date(date, now.tv_sec);
    struct ig_buf *head = http2 ? &call->out : &exchange->reply;
    ig_buf_reset(head);
    ig_http_reply_head(head, call, form, date);
    if (head->overflowed || call->extra.overflowed)
        return ig_fail(err, IG_NO_MEMORY, "no memory for a response head");
    stream->begun = true;
    stream->silent = !ig_http_reply_has_body(call);
    stream->chunked = chunked && !stream->silent;
    stream->promised_bytes = length >= 0 ? (uint64_t)length : UINT64_MAX;
    if (http2) {
        tell_head(call);
        return IG_OK;
    }
    enum ig_code code = put_out(call, exchange->reply.ptr, exchange->reply.len, err);
    tell_out(call);
    return code;
}

enum ig_code ig_exchange_write(struct ig_exchange *exchange, const void *bytes, size_t size_bytes,
                               struct ig_err *err)
{
    struct ig_http_call *call = ig_http_call_of(exchange);
    struct ig_http_stream *stream = call->stream;
    char size_line[24];
    IG_ASSERT(stream && stream->begun);
    if (stream->silent || !size_bytes) return IG_OK;
    if (size_bytes > stream->promised_bytes - stream->written_bytes) {
        stream->cut = true;
        return ig_fail(err, IG_INTERNAL, "the response is longer than the length it promised");
    }
    if (stream->chunked) {
        int length = snprintf(size_line, sizeof size_line, "%zx\r\n", size_bytes);
        enum ig_code code = put_out(call, size_line, (size_t)length, err);
        if (code) return code;
    }
    enum ig_code code = put_out(call, bytes, size_bytes, err);
    if (!code && stream->chunked) code = put_out(call, "\r\n", 2, err);
    tell_out(call);
    stream->written_bytes += size_bytes;
    exchange->sent_bytes += size_bytes;
    return code;
}

void ig_exchange_abort(struct ig_exchange *exchange)
{
    ig_http_call_of(exchange)->stream->cut = true;
}

bool ig_exchange_cancelled(const struct ig_exchange *exchange)
{
    const struct ig_http_call *call = (const struct ig_http_call *)exchange;
    if (atomic_load_explicit(&call->gone, memory_order_relaxed)) return true;
    return exchange->deadline_ns && ig_clock_ns() >= exchange->deadline_ns;
}

void ig_http_stream_finish(struct ig_http_call *call)
{
    struct ig_http_stream *stream = call->stream;
    struct ig_err err = IG_ERR_INIT;
    if (!stream->begun) return;
    if (stream->chunked && !stream->cut && put_out(call, "0\r\n\r\n", 5, &err)) stream->cut = true;
    bool promised = stream->promised_bytes != UINT64_MAX && !stream->silent;
    if (promised && stream->written_bytes != stream->promised_bytes) stream->cut = true;
}
