/* SPDX-License-Identifier: Apache-2.0 */
/* A fairness report of one package's decisions, by its engine. Thread rule: pure. */
#include "formats/fairness_report.h"

#include "base/mem.h"

enum { ALIGNMENT = 64 };

static double *doubles(struct ig_arena *arena, size_t rows, size_t each)
{
    size_t count, bytes;
    if (!ig_mul(&count, rows, each) || !ig_mul(&bytes, count, sizeof(double))) return NULL;
    return ig_arena_alloc(arena, bytes ? bytes : 1);
}

static enum ig_code answer(void *context, struct ig_row_answers *out, const struct ig_row_ask *ask,
                           struct ig_arena *arena, struct ig_err *err)
{
    const struct ig_package *package = context;
    const struct ig_model *model = package->model;
    const struct ig_engine *engine = package->engine;
    size_t rows = ask->rows_count, outputs = model->outputs_count;
    size_t bytes = ig_engine_scratch_bytes(
        engine, ask->explain ? IG_ENGINE_CONTRIBUTIONS : IG_ENGINE_MARGIN, rows);
    void *scratch = ig_arena_alloc_aligned(arena, bytes ? bytes : ALIGNMENT, ALIGNMENT);
    double *margins = doubles(arena, rows, outputs);
    double *predictions = doubles(arena, rows, model->predictions_count);
    double *additivity = doubles(arena, rows, 1), *contributions = NULL;
    if (ask->explain)
        contributions = doubles(arena, rows, outputs * ((size_t)model->features_count + 1));
    if (arena->overflowed || !margins || !predictions || (ask->explain && !contributions))
        return ig_fail(err, IG_NO_MEMORY, "fairness: no memory for %zu rows", rows);
    if (ask->explain)
        ig_engine_explain(
            engine, &(struct ig_engine_io){ask->rows, rows, contributions, additivity, margins},
            scratch);
    ig_engine_predict(engine, ask->rows, rows,
                      (struct ig_engine_scores){margins, predictions, NULL}, scratch);
    *out = (struct ig_row_answers){margins, predictions, contributions};
    return ig_engine_check(engine, margins, rows * outputs, err);
}

enum ig_code ig_fairness_table_run(struct ig_fairness_table *out, struct ig_str csv,
                                   const struct ig_fairness_spec *spec,
                                   const struct ig_package *package, struct ig_arena *arena,
                                   struct ig_err *err)
{
    if (!package) return ig_fairness_models_run(out, csv, spec, NULL, arena, err);
    if (spec->attributions && !ig_engine_explains(package->engine))
        return ig_fail(err, IG_UNSUPPORTED,
                       "attributions: this model has no exact tree explanation");
    const struct ig_row_model lone = {.model = package->model};
    const struct ig_row_models models = {
        .schema = &package->schema,
        .models = &lone,
        .models_count = 1,
        .answer = answer,
        .context = (void *)(uintptr_t)package,
    };
    return ig_fairness_models_run(out, csv, spec, &models, arena, err);
}
