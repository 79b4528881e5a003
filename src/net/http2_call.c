/* SPDX-License-Identifier: Apache-2.0 */
/* A call on a stream of HTTP/2: its head, its body, its response.
 *
 * The exchange goes through the same callbacks as on HTTP/1. A response's head is made as the text
 * of HTTP/1, by the same function, and its lines become the fields: both protocols say the same.
 *
 * Invariants: 1. `open` falls when the session closes the stream; from then on nothing is submitted
 * for it. 2. A call ends (on_end, back to the free list) when it is neither open nor working. 3.
 * While a worker holds the exchange, the loop touches of the call only the stream's rings, `gone`,
 * the fields of this file and a gRPC call's incoming bytes and `sending`. 4. The stream's window is
 * granted again only for what was taken: at once for a buffered body, by what the worker has read
 * for a stream. Thread rule: the loop's thread. */
#include "net/http2_priv.h"

#include "base/clock.h"
#include "base/mem.h"

#include <string.h>

enum {
    FIELDS_MAX = 96,
    GRPC_FIELDS_MAX = 24,
    TRAILERS_MAX = 24,
    FIELD_OVERHEAD_BYTES = 32, /* of a header list's size (RFC 9113 section 6.5.2) */
    KEEP_BYTES = 128 * 1024,
    MESSAGE_ARENA_CHUNK_BYTES = 16 * 1024,
    HOLD_STEP_BYTES = 64 * 1024,
    STATUS_AT = 9 /* in "HTTP/1.1 200 OK" */
};

static nghttp2_session *session_of(const struct ig_http2_call *call)
{
    return call->base.conn->http2->session;
}

/* Birth and death. */

static struct ig_http2_call *take_free(struct ig_http_loop *home)
{
    struct ig_http2_call *call = home->free_streams;
    const struct ig_http_server_options *options = &home->server->options;
    if (call) {
        home->free_streams = call->next;
        home->free_streams_count--;
        return call;
    }
    call = ig_zalloc(sizeof *call);
    if (!call) return NULL;
    ig_buf_init(&call->sending, SIZE_MAX / 2);
    ig_buf_init(&call->message, SIZE_MAX / 2);
    ig_buf_init(&call->plain, SIZE_MAX / 2);
    ig_arena_init(&call->message_arena, MESSAGE_ARENA_CHUNK_BYTES, options->arena_max_bytes);
    if (ig_http_call_init(&call->base, home)) return call;
    ig_http2_call_free(call);
    return NULL;
}

struct ig_http2_call *ig_http2_call_new(struct ig_http_conn *conn, int32_t stream_id)
{
    struct ig_http2 *http2 = conn->http2;
    struct ig_http2_call *call = take_free(conn->home);
    if (!call) return NULL;
    call->base.conn = conn;
    call->base.body_over = false;
    call->base.exchange.request.http2 = true;
    call->stream_id = stream_id;
    call->mode = IG_HTTP2_AT_HEAD;
    call->source = IG_HTTP2_FROM_REPLY;
    call->open = true;
    call->working = call->answered = call->ended = call->deferred = false;
    call->refuse_status = 0;
    call->refuse_reason = NULL;
    call->head_bytes = call->headers_count = call->sent = call->length = 0;
    call->since_ms = call->progress_ms = ig_http2_now_ms(call);
    call->out_since_ms = call->out_progress_ms = call->out_bytes = 0;
    call->previous = NULL;
    call->next = http2->calls;
    if (call->next) call->next->previous = call;
    http2->calls = call;
    http2->calls_count++;
    return call;
}

void ig_http2_call_free(struct ig_http2_call *call)
{
    ig_http_call_deinit(&call->base);
    ig_buf_deinit(&call->sending);
    ig_buf_deinit(&call->message);
    ig_buf_deinit(&call->plain);
    ig_arena_deinit(&call->message_arena);
    ig_free(call);
}

static void clear_buf(struct ig_buf *buf)
{
    if (buf->cap > KEEP_BYTES)
        ig_buf_deinit(buf);
    else
        ig_buf_reset(buf);
}

void ig_http2_call_end(struct ig_http2_call *call, bool aborted)
{
    struct ig_http_conn *conn = call->base.conn;
    struct ig_http_loop *home = conn->home;
    struct ig_http2 *http2 = conn->http2;
    IG_ASSERT(!call->working);
    if (call->mode == IG_HTTP2_MESSAGES) ig_grpc_end(call, aborted);
    ig_http_state_finish(&call->base, aborted);
    ig_http_call_reset(&call->base);
    clear_buf(&call->base.out);
    clear_buf(&call->sending);
    clear_buf(&call->message);
    clear_buf(&call->plain);
    ig_arena_reset(&call->message_arena);
    call->base.last = false;
    call->base.conn = NULL;
    if (call->previous)
        call->previous->next = call->next;
    else
        http2->calls = call->next;
    if (call->next) call->next->previous = call->previous;
    if (http2->at_head == call) http2->at_head = NULL;
    conn->served = true;
    if (--http2->calls_count == 0) http2->idle_since_ms = ig_loop_now_ms(home->loop);
    if (home->free_streams_count >= IG_HTTP2_CALLS_KEPT) {
        ig_http2_call_free(call);
        return;
    }
    call->next = home->free_streams;
    home->free_streams = call;
    home->free_streams_count++;
}

void ig_http2_call_closed(struct ig_http2_call *call)
{
    call->open = false;
    atomic_store(&call->base.gone, true);
    if (call->base.stream) ig_http_stream_fail(call->base.stream, IG_CANCELLED);
    if (!call->working) ig_http2_call_end(call, !call->ended);
}

void ig_http2_call_reset(struct ig_http2_call *call, uint32_t error_code)
{
    if (call->open)
        nghttp2_submit_rst_stream(session_of(call), NGHTTP2_FLAG_NONE, call->stream_id, error_code);
}

/* Budgets. */

static bool connection_has_room(const struct ig_http2_call *call, size_t more)
{
    uint64_t held = more;
    for (const struct ig_http2_call *at = call->base.conn->http2->calls; at; at = at->next)
        held += at->base.reserved_bytes;
    return held <= ig_http2_options(call)->http2_connection_bytes;
}

bool ig_http2_call_hold(struct ig_http2_call *call, size_t bytes)
{
    struct ig_http_call *base = &call->base;
    size_t want = 0;
    if (bytes > IG_HTTP2_SMALL_BYTES) {
        if (!ig_add(&want, bytes, HOLD_STEP_BYTES - 1)) return false;
        want -= want % HOLD_STEP_BYTES;
    }
    if (want > base->reserved_bytes)
        return connection_has_room(call, want - base->reserved_bytes) &&
               ig_http_call_reserve(base, want - base->reserved_bytes);
    if (want < base->reserved_bytes) {
        atomic_fetch_sub(&base->conn->home->server->inflight_bytes, base->reserved_bytes - want);
        base->reserved_bytes = want;
    }
    return true;
}

void ig_http2_call_grant(struct ig_http2_call *call, uint64_t bytes)
{
    if (call->open && bytes)
        nghttp2_session_consume_stream(session_of(call), call->stream_id, (size_t)bytes);
}

/* Responses. */

static void note_output(struct ig_http2_call *call, size_t bytes)
{
    call->out_progress_ms = ig_http2_now_ms(call);
    call->out_bytes += bytes;
}

/* Splits lines of "Name: value\r\n" into fields, names in lower case; false when there are too
 * many.
 */
static bool split_fields(struct ig_buf *text, size_t at, nghttp2_nv *fields, size_t *count,
                         size_t fields_max)
{
    while (at < text->len && text->ptr[at] != '\r') {
        char *name = text->ptr + at;
        char *end = memchr(name, '\r', text->len - at);
        char *colon = end ? memchr(name, ':', (size_t)(end - name)) : NULL;
        IG_ASSERT(colon && end - colon >= 2);
        at = (size_t)(end - text->ptr) + 2;
        struct ig_str view = {name, (size_t)(colon - name)};
        if (ig_str_eq_nocase(view, IG_STR("connection"))) continue;
        if (*count == fields_max) return false;
        for (char *c = name; c < colon; c++) {
            if (*c >= 'A' && *c <= 'Z') *c = (char)(*c - 'A' + 'a');
        }
        fields[(*count)++] = (nghttp2_nv){.name = (uint8_t *)name,
                                          .namelen = view.len,
                                          .value = (uint8_t *)colon + 2,
                                          .valuelen = (size_t)(end - colon) - 2};
    }
    return true;
}

/* A field of texts that are always there. */
static nghttp2_nv constant(struct ig_str name, struct ig_str value)
{
    return (nghttp2_nv){.name = (uint8_t *)(uintptr_t)name.ptr,
                        .namelen = name.len,
                        .value = (uint8_t *)(uintptr_t)value.ptr,
                        .valuelen = value.len,
                        .flags = NGHTTP2_NV_FLAG_NO_COPY_NAME | NGHTTP2_NV_FLAG_NO_COPY_VALUE};
}

static nghttp2_nv grpc_status(const struct ig_http2_call *call)
{
    static const char *const NUMBERS[IG_GRPC_STATUSES_COUNT] = {
        "0", "1", "2", "3", "4", "5", "6", "7", "8", "9", "10", "11", "12", "13", "14", "15", "16"};
    return constant(IG_STR("grpc-status"), ig_str_view(NUMBERS[call->run.call.status]));
}

static bool has_trailers(const struct ig_http2_call *call)
{
    return call->base.trailers.len || call->mode == IG_HTTP2_MESSAGES;
}

static int submit_trailers(struct ig_http2_call *call)
{
    nghttp2_nv fields[TRAILERS_MAX];
    size_t count = 0;
    if (call->mode == IG_HTTP2_MESSAGES) fields[count++] = grpc_status(call);
    if (!split_fields(&call->base.trailers, 0, fields, &count, TRAILERS_MAX)) return -1;
    return nghttp2_submit_trailer(session_of(call), call->stream_id, fields, count);
}

static ssize_t take_ring(struct ig_http2_call *call, uint8_t *bytes, size_t room, bool *last)
{
    struct ig_http_stream *stream = call->base.stream;
    struct iovec parts[2];
    bool was_working = call->working;
    size_t taken = 0, left = 0;
    int count = ig_http_stream_ready(stream, parts);
    for (int i = 0; i < count; i++) {
        size_t part = parts[i].iov_len < room - taken ? parts[i].iov_len : room - taken;
        memcpy(bytes + taken, parts[i].iov_base, part);
        taken += part;
        left += parts[i].iov_len - part;
    }
    if (taken) ig_http_stream_wrote(stream, taken);
    *last = !was_working && !left;
    if (*last && stream->cut) return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
    return (ssize_t)taken;
}

static size_t take_buf(struct ig_http2_call *call, const struct ig_buf *from, size_t length,
                       uint8_t *bytes, size_t room)
{
    size_t taken = length - call->sent < room ? length - call->sent : room;
    if (taken) memcpy(bytes, from->ptr + call->sent, taken);
    call->sent += taken;
    return taken;
}

static ssize_t read_body(nghttp2_session *session, int32_t stream_id, uint8_t *bytes, size_t room,
                         uint32_t *flags, nghttp2_data_source *source, void *context)
{
    struct ig_http2_call *call = source->ptr;
    ssize_t taken = 0;
    bool last = false;
    (void)session;
    (void)stream_id;
    (void)context;
    if (call->source == IG_HTTP2_FROM_RING) {
        taken = take_ring(call, bytes, room, &last);
    } else if (call->source == IG_HTTP2_FROM_MESSAGES) {
        taken = (ssize_t)take_buf(call, &call->sending, call->sending.len, bytes, room);
        last = call->run.finished && call->sent == call->sending.len;
        ig_grpc_drained(call);
    } else {
        taken = (ssize_t)take_buf(call, &call->base.exchange.reply, call->length, bytes, room);
        last = call->sent == call->length;
    }
    if (taken < 0) return taken;
    if (!taken && !last) {
        call->deferred = true;
        call->out_since_ms = 0;
        return NGHTTP2_ERR_DEFERRED;
    }
    note_output(call, (size_t)taken);
    if (!last) return taken;
    *flags |= NGHTTP2_DATA_FLAG_EOF;
    if (!has_trailers(call)) return taken;
    if (submit_trailers(call) != 0) return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
    *flags |= NGHTTP2_DATA_FLAG_NO_END_STREAM;
    return taken;
}

/* Submits a head, or resets the stream when it does not fit. */
static void submit_fields(struct ig_http2_call *call, enum ig_http2_sent sent,
                          const nghttp2_nv *fields, size_t count, bool fits)
{
    nghttp2_data_provider body = {.source.ptr = call, .read_callback = read_body};
    call->answered = true;
    call->out_since_ms = call->out_progress_ms = ig_http2_now_ms(call);
    call->out_bytes = 0;
    if (!fits || nghttp2_submit_response(session_of(call), call->stream_id, fields, count,
                                         sent == IG_HTTP2_WITH_BODY ? &body : NULL) != 0)
        ig_http2_call_reset(call, NGHTTP2_INTERNAL_ERROR);
}

/* Submits the head that stands in base.out as text. */
static void submit_head(struct ig_http2_call *call, enum ig_http2_sent sent)
{
    struct ig_buf *text = &call->base.out;
    nghttp2_nv fields[FIELDS_MAX];
    char *first_end = text->len ? memchr(text->ptr, '\n', text->len) : NULL;
    size_t count = 1;
    bool fits = !text->overflowed && first_end;
    if (fits) {
        fields[0] = (nghttp2_nv){.name = (uint8_t *)":status",
                                 .namelen = sizeof ":status" - 1,
                                 .value = (uint8_t *)text->ptr + STATUS_AT,
                                 .valuelen = 3};
        fits = split_fields(text, (size_t)(first_end - text->ptr) + 1, fields, &count, FIELDS_MAX);
    }
    submit_fields(call, sent, fields, count, fits);
}

void ig_http2_call_submit_grpc(struct ig_http2_call *call, enum ig_http2_sent sent)
{
    nghttp2_nv fields[GRPC_FIELDS_MAX];
    size_t count = 0;
    fields[count++] = constant(IG_STR(":status"), IG_STR("200"));
    fields[count++] = constant(IG_STR("content-type"), IG_STR("application/grpc"));
    if (sent == IG_HTTP2_HEAD_ONLY) fields[count++] = grpc_status(call);
    bool fits = split_fields(&call->base.extra, 0, fields, &count, GRPC_FIELDS_MAX);
    submit_fields(call, sent, fields, count, fits);
}

static void submit(struct ig_http2_call *call, enum ig_http2_sent sent, int64_t length)
{
    struct ig_http_call *base = &call->base;
    ig_buf_reset(&base->out);
    ig_http_reply_head(&base->out, base, length, ig_http_reply_date(base->conn->home));
    submit_head(call, sent);
}

void ig_http2_call_resume(struct ig_http2_call *call)
{
    if (!call->open || !call->deferred) return;
    call->deferred = false;
    call->out_since_ms = call->out_progress_ms = ig_http2_now_ms(call);
    call->out_bytes = 0;
    nghttp2_session_resume_data(session_of(call), call->stream_id);
}

/* Submits exchange->reply as the whole response. */
static void answer(struct ig_http2_call *call)
{
    struct ig_exchange *exchange = &call->base.exchange;
    call->mode = IG_HTTP2_DISCARDS;
    if (exchange->reply.len > IG_HTTP_REPLY_COPY_BYTES &&
        !connection_has_room(call, exchange->reply.len))
        ig_http_reply_error(&call->base, 503, "too many response bytes wait on this connection");
    ig_http_reply_settle(&call->base);
    bool bare = exchange->status == 204 || exchange->status == 304;
    int64_t length = bare ? IG_HTTP_LENGTH_NONE : (int64_t)exchange->reply.len;
    call->length = ig_http_reply_has_body(&call->base) ? exchange->reply.len : 0;
    exchange->sent_bytes = call->length;
    bool with_body = call->length || call->base.trailers.len;
    submit(call, with_body ? IG_HTTP2_WITH_BODY : IG_HTTP2_HEAD_ONLY, length);
    if (exchange->close) ig_http2_goaway(call->base.conn);
}

static void refuse(struct ig_http2_call *call, int status, const char *reason)
{
    ig_http_reply_error(&call->base, status, reason);
    answer(call);
}

/* Workers. */

static void hold(struct ig_http2_call *call)
{
    call->working = true;
    call->base.conn->http2->working_count++;
}

static bool to_worker(struct ig_http2_call *call, bool stream)
{
    struct ig_http_conn *conn = call->base.conn;
    struct ig_http_server *server = conn->home->server;
    IG_ASSERT(call->base.exchange.work);
    hold(call);
    if (server->submit(server, &call->base, stream)) return true;
    call->working = false;
    conn->http2->working_count--;
    return false;
}

bool ig_http2_call_to_pool(struct ig_http2_call *call)
{
    return to_worker(call, false);
}

void ig_http2_call_at_turn_end(struct ig_http2_call *call)
{
    hold(call);
    ig_http_call_at_turn_end(&call->base);
}

static void submit_stream_head(struct ig_http2_call *call)
{
    call->source = IG_HTTP2_FROM_RING;
    submit_head(call, call->base.stream->silent ? IG_HTTP2_HEAD_ONLY : IG_HTTP2_WITH_BODY);
}

static void run_body(struct ig_http2_call *call)
{
    struct ig_exchange *exchange = &call->base.exchange;
    const struct ig_http_handler *handler = &ig_http2_options(call)->handler;
    exchange->body = call->base.body.len ? ig_buf_view(&call->base.body) : IG_STR("");
    exchange->body_bytes = exchange->body.len;
    exchange->turn_is_ending = ig_loop_is_ending(call->base.conn->home->loop);
    exchange->back = false;
    enum ig_http_next next = handler->on_body(handler->context, exchange);
    if (next == IG_HTTP_DONE) {
        answer(call);
    } else if (next == IG_HTTP_AT_TURN_END) {
        ig_http2_call_at_turn_end(call);
    } else if (next == IG_HTTP_LATER) {
        hold(call);
        ig_http_call_later(&call->base);
    } else if (!ig_http2_call_to_pool(call)) {
        refuse(call, 503, "too many calls wait for a worker");
    }
}

static void end_work(struct ig_http2_call *call)
{
    if (call->mode == IG_HTTP2_MESSAGES) {
        ig_grpc_done(call);
    } else if (call->base.exchange.back) {
        run_body(call);
    } else if (!call->base.stream || !call->base.stream->begun) {
        answer(call);
    } else {
        call->mode = IG_HTTP2_DISCARDS;
        if (!call->answered) submit_stream_head(call);
        ig_http2_call_resume(call);
        if (call->base.exchange.close) ig_http2_goaway(call->base.conn);
    }
}

void ig_http2_call_on_done(struct ig_loop_task *task)
{
    struct ig_http2_call *call = ig_http2_call_of(
        (struct ig_http_call *)((char *)task - offsetof(struct ig_http_call, done)));
    struct ig_http_conn *conn = call->base.conn;
    call->working = false;
    conn->http2->working_count--;
    if (!conn->dead) {
        if (call->open)
            end_work(call);
        else
            ig_http2_call_end(call, !call->ended);
    }
    ig_http_conn_again(conn);
}

void ig_http2_call_on_wake(struct ig_loop_task *task)
{
    struct ig_http2_call *call = ig_http2_call_of(
        (struct ig_http_call *)((char *)task - offsetof(struct ig_http_call, wake)));
    ig_http_stream_woken(call->base.stream);
    if (!call->open) return;
    struct ig_http_stream_news news = ig_http_stream_look(call->base.stream);
    if (news.head_ready && !call->answered) submit_stream_head(call);
    ig_http2_call_grant(call, news.granted);
    ig_http2_call_resume(call);
    ig_http_conn_again(call->base.conn);
}

/* Heads. */

/* One value of a pseudo-header or header, in the call's memory. */
static bool keep(struct ig_http2_call *call, struct ig_str *to, struct ig_str from)
{
    *to = ig_arena_dup(&call->base.exchange.arena, from);
    if (to->ptr) return true;
    call->refuse_status = 503;
    call->refuse_reason = "no memory for the request's head";
    return false;
}

/* Cookies may come as several fields, which are one (RFC 9113 section 8.2.3). */
static bool joins_cookie(struct ig_http2_call *call, struct ig_str name, struct ig_str value)
{
    if (!ig_str_is(name, "cookie")) return false;
    for (size_t i = 0; i < call->headers_count; i++) {
        struct ig_http_header *header = &call->base.headers[i];
        if (!ig_str_is(header->name, "cookie")) continue;
        char *joined = ig_arena_printf(&call->base.exchange.arena, "%.*s; %.*s",
                                       IG_STR_ARGS(header->value), IG_STR_ARGS(value));
        if (joined) header->value = ig_str_view(joined);
        return true;
    }
    return false;
}

static void add_header(struct ig_http2_call *call, struct ig_str name, struct ig_str value)
{
    const struct ig_http1_limits *limits = &call->base.conn->home->server->limits;
    struct ig_http_header header;
    if (call->headers_count == limits->headers_max) {
        call->refuse_status = 431;
        call->refuse_reason = "too many headers";
        return;
    }
    if (!keep(call, &header.name, name) || !keep(call, &header.value, value)) return;
    call->base.headers[call->headers_count++] = header;
}

static void take_special(struct ig_http2_call *call, const struct ig_http_header *header)
{
    struct ig_http_request *request = &call->base.exchange.request;
    if (ig_str_is(header->name, "content-length")) {
        request->has_content_length = ig_str_to_u64(header->value, &request->content_length);
    } else if (ig_str_is(header->name, "expect")) {
        request->expect_continue = ig_str_eq_nocase(header->value, IG_STR("100-continue"));
        if (request->expect_continue) return;
        call->refuse_status = 417;
        call->refuse_reason = "only Expect: 100-continue is known";
    } else if (ig_str_is(header->name, "host")) {
        if (request->host.ptr && !ig_str_eq_nocase(request->host, header->value)) {
            call->refuse_status = 400;
            call->refuse_reason = "Host differs from the authority";
        }
        request->host = header->value;
    }
}

void ig_http2_call_header(struct ig_http2_call *call, struct ig_str name, struct ig_str value)
{
    struct ig_http_request *request = &call->base.exchange.request;
    call->head_bytes += name.len + value.len + FIELD_OVERHEAD_BYTES;
    if (call->refuse_status) return;
    if (call->head_bytes > ig_http2_options(call)->head_max_bytes) {
        call->refuse_status = 431;
        call->refuse_reason = "the request's head is too large";
    } else if (ig_str_is(name, ":method")) {
        (void)keep(call, &request->method, value);
    } else if (ig_str_is(name, ":path")) {
        (void)keep(call, &request->target, value);
    } else if (ig_str_is(name, ":authority")) {
        add_header(call, IG_STR("host"), value);
        if (!call->refuse_status) request->host = call->base.headers[0].value;
    } else if (name.len && name.ptr[0] == ':') {
        return;
    } else if (ig_str_is(name, "host") && request->host.ptr) {
        take_special(call, &(struct ig_http_header){name, value});
        if (!call->refuse_status) request->host = call->base.headers[0].value;
    } else if (!joins_cookie(call, name, value)) {
        size_t before = call->headers_count;
        add_header(call, name, value);
        if (call->headers_count > before) take_special(call, &call->base.headers[before]);
    }
}

/* The head of a request of HTTP/1 that asked for HTTP/2. */
void ig_http2_call_head(struct ig_http2_call *call, const struct ig_http_request *request)
{
    ig_http2_call_header(call, IG_STR(":method"), request->method);
    ig_http2_call_header(call, IG_STR(":path"), request->target);
    ig_http2_call_header(call, IG_STR(":authority"), request->host);
    for (size_t i = 0; i < request->headers_count; i++) {
        const struct ig_http_header *header = &request->headers[i];
        if (ig_http1_is_hop_field(header->name)) continue;
        struct ig_str own;
        if (!keep(call, &own, header->name)) return;
        char *name = (char *)(uintptr_t)own.ptr;
        for (char *c = name; *c; c++) *c = (char)(*c >= 'A' && *c <= 'Z' ? *c - 'A' + 'a' : *c);
        ig_http2_call_header(call, own, header->value);
    }
}

static bool head_is_good(struct ig_http2_call *call)
{
    struct ig_http_request *request = &call->base.exchange.request;
    const char *reason = NULL;
    if (!call->refuse_status) {
        call->refuse_status =
            ig_http_request_check(request, &call->base.conn->home->server->limits, &reason);
        call->refuse_reason = reason;
    }
    if (!call->refuse_status) return true;
    refuse(call, call->refuse_status, call->refuse_reason);
    return false;
}

/* Decisions. */

static void start_stream(struct ig_http2_call *call, uint64_t default_deadline_ns)
{
    struct ig_http_server *server = call->base.conn->home->server;
    struct ig_exchange *exchange = &call->base.exchange;
    bool full = atomic_fetch_add(&server->streams_active, 1) >= server->options.stream_workers;
    if (full || !ig_http_stream_open(&call->base)) {
        atomic_fetch_sub(&server->streams_active, 1);
        refuse(call, 503, full ? "too many streams are open" : "no memory for a stream");
        return;
    }
    if (exchange->deadline_ns == default_deadline_ns)
        exchange->deadline_ns =
            exchange->started_ns + server->options.stream_timeout_ms * UINT64_C(1000000);
    if (call->base.body_over) ig_http_stream_in_over(call->base.stream);
    call->mode = IG_HTTP2_STREAMS;
    if (!to_worker(call, true)) refuse(call, 503, "too many streams are open");
}

static void send_continue(struct ig_http2_call *call)
{
    const nghttp2_nv status = {(uint8_t *)":status", (uint8_t *)"100", 7, 3, NGHTTP2_NV_FLAG_NONE};
    nghttp2_submit_headers(session_of(call), NGHTTP2_FLAG_NONE, call->stream_id, NULL, &status, 1,
                           NULL);
}

static void decide(struct ig_http2_call *call, uint64_t deadline_ns)
{
    struct ig_exchange *exchange = &call->base.exchange;
    const struct ig_http_handler *handler = &ig_http2_options(call)->handler;
    call->base.begun = true;
    struct ig_http_decision decision = handler->on_request(handler->context, exchange);
    call->base.body_max_bytes = decision.body_max_bytes;
    if (decision.mode == IG_HTTP_RESPOND) {
        answer(call);
        return;
    }
    if (exchange->request.content_length > decision.body_max_bytes) {
        refuse(call, 413, "the body exceeds the cap of this route");
        return;
    }
    call->mode = IG_HTTP2_BUFFERS;
    if (decision.mode == IG_HTTP_STREAM)
        start_stream(call, deadline_ns);
    else if (!ig_http2_call_hold(call, (size_t)exchange->request.content_length))
        refuse(call, 503, "too many request bytes are in flight");
    else if (call->base.body_over)
        run_body(call);
    if (exchange->request.expect_continue && !call->base.body_over &&
        call->mode != IG_HTTP2_DISCARDS)
        send_continue(call);
}

void ig_http2_call_begin(struct ig_http2_call *call, bool over)
{
    struct ig_exchange *exchange = &call->base.exchange;
    struct ig_http_conn *conn = call->base.conn;
    struct ig_http_request *request = &exchange->request;
    request->minor_version = 1;
    request->keep_alive = true;
    request->peer = conn->peer;
    request->is_loopback = conn->is_loopback;
    request->headers = call->base.headers;
    request->headers_count = call->headers_count;
    call->base.body_over = over;
    call->since_ms = call->progress_ms = ig_http2_now_ms(call);
    exchange->started_ns = ig_clock_ns();
    uint64_t timeout_ms = ig_http2_options(call)->call_timeout_ms;
    uint64_t deadline_ns = exchange->started_ns + timeout_ms * UINT64_C(1000000);
    exchange->deadline_ns = deadline_ns;
    if (!head_is_good(call)) return;
    ig_http_count(&conn->home->counters.requests, 1);
    if (ig_grpc_is_request(request))
        ig_grpc_begin(call);
    else
        decide(call, deadline_ns);
}

static void buffer_data(struct ig_http2_call *call, struct ig_str bytes)
{
    struct ig_buf *body = &call->base.body;
    if (bytes.len > call->base.body_max_bytes - body->len) {
        refuse(call, 413, "the body exceeds the cap of this route");
        return;
    }
    size_t known = (size_t)call->base.exchange.request.content_length;
    size_t size = body->len + bytes.len;
    if (!ig_http2_call_hold(call, size > known ? size : known)) {
        refuse(call, 503, "too many request bytes are in flight");
        return;
    }
    ig_buf_add_str(body, bytes);
    call->base.exchange.body_bytes = body->len;
    if (body->overflowed) refuse(call, 503, "no memory for the request's body");
}

static void stream_data(struct ig_http2_call *call, struct ig_str bytes)
{
    struct ig_http_call *base = &call->base;
    if (base->input_failed) return;
    if (bytes.len > base->body_max_bytes - base->stream_bytes) {
        ig_http_state_fail_input(base, IG_TOO_LARGE);
        return;
    }
    base->stream_bytes += bytes.len;
    if (ig_http_stream_put(base->stream, bytes) < bytes.len)
        ig_http2_call_reset(call, NGHTTP2_FLOW_CONTROL_ERROR);
}

void ig_http2_call_data(struct ig_http2_call *call, struct ig_str bytes)
{
    call->progress_ms = ig_http2_now_ms(call);
    switch (call->mode) {
    case IG_HTTP2_MESSAGES:
        ig_grpc_data(call, bytes);
        return;
    case IG_HTTP2_STREAMS:
        stream_data(call, bytes);
        return;
    case IG_HTTP2_BUFFERS:
        buffer_data(call, bytes);
        break;
    default:
        break;
    }
    ig_http2_call_grant(call, bytes.len);
}

void ig_http2_call_over(struct ig_http2_call *call)
{
    call->base.body_over = true;
    if (call->mode == IG_HTTP2_BUFFERS) run_body(call);
    if (call->mode == IG_HTTP2_STREAMS) ig_http_stream_in_over(call->base.stream);
    if (call->mode == IG_HTTP2_MESSAGES) ig_grpc_over(call);
}

/* Time. */

static bool is_late(const struct ig_http2_call *call, uint64_t bytes)
{
    const struct ig_http_server_options *options = ig_http2_options(call);
    uint64_t now = ig_http2_now_ms(call);
    return now >= call->progress_ms + options->body_timeout_ms ||
           now >= call->since_ms + options->body_timeout_ms +
                      bytes * 1000 / options->client_bytes_per_s;
}

static void check_stream_input(struct ig_http2_call *call)
{
    struct ig_http_call *base = &call->base;
    struct ig_http_stream_news news = ig_http_stream_look(base->stream);
    ig_http2_call_grant(call, news.granted);
    if (base->body_over || base->input_failed) return;
    /* A client is not slow while it is the worker who does not read. */
    uint64_t now = ig_http2_now_ms(call);
    if (!news.empty) call->since_ms += now - call->progress_ms;
    if (!news.empty) call->progress_ms = now;
    if (is_late(call, base->stream_bytes)) ig_http_state_fail_input(base, IG_TIMEOUT);
}

static void check_input(struct ig_http2_call *call)
{
    struct ig_http_call *base = &call->base;
    uint64_t now = ig_http2_now_ms(call);
    switch (call->mode) {
    case IG_HTTP2_AT_HEAD:
        if (now >= call->since_ms + ig_http2_options(call)->head_timeout_ms)
            nghttp2_session_terminate_session(session_of(call), NGHTTP2_ENHANCE_YOUR_CALM);
        break;
    case IG_HTTP2_BUFFERS:
        if (!base->body_over && is_late(call, base->body.len))
            refuse(call, 408, "the request did not arrive in time");
        break;
    case IG_HTTP2_STREAMS:
        check_stream_input(call);
        break;
    case IG_HTTP2_MESSAGES:
        /* Nor is it between the messages of a streaming call. */
        if (base->body_over || call->working || call->run.finished ||
            (call->run.call.streaming && !base->body.len))
            call->since_ms = call->progress_ms = now;
        else if (is_late(call, base->body.len))
            ig_grpc_refuse(call, 408, "the message did not arrive in time");
        ig_grpc_check_time(call);
        break;
    case IG_HTTP2_DISCARDS:
        break;
    }
}

void ig_http2_call_check_time(struct ig_http2_call *call)
{
    const struct ig_http_server_options *options = ig_http2_options(call);
    uint64_t now = ig_http2_now_ms(call);
    if (!call->open) return;
    check_input(call);
    if (!call->answered || call->ended || call->deferred || !call->out_since_ms) return;
    if (now >= call->out_progress_ms + options->write_timeout_ms ||
        now >= call->out_since_ms + options->write_timeout_ms +
                   call->out_bytes * 1000 / options->client_bytes_per_s)
        ig_http2_call_reset(call, NGHTTP2_CANCEL);
}
