/* SPDX-License-Identifier: Apache-2.0 */
#include "base/err.h"
#include "base/mem.h"

#include "ingot_edge_bundle.h"

#include <string.h>
#include <zlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { SIZE_AT = 8, MODEL_AT = 84, MODEL_BYTES_AT = 88, HEADER = 112, FILE_HEADER = 16 };

static uint32_t u32_at(const uint8_t *at)
{
    return (uint32_t)at[0] | (uint32_t)at[1] << 8 | (uint32_t)at[2] << 16 | (uint32_t)at[3] << 24;
}

static void put_u32(uint8_t *at, uint32_t value)
{
    for (unsigned i = 0; i < 4; i++) at[i] = (uint8_t)(value >> (8 * i));
}

/* The key is another one, since verifying takes long and has a target of its own. Size and the
 * model's CRC are put right first: what a signer could get wrong is behind them. */
static void repair(uint8_t *bytes, size_t size)
{
    if (size < HEADER) return;
    put_u32(bytes + SIZE_AT, (uint32_t)size);
    size_t at = u32_at(bytes + MODEL_AT), length = u32_at(bytes + MODEL_BYTES_AT);
    if (at > size || length > size - at || length < FILE_HEADER) return;
    uint8_t *model = bytes + at;
    put_u32(model + 8, (uint32_t)length);
    uLong crc = crc32_z(crc32_z(0, model, 12), model + FILE_HEADER, length - FILE_HEADER);
    put_u32(model + 12, (uint32_t)crc);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    enum { ARENA = 1 << 16 };
    static uint64_t arena[ARENA / 8];
    static const uint8_t SIGNATURE[IGE_SIGNATURE_BYTES] = "ED", KEY[IGE_KEY_BYTES] = "Ed1";
    struct ige_device device = {
        .key = KEY, .target = "", .arena = arena, .arena_bytes = sizeof arena};
    struct ige_bundle bundle;
    uint8_t *bytes = ig_alloc(size ? size : 1); /* exactly, for the sanitizer to see the end */
    if (!bytes) return 0;
    if (size) memcpy(bytes, data, size);
    repair(bytes, size);
    if (ige_bundle_open(&bundle, bytes, size) == IGE_BUNDLE_OK)
        ige_bundle_try(&bundle, arena, sizeof arena);
    IG_ASSERT(ige_bundle_check(&bundle, bytes, size, SIGNATURE, &device) != IGE_BUNDLE_OK);
    ig_free(bytes);
    return 0;
}
