/* SPDX-License-Identifier: Apache-2.0 */
#include "formats/edge/edge_header.h"
#include "formats/edge/edge_telemetry.h"

#include "base/mem.h"

#include <math.h>
#include <zlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { HEADER = 16, SUM_AT = 12 };

/* Sums are put right, since what is behind them is what a device could get wrong. */
static void repair(unsigned char *bytes, size_t size)
{
    for (size_t at = 0; at + HEADER <= size;) {
        size_t payload = (size_t)bytes[at + 8] | (size_t)bytes[at + 9] << 8;
        size_t whole = HEADER + (payload + 7) / 8 * 8;
        if (whole > size - at) return;
        uLong sum = crc32_z(crc32_z(0, bytes + at, SUM_AT), bytes + at + HEADER, payload);
        for (int i = 0; i < 4; i++) bytes[at + SUM_AT + (size_t)i] = (unsigned char)(sum >> 8 * i);
        at += whole;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct ig_err err = IG_ERR_INIT, ignored = IG_ERR_INIT;
    struct ig_edge_header header;
    unsigned char *bytes =
        ig_alloc(size ? size : 1); /* exactly, for the sanitizer to see the end */
    if (!bytes) return 0;
    if (size) memcpy(bytes, data, size);
    struct ig_str rest = {(const char *)bytes, size};
    if (ig_edge_header_read(&header, rest, &ignored) == IG_OK) IG_ASSERT(header.counter > 0);
    repair(bytes, size);
    struct ig_edge_record record;
    while (ig_edge_record_next(&record, &rest, &err)) {
        struct ig_edge_sketch sketch;
        ig_err_clear(&ignored);
        if (record.kind != IG_EDGE_RECORD_SKETCH ||
            ig_edge_sketch_read(&sketch, record.payload, &ignored) != IG_OK)
            continue;
        IG_ASSERT(fabs(ig_edge_sketch_psi(&sketch, &sketch)) < 1e-9);
    }
    ig_free(bytes);
    return 0;
}
