/* SPDX-License-Identifier: Apache-2.0 */
#ifndef IG_NET_HTTP2_PRIV_H
#define IG_NET_HTTP2_PRIV_H

/* Internals of HTTP/2 (RFC 9113): a connection (http2.c), the calls of its streams (http2_call.c)
 * and what gRPC makes of some of them (grpc.c). The protocol itself is libnghttp2's. */

#include "net/grpc.h"
#include "net/http_server_priv.h"

#include <nghttp2/nghttp2.h>

enum {
    IG_HTTP2_SMALL_BYTES = 64 * 1024, /* bodies up to this are not counted as in flight */
    IG_HTTP2_BACKLOG_BYTES = 64 * 1024
};

enum ig_http2_mode {
    IG_HTTP2_AT_HEAD,
    IG_HTTP2_BUFFERS,  /* the body is collected, then on_body runs */
    IG_HTTP2_STREAMS,  /* a stream worker holds the exchange */
    IG_HTTP2_MESSAGES, /* gRPC */
    IG_HTTP2_DISCARDS  /* answered, or about to be: the body is of no interest */
};

/* What the body of a response is taken from. */
enum ig_http2_source { IG_HTTP2_FROM_REPLY, IG_HTTP2_FROM_RING, IG_HTTP2_FROM_MESSAGES };

/* A call of gRPC. The states are in grpc.c. */
struct ig_grpc_run {
    struct ig_grpc_call call;              /* first */
    const struct ig_grpc_service *service; /* NULL: there is none */
    enum ig_grpc_encoding encoding;        /* of the client's compressed messages */
    bool begun;                            /* on_call was called: on_end is owed */
    bool waiting;         /* to go on in a later turn, or when the client has taken replies */
    bool has_message;     /* call.message is to be handled (again) */
    bool inflating;       /* a worker decompresses the message */
    bool at_over;         /* what is handled is the end of the client's messages */
    bool finished;        /* the status is on its way */
    uint64_t earned_for;  /* replies that let the client send control frames */
    uint64_t ungranted;   /* bytes received that the client's window has not got back */
    struct ig_str packed; /* the message as it came */
    struct ig_err err;    /* of decompressing */
};

/* A call on a stream of HTTP/2. It outlives its stream while a worker holds it. */
struct ig_http2_call {
    struct ig_http_call base;              /* first */
    struct ig_http2_call *previous, *next; /* in ig_http2.calls; next also in the free list */
    struct ig_grpc_run run;                /* of MESSAGES */
    int32_t stream_id;
    enum ig_http2_mode mode;
    enum ig_http2_source source;
    bool open;         /* the stream is */
    bool working;      /* a worker holds the exchange */
    bool answered;     /* the response's head is submitted */
    bool ended;        /* its last frame is sent */
    bool deferred;     /* the stream waits for ig_http2_call_resume */
    int refuse_status; /* of a head that is to be refused; 0: none */
    const char *refuse_reason;
    size_t head_bytes, headers_count;
    size_t length;                                     /* of exchange.reply: what is to be sent */
    size_t sent;                                       /* of exchange.reply, or of `sending` */
    uint64_t since_ms, progress_ms;                    /* of the head or body that is awaited */
    uint64_t out_since_ms, out_progress_ms, out_bytes; /* of output that waits; 0: none does */
    struct ig_buf sending;                             /* gRPC: replies on their way */
    struct ig_buf message, plain;  /* gRPC: the message at work, and decompressed */
    struct ig_arena message_arena; /* gRPC: reset behind each */
};

struct ig_http2 {
    nghttp2_session *session;
    struct ig_http2_call *calls;
    struct ig_http2_call *at_head; /* whose fields come; NULL: of none, or it is refused */
    unsigned calls_count, working_count;
    struct ig_buf out; /* what the socket did not take, from out_at on */
    size_t out_at;
    uint64_t idle_since_ms, tick_ms;
    uint64_t credit_ms; /* when `credit` was last refilled */
    unsigned credit;    /* control frames that the client may still send */
    bool goaway;        /* sent: no more streams */
    bool lingers;       /* all is said: reads on until the client closes */
};

static inline struct ig_http2_call *ig_http2_call_of(struct ig_http_call *call)
{
    return (struct ig_http2_call *)call;
}

static inline const struct ig_http_server_options *
ig_http2_options(const struct ig_http2_call *call)
{
    return &call->base.conn->home->server->options;
}

static inline uint64_t ig_http2_now_ms(const struct ig_http2_call *call)
{
    return ig_loop_now_ms(call->base.conn->home->loop);
}

/* http2.c */
void ig_http2_goaway(struct ig_http_conn *conn);
/* Lets the client send so many more control frames. */
void ig_http2_earn(struct ig_http_conn *conn, uint64_t frames);

/* http2_call.c. Events of the session: */
void ig_http2_call_header(struct ig_http2_call *call, struct ig_str name, struct ig_str value);
void ig_http2_call_head(struct ig_http2_call *call, const struct ig_http_request *request);
void ig_http2_call_begin(struct ig_http2_call *call, bool over); /* the head is whole */
void ig_http2_call_data(struct ig_http2_call *call, struct ig_str bytes);
void ig_http2_call_over(struct ig_http2_call *call);   /* the request's body is */
void ig_http2_call_closed(struct ig_http2_call *call); /* the stream is */
/* Gives up what is too late. */
void ig_http2_call_check_time(struct ig_http2_call *call);
/* and of the frame: */
struct ig_http2_call *ig_http2_call_new(struct ig_http_conn *conn, int32_t stream_id);
/* The end of a call: on_end, and back to the free list. No worker holds it. */
void ig_http2_call_end(struct ig_http2_call *call, bool aborted);
void ig_http2_call_free(struct ig_http2_call *call);

/* For gRPC: */
enum ig_http2_sent { IG_HTTP2_HEAD_ONLY, IG_HTTP2_WITH_BODY };
/* Submits a head of gRPC: its content type and the service's own fields, none that only a browser
 * heeds; without a body it has the status and ends the stream. */
void ig_http2_call_submit_grpc(struct ig_http2_call *call, enum ig_http2_sent sent);
void ig_http2_call_resume(struct ig_http2_call *call);
void ig_http2_call_reset(struct ig_http2_call *call, uint32_t error_code); /* ends the stream */
void ig_http2_call_grant(struct ig_http2_call *call, uint64_t bytes); /* of the stream's window */
/* Sets what the call counts as in flight; false when a budget is used up. */
bool ig_http2_call_hold(struct ig_http2_call *call, size_t bytes);
/* Hands exchange->work to the worker pool; false when there is no room. */
bool ig_http2_call_to_pool(struct ig_http2_call *call);
/* It is held as by a worker until ig_exchange_answered. */
void ig_http2_call_at_turn_end(struct ig_http2_call *call);

/* grpc.c: the loop's side. */
bool ig_grpc_is_request(const struct ig_http_request *request);
void ig_grpc_begin(struct ig_http2_call *call);
void ig_grpc_data(struct ig_http2_call *call, struct ig_str bytes);
void ig_grpc_over(struct ig_http2_call *call);
void ig_grpc_done(struct ig_http2_call *call);    /* its worker returned; the stream is open */
void ig_grpc_go_on(struct ig_http2_call *call);   /* if it is waiting */
void ig_grpc_drained(struct ig_http2_call *call); /* replies were taken */
void ig_grpc_refuse(struct ig_http2_call *call, int http_status, const char *reason);
void ig_grpc_check_time(struct ig_http2_call *call);
void ig_grpc_end(struct ig_http2_call *call, bool aborted);

#endif
