/* SPDX-License-Identifier: Apache-2.0 */
#ifndef IG_BASE_RANDOM_H
#define IG_BASE_RANDOM_H

/* Secret-grade bytes from the kernel, ids, and a seeded generator (xoshiro256**) for reproducible
 * work. */

#include "base/str.h"

void ig_random_bytes(void *bytes, size_t size_bytes); /* getrandom; aborts if the kernel refuses */

enum { IG_ID_SIZE = 27 }; /* 26 characters + NUL */
/* Sortable unique id (ULID: 48 bits of milliseconds, 80 of randomness; Crockford base 32, lower
 * case), after all that the process was given before. */
void ig_id_new(char id[IG_ID_SIZE]);

struct ig_rng {
    uint64_t state[4];
};
void ig_rng_seed(struct ig_rng *rng, uint64_t seed); /* by splitmix64 */
uint64_t ig_rng_u64(struct ig_rng *rng);
uint64_t ig_rng_below(struct ig_rng *rng, uint64_t bound);          /* unbiased; bound > 0 */
double ig_rng_unit(struct ig_rng *rng);                             /* [0, 1), 53 bits */
void ig_rng_units(struct ig_rng *rng, double *units, size_t count); /* as many calls of it */

#endif
