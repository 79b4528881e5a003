/* SPDX-License-Identifier: Apache-2.0 */
/* The engine `edge` of the training child: small models, from the table and those whose
 * packages come as descriptors. */
#include "train_engine.h"

#include "base/log.h"
#include "services/job/edge_plan.h"
#include "services/job/edge_train.h"
#include "services/job/job_models.h"

#include <math.h>

struct models {
    struct ig_package *packages[IG_JOB_MODELS_MAX];
    struct ig_edge_models models; /* of them */
};

static enum ig_code open_models(struct models *models, const struct ig_job_params *params,
                                struct ig_err *err)
{
    struct ig_job_model_names names;
    if (ig_job_models_names(&names, params, err) != IG_OK) return err->code;
    for (size_t i = 0; i < names.count; i++) {
        struct ig_package **package = &models->packages[i];
        if (ig_train_child_open(package, IG_CHILD_MODELS_FD + (int)i, names.uris[i], err) != IG_OK)
            return err->code;
        if (i < names.teachers_count)
            models->models.teachers[models->models.teachers_count++] = *package;
        else
            models->models.source = *package;
    }
    return IG_OK;
}

static void report(void *context, const struct ig_edge_progress *progress)
{
    struct ig_train_child *child = context;
    const struct ig_fit_epoch *epoch = progress->epoch;
    bool squared = child->data.schema.task == IG_TASK_REGRESSION;
    struct ig_json_out out;
    struct ig_buf metrics;
    if (!ig_train_child_tells(epoch->epoch, epoch->epochs)) return;
    ig_buf_init(&metrics, 4096);
    ig_json_out_init(&out, &metrics);
    ig_json_out_object(&out);
    ig_json_out_kv_str(&out, "stage", ig_str_view(progress->stage));
    ig_json_out_kv_i64(&out, "epoch", epoch->epoch);
    ig_json_out_kv_i64(&out, "epochs", epoch->epochs);
    ig_json_out_kv_f64(&out, "train_loss", epoch->train);
    if (!isnan(epoch->held_out)) {
        ig_json_out_kv_f64(&out, "validation_loss", epoch->held_out);
        if (!squared) ig_json_out_kv_f64(&out, "validation_accuracy", epoch->metric);
    }
    if (epoch->zeros > 0) ig_json_out_kv_f64(&out, "sparsity", epoch->zeros);
    ig_json_out_object_end(&out);
    child->progress = 0.02 + 0.93 * progress->part;
    const struct ig_train_event event = {.kind = IG_TRAIN_PROGRESS,
                                         .progress = child->progress,
                                         .metrics_json = ig_buf_view(&metrics)};
    ig_train_child_say(&event);
    ig_log(IG_LOG_INFO, "epoch", IG_LOG_C("stage", progress->stage),
           IG_LOG_I("epoch", epoch->epoch), IG_LOG_F("train", epoch->train),
           IG_LOG_F("validation", epoch->held_out));
    ig_buf_deinit(&metrics);
}

static enum ig_code write_result(struct ig_train_child *child, const struct ig_edge_result *result,
                                 struct ig_err *err)
{
    struct ig_json_out out;
    ig_json_out_init(&out, &child->metrics);
    ig_json_out_object(&out);
    ig_edge_result_write(&out, result);
    ig_json_out_object_end(&out);
    const struct ig_train_made made = {.model = ig_buf_view(&result->model),
                                       .encoder_json = ig_buf_view(&result->encoder),
                                       .schema = result->schema,
                                       .engine_version = INGOT_VERSION,
                                       .golden_rows = result->golden,
                                       .golden_count = result->golden_count};
    return ig_train_child_write(child, &made, err);
}

static enum ig_code train_network(struct ig_train_child *child, const struct ig_edge_models *models,
                                  struct ig_err *err)
{
    struct ig_edge_result result;
    const struct ig_edge_request request = {.data = &child->data,
                                            .params = &child->spec.params.edge,
                                            .models = *models,
                                            .report = report,
                                            .context = child};
    if (ig_edge_train_run(&result, &request, &child->arena, err) == IG_OK)
        write_result(child, &result, err);
    ig_edge_result_deinit(&result);
    return err->code;
}

enum ig_code ig_train_child_edge(struct ig_train_child *child, struct ig_err *err)
{
    struct models models = {0};
    if (open_models(&models, &child->spec.params, err) == IG_OK)
        ig_edge_plan_trees(&child->spec.params.edge)
            ? ig_train_child_trees(child, &models.models, err)
            : train_network(child, &models.models, err);
    for (size_t i = 0; i < IG_JOB_MODELS_MAX; i++) ig_package_free(models.packages[i]);
    return err->code;
}
