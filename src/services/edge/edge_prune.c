/* SPDX-License-Identifier: Apache-2.0 */
/* Rows, losses, the pruning itself, and the file. Stateless. */
#include "services/edge/edge_prune.h"

#include "base/mem.h"
#include "formats/edge/edge.h"
#include "formats/labelled.h"
#include "formats/xgboost_write.h"
#include "kernels/engine.h"
#include "kernels/train/tree_prune.h"

#include <math.h>
#include <string.h>

enum { FILE_MAX = INT32_MAX, GOLDEN_ROWS = 16, JUDGE_EVERY = 3 };
static const size_t MEMORY_MAX = (size_t)16 << 30;
static const double LOSS_SHARE = 0.01;

struct work {
    const struct ig_package *package;
    const struct ig_edge_prune *options;
    struct ig_arena arena;
    struct ig_labelled table;
    struct ig_tree_rows fit, judge;
    struct ig_model *made;
    struct ig_edge_pruned *out;
};

/* ---- rows ---- */

/* Class or number to what a loss takes of it. */
static enum ig_code spread_label(double *out, const struct ig_model *model, double label,
                                 struct ig_err *err)
{
    uint32_t outputs = model->outputs_count;
    bool classes = ig_model_gives_probabilities(model) || model->transform == IG_TRANSFORM_ARGMAX;
    if (outputs > 1 && !classes)
        return ig_fail(err, IG_UNSUPPORTED, "target: the model gives %u numbers a row", outputs);
    if (classes && label >= (outputs == 1 ? 2 : outputs))
        return ig_fail(err, IG_INVALID, "target: class %g, the model knows %u", label,
                       outputs == 1 ? 2 : outputs);
    if (outputs == 1) {
        out[0] = label;
        return IG_OK;
    }
    for (uint32_t o = 0; o < outputs; o++) out[o] = label == o;
    return IG_OK;
}

static double *margins_of(struct work *work, const struct ig_engine *engine,
                          const struct ig_tree_rows *rows, struct ig_err *err)
{
    size_t outputs = ig_engine_model(engine)->outputs_count;
    double *margins = ig_arena_array(&work->arena, rows->rows_count + 1, outputs * sizeof *margins);
    void *scratch = ig_arena_alloc_aligned(
        &work->arena, ig_engine_scratch_bytes(engine, IG_ENGINE_MARGIN, rows->rows_count) + 64, 64);
    if (!margins || !scratch) {
        ig_fail(err, IG_NO_MEMORY, "no memory for %zu rows", rows->rows_count);
        return NULL;
    }
    ig_engine_margin(engine, rows->rows, rows->rows_count, margins, scratch);
    return margins;
}

/* What the rows are held to: the table's target, or the model's own answers. */
static enum ig_code make_labels(double *labels, struct work *work, struct ig_err *err)
{
    const struct ig_model *model = work->package->model;
    const struct ig_tree_rows all = {work->table.rows, work->table.rows_count, NULL};
    size_t outputs = model->outputs_count;
    if (work->table.labels && !ig_tree_loss_takes_labels(model))
        return ig_fail(err, IG_UNSUPPORTED,
                       "target: the model's predictions are no means of a label; without it "
                       "they are held to its own answers");
    double *margins =
        work->table.labels ? NULL : margins_of(work, work->package->engine, &all, err);
    for (size_t i = 0; i < all.rows_count && err->code == IG_OK; i++) {
        if (margins)
            ig_tree_loss_answer(model, margins + i * outputs, labels + i * outputs);
        else
            spread_label(labels + i * outputs, model, work->table.labels[i], err);
    }
    return err->code;
}

/* Rows that decide first, then those that judge. */
static enum ig_code part_rows(struct work *work, const double *labels, struct ig_err *err)
{
    const struct ig_model *model = work->package->model;
    size_t features = model->features_count, outputs = model->outputs_count;
    size_t count = work->table.rows_count, judged = count / JUDGE_EVERY, at[2];
    double *rows = ig_arena_array(&work->arena, count, features * sizeof *rows);
    double *own = ig_arena_array(&work->arena, count, outputs * sizeof *own);
    if (!rows || !own) return ig_fail(err, IG_NO_MEMORY, "no memory for %zu rows", count);
    if (judged == 0)
        return ig_fail(err, IG_INVALID, "rows: %zu, expected at least %d", count, JUDGE_EVERY);
    at[0] = 0;
    at[1] = count - judged;
    for (size_t i = 0; i < count; i++) {
        size_t to = at[i % JUDGE_EVERY == JUDGE_EVERY - 1]++;
        memcpy(rows + to * features, work->table.rows + i * features, features * sizeof *rows);
        memcpy(own + to * outputs, labels + i * outputs, outputs * sizeof *own);
    }
    work->fit = (struct ig_tree_rows){rows, count - judged, own};
    work->judge = (struct ig_tree_rows){rows + (count - judged) * features, judged,
                                        own + (count - judged) * outputs};
    return IG_OK;
}

static enum ig_code read_rows(struct work *work, struct ig_err *err)
{
    const struct ig_edge_prune *options = work->options;
    if (!options->csv.ptr) return IG_OK;
    if (ig_labelled_read(&work->table, &work->arena, options->csv, &work->package->schema,
                         options->target, err) != IG_OK) {
        ig_err_prefix(err, "table");
        return err->code;
    }
    double *labels = ig_arena_array(&work->arena, work->table.rows_count,
                                    work->package->model->outputs_count * sizeof *labels);
    if (!labels) return ig_fail(err, IG_NO_MEMORY, "no memory for labels");
    if (make_labels(labels, work, err) != IG_OK) return err->code;
    return part_rows(work, labels, err);
}

/* ---- sizes and losses ---- */

static uint64_t compact_bytes(struct work *work, const struct ig_model *model, struct ig_err *err)
{
    struct ig_tree_compact *compact = NULL;
    struct ig_buf file;
    ig_buf_init(&file, FILE_MAX);
    if (ig_tree_compact_new(&compact, model, work->options->leaves, err) == IG_OK)
        ig_edge_write(&file, compact, err);
    uint64_t bytes = err->code == IG_OK ? file.len : 0;
    ig_tree_compact_free(compact);
    ig_buf_deinit(&file);
    return bytes;
}

static uint64_t bytes_of(void *context, const struct ig_model *model)
{
    struct ig_err ignored = IG_ERR_INIT;
    return compact_bytes(context, model, &ignored);
}

static enum ig_code look(struct ig_edge_prune_side *side, struct work *work,
                         const struct ig_engine *engine, struct ig_err *err)
{
    const struct ig_model *model = ig_engine_model(engine);
    *side = (struct ig_edge_prune_side){.loss = (double)NAN, .accuracy = (double)NAN};
    for (uint32_t t = 0; t < model->trees_count; t++) {
        if (model->trees[t].leaves_count < 2) continue;
        side->trees++;
        side->leaves += model->trees[t].leaves_count;
    }
    side->bytes = compact_bytes(work, model, err);
    if (err->code != IG_OK || !work->judge.rows) return err->code;
    double *margins = margins_of(work, engine, &work->judge, err);
    if (!margins) return err->code;
    const struct ig_tree_loss_batch batch = {model, margins, work->judge.labels,
                                             work->judge.rows_count};
    side->loss = ig_tree_loss_run(&batch, NULL, NULL);
    side->accuracy = ig_tree_loss_accuracy(&batch);
    return IG_OK;
}

/* ---- the end ---- */

static enum ig_code set_end(struct ig_tree_prune_options *options, const struct work *work,
                            struct ig_err *err)
{
    const struct ig_edge_prune *wanted = work->options;
    double before = work->out->before.loss;
    options->bytes_max = wanted->bytes_max;
    options->leaves_max =
        (uint32_t)(wanted->leaves_max > UINT32_MAX ? UINT32_MAX : wanted->leaves_max);
    if (wanted->leaves_max || wanted->bytes_max) return IG_OK;
    options->loss_max =
        isnan(wanted->loss_max) ? before + LOSS_SHARE * fabs(before) : wanted->loss_max;
    if (work->judge.rows) return IG_OK;
    return ig_fail(err, IG_INVALID, "without rows, a number of leaves or bytes says when to end");
}

static enum ig_code prune(struct work *work, struct ig_err *err)
{
    struct ig_tree_prune_report report;
    struct ig_tree_prune_options options = {.fit = work->fit.rows ? &work->fit : NULL,
                                            .judge = work->judge.rows ? &work->judge : NULL,
                                            .prior = 1,
                                            .whole_trees = work->options->whole_trees,
                                            .refit = work->options->refit,
                                            .bytes = bytes_of,
                                            .context = work,
                                            .loss_max = (double)NAN};
    if (options.refit && !options.fit) return ig_fail(err, IG_INVALID, "refit needs rows");
    if (set_end(&options, work, err) != IG_OK) return err->code;
    return ig_tree_prune_run(&work->made, &report, work->package->model, &options, err);
}

/* ---- the file ---- */

static void write_metadata(struct ig_buf *buf, const struct work *work)
{
    struct ig_json_out out;
    ig_json_out_init(&out, buf);
    ig_json_out_object(&out);
    ig_json_out_kv_str(&out, "pruned_from", ig_str_view(work->package->model_digest));
    ig_json_out_kv_i64(&out, "leaves", work->out->before.leaves);
    ig_json_out_object_end(&out);
}

static enum ig_code write_compact(struct ig_buf *out, const struct work *work, struct ig_err *err)
{
    struct ig_tree_compact *compact = NULL;
    if (ig_tree_compact_new(&compact, work->made, work->options->leaves, err) == IG_OK)
        ig_edge_write(out, compact, err);
    ig_tree_compact_free(compact);
    return err->code;
}

/* XGBoost's JSON, or where it has no word for the model the compact file. */
static enum ig_code write_package(struct work *work, struct ig_err *err)
{
    struct ig_err first = IG_ERR_INIT;
    struct ig_buf model, metadata;
    ig_buf_init(&model, FILE_MAX);
    ig_buf_init(&metadata, 4096);
    write_metadata(&metadata, work);
    if (ig_xgboost_write(&model, work->made, &first) == IG_UNSUPPORTED)
        write_compact(&model, work, err);
    else if (first.code != IG_OK)
        *err = first;
    size_t golden = work->judge.rows_count < GOLDEN_ROWS ? work->judge.rows_count : GOLDEN_ROWS;
    const struct ig_package_spec spec = {.model_bytes = ig_buf_view(&model),
                                         .schema = &work->package->schema,
                                         .name = work->package->name,
                                         .metadata_json = ig_buf_view(&metadata),
                                         .golden_rows = work->judge.rows,
                                         .golden_count = golden};
    if (err->code == IG_OK) ig_package_write(&work->out->file, &spec, err);
    ig_buf_deinit(&metadata);
    ig_buf_deinit(&model);
    return err->code;
}

/* Made, and read again for the report. */
static enum ig_code make_file(struct work *work, struct ig_err *err)
{
    struct ig_buf *file = &work->out->file;
    struct ig_package *back = NULL;
    if (work->options->form == IG_EDGE_PRUNE_COMPACT)
        write_compact(file, work, err);
    else if (work->options->form == IG_EDGE_PRUNE_XGBOOST)
        ig_xgboost_write(file, work->made, err);
    else
        write_package(work, err);
    if (err->code == IG_OK && ig_package_open_bytes(&back, ig_buf_view(file), NULL, err) == IG_OK)
        look(&work->out->after, work, back->engine, err);
    ig_package_free(back);
    return err->code;
}

enum ig_code ig_edge_prune_run(struct ig_edge_pruned *out, const struct ig_package *package,
                               const struct ig_edge_prune *options, struct ig_err *err)
{
    struct work work = {.package = package, .options = options, .out = out};
    *out = (struct ig_edge_pruned){0};
    ig_buf_init(&out->file, FILE_MAX);
    ig_arena_init(&work.arena, 1 << 20, MEMORY_MAX);
    if (read_rows(&work, err) == IG_OK &&
        look(&out->before, &work, package->engine, err) == IG_OK && prune(&work, err) == IG_OK)
        make_file(&work, err);
    out->fit_rows = work.fit.rows_count;
    out->judge_rows = work.judge.rows_count;
    ig_model_free(work.made);
    ig_arena_deinit(&work.arena);
    return err->code;
}

void ig_edge_pruned_deinit(struct ig_edge_pruned *pruned)
{
    ig_buf_deinit(&pruned->file);
}

/* ---- the report ---- */

static void write_side(struct ig_json_out *out, const char *name,
                       const struct ig_edge_prune_side *side)
{
    ig_json_out_key(out, ig_str_view(name));
    ig_json_out_object(out);
    ig_json_out_kv_i64(out, "trees", side->trees);
    ig_json_out_kv_i64(out, "leaves", side->leaves);
    ig_json_out_kv_i64(out, "compact_bytes", (int64_t)side->bytes);
    if (!isnan(side->loss)) ig_json_out_kv_f64(out, "loss", side->loss);
    if (!isnan(side->accuracy)) ig_json_out_kv_f64(out, "accuracy", side->accuracy);
    ig_json_out_object_end(out);
}

void ig_edge_pruned_write(struct ig_json_out *out, const struct ig_edge_pruned *pruned)
{
    write_side(out, "before", &pruned->before);
    write_side(out, "after", &pruned->after);
    ig_json_out_kv_i64(out, "fit_rows", (int64_t)pruned->fit_rows);
    ig_json_out_kv_i64(out, "judge_rows", (int64_t)pruned->judge_rows);
}
