/* SPDX-License-Identifier: Apache-2.0 */
/* What is wanted of margins, and what may be asked for. Stateless. */
#include "kernels/explain/counterfactual_priv.h"

#include <math.h>

double cf_lack(const struct ig_counterfactual_options *options, const double *margins,
               uint32_t outputs)
{
    double margin = margins[options->output], lack = -INFINITY;
    switch (options->want) {
    case IG_COUNTERFACTUAL_ABOVE:
        return options->low - margin;
    case IG_COUNTERFACTUAL_BELOW:
        return margin - options->high;
    case IG_COUNTERFACTUAL_RANGE:
        return fmax(options->low - margin, margin - options->high);
    case IG_COUNTERFACTUAL_CLASS:
        break;
    }
    for (uint32_t o = 0; o < outputs; o++)
        if (o != options->output) lack = fmax(lack, margins[o] - margin);
    return lack;
}

bool cf_wants(const struct ig_counterfactual_options *options, const double *margins,
              uint32_t outputs)
{
    double own = margins[options->output];
    if (options->want == IG_COUNTERFACTUAL_ABOVE) return own > options->low;
    if (options->want != IG_COUNTERFACTUAL_CLASS) return cf_lack(options, margins, outputs) <= 0;
    for (uint32_t o = 0; o < outputs; o++) {
        if (o == options->output) continue;
        double other = margins[o]; /* the first of equals is predicted */
        if (o < options->output ? other >= own : other > own) return false;
    }
    return true;
}

enum ig_code cf_check_constraint(const struct ig_counterfactual_constraint *c, uint32_t feature,
                                 struct ig_err *err)
{
    if (!(c->step >= 0) || !(c->scale >= 0) || !isfinite(c->step) || !isfinite(c->scale))
        return ig_fail(err, IG_INVALID, "constraints: feature %u: step and scale are at least 0",
                       feature);
    if ((c->has_low && isnan(c->low)) || (c->has_high && isnan(c->high)) ||
        (c->has_low && c->has_high && c->low > c->high))
        return ig_fail(err, IG_INVALID, "constraints: feature %u: a range from %g to %g", feature,
                       c->low, c->high);
    return IG_OK;
}

enum ig_code cf_check_options(const struct ig_counterfactual_options *options, uint32_t outputs,
                              struct ig_err *err)
{
    if (options->output >= outputs)
        return ig_fail(err, IG_INVALID, "class: output %u, the model has %u", options->output,
                       outputs);
    if (options->want == IG_COUNTERFACTUAL_CLASS && outputs < 2)
        return ig_fail(err, IG_INVALID, "class: the model has one output");
    if (isnan(options->low) || isnan(options->high) ||
        (options->want == IG_COUNTERFACTUAL_RANGE && options->low > options->high))
        return ig_fail(err, IG_INVALID, "wanted: a range from %g to %g", options->low,
                       options->high);
    if (!(options->price >= 0))
        return ig_fail(err, IG_INVALID, "price: %g is below 0", options->price);
    if (options->count > IG_COUNTERFACTUALS_MAX)
        return ig_fail(err, IG_INVALID, "count: %u, at most %d", options->count,
                       IG_COUNTERFACTUALS_MAX);
    return IG_OK;
}
