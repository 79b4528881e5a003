/* SPDX-License-Identifier: Apache-2.0 */
/* XGBoost behind its C API (Debian's 1.7.4 and later), found by dlopen so that the server never
 * maps it, nor OpenMP.
 *
 * Categories go in natively (feature type "c", tree method hist), codes as floats; missing is NaN.
 * The base score is the mean label for regression and binary tasks, so few rounds are spent on it.
 * After early stopping the booster is cut to its best rounds: what is saved is what was judged.
 *
 * Thread rule: one thread (the library runs its own). */
#include "trainer_xgboost.h"

#include "base/mem.h"
#include "base/thread.h"

#include <dlfcn.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* What is used of xgboost/c_api.h, by the same signatures. */
struct api {
    void (*XGBoostVersion)(int *major, int *minor, int *patch);
    const char *(*XGBGetLastError)(void);
    int (*XGDMatrixCreateFromMat_omp)(const float *data, uint64_t rows, uint64_t columns,
                                      float missing, void **out, int threads);
    int (*XGDMatrixFree)(void *matrix);
    int (*XGDMatrixSetFloatInfo)(void *matrix, const char *field, const float *values,
                                 uint64_t count);
    int (*XGDMatrixSetStrFeatureInfo)(void *matrix, const char *field, const char **values,
                                      uint64_t count);
    int (*XGBoosterCreate)(void *const matrices[], uint64_t count, void **out);
    int (*XGBoosterFree)(void *booster);
    int (*XGBoosterSetParam)(void *booster, const char *name, const char *value);
    int (*XGBoosterUpdateOneIter)(void *booster, int round, void *matrix);
    int (*XGBoosterBoostOneIter)(void *booster, void *matrix, float *gradients, float *hessians,
                                 uint64_t count);
    int (*XGBoosterEvalOneIter)(void *booster, int round, void *matrices[], const char *names[],
                                uint64_t count, const char **out);
    int (*XGBoosterSlice)(void *booster, int begin, int end, int step, void **out);
    int (*XGBoosterSaveModelToBuffer)(void *booster, const char *config, uint64_t *length,
                                      const char **out);
    int (*XGBoosterPredictFromDMatrix)(void *booster, void *matrix, const char *config,
                                       const uint64_t **shape, uint64_t *dimensions,
                                       const float **out);
};

#define API_NAMES(X)                                                                               \
    X(XGBoostVersion)                                                                              \
    X(XGBGetLastError)                                                                             \
    X(XGDMatrixCreateFromMat_omp)                                                                  \
    X(XGDMatrixFree)                                                                               \
    X(XGDMatrixSetFloatInfo)                                                                       \
    X(XGDMatrixSetStrFeatureInfo)                                                                  \
    X(XGBoosterCreate)                                                                             \
    X(XGBoosterFree)                                                                               \
    X(XGBoosterSetParam)                                                                           \
    X(XGBoosterUpdateOneIter)                                                                      \
    X(XGBoosterBoostOneIter)                                                                       \
    X(XGBoosterEvalOneIter)                                                                        \
    X(XGBoosterSlice)                                                                              \
    X(XGBoosterSaveModelToBuffer)                                                                  \
    X(XGBoosterPredictFromDMatrix)

struct ig_trainer {
    void *library;
    struct api api;
    char version[32];
    const struct ig_train_data *data;
    const struct ig_train_params *params;
    int threads;
    void *train, *validation; /* DMatrix; validation NULL without rows */
    void *booster;
    double base_score;                      /* NaN: the library's own */
    const struct ig_trainer_lesson *lesson; /* NULL: the table's labels */
    float *gradients, *hessians;            /* of soft labels of several classes; else NULL */
};

static enum ig_code refused(const struct ig_trainer *trainer, const char *what, struct ig_err *err)
{
    return ig_fail(err, IG_INTERNAL, "xgboost: %s: %.400s", what, trainer->api.XGBGetLastError());
}

static enum ig_code load_library(struct ig_trainer *trainer, struct ig_err *err)
{
    static const char *const names[] = {"libxgboost.so.0", "libxgboost.so"};
    int major = 0, minor = 0, patch = 0;
    /* OpenMP reads it when it is loaded. Threads that spin while they wait would take the cores
     * from the server that trains beside serving. */
    setenv("OMP_WAIT_POLICY", "PASSIVE", 0);
    for (size_t i = 0; i < sizeof names / sizeof names[0] && !trainer->library; i++)
        trainer->library = dlopen(names[i], RTLD_NOW | RTLD_LOCAL);
    if (!trainer->library)
        return ig_fail(err, IG_UNSUPPORTED,
                       "training needs libxgboost (Debian package libxgboost0): %s", dlerror());
#define X(name)                                                                                    \
    {                                                                                              \
        void *found = dlsym(trainer->library, #name);                                              \
        if (!found) return ig_fail(err, IG_UNSUPPORTED, "this libxgboost has no %s", #name);       \
        memcpy(&trainer->api.name, &found, sizeof found);                                          \
    }
    API_NAMES(X)
#undef X
    trainer->api.XGBoostVersion(&major, &minor, &patch);
    snprintf(trainer->version, sizeof trainer->version, "%d.%d.%d", major, minor, patch);
    return IG_OK;
}

static enum ig_code set_types(struct ig_trainer *trainer, void *matrix, struct ig_err *err)
{
    const struct ig_schema *schema = &trainer->data->schema;
    const char **types = ig_zalloc_array(schema->features_count, sizeof *types);
    if (!types) return ig_fail(err, IG_NO_MEMORY, "feature types");
    for (uint32_t i = 0; i < schema->features_count; i++)
        types[i] = schema->features[i].type == IG_FEATURE_CATEGORICAL ? "c" : "q";
    int result = trainer->api.XGDMatrixSetStrFeatureInfo(matrix, "feature_type", types,
                                                         schema->features_count);
    ig_free((void *)types);
    return result == 0 ? IG_OK : refused(trainer, "feature types", err);
}

/* Rows of a DMatrix, dense. */
struct rows {
    const struct ig_trainer *trainer;
    const size_t *numbers; /* of the table; NULL: of the lesson */
    size_t count;
};

static void take_row(const struct rows *rows, size_t i, double *row)
{
    size_t features = rows->trainer->data->schema.features_count;
    if (rows->numbers)
        ig_train_data_row(rows->trainer->data, rows->numbers[i], row);
    else
        memcpy(row, rows->trainer->lesson->rows + i * features, features * sizeof *row);
}

/* Nothing for soft labels of several classes. */
static float label_of(const struct rows *rows, size_t i)
{
    if (rows->numbers) return (float)rows->trainer->data->labels[rows->numbers[i]];
    return rows->trainer->gradients ? 0 : rows->trainer->lesson->answers[i];
}

static enum ig_code set_labels(struct ig_trainer *trainer, void *matrix, const struct rows *rows,
                               struct ig_err *err)
{
    float *labels = ig_zalloc_array(rows->count, sizeof *labels);
    if (!labels) return ig_fail(err, IG_NO_MEMORY, "labels of %zu rows", rows->count);
    for (size_t i = 0; i < rows->count; i++) labels[i] = label_of(rows, i);
    int result = trainer->api.XGDMatrixSetFloatInfo(matrix, "label", labels, rows->count);
    ig_free(labels);
    return result == 0 ? IG_OK : refused(trainer, "labels", err);
}

static enum ig_code fill_rows(void **out, struct ig_trainer *trainer, const struct rows *rows,
                              struct ig_err *err)
{
    size_t features = trainer->data->schema.features_count, count = rows->count, cells;
    enum ig_code code = IG_OK;
    double *row = ig_zalloc_array(features, sizeof *row);
    float *values = ig_mul(&cells, count, features) ? ig_zalloc_array(cells, sizeof *values) : NULL;
    if (!row || !values) code = ig_fail(err, IG_NO_MEMORY, "%zu rows x %zu", count, features);
    for (size_t i = 0; i < count && code == IG_OK; i++) {
        take_row(rows, i, row);
        for (size_t at = 0; at < features; at++) {
            float value = (float)row[at];
            if (isinf(value))
                code = ig_fail(err, IG_INVALID, "column '%.*s': value %g is beyond a float's range",
                               IG_STR_ARGS(trainer->data->schema.features[at].name), row[at]);
            values[i * features + at] = value;
        }
    }
    if (code == IG_OK && trainer->api.XGDMatrixCreateFromMat_omp(values, count, features, NAN, out,
                                                                 trainer->threads) != 0)
        code = refused(trainer, "matrix", err);
    ig_free(values);
    ig_free(row);
    return code;
}

static enum ig_code make_matrix_of(void **out, struct ig_trainer *trainer, const struct rows *rows,
                                   struct ig_err *err)
{
    void *matrix = NULL;
    enum ig_code code = fill_rows(&matrix, trainer, rows, err);
    if (code == IG_OK) code = set_types(trainer, matrix, err);
    if (code == IG_OK) code = set_labels(trainer, matrix, rows, err);
    if (code != IG_OK) {
        if (matrix) trainer->api.XGDMatrixFree(matrix);
        return code;
    }
    *out = matrix;
    return IG_OK;
}

/* Of some rows of the table. */
static enum ig_code make_matrix(void **out, struct ig_trainer *trainer, const size_t *numbers,
                                size_t count, struct ig_err *err)
{
    const struct rows rows = {trainer, numbers, count};
    return make_matrix_of(out, trainer, &rows, err);
}

static enum ig_code set_param(struct ig_trainer *trainer, const char *name, struct ig_err *err,
                              const char *format, ...) __attribute__((format(printf, 4, 5)));
static enum ig_code set_param(struct ig_trainer *trainer, const char *name, struct ig_err *err,
                              const char *format, ...)
{
    char value[64];
    va_list arguments;
    if (err->code != IG_OK) return err->code;
    va_start(arguments, format);
    vsnprintf(value, sizeof value, format, arguments);
    va_end(arguments);
    if (trainer->api.XGBoosterSetParam(trainer->booster, name, value) != 0)
        return refused(trainer, name, err);
    return IG_OK;
}

static const char *objective_of(enum ig_task task)
{
    switch (task) {
    case IG_TASK_BINARY:
        return "binary:logistic";
    case IG_TASK_MULTICLASS:
        return "multi:softprob";
    default:
        return "reg:squarederror";
    }
}

static const char *metric_of(enum ig_task task)
{
    switch (task) {
    case IG_TASK_BINARY:
        return "logloss";
    case IG_TASK_MULTICLASS:
        return "mlogloss";
    default:
        return "rmse";
    }
}

/* The first refusal is in err; the rest are passed over. */
static enum ig_code set_params(struct ig_trainer *trainer, struct ig_err *err)
{
    const struct ig_train_params *params = trainer->params;
    const struct ig_schema *schema = &trainer->data->schema;
    set_param(trainer, "objective", err, "%s", objective_of(schema->task));
    set_param(trainer, "eval_metric", err, "%s", metric_of(schema->task));
    set_param(trainer, "tree_method", err, "hist");
    set_param(trainer, "verbosity", err, "1");
    set_param(trainer, "nthread", err, "%d", trainer->threads);
    set_param(trainer, "seed", err, "%lld", (long long)params->seed);
    set_param(trainer, "learning_rate", err, "%.17g", params->learning_rate);
    set_param(trainer, "max_depth", err, "%lld", (long long)params->max_depth);
    set_param(trainer, "min_child_weight", err, "%.17g", params->min_child_weight);
    set_param(trainer, "subsample", err, "%.17g", params->subsample);
    set_param(trainer, "colsample_bytree", err, "%.17g", params->colsample_bytree);
    set_param(trainer, "lambda", err, "%.17g", params->lambda);
    set_param(trainer, "alpha", err, "%.17g", params->alpha);
    set_param(trainer, "gamma", err, "%.17g", params->gamma);
    if (schema->task == IG_TASK_MULTICLASS)
        set_param(trainer, "num_class", err, "%u", schema->classes_count);
    else
        set_param(trainer, "base_score", err, "%.9g", trainer->base_score);
    return err->code;
}

static double mean_label(const struct ig_train_data *data)
{
    double sum = 0;
    for (size_t i = 0; i < data->train_count; i++) sum += data->labels[data->train[i]];
    return sum / (double)data->train_count;
}

static enum ig_code make_train(struct ig_trainer *trainer, struct ig_err *err)
{
    const struct ig_train_data *data = trainer->data;
    const struct ig_trainer_lesson *lesson = trainer->lesson;
    if (!lesson) return make_matrix(&trainer->train, trainer, data->train, data->train_count, err);
    const struct rows rows = {trainer, NULL, lesson->rows_count};
    if (data->schema.task == IG_TASK_MULTICLASS) {
        size_t count = 0;
        if (ig_mul(&count, lesson->rows_count, data->schema.classes_count)) {
            trainer->gradients = ig_zalloc_array(count, sizeof(float));
            trainer->hessians = ig_zalloc_array(count, sizeof(float));
        }
        if (!trainer->gradients || !trainer->hessians)
            return ig_fail(err, IG_NO_MEMORY, "gradients of %zu rows", lesson->rows_count);
    }
    return make_matrix_of(&trainer->train, trainer, &rows, err);
}

static enum ig_code open_matrices(struct ig_trainer *trainer, struct ig_err *err)
{
    const struct ig_train_data *data = trainer->data;
    enum ig_code code = load_library(trainer, err);
    if (code == IG_OK) code = make_train(trainer, err);
    if (code == IG_OK && data->validation_count)
        code = make_matrix(&trainer->validation, trainer, data->validation, data->validation_count,
                           err);
    if (code == IG_OK && trainer->api.XGBoosterCreate(&trainer->train, 1, &trainer->booster) != 0)
        code = refused(trainer, "booster", err);
    return code == IG_OK ? set_params(trainer, err) : code;
}

enum ig_code ig_trainer_open_taught(struct ig_trainer **out, const struct ig_train_data *data,
                                    const struct ig_train_params *params,
                                    const struct ig_trainer_lesson *lesson, struct ig_err *err)
{
    struct ig_trainer *trainer = ig_zalloc(sizeof *trainer);
    if (!trainer) return ig_fail(err, IG_NO_MEMORY, "trainer");
    trainer->data = data;
    trainer->params = params;
    trainer->lesson = lesson;
    trainer->threads = params->threads ? (int)params->threads : (int)ig_cpu_count();
    trainer->base_score = mean_label(data);
    if (open_matrices(trainer, err) != IG_OK) {
        ig_trainer_close(trainer);
        return err->code;
    }
    *out = trainer;
    return IG_OK;
}

enum ig_code ig_trainer_open(struct ig_trainer **out, const struct ig_train_data *data,
                             const struct ig_train_params *params, struct ig_err *err)
{
    return ig_trainer_open_taught(out, data, params, NULL, err);
}

void ig_trainer_close(struct ig_trainer *trainer)
{
    if (!trainer) return;
    if (trainer->booster) trainer->api.XGBoosterFree(trainer->booster);
    if (trainer->validation) trainer->api.XGDMatrixFree(trainer->validation);
    if (trainer->train) trainer->api.XGDMatrixFree(trainer->train);
    ig_free(trainer->gradients);
    ig_free(trainer->hessians);
    ig_free(trainer); /* the library stays: its thread pool does not survive dlclose */
}

const char *ig_trainer_version(const struct ig_trainer *trainer)
{
    return trainer->version;
}

/* The number behind "train-logloss:" in "[3]\ttrain-logloss:0.51\tvalid-logloss:0.55". */
static double find_value(const char *text, const char *name)
{
    const char *at = strstr(text, name);
    at = at ? strchr(at, ':') : NULL;
    return at ? strtod(at + 1, NULL) : (double)NAN;
}

static enum ig_code evaluate(struct ig_trainer_round *round, struct ig_trainer *trainer,
                             struct ig_err *err)
{
    void *matrices[] = {trainer->train, trainer->validation};
    const char *names[] = {"train", "valid"};
    const char *text = NULL;
    if (trainer->api.XGBoosterEvalOneIter(trainer->booster, (int)round->round - 1, matrices, names,
                                          trainer->validation ? 2 : 1, &text) != 0)
        return refused(trainer, "evaluation", err);
    /* Soft labels of several classes are not the matrix's own. */
    round->train = trainer->gradients ? (double)NAN : find_value(text, "train-");
    round->validation = find_value(text, "valid-");
    return IG_OK;
}

/* Of the cross entropy of soft labels by the margins, with XGBoost's own second derivative. */
static enum ig_code derive(struct ig_trainer *trainer, struct ig_err *err)
{
    static const char CONFIG[] = "{\"type\":1,\"training\":true,\"iteration_begin\":0,"
                                 "\"iteration_end\":0,\"strict_shape\":true}";
    const uint64_t *shape = NULL;
    uint64_t dimensions = 0;
    const float *margins = NULL;
    size_t classes = trainer->data->schema.classes_count;
    if (trainer->api.XGBoosterPredictFromDMatrix(trainer->booster, trainer->train, CONFIG, &shape,
                                                 &dimensions, &margins) != 0)
        return refused(trainer, "prediction", err);
    if (dimensions != 2 || shape[0] != trainer->lesson->rows_count || shape[1] != classes)
        return ig_fail(err, IG_INTERNAL, "xgboost: prediction of an unexpected shape");
    for (size_t i = 0; i < trainer->lesson->rows_count; i++) {
        const float *own = margins + i * classes, *answers = trainer->lesson->answers + i * classes;
        double greatest = (double)own[0], sum = 0;
        for (size_t c = 1; c < classes; c++) greatest = fmax(greatest, (double)own[c]);
        for (size_t c = 0; c < classes; c++) sum += exp((double)own[c] - greatest);
        for (size_t c = 0; c < classes; c++) {
            double p = exp((double)own[c] - greatest) / sum;
            trainer->gradients[i * classes + c] = (float)(p - (double)answers[c]);
            trainer->hessians[i * classes + c] = (float)fmax(2 * p * (1 - p), 1e-16);
        }
    }
    return IG_OK;
}

static enum ig_code boost(struct ig_trainer *trainer, int round, struct ig_err *err)
{
    if (!trainer->gradients)
        return trainer->api.XGBoosterUpdateOneIter(trainer->booster, round, trainer->train) == 0
                   ? IG_OK
                   : refused(trainer, "boosting", err);
    if (derive(trainer, err) != IG_OK) return err->code;
    uint64_t count = trainer->lesson->rows_count * trainer->data->schema.classes_count;
    if (trainer->api.XGBoosterBoostOneIter(trainer->booster, trainer->train, trainer->gradients,
                                           trainer->hessians, count) != 0)
        return refused(trainer, "boosting", err);
    return IG_OK;
}

static enum ig_code cut(struct ig_trainer *trainer, int64_t rounds, struct ig_err *err)
{
    void *sliced = NULL;
    if (trainer->api.XGBoosterSlice(trainer->booster, 0, (int)rounds, 1, &sliced) != 0)
        return refused(trainer, "cutting to the best rounds", err);
    trainer->api.XGBoosterFree(trainer->booster);
    trainer->booster = sliced;
    return IG_OK;
}

enum ig_code ig_trainer_run(int64_t *kept, struct ig_trainer *trainer, ig_trainer_report *report,
                            void *context, struct ig_err *err)
{
    const struct ig_train_params *params = trainer->params;
    bool watch = trainer->validation && params->early_stopping > 0;
    int64_t best = 0, done = 0;
    double least = INFINITY;
    for (int64_t at = 1; at <= params->rounds; at++) {
        struct ig_trainer_round round = {
            .round = at, .rounds = params->rounds, .metric = metric_of(trainer->data->schema.task)};
        enum ig_code code = boost(trainer, (int)at - 1, err);
        if (code == IG_OK) code = evaluate(&round, trainer, err);
        if (code != IG_OK) return code;
        done = at;
        report(context, &round);
        if (!watch) continue;
        if (round.validation < least) {
            least = round.validation;
            best = at;
        }
        if (at - best >= params->early_stopping) break;
    }
    *kept = watch && best > 0 ? best : done;
    return *kept < done ? cut(trainer, *kept, err) : IG_OK;
}

enum ig_code ig_trainer_save(struct ig_str *model, struct ig_trainer *trainer, struct ig_err *err)
{
    uint64_t length = 0;
    const char *bytes = NULL;
    if (trainer->api.XGBoosterSaveModelToBuffer(trainer->booster, "{\"format\":\"ubj\"}", &length,
                                                &bytes) != 0)
        return refused(trainer, "saving", err);
    *model = (struct ig_str){bytes, length};
    return IG_OK;
}

enum ig_code ig_trainer_predict(size_t *outputs, double *values, size_t outputs_max,
                                struct ig_trainer *trainer,
                                const struct ig_trainer_request *request, struct ig_err *err)
{
    char config[160];
    const uint64_t *shape = NULL;
    uint64_t dimensions = 0;
    const float *found = NULL;
    void *matrix = NULL;
    size_t each = 0;
    enum ig_code code = make_matrix(&matrix, trainer, request->rows, request->rows_count, err);
    if (code != IG_OK) return code;
    snprintf(config, sizeof config,
             "{\"type\":%d,\"training\":false,\"iteration_begin\":0,\"iteration_end\":0,"
             "\"strict_shape\":true}",
             request->margin ? 1 : 0);
    if (trainer->api.XGBoosterPredictFromDMatrix(trainer->booster, matrix, config, &shape,
                                                 &dimensions, &found) != 0)
        code = refused(trainer, "prediction", err);
    else if (dimensions != 2 || shape[0] != request->rows_count || shape[1] > outputs_max)
        code = ig_fail(err, IG_INTERNAL, "xgboost: prediction of an unexpected shape");
    if (code == IG_OK) {
        each = (size_t)shape[1];
        for (size_t i = 0; i < request->rows_count * each; i++) values[i] = (double)found[i];
        *outputs = each;
    }
    trainer->api.XGDMatrixFree(matrix);
    return code;
}
