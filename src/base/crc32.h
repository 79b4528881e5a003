/* SPDX-License-Identifier: Apache-2.0 */
#ifndef IG_BASE_CRC32_H
#define IG_BASE_CRC32_H

/* CRC-32 as gzip and zlib have it, by carry-less multiplication where the processor has it.
 * Thread-safe. */

#include <stddef.h>
#include <stdint.h>

uint32_t ig_crc32(const void *bytes, size_t size_bytes);

#endif
