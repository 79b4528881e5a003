/* SPDX-License-Identifier: Apache-2.0 */
/* Any bytes as a report of either kind. */
#include "services/approval/report.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    for (int kind = 0; kind < IG_REPORT_KINDS_COUNT; kind++) {
        struct ig_report_summary summary;
        struct ig_err err = IG_ERR_INIT;
        struct ig_arena arena;
        ig_arena_init(&arena, 4096, 4 * IG_REPORT_MAX_BYTES);
        if (ig_report_summarize(&summary, (enum ig_report_kind)kind,
                                (struct ig_str){(const char *)data, size}, &arena, &err) == IG_OK)
            IG_ASSERT(summary.columns_count <= IG_REPORT_COLUMNS_MAX &&
                      summary.features_count <= IG_REPORT_FEATURES_MAX);
        ig_arena_deinit(&arena);
    }
    return 0;
}
