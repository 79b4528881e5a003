/* SPDX-License-Identifier: Apache-2.0 */
#ifndef IG_FORMATS_SCHEMA_H
#define IG_FORMATS_SCHEMA_H

/* What a model's inputs and outputs mean to people: feature names, types, category codes, target,
 * classes. */

#include "base/arena.h"
#include "base/err.h"
#include "base/map.h"

enum ig_feature_type { IG_FEATURE_NUMERIC, IG_FEATURE_INTEGER, IG_FEATURE_CATEGORICAL };

struct ig_feature {
    struct ig_str name;
    enum ig_feature_type type;
    struct ig_str *categories; /* categorical: text of code 0, 1, ... */
    uint32_t categories_count;
    struct ig_map code_by_category; /* value: code + 1 as a pointer */
    bool hashed; /* the file knows categories by CatBoost's hash alone: `categories`, perhaps none,
                    are the hashes in decimal */
    bool hash_coded; /* hashed, without `categories`: a code is the hash as a signed number */
    bool required;   /* a missing value is refused: the model has no prediction then (PMML), or its
                        signature says so */
    bool named;      /* a row by names has to name it, be it as missing: so says its signature */
};

enum ig_task { IG_TASK_REGRESSION, IG_TASK_BINARY, IG_TASK_MULTICLASS, IG_TASK_RANKING };

struct ig_schema {
    struct ig_feature *features;
    uint32_t features_count;
    uint32_t numbers_count;        /* features before the first that takes texts */
    bool has_required, has_named;  /* some feature is */
    struct ig_map feature_by_name; /* value: index + 1 as a pointer */
    enum ig_task task;
    struct ig_str target;   /* empty when unknown */
    struct ig_str *classes; /* text of class 0, 1, ...; NULL for regression */
    uint32_t classes_count;
};

/* Builds feature_by_name and every code_by_category from the names and categories in place. Two
 * features or two categories of one name are INVALID. Whatever the result, ig_schema_deinit
 * follows. */
enum ig_code ig_schema_index(struct ig_schema *schema, struct ig_err *err);
void ig_schema_deinit(struct ig_schema *schema); /* frees the maps; texts are their owner's */

/* -1 when unknown. */
int32_t ig_schema_feature_index(const struct ig_schema *schema, struct ig_str name);
/* A category's code by its text; -1 when the feature does not know it (a row then carries -1: not
 * in any set). A hash-coded feature takes every text. */
int32_t ig_feature_category_code(const struct ig_feature *feature, struct ig_str category);
enum { IG_FEATURE_HASH_SIZE = 16 };
/* The other way, for people: the category's text, or its hash in decimal (in `hash` where the
 * feature has no list). ptr NULL: none is known. */
struct ig_str ig_feature_category_text(const struct ig_feature *feature, double code,
                                       char hash[IG_FEATURE_HASH_SIZE]);
/* Whether a row gives the feature as text: it has categories, or knows their hashes. */
bool ig_feature_takes_text(const struct ig_feature *feature);
/* CatBoost's hash of a category's text. */
uint32_t ig_category_hash(struct ig_str category);
/* Text of a cell (CSV) to a row value. Missing (ig_table_is_missing, or only spaces) = NaN,
 * or INVALID for a required feature. Numeric
 * and integer: a number, spaces around it allowed; the kind integer informs, 3.5 is taken.
 * Categorical: the code by the exact text, -1 for one that training has not seen; a feature without
 * categories takes the code itself as a number. The error names feature and value. */
enum ig_code ig_feature_parse_cell(double *out, const struct ig_feature *feature,
                                   struct ig_str cell, struct ig_err *err);
/* INVALID when a required feature is missing in one of `count` rows; the message names both. */
enum ig_code ig_schema_check_rows(const struct ig_schema *schema, const double *rows, size_t count,
                                  struct ig_err *err);
/* For rows that come by names: all missing; then, with what was named filled in, the first feature
 * that had to be and was not, or -1. */
void ig_schema_begin_row(const struct ig_schema *schema, double *row);
int32_t ig_schema_unnamed(const struct ig_schema *schema, const double *row);
const char *
ig_feature_type_name(enum ig_feature_type type); /* "numeric", "integer", "categorical" */
const char *ig_task_name(enum ig_task task); /* "regression", "binary", "multiclass", "ranking" */
/* The other way; false when unknown. */
bool ig_feature_type_parse(struct ig_str name, enum ig_feature_type *out);
bool ig_task_parse(struct ig_str name, enum ig_task *out);

#endif
