/* SPDX-License-Identifier: Apache-2.0 */
/* XGBoost's objectives: how each turns margins into predictions, and base_score into a margin.
 *
 * base_score stands in response space in the file. The step to margin space is done in float with
 * the formulas of src/objective of XGBoost, version by version:
 * - binary:logitraw took the logit before 1.3 and takes the value as it is since;
 * - logistic clamps base_score to [1e-6, 1 - 1e-6] since 3.2; before, 0 and 1 were errors;
 * - quantile predictions are sorted since 3.4. */
#include "formats/xgboost_priv.h"

#include <math.h>

static const struct {
    const char *name;
    enum ig_transform transform;
    enum xgb_link link;
} objectives[] = {
    {"reg:squarederror", IG_TRANSFORM_IDENTITY, XGB_LINK_NONE},
    {"reg:linear", IG_TRANSFORM_IDENTITY, XGB_LINK_NONE},
    {"reg:squaredlogerror", IG_TRANSFORM_IDENTITY, XGB_LINK_NONE},
    {"reg:pseudohubererror", IG_TRANSFORM_IDENTITY, XGB_LINK_NONE},
    {"reg:absoluteerror", IG_TRANSFORM_IDENTITY, XGB_LINK_NONE},
    {"reg:quantileerror", IG_TRANSFORM_SORT, XGB_LINK_NONE},
    {"reg:expectileerror", IG_TRANSFORM_CUMULATIVE_SOFTPLUS, XGB_LINK_SOFTPLUS},
    {"reg:logistic", IG_TRANSFORM_SIGMOID, XGB_LINK_LOGIT},
    {"binary:logistic", IG_TRANSFORM_SIGMOID, XGB_LINK_LOGIT},
    {"binary:logitraw", IG_TRANSFORM_IDENTITY, XGB_LINK_LOGIT},
    {"binary:hinge", IG_TRANSFORM_HINGE, XGB_LINK_NONE},
    {"multi:softmax", IG_TRANSFORM_ARGMAX, XGB_LINK_NONE},
    {"multi:softprob", IG_TRANSFORM_SOFTMAX, XGB_LINK_NONE},
    {"rank:pairwise", IG_TRANSFORM_IDENTITY, XGB_LINK_NONE},
    {"rank:ndcg", IG_TRANSFORM_IDENTITY, XGB_LINK_NONE},
    {"rank:map", IG_TRANSFORM_IDENTITY, XGB_LINK_NONE},
    {"count:poisson", IG_TRANSFORM_EXP, XGB_LINK_LOG},
    {"reg:gamma", IG_TRANSFORM_EXP, XGB_LINK_LOG},
    {"reg:tweedie", IG_TRANSFORM_EXP, XGB_LINK_LOG},
    {"survival:cox", IG_TRANSFORM_EXP, XGB_LINK_LOG},
    {"survival:aft", IG_TRANSFORM_EXP, XGB_LINK_LOG},
};

bool xgb_objective_find(struct ig_str name, int64_t version, struct xgb_objective *out)
{
    if (ig_str_starts(name, IG_STR("gpu:"))) {
        name.ptr += 4;
        name.len -= 4;
    }
    for (size_t i = 0; i < sizeof objectives / sizeof *objectives; i++) {
        if (!ig_str_is(name, objectives[i].name)) continue;
        out->transform = objectives[i].transform;
        out->link = objectives[i].link;
        if (out->transform == IG_TRANSFORM_SORT && version < 304)
            out->transform = IG_TRANSFORM_IDENTITY;
        if (ig_str_is(name, "binary:logitraw") && version >= 103) out->link = XGB_LINK_NONE;
        return true;
    }
    return false;
}

static bool logit(float *base, int64_t version, struct ig_err *err)
{
    float value = *base;
    if (version >= 302) value = fminf(fmaxf(value, 1e-6F), 1.0F - 1e-6F);
    if (!(value > 0 && value < 1)) {
        ig_fail(err, IG_INVALID, "base_score %g: expected a value between 0 and 1", (double)value);
        return false;
    }
    *base = -logf(1.0F / value - 1.0F);
    return true;
}

static bool logarithm(float *base, struct ig_err *err)
{
    if (!(*base > 0)) {
        ig_fail(err, IG_INVALID, "base_score %g: expected a positive value", (double)*base);
        return false;
    }
    *base = logf(*base);
    return true;
}

static void softplus_inverse_of_gaps(float *base, size_t count)
{
    for (size_t i = count - 1; i > 0; i--) {
        float gap = fmaxf(base[i] - base[i - 1] - 1e-6F, 1e-6F);
        base[i] = gap + logf(-expm1f(-gap));
    }
}

bool xgb_objective_link(const struct xgb_objective *objective, int64_t version, float *base,
                        size_t count, struct ig_err *err)
{
    if (objective->link == XGB_LINK_SOFTPLUS) softplus_inverse_of_gaps(base, count);
    for (size_t i = 0; i < count; i++) {
        if (objective->link == XGB_LINK_LOGIT && !logit(&base[i], version, err)) return false;
        if (objective->link == XGB_LINK_LOG && !logarithm(&base[i], err)) return false;
    }
    return true;
}
