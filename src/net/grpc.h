/* SPDX-License-Identifier: Apache-2.0 */
#ifndef IG_NET_GRPC_H
#define IG_NET_GRPC_H

/* gRPC services on the HTTP server's port: unary calls, and streaming ones by the message. It knows
 * no protobuf: messages are bytes.
 *
 * A POST of HTTP/2 with content-type application/grpc goes to the first service whose prefix its
 * path begins with; without one it fails with IG_GRPC_UNIMPLEMENTED. The way of a call:
 *   head parsed -> on_call -> { a message is whole -> on_message } -> on_over -> status -> on_end
 * A call that is not `streaming` has exactly one message and no on_over. on_message and on_over run
 * on the loop and must not block; returning IG_GRPC_TO_POOL continues in call->work on a worker,
 * and the call's next callback comes only when that returned. Replies leave when the callback (or
 * work) returns. The client is slowed down by its window while messages wait for their turn.
 *
 * Ownership and threads are those of an exchange: who runs a callback has the call, nothing else
 * may touch it; a loop turn ends between any two callbacks. Metadata is call->exchange->request
 * (ig_http_header), grpc-timeout has become its deadline_ns; initial metadata is set with
 * ig_exchange_header before the first reply leaves, trailing metadata with ig_exchange_trailer at
 * any time. exchange->reply holds framed replies: nothing but the functions below may write to it.
 */

#include "net/grpc_frame.h"
#include "net/http_server.h"

enum { IG_GRPC_MESSAGE_SIZE = 512 };

enum ig_grpc_next {
    IG_GRPC_NEXT,  /* the message is handled */
    IG_GRPC_AGAIN, /* there is more to reply: call again with the same message once the client has
                      taken most of what was replied so far */
    IG_GRPC_TO_POOL,
    IG_GRPC_AT_TURN_END /* the server's handler goes on with it in on_turn_end, and tells by
                           ig_exchange_answered when it is handled */
};

struct ig_grpc_call {
    struct ig_exchange *exchange; /* its arena lives as long as the call */
    struct ig_str method;         /* the path behind the service's prefix */
    struct ig_str message;        /* decompressed; ptr never NULL; in on_over empty */
    struct ig_arena *arena;       /* for the handling of one message; reset behind it */
    unsigned again_count;         /* of this message: how often it said AGAIN before */

    /* Set in on_call: */
    bool streaming;           /* any number of messages, replies between them */
    size_t message_max_bytes; /* 4 MiB at the start; over it RESOURCE_EXHAUSTED */

    /* Set in any callback or work: */
    bool done;  /* ends the call behind this callback; what the client still sends is dropped */
    bool again; /* by work: as if it had returned IG_GRPC_AGAIN */
    void (*work)(void *context, struct ig_grpc_call *call); /* for IG_GRPC_TO_POOL; left out when
                        the client has gone, the deadline has passed or the queue is full before a
                        worker is free: on_dropped then */
    void *user; /* the service's own; NULL at the start */

    /* In on_end: how it ended. Otherwise see ig_grpc_fail. */
    enum ig_grpc_status status;
    char status_message[IG_GRPC_MESSAGE_SIZE];
    uint64_t messages_received, messages_sent;
};

struct ig_grpc_service {
    const char *prefix; /* "/inference.GRPCInferenceService/" */
    void *context;      /* first argument of each */
    void (*on_call)(void *context, struct ig_grpc_call *call); /* may fail the call */
    enum ig_grpc_next (*on_message)(void *context, struct ig_grpc_call *call);
    enum ig_grpc_next (*on_over)(void *context, struct ig_grpc_call *call); /* may be NULL */
    /* Instead of work that is left out, on the loop or a worker. May be NULL. */
    void (*on_dropped)(void *context, struct ig_grpc_call *call);
    /* Exactly once for every on_call; exchange->aborted says whether the client was not told. May
     * be NULL. */
    void (*on_end)(void *context, struct ig_grpc_call *call);
};

/* Appends one reply message. TOO_LARGE over reply_max_bytes of the server, and the call fails. */
enum ig_code ig_grpc_reply(struct ig_grpc_call *call, struct ig_str message, struct ig_err *err);
/* The same without a copy: append the message's bytes to the returned buffer, then close it. The
 * buffer holds other replies too: touch nothing before its length at this moment. */
struct ig_buf *ig_grpc_reply_open(struct ig_grpc_call *call, size_t *at);
enum ig_code ig_grpc_reply_close(struct ig_grpc_call *call, size_t at, struct ig_err *err);

/* Ends the call with this status behind the replies made so far; the first one wins. */
void ig_grpc_fail(struct ig_grpc_call *call, enum ig_grpc_status status, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
void ig_grpc_fail_err(struct ig_grpc_call *call, const struct ig_err *err);

#endif
