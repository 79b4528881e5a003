/* SPDX-License-Identifier: Apache-2.0 */
/* The engines `prune` and `quantize` of the training child: what `ingot edge prune` and `quantize`
 * do, of a registered model, by the same functions. */
#include "train_engine.h"

#include "base/file.h"
#include "formats/rows.h"
#include "services/edge/edge_prune.h"
#include "services/edge/edge_quantize.h"
#include "services/job/edge_plan.h"

#include <math.h>
#include <string.h>

enum { BLOCK_ROWS = 1024 };
static const size_t FILE_MAX_BYTES = (size_t)2 << 30;

struct work {
    struct ig_train_child *child;
    struct ig_package *source;
    struct ig_buf csv;
};

static enum ig_code open_work(struct work *work, struct ig_err *err)
{
    struct ig_train_spec *spec = &work->child->spec;
    if (ig_train_child_open(&work->source, IG_CHILD_MODELS_FD,
                            ig_str_view(ig_params_source(&spec->params)), err) != IG_OK)
        return err->code;
    return spec->has_data ? ig_train_child_read(&work->csv, IG_CHILD_DATA_FD, err) : IG_OK;
}

static enum ig_code write_package(const struct ig_buf *zip, struct ig_err *err)
{
    return ig_file_replace(IG_CHILD_DIR_FD, "package.zip", ig_buf_view(zip), err);
}

/* ---- prune ---- */

static void read_prune(struct ig_edge_prune *out, const struct work *work)
{
    const struct ig_prune_params *params = &work->child->spec.params.prune;
    struct ig_edge_choice choice = {0};
    struct ig_err ignored = IG_ERR_INIT; /* the parameters were checked */
    ig_edge_choice_parse(&choice, ig_str_view(params->leaves.text), IG_STR(""), &ignored);
    *out = (struct ig_edge_prune){.target = work->child->spec.target,
                                  .leaves = choice.leaves,
                                  .leaves_max = (uint64_t)params->leaves_at_most,
                                  .bytes_max = (uint64_t)params->bytes_at_most,
                                  .loss_max = (double)NAN,
                                  .whole_trees = ig_edge_plan_on(&params->drop_trees),
                                  .refit = ig_edge_plan_on(&params->refit)};
    if (params->loss_at_most.text[0])
        ig_str_to_f64(ig_str_view(params->loss_at_most.text), &out->loss_max);
    if (work->child->spec.has_data) out->csv = work->csv.len ? ig_buf_view(&work->csv) : IG_STR("");
}

static enum ig_code prune(struct work *work, struct ig_err *err)
{
    struct ig_edge_pruned pruned;
    struct ig_edge_prune options;
    struct ig_json_out out;
    read_prune(&options, work);
    if (ig_edge_prune_run(&pruned, work->source, &options, err) == IG_OK &&
        write_package(&pruned.file, err) == IG_OK) {
        ig_json_out_init(&out, &work->child->metrics);
        ig_json_out_object(&out);
        ig_edge_pruned_write(&out, &pruned);
        ig_json_out_object_end(&out);
    }
    ig_edge_pruned_deinit(&pruned);
    return err->code;
}

/* ---- quantize ---- */

static enum ig_code read_rows(struct ig_edge_quantize *options, const struct work *work,
                              struct ig_err *err)
{
    static const struct ig_rows_options OTHERS = {.ignore_others = true};
    struct ig_arena *arena = &work->child->arena;
    size_t row_bytes = work->source->model->features_count * sizeof(double), cap = 0, got = 1;
    struct ig_rows *reader = NULL;
    char *rows = NULL;
    double *block = ig_arena_array(arena, BLOCK_ROWS, row_bytes);
    if (!block) return ig_fail(err, IG_NO_MEMORY, "no memory for rows");
    ig_rows_open_bytes(&reader, ig_buf_view(&work->csv), &work->source->schema, &OTHERS, err);
    while (got > 0 && err->code == IG_OK) {
        if (ig_rows_next(reader, block, BLOCK_ROWS, &got, err) != IG_OK) break;
        for (size_t i = 0; i < got; i++) {
            rows = ig_arena_grow(arena, rows, options->rows_count, &cap, row_bytes);
            if (!rows) break;
            memcpy(rows + options->rows_count++ * row_bytes, (char *)block + i * row_bytes,
                   row_bytes);
        }
        if (got && !rows) ig_fail(err, IG_NO_MEMORY, "no memory for rows");
    }
    ig_rows_close(reader);
    if (err->code != IG_OK) ig_err_prefix(err, "table");
    options->rows = (double *)(void *)rows;
    return err->code;
}

static void write_report(struct ig_buf *metrics, const struct ig_edge_quantized *made, bool layers)
{
    struct ig_json_out out;
    ig_buf_reset(metrics);
    ig_json_out_init(&out, metrics);
    ig_json_out_object(&out);
    ig_edge_quantized_write(&out, made, layers);
    ig_json_out_object_end(&out);
}

static enum ig_code write_quantized(struct work *work, const struct ig_edge_quantized *made,
                                    const struct ig_edge_quantize *options, struct ig_err *err)
{
    struct ig_buf *metrics = &work->child->metrics, zip, metadata;
    ig_buf_init(&zip, FILE_MAX_BYTES);
    ig_buf_init(&metadata, 1 << 20);
    write_report(metrics, made, true);
    if (metrics->overflowed) write_report(metrics, made, false);
    ig_train_child_metadata(&metadata, work->child, INGOT_VERSION);
    if (ig_edge_quantized_package(&zip, made, work->source, options, ig_buf_view(&metadata), err) ==
        IG_OK)
        write_package(&zip, err);
    ig_buf_deinit(&metadata);
    ig_buf_deinit(&zip);
    return err->code;
}

static enum ig_code quantize(struct work *work, struct ig_err *err)
{
    const struct ig_train_spec *spec = &work->child->spec;
    const struct ig_quantize_params *params = &spec->params.quantize;
    struct ig_edge_quantize options = {.float_ends = ig_edge_plan_on(&params->float_ends),
                                       .symmetric = ig_edge_plan_on(&params->symmetric),
                                       .packaged = true};
    struct ig_edge_quantized made;
    if (ig_edge_quantize_parse(&options, params->to.text, params->calibrator.text,
                               params->rounding.text, params->device.text, err) != IG_OK)
        return err->code;
    if (spec->has_data &&
        (read_rows(&options, work, err) != IG_OK ||
         ig_edge_labels_read(&options.labels, ig_buf_view(&work->csv), spec->target,
                             &work->source->schema, &work->child->arena, err) != IG_OK))
        return err->code;
    if (ig_edge_quantize_run(&made, work->source, &options, err) == IG_OK)
        write_quantized(work, &made, &options, err);
    ig_edge_quantized_deinit(&made);
    return err->code;
}

enum ig_code ig_train_child_shrink(struct ig_train_child *child, struct ig_err *err)
{
    struct work work = {.child = child};
    ig_buf_init(&work.csv, FILE_MAX_BYTES);
    if (open_work(&work, err) == IG_OK)
        child->spec.params.engine == IG_JOB_PRUNE ? prune(&work, err) : quantize(&work, err);
    ig_package_free(work.source);
    ig_buf_deinit(&work.csv);
    return err->code;
}
