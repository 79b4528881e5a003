/* SPDX-License-Identifier: Apache-2.0 */
#ifndef IG_API_PREDICT_REQUEST_H
#define IG_API_PREDICT_REQUEST_H

/* Decoding of inference requests: JSON straight into rows of doubles, no tree in between.
 *
 *   {"model": NAME, "features": {NAME: VALUE, ...} | "instances": [ROW, ...], ...}   Ingot
 *   {"instances": [ROW, ...], ...} or {"inputs": [ROW, ...], ...}                    KServe V1
 *
 * A ROW is an object by feature name, or an array in the model's order. A VALUE is a number (true
 * is 1, false 0), the text of a category for categorical features, or null for missing; a feature
 * that an object does not name is missing. Members may come in any order.
 *
 *   "unit_id": TEXT or NUMBER        whom the request is about, for what sticks to an arm
 *   "context": {NAME: VALUE, ...}    attributes that the deployment's graph declares; with
 *                                    "features" they may stand among them as well
 *
 * The others say how to explain; see struct ig_explain_request. Unknown names are errors, but for
 * KServe, whose protocol leaves room for members of others. */

#include "api/picture.h"
#include "base/json.h"
#include "formats/constraints.h"
#include "formats/groups.h"
#include "kernels/explainer.h"
#include "services/deploy/rules.h"

/* The members of a request that say how to explain. */
struct ig_explain_request {
    struct ig_str method;              /* ptr NULL when not given, as the other texts */
    struct ig_str background;          /* name of a background of the model */
    struct ig_str unit;                /* "margin", "probability" */
    struct ig_str interactions;        /* "halved", "whole": cells beside the diagonal */
    struct ig_str class_name;          /* "class": of methods that explain one output */
    uint64_t surrogate_features;       /* of LIME's model; 0: its default */
    uint64_t top;                      /* default 5 */
    bool precompute;                   /* fill the cache, tell counts only */
    uint64_t reasons;                  /* adverse reasons to tell; 0: none */
    uint64_t budget_us;                /* 0: none */
    uint64_t seed;                     /* 0: from the row */
    uint64_t samples;                  /* 0: the method's default */
    double target_se;                  /* 0: none */
    struct ig_groups groups;           /* "groups": {"where": ["lat", "lon"], ...} */
    struct ig_constraints constraints; /* "constraints"; items NULL when not given */
    struct ig_str wanted_class;
    double wanted_low, wanted_high;     /* NaN when not given */
    uint64_t max_changes, alternatives; /* 0: any, 1 */
    double change_price;
    unsigned given;                    /* 1 << enum ig_explain_option, of those that are named */
    struct ig_picture_request picture; /* "plot" and so on: the reply is to be a picture */
};

struct ig_predict_request {
    struct ig_str model;
    const struct ig_schema *schema;
    double *rows; /* rows_count x features_count, in the arena */
    size_t rows_count;
    bool many;                         /* asked with "instances" */
    struct ig_str unit_id;             /* ptr NULL: not given */
    struct ig_rules_value *attributes; /* as the target's; NULL when it has none */
    struct ig_explain_request explain;
};

/* What a request is for. */
struct ig_predict_target {
    const struct ig_schema *schema;
    const struct ig_rules_attribute *attributes;
    uint32_t attributes_count;
};

struct ig_predict_source {
    /* The target of a name (empty: none was given); false with err set. */
    bool (*find)(struct ig_predict_target *out, void *context, struct ig_str model,
                 struct ig_err *err);
    void *context;
    size_t rows_max;
    bool kserve;   /* KServe's form: no "model", no "features" */
    bool explains; /* members that say how to explain are read; else they are unknown ones */
    enum ig_code kind_code; /* of a value of another kind than its feature's; OK: INVALID */
};

/* INVALID and PARSE carry the byte position; *field (may be set on error) names what was wrong, as
 * "instances[3].age", in the arena. TOO_LARGE: more than rows_max rows. */
enum ig_code ig_predict_request_decode(struct ig_predict_request *out, struct ig_json *json,
                                       const struct ig_predict_source *source, const char **field);

#endif
