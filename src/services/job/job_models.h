/* SPDX-License-Identifier: Apache-2.0 */
#ifndef IG_SERVICES_JOB_JOB_MODELS_H
#define IG_SERVICES_JOB_JOB_MODELS_H

/* The registered models that a job's parameters name: a network's teachers, and the model that the
 * job goes on from. */

#include "services/job/job_params.h"
#include "services/registry/registry.h"

enum { IG_JOB_MODELS_MAX = IG_JOB_TEACHERS_MAX + 1 };

/* Views of the parameters: the teachers, which stand between commas, then the source. INVALID when
 * they are too many. */
struct ig_job_model_names {
    struct ig_str uris[IG_JOB_MODELS_MAX];
    size_t teachers_count, count;
};
enum ig_code ig_job_models_names(struct ig_job_model_names *out, const struct ig_job_params *params,
                                 struct ig_err *err);

/* Puts the number of each version in the place of an alias. NOT_FOUND or INVALID names the
 * parameter. */
enum ig_code ig_job_models_resolve(struct ig_job_params *params, struct ig_registry *registry,
                                   struct ig_err *err);
/* Their packages for reading, in the order of job_spec.h; the caller closes fds[0..*count). */
struct ig_job_models {
    struct ig_registry *registry;
    struct ig_blob_store *blobs;
};
enum ig_code ig_job_models_open(int fds[IG_JOB_MODELS_MAX], size_t *count,
                                const struct ig_job_models *from,
                                const struct ig_job_params *params, struct ig_err *err);

#endif
