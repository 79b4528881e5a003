/* SPDX-License-Identifier: Apache-2.0 */
#ifndef IG_NET_HTTP2_POOL_H
#define IG_NET_HTTP2_POOL_H

/* Memory of a loop's sessions of HTTP/2. A call takes eight pieces of it, and a connection has many
 * calls at once, more than malloc keeps at hand: free pieces of small sizes wait here for the next
 * call. Thread rule: one thread at a time. */

#include <nghttp2/nghttp2.h>
#include <stddef.h>

enum {
    IG_HTTP2_POOL_STEP_BYTES = 32,
    IG_HTTP2_POOL_CLASSES = 16,  /* sizes up to 512 bytes */
    IG_HTTP2_POOL_KEPT_MAX = 256 /* free pieces of a size */
};

struct ig_http2_piece;

struct ig_http2_pool {
    nghttp2_mem mem; /* for sessions; they end before the pool */
    struct {
        struct ig_http2_piece *first;
        size_t count;
    } kept[IG_HTTP2_POOL_CLASSES];
};

void ig_http2_pool_init(struct ig_http2_pool *pool);
void ig_http2_pool_deinit(struct ig_http2_pool *pool);

#endif
