/* SPDX-License-Identifier: Apache-2.0 */
#ifndef IG_SERVICES_EXPLAIN_PREPARED_H
#define IG_SERVICES_EXPLAIN_PREPARED_H

/* The explainers that were prepared for one loaded model, by method, background, groups and unit.
 * They live as long as the set: what is found stays valid until the set is freed. */

#include "base/hash.h"
#include "kernels/explain/explain.h"

struct ig_prepared_set;

struct ig_prepared_key {
    enum ig_explainer method;
    bool probability;
    char background[IG_SHA256_HEX];        /* digest of the table; empty: none */
    unsigned char groups[IG_SHA256_BYTES]; /* digest of the players; zeros: each feature its own */
};
/* The key's part of a players array. */
void ig_prepared_groups(unsigned char groups[IG_SHA256_BYTES], const struct ig_players *players,
                        uint32_t features_count);

/* `memory_max_bytes`: of all explainers together; 0: 1 GiB. It is kept: what would not fit is
 * refused. */
enum ig_code ig_prepared_new(struct ig_prepared_set **out, size_t memory_max_bytes,
                             struct ig_err *err);
void ig_prepared_free(struct ig_prepared_set *set); /* NULL is allowed */

/* Loop-safe, no lock. NULL when it has not been prepared. */
const struct ig_explain *ig_prepared_find(const struct ig_prepared_set *set,
                                          const struct ig_prepared_key *key);
/* Prepares what `spec` says under `key`, or finds it; one thread at a time prepares. EXHAUSTED when
 * the set is full, or what is left of its memory is too little for this explainer. Worker threads
 * only. */
enum ig_code ig_prepared_make(const struct ig_explain **out, struct ig_prepared_set *set,
                              const struct ig_prepared_key *key, const struct ig_engine *engine,
                              const struct ig_explain_spec *spec, struct ig_err *err);
size_t ig_prepared_memory_bytes(const struct ig_prepared_set *set);
size_t ig_prepared_count(const struct ig_prepared_set *set);

#endif
