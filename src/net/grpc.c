/* SPDX-License-Identifier: Apache-2.0 */
/* Calls of gRPC over streams of HTTP/2 (PROTOCOL-HTTP2.md of grpc/grpc).
 *
 *   bytes -> base.body -> [a frame is whole] -> message (-> plain, decompressed) -> on_message
 *   callbacks -> exchange.reply -> [the callback or work returned] -> sending -> the session
 *
 * Buffers change hands by swapping, so a message is copied once on its way in and once on its way
 * out. Invariants: 1. at most one callback of a call is at work; bytes that arrive meanwhile wait
 * in base.body, and their window with them. 2. While replies beyond BACKLOG wait for the client, no
 * message is handled: what a call holds is bounded by its message cap, its window, and what one
 * callback replies. 3. A status leaves exactly once, behind all replies; without any, as the head
 * itself ("Trailers-Only"). Thread rule: the loop's thread, except ig_grpc_reply*, ig_grpc_fail*
 * and run_work. */
#include "net/http2_priv.h"

#include "base/clock.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum {
    MESSAGE_MAX_BYTES = 4 * 1024 * 1024,
    MESSAGE_TEXT_MAX_BYTES = 1024, /* of grpc-message, encoded */
    INFLATE_ON_LOOP_BYTES = 2048,  /* compressed; longer ones are inflated by a worker */
    KEEP_BYTES = 128 * 1024,
    CREDIT_PER_REPLY = 4, /* the client grants window of the stream and of the connection, probes */
    ROUNDS_MAX = 32       /* messages of one call before others have their turn */
};

#define TURN_MAX_NS UINT64_C(1000000000) /* no turn of a loop takes as long */

static const char CONTENT_TYPE[] = "application/grpc";

static void advance(struct ig_http2_call *call);

bool ig_grpc_is_request(const struct ig_http_request *request)
{
    struct ig_str type = ig_http_header(request, IG_STR("content-type"));
    const struct ig_str own = {CONTENT_TYPE, sizeof CONTENT_TYPE - 1};
    if (!ig_str_is(request->method, "POST") || !ig_str_starts(type, own)) return false;
    return type.len == own.len || type.ptr[own.len] == '+' || type.ptr[own.len] == ';';
}

/* What handlers call. */

void ig_grpc_fail(struct ig_grpc_call *call, enum ig_grpc_status status, const char *format, ...)
{
    va_list arguments;
    if (call->status) return;
    IG_ASSERT(status > IG_GRPC_OK && status < IG_GRPC_STATUSES_COUNT);
    call->status = status;
    va_start(arguments, format);
    vsnprintf(call->status_message, sizeof call->status_message, format, arguments);
    va_end(arguments);
}

void ig_grpc_fail_err(struct ig_grpc_call *call, const struct ig_err *err)
{
    ig_grpc_fail(call, (enum ig_grpc_status)ig_code_grpc_status(ig_err_code(err)), "%s",
                 err->message);
}

struct ig_buf *ig_grpc_reply_open(struct ig_grpc_call *call, size_t *at)
{
    *at = ig_grpc_frame_open(&call->exchange->reply);
    return &call->exchange->reply;
}

enum ig_code ig_grpc_reply_close(struct ig_grpc_call *call, size_t at, struct ig_err *err)
{
    struct ig_buf *reply = &call->exchange->reply;
    if (ig_grpc_frame_close(reply, at)) {
        call->messages_sent++;
        return IG_OK;
    }
    reply->len = at < reply->len ? at : reply->len;
    reply->overflowed = false;
    ig_grpc_fail(call, IG_GRPC_RESOURCE_EXHAUSTED, "the reply exceeds %zu bytes, or memory is out",
                 reply->max_bytes);
    return ig_fail(err, IG_TOO_LARGE, "the reply exceeds %zu bytes, or memory is out",
                   reply->max_bytes);
}

enum ig_code ig_grpc_reply(struct ig_grpc_call *call, struct ig_str message, struct ig_err *err)
{
    size_t at = 0;
    ig_buf_add_str(ig_grpc_reply_open(call, &at), message);
    return ig_grpc_reply_close(call, at, err);
}

/* Output. */

static size_t backlog(const struct ig_http2_call *call)
{
    return call->sending.len - call->sent;
}

/* What all buffers of the call hold is in flight. */
static bool account(struct ig_http2_call *call, size_t more)
{
    return ig_http2_call_hold(call, call->base.body.len + call->message.len + call->plain.len +
                                        call->sending.len + more);
}

static void submit_head(struct ig_http2_call *call, enum ig_http2_sent sent)
{
    call->source = IG_HTTP2_FROM_MESSAGES;
    ig_http2_call_submit_grpc(call, sent);
}

/* Sends what the callback has replied. */
static void take_replies(struct ig_http2_call *call)
{
    struct ig_exchange *exchange = &call->base.exchange;
    struct ig_buf *reply = &exchange->reply;
    if (!reply->len) return;
    if (!account(call, reply->len)) {
        ig_grpc_fail(&call->run.call, IG_GRPC_RESOURCE_EXHAUSTED,
                     "too many response bytes are in flight");
        ig_buf_reset(reply);
        return;
    }
    exchange->sent_bytes += reply->len;
    ig_http2_earn(call->base.conn,
                  CREDIT_PER_REPLY * (call->run.call.messages_sent - call->run.earned_for));
    call->run.earned_for = call->run.call.messages_sent;
    if (backlog(call)) {
        ig_buf_add_str(&call->sending, ig_buf_view(reply));
        if (call->sending.overflowed) ig_http2_call_reset(call, NGHTTP2_INTERNAL_ERROR);
    } else {
        struct ig_buf swap = call->sending;
        size_t reply_max_bytes = reply->max_bytes;
        call->sending = *reply;
        call->sending.max_bytes = swap.max_bytes;
        *reply = swap;
        reply->max_bytes = reply_max_bytes;
        call->sent = 0;
    }
    ig_buf_reset(reply);
    if (!call->answered) submit_head(call, IG_HTTP2_WITH_BODY);
    ig_http2_call_resume(call);
}

static void add_message(struct ig_buf *fields, const struct ig_grpc_call *call)
{
    if (!call->status_message[0]) return;
    ig_buf_add_str(fields, IG_STR("grpc-message: "));
    ig_grpc_message_encode(fields, ig_str_view(call->status_message), MESSAGE_TEXT_MAX_BYTES);
    ig_buf_add_str(fields, IG_STR("\r\n"));
}

static bool is_past(const struct ig_http2_call *call)
{
    uint64_t deadline_ns = call->base.exchange.deadline_ns;
    uint64_t turn_ns = ig_http2_now_ms(call) * UINT64_C(1000000); /* no clock is read for it */
    return deadline_ns <= turn_ns + TURN_MAX_NS && ig_clock_ns() >= deadline_ns;
}

static void check_deadline(struct ig_http2_call *call)
{
    if (is_past(call))
        ig_grpc_fail(&call->run.call, IG_GRPC_DEADLINE_EXCEEDED, "the deadline has passed");
}

static void finish(struct ig_http2_call *call)
{
    struct ig_http_call *base = &call->base;
    call->run.finished = true;
    call->run.waiting = false;
    if (call->run.call.status == IG_GRPC_CANCELLED && is_past(call)) {
        call->run.call.status = IG_GRPC_OK; /* what its work saw was the deadline */
        check_deadline(call);
    }
    ig_http2_call_grant(call, call->run.ungranted);
    call->run.ungranted = 0;
    if (call->answered) {
        add_message(&base->trailers, &call->run.call);
        if (base->trailers.overflowed) ig_http2_call_reset(call, NGHTTP2_INTERNAL_ERROR);
        ig_http2_call_resume(call);
        return;
    }
    add_message(&base->extra, &call->run.call);
    ig_buf_add_str(&base->extra, ig_buf_view(&base->trailers));
    ig_buf_reset(&base->trailers);
    if (base->extra.overflowed)
        ig_http2_call_reset(call, NGHTTP2_INTERNAL_ERROR);
    else
        submit_head(call, IG_HTTP2_HEAD_ONLY);
}

/* Messages. */

static void trim(struct ig_buf *buf)
{
    if (buf->cap > KEEP_BYTES)
        ig_buf_deinit(buf);
    else
        ig_buf_reset(buf);
}

/* A message is handled, or on_over is. */
static void handled(struct ig_http2_call *call, enum ig_grpc_next next)
{
    struct ig_grpc_call *public = &call->run.call;
    take_replies(call);
    if (next == IG_GRPC_AGAIN && !public->status && !public->done) {
        public->again_count++;
        return;
    }
    call->run.has_message = false;
    public->again_count = 0;
    public->message = IG_STR("");
    trim(&call->message);
    trim(&call->plain);
    ig_arena_reset(&call->message_arena);
    if (!public->streaming || call->run.at_over) public->done = true;
    (void)account(call, 0);
}

static void drop_work(struct ig_grpc_run *run, enum ig_grpc_status status, const char *why)
{
    const struct ig_grpc_service *service = run->service;
    if (service->on_dropped) service->on_dropped(service->context, &run->call);
    ig_grpc_fail(&run->call, status, "%s", why);
}

static void run_work(void *context, struct ig_exchange *exchange)
{
    struct ig_http2_call *call = ig_http2_call_of(ig_http_call_of(exchange));
    struct ig_grpc_run *run = &call->run;
    (void)context;
    if (run->inflating)
        (void)ig_grpc_inflate(&call->plain, run->packed, run->call.message_max_bytes, &run->err);
    else if (ig_exchange_cancelled(exchange)) /* while it waited for a worker */
        drop_work(run, IG_GRPC_CANCELLED, "the client went away");
    else
        run->call.work(run->service->context, &run->call);
}

static void to_pool(struct ig_http2_call *call)
{
    call->base.exchange.work = run_work;
    static const char BUSY[] = "too many calls wait for a worker";
    if (ig_http2_call_to_pool(call)) return;
    if (call->run.inflating)
        ig_grpc_fail(&call->run.call, IG_GRPC_UNAVAILABLE, BUSY);
    else
        drop_work(&call->run, IG_GRPC_UNAVAILABLE, BUSY);
    call->run.inflating = false;
    call->run.has_message = false;
}

static void handle(struct ig_http2_call *call)
{
    struct ig_grpc_run *run = &call->run;
    const struct ig_grpc_service *service = run->service;
    run->call.again = false;
    call->base.exchange.turn_is_ending = ig_loop_is_ending(call->base.conn->home->loop);
    enum ig_grpc_next next = run->at_over ? service->on_over(service->context, &run->call)
                                          : service->on_message(service->context, &run->call);
    if (next == IG_GRPC_AT_TURN_END) {
        ig_http2_call_at_turn_end(call);
    } else if (next == IG_GRPC_TO_POOL) {
        IG_ASSERT(run->call.work);
        to_pool(call);
    } else {
        handled(call, next);
    }
}

/* The message is decompressed, or could not be. */
static void inflated(struct ig_http2_call *call)
{
    struct ig_grpc_run *run = &call->run;
    run->inflating = false;
    if (run->err.code == IG_PARSE)
        ig_grpc_fail(&run->call, IG_GRPC_INTERNAL, "%s", run->err.message);
    else if (run->err.code)
        ig_grpc_fail_err(&run->call, &run->err);
    run->call.message = call->plain.len ? ig_buf_view(&call->plain) : IG_STR("");
    trim(&call->message);
    run->has_message = true;
    (void)account(call, 0);
}

static void inflate_message(struct ig_http2_call *call, struct ig_str packed)
{
    struct ig_grpc_run *run = &call->run;
    if (run->encoding == IG_GRPC_IDENTITY) {
        ig_grpc_fail(&run->call, IG_GRPC_INTERNAL, "a compressed message without grpc-encoding");
        return;
    }
    run->packed = packed;
    run->err = IG_ERR_INIT;
    run->inflating = true;
    if (packed.len > INFLATE_ON_LOOP_BYTES) {
        if (account(call, run->call.message_max_bytes))
            to_pool(call);
        else
            ig_grpc_fail(&run->call, IG_GRPC_RESOURCE_EXHAUSTED,
                         "too many request bytes are in flight");
        return;
    }
    run_work(NULL, &call->base.exchange);
    inflated(call);
}

/* Moves the frame that base.body begins with into `message`. */
static void take_frame(struct ig_http2_call *call, const struct ig_grpc_frame *frame)
{
    struct ig_buf whole = call->base.body;
    struct ig_str packed = frame->message;
    call->base.body = call->message;
    call->message = whole;
    ig_buf_reset(&call->base.body);
    ig_buf_add(&call->base.body, whole.ptr + frame->whole_bytes, whole.len - frame->whole_bytes);
    call->message.len = frame->whole_bytes;
    call->run.call.messages_received++;
    if (call->base.body.overflowed) {
        ig_grpc_fail(&call->run.call, IG_GRPC_RESOURCE_EXHAUSTED, "no memory for messages");
    } else if (frame->compressed) {
        inflate_message(call, packed);
    } else {
        call->run.call.message = packed;
        call->run.has_message = true;
    }
}

/* The client has sent all, and no frame is whole. */
static void take_over(struct ig_http2_call *call)
{
    struct ig_grpc_run *run = &call->run;
    if (call->base.body.len)
        ig_grpc_fail(&run->call, IG_GRPC_INTERNAL, "the last message is cut short");
    else if (!run->call.streaming)
        ig_grpc_fail(&run->call, IG_GRPC_UNIMPLEMENTED, "the method takes one message, none came");
    else if (run->service->on_over)
        run->at_over = run->has_message = true;
    else
        run->call.done = true;
}

/* Looks at what has arrived; false when there is nothing to handle before more comes. */
static bool take_next(struct ig_http2_call *call)
{
    struct ig_grpc_run *run = &call->run;
    struct ig_grpc_frame frame;
    bool over = call->base.body_over;
    struct ig_str input = ig_buf_view(&call->base.body);
    enum ig_grpc_frame_result got = ig_grpc_frame_parse(&frame, input, run->call.message_max_bytes);
    bool whole = got == IG_GRPC_FRAME_WHOLE;
    if (got == IG_GRPC_FRAME_BAD)
        ig_grpc_fail(&run->call, IG_GRPC_INTERNAL, "a message's flag is neither 0 nor 1");
    else if (got == IG_GRPC_FRAME_TOO_LARGE)
        ig_grpc_fail(&run->call, IG_GRPC_RESOURCE_EXHAUSTED,
                     "a message of %zu bytes, at most %zu are allowed",
                     frame.whole_bytes - IG_GRPC_PREFIX_BYTES, run->call.message_max_bytes);
    else if (whole && !run->call.streaming && input.len > frame.whole_bytes)
        ig_grpc_fail(&run->call, IG_GRPC_UNIMPLEMENTED,
                     "the method takes one message, several came");
    else if (whole && (run->call.streaming || over))
        take_frame(call, &frame);
    else if (over)
        take_over(call);
    else
        return false;
    return true;
}

/* Nothing is to be handled: takes more, or says goodbye when the server stops. */
static bool want_more(struct ig_http2_call *call)
{
    struct ig_grpc_run *run = &call->run;
    bool draining = atomic_load_explicit(&call->base.conn->home->draining, memory_order_relaxed);
    if (draining && run->call.streaming && !call->base.body.len) {
        ig_grpc_fail(&run->call, IG_GRPC_UNAVAILABLE, "the server is shutting down");
        return false;
    }
    ig_http2_call_grant(call, run->ungranted);
    run->ungranted = 0;
    return true;
}

static void advance(struct ig_http2_call *call)
{
    struct ig_grpc_run *run = &call->run;
    run->waiting = false;
    for (int round = 0; !call->working && !run->finished; round++) {
        check_deadline(call);
        if (run->call.status || run->call.done) {
            finish(call);
            return;
        }
        run->waiting = backlog(call) > IG_HTTP2_BACKLOG_BYTES || round == ROUNDS_MAX;
        if (run->waiting) {
            if (round == ROUNDS_MAX) ig_http_conn_again(call->base.conn);
            return;
        }
        if (run->has_message)
            handle(call);
        else if (!take_next(call) && want_more(call))
            return;
    }
}

/* Events. */

static const struct ig_grpc_service *service_of(const struct ig_http2_call *call)
{
    const struct ig_http_server_options *options = ig_http2_options(call);
    for (unsigned i = 0; i < options->grpc_count; i++) {
        struct ig_str prefix = ig_str_view(options->grpc[i].prefix);
        if (ig_str_starts(call->base.exchange.request.path, prefix)) return &options->grpc[i];
    }
    return NULL;
}

/* The call's deadline, and whether the client gave it. */
static bool set_deadline(struct ig_http2_call *call)
{
    struct ig_exchange *exchange = &call->base.exchange;
    uint64_t timeout_ns = 0;
    uint64_t most_ns = ig_http2_options(call)->stream_timeout_ms * UINT64_C(1000000);
    struct ig_str text = ig_http_header(&exchange->request, IG_STR("grpc-timeout"));
    if (!text.ptr) return false;
    if (!ig_grpc_timeout_parse(&timeout_ns, text)) {
        ig_grpc_fail(&call->run.call, IG_GRPC_INTERNAL,
                     "grpc-timeout is not 1 to 8 digits and one of H M S m u n");
        return false;
    }
    exchange->deadline_ns = exchange->started_ns + (timeout_ns < most_ns ? timeout_ns : most_ns);
    return true;
}

static void set_encoding(struct ig_http2_call *call)
{
    struct ig_exchange *exchange = &call->base.exchange;
    struct ig_err err = IG_ERR_INIT;
    call->run.encoding =
        ig_grpc_encoding_of(ig_http_header(&exchange->request, IG_STR("grpc-encoding")));
    if (call->run.encoding != IG_GRPC_ENCODING_OTHER) return;
    (void)ig_exchange_header(exchange, "grpc-accept-encoding", IG_STR("identity,deflate,gzip"),
                             &err);
    ig_grpc_fail(&call->run.call, IG_GRPC_UNIMPLEMENTED,
                 "grpc-encoding is none of identity, deflate, gzip");
}

void ig_grpc_begin(struct ig_http2_call *call)
{
    struct ig_exchange *exchange = &call->base.exchange;
    struct ig_grpc_run *run = &call->run;
    struct ig_str path = exchange->request.path;
    const struct ig_grpc_service *service = service_of(call);
    memset(run, 0, sizeof *run);
    call->mode = IG_HTTP2_MESSAGES;
    run->service = service;
    run->call.exchange = exchange;
    run->call.arena = &call->message_arena;
    run->call.message = IG_STR("");
    run->call.message_max_bytes = MESSAGE_MAX_BYTES;
    bool timed = set_deadline(call);
    uint64_t deadline_ns = exchange->deadline_ns;
    set_encoding(call);
    if (!service)
        ig_grpc_fail(&run->call, IG_GRPC_UNIMPLEMENTED, "no service at %.*s", IG_STR_ARGS(path));
    if (service && !run->call.status) {
        size_t prefix = strlen(service->prefix);
        run->call.method = (struct ig_str){path.ptr + prefix, path.len - prefix};
        run->begun = true;
        service->on_call(service->context, &run->call);
    }
    if (!timed && run->call.streaming && exchange->deadline_ns == deadline_ns)
        exchange->deadline_ns =
            exchange->started_ns + ig_http2_options(call)->stream_timeout_ms * UINT64_C(1000000);
    advance(call);
}

void ig_grpc_data(struct ig_http2_call *call, struct ig_str bytes)
{
    struct ig_grpc_run *run = &call->run;
    struct ig_buf *body = &call->base.body;
    call->base.stream_bytes += bytes.len;
    run->ungranted += bytes.len;
    if (run->finished) {
        ig_http2_call_grant(call, run->ungranted);
        run->ungranted = 0;
        return;
    }
    ig_buf_add_str(body, bytes);
    if (call->working) return; /* bounded by the window; its fields are the worker's */
    if (body->overflowed || !account(call, 0))
        ig_grpc_fail(&run->call, IG_GRPC_RESOURCE_EXHAUSTED,
                     "too many request bytes are in flight");
    advance(call);
}

void ig_grpc_over(struct ig_http2_call *call)
{
    advance(call);
}

void ig_grpc_done(struct ig_http2_call *call)
{
    if (call->run.inflating)
        inflated(call);
    else
        handled(call, call->run.call.again ? IG_GRPC_AGAIN : IG_GRPC_NEXT);
    advance(call);
}

void ig_grpc_go_on(struct ig_http2_call *call)
{
    if (call->run.waiting) advance(call);
}

void ig_grpc_drained(struct ig_http2_call *call)
{
    if (call->run.waiting && backlog(call) <= IG_HTTP2_BACKLOG_BYTES)
        ig_http_conn_again(call->base.conn);
}

void ig_grpc_refuse(struct ig_http2_call *call, int http_status, const char *reason)
{
    if (call->working) return;
    ig_grpc_fail(&call->run.call, ig_grpc_status_of_http(http_status), "%s", reason);
    advance(call);
}

void ig_grpc_check_time(struct ig_http2_call *call)
{
    if (call->working || call->run.finished) return;
    check_deadline(call);
    if (call->run.call.status) advance(call);
}

void ig_grpc_end(struct ig_http2_call *call, bool aborted)
{
    struct ig_grpc_run *run = &call->run;
    call->base.exchange.aborted = aborted;
    call->base.exchange.body_bytes = call->base.stream_bytes;
    if (aborted) ig_grpc_fail(&run->call, IG_GRPC_CANCELLED, "the client went away");
    if (run->begun && run->service->on_end) run->service->on_end(run->service->context, &run->call);
    run->begun = false;
}
