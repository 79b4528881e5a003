/* SPDX-License-Identifier: Apache-2.0 */
/* Block-wise scoring of a CSV file. Invariant: the arrays of one block stay within BLOCK_BYTES (or
 * one row), so memory is constant whatever the file's length. */
#include "block.h"

#include "model_source.h"

#include "base/file.h"
#include "base/mem.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

enum { ROWS_MAX = 1024, BLOCK_BYTES = 8 << 20 };

static enum ig_code allocate(struct ig_block *block, enum ig_engine_op op, struct ig_err *err)
{
    const struct ig_model *model = block->package->model;
    size_t features = model->features_count, outputs = model->outputs_count;
    bool explains = op == IG_ENGINE_CONTRIBUTIONS;
    size_t row_bytes = sizeof(double) * (features + outputs * (explains ? features + 2 : 1) + 1);
    block->rows_max = BLOCK_BYTES / row_bytes;
    if (block->rows_max > ROWS_MAX) block->rows_max = ROWS_MAX;
    if (block->rows_max == 0) block->rows_max = 1;
    size_t rows = block->rows_max;
    ig_arena_init(&block->arena, 1 << 16, (size_t)4 << 30);
    block->values = ig_arena_array(&block->arena, rows * features, sizeof(double));
    block->margins = ig_arena_array(&block->arena, rows * outputs, sizeof(double));
    block->predictions = ig_arena_array(&block->arena, model->predictions_count, sizeof(double));
    size_t scratch = ig_engine_scratch_bytes(block->package->engine, IG_ENGINE_MARGIN, rows);
    block->scratch = ig_arena_alloc_aligned(&block->arena, scratch + 64, 64);
    if (!block->arena.overflowed) return IG_OK;
    return ig_fail(err, IG_NO_MEMORY, "no memory for a block of %zu rows", rows);
}

static enum ig_code open_rows(struct ig_block *block, const struct ig_cli *cli, struct ig_err *err)
{
    const char *input = ig_cli_text(cli, "input");
    struct ig_rows_options options = {.no_header = ig_cli_flag(cli, "no-header")};
    while (ig_cli_item(cli, "drop", options.drop_count)) options.drop_count++;
    block->drop = ig_zalloc_array(options.drop_count + 1, sizeof *block->drop);
    if (!block->drop) return ig_fail(err, IG_NO_MEMORY, "no memory for reading '%s'", input);
    for (size_t i = 0; i < options.drop_count; i++) block->drop[i] = ig_cli_item(cli, "drop", i);
    options.drop = block->drop;
    if (strcmp(input, "-") == 0)
        block->input = fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 3);
    else if (ig_file_open_read(&block->input, IG_FILE_CWD, input, err) != IG_OK)
        return err->code;
    if (ig_rows_open_fd(&block->rows, block->input, &block->package->schema, &options, err) !=
        IG_OK)
        ig_err_prefix(err, "--input");
    return err->code;
}

enum ig_code ig_block_open_input(struct ig_block *block, const struct ig_cli *cli,
                                 enum ig_engine_op op, struct ig_err *err)
{
    *block = (struct ig_block){.out = stdout, .input = -1};
    if (ig_model_source_open(&block->package, cli, err) != IG_OK) return err->code;
    if (open_rows(block, cli, err) != IG_OK) return err->code;
    return allocate(block, op, err);
}

enum ig_code ig_block_open(struct ig_block *block, const struct ig_cli *cli, enum ig_engine_op op,
                           struct ig_err *err)
{
    const char *output = ig_cli_text(cli, "output");
    if (ig_block_open_input(block, cli, op, err) != IG_OK) return err->code;
    if (!output || strcmp(output, "-") == 0) return IG_OK;
    block->out = fopen(output, "we");
    if (!block->out)
        return ig_fail(err, IG_IO, "--output: cannot write '%s': %s", output, strerror(errno));
    return IG_OK;
}

bool ig_block_next(struct ig_block *block, struct ig_err *err)
{
    block->rows_done += block->rows_count;
    if (ig_rows_next(block->rows, block->values, block->rows_max, &block->rows_count, err) !=
        IG_OK) {
        ig_err_prefix(err, "--input");
        return false;
    }
    return block->rows_count > 0 && !ferror(block->out);
}

bool ig_block_close(struct ig_block *block, const struct ig_cli *cli)
{
    bool written = !block->out || ig_cli_flush(cli, block->out);
    if (block->out && block->out != stdout) fclose(block->out);
    ig_rows_close(block->rows);
    ig_file_close(&block->input);
    ig_free(block->drop);
    ig_arena_deinit(&block->arena);
    if (block->package) ig_package_free(block->package);
    return written;
}
