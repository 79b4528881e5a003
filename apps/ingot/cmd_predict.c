/* SPDX-License-Identifier: Apache-2.0 */
/* `ingot predict`: one line a row. */
#include "block.h"

static void print_line(FILE *out, const double *values, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) fprintf(out, "%s%.17g", i ? "," : "", values[i]);
    fputc('\n', out);
}

static enum ig_code print_block(struct ig_block *block, bool raw, struct ig_err *err)
{
    const struct ig_model *model = block->package->model;
    const struct ig_engine *engine = block->package->engine;
    ig_engine_margin(engine, block->values, block->rows_count, block->margins, block->scratch);
    if (ig_engine_check(engine, block->margins, block->rows_count * model->outputs_count, err) !=
        IG_OK)
        return err->code;
    for (size_t i = 0; i < block->rows_count; i++) {
        const double *margins = block->margins + i * model->outputs_count;
        if (raw) {
            print_line(block->out, margins, model->outputs_count);
            continue;
        }
        ig_model_transform(model, margins, block->predictions);
        print_line(block->out, block->predictions, model->predictions_count);
    }
    return IG_OK;
}

int ig_cmd_predict(const struct ig_cli *cli)
{
    struct ig_err err = IG_ERR_INIT;
    struct ig_block block;
    bool raw = ig_cli_flag(cli, "raw");
    if (ig_block_open(&block, cli, IG_ENGINE_MARGIN, &err) == IG_OK)
        while (ig_block_next(&block, &err) && print_block(&block, raw, &err) == IG_OK) continue;
    bool written = ig_block_close(&block, cli);
    if (err.code != IG_OK) return ig_cli_fail(cli, &err, NULL);
    return written ? IG_EXIT_OK : IG_EXIT_FAILURE;
}
