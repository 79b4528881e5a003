/* SPDX-License-Identifier: Apache-2.0 */
#ifndef IG_STORES_S3_HTTP_H
#define IG_STORES_S3_HTTP_H

/* HTTP exchanges by libcurl, which is loaded when the first of these is opened and stays. One
 * exchange a call, nothing is tried twice. Thread-safe; handles, each with its connection, wait in
 * a list for the next call. */

#include "base/err.h"
#include "base/hash.h"

#include <stddef.h>

struct ig_s3_http;

/* UNSUPPORTED: libcurl is not there. */
enum ig_code ig_s3_http_open(struct ig_s3_http **out, struct ig_err *err);
void ig_s3_http_close(struct ig_s3_http *http); /* NULL is allowed */

enum { IG_S3_HEADERS_MAX = 12 };

struct ig_s3_exchange {
    const char *method; /* GET, HEAD, PUT, POST or DELETE */
    const char *url;
    const char *headers[IG_S3_HEADERS_MAX]; /* "Name: value" */
    size_t headers_count;
    long connect_ms; /* 0: ten seconds */
    bool no_proxy;   /* whatever the environment names */
    /* What is sent: `body_bytes` of a file from `body_at` on, or of memory. */
    int body_fd; /* -1: `body` */
    const char *body;
    uint64_t body_at, body_bytes;
    /* Where a 200's body goes instead of `reply`. */
    int sink_fd; /* -1: `reply` */
    struct ig_sha256 *sink_hash;

    /* The outcome. */
    int status;
    uint64_t length;     /* of Content-Length */
    char etag[128];      /* without a line's end; empty: none */
    struct ig_buf reply; /* the caller's; reset first */
    bool again;          /* of a failure: the same may go well another time */

    uint64_t sent_bytes;     /* of the body */
    struct ig_err *err;      /* during the call */
    struct ig_s3_http *http; /* during the call */
    void *handle;            /* during the call */
};

/* OK: a whole reply came, whatever its status. */
enum ig_code ig_s3_http_perform(struct ig_s3_http *http, struct ig_s3_exchange *exchange,
                                struct ig_err *err);

#endif
