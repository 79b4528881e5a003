/* SPDX-License-Identifier: Apache-2.0 */
/* Inference on a servable: arena buffers around the engine's run functions. Thread rule: pure. */
#include "services/deploy/inference.h"

#include "base/mem.h"
#include "services/deploy/replica_set.h"
#include "services/deploy/residency.h"

#include <string.h>

enum { SCRATCH_ALIGNMENT = 64 };

uint64_t ig_inference_cost_ns(const struct ig_servable *servable,
                              const struct ig_inference_request *request)
{
    const struct ig_engine *engine = servable->package->engine;
    if (!engine)
        return UINT64_MAX / 4; /* it waits for another process or a load: never on a loop */
    if (!request->explain) return ig_engine_cost_ns(engine, IG_ENGINE_MARGIN, request->rows_count);
    if (request->choice) return request->choice->cost_ns;
    return ig_engine_cost_ns(engine, IG_ENGINE_CONTRIBUTIONS, request->rows_count);
}

static double *doubles(struct ig_arena *arena, size_t rows, size_t each)
{
    size_t count, bytes;
    if (!ig_mul(&count, rows, each) || !ig_mul(&bytes, count, sizeof(double))) return NULL;
    return ig_arena_alloc(arena, bytes);
}

static void *scratch_for(const struct ig_engine *engine, enum ig_engine_op op, size_t rows,
                         struct ig_arena *arena)
{
    size_t bytes = ig_engine_scratch_bytes(engine, op, rows);
    return ig_arena_alloc_aligned(arena, bytes ? bytes : SCRATCH_ALIGNMENT, SCRATCH_ALIGNMENT);
}

static bool is_any_set(const uint32_t *bits, size_t count)
{
    for (size_t i = 0; bits && i < count; i++)
        if (bits[i]) return true;
    return false;
}

/* Margins and predictions by one run: members that fail in one need not in another. */
static enum ig_code predict(struct ig_inference_result *out, const struct ig_servable *servable,
                            const struct ig_inference_request *request, struct ig_arena *arena,
                            struct ig_err *err)
{
    const struct ig_engine *engine = servable->package->engine;
    size_t rows = out->rows_count;
    bool skips = ig_engine_skips(engine);
    void *scratch = scratch_for(engine, IG_ENGINE_MARGIN, rows, arena);
    double *margins = doubles(arena, rows, out->outputs_count);
    double *predictions = doubles(arena, rows, out->predictions_count);
    uint32_t *skipped = skips ? ig_arena_array(arena, rows, sizeof *skipped) : NULL;
    if (!scratch || !margins || !predictions || (skips && !skipped))
        return ig_fail(err, IG_NO_MEMORY, "inference on %zu rows", rows);
    ig_engine_predict(engine, request->rows, rows,
                      (struct ig_engine_scores){margins, predictions, skipped}, scratch);
    out->margins = margins;
    out->predictions = predictions;
    out->skipped = is_any_set(skipped, rows) ? skipped : NULL;
    return ig_engine_check(engine, margins, rows * out->outputs_count, err);
}

/* What the engine explains without a prepared explainer. */
static enum ig_code explain_by_engine(struct ig_inference_result *out,
                                      const struct ig_servable *servable,
                                      const struct ig_inference_request *request,
                                      struct ig_arena *arena, struct ig_err *err)
{
    const struct ig_model *model = servable->package->model;
    const struct ig_engine *engine = servable->package->engine;
    size_t rows = request->rows_count, outputs = model->outputs_count;
    void *scratch = scratch_for(engine, IG_ENGINE_CONTRIBUTIONS, rows, arena);
    double *margins = doubles(arena, rows, outputs);
    double *contributions = doubles(arena, rows, outputs * ((size_t)model->features_count + 1));
    double *additivity = doubles(arena, rows, 1);
    struct ig_explain_note *notes = ig_arena_array(arena, rows, sizeof *notes);
    if (!scratch || !margins || !contributions || !additivity || !notes)
        return ig_fail(err, IG_NO_MEMORY, "inference on %zu rows", rows);
    out->margins = margins;
    ig_engine_explain(
        engine, &(struct ig_engine_io){request->rows, rows, contributions, additivity, margins},
        scratch);
    for (size_t i = 0; i < rows; i++)
        notes[i] =
            (struct ig_explain_note){.exact = true, .stopped = "", .additivity = additivity[i]};
    out->explanations = (struct ig_explanations){.form = IG_EXPLAIN_ADDITIVE,
                                                 .rows_count = rows,
                                                 .players_count = model->features_count,
                                                 .values_count = model->outputs_count,
                                                 .margins = margins,
                                                 .contributions = contributions,
                                                 .notes = notes};
    return IG_OK;
}

/* ---- explanations that may be there already ---- */

struct lookup {
    const struct ig_servable *servable;
    const struct ig_inference_request *request;
    struct ig_explain_cache_key key;
    struct ig_explanations *rows; /* one each */
    size_t *missing;              /* indices of rows that were not there */
    size_t missing_count;
};

static bool is_cached_kind(const struct ig_inference_request *request)
{
    const struct ig_explain_choice *choice = request->choice;
    return request->cache && choice->cost_ns / request->rows_count >= request->cache_min_ns;
}

static void find_rows(struct lookup *lookup, struct ig_arena *arena)
{
    const struct ig_inference_request *request = lookup->request;
    const struct ig_model *model = lookup->servable->package->model;
    const struct ig_explain_cache_context context = {
        .model_digest = ig_str_view(lookup->servable->model_digest),
        .background_digest = ig_str_view(request->choice->background),
        .method = request->choice->method,
        .probability = request->choice->probability,
        .players = request->choice->players,
        .options = &request->options,
        .features = model->features_count,
    };
    ig_explain_cache_key_of(&lookup->key, request->cache, &context);
    for (size_t i = 0; i < request->rows_count; i++) {
        lookup->key.row = request->rows + i * model->features_count;
        if (!ig_explain_cache_get(&lookup->rows[i], request->cache, &lookup->key, model, arena))
            lookup->missing[lookup->missing_count++] = i;
    }
}

/* Explains the rows that were not there, and keeps them unless a budget cut them short. */
static enum ig_code fill_missing(struct lookup *lookup, struct ig_arena *arena, struct ig_err *err)
{
    const struct ig_inference_request *request = lookup->request;
    const struct ig_model *model = lookup->servable->package->model;
    size_t features = model->features_count;
    double *rows = doubles(arena, lookup->missing_count, features);
    struct ig_explanations fresh;
    if (!rows) return ig_fail(err, IG_NO_MEMORY, "inference on %zu rows", request->rows_count);
    for (size_t i = 0; i < lookup->missing_count; i++)
        memcpy(rows + i * features, request->rows + lookup->missing[i] * features,
               features * sizeof *rows);
    if (ig_explain_run(&fresh, request->choice->explain,
                       &(struct ig_explain_rows){rows, lookup->missing_count}, &request->options,
                       arena, err) != IG_OK)
        return err->code;
    for (size_t i = 0; i < lookup->missing_count; i++) {
        struct ig_explanations *one = &lookup->rows[lookup->missing[i]];
        *one = ig_explanations_row(&fresh, i, model);
        if (strcmp(one->notes->stopped, "budget_us") == 0) continue;
        lookup->key.row = rows + i * features;
        ig_explain_cache_put(request->cache, &lookup->key, one, model);
    }
    return IG_OK;
}

static enum ig_code explain(struct ig_inference_result *out, const struct ig_servable *servable,
                            const struct ig_inference_request *request, struct ig_arena *arena,
                            struct ig_err *err)
{
    size_t rows = request->rows_count;
    struct lookup lookup = {.servable = servable, .request = request};
    if (!is_cached_kind(request))
        return ig_explain_run(&out->explanations, request->choice->explain,
                              &(struct ig_explain_rows){request->rows, rows}, &request->options,
                              arena, err);
    lookup.rows = ig_arena_array(arena, rows, sizeof *lookup.rows);
    lookup.missing = ig_arena_array(arena, rows, sizeof *lookup.missing);
    if (!lookup.rows || !lookup.missing)
        return ig_fail(err, IG_NO_MEMORY, "inference on %zu rows", rows);
    find_rows(&lookup, arena);
    if (lookup.missing_count && fill_missing(&lookup, arena, err) != IG_OK) return err->code;
    out->cached = rows - lookup.missing_count;
    if (ig_explanations_join(&out->explanations, lookup.rows, rows, servable->package->model,
                             arena))
        return IG_OK;
    return ig_fail(err, IG_NO_MEMORY, "inference on %zu rows", rows);
}

/* From the margins; an ensemble's need not be a function of them. */
static enum ig_code find_predictions(struct ig_inference_result *result,
                                     const struct ig_servable *servable,
                                     const struct ig_inference_request *request,
                                     struct ig_arena *arena, struct ig_err *err)
{
    const struct ig_model *model = servable->package->model;
    const struct ig_engine *engine = servable->package->engine;
    size_t rows = result->rows_count, outputs = result->outputs_count;
    double *predictions = doubles(arena, rows, model->predictions_count);
    if (!predictions) return ig_fail(err, IG_NO_MEMORY, "inference on %zu rows", rows);
    result->predictions = predictions;
    if (!ig_engine_composite(engine)) {
        for (size_t i = 0; i < rows; i++)
            ig_model_transform(model, result->margins + i * outputs,
                               predictions + i * model->predictions_count);
        return IG_OK;
    }
    void *scratch = scratch_for(engine, IG_ENGINE_MARGIN, rows, arena);
    double *margins = doubles(arena, rows, outputs);
    if (!scratch || !margins) return ig_fail(err, IG_NO_MEMORY, "inference on %zu rows", rows);
    ig_engine_predict(engine, request->rows, rows,
                      (struct ig_engine_scores){margins, predictions, NULL}, scratch);
    return ig_engine_check(engine, margins, rows * outputs, err);
}

/* Of one that comes and goes. */
static enum ig_code run_resident(struct ig_inference_result *out,
                                 const struct ig_servable *servable,
                                 const struct ig_inference_request *request, struct ig_arena *arena,
                                 struct ig_err *err)
{
    const struct ig_servable *loaded = ig_residency_get(servable, true, err);
    if (loaded) ig_inference_run(out, loaded, request, arena, err);
    ig_servable_unref(loaded);
    return err->code;
}

enum ig_code ig_inference_run(struct ig_inference_result *out, const struct ig_servable *servable,
                              const struct ig_inference_request *request, struct ig_arena *arena,
                              struct ig_err *err)
{
    const struct ig_model *model = servable->package->model;
    size_t rows = request->rows_count, outputs = model->outputs_count;
    if (servable->replicas) return ig_replicas_run(out, servable, request, arena, err);
    if (servable->residency) return run_resident(out, servable, request, arena, err);
    bool chosen = request->explain && request->choice && request->choice->explain;
    struct ig_inference_result result = {
        .rows_count = rows,
        .features_count = model->features_count,
        .outputs_count = outputs,
        .predictions_count = model->predictions_count,
        .probabilities = ig_model_gives_probabilities(model),
        .choice = request->choice,
    };
    if (ig_schema_check_rows(&servable->package->schema, request->rows, rows, err) != IG_OK)
        return err->code;
    if (!chosen && request->explain && !ig_engine_explains(servable->package->engine))
        return ig_fail(err, IG_UNSUPPORTED,
                       "explain: this model has no exact tree explanation; exact, leverage, "
                       "permutation and lime take any, with a background");
    if (!request->explain) {
        if (predict(&result, servable, request, arena, err) == IG_OK) *out = result;
        return err->code;
    }
    if (chosen) {
        if (explain(&result, servable, request, arena, err) != IG_OK) return err->code;
        result.margins = result.explanations.margins;
    } else if (explain_by_engine(&result, servable, request, arena, err) != IG_OK) {
        return err->code;
    }
    if (find_predictions(&result, servable, request, arena, err) == IG_OK) *out = result;
    return err->code;
}

static int32_t greatest(const double *values, size_t count)
{
    size_t best = 0;
    for (size_t i = 1; i < count; i++) {
        if (values[i] > values[best]) best = i;
    }
    return (int32_t)best;
}

double ig_inference_score(const struct ig_inference_result *result, size_t row)
{
    return result->predictions[(row + 1) * result->predictions_count - 1];
}

int32_t ig_inference_class(const struct ig_servable *servable,
                           const struct ig_inference_result *result, size_t row)
{
    const struct ig_package *package = servable->package;
    enum ig_task task = package->schema.task;
    const double *predictions = result->predictions + row * result->predictions_count;
    const double *margins = result->margins + row * result->outputs_count;
    if (task != IG_TASK_BINARY && task != IG_TASK_MULTICLASS) return -1;
    if (package->model->transform == IG_TRANSFORM_ARGMAX) return (int32_t)predictions[0];
    if (result->predictions_count > 1 && package->model->kind == IG_MODEL_COMPOSITE)
        return greatest(predictions, result->predictions_count);
    if (result->outputs_count > 1) return greatest(margins, result->outputs_count);
    return result->probabilities ? predictions[0] >= 0.5 : margins[0] > 0;
}
