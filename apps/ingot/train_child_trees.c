/* SPDX-License-Identifier: Apache-2.0 */
/* A few small trees as the student of the engine `edge`: boosted on a teacher's answers, pruned,
 * and judged as the file that is registered and as the compact one for devices. */
#include "train_engine.h"

#include "base/mem.h"
#include "formats/edge/edge.h"
#include "formats/format.h"
#include "formats/xgboost_write.h"
#include "kernels/train/tree_prune.h"
#include "services/job/edge_plan.h"
#include "services/job/edge_train.h"

#include <math.h>

enum { PRUNED_BY_MOST = 30000 };
static const size_t FILE_MAX_BYTES = (size_t)1 << 30;

struct work {
    struct ig_train_child *child;
    const struct ig_edge_models *models;
    struct ig_edge_rows rows;
    struct ig_train_params params; /* the boosting's */
    float *answers;                /* of the rows of training, as a lesson has them */
    struct ig_model *model;        /* the student, as far as it has come */
    struct ig_buf file;            /* of the model judged last */
    struct ig_edge_stage stages[IG_EDGE_STAGES_MAX];
    size_t stages_count, student; /* student: the stage that is registered */
    int64_t rounds;
    const char *stage;
    double done, share; /* of the work: before this stage, in it */
};

/* ---- stages ---- */

static struct ig_edge_stage *add_stage(struct work *work, const char *name)
{
    IG_ASSERT(work->stages_count < IG_EDGE_STAGES_MAX);
    struct ig_edge_stage *stage = &work->stages[work->stages_count++];
    *stage = (struct ig_edge_stage){.name = name, .sparsity = (double)NAN};
    return stage;
}

static enum ig_code add_teacher(struct work *work, struct ig_err *err)
{
    const struct ig_predictor teacher = ig_edge_rows_teacher(&work->rows);
    struct ig_edge_stage *stage = add_stage(work, "teacher");
    for (size_t i = 0; i < work->models->teachers_count; i++)
        stage->bytes += work->models->teachers[i]->model_bytes;
    return ig_edge_rows_judge(&stage->metrics, &work->rows, &teacher, err);
}

/* By the file, read again. */
static enum ig_code add_file(struct work *work, const char *name, const struct ig_buf *file,
                             struct ig_err *err)
{
    struct ig_edge_stage *stage = add_stage(work, name);
    struct ig_model *back = NULL;
    struct ig_engine *engine = NULL;
    stage->bytes = file->len;
    if (ig_format_load(&back, ig_buf_view(file), NULL, err) == IG_OK &&
        ig_engine_new(&engine, back, err) == IG_OK) {
        const struct ig_predictor predictor = ig_predictor_response(engine);
        ig_edge_rows_judge(&stage->metrics, &work->rows, &predictor, err);
    }
    if (engine) ig_engine_free(engine);
    if (back) ig_model_free(back);
    return err->code;
}

static enum ig_code add_trees(struct work *work, const char *name, const struct ig_model *model,
                              struct ig_err *err)
{
    ig_buf_reset(&work->file);
    if (ig_xgboost_write(&work->file, model, err) != IG_OK) return err->code;
    return add_file(work, name, &work->file, err);
}

static enum ig_code add_compact(struct work *work, struct ig_err *err)
{
    struct ig_tree_compact *compact = NULL;
    struct ig_buf file;
    ig_buf_init(&file, FILE_MAX_BYTES);
    if (ig_tree_compact_new(&compact, work->model, IG_COMPACT_WANT_INT16, err) == IG_OK &&
        ig_edge_write(&file, compact, err) == IG_OK)
        add_file(work, "compact", &file, err);
    if (err->code != IG_OK) ig_err_prefix(err, "compact");
    ig_tree_compact_free(compact);
    ig_buf_deinit(&file);
    return err->code;
}

/* ---- boosting ---- */

static void report(void *context, const struct ig_trainer_round *round)
{
    struct work *work = context;
    double part = (double)round->round / (double)round->rounds;
    ig_train_child_round(work->child, round, work->stage, work->done + work->share * part);
}

/* By labels where there is no lesson. The trainer's memory is the process's. */
static enum ig_code grow(struct ig_model **out, struct work *work,
                         const struct ig_trainer_lesson *lesson, struct ig_err *err)
{
    struct ig_trainer *trainer = NULL;
    struct ig_str bytes;
    if (ig_trainer_open_taught(&trainer, &work->child->data, &work->params, lesson, err) == IG_OK &&
        ig_trainer_run(&work->rounds, trainer, report, work, err) == IG_OK &&
        ig_trainer_save(&bytes, trainer, err) == IG_OK)
        ig_format_load(out, bytes, NULL, err);
    ig_trainer_close(trainer);
    work->done += work->share;
    return err->code;
}

static enum ig_code run_hard_labels(struct work *work, struct ig_err *err)
{
    struct ig_model *alone = NULL;
    size_t real = work->rows.train.real;
    if (!ig_edge_plan_on(&work->child->spec.params.edge.hard_label_student)) return IG_OK;
    work->stage = "hard_labels";
    work->share = (double)real / (double)(real + work->rows.train.count);
    if (grow(&alone, work, NULL, err) == IG_OK) add_trees(work, "hard_labels", alone, err);
    if (alone) ig_model_free(alone);
    return err->code;
}

/* The teacher's logits as what a loss takes, with the labels' share in the real rows. */
static float answer_of(const struct work *work, size_t row, size_t output)
{
    const struct ig_edge_part *train = &work->rows.train;
    double alpha = work->child->spec.params.edge.alpha;
    double logit = (double)train->answers[row * work->rows.outputs + output], label, answer;
    switch (work->rows.loss) {
    case IG_FIT_LOGISTIC:
        answer = 1 / (1 + exp(-logit));
        break;
    case IG_FIT_SOFTMAX:
        answer = exp(logit);
        break;
    default:
        answer = logit;
        break;
    }
    if (row >= train->real) return (float)answer;
    label =
        work->rows.loss == IG_FIT_SOFTMAX ? train->truth[row] == (double)output : train->truth[row];
    return (float)(alpha * label + (1 - alpha) * answer);
}

static enum ig_code make_answers(struct work *work, struct ig_err *err)
{
    size_t rows = work->rows.train.count, outputs = work->rows.outputs;
    work->answers = ig_arena_array(&work->child->arena, rows, outputs * sizeof *work->answers);
    if (!work->answers) return ig_fail(err, IG_NO_MEMORY, "answers of %zu rows", rows);
    for (size_t i = 0; i < rows * outputs; i++)
        work->answers[i] = answer_of(work, i / outputs, i % outputs);
    return IG_OK;
}

/* ---- pruning ---- */

static uint32_t leaves_of(const struct ig_model *model)
{
    uint32_t leaves = 0;
    for (uint32_t t = 0; t < model->trees_count; t++) leaves += model->trees[t].leaves_count;
    return leaves;
}

/* By what the rows of training were taught. */
static enum ig_code prune(struct work *work, struct ig_err *err)
{
    double share = work->child->spec.params.edge.pruned_leaves;
    size_t rows = work->rows.train.count, outputs = work->rows.outputs;
    struct ig_tree_prune_report ignored;
    struct ig_model *made = NULL;
    if (rows > PRUNED_BY_MOST) rows = PRUNED_BY_MOST;
    double *labels = ig_arena_array(&work->child->arena, rows, outputs * sizeof *labels);
    if (!labels) return ig_fail(err, IG_NO_MEMORY, "answers of %zu rows", rows);
    for (size_t i = 0; i < rows * outputs; i++) labels[i] = (double)work->answers[i];
    const struct ig_tree_rows fit = {work->rows.train.rows, rows, labels};
    uint32_t kept = (uint32_t)((1 - share) * leaves_of(work->model));
    const struct ig_tree_prune_options options = {.fit = &fit,
                                                  .prior = 1,
                                                  .refit = true,
                                                  .leaves_max = kept < 2 ? 2 : kept,
                                                  .loss_max = (double)NAN};
    if (add_trees(work, "student_before_pruning", work->model, err) != IG_OK ||
        ig_tree_prune_run(&made, &ignored, work->model, &options, err) != IG_OK) {
        ig_err_prefix(err, "pruned_leaves");
        return err->code;
    }
    ig_model_free(work->model);
    work->model = made;
    return IG_OK;
}

/* ---- the whole ---- */

static enum ig_code train(struct work *work, struct ig_err *err)
{
    if (add_teacher(work, err) != IG_OK || run_hard_labels(work, err) != IG_OK ||
        make_answers(work, err) != IG_OK)
        return err->code;
    const struct ig_trainer_lesson lesson = {work->rows.train.rows, work->rows.train.count,
                                             work->answers};
    work->stage = "student";
    work->share = 1 - work->done;
    if (grow(&work->model, work, &lesson, err) != IG_OK ||
        (work->child->spec.params.edge.pruned_leaves > 0 && prune(work, err) != IG_OK))
        return err->code;
    work->student = work->stages_count;
    if (add_trees(work, "student", work->model, err) != IG_OK) return err->code;
    return add_compact(work, err);
}

static void write_metrics(const struct work *work)
{
    const struct ig_edge_stage *student = &work->stages[work->student];
    struct ig_json_out out;
    ig_json_out_init(&out, &work->child->metrics);
    ig_json_out_object(&out);
    ig_metrics_write(&out, &student->metrics);
    ig_json_out_kv_i64(&out, "bytes", (int64_t)student->bytes);
    ig_json_out_kv_i64(&out, "compact_bytes", (int64_t)work->stages[work->stages_count - 1].bytes);
    ig_json_out_kv_i64(&out, "rounds", work->rounds);
    ig_json_out_kv_i64(&out, "leaves", leaves_of(work->model));
    ig_json_out_kv_i64(&out, "train_rows", (int64_t)work->rows.train.real);
    ig_json_out_kv_i64(&out, "validation_rows", (int64_t)work->rows.held_out.real);
    ig_json_out_kv_i64(&out, "synthetic_rows",
                       (int64_t)(work->rows.train.count - work->rows.train.real));
    ig_edge_stages_write(&out, work->stages, work->stages_count);
    ig_json_out_object_end(&out);
}

static enum ig_code write_package(struct work *work, struct ig_err *err)
{
    struct ig_train_made made = {.model = ig_buf_view(&work->file),
                                 .schema = work->rows.schema,
                                 .engine_version = INGOT_VERSION};
    double *golden;
    if (ig_edge_rows_golden(&golden, &made.golden_count, &work->rows, &work->child->arena, err) !=
        IG_OK)
        return err->code;
    made.golden_rows = golden;
    write_metrics(work);
    return ig_train_child_write(work->child, &made, err);
}

static void set_params(struct work *work)
{
    const struct ig_edge_params *edge = &work->child->spec.params.edge;
    struct ig_job_params standard;
    ig_params_defaults(&standard, IG_JOB_XGBOOST);
    work->params = standard.xgboost;
    work->params.rounds = edge->rounds;
    work->params.max_depth = edge->max_depth;
    work->params.learning_rate = edge->tree_learning_rate;
    work->params.early_stopping = edge->early_stopping;
    work->params.seed = edge->seed;
}

enum ig_code ig_train_child_trees(struct ig_train_child *child, const struct ig_edge_models *models,
                                  struct ig_err *err)
{
    struct work *work = ig_arena_zalloc(&child->arena, sizeof *work);
    if (!work) return ig_fail(err, IG_NO_MEMORY, "training");
    work->child = child;
    work->models = models;
    const struct ig_edge_rows_options options = {
        .data = &child->data, .params = &child->spec.params.edge, .models = *models};
    ig_buf_init(&work->file, FILE_MAX_BYTES);
    set_params(work);
    if (ig_edge_rows_init(&work->rows, &options, &child->arena, err) == IG_OK &&
        train(work, err) == IG_OK)
        write_package(work, err);
    if (work->model) ig_model_free(work->model);
    ig_buf_deinit(&work->file);
    return err->code;
}
