/* SPDX-License-Identifier: Apache-2.0 */
/* The way of a call:
 *
 *   on_request: begin -> source (Host, Origin) -> route -> scope -> class
 *     INLINE  body buffered, handler on the loop, which may go on in the pool (call->in_pool),
 *             behind the others of its loop's turn (call->at_turn_end), or where it is answered
 *             without a thread that waits (call->later)
 *     WORK    body buffered, handler in the pool
 *     STREAM  handler on a stream worker
 *   on_end: counters, decision log, references dropped
 *
 * A user's call that ig_access_begin left open is settled in a worker, with its body, before
 * the handler runs; one of a handler on the loop comes back there.
 *
 * Invariant: no handler runs before ig_access_begin, and ig_access_settle where that left it open,
 * said yes for its route. */
#include "api/front.h"

#include "api/access.h"
#include "api/gather.h"
#include "api/metrics.h"
#include "api/oip_settings.h"
#include "api/route.h"
#include "base/clock.h"
#include "base/log.h"

#include <stdio.h>

const char IG_FRONT_HEADERS[] = "X-Content-Type-Options: nosniff\r\n"
                                "X-Frame-Options: DENY\r\n"
                                "Referrer-Policy: no-referrer\r\n"
                                "Cache-Control: no-store\r\n"
                                "Content-Security-Policy: default-src 'none'\r\n";

static bool id_char(char c)
{
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '-' ||
           c == '_' || c == '.';
}

/* The client's X-Request-Id when it is harmless, else one of our own. */
static void name_request(struct ig_call *call)
{
    struct ig_str given = ig_http_header(&call->exchange->request, IG_STR("x-request-id"));
    bool good = given.len > 0 && given.len < IG_REQUEST_ID_SIZE;
    for (size_t i = 0; good && i < given.len; i++) good = id_char(given.ptr[i]);
    if (good) {
        snprintf(call->request_id, sizeof call->request_id, "%.*s", IG_STR_ARGS(given));
        return;
    }
    uint64_t number = ig_metrics_ticket(call->app->metrics, call->exchange->loop);
    uint64_t words[2] = {(uint64_t)call->app->started_ms, number};
    words[0] = ig_hash64(words, sizeof words);
    words[1] = number;
    ig_hex(call->request_id, (const unsigned char *)words, 12);
}

/* Who joins an address that ends in a slash with a path asks for "//path". */
static void drop_slashes(struct ig_str *path)
{
    while (path->len > 1 && path->ptr[0] == '/' && path->ptr[1] == '/')
        *path = (struct ig_str){path->ptr + 1, path->len - 1};
}

struct ig_call *ig_front_begin(struct ig_app *app, struct ig_exchange *exchange,
                               struct ig_arena *arena)
{
    struct ig_call *call = ig_arena_zalloc(arena, sizeof *call);
    if (!call) return NULL;
    call->exchange = exchange;
    call->arena = arena;
    call->app = app;
    call->err.at_byte = -1;
    call->started_ns = exchange->started_ns;
    drop_slashes(&exchange->request.path);
    name_request(call);
    return call;
}

/* Who names a workspace must not be answered from what is everybody's; so MLflow's server does
 * without workspaces, which its clients ask of server-info. */
static enum ig_code check_workspace(struct ig_call *call)
{
    if (call->route->need == IG_NEED_KEY || call->route->handler == ig_mlflow_server_info)
        return IG_OK;
    struct ig_str name = ig_http_header(&call->exchange->request, IG_STR("x-mlflow-workspace"));
    if (!ig_str_trim(name).len) return IG_OK;
    return ig_fail(&call->err, IG_DISABLED,
                   "Workspace APIs are not available: workspaces are not enabled on this server");
}

static enum ig_code admit(struct ig_call *call)
{
    char allow[64];
    struct ig_err ignored = IG_ERR_INIT;
    if (ig_access_check_source(call) != IG_OK) return call->err.code;
    enum ig_code code = ig_router_match(&call->route, call->app->router, call, allow);
    if (code != IG_OK) {
        if (code == IG_METHOD)
            ig_exchange_header(call->exchange, "Allow", ig_str_view(allow), &ignored);
        call->route = NULL;
        if (ig_access_check_known(call) == IG_OK) return code;
        ig_access_challenge(call);
        return call->err.code;
    }
    if (check_workspace(call) != IG_OK) return call->err.code;
    code = ig_access_begin(call);
    if (code == IG_UNAUTHENTICATED) ig_access_challenge(call);
    return code;
}

static void finish(struct ig_call *call, enum ig_code code)
{
    if (code == IG_OK && call->exchange->reply.overflowed)
        code = ig_fail(&call->err, IG_TOO_LARGE, "the answer exceeds the cap of a response");
    if (code == IG_OK && call->exchange->arena.overflowed)
        code = ig_fail(&call->err, IG_NO_MEMORY, "the call exceeds its memory");
    if (code == IG_OK) return;
    if (ig_code_http_status(code) >= 500) ig_log_err(IG_LOG_WARN, "call failed", &call->err);
    ig_call_reply_error(call);
}

void ig_front_answer(struct ig_call *call, enum ig_code code)
{
    finish(call, code);
    ig_exchange_answered_later(call->exchange);
}

/* A call that waited in the queue beyond its deadline is not begun: under overload the work goes
 * to those who still wait. */
static bool is_late(struct ig_call *call)
{
    uint64_t deadline_ns = call->exchange->deadline_ns;
    if (!deadline_ns || ig_clock_ns() <= deadline_ns) return false;
    ig_fail(&call->err, IG_DEADLINE, "the deadline passed before the call was begun");
    return true;
}

/* In a worker, before the handler. */
static enum ig_code settle(struct ig_call *call)
{
    if (is_late(call)) return call->err.code;
    enum ig_code code = ig_access_settle(call);
    if (code == IG_UNAUTHENTICATED) ig_access_challenge(call);
    return code;
}

static void run_handler(void *context, struct ig_exchange *exchange)
{
    (void)context;
    struct ig_call *call = exchange->user;
    finish(call, settle(call) == IG_OK ? call->route->handler(call) : call->err.code);
}

/* Of a call whose handler runs on the loop. */
static void settle_in_pool(void *context, struct ig_exchange *exchange)
{
    (void)context;
    struct ig_call *call = exchange->user;
    if (settle(call) == IG_OK)
        exchange->back = true;
    else
        finish(call, call->err.code);
}

static void run_in_pool(void *context, struct ig_exchange *exchange)
{
    (void)context;
    struct ig_call *call = exchange->user;
    enum ig_code code = is_late(call) ? call->err.code : call->in_pool(call);
    if (!exchange->again) finish(call, code);
}

static struct ig_http_decision on_request(void *context, struct ig_exchange *exchange)
{
    struct ig_call *call = ig_front_begin(context, exchange, &exchange->arena);
    exchange->user = call;
    if (!call) {
        exchange->status = 503;
        return (struct ig_http_decision){IG_HTTP_RESPOND, 0};
    }
    if (admit(call) != IG_OK) {
        ig_call_reply_error(call);
        return (struct ig_http_decision){IG_HTTP_RESPOND, 0};
    }
    exchange->work = run_handler;
    uint64_t cap = call->route->body_max_bytes;
    if (call->route->class == IG_ROUTE_STREAM)
        return (struct ig_http_decision){
            IG_HTTP_STREAM, cap > call->app->blob_max_bytes ? call->app->blob_max_bytes : cap};
    return (struct ig_http_decision){IG_HTTP_BUFFER, cap};
}

static enum ig_http_next on_body(void *context, struct ig_exchange *exchange)
{
    (void)context;
    struct ig_call *call = exchange->user;
    if (call->route->class == IG_ROUTE_WORK) return IG_HTTP_TO_POOL;
    if (ig_access_is_open(call)) {
        exchange->work = settle_in_pool;
        return IG_HTTP_TO_POOL;
    }
    call->may_wait = call->app->gather != NULL;
    enum ig_code code = call->route->handler(call);
    if (code == IG_OK && call->later) return IG_HTTP_LATER;
    if (code == IG_OK && call->at_turn_end) return IG_HTTP_AT_TURN_END;
    if (code == IG_OK && call->in_pool) {
        exchange->work = run_in_pool;
        return IG_HTTP_TO_POOL;
    }
    finish(call, code);
    return IG_HTTP_DONE;
}

static void on_turn_end(void *context, unsigned loop)
{
    struct ig_app *app = context;
    struct ig_call *next;
    for (struct ig_call *call = ig_gather_take(app->gather, loop); call; call = next) {
        next = call->next;
        struct ig_exchange *exchange = call->exchange;
        enum ig_code code = call->at_turn_end(call);
        if (call->finish)
            call->finish(call);
        else
            finish(call, code);
        ig_exchange_answered(exchange);
    }
}

static void log_decisions(struct ig_call *call, uint64_t duration_ns)
{
    for (size_t i = 0; i < call->decisions_count; i++) {
        struct ig_decision *decision = &call->decisions[i];
        decision->at_ms = ig_clock_unix_ms();
        decision->latency_ns = duration_ns;
        decision->status = (uint16_t)call->exchange->status;
        decision->request_id = ig_str_view(call->request_id);
        decision->principal = ig_str_view(call->who.id);
        ig_decision_log_put(call->app->decisions, call->exchange->loop, decision);
    }
}

static uint64_t rows_of(const struct ig_call *call)
{
    uint64_t rows = 0;
    for (size_t i = 0; i < call->decisions_count; i++) rows += call->decisions[i].rows;
    return rows;
}

void ig_front_log_call(const struct ig_exchange *exchange, int status, struct ig_str request_id)
{
    if (!ig_log_is_on(IG_LOG_DEBUG)) return;
    ig_log(IG_LOG_DEBUG, "call", IG_LOG_S("method", exchange->request.method),
           IG_LOG_S("path", exchange->request.path), IG_LOG_I("status", status),
           IG_LOG_I("us", (int64_t)((ig_clock_ns() - exchange->started_ns) / 1000)),
           IG_LOG_S("request_id", request_id));
}

static void on_end(void *context, struct ig_exchange *exchange)
{
    struct ig_app *app = context;
    struct ig_call *call = exchange->user;
    if (!call) return;
    uint64_t duration_ns = ig_clock_ns() - exchange->started_ns;
    ig_metrics_count(app->metrics, call, duration_ns, rows_of(call));
    if (app->decisions) log_decisions(call, duration_ns);
    ig_oip_trace_note(call, "HTTP_RECV", "HTTP_SEND");
    ig_front_log_call(exchange, exchange->status, ig_str_view(call->request_id));
    ig_call_release(call);
}

static const char *format_error(void *context, int status, const char *reason, struct ig_str path,
                                struct ig_buf *reply)
{
    (void)context;
    struct ig_err err = IG_ERR_INIT;
    ig_fail(&err, ig_call_code_of_status(status), "%s", reason);
    if (ig_call_is_kserve(path))
        ig_call_write_kserve_error(reply, &err);
    else
        ig_call_write_error(reply, &err, NULL, IG_STR(""));
    return "application/json";
}

struct ig_http_handler ig_front_handler(struct ig_app *app)
{
    return (struct ig_http_handler){app, on_request, on_body, on_turn_end, on_end, format_error};
}
