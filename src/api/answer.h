/* SPDX-License-Identifier: Apache-2.0 */
#ifndef IG_API_ANSWER_H
#define IG_API_ANSWER_H

/* A scored row in the words of Ingot's JSON: what `/predict-with-explanation` and `ingot explain`
 * have in common. Pure functions; thread-safe.
 *
 * `prediction`: regression and ranking: the number (an array when there are several outputs);
 * classification: the class, as text when the schema names classes, else as its index.
 * `probability`, where the model gives one: binary: of the positive (last) class; multi-class: an
 * object class -> probability. */

#include "base/json.h"
#include "formats/package.h"
#include "kernels/explain/explain.h"
#include "services/explain/reasons.h"

struct ig_answer {
    const struct ig_schema *schema;
    const struct ig_model *model;
    const double *row;           /* features_count, NaN = missing */
    const double *margins;       /* outputs_count */
    const double *predictions;   /* predictions_count */
    const double *contributions; /* values_count x (players_count + 1), bias last */
    uint32_t values_count;       /* explained: outputs_count, or predictions_count */
    uint32_t players_count;
    const uint32_t *player_of_feature;                     /* NULL: each feature its own */
    const struct ig_str *player_names;                     /* with player_of_feature */
    const struct ig_lime_result *surrogate;                /* instead of contributions; or NULL */
    const struct ig_counterfactual_result *counterfactual; /* likewise */
    const double *interactions; /* likewise: values_count x (players_count + 1)^2; or NULL */
    bool whole_interactions;    /* cells beside the diagonal are told twice as large */
    double additivity_error;
    const char *method;
    const struct ig_answer_details *details; /* NULL: of the default method, which has none */
    size_t top;                              /* how many top_features to write */
    uint32_t *order;                         /* scratch: players_count entries */
};

/* What an explanation by a method of the caller's choice says besides. */
struct ig_answer_details {
    const struct ig_explain_note *note;
    const double *se;    /* as contributions; or NULL */
    const char *unit;    /* "margin", "probability", "probability_rescaled" */
    const char *variant; /* or empty */
    const char *why;     /* with a budget; or empty */
    struct ig_str background, background_digest; /* empty: none */
};

/* Index of the predicted class; -1 for other tasks. */
int32_t ig_answer_class(const struct ig_answer *answer);
/* The value whose contributions belong to the prediction: the predicted class's, else 0. */
uint32_t ig_answer_output(const struct ig_answer *answer);
/* Name of an output as a key: class name, else its index; `text` is room for the index. */
struct ig_str ig_answer_output_name(const struct ig_answer *answer, uint32_t output, char text[16]);
/* Fills order[0..top) with players by falling |contribution| of `output`, ties by index; returns
 * min(top, players_count). */
size_t ig_answer_rank(const struct ig_answer *answer, uint32_t output);

/* A class by its name, else by its number; false when there is none. */
bool ig_answer_find_class(const struct ig_schema *schema, struct ig_str name, uint32_t *out);

struct ig_str ig_answer_player(const struct ig_answer *answer, uint32_t player);
/* The feature that a player is; -1 for a group of several. */
int32_t ig_answer_feature(const struct ig_answer *answer, uint32_t player);

struct ig_answer_pair {
    uint32_t first, second; /* players, first < second */
    double interaction;     /* both halves of the matrix */
};
/* The `top` largest pairs of `output`, by falling size; at most `most`. Returns how many. */
size_t ig_answer_pairs(const struct ig_answer *answer, uint32_t output, struct ig_answer_pair *out,
                       size_t most);

/* A number of `interactions` by its place there, as the answer is to tell it. */
double ig_answer_interaction(const struct ig_answer *answer, size_t place);
/* "whole", "halved". */
const char *ig_answer_interactions_name(const struct ig_answer *answer);

/* One value: a row's cell as JSON (null, number, or category text). */
void ig_answer_value(struct ig_json_out *out, const struct ig_feature *feature, double value);
/* Members `prediction` and `probability` of the object that is open. */
void ig_answer_prediction(struct ig_json_out *out, const struct ig_answer *answer);
/* Members `outcome` ("found", "wanted_already", "none_exists", proved, "none_found") and
 * `counterfactuals` of the object that is open. */
void ig_answer_counterfactual(struct ig_json_out *out, const struct ig_answer *answer);
/* Members `reasons`, the `top` most adverse ones of the predicted output, and
 * `margin_to_next_reason` (null when there is no other): by how much the last one told is more
 * adverse than the next. Of additive answers. Scratch from `arena`. */
enum ig_code ig_answer_reasons(struct ig_json_out *out, const struct ig_answer *answer,
                               const struct ig_reason_codes *codes, size_t top,
                               struct ig_arena *arena, struct ig_err *err);
/* Member `explanation`: contributions, a surrogate, interactions, or counterfactuals. */
void ig_answer_explanation(struct ig_json_out *out, const struct ig_answer *answer);

#endif
