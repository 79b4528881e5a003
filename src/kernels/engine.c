/* SPDX-License-Identifier: Apache-2.0 */
/* Joins the kernels behind one face: trees or linear, margins or contributions. Owns the prepared
 * kernels. Immutable after `new`; the run functions keep their state in the caller's scratch.
 *
 * Costs are measured once, in `new`, on a handful of rows made of the model's own thresholds; a
 * model so large that this would take long is estimated by its nodes. */
#include "kernels/engine.h"

#include "base/clock.h"
#include "base/mem.h"
#include "kernels/composite.h"
#include "kernels/derived_run.h"
#include "kernels/graph/program.h"
#include "kernels/linear/linear.h"
#include "kernels/nn/nn_encoded.h"
#include "kernels/tree/tree_predict.h"
#include "kernels/tree/tree_shap.h"
#include "model/derived.h"
#include "model/foreign.h"

#include <math.h>
#include <string.h>

enum {
    OPS_COUNT = IG_ENGINE_CONTRIBUTIONS + 1,
    BATCH_ROWS = 16,
    MEASURED_NODES_MAX = 200000,   /* for explanations: a few milliseconds */
    MEASURED_VALUES_MAX = 1 << 18, /* features x outputs */
    LONG_NS = 300000,
    UNEVEN_NS = 10000000,   /* the least told of a model whose time may depend on the numbers */
    LONG_ROW_NS = 10000000, /* a batch of such rows is taken to cost their sum */
    PART_ROWS_MAX = 4096,
    ALIGNMENT = 64,
};

/* Nanoseconds a node and row, for models too large to measure. */
static const double NODE_NS[OPS_COUNT] = {[IG_ENGINE_MARGIN] = 0.2, [IG_ENGINE_CONTRIBUTIONS] = 3};

struct ig_engine {
    const struct ig_model *model;
    struct ig_tree_predict *predict;      /* of trees, derived columns' too; else NULL */
    struct ig_program *program;           /* of a graph; else NULL */
    struct ig_nn *network;                /* of a network; else NULL */
    struct ig_nn_encoded encoded;         /* of a network behind an encoder */
    struct ig_predictor function;         /* the program's or the network's */
    struct ig_tree_shap *shap;            /* NULL as well where SHAP cannot be had */
    const struct ig_composite *composite; /* or NULL */
    double one_ns[OPS_COUNT];
    double batch_ns[OPS_COUNT]; /* a row, from BATCH_ROWS rows on */
};

/* ---- costs ---- */

struct trial {
    double *rows; /* BATCH_ROWS x features */
    double *margins;
    double *contributions;
    double additivity[BATCH_ROWS];
    void *scratch;
};

static void fill_rows(const struct ig_model *model, double *rows)
{
    for (uint32_t i = 0; i < model->nodes_count; i++) {
        const struct ig_node *node = &model->nodes[i];
        if (node->op == IG_NODE_LT || node->op == IG_NODE_LE)
            rows[(size_t)(i % BATCH_ROWS) * model->features_count + node->feature] = node->value;
    }
}

static void run_trial(const struct ig_engine *engine, enum ig_engine_op op, struct trial *trial,
                      size_t rows)
{
    const struct ig_engine_io io = {trial->rows, rows, trial->contributions, trial->additivity,
                                    trial->margins};
    if (op == IG_ENGINE_MARGIN)
        ig_engine_margin(engine, trial->rows, rows, trial->margins, trial->scratch);
    else
        ig_engine_explain(engine, &io, trial->scratch);
}

/* The first run also warms the caches. */
static double time_trial(const struct ig_engine *engine, enum ig_engine_op op, struct trial *trial,
                         size_t rows)
{
    struct ig_clock_trial clock = {.long_ns = LONG_NS};
    while (ig_clock_trial(&clock)) run_trial(engine, op, trial, rows);
    return (double)clock.best_ns / (double)rows;
}

static bool alloc_trial(const struct ig_engine *engine, struct trial *trial)
{
    const struct ig_model *model = engine->model;
    size_t values = (size_t)model->outputs_count * (model->features_count + (size_t)1);
    size_t bytes = 0;
    for (int op = 0; op < OPS_COUNT; op++) {
        size_t own = ig_engine_scratch_bytes(engine, (enum ig_engine_op)op, BATCH_ROWS);
        if (own > bytes) bytes = own;
    }
    trial->rows = ig_zalloc_array((size_t)BATCH_ROWS * model->features_count, sizeof(double));
    trial->margins = ig_zalloc_array((size_t)BATCH_ROWS * model->outputs_count, sizeof(double));
    trial->contributions = ig_zalloc_array(BATCH_ROWS * values, sizeof(double));
    trial->scratch = ig_alloc_aligned(ALIGNMENT, bytes + ALIGNMENT);
    return trial->rows && trial->margins && trial->contributions && trial->scratch;
}

static const struct ig_model *trees_of(const struct ig_model *model)
{
    return model->derived ? model->derived->trees : model;
}

static bool is_measurable(const struct ig_model *model)
{
    return model->features_count <= MEASURED_VALUES_MAX &&
           (uint64_t)model->features_count * model->outputs_count <= MEASURED_VALUES_MAX;
}

static enum ig_code measure(struct ig_engine *engine, struct ig_err *err)
{
    const struct ig_model *model = engine->model;
    uint32_t nodes = trees_of(model)->nodes_count;
    double size = (double)nodes + model->features_count;
    for (int op = 0; op < OPS_COUNT; op++)
        engine->one_ns[op] = engine->batch_ns[op] = NODE_NS[op] * size * model->outputs_count;
    if (!is_measurable(model)) return IG_OK;
    struct trial trial = {0};
    if (alloc_trial(engine, &trial)) {
        fill_rows(model, trial.rows);
        for (int op = 0; op < OPS_COUNT; op++) {
            if (op == IG_ENGINE_CONTRIBUTIONS &&
                (!ig_engine_explains(engine) || nodes > MEASURED_NODES_MAX))
                continue;
            engine->one_ns[op] = time_trial(engine, (enum ig_engine_op)op, &trial, 1);
            engine->batch_ns[op] =
                engine->one_ns[op] < LONG_ROW_NS
                    ? time_trial(engine, (enum ig_engine_op)op, &trial, BATCH_ROWS)
                    : engine->one_ns[op];
        }
    } else {
        ig_fail(err, IG_NO_MEMORY, "no memory to measure an engine");
    }
    ig_free(trial.rows);
    ig_free(trial.margins);
    ig_free(trial.contributions);
    ig_free(trial.scratch);
    return err->code;
}

uint64_t ig_engine_cost_ns(const struct ig_engine *engine, enum ig_engine_op op, size_t rows_count)
{
    double row = rows_count < BATCH_ROWS ? engine->one_ns[op] : engine->batch_ns[op];
    uint64_t cost = (uint64_t)(row * (double)rows_count) + 1;
    bool uneven = engine->model->foreign && engine->model->foreign->uneven;
    return uneven && cost < UNEVEN_NS ? UNEVEN_NS : cost;
}

uint64_t ig_engine_gain_ns(const struct ig_engine *engine, enum ig_engine_op op)
{
    double gain = engine->one_ns[op] - engine->batch_ns[op];
    return gain > 0 ? (uint64_t)gain : 0;
}

/* ---- life ---- */

static enum ig_code prepare_trees(struct ig_engine *engine, struct ig_err *err)
{
    const struct ig_model *model = trees_of(engine->model);
    const struct ig_derived *derived = engine->model->derived;
    const struct ig_players players = {derived ? derived->player_of : NULL,
                                       derived ? derived->players_count : model->features_count};
    if (ig_tree_predict_new(&engine->predict, model, ig_cpu_isa(), err) != IG_OK) return err->code;
    struct ig_err own = IG_ERR_INIT;
    enum ig_code code =
        ig_tree_shap_new_grouped(&engine->shap, model, &players, ig_cpu_isa(), &own);
    if (code == IG_OK || code == IG_UNSUPPORTED || code == IG_TOO_LARGE) return IG_OK;
    return ig_fail(err, code, "%s", own.message);
}

static enum ig_code prepare_graph(struct ig_engine *engine, struct ig_err *err)
{
    const struct ig_model *model = engine->model;
    const struct ig_program_options options = {.batch = 1, .blocks = true};
    if (ig_program_new(&engine->program, model->graph, &options, err) != IG_OK ||
        ig_program_predictor(&engine->function, engine->program, err) != IG_OK)
        return err->code;
    if (engine->function.features_count == model->features_count &&
        engine->function.values_count == model->outputs_count)
        return IG_OK;
    return ig_fail(err, IG_INVALID, "the graph takes %u numbers and gives %u, expected %u and %u",
                   engine->function.features_count, engine->function.values_count,
                   model->features_count, model->outputs_count);
}

static enum ig_code prepare_network(struct ig_engine *engine, struct ig_err *err)
{
    const struct ig_nn_options options = {.isa = ig_cpu_isa()};
    if (ig_nn_new(&engine->network, engine->model->network, &options, err) != IG_OK)
        return err->code;
    engine->function = ig_nn_predictor(engine->network);
    if (engine->model->encoder) {
        engine->encoded = (struct ig_nn_encoded){engine->network, engine->model->encoder};
        engine->function = ig_nn_encoded_predictor(&engine->encoded);
    }
    return IG_OK;
}

/* Words go into a foreign model as they are, so every code needs one. */
static enum ig_code check_words(const struct ig_model *model, struct ig_err *err)
{
    for (uint32_t i = 0; model->inputs && i < model->features_count; i++) {
        const struct ig_input *input = &model->inputs[i];
        if (input->kind != IG_INPUT_TEXT || input->categories_count) continue;
        return ig_fail(err, IG_UNSUPPORTED,
                       "feature %u '%.*s' is text: a package whose ingot.yaml lists its words as "
                       "categories can be served",
                       i, IG_STR_ARGS(input->name));
    }
    return IG_OK;
}

static enum ig_code make(struct ig_engine **out, const struct ig_model *model,
                         const struct ig_composite *composite, struct ig_err *err)
{
    struct ig_engine *engine = ig_zalloc(sizeof *engine);
    if (!engine) return ig_fail(err, IG_NO_MEMORY, "no memory for an engine");
    engine->model = model;
    engine->composite = composite;
    if (trees_of(model)->kind == IG_MODEL_TREES && prepare_trees(engine, err) != IG_OK) goto out;
    if (model->kind == IG_MODEL_GRAPH && prepare_graph(engine, err) != IG_OK) goto out;
    if (model->kind == IG_MODEL_NETWORK && prepare_network(engine, err) != IG_OK) goto out;
    if (model->kind == IG_MODEL_FOREIGN && check_words(model, err) != IG_OK) goto out;
    if (measure(engine, err) != IG_OK) goto out;
    *out = engine;
    return IG_OK;
out:
    ig_engine_free(engine);
    return err->code;
}

enum ig_code ig_engine_new(struct ig_engine **out, const struct ig_model *model, struct ig_err *err)
{
    return make(out, model, NULL, err);
}

enum ig_code ig_engine_new_composite(struct ig_engine **out, const struct ig_model *model,
                                     const struct ig_composite *composite, struct ig_err *err)
{
    return make(out, model, composite, err);
}

const struct ig_composite *ig_engine_composite(const struct ig_engine *engine)
{
    return engine->composite;
}

void ig_engine_free(struct ig_engine *engine)
{
    if (!engine) return;
    ig_tree_shap_free(engine->shap);
    ig_tree_predict_free(engine->predict);
    ig_program_free(engine->program);
    ig_nn_free(engine->network);
    ig_free(engine);
}

const struct ig_model *ig_engine_model(const struct ig_engine *engine)
{
    return engine->model;
}

bool ig_engine_explains(const struct ig_engine *engine)
{
    if (engine->composite) return ig_composite_explains(engine->composite);
    return engine->shap || engine->model->kind == IG_MODEL_LINEAR;
}

bool ig_engine_may_fail(const struct ig_engine *engine)
{
    if (engine->composite) return ig_composite_may_fail(engine->composite);
    return engine->model->foreign != NULL;
}

bool ig_engine_skips(const struct ig_engine *engine)
{
    return engine->composite && ig_composite_skips(engine->composite);
}

enum ig_code ig_engine_failure(const struct ig_engine *engine, struct ig_err *err)
{
    const struct ig_foreign *foreign = engine->model->foreign;
    if (engine->composite) return ig_composite_failure(engine->composite, -1, err);
    return foreign ? foreign->failure(foreign, err) : IG_OK;
}

enum ig_code ig_engine_check(const struct ig_engine *engine, const double *values, size_t count,
                             struct ig_err *err)
{
    if (!ig_engine_may_fail(engine) || !ig_foreign_marked(values, count)) return IG_OK;
    if (engine->composite)
        return ig_composite_failure(engine->composite, ig_foreign_marked_member(values, count),
                                    err);
    return ig_engine_failure(engine, err);
}

const char *ig_engine_isa(const struct ig_engine *engine)
{
    if (engine->model->foreign) return engine->model->foreign->runtime.ptr;
    if (engine->network) return ig_isa_name(ig_nn_isa(engine->network));
    return ig_isa_name(engine->predict ? ig_tree_predict_isa(engine->predict) : IG_ISA_SCALAR);
}

size_t ig_engine_memory_bytes(const struct ig_engine *engine)
{
    size_t bytes = sizeof *engine;
    if (engine->predict) bytes += ig_tree_predict_memory_bytes(engine->predict);
    if (engine->shap) bytes += ig_tree_shap_memory_bytes(engine->shap);
    if (engine->network) bytes += ig_nn_memory_bytes(engine->network);
    if (engine->model->foreign) bytes += engine->model->foreign->memory_bytes;
    return bytes;
}

/* ---- runs ---- */

static struct ig_derived_kernels derived_kernels(const struct ig_engine *engine)
{
    return (struct ig_derived_kernels){engine->model, engine->predict, engine->shap};
}

/* Contributions need the margins too: they lie before the kernels' own scratch. */
static size_t margins_bytes(const struct ig_engine *engine, size_t rows_count)
{
    size_t bytes = rows_count * engine->model->outputs_count * sizeof(double);
    return (bytes + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
}

size_t ig_engine_scratch_bytes(const struct ig_engine *engine, enum ig_engine_op op,
                               size_t rows_count)
{
    if (engine->composite) return ig_composite_scratch_bytes(engine->composite, op, rows_count);
    if (engine->model->derived) return ig_derived_scratch_bytes(derived_kernels(engine));
    size_t bytes = engine->predict ? ig_tree_predict_scratch_bytes(engine->predict, rows_count) : 0;
    if (engine->program || engine->network)
        bytes = engine->function.scratch_bytes(&engine->function, rows_count);
    const struct ig_foreign *foreign = engine->model->foreign;
    if (foreign) bytes = foreign->scratch_bytes(foreign, rows_count);
    if (op == IG_ENGINE_MARGIN) return bytes;
    size_t shap = engine->shap ? ig_tree_shap_scratch_bytes(engine->shap, rows_count) : 0;
    return margins_bytes(engine, rows_count) + (shap > bytes ? shap : bytes);
}

static void run_margin(const struct ig_engine *engine, const double *rows, size_t rows_count,
                       double *margins, void *scratch, uint32_t timeout_ms)
{
    const struct ig_model *model = engine->model;
    if (engine->composite) {
        ig_composite_predict(engine->composite, rows, rows_count,
                             (struct ig_engine_scores){margins, NULL, NULL}, scratch);
        return;
    }
    if (model->derived) {
        ig_derived_predict(derived_kernels(engine), rows, rows_count, margins, scratch);
        return;
    }
    if (engine->predict) {
        ig_tree_predict_run(engine->predict, rows, rows_count, margins, scratch);
        return;
    }
    if (engine->program || engine->network) {
        engine->function.run(&engine->function, rows, rows_count, margins, scratch);
        return;
    }
    if (model->foreign) {
        model->foreign->run(model, rows, rows_count, margins, scratch, timeout_ms);
        return;
    }
    for (size_t i = 0; i < rows_count; i++)
        ig_linear_margin(model, rows + i * model->features_count,
                         margins + i * model->outputs_count);
}

void ig_engine_margin(const struct ig_engine *engine, const double *rows, size_t rows_count,
                      double *margins, void *scratch)
{
    run_margin(engine, rows, rows_count, margins, scratch, 0);
}

void ig_engine_predict(const struct ig_engine *engine, const double *rows, size_t rows_count,
                       struct ig_engine_scores out, void *scratch)
{
    ig_engine_predict_within(engine, rows, rows_count, out, scratch, 0);
}

static void predict(const struct ig_engine *engine, const double *rows, size_t rows_count,
                    struct ig_engine_scores out, void *scratch, uint32_t timeout_ms)
{
    const struct ig_model *model = engine->model;
    run_margin(engine, rows, rows_count, out.margins, scratch, timeout_ms);
    for (size_t i = 0; out.predictions && i < rows_count; i++)
        ig_model_transform(model, out.margins + i * model->outputs_count,
                           out.predictions + i * model->predictions_count);
}

/* Rows that take about a sixteenth of the time, in whole batches where that is more than one. */
static size_t rows_of_part(const struct ig_engine *engine, uint64_t time_ns)
{
    double rows = (double)time_ns / 16 / (engine->batch_ns[IG_ENGINE_MARGIN] + 1);
    if (rows >= PART_ROWS_MAX) return PART_ROWS_MAX;
    if (rows >= BATCH_ROWS) return (size_t)rows / BATCH_ROWS * BATCH_ROWS;
    return rows >= 1 ? (size_t)rows : 1;
}

static void predict_by_parts(const struct ig_engine *engine, const double *rows, size_t rows_count,
                             struct ig_engine_scores out, void *scratch, uint32_t timeout_ms)
{
    const struct ig_model *model = engine->model;
    uint64_t time_ns = timeout_ms * UINT64_C(1000000), end_ns = ig_clock_ns() + time_ns;
    size_t part = rows_of_part(engine, time_ns), done = 0, outputs = model->outputs_count;
    for (size_t at = 0; at < rows_count; at += part) {
        size_t count = rows_count - at < part ? rows_count - at : part;
        const struct ig_engine_scores own = {
            out.margins + at * outputs,
            out.predictions ? out.predictions + at * model->predictions_count : NULL, NULL};
        predict(engine, rows + at * model->features_count, count, own, scratch, 0);
        if (ig_clock_ns() > end_ns) break;
        done = at + count;
    }
    ig_foreign_mark(out.margins + done * outputs, (rows_count - done) * outputs);
    if (out.predictions)
        ig_foreign_mark(out.predictions + done * model->predictions_count,
                        (rows_count - done) * model->predictions_count);
}

void ig_engine_predict_within(const struct ig_engine *engine, const double *rows, size_t rows_count,
                              struct ig_engine_scores out, void *scratch, uint32_t timeout_ms)
{
    IG_ASSERT(!timeout_ms || !engine->composite);
    if (engine->composite)
        ig_composite_predict(engine->composite, rows, rows_count, out, scratch);
    else if (timeout_ms && !engine->model->foreign)
        predict_by_parts(engine, rows, rows_count, out, scratch, timeout_ms);
    else
        predict(engine, rows, rows_count, out, scratch, timeout_ms);
}

static void explain_linear(const struct ig_model *model, const double *row, const double *margins,
                           double *contributions, double *additivity)
{
    ig_linear_contributions(model, row, contributions);
    *additivity = 0;
    for (uint32_t o = 0; o < model->outputs_count; o++) {
        double sum = 0;
        for (uint32_t f = 0; f <= model->features_count; f++) sum += *contributions++;
        *additivity = fmax(*additivity, fabs(sum - margins[o]));
    }
}

void ig_engine_explain(const struct ig_engine *engine, const struct ig_engine_io *io, void *scratch)
{
    const struct ig_model *model = engine->model;
    size_t outputs = model->outputs_count;
    if (engine->composite) {
        ig_composite_explain(engine->composite, io, scratch);
        return;
    }
    if (model->derived) {
        ig_derived_explain(derived_kernels(engine), io, scratch);
        return;
    }
    double *margins = scratch;
    void *rest = (char *)scratch + margins_bytes(engine, io->rows_count);
    ig_engine_margin(engine, io->rows, io->rows_count, margins, rest);
    if (io->margins) memcpy(io->margins, margins, io->rows_count * outputs * sizeof *margins);
    if (model->kind == IG_MODEL_TREES) {
        IG_ASSERT(engine->shap);
        const struct ig_tree_shap_io own = {io->rows, io->rows_count, margins, io->contributions,
                                            io->additivity};
        ig_tree_shap_run(engine->shap, &own, rest);
        return;
    }
    size_t values = outputs * (model->features_count + (size_t)1);
    for (size_t i = 0; i < io->rows_count; i++)
        explain_linear(model, io->rows + i * model->features_count, margins + i * outputs,
                       io->contributions + i * values, io->additivity + i);
}

enum ig_code ig_engine_explain_reference(const struct ig_engine *engine, const double *row,
                                         double *contributions, struct ig_err *err)
{
    if (engine->model->derived) return ig_derived_reference(engine->model, row, contributions, err);
    if (engine->model->kind == IG_MODEL_TREES)
        return ig_tree_shap_reference(engine->model, NULL, row, contributions, err);
    ig_linear_contributions(engine->model, row, contributions);
    return IG_OK;
}

void ig_engine_base_values(const struct ig_engine *engine, double *base)
{
    if (engine->model->kind == IG_MODEL_LINEAR) {
        ig_linear_base(engine->model, base);
        return;
    }
    IG_ASSERT(engine->shap);
    ig_tree_shap_base(engine->shap, base);
}
