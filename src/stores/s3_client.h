/* SPDX-License-Identifier: Apache-2.0 */
#ifndef IG_STORES_S3_CLIENT_H
#define IG_STORES_S3_CLIENT_H

/* Objects of one bucket under one prefix. Names are relative to the prefix and of characters that
 * need no encoding. Connection errors, timeouts, 429 and 5xx are tried again, up to five times in
 * all and with growing pauses of random length, while two minutes have not passed.
 *
 * Errors: NOT_FOUND (the object), DENIED (401, 403), UNAVAILABLE (S3 could not be reached or had
 * too much to do), CORRUPT (bytes changed on the way), IO (all else, a missing bucket among it);
 * the message has S3's code and words. Thread-safe; calls block. */

#include "base/err.h"
#include "stores/s3_config.h"

struct ig_s3;

/* Loads libcurl and the keys; asks S3 nothing. */
enum ig_code ig_s3_open(struct ig_s3 **out, const struct ig_s3_place *place, struct ig_err *err);
void ig_s3_close(struct ig_s3 *s3); /* NULL is allowed */

enum ig_code ig_s3_head(uint64_t *size_bytes, struct ig_s3 *s3, const char *name,
                        struct ig_err *err);
/* All of a file, whose SHA-256 is `digest`; in parts when it is large. There when it returns OK. */
enum ig_code ig_s3_put(struct ig_s3 *s3, const char *name, int fd, const char *digest,
                       struct ig_err *err);
/* A URL that gives the object to whoever has it, for `expires_s` seconds, with this
 * Content-Disposition and as bytes of no kind. Asks S3 nothing, not even whether it is there. */
enum ig_code ig_s3_presign_get(struct ig_buf *url, struct ig_s3 *s3, const char *name,
                               struct ig_str disposition, uint32_t expires_s, struct ig_err *err);
/* Into an empty file; `digest`: of what came. */
enum ig_code ig_s3_get(char digest[65], struct ig_s3 *s3, const char *name, int fd,
                       struct ig_err *err);
enum ig_code ig_s3_remove(struct ig_s3 *s3, const char *name,
                          struct ig_err *err); /* absent is no error */
/* Every object's name that begins with `start`, and when S3 got it (INT64_MAX: it does not say);
 * stops when `each` returns false. */
typedef bool ig_s3_visit(void *context, struct ig_str name, int64_t modified_ms);
enum ig_code ig_s3_each(struct ig_s3 *s3, const char *start, ig_s3_visit *each, void *context,
                        struct ig_err *err);
/* Ends uploads in parts that began earlier than that. */
enum ig_code ig_s3_sweep(struct ig_s3 *s3, int64_t before_unix_ms, struct ig_err *err);

#endif
