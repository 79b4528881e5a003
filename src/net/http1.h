/* SPDX-License-Identifier: Apache-2.0 */
#ifndef IG_NET_HTTP1_H
#define IG_NET_HTTP1_H

/* HTTP/1.x syntax (RFC 9112, RFC 9110), strictly: request and response heads, the chunked coding,
 * request targets. Nothing here allocates or does I/O; everything parsed is a slice of the caller's
 * bytes. Thread-safe (no state but the caller's). */

#include "base/arena.h"
#include "base/err.h"
#include "base/str.h"

struct ig_http_header {
    struct ig_str name;  /* as sent; compare without case */
    struct ig_str value; /* without surrounding white space */
};

struct ig_http_request {
    struct ig_str method;
    struct ig_str target; /* as sent: origin form, absolute form, or "*" (OPTIONS only) */
    struct ig_str path;   /* raw, begins with '/' (or is "*"); percent escapes are well formed */
    struct ig_str query;  /* raw, behind '?'; ptr NULL when there is none */
    struct ig_str host;   /* authority: of the absolute form, else the Host header; may be empty */
    int minor_version;    /* HTTP/1.minor: 0 or 1; 1 on HTTP/2 */
    bool http2;           /* it came as a stream of HTTP/2 */
    const struct ig_http_header *headers;
    size_t headers_count;
    uint64_t content_length; /* 0 when absent or chunked */
    bool has_content_length;
    bool chunked;
    bool keep_alive;      /* what the client asked for */
    bool expect_continue; /* Expect: 100-continue on an HTTP/1.1 request */
    bool is_loopback;     /* the peer's address; set by the server */
    const char *peer;     /* "127.0.0.1:4711" or "[::1]:4711"; set by the server */
};

struct ig_http1_limits {
    size_t head_max_bytes;   /* request line and headers; over it: 431 */
    size_t target_max_bytes; /* over it: 414 */
    size_t headers_max;      /* count; over it: 431 */
};

/* Resumable search for a head's end; start zeroed, once for each head. */
struct ig_http1_scan {
    size_t line_at; /* where the line being looked at begins */
    size_t at;      /* bytes already looked at */
    bool first_line_seen;
};

/* Looks at bytes[scan->at..len). 0: more bytes are needed. > 0: the head's length, with its empty
 * line. < 0: minus the HTTP status that refuses it (a bare LF or CR, NUL, a cap). */
int64_t ig_http1_scan(struct ig_http1_scan *scan, const char *bytes, size_t len,
                      const struct ig_http1_limits *limits);
/* Parses a whole head of `len` bytes (from ig_http1_scan). Returns 0, or the HTTP status that
 * refuses it with *reason set to a constant sentence. `headers` has room for limits->headers_max.
 * On success *request holds slices of `bytes`; peer and is_loopback are left alone. */
int ig_http1_request(struct ig_http_request *request, struct ig_http_header *headers,
                     struct ig_str bytes, const struct ig_http1_limits *limits,
                     const char **reason);

/* The rules of a request line and Host for a request whose parts came otherwise (HTTP/2): method,
 * target and host are set. Returns 0 with path and query filled in, or the HTTP status that refuses
 * it with *reason set. The absolute form is refused. */
int ig_http_request_check(struct ig_http_request *request, const struct ig_http1_limits *limits,
                          const char **reason);

/* Whether a request asks to be answered in HTTP/2 (RFC 7540 section 3.2) and can be: it has no body
 * and says all that is needed. `settings` is filled with the payload of the client's SETTINGS. */
enum { IG_HTTP1_SETTINGS_MAX_BYTES = 192 };
struct ig_http1_upgrade {
    unsigned char settings[IG_HTTP1_SETTINGS_MAX_BYTES];
    size_t settings_bytes;
};
bool ig_http1_upgrades(struct ig_http1_upgrade *out, const struct ig_http_request *request);
/* Whether a field belongs to a connection of HTTP/1 alone and has no place in HTTP/2. */
bool ig_http1_is_hop_field(struct ig_str name);

/* A header's value, ptr NULL when absent; of several the first. `name` in any case. */
struct ig_str ig_http_header(const struct ig_http_request *request, struct ig_str name);

/* Decoder of the chunked coding. Start zeroed. Extensions and trailers are capped and dropped. */
struct ig_http1_chunked {
    uint64_t left;     /* of the current chunk's data */
    uint32_t overhead; /* bytes of size line or trailers so far */
    uint8_t state;
    uint8_t digits;
};

enum ig_http1_chunk {
    IG_HTTP1_CHUNK_MORE, /* all input was used, more is needed */
    IG_HTTP1_CHUNK_DATA, /* *data is a slice of the input */
    IG_HTTP1_CHUNK_END,  /* the body and its trailers are over */
    IG_HTTP1_CHUNK_BAD   /* malformed: 400 and close */
};

/* Takes *used bytes of the input; call again with the rest until MORE, END or BAD. */
enum ig_http1_chunk ig_http1_chunked(struct ig_http1_chunked *chunked, struct ig_str input,
                                     size_t *used, struct ig_str *data);

/* A response head, for the client. */
struct ig_http1_response {
    int status;
    int minor_version;
    const struct ig_http_header *headers;
    size_t headers_count;
    uint64_t content_length;
    bool has_content_length;
    bool chunked;
    bool keep_alive;
};

/* 0, or -1 with *reason set. */
int ig_http1_response(struct ig_http1_response *response, struct ig_http_header *headers,
                      struct ig_str bytes, size_t headers_max, const char **reason);

/* Decodes %XX once (and '+' to a space when `plus`). Fails with INVALID, naming the byte position,
 * on a malformed escape, a decoded NUL, or bytes that are not UTF-8. Without escapes the result is
 * `text` itself, else it lives in the arena (NO_MEMORY). Split a path at its '/' before decoding:
 * a decoded segment may hold '/' or be "..", which is for the caller to refuse. */
enum ig_code ig_http_percent_decode(struct ig_str *out, struct ig_arena *arena, struct ig_str text,
                                    bool plus, struct ig_err *err);
/* Iterates raw name=value pairs of a query or form; *rest shrinks. False at the end. */
bool ig_http_query_next(struct ig_str *rest, struct ig_str *name, struct ig_str *value);
/* The decoded value of the first pair called `name`: NOT_FOUND (err untouched) when absent. */
enum ig_code ig_http_query_get(struct ig_str *out, struct ig_arena *arena, struct ig_str query,
                               const char *name, struct ig_err *err);

bool ig_http_token_valid(struct ig_str text);       /* RFC 9110 token, not empty */
bool ig_http_field_value_valid(struct ig_str text); /* no control bytes but tab */
const char *ig_http_reason(int status);             /* "Not Found"; never NULL */

#endif
