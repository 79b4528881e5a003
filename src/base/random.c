/* SPDX-License-Identifier: Apache-2.0 */
/* Kernel randomness, ULIDs (github.com/ulid/spec) and xoshiro256** (Blackman and Vigna, 2018). The
 * first two are thread-safe; a generator belongs to one thread. */
#include "base/random.h"

#include "base/clock.h"
#include "base/err.h"
#include "base/int128.h"

#include <errno.h>
#include <pthread.h>
#include <string.h>
#include <sys/random.h>

void ig_random_bytes(void *bytes, size_t size_bytes)
{
    char *at = bytes;
    while (size_bytes) {
        ssize_t got = getrandom(at, size_bytes, 0);
        if (got < 0 && errno == EINTR) continue;
        IG_ASSERT(got > 0);
        at += got;
        size_bytes -= (size_t)got;
    }
}

/* Above the last one, by a random step where the clock has not gone on. */
static ig_u128 next_id(void)
{
    static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
    static ig_u128 last;
    uint64_t random[2];
    ig_random_bytes(random, sizeof(random));
    ig_u128 now = (uint64_t)ig_clock_unix_ms() & 0xffffffffffffu;
    pthread_mutex_lock(&lock);
    if (now > last >> 80)
        last = now << 80 | (ig_u128)(random[0] & 0xffff) << 64 | random[1];
    else
        last += 1 + (random[0] >> 16);
    ig_u128 value = last;
    pthread_mutex_unlock(&lock);
    return value;
}

void ig_id_new(char id[IG_ID_SIZE])
{
    static const char digits[] = "0123456789abcdefghjkmnpqrstvwxyz";
    ig_u128 value = next_id();
    for (int i = 25; i >= 0; i--) {
        id[i] = digits[(unsigned)(value & 31)];
        value >>= 5;
    }
    id[26] = '\0';
}

void ig_rng_seed(struct ig_rng *rng, uint64_t seed)
{
    for (int i = 0; i < 4; i++) {
        seed += 0x9e3779b97f4a7c15u;
        uint64_t z = seed;
        z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
        z = (z ^ z >> 27) * 0x94d049bb133111ebu;
        rng->state[i] = z ^ z >> 31;
    }
}

static uint64_t rotate(uint64_t x, int bits)
{
    return x << bits | x >> (64 - bits);
}

static inline uint64_t next(struct ig_rng *rng)
{
    uint64_t *s = rng->state;
    uint64_t result = rotate(s[1] * 5, 7) * 9, t = s[1] << 17;
    s[2] ^= s[0];
    s[3] ^= s[1];
    s[1] ^= s[2];
    s[0] ^= s[3];
    s[2] ^= t;
    s[3] = rotate(s[3], 45);
    return result;
}

uint64_t ig_rng_u64(struct ig_rng *rng)
{
    return next(rng);
}

uint64_t ig_rng_below(struct ig_rng *rng, uint64_t bound)
{
    IG_ASSERT(bound > 0);
    uint64_t floor = (0 - bound) % bound;
    for (;;) {
        ig_u128 product = (ig_u128)ig_rng_u64(rng) * bound;
        if ((uint64_t)product >= floor) return (uint64_t)(product >> 64);
    }
}

double ig_rng_unit(struct ig_rng *rng)
{
    return (double)(ig_rng_u64(rng) >> 11) * 0x1p-53;
}

void ig_rng_units(struct ig_rng *rng, double *units, size_t count)
{
    struct ig_rng own = *rng; /* in registers */
    for (size_t i = 0; i < count; i++) units[i] = (double)(next(&own) >> 11) * 0x1p-53;
    *rng = own;
}
