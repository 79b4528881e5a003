/* SPDX-License-Identifier: Apache-2.0 */
/* `ingot edge delta`, `patch` and `sketch`: what travels between server and devices beside bundles,
 * made and applied by the device's own code. */
#include "agent.h"
#include "cli.h"
#include "ingot_edge_delta.h"

#include "base/file.h"
#include "base/mem.h"
#include "formats/edge/edge_delta.h"

#include <stdio.h>
#include <string.h>

enum { FILE_MAX = 1 << 30, ARENA_BYTES = 1 << 24, SKETCHES_MAX = 1 << 20 };

int ig_cmd_edge_delta(const struct ig_cli *cli)
{
    struct ig_err err = IG_ERR_INIT;
    struct ig_buf old, new, delta;
    ig_buf_init(&old, FILE_MAX);
    ig_buf_init(&new, FILE_MAX);
    ig_buf_init(&delta, FILE_MAX);
    if (ig_file_read(&old, IG_FILE_CWD, cli->operands[0], &err) == IG_OK &&
        ig_file_read(&new, IG_FILE_CWD, cli->operands[1], &err) == IG_OK &&
        ig_edge_delta_write(&delta, ig_buf_view(&old), ig_buf_view(&new), &err) == IG_OK &&
        ig_file_replace(IG_FILE_CWD, ig_cli_text(cli, "output"), ig_buf_view(&delta), &err) ==
            IG_OK)
        printf("%zu bytes for %zu, %.1f percent\n", delta.len, new.len,
               new.len ? 100.0 * (double)delta.len / (double)new.len : 0.0);
    ig_buf_deinit(&old);
    ig_buf_deinit(&new);
    ig_buf_deinit(&delta);
    return err.code == IG_OK ? IG_EXIT_OK : ig_cli_fail(cli, &err, NULL);
}

static int begin(void *context, size_t size)
{
    struct ig_buf *out = context;
    return ig_buf_reserve(out, size);
}

static int append(void *context, const void *bytes, size_t size)
{
    struct ig_buf *out = context;
    ig_buf_add(out, bytes, size);
    return !out->overflowed;
}

static enum ig_code patch(struct ig_buf *new, struct ig_str old, struct ig_str bytes,
                          struct ig_err *err)
{
    static const char *const WORDS[] = {
        "", "is no delta, or not all of it", "was made for another old file",
        "does not give the file that it promises", "gives more than there is room for"};
    struct ige_delta delta;
    const struct ige_delta_sink sink = {.begin = begin, .write = append, .context = new};
    ige_delta_start(&delta, old.ptr, old.len, &sink);
    ige_delta_feed(&delta, bytes.ptr, bytes.len);
    enum ige_delta_status status = ige_delta_finish(&delta, new->ptr);
    if (status == IGE_DELTA_OK) return IG_OK;
    return ig_fail(err, IG_CORRUPT, "the delta %s", WORDS[status]);
}

int ig_cmd_edge_patch(const struct ig_cli *cli)
{
    struct ig_err err = IG_ERR_INIT;
    struct ig_buf old, new, delta;
    ig_buf_init(&old, FILE_MAX);
    ig_buf_init(&new, FILE_MAX);
    ig_buf_init(&delta, FILE_MAX);
    if (ig_file_read(&old, IG_FILE_CWD, cli->operands[0], &err) == IG_OK &&
        ig_file_read(&delta, IG_FILE_CWD, cli->operands[1], &err) == IG_OK &&
        patch(&new, ig_buf_view(&old), ig_buf_view(&delta), &err) == IG_OK)
        ig_file_replace(IG_FILE_CWD, ig_cli_text(cli, "output"), ig_buf_view(&new), &err);
    ig_buf_deinit(&old);
    ig_buf_deinit(&new);
    ig_buf_deinit(&delta);
    return err.code == IG_OK ? IG_EXIT_OK : ig_cli_fail(cli, &err, NULL);
}

/* ---- sketches of training rows ---- */

struct counting {
    struct ige_bundle bundle;
    struct ige_model model;
    struct ige_interpreter interpreter;
    void *arena;
    struct ige_sketch *sketches;
    size_t count;
    double *row;
    size_t row_count;
};

static enum ig_code open_counting(struct counting *counting, struct ig_str bytes,
                                  struct ig_err *err)
{
    counting->arena = ig_alloc_aligned(8, ARENA_BYTES);
    if (!counting->arena) return ig_fail(err, IG_NO_MEMORY, "no memory for an arena");
    if (ige_bundle_open(&counting->bundle, bytes.ptr, bytes.len) != IGE_BUNDLE_OK ||
        ige_load(&counting->model, counting->bundle.model, counting->bundle.model_bytes) !=
            IGE_OK ||
        ige_allocate_tensors(&counting->interpreter, &counting->model, counting->arena,
                             ARENA_BYTES) != IGE_OK)
        return ig_fail(err, IG_CORRUPT, "the device's code takes no model from this bundle");
    counting->count =
        ig_agent_sketches(&counting->sketches, &counting->bundle, &counting->interpreter);
    if (!counting->sketches) return ig_fail(err, IG_NO_MEMORY, "no memory for sketches");
    counting->row_count = ig_agent_inputs(&counting->interpreter);
    counting->row = ig_zalloc_array(counting->row_count, sizeof *counting->row);
    return counting->row ? IG_OK : ig_fail(err, IG_NO_MEMORY, "no memory for a row");
}

static bool has_number(struct ig_str cells)
{
    double value;
    while (cells.len)
        if (ig_str_to_f64(ig_str_trim(ig_str_cut(&cells, ',')), &value)) return true;
    return false;
}

/* A first line without a number in it is a header. */
static enum ig_code count_rows(struct counting *counting, struct ig_str text, struct ig_err *err)
{
    uint64_t rows = 0;
    for (uint64_t line = 1; text.len; line++) {
        struct ig_err local = IG_ERR_INIT;
        struct ig_str cells = ig_str_trim(ig_str_cut(&text, '\n'));
        if (!cells.len) continue;
        if (ig_agent_numbers(counting->row, counting->row_count, cells, &local) != IG_OK) {
            if (line == 1 && !has_number(cells)) continue;
            return ig_fail(err, IG_INVALID, "--input, line %llu: %s", (unsigned long long)line,
                           local.message);
        }
        ig_agent_invoke(&counting->interpreter, counting->row, counting->sketches, counting->count);
        rows++;
    }
    return rows ? IG_OK : ig_fail(err, IG_INVALID, "--input: it has no rows");
}

static void write_records(struct ig_buf *out, const struct counting *counting)
{
    for (size_t i = 0; i < counting->count; i++) {
        uint8_t payload[IGE_SKETCH_BYTES_MAX], record[IGE_SKETCH_BYTES_MAX + 32];
        size_t size =
            ige_sketch_write(payload, &counting->sketches[i], counting->bundle.counter, 0);
        ig_buf_add(out, record,
                   ige_record_write(record, IGE_RECORD_SKETCH, (uint32_t)i + 1, payload, size));
    }
}

int ig_cmd_edge_sketch(const struct ig_cli *cli)
{
    struct ig_err err = IG_ERR_INIT;
    struct counting counting = {.count = 0};
    struct ig_buf bundle, rows, out;
    ig_buf_init(&bundle, FILE_MAX);
    ig_buf_init(&rows, FILE_MAX);
    ig_buf_init(&out, SKETCHES_MAX);
    if (ig_file_read(&bundle, IG_FILE_CWD, cli->operands[0], &err) == IG_OK &&
        ig_file_read(&rows, IG_FILE_CWD, ig_cli_text(cli, "input"), &err) == IG_OK &&
        open_counting(&counting, ig_buf_view(&bundle), &err) == IG_OK &&
        count_rows(&counting, ig_buf_view(&rows), &err) == IG_OK) {
        write_records(&out, &counting);
        if (out.overflowed)
            ig_fail(&err, IG_TOO_LARGE, "the sketches take more than %d bytes", SKETCHES_MAX);
        else
            ig_file_replace(IG_FILE_CWD, ig_cli_text(cli, "output"), ig_buf_view(&out), &err);
    }
    ig_free(counting.sketches);
    ig_free(counting.row);
    ig_free(counting.arena);
    ig_buf_deinit(&bundle);
    ig_buf_deinit(&rows);
    ig_buf_deinit(&out);
    return err.code == IG_OK ? IG_EXIT_OK : ig_cli_fail(cli, &err, NULL);
}
