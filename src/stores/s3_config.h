/* SPDX-License-Identifier: Apache-2.0 */
#ifndef IG_STORES_S3_CONFIG_H
#define IG_STORES_S3_CONFIG_H

/* Where a bucket is, read from a URL, and who asks, read from the environment or the file that
 * AWS's own tools read. Secrets never reach a message or a log. Thread rule: pure but for getenv.
 */

#include "base/err.h"
#include "base/str.h"

#include <stddef.h>

struct ig_s3_place {
    char bucket[64];
    char prefix[512]; /* "a/b/", or empty */
    char region[64];
    char endpoint[300]; /* "https://host:port", no slash behind it; the bucket's name included
                           unless `path_style` */
    char host[280];     /* of `endpoint`: the Host header */
    bool path_style;
};

/* "s3://BUCKET[/PREFIX][?region=R&endpoint=http://HOST:PORT&path_style=true]". Without a region:
 * AWS_REGION, AWS_DEFAULT_REGION, us-east-1. INVALID names what is wrong. */
enum ig_code ig_s3_place_parse(struct ig_s3_place *out, const char *url, struct ig_err *err);

struct ig_s3_keys {
    char access_key[256];
    char secret_key[256];
    char token[8192];   /* empty: none */
    bool renewable;     /* whoever gave them gives others, in time */
    int64_t expires_ms; /* 0: not told */
};

/* AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and AWS_SESSION_TOKEN; else the profile AWS_PROFILE
 * ("default") of AWS_SHARED_CREDENTIALS_FILE (~/.aws/credentials). UNAUTHENTICATED: there are none.
 */
enum ig_code ig_s3_keys_load(struct ig_s3_keys *out, struct ig_err *err);
/* Of a file's text; false when the profile is not in it, or lacks a key. */
bool ig_s3_keys_parse(struct ig_s3_keys *out, struct ig_str text, struct ig_str profile);

#endif
