/* SPDX-License-Identifier: Apache-2.0 */
#ifndef IG_KERNELS_EXPLAIN_EXPLAIN_PRIV_H
#define IG_KERNELS_EXPLAIN_EXPLAIN_PRIV_H

/* A prepared explainer, and what each method gives to the face in explain.c. */

#include "kernels/explain/explain.h"

struct ig_explain {
    const struct ig_engine *engine;
    const struct ig_explain_method *method;
    enum ig_explainer id;
    bool probability;
    struct ig_players players; /* of_feature: own copy, or NULL */
    uint32_t values_count;
    void *state;             /* the method's own */
    double one_ns, batch_ns; /* a row; measured in `new` unless the method says otherwise */
};

/* One run: `out` has its shape and margins, the method fills the rest. */
struct ig_explain_call {
    struct ig_explanations *out;
    struct ig_explain_note *notes; /* of each row, zeroed */
    const double *rows;
    size_t rows_count;
    const double *margins;
    const struct ig_explain_options *options;
    struct ig_arena *arena;
    struct ig_err *err;
};

struct ig_explain_method {
    bool (*admits)(const struct ig_engine *engine);
    /* Fills state; on failure everything it made is freed. */
    enum ig_code (*prepare)(struct ig_explain *explain, const struct ig_explain_spec *spec,
                            struct ig_err *err);
    void (*dispose)(struct ig_explain *explain);
    enum ig_code (*run)(const struct ig_explain *explain, const struct ig_explain_call *call);
    size_t (*memory_bytes)(const struct ig_explain *explain);
    /* Any may be NULL. */
    const char *(*variant)(const struct ig_explain *explain);
    const char *(*unit)(const struct ig_explain *explain);
    uint64_t (*cost_ns)(const struct ig_explain *explain, size_t rows_count,
                        const struct ig_explain_options *options);
};

#define IG_EXPLAINER(id, name, form, flags, doc)                                                   \
    extern const struct ig_explain_method ig_explain_method_##id;
#include "kernels/explainers.def"
#undef IG_EXPLAINER

/* Of an ensemble of models, through its members; in place of the methods for one model. */
extern const struct ig_explain_method ig_explain_by_members;
bool ig_explain_members_admit(const struct ig_engine *engine, enum ig_explainer method);

/* Tree ensembles whose leaves are constants. */
bool ig_explain_admits_trees(const struct ig_engine *engine);
/* Arrays in the call's arena; NULL with err set. */
double *ig_explain_doubles(const struct ig_explain_call *call, size_t rows, size_t each);
/* rows x values x (players + 1) doubles as out->contributions; NULL with err set. */
double *ig_explain_contributions(const struct ig_explain *explain,
                                 const struct ig_explain_call *call);
/* The seed of a row when the options give none: from its bits and the method. */
uint64_t ig_explain_seed(const struct ig_explain *explain, const struct ig_explain_call *call,
                         size_t row);

#endif
