/* SPDX-License-Identifier: Apache-2.0 */
/* The stages of a small network's training. Owns the networks between them. */
#include "services/job/edge_train.h"

#include "formats/tflite/tflite.h"
#include "kernels/nn/nn_encoded.h"
#include "kernels/quantize/weights.h"
#include "kernels/train/shrink.h"
#include "services/job/edge_plan.h"

#include <math.h>
#include <string.h>

enum { CALIBRATION_ROWS = 4000, FITS_MAX = 3 };
static const size_t FILE_MAX_BYTES = (size_t)1 << 30;

struct work {
    const struct ig_edge_request *request;
    struct ig_edge_result *result;
    struct ig_arena *arena;
    struct ig_edge_rows rows;
    struct ig_edge_network plan;
    struct ig_network *network; /* as far as it has come */
    bool fresh;                 /* its weights were drawn, not trained */
    bool norms[2 * IG_LAYERS_MAX];
    double shares[FITS_MAX]; /* of the work, fit by fit */
    size_t fits;             /* begun */
    const char *stage;
};

/* ---- stages ---- */

static double sparsity(const struct ig_network *network)
{
    size_t zeros = 0, all = 0;
    for (uint32_t i = 0; i < network->tensors_count; i++) {
        const struct ig_network_tensor *tensor = &network->tensors[i];
        size_t count = ig_network_tensor_count(tensor), each = ig_network_type_bytes(tensor->type);
        if (!tensor->data || tensor->rank < 2) continue;
        all += count;
        for (size_t k = 0; k < count; k++) {
            const char *bytes = (const char *)tensor->data + k * each;
            size_t at = 0;
            while (at < each && bytes[at] == 0) at++;
            zeros += at == each;
        }
    }
    return all ? (double)zeros / (double)all : 0;
}

static struct ig_edge_stage *add_stage(struct work *work, const char *name)
{
    IG_ASSERT(work->result->stages_count < IG_EDGE_STAGES_MAX);
    struct ig_edge_stage *stage = &work->result->stages[work->result->stages_count++];
    *stage = (struct ig_edge_stage){.name = name, .sparsity = (double)NAN};
    return stage;
}

static enum ig_code judge_network(struct ig_metrics *out, const struct work *work,
                                  const struct ig_network *network, struct ig_err *err)
{
    struct ig_nn *nn = NULL;
    const struct ig_nn_options options = {.isa = ig_cpu_isa()};
    if (ig_nn_new(&nn, network, &options, err) != IG_OK) return err->code;
    const struct ig_nn_encoded encoded = {nn, &work->rows.encoder};
    const struct ig_predictor predictor =
        work->rows.encoded ? ig_nn_encoded_predictor(&encoded) : ig_nn_predictor(nn);
    ig_edge_rows_judge(out, &work->rows, &predictor, err);
    ig_nn_free(nn);
    return err->code;
}

/* Judges a network as the file that it becomes, which stays in the result. */
static enum ig_code add_network(struct work *work, const char *name,
                                const struct ig_network *network, struct ig_err *err)
{
    struct ig_edge_stage *stage = add_stage(work, name);
    ig_buf_reset(&work->result->model);
    if (ig_tflite_write(&work->result->model, network, err) != IG_OK) return err->code;
    stage->bytes = work->result->model.len;
    stage->sparsity = sparsity(network);
    return judge_network(&stage->metrics, work, network, err);
}

static enum ig_code add_teacher(struct work *work, struct ig_err *err)
{
    if (!work->rows.taught) return IG_OK;
    const struct ig_predictor teacher = ig_edge_rows_teacher(&work->rows);
    struct ig_edge_stage *stage = add_stage(work, "teacher");
    for (size_t i = 0; i < work->request->models.teachers_count; i++)
        stage->bytes += work->request->models.teachers[i]->model_bytes;
    return ig_edge_rows_judge(&stage->metrics, &work->rows, &teacher, err);
}

/* ---- networks ---- */

static enum ig_code make_network(struct ig_network **out, struct work *work, struct ig_err *err)
{
    const struct ig_edge_network *plan = &work->plan;
    const struct ig_layers layers = {
        .height = plan->height,
        .width = plan->width,
        .channels = plan->height ? plan->channels : work->rows.inputs_count,
        .items = plan->items,
        .count = plan->count,
        .seed = (uint64_t)work->request->params->seed,
    };
    if (ig_layers_make(out, work->norms, &layers, err) != IG_OK) ig_err_prefix(err, "layers");
    return err->code;
}

static enum ig_code copy_source(struct ig_network **out, const struct ig_package *source,
                                struct ig_err *err)
{
    const struct ig_network *network = source->model->network;
    *out = ig_network_dup(network, 8 * ig_network_bytes(network) + (1 << 16));
    return *out ? IG_OK : ig_fail(err, IG_NO_MEMORY, "source");
}

static enum ig_code check_source(const struct ig_package *source, struct ig_err *err)
{
    if (source->model->kind != IG_MODEL_NETWORK)
        return ig_fail(err, IG_UNSUPPORTED,
                       "source: %s is no network of TensorFlow Lite, which alone can be trained on",
                       source->format->name);
    const struct ig_network *network = source->model->network;
    for (uint32_t i = 0; i < network->tensors_count; i++)
        if (network->tensors[i].type == IG_NETWORK_I8 || network->tensors[i].type == IG_NETWORK_F16)
            return ig_fail(err, IG_UNSUPPORTED,
                           "source: it is quantized; a float network can be gone on from");
    return IG_OK;
}

/* ---- training ---- */

static void report(void *context, const struct ig_fit_epoch *epoch)
{
    struct work *work = context;
    double all = 0, done = 0;
    for (size_t i = 0; i < FITS_MAX; i++) all += work->shares[i];
    for (size_t i = 0; i + 1 < work->fits; i++) done += work->shares[i];
    done += work->shares[work->fits - 1] * epoch->epoch / epoch->epochs;
    work->result->epochs = epoch->epoch;
    const struct ig_edge_progress progress = {work->stage, done / all, epoch};
    work->request->report(work->request->context, &progress);
}

struct lesson {
    const char *stage;
    size_t rows_count;
    bool taught, last; /* last: with pruning and int8 */
};

static enum ig_code fit(struct ig_network **out, struct work *work, const struct ig_network *from,
                        const struct lesson *lesson, struct ig_err *err)
{
    const struct ig_edge_rows *rows = &work->rows;
    const struct ig_edge_part *train = &rows->train, *held = &rows->held_out;
    struct ig_pruning_schedule schedule;
    struct ig_fit_options options;
    ig_edge_plan_fit(&options, &schedule, work->request->params, rows->loss, lesson->rows_count);
    if (!lesson->last) {
        options.pruning = NULL;
        options.int8_from = 0;
    }
    if (!lesson->taught) options.alpha = options.temperature = 1;
    options.fresh = work->fresh;
    options.batch_norm = work->fresh ? work->norms : NULL;
    options.report = report;
    options.context = work;
    work->stage = lesson->stage;
    work->fits++;
    const struct ig_fit_data data = {train->inputs, train->labels,
                                     lesson->taught ? train->answers : NULL, lesson->rows_count};
    const struct ig_fit_data judged = {held->inputs, held->labels, NULL, held->count};
    return ig_fit_run(out, from, &data, &judged, &options, err);
}

static void replace(struct work *work, struct ig_network *network)
{
    ig_network_free(work->network);
    work->network = network;
}

/* The same network by labels alone, which is not kept. */
static enum ig_code run_hard_labels(struct work *work, struct ig_err *err)
{
    struct ig_network *alone = NULL;
    const struct lesson lesson = {"hard_labels", work->rows.train.real, false, false};
    if (fit(&alone, work, work->network, &lesson, err) == IG_OK)
        add_network(work, "hard_labels", alone, err);
    ig_network_free(alone);
    return err->code;
}

static enum ig_code remove_neurons(struct work *work, struct ig_err *err)
{
    struct ig_network *made = NULL;
    struct ig_shrink_report ignored;
    const struct ig_shrink_options options = {work->request->params->pruned_neurons};
    const struct lesson lesson = {"student_before_removal", work->rows.train.count,
                                  work->rows.taught, false};
    if (work->fresh) {
        if (fit(&made, work, work->network, &lesson, err) != IG_OK) return err->code;
        replace(work, made);
        work->fresh = false;
    }
    if (add_network(work, "student_before_removal", work->network, err) != IG_OK ||
        ig_shrink_run(&made, &ignored, work->network, &options, err) != IG_OK)
        return err->code;
    replace(work, made);
    return IG_OK;
}

static bool compares_labels(const struct work *work)
{
    return work->rows.taught && work->fresh &&
           ig_edge_plan_on(&work->request->params->hard_label_student);
}

static void share_work(struct work *work)
{
    bool removes = work->request->params->pruned_neurons > 0 && work->fresh;
    size_t at = 0;
    double all = (double)work->rows.train.count;
    if (compares_labels(work)) work->shares[at++] = (double)work->rows.train.real;
    if (removes) work->shares[at++] = all;
    work->shares[at] = all;
}

static enum ig_code train(struct work *work, struct ig_err *err)
{
    const struct ig_edge_params *params = work->request->params;
    struct ig_network *made = NULL;
    const struct lesson lesson = {"student", work->rows.train.count, work->rows.taught, true};
    share_work(work);
    if (add_teacher(work, err) != IG_OK) return err->code;
    if (params->epochs > 0) {
        if ((compares_labels(work) && run_hard_labels(work, err) != IG_OK) ||
            (params->pruned_neurons > 0 && remove_neurons(work, err) != IG_OK) ||
            fit(&made, work, work->network, &lesson, err) != IG_OK)
            return err->code;
        replace(work, made);
    }
    return add_network(work, "student", work->network, err);
}

/* ---- smaller numbers ---- */

static enum ig_code to_int8(struct work *work, struct ig_err *err)
{
    const struct ig_edge_params *params = work->request->params;
    const struct ig_edge_part *train = &work->rows.train;
    size_t inputs = work->rows.inputs_count;
    size_t count = train->real < CALIBRATION_ROWS ? train->real : CALIBRATION_ROWS;
    float *rows = ig_arena_array(work->arena, count, inputs * sizeof *rows);
    struct ig_quantize_result made;
    /* A network that learned under simulated int8 is fit for its ranges as they were, and only so.
     */
    bool fitted = ig_edge_plan_on(&params->quantization_aware) && params->epochs > 0;
    struct ig_quantize_options options = {.rows = rows,
                                          .rows_count = count,
                                          .calibrator = fitted ? IG_CALIBRATE_MIN_MAX : -1,
                                          .no_equalization = fitted,
                                          .no_correction = fitted,
                                          .no_tuning = fitted,
                                          .gains = work->rows.encoded && !fitted};
    if (!rows) return ig_fail(err, IG_NO_MEMORY, "rows to calibrate with");
    for (size_t i = 0; i < count; i++)
        memcpy(rows + i * inputs, train->inputs + i * train->real / count * inputs,
               inputs * sizeof *rows);
    for (int i = 0; i < IG_CALIBRATORS_COUNT; i++)
        if (strcmp(params->calibrator.text, ig_calibrator_name((enum ig_calibrator)i)) == 0)
            options.calibrator = i;
    if (strcmp(params->rounding.text, "double") == 0) options.rounding = IG_NETWORK_ROUNDING_DOUBLE;
    if (ig_quantize_run(&made, work->arena, work->network, &options, err) != IG_OK)
        return err->code;
    replace(work, made.network);
    if (made.gains &&
        ig_encoder_add_gains(&work->rows.encoder, work->arena, made.gains, err) != IG_OK)
        return err->code;
    work->result->quantized = true;
    work->result->quantization = made.report;
    return IG_OK;
}

static enum ig_code to_weights(struct work *work, enum ig_weights_form form, struct ig_err *err)
{
    struct ig_network *made = NULL;
    if (ig_weights_run(&made, work->network, form, err) == IG_OK) replace(work, made);
    return err->code;
}

static enum ig_code quantize(struct work *work, struct ig_err *err)
{
    const char *to = work->request->params->quantization.text;
    bool int8 = strcmp(to, "int8") == 0, halves = strcmp(to, "float16") == 0;
    if (strcmp(to, "none") == 0) return IG_OK;
    enum ig_code code =
        int8 ? to_int8(work, err) : to_weights(work, halves ? IG_WEIGHTS_F16 : IG_WEIGHTS_I8, err);
    if (code != IG_OK) {
        ig_err_prefix(err, "quantization");
        return code;
    }
    return add_network(work, int8 ? "int8" : halves ? "float16" : "weights", work->network, err);
}

/* ---- the whole ---- */

static enum ig_code estimate(struct work *work, struct ig_err *err)
{
    const struct ig_nn_device *device = ig_nn_device_find(work->request->params->device.text);
    return ig_nn_device_estimate(&work->result->estimate, device, work->network,
                                 work->result->model.len, err);
}

static void write_encoder(struct work *work)
{
    struct ig_json_out out;
    if (!work->rows.encoded) return;
    ig_json_out_init(&out, &work->result->encoder);
    ig_encoder_write(&out, &work->rows.encoder);
}

static enum ig_code open_work(struct work *work, struct ig_err *err)
{
    const struct ig_edge_request *request = work->request;
    const struct ig_schema *schema = &request->data->schema;
    uint32_t outputs = schema->task == IG_TASK_MULTICLASS ? schema->classes_count : 1;
    enum ig_fit_loss loss = schema->task == IG_TASK_BINARY       ? IG_FIT_LOGISTIC
                            : schema->task == IG_TASK_MULTICLASS ? IG_FIT_SOFTMAX
                                                                 : IG_FIT_SQUARED;
    if (request->models.source && check_source(request->models.source, err) != IG_OK)
        return err->code;
    if (ig_edge_plan_network(&work->plan, request->params, loss, outputs, err) != IG_OK)
        return err->code;
    const struct ig_edge_rows_options options = {
        .data = request->data,
        .params = request->params,
        .models = request->models,
        .pixels = work->plan.height * work->plan.width * work->plan.channels,
    };
    if (ig_edge_rows_init(&work->rows, &options, work->arena, err) != IG_OK) return err->code;
    work->fresh = !request->models.source;
    return work->fresh ? make_network(&work->network, work, err)
                       : copy_source(&work->network, request->models.source, err);
}

enum ig_code ig_edge_train_run(struct ig_edge_result *out, const struct ig_edge_request *request,
                               struct ig_arena *arena, struct ig_err *err)
{
    struct work *work = ig_arena_zalloc(arena, sizeof *work);
    memset(out, 0, sizeof *out);
    ig_buf_init(&out->model, FILE_MAX_BYTES);
    ig_buf_init(&out->encoder, FILE_MAX_BYTES);
    if (!work) return ig_fail(err, IG_NO_MEMORY, "training");
    work->request = request;
    work->result = out;
    work->arena = arena;
    if (open_work(work, err) == IG_OK && train(work, err) == IG_OK &&
        quantize(work, err) == IG_OK && estimate(work, err) == IG_OK)
        ig_edge_rows_golden(&out->golden, &out->golden_count, &work->rows, arena, err);
    if (err->code == IG_OK) write_encoder(work);
    out->schema = work->rows.schema;
    out->train_rows = work->rows.train.real;
    out->validation_rows = work->rows.held_out.real;
    out->synthetic_rows = work->rows.train.count - work->rows.train.real;
    ig_network_free(work->network);
    if (err->code == IG_OK && (out->encoder.overflowed || out->model.overflowed))
        ig_fail(err, IG_TOO_LARGE, "the model exceeds %zu bytes", FILE_MAX_BYTES);
    return err->code;
}

void ig_edge_result_deinit(struct ig_edge_result *result)
{
    ig_buf_deinit(&result->model);
    ig_buf_deinit(&result->encoder);
}

/* ---- metrics ---- */

static void write_stage(struct ig_json_out *out, const struct ig_edge_stage *stage)
{
    ig_json_out_object(out);
    ig_json_out_kv_str(out, "stage", ig_str_view(stage->name));
    ig_metrics_write(out, &stage->metrics);
    ig_json_out_kv_i64(out, "bytes", (int64_t)stage->bytes);
    if (!isnan(stage->sparsity)) ig_json_out_kv_f64(out, "sparsity", stage->sparsity);
    ig_json_out_object_end(out);
}

void ig_edge_stages_write(struct ig_json_out *out, const struct ig_edge_stage *stages, size_t count)
{
    ig_json_out_key(out, IG_STR("stages"));
    ig_json_out_array(out);
    for (size_t i = 0; i < count; i++) write_stage(out, &stages[i]);
    ig_json_out_array_end(out);
}

static void write_quantization(struct ig_json_out *out, const struct ig_quantize_report *report)
{
    ig_json_out_key(out, IG_STR("quantization"));
    ig_json_out_object(out);
    ig_quantize_report_write(out, report, true);
    ig_json_out_object_end(out);
}

void ig_edge_result_write(struct ig_json_out *out, const struct ig_edge_result *result)
{
    IG_ASSERT(result->stages_count > 0);
    const struct ig_edge_stage *last = &result->stages[result->stages_count - 1];
    ig_metrics_write(out, &last->metrics);
    ig_json_out_kv_i64(out, "bytes", (int64_t)last->bytes);
    ig_json_out_kv_i64(out, "encoder_bytes", (int64_t)result->encoder.len);
    ig_json_out_kv_f64(out, "sparsity", last->sparsity);
    ig_json_out_kv_i64(out, "epochs", result->epochs);
    ig_json_out_kv_i64(out, "train_rows", (int64_t)result->train_rows);
    ig_json_out_kv_i64(out, "validation_rows", (int64_t)result->validation_rows);
    ig_json_out_kv_i64(out, "synthetic_rows", (int64_t)result->synthetic_rows);
    if (result->quantized) write_quantization(out, &result->quantization);
    ig_nn_estimate_write(out, &result->estimate);
    ig_edge_stages_write(out, result->stages, result->stages_count);
}
