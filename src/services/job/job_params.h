/* SPDX-License-Identifier: Apache-2.0 */
#ifndef IG_SERVICES_JOB_JOB_PARAMS_H
#define IG_SERVICES_JOB_JOB_PARAMS_H

/* Training parameters: a table for each engine (params.def, edge_params.def, prune_params.def,
 * quantize_params.def) as types, defaults, ranges and help. */

#include "base/err.h"
#include "base/json.h"

#define IG_JOB_ENGINES(X)                                                                          \
    X(XGBOOST, "xgboost")   /* boosted trees by libxgboost */                                      \
    X(EDGE, "edge")         /* small models for devices */                                         \
    X(PRUNE, "prune")       /* smaller tree models of registered ones */                           \
    X(QUANTIZE, "quantize") /* smaller networks of registered ones */
enum ig_job_engine {
#define X(id, name) IG_JOB_##id,
    IG_JOB_ENGINES(X)
#undef X
        IG_JOB_ENGINES_COUNT
};
const char *ig_job_engine_name(enum ig_job_engine engine);
/* Whether it only makes a registered model smaller: target and table are then optional. */
bool ig_job_engine_shrinks(enum ig_job_engine engine);
/* Empty is xgboost; INVALID lists the known. */
enum ig_code ig_job_engine_parse(enum ig_job_engine *out, struct ig_str name, struct ig_err *err);

enum { IG_JOB_TEACHERS_MAX = 3 };
enum { IG_PARAM_WORD_SIZE = 24, IG_PARAM_STRING_SIZE = 512 };
struct ig_param_word {
    char text[IG_PARAM_WORD_SIZE];
};
struct ig_param_string {
    char text[IG_PARAM_STRING_SIZE];
};
#define IG_PARAM_C_INT int64_t
#define IG_PARAM_C_REAL double
#define IG_PARAM_C_CHOICE struct ig_param_word
#define IG_PARAM_C_STRING struct ig_param_string

struct ig_train_params {
#define IG_PARAM(name, type, standard, least, greatest, choices, doc) IG_PARAM_C_##type name;
#include "services/job/params.def"
#undef IG_PARAM
};

struct ig_edge_params {
#define IG_PARAM(name, type, standard, least, greatest, choices, doc) IG_PARAM_C_##type name;
#include "services/job/edge_params.def"
#undef IG_PARAM
};

struct ig_prune_params {
#define IG_PARAM(name, type, standard, least, greatest, choices, doc) IG_PARAM_C_##type name;
#include "services/job/prune_params.def"
#undef IG_PARAM
};

struct ig_quantize_params {
#define IG_PARAM(name, type, standard, least, greatest, choices, doc) IG_PARAM_C_##type name;
#include "services/job/quantize_params.def"
#undef IG_PARAM
};

/* Of a job: those of its engine count. */
struct ig_job_params {
    enum ig_job_engine engine;
    struct ig_train_params xgboost;
    struct ig_edge_params edge;
    struct ig_prune_params prune;
    struct ig_quantize_params quantize;
};
/* The registered model that the job goes on from, or ""; NULL: the engine has no such parameter. */
const char *ig_params_source(const struct ig_job_params *params);

enum ig_param_type { IG_PARAM_INT, IG_PARAM_REAL, IG_PARAM_CHOICE, IG_PARAM_STRING };
struct ig_param_info {
    const char *name;
    enum ig_param_type type;
    const char *standard;
    double least, greatest; /* INT and REAL */
    const char *choices;    /* CHOICE: "auto|binary" */
    const char *doc;
};
size_t ig_params_count(enum ig_job_engine engine);
const struct ig_param_info *ig_param_at(enum ig_job_engine engine, size_t index);

/* Whether both hold the same value of an engine's parameter. */
bool ig_param_equal(const struct ig_job_params *a, const struct ig_job_params *b,
                    enum ig_job_engine engine, size_t index);

/* The first of `names`, which ends with NULL, that is not at its default; NULL: all are. */
const char *ig_params_changed(const struct ig_job_params *params, const char *const *names);

/* Those of all engines. */
void ig_params_defaults(struct ig_job_params *params, enum ig_job_engine engine);
/* INVALID: "parameter 'max_depth': value '99' is not an integer from 1 to 16"; an unknown name
 * lists the known. */
enum ig_code ig_params_set(struct ig_job_params *params, struct ig_str name, struct ig_str value,
                           struct ig_err *err);
/* All of the engine's as one JSON object. */
void ig_params_write(struct ig_json_out *out, const struct ig_job_params *params);
/* The object that comes next in `json`, over what *params holds; values may be numbers or strings.
 */
enum ig_code ig_params_read(struct ig_job_params *params, struct ig_json *json);

#endif
