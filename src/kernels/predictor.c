/* SPDX-License-Identifier: Apache-2.0 */
/* Predictors over an engine. Owns nothing; stateless. A response keeps its margins in the scratch,
 * before the engine's own. */
#include "kernels/predictor.h"

enum { ALIGNMENT = 64 };

static size_t margin_scratch(const struct ig_predictor *predictor, size_t rows_count)
{
    return ig_engine_scratch_bytes(predictor->context, IG_ENGINE_MARGIN, rows_count);
}

static void margin_run(const struct ig_predictor *predictor, const double *rows, size_t rows_count,
                       double *values, void *scratch)
{
    ig_engine_margin(predictor->context, rows, rows_count, values, scratch);
}

struct ig_predictor ig_predictor_margin(const struct ig_engine *engine)
{
    const struct ig_model *model = ig_engine_model(engine);
    return (struct ig_predictor){model->features_count, model->outputs_count, engine, margin_run,
                                 margin_scratch};
}

static size_t margins_bytes(const struct ig_model *model, size_t rows_count)
{
    size_t bytes = rows_count * model->outputs_count * sizeof(double);
    return (bytes + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
}

static size_t response_scratch(const struct ig_predictor *predictor, size_t rows_count)
{
    return margins_bytes(ig_engine_model(predictor->context), rows_count) +
           margin_scratch(predictor, rows_count);
}

static void response_run(const struct ig_predictor *predictor, const double *rows,
                         size_t rows_count, double *values, void *scratch)
{
    const struct ig_model *model = ig_engine_model(predictor->context);
    double *margins = scratch;
    ig_engine_predict(predictor->context, rows, rows_count,
                      (struct ig_engine_scores){margins, values, NULL},
                      (char *)scratch + margins_bytes(model, rows_count));
}

struct ig_predictor ig_predictor_response(const struct ig_engine *engine)
{
    const struct ig_model *model = ig_engine_model(engine);
    return (struct ig_predictor){model->features_count, model->predictions_count, engine,
                                 response_run, response_scratch};
}
