/* SPDX-License-Identifier: Apache-2.0 */
#ifndef IG_KERNELS_COMPOSITE_H
#define IG_KERNELS_COMPOSITE_H

/* Several models that answer as one: an ensemble as a model of its own, behind the engine's face.
 *
 * Each member may number the features and categories in its own way; the composite's rows are
 * turned into its. A LINEAR way of combining has a margin that is the weighted mean of the members'
 * margins, so what is additive over the margin (SHAP values, interactions) is the weighted mean of
 * the members' own, and exact where theirs is. Of any other the margin is the combined prediction.
 *
 * Immutable after `new`; shared by all threads; borrows the engines and copies the rest. */

#include "kernels/engine.h"

enum ig_combine {
#define IG_COMBINE(id, name, flags, doc) IG_COMBINE_##id,
#include "kernels/combines.def"
#undef IG_COMBINE
    IG_COMBINES_COUNT
};

const char *ig_combine_name(enum ig_combine combine);
bool ig_combine_parse(struct ig_str name, enum ig_combine *out); /* false: unknown */
bool ig_combine_takes_meta(enum ig_combine combine);

enum { IG_COMPOSITE_MEMBERS_MAX = 32 };

/* How a model reads the rows of another. */
struct ig_feature_map {
    uint32_t features_count;      /* of the model */
    const uint32_t *source_of;    /* features_count: the other's feature; NULL: the same order */
    const int32_t *const *codes;  /* features_count: NULL, or the code of each code of the other's
                                     (-1:  unseen); NULL: the same codes throughout */
    const uint32_t *codes_counts; /* with codes: how many each has */
};
bool ig_feature_map_is_identity(const struct ig_feature_map *map);
/* out[rows_count x map's features] from rows of `width` features. */
void ig_feature_map_rows(const struct ig_feature_map *map, const double *rows, size_t rows_count,
                         uint32_t width, double *out);

struct ig_composite_member {
    const struct ig_engine *engine;
    double weight;             /* positive */
    struct ig_feature_map map; /* borrowed as long as the composite lives */
    const char *name;          /* for messages, borrowed likewise; NULL: none */
    uint32_t timeout_ms;       /* of one run of it in a prediction; 0: none */
};

struct ig_composite_spec {
    enum ig_combine combine;
    const struct ig_composite_member *members;
    size_t members_count;         /* 1 to IG_COMPOSITE_MEMBERS_MAX */
    const struct ig_engine *meta; /* STACK: its features are the members' predictions in order */
    uint32_t features_count;
    uint32_t classes_count; /* which the members tell apart; 0: they do not classify */
    bool skips; /* a row that members fail on is combined from the others; not with STACK */
};

struct ig_composite;

/* Of two classes, members that give both probabilities count by the second's, where others give
 * that one alone (mean, soft_vote) or one number is wanted (median).
 *
 * INVALID: members whose shapes do not fit together or the way of combining; the message begins
 * with "members[I]" or "meta". */
enum ig_code ig_composite_new(struct ig_composite **out, const struct ig_composite_spec *spec,
                              struct ig_err *err);
void ig_composite_free(struct ig_composite *composite); /* NULL is allowed */

/* Without its members. */
size_t ig_composite_memory_bytes(const struct ig_composite *composite);

/* What it is as a model: kind IG_MODEL_COMPOSITE. The caller frees it, after the engines on it. */
struct ig_model *ig_composite_model(const struct ig_composite *composite, struct ig_err *err);
bool ig_composite_is_linear(const struct ig_composite *composite);
/* LINEAR, and predictions are the weighted mean of the members' predictions. */
bool ig_composite_is_mean(const struct ig_composite *composite);
size_t ig_composite_members(const struct ig_composite *composite);
const struct ig_composite_member *ig_composite_member(const struct ig_composite *composite,
                                                      size_t index);
/* A member's share of the whole: its weight over the sum of weights. */
double ig_composite_share(const struct ig_composite *composite, size_t index);

size_t ig_composite_scratch_bytes(const struct ig_composite *composite, enum ig_engine_op op,
                                  size_t rows_count);
/* As ig_engine_predict. */
void ig_composite_predict(const struct ig_composite *composite, const double *rows,
                          size_t rows_count, struct ig_engine_scores out, void *scratch);
/* As ig_engine_explain; only if ig_composite_explains. */
void ig_composite_explain(const struct ig_composite *composite, const struct ig_engine_io *io,
                          void *scratch);
bool ig_composite_explains(const struct ig_composite *composite);
/* As ig_engine_may_fail and ig_engine_skips. */
bool ig_composite_may_fail(const struct ig_composite *composite);
bool ig_composite_skips(const struct ig_composite *composite);
/* As ig_engine_failure, of a member; -1: of the meta model or the first member that failed ever.
 * The message begins with "members[I]" or "meta". */
enum ig_code ig_composite_failure(const struct ig_composite *composite, int32_t member,
                                  struct ig_err *err);

#endif
