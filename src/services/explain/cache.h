/* SPDX-License-Identifier: Apache-2.0 */
#ifndef IG_SERVICES_EXPLAIN_CACHE_H
#define IG_SERVICES_EXPLAIN_CACHE_H

/* Explanations that were made before: by model, method, background, options and the row's bits.
 * Bounded by bytes; the least recently used go first. Loop-safe: a part that another thread is in
 * counts as a miss, nothing ever waits. */

#include "base/lru.h"
#include "kernels/explain/explain_rows.h"

struct ig_explain_cache;

/* max_bytes 0: nothing is ever kept. */
enum ig_code ig_explain_cache_new(struct ig_explain_cache **out, size_t max_bytes,
                                  struct ig_err *err);
void ig_explain_cache_free(struct ig_explain_cache *cache); /* NULL is allowed */

/* What besides the row decides an explanation. */
struct ig_explain_cache_key {
    unsigned char context[16]; /* see ig_explain_cache_key_of */
    const double *row;
    size_t features;
};

struct ig_explain_cache_context {
    struct ig_str model_digest, background_digest;
    enum ig_explainer method;
    bool probability;
    struct ig_players players;
    const struct ig_explain_options *options; /* its deadline does not count */
    uint32_t features;
};

/* A hash of the context: 128 bits, keyed with a secret of the process. */
void ig_explain_cache_key_of(struct ig_explain_cache_key *out, const struct ig_explain_cache *cache,
                             const struct ig_explain_cache_context *context);
/* The row's explanation, copied into the arena; false when it is not there (or does not fit). */
bool ig_explain_cache_get(struct ig_explanations *out, struct ig_explain_cache *cache,
                          const struct ig_explain_cache_key *key, const struct ig_model *model,
                          struct ig_arena *arena);
void ig_explain_cache_put(struct ig_explain_cache *cache, const struct ig_explain_cache_key *key,
                          const struct ig_explanations *one, const struct ig_model *model);

void ig_explain_cache_stats(struct ig_explain_cache *cache, struct ig_lru_stats *out);

#endif
