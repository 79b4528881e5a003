/* SPDX-License-Identifier: Apache-2.0 */
#ifndef IG_KERNELS_EXPLAIN_EXPLAIN_H
#define IG_KERNELS_EXPLAIN_EXPLAIN_H

/* Every explanation method behind one face: prepared once for a model, a background and players,
 * then run on rows. Preparing may take seconds and much memory (tables), it can fail; a prepared
 * explainer is immutable and shared by all threads. It borrows the engine and copies the rest. */

#include "base/hash.h"
#include "kernels/engine.h"
#include "kernels/explain/background.h"
#include "kernels/explain/counterfactual.h"
#include "kernels/explain/lime.h"

struct ig_explain;

struct ig_explain_spec {
    enum ig_explainer method;
    bool probability; /* explain predictions (after the objective's transform), not margins */
    const struct ig_background *background; /* NULL where the method needs none */
    const struct ig_players *players;       /* NULL: each feature its own */
    const bool *categorical;    /* features_count: whose values are codes (LIME, counterfactuals);
                                   NULL: none */
    const uint32_t *categories; /* features_count: how many codes, 0 unknown; or NULL */
    size_t memory_max_bytes;    /* of tables; 0: 512 MiB */
};

/* INVALID: a background or players that the method does not take, or needs and lacks; a background
 * of another width. UNSUPPORTED: the model has no such explanation. */
enum ig_code ig_explain_new(struct ig_explain **out, const struct ig_engine *engine,
                            const struct ig_explain_spec *spec, struct ig_err *err);
void ig_explain_free(struct ig_explain *explain); /* NULL is allowed */
/* Whether `new` could succeed for this model, without building anything. */
bool ig_explain_admits(const struct ig_engine *engine, enum ig_explainer method);
/* The method for a request that names none: exact for the model with what is given. */
enum ig_explainer ig_explain_default(const struct ig_engine *engine, bool has_background);

enum ig_explainer ig_explain_method(const struct ig_explain *explain);
uint32_t ig_explain_players(const struct ig_explain *explain);
/* Values explained a row: the model's outputs, or its predictions. */
uint32_t ig_explain_values(const struct ig_explain *explain);
size_t ig_explain_memory_bytes(const struct ig_explain *explain);
/* How it works inside, where that depends on the model: "tables", "walk", "mixed"; else "". */
const char *ig_explain_variant(const struct ig_explain *explain);
/* "margin", "probability", or "probability_rescaled": margin contributions scaled so that they add
 * up to the probability, which are no Shapley values of it. */
const char *ig_explain_unit(const struct ig_explain *explain);

#define IG_EXPLAIN_PREDICTED UINT32_MAX

/* Of counterfactuals. Predictions in their own unit: probability of class 1, or the number. */
struct ig_counterfactual_ask {
    bool has_low, has_high; /* the prediction wanted, inclusive */
    double low, high;
    bool decides;   /* one output tells two classes apart at margin 0 */
    uint32_t class; /* wanted; IG_EXPLAIN_PREDICTED: another than the predicted one */
    const struct ig_counterfactual_constraint *constraints; /* features_count, or NULL */
    double price;
    uint32_t changes_max, count; /* as in struct ig_counterfactual_options */
};

struct ig_explain_options {
    uint64_t seed;        /* of sampled methods; 0: from the row and the method */
    uint64_t samples;     /* model evaluations, or samples; 0: the method's default */
    double target_se;     /* stop when every standard error is at most this; 0: never */
    uint64_t deadline_ns; /* by ig_clock_ns; 0: none */
    uint32_t output;      /* methods of one output; IG_EXPLAIN_PREDICTED: of the greatest value */
    uint32_t features;    /* of a surrogate; 0: 10 */
    const struct ig_counterfactual_ask *counterfactual; /* NULL: another decision, any change */
};

/* Estimated time of a run from a measurement made in `new`. */
uint64_t ig_explain_cost_ns(const struct ig_explain *explain, size_t rows_count,
                            const struct ig_explain_options *options);

/* Of one row. */
struct ig_explain_note {
    bool exact;          /* neither sampled nor approximate */
    uint64_t seed;       /* sampled methods: what it used */
    uint64_t samples;    /* model evaluations or samples used */
    const char *stopped; /* why sampling ended: "samples", "target_se", "budget_us"; else "" */
    double quantile;     /* half-width of a 95% interval in standard errors; 0 where exact */
    uint32_t output;     /* methods of one output: which */
    double additivity;   /* greatest |sum - value|; 0 for forms that do not add up */
};

/* All in the caller's arena. */
struct ig_explanations {
    enum ig_explain_form form;
    size_t rows_count;
    uint32_t players_count, values_count;
    const double *margins;       /* rows x outputs, always */
    const double *contributions; /* ADDITIVE: rows x values x (players + 1), base value last */
    const double *se;            /* the same shape, or NULL for exact methods */
    const double *interactions;  /* INTERACTIONS: rows x values x (players + 1)^2 */
    const struct ig_lime_result *surrogates;                /* SURROGATE: rows */
    const struct ig_counterfactual_result *counterfactuals; /* COUNTERFACTUAL: rows */
    const struct ig_explain_note *notes;                    /* rows */
};

struct ig_explain_rows {
    const double *rows; /* rows_count x features_count, NaN = missing */
    size_t rows_count;
};

/* SHA-256 of all that a row was given: margins, contributions or what stands in their place,
 * standard errors. Equal bits, equal digest. False: no memory. */
bool ig_explanations_digest(unsigned char digest[IG_SHA256_BYTES],
                            const struct ig_explanations *explanations, size_t row,
                            const struct ig_model *model);

/* NO_MEMORY when the arena is full; INVALID for
 * an option out of range. The same rows, options and seed give the same bits on every instruction
 * set and in every batch, unless a deadline stopped it. */
enum ig_code ig_explain_run(struct ig_explanations *out, const struct ig_explain *explain,
                            const struct ig_explain_rows *input,
                            const struct ig_explain_options *options, struct ig_arena *arena,
                            struct ig_err *err);

#endif
