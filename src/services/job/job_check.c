/* SPDX-License-Identifier: Apache-2.0 */
/* What a job is held to before it is a row. Thread rule: worker threads. */
#include "base/file.h"
#include "services/job/edge_plan.h"
#include "services/job/job_priv.h"

enum { TIME_LIMIT_MAX_S = 30 * 24 * 3600, TARGET_MAX = 4096 };

static bool has_data(const struct ig_job_spec *spec)
{
    return spec->data_digest.len || spec->data_path.len;
}

static enum ig_code check_data(const struct ig_jobs *jobs, const struct ig_job_spec *spec,
                               struct ig_err *err)
{
    int fd = -1;
    enum ig_code code;
    if (!has_data(spec) && ig_job_engine_shrinks(spec->params.engine)) return IG_OK;
    if ((spec->data_digest.len == 0) == (spec->data_path.len == 0))
        return ig_fail(err, IG_INVALID, "job: expected either a data digest or a data path");
    if (spec->data_digest.len)
        code = ig_blob_keep(jobs->options.blobs, spec->data_digest, err);
    else
        code = ig_jobs_open_path(&fd, jobs, spec->data_path, err);
    ig_file_close(&fd);
    return code;
}

static enum ig_code check_target(const struct ig_job_spec *spec, struct ig_err *err)
{
    bool shrinks = ig_job_engine_shrinks(spec->params.engine);
    if ((spec->target.len == 0 && !shrinks) || spec->target.len > TARGET_MAX ||
        !ig_str_utf8_valid(spec->target))
        return ig_fail(err, IG_INVALID, "job target: expected a column's name");
    if (shrinks && spec->target.len && !has_data(spec))
        return ig_fail(err, IG_INVALID, "job target: it is a column of a table, and there is none");
    if (ig_drop_has(&spec->drop, spec->target))
        return ig_fail(err, IG_INVALID, "drop: '%.*s' is the target", IG_STR_ARGS(spec->target));
    return IG_OK;
}

/* ---- engines ---- */

static enum ig_code check_prune(const struct ig_job_spec *spec, struct ig_err *err)
{
    const struct ig_prune_params *params = &spec->params.prune;
    bool leaves = params->leaves_at_most > 0, bytes = params->bytes_at_most > 0;
    struct ig_str loss = ig_str_view(params->loss_at_most.text);
    double number;
    if (leaves + bytes + (loss.len > 0) > 1)
        return ig_fail(err, IG_INVALID,
                       "parameters leaves_at_most, bytes_at_most and loss_at_most exclude each "
                       "other");
    if (loss.len && !ig_str_to_f64(loss, &number))
        return ig_fail(err, IG_INVALID, "parameter 'loss_at_most': '%.*s' is no number",
                       loss.len > 40 ? 40 : (int)loss.len, loss.ptr);
    if (has_data(spec)) return IG_OK;
    if (ig_edge_plan_on(&params->refit))
        return ig_fail(err, IG_INVALID, "parameter 'refit': it needs a table");
    if (!leaves && !bytes)
        return ig_fail(err, IG_INVALID,
                       "without a table, leaves_at_most or bytes_at_most says when to end");
    return IG_OK;
}

static enum ig_code check_quantize(const struct ig_job_spec *spec, struct ig_err *err)
{
    static const char *const OF_INT8[] = {"calibrator", "rounding", "float_ends", "symmetric",
                                          NULL};
    const char *to = spec->params.quantize.to.text;
    const char *name = ig_params_changed(&spec->params, OF_INT8);
    if (strcmp(to, "int8") != 0)
        return name ? ig_fail(err, IG_INVALID, "parameter '%s': it is for int8, to is '%s'", name,
                              to)
                    : IG_OK;
    if (has_data(spec)) return IG_OK;
    return ig_fail(err, IG_INVALID,
                   "parameter 'to': int8 needs a table of rows like those to come");
}

static enum ig_code check_shrinking(const struct ig_job_spec *spec, struct ig_err *err)
{
    if (!*ig_params_source(&spec->params))
        return ig_fail(err, IG_INVALID, "parameter 'source': expected a registered model");
    if (spec->drop.count)
        return ig_fail(err, IG_INVALID,
                       "drop: columns that the source does not have are passed over anyway");
    if (spec->params.engine == IG_JOB_PRUNE) return check_prune(spec, err);
    return check_quantize(spec, err);
}

static enum ig_code check_engine(const struct ig_job_spec *spec, struct ig_err *err)
{
    if (ig_job_engine_shrinks(spec->params.engine)) return check_shrinking(spec, err);
    if (spec->params.engine == IG_JOB_EDGE) return ig_edge_plan_check(&spec->params.edge, err);
    return IG_OK;
}

enum ig_code ig_jobs_check(const struct ig_jobs *jobs, const struct ig_job_spec *spec,
                           struct ig_err *err)
{
    if (ig_name_check(spec->model, "model", err) != IG_OK || check_target(spec, err) != IG_OK)
        return err->code;
    if (spec->time_limit_s < 0 || spec->time_limit_s > TIME_LIMIT_MAX_S)
        return ig_fail(err, IG_INVALID, "job time_limit_s: %lld is not from 0 to %d",
                       (long long)spec->time_limit_s, TIME_LIMIT_MAX_S);
    if (spec->memory_limit_mb != 0 &&
        (spec->memory_limit_mb < 64 || spec->memory_limit_mb > 1 << 24))
        return ig_fail(err, IG_INVALID,
                       "job memory_limit_mb: %lld is neither 0 nor from 64 to 16777216",
                       (long long)spec->memory_limit_mb);
    if (check_data(jobs, spec, err) != IG_OK) return err->code;
    return check_engine(spec, err);
}
