/* SPDX-License-Identifier: Apache-2.0 */
#ifndef IG_NET_HTTP_SERVER_PRIV_H
#define IG_NET_HTTP_SERVER_PRIV_H

/* Internals shared by the http_server_*.c files: a connection, the call that it is working on, and
 * the loop that both belong to. */

#include "net/http2_pool.h"
#include "net/http_server.h"
#include "net/loop.h"
#include "net/tls.h"

#include "base/thread.h"

#include <pthread.h>
#include <stdatomic.h>
#include <sys/uio.h>

enum {
    IG_HTTP_IN_BYTES = 48 * 1024,         /* of the input buffer beyond the longest head */
    IG_HTTP_REPLY_COPY_BYTES = 32 * 1024, /* replies up to this are queued by copying */
    IG_HTTP_OUT_HIGH_BYTES = 64 * 1024,   /* queued output at which no request is begun */
    IG_HTTP2_WINDOW_MIN_BYTES = 65536,    /* a client may send that much before it knows of ours */
    IG_HTTP_CALLS_KEPT = 64,              /* free calls a loop keeps */
    IG_HTTP2_CALLS_KEPT = 128, /* of HTTP/2: what waits for a turn's end, and a connection more */
    IG_HTTP_PEER_SIZE = 64,
    IG_HTTP_DATE_SIZE = 48
};

/* Where a connection stands; see the diagram in http_server_state.c. */
enum ig_http_state {
    IG_HTTP_AT_HEAD,
    IG_HTTP_AT_BODY,
    IG_HTTP_AT_POOL,
    IG_HTTP_AT_STREAM,
    IG_HTTP_AT_REPLY,
    IG_HTTP_AT_SKIP,
    IG_HTTP_AT_CLOSE,
    IG_HTTP_AT_LINGER,
    IG_HTTP_AT_HTTP2 /* its streams have states of their own, see http2.c */
};

enum ig_http_step {
    IG_HTTP_STEP_AGAIN, /* the state changed or consumed input: look again */
    IG_HTTP_STEP_INPUT, /* needs more bytes */
    IG_HTTP_STEP_WAIT,  /* needs output to drain or a worker to end */
    IG_HTTP_STEP_CLOSE,
    IG_HTTP_STEP_HTTP2 /* the connection opens with the preface of HTTP/2, or goes on in it */
};

struct ig_http_loop;
struct ig_http_call;
struct ig_http2;
struct ig_http2_call;

struct ig_http_conn {
    struct ig_loop_source source; /* first */
    struct ig_loop_timer timer;
    struct ig_loop_task again; /* deferred: go on, or be freed */
    struct ig_http_loop *home;
    struct ig_http_conn *previous, *next; /* in home->conns */
    struct ig_http_call *call;            /* NULL while idle, and on HTTP/2 */
    struct ig_http2 *http2;               /* NULL on HTTP/1 */
    /* > 0 bytes, 0 end of file (read only), or -errno. Less than was asked for: no more is there
     * now, unless half_closed or `more`. */
    int64_t (*read)(struct ig_http_conn *conn, void *bytes, size_t size_bytes);
    int64_t (*writev)(struct ig_http_conn *conn, const struct iovec *parts, int count);
    struct ig_tls_session *tls; /* NULL without TLS, and before the first byte */
    int fd;                     /* -1: in memory, or closed */
    enum ig_tls_protocol protocol;
    enum ig_http_state state;
    bool readable, writable;
    bool half_closed;      /* the peer will send no more */
    bool more;             /* the last read stopped on its own */
    bool blocked;          /* output waits for the socket */
    bool wants_input;      /* rests until the peer sends */
    bool queued;           /* `again` is deferred */
    bool dead;             /* closed; waits to be freed */
    bool working;          /* a worker holds the call */
    bool served;           /* has answered a request */
    bool is_loopback;      /* of the peer */
    bool handshaking;      /* counts in server->handshakes */
    bool wants_tls;        /* speaks HTTP where TLS is spoken */
    bool finished;         /* the peer was told that no more comes */
    uint64_t since_ms;     /* when the head or body that is awaited began */
    uint64_t progress_ms;  /* last bytes moved */
    uint64_t wrote_ms;     /* last output, or none was pending */
    uint64_t out_since_ms; /* since when output has been waiting without a break; 0: none does */
    uint64_t out_bytes;    /* taken since then */
    uint64_t paused_ms;    /* since when input is not wanted; 0 while it is */
    char peer[IG_HTTP_PEER_SIZE];
};

/* Bytes head..tail are in it; both only grow. Guarded by the stream's lock, except the bytes. */
struct ig_http_ring {
    char *bytes;
    size_t size_bytes; /* a power of two */
    uint64_t head, tail;
};

struct ig_http_stream {
    pthread_mutex_t lock;
    pthread_cond_t changed; /* waited on by the worker alone */
    struct ig_http_ring in, out;
    enum ig_code failed; /* why blocking calls fail; IG_OK while they do not */
    bool in_over;        /* no more body will come */
    bool in_wanted;      /* the loop waits for room in `in` */
    bool wake_posted;
    bool head_ready;  /* HTTP/2: call->out holds the response's head */
    bool windowed;    /* HTTP/2: the client's window is `in`; what is read is granted again */
    uint64_t granted; /* position of `in` up to which it was */
    /* The worker's own; read by the loop when the worker is done. */
    bool begun, chunked, silent, cut;
    uint64_t promised_bytes, written_bytes;
};

struct ig_http_call {
    struct ig_exchange exchange; /* first */
    struct ig_http_conn *conn;
    struct ig_http_call *next_free;
    struct ig_http_header *headers;
    struct ig_http1_scan scan;
    struct ig_http1_chunked chunked;
    const struct ig_http1_upgrade *upgrade; /* the request is one of HTTP/2; or NULL */
    char *in; /* input bytes: the head at [0, keep), unread ones at [in_at, in_len) */
    size_t in_at, in_len, in_cap, keep;
    uint64_t body_left; /* of a body with Content-Length: not yet consumed */
    uint64_t body_max_bytes;
    bool body_over; /* the request's body is consumed whole */
    bool begun;     /* on_request was called: on_end is owed */
    bool last;      /* the connection closes behind this response */
    bool linger;    /* then first reads what the client still sends */
    bool skipped_line;
    bool input_failed;      /* of a stream: its body can not be read on */
    uint64_t stream_bytes;  /* of a stream: body bytes received */
    uint64_t skip_left;     /* body bytes that may still be discarded */
    struct ig_buf body;     /* a buffered body that does not fit into `in` */
    size_t reserved_bytes;  /* of the server's in-flight budget */
    struct ig_buf extra;    /* response headers of the handler */
    struct ig_buf trailers; /* and its trailers, in the same form */
    struct ig_buf out;      /* queued output; out_at of it are written */
    size_t out_at;
    struct ig_str tail; /* of a large reply: what is to follow `out` */
    struct ig_http_stream *stream;
    struct ig_loop_task done, wake; /* posted by workers */
    _Atomic bool gone;              /* the client went away */
};

/* Written by the loop alone, read by anyone. */
struct ig_http_counters {
    _Atomic uint64_t accepted, closed, refused_connections;
    _Atomic uint64_t requests, responses[6], refused;
    _Atomic uint64_t received_bytes, sent_bytes;
    _Atomic uint64_t tls_handshakes, tls_failed;
};

struct ig_http_listener {
    struct ig_loop_source source; /* first; see http_server.c */
    struct ig_http_loop *home;
    int fd; /* -1: not listening (any more) */
};

struct ig_http_loop {
    struct ig_http_server *server;
    struct ig_loop *loop;
    struct ig_http_listener listeners[IG_HTTP_PORTS_MAX];
    struct ig_loop_timer accept_pause;
    struct ig_loop_task drain, cut, turn_end;
    bool turn_end_queued;
    unsigned index;
    uint64_t thread;
    _Atomic bool draining;
    unsigned cut_count;
    struct ig_http_conn *conns;
    struct ig_http_call *free_calls;
    unsigned free_calls_count;
    struct ig_http2_call *free_streams; /* of HTTP/2 */
    unsigned free_streams_count;
    struct ig_http2_pool http2_pool; /* made when first needed */
    char *http2_in;                  /* scratch of a read, made when first needed */
    struct ig_buf http2_out;         /* scratch of a write */
    char *tls_out;                   /* scratch of a record, made when first needed */
    int64_t date_second;
    char date[IG_HTTP_DATE_SIZE]; /* "Date: ...\r\n" */
    struct ig_http_counters counters;
};

struct ig_http_server {
    struct ig_http_server_options options; /* every default filled in */
    struct ig_http1_limits limits;
    struct ig_str extra_headers;
    struct ig_pool *workers, *streams;
    uint16_t port;
    struct ig_http_loop *loops;
    unsigned loops_count, loops_running;
    pthread_mutex_t lock; /* of loops_running */
    pthread_cond_t stopped;
    _Atomic uint64_t inflight_bytes;
    _Atomic unsigned streams_active, connections_open, handshakes;
    /* Runs a call on a worker; false when there is no room. */
    bool (*submit)(struct ig_http_server *server, struct ig_http_call *call, bool stream);
};

static inline void ig_http_count(_Atomic uint64_t *counter, uint64_t more)
{
    uint64_t now = atomic_load_explicit(counter, memory_order_relaxed);
    atomic_store_explicit(counter, now + more, memory_order_relaxed);
}

/* Whether queued output waits; a stream's ring aside. */
static inline bool ig_http_call_pending(const struct ig_http_call *call)
{
    return call->out.len > call->out_at || call->tail.len;
}

static inline struct ig_http_call *ig_http_call_of(struct ig_exchange *exchange)
{
    return (struct ig_http_call *)exchange;
}

/* http_server.c: conn->read and conn->writev without TLS */
int64_t ig_http_socket_read(struct ig_http_conn *conn, void *bytes, size_t size_bytes);
int64_t ig_http_socket_writev(struct ig_http_conn *conn, const struct iovec *parts, int count);

/* http_server_tls.c */
void ig_http_tls_begin(struct ig_http_conn *conn); /* sets them for TLS */
/* Frees the session; `orderly`: all that was to be said has been. */
void ig_http_tls_close(struct ig_http_conn *conn, bool orderly);

/* http_server_conn.c */
void ig_http_conn_init(struct ig_http_conn *conn, struct ig_http_loop *home);
void ig_http_conn_run(struct ig_http_conn *conn); /* go on as far as input and output allow */
void ig_http_conn_close(struct ig_http_conn *conn);
void ig_http_conn_note_events(struct ig_http_conn *conn, uint32_t events); /* EPOLL* bits */
/* Tells the peer that no more comes; may be called again. */
void ig_http_conn_finish(struct ig_http_conn *conn);
/* Nothing of a request is there and nothing is to be written. */
bool ig_http_conn_idle(const struct ig_http_conn *conn);
void ig_http_conn_again(struct ig_http_conn *conn); /* runs conn->again at the end of the turn */
void ig_http_conn_free(struct ig_http_conn *conn);  /* closed, and no worker holds a call of it */
/* Notes `written` bytes of output; conn->blocked is the new state, was_blocked the old one. */
void ig_http_conn_account_output(struct ig_http_conn *conn, int64_t written, bool was_blocked);
/* When a client that does not take its output is given up. */
uint64_t ig_http_conn_output_due(const struct ig_http_conn *conn);
/* Body of every worker: runs the exchange's work, then posts its end to the loop. */
void ig_http_call_work(void *call);
/* It is held as by a worker until ig_exchange_answered. */
void ig_http_call_at_turn_end(struct ig_http_call *call);
/* Before anything of the loop's inbox runs: the call will be posted there. */
void ig_http_call_later(struct ig_http_call *call);

/* http_server_state.c */
enum ig_http_step ig_http_state_advance(struct ig_http_conn *conn); /* with a call */
/* Answers by itself and closes behind it. */
enum ig_http_step ig_http_state_refuse(struct ig_http_conn *conn, int status, const char *reason);
/* A stream's body cannot be read on: its worker's calls fail with `code`. */
void ig_http_state_fail_input(struct ig_http_call *call, enum ig_code code);
/* Gives back what the exchange holds and tells the handler of its end. */
void ig_http_state_finish(struct ig_http_call *call, bool aborted);

/* http_server_call.c */
/* Sets up all but `in`; false without memory: then deinit. */
bool ig_http_call_init(struct ig_http_call *call, struct ig_http_loop *home);
void ig_http_call_deinit(struct ig_http_call *call);
struct ig_http_call *ig_http_call_get(struct ig_http_loop *home); /* NULL: out of memory */
void ig_http_call_put(struct ig_http_loop *home, struct ig_http_call *call);
void ig_http_call_free(struct ig_http_call *call);
void ig_http_call_reset(struct ig_http_call *call); /* behind a request; keeps in and out */
/* Takes `more` bytes of the in-flight budget; false when it is used up. */
bool ig_http_call_reserve(struct ig_http_call *call, size_t more);
void ig_http_call_release(struct ig_http_call *call);

/* http_server_reply.c */
enum { IG_HTTP_LENGTH_CHUNKED = -1, IG_HTTP_LENGTH_NONE = -2 };
/* Appends a response head; `date` is a whole header line. */
void ig_http_reply_head(struct ig_buf *out, struct ig_http_call *call, int64_t length,
                        const char *date);
const char *ig_http_reply_date(struct ig_http_loop *home); /* the loop's cached line */
void ig_http_reply_format_date(char date[IG_HTTP_DATE_SIZE], int64_t unix_s);
/* Makes what cannot be sent (over its cap, no valid status, no budget) an error of the server's. */
void ig_http_reply_settle(struct ig_http_call *call);
/* Queues exchange->reply as the whole response: small ones by copy, large ones as call->tail. */
void ig_http_reply_queue(struct ig_http_call *call);
/* Makes the response one of the server's own. */
void ig_http_reply_error(struct ig_http_call *call, int status, const char *reason);
/* Whether a response to this request carries a body at all. */
bool ig_http_reply_has_body(const struct ig_http_call *call);

/* http_server_stream.c: the loop's side. */
bool ig_http_stream_open(struct ig_http_call *call); /* false: no memory or budget */
void ig_http_stream_free(struct ig_http_call *call);
/* Moves body bytes in; returns how many fitted. */
size_t ig_http_stream_put(struct ig_http_stream *stream, struct ig_str bytes);
/* A span of `in` to read a socket into; len 0 when it is full, and the worker will wake the loop.
 */
struct iovec ig_http_stream_room(struct ig_http_stream *stream);
void ig_http_stream_filled(struct ig_http_stream *stream, size_t size_bytes);
void ig_http_stream_in_over(struct ig_http_stream *stream);
void ig_http_stream_fail(struct ig_http_stream *stream, enum ig_code code);
/* Spans of `out` to write; returns 0 to 2. */
int ig_http_stream_ready(struct ig_http_stream *stream, struct iovec parts[2]);
void ig_http_stream_wrote(struct ig_http_stream *stream, size_t size_bytes);
void ig_http_stream_woken(struct ig_http_stream *stream);
/* What the loop is to do for a stream of HTTP/2, taken under one lock. */
struct ig_http_stream_news {
    bool head_ready;
    bool empty;     /* `in` is: the worker waits for the client, or soon will */
    size_t granted; /* bytes of body that were read since the last look */
};
struct ig_http_stream_news ig_http_stream_look(struct ig_http_stream *stream);
/* The worker's side: completes the response when `work` has returned. */
void ig_http_stream_finish(struct ig_http_call *call);

/* http2.c */
/* Takes the connection over from HTTP/1 with what its call has read, and the request that asked for
 * it; closes it without memory. */
void ig_http2_adopt(struct ig_http_conn *conn);
void ig_http2_drain(struct ig_http_conn *conn); /* no more streams, and closed behind the last */
void ig_http2_cut(struct ig_http_conn *conn);   /* tells workers that the client went away */
bool ig_http2_idle(const struct ig_http_conn *conn);
void ig_http2_free(struct ig_http_conn *conn); /* ends what calls are left */
void ig_http2_loop_deinit(struct ig_http_loop *home);
/* http2_call.c: what a worker posts. */
void ig_http2_call_on_done(struct ig_loop_task *task);
void ig_http2_call_on_wake(struct ig_loop_task *task);

#endif
