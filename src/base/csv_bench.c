/* SPDX-License-Identifier: Apache-2.0 */
/* Reading CSV by records and as a table: made numbers, names and quoted cells. `--smoke` reads a
 * little. */
#include "base/clock.h"
#include "base/random.h"
#include "base/table.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

enum { ROUNDS = 5 };

static void make_text(struct ig_buf *buf, int rows)
{
    struct ig_rng rng;
    ig_rng_seed(&rng, 3);
    ig_buf_add_cstr(buf, "age,fare,score,count,job,note,city,target\n");
    for (int i = 0; i < rows; i++)
        ig_buf_printf(buf, "%d,%.2f,%.17g,%d,%s,\"%s\",city %d,%d\n", (int)ig_rng_below(&rng, 90),
                      100 * ig_rng_unit(&rng), ig_rng_unit(&rng), (int)ig_rng_below(&rng, 100000),
                      ig_rng_below(&rng, 2) ? "Exec-managerial" : "Sales",
                      ig_rng_below(&rng, 9) ? "plain, text" : "a \"\"word\"\"",
                      (int)ig_rng_below(&rng, 500), (int)ig_rng_below(&rng, 2));
}

static void read_records(struct ig_str text)
{
    struct ig_err err = IG_ERR_INIT;
    struct ig_csv *csv = NULL;
    const struct ig_str *fields;
    size_t count, rows = 0;
    IG_ASSERT(ig_csv_open_bytes(&csv, text, NULL, &err) == IG_OK);
    while (ig_csv_next(csv, &fields, &count, &err)) rows += count == 8;
    IG_ASSERT(err.code == IG_OK && rows > 1);
    ig_csv_close(csv);
}

static void read_table(struct ig_str text)
{
    struct ig_err err = IG_ERR_INIT;
    struct ig_csv *csv = NULL;
    struct ig_table *table = NULL;
    IG_ASSERT(ig_csv_open_bytes(&csv, text, NULL, &err) == IG_OK);
    IG_ASSERT(ig_table_read(&table, csv, NULL, &err) == IG_OK);
    IG_ASSERT(table->columns_count == 8);
    ig_table_free(table);
    ig_csv_close(csv);
}

static void report(const char *what, void (*read)(struct ig_str), struct ig_str text)
{
    double best = INFINITY;
    for (int round = 0; round < ROUNDS; round++) {
        uint64_t start = ig_clock_ns();
        read(text);
        double ns = (double)(ig_clock_ns() - start);
        if (ns < best) best = ns;
    }
    printf("%-16s %10zu bytes %8.1f ms %7.0f MB/s\n", what, text.len, best / 1e6,
           (double)text.len * 1e3 / best);
}

int main(int argc, char **argv)
{
    int rows = argc > 1 && strcmp(argv[1], "--smoke") == 0 ? 100 : 200000;
    struct ig_buf buf;
    ig_buf_init(&buf, (size_t)1 << 30);
    make_text(&buf, rows);
    report("records", read_records, ig_buf_view(&buf));
    report("table", read_table, ig_buf_view(&buf));
    ig_buf_deinit(&buf);
    return 0;
}
