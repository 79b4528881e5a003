/* SPDX-License-Identifier: Apache-2.0 */
/* Records and sketches of devices. Stateless. */
#include "formats/edge/edge_telemetry.h"

#include <math.h>
#include <zlib.h>

enum { HEADER_BYTES = 16, SUM_AT = 12, SKETCH_HEADER = 32 };

static uint64_t number(struct ig_str bytes, size_t at, size_t size)
{
    uint64_t value = 0;
    for (size_t i = size; i-- > 0;) value = value << 8 | (unsigned char)bytes.ptr[at + i];
    return value;
}

bool ig_edge_record_next(struct ig_edge_record *out, struct ig_str *rest, struct ig_err *err)
{
    struct ig_str bytes = *rest;
    if (!bytes.len) return false;
    size_t size = bytes.len < HEADER_BYTES ? 0 : (size_t)number(bytes, 8, 2);
    size_t whole = HEADER_BYTES + (size + 7) / 8 * 8;
    if (bytes.len < whole || bytes.ptr[0] != 'I' || bytes.ptr[1] != 'L' || bytes.ptr[3] != 0 ||
        number(bytes, 10, 2) != 0) {
        ig_fail(err, IG_INVALID, "telemetry: no whole record where one was expected");
        return false;
    }
    const unsigned char *at = (const unsigned char *)bytes.ptr;
    uLong crc = crc32_z(crc32_z(0, at, SUM_AT), at + HEADER_BYTES, size);
    if (crc != number(bytes, SUM_AT, 4)) {
        ig_fail(err, IG_INVALID, "telemetry: the checksum of record %u does not hold",
                (unsigned)number(bytes, 4, 4));
        return false;
    }
    *out = (struct ig_edge_record){.kind = at[2],
                                   .number = (uint32_t)number(bytes, 4, 4),
                                   .payload = {bytes.ptr + HEADER_BYTES, size}};
    *rest = (struct ig_str){bytes.ptr + whole, bytes.len - whole};
    return true;
}

enum ig_code ig_edge_sketch_read(struct ig_edge_sketch *out, struct ig_str payload,
                                 struct ig_err *err)
{
    struct ig_edge_sketch sketch = {0};
    uint64_t sum = 0;
    size_t edges = payload.len < SKETCH_HEADER ? 0 : (unsigned char)payload.ptr[14];
    if (edges > IG_EDGE_SKETCH_EDGES_MAX || payload.len != SKETCH_HEADER + 4 * (2 * edges + 1))
        return ig_fail(err, IG_CORRUPT, "a sketch of %zu bytes with %zu edges", payload.len, edges);
    sketch.counter = number(payload, 0, 8);
    sketch.day = (uint32_t)number(payload, 8, 4);
    sketch.feature = (uint32_t)number(payload, 12, 2);
    sketch.edges_count = (uint32_t)edges;
    sketch.integers = payload.ptr[15] == 1;
    sketch.rows = number(payload, 16, 4);
    sketch.missing = number(payload, 20, 4);
    sketch.low = (int32_t)number(payload, 24, 4);
    sketch.high = (int32_t)number(payload, 28, 4);
    for (size_t i = 0; i < edges; i++) {
        sketch.edges[i] = (int32_t)number(payload, SKETCH_HEADER + 4 * i, 4);
        if (i && sketch.edges[i] <= sketch.edges[i - 1])
            return ig_fail(err, IG_CORRUPT, "a sketch whose edges do not rise");
    }
    for (size_t i = 0; i <= edges; i++) {
        sketch.counts[i] = number(payload, SKETCH_HEADER + 4 * (edges + i), 4);
        sum += sketch.counts[i];
    }
    if (sum + sketch.missing != sketch.rows || sketch.counter == 0 || sketch.counter > INT64_MAX)
        return ig_fail(err, IG_CORRUPT, "a sketch whose counts do not add up to its rows");
    *out = sketch;
    return IG_OK;
}

double ig_edge_sketch_value(const struct ig_edge_sketch *sketch, int32_t key)
{
    float value;
    uint32_t bits = key < 0 ? 0x80000000U - (uint32_t)key : (uint32_t)key;
    if (sketch->integers) return key;
    memcpy(&value, &bits, sizeof value);
    return (double)value;
}

static double share(uint64_t count, uint64_t rows, double bins)
{
    return ((double)count + 0.5) / ((double)rows + 0.5 * bins);
}

double ig_edge_sketch_psi(const struct ig_edge_sketch *expected,
                          const struct ig_edge_sketch *actual)
{
    double sum = 0, bins = expected->edges_count + 2;
    if (expected->edges_count != actual->edges_count ||
        memcmp(expected->edges, actual->edges, expected->edges_count * sizeof *actual->edges) != 0)
        return (double)NAN;
    for (uint32_t i = 0; i <= expected->edges_count + 1; i++) {
        bool last = i == expected->edges_count + 1;
        double p = share(last ? expected->missing : expected->counts[i], expected->rows, bins);
        double q = share(last ? actual->missing : actual->counts[i], actual->rows, bins);
        sum += (q - p) * log(q / p);
    }
    return sum;
}
