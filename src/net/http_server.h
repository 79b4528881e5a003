/* SPDX-License-Identifier: Apache-2.0 */
#ifndef IG_NET_HTTP_SERVER_H
#define IG_NET_HTTP_SERVER_H

/* HTTP server: one epoll loop a core, nothing shared between loops, plus two bounded pools for what
 * must not run on a loop. One port speaks HTTP/1.1, HTTP/2 (over TLS by ALPN, without it on a
 * connection that opens with the preface of RFC 9113 or asks for it by Upgrade, RFC 7540 section
 * 3.2) and gRPC (net/grpc.h). It knows no domain.
 *
 * The way of an exchange (one request and its response):
 *   head parsed -> on_request (loop) -> one of
 *     IG_HTTP_RESPOND  the response is in the exchange; the body is not read
 *     IG_HTTP_BUFFER   whole body in memory -> on_body (loop) -> IG_HTTP_DONE, or IG_HTTP_TO_POOL:
 *                      exchange->work runs in the worker pool, then the loop answers, or
 *                      IG_HTTP_LATER: whoever the handler told calls ig_exchange_answered_later
 *     IG_HTTP_STREAM   exchange->work runs at once on a stream worker and may block in
 *                      ig_exchange_read and ig_exchange_write
 *   -> response written -> on_end (loop).
 * An exchange of HTTP/2 goes the same way; those of one connection are in flight side by side and
 * answered in any order.
 *
 * Ownership and threads: an exchange belongs to whoever runs a callback for it: the loop, or the
 * worker from the hand-off until `work` returns. Nothing else may touch it. It is reused for the
 * next request, so nothing of it may be kept after on_end. on_request, on_body, on_end and
 * format_error must not block. on_end is called exactly once for every on_request.
 *
 * A loop turn ends between any two callbacks: a pointer to shared state guarded by quiescence may
 * be kept only within one callback; take a reference before IG_HTTP_TO_POOL or in `work`. */

#include "net/http1.h"

struct ig_http_server;
struct ig_grpc_service;
struct ig_pool;
struct ig_tls;

struct ig_exchange {
    struct ig_arena arena; /* the call's memory; reset behind on_end */
    struct ig_http_request request;
    struct ig_str body; /* the request's, when buffered; empty otherwise */

    int status;               /* of the response; 200 at the start */
    const char *content_type; /* or NULL; outlives the exchange or lives in its arena */
    struct ig_buf reply;      /* the response's body */
    bool close;               /* set to close the connection behind this response; on HTTP/2, behind
                                 those in flight */

    uint64_t started_ns;  /* ig_clock_ns when its head was complete */
    uint64_t deadline_ns; /* ig_clock_ns; blocking calls fail with DEADLINE behind it; may be
                             moved in callbacks */
    uint64_t body_bytes;  /* request body bytes received so far */
    uint64_t sent_bytes;  /* response body bytes handed over so far (on_end: all) */
    bool aborted;         /* valid in on_end: the response did not reach the socket whole */
    unsigned loop;        /* index of the loop it arrived on; for per-loop counters */
    bool turn_is_ending;  /* in on_body and gRPC's callbacks: AT_TURN_END may be that of the next
                             turn, so what is good for this one alone has to be held */

    void (*work)(void *context, struct ig_exchange *exchange); /* for IG_HTTP_TO_POOL, _STREAM */
    struct ig_pool *pool; /* of IG_HTTP_TO_POOL, instead of the server's; NULL at the start. It
                             lives until on_end */
    bool again;           /* set by `work` of a buffered call: it is to be called once more, in
                             `pool`; where that is full, at once, with `pool` NULL */
    bool back;            /* set by `work` of a buffered call: on_body is to be called once more, on
                             the loop */
    void *user;           /* the handler's own; NULL at the start of each exchange */
};

enum { IG_HTTP_PORTS_MAX = 8 };

enum ig_http_mode { IG_HTTP_RESPOND, IG_HTTP_BUFFER, IG_HTTP_STREAM };
enum ig_http_next { IG_HTTP_DONE, IG_HTTP_TO_POOL, IG_HTTP_AT_TURN_END, IG_HTTP_LATER };

struct ig_http_decision {
    enum ig_http_mode mode;
    uint64_t body_max_bytes; /* BUFFER, STREAM: over it 413, before it is read where declared */
};

struct ig_http_handler {
    void *context; /* first argument of each */
    struct ig_http_decision (*on_request)(void *context, struct ig_exchange *exchange);
    enum ig_http_next (*on_body)(void *context, struct ig_exchange *exchange);
    /* At the end of a loop's turn in which on_body, or a gRPC service's callback, gave AT_TURN_END:
     * those exchanges, of which there may be many, are to be answered, and each told by
     * ig_exchange_answered. */
    void (*on_turn_end)(void *context, unsigned loop);
    void (*on_end)(void *context, struct ig_exchange *exchange); /* may be NULL */
    /* Body of a response that the server itself makes (400, 408, 413, 503...): fills `reply` and
     * returns its content type. NULL: plain text. `path` is the request's, empty while its head is
     * not read. */
    const char *(*format_error)(void *context, int status, const char *reason, struct ig_str path,
                                struct ig_buf *reply);
};

struct ig_http_server_options {
    const char *host;           /* numeric address or "localhost"; NULL: 127.0.0.1 */
    uint16_t port;              /* 0: any free one, see ig_http_server_port */
    const uint16_t *more_ports; /* of the same address, besides that one; borrowed by start */
    unsigned more_ports_count;  /* at most IG_HTTP_PORTS_MAX - 1 */
    unsigned loops;             /* 0: one a core, at most 8 */
    unsigned workers;           /* 0: one a core, at least 2 */
    unsigned workers_queue;     /* calls waiting for a worker; 0: 1024 */
    unsigned stream_workers;    /* 0: 32; one is taken for the whole of a stream */

    unsigned connections_max;    /* over all loops; 0: 10,000; over it: 503 and close */
    size_t head_max_bytes;       /* 0: 24 KiB */
    size_t target_max_bytes;     /* 0: 16 KiB */
    unsigned headers_max;        /* 0: 64 */
    size_t reply_max_bytes;      /* of exchange->reply; 0: 64 MiB */
    size_t arena_max_bytes;      /* of exchange->arena; 0: 64 MiB */
    uint64_t inflight_max_bytes; /* bodies in memory over all exchanges, both ways; 0: 1 GiB; over
                                    it: 503 with Retry-After */
    size_t stream_ring_bytes;    /* each way; a power of two; 0: 256 KiB */

    unsigned head_timeout_ms;    /* first byte to whole head; 0: 10,000 */
    unsigned idle_timeout_ms;    /* between requests; 0: 60,000 */
    unsigned body_timeout_ms;    /* longest pause while a body is awaited; 0: 20,000 */
    unsigned write_timeout_ms;   /* longest pause of a client that takes nothing; 0: 30,000 */
    unsigned client_bytes_per_s; /* least mean rate behind these two, each way; 0: 512 */
    unsigned call_timeout_ms;    /* sets deadline_ns of buffered calls; 0: 60,000 */
    unsigned stream_timeout_ms;  /* sets deadline_ns of streams; 0: 3,600,000 */

    unsigned http2_streams_max;         /* at once on a connection; 0: 100 */
    uint64_t http2_connection_bytes;    /* bodies in memory of one, both ways; 0: 256 MiB */
    const struct ig_grpc_service *grpc; /* services of gRPC, which outlive the server; or NULL */
    unsigned grpc_count;

    struct ig_tls *tls;          /* TLS alone is spoken; outlives the server; or NULL */
    unsigned tls_handshakes_max; /* under way over all loops; 0: 1024; over it: closed */

    const char *extra_headers; /* sent with every response: "Name: value\r\n..." ; or NULL */
    struct ig_http_handler handler;
};

/* Listens and serves when it returns. Errors: INVALID (host), EXISTS (address in use), DENIED, IO,
 * NO_MEMORY. */
enum ig_code ig_http_server_start(struct ig_http_server **out,
                                  const struct ig_http_server_options *options, struct ig_err *err);
uint16_t ig_http_server_port(const struct ig_http_server *server);
/* Stops accepting, answers with Connection: close, closes idle connections, waits at most drain_ms
 * for exchanges in flight (then cuts them) and joins all threads. Returns the number of exchanges
 * that were cut. Once; not from a callback. */
unsigned ig_http_server_stop(struct ig_http_server *server, unsigned drain_ms);
/* Frees a server that was stopped. NULL is allowed. */
void ig_http_server_free(struct ig_http_server *server);
/* Returns once every loop has finished the turn it was in: what loops could see before the call,
 * and no longer can, may be freed. Blocks; never from a loop's callback. From any thread until
 * ig_http_server_free; behind ig_http_server_stop it returns at once. The signature fits
 * void (*)(void *). */
void ig_http_server_wait_quiescent(void *server);

/* Response headers. Values with control bytes and bad names are refused (INVALID): nothing can be
 * injected. Content-Length, Transfer-Encoding, Connection, Date and Content-Type are the server's.
 */
enum ig_code ig_exchange_header(struct ig_exchange *exchange, const char *name, struct ig_str value,
                                struct ig_err *err);

/* The same for a trailer, sent behind the body on HTTP/2 and left out on HTTP/1. In a stream until
 * `work` returns. */
enum ig_code ig_exchange_trailer(struct ig_exchange *exchange, const char *name,
                                 struct ig_str value, struct ig_err *err);

/* Streams: only from `work` of IG_HTTP_STREAM. All block, and fail with CANCELLED (the client went
 * away, or the server is being cut), TIMEOUT (the client is too slow) or DEADLINE; a failed end
 * stays failed. */

enum { IG_HTTP_CHUNKED = -1 };

/* > 0 bytes of the request's body, 0 at its end, -1 with err set (also PARSE for bad chunks,
 * TOO_LARGE over body_max_bytes). The signature fits ig_read_fn. */
int64_t ig_exchange_read(void *exchange, void *bytes, size_t size_bytes, struct ig_err *err);
/* Sends the head from status, content_type and headers. `length` bytes must follow, or
 * IG_HTTP_CHUNKED. Without it, the response is exchange->reply when `work` returns. */
enum ig_code ig_exchange_begin(struct ig_exchange *exchange, int64_t length, struct ig_err *err);
/* Takes all bytes before it returns. Behind HEAD and 204, 304 they are dropped. */
enum ig_code ig_exchange_write(struct ig_exchange *exchange, const void *bytes, size_t size_bytes,
                               struct ig_err *err);
/* Behind ig_exchange_begin: the response cannot be completed; the connection is cut so that the
 * client notices. Fewer bytes than promised do the same. */
void ig_exchange_abort(struct ig_exchange *exchange);
/* Whether the client is gone or the deadline has passed; from any kind of `work`. A client that
 * half-closes counts as gone once its request was read. */
bool ig_exchange_cancelled(const struct ig_exchange *exchange);
/* On its loop, of one that AT_TURN_END was given for: the reply is whole. It is gone then. */
void ig_exchange_answered(struct ig_exchange *exchange);
/* From any thread, of one that LATER is or is about to be given for: the reply is whole. It is gone
 * then. The call has to have returned before ig_http_server_free. */
void ig_exchange_answered_later(struct ig_exchange *exchange);

/* Sums over the loops; each value is read without a lock. */
struct ig_http_stats {
    uint64_t connections_accepted, connections_open, connections_refused;
    uint64_t requests, responses_1xx_5xx[6]; /* index: status / 100 */
    uint64_t requests_refused;               /* by the server itself: syntax, caps, timeouts */
    uint64_t received_bytes, sent_bytes;
    uint64_t inflight_bytes, streams_active, workers_queued;
    uint64_t tls_handshakes, tls_failed; /* done, and broken off */
};
void ig_http_server_stats(struct ig_http_server *server, struct ig_http_stats *stats);

#endif
