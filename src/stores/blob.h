/* SPDX-License-Identifier: Apache-2.0 */
#ifndef IG_STORES_BLOB_H
#define IG_STORES_BLOB_H

/* Content-addressed objects: a name is the SHA-256 of the bytes, 64 lower-case hex digits.
 *
 * Put: temporary file in the data directory, stream and hash; then fsync, link, fsync the
 * directory, or send it to S3; only then the caller writes its database row. The same bytes twice
 * are one object. Leftovers of interrupted puts are removed at open. Thread-safe, a writer object
 * belongs to one thread. Never call from an event loop, but for ig_blob_append when the caller
 * accepts page-cache writes there.
 */

#include "base/err.h"
#include "base/hash.h"

struct ig_blob_store;
struct ig_blob_writer;

struct ig_blob_options {
    /* A name of stores.def, or a URL that begins with one: "s3://bucket/prefix?region=..." (see
     * s3_config.h). NULL or empty: "files". */
    const char *where;
    uint64_t cache_bytes; /* of copies, where the objects are elsewhere */
    bool worked_before;   /* opens also while the place is away */
};

/* `options`: NULL: all of it as by default. `dirfd`: the data directory, borrowed. */
enum ig_code ig_blob_open(struct ig_blob_store **out, const struct ig_blob_options *options,
                          int dirfd, struct ig_err *err);
/* For a second process: reads alone, beside the one that owns the store. */
enum ig_code ig_blob_open_reader(struct ig_blob_store **out, const struct ig_blob_options *options,
                                 int dirfd, struct ig_err *err);
void ig_blob_close(struct ig_blob_store *store); /* NULL is allowed */

/* Up to max_bytes (0: no cap of its own); append gives TOO_LARGE beyond. */
enum ig_code ig_blob_begin(struct ig_blob_writer **out, struct ig_blob_store *store,
                           uint64_t max_bytes, struct ig_err *err);
enum ig_code ig_blob_append(struct ig_blob_writer *writer, const void *bytes, size_t size_bytes,
                            struct ig_err *err);
/* Durable when it returns OK. Frees the writer in either case. `size_bytes` may be NULL. */
enum ig_code ig_blob_commit(char digest[IG_SHA256_HEX], uint64_t *size_bytes,
                            struct ig_blob_writer *writer, struct ig_err *err);
void ig_blob_abort(struct ig_blob_writer *writer); /* NULL is allowed */
/* All of a buffer at once. */
enum ig_code ig_blob_put(char digest[IG_SHA256_HEX], struct ig_blob_store *store,
                         struct ig_str bytes, struct ig_err *err);
/* All of a file from its current position. */
enum ig_code ig_blob_put_fd(char digest[IG_SHA256_HEX], uint64_t *size_bytes,
                            struct ig_blob_store *store, int fd, struct ig_err *err);

/* INVALID unless 64 lower-case hex digits: every digest that comes from outside passes here. */
enum ig_code ig_blob_check_digest(struct ig_str digest, struct ig_err *err);
/* A descriptor to read (caller closes) and the size; contents are not verified. NOT_FOUND. */
enum ig_code ig_blob_get(int *fd, uint64_t *size_bytes, struct ig_blob_store *store,
                         struct ig_str digest, struct ig_err *err);
/* All bytes into buf (reset first), verified: CORRUPT when they do not hash to the name. */
enum ig_code ig_blob_read(struct ig_buf *buf, struct ig_blob_store *store, struct ig_str digest,
                          struct ig_err *err);
/* A URL from which anyone who has it gets the object, from the place where it lies. UNSUPPORTED
 * where it lies in files. Does not ask whether it is there. */
struct ig_blob_offer {
    struct ig_str disposition; /* the answer's Content-Disposition */
    uint32_t expires_s;        /* 1 to 604,800 */
};
enum ig_code ig_blob_presign(struct ig_buf *url, struct ig_blob_store *store, struct ig_str digest,
                             const struct ig_blob_offer *offer, struct ig_err *err);
/* Reads and hashes without keeping, past any cache. */
enum ig_code ig_blob_verify(struct ig_blob_store *store, struct ig_str digest, struct ig_err *err);
enum ig_code ig_blob_delete(struct ig_blob_store *store, struct ig_str digest,
                            struct ig_err *err); /* absent is no error */
/* Calls `each` for every object whose name begins with `start` (at most two digits; "": all), in no
 * order, with the time of its last commit; stops when it returns false. */
typedef bool ig_blob_visit(void *context, const char *digest, int64_t committed_ms);
enum ig_code ig_blob_each(struct ig_blob_store *store, const char *start, ig_blob_visit *each,
                          void *context, struct ig_err *err);

/* Garbage collection goes by age. Who is about to write a row that refers to an object which came
 * by an earlier call keeps it first: it is then as young as if it came now. NOT_FOUND. */
enum ig_code ig_blob_keep(struct ig_blob_store *store, struct ig_str digest, struct ig_err *err);
/* Deletes an object that `ig_blob_each` told of, unless it was committed or kept since
 * `before_ms`. Works on a reader's store as well, while nobody else has the store open. */
enum ig_code ig_blob_collect(bool *removed, struct ig_blob_store *store, const char *digest,
                             int64_t before_ms, struct ig_err *err);

#endif
