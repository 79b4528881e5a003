/* SPDX-License-Identifier: Apache-2.0 */
#ifndef IG_SERVICES_JOB_EDGE_PLAN_H
#define IG_SERVICES_JOB_EDGE_PLAN_H

/* What the parameters of a small model ask for, in the kernels' words. */

#include "kernels/train/fit.h"
#include "kernels/train/layers.h"
#include "services/job/job_params.h"

/* INVALID names the parameter that is wrong by itself or beside another: before anything is read.
 */
enum ig_code ig_edge_plan_check(const struct ig_edge_params *params, struct ig_err *err);

struct ig_edge_network {
    struct ig_layer items[IG_LAYERS_MAX];
    uint32_t count;
    uint32_t height, width, channels; /* height 0: the rows are no images */
};
/* The student: hidden layers as `layers` says, then `outputs` units and what the loss asks for. */
enum ig_code ig_edge_plan_network(struct ig_edge_network *out, const struct ig_edge_params *params,
                                  enum ig_fit_loss loss, uint32_t outputs, struct ig_err *err);

/* Options of a run over so many rows; of pruning `schedule` is filled, which they borrow. */
void ig_edge_plan_fit(struct ig_fit_options *out, struct ig_pruning_schedule *schedule,
                      const struct ig_edge_params *params, enum ig_fit_loss loss,
                      size_t rows_count);

/* Whether the student is a tree ensemble. */
bool ig_edge_plan_trees(const struct ig_edge_params *params);
bool ig_edge_plan_on(const struct ig_param_word *word);

#endif
