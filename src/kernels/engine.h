/* SPDX-License-Identifier: Apache-2.0 */
#ifndef IG_KERNELS_ENGINE_H
#define IG_KERNELS_ENGINE_H

/* A model made ready to run: the one face of all kernels. Immutable after `new`, shared by all
 * threads; it borrows the model. `new` can fail, the run functions cannot, but for a model in
 * another library's hands (model/foreign.h): its failures are in the values, and ig_engine_check
 * finds them.
 *
 * Shapes are row-major doubles: rows n x features_count (NaN = missing), margins n x outputs_count,
 * contributions n x outputs_count x (features_count + 1) with the base value (bias) last. Units:
 * margin. `scratch` is 64-byte aligned, at least ig_engine_scratch_bytes(...), contents undefined
 * before and after. */

#include "kernels/explainer.h"
#include "model/model.h"

struct ig_engine;

enum ig_engine_op { IG_ENGINE_MARGIN, IG_ENGINE_CONTRIBUTIONS };

enum ig_code ig_engine_new(struct ig_engine **out, const struct ig_model *model,
                           struct ig_err *err);
struct ig_composite;
/* Of several models that answer as one (kernels/composite.h), which it borrows; `model` is
 * ig_composite_model's. */
enum ig_code ig_engine_new_composite(struct ig_engine **out, const struct ig_model *model,
                                     const struct ig_composite *composite, struct ig_err *err);
const struct ig_composite *ig_engine_composite(const struct ig_engine *engine); /* or NULL */
void ig_engine_free(struct ig_engine *engine);
const struct ig_model *ig_engine_model(const struct ig_engine *engine);

size_t ig_engine_scratch_bytes(const struct ig_engine *engine, enum ig_engine_op op,
                               size_t rows_count);
/* Bit-equal to the source library, on every instruction set, thread count and batch size. */
void ig_engine_margin(const struct ig_engine *engine, const double *rows, size_t rows_count,
                      double *margins, void *scratch);
/* Both of a row's answers; needs the scratch of IG_ENGINE_MARGIN. */
struct ig_engine_scores {
    double *margins;     /* rows x outputs_count */
    double *predictions; /* rows x predictions_count: after the objective's transform; or NULL */
    uint32_t *skipped;   /* rows, of one that skips: bits of the members that failed and were left
                            out; NULL: a row that a member fails on fails */
};
void ig_engine_predict(const struct ig_engine *engine, const double *rows, size_t rows_count,
                       struct ig_engine_scores out, void *scratch);
/* The same with a bound on its time, of any engine but an ensemble's; 0: none. Rows that it had no
 * time for have failed (DEADLINE). A foreign model is stopped between its operators, any other is
 * asked for a few rows at a time. */
void ig_engine_predict_within(const struct ig_engine *engine, const double *rows, size_t rows_count,
                              struct ig_engine_scores out, void *scratch, uint32_t timeout_ms);
/* IG_OK, or why rows failed: `values` are margins, predictions or contributions that this engine
 * gave. Only a foreign model's can be other than IG_OK. */
enum ig_code ig_engine_check(const struct ig_engine *engine, const double *values, size_t count,
                             struct ig_err *err);
bool ig_engine_may_fail(const struct ig_engine *engine);
/* Whether it is an ensemble that may leave members out. */
bool ig_engine_skips(const struct ig_engine *engine);
/* Why a run failed last; IG_OK when none has. */
enum ig_code ig_engine_failure(const struct ig_engine *engine, struct ig_err *err);
/* Whether contributions can be asked for: not of linear leaves, nor of paths over thousands of
 * features. */
bool ig_engine_explains(const struct ig_engine *engine);
struct ig_engine_io {
    const double *rows;
    size_t rows_count;
    double *contributions; /* out */
    double *additivity;    /* out: the row's greatest |sum of contributions - margin| */
    double *margins;       /* out, as ig_engine_margin gives them; may be NULL */
};

/* Exact path-dependent SHAP values; only if ig_engine_explains. A row whose additivity is over
 * 1e-5*(1+|margin|) has been recomputed in double precision. */
void ig_engine_explain(const struct ig_engine *engine, const struct ig_engine_io *io,
                       void *scratch);
/* The same by an independent method in double precision: for tests; slow. Can fail, as it
 * allocates. */
enum ig_code ig_engine_explain_reference(const struct ig_engine *engine, const double *row,
                                         double *contributions, struct ig_err *err);
/* Base value of each output: the expected margin over the training covers. base[outputs_count];
 * only if ig_engine_explains and not of a composite. */
void ig_engine_base_values(const struct ig_engine *engine, double *base);
/* Estimated time of a call, from a measurement made in `new`. */
uint64_t ig_engine_cost_ns(const struct ig_engine *engine, enum ig_engine_op op, size_t rows_count);
/* What a row costs less in a batch than alone. */
uint64_t ig_engine_gain_ns(const struct ig_engine *engine, enum ig_engine_op op);
const char *ig_engine_isa(const struct ig_engine *engine); /* "avx512", "avx2", "scalar", or the
                                                              foreign runtime's name */
size_t ig_engine_memory_bytes(const struct ig_engine *engine);

#endif
