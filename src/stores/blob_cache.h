/* SPDX-License-Identifier: Apache-2.0 */
#ifndef IG_STORES_BLOB_CACHE_H
#define IG_STORES_BLOB_CACHE_H

/* Copies of objects that are kept elsewhere, in blobs/cache, bounded by bytes; the least recently
 * used are removed first, which those that have them open do not notice. Thread-safe. */

#include "base/err.h"
#include "stores/blob_incoming.h"

struct ig_blob_cache;

/* `reads`: another process owns it; nothing is kept or removed. */
enum ig_code ig_blob_cache_open(struct ig_blob_cache **out, int root, uint64_t max_bytes,
                                bool reads, struct ig_err *err);
void ig_blob_cache_close(struct ig_blob_cache *cache); /* NULL is allowed */
/* A descriptor; NOT_FOUND. */
enum ig_code ig_blob_cache_get(int *fd, struct ig_blob_cache *cache, const char *digest,
                               struct ig_err *err);
/* Takes over a complete file and its name, unless it is too large; it ends either way. */
void ig_blob_cache_take(struct ig_blob_cache *cache, struct ig_blob_incoming *incoming,
                        const char *digest);
void ig_blob_cache_remove(struct ig_blob_cache *cache, const char *digest);

#endif
