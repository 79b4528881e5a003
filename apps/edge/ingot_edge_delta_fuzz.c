/* SPDX-License-Identifier: Apache-2.0 */
#include "base/ed25519.h"
#include "base/err.h"
#include "base/mem.h"

#include "ingot_edge_delta.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { OLD = 256, NEW_MAX = 1 << 16 };

struct sink {
    uint8_t *bytes;
    size_t size, at;
};

static int begin(void *context, size_t size)
{
    struct sink *sink = context;
    if (size > NEW_MAX) return 0;
    sink->size = size;
    sink->bytes = ig_alloc(size ? size : 1); /* exactly, for the sanitizer to see the end */
    return sink->bytes != NULL;
}

static int write(void *context, const void *bytes, size_t size)
{
    struct sink *sink = context;
    IG_ASSERT(size <= sink->size - sink->at);
    memcpy(sink->bytes + sink->at, bytes, size);
    sink->at += size;
    return 1;
}

/* The input is a delta; what it says of the old bundle is put right, since what is behind that is
 * what a server could get wrong. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct ig_err err = IG_ERR_INIT;
    struct sink sink = {0};
    struct ige_delta delta;
    unsigned char digest[IG_BLAKE2B_BYTES];
    uint8_t *old = ig_alloc(OLD), *bytes = ig_alloc(size ? size : 1);
    const struct ige_delta_sink face = {.begin = begin, .write = write, .context = &sink};
    if (old && bytes) {
        for (int i = 0; i < OLD; i++) old[i] = (uint8_t)(i * i);
        if (size) memcpy(bytes, data, size);
        if (size >= IGE_DELTA_HEADER_BYTES) {
            ig_blake2b(digest, (struct ig_str){(const char *)old, OLD}, &err);
            memcpy(bytes, "IGD\x1a\1\0\0\0\0\1\0\0", 12);
            memcpy(bytes + 16, digest, 32);
        }
        ige_delta_start(&delta, old, OLD, &face);
        ige_delta_feed(&delta, bytes, size / 2);
        ige_delta_feed(&delta, bytes + size / 2, size - size / 2);
        if (sink.bytes && sink.at == sink.size) ige_delta_finish(&delta, sink.bytes);
    }
    ig_free(sink.bytes);
    ig_free(bytes);
    ig_free(old);
    return 0;
}
