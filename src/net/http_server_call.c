/* SPDX-License-Identifier: Apache-2.0 */
/* Calls: the buffers and the exchange of one request, kept in a free list of their loop.
 *
 * A connection holds a call from its first byte until it falls idle, so idle connections cost a few
 * hundred bytes and the warm path allocates nothing. A call keeps its buffers between requests
 * unless they grew beyond KEEP_BYTES. Thread rule: the loop's thread, except the in-flight budget.
 */
#include "net/http_server_priv.h"

#include "base/mem.h"

enum {
    KEEP_BYTES = 128 * 1024,
    ARENA_CHUNK_BYTES = 16 * 1024,
    EXTRA_MAX_BYTES = 32 * 1024,
    OUT_MAX_BYTES = 512 * 1024
};

struct ig_http_call *ig_http_call_get(struct ig_http_loop *home)
{
    const struct ig_http_server_options *options = &home->server->options;
    struct ig_http_call *call = home->free_calls;
    if (call) {
        home->free_calls = call->next_free;
        home->free_calls_count--;
        call->next_free = NULL;
        return call;
    }
    call = ig_zalloc(sizeof *call);
    if (!call) return NULL;
    call->in_cap = options->head_max_bytes + IG_HTTP_IN_BYTES;
    call->in = ig_alloc(call->in_cap);
    if (ig_http_call_init(call, home) && call->in) return call;
    ig_http_call_free(call);
    return NULL;
}

bool ig_http_call_init(struct ig_http_call *call, struct ig_http_loop *home)
{
    const struct ig_http_server_options *options = &home->server->options;
    call->headers = ig_zalloc_array(options->headers_max, sizeof *call->headers);
    ig_arena_init(&call->exchange.arena, ARENA_CHUNK_BYTES, options->arena_max_bytes);
    ig_buf_init(&call->exchange.reply, options->reply_max_bytes);
    ig_buf_init(&call->body, SIZE_MAX / 2);
    ig_buf_init(&call->extra, EXTRA_MAX_BYTES);
    ig_buf_init(&call->trailers, EXTRA_MAX_BYTES);
    ig_buf_init(&call->out, OUT_MAX_BYTES);
    call->exchange.loop = home->index;
    ig_http_call_reset(call);
    return call->headers != NULL;
}

void ig_http_call_deinit(struct ig_http_call *call)
{
    ig_arena_deinit(&call->exchange.arena);
    ig_buf_deinit(&call->exchange.reply);
    ig_buf_deinit(&call->body);
    ig_buf_deinit(&call->extra);
    ig_buf_deinit(&call->trailers);
    ig_buf_deinit(&call->out);
    ig_free(call->headers);
}

void ig_http_call_free(struct ig_http_call *call)
{
    if (!call) return;
    ig_http_call_deinit(call);
    ig_free(call->in);
    ig_free(call);
}

static void reset_buf(struct ig_buf *buf)
{
    if (buf->cap > KEEP_BYTES)
        ig_buf_deinit(buf);
    else
        ig_buf_reset(buf);
}

void ig_http_call_reset(struct ig_http_call *call)
{
    struct ig_exchange *exchange = &call->exchange;
    ig_arena_reset(&exchange->arena);
    reset_buf(&exchange->reply);
    reset_buf(&call->body);
    ig_buf_reset(&call->extra);
    ig_buf_reset(&call->trailers);
    exchange->request = (struct ig_http_request){0};
    exchange->body = (struct ig_str){0};
    exchange->status = 200;
    exchange->content_type = NULL;
    exchange->close = false;
    exchange->started_ns = exchange->deadline_ns = 0;
    exchange->body_bytes = exchange->sent_bytes = 0;
    exchange->aborted = false;
    exchange->work = NULL;
    exchange->pool = NULL;
    exchange->again = false;
    exchange->back = false;
    exchange->user = NULL;
    call->scan = (struct ig_http1_scan){0};
    call->chunked = (struct ig_http1_chunked){0};
    call->upgrade = NULL;
    call->body_left = 0;
    call->body_over = true;
    call->begun = false;
    call->skipped_line = call->input_failed = false;
    call->stream_bytes = 0;
    call->tail = (struct ig_str){0};
    call->keep = 0;
    if (call->in_at == call->in_len) call->in_at = call->in_len = 0;
    atomic_store_explicit(&call->gone, false, memory_order_relaxed);
}

void ig_http_call_put(struct ig_http_loop *home, struct ig_http_call *call)
{
    call->in_at = call->in_len = 0;
    ig_http_call_reset(call);
    ig_buf_reset(&call->out);
    call->out_at = 0;
    call->last = call->linger = false;
    call->conn = NULL;
    if (home->free_calls_count >= IG_HTTP_CALLS_KEPT) {
        ig_http_call_free(call);
        return;
    }
    call->next_free = home->free_calls;
    home->free_calls = call;
    home->free_calls_count++;
}

bool ig_http_call_reserve(struct ig_http_call *call, size_t more)
{
    struct ig_http_server *server = call->conn->home->server;
    uint64_t before = atomic_fetch_add(&server->inflight_bytes, more);
    if (more > server->options.inflight_max_bytes ||
        before > server->options.inflight_max_bytes - more) {
        atomic_fetch_sub(&server->inflight_bytes, more);
        return false;
    }
    call->reserved_bytes += more;
    return true;
}

void ig_http_call_release(struct ig_http_call *call)
{
    if (!call->reserved_bytes) return;
    atomic_fetch_sub(&call->conn->home->server->inflight_bytes, call->reserved_bytes);
    call->reserved_bytes = 0;
}
