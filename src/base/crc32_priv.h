/* SPDX-License-Identifier: Apache-2.0 */
#ifndef IG_BASE_CRC32_PRIV_H
#define IG_BASE_CRC32_PRIV_H

#include "base/crc32.h"

#include <stdbool.h>

/* Goes through the whole blocks of 16 bytes that `bytes` begin with, when they are at least four.
 * Returns how many bytes that were; *crc is that of the bytes before, then with these. */
size_t ig_crc32_fold_pclmul(uint32_t *crc, const unsigned char *bytes, size_t size_bytes);

#endif
