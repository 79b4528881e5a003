/* SPDX-License-Identifier: Apache-2.0 */
#ifndef IG_KERNELS_EXPLAINER_H
#define IG_KERNELS_EXPLAINER_H

/* The explanation methods by number, name, form and description: one line each in explainers.def.
 * What only some of them take: explain_options.def. */

#include "base/err.h"
#include "base/str.h"

/* What an explanation consists of. */
enum ig_explain_form {
    IG_EXPLAIN_ADDITIVE,       /* a contribution a player and the base value; they add up */
    IG_EXPLAIN_INTERACTIONS,   /* a symmetric matrix over players and the base value */
    IG_EXPLAIN_SURROGATE,      /* a local linear model over a few features */
    IG_EXPLAIN_COUNTERFACTUAL, /* changed rows */
};

/* What a method takes. */
enum ig_explainer_flags {
    IG_EXPLAINER_GROUPS = 1,      /* players of several features */
    IG_EXPLAINER_BACKGROUND = 2,  /* background rows, and needs them unless OPTIONAL */
    IG_EXPLAINER_PROBABILITY = 4, /* explains predictions as well as margins */
    IG_EXPLAINER_SAMPLED = 8,     /* a seed */
    IG_EXPLAINER_CLASS = 16,      /* explains one output at a time */
    IG_EXPLAINER_OPTIONAL = 32,   /* goes without a background */
    IG_EXPLAINER_SAMPLES = 64,    /* a number of samples */
    IG_EXPLAINER_TARGET = 128,    /* a standard error at which it may stop */
};

enum ig_explain_option {
#define IG_EXPLAIN_OPTION(id, name, cli_name, flags) IG_EXPLAIN_OPTION_##id,
#include "kernels/explain_options.def"
#undef IG_EXPLAIN_OPTION
    IG_EXPLAIN_OPTIONS_COUNT
};

enum ig_explainer {
#define IG_EXPLAINER(id, name, form, flags, doc) IG_EXPLAINER_##id,
#include "kernels/explainers.def"
#undef IG_EXPLAINER
    IG_EXPLAINERS_COUNT
};

/* False when no method has that name; *out is then untouched. */
bool ig_explainer_parse(struct ig_str name, enum ig_explainer *out);
const char *ig_explainer_name(enum ig_explainer explainer);
const char *ig_explainer_doc(enum ig_explainer explainer);
enum ig_explain_form ig_explainer_form(enum ig_explainer explainer);
/* Whether it cannot do without background rows. */
bool ig_explainer_needs_background(enum ig_explainer explainer);
bool ig_explainer_takes(enum ig_explainer explainer, enum ig_explainer_flags flag);

/* Whose names an error has. */
enum ig_explain_words { IG_EXPLAIN_OF_REQUESTS, IG_EXPLAIN_OF_CLI };

const char *ig_explain_option_name(enum ig_explain_option option, enum ig_explain_words words);
/* False when the name of a request's member is none; *out is then untouched. */
bool ig_explain_option_parse(struct ig_str name, enum ig_explain_option *out);
bool ig_explainer_takes_option(enum ig_explainer explainer, enum ig_explain_option option);
/* INVALID when there is an option among `given` (1 << its number) that none of the methods takes,
 * one of which is to be run. */
enum ig_code ig_explain_options_check(unsigned given, const enum ig_explainer *methods,
                                      size_t methods_count, enum ig_explain_words words,
                                      struct ig_err *err);
/* The names of all methods, separated by ", ". */
void ig_explainer_list(struct ig_buf *text);

#endif
