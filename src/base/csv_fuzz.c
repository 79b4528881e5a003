/* SPDX-License-Identifier: Apache-2.0 */
/* Reads any bytes as a table, plain or gzip; and as records, whole and in small pieces, which must
 * not tell apart. */
#include "base/hash.h"
#include "base/table.h"

#include <stddef.h>
#include <stdint.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct ig_csv_options caps = {
    .record_max_bytes = 10000, .fields_max = 200, .total_max_bytes = 1 << 20};

struct outcome {
    uint64_t fields_hash;
    uint64_t line;
    size_t records_count;
    enum ig_code code;
    int64_t at_byte;
};

static int64_t read_pieces(void *context, void *bytes, size_t size, struct ig_err *err)
{
    (void)err;
    struct ig_str *left = context;
    size_t count = 1 + left->len % 7;
    if (count > left->len) count = left->len;
    if (count > size) count = size;
    if (count) memcpy(bytes, left->ptr, count);
    left->ptr += count;
    left->len -= count;
    return (int64_t)count;
}

static struct outcome read_records(struct ig_csv *csv)
{
    struct ig_err err = IG_ERR_INIT;
    struct outcome seen = {0};
    const struct ig_str *fields;
    size_t count;
    while (ig_csv_next(csv, &fields, &count, &err)) {
        seen.records_count++;
        seen.line = ig_csv_line(csv);
        for (size_t i = 0; i < count; i++)
            seen.fields_hash = seen.fields_hash * 31 + ig_hash64(fields[i].ptr, fields[i].len);
        seen.fields_hash = seen.fields_hash * 31 + count;
    }
    seen.code = err.code;
    seen.at_byte = err.at_byte;
    ig_csv_close(csv);
    return seen;
}

static void compare_pieces(struct ig_str input)
{
    bool zipped = ig_str_starts(input, IG_STR("\x1f\x8b"));
    struct ig_err err = IG_ERR_INIT;
    struct ig_csv *csv = NULL;
    IG_ASSERT(ig_csv_open_bytes(&csv, input, &caps, &err) == IG_OK);
    struct outcome whole = read_records(csv);
    IG_ASSERT(ig_csv_open(&csv, read_pieces, &input, &caps, &err) == IG_OK);
    struct outcome pieces = read_records(csv);
    /* How far a refused input was read before depends on the pieces. */
    if (whole.code == IG_TOO_LARGE || pieces.code == IG_TOO_LARGE) return;
    IG_ASSERT(whole.code == pieces.code);
    IG_ASSERT(whole.records_count == pieces.records_count || whole.code != IG_OK);
    if (whole.records_count != pieces.records_count) return;
    IG_ASSERT(whole.fields_hash == pieces.fields_hash && whole.line == pieces.line);
    /* Nor where a broken gzip stream is seen to be one. */
    IG_ASSERT(whole.at_byte == pieces.at_byte || (zipped && whole.code != IG_OK));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct ig_err err = IG_ERR_INIT;
    struct ig_csv *csv = NULL;
    struct ig_table *table = NULL;
    struct ig_table_options options = {
        .csv = caps, .no_header = size & 1, .memory_max_bytes = (size_t)16 << 20};
    struct ig_str input = {(const char *)data, size};
    if (size <= 4096) compare_pieces(input);
    if (ig_csv_open_bytes(&csv, input, &options.csv, &err) != IG_OK) return 0;
    if (ig_table_read(&table, csv, &options, &err) == IG_OK) {
        for (size_t i = 0; i < table->columns_count; i++) {
            const struct ig_column *column = &table->columns[i];
            for (size_t row = 0; column->codes && row < table->rows_count; row++)
                IG_ASSERT(column->codes[row] < (int32_t)column->categories_count);
        }
        ig_table_free(table);
    } else {
        IG_ASSERT(err.code != IG_OK);
    }
    ig_csv_close(csv);
    return 0;
}
