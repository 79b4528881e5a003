/* SPDX-License-Identifier: Apache-2.0 */
#ifndef IG_SERVICES_TRACKING_TRACKING_FILTER_H
#define IG_SERVICES_TRACKING_TRACKING_FILTER_H

/* MLflow's search language (mlflow/utils/search_utils.py, 3.17.2): a filter is comparisons joined
 * by AND, an order is a key and ASC or DESC. Pure; nothing is kept; thread-safe. */

#include "base/arena.h"
#include "base/err.h"

enum {
    IG_TRACKING_FILTER_BYTES_MAX = 64 << 10,
    IG_TRACKING_ORDER_BYTES_MAX = 1024,
    IG_TRACKING_TERMS_MAX = 64,    /* comparisons of a filter */
    IG_TRACKING_VALUES_MAX = 1000, /* of its lists together */
    IG_TRACKING_ORDERS_MAX = 16,   /* clauses of a search */
    /* Of LIKE and ILIKE: twice as many, all of them escaped, is what SQLite takes. */
    IG_TRACKING_PATTERN_BYTES_MAX = 25000,
};

/* What is searched: each has fields of its own. */
enum ig_tracking_kind {
    IG_TRACKING_RUNS,
    IG_TRACKING_EXPERIMENTS,
    IG_TRACKING_MODELS,      /* registered ones */
    IG_TRACKING_VERSIONS,    /* of these */
    IG_TRACKING_LOGGED,      /* logged models */
    IG_TRACKING_TRACES,      /* their metadata are PARAMs */
    IG_TRACKING_EVALUATIONS, /* evaluation datasets */
    IG_TRACKING_ISSUES,
    IG_TRACKING_KINDS_COUNT,
};

enum ig_tracking_entity {
    IG_TRACKING_METRIC,
    IG_TRACKING_PARAM,
    IG_TRACKING_TAG,
    IG_TRACKING_ATTRIBUTE,
    IG_TRACKING_DATASET,
    IG_TRACKING_SPAN,        /* of a trace, as the next three are: all of one and the same span */
    IG_TRACKING_FEEDBACK,    /* by its name */
    IG_TRACKING_EXPECTATION, /* likewise */
    IG_TRACKING_ISSUE,
};

/* Of ATTRIBUTE, DATASET and SPAN; the others have keys alone. */
enum ig_tracking_field {
    IG_TRACKING_NO_FIELD,
    IG_TRACKING_BY_RUN_ID,
    IG_TRACKING_BY_RUN_NAME,
    IG_TRACKING_BY_USER_ID,
    IG_TRACKING_BY_STATUS,
    IG_TRACKING_BY_ARTIFACT_URI,
    IG_TRACKING_BY_START_TIME,
    IG_TRACKING_BY_END_TIME,
    IG_TRACKING_BY_NAME,
    IG_TRACKING_BY_EXPERIMENT_ID,
    IG_TRACKING_BY_CREATION_TIME,
    IG_TRACKING_BY_LAST_UPDATE_TIME,
    IG_TRACKING_BY_VERSION_NUMBER,
    IG_TRACKING_BY_SOURCE_PATH,
    IG_TRACKING_BY_MODEL_ID,
    IG_TRACKING_BY_MODEL_TYPE,
    IG_TRACKING_BY_SOURCE_RUN,
    IG_TRACKING_BY_STAGE,
    IG_TRACKING_BY_TRACE_ID,
    IG_TRACKING_BY_CLIENT_ID,
    IG_TRACKING_BY_DURATION,
    IG_TRACKING_BY_CREATOR,
    IG_TRACKING_BY_UPDATER,
    IG_TRACKING_BY_DATASET_NAME,
    IG_TRACKING_BY_DATASET_DIGEST,
    IG_TRACKING_BY_DATASET_CONTEXT,
    IG_TRACKING_BY_SPAN_NAME,
    IG_TRACKING_BY_SPAN_TYPE,
    IG_TRACKING_BY_SPAN_STATUS,
    IG_TRACKING_BY_SPAN_TEXT,
    IG_TRACKING_BY_SPAN_ATTRIBUTE, /* the key is its name */
    IG_TRACKING_BY_COUNT,
};

enum ig_tracking_op {
    IG_TRACKING_EQ,
    IG_TRACKING_NE,
    IG_TRACKING_GT,
    IG_TRACKING_GE,
    IG_TRACKING_LT,
    IG_TRACKING_LE,
    IG_TRACKING_LIKE,
    IG_TRACKING_ILIKE,
    IG_TRACKING_IN,
    IG_TRACKING_NOT_IN,
    IG_TRACKING_IS_NULL,
    IG_TRACKING_IS_NOT_NULL,
    IG_TRACKING_OPS_COUNT,
};

struct ig_tracking_identifier {
    enum ig_tracking_entity entity;
    enum ig_tracking_field field;
    struct ig_str key; /* unquoted; a view of the text, or constant */
};

struct ig_tracking_term {
    struct ig_tracking_identifier what;
    enum ig_tracking_op op;
    bool numeric; /* `number` holds the value, else `values` */
    double number;
    const struct ig_str *values; /* unquoted views: lists have several, NULL tests none */
    size_t values_count;
};

struct ig_tracking_filter {
    const struct ig_tracking_term *terms; /* in the arena */
    size_t count;
};

struct ig_tracking_order {
    struct ig_tracking_identifier what;
    bool descending;
};

/* `text` outlives *out. INVALID says which token, with its byte position. */
enum ig_code ig_tracking_filter_parse(struct ig_tracking_filter *out, enum ig_tracking_kind kind,
                                      struct ig_str text, struct ig_arena *arena,
                                      struct ig_err *err);
enum ig_code ig_tracking_order_parse(struct ig_tracking_order *out, enum ig_tracking_kind kind,
                                     struct ig_str text, struct ig_err *err);

/* Of logged models, whose orders are a field's name and a flag. */
enum ig_code ig_tracking_order_read(struct ig_tracking_order *out, struct ig_str field,
                                    bool descending, struct ig_err *err);

const char *ig_tracking_entity_name(enum ig_tracking_entity entity); /* "parameter" */
const char *ig_tracking_op_name(enum ig_tracking_op op);             /* "NOT IN" */

#endif
