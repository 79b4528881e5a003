/* SPDX-License-Identifier: Apache-2.0 */
#ifndef IG_NET_CLIENT_H
#define IG_NET_CLIENT_H

/* A small blocking HTTP/1.1 client over TCP or TLS. One connection, kept alive between calls and
 * opened anew when the server has closed it. Redirects are not followed. With https the server's
 * certificate must be of a trusted CA and for the URL's host. Thread rule: one thread a client. */

#include "base/err.h"
#include "base/str.h"

struct ig_client;

struct ig_client_options {
    unsigned connect_timeout_ms; /* 0: 5,000 */
    unsigned io_timeout_ms;      /* longest pause in a response or upload; 0: 60,000 */
    const char *ca_file;         /* https: PEM of what alone is trusted; NULL: the system's CAs */
    const char *headers;      /* sent with every request: "Authorization: Bearer x\r\n"; or NULL */
    unsigned call_timeout_ms; /* of a whole call, names' resolution aside; 0: none */
    const bool _Atomic *cancelled; /* CANCELLED soon after it has become true; or NULL */
    bool public_only; /* DENIED where the host has an address that is not public (net/address.h) */
};

/* `url`: http[s]://host[:port][/prefix]; the prefix goes before every path. Does not connect yet.
 * Errors: INVALID (the URL), those of ig_tls_trust_new, NO_MEMORY. */
enum ig_code ig_client_new(struct ig_client **out, const char *url,
                           const struct ig_client_options *options, struct ig_err *err);
void ig_client_free(struct ig_client *client);

struct ig_client_call {
    const char *method;       /* "GET" */
    const char *path;         /* "/api/v1/models?x=1", escaped already */
    const char *content_type; /* of the request's body, or NULL */
    const char *headers;      /* more of them, "Name: value\r\n", or NULL */
    struct ig_str body;       /* the request's body, unless has_body_fd */
    bool has_body_fd;         /* then body_fd_bytes bytes of body_fd from its current position */
    int body_fd;
    uint64_t body_fd_bytes;
    bool has_reply_fd; /* a 2xx body goes to reply_fd; other bodies to `reply` */
    int reply_fd;
    /* Called for each piece of a 2xx body instead of storing it (for live streams); false ends. */
    bool (*on_bytes)(void *context, struct ig_str bytes);
    void *on_bytes_context;
    /* Asked now and then while the call waits; true: it is CANCELLED. Or NULL. */
    bool (*is_cancelled)(const void *context);
    const void *is_cancelled_context;
};

struct ig_client_reply {
    int status;
    struct ig_buf body; /* the caller initialises it with its cap (TOO_LARGE over it) */
    char content_type[128];
    uint64_t body_bytes;    /* received, wherever they went */
    uint64_t retry_after_s; /* of Retry-After in seconds; 0: none */
    char location[1024];    /* of a redirect; empty: none, or longer */
};

/* OK for every complete HTTP response, whatever its status. Errors: UNAVAILABLE (cannot connect;
 * the message names host and port), DENIED (no trust in its certificate, or public_only), TIMEOUT,
 * IO, PARSE (not HTTP), TOO_LARGE, CANCELLED, NO_MEMORY. */
enum ig_code ig_client_call(struct ig_client *client, const struct ig_client_call *call,
                            struct ig_client_reply *reply, struct ig_err *err);

/* DENIED when the name, or numeric address, has an address that is not public; UNAVAILABLE when it
 * has none. Asks the resolver: may take its time. */
enum ig_code ig_client_check_public(const char *host, struct ig_err *err);

/* Percent-encodes one path segment or query value onto buf. */
void ig_client_escape(struct ig_buf *buf, struct ig_str text);

#endif
