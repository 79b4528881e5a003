/* SPDX-License-Identifier: Apache-2.0 */
#ifndef IG_SERVICES_JOB_JOB_PARAMS_H
#define IG_SERVICES_JOB_JOB_PARAMS_H

/* Training parameters: the table params.def as types, defaults, ranges and help. */

#include "base/err.h"
#include "base/json.h"

#define IG_PARAM_C_INT int64_t
#define IG_PARAM_C_REAL double
#define IG_PARAM_C_TEXT const char * /* a string constant of the table's choices */

struct ig_train_params {
#define IG_PARAM(name, type, standard, least, greatest, doc) IG_PARAM_C_##type name;
#include "services/job/params.def"
#undef IG_PARAM
};

enum ig_param_type { IG_PARAM_INT, IG_PARAM_REAL, IG_PARAM_TEXT };
struct ig_param_info {
    const char *name;
    enum ig_param_type type;
    const char *standard;
    double least, greatest; /* INT and REAL */
    const char *doc;
};
size_t ig_params_count(void);
const struct ig_param_info *ig_param_at(size_t index);

void ig_params_defaults(struct ig_train_params *params);
/* INVALID: "parameter 'max_depth': value '99' is not an integer from 1 to 16"; an unknown name
 * lists the known. */
enum ig_code ig_params_set(struct ig_train_params *params, struct ig_str name, struct ig_str value,
                           struct ig_err *err);
/* All of them as one JSON object. */
void ig_params_write(struct ig_json_out *out, const struct ig_train_params *params);
/* The object that comes next in `json`, over what *params holds; values may be numbers or strings.
 */
enum ig_code ig_params_read(struct ig_train_params *params, struct ig_json *json);

#endif
