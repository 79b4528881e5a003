/* SPDX-License-Identifier: Apache-2.0 */
#ifndef IG_STORES_S3_PRIV_H
#define IG_STORES_S3_PRIV_H

/* One request to S3, with its retries: between s3_client.c, which makes it, and those that put
 * calls together. */

#include "stores/s3_client.h"
#include "stores/s3_http.h"
#include "stores/s3_sign.h"

enum { S3_CALL_PAIRS_MAX = 6 };

struct s3_call {
    const char *method;
    const char *name; /* of the object; NULL: the bucket */
    struct ig_s3_pair query[S3_CALL_PAIRS_MAX];
    size_t query_count;
    struct ig_s3_pair headers[S3_CALL_PAIRS_MAX]; /* besides those that every call has */
    size_t headers_count;
    const char *body_hash; /* hex; NULL: there is no body */
    struct ig_s3_exchange exchange;
    char s3_code[64]; /* of a refusal */
};

void s3_call_init(struct s3_call *call, const char *method, const char *name);
void s3_call_deinit(struct s3_call *call);
void s3_call_query(struct s3_call *call, const char *name, struct ig_str value);
void s3_call_header(struct s3_call *call, const char *name, struct ig_str value);
/* Until a 2xx, or a failure that stays. */
enum ig_code s3_call(struct ig_s3 *s3, struct s3_call *call, struct ig_err *err);
/* Of a time as S3 writes it; INT64_MAX: it is none. */
int64_t s3_time_of(const char *text);
const struct ig_s3_place *s3_place(const struct ig_s3 *s3);

/* s3_parts.c */
enum ig_code s3_put_parts(struct ig_s3 *s3, const char *name, int fd, uint64_t size_bytes,
                          struct ig_err *err);
enum ig_code s3_abort_parts(struct ig_s3 *s3, const char *name, struct ig_str upload,
                            struct ig_err *err);

#endif
