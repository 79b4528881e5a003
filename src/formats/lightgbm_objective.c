/* SPDX-License-Identifier: Apache-2.0 */
/* LightGBM's objectives: the transform and its parameter from the line "objective=NAME KEY:VALUE
 * ...".
 *
 * "sqrt" squares the output of those objectives that keep the L2 conversion; huber switches it off.
 * LightGBM reads sigmoid:VALUE with its own Atof, which adds the fraction to the integer part
 * instead of rounding once; that is reproduced. See src/objective of LightGBM. */
#include "formats/lightgbm_priv.h"

#include <math.h>

static const struct {
    const char *name;
    enum ig_transform transform;
    bool takes_sqrt;
} objectives[] = {
    {"regression", IG_TRANSFORM_IDENTITY, true},
    {"regression_l2", IG_TRANSFORM_IDENTITY, true},
    {"l2", IG_TRANSFORM_IDENTITY, true},
    {"mse", IG_TRANSFORM_IDENTITY, true},
    {"mean_squared_error", IG_TRANSFORM_IDENTITY, true},
    {"rmse", IG_TRANSFORM_IDENTITY, true},
    {"regression_l1", IG_TRANSFORM_IDENTITY, true},
    {"l1", IG_TRANSFORM_IDENTITY, true},
    {"mae", IG_TRANSFORM_IDENTITY, true},
    {"mean_absolute_error", IG_TRANSFORM_IDENTITY, true},
    {"quantile", IG_TRANSFORM_IDENTITY, true},
    {"mape", IG_TRANSFORM_IDENTITY, true},
    {"mean_absolute_percentage_error", IG_TRANSFORM_IDENTITY, true},
    {"fair", IG_TRANSFORM_IDENTITY, true},
    {"huber", IG_TRANSFORM_IDENTITY, false},
    {"poisson", IG_TRANSFORM_EXP, false},
    {"gamma", IG_TRANSFORM_EXP, false},
    {"tweedie", IG_TRANSFORM_EXP, false},
    {"binary", IG_TRANSFORM_SIGMOID, false},
    {"multiclass", IG_TRANSFORM_SOFTMAX, false},
    {"softmax", IG_TRANSFORM_SOFTMAX, false},
    {"multiclassova", IG_TRANSFORM_SIGMOID_EACH, false},
    {"ova", IG_TRANSFORM_SIGMOID_EACH, false},
    {"cross_entropy", IG_TRANSFORM_SIGMOID, false},
    {"xentropy", IG_TRANSFORM_SIGMOID, false},
    {"cross_entropy_lambda", IG_TRANSFORM_LOG1P_EXP, false},
    {"xentlambda", IG_TRANSFORM_LOG1P_EXP, false},
    {"lambdarank", IG_TRANSFORM_IDENTITY, false},
    {"rank_xendcg", IG_TRANSFORM_IDENTITY, false},
    {"custom", IG_TRANSFORM_IDENTITY, false},
    {"none", IG_TRANSFORM_IDENTITY, false},
};

/* The integer and the fraction apart, as LightGBM's Atof; an exponent is read exactly. */
static bool parse_sigmoid(struct ig_str text, double *out)
{
    struct ig_str fraction = text;
    struct ig_str whole = ig_str_cut(&fraction, '.');
    int64_t a;
    int64_t b;
    if (fraction.len > 0 && fraction.len < 16 && ig_str_to_i64(whole, &a) && a >= 0 &&
        ig_str_to_i64(fraction, &b) && b >= 0) {
        *out = (double)a + (double)b / pow(10, (double)fraction.len);
        return true;
    }
    return ig_str_to_f64(text, out);
}

static bool parse_option(struct lgb_objective *out, struct ig_str option, bool takes_sqrt,
                         struct ig_err *err)
{
    struct ig_str value = option;
    struct ig_str key = ig_str_cut(&value, ':');
    if (ig_str_is(option, "sqrt") && takes_sqrt) out->transform = IG_TRANSFORM_SIGNED_SQUARE;
    if (!ig_str_is(key, "sigmoid") || !value.ptr) return true;
    if (parse_sigmoid(value, &out->parameter) && out->parameter > 0 && isfinite(out->parameter))
        return true;
    ig_fail(err, IG_INVALID, "objective: sigmoid '%.*s': expected a positive number",
            (int)(value.len < 64 ? value.len : 64), value.ptr);
    return false;
}

bool lgb_objective_parse(struct lgb_objective *out, struct ig_str line, struct ig_err *err)
{
    struct ig_str rest = ig_str_trim(line);
    struct ig_str name = rest.len ? ig_str_cut(&rest, ' ') : IG_STR("custom");
    size_t count = sizeof objectives / sizeof *objectives;
    size_t found = 0;
    while (found < count && !ig_str_is(name, objectives[found].name)) found++;
    if (found == count) {
        ig_fail(err, IG_UNSUPPORTED, "objective '%.*s' is unknown",
                (int)(name.len < 64 ? name.len : 64), name.ptr);
        return false;
    }
    *out = (struct lgb_objective){objectives[found].transform, 1};
    while (line.len && rest.ptr)
        if (!parse_option(out, ig_str_cut(&rest, ' '), objectives[found].takes_sqrt, err))
            return false;
    return true;
}
