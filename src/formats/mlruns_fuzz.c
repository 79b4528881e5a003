/* SPDX-License-Identifier: Apache-2.0 */
/* Files of an mlruns folder come from anywhere. The first byte chooses what is read; what was read
 * of a history is written and read again, and is the same. */
#include "formats/mlruns.h"

#include <stddef.h>
#include <stdint.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void read_points(struct ig_str text, struct ig_arena *arena)
{
    struct ig_err err = IG_ERR_INIT;
    struct ig_mlruns_points points = {0}, again = {0};
    struct ig_buf out;
    if (ig_mlruns_points_read(&points, text, arena, &err) != IG_OK) return;
    ig_buf_init(&out, 16 << 20);
    for (size_t i = 0; i < points.count; i++) ig_mlruns_point_write(&out, points.items[i]);
    IG_ASSERT(ig_mlruns_points_read(&again, ig_buf_view(&out), arena, &err) == IG_OK);
    IG_ASSERT(again.count == points.count);
    for (size_t i = 0; i < points.count; i++) {
        double a = points.items[i].value, b = again.items[i].value;
        IG_ASSERT((a != a && b != b) || a == b);
        IG_ASSERT(points.items[i].step == again.items[i].step);
    }
    ig_buf_deinit(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct ig_err err = IG_ERR_INIT;
    struct ig_arena arena;
    const struct ig_yaml *meta;
    if (!size) return 0;
    struct ig_str text = {(const char *)data + 1, size - 1};
    ig_arena_init(&arena, 64 << 10, 64 << 20);
    if (data[0] % 2) {
        read_points(text, &arena);
    } else if (ig_mlruns_meta_read(&meta, text, &arena, &err) == IG_OK) {
        ig_mlruns_text(meta, "name");
        ig_mlruns_i64(meta, "start_time", -1);
    }
    ig_arena_deinit(&arena);
    return 0;
}
