/* SPDX-License-Identifier: Apache-2.0 */
#ifndef IG_STORES_BLOB_PRIV_H
#define IG_STORES_BLOB_PRIV_H

/* What a blob driver gives to blob.c, which hashes, checks names and verifies. */

#include "stores/blob.h"

struct ig_blob_driver {
    const char *name;
    /* `reads`: nothing is changed, not even what a kill left behind; `begin` is never called. */
    enum ig_code (*open)(void **out, const struct ig_blob_options *options, int dirfd, bool reads,
                         struct ig_err *err);
    void (*close)(void *store);
    enum ig_code (*begin)(void **upload, void *store, struct ig_err *err);
    enum ig_code (*append)(void *upload, const void *bytes, size_t size_bytes, struct ig_err *err);
    /* Makes the object durable under its name and frees the upload in either case. */
    enum ig_code (*commit)(void *upload, const char *digest, struct ig_err *err);
    void (*abort)(void *upload);
    enum ig_code (*get)(int *fd, void *store, const char *digest, struct ig_err *err);
    /* The same, of the store itself where `get` may answer from copies; or NULL. */
    enum ig_code (*get_stored)(int *fd, void *store, const char *digest, struct ig_err *err);
    /* See ig_blob_presign; NULL: nobody else can reach the objects. */
    enum ig_code (*presign)(struct ig_buf *url, void *store, const char *digest,
                            const struct ig_blob_offer *offer, struct ig_err *err);
    enum ig_code (*remove)(void *store, const char *digest, struct ig_err *err);
    enum ig_code (*each)(void *store, const char *start, ig_blob_visit *each, void *context,
                         struct ig_err *err);
    enum ig_code (*keep)(void *store, const char *digest, struct ig_err *err);
    enum ig_code (*collect)(bool *removed, void *store, const char *digest, int64_t before_ms,
                            struct ig_err *err);
};

#define IG_STORE_BLOB(name, symbol, doc) extern const struct ig_blob_driver symbol;
#include "stores/stores.def"
#undef IG_STORE_BLOB

#endif
