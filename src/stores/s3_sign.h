/* SPDX-License-Identifier: Apache-2.0 */
#ifndef IG_STORES_S3_SIGN_H
#define IG_STORES_S3_SIGN_H

/* AWS Signature Version 4, in headers and in a query (presigned URLs). Pure functions; text that
 * does not fit a buffer's maximum, or memory that ends, shows as its `overflowed`. Thread-safe. */

#include "base/hash.h"
#include "base/str.h"

struct ig_s3_pair {
    struct ig_str name, value;
};

enum { IG_S3_PAIRS_MAX = 32 };

#define IG_S3_UNSIGNED "UNSIGNED-PAYLOAD" /* as a payload's hash */

struct ig_s3_request {
    struct ig_str method;
    struct ig_str path;               /* encoded as it is sent, begins with a slash */
    const struct ig_s3_pair *query;   /* not encoded, in any order */
    size_t query_count;               /* at most IG_S3_PAIRS_MAX, less 6 when presigned */
    const struct ig_s3_pair *headers; /* those to sign, Host and X-Amz-Date among them */
    size_t headers_count;             /* at most IG_S3_PAIRS_MAX */
    struct ig_str payload_hash;       /* hex SHA-256, or IG_S3_UNSIGNED */
};

struct ig_s3_signer {
    struct ig_str access_key, secret_key;
    struct ig_str token; /* of a session; empty: none. Only presigning adds it */
    struct ig_str region, service;
    struct ig_str time; /* "20130524T000000Z" */
};

/* Percent-encodes all but unreserved characters; a slash stays where `slashes`. */
void ig_s3_encode(struct ig_buf *out, struct ig_str text, bool slashes);
/* "a=1&b=", encoded and sorted as it is signed. */
void ig_s3_query(struct ig_buf *out, const struct ig_s3_pair *query, size_t count);

void ig_s3_canonical(struct ig_buf *out, const struct ig_s3_request *request);
void ig_s3_string_to_sign(struct ig_buf *out, const struct ig_s3_request *request,
                          const struct ig_s3_signer *signer);
/* The value of the Authorization header. */
void ig_s3_authorize(struct ig_buf *out, const struct ig_s3_request *request,
                     const struct ig_s3_signer *signer);
/* The whole query of a presigned URL, its signature last. */
void ig_s3_presign(struct ig_buf *out, const struct ig_s3_request *request,
                   const struct ig_s3_signer *signer, uint32_t expires_s);

#endif
