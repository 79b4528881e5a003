/* SPDX-License-Identifier: Apache-2.0 */
/* Folds what is long enough, and leaves the rest to zlib. Stateless. */
#include "base/crc32_priv.h"

#include <zlib.h>

#if defined(__x86_64__)

static size_t fold(uint32_t *crc, const unsigned char *bytes, size_t size_bytes)
{
    bool can = __builtin_cpu_supports("pclmul") && __builtin_cpu_supports("sse4.1");
    return can ? ig_crc32_fold_pclmul(crc, bytes, size_bytes) : 0;
}

#else

static size_t fold(uint32_t *crc, const unsigned char *bytes, size_t size_bytes)
{
    (void)crc, (void)bytes, (void)size_bytes;
    return 0;
}

#endif

uint32_t ig_crc32(const void *bytes, size_t size_bytes)
{
    const unsigned char *at = bytes;
    uint32_t crc = 0;
    size_t folded = fold(&crc, at, size_bytes);
    if (folded == size_bytes) return crc;
    return (uint32_t)crc32_z(crc, at + folded, size_bytes - folded);
}
