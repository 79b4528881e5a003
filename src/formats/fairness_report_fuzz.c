/* SPDX-License-Identifier: Apache-2.0 */
/* Any bytes as a table of decided rows: whatever it holds, the report's counts add up. */
#include "formats/fairness_report.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void report(struct ig_str csv, const struct ig_fairness_spec *spec)
{
    struct ig_err err = IG_ERR_INIT;
    struct ig_fairness_table table;
    struct ig_arena arena;
    ig_arena_init(&arena, 1 << 14, 64 << 20);
    enum ig_code code = ig_fairness_table_run(&table, csv, spec, NULL, &arena, &err);
    IG_ASSERT(code == err.code);
    for (size_t c = 0; code == IG_OK && c < table.columns_count; c++) {
        size_t rows = 0;
        for (uint32_t g = 0; g < table.columns[c].groups_count; g++)
            rows += table.columns[c].report.groups[g].rows;
        IG_ASSERT(rows == table.rows_count);
    }
    ig_arena_deinit(&arena);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct ig_str COLUMNS[] = {{"sex", 3}, {"age", 3}};
    const struct ig_str csv = {(const char *)data, size};
    report(csv, &(struct ig_fairness_spec){.columns = COLUMNS,
                                           .columns_count = 2,
                                           .intersections = true,
                                           .decision = IG_STR("d"),
                                           .label = IG_STR("y")});
    report(csv,
           &(struct ig_fairness_spec){
               .columns = COLUMNS, .columns_count = 1, .score = IG_STR("p"), .threshold = 0.5});
    return 0;
}
