/* SPDX-License-Identifier: Apache-2.0 */
/* Responses: heads, the date line, whole replies, and the server's own errors.
 *
 * Invariants: 1. a head is never written with both Content-Length and Transfer-Encoding. 2. Replies
 * to HEAD, 204 and 304 have no body bytes. 3. Nothing from a client reaches a head without the
 * check of ig_exchange_header. Thread rule: the owner of the call; ig_http_reply_head may run on a
 * stream's worker. */
#include "net/http_server_priv.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

void ig_http_reply_format_date(char date[IG_HTTP_DATE_SIZE], int64_t unix_s)
{
    static const char DAYS[] = "SunMonTueWedThuFriSat";
    static const char MONTHS[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
    time_t seconds = (time_t)unix_s;
    struct tm t;
    gmtime_r(&seconds, &t);
    snprintf(date, IG_HTTP_DATE_SIZE, "Date: %.3s, %02d %.3s %04d %02d:%02d:%02d GMT\r\n",
             DAYS + (ptrdiff_t)3 * t.tm_wday, t.tm_mday % 100, MONTHS + (ptrdiff_t)3 * t.tm_mon,
             (t.tm_year + 1900) % 10000, t.tm_hour % 100, t.tm_min % 100, t.tm_sec % 100);
}

const char *ig_http_reply_date(struct ig_http_loop *home)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME_COARSE, &now);
    if (home->date_second != now.tv_sec) {
        home->date_second = now.tv_sec;
        ig_http_reply_format_date(home->date, now.tv_sec);
    }
    return home->date;
}

bool ig_http_reply_has_body(const struct ig_http_call *call)
{
    int status = call->exchange.status;
    return status >= 200 && status != 204 && status != 304 &&
           !ig_str_is(call->exchange.request.method, "HEAD");
}

static void add_status_line(struct ig_buf *out, int status)
{
    if (status == 200) {
        ig_buf_add_str(out, IG_STR("HTTP/1.1 200 OK\r\n"));
        return;
    }
    ig_buf_printf(out, "HTTP/1.1 %d %s\r\n", status, ig_http_reason(status));
}

void ig_http_reply_head(struct ig_buf *out, struct ig_http_call *call, int64_t length,
                        const char *date)
{
    const struct ig_exchange *exchange = &call->exchange;
    const struct ig_http_server *server = call->conn->home->server;
    add_status_line(out, exchange->status);
    ig_buf_add_cstr(out, date);
    ig_buf_add_str(out, server->extra_headers);
    ig_buf_add(out, call->extra.ptr, call->extra.len);
    struct ig_str type = ig_str_view(exchange->content_type);
    if (!ig_http_field_value_valid(type)) type = IG_STR("application/octet-stream");
    if (type.len) {
        ig_buf_add_str(out, IG_STR("Content-Type: "));
        ig_buf_add_str(out, type);
        ig_buf_add_str(out, IG_STR("\r\n"));
    }
    if (length >= 0) {
        ig_buf_add_str(out, IG_STR("Content-Length: "));
        ig_buf_add_u64(out, (uint64_t)length);
        ig_buf_add_str(out, IG_STR("\r\n"));
    } else if (length == IG_HTTP_LENGTH_CHUNKED) {
        ig_buf_add_str(out, IG_STR("Transfer-Encoding: chunked\r\n"));
    }
    if (call->last)
        ig_buf_add_str(out, IG_STR("Connection: close\r\n"));
    else if (exchange->request.minor_version == 0)
        ig_buf_add_str(out, IG_STR("Connection: keep-alive\r\n"));
    ig_buf_add_str(out, IG_STR("\r\n"));
}

void ig_http_reply_settle(struct ig_http_call *call)
{
    struct ig_exchange *exchange = &call->exchange;
    if (exchange->reply.overflowed || call->extra.overflowed)
        ig_http_reply_error(call, 500, "the response exceeds its cap or memory is out");
    bool large = exchange->reply.len > IG_HTTP_REPLY_COPY_BYTES;
    if (large && !ig_http_call_reserve(call, exchange->reply.len))
        ig_http_reply_error(call, 503, "too many response bytes are in flight");
    if (exchange->status < 200 || exchange->status > 599)
        ig_http_reply_error(call, 500, "the handler gave no valid status");
}

void ig_http_reply_queue(struct ig_http_call *call)
{
    struct ig_exchange *exchange = &call->exchange;
    ig_http_reply_settle(call);
    if (exchange->close || call->conn->home->draining || !exchange->request.keep_alive)
        call->last = true;
    bool bare = exchange->status == 204 || exchange->status == 304;
    int64_t length = bare ? IG_HTTP_LENGTH_NONE : (int64_t)exchange->reply.len;
    ig_http_reply_head(&call->out, call, length, ig_http_reply_date(call->conn->home));
    if (!ig_http_reply_has_body(call)) return;
    exchange->sent_bytes = exchange->reply.len;
    if (exchange->reply.len <= IG_HTTP_REPLY_COPY_BYTES)
        ig_buf_add(&call->out, exchange->reply.ptr, exchange->reply.len);
    else
        call->tail = ig_buf_view(&exchange->reply);
}

void ig_http_reply_error(struct ig_http_call *call, int status, const char *reason)
{
    struct ig_exchange *exchange = &call->exchange;
    const struct ig_http_handler *handler = &call->conn->home->server->options.handler;
    ig_http_count(&call->conn->home->counters.refused, 1);
    exchange->status = status;
    exchange->content_type = "text/plain; charset=utf-8";
    ig_buf_reset(&call->extra);
    ig_buf_reset(&call->trailers);
    ig_buf_reset(&exchange->reply);
    if (status == 503 || status == 429) ig_buf_add_cstr(&call->extra, "Retry-After: 1\r\n");
    if (handler->format_error) {
        struct ig_str path = exchange->request.path;
        exchange->content_type = handler->format_error(
            handler->context, status, reason, path.ptr ? path : IG_STR(""), &exchange->reply);
    } else {
        ig_buf_printf(&exchange->reply, "%s\n", reason);
    }
    if (exchange->reply.overflowed) ig_buf_reset(&exchange->reply);
    if (call->extra.overflowed) ig_buf_reset(&call->extra);
}

static enum ig_code add_field(struct ig_buf *fields, const char *name, struct ig_str value,
                              struct ig_err *err)
{
    if (!ig_http_token_valid(ig_str_view(name)))
        return ig_fail(err, IG_INVALID, "response header name '%s' is not a token", name);
    if (!ig_http_field_value_valid(value))
        return ig_fail(err, IG_INVALID, "response header '%s' holds a control byte", name);
    ig_buf_add_cstr(fields, name);
    ig_buf_add_str(fields, IG_STR(": "));
    ig_buf_add_str(fields, value);
    ig_buf_add_str(fields, IG_STR("\r\n"));
    if (fields->overflowed)
        return ig_fail(err, IG_TOO_LARGE, "response header '%s' exceeds the cap of all", name);
    return IG_OK;
}

enum ig_code ig_exchange_header(struct ig_exchange *exchange, const char *name, struct ig_str value,
                                struct ig_err *err)
{
    return add_field(&ig_http_call_of(exchange)->extra, name, value, err);
}

enum ig_code ig_exchange_trailer(struct ig_exchange *exchange, const char *name,
                                 struct ig_str value, struct ig_err *err)
{
    return add_field(&ig_http_call_of(exchange)->trailers, name, value, err);
}
