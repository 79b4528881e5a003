/* SPDX-License-Identifier: Apache-2.0 */
#ifndef IG_NET_GRPC_FRAME_H
#define IG_NET_GRPC_FRAME_H

/* What gRPC adds to HTTP/2 ("gRPC over HTTP2", PROTOCOL-HTTP2.md of grpc/grpc): length-prefixed
 * messages, their compression, statuses, and the forms of grpc-timeout and grpc-message. Pure
 * functions; memory is the caller's. */

#include "base/err.h"
#include "base/str.h"

enum { IG_GRPC_PREFIX_BYTES = 5 };

/* Status codes (statuscodes.md). */
enum ig_grpc_status {
    IG_GRPC_OK = 0,
    IG_GRPC_CANCELLED = 1,
    IG_GRPC_UNKNOWN = 2,
    IG_GRPC_INVALID_ARGUMENT = 3,
    IG_GRPC_DEADLINE_EXCEEDED = 4,
    IG_GRPC_NOT_FOUND = 5,
    IG_GRPC_ALREADY_EXISTS = 6,
    IG_GRPC_PERMISSION_DENIED = 7,
    IG_GRPC_RESOURCE_EXHAUSTED = 8,
    IG_GRPC_FAILED_PRECONDITION = 9,
    IG_GRPC_ABORTED = 10,
    IG_GRPC_OUT_OF_RANGE = 11,
    IG_GRPC_UNIMPLEMENTED = 12,
    IG_GRPC_INTERNAL = 13,
    IG_GRPC_UNAVAILABLE = 14,
    IG_GRPC_DATA_LOSS = 15,
    IG_GRPC_UNAUTHENTICATED = 16,
    IG_GRPC_STATUSES_COUNT
};

/* What a response without grpc-status means (http-grpc-status-mapping.md), and the server's own
 * refusals: 413, 431 and 503 keep their meaning. */
enum ig_grpc_status ig_grpc_status_of_http(int http_status);

enum ig_grpc_frame_result {
    IG_GRPC_FRAME_MORE, /* not whole yet */
    IG_GRPC_FRAME_WHOLE,
    IG_GRPC_FRAME_BAD,      /* the flag is neither 0 nor 1 */
    IG_GRPC_FRAME_TOO_LARGE /* the length is over message_max_bytes; known from the prefix */
};

struct ig_grpc_frame {
    bool compressed;
    struct ig_str message; /* a slice of the input */
    size_t whole_bytes;    /* with its prefix; of MORE 0 until the prefix is there */
};

/* Looks at the first frame of `input`. */
enum ig_grpc_frame_result ig_grpc_frame_parse(struct ig_grpc_frame *frame, struct ig_str input,
                                              size_t message_max_bytes);
/* Appends room for a prefix and returns its position; ig_grpc_frame_close fills it in once the
 * message stands behind it. False: 4 GiB or more, or the buffer has overflowed. */
size_t ig_grpc_frame_open(struct ig_buf *out);
bool ig_grpc_frame_close(struct ig_buf *out, size_t at);

/* Encodings of messages: identity, gzip (RFC 1952) and deflate (RFC 1950), which is zlib's. */
enum ig_grpc_encoding { IG_GRPC_IDENTITY, IG_GRPC_GZIP, IG_GRPC_DEFLATE, IG_GRPC_ENCODING_OTHER };
enum ig_grpc_encoding ig_grpc_encoding_of(struct ig_str name);
/* Appends the decompressed bytes. Fails with PARSE (no gzip or zlib stream, cut short, bytes behind
 * its end), TOO_LARGE (over max_bytes) or NO_MEMORY. Takes either format. */
enum ig_code ig_grpc_inflate(struct ig_buf *out, struct ig_str bytes, size_t max_bytes,
                             struct ig_err *err);

/* grpc-timeout: 1 to 8 digits and a unit of H M S m u n. False when it is not. */
bool ig_grpc_timeout_parse(uint64_t *out_ns, struct ig_str text);

/* Appends grpc-message: bytes outside 0x20..0x7e and '%' become %XX; what would go over max_bytes
 * is left out, never cut within an escape. */
void ig_grpc_message_encode(struct ig_buf *out, struct ig_str text, size_t max_bytes);

#endif
